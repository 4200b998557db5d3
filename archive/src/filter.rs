//! Which scenes and windows are wanted, by place and time.

use std::fmt;
use std::str::FromStr;

use satmip::scene::Footprint;
use satmip::{Error, Result, TimePrecision, Timestamp};

/// A box in degrees of WGS84: windows that touch it are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BoundingBox {
    /// West, south, east, north; west is above east where it lies on the antimeridian.
    pub sides: [f64; 4],
}

impl FromStr for BoundingBox {
    type Err = Error;

    /// `W,S,E,N`.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::Argument {
            what: "bbox",
            reason: format!("`{text}` {reason}"),
        };
        let numbers: Vec<f64> = text
            .split(',')
            .map(|part| part.trim().parse().ok().filter(|n: &f64| n.is_finite()))
            .collect::<Option<_>>()
            .unwrap_or_default();
        let [west, south, east, north] = numbers[..] else {
            return Err(refuse("is none of four numbers: west, south, east, north"));
        };
        let degrees = west.abs() <= 180.0
            && east.abs() <= 180.0
            && south.abs() <= 90.0
            && north.abs() <= 90.0;
        match degrees && south < north && west != east {
            true => Ok(BoundingBox {
                sides: [west, south, east, north],
            }),
            false => match over_the_antimeridian([west, south, east, north]) {
                Some(sides) => Err(refuse(&format!(
                    "has longitudes beyond 180 degrees; of a box over the antimeridian west is above east (RFC 7946, \
                     section 5.2): `{sides}`"
                ))),
                None => Err(refuse(
                    "is no box of longitudes and latitudes: west, south, east, north",
                )),
            },
        }
    }
}

/// A box whose longitudes run on beyond 180 or -180 degrees, as it should be written; none for what is none.
fn over_the_antimeridian([west, south, east, north]: [f64; 4]) -> Option<BoundingBox> {
    let runs_on = (180.0..=540.0).contains(&west.abs().max(east.abs()));
    if !runs_on || west >= east || south >= north || south.abs().max(north.abs()) > 90.0 {
        return None;
    }
    let (west, east) = match east - west >= 360.0 {
        true => (-180.0, 180.0),
        false => {
            let within = |lon: f64| lon - 360.0 * (lon / 360.0).round();
            // The antimeridian itself is the side's that is meant.
            let side = |lon: f64, edge: f64| if lon.abs() == 180.0 { edge } else { lon };
            (side(within(west), -180.0), side(within(east), 180.0))
        }
    };
    Some(BoundingBox {
        sides: [west, south, east, north],
    })
}

impl fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [west, south, east, north] = self.sides;
        write!(f, "{west},{south},{east},{north}")
    }
}

impl BoundingBox {
    /// Whether a window's box touches this one.
    pub(crate) fn touches(&self, footprint: &Footprint) -> bool {
        let ([west, south, east, north], [w, s, e, n]) = (self.sides, footprint.bbox());
        let spans = |west: f64, east: f64| match west <= east {
            true => vec![(west, east)],
            false => vec![(west, 180.0), (-180.0, east)],
        };
        let across = spans(west, east)
            .into_iter()
            .any(|(west, east)| spans(w, e).into_iter().any(|(w, e)| w <= east && west <= e));
        across && s <= north && south <= n
    }
}

/// A span of time: `A/B`, a moment or a day each, of which one may be `..` for open; or one day or moment alone.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TimeSpan {
    /// The first moment that is wanted.
    pub start: Option<Timestamp>,
    /// The last one; of a day all of it.
    pub end: Option<Timestamp>,
}

impl FromStr for TimeSpan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::Argument {
            what: "datetime",
            reason: format!(
                "`{text}` is no span of time: `A/B`, days or moments of RFC 3339, `..` for an open end"
            ),
        };
        let bound = |part: &str| match part.trim() {
            ".." | "" => Ok(None),
            part => part.parse::<Timestamp>().map(Some).map_err(|_| refuse()),
        };
        let (start, end) = text.split_once('/').unwrap_or((text, text));
        let span = TimeSpan {
            start: bound(start)?,
            end: bound(end)?,
        };
        let before =
            |start: Timestamp| span.end.is_none_or(|end| start.unix_seconds() <= last(end));
        match span.start.or(span.end).is_some() && span.start.is_none_or(before) {
            true => Ok(span),
            false => Err(refuse()),
        }
    }
}

