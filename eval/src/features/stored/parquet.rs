//! Parquet with a column of ids and columns of lists.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use ndarray::Array2;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Stored, refuse};
use satmip::{Error, Result};

/// Reads one side.
pub(super) fn read(path: &Path, side: &str) -> Result<Stored> {
    // The decoder asserts inside, and the file may be anybody's.
    satmip::parts::guard::guarded(|| columns(path, side))
        .unwrap_or_else(|said| Err(refuse(path, format!("the decoder panicked: {said}"))))
}

fn columns(path: &Path, side: &str) -> Result<Stored> {
    let fail = |reason: String| refuse(path, reason);
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fail(e.to_string()))?;
    let schema = builder.schema().clone();
    let names = ["features", "embedding"].map(|kind| format!("{side}_{kind}"));
    let place = |name: &str| schema.fields().iter().position(|f| f.name() == name);
    let vectors = names.iter().find_map(|name| place(name));
    let (Some(id), Some(vectors)) = (place("id"), vectors) else {
        return Err(fail(format!(
            "it has no column `id`, or neither `{}` nor `{}`",
            names[0], names[1]
        )));
    };
    let mask = ProjectionMask::roots(builder.parquet_schema(), [id, vectors]);
    let batches = builder
        .with_projection(mask)
        .build()
        .map_err(|e| fail(e.to_string()))?;
    let mut found = Columns::default();
    for batch in batches {
        let batch = batch.map_err(|e| fail(e.to_string()))?;
        // Columns keep the file's order.
        let (id, list) = if id < vectors { (0, 1) } else { (1, 0) };
        found.push(&batch, id, list).map_err(fail)?;
    }
    let shape = (found.vectors, found.width.unwrap_or(0));
    let rows = Array2::from_shape_vec(shape, found.numbers).map_err(|e| fail(e.to_string()))?;
    Ok(Stored {
        ids: found.ids,
        places: found.places,
        rows,
    })
}

/// What was read of the two columns.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    /// Which vector each id has.
    places: Vec<Option<usize>>,
    /// The vectors, one behind the other, their number and width.
    numbers: Vec<f32>,
    vectors: usize,
    width: Option<usize>,
}

impl Columns {
    fn push(&mut self, batch: &RecordBatch, id: usize, list: usize) -> Result<(), String> {
        let texts =
            arrow_cast::cast(batch.column(id), &DataType::Utf8).map_err(|e| e.to_string())?;
        let texts = texts.as_string::<i32>();
        let lists = arrow_cast::cast(
            batch.column(list),
            &DataType::new_list(DataType::Float32, true),
        );
        let lists = lists.map_err(|e| format!("its vectors: {e}"))?;
        let lists = lists.as_list::<i32>();
        for row in 0..batch.num_rows() {
            if texts.is_null(row) {
                return Err(format!("row {} has no id", self.ids.len() + 1));
            }
            self.ids.push(texts.value(row).to_owned());
            if lists.is_null(row) {
                self.places.push(None);
                continue;
            }
            self.places.push(Some(self.vectors));
            self.vectors += 1;
            let value = lists.value(row);
            let value = value.as_primitive::<Float32Type>();
            if *self.width.get_or_insert(value.len()) != value.len() {
                return Err(format!(
                    "row {} has a vector of {} numbers",
                    self.ids.len(),
                    value.len()
                ));
            }
            if value.null_count() > 0 {
                return Err(format!(
                    "row {} has a number that is missing",
                    self.ids.len()
                ));
            }
            self.numbers.extend_from_slice(value.values());
        }
        Ok(())
    }
}
