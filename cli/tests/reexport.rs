//! A bundle as the source of an export: its graphs hold the weights.

mod fixture;
#[path = "../../tests/graph_samples/mod.rs"]
mod graph_samples;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message;
use safetensors::Dtype;
use satmip::Error;
use satmip::arch::{Arch, MetadataTower};
use satmip::bundle::{self, Bundle};
use satmip::export::{Checkpoint, Precision, Weights};
use satmip_export::messages::{GraphProto, ModelProto, TensorProto};

use fixture::{contents, folder, run, satmip};
use graph_samples::{file, samples, tensors};

/// Writes a checkpoint with random weights.
fn write_checkpoint(folder: &Path, arch: &Arch) {
    fs::create_dir(folder).unwrap();
    let weights = Weights::random(arch, 5).unwrap();
    let weights = file(&tensors(&weights, |_, _| ()), Dtype::F32);
    fs::write(folder.join("arch.json"), serde_json::to_vec(arch).unwrap()).unwrap();
    fs::write(folder.join("weights.safetensors"), weights).unwrap();
    let card = r#"{"id":"mine","version":"1","licence":"CC0-1.0","training":{"steps":3}}"#;
    fs::write(folder.join("card.json"), card).unwrap();
}

/// The files of a model in one precision, written as a bundle.
fn export(model: &Checkpoint, precision: Precision, out: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = model.export(precision).unwrap();
    let parts: Vec<(&str, &[u8])> = all.files.iter().map(|(n, b)| (&n[..], &b[..])).collect();
    bundle::write(out, all.manifest, &parts).unwrap();
    contents(out)
}

/// A bundle of a model in f32 whose image graph was edited.
fn edited(model: &Checkpoint, out: &Path, edit: impl FnOnce(&mut GraphProto)) -> Bundle {
    let mut all = model.export(Precision::F32).unwrap();
    let mut files = all.files.iter_mut();
    let (_, bytes) = files.find(|(name, _)| name == "image.onnx").unwrap();
    let mut graph = ModelProto::decode(&bytes[..]).unwrap();
    edit(graph.graph.as_mut().unwrap());
    *bytes = graph.encode_to_vec();
    let parts: Vec<(&str, &[u8])> = all.files.iter().map(|(n, b)| (&n[..], &b[..])).collect();
    bundle::write(out, all.manifest, &parts).unwrap();
    Bundle::open(out).unwrap()
}

/// Whatever the towers, a model comes out of its own bundle as it went in, byte for byte.
#[test]
fn a_bundle_gives_the_graphs_that_its_checkpoint_gave() {
    let dir = folder();
    let mut checkpoints = vec![("fixture", dir.path().join("fixture"))];
    fixture::write_checkpoint(&checkpoints[0].1, 3);
    for sample in samples() {
        let side = sample.arch.metadata.as_ref();
        if side.is_some_and(|side| matches!(side.tower, MetadataTower::Text(_))) {
            // Needs a tokenizer, as the fixture has one.
            continue;
        }
        let path = dir.path().join(sample.name);
        write_checkpoint(&path, &sample.arch);
        checkpoints.push((sample.name, path));
    }
    assert!(checkpoints.len() > 7);
    for (name, path) in checkpoints {
        let original = Checkpoint::open(&path).unwrap().named("mine");
        for source in [Precision::F32, Precision::F16Weights] {
            let out =
                |which: &str, p: Precision| dir.path().join(format!("{name}-{source}-{which}-{p}"));
            let first = out("first", source);
            let expected = export(&original, source, &first);
            let again = Checkpoint::of_bundle(&Bundle::open(&first).unwrap()).unwrap();
            let found = export(&again, source, &out("again", source));
            assert!(found == expected, "{name} in {source}");
            if source == Precision::F32 {
                for other in [Precision::F16Weights, Precision::Int8] {
                    let expected = export(&original, other, &out("direct", other));
                    let found = export(&again, other, &out("by way of the bundle", other));
                    assert!(found == expected, "{name} in {other}");
                }
            }
        }
    }
}

