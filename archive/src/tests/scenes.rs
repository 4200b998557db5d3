//! Windows of scenes, from files and from catalogues.

use serde_json::{Value, json};

use super::*;

/// A file of the tests of rasters: 40 x 30 pixels of 10 m in UTM zone 31.
pub(super) fn raster(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/rasters");
    folder.join(format!("{name}.tif"))
}

/// Windows of 16 pixels.
pub(super) fn cut(input: &Path, out: &Path) -> JobConfig {
    let mut config = config(input, out);
    config.windows = Some(Tiling::new(16, 16, Edge::Shift).unwrap());
    config.reading.scale = "0,3000".parse().unwrap();
    config
}

fn lines(text: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(super) fn rows(out: &Path) -> Vec<Value> {
    let files = contents(out).into_iter();
    let parts = files.filter(|(name, _)| name.starts_with("part-") && name.ends_with(".jsonl"));
    parts.flat_map(|(_, text)| lines(&text)).collect()
}

pub(super) fn errors(out: &Path) -> Vec<Value> {
    contents(out)
        .get("errors.jsonl")
        .map(|text| lines(text))
        .unwrap_or_default()
}

#[test]
fn each_window_is_a_row_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::fs::copy(raster("u16"), dir.path().join("scene.tif")).unwrap();
    let report = embed(&cut(&dir.path().join("scene.tif"), &out)).unwrap();
    // 3 x 2 windows: the last ones are moved back inside.
    assert_eq!((report.items, report.rows, report.skipped), (6, 6, 0));
    let rows = rows(&out);
    let places: Vec<_> = rows.iter().map(|row| row["window"].to_string()).collect();
    let expected = [
        "[0,0,16,16]",
        "[16,0,16,16]",
        "[24,0,16,16]",
        "[0,14,16,16]",
        "[16,14,16,16]",
        "[24,14,16,16]",
    ];
    assert_eq!(places, expected);
    let first = &rows[0];
    assert!(
        first["id"]
            .as_str()
            .unwrap()
            .ends_with("scene.tif#0,0,16,16"),
        "{first}"
    );
    assert_eq!(
        (&first["proj_code"], &first["gsd"]),
        (&json!("EPSG:32631"), &json!(10.0))
    );
    // Easting 500,000 is the zone's middle, 3 degrees east.
    let sides: Vec<f64> = serde_json::from_value(first["bbox"].clone()).unwrap();
    assert!(
        (sides[0] - 3.0).abs() < 1e-9 && sides[2] > 3.0 && sides[1] < sides[3],
        "{sides:?}"
    );
    // Every window has its own place, of which this model reads the gsd: that of the 4 pixels that it sees.
    assert!(
        rows.iter()
            .all(|row| row["metadata_embedding"] == json!([40.0, 40.0, 40.0]))
    );
    assert_eq!(first["datetime"], Value::Null);
}

