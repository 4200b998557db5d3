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

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{Column, ColumnMap, Columns};
use super::footprint;
use super::geoparquet::Geo;
use super::table::{KeyedRow, TableRow};
use super::{caused, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::Field;

/// The largest column of a row group that is read, in bytes once unpacked: 512 MiB.
pub const MAX_COLUMN_BYTES: i64 = 512 << 20;

const BATCH_ROWS: usize = 1024;

/// A cell as text, or what is wrong with it.
type Cell = Result<String, String>;

/// Streams the rows of a Parquet file.
///
/// An item is an error when its row is bad; the rows after it can still be read. After damage to
/// the file itself the iterator ends.
pub struct ParquetReader {
    origin: String,
    columns: Columns,
    /// For each column of the table, where it stands in a batch.
    projected: Vec<Option<usize>>,
    batches: ParquetRecordBatchReader,
    /// Cells of the batch at hand as text, row by row; or why a cell cannot be read.
    cells: Vec<Cell>,
    /// Where the outlines stand in a batch.
    outlines: Option<usize>,
    width: usize,
    /// The next row of the batch at hand, and of the table (from 1).
    next: usize,
    row: u64,
    done: bool,
}

impl ParquetReader {
    /// Opens a file and finds its columns.
    pub fn open(path: impl AsRef<Path>, map: &ColumnMap) -> Result<Self> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let builder = guarded(&origin, || ParquetRecordBatchReaderBuilder::try_new(file))?;
        let fields = builder.schema().fields();
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let geo = Geo::of(builder.metadata().file_metadata().key_value_metadata());
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
        let mask = ProjectionMask::roots(builder.parquet_schema(), positions.iter().copied());
        for group in builder.metadata().row_groups() {
            for (leaf, column) in group.columns().iter().enumerate() {
                if mask.leaf_included(leaf) && column.uncompressed_size() > MAX_COLUMN_BYTES {
                    let name = column.column_path();
                    let reason =
                        format!("column `{name}` has over {MAX_COLUMN_BYTES} bytes in a row group");
                    return Err(unreadable(origin, reason));
                }
            }
        }
        let mut projected = vec![None; names.len()];
        for (i, position) in positions.iter().enumerate() {
            projected[*position] = Some(i);
        }
        let days = match columns.position(Column::Field(Field::Timestamp)) {
            Some(column) => days(path, &origin, column)?,
            None => false,
        };
        columns.take_days(days, &origin);
        let batches = guarded(&origin, || {
            builder
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
        })?;
        let outlines = columns.position(Column::Geometry);
        Ok(Self {
            origin,
            columns,
            outlines: outlines.and_then(|at| projected.get(at).copied().flatten()),
            projected,
            batches,
            cells: Vec::new(),
            width: positions.len(),
            next: 0,
            row: 0,
            done: false,
        })
    }

    /// Turns the next batch into text; false at the end of the table.
    fn fill(&mut self) -> Result<bool> {
        let batches = &mut self.batches;
        let Some(batch) = guarded(&self.origin, || batches.next().transpose())? else {
            return Ok(false);
        };
        let (cells, columns) = (&mut self.cells, &self.columns);
        let outlines = self.outlines;
        guarded(&self.origin, || texts(&batch, outlines, columns, cells))?;
        self.next = 0;
        Ok(true)
    }

    /// The next row, with its key even where its metadata are bad. An error is one of the file
    /// itself, and the end of the table.
    pub fn keyed(&mut self) -> Option<Result<KeyedRow>> {
        while !self.done && self.next * self.width >= self.cells.len() {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        if self.done {
            return None;
        }
        let cells = &self.cells[self.next * self.width..][..self.width];
        let row = self.columns.row(|column| {
            let cell = self.projected.get(column).copied().flatten();
            match cell.and_then(|i| cells.get(i)) {
                Some(Ok(text)) => Ok(text.as_str()),
                Some(Err(reason)) => Err(reason.clone()),
                None => Ok(""),
            }
        });
        self.next += 1;
        self.row += 1;
        Some(Ok(KeyedRow::new(&self.origin, self.row, row)))
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

/// The cells of a batch as text, row by row; nulls are empty, outlines their centre.
fn texts(
    batch: &RecordBatch,
    outlines: Option<usize>,
    table: &Columns,
    cells: &mut Vec<Cell>,
) -> Result<(), ArrowError> {
    let options = FormatOptions::new().with_display_error(false);
    let arrays = batch
        .columns()
        .iter()
        .map(plain)
        .collect::<Result<Vec<_>, _>>()?;
    let columns = arrays
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    cells.clear();
    for row in 0..batch.num_rows() {
        for (at, (column, formatter)) in columns.iter().enumerate() {
            cells.push(if column.is_null(row) {
                Ok(String::new())
            } else if let (true, Some(bytes)) = (outlines == Some(at), binary(column, row)) {
                centre(bytes, table)
            } else {
                Ok(formatter.value(row).try_to_string()?)
            });
        }
    }
    Ok(())
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

fn binary(column: &ArrayRef, row: usize) -> Option<&[u8]> {
    match column.data_type() {
        DataType::Binary => Some(column.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(column.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(column.as_binary_view().value(row)),
        _ => None,
    }
}

/// A column as it is written best: moments of a named zone as the same moments in UTC, and days
/// without a time.
///
/// Arrow keeps moments in UTC anyway, but does not know what to print for `UTC` or `Europe/Paris`.
fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            cast(column, &utc)
        }
        // Days by definition, but printed with a time.
        DataType::Date64 => cast(column, &DataType::Date32),
        DataType::Dictionary(_, value) if value.is_binary() => cast(column, value),
        _ => Ok(Arc::clone(column)),
    }
}

/// Whether the times of a column are days, by a reading of that column alone.
fn days(path: &Path, origin: &str, column: usize) -> Result<bool> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let builder = guarded(origin, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
    let mut batches = guarded(origin, || {
        builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
    })?;
    let options = FormatOptions::new().with_display_error(false);
    let mut cells: std::vec::IntoIter<String> = Vec::new().into_iter();
    time_text::days(std::iter::from_fn(|| {
        loop {
            if let Some(cell) = cells.next() {
                return Some(Ok(cell));
            }
            let batch = match guarded(origin, || batches.next().transpose()) {
                Ok(batch) => batch?,
                Err(error) => return Some(Err(error)),
            };
            let read = guarded(origin, || {
                let column = plain(batch.column(0))?;
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
                let there = (0..column.len()).filter(|row| !column.is_null(*row));
                there
                    .map(|row| formatter.value(row).try_to_string())
                    .collect::<Result<Vec<_>, ArrowError>>()
            });
            match read {
                Ok(texts) => cells = texts.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }))
}

/// Runs a step of the Parquet library. It panics on some damaged files; that is an error here.
fn guarded<T, E>(origin: &str, step: impl FnOnce() -> Result<T, E>) -> Result<T>
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
