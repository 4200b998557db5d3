//! `satmip export` in several precisions, and `satmip export verify`.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use fixture::{chips, folder, run, satmip, write_checkpoint_of_width};
use serde_json::Value;

const IDENTITY: [&str; 6] = ["--id", "wide", "--model-version", "1", "--licence", "MIT"];

/// A checkpoint that is wide enough to have layers that int8 quantises.
fn checkpoint(dir: &Path) -> PathBuf {
    let path = dir.join("run");
    write_checkpoint_of_width(&path, 5, 48);
    path
}

/// A bundle in these precisions.
fn export(dir: &Path, precisions: &str, more: &[&str]) -> (PathBuf, String) {
    let output = dir.join("bundle");
    let (code, _, stderr) = run(satmip()
        .arg("export")
        .arg(checkpoint(dir))
        .arg("-o")
        .arg(&output)
        .args(["--precision", precisions])
        .args(IDENTITY)
        .args(more));
    assert_eq!(code, 0, "{stderr}");
    (output, stderr)
}

fn manifest(bundle: &Path) -> Value {
    serde_json::from_slice(&fs::read(bundle.join("bundle.json")).unwrap()).unwrap()
}

fn verify(bundle: &Path) -> (i32, Value, String) {
    let mut command = satmip();
    // ONNX Runtime as well, where the tests have it.
    if let Some(library) = std::env::var_os("SATMIP_ORT_DYLIB") {
        command.env("SATMIP_ORT_DYLIB", library);
    }
    let (code, stdout, stderr) = run(command.args(["export", "verify", "--json"]).arg(bundle));
    (
        code,
        serde_json::from_str(&stdout).unwrap_or_default(),
        stderr,
    )
}

/// Three classes of chips in folders of a table, each with its metadata.
fn labelled(dir: &Path) -> PathBuf {
    let root = dir.join("labelled");
    chips(&root, "chips", 60, 16);
    let mut table = String::from("file,label,split,lon,lat\n");
    for i in 0..60 {
        let split = ["train", "test"][i % 2];
        table += &format!("chips/c{i:03}.png,{},{split},{}.5,{i}\n", i % 3, i * 2);
    }
    fs::write(root.join("chips.csv"), table).unwrap();
    let text = "name = \"drawn\"\nsource = { folder = \".\", table = \"chips.csv\" }\n";
    fs::write(root.join("set.toml"), text).unwrap();
    root.join("set.toml")
}

#[test]
fn several_precisions_share_a_bundle_and_verify() {
    let dir = folder();
    let (bundle, _) = export(dir.path(), "f32,f16,f16-weights,int8,int8-weights", &[]);
    let about = manifest(&bundle);
    assert_eq!(about["precision"], "f32");
    let variants = about["variants"].as_object().unwrap();
    assert_eq!(variants.len(), 4);
    assert_eq!(variants["int8"]["image"], "image.int8.onnx");
    assert_eq!(variants["int8"]["metadata"], "metadata.int8.onnx");
    // Nothing was measured, so nothing is stated.
    assert!(about.get("parity").is_none());

    let (code, found, stderr) = verify(&bundle);
    assert_eq!(code, 0, "{stderr}\n{found:#}");
    let graphs = found["graphs"].as_array().unwrap();
    assert_eq!(graphs.len(), 10);
    for graph in graphs {
        let rows = graph["parity"].as_array().unwrap();
        // Batches of 1, 2, 7 and 32 on each engine.
        assert!(rows.len() >= 4 && rows.len() % 4 == 0, "{graph:#}");
        for row in rows {
            assert!(row["cosine_min"].as_f64().unwrap() >= row["tolerance"].as_f64().unwrap());
        }
    }
}

