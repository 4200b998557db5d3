//! How far chips are from the nearest training chip, and what that says of a split.

use std::cmp::Ordering;

use super::Split;
use satmip::metadata::Location;

/// The Earth's mean radius in metres: (2 a + b) / 3 of the ellipsoid GRS 80 (Moritz 2000, Geodetic Reference
/// System 1980). A great circle on this sphere is within 0.6 % of the way on the ellipsoid.
const EARTH_RADIUS: f64 = 6_371_008.771_4;
/// Metres within which a chip is near a training chip (our choice).
const NEAR: f64 = 5000.0;
/// Share of near chips above which a split is said to leak (our choice).
const MUCH: f64 = 0.05;
/// Points of a leaf of the tree.
const LEAF: usize = 8;

/// Great-circle distance of two places in metres, by the haversine formula, which keeps its digits where places
/// are near (Sinnott 1984, Virtues of the Haversine).
pub(super) fn distance(a: Location, b: Location) -> f64 {
    let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin();
    let across = half_sine(b.lat() - a.lat()).powi(2)
        + a.lat().to_radians().cos()
            * b.lat().to_radians().cos()
            * half_sine(b.lon() - a.lon()).powi(2);
    2.0 * EARTH_RADIUS * across.sqrt().min(1.0).asin()
}

/// Where the asked chips are, seen from the training chips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Nearness {
    /// Share of the asked chips with a place that lie within [`NEAR`] of a training chip, 0 to 1.
    pub(super) share: f64,
    /// The smallest distance of an asked chip from its nearest training chip, metres.
    pub(super) smallest: f64,
    /// The median of these distances, metres; of an even number the upper one.
    pub(super) median: f64,
}

/// Which chips of other splits than `train` lie within so many metres of a training chip.
pub(super) fn within(chips: &[(Split, Option<Location>)], metres: f64) -> Vec<bool> {
    let near = |tree: &Tree, (split, place): &(Split, Option<Location>)| {
        let place = place.filter(|_| *split != Split::Train);
        place.is_some_and(|place| tree.distance(place) <= metres)
    };
    match Tree::new(places(chips, Split::Train)) {
        Some(tree) => chips.iter().map(|chip| near(&tree, chip)).collect(),
        None => vec![false; chips.len()],
    }
}

/// The places of a split, of the chips that have one.
fn places(chips: &[(Split, Option<Location>)], wanted: Split) -> Vec<Location> {
    let of = chips.iter().filter(|(split, _)| *split == wanted);
    of.filter_map(|(_, place)| *place).collect()
}

impl Nearness {
    /// Of all chips of `asked` that have a place; none where these or the training chips have none.
    pub(super) fn of(chips: &[(Split, Option<Location>)], asked: Split) -> Option<Self> {
        let tree = Tree::new(places(chips, Split::Train))?;
        let asked = places(chips, asked);
        let mut found: Vec<f64> = asked.iter().map(|p| tree.distance(*p)).collect();
        let middle = found.len() / 2;
        let near = found.iter().filter(|d| **d <= NEAR).count();
        let smallest = found.iter().copied().min_by(f64::total_cmp)?;
        let (_, median, _) = found.select_nth_unstable_by(middle, f64::total_cmp);
        Some(Self {
            median: *median,
            share: near as f64 / found.len() as f64,
            smallest,
        })
    }
}

/// What a reader of figures about `asked` must know of its distance from the training chips: that the split leaks,
/// or that some chips are near; nothing where no chip is. `blocks` tells whether places were already kept apart
/// by blocks, which touch.
pub(super) fn leakage(
    chips: &[(Split, Option<Location>)],
    asked: Split,
    blocks: bool,
) -> Option<String> {
    if asked == Split::Train {
        return None;
    }
    let found = Nearness::of(chips, asked)?;
    if found.share == 0.0 {
        return None;
    }
    let facts = format!(
        "{} of the `{}` chips lie within {} of a training chip (the nearest at {}, in the median {})",
        percent(found.share),
        asked.name(),
        length(NEAR),
        length(found.smallest),
        length(found.median)
    );
    if found.share <= MUCH {
        return Some(facts);
    }
    let remedy = match blocks {
        true => "Blocks touch: those are the chips at their borders",
        false => "`--split blocks` keeps all but the borders of blocks apart",
    };
    Some(format!(
        "this split leaks: {facts}, and neighbouring chips share their scene. {remedy}"
    ))
}

