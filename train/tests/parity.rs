//! The exported graphs give what the trained modules give: burn against rten and, where it is
//! found, ONNX Runtime, for every tower, at batch 1, 2, 7 and 64.

#[path = "../../tests/graph_samples/mod.rs"]
mod graph_samples;

use burn::prelude::{Device, Int, Tensor, TensorData};
use burn::tensor::Distribution;
use graph_samples::{Sample, lite, samples};
use ndarray::{Array2, Array4};
use satmip::Error;
use satmip::arch::{Arch, MetadataTower};
use satmip::engine::{self, Engine, EngineOptions, Input, Outputs};
use satmip::export::{ExportOptions, Weights, export_image, export_metadata};
use satmip_train::model::{MetadataBatch, SatMip, load_weights, save_weights};

const BATCHES: [usize; 4] = [1, 2, 7, 64];
const TOLERANCE: f32 = 1e-4;

/// Numbers in 0 to 65535 that look random and are the same in every run.
fn noise(count: usize, seed: usize) -> impl Iterator<Item = u32> {
    (0..count).map(move |i| {
        let mixed = ((i + 1) as u32).wrapping_mul(2_654_435_761) ^ (seed as u32 * 40_503);
        mixed.wrapping_mul(0x85eb_ca6b) >> 16
    })
}

