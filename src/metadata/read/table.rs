//! Tables with a row for each picture: CSV here, Parquet in [`super::parquet`].
//!
//! A [`ColumnMap`] says which column holds what. [`CsvReader`] streams rows in constant memory;
//! [`MetadataTable`] keeps them by their key. Cells that are empty or `NA`, `N/A`, `none`,
//! `null`, `unknown` or `-` are missing values; a NaN is refused like any other impossible value.
//!
//! **A bad row costs no other.** A row with more or fewer cells than the header has, or with a cell
//! that cannot be read, is named with its line; the rows after it are read. A failure of the file
//! itself (damage, a record over [`MAX_RECORD_BYTES`]) ends the table.
//!
//! **Decimal commas.** Where the delimiter is a semicolon or a tab, `1,5` is 1.5 in a field of one
//! number or of one for each axis; two numbers are `(1,5)` or `1.0,5.0`. Where commas divide cells, a
//! quoted `1,5` could be either, and the row is refused.
//!
//! **Days.** A column of times of which every value is a midnight (00:00:00, no offset but that of
//! UTC) is one of days that a program wrote as moments: they are read as dates, which have no time of
//! day, and the log says so. Files are looked through for it before the first row, up to the first
//! time that is no midnight; a stream ([`CsvReader::from_reader`]) is read as it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, ErrorKind};

pub use super::columns::{Column, ColumnMap};
use super::columns::{Columns, Row};
use super::{Kind, caused, kind, names, short, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::{Field, Metadata};

/// The longest record of a CSV file, in bytes: 1 MiB.
///
/// A quote that is never closed would otherwise take the rest of the file into memory.
pub const MAX_RECORD_BYTES: u64 = 1 << 20;

/// The most rows that a [`MetadataTable`] holds. It takes about 0.5 KB of memory a row.
pub const MAX_TABLE_ROWS: usize = 5_000_000;

/// The most bad rows that a [`MetadataTable`] puts aside before it gives up.
pub const MAX_REFUSED_ROWS: usize = 10_000;

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TableRow {
    /// The line on which the row begins, counted from 1; in Parquet the row, counted from 1.
    pub line: u64,
    /// The key: usually the name of the picture's file.
    pub key: String,
    /// What the row states.
    pub metadata: Metadata,
}

/// A row, whatever of it could be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyedRow {
    /// As [`TableRow::line`].
    pub line: u64,
    /// As [`TableRow::key`]; none where no one can say which picture the row is of: it has more or
    /// fewer cells than the header, or no readable key.
    pub key: Option<String>,
    /// For each column of [`ColumnMap::with_text`], in that order, its cell without the blanks
    /// around it; none where the table has no such column.
    pub texts: Vec<Option<String>>,
    /// What the row states, or what is wrong with it.
    pub metadata: Result<Metadata>,
}

impl KeyedRow {
    pub(super) fn new(origin: &str, line: u64, row: Result<Row, String>) -> Self {
        match row {
            Ok(row) => KeyedRow {
                line,
                key: Some(row.key),
                texts: row.texts,
                metadata: row.metadata.map_err(|reason| at(origin, line, reason)),
            },
            Err(reason) => Self::unreadable(line, at(origin, line, reason)),
        }
    }

    fn unreadable(line: u64, error: Error) -> Self {
        KeyedRow {
            line,
            key: None,
            texts: Vec::new(),
            metadata: Err(error),
        }
    }

    pub(super) fn whole(self) -> Result<TableRow> {
        let metadata = self.metadata?;
        let Some(key) = self.key else {
            return Err(at("table", self.line, "the row has no key"));
        };
        Ok(TableRow {
            line: self.line,
            key,
            metadata,
        })
    }
}

/// Streams the rows of a CSV file.
///
/// The delimiter is a comma, or a tab or semicolon where the header has no comma. An item is an
/// error when its row is bad, with file and line; the rows after it can still be read. After a
/// failure of the file itself the iterator ends: [`CsvReader::keyed`] tells the two apart.
pub struct CsvReader<R: Read> {
    origin: String,
    rows: csv::Reader<Metered<R>>,
    consumed: Arc<AtomicU64>,
    columns: Columns,
    record: ByteRecord,
    done: bool,
}

