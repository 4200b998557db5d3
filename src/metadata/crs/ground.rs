//! Maps to the ground and back, by `proj4rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proj4rs::Proj;
use proj4rs::transform::transform;

use crate::parts::guard::guarded;

/// Semi-major axis of WGS84, metres.
const SEMI_MAJOR: f64 = 6_378_137.0;
/// Semi-minor axis of WGS84, metres.
const SEMI_MINOR: f64 = 6_356_752.314_245;
/// Square of the first eccentricity of WGS84.
const ECCENTRICITY2: f64 = 6.694_379_990_141_316e-3;
/// How far axes may be from WGS84's for an ellipsoid to be as good as that one, metres (our
/// choice: it takes GRS80 and the Russian ones, not WGS72).
const SAME_ELLIPSOID: f64 = 1.5;
/// How far a point may come back from where it was, metres.
const ROUND_TRIP: f64 = 1.0;
/// Half of the distance over which a map's scale is measured, metres.
const STEP: f64 = 1000.0;
/// The most by which a map may stretch or shrink the ground in every direction; Web Mercator has 12
/// at its edge (our choice).
const MOST_STRETCH: f64 = 20.0;
/// How far from the central meridian a transverse Mercator is read: some 30 degrees at the equator,
/// metres. Neighbours of a zone are written in its coordinates, the other side of the globe is not
/// (our choice).
const FARTHEST_EASTING: f64 = 3_400_000.0;
/// Coordinates beyond this are none in any system, metres.
const FARTHEST: f64 = 1e9;
/// Systems on the ellipsoid of Hughes 1980, which has no datum: NSIDC's maps of sea ice.
const HUGHES: [u32; 3] = [3411, 3412, 4054];

/// Definitions that place the middle of their area more than 100 m (a few of them, degrees) from
/// where PROJ 9.5.1 does by a stated transformation: wrong scales, meridians, spheres or shifts. Found
/// by comparing all of them; `tests/reference/make_crs.py` says how PROJ was asked.
const WRONG: [u16; 54] = [
    2040, 2082, 2155, 2164, 2194, 3148, 3200, 3303, 3314, 3315, 3330, 3973, 3974, 3975, 3985, 3987,
    3988, 4132, 4142, 4144, 4161, 4220, 4240, 4415, 4620, 4675, 4688, 4695, 4718, 4805, 6200, 6996,
    6997, 20823, 22032, 22033, 22092, 24047, 24048, 26193, 26194, 26591, 27038, 31266, 31276,
    31281, 31282, 31283, 31288, 31289, 31290, 31291, 31292, 31293,
];

/// A map and what it is drawn from.
#[derive(Debug)]
pub(super) struct Ground {
    map: Proj,
    wgs84: Proj,
    /// Whether its longitudes and latitudes are WGS84's as they are.
    unshifted: bool,
    /// Of a map on a cylinder: its middle and its width, after which it begins anew.
    turn: Option<(f64, f64)>,
}

/// The map of a code. Each is made once.
pub(super) fn known(code: u32) -> Result<Arc<Ground>, String> {
    /// Codes are 16 bits, so that this is bounded.
    static KNOWN: Mutex<BTreeMap<u16, Arc<Ground>>> = Mutex::new(BTreeMap::new());
    let unknown = || "no definition of it is known".to_owned();
    let code = u16::try_from(code).map_err(|_| unknown())?;
    if let Ok(maps) = KNOWN.lock()
        && let Some(map) = maps.get(&code)
    {
        return Ok(Arc::clone(map));
    }
    let made = Arc::new(guarded(|| Ground::new(code)).unwrap_or_else(|_| Err(unknown()))?);
    if let Ok(mut maps) = KNOWN.lock() {
        maps.insert(code, Arc::clone(&made));
    }
    Ok(made)
}

