//! Scenes as the program embeds them, and what other programs make of the rows.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fixture::{contents, embed, folder, run, satmip};

/// 40 x 30 pixels of 10 m in UTM zone 31, uint16.
fn raster() -> PathBuf {
    fixture::root().join("tests/data/rasters/u16.tif")
}

/// Arguments that cut the raster into 48 windows.
const CUT: [&str; 7] = [
    "--tile",
    "8",
    "--stride",
    "5",
    "--scale",
    "0,3000",
    "--workers",
];

fn scenes(dir: &Path, count: usize) -> PathBuf {
    let input = dir.join("in");
    fs::create_dir(&input).unwrap();
    for scene in 0..count {
        fs::copy(raster(), input.join(format!("s{scene:02}.tif"))).unwrap();
    }
    input
}

/// Opens the rows in DuckDB, geopandas and polars.
const READERS: &str = r#"
import sys
import duckdb, geopandas, polars
part = sys.argv[1]
west, south, east, north = [float(word) for word in sys.argv[2:6]]
rows = duckdb.sql(f"select count(*) from '{part}'").fetchall()[0][0]
inside = f"bbox.xmin >= {west} and bbox.xmax <= {east} and bbox.ymin >= {south} and bbox.ymax <= {north}"
found = duckdb.sql(f"select count(*) from '{part}' where {inside}").fetchall()[0][0]
frame = geopandas.read_parquet(part)
assert frame.crs.to_string() == "OGC:CRS84", frame.crs
assert frame.geometry.is_valid.all() and frame.geometry.geom_type.eq("Polygon").all()
assert frame.geometry.exterior.apply(lambda ring: ring.is_ccw).all()
within = frame[frame.within(geopandas.GeoSeries.from_wkt([f"POLYGON (({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"])[0])]
assert len(within) == found, (len(within), found)
clipped = geopandas.read_parquet(part, bbox=(west, south, east, north))
assert found <= len(clipped) < rows
vectors = polars.read_parquet(part)["image_embedding"]
assert vectors.dtype == polars.Array(polars.Float32, vectors.dtype.shape[0]), vectors.dtype
metres = frame.to_crs(32631).geometry.area
assert metres.between(80 * 80 - 1, 80 * 80 + 1).all(), metres
print(rows, found)
"#;

#[test]
fn windows_open_in_duckdb_geopandas_and_polars() {
    let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import duckdb, geopandas, polars"])
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|has| has.success()) {
        eprintln!(
            "skipped: {python:?} lacks one of duckdb, geopandas, polars (SATMIP_PYTHON names another)"
        );
        return;
    }
    let dir = folder();
    let out = dir.path().join("rows.parquet");
    let (code, _, stderr) = run(embed().arg(raster()).arg("-o").arg(&out).args(CUT).arg("2"));
    assert_eq!(code, 0, "{stderr}");
    // The western half: 200 m of the 400 m from 3 degrees east on.
    let place = ["2.999", "48.74", "3.00273", "48.76"];
    let read = Command::new(&python)
        .args(["-c", READERS])
        .arg(&out)
        .args(place)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    // 8 columns and 6 rows; of the columns those from 0, 5 and 10 on end before pixel 20.
    assert_eq!(said.trim(), "48 18");
}

