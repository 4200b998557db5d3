//! One meaning of gsd: the command line, the library, the job and the Python example see the same records of the same
//! files.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fixture::{chip, embed, folder, lines, model, run, satmip};
use satmip::{Device, Embedder, FieldSet, Metadata};

/// Sides of the test's pictures; the model has 16.
const SIDES: [u32; 5] = [16, 32, 47, 64, 8];

fn load(bundle: &Path) -> Embedder {
    Embedder::builder(bundle.to_str().unwrap())
        .device(Device::Rten)
        .batch_size(8)
        .load()
        .unwrap()
}

/// Pictures of several sizes, a table of all but the last, and their records; the last but one has nothing that the
/// model reads.
fn archive(dir: &Path) -> (PathBuf, PathBuf, Vec<(PathBuf, Metadata)>) {
    let input = dir.join("in");
    let table = dir.join("table.csv");
    let mut text = "file,gsd,lon,lat,timestamp,cloud_cover\n".to_owned();
    let mut pairs = Vec::new();
    for (i, side) in SIDES.into_iter().enumerate() {
        let path = input.join(format!("c{i}.png"));
        chip(&path, side, i as u32 + 1);
        let at = i as f64;
        let mut record = Metadata::new();
        if i < 3 {
            record.set_gsd(0.5 + at).unwrap();
            record
                .set_location(2.35 + at * 20.0, 48.85 - at * 9.0)
                .unwrap();
            record.set_timestamp("2020-06-21T10:30:00Z").unwrap();
            let (lon, lat) = (2.35 + at * 20.0, 48.85 - at * 9.0);
            text += &format!("c{i}.png,{},{lon},{lat},2020-06-21T10:30:00Z,\n", 0.5 + at);
        } else if i == 3 {
            record.set_cloud_cover(7.0).unwrap();
            text += "c3.png,,,,,7\n";
        }
        pairs.push((path, record));
    }
    fs::write(&table, text).unwrap();
    (input, table, pairs)
}

#[test]
fn the_command_lines_audit_is_the_librarys() {
    let dir = folder();
    let (input, table, pairs) = archive(dir.path());
    let mut command = satmip();
    command
        .arg("audit")
        .arg(&input)
        .arg("--metadata")
        .arg(&table);
    command
        .arg("-m")
        .arg(model())
        .args(["--device", "rten", "--json"]);
    let (code, stdout, stderr) = run(command.args(["--batch-size", "8"]));
    assert!(code == 0 || code == 3, "{stderr}");
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();

    let model = load(model());
    let pairs = model.embed_pairs(&pairs).unwrap();
    assert_eq!(pairs.rows(), [0, 1, 2]);
    let mut rows = model.audit(&pairs).unwrap();
    rows.sort_by(|a, b| {
        b.rank
            .cmp(&a.rank)
            .then(a.similarity.total_cmp(&b.similarity))
    });
    let told = told
        .as_array()
        .or_else(|| told["rows"].as_array())
        .unwrap()
        .clone();
    assert_eq!(told.len(), 3);
    for (told, row) in told.iter().zip(&rows) {
        assert_eq!(told["id"], format!("c{}.png", row.index));
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        assert_eq!(number(&told["similarity"]), row.similarity);
        assert_eq!(
            (&told["rank"], &told["records"]),
            (&row.rank.into(), &3.into())
        );
        let fields = told["fields"].as_array().unwrap();
        assert_eq!(fields.len(), row.fields.len());
        for (told, fit) in fields.iter().zip(&row.fields) {
            assert_eq!(told["field"], fit.field.name());
            assert_eq!(number(&told["gain_without"]), fit.gain_without);
        }
    }
}

#[test]
fn the_job_writes_the_vectors_of_the_pairs() {
    let dir = folder();
    let (input, table, pairs) = archive(dir.path());
    let out = dir.path().join("out.jsonl");
    let mut command = embed();
    command
        .arg(&input)
        .arg("--metadata")
        .arg(&table)
        .arg("-o")
        .arg(&out);
    let (code, _, stderr) = run(command.args(["--batch-size", "8"]));
    assert!(code == 0 || code == 3, "{stderr}");
    let pairs = load(model()).embed_pairs(&pairs).unwrap();
    let written = lines(&out);
    assert_eq!(written.len(), pairs.len());
    let same = |value: &serde_json::Value, row: &[f32]| {
        let numbers: Vec<f32> = value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap() as f32)
            .collect();
        assert_eq!(numbers, row.to_vec());
    };
    for (i, line) in written.iter().enumerate() {
        same(&line["image_embedding"], pairs.images().row(i).unwrap());
    }
    for (row, pair) in pairs.rows().iter().enumerate() {
        let value = &written[*pair]["metadata_embedding"];
        same(value, pairs.metadata().row(row).unwrap());
    }
}

