//! The caption: a record as the text that a text tower reads.

use std::fmt::Write;

use super::field::{Field, FieldSet};
use super::record::Metadata;
use super::sensor::PerAxis;

/// Between two fields of a caption.
pub(super) const SEPARATOR: &str = "; ";
/// Between a field's label and its value.
pub(super) const COLON: &str = ": ";

impl Metadata {
    /// The fields of the set that are known, as `Label: value` in canonical order, joined by
    /// `"; "`; empty where there are none.
    ///
    /// The labels and the shape of the values are those of the paper's poster; the separator and
    /// the number of digits are our choice:
    ///
    /// | field | rendering |
    /// |---|---|
    /// | `gsd` | `(11.45, 9.13)` metres; at least 2 decimals and 3 significant digits |
    /// | `multispectral_gsd` | `41.19`, likewise |
    /// | `pixel_size` | `(1.03e-04, 8.23e-05)` degrees, 3 significant digits |
    /// | `timestamp` | `2015-09-21T15:30:08Z`; a fraction of a second is cut off |
    /// | `location` | `(-73.3108, -3.7858)` degrees, longitude first, 4 decimals |
    /// | `utm_zone`, `country_code`, `scan_direction`, `sensor_platform` | as they are |
    /// | `cloud_cover` | `14`, whole percent |
    /// | `wavelengths` | `[661, 545, 477]`, whole nanometres |
    /// | angles | `77.28` degrees, 2 decimals |
    ///
    /// [`Metadata::from_caption`] gives the record back, rounded to these digits.
    pub fn caption(&self, fields: FieldSet) -> String {
        let mut caption = String::new();
        for field in fields.iter() {
            let Some(value) = self.caption_value(field) else {
                continue;
            };
            if !caption.is_empty() {
                caption.push_str(SEPARATOR);
            }
            // Writing to a String cannot fail.
            let _ = write!(caption, "{}{COLON}{value}", field.label());
        }
        caption
    }

    /// A field's value as it stands in a caption.
    pub(super) fn caption_value(&self, field: Field) -> Option<String> {
        match field {
            Field::Gsd => self.gsd.map(|v| pair(v, metres)),
            Field::MultispectralGsd => self.multispectral_gsd.map(metres),
            Field::PixelSize => self.pixel_size.map(|v| pair(v, scientific)),
            Field::Timestamp => self.timestamp.map(|t| t.to_whole_seconds().to_string()),
            Field::Location => self
                .location
                .map(|l| format!("({}, {})", fixed(l.lon(), 4), fixed(l.lat(), 4))),
            Field::CloudCover => self.cloud_cover.map(|v| fixed(v, 0)),
            Field::Wavelengths => self.wavelengths.as_ref().map(|values| {
                let values: Vec<String> = values.iter().map(|v| fixed(*v, 0)).collect();
                format!("[{}]", values.join(", "))
            }),
            Field::TargetAzimuthAngle => self.target_azimuth_angle.map(azimuth),
            Field::SunAzimuthAngle => self.sun_azimuth_angle.map(azimuth),
            Field::SunElevationAngle => self.sun_elevation_angle.map(|v| fixed(v, 2)),
            Field::OffNadirAngle => self.off_nadir_angle.map(|v| fixed(v, 2)),
            Field::UtmZone | Field::CountryCode | Field::ScanDirection | Field::SensorPlatform => {
                self.text(field)
            }
        }
    }
}

fn pair(v: PerAxis, shown: fn(f64) -> String) -> String {
    format!("({}, {})", shown(v.x), shown(v.y))
}

/// A fixed number of decimals, without a sign on zero.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| matches!(b, b'0' | b'.')) => digits.to_owned(),
        _ => text,
    }
}

/// An azimuth with 2 decimals; one that rounds to 360 is 0.
fn azimuth(degrees: f64) -> String {
    match fixed(degrees, 2).as_str() {
        "360.00" => "0.00".to_owned(),
        text => text.to_owned(),
    }
}

/// 2 decimals, and as many more as 3 significant digits need, less the zeros at the end.
fn metres(value: f64) -> String {
    let exponent = exponent(&format!("{value:.2e}")).min(0);
    let mut text = format!("{value:.*}", exponent.unsigned_abs() as usize + 2);
    let most = text.len() - exponent.unsigned_abs() as usize;
    while text.len() > most && text.ends_with('0') {
        text.pop();
    }
    text
}

/// 3 significant digits and an exponent of at least 2, as C's `%.2e` prints them.
fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    let exponent = exponent(&text);
    let mantissa = text.split('e').next().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

fn exponent(scientific: &str) -> i32 {
    let exponent = scientific.split_once('e').map(|(_, e)| e.parse());
    exponent.and_then(Result::ok).unwrap_or(0)
}

