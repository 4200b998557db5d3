//! One reading of a value, whichever source brought it.
//!
//! Readers find out which field a source states and what stands there; what that means is decided
//! here, and nowhere else:
//!
//! | field | rule |
//! |---|---|
//! | azimuths | -180 to 0 counts on as 180 to 360; 360 is 0 |
//! | off_nadir_angle | without its sign, which tells the side |
//! | cloud_cover | a negative number means "not known"; above 100 is an error, unless the table's map says that it is rounding ([`ColumnMap::clamp_cloud_cover`](super::ColumnMap::clamp_cloud_cover)) |
//! | wavelengths | below 100 they are micrometres, else nanometres; kept to the thousandth |
//! | timestamp | spellings of [`super::time_text`]; a time without an offset is UTC |
//! | utm_zone | `31U`, or the name of a tile of the military grid: `MGRS-31UDQ`, `T31UDQ`; tiles of other grids (`WRS2-123045`) are none; [`settle_zone`] holds it against the location |
//! | sensor_platform | spelled by [`platform::canonical_of`] |
//!
//! Numbers in texts have a decimal point. A decimal comma is understood in tables whose delimiter
//! is none (semicolon or tab): `1,5` is 1.5 there for a field of one number or of one for each axis.
//! Two numbers are then written with brackets, `(1,5)`, or with points, `1.0,5.0`. Elsewhere, `1,5`
//! in such a field could be either, and is refused. A list of wavelengths `661,545` is two numbers,
//! save in a table with decimal commas, where it is refused; `lon,lat` always are two.

use super::{platform, short, time_text};
use crate::error::{Error, Result};
use crate::metadata::crs::utm_zone;
use crate::metadata::{Field, Metadata};

/// What else is known of the source when a value of it is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Source<'a> {
    /// A cloud cover above 100 percent is rounding.
    pub(super) clamp_cloud_cover: bool,
    /// Numbers may have a decimal comma.
    pub(super) decimal_comma: bool,
    /// The constellation of the platform.
    pub(super) constellation: Option<&'a str>,
}

