//! Flat JSON objects: one key for each field, named as a table's columns are.
//!
//! `{"gsd": 0.5, "lon": 8.58, "lat": 47.45, "datetime": "2015-09-21T15:30:08Z"}`: the keys are those
//! of [`ColumnMap::default`], the values texts, numbers or lists of numbers, `geometry` may be
//! GeoJSON. Other keys are left aside, so that the object may hold more than metadata.

use serde_json::Value;

use super::{ColumnMap, unreadable};
use crate::error::Result;
use crate::metadata::Metadata;

/// Reads a flat object.
///
/// # Errors
/// [`Error::MetadataSource`](crate::Error::MetadataSource) where it is no object or a value is
/// impossible.
#[doc(hidden)]
pub fn read(document: &Value) -> Result<Metadata> {
    let refuse = |reason: String| unreadable("JSON record", reason);
    let Some(object) = document.as_object() else {
        return Err(refuse("it is no object".into()));
    };
    let names: Vec<String> = object.keys().cloned().collect();
    let cells: Vec<Result<String, String>> = object.values().map(cell).collect();
    let columns = ColumnMap::default()
        .resolve_without_key(&names)
        .map_err(refuse)?;
    columns
        .metadata(|at| match &cells[at] {
            Ok(text) => Ok(text.as_str()),
            Err(reason) => Err(reason.clone()),
        })
        .map_err(refuse)
}

/// A value as a table's cell.
fn cell(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            let items: Vec<String> = items.iter().map(Value::to_string).collect();
            Ok(format!("[{}]", items.join(",")))
        }
        // A geometry, or a box by its sides.
        Value::Object(_) => Ok(value.to_string()),
        _ => Err("the value is no text, number or list of numbers".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::FieldSet;
    use serde_json::json;

    #[test]
    fn fields_aliases_and_what_is_left_aside() {
        let record = read(&json!({
            "gsd": [0.5, 0.6], "lon": 8.58, "lat": "47.45", "datetime": "2015-09-21 15:30:08",
            "platform": "S2A", "cloud_cover": null, "wavelengths": [661, 545, 477],
            "caption": {"en": "a field"}, "url": true,
        }))
        .unwrap();
        let expected = Metadata::new()
            .with_gsd((0.5, 0.6))
            .unwrap()
            .with_location(8.58, 47.45)
            .unwrap()
            .with_timestamp("2015-09-21T15:30:08Z")
            .unwrap()
            .with_sensor_platform("SENTINEL-2A")
            .unwrap()
            .with_wavelengths(&[661.0, 545.0, 477.0])
            .unwrap();
        assert_eq!(record, expected);
        assert!(read(&json!({"caption": "x"})).unwrap().is_empty());
        let outlined = read(&json!({
            "geometry": {"type": "Point", "coordinates": [8.5, 47.5]}, "proj:code": "EPSG:32632",
            "sun_azimuth": -45, "off_nadir": "-12", "cloud_cover": -1,
        }));
        let expected = Metadata::new()
            .with_location(8.5, 47.5)
            .unwrap()
            .with_utm_zone("32T")
            .unwrap()
            .with_sun_azimuth_angle(315.0)
            .unwrap()
            .with_off_nadir_angle(12.0)
            .unwrap();
        assert_eq!(outlined.unwrap(), expected);
        // Boxes of pixels, outlines of something else.
        let pixels = read(&json!({"bbox": [10, 20, 30, 40], "gsd": 1})).unwrap();
        assert_eq!(pixels.fields(), FieldSet::GSD);
    }

    #[test]
    fn what_a_record_writes_is_read_again() {
        let poster = crate::metadata::caption::poster();
        let again = read(&serde_json::to_value(&poster).unwrap()).unwrap();
        assert_eq!(again, poster);
        assert_eq!(again.fields(), FieldSet::ALL);
    }

    #[test]
    fn impossible_values_name_their_key() {
        for (document, part) in [
            (json!([1]), "no object"),
            (json!({"gsd": {"x": 1}}), "`gsd`"),
            (json!({"gsd": true}), "`gsd`"),
            (json!({"gsd": "1,5"}), "`(1, 5)`"),
            (json!({"lon": 8.0}), "longitude"),
            (json!({"lon": "NaN", "lat": 3}), "`lon`"),
        ] {
            let error = read(&document).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