/// One matrix for queries, keys and values, as earlier versions wrote it, is read as well.
#[test]
fn one_matrix_may_stand_for_queries_keys_and_values() {
    let dir = folder();
    let checkpoint = dir.path().join("run");
    fixture::write_checkpoint(&checkpoint, 3);
    let original = Checkpoint::open(&checkpoint).unwrap().named("mine");
    let bundle = edited(&original, &dir.path().join("bundle"), |graph| {
        for part in ["weight", "bias"] {
            let constants = &mut graph.initializer;
            let joined = join(constants, part);
            constants.push(joined);
        }
    });
    let again = Checkpoint::of_bundle(&bundle).unwrap();
    let graphs = |model: &Checkpoint| model.export(Precision::F32).unwrap().files;
    assert!(graphs(&again) == graphs(&original));
}

/// The first block's queries, keys and values side by side; what they were is zeros afterwards, so that
/// nothing but the one is read.
fn join(constants: &mut [TensorProto], part: &str) -> TensorProto {
    let mut parts = Vec::new();
    let mut joined = TensorProto::default();
    for which in ["q", "k", "v"] {
        let name = format!("image.blocks.0.attn.{which}.{part}");
        let own = constants.iter_mut().find(|t| t.name == name).unwrap();
        let bytes = own.raw_data.clone().unwrap();
        own.raw_data = Some(vec![0; bytes.len()]);
        joined = own.clone();
        parts.push(bytes);
    }
    let rows = match part {
        "weight" => joined.dims[0] as usize,
        _ => 1,
    };
    let row = parts[0].len() / rows;
    let row_of = |i: usize| parts.iter().flat_map(move |p| p[i * row..][..row].to_vec());
    joined.raw_data = Some((0..rows).flat_map(row_of).collect());
    *joined.dims.last_mut().unwrap() *= 3;
    joined.name = format!("image.blocks.0.attn.qkv.{part}");
    joined
}

#[test]
fn the_program_makes_another_precision_of_a_bundle() {
    let dir = folder();
    let (checkpoint, bundle) = (dir.path().join("run"), dir.path().join("bundle"));
    fixture::write_checkpoint(&checkpoint, 3);
    let precise = Checkpoint::open(&checkpoint).unwrap().named("mine");
    export(&precise, Precision::F16Weights, &bundle);
    let small = dir.path().join("small");
    let mut command = satmip();
    command.arg("export").arg(&bundle).arg("-o").arg(&small);
    let (code, _, stderr) = run(command.args(["--precision", "f32,int8", "--with-weights"]));
    assert_eq!(code, 0, "{stderr}");
    let found = Bundle::open(&small).unwrap();
    assert_eq!(found.manifest().precisions(), ["f32", "int8"]);
    assert_eq!(found.manifest().id, "mine");
    let weights = Weights::open(small.join("weights.safetensors")).unwrap();
    assert!(weights.contains("image.blocks.0.attn.qkv.weight"));

    // Nothing is read out of integers.
    let integers = dir.path().join("integers");
    export(&precise, Precision::Int8, &integers);
    let mut command = satmip();
    command
        .arg("export")
        .arg(&integers)
        .arg("-o")
        .arg(dir.path().join("no"));
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 1);
    assert!(stderr.contains("the bundle has int8"), "{stderr}");
    assert!(!dir.path().join("no").exists());
}

/// A bundle whose graphs lack a weight, or have another of its name.
#[test]
fn weights_that_are_not_there_are_named() {
    let dir = folder();
    let checkpoint = dir.path().join("run");
    fixture::write_checkpoint(&checkpoint, 3);
    let original = Checkpoint::open(&checkpoint).unwrap().named("mine");
    let bias = "image.blocks.0.mlp.fc2.bias";
    for (change, expected) in [("gone", "is not in the graphs"), ("cut", "has shape [17]")] {
        let bundle = edited(&original, &dir.path().join(change), |graph| {
            let mut constants = graph.initializer.iter_mut();
            let tensor = constants.find(|t| t.name == bias).unwrap();
            if change == "cut" {
                tensor.dims = vec![17];
                tensor.raw_data = Some(vec![0; 17 * 4]);
                return;
            }
            tensor.name = "other".into();
            let users = graph.node.iter_mut().flat_map(|n| &mut n.input);
            users
                .filter(|input| *input == bias)
                .for_each(|input| *input = "other".into());
        });
        let error = Checkpoint::of_bundle(&bundle).unwrap_err();
        assert!(
            matches!(&error, Error::Weights { tensor, .. } if tensor == bias),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
}
