//! When a picture was taken.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::field::Field;
use crate::error::{Error, Result};

const EXPECTED: &str = "expected `YYYY-MM-DD` or RFC 3339, for example `2015-09-21T15:30:08Z`";
const YEARS: std::ops::RangeInclusive<i16> = 1940..=2100;

/// How finely a [`Timestamp`] is known.
///
/// ```
/// use satmip::{TimePrecision, Timestamp};
/// let day: Timestamp = "2015-09-21".parse()?;
/// assert_eq!(day.precision(), TimePrecision::Day);
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimePrecision {
    /// The day alone: `2015-09-21`.
    Day,
    /// To the minute: `2015-09-21T15:30Z`.
    Minute,
    /// To the second: `2015-09-21T15:30:08Z`.
    Second,
    /// To this many digits of a second, 1 to 9: `2015-09-21T15:30:08.024Z` has 3.
    Subsecond(u8),
}

/// A moment in UTC, years 1940 to 2100, with the precision that it was given with.
///
/// A date without a time stays a date: it is never taken for midnight. Parsing takes
/// `YYYY-MM-DD` and RFC 3339 with any offset (a blank in the place of `T` and seconds left out
/// are taken as well); a time without `Z` or offset is refused, because it names no moment. A leap
/// second, 23:59:60 in UTC, is read as the second before it: clocks of this kind have none.
/// [`Display`](fmt::Display) gives UTC in the same precision.
///
/// ```
/// use satmip::Timestamp;
///
/// let time: Timestamp = "2015-09-21T17:30:08+02:00".parse()?;
/// assert_eq!(time.to_string(), "2015-09-21T15:30:08Z");
/// assert_eq!("2015-09-21".parse::<Timestamp>()?.hour_of_day(), None);
/// # Ok::<(), satmip::Error>(())
/// ```
///
/// Timestamps are ordered by their first moment; of equal ones the less precise comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    instant: jiff::Timestamp,
    precision: TimePrecision,
}

impl Timestamp {
    /// A moment to the second, from seconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self> {
        let instant = jiff::Timestamp::from_second(seconds)
            .map_err(|_| invalid(&seconds.to_string(), "is outside 1940 to 2100"))?;
        Self::checked(instant, TimePrecision::Second)
            .map_err(|reason| invalid(&seconds.to_string(), reason))
    }

    /// A day, from its year, month (1 to 12) and day of the month (1 to 31).
    pub fn from_date(year: i16, month: u8, day: u8) -> Result<Self> {
        let text = || format!("{year}-{month}-{day}");
        let narrow = |v: u8| i8::try_from(v).unwrap_or(i8::MAX);
        let date = Date::new(year, narrow(month), narrow(day))
            .map_err(|_| invalid(&text(), "there is no such day"))?;
        from_civil(date.at(0, 0, 0, 0), 0, TimePrecision::Day)
            .map_err(|reason| invalid(&text(), reason))
    }

    fn checked(instant: jiff::Timestamp, precision: TimePrecision) -> Result<Self, &'static str> {
        let time = Timestamp { instant, precision };
        match YEARS.contains(&time.civil().year()) {
            true => Ok(time),
            false => Err("the year is outside 1940 to 2100"),
        }
    }

    fn civil(&self) -> DateTime {
        Offset::UTC.to_datetime(self.instant)
    }

    /// How finely it is known.
    pub fn precision(&self) -> TimePrecision {
        self.precision
    }

    /// Year, 1940 to 2100.
    pub fn year(&self) -> i32 {
        self.civil().year().into()
    }

    /// Month, 1 to 12.
    pub fn month(&self) -> u32 {
        self.civil().month().unsigned_abs().into()
    }

    /// Day of the month, 1 to 31.
    pub fn day(&self) -> u32 {
        self.civil().day().unsigned_abs().into()
    }

    /// Day of the year, 1 to 366.
    pub fn day_of_year(&self) -> u32 {
        self.civil().date().day_of_year().unsigned_abs().into()
    }

    /// Days of its year, 365 or 366.
    pub fn days_in_year(&self) -> u32 {
        self.civil().date().days_in_year().unsigned_abs().into()
    }

    /// Hours since midnight UTC, 0 to below 24; none where only the day is known.
    pub fn hour_of_day(&self) -> Option<f64> {
        let t = self.civil().time();
        (self.precision != TimePrecision::Day).then(|| {
            let seconds = f64::from(t.second()) + f64::from(t.subsec_nanosecond()) * 1e-9;
            f64::from(t.hour()) + f64::from(t.minute()) / 60.0 + seconds / 3600.0
        })
    }

    /// Seconds since 1970-01-01T00:00:00Z; for a day, of its first moment.
    pub fn unix_seconds(&self) -> f64 {
        self.instant.as_second() as f64 + f64::from(self.instant.subsec_nanosecond()) * 1e-9
    }

    /// Its day alone.
    pub fn to_day(self) -> Self {
        let midnight = self.civil().date().at(0, 0, 0, 0);
        Timestamp {
            instant: Offset::UTC.to_timestamp(midnight).unwrap_or(self.instant),
            precision: TimePrecision::Day,
        }
    }

    /// The same moment with at most whole seconds, the fraction cut off: a fraction that is
    /// rounded up could end in another year.
    pub fn to_whole_seconds(self) -> Self {
        match self.precision {
            TimePrecision::Subsecond(_) => Timestamp {
                // Flooring, so that moments before 1970 keep their second as well.
                instant: self
                    .civil()
                    .with()
                    .subsec_nanosecond(0)
                    .build()
                    .ok()
                    .and_then(|c| Offset::UTC.to_timestamp(c).ok())
                    .unwrap_or(self.instant),
                precision: TimePrecision::Second,
            },
            _ => self,
        }
    }
}

