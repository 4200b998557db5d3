//! Setting fields, with every value checked.

use std::ops::RangeInclusive;

use super::field::Field;
use super::place::Location;
use super::record::Metadata;
use super::sensor::{PerAxis, platform};
use super::time::Timestamp;
use crate::error::{Error, Result};

/// Metres per pixel that are taken; the lower end (our choice) keeps captions short.
const METRES: RangeInclusive<f64> = 1e-4..=1e4;
/// Degrees per pixel that are taken, wider than what [`METRES`] give at the equator.
const DEGREES: RangeInclusive<f64> = 1e-10..=10.0;
const PERCENT: RangeInclusive<f64> = 0.0..=100.0;
const NANOMETRES: RangeInclusive<f64> = 100.0..=100_000.0;
const MOST_WAVELENGTHS: usize = 16;

impl Metadata {
    fn given(&mut self, field: Field) {
        self.derived.remove(field);
    }

    /// Says that the field's value follows from others, as [`Metadata::derived`] tells.
    pub(crate) fn mark_derived(&mut self, field: Field) {
        self.derived.insert(field);
    }

    /// Sets the ground sample distance, metres per pixel: one number or one for each axis.
    pub fn set_gsd(&mut self, metres: impl Into<PerAxis>) -> Result<()> {
        self.gsd = Some(both(Field::Gsd, metres.into(), METRES, "m")?);
        self.given(Field::Gsd);
        Ok(())
    }

    /// Sets the ground sample distance of the multispectral bands, metres.
    pub fn set_multispectral_gsd(&mut self, metres: f64) -> Result<()> {
        let field = Field::MultispectralGsd;
        self.multispectral_gsd = Some(within(field, metres, METRES, "m")?);
        self.given(field);
        Ok(())
    }

    /// Sets the size of a pixel, degrees: one number or one for each axis.
    pub fn set_pixel_size(&mut self, degrees: impl Into<PerAxis>) -> Result<()> {
        let field = Field::PixelSize;
        self.pixel_size = Some(both(field, degrees.into(), DEGREES, "degrees")?);
        self.given(field);
        Ok(())
    }

    /// Sets the time, `YYYY-MM-DD` or RFC 3339.
    pub fn set_timestamp(&mut self, time: &str) -> Result<()> {
        self.set_time(time.parse()?);
        Ok(())
    }

    /// Sets the time.
    pub fn set_time(&mut self, time: Timestamp) {
        self.timestamp = Some(time);
        self.given(Field::Timestamp);
    }

    /// Sets the place of the picture's centre, degrees on WGS84, longitude first.
    pub fn set_location(&mut self, lon: f64, lat: f64) -> Result<()> {
        self.location = Some(Location::new(lon, lat)?);
        self.given(Field::Location);
        Ok(())
    }

    /// Sets the UTM zone, for example `18M`.
    pub fn set_utm_zone(&mut self, zone: &str) -> Result<()> {
        self.utm_zone = Some(zone.parse()?);
        self.given(Field::UtmZone);
        Ok(())
    }

    /// Sets the country, an ISO 3166-1 alpha-3 code.
    pub fn set_country_code(&mut self, code: &str) -> Result<()> {
        self.country_code = Some(code.parse()?);
        self.given(Field::CountryCode);
        Ok(())
    }

    /// Sets the cloud cover, 0 to 100 percent.
    pub fn set_cloud_cover(&mut self, percent: f64) -> Result<()> {
        self.cloud_cover = Some(within(Field::CloudCover, percent, PERCENT, "percent")?);
        self.given(Field::CloudCover);
        Ok(())
    }

    /// Sets the scan direction, `Forward` or `Reverse`.
    pub fn set_scan_direction(&mut self, direction: &str) -> Result<()> {
        self.scan_direction = Some(direction.parse()?);
        self.given(Field::ScanDirection);
        Ok(())
    }

    /// Sets the centre wavelengths of the bands shown, 1 to 16 values in nanometres.
    pub fn set_wavelengths(&mut self, nanometres: &[f64]) -> Result<()> {
        let field = Field::Wavelengths;
        if !(1..=MOST_WAVELENGTHS).contains(&nanometres.len()) {
            let count = format!("{} values", nanometres.len());
            return Err(Error::field(field.name(), count, "expected 1 to 16 values"));
        }
        let checked = nanometres
            .iter()
            .map(|v| within(field, *v, NANOMETRES, "nm"));
        self.wavelengths = Some(checked.collect::<Result<_>>()?);
        self.given(field);
        Ok(())
    }

