//! Tables in Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Float32Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field as Field_};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use satmip::metadata::read::parquet::ParquetReader;
use satmip::metadata::read::{self, BadRows, ColumnMap, MetadataTable};
use satmip::{Field, FieldSet, Metadata};
use serde_json::json;
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
fn days_in_every_type() {
    let folder = TempDir::new().unwrap();
    let midnight = 1_622_851_200_000_000; // 2021-06-05
    let read = |column: ArrayRef| {
        let files = (0..column.len()).map(|i| i.to_string());
        let files = StringArray::from_iter_values(files);
        let columns: Vec<(&str, ArrayRef)> = vec![("file", Arc::new(files)), ("datetime", column)];
        let path = table(folder.path(), "days.parquet", columns);
        let time = |r: read::Record| r.metadata.text(Field::Timestamp).unwrap();
        let rows = read::from_file(&path).unwrap();
        rows.into_iter().map(time).collect::<Vec<_>>()
    };
    let moments = |values: Vec<i64>| TimestampMicrosecondArray::from(values);
    let day = "2021-06-05";
    assert_eq!(read(Arc::new(moments(vec![midnight]))), [day]);
    assert_eq!(
        read(Arc::new(moments(vec![midnight]).with_timezone("UTC"))),
        [day]
    );
    assert_eq!(read(Arc::new(Date32Array::from(vec![18_783]))), [day]);
    assert_eq!(
        read(Arc::new(TimestampNanosecondArray::from(vec![
            midnight * 1000
        ]))),
        [day]
    );
    assert_eq!(
        read(Arc::new(TimestampNanosecondArray::from(vec![
            midnight * 1000 + 123_000_000
        ]))),
        ["2021-06-05T00:00:00.123Z"]
    );
    assert_eq!(
        read(Arc::new(StringArray::from(vec!["2021-06-05 00:00:00"]))),
        [day]
    );
    assert_eq!(
        read(Arc::new(moments(vec![midnight, midnight + 1_000_000]))),
        ["2021-06-05T00:00:00Z", "2021-06-05T00:00:01Z"]
    );
    // The last of more rows than are read at a time.
    let mut many = vec![midnight; 3000];
    many.push(midnight + 1);
    assert_eq!(read(Arc::new(moments(many)))[0], "2021-06-05T00:00:00Z");
}

/// A polygon in well-known binary, little-endian.
fn polygon(ring: &[[f64; 2]]) -> Vec<u8> {
    let mut bytes = vec![1, 3, 0, 0, 0, 1, 0, 0, 0];
    bytes.extend((ring.len() as u32).to_le_bytes());
    bytes.extend(ring.iter().flatten().flat_map(|n| n.to_le_bytes()));
    bytes
}

/// A table of one item with an outline, and what its footer says of it.
fn outlined(
    folder: &Path,
    outline: &[u8],
    geo: Option<&str>,
    more: Vec<(&str, ArrayRef)>,
) -> PathBuf {
    let path = folder.join("outlined.parquet");
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(vec!["case-1"]))),
        ("footprint", Arc::new(BinaryArray::from(vec![outline]))),
        ("cloud_cover", Arc::new(Float64Array::from(vec![3.5]))),
    ];
    columns.extend(more);
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    if let Some(geo) = geo {
        writer.append_key_value_metadata(KeyValue::new("geo".into(), geo.to_owned()));
    }
    writer.close().unwrap();
    path
}

fn geo(column: &str) -> String {
    format!(
        r#"{{"version": "1.1.0", "primary_column": "footprint", "columns": {{"footprint": {column}}}}}"#
    )
}

