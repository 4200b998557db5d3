//! What a GeoParquet file says of its outlines, in the `geo` key of its footer.

use parquet::file::metadata::KeyValue;
use serde_json::Value;

use super::footprint::Frame;
use super::json;

/// The `geo` document.
#[derive(Debug)]
pub(super) struct Geo {
    /// The column that the outlines are in.
    pub(super) primary: String,
    columns: json::Object,
}

impl Geo {
    /// Finds the document in the footer; none where there is none, or it is none.
    pub(super) fn of(pairs: Option<&Vec<KeyValue>>) -> Option<Self> {
        let pair = pairs?.iter().find(|pair| pair.key == "geo")?;
        let document: Value = serde_json::from_str(pair.value.as_deref()?).ok()?;
        Some(Geo {
            primary: document.get("primary_column")?.as_str()?.to_owned(),
            columns: document.get("columns")?.as_object()?.clone(),
        })
    }

    /// The coordinates of a column's outlines, or of the primary column's, or why they cannot be
    /// read: longitude and latitude where `crs` is missing, and unknown ones where it is null.
    pub(super) fn frame(&self, column: Option<&str>) -> Result<Frame, String> {
        let name = column.unwrap_or(&self.primary);
        // A column that the document does not describe is none of its outlines.
        let Some(column) = self.columns.get(name) else {
            return Ok(Frame::Degrees);
        };
        if let Some(encoding) = column.get("encoding").and_then(Value::as_str)
            && !encoding.eq_ignore_ascii_case("WKB")
        {
            return Err(format!(
                "the encoding `{encoding}` is not read, only WKB is"
            ));
        }
        match column.get("crs") {
            None => Ok(Frame::Degrees),
            Some(Value::Null) => Err("the file says that their coordinates are unknown".to_owned()),
            Some(crs) => frame_of_crs(crs),
        }
    }
}

/// The frame of a PROJJSON document, by its `id`.
fn frame_of_crs(crs: &Value) -> Result<Frame, String> {
    if let Some(code) = json::code_of_projjson(crs) {
        return Frame::of_code(code);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = crs.get("id");
    let authority = id.and_then(|id| text(id.get("authority")?));
    let code = id.and_then(|id| text(id.get("code")?));
    match (authority.as_deref(), code.as_deref()) {
        (Some("OGC"), Some("CRS84" | "CRS84h")) => Ok(Frame::Degrees),
        _ => {
            let name = crs.get("name").and_then(Value::as_str).unwrap_or("no name");
            let name = super::short(name);
            Err(format!("their coordinate system ({name}) has no EPSG code"))
        }
    }
}
