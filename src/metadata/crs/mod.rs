//! Coordinate systems by their EPSG code: from coordinates to longitude and latitude, and from a
//! step in the grid to metres on the ground. Every reader asks here.
//!
//! The definitions are those of `crs-definitions`, some 6,000 codes, and the mathematics are those
//! of `proj4rs`. A place agrees with PROJ's to 1e-5 degrees (a metre), except where PROJ knows
//! several ways from an old datum to WGS84, or has a grid for it: there the one shift that the
//! definition states counts. Of the 5,300 codes that are read, 4,650 agree to 1e-5 degrees in the
//! middle of their area and 5,100 to 1e-4 (PROJ 9.5.1 without grids); the others, old datums of
//! which estimates differ, are within 5e-3. `tests/reference/make_crs.py` says what PROJ gives.
//!
//! NAD83, ETRS89, GDA2020 and the like are taken as WGS84: they differ by less than 2.5 m, which is
//! less than what a place in a caption resolves. A code is refused, with the reason, when
//!
//! - it is not among the definitions, is user-defined (32767), or is of geocentric coordinates;
//! - its datum needs a grid of shifts (NAD27, NZGD2000 and others): no grids are part of the crate;
//! - its definition does not say how its datum lies to WGS84, so that places could be off by
//!   hundreds of metres, or is known to be wrong. Spheres, and the ellipsoid of Hughes that sea ice is mapped on, have no
//!   datum: their latitudes are taken as they are, as PROJ does.

#[cfg(feature = "geotiff")]
mod ground;

#[cfg(feature = "geotiff")]
use std::sync::Arc;

#[cfg(feature = "geotiff")]
use ground::Ground;

/// A coordinate system whose coordinates can be turned into longitude and latitude.
#[derive(Debug, Clone)]
pub(crate) struct Crs {
    code: u32,
    kind: Kind,
    #[cfg(feature = "geotiff")]
    ground: Arc<Ground>,
}

/// What its coordinates are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Angles, of so many degrees each.
    Geographic(f64),
    /// Universal Transverse Mercator, of this zone, on any datum.
    Utm(u8),
    /// Any other map.
    Projected,
}

/// The size of a picture's pixel on each axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PixelSize {
    /// Metres on the ground.
    Metres(f64, f64),
    /// Degrees of longitude and latitude.
    Degrees(f64, f64),
}

/// Geographic systems in grads of 0.9 degrees, by their axes in the EPSG registry; the definitions
/// of PROJ.4 cannot say it.
#[cfg_attr(
    not(feature = "geotiff"),
    allow(dead_code, reason = "for readers of GeoTIFF")
)]
const GRADS: [u32; 9] = [4807, 4810, 4811, 4816, 4819, 4821, 4901, 4902, 7400];

/// GeoTIFF's code for systems that have none.
const USER_DEFINED: u32 = 32767;

impl Crs {
    /// The system of an EPSG code, or why it cannot be used.
    ///
    /// 900913, 102100, 102113 and 3785, which Web Mercator had before it was 3857, are taken for it,
    /// and so is 6871, which adds heights.
    pub(crate) fn from_epsg(code: u32) -> Result<Self, String> {
        let refuse =
            |why: &str| format!("the coordinate system EPSG:{code} is not supported: {why}");
        let code = match code {
            900_913 | 102_100 | 102_113 | 3785 | 6871 => 3857,
            USER_DEFINED => {
                let reason = "a user-defined coordinate system (no EPSG code) is not supported";
                return Err(reason.to_owned());
            }
            code => code,
        };
        #[cfg(feature = "geotiff")]
        {
            let ground = ground::known(code).map_err(|why| refuse(&why))?;
            let kind = match (ground.is_geographic(), zone_of(code).or(ground.utm_zone())) {
                (true, _) if GRADS.contains(&code) => Kind::Geographic(0.9),
                (true, _) => Kind::Geographic(1.0),
                (false, Some(zone)) => Kind::Utm(zone),
                (false, None) => Kind::Projected,
            };
            Ok(Crs { code, kind, ground })
        }
        #[cfg(not(feature = "geotiff"))]
        match (zone_of(code), code) {
            (Some(zone), _) => Ok(Crs {
                code,
                kind: Kind::Utm(zone),
            }),
            (None, 4326 | 4269 | 4258) => Ok(Crs {
                code,
                kind: Kind::Geographic(1.0),
            }),
            _ => Err(refuse("this build lacks the feature `geotiff`")),
        }
    }

    /// The system that a text such as `EPSG:32631` or `urn:ogc:def:crs:EPSG::32631` names; none
    /// where it is of another authority.
    pub(crate) fn code_of(text: &str) -> Option<u32> {
        let text = text.trim();
        let after = match text.get(..5) {
            Some(start) if start.eq_ignore_ascii_case("EPSG:") => &text[5..],
            _ => {
                text.strip_prefix("urn:ogc:def:crs:EPSG:")?
                    .split_once(':')?
                    .1
            }
        };
        after.trim_start_matches(':').trim().parse().ok()
    }

