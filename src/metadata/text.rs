//! Fields as text in full precision: for tables, the command line and queries.

use std::fmt::Display;

use super::field::Field;
use super::record::Metadata;
use super::sensor::PerAxis;
use crate::error::{Error, Result};

impl Metadata {
    /// Sets a field from text.
    ///
    /// Numbers are decimal. Fields of two numbers are `x,y` (for a location longitude, then
    /// latitude), with or without brackets and blanks; `gsd` and `pixel_size` take one number for
    /// both axes as well. Wavelengths are `661,545,477`.
    ///
    /// ```
    /// use satmip::{Field, Metadata};
    ///
    /// let mut record = Metadata::new();
    /// record.set_text(Field::Location, "(-73.31, -3.79)")?;
    /// assert_eq!(record.text(Field::Location).as_deref(), Some("-73.31,-3.79"));
    /// # Ok::<(), satmip::Error>(())
    /// ```
    pub fn set_text(&mut self, field: Field, value: &str) -> Result<()> {
        if value.trim().is_empty() {
            return Err(Error::field(field.name(), value, "is empty"));
        }
        match field {
            Field::Gsd => self.set_gsd(per_axis(field, value)?),
            Field::MultispectralGsd => self.set_multispectral_gsd(number(field, value)?),
            Field::PixelSize => self.set_pixel_size(per_axis(field, value)?),
            Field::Timestamp => self.set_timestamp(value),
            Field::Location => match numbers(field, value)?[..] {
                [lon, lat] => self.set_location(lon, lat),
                _ => Err(Error::field(field.name(), value, "expected `lon,lat`")),
            },
            Field::UtmZone => self.set_utm_zone(value),
            Field::CountryCode => self.set_country_code(value),
            Field::CloudCover => self.set_cloud_cover(number(field, value)?),
            Field::ScanDirection => self.set_scan_direction(value),
            Field::Wavelengths => self.set_wavelengths(&numbers(field, value)?),
            Field::TargetAzimuthAngle => self.set_target_azimuth_angle(number(field, value)?),
            Field::SunAzimuthAngle => self.set_sun_azimuth_angle(number(field, value)?),
            Field::SunElevationAngle => self.set_sun_elevation_angle(number(field, value)?),
            Field::OffNadirAngle => self.set_off_nadir_angle(number(field, value)?),
            Field::SensorPlatform => self.set_sensor_platform(value),
        }
    }

    /// A field as text in full precision; [`set_text`](Metadata::set_text) gives the same value.
    ///
    /// Two numbers for the axes of which one is whole have brackets, `(10,20)`: without them a reader of
    /// tables could take the comma for a decimal one, or one of thousands.
    pub fn text(&self, field: Field) -> Option<String> {
        match field {
            Field::Gsd => self.gsd.map(axes),
            Field::MultispectralGsd => shown(self.multispectral_gsd),
            Field::PixelSize => self.pixel_size.map(axes),
            Field::Timestamp => shown(self.timestamp),
            Field::Location => self.location.map(|l| format!("{},{}", l.lon(), l.lat())),
            Field::UtmZone => shown(self.utm_zone),
            Field::CountryCode => shown(self.country_code),
            Field::CloudCover => shown(self.cloud_cover),
            Field::ScanDirection => shown(self.scan_direction),
            Field::Wavelengths => self.wavelengths.as_ref().map(|values| {
                let values: Vec<String> = values.iter().map(f64::to_string).collect();
                values.join(",")
            }),
            Field::TargetAzimuthAngle => shown(self.target_azimuth_angle),
            Field::SunAzimuthAngle => shown(self.sun_azimuth_angle),
            Field::SunElevationAngle => shown(self.sun_elevation_angle),
            Field::OffNadirAngle => shown(self.off_nadir_angle),
            Field::SensorPlatform => self.sensor_platform.clone(),
        }
    }
}

fn shown(value: Option<impl Display>) -> Option<String> {
    value.map(|v| v.to_string())
}

fn axes(v: PerAxis) -> String {
    if v.x == v.y {
        return v.x.to_string();
    }
    let (x, y) = (v.x.to_string(), v.y.to_string());
    match x.contains('.') && y.contains('.') {
        true => format!("{x},{y}"),
        false => format!("({x},{y})"),
    }
}

