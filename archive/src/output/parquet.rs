//! Parquet, with each vector as a fixed-size list of numbers ([`VectorType`]).
//!
//! The footer says where the vectors come from; `satmip.reading` has how pictures were read, with the
//! number of rows that each way is of.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::super::ledger::json;
use super::{
    ColumnSpec, PartWriter, Rows, Schema, VectorType, WindowRow, failed, failed_within, geo,
    with_suffix,
};
use satmip::parts::aside::Aside;
use satmip::{Error, Result};

/// Most ways to read a picture that a footer names.
const MOST_READINGS: usize = 100;
/// Rows of a row group: what a reader must hold at once.
const ROW_GROUP: usize = 4096;

pub(super) struct Parquet {
    aside: Aside,
    schema: SchemaRef,
    columns: Vec<ColumnSpec>,
    vectors: VectorType,
    /// Whether rows are windows of scenes.
    windows: bool,
    /// Whether one of them lies on the antimeridian.
    split: bool,
    writer: ArrowWriter<File>,
    /// Rows by how their pictures were read.
    readings: BTreeMap<String, u64>,
}

impl Parquet {
    pub(super) fn create(base: &Path, schema: &Schema) -> Result<Self> {
        let path = with_suffix(base, ".parquet");
        let mut fields = vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("valid", DataType::Float32, false),
        ];
        for column in &schema.columns {
            fields.extend(schema.vectors.fields(column, width(column, &path)?));
        }
        if schema.windows {
            fields.extend(geo::fields());
        }
        let arrow = SchemaRef::new(arrow_schema::Schema::new(fields));
        let zstd = ZstdLevel::try_new(3).map_err(|e| failed_within(&path, e.into()))?;
        let mut properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_compression(Compression::ZSTD(zstd))
            .set_key_value_metadata(Some(
                schema
                    .provenance
                    .iter()
                    .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
                    .collect(),
            ));
        for column in &schema.columns {
            // Embeddings are noise to a compressor: dictionaries, statistics and compression cost
            // time and save nothing.
            let path = ColumnPath::new(vec![column.name.into(), "list".into(), "element".into()]);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
                .set_column_compression(path, Compression::UNCOMPRESSED);
        }
        let (aside, file) = Aside::file(&path).map_err(|e| failed(&path, e))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&arrow), Some(properties.build()))
            .map_err(|e| failed_within(&path, e.into()))?;
        Ok(Parquet {
            aside,
            schema: arrow,
            columns: schema.columns.clone(),
            vectors: schema.vectors,
            windows: schema.windows,
            split: false,
            writer,
            readings: BTreeMap::new(),
        })
    }

    /// Counts a row; ways to read beyond the first so many are counted together.
    fn count(&mut self, reading: &str) {
        if let Some(rows) = self.readings.get_mut(reading) {
            *rows += 1;
            return;
        }
        let name = match self.readings.len() {
            0..MOST_READINGS => reading,
            _ => "other",
        };
        *self.readings.entry(name.to_owned()).or_default() += 1;
    }

    fn lists(&self, rows: &Rows, index: usize) -> Result<Vec<ArrayRef>> {
        let column = &self.columns[index];
        let width = width(column, self.aside.target())?;
        let arrays = self.vectors.arrays(column, width, &rows.columns[index]);
        arrays.map_err(|e| failed_within(self.aside.target(), e.into()))
    }
}

impl PartWriter for Parquet {
    fn push(&mut self, rows: &Rows) -> Result<()> {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(&rows.ids)),
            Arc::new(Float32Array::from(rows.valid.clone())),
        ];
        for reading in &rows.readings {
            self.count(reading);
        }
        for index in 0..self.columns.len() {
            arrays.extend(self.lists(rows, index)?);
        }
        if self.windows {
            arrays.extend(geo::arrays(&rows.windows));
            let split = |row: &WindowRow| row.footprint().is_some_and(|place| place.is_split());
            self.split |= rows.windows.iter().any(split);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|e| failed_within(self.aside.target(), e.into()))?;
        self.writer
            .write(&batch)
            .map_err(|e| failed_within(self.aside.target(), e.into()))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Aside>> {
        let readings = json(self.aside.target(), &self.readings)?;
        let readings = String::from_utf8_lossy(&readings).into_owned();
        self.writer
            .append_key_value_metadata(KeyValue::new("satmip.reading".to_owned(), readings));
        if self.windows {
            let geo = KeyValue::new("geo".to_owned(), geo::footer(self.split));
            self.writer.append_key_value_metadata(geo);
        }
        self.writer
            .finish()
            .map_err(|e| failed_within(self.aside.target(), e.into()))?;
        let file = self.writer.inner();
        file.sync_all()
            .map_err(|e| failed(self.aside.target(), e))?;
        Ok(vec![self.aside])
    }
}

fn width(column: &ColumnSpec, path: &Path) -> Result<i32> {
    i32::try_from(column.dim).map_err(|_| Error::Output {
        path: path.to_owned(),
        reason: format!("vectors of {} numbers are too long", column.dim),
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, FixedSizeListArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::tests::{rows, schema};
    use super::*;

    #[test]
    fn vectors_nulls_and_provenance_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Box::new(Parquet::create(&dir.path().join("x"), &schema()).unwrap());
        writer.push(&rows(0, 3)).unwrap();
        writer.push(&rows(3, 2)).unwrap();
        super::super::commit(
            writer.finish().unwrap(),
            satmip::parts::aside::Existing::Keep,
        )
        .unwrap();
        let file = File::open(dir.path().join("x.parquet")).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let pairs = reader.metadata().file_metadata().key_value_metadata();
        let found = pairs
            .unwrap()
            .iter()
            .any(|p| p.key == "satmip.model" && p.value.as_deref() == Some("test"));
        assert!(found);
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), 5);
        let lists = |name: &str| {
            let column = batch.column_by_name(name).unwrap();
            column
                .as_any()
                .downcast_ref::<FixedSizeListArray>()
                .unwrap()
                .clone()
        };
        let images = lists("image_embedding");
        assert_eq!((images.value_length(), images.null_count()), (2, 0));
        let metadata = lists("metadata_embedding");
        assert!(metadata.is_null(1) && metadata.is_null(4) && metadata.null_count() == 2);
        let third = metadata.value(3);
        let third = third.as_any().downcast_ref::<Float32Array>().unwrap();
        assert_eq!(third.values(), &[3.25, 3.25, 3.25]);
    }
}