    /// Sets the azimuth from the target to the sensor, 0 to 360 degrees.
    pub fn set_target_azimuth_angle(&mut self, degrees: f64) -> Result<()> {
        let field = Field::TargetAzimuthAngle;
        self.target_azimuth_angle = Some(azimuth(field, degrees)?);
        self.given(field);
        Ok(())
    }

    /// Sets the azimuth of the sun, 0 to 360 degrees.
    pub fn set_sun_azimuth_angle(&mut self, degrees: f64) -> Result<()> {
        let field = Field::SunAzimuthAngle;
        self.sun_azimuth_angle = Some(azimuth(field, degrees)?);
        self.given(field);
        Ok(())
    }

    /// Sets the elevation of the sun, -90 to 90 degrees.
    pub fn set_sun_elevation_angle(&mut self, degrees: f64) -> Result<()> {
        let field = Field::SunElevationAngle;
        self.sun_elevation_angle = Some(within(field, degrees, -90.0..=90.0, "degrees")?);
        self.given(field);
        Ok(())
    }

    /// Sets the angle between nadir and the line of sight, 0 to 90 degrees.
    pub fn set_off_nadir_angle(&mut self, degrees: f64) -> Result<()> {
        let field = Field::OffNadirAngle;
        self.off_nadir_angle = Some(within(field, degrees, 0.0..=90.0, "degrees")?);
        self.given(field);
        Ok(())
    }

    /// Sets the name of the satellite or sensor; it is trimmed and kept in upper case.
    pub fn set_sensor_platform(&mut self, name: &str) -> Result<()> {
        self.sensor_platform = Some(platform(name)?);
        self.given(Field::SensorPlatform);
        Ok(())
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $with:ident($($arg:ident: $kind:ty),+) $set:ident)+) => {
        /// The setters in their chaining form.
        impl Metadata {
            $(
                $(#[$doc])*
                pub fn $with(mut self, $($arg: $kind),+) -> Result<Self> {
                    self.$set($($arg),+)?;
                    Ok(self)
                }
            )+
        }
    };
}

with! {
    /// With [`set_gsd`](Metadata::set_gsd).
    with_gsd(metres: impl Into<PerAxis>) set_gsd
    /// With [`set_multispectral_gsd`](Metadata::set_multispectral_gsd).
    with_multispectral_gsd(metres: f64) set_multispectral_gsd
    /// With [`set_pixel_size`](Metadata::set_pixel_size).
    with_pixel_size(degrees: impl Into<PerAxis>) set_pixel_size
    /// With [`set_timestamp`](Metadata::set_timestamp).
    with_timestamp(time: &str) set_timestamp
    /// With [`set_location`](Metadata::set_location).
    with_location(lon: f64, lat: f64) set_location
    /// With [`set_utm_zone`](Metadata::set_utm_zone).
    with_utm_zone(zone: &str) set_utm_zone
    /// With [`set_country_code`](Metadata::set_country_code).
    with_country_code(code: &str) set_country_code
    /// With [`set_cloud_cover`](Metadata::set_cloud_cover).
    with_cloud_cover(percent: f64) set_cloud_cover
    /// With [`set_scan_direction`](Metadata::set_scan_direction).
    with_scan_direction(direction: &str) set_scan_direction
    /// With [`set_wavelengths`](Metadata::set_wavelengths).
    with_wavelengths(nanometres: &[f64]) set_wavelengths
    /// With [`set_target_azimuth_angle`](Metadata::set_target_azimuth_angle).
    with_target_azimuth_angle(degrees: f64) set_target_azimuth_angle
    /// With [`set_sun_azimuth_angle`](Metadata::set_sun_azimuth_angle).
    with_sun_azimuth_angle(degrees: f64) set_sun_azimuth_angle
    /// With [`set_sun_elevation_angle`](Metadata::set_sun_elevation_angle).
    with_sun_elevation_angle(degrees: f64) set_sun_elevation_angle
    /// With [`set_off_nadir_angle`](Metadata::set_off_nadir_angle).
    with_off_nadir_angle(degrees: f64) set_off_nadir_angle
    /// With [`set_sensor_platform`](Metadata::set_sensor_platform).
    with_sensor_platform(name: &str) set_sensor_platform
}