impl TimeSpan {
    /// Its first and last moment in microseconds, of a day the last whole second; none where an end is open.
    pub(crate) fn micros(&self) -> Option<(i64, i64)> {
        let micros = |seconds: f64| (seconds * 1e6).round() as i64;
        let (start, end) = (self.start?, self.end?);
        let day = end.precision() == TimePrecision::Day;
        let last = end.unix_seconds() + if day { 86_399.0 } else { 0.0 };
        Some((micros(start.unix_seconds()), micros(last)))
    }
}

/// The last moment of a day, to a millisecond, or the moment itself.
fn last(time: Timestamp) -> f64 {
    let day = time.precision() == TimePrecision::Day;
    time.unix_seconds() + if day { 86_400.0 - 1e-3 } else { 0.0 }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |bound: Option<Timestamp>| {
            bound.map_or_else(|| "..".to_owned(), |time| time.to_string())
        };
        write!(f, "{}/{}", bound(self.start), bound(self.end))
    }
}

impl TimeSpan {
    /// Whether a moment, or some of a day, lies within.
    #[cfg(test)]
    fn holds(&self, time: Timestamp) -> bool {
        self.touches(time, time)
    }

    /// Whether some of the time from one moment or day to another lies within.
    pub(crate) fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        self.start
            .is_none_or(|start| last(to) >= start.unix_seconds())
            && self.end.is_none_or(|end| from.unix_seconds() <= last(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_read_and_touch() {
        let wanted: BoundingBox = "14,48,15,49".parse().unwrap();
        let window = |west: f64, south: f64| {
            Footprint::from_corners([
                (west, south + 0.1),
                (west + 0.1, south + 0.1),
                (west + 0.1, south),
                (west, south),
            ])
        };
        for (west, south, expected) in [
            (14.5, 48.5, true),
            (13.95, 48.5, true),
            (13.8, 48.5, false),
            (14.5, 49.2, false),
        ] {
            assert_eq!(
                wanted.touches(&window(west, south)),
                expected,
                "{west} {south}"
            );
        }
        let pacific: BoundingBox = "179,-10,-179,10".parse().unwrap();
        for (west, expected) in [
            (179.5, true),
            (179.95, true),
            (-179.5, true),
            (178.0, false),
            (0.0, false),
        ] {
            assert_eq!(pacific.touches(&window(west, 0.0)), expected, "{west}");
        }
        for text in [
            "",
            "1,2,3",
            "1,2,3,x",
            "0,50,10,40",
            "0,0,0,1",
            "-190,0,10,10",
            "0,0,1,NaN",
        ] {
            assert!(text.parse::<BoundingBox>().is_err(), "{text}");
        }
        assert_eq!(wanted.to_string(), "14,48,15,49");
        for (text, better) in [
            ("170,-10,190,10", "`170,-10,-170,10`"),
            ("-190,-10,-170,10", "`170,-10,-170,10`"),
            ("190,-10,200,10", "`-170,-10,-160,10`"),
            ("180,-10,190,10", "`-180,-10,-170,10`"),
            ("0,-10,360,10", "`-180,-10,180,10`"),
        ] {
            let error = text.parse::<BoundingBox>().unwrap_err().to_string();
            assert!(error.contains(better) && error.contains("5.2"), "{error}");
            assert!(better.trim_matches('`').parse::<BoundingBox>().is_ok());
        }
        for text in ["170,-10,700,10", "190,-100,200,10", "500000,0,500010,10"] {
            let error = text.parse::<BoundingBox>().unwrap_err().to_string();
            assert!(error.contains("no box of longitudes"), "{error}");
        }
    }

    #[test]
    fn spans_hold_their_days() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let span: TimeSpan = "2024-06-01/2024-06-30".parse().unwrap();
        for (moment, expected) in [
            ("2024-06-01T00:00:00Z", true),
            ("2024-06-30T23:59:59Z", true),
            ("2024-07-01T00:00:00Z", false),
            ("2024-05-31T23:59:59Z", false),
            ("2024-06-15", true),
        ] {
            assert_eq!(span.holds(time(moment)), expected, "{moment}");
        }
        let open: TimeSpan = "2024-06-01T12:00:00Z/..".parse().unwrap();
        assert!(open.holds(time("2030-01-01")) && !open.holds(time("2024-06-01T11:59:59Z")));
        // Of a day whose hour nobody knows, some may lie within.
        assert!(open.holds(time("2024-06-01")));
        let day: TimeSpan = "2024-06-01".parse().unwrap();
        assert!(
            day.holds(time("2024-06-01T18:00:00Z")) && !day.holds(time("2024-06-02T00:00:00Z"))
        );
        for text in ["", "..", "../..", "2024-06-30/2024-06-01", "june", "a/b"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }
}
