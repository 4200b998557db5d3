//! Where a picture was taken.

use std::fmt;
use std::str::FromStr;

use super::field::Field;
use crate::error::{Error, Result};

/// A place in degrees on WGS84: longitude first, as in GeoJSON.
///
/// ```
/// let paris = satmip::Location::new(2.35, 48.85)?;
/// assert_eq!((paris.lon(), paris.lat()), (2.35, 48.85));
/// assert!(satmip::Location::new(48.85, 102.35).is_err()); // longitude comes first
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    lon: f64,
    lat: f64,
}

impl Location {
    /// A place, checked; the message says so when longitude and latitude look swapped.
    pub fn new(lon: f64, lat: f64) -> Result<Self> {
        let invalid = |reason: &str| {
            let value = format!("({lon}, {lat})");
            Err(Error::field(Field::Location.name(), value, reason))
        };
        if !lon.is_finite() || !lat.is_finite() {
            return invalid("is not finite");
        }
        if lat.abs() > 90.0 {
            return match lon.abs() <= 90.0 && lat.abs() <= 180.0 {
                true => invalid(
                    "the latitude is outside -90 to 90; longitude comes first: are they swapped?",
                ),
                false => invalid("the latitude is outside -90 to 90"),
            };
        }
        if lon.abs() > 180.0 {
            return invalid("the longitude is outside -180 to 180");
        }
        // Adding zero turns -0 into 0, so that equal places print alike.
        Ok(Location {
            lon: lon + 0.0,
            lat: lat + 0.0,
        })
    }

    /// Longitude in degrees east, -180 to 180.
    pub fn lon(self) -> f64 {
        self.lon
    }

    /// Latitude in degrees north, -90 to 90.
    pub fn lat(self) -> f64 {
        self.lat
    }
}

/// A zone of the Universal Transverse Mercator grid with its latitude band, for example `18M`.
///
/// ```
/// use satmip::{Location, UtmZone};
/// let zone = UtmZone::of(Location::new(-73.31, -3.79)?);
/// assert_eq!(zone, Some("18M".parse()?));
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtmZone {
    number: u8,
    band: u8,
}

/// Latitude bands from 80 S, 8 degrees each, the last one 12.
const BANDS: &[u8; 20] = b"CDEFGHJKLMNPQRSTUVWX";

impl UtmZone {
    /// The zone of a place, with the exceptions of Norway (32V) and Svalbard (31X to 37X); none
    /// north of 84 N and south of 80 S, where UTM ends.
    ///
    /// NGA.STND.0037, Universal Grids and Grid Reference Systems.
    pub fn of(place: Location) -> Option<Self> {
        let Location { lon, lat } = place;
        if !(-80.0..=84.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
            return None;
        }
        // 180 E is the meridian 180 W, where zone 1 begins.
        let number = match ((lon + 180.0) / 6.0).floor() as u8 {
            60 => 1,
            west => west + 1,
        };
        let band = BANDS[(((lat + 80.0) / 8.0).floor() as usize).min(19)];
        let number = match (band, lon) {
            (b'V', 3.0..6.0) => 32,
            (b'X', 0.0..9.0) => 31,
            (b'X', 9.0..21.0) => 33,
            (b'X', 21.0..33.0) => 35,
            (b'X', 33.0..42.0) => 37,
            _ => number,
        };
        Some(UtmZone { number, band })
    }

    /// The zone's number, 1 to 60.
    pub fn number(self) -> u8 {
        self.number
    }

    /// The latitude band, C to X without I and O.
    pub fn band(self) -> char {
        self.band.into()
    }
}

impl fmt::Display for UtmZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.band())
    }
}

impl FromStr for UtmZone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::field(Field::UtmZone.name(), text, reason);
        let zone = text.trim().to_ascii_uppercase();
        let bytes = zone.as_bytes();
        let (number, band) = match bytes {
            [a, band] if a.is_ascii_digit() => (a - b'0', *band),
            [a, b, band] if a.is_ascii_digit() && b.is_ascii_digit() => {
                ((a - b'0') * 10 + (b - b'0'), *band)
            }
            _ => {
                return Err(invalid(
                    "expected a number and a latitude band, as in `18M`",
                ));
            }
        };
        if !(1..=60).contains(&number) {
            return Err(invalid("the number is outside 1 to 60"));
        }
        if !BANDS.contains(&band) {
            return Err(invalid(
                "the latitude band is none of C to X without I and O",
            ));
        }
        if band == b'X' && matches!(number, 32 | 34 | 36) {
            return Err(invalid(
                "there is no such zone: Svalbard has 31X, 33X, 35X and 37X",
            ));
        }
        Ok(UtmZone { number, band })
    }
}

