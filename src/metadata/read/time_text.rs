//! Times as sources write them, brought into the one form that a record reads.

use crate::metadata::{TimePrecision, Timestamp};

/// The longest acquisition whose middle is taken for its time, in seconds.
///
/// A composite of more than a day has no time of acquisition (our choice).
const LONGEST_ACQUISITION: f64 = 86_400.0;

/// The middle of an acquisition, to the second; none where it lasted more than a day, or ended
/// before it began.
pub(super) fn middle(start: Timestamp, end: Timestamp) -> Option<Timestamp> {
    let (start, end) = (start.unix_seconds(), end.unix_seconds());
    let short = (0.0..=LONGEST_ACQUISITION).contains(&(end - start));
    let middle = ((start + end) / 2.0).floor() as i64;
    short.then(|| Timestamp::from_unix_seconds(middle).ok())?
}

/// Whether the times of a column are days: see [`days`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hour {
    /// A date alone.
    None,
    /// 00:00:00, without an offset other than that of UTC.
    Midnight,
    /// Any other moment.
    Other,
}

/// Whether a column of times is one of days: programs write a column of days as midnights, so one
/// of which every value is a midnight (or a date alone), and one at least is a midnight, is days.
///
/// Values that are missing or cannot be read do not count. The first moment that is none ends the
/// search.
pub(super) fn days<E>(cells: impl IntoIterator<Item = Result<String, E>>) -> Result<bool, E> {
    let mut midnights = false;
    for cell in cells {
        match hour(&cell?) {
            Some(Hour::Other) => return Ok(false),
            Some(Hour::Midnight) => midnights = true,
            Some(Hour::None) | None => {}
        }
    }
    Ok(midnights)
}

fn hour(text: &str) -> Option<Hour> {
    let text = rfc3339(text);
    let time: Timestamp = text.parse().ok()?;
    let utc = text.ends_with(['Z', 'z']) || text.ends_with("+00:00");
    Some(match (time.precision(), time.hour_of_day()) {
        (TimePrecision::Day, _) => Hour::None,
        (_, Some(0.0)) if utc => Hour::Midnight,
        _ => Hour::Other,
    })
}

/// RFC 3339 (or `YYYY-MM-DD`) from the spellings of tables, TIFF tags and older documents.
///
/// A time without an offset is taken as UTC (our choice: that is what the producers of satellite
/// data mean). What is not understood is returned as it is, for the record to refuse.
pub(super) fn rfc3339(text: &str) -> String {
    let text = text.trim();
    let bytes = text.as_bytes();
    let dated = bytes.len() >= 10 && bytes.iter().take(10).all(u8::is_ascii);
    if !dated {
        return text.to_owned();
    }
    let (date, rest) = text.split_at(10);
    // TIFF's DateTime writes `2017:08:31 17:27:54`.
    let date = if matches!((bytes[4], bytes[7]), (b':', b':') | (b'/', b'/')) {
        format!("{}-{}-{}", &date[..4], &date[5..7], &date[8..])
    } else {
        date.to_owned()
    };
    let time = match rest.as_bytes() {
        [b'T' | b't' | b' ', ..] => rest[1..].trim(),
        _ => return format!("{date}{rest}"),
    };
    let time = time.strip_suffix(" UTC").unwrap_or(time);
    let end = time.find(['+', '-', 'Z', 'z']).unwrap_or(time.len());
    let (clock, offset) = time.split_at(end);
    let offset = match offset.as_bytes() {
        [] => "Z".to_owned(),
        [b'+' | b'-', hours @ ..] if hours.len() == 4 && hours.iter().all(u8::is_ascii_digit) => {
            format!("{}:{}", &offset[..3], &offset[3..])
        }
        [b'+' | b'-', hours @ ..] if hours.len() == 2 && hours.iter().all(u8::is_ascii_digit) => {
            format!("{offset}:00")
        }
        _ => offset.to_owned(),
    };
    format!("{date}T{}{offset}", clock.trim())
}

#[cfg(test)]
mod tests {
    use super::{days, rfc3339};

    #[test]
    fn a_column_of_midnights_is_days() {
        let days =
            |texts: &[&str]| days(texts.iter().map(|t| Ok::<_, ()>((*t).to_owned()))).unwrap();
        assert!(days(&["2021-06-05 00:00:00", "", "2021-06-06"]));
        assert!(days(&["2021-06-05T00:00:00.000Z", "junk"]));
        assert!(days(&["2021-06-05T00:00:00+00:00"]));
        for times in [
            &["2021-06-05 00:00:00", "2021-06-06 00:00:01"][..],
            &["2021-06-05T02:00:00+02:00"],
            &["2021-06-05T00:00:00+02:00"],
            &["2021-06-05T00:00:00.001Z"],
            // Dates alone are days anyway.
            &["2021-06-05"],
            &[],
        ] {
            assert!(!days(times), "{times:?}");
        }
    }

    #[test]
    fn spellings_become_rfc_3339() {
        for (given, expected) in [
            ("2023-01-03 04:30:17+00:00", "2023-01-03T04:30:17+00:00"),
            ("2023-01-03T04:30:17Z", "2023-01-03T04:30:17Z"),
            ("2023-01-03 04:30:17", "2023-01-03T04:30:17Z"),
            ("2023-01-03T04:30:17.5+0530", "2023-01-03T04:30:17.5+05:30"),
            ("2023-01-03 04:30:17+00", "2023-01-03T04:30:17+00:00"),
            ("2023-01-03 04:30:17 UTC", "2023-01-03T04:30:17Z"),
            ("2017:08:31 17:27:54", "2017-08-31T17:27:54Z"),
            ("2023-01-03", "2023-01-03"),
            (" 2023-01-03 ", "2023-01-03"),
            ("2023/01/03", "2023-01-03"),
        ] {
            assert_eq!(rfc3339(given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_not_understood_stays() {
        for text in [
            "",
            "today",
            "2023",
            "20230103",
            "é2023-01-0",
            "2023-01-0é 10:00",
        ] {
            assert_eq!(rfc3339(text), text);
        }
    }
}
