//! Readers of acquisition metadata: fMoW records, STAC items, GeoTIFF tags and tables.
//!
//! Every reader gives a [`Metadata`] that has what the source states and lacks what it does not
//! state. None of them derives anything: [`Metadata::derive_missing`] does that.
//!
//! A source that cannot be read, or that states an impossible value, is an
//! [`Error::MetadataSource`] that names the file (or item) and the reason. All readers are bounded:
//! JSON documents and lines of JSON by [`MAX_DOCUMENT_BYTES`], table records by
//! [`table::MAX_RECORD_BYTES`], tables held in memory by [`table::MAX_TABLE_ROWS`].
//!
//! **One value, one reading.** What a value means does not depend on the reader that brought it: an
//! azimuth of -45 is 315, an off-nadir angle of -12 is 12, a negative cloud cover is not known, names
//! of platforms have one spelling, and a coordinate system is known by its code or by none.
//!
//! **What is not understood is not guessed.** A key, column or tag that is missing, null, empty, or
//! a word for "not known" (`NA`, `N/A`, `none`, `null`, `unknown`, `-`) leaves its field absent. Any
//! other word where a number belongs, and a number out of its range, is an error that names the key;
//! it costs that record and no other. The one exception is fMoW, whose published records have words
//! in place of numbers, and country codes that are none: there such words are absent as well. Dates
//! of files (TIFF's DateTime, STAC's `created` and `updated`) are no dates of acquisitions.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::Metadata;
use crate::error::{Cause, Error, Result};
use crate::json::Json;

mod assets;
mod columns;
pub mod flat;
pub mod fmow;
mod footprint;
#[cfg(feature = "parquet")]
mod geoparquet;
#[cfg(feature = "geotiff")]
pub mod geotiff;
#[cfg(feature = "jpeg2000")]
pub(crate) mod gml;
mod grid;
mod json;
#[doc(hidden)]
pub mod lines;
#[doc(hidden)]
pub mod names;
mod normalise;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod platform;
mod row;
pub mod stac;
#[cfg(feature = "parquet")]
mod stac_table;
pub mod table;
mod time_text;
mod wkb;

#[doc(hidden)]
pub use lines::Documents;
#[cfg(feature = "parquet")]
#[doc(hidden)]
pub use stac_table::{Items, is_stac_table, stac_table};
pub use table::{BadRows, Column, ColumnMap, CsvReader, MetadataTable, TableRow};

/// The largest JSON document that is read, in bytes: 32 MiB.
///
/// A parsed document takes up to some twenty times its size in memory, hence a limit at all; a
/// page of a thousand large STAC items stays below it.
pub const MAX_DOCUMENT_BYTES: u64 = 32 << 20;

/// A record that was read from a file, and what it is called there.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The key of a table's row, the id of a STAC item, else the name of the file.
    pub key: String,
    /// What is known of the acquisition.
    pub metadata: Metadata,
}

impl Metadata {
    /// Reads an fMoW record (the JSON file beside each picture of fMoW-RGB or fMoW-full): a [`Json`], a value of
    /// serde_json, or a type of yours that becomes such JSON.
    ///
    /// See [`fmow`] for the keys that are read.
    pub fn from_fmow(record: impl Serialize) -> Result<Self> {
        fmow::read(Json::of(record)?.value())
    }

    /// Reads a STAC item of version 0.x or 1.x: a [`Json`], a value of serde_json, or a type that becomes such JSON.
    ///
    /// ```
    /// let item: satmip::Json = r#"{"type": "Feature", "stac_version": "1.0.0", "id": "a", "geometry": null,
    ///     "properties": {"datetime": "2020-06-01T10:00:00Z", "gsd": 10}, "assets": {}, "links": []}"#.parse()?;
    /// let record = satmip::Metadata::from_stac(&item)?;
    /// assert_eq!(record.gsd(), Some(10.0.into()));
    /// # Ok::<(), satmip::Error>(())
    /// ```
    ///
    /// See [`stac`] for the keys that are read, and [`stac::items`] for collections of items.
    pub fn from_stac(item: impl Serialize) -> Result<Self> {
        stac::read(Json::of(item)?.value())
    }

    /// Reads the tags of a GeoTIFF; its pixels are not touched.
    ///
    /// See [`geotiff`] for the coordinate systems that are understood.
    #[cfg(feature = "geotiff")]
    pub fn from_geotiff(path: impl AsRef<Path>) -> Result<Self> {
        geotiff::read(path, &geotiff::GeoTiffOptions::default())
    }
}

