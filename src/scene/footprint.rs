//! Where a window lies on the ground.

use crate::image::Region;
use crate::metadata::read::geotiff::Georeference;

/// The corners of a window in degrees of WGS84, longitude first, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Footprint {
    corners: [(f64, f64); 4],
}

impl Footprint {
    pub(super) fn of(place: &Georeference, window: Region) -> Option<Self> {
        let (left, top) = (f64::from(window.left), f64::from(window.top));
        let (right, bottom) = (
            left + f64::from(window.width),
            top + f64::from(window.height),
        );
        let pixels = [(left, top), (right, top), (right, bottom), (left, bottom)];
        let mut corners = [(0.0, 0.0); 4];
        for (corner, (column, row)) in corners.iter_mut().zip(pixels) {
            *corner = place.on_the_ground(column, row)?;
            // Grids of degrees may run over the pole.
            if corner.1.abs() > 90.0 {
                return None;
            }
        }
        // A window is never half of the world. A pole has no longitude: it gets that of the corner before.
        let is_pole = |corner: &(f64, f64)| corner.1.abs() > NEAR_POLE;
        let start = corners.iter().position(|corner| !is_pole(corner))?;
        let mut before = corners[start].0;
        let first = before;
        for step in 0..4 {
            let corner = &mut corners[(start + step) % 4];
            if is_pole(corner) {
                corner.0 = before;
            } else if corner.0 - first > 180.0 {
                corner.0 -= 360.0;
            } else if corner.0 - first < -180.0 {
                corner.0 += 360.0;
            }
            before = corner.0;
        }
        // What only touches the antimeridian lies on one side of it; a tenth of a millimetre is rounding.
        for (lon, _) in &mut corners {
            if (lon.abs() - 180.0).abs() < 1e-9 {
                *lon = 180f64.copysign(*lon);
            }
        }
        let side = corners.map(|(lon, _)| lon);
        if side.iter().all(|lon| *lon >= 180.0) {
            corners.iter_mut().for_each(|corner| corner.0 -= 360.0);
        } else if side.iter().all(|lon| *lon <= -180.0) {
            corners.iter_mut().for_each(|corner| corner.0 += 360.0);
        }
        Some(Footprint { corners })
    }

    /// Of these corners, of which no two are 180 degrees of longitude apart.
    pub fn from_corners(corners: [(f64, f64); 4]) -> Self {
        Footprint { corners }
    }

    /// Left upper, right upper, right lower, left lower corner of the window as it is stored: longitude and latitude.
    /// Longitudes may lie beyond 180 or -180, so that those of a window on the antimeridian follow each other.
    pub fn corners(&self) -> [(f64, f64); 4] {
        self.corners
    }

    /// The latitude of the pole that lies inside, 90 or -90: around it the corners go once through all longitudes.
    pub fn pole(&self) -> Option<f64> {
        let next = self.corners.iter().cycle().skip(1);
        let steps = self.corners.iter().zip(next);
        let turn: f64 = steps
            .map(|((from, _), (to, _))| match to - from {
                // Half of the world may be a window of a map of it.
                step if step.abs() <= 180.0 => step,
                step => step - 360.0 * step.signum(),
            })
            .sum();
        (turn.abs() > 180.0).then(|| 90f64.copysign(self.corners[0].1))
    }

    /// West, south, east, north, in degrees; west is above east where the window lies on the antimeridian (RFC 7946,
    /// section 5.2), and all longitudes are there where a pole lies inside.
    pub fn bbox(&self) -> [f64; 4] {
        let lons = self.corners.map(|(lon, _)| lon);
        let lats = self.corners.map(|(_, lat)| lat);
        let least = |numbers: [f64; 4]| numbers.into_iter().fold(f64::INFINITY, f64::min);
        let most = |numbers: [f64; 4]| numbers.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if let Some(pole) = self.pole() {
            let (south, north) = (least(lats).min(pole), most(lats).max(pole));
            return [-180.0, south, 180.0, north];
        }
        [
            wrapped(least(lons)),
            least(lats),
            wrapped(most(lons)),
            most(lats),
        ]
    }