#[test]
fn a_precision_is_chosen_by_name() {
    let dir = folder();
    let (bundle, _) = export(dir.path(), "f32,int8", &[]);
    let input = chips(dir.path(), "in", 3, 16);
    let embed = |precision: &str, output: &str| {
        let output = dir.path().join(output);
        let done = run(satmip()
            .arg("embed")
            .arg(&input)
            .arg("-m")
            .arg(&bundle)
            .args([
                "--device",
                "rten",
                "--format",
                "npy",
                "--precision",
                precision,
                "-o",
            ])
            .arg(&output));
        (done, output)
    };
    let ((code, _, stderr), plain) = embed("f32", "plain");
    assert_eq!(code, 0, "{stderr}");
    let ((code, _, stderr), small) = embed("int8", "small");
    assert_eq!(code, 0, "{stderr}");
    let job = |folder: &Path| fs::read_to_string(folder.join("job.json")).unwrap();
    assert!(job(&plain).contains("\"f32\"") && job(&small).contains("\"int8\""));
    let ((code, _, stderr), _) = embed("f16", "none");
    assert_eq!(code, 1);
    assert!(stderr.contains("only in f32, int8"), "{stderr}");
}

#[test]
fn parity_is_measured_on_chips_and_written_down() {
    let dir = folder();
    let data = labelled(dir.path());
    let more = ["--parity", data.to_str().unwrap(), "--int8-cosine", "0.9"];
    let (bundle, stderr) = export(dir.path(), "f32,int8,f16-weights", &more);
    assert!(stderr.contains("no layer stays in f32"), "{stderr}");
    let parity = &manifest(&bundle)["parity"];
    assert!(parity.get("f32").is_none());
    for precision in ["int8", "f16-weights"] {
        let found = &parity[precision];
        assert_eq!(found["chips"], 30, "{found:#}");
        for side in ["image", "metadata"] {
            let least = found[side]["cosine_min"].as_f64().unwrap();
            let mean = found[side]["cosine_mean"].as_f64().unwrap();
            assert!(
                0.9 < least && least <= mean && mean <= 1.0 + 1e-6,
                "{found:#}"
            );
        }
        assert_eq!(found["knn"]["k"], 20);
    }
    let int8 = parity["int8"]["image"]["cosine_mean"].as_f64().unwrap();
    let half = parity["f16-weights"]["image"]["cosine_mean"]
        .as_f64()
        .unwrap();
    assert!(half > int8, "{int8} {half}");
}

#[test]
fn layers_stay_in_f32_until_int8_is_as_near_as_asked() {
    let dir = folder();
    let data = labelled(dir.path());
    let more = [
        "--parity",
        data.to_str().unwrap(),
        "--int8-cosine",
        "0.9999999",
    ];
    let (_, stderr) = export(dir.path(), "int8", &more);
    let line = stderr
        .lines()
        .find(|line| line.starts_with("int8: in f32 stay"));
    let line = line.unwrap_or_else(|| panic!("{stderr}"));
    assert!(
        line.contains("attn.qkv.weight") || line.contains("mlp.fc"),
        "{line}"
    );
}

#[test]
fn wrong_precisions_are_refused_before_anything_is_written() {
    let dir = folder();
    let run_path = checkpoint(dir.path());
    for (precision, reason) in [
        ("int4", "is none of"),
        ("f32,f32", "twice"),
        ("", "is none of"),
    ] {
        let output = dir.path().join("none");
        let (code, _, stderr) = run(satmip()
            .arg("export")
            .arg(&run_path)
            .arg("-o")
            .arg(&output)
            .args(["--precision", precision])
            .args(IDENTITY));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
        assert!(!output.exists());
    }
}

#[test]
fn verify_finds_graphs_that_are_not_those_of_the_model() {
    let dir = folder();
    let (bundle, _) = export(dir.path(), "f32,f16-weights", &[]);
    // The f16 graph is that of other weights, with a manifest that says so.
    let other = folder();
    let path = other.path().join("run");
    write_checkpoint_of_width(&path, 6, 48);
    let (code, ..) = run(satmip()
        .arg("export")
        .arg(&path)
        .arg("-o")
        .arg(other.path().join("bundle"))
        .args(["--precision", "f16-weights"])
        .args(IDENTITY));
    assert_eq!(code, 0);
    let theirs = manifest(&other.path().join("bundle"))["files"]["image.onnx"].clone();
    fs::copy(
        other.path().join("bundle/image.onnx"),
        bundle.join("image.f16-weights.onnx"),
    )
    .unwrap();
    let mut about = manifest(&bundle);
    about["files"]["image.f16-weights.onnx"] = theirs;
    fs::write(bundle.join("bundle.json"), about.to_string()).unwrap();
    let (code, found, stderr) = verify(&bundle);
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(found["passed"], false);
    let graphs = found["graphs"].as_array().unwrap();
    let wrong = |graph: &&Value| {
        let rows = graph["parity"].as_array().unwrap().iter();
        rows.clone()
            .any(|row| row["cosine_min"].as_f64() < row["tolerance"].as_f64())
    };
    let wrong: Vec<&str> = graphs
        .iter()
        .filter(wrong)
        .filter_map(|g| g["file"].as_str())
        .collect();
    assert_eq!(wrong, ["image.f16-weights.onnx"]);
}