/// A country's ISO 3166-1 alpha-3 code, for example `PER`.
///
/// ```
/// let code: satmip::CountryCode = "per".parse()?;
/// assert_eq!(code.to_string(), "PER");
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 3]);

impl CountryCode {
    /// The code's three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The code of an ISO 3166-1 alpha-2 code, for example of `PE`.
    pub(crate) fn from_alpha2(alpha2: &str) -> Option<Self> {
        Self::from_alpha3(rust_iso3166::from_alpha2(alpha2)?.alpha3)
    }

    fn from_alpha3(alpha3: &str) -> Option<Self> {
        Some(CountryCode(alpha3.as_bytes().try_into().ok()?))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CountryCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let code = text.trim().to_ascii_uppercase();
        rust_iso3166::from_alpha3(&code)
            .and_then(|known| Self::from_alpha3(known.alpha3))
            .ok_or_else(|| {
                let reason = match Self::from_alpha2(&code) {
                    Some(alpha3) => format!("expected the alpha-3 code, `{alpha3}`"),
                    None => "is no ISO 3166-1 alpha-3 code, as `PER` is".into(),
                };
                Error::field(Field::CountryCode.name(), text, reason)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(lon: f64, lat: f64) -> Option<String> {
        UtmZone::of(Location::new(lon, lat).unwrap()).map(|z| z.to_string())
    }

    #[test]
    fn locations() {
        for (lon, lat) in [(-180.0, -90.0), (180.0, 90.0), (0.0, 0.0)] {
            assert_eq!(Location::new(lon, lat).unwrap(), Location { lon, lat });
        }
        for (lon, lat) in [
            (180.1, 0.0),
            (-180.1, 0.0),
            (0.0, f64::NAN),
            (f64::INFINITY, 0.0),
        ] {
            assert!(Location::new(lon, lat).is_err());
        }
        let swapped = Location::new(-3.78, -173.31).unwrap_err().to_string();
        assert!(swapped.contains("swapped"), "{swapped}");
        let wrong = Location::new(120.0, 91.0).unwrap_err().to_string();
        assert!(
            wrong.contains("latitude") && !wrong.contains("swapped"),
            "{wrong}"
        );
        assert!(Location::new(-0.0, -0.0).unwrap().lon.is_sign_positive());
    }

    #[test]
    fn zones_of_places() {
        assert_eq!(zone(-73.310776, -3.785814).as_deref(), Some("18M"));
        assert_eq!(zone(2.35, 48.86).as_deref(), Some("31U"));
        // Bergen lies west of 6 E and belongs to 32V, not 31V.
        assert_eq!(zone(5.32, 60.39).as_deref(), Some("32V"));
        assert_eq!(zone(2.99, 60.39).as_deref(), Some("31V"));
        assert_eq!(zone(5.32, 64.0).as_deref(), Some("31W"));
        for (lon, expected) in [
            (5.0, "31X"),
            (9.0, "33X"),
            (20.9, "33X"),
            (21.0, "35X"),
            (33.0, "37X"),
            (42.0, "38X"),
        ] {
            assert_eq!(zone(lon, 78.0).as_deref(), Some(expected));
        }
        assert_eq!(zone(-180.0, 0.0).as_deref(), Some("1N"));
        assert_eq!(zone(180.0, -0.1).as_deref(), Some("1M"));
        assert_eq!(zone(179.99, 84.0).as_deref(), Some("60X"));
        assert_eq!(zone(0.0, -80.0).as_deref(), Some("31C"));
        assert_eq!((zone(0.0, 84.01), zone(0.0, -80.01)), (None, None));
    }

    #[test]
    fn zones_as_text() {
        assert_eq!(" 18m".parse::<UtmZone>().unwrap().to_string(), "18M");
        assert_eq!("04Q".parse::<UtmZone>().unwrap().to_string(), "4Q");
        for text in [
            "", "18", "M", "0M", "61M", "18I", "18O", "18A", "18Y", "118M", "32X", "１8M",
        ] {
            assert!(text.parse::<UtmZone>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_place_has_a_zone_that_parses() {
        for lon in -180..=180 {
            for lat in -80..=84 {
                let text = zone(lon.into(), lat.into()).unwrap();
                assert_eq!(text.parse::<UtmZone>().unwrap().to_string(), text);
            }
        }
    }

    #[test]
    fn countries() {
        assert_eq!("per".parse::<CountryCode>().unwrap().to_string(), "PER");
        assert_eq!(CountryCode::from_alpha2("PE").unwrap().as_str(), "PER");
        let error = "PE".parse::<CountryCode>().unwrap_err().to_string();
        assert!(error.contains("`PER`"), "{error}");
        for text in ["", "XXX", "Peru", "ÄÖÜ"] {
            assert!(text.parse::<CountryCode>().is_err(), "{text}");
        }
    }
}