/// A share as `7.0 %`, or `under 0.1 %`.
fn percent(share: f64) -> String {
    match 100.0 * share {
        low if low < 0.1 => "under 0.1 %".into(),
        high if high >= 99.95 && share < 1.0 => "over 99.9 %".into(),
        percent => format!("{percent:.1} %"),
    }
}

/// Metres as `76 m` or `27.3 km`.
fn length(metres: f64) -> String {
    match metres {
        near if near < 999.5 => format!("{near:.0} m"),
        whole if whole % 1000.0 == 0.0 || whole >= 100_000.0 => format!("{:.0} km", whole / 1000.0),
        far => format!("{:.1} km", far / 1000.0),
    }
}

/// A point on the unit sphere.
type Point = [f64; 3];

/// Places in a k-d tree of their unit vectors, which know neither a date line nor poles. Among points on a sphere
/// the nearest by the straight line is the nearest along the surface.
///
/// Each node keeps the box around its points, so that far clusters cost nothing; equal places are kept once.
struct Tree {
    places: Vec<(Point, Location)>,
    nodes: Vec<Node>,
}

struct Node {
    low: Point,
    high: Point,
    /// Its points.
    first: usize,
    end: usize,
    /// The second child; the first one follows the node itself. None of a leaf.
    second: Option<usize>,
}

impl Tree {
    /// None without a place.
    fn new(places: Vec<Location>) -> Option<Self> {
        let mut places: Vec<_> = places.into_iter().map(|p| (unit(p), p)).collect();
        places.sort_unstable_by(|(a, _), (b, _)| by_axes(a, b));
        places.dedup_by(|(a, _), (b, _)| a == b);
        if places.is_empty() {
            return None;
        }
        let mut tree = Self {
            nodes: Vec::with_capacity(4 * places.len() / LEAF + 1),
            places,
        };
        tree.grow(0, tree.places.len());
        Some(tree)
    }

    /// Adds the node of these places, halved along the longest side of their box, and all below it. As halves are
    /// halves, it is at most 64 deep.
    fn grow(&mut self, first: usize, end: usize) {
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for (point, _) in &self.places[first..end] {
            for axis in 0..3 {
                low[axis] = low[axis].min(point[axis]);
                high[axis] = high[axis].max(point[axis]);
            }
        }
        let node = self.nodes.len();
        self.nodes.push(Node {
            low,
            high,
            first,
            end,
            second: None,
        });
        if end - first <= LEAF {
            return;
        }
        let side = |axis: &usize| high[*axis] - low[*axis];
        let axis = (0..3).max_by(|a, b| side(a).total_cmp(&side(b)));
        let axis = axis.unwrap_or(0);
        let half = (end - first) / 2;
        self.places[first..end]
            .select_nth_unstable_by(half, |(a, _), (b, _)| a[axis].total_cmp(&b[axis]));
        self.grow(first, first + half);
        self.nodes[node].second = Some(self.nodes.len());
        self.grow(first + half, end);
    }

    /// Distance in metres of a place from the nearest one of the tree.
    fn distance(&self, place: Location) -> f64 {
        let mut best = (f64::INFINITY, place);
        self.search(0, &unit(place), &mut best);
        distance(place, best.1)
    }

    /// Looks for a place nearer than the best one, whose squared distance stands with it.
    fn search(&self, node: usize, from: &Point, best: &mut (f64, Location)) {
        let Some(second) = self.nodes[node].second else {
            let leaf = &self.nodes[node];
            for (point, place) in &self.places[leaf.first..leaf.end] {
                let found = squared(point, from);
                if found < best.0 {
                    *best = (found, *place);
                }
            }
            return;
        };
        let mut children = [node + 1, second].map(|child| (self.nodes[child].outside(from), child));
        if children[1].0 < children[0].0 {
            children.swap(0, 1);
        }
        for (least, child) in children {
            if least < best.0 {
                self.search(child, from, best);
            }
        }
    }
}

impl Node {
    /// Squared distance of a point from the box, 0 inside.
    fn outside(&self, from: &Point) -> f64 {
        let nearest = [0, 1, 2].map(|axis| from[axis].clamp(self.low[axis], self.high[axis]));
        squared(&nearest, from)
    }
}