    /// Whether its coordinates are longitude and latitude, in degrees or grads.
    #[cfg_attr(
        not(feature = "geotiff"),
        allow(dead_code, reason = "for readers of GeoTIFF")
    )]
    pub(crate) fn is_geographic(&self) -> bool {
        matches!(self.kind, Kind::Geographic(_))
    }

    /// Longitude and latitude on WGS84 in degrees.
    ///
    /// # Errors
    /// Where the place lies outside of what the system can map: the inverse must exist, lead back
    /// to the same coordinates, and not be stretched beyond measure. Maps on a cylinder, such as Web
    /// Mercator, and angles may run on over the antimeridian by half of the world. Other angles are
    /// given as they are, for the caller to check.
    pub(crate) fn place(&self, x: f64, y: f64) -> Result<(f64, f64), String> {
        if let Kind::Geographic(unit) = self.kind {
            let (lon, lat) = (x * unit, y * unit);
            // Grids of 0 to 360 degrees are in use.
            let lon = match lon.abs() {
                beyond if beyond > 180.0 && beyond <= 360.0 => lon - 360.0 * lon.signum(),
                _ => lon,
            };
            let place = (lon, lat);
            #[cfg(feature = "geotiff")]
            let place = self.ground.shifted(place);
            return Ok(place);
        }
        #[cfg(feature = "geotiff")]
        {
            self.ground.place(x, y).ok_or_else(|| self.nowhere(x, y))
        }
        #[cfg(not(feature = "geotiff"))]
        Err(self.nowhere(x, y))
    }

    /// The coordinates of a place, by longitude and latitude in degrees; none where it has none.
    fn coordinates(&self, lon: f64, lat: f64) -> Option<(f64, f64)> {
        #[cfg(feature = "geotiff")]
        {
            self.ground.coordinates(lon, lat)
        }
        #[cfg(not(feature = "geotiff"))]
        {
            let _ = (lon, lat);
            None
        }
    }

    /// The size of a pixel at a place of the map, by its steps along a row `(a, d)` and along a
    /// column `(b, e)`.
    ///
    /// Every map but one is brought to the ground there, by the ratio of the distance on the
    /// ellipsoid to the distance on the map. The one is UTM, whose scale differs from 1 by at most
    /// 0.1 percent in its zone: there the grid's own number stands, as the file states it.
    pub(crate) fn pixel_size(
        &self,
        at: (f64, f64),
        [a, b, d, e]: [f64; 4],
    ) -> Result<PixelSize, String> {
        let size = (a.hypot(d), b.hypot(e));
        match self.kind {
            Kind::Geographic(unit) => Ok(PixelSize::Degrees(size.0 * unit, size.1 * unit)),
            Kind::Utm(_) => {
                #[cfg(feature = "geotiff")]
                let unit = self.ground.metres_per_unit();
                #[cfg(not(feature = "geotiff"))]
                let unit = 1.0;
                Ok(PixelSize::Metres(size.0 * unit, size.1 * unit))
            }
            Kind::Projected => {
                #[cfg(feature = "geotiff")]
                if let Some((x, y)) = self.ground.lengths(at, [(a, d), (b, e)]) {
                    return Ok(PixelSize::Metres(x, y));
                }
                Err(self.nowhere(at.0, at.1))
            }
        }
    }

    /// As [`Crs::pixel_size`], at a place by longitude and latitude in degrees.
    pub(crate) fn pixel_size_at(
        &self,
        (lon, lat): (f64, f64),
        steps: [f64; 4],
    ) -> Option<PixelSize> {
        let at = match self.kind {
            Kind::Projected => self.coordinates(lon, lat)?,
            Kind::Geographic(_) | Kind::Utm(_) => (0.0, 0.0),
        };
        self.pixel_size(at, steps).ok()
    }

    /// Whether the size of its pixels is the same everywhere: see [`Crs::pixel_size`].
    pub(crate) fn is_uniform(&self) -> bool {
        self.kind != Kind::Projected
    }

    /// Metres, or for angles degrees, of a unit of the coordinates.
    #[cfg(feature = "geotiff")]
    pub(crate) fn unit(&self) -> f64 {
        match self.kind {
            Kind::Geographic(unit) => unit,
            Kind::Utm(_) | Kind::Projected => self.ground.metres_per_unit(),
        }
    }

    /// The zone of UTM with its latitude band, as `18M`, at a latitude in degrees.
    pub(crate) fn utm_zone(&self, latitude: f64) -> Option<String> {
        match self.kind {
            Kind::Utm(zone) => utm_zone(zone, latitude),
            Kind::Geographic(_) | Kind::Projected => None,
        }
    }

    fn nowhere(&self, x: f64, y: f64) -> String {
        let code = self.code;
        format!("({x}, {y}) is no place in the coordinate system EPSG:{code}")
    }
}

