//! Tables in Parquet, GeoParquet with columns of longitude and latitude among them.
//!
//! Columns may be numbers, texts, timestamps or lists of numbers; nulls are missing values.
//! Only the columns that the [`ColumnMap`] asks for are read, a thousand rows at a time.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{ColumnMap, Columns};
use super::table::{KeyedRow, TableRow};
use super::{caused, unreadable};
use crate::error::{Error, Result};

/// The largest column of a row group that is read, in bytes once unpacked: 512 MiB.
pub const MAX_COLUMN_BYTES: i64 = 512 << 20;

const BATCH_ROWS: usize = 1024;

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
    /// Cells of the batch at hand as text, row by row.
    cells: Vec<String>,
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
        let columns = map
            .resolve(&names)
            .map_err(|reason| unreadable(&origin, reason))?;
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
        let batches = guarded(&origin, || {
            builder
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
        })?;
        Ok(Self {
            origin,
            columns,
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
        let cells = &mut self.cells;
        guarded(&self.origin, || texts(&batch, cells))?;
        self.next = 0;
        Ok(true)
    }

    /// The next row, with its key even where its metadata are bad.
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
            Ok(cell.and_then(|i| cells.get(i)).map_or("", String::as_str))
        });
        self.next += 1;
        self.row += 1;
        Some(KeyedRow::new(&self.origin, self.row, row))
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

/// The cells of a batch as text, row by row; nulls are empty.
fn texts(batch: &RecordBatch, cells: &mut Vec<String>) -> Result<(), ArrowError> {
    let options = FormatOptions::new().with_display_error(false);
    let arrays = batch
        .columns()
        .iter()
        .map(in_utc)
        .collect::<Result<Vec<_>, _>>()?;
    let columns = arrays
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    cells.clear();
    for row in 0..batch.num_rows() {
        for (column, formatter) in &columns {
            cells.push(if column.is_null(row) {
                String::new()
            } else {
                formatter.value(row).try_to_string()?
            });
        }
    }
    Ok(())
}

/// A column of moments in a named zone as the same moments in UTC.
///
/// Arrow keeps them in UTC anyway, but does not know what to print for `UTC` or `Europe/Paris`.
fn in_utc(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            cast(column, &utc)
        }
        _ => Ok(Arc::clone(column)),
    }
}

/// Runs a step of the Parquet library. It panics on some damaged files; that is an error here.
fn guarded<T, E>(origin: &str, step: impl FnOnce() -> Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match crate::guard::guarded(step) {
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
