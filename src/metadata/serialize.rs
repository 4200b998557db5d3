//! The record as JSON.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::place::{CountryCode, Location, UtmZone};
use super::record::Metadata;
use super::sensor::{PerAxis, ScanDirection};
use super::time::Timestamp;
use crate::error::Result;

/// The JSON form. Unknown names are refused, so that a misspelt field is not a missing one.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    gsd: Option<PerAxis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multispectral_gsd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_size: Option<PerAxis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    utm_zone: Option<UtmZone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<CountryCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_cover: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scan_direction: Option<ScanDirection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wavelengths: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_azimuth_angle: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sun_azimuth_angle: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sun_elevation_angle: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    off_nadir_angle: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sensor_platform: Option<String>,
}

/// One number for both axes, or one for each.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or [x, y]")]
enum Axes {
    Both(f64),
    Each([f64; 2]),
}

/// One number where both axes have the same, else `[x, y]`.
impl Serialize for PerAxis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Axes::from(*self).serialize(serializer)
    }
}

/// One number for both axes, or `[x, y]`.
impl<'de> Deserialize<'de> for PerAxis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Axes::deserialize(deserializer).map(PerAxis::from)
    }
}

/// `[longitude, latitude]`, as in GeoJSON.
impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.lon(), self.lat()].serialize(serializer)
    }
}

/// `[longitude, latitude]` in their ranges.
impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [lon, lat] = <[f64; 2]>::deserialize(deserializer)?;
        Location::new(lon, lat).map_err(serde::de::Error::custom)
    }
}

/// Types whose JSON is their text.
macro_rules! as_text {
    ($($name:ident)*) => {$(
        /// As the text of its [`Display`](fmt::Display).
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        /// From any text that can be parsed.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text! { Timestamp UtmZone CountryCode ScanDirection }

impl From<PerAxis> for Axes {
    fn from(v: PerAxis) -> Self {
        match v.x == v.y {
            true => Axes::Both(v.x),
            false => Axes::Each([v.x, v.y]),
        }
    }
}

impl From<Axes> for PerAxis {
    fn from(v: Axes) -> Self {
        match v {
            Axes::Both(both) => both.into(),
            Axes::Each([x, y]) => PerAxis { x, y },
        }
    }
}

impl From<&Metadata> for Document {
    fn from(m: &Metadata) -> Self {
        Document {
            gsd: m.gsd,
            multispectral_gsd: m.multispectral_gsd,
            pixel_size: m.pixel_size,
            timestamp: m.timestamp,
            location: m.location,
            utm_zone: m.utm_zone,
            country_code: m.country_code,
            cloud_cover: m.cloud_cover,
            scan_direction: m.scan_direction,
            wavelengths: m.wavelengths.clone(),
            target_azimuth_angle: m.target_azimuth_angle,
            sun_azimuth_angle: m.sun_azimuth_angle,
            sun_elevation_angle: m.sun_elevation_angle,
            off_nadir_angle: m.off_nadir_angle,
            sensor_platform: m.sensor_platform.clone(),
        }
    }
}

impl TryFrom<Document> for Metadata {
    type Error = crate::Error;

    fn try_from(d: Document) -> Result<Self> {
        let mut m = Metadata {
            timestamp: d.timestamp,
            location: d.location,
            utm_zone: d.utm_zone,
            country_code: d.country_code,
            scan_direction: d.scan_direction,
            ..Metadata::new()
        };
        d.gsd.map(|v| m.set_gsd(v)).transpose()?;
        d.multispectral_gsd
            .map(|v| m.set_multispectral_gsd(v))
            .transpose()?;
        d.pixel_size.map(|v| m.set_pixel_size(v)).transpose()?;
        d.cloud_cover.map(|v| m.set_cloud_cover(v)).transpose()?;
        d.wavelengths.map(|v| m.set_wavelengths(&v)).transpose()?;
        d.target_azimuth_angle
            .map(|v| m.set_target_azimuth_angle(v))
            .transpose()?;
        d.sun_azimuth_angle
            .map(|v| m.set_sun_azimuth_angle(v))
            .transpose()?;
        d.sun_elevation_angle
            .map(|v| m.set_sun_elevation_angle(v))
            .transpose()?;
        d.off_nadir_angle
            .map(|v| m.set_off_nadir_angle(v))
            .transpose()?;
        d.sensor_platform
            .map(|v| m.set_sensor_platform(&v))
            .transpose()?;
        Ok(m)
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Takes objects alone: a derived struct would take a list of 15 values as well.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metadata fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Metadata, A::Error> {
        let document = Document::deserialize(MapAccessDeserializer::new(map))?;
        Metadata::try_from(document).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::caption::poster;
    use super::*;
    use serde_json::json;

    #[test]
    fn json_of_the_poster() {
        let value = serde_json::to_value(poster()).unwrap();
        assert_eq!(
            value,
            json!({
                "gsd": [11.4546, 9.1344],
                "multispectral_gsd": 41.1896,
                "pixel_size": [1.03e-4, 8.23e-5],
                "timestamp": "2015-09-21T15:30:08Z",
                "location": [-73.310776, -3.785814],
                "utm_zone": "18M",
                "country_code": "PER",
                "cloud_cover": 14.0,
                "scan_direction": "Reverse",
                "wavelengths": [661.0, 545.0, 477.0],
                "target_azimuth_angle": 39.12,
                "sun_azimuth_angle": 77.28,
                "sun_elevation_angle": 70.44,
                "off_nadir_angle": 27.7,
                "sensor_platform": "GEOEYE01",
            })
        );
        assert_eq!(serde_json::from_value::<Metadata>(value).unwrap(), poster());
    }

    #[test]
    fn only_what_is_known_is_written() {
        let record = Metadata::new().with_gsd(0.5).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), r#"{"gsd":0.5}"#);
        assert_eq!(serde_json::to_string(&Metadata::new()).unwrap(), "{}");
        let null: Metadata = serde_json::from_str(r#"{"gsd":null}"#).unwrap();
        assert!(null.is_empty());
    }

    #[test]
    fn bad_documents_are_refused() {
        for (text, part) in [
            (r#"{"cloud_cover": 101}"#, "cloud_cover"),
            (r#"{"location": [-3.79, -173.31]}"#, "swapped"),
            (r#"{"gsd": "0.5"}"#, "[x, y]"),
            (r#"{"gsd": [1, 2, 3]}"#, "[x, y]"),
            (r#"{"gsd": 1, "gsd": 2}"#, "duplicate"),
            (r#"{"clouds": 1}"#, "unknown field"),
            (r#"{"timestamp": "2015-09-21T15:30:08"}"#, "offset"),
            ("[1, 2]", "an object"),
            ("3", "an object"),
        ] {
            let error = serde_json::from_str::<Metadata>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