/// To the nanosecond's digits that are not zero, at least to the second.
///
/// ```
/// let instant: jiff::Timestamp = "2015-09-21T15:30:08.024Z".parse().unwrap();
/// let time = satmip::Timestamp::try_from(instant)?;
/// assert_eq!(time.to_string(), "2015-09-21T15:30:08.024Z");
/// assert_eq!(jiff::Timestamp::from(time), instant);
/// # Ok::<(), satmip::Error>(())
/// ```
impl TryFrom<jiff::Timestamp> for Timestamp {
    type Error = Error;

    fn try_from(instant: jiff::Timestamp) -> Result<Self> {
        let text = format!("{:09}", instant.subsec_nanosecond().unsigned_abs());
        let precision = match text.trim_end_matches('0').len() {
            0 => TimePrecision::Second,
            digits => TimePrecision::Subsecond(digits as u8),
        };
        Self::checked(instant, precision).map_err(|reason| invalid(&instant.to_string(), reason))
    }
}

/// A civil date is a day that is known to the day.
impl TryFrom<Date> for Timestamp {
    type Error = Error;

    fn try_from(date: Date) -> Result<Self> {
        let at = date.at(0, 0, 0, 0);
        from_civil(at, 0, TimePrecision::Day).map_err(|reason| invalid(&date.to_string(), reason))
    }
}

/// The moment; of a day, its first in UTC.
impl From<Timestamp> for jiff::Timestamp {
    fn from(time: Timestamp) -> Self {
        time.instant
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        write!(f, "{:04}-{:02}-{:02}", c.year(), c.month(), c.day())?;
        match self.precision {
            TimePrecision::Day => Ok(()),
            TimePrecision::Minute => write!(f, "T{:02}:{:02}Z", c.hour(), c.minute()),
            TimePrecision::Second => {
                write!(f, "T{:02}:{:02}:{:02}Z", c.hour(), c.minute(), c.second())
            }
            TimePrecision::Subsecond(digits) => {
                let fraction = format!("{:09}", c.subsec_nanosecond());
                let fraction = &fraction[..usize::from(digits.clamp(1, 9))];
                let (h, m, s) = (c.hour(), c.minute(), c.second());
                write!(f, "T{h:02}:{m:02}:{s:02}.{fraction}Z")
            }
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text.trim()).map_err(|reason| invalid(text, reason))
    }
}

fn invalid(value: &str, reason: &str) -> Error {
    Error::field(Field::Timestamp.name(), value, reason)
}

