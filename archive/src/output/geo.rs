//! The columns of windows in GeoParquet 1.1 (<https://geoparquet.org/releases/v1.1.0/>).

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde_json::json;

use super::WindowRow;

/// Names of the box's sides, in GeoParquet's order.
const SIDES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// The columns of windows.
pub(super) fn fields() -> Vec<Field> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("item_id", DataType::Utf8, true),
        Field::new("collection", DataType::Utf8, true),
    ];
    for name in ["window_x", "window_y", "window_width", "window_height"] {
        fields.push(Field::new(name, DataType::Int32, false));
    }
    fields.extend([
        Field::new("proj_code", DataType::Utf8, true),
        Field::new("gsd", DataType::Float32, true),
        Field::new("cloud", DataType::Float32, true),
        Field::new("grid_cell", DataType::Utf8, true),
        Field::new("datetime", time, true),
        Field::new("geometry", DataType::Binary, true),
        Field::new("bbox", DataType::Struct(sides()), true),
    ]);
    fields
}

fn sides() -> Fields {
    SIDES
        .map(|side| Field::new(side, DataType::Float64, true))
        .into_iter()
        .collect()
}

/// The arrays of some windows, in the order of [`fields`].
pub(super) fn arrays(rows: &[WindowRow]) -> Vec<ArrayRef> {
    let number = |at: usize| -> ArrayRef {
        // A scene has at most 2^20 pixels a side.
        let numbers = rows
            .iter()
            .map(|row| i32::try_from(row.window[at]).unwrap_or(i32::MAX));
        Arc::new(Int32Array::from_iter_values(numbers))
    };
    let places: Vec<_> = rows.iter().map(WindowRow::footprint).collect();
    let mut outlines = BinaryBuilder::new();
    places
        .iter()
        .for_each(|place| outlines.append_option(place.map(|place| place.wkb())));
    let boxes: Vec<_> = places
        .iter()
        .map(|place| place.map(|place| place.bbox()))
        .collect();
    let side = |at: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter(
            boxes.iter().map(|sides| sides.map(|sides| sides[at])),
        ))
    };
    let there: Vec<bool> = boxes.iter().map(Option::is_some).collect();
    let boxes = StructArray::new(sides(), (0..4).map(side).collect(), Some(there.into()));
    let times = rows
        .iter()
        .map(|row| row.datetime.as_deref().and_then(microseconds));
    vec![
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| &row.source),
        )),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.item.as_deref()),
        )),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.collection.as_deref()),
        )),
        number(0),
        number(1),
        number(2),
        number(3),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.projection.as_deref()),
        )),
        Arc::new(Float32Array::from_iter(rows.iter().map(WindowRow::gsd))),
        Arc::new(Float32Array::from_iter(rows.iter().map(WindowRow::cloud))),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.cell.as_deref()),
        )),
        Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")),
        Arc::new(outlines.finish()),
        Arc::new(boxes),
    ]
}

/// Microseconds since 1970 of a moment, or of the start of a day.
fn microseconds(time: &str) -> Option<i64> {
    let time: satmip::Timestamp = time.parse().ok()?;
    Some((time.unix_seconds() * 1e6).round() as i64)
}

/// The footer's `geo`: coordinates are longitudes and latitudes of WGS84 (OGC:CRS84), which is what a column without a
/// `crs` has.
pub(super) fn footer(split: bool) -> String {
    let mut kinds = vec!["Polygon"];
    if split {
        kinds.push("MultiPolygon");
    }
    let covering: serde_json::Map<_, _> = SIDES
        .iter()
        .map(|side| ((*side).to_owned(), json!(["bbox", side])))
        .collect();
    json!({
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": kinds,
                "orientation": "counterclockwise",
                "covering": {"bbox": covering},
            }
        }
    })
    .to_string()
}