impl CsvReader<File> {
    /// Opens a file and resolves its header.
    pub fn open(path: impl AsRef<Path>, map: &ColumnMap) -> Result<Self> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
        let delimiter = sniff(&mut file).map_err(|e| Error::io(path, e))?;
        let open = |mut file: File| {
            file.rewind().map_err(|e| Error::io(path, e))?;
            Self::with_delimiter(file, path.display().to_string(), map, delimiter)
        };
        let again = file.try_clone().map_err(|e| Error::io(path, e))?;
        let mut first = open(again)?;
        let days = match first.columns.position(Column::Field(Field::Timestamp)) {
            Some(column) => time_text::days(first.cells(column))?,
            None => false,
        };
        // The two share one place in the file, so that the one ends before the other begins.
        drop(first);
        let mut reader = open(file)?;
        reader.columns.take_days(days, &reader.origin);
        Ok(reader)
    }

    /// The cells of one column; bad rows are passed over.
    fn cells(&mut self, column: usize) -> impl Iterator<Item = Result<String>> {
        std::iter::from_fn(move || {
            loop {
                match self.rows.read_byte_record(&mut self.record) {
                    Ok(false) => return None,
                    Ok(true) => {}
                    Err(e) if matches!(e.kind(), ErrorKind::UnequalLengths { .. }) => continue,
                    // The second reading comes to the same place, and says it there.
                    Err(_) => return None,
                }
                self.consumed.store(0, Ordering::Relaxed);
                let cell = self.record.get(column).unwrap_or_default();
                return Some(Ok(String::from_utf8_lossy(cell).into_owned()));
            }
        })
    }
}

impl<R: Read> CsvReader<R> {
    /// Reads a table with commas from anywhere; `origin` names it in errors.
    pub fn from_reader(reader: R, origin: impl Into<String>, map: &ColumnMap) -> Result<Self> {
        Self::with_delimiter(reader, origin.into(), map, b',')
    }

    fn with_delimiter(reader: R, origin: String, map: &ColumnMap, delimiter: u8) -> Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let metered = Metered {
            inner: reader,
            consumed: Arc::clone(&consumed),
        };
        let mut rows = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(true)
            .from_reader(metered);
        let header = match rows.byte_headers() {
            Ok(header) => header,
            Err(e) => return Err(broken(&origin, e)),
        };
        if header.is_empty() {
            return Err(unreadable(origin, "the table has no header"));
        }
        let mut names = Vec::with_capacity(header.len());
        for (i, name) in header.iter().enumerate() {
            let Ok(name) = std::str::from_utf8(name) else {
                let reason = format!("the name of column {} is not UTF-8", i + 1);
                return Err(at(&origin, 1, reason));
            };
            names.push(name.trim_start_matches('\u{feff}').trim().to_owned());
        }
        let mut columns = map
            .resolve(&names)
            .map_err(|reason| at(&origin, 1, reason))?;
        columns.style.decimal_comma = delimiter != b',';
        consumed.store(0, Ordering::Relaxed);
        Ok(Self {
            origin,
            rows,
            consumed,
            columns,
            record: ByteRecord::new(),
            done: false,
        })
    }

    /// The next row, with its key even where its metadata are bad. An error is one of the file
    /// itself, and the end of the table.
    pub fn keyed(&mut self) -> Option<Result<KeyedRow>> {
        if self.done {
            return None;
        }
        let line = self.rows.position().line();
        match self.rows.read_byte_record(&mut self.record) {
            Ok(false) => {
                self.done = true;
                return None;
            }
            Ok(true) => {}
            Err(e) => {
                self.consumed.store(0, Ordering::Relaxed);
                let ragged = matches!(e.kind(), ErrorKind::UnequalLengths { .. });
                let line = e.position().map_or(line, csv::Position::line);
                let error = broken(&self.origin, e);
                if ragged {
                    return Some(Ok(KeyedRow::unreadable(line, error)));
                }
                self.done = true;
                return Some(Err(error));
            }
        }
        self.consumed.store(0, Ordering::Relaxed);
        let line = self.record.position().map_or(line, csv::Position::line);
        let row = self.columns.row(|column| {
            let cell = self.record.get(column).unwrap_or_default();
            std::str::from_utf8(cell).map_err(|_| "the cell is not UTF-8".to_owned())
        });
        Some(Ok(KeyedRow::new(&self.origin, line, row)))
    }
}

impl<R: Read> Iterator for CsvReader<R> {
    type Item = Result<TableRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.keyed().map(|row| row.and_then(KeyedRow::whole))
    }
}

impl<R: Read> fmt::Debug for CsvReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvReader")
            .field("origin", &self.origin)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// What to do with rows that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// The first bad row is the error of the whole table.
    #[default]
    Refuse,
    /// Bad rows are put aside, see [`MetadataTable::refused`], up to [`MAX_REFUSED_ROWS`]. A failure
    /// of the file itself is an error nevertheless: nobody knows what it would have said.
    PutAside,
}

/// A table in memory, by key.
#[derive(Debug, Default)]
pub struct MetadataTable {
    rows: BTreeMap<String, Metadata>,
    refused: Vec<Error>,
}