#[test]
fn windows_keep_the_promises_of_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).unwrap();
    for name in ["u16", "planes_strips_u16", "big_endian_u16"] {
        std::fs::copy(raster(name), input.join(format!("{name}.tif"))).unwrap();
    }
    std::fs::write(input.join("damaged.tif"), b"II*\0\x08\0\0\0").unwrap();
    let mut outputs = Vec::new();
    for workers in [1, 4] {
        let out = dir.path().join(format!("out{workers}"));
        let mut config = cut(&input, &out);
        config.workers = workers;
        let report = embed(&config).unwrap();
        assert_eq!((report.items, report.rows, report.skipped), (19, 18, 1));
        outputs.push(contents(&out));
    }
    assert_eq!(outputs[0], outputs[1]);
    let (model, facts) = model();
    for stop in [1, 3, 6] {
        let out = dir.path().join(format!("stop{stop}"));
        let mut batches = 0;
        let result = run_with(&cut(&input, &out), &model, &facts, &mut |_| {
            batches += 1;
            match batches == stop {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        embed(&cut(&input, &out)).unwrap();
        assert_eq!(contents(&out), outputs[0], "{stop}");
    }
    // Other windows are another job.
    let mut other = cut(&input, &dir.path().join("out1"));
    other.windows = Some(Tiling::new(16, 8, Edge::Shift).unwrap());
    let error = embed(&other).unwrap_err().to_string();
    assert!(error.contains("stride"), "{error}");
}

/// What is wrong with all windows of a scene is said once, whichever way they are cut into batches.
#[test]
fn a_fault_of_a_whole_scene_is_named_once() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).unwrap();
    std::fs::copy(raster("u16"), input.join("good.tif")).unwrap();
    let mut bytes = std::fs::read(raster("u16")).unwrap();
    // The key of its coordinate system, 3072, with a system of a datum that needs a grid: 26731.
    let key: Vec<u8> = [3072_u16, 0, 1, 32_631]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let at = bytes.windows(8).position(|found| found == key).unwrap();
    bytes[at + 6..at + 8].copy_from_slice(&26_731_u16.to_le_bytes());
    std::fs::write(input.join("nowhere.tif"), &bytes).unwrap();
    let mut outputs = Vec::new();
    for workers in [1, 3] {
        let out = dir.path().join(format!("out{workers}"));
        let mut config = cut(&input, &out);
        config.workers = workers;
        let report = embed(&config).unwrap();
        assert_eq!((report.items, report.rows, report.skipped), (12, 12, 1));
        let error = &errors(&out)[0];
        assert_eq!(
            (&error["id"], &error["kind"]),
            (&json!("nowhere.tif"), &json!("metadata"))
        );
        let reason = error["reason"].as_str().unwrap();
        assert!(
            reason.contains("all of its windows") && reason.contains("EPSG:26731"),
            "{reason}"
        );
        let bare = rows(&out)
            .iter()
            .filter(|row| row["bbox"].is_null())
            .count();
        assert_eq!(bare, 6);
        outputs.push(contents(&out));
    }
    assert_eq!(outputs[0], outputs[1]);
    // So is what a table says of it that cannot be.
    let table = dir.path().join("scenes.csv");
    std::fs::write(&table, "file,gsd\ngood.tif,-3\n").unwrap();
    let mut config = cut(&input.join("good.tif"), &dir.path().join("table"));
    config.metadata = Some(TableConfig {
        path: table,
        map: BTreeMap::new(),
    });
    let report = embed(&config).unwrap();
    assert_eq!((report.rows, report.skipped), (6, 1));
    assert_eq!(report.metadata.unwrap().bad_rows, 6);
}

#[test]
fn a_table_says_of_scenes_what_their_files_do_not() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(raster("u16"), dir.path().join("scene.tif")).unwrap();
    let table = dir.path().join("scenes.csv");
    std::fs::write(
        &table,
        "file,datetime,gsd\nscene.tif,2024-06-05T10:50:31Z,77\n",
    )
    .unwrap();
    let mut config = cut(&dir.path().join("scene.tif"), &dir.path().join("out"));
    config.metadata = Some(TableConfig {
        path: table,
        map: BTreeMap::new(),
    });
    let report = embed(&config).unwrap();
    assert_eq!(report.metadata.unwrap().joined, 6);
    for row in rows(&dir.path().join("out")) {
        assert_eq!(row["datetime"], "2024-06-05T10:50:31Z");
        // The file's own grid counts, not the table's 77 m.
        assert_eq!(row["metadata_embedding"], json!([40.0, 40.0, 40.0]));
    }
}

/// An item with these assets.
fn item(id: &str, assets: Value) -> Value {
    json!({"type": "Feature", "stac_version": "1.0.0", "id": id, "collection": "scenes",
        "properties": {"datetime": "2024-06-05T10:50:31Z", "s2:processing_baseline": "05.10"}, "assets": assets})
}

/// A folder with scenes and catalogues of them.
fn catalogue(dir: &Path) -> PathBuf {
    let folder = dir.join("catalogue");
    std::fs::create_dir_all(folder.join("items")).unwrap();
    std::fs::copy(raster("u16"), folder.join("scene.tif")).unwrap();
    let write =
        |name: &str, value: &Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    write(
        "items/a.json",
        &item("a", json!({"visual": {"href": "../scene.tif"}})),
    );
    write(
        "items/b.json",
        &item("b", json!({"visual": {"href": "http://127.0.0.1:9/b.tif"}})),
    );
    write(
        "items/c.json",
        &item("c", json!({"visual": {"href": "../gone.tif"}})),
    );
    write("items/broken.json", &json!({"type": "Feature"}));
    let link = |rel: &str, href: &str| json!({"rel": rel, "href": href});
    write(
        "catalog.json",
        &json!({"type": "Catalog", "stac_version": "1.0.0", "id": "all", "links": [
            link("self", "./catalog.json"), link("child", "./child.json"), link("item", "./items/a.json"),
            link("item", "../outside.json"), link("item", "http://127.0.0.1:9/item.json"),
        ]}),
    );
    write(
        "child.json",
        &json!({"type": "Collection", "stac_version": "1.0.0", "id": "some", "links": [
            link("parent", "./catalog.json"), link("child", "./catalog.json"), link("item", "items/b.json"),
            link("item", "items/c.json"), link("item", "items/broken.json"), link("item", "items/missing.json"),
        ]}),
    );
    folder
}

