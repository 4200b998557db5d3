//! Tables in Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{
    ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use satmip::metadata::read::parquet::ParquetReader;
use satmip::metadata::read::{self, BadRows, ColumnMap, MetadataTable};
use satmip::{Field, FieldSet};
use tempfile::TempDir;

use super::{assert_source_error, texts, written};

fn table(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let path = folder.join(name);
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn chips(folder: &Path) -> PathBuf {
    let time = TimestampMicrosecondArray::from(vec![Some(1_442_849_408_000_000), None]);
    let wavelengths = ListArray::from_iter_primitive::<Float64Type, _, _>([
        Some([Some(661.0), Some(545.0), Some(477.5)]),
        None,
    ]);
    table(
        folder,
        "chips.parquet",
        vec![
            ("label", Arc::new(StringArray::from(vec!["x", "y"]))),
            ("file", Arc::new(StringArray::from(vec!["a.jpg", "b.jpg"]))),
            (
                "lon",
                Arc::new(Float64Array::from(vec![Some(-73.310776), None])),
            ),
            (
                "lat",
                Arc::new(Float64Array::from(vec![Some(-3.785814), None])),
            ),
            ("gsd", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
            ("datetime", Arc::new(time.with_timezone("UTC"))),
            (
                "cloud_cover",
                Arc::new(Int64Array::from(vec![Some(14), Some(100)])),
            ),
            ("wavelengths", Arc::new(wavelengths)),
        ],
    )
}

#[test]
fn columns_of_all_types() {
    let folder = TempDir::new().unwrap();
    let path = chips(folder.path());
    let rows: Vec<_> = ParquetReader::open(&path, &ColumnMap::default())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        (rows.len(), rows[0].line, rows[0].key.as_str()),
        (2, 1, "a.jpg")
    );
    let expected = [
        // A 32-bit number means its shortest decimal form.
        (Field::Gsd, "0.1"),
        (Field::Timestamp, "2015-09-21T15:30:08Z"),
        (Field::Location, "-73.310776,-3.785814"),
        (Field::CloudCover, "14"),
        (Field::Wavelengths, "661,545,477.5"),
    ];
    assert_eq!(
        texts(&rows[0].metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
    assert_eq!(
        rows[1].metadata.fields(),
        FieldSet::of(&[Field::CloudCover])
    );

    let by_key = MetadataTable::open(&path, &ColumnMap::default(), BadRows::Refuse).unwrap();
    assert_eq!(by_key.get("b.jpg"), Some(&rows[1].metadata));
    assert_eq!(
        read::from_file(&path).unwrap()[0].metadata,
        rows[0].metadata
    );
}

#[test]
fn moments_of_any_zone_are_utc() {
    let folder = TempDir::new().unwrap();
    for zone in [None, Some("UTC"), Some("Europe/Paris"), Some("+02:00")] {
        let time = TimestampMicrosecondArray::from(vec![1_442_849_408_250_000]);
        let time = time.with_timezone_opt(zone);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("datetime", Arc::new(time)),
            ("file", Arc::new(StringArray::from(vec!["a"]))),
        ];
        let path = table(folder.path(), "zone.parquet", columns);
        let row = read::from_file(&path).unwrap().remove(0);
        let expected = Some("2015-09-21T15:30:08.250Z");
        assert_eq!(
            row.metadata.text(Field::Timestamp).as_deref(),
            expected,
            "{zone:?}"
        );
    }
}

#[test]
fn many_rows_and_bad_ones() {
    let folder = TempDir::new().unwrap();
    let keys: Vec<String> = (0..5000).map(|i| format!("{i}.jpg")).collect();
    let gsd = Float64Array::from_iter_values((0..5000).map(|i| {
        if i == 2500 {
            f64::NAN
        } else {
            1.0 + f64::from(i)
        }
    }));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("gsd", Arc::new(gsd)),
        ("file", Arc::new(StringArray::from(keys))),
    ];
    let path = table(folder.path(), "many.parquet", columns);
    let rows: Vec<_> = ParquetReader::open(&path, &ColumnMap::default())
        .unwrap()
        .collect();
    assert_eq!(rows.len(), 5000);
    for (i, row) in rows.iter().enumerate() {
        match row {
            Ok(row) => {
                let gsd = row.metadata.gsd().unwrap().x;
                assert_eq!(
                    (row.key.as_str(), gsd),
                    (format!("{i}.jpg").as_str(), 1.0 + i as f64)
                );
            }
            Err(error) => assert_source_error(error, "many.parquet", Some(2501), "column `gsd`"),
        }
    }
    assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 1);
    let table = MetadataTable::open(&path, &ColumnMap::default(), BadRows::PutAside).unwrap();
    assert_eq!((table.len(), table.refused().len()), (4999, 1));
}

#[test]
fn tables_that_do_not_fit() {
    let folder = TempDir::new().unwrap();
    let numbers = || Arc::new(Float64Array::from(Vec::<f64>::new()));
    let keyless = table(folder.path(), "keyless.parquet", vec![("gsd", numbers())]);
    let error = ParquetReader::open(&keyless, &ColumnMap::default()).unwrap_err();
    assert_source_error(&error, "keyless.parquet", None, "no column is the key");

    let empty = table(
        folder.path(),
        "empty.parquet",
        vec![("gsd", numbers()), ("file", numbers())],
    );
    assert_eq!(
        ParquetReader::open(&empty, &ColumnMap::default())
            .unwrap()
            .count(),
        0
    );

    let torn = written(&folder, "torn.parquet", b"PAR1 and no more");
    let error = read::from_file(&torn).unwrap_err();
    assert_source_error(&error, "torn.parquet", None, "not a readable Parquet file");
}

#[test]
fn damaged_files_never_panic() {
    let folder = TempDir::new().unwrap();
    let original = std::fs::read(chips(folder.path())).unwrap();
    let mut errors = 0;
    for (i, at) in (0..original.len()).step_by(3).enumerate() {
        let mut damaged = original.clone();
        damaged[at] ^= 1 << (i % 8);
        let path = written(&folder, "damaged.parquet", &damaged);
        match ParquetReader::open(&path, &ColumnMap::default()) {
            Ok(rows) => errors += usize::from(rows.take(10_000).any(|row| row.is_err())),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 0);
    for length in (0..original.len()).step_by(97) {
        let path = written(&folder, "cut.parquet", &original[..length]);
        assert!(read::from_file(&path).is_err());
    }
}
