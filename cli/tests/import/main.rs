//! Models under the names of others become ours, or are refused with what is wrong.
#![cfg(feature = "train")]

#[path = "../fixture/mod.rs"]
mod fixture;

mod checkpoints;
mod names;
mod refusals;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::{chips, folder, run, satmip};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use satmip::arch::{Arch, ImageTower, MbConvStage};
use satmip::export::{Checkpoint, Precision, Weights};
use serde_json::Value;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Without counters, which are integers.
fn read(path: &Path) -> Tensors {
    let file = Weights::open(path).unwrap();
    let names = file.names().into_iter();
    let floats = names.filter(|name| !name.ends_with("num_batches_tracked"));
    let tensors = floats.map(|name| {
        let shape = file.shape(&name).unwrap().to_vec();
        let numbers = file.numbers(&name, &shape).unwrap();
        (name, (shape, numbers))
    });
    tensors.collect()
}

fn save(path: &Path, tensors: &Tensors) {
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, numbers))| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
        (name, view)
    });
    serialize_to_file(views, None, path).unwrap();
}

fn transposed((shape, numbers): &(Vec<usize>, Vec<f32>)) -> (Vec<usize>, Vec<f32>) {
    let [rows, columns] = shape[..] else {
        panic!("{shape:?} is no matrix");
    };
    let mut turned = Vec::new();
    for column in 0..columns {
        turned.extend((0..rows).map(|row| numbers[row * columns + column]));
    }
    (vec![columns, rows], turned)
}

/// A checkpoint of ours, with its arch.json and tokenizer.json, and its tensors.
fn ours(dir: &Path) -> (PathBuf, Tensors) {
    let path = dir.join("ours");
    fixture::write_checkpoint(&path, 3);
    let tensors = read(&path.join("weights.safetensors"));
    (path, tensors)
}

/// Our tensors under CLIP's names for the text tower, and `trunk` before timm's for the image
/// tower, all behind `prefix`.
fn foreign(ours: &Tensors, prefix: &str, trunk: &str) -> Tensors {
    let clip = |name: &str| {
        let name = name.replace("metadata.blocks.", "transformer.resblocks.");
        let name = name.replace("attn.qkv.", "attn.in_proj_");
        let name = name.replace("attn.proj.", "attn.out_proj.");
        let name = name.replace("norm1", "ln_1").replace("norm2", "ln_2");
        let name = name.replace("fc1", "c_fc").replace("fc2", "c_proj");
        name.replace("metadata.norm.", "ln_final.")
            .replace("metadata.", "")
    };
    let mut theirs = Tensors::new();
    for (name, tensor) in ours {
        let (name, tensor) = match name.as_str() {
            "image_projector.layers.0.weight" if trunk == "visual.trunk." => {
                ("visual.head.proj.weight".to_owned(), tensor.clone())
            }
            "image_projector.layers.0.weight" => ("image_projection".into(), transposed(tensor)),
            "metadata_projector.layers.0.weight" => ("text_projection".into(), transposed(tensor)),
            "logit_scale" => ("logit_scale".into(), (vec![], tensor.1.clone())),
            name => match name.strip_prefix("image.") {
                Some(rest) => (format!("{trunk}{rest}"), tensor.clone()),
                None => (clip(name), tensor.clone()),
            },
        };
        theirs.insert(format!("{prefix}{name}"), tensor);
    }
    assert_eq!(theirs.len(), ours.len());
    theirs
}

/// `satmip import` of a file with the arch.json and tokenizer.json of a checkpoint.
fn import(file: &Path, checkpoint: &Path) -> Command {
    let mut command = satmip();
    command.arg("import").arg(file);
    command.arg("--arch").arg(checkpoint.join("arch.json"));
    command
        .arg("--tokenizer")
        .arg(checkpoint.join("tokenizer.json"));
    command
}

fn vectors(bundle: &Path, input: &Path, table: &Path) -> Vec<Value> {
    let mut command = satmip();
    command.arg("embed").arg(input).arg("--metadata").arg(table);
    command
        .arg("-m")
        .arg(bundle)
        .args(["--device", "rten", "-o", "-"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The bundle of a checkpoint, in f32.
fn export(checkpoint: &Path, bundle: &Path) {
    let files = Checkpoint::open(checkpoint).unwrap().named("mine");
    let files = files.export(Precision::F32).unwrap();
    let parts = files.files.iter();
    let parts: Vec<(&str, &[u8])> = parts.map(|(name, b)| (&name[..], &b[..])).collect();
    satmip::bundle::write(bundle, files.manifest, &parts).unwrap();
}

/// The refusal of a command, on one line.
fn refusal(command: &mut Command) -> String {
    let (code, _, stderr) = run(command);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}
