//! The record of an acquisition.

use super::field::{Field, FieldSet};
use super::place::{CountryCode, Location, UtmZone};
use super::sensor::{PerAxis, ScanDirection};
use super::time::Timestamp;

/// What is known of an acquisition: the paper's 15 fields, each of which may be missing.
///
/// Every value is checked when it is set, so a record never holds a NaN, an angle out of range
/// or an unknown country. Missing is a state of its own, never a 0 or an empty string.
///
/// | field | values |
/// |---|---|
/// | `gsd` | 0.0001 to 10,000 m per pixel on each axis |
/// | `multispectral_gsd` | 0.0001 to 10,000 m |
/// | `pixel_size` | 1e-10 to 10 degrees on each axis |
/// | `timestamp` | years 1940 to 2100, UTC |
/// | `location` | longitude -180 to 180, latitude -90 to 90, WGS84 |
/// | `utm_zone` | 1 to 60 with a band C to X |
/// | `country_code` | ISO 3166-1 alpha-3 |
/// | `cloud_cover` | 0 to 100 percent |
/// | `scan_direction` | `Forward` or `Reverse` |
/// | `wavelengths` | 1 to 16 values of 100 to 100,000 nm |
/// | `target_azimuth_angle`, `sun_azimuth_angle` | 0 to 360 degrees, 360 is kept as 0 |
/// | `sun_elevation_angle` | -90 to 90 degrees |
/// | `off_nadir_angle` | 0 to 90 degrees |
/// | `sensor_platform` | 1 to 64 printable ASCII characters, kept in upper case |
///
/// As JSON it is an object of the fields that are present; which of them were derived is not
/// part of it. Equality looks at both.
///
/// ```
/// use satmip::{FieldSet, Metadata};
/// let record = Metadata::new().with_gsd(0.5)?.with_location(-73.31, -3.79)?;
/// let all = record.derive_missing(); // what follows from it
/// assert_eq!(all.country_code().map(|code| code.to_string()).as_deref(), Some("PER"));
/// assert_eq!(record.caption(FieldSet::ALL), "GSD: (0.50, 0.50); Location: (-73.3100, -3.7900)");
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    pub(super) gsd: Option<PerAxis>,
    pub(super) multispectral_gsd: Option<f64>,
    pub(super) pixel_size: Option<PerAxis>,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) location: Option<Location>,
    pub(super) utm_zone: Option<UtmZone>,
    pub(super) country_code: Option<CountryCode>,
    pub(super) cloud_cover: Option<f64>,
    pub(super) scan_direction: Option<ScanDirection>,
    pub(super) wavelengths: Option<Vec<f64>>,
    pub(super) target_azimuth_angle: Option<f64>,
    pub(super) sun_azimuth_angle: Option<f64>,
    pub(super) sun_elevation_angle: Option<f64>,
    pub(super) off_nadir_angle: Option<f64>,
    pub(super) sensor_platform: Option<String>,
    pub(super) derived: FieldSet,
}

impl Metadata {
    /// A record of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ground sample distance of the picture as it is, metres per pixel on each axis.
    pub fn gsd(&self) -> Option<PerAxis> {
        self.gsd
    }

    /// Ground sample distance of the multispectral bands, metres.
    pub fn multispectral_gsd(&self) -> Option<f64> {
        self.multispectral_gsd
    }

    /// Size of a pixel in degrees of longitude and latitude.
    pub fn pixel_size(&self) -> Option<PerAxis> {
        self.pixel_size
    }

    /// When the picture was taken, UTC.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The picture's centre.
    pub fn location(&self) -> Option<Location> {
        self.location
    }

    /// UTM zone and latitude band.
    pub fn utm_zone(&self) -> Option<UtmZone> {
        self.utm_zone
    }

    /// The country.
    pub fn country_code(&self) -> Option<CountryCode> {
        self.country_code
    }

    /// Cloud cover, 0 to 100 percent.
    pub fn cloud_cover(&self) -> Option<f64> {
        self.cloud_cover
    }

    /// Direction in which the sensor scanned.
    pub fn scan_direction(&self) -> Option<ScanDirection> {
        self.scan_direction
    }

    /// Centre wavelengths of the bands shown, nanometres, in the order of the picture's channels.
    pub fn wavelengths(&self) -> Option<&[f64]> {
        self.wavelengths.as_deref()
    }

    /// Azimuth from the target to the sensor, degrees clockwise from north, 0 to below 360.
    pub fn target_azimuth_angle(&self) -> Option<f64> {
        self.target_azimuth_angle
    }