#[test]
fn a_caption_can_be_shown_as_a_model_sees_it() {
    let dir = folder();
    let table = dir.path().join("t.csv");
    fs::write(&table, "file,gsd,cloud_cover\na.png,0.5,7\n").unwrap();
    let caption = |arguments: &[&str]| {
        let mut command = satmip();
        command.arg("caption").arg(&table).args(arguments);
        run(&mut command)
    };
    assert_eq!(caption(&[]).1, "GSD: (0.50, 0.50); Cloud cover: 7\n");
    // A model of 16 pixels that reads no cloud cover.
    let seen = |size: &str| caption(&["--model", model().to_str().unwrap(), "--size", size]);
    assert_eq!(
        seen("128x128"),
        (0, "GSD: (4.00, 4.00)\n".into(), String::new())
    );
    assert_eq!(seen("300x64").1, "GSD: (2.00, 2.00)\n");
    for bad in ["128", "0x5", "ax5", "1x2x3"] {
        let (code, _, stderr) = seen(bad);
        assert_eq!(code, 2, "{bad}: {stderr}");
        assert!(stderr.contains("WIDTHxHEIGHT"), "{stderr}");
    }
    assert_eq!(caption(&["--size", "5x5"]).0, 2);
    // Without a metadata tower there is no caption to show.
    let images = dir.path().join("images");
    fixture::write_bundle(&images, 1, false);
    let (code, _, stderr) = caption(&["-m", images.to_str().unwrap(), "--size", "5x5"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("metadata tower"), "{stderr}");
}

#[test]
fn help_says_whose_gsd_is_meant() {
    for (command, word) in [
        ("query", "model's input pixels"),
        ("caption", "image's own pixels"),
    ] {
        let (code, stdout, _) = run(satmip().args([command, "--help"]).env("COLUMNS", "400"));
        assert_eq!(code, 0);
        assert!(stdout.contains(word), "{stdout}");
    }
}

/// The Python with the packages of the example, or why the test is left out.
fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import numpy, onnxruntime, PIL, tokenizers"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has {
        eprintln!(
            "skipped: {python:?} lacks one of numpy, onnxruntime, pillow, tokenizers (SATMIP_PYTHON names another)"
        );
        return None;
    }
    Some(python)
}

/// Runs examples/embed_onnx.py on pictures and records and gives what it makes of them.
const SCRIPT: &str = r#"
import json, sys
sys.path.insert(0, "examples")
import embed_onnx
given = json.load(sys.stdin)
model = embed_onnx.Model(given["bundle"])
images, captions, metadata = model.embed_pairs(given["files"], given["records"])
refused = []
for file in given["bad"]:
    try:
        embed_onnx.read_picture(file)
    except ValueError as error:
        refused.append(str(error))
json.dump({"images": images.tolist(), "captions": captions, "metadata": metadata.tolist(), "refused": refused}, sys.stdout)
"#;

#[test]
fn the_python_example_sees_what_satmip_sees() {
    let Some(python) = python() else { return };
    let root = fixture::root();
    let dir = folder();
    let data = root.join("tests/data/images");
    // Turned by EXIF, by TIFF's tag, larger, smaller, with an odd rest.
    let mut files: Vec<PathBuf> = ["orientation6.png", "orientation6.tif", "orientation3.jpg"]
        .iter()
        .map(|name| data.join(name))
        .collect();
    for (i, (width, height)) in [(128, 128), (101, 64), (20, 20)].into_iter().enumerate() {
        let path = dir.path().join(format!("{i}.png"));
        let pixel = |x: u32, y: u32| image::Rgb([(x * 2) as u8, (y * 2) as u8, (x ^ y) as u8]);
        image::RgbImage::from_fn(width, height, pixel)
            .save(&path)
            .unwrap();
        files.push(path);
    }
    let place = |lon: f64| {
        Metadata::new()
            .with_gsd(0.6)
            .and_then(|m| m.with_location(lon, 51.953))
            .and_then(|m| m.with_timestamp("2020-04-09T10:48:03.5Z"))
            .unwrap()
            .derive_missing()
    };
    let records = [
        place(4.0524),
        place(-73.310776),
        Metadata::new(),
        place(151.2).with_sensor_platform("WORLDVIEW03").unwrap(),
        place(8.75005),
        Metadata::new().with_cloud_cover(5.0).unwrap(),
    ];
    let bad = [
        "rgb16.png",
        "rgb16.tif",
        "grey16.png",
        "grey16.tif",
        "float.tif",
        "rgba16.png",
        "planes16.tif",
    ];
    let bundle = root.join("zoo/satmip-lite");
    let given = serde_json::json!({
        "bundle": bundle,
        "files": files,
        "records": records,
        "bad": bad.map(|name| data.join(name)),
    });
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &given).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let refused = found["refused"].as_array().unwrap();
    assert_eq!(refused.len(), bad.len(), "{refused:?}");

    // The model inside the program is that of the folder.
    let model = load(Path::new("satmip-lite"));
    let given: Vec<_> = files.iter().zip(&records).collect();
    let pairs = model.embed_pairs(&given).unwrap();
    let captions: Vec<String> = pairs
        .records()
        .iter()
        .map(|r| {
            r.as_ref()
                .map_or(String::new(), |r| r.caption(FieldSet::ALL))
        })
        .collect();
    assert_eq!(found["captions"], serde_json::json!(captions));
    for (name, ours) in [("images", pairs.images()), ("metadata", pairs.metadata())] {
        let theirs = found[name].as_array().unwrap();
        assert_eq!(theirs.len(), ours.len(), "{name}");
        for (i, theirs) in theirs.iter().enumerate() {
            let theirs = theirs
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap() as f32);
            let row = ours.row(i).unwrap();
            let cosine: f32 = row.iter().zip(theirs).map(|(a, b)| a * b).sum();
            // libjpeg and zune-jpeg differ by up to 2 of 255.
            let least = if name == "images" && i == 2 {
                0.999
            } else {
                0.99999
            };
            assert!(cosine > least, "{name} {i}: {cosine}");
        }
    }
}

/// The records of the example's pictures are what the program makes of their table.
#[test]
fn the_examples_records_are_the_programs() {
    let root = fixture::root();
    let mut command = satmip();
    command
        .current_dir(root)
        .args(["caption", "--derive", "--json"]);
    let (code, stdout, stderr) = run(command.arg("examples/chips/metadata.csv"));
    assert_eq!(code, 0, "{stderr}");
    let kept = fs::read_to_string(root.join("examples/chips/records.jsonl")).unwrap();
    assert_eq!(kept, stdout);
}
