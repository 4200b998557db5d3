//! STAC items in Parquet: stac-geoparquet (<https://github.com/stac-utils/stac-geoparquet>), an item on each row, with
//! its properties as columns beside `id`, `assets`, `geometry` and `bbox`.
//!
//! A row becomes the item's JSON again, but for its geometry: the place of a picture is that of its raster.

use std::path::Path;

use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value, json};

use super::parquet::{date, guarded, in_nanoseconds, moment, opened, refuse_large};
use super::table;
use crate::error::Result;

/// Columns that are members of an item; all others are properties.
const MEMBERS: [&str; 6] = [
    "id",
    "collection",
    "stac_version",
    "stac_extensions",
    "assets",
    "links",
];

/// Whether a Parquet file has a STAC item on each row.
///
/// # Errors
/// [`Error::MetadataSource`](crate::Error::MetadataSource) where it is no Parquet file that can be read.
pub fn is_stac_table(path: impl AsRef<Path>) -> Result<bool> {
    let path = path.as_ref();
    Ok(has_items(&opened(path, &path.display().to_string())?))
}

fn has_items<R: ChunkReader + 'static>(file: &SerializedFileReader<R>) -> bool {
    let fields = file.metadata().file_metadata().schema().get_fields();
    let has = |name: &str| fields.iter().any(|field| field.name() == name);
    has("assets") && has("id")
}

/// The items of a table, with the numbers of their rows from 1.
pub struct Items {
    origin: String,
    rows: RowIter<'static>,
    /// Columns whose moments are counted in nanoseconds.
    nanoseconds: Vec<String>,
    row: u64,
    done: bool,
}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items")
            .field("origin", &self.origin)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

/// Opens a table of items, a file or whatever is read in ranges.
///
/// # Errors
/// As [`is_stac_table`]; also where its rows are no items.
pub fn stac_table<R: ChunkReader + 'static>(reader: R, origin: &str) -> Result<Items> {
    let file = guarded(origin, || SerializedFileReader::new(reader))?;
    if !has_items(&file) {
        let reason = "the table has no columns `id` and `assets`, which STAC items have";
        return Err(super::unreadable(origin, reason));
    }
    // The outlines are not needed.
    refuse_large(file.metadata(), origin, |root| root != "geometry")?;
    let fields = file.metadata().file_metadata().schema().get_fields();
    let nanoseconds = fields.iter().filter(|field| in_nanoseconds(field));
    let nanoseconds = nanoseconds.map(|field| field.name().to_owned()).collect();
    let rows = guarded(origin, || {
        Ok::<_, parquet::errors::ParquetError>(RowIter::from_file_into(Box::new(file)))
    })?;
    Ok(Items {
        origin: origin.to_owned(),
        rows,
        nanoseconds,
        row: 0,
        done: false,
    })
}

impl Iterator for Items {
    type Item = (u64, Result<Value>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        self.row += 1;
        let rows = &mut self.rows;
        match guarded(&self.origin, || rows.next().transpose()) {
            Ok(Some(row)) => {
                let item = item(&row, &self.nanoseconds);
                let item = item.map_err(|reason| table::at_row(&self.origin, self.row, &reason));
                Some((self.row, item))
            }
            Ok(None) => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = true;
                Some((self.row, Err(error)))
            }
        }
    }
}

/// The item of a row.
fn item(row: &Row, nanoseconds: &[String]) -> Result<Value, String> {
    let (mut item, mut properties) = (Map::new(), Map::new());
    item.insert("type".into(), json!("Feature"));
    item.insert("geometry".into(), Value::Null);
    for (name, field) in row.get_column_iter() {
        let value = match field {
            Field::Long(count) if nanoseconds.contains(name) => json!(moment(*count, 1)?),
            field => json(field)?,
        };
        match name.as_str() {
            _ if value.is_null() => {}
            "geometry" | "type" => {}
            "bbox" => {
                item.insert("bbox".into(), sides(value));
            }
            name if MEMBERS.contains(&name) => {
                item.insert(name.to_owned(), value);
            }
            name => {
                properties.insert(name.to_owned(), value);
            }
        }
    }
    item.insert("properties".into(), Value::Object(properties));
    Ok(Value::Object(item))
}

/// A box as a list; it may be stored as a structure.
fn sides(value: Value) -> Value {
    let Value::Object(sides) = &value else {
        return value;
    };
    let names = ["xmin", "ymin", "xmax", "ymax"];
    let sides = names.map(|name| sides.get(name).cloned().unwrap_or_default());
    json!(sides)
}

/// A value as JSON. Members of structures that are null are left out: each item has the members of all.
fn json(field: &Field) -> Result<Value, String> {
    let number = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    Ok(match field {
        Field::Bool(truth) => json!(truth),
        Field::Byte(count) => json!(count),
        Field::Short(count) => json!(count),
        Field::Int(count) => json!(count),
        Field::Long(count) => json!(count),
        Field::UByte(count) => json!(count),
        Field::UShort(count) => json!(count),
        Field::UInt(count) => json!(count),
        Field::ULong(count) => json!(count),
        Field::Float16(value) => number(f64::from(*value)),
        Field::Float(value) => number(f64::from(*value)),
        Field::Double(value) => number(*value),
        Field::Str(text) => json!(text),
        Field::TimestampMillis(count) => json!(moment(*count, 1_000_000)?),
        Field::TimestampMicros(count) => json!(moment(*count, 1000)?),
        Field::Date(days) => json!(date(*days)?),
        Field::Group(row) => {
            let mut object = Map::new();
            for (name, field) in row.get_column_iter() {
                let value = json(field)?;
                if !value.is_null() {
                    object.insert(name.clone(), value);
                }
            }
            match object.is_empty() {
                true => Value::Null,
                false => Value::Object(object),
            }
        }
        Field::ListInternal(list) => {
            let values: Result<Vec<Value>, String> = list.elements().iter().map(json).collect();
            Value::Array(values?)
        }
        Field::MapInternal(map) => {
            let mut object = Map::new();
            for (key, field) in map.entries() {
                let key = match key {
                    Field::Str(key) => key.clone(),
                    other => other.to_string(),
                };
                object.insert(key, json(field)?);
            }
            Value::Object(object)
        }
        // Nulls, and bytes, decimals and times of day, which no property of STAC is.
        _ => Value::Null,
    })
}