fn number(field: Field, text: &str) -> Result<f64> {
    text.trim()
        .parse()
        .map_err(|_| Error::field(field.name(), text, "is not a number"))
}

fn per_axis(field: Field, text: &str) -> Result<PerAxis> {
    match numbers(field, text)?[..] {
        [both] => Ok(both.into()),
        [x, y] => Ok((x, y).into()),
        _ => Err(Error::field(
            field.name(),
            text,
            "expected one number or `x,y`",
        )),
    }
}

/// Numbers separated by commas, with or without one pair of brackets around them.
fn numbers(field: Field, text: &str) -> Result<Vec<f64>> {
    /// More than any field takes; the field's own limit gives the message.
    const MOST: usize = 32;
    let inner = text.trim();
    let inner = match (inner.strip_prefix('('), inner.strip_prefix('[')) {
        (Some(rest), _) => rest.strip_suffix(')'),
        (_, Some(rest)) => rest.strip_suffix(']'),
        _ => Some(inner),
    };
    let inner = inner.ok_or_else(|| Error::field(field.name(), text, "a bracket is not closed"))?;
    let list = inner.split(',').take(MOST);
    list.map(|value| number(field, value).map_err(|_| not_numbers(field, text)))
        .collect()
}

fn not_numbers(field: Field, text: &str) -> Error {
    Error::field(field.name(), text, "expected numbers separated by commas")
}

#[cfg(test)]
mod tests {
    use super::super::caption::poster;
    use super::*;

    #[test]
    fn text_of_the_poster() {
        let texts = Field::ALL.map(|f| poster().text(f).unwrap());
        assert_eq!(
            texts,
            [
                "11.4546,9.1344",
                "41.1896",
                "0.000103,0.0000823",
                "2015-09-21T15:30:08Z",
                "-73.310776,-3.785814",
                "18M",
                "PER",
                "14",
                "Reverse",
                "661,545,477",
                "39.12",
                "77.28",
                "70.44",
                "27.7",
                "GEOEYE01",
            ]
        );
    }

    #[test]
    fn text_is_inverted() {
        let mut again = Metadata::new();
        for field in Field::ALL {
            again
                .set_text(field, &poster().text(field).unwrap())
                .unwrap();
        }
        assert_eq!(again, poster());
        assert_eq!(Metadata::new().text(Field::Gsd), None);
    }

    #[test]
    fn brackets_blanks_and_exponents() {
        let mut record = Metadata::new();
        for text in [
            "11.5, 9.25",
            "(11.5, 9.25)",
            " [ 11.5 ,9.25 ] ",
            "1.15e1,9.25E+0",
        ] {
            record.set_text(Field::Gsd, text).unwrap();
            assert_eq!(record.gsd(), Some((11.5, 9.25).into()));
        }
        record.set_text(Field::PixelSize, "1.03e-04").unwrap();
        assert_eq!(record.pixel_size(), Some(1.03e-4.into()));
    }

    #[test]
    fn bad_text_is_refused() {
        let bad = [
            (Field::Gsd, ""),
            (Field::Gsd, "1,2,3"),
            (Field::Gsd, "(1, 2"),
            (Field::Gsd, "(1, 2]"),
            (Field::Gsd, "1;2"),
            (Field::Gsd, "1,"),
            (Field::Gsd, "NaN"),
            (Field::Location, "1"),
            (Field::Location, "1,2,3"),
            (Field::Wavelengths, "[]"),
            (Field::CloudCover, "14%"),
            (Field::SunElevationAngle, "inf"),
            (Field::SensorPlatform, "  "),
            (Field::CloudCover, "１４"),
            (Field::UtmZone, "18"),
        ];
        for (field, text) in bad {
            let mut record = Metadata::new();
            let error = record.set_text(field, text).unwrap_err().to_string();
            assert!(error.contains(field.name()), "{error}");
            assert!(record.is_empty());
        }
        let many = "500,".repeat(1_000_000);
        assert!(Metadata::new().set_text(Field::Wavelengths, &many).is_err());
    }
}