    /// Its outline in well-known binary, counterclockwise; two polygons where it lies on the antimeridian (RFC 7946,
    /// section 3.1.9).
    pub fn wkb(&self) -> Vec<u8> {
        let parts = self.polygons();
        match parts.as_slice() {
            [one] => polygon(one),
            several => {
                let mut bytes = header(6);
                bytes.extend((several.len() as u32).to_le_bytes());
                several.iter().for_each(|part| bytes.extend(polygon(part)));
                bytes
            }
        }
    }

    /// Whether it lies on both sides of the antimeridian, and its outline is two polygons.
    pub fn is_split(&self) -> bool {
        self.pole().is_none() && self.corners.iter().any(|(lon, _)| lon.abs() > 180.0)
    }

    /// Its outline: rings of longitudes and latitudes in degrees, counterclockwise and not closed; two where it lies on
    /// the antimeridian. Around a pole the ring runs through all longitudes and along the pole's latitude.
    pub fn polygons(&self) -> Vec<Vec<(f64, f64)>> {
        if let Some(pole) = self.pole() {
            return vec![self.around(pole)];
        }
        let mut ring = Vec::with_capacity(5);
        for (at, corner) in self.corners.iter().enumerate() {
            ring.push(*corner);
            // From one meridian to the next along the pole.
            if corner.1.abs() > NEAR_POLE {
                ring.push((self.corners[(at + 1) % 4].0, corner.1));
            }
        }
        if area(&ring) < 0.0 {
            ring.reverse();
        }
        let beyond = ring
            .iter()
            .find(|(lon, _)| lon.abs() > 180.0)
            .map(|(lon, _)| lon.signum() * 180.0);
        let Some(edge) = beyond else {
            return vec![ring];
        };
        let side = edge.signum();
        let here = clipped(&ring, |lon| (edge - lon) * side);
        let there = clipped(&ring, |lon| (lon - edge) * side);
        let there: Vec<_> = there
            .into_iter()
            .map(|(lon, lat)| (lon - 2.0 * edge, lat))
            .collect();
        [here, there]
            .into_iter()
            .filter(|part| part.len() > 2)
            .collect()
    }

    /// Its outline where a pole lies inside, cut open at the antimeridian.
    fn around(&self, pole: f64) -> Vec<(f64, f64)> {
        let mut ring = self.corners.map(|(lon, lat)| (wrapped(lon), lat));
        ring.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [(west, west_lat), .., (east, east_lat)] = ring;
        let share = (180.0 - east) / (west + 360.0 - east);
        let cut = east_lat + share * (west_lat - east_lat);
        let mut outline = vec![(-180.0, cut)];
        outline.extend(ring);
        outline.extend([(180.0, cut), (180.0, pole), (-180.0, pole)]);
        if area(&outline) < 0.0 {
            outline.reverse();
        }
        outline
    }
}

/// Latitudes beyond it are the pole's: a centimetre away.
const NEAR_POLE: f64 = 90.0 - 1e-7;

/// A longitude within -180 to 180.
fn wrapped(lon: f64) -> f64 {
    match lon {
        lon if lon > 180.0 => lon - 360.0,
        lon if lon < -180.0 => lon + 360.0,
        lon => lon,
    }
}

/// Twice the area of a ring, negative where it runs clockwise.
fn area(ring: &[(f64, f64)]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter()
        .zip(next)
        .map(|((x, y), (u, v))| x * v - u * y)
        .sum()
}

/// The part of a convex ring whose longitudes are inside, where `inside` is not negative.
fn clipped(ring: &[(f64, f64)], inside: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut part = Vec::new();
    for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let (a, b) = (inside(from.0), inside(to.0));
        if a >= 0.0 {
            part.push(*from);
        }
        if (a > 0.0 && b < 0.0) || (a < 0.0 && b > 0.0) {
            let t = a / (a - b);
            part.push((from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1)));
        }
    }
    part
}