fn from_civil(
    civil: DateTime,
    offset_seconds: i32,
    precision: TimePrecision,
) -> Result<Timestamp, &'static str> {
    let instant = Offset::from_seconds(offset_seconds)
        .and_then(|offset| offset.to_timestamp(civil))
        .map_err(|_| "there is no such moment")?;
    Timestamp::checked(instant, precision)
}

fn parse(text: &str) -> Result<Timestamp, &'static str> {
    if !text.is_ascii() || text.len() < 10 {
        return Err(EXPECTED);
    }
    let (date, time) = text.split_at(10);
    let d = date.as_bytes();
    if d[4] != b'-' || d[7] != b'-' {
        return Err(EXPECTED);
    }
    let year = number(&date[..4])?;
    let date = Date::new(year, small(&date[5..7])?, small(&date[8..])?)
        .map_err(|_| "there is no such day")?;
    if time.is_empty() {
        return from_civil(date.at(0, 0, 0, 0), 0, TimePrecision::Day);
    }
    let time = time.strip_prefix(['T', 't', ' ']).ok_or(EXPECTED)?;
    let (clock, offset) = split_offset(time)?;
    let (h, m, s, nanoseconds, precision) = parse_clock(clock)?;
    let leap = s == 60;
    let s = if leap { 59 } else { s };
    let time = jiff::civil::Time::new(h, m, s, nanoseconds).map_err(|_| "there is no such time")?;
    let time = from_civil(date.to_datetime(time), offset, precision)?;
    let civil = time.civil();
    match leap && (civil.hour(), civil.minute()) != (23, 59) {
        true => Err("there is no such time"),
        false => Ok(time),
    }
}

/// The clock's text, and the offset east of UTC in seconds.
fn split_offset(time: &str) -> Result<(&str, i32), &'static str> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Ok((clock, 0));
    }
    let at = time
        .rfind(['+', '-'])
        .ok_or("a time needs `Z` or an offset such as `+02:00`")?;
    let (clock, offset) = time.split_at(at);
    let o = offset.as_bytes();
    if o.len() != 6 || o[3] != b':' {
        return Err("the offset is not of the form `+02:00`");
    }
    let (h, m) = (small(&offset[1..3])?, small(&offset[4..])?);
    if h > 23 || m > 59 {
        return Err("the offset is a day or more");
    }
    let seconds = i32::from(h) * 3600 + i32::from(m) * 60;
    Ok((clock, if o[0] == b'-' { -seconds } else { seconds }))
}

/// Hour, minute, second, nanosecond and precision of `15:30`, `15:30:08` or `15:30:08.024`.
fn parse_clock(clock: &str) -> Result<(i8, i8, i8, i32, TimePrecision), &'static str> {
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clock, None),
    };
    let parts: Vec<&str> = whole.split(':').collect();
    match (parts.as_slice(), fraction) {
        ([h, m], None) => Ok((small(h)?, small(m)?, 0, 0, TimePrecision::Minute)),
        ([h, m, s], None) => Ok((small(h)?, small(m)?, small(s)?, 0, TimePrecision::Second)),
        ([h, m, s], Some(fraction)) => {
            if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return Err(EXPECTED);
            }
            // Digits past the nanosecond carry nothing that an acquisition time could mean.
            let kept = &fraction[..fraction.len().min(9)];
            let nanoseconds: i32 = format!("{kept:0<9}").parse().map_err(|_| EXPECTED)?;
            let precision = TimePrecision::Subsecond(kept.len() as u8);
            Ok((small(h)?, small(m)?, small(s)?, nanoseconds, precision))
        }
        _ => Err(EXPECTED),
    }
}

fn small(text: &str) -> Result<i8, &'static str> {
    match text.len() {
        2 => number(text)?.try_into().map_err(|_| EXPECTED),
        _ => Err(EXPECTED),
    }
}