/// The example record of the paper's poster.
#[cfg(test)]
pub(crate) fn poster() -> Metadata {
    let record = || -> crate::Result<Metadata> {
        Metadata::new()
            .with_gsd((11.4546, 9.1344))?
            .with_multispectral_gsd(41.1896)?
            .with_pixel_size((1.03e-4, 8.23e-5))?
            .with_timestamp("2015-09-21T15:30:08Z")?
            .with_location(-73.310776, -3.785814)?
            .with_utm_zone("18M")?
            .with_country_code("PER")?
            .with_cloud_cover(14.0)?
            .with_scan_direction("Reverse")?
            .with_wavelengths(&[661.0, 545.0, 477.0])?
            .with_target_azimuth_angle(39.12)?
            .with_sun_azimuth_angle(77.28)?
            .with_sun_elevation_angle(70.44)?
            .with_off_nadir_angle(27.7)?
            .with_sensor_platform("GEOEYE01")
    };
    record().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caption_of_the_poster() {
        assert_eq!(
            poster().caption(FieldSet::ALL),
            "GSD: (11.45, 9.13); Multispectral GSD: 41.19; Pixel size: (1.03e-04, 8.23e-05); \
             Timestamp: 2015-09-21T15:30:08Z; Location: (-73.3108, -3.7858); UTM zone: 18M; \
             Country code: PER; Cloud cover: 14; Scan direction: Reverse; \
             Wavelengths: [661, 545, 477]; Target azimuth angle: 39.12; \
             Sun azimuth angle: 77.28; Sun elevation angle: 70.44; Off-nadir angle: 27.70; \
             Sensor platform: GEOEYE01"
        );
    }

    #[test]
    fn other_examples_of_the_poster() {
        let record = Metadata::new()
            .with_gsd((0.73, 0.63))
            .and_then(|m| m.with_timestamp("2014-05-04T14:10:29Z"))
            .and_then(|m| m.with_location(-77.12284, 28.73031))
            .unwrap();
        assert_eq!(
            record.caption(FieldSet::GSD_TIME_LOCATION),
            "GSD: (0.73, 0.63); Timestamp: 2014-05-04T14:10:29Z; Location: (-77.1228, 28.7303)"
        );
        assert_eq!(record.caption(FieldSet::GSD), "GSD: (0.73, 0.63)");
    }

    #[test]
    fn nothing_known_is_an_empty_caption() {
        assert_eq!(Metadata::new().caption(FieldSet::ALL), "");
        assert_eq!(poster().caption(FieldSet::NONE), "");
    }

    #[test]
    fn digits_of_metres() {
        for (value, text) in [
            (10_000.0, "10000.00"),
            (10.0, "10.00"),
            (9.9999, "10.00"),
            (3.7, "3.70"),
            (0.5, "0.50"),
            (0.7344, "0.734"),
            (0.9999, "1.00"),
            (0.012345, "0.0123"),
            (0.09996, "0.10"),
            (1e-4, "0.0001"),
            (1.234e-4, "0.000123"),
        ] {
            assert_eq!(metres(value), text, "{value}");
        }
    }

    #[test]
    fn digits_of_degrees_per_pixel() {
        for (value, text) in [
            (10.0, "1.00e+01"),
            (1.0, "1.00e+00"),
            (0.1, "1.00e-01"),
            (9.999e-5, "1.00e-04"),
            (1e-10, "1.00e-10"),
        ] {
            assert_eq!(scientific(value), text);
        }
    }

    #[test]
    fn no_sign_on_zero_and_no_azimuth_of_360() {
        let record = Metadata::new()
            .with_location(-0.00001, 0.00004)
            .and_then(|m| m.with_sun_azimuth_angle(359.999))
            .and_then(|m| m.with_sun_elevation_angle(-0.001))
            .and_then(|m| m.with_cloud_cover(0.4))
            .unwrap();
        assert_eq!(
            record.caption(FieldSet::ALL),
            "Location: (0.0000, 0.0000); Cloud cover: 0; Sun azimuth angle: 0.00; \
             Sun elevation angle: 0.00"
        );
    }

    #[test]
    fn precision_of_time_is_kept_down_to_seconds() {
        for (given, shown) in [
            ("2015-09-21", "2015-09-21"),
            ("2015-09-21T15:30Z", "2015-09-21T15:30Z"),
            ("2100-12-31T23:59:59.999Z", "2100-12-31T23:59:59Z"),
        ] {
            let record = Metadata::new().with_timestamp(given).unwrap();
            assert_eq!(record.caption(FieldSet::ALL), format!("Timestamp: {shown}"));
        }
    }
}