/// Little-endian well-known binary of a type.
fn header(kind: u32) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(kind.to_le_bytes());
    bytes
}

fn polygon(ring: &[(f64, f64)]) -> Vec<u8> {
    let mut bytes = header(3);
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((ring.len() as u32 + 1).to_le_bytes());
    for (lon, lat) in ring.iter().chain(ring.first()) {
        bytes.extend(lon.to_le_bytes());
        bytes.extend(lat.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(corners: [(f64, f64); 4]) -> Footprint {
        Footprint { corners }
    }

    #[test]
    fn outlines_run_counterclockwise() {
        // Corners of a window run clockwise.
        let square = of([(2.0, 49.0), (3.0, 49.0), (3.0, 48.0), (2.0, 48.0)]);
        assert_eq!(square.bbox(), [2.0, 48.0, 3.0, 49.0]);
        assert!(!square.is_split());
        let bytes = square.wkb();
        assert_eq!((bytes.len(), bytes[0], bytes[1]), (93, 1, 3));
        assert!(area(&square.polygons()[0]) > 0.0);
    }

    #[test]
    fn windows_around_a_pole_hold_all_longitudes() {
        // Corners of a square around the pole of a polar stereographic map, from any of them on.
        for (pole, lat) in [(90.0, 89.0), (-90.0, -89.0)] {
            for first in [-135.0, -45.0, 45.0, 135.0] {
                let lons = [0.0, 90.0, 180.0, 270.0].map(|step| first + step);
                let window = of(lons.map(|lon| (lon, lat)));
                assert_eq!(window.pole(), Some(pole));
                assert!(!window.is_split());
                let [west, south, east, north] = window.bbox();
                assert_eq!((west, east), (-180.0, 180.0));
                assert_eq!((south, north), (lat.min(pole), lat.max(pole)));
                let parts = window.polygons();
                assert_eq!(parts.len(), 1);
                assert!((area(&parts[0]) / 2.0 - 360.0).abs() < 1e-9, "{parts:?}");
                assert!(parts[0].iter().all(|(lon, _)| lon.abs() <= 180.0));
            }
        }
        // A quarter of a map of the world, and a window with a pole at its corner.
        let quarter = of([(-180.0, 90.0), (0.0, 90.0), (0.0, 0.0), (-180.0, 0.0)]);
        assert_eq!(quarter.pole(), None);
        assert_eq!(quarter.bbox(), [-180.0, 0.0, 0.0, 90.0]);
        let corner = of([
            (135.0, 89.99),
            (180.0, 89.98),
            (225.0, 89.99),
            (225.0, 90.0),
        ]);
        assert_eq!(corner.pole(), None);
        assert_eq!(corner.bbox(), [135.0, 89.98, -135.0, 90.0]);
        assert_eq!(corner.polygons().len(), 2);
        let beside = of([(10.0, 89.9), (20.0, 89.9), (20.0, 89.5), (10.0, 89.5)]);
        assert_eq!(beside.pole(), None);
    }

    #[test]
    fn windows_on_the_antimeridian_are_two_polygons() {
        for corners in [
            [(179.5, 1.0), (180.5, 1.0), (180.5, 0.0), (179.5, 0.0)],
            [(-179.5, 1.0), (-180.5, 1.0), (-180.5, 0.0), (-179.5, 0.0)],
        ] {
            let window = of(corners);
            assert_eq!(window.bbox(), [179.5, 0.0, -179.5, 1.0]);
            let parts = window.polygons();
            assert_eq!(parts.len(), 2);
            for part in &parts {
                assert!((area(part) - 1.0).abs() < 1e-9, "{part:?}");
                assert!(part.iter().all(|(lon, _)| lon.abs() <= 180.0));
            }
            assert_eq!(window.wkb()[1], 6);
        }
    }
}