/// The zone of the codes of UTM on WGS84, NAD83 and ETRS89.
fn zone_of(code: u32) -> Option<u8> {
    let zone = match code {
        32601..=32660 | 32701..=32760 => code % 100,
        26901..=26923 => code - 26900,
        25828..=25838 => code - 25800,
        _ => return None,
    };
    u8::try_from(zone).ok()
}

/// The name of a UTM zone at a latitude: bands of 8 degrees from C at 80 S to X, which reaches 84 N.
pub(crate) fn utm_zone(zone: u8, latitude: f64) -> Option<String> {
    const BANDS: &[u8] = b"CDEFGHJKLMNPQRSTUVWX";
    if !(1..=60).contains(&zone) || !(-80.0..=84.0).contains(&latitude) {
        return None;
    }
    let band = char::from(BANDS[(((latitude + 80.0) / 8.0) as usize).min(BANDS.len() - 1)]);
    // The grid leaves these three out: Svalbard's other zones reach over them.
    let exists = !(band == 'X' && matches!(zone, 32 | 34 | 36));
    exists.then(|| format!("{zone}{band}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_of_utm_zones() {
        assert_eq!(utm_zone(32, 78.0), None);
        // The poster's example and the ends of the grid.
        assert_eq!(utm_zone(18, -3.785814).as_deref(), Some("18M"));
        assert_eq!(utm_zone(32, 47.449).as_deref(), Some("32T"));
        assert_eq!(utm_zone(1, -80.0).as_deref(), Some("1C"));
        assert_eq!(utm_zone(60, 84.0).as_deref(), Some("60X"));
        assert_eq!(utm_zone(31, 0.0).as_deref(), Some("31N"));
        assert_eq!(utm_zone(31, -0.001).as_deref(), Some("31M"));
        assert_eq!(utm_zone(31, 84.1), None);
        assert_eq!(utm_zone(0, 10.0), None);
        assert_eq!(utm_zone(61, 10.0), None);
    }

    #[test]
    fn zones_by_code() {
        let zone = |code| Crs::from_epsg(code).unwrap().utm_zone(50.0);
        assert_eq!(zone(32610).as_deref(), Some("10U"));
        assert_eq!(zone(32760).as_deref(), Some("60U"));
        assert_eq!(zone(26919).as_deref(), Some("19U"));
        assert_eq!(zone(25832).as_deref(), Some("32U"));
        assert_eq!(zone(4326), None);
        for other in [0, 32600, 32700, 32767, 65536 + 32631, u32::MAX] {
            assert!(Crs::from_epsg(other).is_err(), "{other}");
        }
    }

    /// What PROJ says of places of many systems; `tests/reference/make_crs.py` wrote it.
    #[cfg(feature = "geotiff")]
    #[test]
    fn places_and_scales_are_those_of_proj() {
        let places = include_str!("../../../tests/data/crs/places.csv");
        let (mut compared, mut others, mut refused) = (0, 0, 0);
        for line in places.lines().skip(1) {
            let cells: Vec<f64> = line
                .split(',')
                .map(|c| c.parse().unwrap_or(f64::NAN))
                .collect();
            let [code, x, y, lon, lat, same_lon, same_lat, along_x, along_y] = cells[..] else {
                panic!("{line}");
            };
            let crs = match Crs::from_epsg(code as u32) {
                Ok(crs) => crs,
                Err(reason) => {
                    assert!(reason.contains(&format!("EPSG:{code}")), "{reason}");
                    refused += 1;
                    continue;
                }
            };
            // Its coordinates are written with other signs than the definition takes.
            if code == 2065.0 {
                assert!(crs.place(x, y).is_err());
                continue;
            }
            let (east, north) = crs.place(x, y).unwrap();
            let off = |lon: f64, lat: f64| (east - lon).abs().max((north - lat).abs());
            // Where PROJ takes another shift of an old datum than the definition's, the place is
            // the definition's.
            if off(lon, lat) > 1e-5 {
                let (by_code, same) = (off(lon, lat), off(same_lon, same_lat));
                assert!(by_code < 5e-3, "EPSG:{code} is off by {by_code} degrees");
                assert!(
                    same < 1e-5,
                    "EPSG:{code} is off by {same} degrees from itself"
                );
                others += 1;
            }
            compared += 1;
            if along_x.is_nan() || crs.is_uniform() {
                continue;
            }
            let Ok(PixelSize::Metres(a, b)) = crs.pixel_size((x, y), [1.0, 0.0, 0.0, 1.0]) else {
                panic!("{line}");
            };
            let off = (a / along_x - 1.0).abs().max((b / along_y - 1.0).abs());
            assert!(off < 1e-5, "the scale of EPSG:{code} is off by {off}");
        }
        let counts = (compared, others, refused);
        assert!(
            compared > 90 && others * 5 < compared && refused > 5,
            "{counts:?}"
        );
    }

    #[cfg(feature = "geotiff")]
    #[test]
    fn what_is_no_place_is_refused() {
        for (code, x, y) in [
            (2154, 1e300, 6e6),
            (2154, f64::NAN, 6e6),
            (2154, 4e7, 5e6),
            (3857, 4.1e7, 0.0),
            (3857, 0.0, 5e7),
            (3031, 1e9, 1e9),
            (3035, 3e7, 3e7),
            (27700, 5e6, 5e5),
            (32631, 4e7, 5e6),
            (32631, 5e5, 1.2e7),
            (32731, 5e5, 3e7),
            (2263, 1e12, 0.0),
        ] {
            let reason = Crs::from_epsg(code).unwrap().place(x, y);
            let reason = reason.unwrap_err();
            assert!(reason.contains(&format!("EPSG:{code}")), "{reason}");
        }
        for (code, part) in [
            (4267, "grid"),
            (2000, "does not say how its datum"),
            (4978, "geocentric"),
            (6997, "known to be wrong"),
            (1, "no definition"),
            (32767, "user-defined"),
        ] {
            let reason = Crs::from_epsg(code).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }

    /// Maps on a cylinder, and degrees, that run on over the antimeridian.
    #[cfg(feature = "geotiff")]
    #[test]
    fn maps_run_on_over_the_antimeridian() {
        const HALF: f64 = 20_037_508.342_789_244;
        let degree = HALF / 180.0;
        for (code, x, lon) in [
            (3857, HALF, 180.0),
            (3857, 190.0 * degree, -170.0),
            (3857, -190.0 * degree, 170.0),
            (3857, 359.0 * degree, -1.0),
            (3395, 181.0 * degree, -179.0),
            (4087, 181.0 * degree, -179.0),
            // Its middle is at 150 degrees east.
            (3832, 60.0 * degree, -150.0),
            (3832, 200.0 * degree, -10.0),
            (4326, 190.0, -170.0),
            (4326, 360.0, 0.0),
            (4326, -190.0, 170.0),
        ] {
            let crs = Crs::from_epsg(code).unwrap();
            let (found, lat) = crs.place(x, 10.0).unwrap();
            let off = (found - lon + 180.0).rem_euclid(360.0) - 180.0;
            assert!(
                found.abs() <= 180.0 && off.abs() < 1e-6,
                "EPSG:{code} {x}: {found}"
            );
            assert!(lat.abs() < 11.0);
            if !crs.is_geographic() {
                let there = crs.pixel_size((x, 10.0), [1.0, 0.0, 0.0, -1.0]).unwrap();
                let here = crs
                    .pixel_size((x - 2.0 * HALF, 10.0), [1.0, 0.0, 0.0, -1.0])
                    .unwrap();
                let (PixelSize::Metres(a, b), PixelSize::Metres(c, d)) = (there, here) else {
                    panic!("{there:?} {here:?}");
                };
                assert!(
                    (a - c).abs() < 1e-6 && (b - d).abs() < 1e-6,
                    "{a} {b} {c} {d}"
                );
            }
        }
    }

    #[cfg(feature = "geotiff")]
    #[test]
    fn any_coordinates_in_any_system_return() {
        let mut places = 0;
        for code in (2000..32_767).step_by(7) {
            let Ok(crs) = Crs::from_epsg(code) else {
                continue;
            };
            for (x, y) in [
                (0.0, 0.0),
                (1e5, 1e5),
                (-3e6, 4e6),
                (1e8, -1e8),
                (1e300, 0.0),
            ] {
                places += usize::from(crs.place(x, y).is_ok());
                let _ = crs.pixel_size((x, y), [1.0, 0.0, 0.0, -1.0]);
                let _ = crs.pixel_size_at((x % 180.0, y % 90.0), [1.0, 0.0, 0.0, -1.0]);
            }
        }
        assert!(places > 500);
    }

    #[test]
    fn names_of_codes() {
        for (text, code) in [
            ("EPSG:32631", Some(32631)),
            (" epsg:4326 ", Some(4326)),
            ("urn:ogc:def:crs:EPSG::2154", Some(2154)),
            ("urn:ogc:def:crs:EPSG:9.9:2154", Some(2154)),
            ("IAU_2015:30100", None),
            ("EPSG:", None),
            ("EPSG:-3", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(Crs::code_of(text), code, "{text}");
        }
    }
}