/// Words that stand for "not known" in the sources that are read here.
pub(super) fn is_missing(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["na", "n/a", "none", "null", "unknown", "-"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

/// Sets a field from one number.
pub(super) fn number(
    metadata: &mut Metadata,
    field: Field,
    value: f64,
    source: &Source<'_>,
) -> Result<()> {
    match field {
        Field::Gsd => metadata.set_gsd(value),
        Field::MultispectralGsd => metadata.set_multispectral_gsd(value),
        Field::PixelSize => metadata.set_pixel_size(value),
        Field::CloudCover if value < 0.0 && value.is_finite() => Ok(()),
        Field::CloudCover if source.clamp_cloud_cover && value > 100.0 && value.is_finite() => {
            metadata.set_cloud_cover(100.0)
        }
        Field::CloudCover => metadata.set_cloud_cover(value),
        Field::TargetAzimuthAngle => metadata.set_target_azimuth_angle(clockwise(value)),
        Field::SunAzimuthAngle => metadata.set_sun_azimuth_angle(clockwise(value)),
        Field::SunElevationAngle => metadata.set_sun_elevation_angle(value),
        Field::OffNadirAngle => metadata.set_off_nadir_angle(value.abs()),
        Field::Wavelengths => metadata.set_wavelengths(&[nanometres(value)]),
        Field::Location
        | Field::Timestamp
        | Field::UtmZone
        | Field::CountryCode
        | Field::ScanDirection
        | Field::SensorPlatform => Err(Error::field(field.name(), value, "is one number")),
    }
}

/// Sets a field from numbers: one, one for each axis, longitude and latitude, or wavelengths.
pub(super) fn numbers(
    metadata: &mut Metadata,
    field: Field,
    values: &[f64],
    source: &Source<'_>,
) -> Result<()> {
    match (field, values) {
        (Field::Wavelengths, values) => {
            let values: Vec<f64> = values.iter().copied().map(nanometres).collect();
            metadata.set_wavelengths(&values)
        }
        (field, [one]) => number(metadata, field, *one, source),
        (Field::Gsd, [x, y]) => metadata.set_gsd((*x, *y)),
        (Field::PixelSize, [x, y]) => metadata.set_pixel_size((*x, *y)),
        (Field::Location, [lon, lat]) => metadata.set_location(*lon, *lat),
        (field, values) => {
            let count = format!("{} numbers", values.len());
            Err(Error::field(field.name(), count, "are not what it takes"))
        }
    }
}

/// Sets a field from text; a word for "not known" leaves it as it is.
pub(super) fn text(
    metadata: &mut Metadata,
    field: Field,
    text: &str,
    source: &Source<'_>,
) -> Result<()> {
    let text = text.trim();
    if is_missing(text) {
        return Ok(());
    }
    match field {
        Field::Timestamp => metadata.set_timestamp(&time_text::rfc3339(text)),
        Field::SensorPlatform => {
            metadata.set_sensor_platform(&platform::canonical_of(text, source.constellation))
        }
        Field::UtmZone => match grid_zone(text) {
            Some(zone) => metadata.set_utm_zone(&zone),
            None if is_other_grid(text) => Ok(()),
            None => metadata.set_utm_zone(text),
        },
        Field::CountryCode => metadata.set_country_code(text),
        Field::ScanDirection => metadata.set_scan_direction(text),
        field => {
            let values = parse(field, text, source.decimal_comma)
                .map_err(|reason| Error::field(field.name(), short(text), reason))?;
            numbers(metadata, field, &values, source)
        }
    }
}

/// The one number of a text, in a column that can hold no more.
pub(super) fn single(text: &str, source: &Source<'_>) -> Result<f64, String> {
    let text = text.trim();
    let number = match (is_comma_number(text), source.decimal_comma) {
        (true, true) => text.replacen(',', ".", 1).parse().ok(),
        (true, false) => return Err(format!("`{}`: {COMMA}", short(text))),
        (false, _) => text.parse::<f64>().ok(),
    };
    match number {
        None => Err(format!("`{}` is no number", short(text))),
        Some(number) if !number.is_finite() => Err(format!("`{}` is not finite", short(text))),
        Some(number) => Ok(number),
    }
}

/// The zone that the name of a tile of the military grid begins with: `T06VVN` has `06V`.
pub(super) fn grid_zone(tile: &str) -> Option<String> {
    let tile = tile.strip_prefix("MGRS-").unwrap_or(tile);
    let tile = tile.strip_prefix('T').unwrap_or(tile);
    let end = tile.find(|c: char| !c.is_ascii_digit())?;
    let square = tile.get(end + 1..)?;
    let letters = square.get(..2)?.bytes().all(|b| b.is_ascii_uppercase());
    let digits = square.get(2..)?.bytes().all(|b| b.is_ascii_digit());
    let whole = (1..=2).contains(&end) && letters && digits;
    tile.get(..=end).filter(|_| whole).map(str::to_owned)
}

/// Whether it is the code of a tile of another grid than the military one, as `WRS2-123045`.
fn is_other_grid(code: &str) -> bool {
    code.split_once('-').is_some_and(|(grid, tile)| {
        let letters = grid
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        letters
            && grid.starts_with(|c: char| c.is_ascii_uppercase())
            && grid != "MGRS"
            && !tile.is_empty()
    })
}

/// Holds the zone against the location, once both are known.
///
/// Many write `31N` for zone 31 in the northern half, where the grid has the latitude band N (0 to 8
/// degrees north). The letters N and S are the half where the location is of another band, and the
/// zone is then that of the location's band. Any other zone that the location contradicts is an
/// error. A picture may reach into the next zone or band, and stand in the grid of its neighbour.
///
/// # Errors
/// [`Error::Field`] where zone and location are far apart.
pub(super) fn settle_zone(metadata: &mut Metadata) -> Result<()> {
    let (Some(zone), Some(place)) = (metadata.utm_zone(), metadata.location()) else {
        return Ok(());
    };
    let (number, band) = (zone.number(), zone.band());
    let wrong = |reason: String| Err(Error::field(Field::UtmZone.name(), zone, reason));
    // Zones are 6 degrees, and narrow towards the poles; Norway has its whole mainland in zone 33.
    let apart = (place.lon() - (6.0 * f64::from(number) - 183.0)).rem_euclid(360.0);
    let apart = apart.min(360.0 - apart);
    let most = if place.lat().abs() < 56.0 { 9.0 } else { 21.0 };
    if apart > most && place.lat().abs() < 80.0 {
        return wrong(format!("contradicts the longitude {}", place.lon()));
    }
    let fits = |slack: f64| {
        let lowest = f64::from(band_index(band)) * 8.0 - 80.0;
        let highest = if band == 'X' { 84.0 } else { lowest + 8.0 };
        (lowest - slack..=highest + slack).contains(&place.lat())
    };
    if fits(1.5) {
        return Ok(());
    }
    let half = match band {
        'N' => place.lat() >= 0.0,
        'S' => place.lat() <= 0.0,
        _ => false,
    };
    match utm_zone(number, place.lat()).filter(|_| half) {
        Some(zone) => metadata.set_utm_zone(&zone),
        None => wrong(format!("contradicts the latitude {}", place.lat())),
    }
}

/// The place of a latitude band among all, from the south.
fn band_index(band: char) -> u8 {
    let index = (band as u8).saturating_sub(b'C');
    // The grid has neither I nor O.
    index - u8::from(band > 'I') - u8::from(band > 'O')
}

/// Whether a zone's letter could be a half of the earth as well as a band.
pub(super) fn is_half_or_band(metadata: &Metadata) -> bool {
    metadata
        .utm_zone()
        .is_some_and(|zone| matches!(zone.band(), 'N' | 'S'))
}

/// An azimuth counted from -180 to 180 as one from 0 to 360.
fn clockwise(azimuth: f64) -> f64 {
    if (-180.0..0.0).contains(&azimuth) {
        azimuth + 360.0
    } else {
        azimuth
    }
}

/// Nanometres from micrometres, to the thousandth: a number that is 100 or more can only have been
/// meant in nanometres.
fn nanometres(wavelength: f64) -> f64 {
    let nanometres = if wavelength < 100.0 {
        wavelength * 1000.0
    } else {
        wavelength
    };
    (nanometres * 1000.0).round() / 1000.0
}

/// Why a number with one comma and no point is refused where it could be two.
const COMMA: &str = "a comma may divide two numbers or stand for a decimal point; write `1.5`, or \
                     `(1, 5)` for two numbers";

/// The numbers of a text: one, or several with commas, with or without brackets around them.
fn parse(field: Field, text: &str, decimal_comma: bool) -> Result<Vec<f64>, String> {
    /// More than any field takes; the field's own limit gives the message.
    const MOST: usize = 32;
    let inner = match (text.strip_prefix('('), text.strip_prefix('[')) {
        (Some(rest), _) => rest.strip_suffix(')'),
        (_, Some(rest)) => rest.strip_suffix(']'),
        _ if is_comma_number(text) => {
            return match (field, decimal_comma) {
                (Field::Location, _) | (Field::Wavelengths, false) => list(text, MOST),
                (Field::Wavelengths, true) | (_, false) => Err(COMMA.to_owned()),
                (_, true) if text.contains(char::is_whitespace) => Err(COMMA.to_owned()),
                (_, true) => list(&text.replacen(',', ".", 1), MOST),
            };
        }
        _ if is_grouped(text) && !matches!(field, Field::Location | Field::Wavelengths) => {
            return Err(COMMA.to_owned());
        }
        _ => Some(text),
    };
    list(inner.ok_or("a bracket is not closed")?, MOST)
}

fn list(text: &str, most: usize) -> Result<Vec<f64>, String> {
    let number = |part: &str| part.trim().parse::<f64>().ok();
    let numbers: Option<Vec<f64>> = text.split(',').take(most).map(number).collect();
    numbers.ok_or_else(|| match text.contains(',') {
        true => "expected numbers separated by commas".to_owned(),
        false => "is not a number".to_owned(),
    })
}

/// Whether a text could be one number with a decimal comma and two without: `1,5`, `-0,25`, `1, 5`.
fn is_comma_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let Some((whole, rest)) = text.split_once(',') else {
        return false;
    };
    let rest = match rest.split_once(['e', 'E']) {
        Some((rest, exponent)) if digits(exponent.trim_start_matches(['+', '-'])) => rest,
        _ => rest,
    };
    digits(whole.trim_start_matches(['+', '-'])) && digits(rest.trim())
}

/// Whether a text could be one number whose thousands are marked: `1.234,5`, `1,234.5`.
fn is_grouped(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let head = |part: &str| digits(part) && part.len() <= 3 && !part.starts_with('0');
    let group = |part: &str| digits(part) && part.len() == 3;
    let text = text.trim_start_matches(['+', '-']);
    let Some((left, right)) = text.split_once(',') else {
        return false;
    };
    let mut points = left.split('.');
    let points = points.next().is_some_and(head) && left.contains('.') && points.all(group);
    let comma = head(left)
        && right
            .split_once('.')
            .is_some_and(|(thousand, rest)| group(thousand) && digits(rest));
    (points && digits(right.trim())) || comma
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: Field, value: &str, decimal_comma: bool) -> Result<Option<String>> {
        let source = Source {
            decimal_comma,
            ..Source::default()
        };
        let mut metadata = Metadata::new();
        text(&mut metadata, field, value, &source)?;
        Ok(metadata.text(field))
    }

    #[test]
    fn angles_and_clouds_and_wavelengths() {
        for (field, value, expected) in [
            (Field::SunAzimuthAngle, "-45", Some("315")),
            (Field::TargetAzimuthAngle, "-180", Some("180")),
            (Field::SunAzimuthAngle, "360", Some("0")),
            (Field::OffNadirAngle, "-12", Some("12")),
            (Field::CloudCover, "-1", None),
            (Field::CloudCover, "unknown", None),
            (Field::CloudCover, "100", Some("100")),
            (Field::Wavelengths, "0.665,0.56,0.49", Some("665,560,490")),
            (Field::Wavelengths, "661,545,477", Some("661,545,477")),
            (Field::UtmZone, "MGRS-05QKB", Some("5Q")),
            (Field::UtmZone, "T32TMT", Some("32T")),
            (Field::UtmZone, "18M", Some("18M")),
            (Field::UtmZone, "WRS2-123045", None),
            (Field::SensorPlatform, "Sentinel 2A", Some("SENTINEL-2A")),
            (
                Field::Timestamp,
                "2023/01/03 04:30:17",
                Some("2023-01-03T04:30:17Z"),
            ),
        ] {
            assert_eq!(
                read(field, value, false).unwrap().as_deref(),
                expected,
                "{value}"
            );
        }
        for (field, value) in [
            (Field::SunAzimuthAngle, "-181"),
            (Field::OffNadirAngle, "91"),
            (Field::CloudCover, "101"),
            (Field::CloudCover, "-inf"),
            (Field::CloudCover, "NaN"),
            (Field::CloudCover, "cloudy"),
            (Field::UtmZone, "18"),
            (Field::UtmZone, "MGRS-1"),
        ] {
            assert!(read(field, value, false).is_err(), "{value}");
        }
    }

    #[test]
    fn a_comma_is_a_decimal_point_or_a_divider_and_never_a_guess() {
        for (field, value, in_comma_table, elsewhere) in [
            // field, text, where commas divide cells, where they do not
            (Field::Gsd, "1,5", None, Some("1.5")),
            (Field::Gsd, "1, 5", None, None),
            (Field::Gsd, "10,20", None, Some("10.2")),
            (Field::Gsd, "(10,20)", Some("(10,20)"), Some("(10,20)")),
            (Field::Gsd, "[1, 5]", Some("(1,5)"), Some("(1,5)")),
            (Field::Gsd, "1.0,5.0", Some("(1,5)"), Some("(1,5)")),
            (
                Field::Gsd,
                "11.4546,9.1344",
                Some("11.4546,9.1344"),
                Some("11.4546,9.1344"),
            ),
            (Field::Gsd, "1.234,5", None, None),
            (Field::Gsd, "1,234.5", None, None),
            (
                Field::Gsd,
                "(1.234,5)",
                Some("(1.234,5)"),
                Some("(1.234,5)"),
            ),
            (Field::Gsd, "0.234,5", Some("(0.234,5)"), Some("(0.234,5)")),
            (
                Field::Gsd,
                "1.234,5.5",
                Some("1.234,5.5"),
                Some("1.234,5.5"),
            ),
            (Field::Location, "1.234,5", Some("1.234,5"), Some("1.234,5")),
            (Field::Gsd, "1,5e1", None, Some("15")),
            (Field::Gsd, "1.5", Some("1.5"), Some("1.5")),
            (Field::CloudCover, "12,75", None, Some("12.75")),
            (Field::SunElevationAngle, "-0,25", None, Some("-0.25")),
            (Field::PixelSize, "0,0001", None, Some("0.0001")),
            (Field::Location, "8,47", Some("8,47"), Some("8,47")),
            (Field::Location, "8.5,47", Some("8.5,47"), Some("8.5,47")),
            (Field::Location, "8,5,47,5", None, None),
            (Field::Wavelengths, "661,545", Some("661,545"), None),
            (
                Field::Wavelengths,
                "661,545,477",
                Some("661,545,477"),
                Some("661,545,477"),
            ),
        ] {
            for (decimal_comma, expected) in [(false, in_comma_table), (true, elsewhere)] {
                let found = read(field, value, decimal_comma);
                assert_eq!(found.ok().flatten().as_deref(), expected, "{field} {value}");
            }
        }
        let refused = read(Field::Gsd, "1,5", false).unwrap_err().to_string();
        assert!(refused.contains("`(1, 5)`"), "{refused}");
    }

    #[test]
    fn a_zone_is_held_against_the_location() {
        let settled = |zone: &str, lon: f64, lat: f64| {
            let record = Metadata::new().with_location(lon, lat).unwrap();
            let mut record = record.with_utm_zone(zone).unwrap();
            settle_zone(&mut record).map(|()| record.text(Field::UtmZone).unwrap())
        };
        for (zone, lon, lat, expected) in [
            ("31U", 3.0, 48.75, "31U"),
            ("31N", 3.0, 48.75, "31U"),
            ("31N", 3.0, 5.0, "31N"),
            ("33S", 15.0, 37.0, "33S"),
            ("33S", 15.0, -37.0, "33H"),
            ("1N", 179.5, 20.0, "1Q"),
            // Next to the zone, and to the band.
            ("32U", 5.0, 50.0, "32U"),
            ("31U", 3.0, 47.5, "31U"),
            ("33X", 8.0, 78.0, "33X"),
            ("60X", 40.0, 83.0, "60X"),
            ("33W", 30.0, 70.0, "33W"),
        ] {
            assert_eq!(settled(zone, lon, lat).unwrap(), expected, "{zone}");
        }
        for (zone, lon, lat, part) in [
            ("31U", 103.0, 48.75, "longitude 103"),
            ("31U", 3.0, -48.75, "latitude -48.75"),
            ("31S", 3.0, 48.75, "latitude"),
            ("31N", 3.0, -20.0, "latitude"),
            ("31N", 33.0, 48.75, "longitude"),
        ] {
            let error = settled(zone, lon, lat).unwrap_err().to_string();
            assert!(error.contains(part), "{zone}: {error}");
        }
        for (i, band) in "CDEFGHJKLMNPQRSTUVWX".chars().enumerate() {
            assert_eq!(usize::from(band_index(band)), i);
        }
    }

    #[test]
    fn what_a_record_writes_is_read_again() {
        for gsd in [(10.0, 20.0), (1.5, 20.0), (10.0, 10.0), (0.5, 0.25)] {
            let record = Metadata::new().with_gsd(gsd).unwrap();
            let written = record.text(Field::Gsd).unwrap();
            for decimal_comma in [false, true] {
                let again = read(Field::Gsd, &written, decimal_comma).unwrap();
                assert_eq!(again.as_deref(), Some(written.as_str()));
            }
        }
    }
}
