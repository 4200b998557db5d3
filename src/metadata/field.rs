//! The 15 fields of the paper, and sets of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One of the paper's 15 fields, in the paper's order.
///
/// ```
/// use satmip::Field;
/// let field: Field = "sun_elevation_angle".parse()?;
/// assert_eq!((field, field.label()), (Field::SunElevationAngle, "Sun elevation angle"));
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Ground sample distance of the picture as it is, metres per pixel on each axis.
    Gsd,
    /// Ground sample distance of the multispectral bands, metres.
    MultispectralGsd,
    /// Size of a pixel in degrees of longitude and latitude.
    PixelSize,
    /// When it was taken, UTC.
    Timestamp,
    /// Longitude and latitude of the centre, degrees, WGS84.
    Location,
    /// UTM zone and latitude band, for example `18M`.
    UtmZone,
    /// ISO 3166-1 alpha-3 code of the country.
    CountryCode,
    /// Cloud cover in percent.
    CloudCover,
    /// Direction in which the sensor scanned.
    ScanDirection,
    /// Centre wavelengths of the bands shown, nanometres.
    Wavelengths,
    /// Azimuth from the target to the sensor, degrees clockwise from north.
    TargetAzimuthAngle,
    /// Azimuth of the sun, degrees clockwise from north.
    SunAzimuthAngle,
    /// Elevation of the sun above the horizon, degrees.
    SunElevationAngle,
    /// Angle between nadir and the line of sight, degrees.
    OffNadirAngle,
    /// Name of the satellite or sensor.
    SensorPlatform,
}

impl Field {
    /// All fields in canonical order.
    pub const ALL: [Field; 15] = [
        Field::Gsd,
        Field::MultispectralGsd,
        Field::PixelSize,
        Field::Timestamp,
        Field::Location,
        Field::UtmZone,
        Field::CountryCode,
        Field::CloudCover,
        Field::ScanDirection,
        Field::Wavelengths,
        Field::TargetAzimuthAngle,
        Field::SunAzimuthAngle,
        Field::SunElevationAngle,
        Field::OffNadirAngle,
        Field::SensorPlatform,
    ];

    /// The name in files and tables, for example `sun_elevation_angle`.
    pub fn name(self) -> &'static str {
        match self {
            Field::Gsd => "gsd",
            Field::MultispectralGsd => "multispectral_gsd",
            Field::PixelSize => "pixel_size",
            Field::Timestamp => "timestamp",
            Field::Location => "location",
            Field::UtmZone => "utm_zone",
            Field::CountryCode => "country_code",
            Field::CloudCover => "cloud_cover",
            Field::ScanDirection => "scan_direction",
            Field::Wavelengths => "wavelengths",
            Field::TargetAzimuthAngle => "target_azimuth_angle",
            Field::SunAzimuthAngle => "sun_azimuth_angle",
            Field::SunElevationAngle => "sun_elevation_angle",
            Field::OffNadirAngle => "off_nadir_angle",
            Field::SensorPlatform => "sensor_platform",
        }
    }

    /// The label in captions, for example `Sun elevation angle`.
    pub fn label(self) -> &'static str {
        match self {
            Field::Gsd => "GSD",
            Field::MultispectralGsd => "Multispectral GSD",
            Field::PixelSize => "Pixel size",
            Field::Timestamp => "Timestamp",
            Field::Location => "Location",
            Field::UtmZone => "UTM zone",
            Field::CountryCode => "Country code",
            Field::CloudCover => "Cloud cover",
            Field::ScanDirection => "Scan direction",
            Field::Wavelengths => "Wavelengths",
            Field::TargetAzimuthAngle => "Target azimuth angle",
            Field::SunAzimuthAngle => "Sun azimuth angle",
            Field::SunElevationAngle => "Sun elevation angle",
            Field::OffNadirAngle => "Off-nadir angle",
            Field::SensorPlatform => "Sensor platform",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Field::ALL
            .into_iter()
            .find(|field| field.name() == text)
            .ok_or_else(|| Error::field("field", text, "no field has this name"))
    }
}

/// A set of fields, always in canonical order.
///
/// ```
/// use satmip::{Field, FieldSet};
/// let known = FieldSet::of(&[Field::Location, Field::Gsd]);
/// assert!(known.contains(Field::Gsd) && FieldSet::ALL.contains(Field::Timestamp));
/// assert_eq!(known.iter().next(), Some(Field::Gsd));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FieldSet(u16);

impl FieldSet {
    /// No field.
    pub const NONE: FieldSet = FieldSet(0);
    /// All 15 fields.
    pub const ALL: FieldSet = FieldSet((1 << 15) - 1);

    /// The paper's group "GSD".
    pub const GSD: FieldSet = FieldSet::of(&[Field::Gsd]);
    /// The paper's group "time".
    pub const TIME: FieldSet = FieldSet::of(&[Field::Timestamp]);
    /// The paper's group "location".
    pub const LOCATION: FieldSet = FieldSet::of(&[Field::Location]);
    /// The paper's group "angles".
    pub const ANGLES: FieldSet = FieldSet::of(&[
        Field::TargetAzimuthAngle,
        Field::SunAzimuthAngle,
        Field::SunElevationAngle,
        Field::OffNadirAngle,
    ]);
    /// The paper's group "GSD + time + location".
    pub const GSD_TIME_LOCATION: FieldSet =
        FieldSet::of(&[Field::Gsd, Field::Timestamp, Field::Location]);

    /// The set of these fields.
    pub const fn of(fields: &[Field]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < fields.len() {
            bits |= 1 << fields[i] as u16;
            i += 1;
        }
        FieldSet(bits)
    }

    /// Whether the set has the field.
    pub fn contains(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Adds a field.
    pub fn insert(&mut self, field: Field) {
        self.0 |= field.bit();
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: Field) {
        self.0 &= !field.bit();
    }

    /// Fields of either set.
    pub fn union(self, other: Self) -> Self {
        FieldSet(self.0 | other.0)
    }

    /// Fields of both sets.
    pub fn intersection(self, other: Self) -> Self {
        FieldSet(self.0 & other.0)
    }

    /// Fields of this set that the other lacks.
    pub fn difference(self, other: Self) -> Self {
        FieldSet(self.0 & !other.0)
    }

    /// Whether there is no field.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Number of fields.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The fields in canonical order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        let mut set = FieldSet::NONE;
        fields.into_iter().for_each(|field| set.insert(field));
        set
    }
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.iter().enumerate() {
            write!(f, "{}{field}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for FieldSet {
    type Err = Error;

    /// Names separated by commas, or a group: `all`, `gsd`, `time`, `location`, `angles`.
    fn from_str(text: &str) -> Result<Self> {
        let mut set = FieldSet::NONE;
        for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            set = set.union(match name {
                "all" => FieldSet::ALL,
                "time" => FieldSet::TIME,
                "angles" => FieldSet::ANGLES,
                name => FieldSet::of(&[name.parse()?]),
            });
        }
        Ok(set)
    }
}

impl Serialize for FieldSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for FieldSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Field>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
