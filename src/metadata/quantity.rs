//! The numbers of the tabular view, one quantity for each column.

use std::f64::consts::TAU;

use super::field::Field;
use super::record::Metadata;

/// A column of numbers before it is standardised.
pub(super) struct Quantity {
    /// The column's name; begins with the field's name.
    pub(super) name: &'static str,
    pub(super) field: Field,
    /// What a constant column is divided by: a typical spread of the quantity.
    pub(super) spread: f64,
    /// The value; none where the field is missing or does not say (the hour of a day).
    pub(super) value: fn(&Metadata) -> Option<f64>,
}

const fn quantity(
    name: &'static str,
    field: Field,
    spread: f64,
    value: fn(&Metadata) -> Option<f64>,
) -> Quantity {
    Quantity {
        name,
        field,
        spread,
        value,
    }
}

/// All columns of numbers in canonical order.
///
/// Of a location, waves of 1 to 64 periods around the globe: a Transformer's layers are smooth, and tell places a
/// degree apart only where a column does (as Space2Vec, Mai et al. 2020; the wavelengths are our choice).
pub(super) static QUANTITIES: [Quantity; 47] = {
    use Field::*;
    [
        quantity("gsd.x", Gsd, 1.0, |m| Some(m.gsd()?.x.ln())),
        quantity("gsd.y", Gsd, 1.0, |m| Some(m.gsd()?.y.ln())),
        quantity("multispectral_gsd", MultispectralGsd, 1.0, |m| {
            Some(m.multispectral_gsd()?.ln())
        }),
        quantity("pixel_size.x", PixelSize, 1.0, |m| {
            Some(m.pixel_size()?.x.ln())
        }),
        quantity("pixel_size.y", PixelSize, 1.0, |m| {
            Some(m.pixel_size()?.y.ln())
        }),
        quantity("timestamp.year", Timestamp, 5.0, |m| {
            Some(m.timestamp()?.year().into())
        }),
        quantity("timestamp.day_of_year.sin", Timestamp, 1.0, |m| {
            Some(day_phase(m)?.sin())
        }),
        quantity("timestamp.day_of_year.cos", Timestamp, 1.0, |m| {
            Some(day_phase(m)?.cos())
        }),
        quantity("timestamp.hour.sin", Timestamp, 1.0, |m| {
            Some(hour_phase(m)?.sin())
        }),
        quantity("timestamp.hour.cos", Timestamp, 1.0, |m| {
            Some(hour_phase(m)?.cos())
        }),
        quantity("location.longitude.sin", Location, 1.0, |m| {
            Some(m.location()?.lon().to_radians().sin())
        }),
        quantity("location.longitude.cos", Location, 1.0, |m| {
            Some(m.location()?.lon().to_radians().cos())
        }),
        quantity("location.latitude", Location, 30.0, |m| {
            Some(m.location()?.lat())
        }),
        quantity("location.longitude.2.sin", Location, 1.0, |m| {
            Some((2.0 * m.location()?.lon().to_radians()).sin())
        }),
        quantity("location.longitude.2.cos", Location, 1.0, |m| {
            Some((2.0 * m.location()?.lon().to_radians()).cos())
        }),
        quantity("location.longitude.4.sin", Location, 1.0, |m| {
            Some((4.0 * m.location()?.lon().to_radians()).sin())
        }),
        quantity("location.longitude.4.cos", Location, 1.0, |m| {
            Some((4.0 * m.location()?.lon().to_radians()).cos())
        }),
        quantity("location.longitude.8.sin", Location, 1.0, |m| {
            Some((8.0 * m.location()?.lon().to_radians()).sin())
        }),
        quantity("location.longitude.8.cos", Location, 1.0, |m| {
            Some((8.0 * m.location()?.lon().to_radians()).cos())
        }),
        quantity("location.longitude.16.sin", Location, 1.0, |m| {
            Some((16.0 * m.location()?.lon().to_radians()).sin())
        }),
        quantity("location.longitude.16.cos", Location, 1.0, |m| {
            Some((16.0 * m.location()?.lon().to_radians()).cos())
        }),
        quantity("location.longitude.32.sin", Location, 1.0, |m| {
            Some((32.0 * m.location()?.lon().to_radians()).sin())
        }),
        quantity("location.longitude.32.cos", Location, 1.0, |m| {
            Some((32.0 * m.location()?.lon().to_radians()).cos())
        }),
        quantity("location.longitude.64.sin", Location, 1.0, |m| {
            Some((64.0 * m.location()?.lon().to_radians()).sin())
        }),
        quantity("location.longitude.64.cos", Location, 1.0, |m| {
            Some((64.0 * m.location()?.lon().to_radians()).cos())
        }),
        quantity("location.latitude.2.sin", Location, 1.0, |m| {
            Some((2.0 * m.location()?.lat().to_radians()).sin())
        }),
        quantity("location.latitude.2.cos", Location, 1.0, |m| {
            Some((2.0 * m.location()?.lat().to_radians()).cos())
        }),
        quantity("location.latitude.4.sin", Location, 1.0, |m| {
            Some((4.0 * m.location()?.lat().to_radians()).sin())
        }),
        quantity("location.latitude.4.cos", Location, 1.0, |m| {
            Some((4.0 * m.location()?.lat().to_radians()).cos())
        }),
        quantity("location.latitude.8.sin", Location, 1.0, |m| {
            Some((8.0 * m.location()?.lat().to_radians()).sin())
        }),
        quantity("location.latitude.8.cos", Location, 1.0, |m| {
            Some((8.0 * m.location()?.lat().to_radians()).cos())
        }),
        quantity("location.latitude.16.sin", Location, 1.0, |m| {
            Some((16.0 * m.location()?.lat().to_radians()).sin())
        }),
        quantity("location.latitude.16.cos", Location, 1.0, |m| {
            Some((16.0 * m.location()?.lat().to_radians()).cos())
        }),
        quantity("location.latitude.32.sin", Location, 1.0, |m| {
            Some((32.0 * m.location()?.lat().to_radians()).sin())
        }),
        quantity("location.latitude.32.cos", Location, 1.0, |m| {
            Some((32.0 * m.location()?.lat().to_radians()).cos())
        }),
        quantity("location.latitude.64.sin", Location, 1.0, |m| {
            Some((64.0 * m.location()?.lat().to_radians()).sin())
        }),
        quantity("location.latitude.64.cos", Location, 1.0, |m| {
            Some((64.0 * m.location()?.lat().to_radians()).cos())
        }),
        quantity("cloud_cover", CloudCover, 30.0, Metadata::cloud_cover),
        quantity("wavelengths.0", Wavelengths, 500.0, |m| wavelength(m, 0)),
        quantity("wavelengths.1", Wavelengths, 500.0, |m| wavelength(m, 1)),
        quantity("wavelengths.2", Wavelengths, 500.0, |m| wavelength(m, 2)),
        quantity("target_azimuth_angle.sin", TargetAzimuthAngle, 1.0, |m| {
            Some(m.target_azimuth_angle()?.to_radians().sin())
        }),
        quantity("target_azimuth_angle.cos", TargetAzimuthAngle, 1.0, |m| {
            Some(m.target_azimuth_angle()?.to_radians().cos())
        }),
        quantity("sun_azimuth_angle.sin", SunAzimuthAngle, 1.0, |m| {
            Some(m.sun_azimuth_angle()?.to_radians().sin())
        }),
        quantity("sun_azimuth_angle.cos", SunAzimuthAngle, 1.0, |m| {
            Some(m.sun_azimuth_angle()?.to_radians().cos())
        }),
        quantity(
            "sun_elevation_angle",
            SunElevationAngle,
            30.0,
            Metadata::sun_elevation_angle,
        ),
        quantity(
            "off_nadir_angle",
            OffNadirAngle,
            15.0,
            Metadata::off_nadir_angle,
        ),
    ]
};

/// Fields that are a column of categories, named as the field.
pub(super) fn is_category(field: Field) -> bool {
    matches!(
        field,
        Field::UtmZone | Field::CountryCode | Field::ScanDirection | Field::SensorPlatform
    )
}

fn day_phase(m: &Metadata) -> Option<f64> {
    let time = m.timestamp()?;
    Some(TAU * f64::from(time.day_of_year() - 1) / f64::from(time.days_in_year()))
}

fn hour_phase(m: &Metadata) -> Option<f64> {
    Some(TAU * m.timestamp()?.hour_of_day()? / 24.0)
}

fn wavelength(m: &Metadata, i: usize) -> Option<f64> {
    Some(m.wavelengths()?.get(i).copied().unwrap_or(0.0))
}
