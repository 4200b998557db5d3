//! Tables in Parquet, GeoParquet and stac-geoparquet among them.
//!
//! Columns may be numbers, texts, dates, timestamps, lists of numbers, structs of a box, or outlines
//! in well-known binary; nulls are missing values. Only the columns that the [`ColumnMap`] asks for
//! are read, a thousand rows at a time.
//!
//! The outline of a GeoParquet file is its primary column, and its coordinates are those of the
//! file's own `crs`: longitude and latitude without one. A file in a system that cannot be read is
//! refused where its outlines are the only place of the pictures; [`ColumnMap::ignoring`] leaves the
//! column out.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field as Value, Row};
use parquet::schema::types::Type;

use super::columns::{Column, ColumnMap, Columns};
use super::footprint;
use super::geoparquet::Geo;
use super::table::{KeyedRow, TableRow};
use super::{caused, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::Field;

/// The largest column of a row group that is read, in bytes once unpacked: 512 MiB.
pub const MAX_COLUMN_BYTES: i64 = 512 << 20;

/// A cell as text, or what is wrong with it.
type Cell = Result<String, String>;

/// Streams the rows of a Parquet file.
///
/// An item is an error when its row is bad; the rows after it can still be read. After damage to
/// the file itself the iterator ends.
pub struct ParquetReader {
    origin: String,
    columns: Columns,
    /// For each column of the table, where it stands in a row that was read.
    projected: Vec<Option<usize>>,
    rows: RowIter<'static>,
    /// How the moments of each column that was read are counted.
    nanoseconds: Vec<bool>,
    /// Where the outlines stand in a row.
    outlines: Option<usize>,
    /// The last row, from 1.
    row: u64,
    done: bool,
}

impl ParquetReader {
    /// Opens a file and finds its columns.
    pub fn open(path: impl AsRef<Path>, map: &ColumnMap) -> Result<Self> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let file = opened(path, &origin)?;
        let footer = file.metadata().file_metadata();
        let fields = footer.schema().get_fields();
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        let geo = Geo::of(footer.key_value_metadata());
        let primary = geo.as_ref().map(|geo| geo.primary.clone());
        let map = match primary.filter(|primary| names.contains(primary)) {
            Some(primary) => &map.with_primary_geometry(&primary),
            None => map,
        };
        let mut columns = map
            .resolve(&names)
            .map_err(|reason| unreadable(&origin, reason))?;
        if let Some(geo) = geo {
            let outline = columns.position(Column::Geometry);
            let name = outline.map(|at| columns.header(at).to_owned());
            columns.frame = geo.frame(name.as_deref());
            if let (true, Err(reason)) = (columns.place_by_outline(), &columns.frame) {
                let reason = format!("the outlines cannot be read as places: {reason}");
                return Err(unreadable(origin, reason));
            }
        }
        let positions = columns.positions();
        refuse_large(file.metadata(), &origin, |root| {
            positions.iter().any(|position| names[*position] == root)
        })?;
        let nanoseconds = positions
            .iter()
            .map(|at| in_nanoseconds(&fields[*at]))
            .collect();
        let mut projected = vec![None; names.len()];
        for (i, position) in positions.iter().enumerate() {
            projected[*position] = Some(i);
        }
        let days = match columns.position(Column::Field(Field::Timestamp)) {
            Some(column) => days(path, &origin, column)?,
            None => false,
        };
        columns.take_days(days, &origin);
        let rows = projection(file, &origin, &positions)?;
        let outlines = columns.position(Column::Geometry);
        Ok(Self {
            origin,
            columns,
            outlines: outlines.and_then(|at| projected.get(at).copied().flatten()),
            projected,
            rows,
            nanoseconds,
            row: 0,
            done: false,
        })
    }

    /// The next row, with its key even where its metadata are bad. An error is one of the file
    /// itself, and the end of the table.
    pub fn keyed(&mut self) -> Option<Result<KeyedRow>> {
        if self.done {
            return None;
        }
        let rows = &mut self.rows;
        let row = match guarded(&self.origin, || rows.next().transpose()) {
            Ok(Some(row)) => row.into_columns(),
            Ok(None) => {
                self.done = true;
                return None;
            }
            Err(error) => {
                self.done = true;
                return Some(Err(error));
            }
        };
        let cells: Vec<Cell> = row
            .iter()
            .zip(&self.nanoseconds)
            .enumerate()
            .map(|(at, ((_, value), nanoseconds))| match value {
                Value::Bytes(bytes) if self.outlines == Some(at) => {
                    centre(bytes.data(), &self.columns)
                }
                value => text(value, *nanoseconds),
            })
            .collect();
        let row = self.columns.row(|column| {
            let cell = self.projected.get(column).copied().flatten();
            match cell.and_then(|i| cells.get(i)) {
                Some(Ok(text)) => Ok(text.as_str()),
                Some(Err(reason)) => Err(reason.clone()),
                None => Ok(""),
            }
        });
        self.row += 1;
        Some(Ok(KeyedRow::of_row(&self.origin, self.row, row)))
    }
}

impl Iterator for ParquetReader {
    type Item = Result<TableRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.keyed().map(|row| row.and_then(KeyedRow::whole))
    }
}

impl fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetReader")
            .field("origin", &self.origin)
            .field("columns", &self.columns)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

pub(super) fn opened(path: &Path, origin: &str) -> Result<SerializedFileReader<File>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    guarded(origin, || SerializedFileReader::new(file))
}