fn unit(place: Location) -> Point {
    let (sin, cos) = place.lat().to_radians().sin_cos();
    let (east, north) = place.lon().to_radians().sin_cos();
    [cos * north, cos * east, sin]
}

fn squared(a: &Point, b: &Point) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum()
}

fn by_axes(a: &Point, b: &Point) -> Ordering {
    let axes = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    axes.fold(Ordering::Equal, Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lon: f64, lat: f64) -> Location {
        Location::new(lon, lat).unwrap()
    }

    fn chips(train: &[Location], test: &[Location]) -> Vec<(Split, Option<Location>)> {
        let of = |split: Split, places: &[Location]| {
            let places = places.iter().map(move |place| (split, Some(*place)));
            places.collect::<Vec<_>>()
        };
        [of(Split::Train, train), of(Split::Test, test)].concat()
    }

    fn nearness(train: &[Location], test: &[Location]) -> Nearness {
        Nearness::of(&chips(train, test), Split::Test).unwrap()
    }

    /// The same everywhere on the sphere, from a fixed sequence.
    fn scattered(count: usize, seed: u64) -> Vec<Location> {
        let golden = 0.618_033_988_749_895;
        (0..count)
            .map(|i| {
                let along = ((i as f64 + seed as f64 * 0.37) * golden).fract();
                let up = (i as f64 + 0.5) / count as f64;
                at(360.0 * along - 180.0, (2.0 * up - 1.0).asin().to_degrees())
            })
            .collect()
    }

    #[test]
    fn distances_agree_with_known_ones() {
        for (a, b, metres, within) in [
            // A degree of a great circle, the quarter of one, half of one.
            (at(0.0, 0.0), at(1.0, 0.0), 111_195.08, 0.01),
            (at(0.0, 0.0), at(40.0, 90.0), 10_007_557.2, 0.1),
            (at(0.0, 0.0), at(180.0, 0.0), 20_015_114.4, 0.1),
            // Paris to New York, by the spherical law of cosines.
            (
                at(2.3522, 48.8566),
                at(-74.006, 40.7128),
                5_837_248.94,
                0.01,
            ),
            (at(7.0, 46.0), at(7.0, 46.0), 0.0, 0.0),
        ] {
            let found = distance(a, b);
            assert!((found - metres).abs() <= within, "{a:?} {b:?}: {found}");
            assert_eq!(found, distance(b, a));
        }
    }

    #[test]
    fn neighbours_across_the_border_of_a_block_are_seen() {
        // 0.0005 degrees to either side of 10 degrees east, at 46.5 north: 76 m.
        let (train, test) = ([at(9.9995, 46.5)], [at(10.0005, 46.5)]);
        let found = nearness(&train, &test);
        assert_eq!(found.share, 1.0);
        assert!((found.smallest - 76.5).abs() < 0.1, "{found:?}");
        let note = leakage(&chips(&train, &test), Split::Test, true).unwrap();
        assert!(
            note.starts_with(
                "this split leaks: 100.0 % of the `test` chips lie within 5 km of a training chip \
                 (the nearest at 77 m, in the median 77 m)"
            ) && note.ends_with("borders"),
            "{note}"
        );
        let note = leakage(&chips(&train, &test), Split::Test, false).unwrap();
        assert!(note.contains("--split blocks"), "{note}");
    }

    #[test]
    fn the_date_line_and_the_poles_are_places_like_others() {
        let found = nearness(&[at(179.999, 0.0)], &[at(-179.999, 0.0)]);
        assert!((found.smallest - 222.39).abs() < 0.01, "{found:?}");
        let found = nearness(&[at(180.0, -17.0)], &[at(-180.0, -17.0)]);
        assert!(found.smallest < 1e-6, "{found:?}");
        let found = nearness(&[at(0.0, 89.999)], &[at(180.0, 89.999)]);
        assert!((found.smallest - 222.39).abs() < 0.01, "{found:?}");
        let south = nearness(&[at(-120.0, -90.0), at(5.0, 80.0)], &[at(60.0, -90.0)]);
        assert!(south.smallest < 1e-6, "{south:?}");
    }

    #[test]
    fn shares_and_medians_are_of_the_asked_chips() {
        let train = [at(0.0, 0.0), at(0.0, 0.0)];
        let test: Vec<Location> = (0..40).map(|i| at(f64::from(i), 0.0)).collect();
        let found = nearness(&train, &test);
        assert_eq!((found.share, found.smallest), (1.0 / 40.0, 0.0));
        assert!((found.median - 20.0 * 111_195.08).abs() < 1.0, "{found:?}");
        // Some are near, too few to leak; none is near.
        let note = leakage(&chips(&train, &test), Split::Test, false).unwrap();
        assert!(
            note.starts_with("2.5 % of the `test` chips lie within 5 km")
                && !note.contains("leaks"),
            "{note}"
        );
        let far = chips(&train, &test[1..]);
        assert_eq!(leakage(&far, Split::Test, false), None);
        assert_eq!(leakage(&far, Split::Train, false), None);
    }

    #[test]
    fn a_margin_takes_the_near_ones_of_other_splits() {
        let place = |lon: f64| Some(at(lon, 0.0));
        let chips = [
            (Split::Train, place(0.0)),
            (Split::Train, place(0.01)),
            (Split::Val, place(0.02)),
            (Split::Test, place(0.05)),
            (Split::Test, place(0.06)),
            (Split::Test, None),
        ];
        // 0.04 degrees of the equator are 4.4 km, 0.05 are 5.6.
        let near = [false, false, true, true, false, false];
        assert_eq!(within(&chips, NEAR), near);
        assert_eq!(within(&chips[2..], NEAR), [false; 4]);
    }

    #[test]
    fn without_places_there_is_nothing_to_say() {
        let place = at(1.0, 1.0);
        let none = [(Split::Train, None), (Split::Test, None)];
        assert_eq!(Nearness::of(&none, Split::Test), None);
        assert_eq!(Nearness::of(&[], Split::Test), None);
        assert_eq!(
            Nearness::of(&[(Split::Test, Some(place))], Split::Test),
            None
        );
        let one = [(Split::Train, Some(place)), (Split::Test, None)];
        assert_eq!(Nearness::of(&one, Split::Test), None);
        // Chips without a place are no part of the share.
        let mixed = [
            (Split::Train, Some(place)),
            (Split::Test, Some(place)),
            (Split::Test, None),
        ];
        assert_eq!(Nearness::of(&mixed, Split::Test).unwrap().share, 1.0);
        assert_eq!(leakage(&none, Split::Test, true), None);
    }

    #[test]
    fn the_tree_finds_what_a_search_through_all_finds() {
        let (mut train, mut test) = (scattered(700, 1), scattered(300, 2));
        // A cluster, a scene's rows of one latitude, and doubles.
        train.extend((0..200).map(|i| at(12.0 + f64::from(i) * 1e-5, 41.0)));
        train.extend(vec![at(-70.0, -33.0); 500]);
        test.extend([
            at(12.0005, 41.0001),
            at(-70.0, -33.0),
            at(0.0, 90.0),
            at(180.0, 0.0),
        ]);
        let tree = Tree::new(train.clone()).unwrap();
        for place in test {
            let all = train.iter().map(|other| distance(place, *other));
            let nearest = all.min_by(f64::total_cmp).unwrap();
            assert!((tree.distance(place) - nearest).abs() < 1e-6, "{place:?}");
        }
    }

    #[test]
    fn many_equal_places_and_many_others_take_seconds() {
        let begin = std::time::Instant::now();
        let mut train = vec![at(2.0, 48.0); 200_000];
        train.extend(scattered(50_000, 3));
        let mut test = scattered(50_000, 4);
        test.extend(vec![at(2.0, 48.0); 50_000]);
        let found = nearness(&train, &test);
        assert!(found.share >= 0.5 && found.smallest == 0.0, "{found:?}");
        // Every pair by itself would take an hour in a build without optimisation.
        let seconds = begin.elapsed().as_secs();
        assert!(seconds < 120, "{seconds} s");
    }

    #[test]
    fn lengths_and_shares_read_well() {
        let lengths = [0.2, 76.4, 999.4, 999.6, 5000.0, 27_260.0, 1_566_930.0].map(length);
        assert_eq!(
            lengths,
            [
                "0 m", "76 m", "999 m", "1.0 km", "5 km", "27.3 km", "1567 km"
            ]
        );
        let shares = [0.0001, 0.0704, 0.9994, 0.9999, 1.0].map(percent);
        assert_eq!(
            shares,
            ["under 0.1 %", "7.0 %", "99.9 %", "over 99.9 %", "100.0 %"]
        );
    }
}