#[test]
fn a_damaged_bundle_is_not_verified() {
    let dir = folder();
    let (bundle, _) = export(dir.path(), "f32", &[]);
    let path = bundle.join("image.onnx");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (code, _, stderr) = verify(&bundle);
    assert_eq!(code, 1);
    assert!(stderr.contains("sha256"), "{stderr}");
}

#[test]
fn graphs_and_the_stac_item_say_what_the_model_needs() {
    let dir = folder();
    let (bundle, _) = export(dir.path(), "f32,int8", &[]);
    let read = |file: &str| {
        let bytes = fs::read(bundle.join(file)).unwrap();
        satmip_export::check::read(&bytes, &Default::default()).unwrap()
    };
    let graph = read("metadata.int8.onnx");
    let property = |key: &str| {
        let found = graph.metadata_props.iter().find(|p| p.key == key);
        found
            .map(|p| p.value.clone())
            .unwrap_or_else(|| panic!("no {key}"))
    };
    assert_eq!(property("satmip.precision"), "int8");
    assert_eq!(property("satmip.image.size"), "16");
    assert_eq!(property("satmip.licence"), "MIT");
    assert_eq!(
        property("satmip.metadata.fields"),
        "gsd timestamp location country_code"
    );
    let about = manifest(&bundle);
    assert_eq!(
        property("satmip.metadata.tokenizer_sha256"),
        about["files"]["tokenizer.json"]["sha256"]
    );
    assert_eq!(
        property("satmip.logit_scale").parse::<f64>().unwrap(),
        about["logit_scale"].as_f64().unwrap()
    );

    let item: Value =
        serde_json::from_slice(&fs::read(bundle.join("stac-mlm.json")).unwrap()).unwrap();
    let assets = item["assets"].as_object().unwrap();
    assert_eq!(assets.len(), 5, "{item:#}");
    for asset in assets.values() {
        let file = asset["href"].as_str().unwrap().trim_start_matches("./");
        assert!(about["files"].get(file).is_some(), "{file}");
    }
    assert_eq!(item["properties"]["mlm:input"][0]["input"]["shape"][1], 16);
}

#[test]
fn the_resize_is_a_graph_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let (bundle, _) = export(dir.path(), "f32", &[]);
    let output = dir.path().join("resize.onnx");
    let resize = |more: &[&str]| {
        let mut command = satmip();
        let model = command.args(["export", "resize", "-m"]).arg(&bundle);
        run(model.arg("-o").arg(&output).args(more))
    };
    let (code, _, stderr) = resize(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("to 16 x 16"), "{stderr}");
    let (code, stdout, stderr) = run(satmip().args(["inspect", "--json"]).arg(&output));
    assert_eq!(code, 0, "{stderr}");
    for said in ["picture", "satmip.image.fit", "MatMul"] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    // What is there is not replaced unless that is asked for.
    let graph = std::fs::read(&output).unwrap();
    std::fs::write(&output, b"mine").unwrap();
    let (code, _, stderr) = resize(&[]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("resize.onnx") && stderr.contains("--overwrite"),
        "{stderr}"
    );
    assert_eq!(std::fs::read(&output).unwrap(), b"mine");
    assert_eq!(resize(&["--overwrite"]).0, 0);
    assert!(std::fs::read(&output).unwrap() == graph);
}