impl MetadataTable {
    /// Reads a CSV or Parquet file, told apart by content.
    ///
    /// A key that stands in two rows is a bad row: the first one counts, when bad rows are put
    /// aside.
    pub fn open(path: impl AsRef<Path>, map: &ColumnMap, bad_rows: BadRows) -> Result<Self> {
        let path = path.as_ref();
        let mut table = MetadataTable::default();
        for row in keyed_rows(path, map)? {
            let error = match row?.whole() {
                Ok(row) if table.rows.contains_key(&row.key) => at(
                    path.display(),
                    row.line,
                    format!(
                        "the key `{}` stood in an earlier row already",
                        short(&row.key)
                    ),
                ),
                Ok(row) => {
                    table.rows.insert(row.key, row.metadata);
                    if table.rows.len() > MAX_TABLE_ROWS {
                        return Err(too_many_rows(path));
                    }
                    continue;
                }
                Err(error) => error,
            };
            if bad_rows == BadRows::Refuse || table.refused.len() >= MAX_REFUSED_ROWS {
                return Err(error);
            }
            table.refused.push(error);
        }
        Ok(table)
    }

    /// What the table knows of a picture: the row whose key is this name, a leading `./` aside.
    pub fn get(&self, key: &str) -> Option<&Metadata> {
        self.rows.get(names::plain(key))
    }

    /// The row for a path whose leading folders the table may lack: the whole path is tried as
    /// key, then the path without its first folder, and so on down to the bare file name.
    ///
    /// One path alone cannot show whether another has the same row: where several files end alike,
    /// the job over an archive (satmip-archive) joins none of them.
    pub fn get_by_path(&self, path: &str) -> Option<&Metadata> {
        names::endings(path).find_map(|ending| self.rows.get(ending))
    }

    /// Rows in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.rows.iter().map(|(key, row)| (key.as_str(), row))
    }

    /// Number of good rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no good row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Why rows were put aside, each with file and line, in the order of the file.
    pub fn refused(&self) -> &[Error] {
        &self.refused
    }
}

/// Streams the rows of a CSV or Parquet file, told apart by content.
pub fn rows(
    path: impl AsRef<Path>,
    map: &ColumnMap,
) -> Result<Box<dyn Iterator<Item = Result<TableRow>> + Send>> {
    let rows = keyed_rows(path, map)?;
    Ok(Box::new(rows.map(|row| row.and_then(KeyedRow::whole))))
}

/// As [`rows`], with the keys of rows whose metadata are bad. An error is one of the file itself,
/// and the end of the table.
pub fn keyed_rows(
    path: impl AsRef<Path>,
    map: &ColumnMap,
) -> Result<Box<dyn Iterator<Item = Result<KeyedRow>> + Send>> {
    let path = path.as_ref();
    match kind(path)? {
        Kind::Text => {
            let mut reader = CsvReader::open(path, map)?;
            Ok(Box::new(std::iter::from_fn(move || reader.keyed())))
        }
        #[cfg(feature = "parquet")]
        Kind::Parquet => {
            let mut reader = super::parquet::ParquetReader::open(path, map)?;
            Ok(Box::new(std::iter::from_fn(move || reader.keyed())))
        }
        #[cfg(not(feature = "parquet"))]
        Kind::Parquet => {
            let reason = "Parquet is read by builds with the feature `parquet`";
            Err(unreadable(path.display(), reason))
        }
        Kind::Json | Kind::Tiff => Err(unreadable(
            path.display(),
            "the file is no table in CSV or Parquet",
        )),
    }
}

pub(super) fn too_many_rows(path: &Path) -> Error {
    let reason = format!("the table has more than {MAX_TABLE_ROWS} rows");
    unreadable(path.display(), reason)
}

pub(super) fn at(origin: impl ToString, line: u64, reason: impl Into<String>) -> Error {
    Error::MetadataSource {
        origin: origin.to_string(),
        line: Some(line),
        reason: reason.into(),
        source: None,
    }
}

fn broken(origin: &str, error: csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    let reason = match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("the row has {len} cells, the header {expected_len}"),
        ErrorKind::Io(e) => e.to_string(),
        _ => error.to_string(),
    };
    match caused(origin, reason, error) {
        Error::MetadataSource {
            origin,
            reason,
            source,
            ..
        } => Error::MetadataSource {
            origin,
            line,
            reason,
            source,
        },
        other => other,
    }
}

/// The delimiter that the header uses.
fn sniff(file: &mut File) -> io::Result<u8> {
    let mut start = BufReader::with_capacity(64 << 10, file);
    let start = start.fill_buf()?;
    let header = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let has = |byte: &u8| header.contains(byte);
    Ok([b',', b'\t', b';'].into_iter().find(has).unwrap_or(b','))
}

/// Refuses to read on within a record that is longer than [`MAX_RECORD_BYTES`].
struct Metered<R> {
    inner: R,
    /// Bytes since the last record ended; what the CSV reader has buffered is counted twice.
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.consumed.load(Ordering::Relaxed) > MAX_RECORD_BYTES {
            let message = format!("a record is longer than {MAX_RECORD_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let read = self.inner.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