impl Ground {
    fn new(code: u16) -> Result<Self, String> {
        use proj4rs::errors::Error;
        if WRONG.contains(&code) {
            return Err("its definition is known to be wrong".to_owned());
        }
        let map = Proj::from_epsg_code(code).map_err(|error| match error {
            Error::ProjectionNotFound => "no definition of it is known".to_owned(),
            Error::NadGridNotAvailable => {
                "its datum needs a grid of shifts, and none is part of this program".to_owned()
            }
            other => other.to_string(),
        })?;
        if map.is_geocent() {
            return Err("its coordinates are geocentric".to_owned());
        }
        let parse = |text: &str| Proj::from_proj_string(text).map_err(|e| e.to_string());
        let wgs84 = parse("+proj=longlat +datum=WGS84 +no_defs")?;
        let (a, b) = map.ellipse_parameters();
        let like_wgs84 =
            (a - SEMI_MAJOR).abs() < SAME_ELLIPSOID && (b - SEMI_MINOR).abs() < SAME_ELLIPSOID;
        let bare = parse(&format!("+proj=longlat +a={a} +b={b} +no_defs"))?;
        let shifted = is_shifted(&map, &wgs84, &bare);
        if !(like_wgs84 || a == b || shifted || HUGHES.contains(&code.into())) {
            return Err("its definition does not say how its datum lies to WGS84".to_owned());
        }
        let turn = turn(&map, &bare);
        let unshifted = map.is_latlong() && map.from_greenwich() == 0.0 && !shifted;
        Ok(Ground {
            map,
            wgs84,
            unshifted,
            turn,
        })
    }

    pub(super) fn is_geographic(&self) -> bool {
        self.map.is_latlong()
    }

    /// The number of a UTM zone, by its central meridian.
    pub(super) fn utm_zone(&self) -> Option<u8> {
        let zone = (self.map.longitude_of_origin().to_degrees() + 183.0) / 6.0;
        let zone = zone.round() as u8;
        (self.map.projname() == "utm" && (1..=60).contains(&zone)).then_some(zone)
    }

    pub(super) fn metres_per_unit(&self) -> f64 {
        self.map.to_meter()
    }

    /// Degrees on the map's datum as degrees on WGS84; what is no place stays, for the caller to
    /// refuse.
    pub(super) fn shifted(&self, (lon, lat): (f64, f64)) -> (f64, f64) {
        if self.unshifted || lat.abs() > 90.0 || lon.abs() > 360.0 {
            return (lon, lat);
        }
        match convert(
            &self.map,
            &self.wgs84,
            (lon.to_radians(), lat.to_radians(), 0.0),
        ) {
            Some((lon, lat, _)) => (lon.to_degrees(), lat.to_degrees()),
            None => (f64::NAN, f64::NAN),
        }
    }

    /// A place within the width of a map on a cylinder, of one that runs on beyond it, by half of the width at most.
    fn within(&self, x: f64) -> Option<f64> {
        match self.turn {
            Some((middle, width)) if (x - middle).abs() > width => None,
            Some((middle, width)) => Some(x - width * ((x - middle) / width).round()),
            None => Some(x),
        }
    }

    /// Longitude and latitude in degrees of a point of the map.
    pub(super) fn place(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let unit = self.map.to_meter();
        let x = self.within(x)?;
        let (lon, lat, height) = self.inverse(x, y)?;
        let back = convert(&self.wgs84, &self.map, (lon, lat, height))?;
        let off = match self.turn {
            // The left edge is the right one.
            Some((_, width)) => (back.0 - x) - width * ((back.0 - x) / width).round(),
            None => back.0 - x,
        };
        if off.hypot(back.1 - y) * unit > ROUND_TRIP {
            return None;
        }
        if matches!(self.map.projname(), "utm" | "tmerc" | "etmerc") {
            // The formulas lead over the pole and around the globe.
            let off = lon - self.map.longitude_of_origin() - self.map.from_greenwich();
            let east = x * unit - self.map.false_easting();
            if off.cos() < 0.0 || east.abs() > FARTHEST_EASTING {
                return None;
            }
        }
        // A cone's formulas go on to the other hemisphere, beyond any use of it.
        let conic = matches!(self.map.projname(), "lcc" | "aea" | "eqdc");
        if conic && (lat - self.map.latitude_of_origin()).abs() > std::f64::consts::FRAC_PI_2 {
            return None;
        }
        let (along_x, along_y) = self.gradients((x, y))?;
        let (along_x, along_y) = (length(along_x) / unit, length(along_y) / unit);
        let stretched = along_x.max(along_y) < 1.0 / MOST_STRETCH;
        let shrunk = along_x.min(along_y) > MOST_STRETCH;
        (!stretched && !shrunk).then(|| (lon.to_degrees(), lat.to_degrees()))
    }

    /// The point of the map that shows a place, by degrees on WGS84.
    pub(super) fn coordinates(&self, lon: f64, lat: f64) -> Option<(f64, f64)> {
        let place = (lon.to_radians(), lat.to_radians(), 0.0);
        let (x, y, _) = convert(&self.wgs84, &self.map, place)?;
        // The same place or none.
        self.place(x, y)?;
        Some((x, y))
    }