#[test]
fn a_job_killed_in_mid_scene_goes_on() {
    let dir = folder();
    let input = scenes(dir.path(), 12);
    let whole = dir.path().join("whole");
    let job = |out: &Path| {
        let mut command = embed();
        command
            .arg(&input)
            .arg("-o")
            .arg(out)
            .args(CUT)
            .arg("2")
            .args(["--rows-per-part", "40"]);
        command
    };
    let (code, _, stderr) = run(&mut job(&whole));
    assert_eq!(code, 0, "{stderr}");
    let out = dir.path().join("killed");
    let mut kills = 0;
    for after in [2, 5, 9] {
        let mut child = job(&out).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        // Killed when so many parts are there, or done before.
        while fs::read_dir(&out).map_or(0, |entries| entries.count()) < 2 + after {
            if child.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(60) {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 0, "the job was too fast to be killed");
    let (code, _, stderr) = run(&mut job(&out));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(contents(&out), contents(&whole));
}

#[test]
fn a_scene_is_inspected_and_looked_at() {
    let dir = folder();
    let preview = dir.path().join("a.png");
    let mut command = satmip();
    command
        .arg("inspect")
        .arg(raster())
        .args(["--tile", "8", "--scale", "0,3000", "--preview"]);
    let (code, stdout, stderr) = run(command.arg(&preview));
    assert_eq!(code, 0, "{stderr}");
    for text in [
        "40 x 30 pixels",
        "20 of 8 x 8 pixels",
        "EPSG:32631",
        "0 to 3000 become 0 to 255",
        "31U",
    ] {
        assert!(stdout.contains(text), "{text}: {stdout}");
    }
    let picture = image::open(&preview).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (40, 30));
    let (code, _, stderr) = run(&mut command);
    assert!(code == 1 && stderr.contains("exists"), "{code} {stderr}");
    let (code, _, _) = run(command.arg("--overwrite"));
    assert_eq!(code, 0);
}

#[test]
fn items_and_catalogues_are_inspected() {
    let dir = folder();
    fs::copy(raster(), dir.path().join("scene.tif")).unwrap();
    let item = serde_json::json!({"type": "Feature", "stac_version": "1.0.0", "id": "one", "links": [], "geometry": null,
        "properties": {"datetime": "2024-05-01T10:00:00Z", "s2:processing_baseline": "05.00"},
        "assets": {"visual": {"href": "scene.tif"}}});
    let lines = dir.path().join("items.ndjson");
    fs::write(&lines, format!("{item}\nno item\n")).unwrap();
    let preview = dir.path().join("a.png");
    let mut command = satmip();
    command
        .arg("inspect")
        .arg(&lines)
        .args(["--tile", "8", "--scale", "s2", "--assets", "visual"]);
    let (code, stdout, stderr) = run(command.arg("--preview").arg(&preview));
    assert_eq!(code, 3, "{stderr}");
    for text in [
        "one",
        "scene.tif",
        "offset -1000, by `s2:processing_baseline`",
        "EPSG:32631",
        "20 windows of 8 x 8 pixels, of 1 scenes",
        "left out: items.ndjson#2",
    ] {
        assert!(stdout.contains(text), "{text}: {stdout}");
    }
    assert_eq!(image::open(&preview).unwrap().width(), 40);
    let (code, stdout, _) = run(satmip().arg("inspect").arg(&lines).args([
        "--tile", "8", "--scale", "s2", "--assets", "visual", "--json",
    ]));
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &found["first_scenes"][0]["windows"]),
        (3, &20.into())
    );
    let (code, _, stderr) = run(satmip().args(["inspect", "s3://bucket/scene.tif"]));
    assert!(code != 0 && stderr.contains("--tile"), "{stderr}");
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let dir = folder();
    let input = scenes(dir.path(), 3);
    fs::write(input.join("bad.tif"), b"no picture").unwrap();
    let out = dir.path().join("out");
    let job = |more: &[&str]| {
        run(embed()
            .arg(&input)
            .arg("-o")
            .arg(&out)
            .arg("--dry-run")
            .args(more))
    };
    let (code, stdout, stderr) = job(&[&CUT[..], &["2"]].concat());
    assert_eq!(code, 3, "{stderr}");
    for text in [
        "144 windows of 8 pixels, of 3 scenes",
        "1 would be left out",
        "bad.tif",
    ] {
        assert!(stdout.contains(text), "{text}: {stdout}");
    }
    let (code, stdout, _) = job(&["--json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &found["items"], &found["scenes"]),
        (0, &4.into(), &0.into())
    );
    assert!(!out.exists());
}

/// Windows that `--dry-run` counts.
fn counted(arguments: &[&str]) -> (i32, String) {
    let mut command = embed();
    command.arg(raster()).args(["-o", "unused", "--dry-run"]);
    let (code, stdout, stderr) = run(command.args(CUT).arg("4").args(arguments));
    (code, stdout + &stderr)
}

#[test]
fn auto_is_what_happens_without_an_option() {
    let usual = counted(&[]);
    assert_eq!(usual.0, 0, "{}", usual.1);
    let auto = ["--overview", "auto", "--nodata", "auto", "--offset", "auto"];
    assert_eq!(counted(&auto), usual);
    let both = counted(&["--overview", "1", "--gsd", "20"]);
    assert!(both.0 == 2 && both.1.contains("--gsd"), "{both:?}");
    let beside = counted(&["--overview", "auto", "--gsd", "10"]);
    assert_eq!(beside.0, 0, "{}", beside.1);
}

