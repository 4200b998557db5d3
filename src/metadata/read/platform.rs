//! One spelling for each platform, so that captions of different sources agree.

/// The spelling of a platform that the readers use.
///
/// Landsat, Sentinel and the satellites of Maxar are written in many ways: `landsat-8`,
/// `LANDSAT_8`; `Sentinel-2A`, `S2A`; `WV02`, `WorldView-2`. They become `LANDSAT-8`,
/// `SENTINEL-2A` and, as fMoW spells them, `WORLDVIEW02`, `GEOEYE01`, `QUICKBIRD02`, `IKONOS`.
/// Any other name is trimmed and put in upper case. The choice of spellings is ours.
///
/// ```
/// use satmip::metadata::read::platform::canonical;
/// assert_eq!(canonical("Sentinel 2B"), "SENTINEL-2B");
/// assert_eq!(canonical("WV03"), "WORLDVIEW03");
/// assert_eq!(canonical("terra"), "TERRA");
/// ```
pub fn canonical(name: &str) -> String {
    let upper = name.trim().to_uppercase();
    let compact: String = upper
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .collect();
    landsat(&compact)
        .or_else(|| sentinel(&compact))
        .or_else(|| maxar(&compact))
        .unwrap_or(upper)
}

/// The spelling of a platform whose constellation is known as well.
///
/// Planet names a satellite of PlanetScope by a bare number, `101c`: that becomes
/// `PLANETSCOPE-101C`.
pub fn canonical_of(name: &str, constellation: Option<&str>) -> String {
    let canonical = canonical(name);
    let planetscope = constellation.is_some_and(|c| c.trim().eq_ignore_ascii_case("planetscope"));
    let number = !canonical.is_empty() && canonical.chars().all(|c| c.is_ascii_hexdigit());
    if planetscope && number {
        format!("PLANETSCOPE-{canonical}")
    } else {
        canonical
    }
}

fn landsat(compact: &str) -> Option<String> {
    let number = compact.strip_prefix("LANDSAT")?.trim_start_matches('0');
    let known = matches!(
        number.as_bytes(),
        [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']
    );
    known.then(|| format!("LANDSAT-{number}"))
}

fn sentinel(compact: &str) -> Option<String> {
    let unit = compact
        .strip_prefix("SENTINEL")
        .or_else(|| compact.strip_prefix('S'))?
        .trim_start_matches('0');
    match unit.as_bytes() {
        [b'1'..=b'6', b'A'..=b'D'] => Some(format!("SENTINEL-{unit}")),
        // A bare `S2` could be anything; with the word it is the mission.
        [b'1'..=b'6'] if compact.starts_with("SENTINEL") => Some(format!("SENTINEL-{unit}")),
        _ => None,
    }
}

fn maxar(compact: &str) -> Option<String> {
    const FAMILIES: [(&str, &str); 6] = [
        ("WORLDVIEW", "WORLDVIEW"),
        ("WV", "WORLDVIEW"),
        ("GEOEYE", "GEOEYE"),
        ("GE", "GEOEYE"),
        ("QUICKBIRD", "QUICKBIRD"),
        ("QB", "QUICKBIRD"),
    ];
    if matches!(compact, "IK01" | "IKONOS" | "IKONOS2") {
        return Some("IKONOS".to_owned());
    }
    FAMILIES.into_iter().find_map(|(prefix, family)| {
        let number = compact.strip_prefix(prefix)?;
        let digits = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        let number: u8 = number.parse().ok().filter(|_| digits)?;
        Some(format!("{family}{number:02}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_platform_agree() {
        for (spellings, expected) in [
            (
                &["landsat-8", "LANDSAT_8", "Landsat 8", " landsat08 "][..],
                "LANDSAT-8",
            ),
            (
                &[
                    "sentinel-2a",
                    "Sentinel-2A",
                    "Sentinel 2A",
                    "S2A",
                    "SENTINEL_2A",
                ],
                "SENTINEL-2A",
            ),
            (&["sentinel-1a", "S1A"], "SENTINEL-1A"),
            (&["Sentinel-2"], "SENTINEL-2"),
            (
                &["WV02", "WorldView-2", "WORLDVIEW02", "worldview 02"],
                "WORLDVIEW02",
            ),
            (&["GE01", "GeoEye-1", "GEOEYE01"], "GEOEYE01"),
            (&["QB02", "QuickBird-2"], "QUICKBIRD02"),
            (&["terra"], "TERRA"),
            (&["SS02"], "SS02"),
            (&["WORLDVIEW03_VNIR"], "WORLDVIEW03_VNIR"),
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling), expected, "{spelling}");
                assert_eq!(canonical(expected), expected, "canonical names stay");
            }
        }
    }

    #[test]
    fn planetscope_numbers_get_their_constellation() {
        assert_eq!(
            canonical_of("101c", Some("planetscope")),
            "PLANETSCOPE-101C"
        );
        assert_eq!(canonical_of("101c", None), "101C");
        assert_eq!(canonical_of("SSC1", Some("skysat")), "SSC1");
        assert_eq!(canonical_of("", Some("planetscope")), "");
    }
}
