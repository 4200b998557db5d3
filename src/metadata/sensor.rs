//! What the sensor was and how it looked.

use std::fmt;
use std::str::FromStr;

use super::field::Field;
use crate::error::{Error, Result};

/// A quantity on each axis of the picture.
///
/// ```
/// let both = satmip::PerAxis::from(0.5);
/// assert_eq!((both.x, both.y), (0.5, 0.5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerAxis {
    /// Along a row, from column to column (east in a north-up picture).
    pub x: f64,
    /// Along a column, from row to row (north in a north-up picture).
    pub y: f64,
}

impl From<f64> for PerAxis {
    fn from(both: f64) -> Self {
        PerAxis { x: both, y: both }
    }
}

impl From<(f64, f64)> for PerAxis {
    fn from((x, y): (f64, f64)) -> Self {
        PerAxis { x, y }
    }
}

/// Direction in which a pushbroom sensor scanned, relative to its flight.
///
/// ```
/// let record = satmip::Metadata::new().with_scan_direction("Reverse")?;
/// assert_eq!(record.scan_direction(), Some(satmip::ScanDirection::Reverse));
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScanDirection {
    /// With the flight.
    Forward,
    /// Against the flight.
    Reverse,
}

impl fmt::Display for ScanDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ScanDirection::Forward => "Forward",
            ScanDirection::Reverse => "Reverse",
        })
    }
}

impl FromStr for ScanDirection {
    type Err = Error;

    /// `Forward` or `Reverse` in any case.
    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim();
        if name.eq_ignore_ascii_case("forward") {
            Ok(ScanDirection::Forward)
        } else if name.eq_ignore_ascii_case("reverse") {
            Ok(ScanDirection::Reverse)
        } else {
            let reason = "expected `Forward` or `Reverse`";
            Err(Error::field(Field::ScanDirection.name(), text, reason))
        }
    }
}

/// A platform's name as it is kept: trimmed, in upper case, 1 to 64 printable ASCII characters
/// of which none is `<`, `>`, `|` or `;`, which have a meaning in captions.
pub(super) fn platform(name: &str) -> Result<String> {
    const MOST: usize = 64;
    let invalid = |reason| Err(Error::field(Field::SensorPlatform.name(), name, reason));
    let kept = name.trim();
    if kept.is_empty() {
        return invalid("is empty");
    }
    if kept.len() > MOST {
        return invalid("is longer than 64 characters");
    }
    if !kept.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return invalid("has characters that are not printable ASCII");
    }
    if kept.contains(['<', '>', '|', ';']) {
        return invalid("has one of `<`, `>`, `|`, `;`");
    }
    Ok(kept.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_directions() {
        assert_eq!(
            " reverse".parse::<ScanDirection>().unwrap(),
            ScanDirection::Reverse
        );
        assert_eq!(
            "FORWARD".parse::<ScanDirection>().unwrap().to_string(),
            "Forward"
        );
        assert!("backward".parse::<ScanDirection>().is_err());
    }

    #[test]
    fn platforms() {
        assert_eq!(platform(" GeoEye01 ").unwrap(), "GEOEYE01");
        assert_eq!(platform("sentinel-2a").unwrap(), "SENTINEL-2A");
        assert_eq!(platform(&"a".repeat(64)).unwrap().len(), 64);
        for name in [
            "",
            "  ",
            &"a".repeat(65),
            "a<b",
            "a>b",
            "a|b",
            "a; b",
            "a\nb",
            "é",
            "a\u{7f}",
        ] {
            assert!(platform(name).is_err(), "{name}");
        }
    }
}
