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

use std::collections::{BTreeMap, VecDeque};
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
    /// The line of the file on which the row begins, counted from 1, the header's and blank ones included; in Parquet,
    /// which has no lines, the row, counted from 1.
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
    /// Whether its file has lines.
    has_lines: bool,
}

impl KeyedRow {
    /// A row of a file of lines.
    fn of_line(origin: &str, line: u64, row: Result<Row, String>) -> Self {
        Self::new(origin, line, row, true)
    }

    /// A row of Parquet.
    #[cfg(feature = "parquet")]
    pub(super) fn of_row(origin: &str, number: u64, row: Result<Row, String>) -> Self {
        Self::new(origin, number, row, false)
    }

    fn new(origin: &str, line: u64, row: Result<Row, String>, has_lines: bool) -> Self {
        let wrong = |reason: String| match has_lines {
            true => at(origin, line, reason),
            false => at_row(origin, line, &reason),
        };
        let (key, texts, metadata) = match row {
            Ok(row) => (Some(row.key), row.texts, row.metadata.map_err(wrong)),
            Err(reason) => (None, Vec::new(), Err(wrong(reason))),
        };
        KeyedRow {
            line,
            key,
            texts,
            metadata,
            has_lines,
        }
    }

    fn unreadable(line: u64, error: Error) -> Self {
        KeyedRow {
            line,
            key: None,
            texts: Vec::new(),
            metadata: Err(error),
            has_lines: true,
        }
    }

    /// An error of this row of a file, which names the line, or in Parquet the row.
    pub fn error(&self, origin: impl ToString, reason: impl Into<String>) -> Error {
        match self.has_lines {
            true => at(origin, self.line, reason),
            false => at_row(origin, self.line, &reason.into()),
        }
    }

    /// Where it stands, for messages: `line 5`, or in Parquet `row 5`.
    pub fn place(&self) -> String {
        let what = if self.has_lines { "line" } else { "row" };
        format!("{what} {}", self.line)
    }

    pub(super) fn whole(self) -> Result<TableRow> {
        if self.key.is_none() && self.metadata.is_ok() {
            return Err(self.error("table", "the row has no key"));
        }
        let metadata = self.metadata?;
        let key = self.key.unwrap_or_default();
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
                    Err(e) if matches!(e.kind(), ErrorKind::UnequalLengths { .. }) => {
                        self.line(self.rows.position().byte());
                        continue;
                    }
                    // The second reading comes to the same place, and says it there.
                    Err(_) => return None,
                }
                self.consumed.store(0, Ordering::Relaxed);
                self.line(self.rows.position().byte());
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
            ends: LineEnds::default(),
        };
        let mut rows = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(true)
            .from_reader(metered);
        let header = match rows.byte_headers() {
            Ok(header) => header,
            Err(e) => return Err(broken(&origin, None, e)),
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
        match self.rows.read_byte_record(&mut self.record) {
            Ok(false) => {
                self.done = true;
                return None;
            }
            Ok(true) => {}
            Err(e) => {
                self.consumed.store(0, Ordering::Relaxed);
                let ragged = matches!(e.kind(), ErrorKind::UnequalLengths { .. });
                let start = e.position().map(csv::Position::byte);
                let line = start.map(|start| self.line(start));
                let error = broken(&self.origin, line, e);
                if ragged {
                    return Some(Ok(KeyedRow::unreadable(line.unwrap_or_default(), error)));
                }
                self.done = true;
                return Some(Err(error));
            }
        }
        self.consumed.store(0, Ordering::Relaxed);
        let start = self.record.position().map_or(0, csv::Position::byte);
        let line = self.line(start);
        let row = self.columns.row(|column| {
            let cell = self.record.get(column).unwrap_or_default();
            std::str::from_utf8(cell).map_err(|_| "the cell is not UTF-8".to_owned())
        });
        Some(Ok(KeyedRow::of_line(&self.origin, line, row)))
    }

    /// The line of the file on which a row begins, by its first byte; rows come one after the other.
    fn line(&mut self, start: u64) -> u64 {
        self.rows.get_mut().ends.line(start)
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
            let row = row?;
            let again = row
                .key
                .as_ref()
                .filter(|key| row.metadata.is_ok() && table.rows.contains_key(key.as_str()));
            let again = again.map(|key| {
                let reason = format!("the key `{}` stood in an earlier row already", short(key));
                row.error(path.display(), reason)
            });
            let error = match again.map_or_else(|| row.whole(), Err) {
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

/// The error of a row of a file that has no lines.
pub(super) fn at_row(origin: impl ToString, row: u64, reason: &str) -> Error {
    unreadable(origin, format!("row {row}: {reason}"))
}

fn broken(origin: &str, line: Option<u64>, error: csv::Error) -> Error {
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
    ends: LineEnds,
}

/// The ends of lines that were read ahead of the rows. The CSV reader counts none where a row ends in `\r\n`, until it
/// reads the next one.
#[derive(Debug, Default)]
struct LineEnds {
    /// Bytes that were read.
    read: u64,
    /// Places and bytes of ends that no row is behind.
    ahead: VecDeque<(u64, u8)>,
    /// Lines that ended.
    lines: u64,
    /// Where the last `\r` stood.
    carriage: Option<u64>,
}

impl LineEnds {
    fn note(&mut self, bytes: &[u8]) {
        let ends = (self.read..).zip(bytes.iter().copied());
        let ends = ends.filter(|(_, byte)| matches!(byte, b'\n' | b'\r'));
        self.ahead.extend(ends);
        self.read += bytes.len() as u64;
    }

    /// The line of the row that begins at a byte, or behind the ends of lines that stand there.
    fn line(&mut self, start: u64) -> u64 {
        let mut start = start;
        while let Some((at, byte)) = self.ahead.front().copied().filter(|(at, _)| *at <= start) {
            self.ahead.pop_front();
            start += u64::from(at == start);
            let is_one = byte == b'\n' && at > 0 && self.carriage == Some(at - 1);
            self.lines += u64::from(!is_one);
            if byte == b'\r' {
                self.carriage = Some(at);
            }
        }
        self.lines + 1
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.consumed.load(Ordering::Relaxed) > MAX_RECORD_BYTES {
            let message = format!("a record is longer than {MAX_RECORD_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let read = self.inner.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        self.ends.note(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
