//! Times as sources write them, brought into the one form that a record reads.

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
    use super::rfc3339;

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