/// The value where it lies in the range, -0 turned into 0 so that equal values print alike.
fn within(field: Field, value: f64, range: RangeInclusive<f64>, unit: &str) -> Result<f64> {
    if !value.is_finite() {
        return Err(Error::field(field.name(), value, "is not finite"));
    }
    if !range.contains(&value) {
        let (low, high) = (range.start(), range.end());
        let reason = format!("is outside {low} to {high} {unit}");
        return Err(Error::field(field.name(), value, reason));
    }
    Ok(value + 0.0)
}

fn both(field: Field, v: PerAxis, range: RangeInclusive<f64>, unit: &str) -> Result<PerAxis> {
    Ok(PerAxis {
        x: within(field, v.x, range.clone(), unit)?,
        y: within(field, v.y, range, unit)?,
    })
}

fn azimuth(field: Field, degrees: f64) -> Result<f64> {
    let degrees = within(field, degrees, 0.0..=360.0, "degrees")?;
    Ok(if degrees == 360.0 { 0.0 } else { degrees })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each field of one number: its setter, the ends of its range, and values outside.
    type Setter = fn(&mut Metadata, f64) -> Result<()>;
    const NUMBERS: [(Setter, [f64; 2], [f64; 2]); 9] = [
        (|m, v| m.set_gsd(v), [1e-4, 1e4], [0.0, 10_000.1]),
        (|m, v| m.set_gsd((1.0, v)), [1e-4, 1e4], [-1.0, 10_000.1]),
        (
            Metadata::set_multispectral_gsd,
            [1e-4, 1e4],
            [0.0, 10_000.1],
        ),
        (|m, v| m.set_pixel_size(v), [1e-10, 10.0], [0.0, 10.1]),
        (Metadata::set_cloud_cover, [0.0, 100.0], [-0.1, 100.1]),
        (
            |m, v| m.set_wavelengths(&[500.0, v]),
            [100.0, 1e5],
            [99.9, 100_001.0],
        ),
        (
            Metadata::set_target_azimuth_angle,
            [0.0, 360.0],
            [-0.1, 360.1],
        ),
        (
            Metadata::set_sun_elevation_angle,
            [-90.0, 90.0],
            [-90.1, 90.1],
        ),
        (Metadata::set_off_nadir_angle, [0.0, 90.0], [-0.1, 90.1]),
    ];

    #[test]
    fn ends_of_ranges() {
        for (i, (set, inside, outside)) in NUMBERS.iter().enumerate() {
            for value in inside {
                set(&mut Metadata::new(), *value).unwrap();
            }
            for value in outside
                .iter()
                .chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
            {
                let mut record = Metadata::new();
                assert!(set(&mut record, *value).is_err(), "setter {i}: {value}");
                assert!(record.is_empty());
            }
        }
    }

    #[test]
    fn a_refused_value_leaves_the_old_one() {
        let mut record = Metadata::new().with_gsd(2.0).unwrap();
        assert!(record.set_gsd((1.0, f64::NAN)).is_err());
        assert_eq!(record.gsd(), Some(PerAxis { x: 2.0, y: 2.0 }));
    }

    #[test]
    fn messages_name_field_value_and_range() {
        let error = Metadata::new().with_cloud_cover(101.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`101` is no valid `cloud_cover`: is outside 0 to 100 percent"
        );
    }

    #[test]
    fn values_are_normalised() {
        let record = Metadata::new()
            .with_sun_azimuth_angle(360.0)
            .unwrap()
            .with_sun_elevation_angle(-0.0)
            .unwrap()
            .with_sensor_platform(" worldview02 ")
            .unwrap();
        assert_eq!(record.sun_azimuth_angle(), Some(0.0));
        assert!(record.sun_elevation_angle().unwrap().is_sign_positive());
        assert_eq!(record.sensor_platform(), Some("WORLDVIEW02"));
    }

    #[test]
    fn wavelengths_are_counted() {
        assert!(Metadata::new().with_wavelengths(&[]).is_err());
        assert!(Metadata::new().with_wavelengths(&[500.0; 16]).is_ok());
        assert!(Metadata::new().with_wavelengths(&[500.0; 17]).is_err());
    }
}
