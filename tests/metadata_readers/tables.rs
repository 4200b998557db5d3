//! Tables in CSV.

use satmip::metadata::read::{BadRows, Column, ColumnMap, CsvReader, MetadataTable, table};
use satmip::{Error, Field, FieldSet, Metadata};
use tempfile::TempDir;

use super::{assert_source_error, data, texts, written};

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

/// A line is one of the file, the header's the first, however lines end.
#[test]
fn lines_are_those_of_the_file() {
    let lines = |csv: &str| -> Vec<u64> {
        let rows = CsvReader::from_reader(csv.as_bytes(), "t.csv", &ColumnMap::default()).unwrap();
        let line = |row: satmip::Result<table::TableRow>| match row {
            Ok(row) => row.line,
            Err(Error::MetadataSource {
                line: Some(line), ..
            }) => line,
            Err(error) => panic!("{error}"),
        };
        rows.map(line).collect()
    };
    let plain = "file,gsd\na,1\nb,x\nc\nd,1\n";
    for end in ["\n", "\r\n", "\r"] {
        let table = plain.replace('\n', end);
        assert_eq!(lines(&table), [2, 3, 4, 5], "{table:?}");
        assert_eq!(
            lines(&format!("\u{feff}{table}")),
            [2, 3, 4, 5],
            "{table:?}"
        );
        // Blank lines, and a cell over two lines.
        let table = "file,gsd\n\na,1\n\n\n\"b\nb\",1\nc,x".replace('\n', end);
        assert_eq!(lines(&table), [3, 6, 8], "{table:?}");
    }
    // Over more than the reader holds at a time.
    let many: String = (0..5000).map(|row| format!("{row},1\r\n")).collect();
    let found = lines(&format!("file,gsd\r\n{many}"));
    assert!(found.iter().copied().eq(2..5002));
    // A table of files, which looks for days beforehand, and one whose key stands twice.
    let folder = TempDir::new().unwrap();
    let csv = "file,timestamp\r\na,2020-01-01T00:00:00Z\r\nb,x\r\na,2020-01-02T00:00:00Z\r\n";
    let path = written(&folder, "t.csv", csv);
    let table = MetadataTable::open(&path, &ColumnMap::default(), BadRows::PutAside).unwrap();
    let [bad, twice] = table.refused() else {
        panic!("{:?}", table.refused());
    };
    assert_source_error(bad, "t.csv", Some(3), "column `timestamp`");
    assert_source_error(twice, "t.csv", Some(4), "stood in an earlier row");
}