/// What a file is, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Tiff,
    Parquet,
    Text,
}

/// Reads a file of any kind that is known: GeoTIFF, Parquet, fMoW record, STAC item, STAC
/// collection of items, lines of items or records (NDJSON), or table in CSV.
///
/// The content decides, not the name. Tables are read with [`ColumnMap::default`]; use
/// [`CsvReader`] or [`MetadataTable`] for others and for large ones. A single bad record fails the
/// whole call; [`records`] goes on after it.
pub fn from_file(path: impl AsRef<Path>) -> Result<Vec<Record>> {
    let path = path.as_ref();
    let mut kept = Vec::new();
    for record in records(path)? {
        if kept.len() >= table::MAX_TABLE_ROWS {
            return Err(table::too_many_rows(path));
        }
        kept.push(record?);
    }
    Ok(kept)
}

/// Records of a file, one after another.
pub type Records = Box<dyn Iterator<Item = Result<Record>> + Send>;

/// As [`from_file`], one record after another: a bad one is an error that names it, and costs no
/// other. Lines and tables are read as they are asked for.
pub fn records(path: impl AsRef<Path>) -> Result<Records> {
    #[cfg(feature = "geotiff")]
    {
        records_with(path, &geotiff::GeoTiffOptions::default())
    }
    #[cfg(not(feature = "geotiff"))]
    records_of(path.as_ref(), |path| {
        let reason = "GeoTIFF tags are read by builds with the feature `geotiff`";
        Err(unreadable(path.display(), reason))
    })
}

/// As [`records`], with a choice of what is read from a GeoTIFF.
#[cfg(feature = "geotiff")]
pub fn records_with(path: impl AsRef<Path>, options: &geotiff::GeoTiffOptions) -> Result<Records> {
    records_of(path.as_ref(), |path| geotiff::read(path, options))
}

fn records_of(path: &Path, tiff: impl Fn(&Path) -> Result<Metadata>) -> Result<Records> {
    match kind(path)? {
        Kind::Json if lines::are_lines(path)? => Ok(Box::new(lines::Lines::open(path)?)),
        Kind::Json => Ok(Box::new(json_records(path)?.into_iter())),
        Kind::Tiff => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let record = Record {
                key: name.to_string_lossy().into_owned(),
                metadata: tiff(path)?,
            };
            Ok(Box::new(std::iter::once(Ok(record))))
        }
        Kind::Parquet | Kind::Text => {
            let rows = table::rows(path, &ColumnMap::default())?;
            Ok(Box::new(rows.map(|row| {
                row.map(|row| Record {
                    key: row.key,
                    metadata: row.metadata,
                })
            })))
        }
    }
}

/// Reads a JSON document, at most [`MAX_DOCUMENT_BYTES`] of it.
#[doc(hidden)]
pub fn json_document(path: impl AsRef<Path>) -> Result<Value> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        let reason = format!("the document is larger than {MAX_DOCUMENT_BYTES} bytes");
        return Err(unreadable(path.display(), reason));
    }
    json_of_bytes(&bytes, path.display())
}

/// The documents of a file that has one on each line, with their numbers; none where it is one document as a whole.
#[doc(hidden)]
pub fn json_lines(path: impl AsRef<Path>) -> Result<Option<Documents>> {
    let path = path.as_ref();
    match lines::are_lines(path)? {
        true => lines::Documents::open(path).map(Some),
        false => Ok(None),
    }
}

/// The documents of lines that come from a reader, some megabytes at a time; errors call it by this name.
#[doc(hidden)]
pub fn json_lines_of(name: impl Into<PathBuf>, reader: Box<dyn Read + Send>) -> Documents {
    Documents::of(name.into(), reader, 4 << 20)
}

/// Whether a file's name says that it has a document on each line.
#[doc(hidden)]
pub fn is_named_lines(name: impl AsRef<Path>) -> bool {
    lines::are_named(name.as_ref())
}

/// Parses a JSON document; `origin` names it in errors.
#[doc(hidden)]
pub fn json_of_bytes(bytes: &[u8], origin: impl ToString) -> Result<Value> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // serde_json refuses more than 128 levels of nesting.
    serde_json::from_slice(text).map_err(|e| caused(origin, format!("not valid JSON: {e}"), e))
}

