//! Embedders over tiny bundles of random weights, on every engine.
#![cfg(feature = "export")]

mod each;
mod pairs;
mod questions;
mod refusals;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array4, Axis};
use satmip::arch::*;
use satmip::bundle::{self, Bundle, BundleManifest, FORMAT};
use satmip::engine::EngineOptions;
use satmip::export::{ExportOptions, Precision, Weights, export_image, export_metadata};
use satmip::image::RgbImage;
use satmip::metadata::CaptionTokenizer;
use satmip::{Device, Embedder, Embeddings, Error, Field, FieldSet, Metadata};
use tempfile::TempDir;

const SIZE: usize = 16;
const DIM: usize = 12;

/// Fields of the models below. None of them follows from the others.
const FIELDS: FieldSet = FieldSet::of(&[
    Field::MultispectralGsd,
    Field::CloudCover,
    Field::ScanDirection,
    Field::OffNadirAngle,
    Field::SensorPlatform,
]);

#[derive(Clone, Copy, PartialEq)]
enum Side {
    None,
    Text,
    Tabular,
}

fn records() -> Vec<Metadata> {
    let platforms = ["GEOEYE01", "WORLDVIEW02", "QUICKBIRD02"];
    (0..11)
        .map(|i| {
            let mut record = Metadata::new();
            record.set_cloud_cover(f64::from(i * 9)).unwrap();
            if i % 2 == 0 {
                record.set_off_nadir_angle(f64::from(i) * 2.5).unwrap();
            }
            if i % 3 != 0 {
                record.set_scan_direction("Forward").unwrap();
                record
                    .set_sensor_platform(platforms[i as usize % 3])
                    .unwrap();
            }
            record
        })
        .collect()
}

fn tokenizer(fields: FieldSet) -> CaptionTokenizer {
    let captions: Vec<String> = records().iter().map(|r| r.caption(fields)).collect();
    CaptionTokenizer::train(captions.into_iter(), 440).unwrap()
}

fn arch(side: Side, fields: FieldSet) -> Arch {
    let tower = match side {
        Side::None => None,
        Side::Text => {
            let tokenizer = tokenizer(fields);
            Some(MetadataTower::Text(TextConfig {
                vocabulary: tokenizer.vocabulary(),
                context: tokenizer.context_for(fields),
                end_token: tokenizer.end_token(),
                dim: 16,
                depth: 2,
                heads: 2,
                norm_eps: 1e-5,
            }))
        }
        Side::Tabular => Some(MetadataTower::Tabular(TabularConfig {
            dim: 16,
            depth: 2,
            heads: 2,
            hidden: 20,
            tokens: Default::default(),
            attention_dropout: 0.0,
            hidden_dropout: 0.0,
            norm_eps: 1e-5,
            columns: TabularColumns::fit(&records(), fields).unwrap(),
        })),
    };
    Arch {
        preprocessing: Preprocessing {
            size: SIZE,
            fit: Fit::Crop,
            filter: ResizeFilter::Bicubic,
            mean: [0.4182, 0.4215, 0.3991],
            std: [0.2877, 0.2754, 0.2764],
        },
        image: ImageTower::ResNet(ResNetConfig {
            stem: Stem {
                kernel: 3,
                stride: 1,
                max_pool: false,
            },
            block: ResNetBlock::Basic,
            widths: vec![8, 10],
            depths: vec![1, 1],
        }),
        image_projector: Projector::Linear,
        metadata: tower.map(|tower| MetadataSide {
            fields,
            tower,
            projector: Projector::Mlp { hidden: vec![14] },
        }),
        embed_dim: DIM,
    }
}

/// The files of a bundle, by name.
type Files = Vec<(&'static str, Vec<u8>)>;

fn parts(side: Side, fields: FieldSet) -> (BundleManifest, Files) {
    parts_in(side, fields, Precision::F32)
}

fn parts_in(side: Side, fields: FieldSet, precision: Precision) -> (BundleManifest, Files) {
    let arch = arch(side, fields);
    let weights = Weights::random(&arch, 5).unwrap();
    let options = ExportOptions {
        precision,
        ..ExportOptions::default()
    };
    let mut files = vec![(
        "image.onnx",
        export_image(&arch, &weights, &options).unwrap(),
    )];
    if side != Side::None {
        let graph = export_metadata(&arch, &weights, &options).unwrap();
        files.push(("metadata.onnx", graph));
    }
    if side == Side::Text {
        files.push(("tokenizer.json", tokenizer(fields).to_json().into_bytes()));
    }
    let manifest = BundleManifest {
        format: FORMAT,
        id: "tiny".into(),
        version: "0".into(),
        arch,
        logit_scale: 14.0,
        licence: "MIT".into(),
        precision: precision.name().into(),
        variants: Default::default(),
        parity: Default::default(),
        training: satmip::Json::default(),
        metrics: satmip::Json::default(),
        audit: Default::default(),
        files: Default::default(),
    };
    (manifest, files)
}

fn write(manifest: BundleManifest, files: &Files) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("tiny");
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    bundle::write(&dir, manifest, &files).unwrap();
    (root, dir)
}

fn load(side: Side, device: Device, sessions: usize, batch: usize) -> Embedder {
    let (manifest, files) = parts(side, FIELDS);
    let (_root, dir) = write(manifest, &files);
    // The folder goes away with `_root`: a loaded model needs it no more.
    Embedder::builder(dir.to_str().unwrap())
        .device(device)
        .sessions(sessions)
        .batch_size(batch)
        .load()
        .unwrap()
}

fn devices() -> Vec<Device> {
    let (manifest, files) = parts(Side::None, FIELDS);
    let (_root, dir) = write(manifest, &files);
    let loaded = Embedder::builder(dir.to_str().unwrap())
        .device(Device::OnnxRuntime)
        .load();
    match loaded {
        Ok(_) => vec![Device::Rten, Device::OnnxRuntime],
        Err(Error::Device { reason, .. }) => {
            println!("skipped: no ONNX Runtime ({reason})");
            vec![Device::Rten]
        }
        Err(other) => panic!("{other}"),
    }
}

fn pictures(count: usize) -> Vec<RgbImage> {
    (0..count)
        .map(|i| {
            let (width, height) = (14 + i as u32 * 3, 19 + i as u32 % 4);
            let bytes = width * height * 3;
            let pixels = (0..bytes).map(|k| ((k * 7 + i as u32 * 53) % 251) as u8);
            RgbImage::new(width, height, pixels.collect()).unwrap()
        })
        .collect()
}

fn unit(embeddings: &Embeddings) -> bool {
    let norms = embeddings
        .view()
        .map_axis(Axis(1), |row| row.dot(&row).sqrt());
    norms.iter().all(|norm| (norm - 1.0).abs() < 1e-5)
}

fn worst(a: &Embeddings, b: &Embeddings) -> f32 {
    assert_eq!((a.len(), a.dim()), (b.len(), b.dim()));
    (&a.view() - &b.view()).fold(0.0, |worst, d| worst.max(d.abs()))
}
