//! The metadata readers over small files, good, odd and hostile.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use satmip::metadata::read::{
    self, BadRows, Column, ColumnMap, CsvReader, MAX_DOCUMENT_BYTES, MetadataTable, table,
};
use satmip::{Error, Field, FieldSet, Metadata};
use serde_json::{Value, json};
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/metadata")
        .join(name)
}

fn document(name: &str) -> Value {
    read::json_document(data(name)).unwrap()
}

/// A record's fields as text, in canonical order.
fn texts(metadata: &Metadata) -> Vec<(Field, String)> {
    let fields = metadata.fields();
    fields
        .iter()
        .map(|field| (field, metadata.text(field).unwrap()))
        .collect()
}

fn written(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[track_caller]
fn assert_source_error(error: &Error, origin: &str, line: Option<u64>, reason: &str) {
    match error {
        Error::MetadataSource {
            origin: o,
            line: l,
            reason: r,
            ..
        } => {
            assert!(o.contains(origin), "origin {o:?} lacks {origin:?}");
            assert_eq!(*l, line, "{error}");
            assert!(r.contains(reason), "reason {r:?} lacks {reason:?}");
        }
        other => panic!("another kind of error: {other:?}"),
    }
}

// fMoW

#[test]
fn fmow_record() {
    let metadata = Metadata::from_fmow(&document("fmow.json")).unwrap();
    let expected = [
        (Field::Gsd, "0.52"),
        (Field::MultispectralGsd, "2.08"),
        (Field::PixelSize, "0.0000047,0.0000046"),
        (Field::Timestamp, "2014-05-04T14:10:29Z"),
        (Field::Location, "-77.12,28.729999999999997"),
        (Field::UtmZone, "18R"),
        (Field::CountryCode, "BHS"),
        (Field::CloudCover, "14"),
        (Field::ScanDirection, "Forward"),
        (Field::Wavelengths, "661,545,477"),
        (Field::TargetAzimuthAngle, "39.12"),
        // The sun's azimuth is `NA` there.
        (Field::SunElevationAngle, "70.44"),
        (Field::OffNadirAngle, "27.7"),
        (Field::SensorPlatform, "GEOEYE01"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
    assert!(metadata.derived().is_empty());
}

#[test]
fn fmow_junk_is_absent_and_impossible_values_are_errors() {
    let junk = json!({
        "img_filename": "x.tif", "gsd": "NA", "pan_resolution_dbl": "0.7", "cloud_cover": null,
        "country_code": "ZZZ", "utm": "NA", "scan_direction": "", "timestamp": "N/A",
        "approximate_wavelengths": ["NA", 545], "off_nadir_angle_dbl": [1], "raw_location": "POLYGON EMPTY",
        "bounding_boxes": [{"box": [1]}, {"raw_location": "POLYGON ((10 20, 12 20, 12 24))"}],
    });
    let metadata = Metadata::from_fmow(&junk).unwrap();
    assert_eq!(
        metadata.fields(),
        FieldSet::of(&[Field::Gsd, Field::Location])
    );
    assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("0.7"));
    assert_eq!(metadata.text(Field::Location).as_deref(), Some("11,22"));

    let text_pair = json!({"img_filename": "x.tif", "coordinates": "[8.5, 47.5]"});
    let metadata = Metadata::from_fmow(&text_pair).unwrap();
    assert_eq!(metadata.text(Field::Location).as_deref(), Some("8.5,47.5"));

    for (key, value, field) in [
        ("off_nadir_angle_dbl", json!(120), "off_nadir_angle"),
        ("cloud_cover", json!(-3), "cloud_cover"),
        ("timestamp", json!("yesterday"), "timestamp"),
        ("coordinates", json!("[47.5, 108.5]"), "location"),
    ] {
        let mut record = json!({"img_filename": "x.tif"});
        record[key] = value;
        assert_source_error(
            &Metadata::from_fmow(&record).unwrap_err(),
            "x.tif",
            None,
            field,
        );
    }
    for other in [
        json!(null),
        json!([]),
        json!({"a": 1}),
        document("stac_1.json"),
    ] {
        assert_source_error(
            &Metadata::from_fmow(&other).unwrap_err(),
            "fMoW",
            None,
            "no key of fMoW",
        );
    }
}

// STAC

#[test]
fn stac_item_of_version_1() {
    let metadata = Metadata::from_stac(&document("stac_1.json")).unwrap();
    let expected = [
        // The finest of red, green and blue, not of the near infrared.
        (Field::Gsd, "10"),
        (Field::Timestamp, "2020-07-17T22:19:41.024000Z"),
        (Field::Location, "180,-16"),
        (Field::UtmZone, "1L"),
        (Field::CloudCover, "5.5"),
        (Field::Wavelengths, "665,560,490"),
        (Field::TargetAzimuthAngle, "139.4"),
        (Field::SunAzimuthAngle, "36.2"),
        (Field::SunElevationAngle, "44.75"),
        (Field::SensorPlatform, "SENTINEL-2B"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
}

#[test]
fn stac_item_of_version_0() {
    let metadata = Metadata::from_stac(&document("stac_0.json")).unwrap();
    let expected = [
        (Field::Gsd, "30"),
        (Field::Timestamp, "2015-01-02T15:49:05Z"),
        (Field::Location, "-64.4,-77.6"),
        (Field::Wavelengths, "650,560,480"),
        (Field::TargetAzimuthAngle, "90"),
        (Field::SunAzimuthAngle, "279.5"),
        (Field::SunElevationAngle, "24.5"),
        (Field::OffNadirAngle, "0.5"),
        (Field::SensorPlatform, "LANDSAT-8"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
}

fn item(properties: Value, assets: Value) -> Value {
    json!({"type": "Feature", "stac_version": "1.0.0", "id": "it", "bbox": [8, 47, 10, 49],
        "properties": properties, "assets": assets})
}

fn field_of(properties: Value, assets: Value, field: Field) -> Option<String> {
    Metadata::from_stac(&item(properties, assets))
        .unwrap()
        .text(field)
}

#[test]
fn stac_gsd_has_an_order() {
    let gsd = |properties, assets| field_of(properties, assets, Field::Gsd);
    let red = |more: Value| {
        let mut asset = json!({"eo:bands": [{"common_name": "red"}]});
        asset
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"red": asset})
    };
    let transform = json!({"proj:epsg": 26919, "proj:transform": [0.6, 0, 3, 0, -0.5, 4]});
    assert_eq!(
        gsd(json!({"gsd": 15}), red(json!({"gsd": 30}))).as_deref(),
        Some("30")
    );
    assert_eq!(
        gsd(json!({"gsd": 15}), json!({"pan": {"gsd": 7}})).as_deref(),
        Some("15")
    );
    let resolution = red(json!({"raster:bands": [{"spatial_resolution": 2.5}]}));
    assert_eq!(gsd(json!({}), resolution).as_deref(), Some("2.5"));
    assert_eq!(gsd(transform, json!({})).as_deref(), Some("0.6,0.5"));
    let degrees = json!({"proj:epsg": 4326, "proj:transform": [0.001, 0, 3, 0, -0.001, 4]});
    assert_eq!(gsd(degrees, json!({})), None);
    let radar = json!({"sar:pixel_spacing_range": 10, "sar:pixel_spacing_azimuth": 12});
    assert_eq!(gsd(radar, json!({})).as_deref(), Some("10,12"));
    // Version 1.1 has `bands` with prefixed names.
    let bands = json!({"rgb": {"bands": [
        {"eo:common_name": "red", "eo:center_wavelength": 0.66, "gsd": 4},
        {"eo:common_name": "green", "eo:center_wavelength": 0.55},
        {"eo:common_name": "blue", "eo:center_wavelength": 485}]}});
    assert_eq!(gsd(json!({}), bands.clone()).as_deref(), Some("4"));
    assert_eq!(
        field_of(json!({}), bands, Field::Wavelengths).as_deref(),
        Some("660,550,485")
    );
}

#[test]
fn stac_times_of_intervals() {
    let time = |properties| field_of(properties, json!({}), Field::Timestamp);
    let interval =
        |start, end| json!({"datetime": null, "start_datetime": start, "end_datetime": end});
    let short = interval("2021-08-09T17:39:53Z", "2021-08-09T17:40:18Z");
    assert_eq!(time(short).as_deref(), Some("2021-08-09T17:40:05Z"));
    assert_eq!(
        time(interval("2021-08-01T00:00:00Z", "2021-08-31T00:00:00Z")),
        None
    );
    assert_eq!(
        time(interval("2021-08-09T17:40:18Z", "2021-08-09T17:39:53Z")),
        None
    );
    assert_eq!(time(json!({"datetime": null})), None);
    assert_eq!(time(json!({})), None);
}

#[test]
fn stac_zones() {
    let zone = |properties| field_of(properties, json!({}), Field::UtmZone);
    assert_eq!(zone(json!({"proj:epsg": 32632})).as_deref(), Some("32U"));
    assert_eq!(
        zone(json!({"proj:code": "EPSG:32732"})).as_deref(),
        Some("32U")
    );
    assert_eq!(
        zone(json!({"mgrs:utm_zone": 31, "mgrs:latitude_band": "T", "proj:epsg": 32632}))
            .as_deref(),
        Some("31T")
    );
    assert_eq!(
        zone(json!({"grid:code": "MGRS-05QKB"})).as_deref(),
        Some("5Q")
    );
    assert_eq!(
        zone(json!({"s2:mgrs_tile": "T32TMT"})).as_deref(),
        Some("32T")
    );
    for other in [
        json!({"proj:epsg": null}),
        json!({"proj:epsg": 3031}),
        json!({"proj:epsg": -1e300}),
        json!({"grid:code": "WRS2-1"}),
    ] {
        assert_eq!(zone(other), None);
    }
}

#[test]
fn stac_bad_items_are_named() {
    let bad = |properties| Metadata::from_stac(&item(properties, json!({}))).unwrap_err();
    assert_source_error(
        &bad(json!({"view:off_nadir": 91})),
        "it",
        None,
        "off_nadir_angle",
    );
    assert_source_error(
        &bad(json!({"view:sun_azimuth": true})),
        "it",
        None,
        "`view:sun_azimuth` is no number",
    );
    assert_source_error(
        &bad(json!({"datetime": "2020-13-01T00:00:00Z"})),
        "it",
        None,
        "timestamp",
    );
    assert_source_error(
        &bad(json!({"start_datetime": "soon", "end_datetime": "later"})),
        "it",
        None,
        "timestamp",
    );
    assert_source_error(
        &bad(json!({"s2:mean_solar_zenith": -91})),
        "it",
        None,
        "sun_elevation_angle",
    );
    assert_source_error(&bad(json!({"gsd": 1e9})), "it", None, "gsd");

    let swapped = json!({"type": "Feature", "stac_version": "1.0.0", "id": "it", "bbox": [47, 108, 49, 110], "properties": {}});
    assert_source_error(
        &Metadata::from_stac(&swapped).unwrap_err(),
        "it",
        None,
        "swapped",
    );
    for (other, reason) in [
        (
            json!({"type": "FeatureCollection", "features": []}),
            "collection",
        ),
        (json!({"type": "Feature", "properties": {}}), "no STAC item"),
        (
            json!({"type": "Feature", "stac_version": "1.0.0"}),
            "no `properties`",
        ),
        (json!("Feature"), "no STAC item"),
        (json!(null), "no STAC item"),
    ] {
        assert_source_error(
            &Metadata::from_stac(&other).unwrap_err(),
            "STAC item",
            None,
            reason,
        );
    }
}

// Files by content

#[test]
fn files_are_told_by_their_content() {
    let folder = TempDir::new().unwrap();
    let collection = json!({"type": "FeatureCollection", "features": [document("stac_1.json"), document("stac_0.json")]});
    // The name says nothing, a byte order mark and blanks do no harm.
    let path = written(&folder, "x.csv", format!("\u{feff} \n{collection}"));
    let records = read::from_file(&path).unwrap();
    let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, ["S2B_01LAC", "LC80101172015002LGN00"]);
    assert_eq!(
        records[0].metadata,
        Metadata::from_stac(&document("stac_1.json")).unwrap()
    );

    let records = read::from_file(data("fmow.json")).unwrap();
    assert_eq!((records.len(), records[0].key.as_str()), (1, "fmow.json"));
    assert_eq!(read::from_file(data("chips.csv")).unwrap().len(), 3);
}

#[test]
fn files_that_are_nothing_are_named() {
    let folder = TempDir::new().unwrap();
    let deep = "[".repeat(200_000);
    for (name, content, reason) in [
        ("empty", &b""[..], "is empty"),
        ("blank", b" \n ", "is empty"),
        ("cut.json", b"{\"type\": \"Feat", "not valid JSON"),
        ("latin.json", b"{\"id\": \"\xe9\"}", "not valid JSON"),
        ("deep.json", deep.as_bytes(), "not valid JSON"),
        (
            "other.json",
            b"{\"type\": \"Feature\", \"properties\": {}}",
            "neither a STAC item",
        ),
        ("bytes", b"\x7fELF\0\0\0", "neither JSON"),
        ("text.jpg", b"just some words", "no column is the key"),
    ] {
        let path = written(&folder, name, content);
        let error = read::from_file(&path).unwrap_err();
        let line = (name == "text.jpg").then_some(1);
        assert_source_error(&error, name, line, reason);
    }
    let collection =
        json!({"type": "FeatureCollection", "features": [item(json!({"gsd": -1}), json!({}))]});
    let path = written(&folder, "items.json", collection.to_string());
    let error = read::from_file(&path).unwrap_err();
    assert_source_error(&error, "items.json: it", None, "gsd");

    let missing = read::from_file(folder.path().join("missing")).unwrap_err();
    assert!(matches!(missing, Error::Io { ref path, .. } if path.ends_with("missing")));
    assert!(matches!(
        read::from_file(folder.path()).unwrap_err(),
        Error::Io { .. }
    ));
}

#[test]
fn documents_over_the_limit_are_not_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.json");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"{").unwrap();
    // A sparse file: nothing is written to the disk.
    file.set_len(MAX_DOCUMENT_BYTES * 1000).unwrap();
    assert_source_error(
        &read::from_file(&path).unwrap_err(),
        "large.json",
        None,
        "larger than",
    );
}

#[test]
fn random_changes_of_documents_never_panic() {
    let folder = TempDir::new().unwrap();
    let mut state = 7u64;
    for name in [
        "fmow.json",
        "stac_1.json",
        "stac_0.json",
        "chips.csv",
        "maxar.csv",
    ] {
        let original = fs::read(data(name)).unwrap();
        for _ in 0..300 {
            let mut changed = original.clone();
            for _ in 0..3 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % changed.len();
                changed[at] = b"0[]{}\",-9eN\xff\0\n"[(state >> 20) as usize % 14];
            }
            let path = written(&folder, "changed", changed);
            // Whether it still parses depends on the byte; that it returns is what is checked.
            if let Ok(records) = read::from_file(&path) {
                assert!(
                    records
                        .iter()
                        .all(|record| record.metadata.derived().is_empty())
                );
            }
        }
    }
}

// Tables

#[test]
fn table_of_chips() {
    let rows: Vec<_> = CsvReader::open(data("chips.csv"), &ColumnMap::default())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        rows.iter().map(|row| row.line).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    assert_eq!(rows[0].key, "a/1.jpg");
    let expected = [
        (Field::Gsd, "10"),
        (Field::Location, "28.55905487150164,44.03522012298087"),
        (Field::SensorPlatform, "SENTINEL-2A"),
    ];
    assert_eq!(
        texts(&rows[0].metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
    assert_eq!(
        rows[1].metadata.text(Field::Timestamp).as_deref(),
        Some("2023-08-17")
    );
    assert_eq!(rows[2].metadata.fields(), FieldSet::TIME);

    let table =
        MetadataTable::open(data("chips.csv"), &ColumnMap::default(), BadRows::Refuse).unwrap();
    assert_eq!((table.len(), table.is_empty()), (3, false));
    assert_eq!(table.get("a/1.jpg"), Some(&rows[0].metadata));
    assert_eq!(table.get("./a/1.jpg"), Some(&rows[0].metadata));
    assert_eq!(table.get("1.jpg"), None);
    assert_eq!(
        table.get_by_path("/data/set/b/3.jpg"),
        Some(&rows[2].metadata)
    );
    assert_eq!(table.get_by_path("/data/set/3.jpg"), None);
    let keys: Vec<&str> = table.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a/1.jpg", "a/2.jpg", "b/3.jpg"]);
}

#[test]
fn table_of_maxar() {
    let mut rows = CsvReader::open(data("maxar.csv"), &ColumnMap::maxar()).unwrap();
    let first = rows.next().unwrap().unwrap();
    assert_eq!(first.key, "1040010001/331");
    let expected = [
        (Field::Gsd, "0.36"),
        (Field::Timestamp, "2023-01-03T04:30:17Z"),
        (Field::Location, "92.76,20.49"),
        (Field::UtmZone, "46Q"),
        (Field::CloudCover, "100"),
        (Field::TargetAzimuthAngle, "185.6"),
        (Field::SunAzimuthAngle, "153.9"),
        (Field::SunElevationAngle, "42.4"),
        (Field::OffNadirAngle, "23.7"),
        (Field::SensorPlatform, "WORLDVIEW03"),
    ];
    assert_eq!(
        texts(&first.metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
    let second = rows.next().unwrap().unwrap().metadata;
    assert_eq!(second.text(Field::UtmZone).as_deref(), Some("46M"));
    assert_eq!(second.text(Field::CloudCover).as_deref(), Some("17"));
    assert!(rows.next().is_none());

    // Without clamping, 101 percent is a bad row, and only that row.
    let strict = ColumnMap::maxar().clamp_cloud_cover(false);
    let mut rows = CsvReader::open(data("maxar.csv"), &strict).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert_source_error(&error, "maxar.csv", Some(2), "column `tile:clouds_percent`");
    assert!(rows.next().unwrap().is_ok());
    assert!(rows.next().is_none());
}

fn table_rows(csv: &[u8], map: &ColumnMap) -> Result<Vec<Result<table::TableRow, Error>>, Error> {
    Ok(CsvReader::from_reader(csv, "t.csv", map)?.collect())
}

fn only_row(csv: &str, map: &ColumnMap) -> Metadata {
    let rows = table_rows(csv.as_bytes(), map).unwrap();
    assert_eq!(rows.len(), 1);
    rows.into_iter().next().unwrap().unwrap().metadata
}

#[test]
fn headers_and_their_aliases() {
    let default = ColumnMap::default();
    let metadata = only_row(
        "\u{feff}File, Longitude ,LATITUDE,datetime,view:sun_azimuth,proj:epsg\na,8.5,47.5,2017-06-17 11:33:21,12,32632\n",
        &default,
    );
    assert_eq!(metadata.text(Field::Location).as_deref(), Some("8.5,47.5"));
    assert_eq!(
        metadata.text(Field::Timestamp).as_deref(),
        Some("2017-06-17T11:33:21Z")
    );
    assert_eq!(metadata.text(Field::SunAzimuthAngle).as_deref(), Some("12"));
    assert_eq!(metadata.text(Field::UtmZone).as_deref(), Some("32T"));

    let parts = only_row(
        "file,gsd_x,gsd_y,pixel_size_x,pixel_size_y,wavelengths\na,11.4,9.1,1e-4,8e-5,\"661,545,477\"\n",
        &default,
    );
    assert_eq!(parts.text(Field::Gsd).as_deref(), Some("11.4,9.1"));
    assert_eq!(
        parts.text(Field::PixelSize).as_deref(),
        Some("0.0001,0.00008")
    );
    assert_eq!(
        parts.text(Field::Wavelengths).as_deref(),
        Some("661,545,477")
    );

    // The exact name wins over an alias; a named column over both; a column can be left out.
    let csv = "file,platform,sensor_platform,res,gsd\na,x,y,2,1\n";
    assert_eq!(only_row(csv, &default).sensor_platform(), Some("Y"));
    let named = ColumnMap::default()
        .with(Column::Field(Field::Gsd), "res")
        .without(Column::Field(Field::SensorPlatform));
    let metadata = only_row(csv, &named);
    assert_eq!(metadata.fields(), FieldSet::GSD);
    assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("2"));
    let narrow = ColumnMap::named_only()
        .with_key(["file"])
        .with("gsd".parse().unwrap(), "gsd");
    assert_eq!(only_row(csv, &narrow).fields(), FieldSet::GSD);
}

#[test]
fn other_delimiters() {
    let folder = TempDir::new().unwrap();
    for (name, text) in [
        ("t.tsv", "file\tgsd\na\t2\n"),
        ("s.csv", "file;gsd\r\na;2\r\n"),
    ] {
        let path = written(&folder, name, text);
        let table = MetadataTable::open(&path, &ColumnMap::default(), BadRows::Refuse).unwrap();
        assert_eq!(
            table.get("a").unwrap().text(Field::Gsd).as_deref(),
            Some("2")
        );
    }
}

#[test]
fn headers_that_do_not_fit_are_refused() {
    let default = ColumnMap::default();
    let named = ColumnMap::default().with(Column::Longitude, "easting");
    for (csv, map, reason) in [
        ("name,gsd\na,1\n", &default, "no column is the key"),
        ("file,size\na,1\n", &default, "no column holds metadata"),
        (
            "file,lon,lat\na,1,1\n",
            &named,
            "the column `easting` is missing",
        ),
        (
            "file,gsd,gsd\na,1,1\n",
            &default,
            "the column `gsd` is there twice",
        ),
        (
            "file,gsd,file\na,1,1\n",
            &default,
            "the column `file` is there twice",
        ),
    ] {
        let error = table_rows(csv.as_bytes(), map).unwrap_err();
        assert_source_error(&error, "t.csv", Some(1), reason);
    }
    assert_source_error(
        &table_rows(b"", &default).unwrap_err(),
        "t.csv",
        None,
        "no header",
    );
    let error = table_rows(b"file,\xff\na,1\n", &default).unwrap_err();
    assert_source_error(&error, "t.csv", Some(1), "column 2 is not UTF-8");
}

#[test]
fn bad_rows_are_named_and_the_rest_is_read() {
    let csv = b"file,gsd,lon,lat,cloud_cover\n\
        a,1,8,47,5\n\
        b,NaN,8,47,5\n\
        c,1,8,,5\n\
        d,1,47,108,5\n\
        e,1,8\n\
        ,1,8,47,5\n\
        \xff,1,8,47,5\n\
        g,1,8,47,inf\n\
        h,one,8,47,5\n\
        i,1,8,47,5\n";
    let clamped = ColumnMap::default().clamp_cloud_cover(true);
    let rows = table_rows(csv, &clamped).unwrap();
    let good: Vec<&str> = rows.iter().flatten().map(|row| row.key.as_str()).collect();
    assert_eq!(good, ["a", "i"]);
    let reasons = [
        (3, "column `gsd`"),
        (4, "longitude and latitude"),
        (5, "swapped"),
        (6, "3 cells, the header 5"),
        (7, "column `file`: the key is empty"),
        (8, "column `file`: the cell is not UTF-8"),
        (9, "column `cloud_cover`"),
        (10, "column `gsd`"),
    ];
    let errors: Vec<&Error> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
    assert_eq!(errors.len(), reasons.len());
    for (error, (line, reason)) in errors.iter().zip(reasons) {
        assert_source_error(error, "t.csv", Some(line), reason);
    }
}

#[test]
fn duplicate_keys() {
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "d.csv", "file,gsd\na,1\n./a,2\nb,3\n");
    let error = MetadataTable::open(&path, &ColumnMap::default(), BadRows::Refuse).unwrap_err();
    assert_source_error(
        &error,
        "d.csv",
        Some(3),
        "the key `a` stood in an earlier row",
    );
    let table = MetadataTable::open(&path, &ColumnMap::default(), BadRows::PutAside).unwrap();
    assert_eq!((table.len(), table.refused().len()), (2, 1));
    assert_eq!(
        table.get("a").unwrap().text(Field::Gsd).as_deref(),
        Some("1")
    );
    assert_source_error(&table.refused()[0], "d.csv", Some(3), "earlier row");
}

#[test]
fn bad_rows_put_aside_are_bounded() {
    let folder = TempDir::new().unwrap();
    let bad = "a,-1\n".repeat(table::MAX_REFUSED_ROWS + 1);
    let path = written(&folder, "bad.csv", format!("file,gsd\n{bad}"));
    let error = MetadataTable::open(&path, &ColumnMap::default(), BadRows::PutAside).unwrap_err();
    let line = table::MAX_REFUSED_ROWS as u64 + 2;
    assert_source_error(&error, "bad.csv", Some(line), "column `gsd`");
}

#[test]
fn a_table_without_rows_is_empty() {
    assert!(
        table_rows(b"file,gsd\n", &ColumnMap::default())
            .unwrap()
            .is_empty()
    );
}

/// A table that goes on for ever, a row or a quoted cell at a time.
struct Endless {
    start: &'static [u8],
    again: &'static [u8],
    given: u64,
}

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        while written < buffer.len() {
            let part = if self.start.is_empty() {
                self.again
            } else {
                std::mem::take(&mut self.start)
            };
            let count = part.len().min(buffer.len() - written);
            if count < part.len() {
                break;
            }
            buffer[written..written + count].copy_from_slice(&part[..count]);
            written += count;
        }
        self.given += written as u64;
        Ok(written)
    }
}

#[test]
fn a_quote_that_is_never_closed_ends_the_table() {
    let endless = Endless {
        start: b"file,gsd\na,1\nb,\"",
        again: b"xxxxxxxx\n",
        given: 0,
    };
    let mut rows = CsvReader::from_reader(endless, "q.csv", &ColumnMap::default()).unwrap();
    assert!(rows.next().unwrap().is_ok());
    assert_source_error(
        &rows.next().unwrap().unwrap_err(),
        "q.csv",
        None,
        "a record is longer than",
    );
    assert!(rows.next().is_none());

    let endless = Endless {
        start: b"file,\"",
        again: b"xxxxxxxx\n",
        given: 0,
    };
    let error = CsvReader::from_reader(endless, "q.csv", &ColumnMap::default()).unwrap_err();
    assert_source_error(&error, "q.csv", None, "a record is longer than");
}

#[test]
fn many_short_rows_are_no_long_record() {
    let endless = Endless {
        start: b"file,gsd\n",
        again: b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        given: 0,
    };
    let rows = CsvReader::from_reader(endless, "e.csv", &ColumnMap::default()).unwrap();
    for row in rows.take(50_000) {
        let error = row.unwrap_err().to_string();
        assert!(error.contains("1 cells, the header 2"), "{error}");
    }
}

#[test]
fn rows_stream_without_end() {
    let endless = Endless {
        start: b"file,gsd\n",
        again: b"a,1\n",
        given: 0,
    };
    let rows = CsvReader::from_reader(endless, "e.csv", &ColumnMap::default()).unwrap();
    assert_eq!(rows.take(500_000).filter(Result::is_ok).count(), 500_000);
}

#[cfg(feature = "parquet")]
#[path = "metadata_readers/parquet_tables.rs"]
mod parquet_tables;

#[cfg(feature = "geotiff")]
#[path = "metadata_readers/geotiff_files.rs"]
mod geotiff_files;
