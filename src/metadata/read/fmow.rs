//! Records of Functional Map of the World (fMoW), the JSON file beside each picture.
//!
//! | key | field |
//! |---|---|
//! | `gsd`, else `pan_resolution_dbl` | gsd |
//! | `multi_resolution_dbl` | multispectral_gsd |
//! | `mean_pixel_width`, `mean_pixel_height` | pixel_size |
//! | `timestamp` | timestamp |
//! | `geometry`, `raw_location`, `coordinates`, or the `raw_location` of the first bounding box | location (the centre) |
//! | `utm`, `country_code`, `cloud_cover`, `scan_direction` | the same |
//! | `approximate_wavelengths` | wavelengths |
//! | `target_azimuth_dbl`, `sun_azimuth_dbl`, `sun_elevation_dbl`, `off_nadir_angle_dbl` | the angles |
//! | `sensor_platform_name` | sensor_platform |
//!
//! Some records lack keys, and some have `NA` or other words in place of numbers: such fields are
//! absent, other than in [any other source](super). So are country codes that are none of ISO 3166-1,
//! which fMoW is known to have. A number that is out of range is an error.

use serde_json::Value;

use super::json::{self, Object};
use super::normalise::{self, Source};
use super::{footprint, unreadable};
use crate::error::Result;
use crate::metadata::{Field, Metadata};

/// Whether a document looks like an fMoW record.
#[doc(hidden)]
pub fn is_fmow(document: &Value) -> bool {
    const MARKS: [&str; 6] = [
        "img_filename",
        "bounding_boxes",
        "sensor_platform_name",
        "approximate_wavelengths",
        "pan_resolution_dbl",
        "raw_location",
    ];
    document
        .as_object()
        .is_some_and(|record| MARKS.iter().any(|key| record.contains_key(*key)))
}

/// Reads an fMoW record.
#[doc(hidden)]
pub fn read(document: &Value) -> Result<Metadata> {
    let Some(record) = document.as_object().filter(|_| is_fmow(document)) else {
        return Err(unreadable("fMoW record", "the JSON has no key of fMoW"));
    };
    let origin = json::text(record, "img_filename").unwrap_or("fMoW record");
    fields(record).map_err(|e| unreadable(origin, e.to_string()))
}

fn fields(record: &Object) -> Result<Metadata> {
    /// Fields of one number, by the keys that state them, first hit first.
    const NUMBERS: [(Field, &[&str]); 7] = [
        (Field::Gsd, &["gsd", "pan_resolution_dbl"]),
        (Field::MultispectralGsd, &["multi_resolution_dbl"]),
        (Field::CloudCover, &["cloud_cover"]),
        (Field::TargetAzimuthAngle, &["target_azimuth_dbl"]),
        (Field::SunAzimuthAngle, &["sun_azimuth_dbl"]),
        (Field::SunElevationAngle, &["sun_elevation_dbl"]),
        (Field::OffNadirAngle, &["off_nadir_angle_dbl"]),
    ];
    const TEXTS: [(Field, &str); 4] = [
        (Field::Timestamp, "timestamp"),
        (Field::UtmZone, "utm"),
        (Field::ScanDirection, "scan_direction"),
        (Field::SensorPlatform, "sensor_platform_name"),
    ];
    let source = Source::default();
    let mut metadata = Metadata::new();
    let number = |key: &str| json::number(record, key);
    for (field, keys) in NUMBERS {
        if let Some(value) = keys.iter().find_map(|key| number(key)) {
            normalise::number(&mut metadata, field, value, &source)?;
        }
    }
    for (field, key) in TEXTS {
        if let Some(value) = json::text(record, key) {
            normalise::text(&mut metadata, field, value, &source)?;
        }
    }
    if let (Some(width), Some(height)) = (number("mean_pixel_width"), number("mean_pixel_height")) {
        let size = [width, height];
        normalise::numbers(&mut metadata, Field::PixelSize, &size, &source)?;
    }
    if let Some((lon, lat)) = centre(record) {
        metadata.set_location(lon, lat)?;
    }
    if let Some(code) = json::text(record, "country_code") {
        // The field stays empty when the code is not one of ISO 3166-1.
        let _ = metadata.set_country_code(code);
    }
    if let Some(wavelengths) = wavelengths(record) {
        normalise::numbers(&mut metadata, Field::Wavelengths, &wavelengths, &source)?;
    }
    normalise::settle_zone(&mut metadata)?;
    Ok(metadata)
}

/// The wavelengths, when each of them is a number.
fn wavelengths(record: &Object) -> Option<Vec<f64>> {
    let list = record.get("approximate_wavelengths")?.as_array()?;
    let numbers: Option<Vec<f64>> = list.iter().map(json::finite).collect();
    numbers.filter(|numbers| !numbers.is_empty())
}

fn centre(record: &Object) -> Option<(f64, f64)> {
    let wkt =
        |object: &Object| json::text(object, "raw_location").and_then(footprint::centre_of_wkt);
    record
        .get("geometry")
        .and_then(footprint::centre_of_geometry)
        .or_else(|| wkt(record))
        .or_else(|| json::text(record, "coordinates").and_then(pair))
        .or_else(|| {
            let boxes = record.get("bounding_boxes")?.as_array()?;
            boxes.iter().filter_map(Value::as_object).find_map(wkt)
        })
}

/// The two numbers of `"[8.58, 47.45]"`.
fn pair(text: &str) -> Option<(f64, f64)> {
    let (lon, lat) = text
        .trim_matches(['[', ']', '(', ')', ' '])
        .split_once(',')?;
    Some((lon.trim().parse().ok()?, lat.trim().parse().ok()?))
}