#[test]
fn wrong_options_are_said() {
    let dir = folder();
    let out = dir.path().join("out");
    for (arguments, reason) in [
        (&["--stride", "4"][..], "--tile"),
        (&["--tile", "0"], "0 is not in"),
        (&["--tile", "8", "--assets", "red,green"], "one or three"),
        (&["--tile", "8", "--offset", "7"], "possible values"),
        (&["--tile", "8", "--edge", "wrap"], "possible values"),
    ] {
        let (code, _, stderr) = run(embed().arg(raster()).arg("-o").arg(&out).args(arguments));
        assert!(
            code == 2 && stderr.contains(reason),
            "{arguments:?} {code} {stderr}"
        );
    }
}

/// Validates a collection and its items by the schemas of STAC that pystac brings (those of 1.1, which differ from 1.0 in
/// nothing that is written here but the number), and by what the draft extension asks for.
const STAC: &str = r#"
import json, sys
from pathlib import Path
import pystac
from jsonschema import Draft7Validator
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource
schemas = get_local_schema_cache()
registry = Registry().with_resources([(uri, Resource.from_contents(schema)) for uri, schema in schemas.items()])
root = Path(sys.argv[1])
def check(path, kind):
    document = json.loads(path.read_text())
    assert document["stac_version"] == "1.0.0"
    (schema,) = [schema for uri, schema in schemas.items() if uri.endswith(f"/{kind}.json") and "stacspec" in uri]
    errors = list(Draft7Validator(schema, registry=registry).iter_errors(document | {"stac_version": "1.1.0"}))
    assert not errors, errors
    assert "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json" in document["stac_extensions"]
    return document
collection = check(root / "collection.json", "collection")
assert collection["emb:type"] == "chip" and collection["emb:dimensions"] > 0 and collection["data_type"] == "float32"
assert {"emb:model", "emb:source-data"} <= {link["rel"] for link in collection["links"]}
items = [check(path, "item") for path in sorted((root / "items").iterdir())]
for item in items:
    assert (root / "items" / item["assets"]["embeddings"]["href"]).exists()
assert len(list(pystac.Collection.from_file(str(root / "collection.json")).get_items())) == len(items)
print(len(items), *items[0]["bbox"])
"#;

#[test]
fn a_job_becomes_a_stac_collection() {
    let dir = folder();
    let out = dir.path().join("windows");
    let (code, _, stderr) = run(embed().arg(raster()).arg("-o").arg(&out).args(CUT).args([
        "2",
        "--rows-per-part",
        "24",
    ]));
    assert_eq!(code, 0, "{stderr}");
    let describe = |more: &[&str]| run(satmip().arg("stac").arg(&out).args(more));
    let (code, _, stderr) = describe(&[]);
    assert!(code != 0 && stderr.contains("no row of"), "{stderr}");
    let (code, _, stderr) = describe(&["--license", "MIT\"}", "--datetime", "2024-05-01"]);
    assert!(
        code != 0 && stderr.contains("identifier of SPDX"),
        "{stderr}"
    );
    let (code, _, stderr) = describe(&["--datetime", "2024-05-01/2024-05-02"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("2 items"), "{stderr}");
    let item = std::fs::read(out.join("items/part-00000.json")).unwrap();
    let item: serde_json::Value = serde_json::from_slice(&item).unwrap();
    assert_eq!(item["properties"]["end_datetime"], "2024-05-02T23:59:59Z");
    // What is there is not replaced unasked.
    assert_ne!(describe(&["--datetime", "2024-05-01/2024-05-02"]).0, 0);
    let (code, _, stderr) = run(satmip().arg("stac").arg(dir.path()));
    assert!(code != 0 && stderr.contains("no job"), "{stderr}");

    let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import pystac, jsonschema, referencing"])
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|has| has.success()) {
        eprintln!("skipped: {python:?} lacks pystac or jsonschema (SATMIP_PYTHON names another)");
        return;
    }
    let read = Command::new(&python)
        .args(["-c", STAC])
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    assert!(
        said.starts_with("2 2.99") || said.starts_with("2 3"),
        "{said}"
    );
}