    /// Metres on the ground of two steps of the map from a point of it.
    pub(super) fn lengths(&self, at: (f64, f64), steps: [(f64, f64); 2]) -> Option<(f64, f64)> {
        let (along_x, along_y) = self.gradients(at)?;
        let metres =
            |(dx, dy): (f64, f64)| length([0, 1, 2].map(|i| dx * along_x[i] + dy * along_y[i]));
        let (x, y) = (metres(steps[0]), metres(steps[1]));
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// Metres on the ground, as a vector in space, that a unit of the map along x and one along y
    /// lead to. Taken over a distance that is long against the rounding of the inverse and short
    /// against the curve of the ground; in space, so that poles and the antimeridian are no matter.
    fn gradients(&self, (x, y): (f64, f64)) -> Option<([f64; 3], [f64; 3])> {
        let step = STEP / self.map.to_meter();
        let gradient = |dx: f64, dy: f64| {
            let point = |sign: f64| {
                let (lon, lat, _) = self.inverse(x + sign * dx * step, y + sign * dy * step)?;
                Some(in_space(lon, lat))
            };
            // At the edge of a map there is one side alone.
            let (from, to, width) = match (point(-1.0), point(1.0)) {
                (Some(from), Some(to)) => (from, to, 2.0 * step),
                (Some(from), None) => (from, point(0.0)?, step),
                (None, Some(to)) => (point(0.0)?, to, step),
                (None, None) => return None,
            };
            Some([0, 1, 2].map(|i| (to[i] - from[i]) / width))
        };
        Some((gradient(1.0, 0.0)?, gradient(0.0, 1.0)?))
    }

    fn inverse(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let unit = self.map.to_meter();
        let near = (x * unit).abs() <= FARTHEST && (y * unit).abs() <= FARTHEST;
        convert(&self.map, &self.wgs84, (x, y, 0.0)).filter(|_| near)
    }
}

/// The middle of a map on a cylinder and the width of the whole world on it; none of other maps.
fn turn(map: &Proj, bare: &Proj) -> Option<(f64, f64)> {
    if !matches!(map.projname(), "merc" | "webmerc" | "eqc" | "cea") {
        return None;
    }
    let meridian = map.longitude_of_origin() + map.from_greenwich();
    let at = |lon: f64| convert(bare, map, (lon, 0.0, 0.0)).map(|(x, ..)| x);
    let middle = at(meridian)?;
    let width = 4.0 * (at(meridian + std::f64::consts::FRAC_PI_2)? - middle);
    (width > 0.0).then_some((middle, width))
}

/// Whether the way to WGS84 has a shift of the datum, tried at a place of the map.
fn is_shifted(map: &Proj, wgs84: &Proj, bare: &Proj) -> bool {
    let place = (
        map.longitude_of_origin() + map.from_greenwich() + 0.01,
        map.latitude_of_origin().clamp(-1.4, 1.4) + 0.01,
        0.0,
    );
    match (convert(wgs84, map, place), convert(bare, map, place)) {
        (Some(a), Some(b)) => {
            // A thousandth of a second of arc, or of a unit of length.
            let least = if map.is_latlong() { 5e-9 } else { 1e-3 };
            (a.0 - b.0).abs() > least || (a.1 - b.1).abs() > least
        }
        _ => false,
    }
}

/// A point in another system; none where it has no place there.
fn convert(from: &Proj, to: &Proj, point: (f64, f64, f64)) -> Option<(f64, f64, f64)> {
    let mut point = point;
    let finite = |p: &(f64, f64, f64)| p.0.is_finite() && p.1.is_finite() && p.2.is_finite();
    if !finite(&point) {
        return None;
    }
    guarded(|| transform(from, to, &mut point)).ok()?.ok()?;
    finite(&point).then_some(point)
}

/// Metres from the centre of the Earth, of a place on the ellipsoid by radians.
fn in_space(lon: f64, lat: f64) -> [f64; 3] {
    let (sin, cos) = lat.sin_cos();
    let normal = SEMI_MAJOR / (1.0 - ECCENTRICITY2 * sin * sin).sqrt();
    [
        normal * cos * lon.cos(),
        normal * cos * lon.sin(),
        normal * (1.0 - ECCENTRICITY2) * sin,
    ]
}

fn length(vector: [f64; 3]) -> f64 {
    vector[0].hypot(vector[1]).hypot(vector[2])
}