#[test]
fn items_of_a_catalogue_are_scenes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = catalogue(dir.path());
    let config = |input: &str, out: &str| {
        let mut config = cut(&folder.join(input), &dir.path().join(out));
        config.assets = vec!["visual".into()];
        config
    };
    let report = embed(&config("catalog.json", "out")).unwrap();
    let found = rows(&dir.path().join("out"));
    assert_eq!((report.rows, found.len()), (6, 6));
    assert!(
        found
            .iter()
            .all(|row| row["item_id"] == "a" && row["collection"] == "scenes")
    );
    assert_eq!(found[0]["id"], "a#0,0,16,16");
    assert_eq!(
        (&found[0]["source"], &found[0]["datetime"]),
        (&json!("../scene.tif"), &json!("2024-06-05T10:50:31Z"))
    );
    // A loop is not gone round, and nothing that is wrong costs anything else.
    let errors = errors(&dir.path().join("out"));
    let said: Vec<_> = errors
        .iter()
        .map(|line| format!("{} {}", line["id"], line["reason"]))
        .collect();
    for (id, reason) in [
        ("b", "refused"),
        ("c", "No such file"),
        ("broken.json", "no `id`"),
        ("missing.json", "No such file"),
        ("outside.json", "out of the catalogue's folder"),
        ("127.0.0.1:9/item.json", "refused"),
    ] {
        let found = said
            .iter()
            .any(|line| line.contains(id) && line.contains(reason));
        assert!(found, "{id}: {reason} in {said:#?}");
    }
    assert_eq!(errors.len(), 6, "{said:#?}");

    // The same item alone, in a collection of items, and in lines.
    let one = std::fs::read_to_string(folder.join("items/a.json"))
        .unwrap()
        .replace("../scene.tif", "scene.tif");
    std::fs::write(
        folder.join("all.geojson"),
        format!(r#"{{"type": "FeatureCollection", "features": [{one}]}}"#),
    )
    .unwrap();
    std::fs::write(
        folder.join("all.ndjson"),
        format!("{one}\n\nno json\n{{\"type\":\"Feature\"}}\n"),
    )
    .unwrap();
    for (input, bad) in [("items/a.json", 0), ("all.geojson", 0), ("all.ndjson", 2)] {
        let report = embed(&config(input, &format!("out{bad}{}", input.len()))).unwrap();
        assert_eq!((report.rows, report.skipped), (6, bad), "{input}");
    }
}

/// Time and place are written whatever the model reads.
#[test]
fn a_model_without_a_metadata_tower_has_the_times_of_windows() {
    let dir = tempfile::tempdir().unwrap();
    let folder = catalogue(dir.path());
    let out = dir.path().join("out");
    let mut config = cut(&folder.join("items/a.json"), &out);
    config.assets = vec!["visual".into()];
    let (model, mut facts) = model();
    facts.arch.metadata = None;
    run_with(&config, &model, &facts, &mut |_| ControlFlow::Continue(())).unwrap();
    let rows = rows(&out);
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!(row["datetime"], "2024-06-05T10:50:31Z");
        assert!(row.get("metadata_embedding").is_none(), "{row}");
    }
    // Two assets are neither a picture nor red, green and blue.
    config.assets = vec!["red".into(), "green".into()];
    let error = embed(&config).unwrap_err();
    assert!(
        matches!(error, Error::Argument { what: "assets", .. }),
        "{error}"
    );
}