    /// Azimuth of the sun, degrees clockwise from north, 0 to below 360.
    pub fn sun_azimuth_angle(&self) -> Option<f64> {
        self.sun_azimuth_angle
    }

    /// Elevation of the sun above the horizon, degrees.
    pub fn sun_elevation_angle(&self) -> Option<f64> {
        self.sun_elevation_angle
    }

    /// Angle between nadir and the line of sight, degrees.
    pub fn off_nadir_angle(&self) -> Option<f64> {
        self.off_nadir_angle
    }

    /// Name of the satellite or sensor, in upper case.
    pub fn sensor_platform(&self) -> Option<&str> {
        self.sensor_platform.as_deref()
    }

    /// Whether the field is known.
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Gsd => self.gsd.is_some(),
            Field::MultispectralGsd => self.multispectral_gsd.is_some(),
            Field::PixelSize => self.pixel_size.is_some(),
            Field::Timestamp => self.timestamp.is_some(),
            Field::Location => self.location.is_some(),
            Field::UtmZone => self.utm_zone.is_some(),
            Field::CountryCode => self.country_code.is_some(),
            Field::CloudCover => self.cloud_cover.is_some(),
            Field::ScanDirection => self.scan_direction.is_some(),
            Field::Wavelengths => self.wavelengths.is_some(),
            Field::TargetAzimuthAngle => self.target_azimuth_angle.is_some(),
            Field::SunAzimuthAngle => self.sun_azimuth_angle.is_some(),
            Field::SunElevationAngle => self.sun_elevation_angle.is_some(),
            Field::OffNadirAngle => self.off_nadir_angle.is_some(),
            Field::SensorPlatform => self.sensor_platform.is_some(),
        }
    }

    /// The fields that are known.
    pub fn fields(&self) -> FieldSet {
        Field::ALL.into_iter().filter(|f| self.has(*f)).collect()
    }

    /// The fields among them that [`Metadata::derive_missing`] filled.
    pub fn derived(&self) -> FieldSet {
        self.derived
    }

    /// Whether no field is known.
    pub fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// Makes the field missing.
    pub fn remove(&mut self, field: Field) {
        match field {
            Field::Gsd => self.gsd = None,
            Field::MultispectralGsd => self.multispectral_gsd = None,
            Field::PixelSize => self.pixel_size = None,
            Field::Timestamp => self.timestamp = None,
            Field::Location => self.location = None,
            Field::UtmZone => self.utm_zone = None,
            Field::CountryCode => self.country_code = None,
            Field::CloudCover => self.cloud_cover = None,
            Field::ScanDirection => self.scan_direction = None,
            Field::Wavelengths => self.wavelengths = None,
            Field::TargetAzimuthAngle => self.target_azimuth_angle = None,
            Field::SunAzimuthAngle => self.sun_azimuth_angle = None,
            Field::SunElevationAngle => self.sun_elevation_angle = None,
            Field::OffNadirAngle => self.off_nadir_angle = None,
            Field::SensorPlatform => self.sensor_platform = None,
        }
        self.derived.remove(field);
    }

    /// The record with these fields alone.
    pub fn only(&self, fields: FieldSet) -> Metadata {
        let mut kept = self.clone();
        for field in FieldSet::ALL.difference(fields).iter() {
            kept.remove(field);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_and_go() {
        let mut record = Metadata::new();
        assert!(record.is_empty());
        record.set_gsd(0.5).unwrap();
        record.set_cloud_cover(0.0).unwrap();
        assert_eq!(
            record.fields(),
            FieldSet::of(&[Field::Gsd, Field::CloudCover])
        );
        assert_eq!(
            record.only(FieldSet::GSD),
            Metadata::new().with_gsd(0.5).unwrap()
        );
        record.remove(Field::Gsd);
        record.remove(Field::CloudCover);
        assert_eq!(record, Metadata::new());
    }

    #[test]
    fn every_field_can_be_removed_alone() {
        let all = super::super::caption::poster();
        assert_eq!(all.fields(), FieldSet::ALL);
        for field in Field::ALL {
            let mut rest = all.clone();
            rest.remove(field);
            let expected = FieldSet::ALL.difference(FieldSet::of(&[field]));
            assert_eq!(rest.fields(), expected);
            assert_eq!(all.only(FieldSet::of(&[field])).fields().len(), 1);
        }
    }
}