/// Reads the JSON of one picture, whichever it is: a STAC item, an fMoW record, or a [flat
/// object](flat).
///
/// # Errors
/// As the reader of that kind; a STAC collection or catalogue is none of these.
#[doc(hidden)]
pub fn json_record(document: &Value) -> Result<Metadata> {
    if stac::is_stac(document) || stac::other_kind(document).is_some() {
        stac::read(document)
    } else if fmow::is_fmow(document) {
        fmow::read(document)
    } else {
        flat::read(document)
    }
}

/// The records of one document, `name` being the key of those that have none.
fn document_records(document: &Value, name: &str) -> Result<Vec<Result<Record>>, String> {
    if stac::is_stac(document) {
        let record = |item: &Value| {
            Ok(Record {
                key: stac::id(item).unwrap_or(name).to_owned(),
                metadata: stac::read(item)?,
            })
        };
        return Ok(stac::items(document).map(record).collect());
    }
    if let Some(kind) = stac::other_kind(document) {
        return Err(stac::no_item(kind));
    }
    if fmow::is_fmow(document) {
        return Ok(vec![fmow::read(document).map(|metadata| Record {
            key: name.to_owned(),
            metadata,
        })]);
    }
    if let Some(records) = written_records(document) {
        return Ok(records);
    }
    let reason = "the JSON is neither a STAC item, nor a collection of them, nor an fMoW record";
    Err(reason.to_owned())
}

/// The records that `satmip caption --json` has written: one, or a list of them. What was derived is left to be
/// derived again.
fn written_records(document: &Value) -> Option<Vec<Result<Record>>> {
    let items = match document {
        Value::Array(items) if !items.is_empty() => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let record = |item: &Value| {
        let key = item.get("key")?.as_str()?.to_owned();
        let mut metadata = item.get("metadata")?.as_object()?.clone();
        let derived = item.get("derived").and_then(Value::as_array);
        for field in derived.into_iter().flatten().filter_map(Value::as_str) {
            metadata.remove(field);
        }
        let metadata = flat::read(&Value::Object(metadata));
        Some(metadata.map(|metadata| Record { key, metadata }))
    };
    items.iter().map(record).collect()
}

fn json_records(path: &Path) -> Result<Vec<Result<Record>>> {
    let document = json_document(path)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    let records = document_records(&document, &name.to_string_lossy())
        .map_err(|reason| unreadable(path.display(), reason))?;
    let records = records.into_iter();
    Ok(records
        .map(|r| r.map_err(|e| within(path, None, e)))
        .collect())
}

fn kind(path: &Path) -> Result<Kind> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut start = Vec::new();
    file.by_ref()
        .take(4096)
        .read_to_end(&mut start)
        .map_err(|e| Error::io(path, e))?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    // A sequence of JSON texts (RFC 8142) has a mark before each.
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == lines::MARK;
    let first = text.iter().find(|byte| !blank(byte));
    match start.as_slice() {
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Kind::Tiff),
        [b'P', b'A', b'R', b'1', ..] => Ok(Kind::Parquet),
        _ if first.is_none() => Err(unreadable(path.display(), "the file is empty")),
        _ if matches!(first, Some(b'{' | b'[')) => Ok(Kind::Json),
        _ if text.contains(&0) => Err(unreadable(
            path.display(),
            "neither JSON, nor a table, nor a TIFF or Parquet file",
        )),
        _ => Ok(Kind::Text),
    }
}

/// At most 60 characters of a text, for messages about hostile input.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn unreadable(origin: impl ToString, reason: impl Into<String>) -> Error {
    Error::MetadataSource {
        origin: origin.to_string(),
        line: None,
        reason: reason.into(),
        source: None,
    }
}

fn caused(origin: impl ToString, reason: impl Into<String>, source: impl Into<Cause>) -> Error {
    Error::MetadataSource {
        origin: origin.to_string(),
        line: None,
        reason: reason.into(),
        source: Some(source.into()),
    }
}

/// Says which file, and which line of it, an error of one of its records is about.
fn within(path: &Path, at: Option<u64>, error: Error) -> Error {
    match error {
        Error::MetadataSource {
            origin,
            line,
            reason,
            source,
        } => Error::MetadataSource {
            origin: format!("{}: {origin}", path.display()),
            line: at.or(line),
            reason,
            source,
        },
        other => caused(path.display(), other.to_string(), other),
    }
}