#[test]
fn only_what_was_asked_for_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = catalogue(dir.path());
    let with = |input: &Path, out: &str, bbox: Option<&str>, time: Option<&str>| {
        let mut config = cut(input, &dir.path().join(out));
        config.assets = vec!["visual".into()];
        config.bbox = bbox.map(|text| text.parse().unwrap());
        config.datetime = time.map(|text| text.parse().unwrap());
        config
    };
    let scene = raster("u16");
    // The left column of windows begins at 3 degrees east; the second one 160 m further.
    let report = embed(&with(&scene, "west", Some("2.9,48,3.0001,49"), None)).unwrap();
    assert_eq!((report.rows, report.skipped), (2, 0));
    let error = embed(&with(&scene, "elsewhere", Some("10,48,11,49"), None))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no window there touches the ground"),
        "{error}"
    );
    let item = folder.join("items/a.json");
    for (time, rows) in [
        ("2024-06-01/2024-06-30", 6),
        ("2024-06-05", 6),
        ("../2024-06-05T10:50:31Z", 6),
    ] {
        let out = format!("time{}", time.len());
        assert_eq!(
            embed(&with(&item, &out, None, Some(time))).unwrap().rows,
            rows,
            "{time}"
        );
    }
    let error = embed(&with(&item, "later", None, Some("2025-01-01/..")))
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 scenes"), "{error}");
    // A file states no time.
    assert_eq!(
        embed(&with(&scene, "file", None, Some("2024-06-05")))
            .unwrap()
            .skipped,
        1
    );
    // Other filters are another job.
    let error = embed(&with(&scene, "west", Some("2.9,48,3.1,49"), None))
        .unwrap_err()
        .to_string();
    assert!(error.contains("bbox") || error.contains("items"), "{error}");
}

#[test]
fn what_cannot_be_cut_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name);
    // Smaller than a window, where rests are dropped.
    let mut small = cut(&raster("u16"), &out("small"));
    small.windows = Some(Tiling::new(64, 64, Edge::Drop).unwrap());
    let error = embed(&small).unwrap_err().to_string();
    assert!(error.contains("hold no window of 64 x 64"), "{error}");
    small.windows = Some(Tiling::new(64, 64, Edge::Shift).unwrap());
    small.reading = small.reading.with_min_valid(0.2).unwrap();
    assert_eq!(embed(&small).unwrap().rows, 1);
    // Samples that nobody explained.
    let mut silent = cut(&raster("u16"), &out("silent"));
    silent.reading.scale = "auto".parse().unwrap();
    let error = embed(&silent).unwrap_err();
    assert!(
        error.hint().is_some_and(|hint| hint.contains("--scale")),
        "{error}"
    );
    // An offset of which nobody knows.
    let path = out("item.json");
    let href = raster("u16").display().to_string();
    let mut silent = item("a", json!({"visual": {"href": href}}));
    silent["properties"] = json!({"datetime": "2024-06-05T10:50:31Z"});
    std::fs::write(&path, silent.to_string()).unwrap();
    let mut s2 = cut(&path, &out("s2"));
    (s2.reading.scale, s2.assets) = ("s2".parse().unwrap(), vec!["visual".into()]);
    assert_eq!(embed(&s2).unwrap().rows, 0);
    assert!(
        errors(&out("s2"))[0]["reason"]
            .as_str()
            .unwrap()
            .contains("--offset")
    );
    let mut s2 = cut(&path, &out("s2-said"));
    (s2.reading.scale, s2.assets, s2.offset) = (
        "s2".parse().unwrap(),
        vec!["visual".into()],
        Offset::Baseline4,
    );
    assert_eq!(embed(&s2).unwrap().rows, 6);
    // A document that is no catalogue, and a scene in an archive.
    std::fs::write(out("other.json"), b"{\"a\": 1}").unwrap();
    let error = embed(&cut(&out("other.json"), &out("x")))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no STAC item"), "{error}");
}