/// The rows of a file with these of its columns alone, in this order.
fn projection(
    file: SerializedFileReader<File>,
    origin: &str,
    positions: &[usize],
) -> Result<RowIter<'static>> {
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let schema = schema.root_schema();
    let fields = positions
        .iter()
        .map(|at| Arc::clone(&schema.get_fields()[*at]));
    let wanted = Type::group_type_builder(schema.name()).with_fields(fields.collect());
    guarded(origin, || {
        RowIter::from_file_into(Box::new(file)).project(Some(wanted.build()?))
    })
}

/// An error where a column of the table that is read has a row group of too many bytes.
pub(super) fn refuse_large(
    metadata: &ParquetMetaData,
    origin: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    for column in metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
        let name = column.column_path();
        let root = name.parts().first();
        if root.is_some_and(|root| wanted(root)) && column.uncompressed_size() > MAX_COLUMN_BYTES {
            let reason =
                format!("column `{name}` has over {MAX_COLUMN_BYTES} bytes in a row group");
            return Err(unreadable(origin, reason));
        }
    }
    Ok(())
}

/// Whether a column's moments are counted in nanoseconds, which rows give as plain numbers.
pub(super) fn in_nanoseconds(column: &Type) -> bool {
    let kind = column.get_basic_info().logical_type_ref();
    matches!(kind, Some(LogicalType::Timestamp(kind)) if kind.unit == TimeUnit::NANOS)
}

/// A value as it would stand in a CSV file; a null is empty.
///
/// Parquet counts moments from 1970 in UTC, whatever zone it names; those without a zone are taken
/// for UTC.
fn text(value: &Value, nanoseconds: bool) -> Cell {
    let listed = |values: &[Value]| {
        let texts: Result<Vec<String>, _> = values.iter().map(|value| text(value, false)).collect();
        Ok(format!("[{}]", texts?.join(", ")))
    };
    match value {
        Value::Null => Ok(String::new()),
        Value::Str(text) => Ok(text.clone()),
        Value::Float16(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Double(number) => Ok(number.to_string()),
        Value::TimestampMillis(count) => moment(*count, 1_000_000),
        Value::TimestampMicros(count) => moment(*count, 1000),
        Value::Long(count) if nanoseconds => moment(*count, 1),
        Value::Date(days) => date(*days),
        Value::ListInternal(list) => listed(list.elements()),
        Value::Group(row) => grouped(row),
        // Numbers, truth values, times of day, bytes and maps.
        plain => Ok(plain.to_string()),
    }
}

/// `{name: value, ..}`
fn grouped(row: &Row) -> Cell {
    let members: Result<Vec<String>, String> = row
        .get_column_iter()
        .map(|(name, value)| Ok(format!("{name}: {}", text(value, false)?)))
        .collect();
    Ok(format!("{{{}}}", members?.join(", ")))
}

pub(super) fn moment(count: i64, nanoseconds: i128) -> Cell {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(count) * nanoseconds)
        .map_err(|_| format!("the time {count} is out of range"))?;
    // Fractions in threes of digits, as other programs write them.
    let digits = match moment.subsec_nanosecond() {
        0 => 0,
        n if n % 1_000_000 == 0 => 3,
        n if n % 1000 == 0 => 6,
        _ => 9,
    };
    let printer = jiff::fmt::temporal::DateTimePrinter::new().precision(Some(digits));
    Ok(printer.timestamp_to_string(&moment))
}

pub(super) fn date(days: i32) -> Cell {
    let epoch = jiff::civil::date(1970, 1, 1);
    let date = epoch.checked_add(
        jiff::Span::new()
            .try_days(days)
            .map_err(|e| e.to_string())?,
    );
    date.map(|date| date.to_string())
        .map_err(|_| format!("the date {days} days after 1970-01-01 is out of range"))
}

/// The centre of an outline, as the text of a point on WGS84: far shorter than its vertices.
fn centre(bytes: &[u8], table: &Columns) -> Cell {
    let frame = match &table.frame {
        Ok(frame) => frame,
        // Rows that have their place from elsewhere do not look at it.
        Err(reason) => return Err(reason.clone()),
    };
    let centre = footprint::centre_of_wkb(bytes, frame)?;
    Ok(centre.map_or_else(String::new, |(lon, lat)| {
        format!("SRID=4326;POINT ({lon} {lat})")
    }))
}

/// Whether the times of a column are days, by a reading of that column alone.
fn days(path: &Path, origin: &str, column: usize) -> Result<bool> {
    let file = opened(path, origin)?;
    let fields = file.metadata().file_metadata().schema().get_fields();
    let nanoseconds = fields
        .get(column)
        .is_some_and(|column| in_nanoseconds(column));
    let mut rows = projection(file, origin, &[column])?;
    time_text::days(std::iter::from_fn(|| {
        loop {
            let row = match guarded(origin, || rows.next().transpose()) {
                Ok(row) => row?,
                Err(error) => return Some(Err(error)),
            };
            let value = row.into_columns().pop().map(|(_, value)| value);
            // A moment that cannot be read is said of its row.
            if let Some(Ok(text)) = value
                .filter(|value| *value != Value::Null)
                .map(|value| text(&value, nanoseconds))
            {
                return Some(Ok(text));
            }
        }
    }))
}

/// Runs a step of the Parquet library. It panics on some damaged files; that is an error here.
pub(super) fn guarded<T, E>(origin: &str, step: impl FnOnce() -> Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match crate::parts::guard::guarded(step) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(caused(
            origin,
            format!("not a readable Parquet file: {e}"),
            e,
        )),
        Err(said) => Err(unreadable(
            origin,
            format!("the reader of Parquet panicked: {said}"),
        )),
    }
}