fn number(text: &str) -> Result<i16, &'static str> {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse().map_err(|_| EXPECTED),
        false => Err(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn precision_is_kept() {
        for text in [
            "2015-09-21",
            "2015-09-21T15:30Z",
            "2015-09-21T15:30:08Z",
            "2015-09-21T15:30:08.0Z",
            "2015-09-21T15:30:08.024Z",
            "1967-02-28T23:59:59.123456789Z",
        ] {
            assert_eq!(time(text).to_string(), text);
        }
        assert_eq!(time("2015-09-21").precision(), TimePrecision::Day);
        assert_ne!(time("2015-09-21"), time("2015-09-21T00:00:00Z"));
        assert_eq!(time("2015-09-21").hour_of_day(), None);
        assert_eq!(time("2015-09-21T00:00Z").hour_of_day(), Some(0.0));
    }

    #[test]
    fn offsets_become_utc() {
        assert_eq!(
            time("2016-01-01T01:30:00+02:00"),
            time("2015-12-31T23:30:00Z")
        );
        assert_eq!(
            time("2023-01-03 04:30:17+00:00"),
            time("2023-01-03T04:30:17Z")
        );
        assert_eq!(
            time("2015-12-31t20:00:00.5-04:30").to_string(),
            "2016-01-01T00:30:00.5Z"
        );
        assert_eq!(
            time("2015-09-21T15:30:08.1234567899Z"),
            time("2015-09-21T15:30:08.123456789Z")
        );
    }

    #[test]
    fn parts() {
        let t = time("2016-12-31T06:45:36.5Z");
        assert_eq!((t.year(), t.month(), t.day()), (2016, 12, 31));
        assert_eq!((t.day_of_year(), t.days_in_year()), (366, 366));
        assert!((t.hour_of_day().unwrap() - (6.0 + 45.0 / 60.0 + 36.5 / 3600.0)).abs() < 1e-12);
        assert_eq!(time("1970-01-02").unix_seconds(), 86400.0);
        assert_eq!(time("1969-12-31T23:59:59.25Z").unix_seconds(), -0.75);
        assert_eq!(
            time("1969-12-31T23:59:59.25Z").to_whole_seconds(),
            time("1969-12-31T23:59:59Z")
        );
        assert_eq!(
            Timestamp::from_unix_seconds(1_442_849_408).unwrap(),
            time("2015-09-21T15:30:08Z")
        );
        assert_eq!(
            Timestamp::from_date(2015, 9, 21).unwrap(),
            time("2015-09-21")
        );
    }

    #[test]
    fn leap_seconds_are_the_second_before() {
        for (text, expected) in [
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("2017-01-01T00:59:60+01:00", "2016-12-31T23:59:59Z"),
            ("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.25Z"),
        ] {
            assert_eq!(time(text).to_string(), expected);
        }
        for text in [
            "2016-12-31T23:59:61Z",
            "2016-12-31T22:59:60Z",
            "2016-12-31T23:59:60+01:00",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn range_of_years() {
        for text in ["1940-01-01", "2100-12-31T23:59:59.999Z"] {
            assert_eq!(time(text).to_string(), text);
        }
        for text in [
            "1939-12-31",
            "2101-01-01T00:00:00Z",
            "1940-01-01T00:00:00+00:01",
        ] {
            let error = text.parse::<Timestamp>().unwrap_err().to_string();
            assert!(error.contains("1940 to 2100"), "{error}");
        }
        assert!(Timestamp::from_unix_seconds(i64::MAX).is_err());
        assert!(Timestamp::from_unix_seconds(5_000_000_000).is_err());
        assert!(Timestamp::from_date(2015, 200, 1).is_err());
    }

    #[test]
    fn malformed_is_refused() {
        for text in [
            "",
            "2015",
            "2015-9-21",
            "2015-02-29",
            "2015-13-01",
            "20150921T153008Z",
            "2015-09-21T",
            "2015-09-21T15:30:08",
            "2015-09-21T24:00:00Z",
            "2015-09-21T15:60:00Z",
            "2015-09-21T15:30:60Z",
            "2015-09-21T15:30:08.Z",
            "2015-09-21T15:30:08.1.2Z",
            "2015-09-21T15:30:08+2:00",
            "2015-09-21T15:30:08+24:00",
            "2015-09-21T+5:30:08Z",
            "2015-09-21T15.5Z",
            "2015-09-21T1:2:3Z",
            "2015-09-21Z",
            "２015-09-21",
            "+015-09-21",
            "2015-09-21T15:30:08Z[UTC]",
            "NaN",
            "2015-09-21T-1:00:00Z",
            "2015-09-21TZ",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