/// Tables of scenes, and items in Parquet.
#[test]
fn tables_list_scenes_and_items() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(raster("u16"), dir.path().join("scene.tif")).unwrap();
    let list = dir.path().join("scenes.csv");
    std::fs::write(
        &list,
        "href,timestamp,cloud_cover\nscene.tif,2024-05-01T10:00:00Z,12\nnone.tif,2024-05-02,3\nscene.tif,2024,4\n",
    )
    .unwrap();
    let out = dir.path().join("table");
    let report = embed(&cut(&list, &out)).unwrap();
    assert_eq!((report.rows, report.skipped), (6, 2));
    let row = &rows(&out)[0];
    assert_eq!(
        (
            &row["id"],
            &row["source"],
            &row["item_id"],
            &row["datetime"]
        ),
        (
            &json!("scene.tif#0,0,16,16"),
            &json!("scene.tif"),
            &Value::Null,
            &json!("2024-05-01T10:00:00Z")
        )
    );
    let mut config = cut(&list, &dir.path().join("assets"));
    config.assets = vec!["red".into()];
    let error = embed(&config).map(|report| report.rows);
    assert_eq!(error.unwrap(), 0);

    // Addresses alone, and clouds that no table names.
    let bare = dir.path().join("bare.csv");
    std::fs::write(&bare, "href\nscene.tif\n").unwrap();
    let mut config = cut(&bare, &dir.path().join("bare"));
    assert_eq!(embed(&config).unwrap().rows, 6);
    config = cut(&raster("u16"), &dir.path().join("clouds"));
    (config.cloud_asset, config.max_cloud) = (Some("scl".into()), Some(0.1));
    assert_eq!(embed(&config).unwrap().rows, 0);
    assert!(
        errors(&dir.path().join("clouds"))[0]["reason"]
            .to_string()
            .contains("STAC items")
    );

    let items = dir.path().join("items.parquet");
    write_items(&items);
    let out = dir.path().join("items");
    let mut config = cut(&items, &out);
    config.assets = vec!["visual".into()];
    let report = embed(&config).unwrap();
    assert_eq!((report.rows, report.skipped), (6, 1));
    let row = &rows(&out)[5];
    assert_eq!(
        (&row["item_id"], &row["collection"], &row["datetime"]),
        (&json!("a"), &json!("c"), &json!("2024-05-01T10:00:00Z"))
    );
}

/// Two items of stac-geoparquet, of which the second has no asset `visual`.
fn write_items(path: &Path) {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray};
    use arrow_schema::{DataType, Field};

    let text =
        |values: [Option<&str>; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let href = Arc::new(Field::new("href", DataType::Utf8, true));
    let asset = |values| StructArray::from(vec![(Arc::clone(&href), text(values))]);
    let visual: ArrayRef = Arc::new(asset([Some("./scene.tif"), None]));
    let thumbnail: ArrayRef = Arc::new(asset([Some("t.png"), Some("t.png")]));
    let member =
        |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    let assets: ArrayRef = Arc::new(StructArray::from(vec![
        (member("visual", &visual), visual),
        (member("thumbnail", &thumbnail), thumbnail),
    ]));
    let times =
        TimestampMicrosecondArray::from(vec![1_714_557_600_000_000; 2]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", text([Some("a"), Some("b")])),
        ("collection", text([Some("c"), Some("c")])),
        ("stac_version", text([Some("1.0.0"), Some("1.0.0")])),
        ("datetime", Arc::new(times)),
        ("assets", assets),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The raster lies from 3 degrees of longitude on, 400 x 300 m.
#[test]
fn windows_are_of_an_area_and_have_cells_of_a_grid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("area.geojson");
    let ring = "[[2.9,48.7],[3.0001,48.7],[3.0001,48.8],[2.9,48.8],[2.9,48.7]]";
    std::fs::write(
        &path,
        format!(r#"{{"type": "Polygon", "coordinates": [{ring}]}}"#),
    )
    .unwrap();
    let out = dir.path().join("out");
    let mut config = cut(&raster("u16"), &out);
    config.intersects = Some(path.clone());
    config.grid = Some("majortom:100".parse().unwrap());
    let report = embed(&config).unwrap();
    // The first window of each of the two rows.
    assert_eq!(report.rows, 2);
    let cells: Vec<_> = rows(&out)
        .iter()
        .map(|row| row["grid_cell"].clone())
        .collect();
    assert!(cells[0].is_string() && cells[0] != cells[1], "{cells:?}");
    // Another area is another job.
    std::fs::write(
        &path,
        format!(r#"{{"type": "Polygon", "coordinates":   [{ring}]}}"#),
    )
    .unwrap();
    assert!(embed(&config).is_err());
    let elsewhere = r#"{"type": "Polygon", "coordinates": [[[9,9],[10,9],[10,10],[9,9]]]}"#;
    std::fs::write(&path, elsewhere).unwrap();
    let error = embed(&config).unwrap_err();
    assert!(error.to_string().contains("no window"), "{error}");
}
