//! `satmip inspect` on ONNX files: ours, and files that lie or are none.

mod fixture;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use fixture::{folder, model, run, satmip};
use prost::Message;
use satmip::export::{Checkpoint, Precision};
use satmip_export::messages::{
    GraphProto, IN_SIDE_FILE, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};
use serde_json::{Value, json};

fn inspect(path: &Path) -> (i32, String, String) {
    run(satmip().arg("inspect").arg(path))
}

fn inspect_json(path: &Path) -> Value {
    let (code, stdout, stderr) = run(satmip().arg("inspect").arg(path).arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Multiply-accumulates of a pre-norm block of this width for so many tokens, of which one is read:
/// all have a key and a value, that one alone the rest.
fn last_block(tokens: u64, width: u64, hidden: u64) -> u64 {
    let keys_and_values = 2 * tokens * width * width;
    let attention = 2 * tokens * width;
    keys_and_values + attention + 2 * width * width + 2 * width * hidden
}

#[test]
fn a_graph_of_a_bundle_is_counted() {
    let path = model().join("image.onnx");
    let found = inspect_json(&path);
    assert_eq!(found["kind"], "onnx");
    assert_eq!(found["bytes"], path.metadata().unwrap().len());
    assert_eq!(found["opsets"], json!({ "ai.onnx": 20 }));
    let input = json!({ "name": "image", "element_type": "u8", "shape": ["batch", 16, 16, 3] });
    assert_eq!(found["inputs"], json!([input]));
    let outputs = found["outputs"].as_array().unwrap();
    let names: Vec<_> = outputs
        .iter()
        .map(|o| o["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["image_features", "image_embeds"]);
    assert_eq!(found["precision"], "f32");
    // 4 patches of 8 x 8 and a class token, width 16, one block, a projector to 8.
    let macs = 4 * 16 * 3 * 64 + last_block(5, 16, 32) + 16 * 8;
    assert_eq!(found["macs"]["counted"], macs);
    assert_eq!(found["macs"]["certainty"], "exact");
    assert_eq!(found["macs"]["dimensions"], json!({ "batch": 1 }));
    // All weights of the tower and its projector, and the few numbers that normalise pixels.
    let weights = 16 * 3 * 64
        + 16
        + 16
        + 5 * 16
        + (16 * 48 + 48)
        + (256 + 16)
        + 2 * (2 * 16)
        + (16 * 32 + 32)
        + (16 * 32 + 16)
        + 2 * 16
        + 16 * 8;
    let parameters = found["parameters"].as_u64().unwrap();
    assert!(
        (weights..weights + 16).contains(&parameters),
        "{parameters}"
    );

    let (code, stdout, stderr) = inspect(&path);
    assert_eq!(code, 0, "{stderr}");
    for part in [
        "IR version            9\n",
        "operator sets         ai.onnx 20\n",
        "precision             f32\n",
        &format!("multiply-accumulates  {macs}, with batch = 1\n"),
        "image  u8    [batch, 16, 16, 3]\n",
        "image_embeds    f32   [batch, 8]\n",
    ] {
        assert!(stdout.contains(part), "no {part:?} in\n{stdout}");
    }
}

fn export(checkpoint: &Path, bundle: &Path, precision: Precision) {
    let files = Checkpoint::open(checkpoint).unwrap().named("mine");
    let files = files.export(precision).unwrap();
    let parts = files.files.iter();
    let parts: Vec<(&str, &[u8])> = parts.map(|(name, b)| (&name[..], &b[..])).collect();
    satmip::bundle::write(bundle, files.manifest, &parts).unwrap();
}

/// Whatever is done to the weights, the products are the same, and all are found.
#[test]
fn each_precision_is_told_by_what_is_in_the_graph() {
    let dir = folder();
    let checkpoint = dir.path().join("run");
    fixture::write_checkpoint(&checkpoint, 3);
    let mut products = Vec::new();
    for precision in Precision::ALL {
        let bundle = dir.path().join(precision.name());
        export(&checkpoint, &bundle, precision);
        let expected = match precision {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::F16Weights => "f16 weights, f32 arithmetic",
            Precision::Int8 => "int8, dynamic",
            Precision::Int8Weights => "int8 weights, float arithmetic",
        };
        for graph in ["image.onnx", "metadata.onnx"] {
            let found = inspect_json(&bundle.join(graph));
            // The matrices of the small image tower stay f32 where others become integers.
            let small = graph == "image.onnx" && precision == Precision::Int8;
            let expected = if small { "f32" } else { expected };
            assert_eq!(found["precision"], expected, "{precision} {graph}");
            assert_eq!(
                found["macs"]["certainty"], "exact",
                "{precision} {graph}: {}",
                found["macs"]
            );
            products.push(found["macs"]["counted"].clone());
        }
    }
    for pair in products.chunks(2) {
        assert_eq!(pair, &products[..2]);
    }
}

#[test]
fn a_caption_is_as_long_as_the_file_says() {
    let dir = folder();
    let (checkpoint, bundle) = (dir.path().join("run"), dir.path().join("bundle"));
    fixture::write_checkpoint(&checkpoint, 3);
    export(&checkpoint, &bundle, Precision::F16Weights);
    let path = bundle.join("metadata.onnx");
    let found = inspect_json(&path);
    let manifest: Value =
        serde_json::from_str(found["properties"]["satmip.bundle"].as_str().unwrap()).unwrap();
    let context = manifest["arch"]["metadata"]["tower"]["context"]
        .as_u64()
        .unwrap();
    assert!(context > 10);
    let dimensions = json!({ "batch": 1, "length": context });
    assert_eq!(found["macs"]["dimensions"], dimensions);
    let macs = last_block(context, 16, 64) + 16 * 8;
    assert_eq!(found["macs"]["counted"], macs);
    assert_eq!(found["macs"]["certainty"], "exact");
    assert_eq!(found["precision"], "f16 weights, f32 arithmetic");
    assert!(
        found["constants"]["f16"]["bytes"].as_u64() > found["constants"]["f32"]["bytes"].as_u64()
    );
    // Long texts are cut for people alone.
    let (_, stdout, _) = inspect(&path);
    assert!(stdout.contains("`--json` has all"), "{stdout}");
    assert!(
        stdout.lines().all(|line| line.chars().count() < 160),
        "{stdout}"
    );
}

fn plain(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 9,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 20,
        }],
        graph: Some(graph),
        ..Default::default()
    }
}

fn weights(dims: Vec<i64>, location: Option<&str>) -> ModelProto {
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    let tensor = TensorProto {
        name: "w".into(),
        data_type: 1,
        dims,
        data_location: location.map(|_| IN_SIDE_FILE),
        external_data: location.map(|l| entry("location", l)).into_iter().collect(),
        ..Default::default()
    };
    plain(GraphProto {
        name: "main".into(),
        initializer: vec![tensor],
        ..Default::default()
    })
}

/// A file is refused with this in the message, soon.
fn refused(path: &Path, part: &str) {
    let start = Instant::now();
    let (code, stdout, stderr) = inspect(path);
    assert_eq!(
        (code, stdout.as_str()),
        (1, ""),
        "{}: {stderr}",
        path.display()
    );
    assert!(stderr.starts_with("error: "), "{stderr}");
    let named = stderr.contains("is no usable ONNX graph") && stderr.contains(part);
    assert!(named, "no {part:?} in {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{}",
        path.display()
    );
}

#[test]
fn hostile_files_are_refused() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).unwrap();
        path(name)
    };
    let good = fs::read(model().join("image.onnx")).unwrap();
    refused(&write("empty.onnx", b""), "is empty");
    refused(
        &write("text.onnx", b"no protobuf at all, but some text"),
        "",
    );
    refused(&write("zeros.onnx", &[0; 100]), "is no ONNX file");
    refused(&write("half.onnx", &good[..good.len() / 2]), "cut off");
    // Told by its first bytes where the name says nothing.
    refused(&write("half.bin", &good[..good.len() / 2]), "cut off");
    refused(
        &write(
            "nothing.onnx",
            &ModelProto {
                ir_version: 9,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        "graph",
    );
    let dims = |dims: &[i64]| weights(dims.to_vec(), None).encode_to_vec();
    refused(
        &write("negative.onnx", &dims(&[-1])),
        "cannot have the shape",
    );
    refused(
        &write("product.onnx", &dims(&[i64::MAX, i64::MAX])),
        "cannot have the shape",
    );
    refused(&write("absent.onnx", &dims(&[1 << 40])), "0 elements");
    for (i, location) in ["/etc/passwd", "../w.bin", "a/b"].into_iter().enumerate() {
        let bytes = weights(vec![4], Some(location)).encode_to_vec();
        refused(&write(&format!("far{i}.onnx"), &bytes), "beside the model");
    }
    let nodes = GraphProto {
        node: vec![NodeProto::default(); 2_000_001],
        ..Default::default()
    };
    refused(
        &write("many.onnx", &plain(nodes).encode_to_vec()),
        "more than 2000000",
    );
    // Graphs in attributes of nodes of graphs.
    let mut deep = Vec::new();
    for key in [0x32, 0x2a, 0x0a].into_iter().cycle().take(3000) {
        let mut outer = vec![key];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend(deep);
        deep = outer;
    }
    let mut bytes = vec![0x08, 9, 0x3a];
    prost::encoding::encode_varint(deep.len() as u64, &mut bytes);
    refused(&write("deep.onnx", &[bytes, deep].concat()), "too deep");
    for (name, size) in [("sparse.onnx", 6_u64 << 30), ("zeros1.onnx", 2_000_000_000)] {
        File::create(path(name)).unwrap().set_len(size).unwrap();
    }
    refused(&path("sparse.onnx"), "one file holds at most");
    refused(&path("zeros1.onnx"), "is no ONNX file");
}

#[test]
fn a_side_file_may_be_missing() {
    let dir = folder();
    let path = dir.path().join("outside.onnx");
    fs::write(&path, weights(vec![4, 5], Some("w.bin")).encode_to_vec()).unwrap();
    let side = |found: Value| json!({ "w.bin": { "needed": 80, "found": found } });
    assert_eq!(inspect_json(&path)["side_files"], side(Value::Null));
    let (_, stdout, _) = inspect(&path);
    assert!(
        stdout.contains("80 bytes are needed, it is missing"),
        "{stdout}"
    );
    fs::write(dir.path().join("w.bin"), [0; 60]).unwrap();
    assert_eq!(inspect_json(&path)["side_files"], side(json!(60)));
}

/// A weight of a gigabyte, which is a hole in the file: read in no time, and not into memory.
#[test]
fn weights_are_not_read() {
    const BYTES: u64 = 1 << 30;
    let dir = folder();
    let path = dir.path().join("large.onnx");
    let message = |key: u8, length: u64| {
        let mut bytes = vec![key];
        prost::encoding::encode_varint(length, &mut bytes);
        bytes
    };
    let tensor = TensorProto {
        name: "w".into(),
        data_type: 1,
        dims: vec![1 << 14, 1 << 14],
        ..Default::default()
    };
    let tensor = [tensor.encode_to_vec(), message(0x4a, BYTES)].concat();
    let graph = GraphProto {
        name: "large".into(),
        ..Default::default()
    };
    let head = message(0x2a, tensor.len() as u64 + BYTES);
    let graph = [graph.encode_to_vec(), head, tensor].concat();
    let model = ModelProto {
        graph: None,
        ..plain(GraphProto::default())
    };
    let head = message(0x3a, graph.len() as u64 + BYTES);
    let bytes = [model.encode_to_vec(), head, graph].concat();
    let mut file = File::create(&path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_len(bytes.len() as u64 + BYTES).unwrap();
    let start = Instant::now();
    let found = inspect_json(&path);
    assert_eq!(found["constants"]["f32"]["bytes"], BYTES);
    assert_eq!(found["parameters"], BYTES / 4);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

/// Names in a file must not write to a terminal what they like.
#[test]
fn control_characters_are_not_printed() {
    let dir = folder();
    let path = dir.path().join("names.onnx");
    let mut model = weights(vec![0], None);
    model.producer_name = "evil\u{1b}[2J\nname".into();
    fs::write(&path, model.encode_to_vec()).unwrap();
    let (code, stdout, stderr) = inspect(&path);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("evil [2J name") && !stdout.contains('\u{1b}'),
        "{stdout:?}"
    );
}