#[test]
fn values_have_one_reading() {
    let metadata = only_row(
        "file,view:sun_azimuth,view:off_nadir,cloud_cover,timestamp,platform,constellation,wavelengths\n\
         a,-45,-12,-1,2016-12-31T23:59:60Z,101c,planetscope,\"0.665,0.56,0.49\"\n",
        &ColumnMap::default(),
    );
    let expected = [
        (Field::Timestamp, "2016-12-31T23:59:59Z"),
        (Field::Wavelengths, "665,560,490"),
        (Field::SunAzimuthAngle, "315"),
        (Field::OffNadirAngle, "12"),
        (Field::SensorPlatform, "PLANETSCOPE-101C"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
}

#[test]
fn decimal_commas() {
    let folder = TempDir::new().unwrap();
    let read = |name: &str, text: &str| {
        let path = written(&folder, name, text);
        let rows = table::rows(&path, &ColumnMap::default()).unwrap();
        rows.collect::<Vec<_>>()
    };
    for (name, text) in [
        (
            "s.csv",
            "file;gsd;lon;lat;cloud_cover\na;1,5;8,5;47,25;12,5\n",
        ),
        (
            "t.tsv",
            "file\tgsd\tlon\tlat\tcloud_cover\na\t1,5\t8,5\t47,25\t12,5\n",
        ),
    ] {
        let rows = read(name, text);
        let metadata = &rows[0].as_ref().unwrap().metadata;
        assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("1.5"));
        assert_eq!(metadata.text(Field::Location).as_deref(), Some("8.5,47.25"));
        assert_eq!(metadata.text(Field::CloudCover).as_deref(), Some("12.5"));
    }
    // Where commas divide cells, a quoted `1,5` could be two numbers.
    let rows = read("c.csv", "file,gsd\na,\"1,5\"\nb,\"(1,5)\"\nc,\"1.5,2\"\n");
    let error = rows[0].as_ref().unwrap_err();
    assert_source_error(error, "c.csv", Some(2), "write `1.5`, or `(1, 5)`");
    let gsd = |i: usize| rows[i].as_ref().unwrap().metadata.gsd().unwrap();
    assert_eq!(
        (gsd(1).x, gsd(1).y, gsd(2).x, gsd(2).y),
        (1.0, 5.0, 1.5, 2.0)
    );
}

#[test]
fn a_column_of_midnights_is_one_of_days() {
    let folder = TempDir::new().unwrap();
    let times = |rows: &str| {
        let path = written(&folder, "t.csv", format!("file,datetime\n{rows}"));
        let rows = table::rows(&path, &ColumnMap::default()).unwrap();
        let time = |row: table::TableRow| row.metadata.text(Field::Timestamp).unwrap_or_default();
        rows.flatten().map(time).collect::<Vec<_>>()
    };
    // A ragged row and a missing time do not matter.
    let rows = "a,2021-06-05 00:00:00\nb,2021-06-06T00:00:00Z\nc,\nd,x,y\ne,2021-06-07\n";
    assert_eq!(times(rows), ["2021-06-05", "2021-06-06", "", "2021-06-07"]);
    let rows = "a,2021-06-05 00:00:00\nb,2021-06-06 00:00:01\n";
    assert_eq!(
        times(rows),
        ["2021-06-05T00:00:00Z", "2021-06-06T00:00:01Z"]
    );
    let many: String = (0..3000)
        .map(|i| format!("{i},2021-06-05 00:00:00\n"))
        .collect();
    assert!(times(&many).iter().all(|time| time == "2021-06-05"));
    let last = format!("{many}z,2021-06-05 12:00:00\n");
    assert_eq!(times(&last)[0], "2021-06-05T00:00:00Z");
    // A stream cannot be read twice: it stands as it is.
    let csv = "file,datetime\na,2021-06-05 00:00:00\n";
    let metadata = only_row(csv, &ColumnMap::default());
    assert_eq!(
        metadata.text(Field::Timestamp).as_deref(),
        Some("2021-06-05T00:00:00Z")
    );
}

#[test]
fn ragged_rows_cost_themselves_alone() {
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "r.csv", "file,gsd\na,10\nb,10,surplus\nc\nd,10\n");
    let rows: Vec<_> = table::keyed_rows(&path, &ColumnMap::default())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let keys: Vec<_> = rows.iter().map(|row| row.key.as_deref()).collect();
    assert_eq!(keys, [Some("a"), None, None, Some("d")]);
    let error = rows[1].metadata.as_ref().unwrap_err();
    assert_source_error(error, "r.csv", Some(3), "3 cells, the header 2");
    let table = MetadataTable::open(&path, &ColumnMap::default(), BadRows::PutAside).unwrap();
    assert_eq!((table.len(), table.refused().len()), (2, 2));
    // Damage to the file itself is no bad row, whatever is put aside.
    let open = format!("file,gsd\na,1\nb,\"{}", "x".repeat(3 << 20));
    let path = written(&folder, "open.csv", open);
    let error = MetadataTable::open(&path, &ColumnMap::default(), BadRows::PutAside).unwrap_err();
    assert_source_error(&error, "open.csv", None, "a record is longer than");
}

#[test]
fn places_by_outline_box_and_grid() {
    let place = |csv: &str| only_row(csv, &ColumnMap::default()).text(Field::Location);
    assert_eq!(
        place("file,geometry\na,POINT (8.5 47.5)\n").as_deref(),
        Some("8.5,47.5")
    );
    assert_eq!(
        place("file,bbox,geometry\na,\"[8, 47, 9, 48]\",POINT (1 1)\n").as_deref(),
        Some("8.5,47.5")
    );
    // What the row says itself comes first, and an outline that is not needed is not read.
    assert_eq!(
        place("file,lon,lat,geometry\na,1,2,POLYGON ((broken\n").as_deref(),
        Some("1,2")
    );
    // Boxes of pixels, and other things that are called so.
    assert_eq!(place("file,gsd,bbox\na,1,\"[8, 47, 9, 48]\"\n"), None);
    assert_eq!(
        place("file,gsd,geometry\na,1,\"[(135, 522), (245, 522)]\"\n"),
        None
    );
    let error = table_rows(
        b"file,geometry\na,POINT (500000 5000000)\n",
        &ColumnMap::default(),
    )
    .unwrap()
    .remove(0)
    .unwrap_err();
    assert_source_error(&error, "t.csv", Some(2), "column `geometry`");
    let ignoring = ColumnMap::default().ignoring("geometry");
    let metadata = only_row("file,gsd,geometry\na,1,POINT (500000 5000000)\n", &ignoring);
    assert_eq!(metadata.fields(), FieldSet::GSD);

    let metadata = only_row(
        "file,lon,lat,proj:code,proj:transform\na,3,48,EPSG:32631,\"[10.0, 0.0, 500000.0, 0.0, -10.0, 5400000.0]\"\n",
        &ColumnMap::default(),
    );
    assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("10"));
    assert_eq!(metadata.text(Field::UtmZone).as_deref(), Some("31U"));
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