#[test]
fn outlines_of_geoparquet() {
    let folder = TempDir::new().unwrap();
    let square = polygon(&[[2.9, 48.6], [3.1, 48.6], [3.1, 48.8], [2.9, 48.6]]);
    let place = |path: PathBuf| {
        read::from_file(&path).unwrap()[0]
            .metadata
            .text(Field::Location)
    };
    let read = |column: &str| place(outlined(folder.path(), &square, Some(&geo(column)), vec![]));
    for column in [
        r#"{"encoding": "WKB"}"#,
        r#"{"encoding": "WKB", "crs": {"id": {"authority": "EPSG", "code": 4326}}}"#,
        r#"{"encoding": "WKB", "crs": {"id": {"authority": "OGC", "code": "CRS84"}}}"#,
    ] {
        let found = read(column).unwrap();
        assert!(
            found.starts_with("3,48.7") || found.starts_with("3,48.69999"),
            "{found}"
        );
    }
    // Metres are no degrees: they are brought to them where the code is known.
    let metres = polygon(&[
        [499_000.0, 5_400_000.0],
        [501_000.0, 5_400_000.0],
        [501_000.0, 5_402_000.0],
    ]);
    let utm = geo(r#"{"encoding": "WKB", "crs": {"id": {"authority": "EPSG", "code": 32631}}}"#);
    let path = outlined(folder.path(), &metres, Some(&utm), vec![]);
    #[cfg(feature = "geotiff")]
    {
        let found = read::from_file(&path).unwrap()[0]
            .metadata
            .location()
            .unwrap();
        assert!(
            (found.lon() - 3.0).abs() < 1e-6 && (found.lat() - 48.762_009).abs() < 1e-5,
            "{found:?}"
        );
    }
    #[cfg(not(feature = "geotiff"))]
    assert!(read::from_file(&path).is_err());
    for (column, reason) in [
        (r#"{"encoding": "WKB", "crs": null}"#, "unknown"),
        (
            r#"{"encoding": "WKB", "crs": {"name": "Local"}}"#,
            "(Local) has no EPSG code",
        ),
        (
            r#"{"encoding": "WKB", "crs": {"id": {"authority": "EPSG", "code": 4267}}}"#,
            "EPSG:4267",
        ),
        (r#"{"encoding": "point"}"#, "`point`"),
    ] {
        let path = outlined(folder.path(), &metres, Some(&geo(column)), vec![]);
        let error = read::from_file(&path).unwrap_err();
        assert_source_error(&error, "outlined.parquet", None, reason);
        // The column can be left out, and does not matter beside a stated place.
        let map = ColumnMap::default().ignoring("footprint");
        assert_eq!(
            ParquetReader::open(&path, &map).unwrap().flatten().count(),
            1
        );
        let stated: Vec<(&str, ArrayRef)> = vec![
            ("lon", Arc::new(Float64Array::from(vec![3.0]))),
            ("lat", Arc::new(Float64Array::from(vec![48.0]))),
        ];
        let path = outlined(folder.path(), &metres, Some(&geo(column)), stated);
        assert_eq!(place(path).as_deref(), Some("3,48"));
    }
    // A broken outline costs its row alone.
    let path = outlined(
        folder.path(),
        &square[..20],
        Some(&geo(r#"{"encoding": "WKB"}"#)),
        vec![],
    );
    let error = read::from_file(&path).unwrap_err();
    assert_source_error(
        &error,
        "outlined.parquet",
        None,
        "row 1: column `footprint`: the geometry ends",
    );
}

#[test]
fn items_in_parquet_are_as_items() {
    let folder = TempDir::new().unwrap();
    let square = polygon(&[
        [2.9, 48.6],
        [3.1, 48.6],
        [3.1, 48.8],
        [2.9, 48.8],
        [2.9, 48.6],
    ]);
    let sides = [("xmin", 2.9), ("ymin", 48.6), ("xmax", 3.1), ("ymax", 48.8)];
    let sides = sides.map(|(name, side)| {
        let field = Arc::new(Field_::new(name, DataType::Float64, false));
        (field, Arc::new(Float64Array::from(vec![side])) as ArrayRef)
    });
    let transform = [10.0, 0.0, 500_000.0, 0.0, -10.0, 5_400_000.0].map(Some);
    let transform = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(transform)]);
    let time = TimestampMicrosecondArray::from(vec![1_717_584_631_000_000]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bbox", Arc::new(StructArray::from(sides.to_vec()))),
        ("datetime", Arc::new(time)),
        ("platform", Arc::new(StringArray::from(vec!["sentinel-2b"]))),
        ("proj:code", Arc::new(StringArray::from(vec!["EPSG:32631"]))),
        ("proj:transform", Arc::new(transform)),
    ];
    let geo = geo(r#"{"encoding": "WKB", "geometry_types": ["Polygon"]}"#);
    let path = outlined(folder.path(), &square, Some(&geo), columns);
    let record = read::from_file(&path).unwrap().remove(0);
    let item = json!({"type": "Feature", "stac_version": "1.0.0", "id": "case-1", "bbox": [2.9, 48.6, 3.1, 48.8],
        "properties": {"datetime": "2024-06-05T10:50:31Z", "platform": "sentinel-2b", "eo:cloud_cover": 3.5},
        "assets": {"red": {"proj:code": "EPSG:32631", "proj:transform": [10, 0, 500000, 0, -10, 5400000]}}});
    let same = Metadata::from_stac(&item).unwrap();
    assert_eq!((record.key.as_str(), &record.metadata), ("case-1", &same));
    assert_eq!(record.metadata.fields().len(), 6);
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
            Err(error) => {
                assert_source_error(error, "many.parquet", None, "row 2501: column `gsd`")
            }
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