/// A model whose batch norms have seen data, its weights written and read again.
fn model(arch: &Arch) -> (SatMip, Weights) {
    let device = Device::flex();
    let training = device.clone().autodiff();
    training.seed(5);
    let fresh = SatMip::new(arch, None, 1, &training).unwrap();
    let size = arch.preprocessing.size;
    for _ in 0..3 {
        let images = Tensor::random(
            [8, 3, size, size],
            Distribution::Normal(0.5, 2.0),
            &training,
        );
        fresh.image_features(images);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save_weights(&fresh, &path).unwrap();
    let mut model = SatMip::new(arch, None, 1, &device).unwrap();
    let report = load_weights(&mut model, &path).unwrap();
    assert!(report.unused.is_empty(), "{report:?}");
    (model, Weights::open(&path).unwrap())
}

fn engines(graph: &[u8]) -> Vec<Box<dyn Engine>> {
    [engine::Device::Rten, engine::Device::OnnxRuntime]
        .into_iter()
        .filter_map(|device| {
            let options = EngineOptions {
                device,
                ..EngineOptions::default()
            };
            match engine::open(graph, "graph.onnx", &options) {
                Ok(engine) => Some(engine),
                Err(Error::Device { reason, .. }) if device != engine::Device::Rten => {
                    println!("skipped: no ONNX Runtime ({reason})");
                    None
                }
                Err(error) => panic!("{error}"),
            }
        })
        .collect()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// Features are compared relative to their largest number, embeds as unit rows.
fn compare(what: &str, ours: [Tensor<2>; 2], outputs: &Outputs, names: [&str; 2]) {
    for (ours, name) in ours.into_iter().zip(names) {
        let ours = values(ours);
        let theirs = outputs.get(name).unwrap();
        assert_eq!(ours.len(), theirs.len(), "{what}");
        let scale = match name.ends_with("features") {
            true => ours.iter().fold(1.0f32, |m, v| m.max(v.abs())),
            false => 1.0,
        };
        let worst = ours
            .iter()
            .zip(theirs)
            .map(|(a, b)| (a - b).abs() / scale)
            .fold(0.0, f32::max);
        println!("{what} {name}: {worst:.1e}");
        assert!(worst <= TOLERANCE, "{what} {name}: {worst}");
    }
}

/// All samples, and an EfficientNet-Lite at more sizes, on which its padding depends.
#[test]
fn image_towers() {
    let lite = |size| Sample {
        name: "lite at another size",
        arch: lite(size),
    };
    for sample in samples().into_iter().chain([32, 64, 72, 9].map(lite)) {
        let (model, weights) = model(&sample.arch);
        let graph = export_image(&sample.arch, &weights, &ExportOptions::default()).unwrap();
        let pre = &sample.arch.preprocessing;
        let size = pre.size;
        for engine in engines(&graph) {
            for batch in BATCHES {
                let pixels: Vec<u8> = noise(batch * size * size * 3, batch)
                    .map(|v| v as u8)
                    .collect();
                let pictures = Array4::from_shape_vec((batch, size, size, 3), pixels).unwrap();
                // What the graph does inside.
                let normal = Array4::from_shape_fn((batch, 3, size, size), |(b, c, y, x)| {
                    let value = f64::from(pictures[[b, y, x, c]]) / 255.0;
                    ((value - pre.mean[c]) / pre.std[c]) as f32
                });
                let shape = [batch, 3, size, size];
                let normal = TensorData::new(normal.into_raw_vec_and_offset().0, shape);
                let features = model.image_features(Tensor::from_data(normal, &Device::flex()));
                let embeds = model.project_image(features.clone());
                let input = Input::U8(pictures.view().into_dyn());
                let outputs = engine.run(&[("image", input)]).unwrap();
                let what = format!("{} {size} px {} batch {batch}", sample.name, engine.name());
                let names = ["image_features", "image_embeds"];
                compare(&what, [features, embeds], &outputs, names);
            }
        }
    }
}

#[test]
fn metadata_towers() {
    for sample in samples() {
        let Some(side) = &sample.arch.metadata else {
            continue;
        };
        let (model, weights) = model(&sample.arch);
        let graph = export_metadata(&sample.arch, &weights, &ExportOptions::default()).unwrap();
        for engine in engines(&graph) {
            for batch in BATCHES {
                let (ours, outputs) = match &side.tower {
                    MetadataTower::Text(c) => {
                        let length = c.context.min(3 + batch);
                        let ids = text_ids(batch, length, c.vocabulary as i64, c.end_token);
                        let data = TensorData::new(ids.iter().copied().collect(), [batch, length]);
                        let tensor = Tensor::<2, Int>::from_data(data, &Device::flex());
                        let input = Input::I64(ids.view().into_dyn());
                        let outputs = engine.run(&[("input_ids", input)]).unwrap();
                        (MetadataBatch::Text(tensor), outputs)
                    }
                    MetadataTower::Tabular(c) => {
                        let columns = &c.columns;
                        let (n, m, f) = (
                            columns.numbers.len(),
                            columns.categories.len(),
                            side.fields.len(),
                        );
                        let mut draw = noise(batch * (n + m + f), batch);
                        let mut next = || draw.next().unwrap();
                        let numbers =
                            Array2::from_shape_fn((batch, n), |_| next() as f32 / 16384.0 - 2.0);
                        let categories = Array2::from_shape_fn((batch, m), |(_, j)| {
                            i64::from(next()) % (columns.categories[j].vocabulary.len() as i64 + 1)
                        });
                        let present = Array2::from_shape_fn((batch, f), |_| next() % 3 > 0);
                        let outputs = engine
                            .run(
                                &[
                                    ("numbers", Input::F32(numbers.view().into_dyn())),
                                    ("categories", Input::I64(categories.view().into_dyn())),
                                    ("present", Input::Bool(present.view().into_dyn())),
                                ]
                                .into_iter()
                                .filter(|(name, _)| engine.inputs().iter().any(|p| p.name == *name))
                                .collect::<Vec<_>>(),
                            )
                            .unwrap();
                        let device = Device::flex();
                        let data = |len: usize| [batch, len];
                        let batch = MetadataBatch::Tabular(
                            Tensor::from_data(
                                TensorData::new(numbers.into_iter().collect(), data(n)),
                                &device,
                            ),
                            Tensor::from_data(
                                TensorData::new(categories.into_iter().collect(), data(m)),
                                &device,
                            ),
                            Tensor::from_data(
                                TensorData::new(present.into_iter().collect(), data(f)),
                                &device,
                            ),
                        );
                        (batch, outputs)
                    }
                };
                let features = model.metadata_features(ours).unwrap();
                let embeds = model.project_metadata(features.clone()).unwrap();
                let what = format!("{} {} batch {batch}", sample.name, engine.name());
                let names = ["metadata_features", "metadata_embeds"];
                compare(&what, [features, embeds], &outputs, names);
            }
        }
    }
}

/// Rows of different lengths: tokens that are neither padding nor special, the end token, padding.
fn text_ids(batch: usize, length: usize, vocabulary: i64, end: i64) -> Array2<i64> {
    let mut ids = Array2::zeros((batch, length));
    for (i, mut row) in ids.outer_iter_mut().enumerate() {
        let last = length - 1 - i % (length - 1).clamp(1, 3);
        for (token, value) in row.iter_mut().take(last).zip(noise(length, i)) {
            let free = i64::from(value) % (vocabulary - 1);
            *token = if free >= end { free + 1 } else { free };
        }
        row[last] = end;
    }
    ids
}
