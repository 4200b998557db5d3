//! Parquet with a column of ids and columns of lists.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use ndarray::Array2;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Stored, refuse};
use crate::error::{Error, Result};

/// Reads one side.
pub(super) fn read(path: &Path, side: &str) -> Result<Stored> {
    // The decoder asserts inside, and the file may be anybody's.
    catch_unwind(AssertUnwindSafe(|| columns(path, side)))
        .unwrap_or_else(|_| Err(refuse(path, "the decoder failed".into())))
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
    let (mut ids, mut places, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let mut width = None;
    for batch in batches {
        let batch = batch.map_err(|e| fail(e.to_string()))?;
        // Columns keep the file's order.
        let (id, list) = if id < vectors { (0, 1) } else { (1, 0) };
        push(
            &batch,
            id,
            list,
            (&mut ids, &mut places, &mut numbers),
            &mut width,
        )
        .map_err(fail)?;
    }
    let width = width.unwrap_or(0);
    let vectors = places.iter().flatten().count();
    let rows = Array2::from_shape_vec((vectors, width), numbers);
    let rows = rows.map_err(|e| fail(e.to_string()))?;
    Ok(Stored { ids, places, rows })
}

/// Ids, which vector each has, and the vectors.
type Into<'a> = (
    &'a mut Vec<String>,
    &'a mut Vec<Option<usize>>,
    &'a mut Vec<f32>,
);

fn push(
    batch: &RecordBatch,
    id: usize,
    list: usize,
    (ids, places, numbers): Into<'_>,
    width: &mut Option<usize>,
) -> Result<(), String> {
    let texts = arrow_cast::cast(batch.column(id), &DataType::Utf8).map_err(|e| e.to_string())?;
    let texts = texts.as_string::<i32>();
    let lists = arrow_cast::cast(
        batch.column(list),
        &DataType::new_list(DataType::Float32, true),
    );
    let lists = lists.map_err(|e| format!("its vectors: {e}"))?;
    let lists = lists.as_list::<i32>();
    let mut vectors = places.iter().flatten().count();
    for row in 0..batch.num_rows() {
        if texts.is_null(row) {
            return Err(format!("row {} has no id", ids.len() + 1));
        }
        ids.push(texts.value(row).to_owned());
        if lists.is_null(row) {
            places.push(None);
            continue;
        }
        places.push(Some(vectors));
        vectors += 1;
        let value = lists.value(row);
        let value = value.as_primitive::<Float32Type>();
        if *width.get_or_insert(value.len()) != value.len() {
            return Err(format!(
                "row {} has a vector of {} numbers",
                ids.len(),
                value.len()
            ));
        }
        if value.null_count() > 0 {
            return Err(format!("row {} has a number that is missing", ids.len()));
        }
        numbers.extend_from_slice(value.values());
    }
    Ok(())
}
