//! Embedders over tiny bundles of random weights, on every engine.
#![cfg(feature = "export")]

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
        training: serde_json::Value::Null,
        metrics: serde_json::Value::Null,
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

#[test]
fn shapes_and_lengths_are_as_promised() {
    for device in devices() {
        for side in [Side::Text, Side::Tabular] {
            let model = load(side, device, 2, 4);
            assert_eq!(model.device(), device);
            assert_eq!((model.input_size(), model.dim()), (SIZE, DIM));
            assert_eq!(model.fields(), FIELDS);
            let images = model.embed_rgb(&pictures(9)).unwrap();
            assert_eq!((images.len(), images.dim()), (9, DIM));
            assert!(unit(&images));
            let features = model.rgb_features(&pictures(9)).unwrap();
            assert_eq!((features.len(), features.dim()), (9, 10));
            let texts = model.embed_metadata(&records()).unwrap();
            assert_eq!((texts.len(), texts.dim()), (11, DIM));
            assert!(unit(&texts));
            let features = model.metadata_features(&records()).unwrap();
            assert_eq!((features.len(), features.dim()), (11, 16));
            // Different inputs give different vectors.
            let similar = texts.similarity(&texts).unwrap();
            assert!(similar.iter().filter(|s| **s > 0.999_999).count() == 11);
            assert_eq!(images.similarity(&texts).unwrap().dim(), (9, 11));
        }
    }
}

#[test]
fn engines_agree() {
    let devices = devices();
    for side in [Side::Text, Side::Tabular] {
        let models: Vec<Embedder> = devices.iter().map(|d| load(side, *d, 1, 32)).collect();
        for other in &models[1..] {
            for count in [1, 2, 7] {
                let first = models[0].embed_rgb(&pictures(count)).unwrap();
                let second = other.embed_rgb(&pictures(count)).unwrap();
                assert!(worst(&first, &second) < 1e-5);
                let first = models[0].embed_metadata(&records()[..count]).unwrap();
                let second = other.embed_metadata(&records()[..count]).unwrap();
                assert!(worst(&first, &second) < 1e-5);
            }
        }
    }
}

#[test]
fn weights_of_half_precision_change_little() {
    for device in devices() {
        for side in [Side::Text, Side::Tabular] {
            let whole = load(side, device, 1, 32);
            let (manifest, files) = parts_in(side, FIELDS, Precision::F16Weights);
            let (_root, dir) = write(manifest, &files);
            let half = Embedder::builder(dir.to_str().unwrap())
                .device(device)
                .load()
                .unwrap();
            let (a, b) = (whole.embed_rgb(&pictures(5)), half.embed_rgb(&pictures(5)));
            let image = worst(&a.unwrap(), &b.unwrap());
            let (a, b) = (
                whole.embed_metadata(&records()),
                half.embed_metadata(&records()),
            );
            let metadata = worst(&a.unwrap(), &b.unwrap());
            // They differ, so the halves are used.
            assert!(image > 0.0 && image < 5e-3, "{device}: {image}");
            assert!(metadata > 0.0 && metadata < 5e-3, "{device}: {metadata}");
        }
    }
}

#[test]
fn the_number_of_sessions_changes_no_bit() {
    for device in devices() {
        for side in [Side::Text, Side::Tabular] {
            let (one, many) = (load(side, device, 1, 2), load(side, device, 5, 2));
            let pictures = pictures(11);
            assert_eq!(
                one.embed_rgb(&pictures).unwrap(),
                many.embed_rgb(&pictures).unwrap()
            );
            let (a, b) = (
                one.embed_metadata(&records()),
                many.embed_metadata(&records()),
            );
            assert_eq!(a.unwrap(), b.unwrap());
            // Nor does the batch size change anything that matters.
            let whole = load(side, device, 1, 64);
            let (a, b) = (
                one.embed_metadata(&records()),
                whole.embed_metadata(&records()),
            );
            assert!(worst(&a.unwrap(), &b.unwrap()) < 1e-5);
        }
    }
}

#[test]
fn one_embedder_serves_many_threads() {
    for device in devices() {
        let model = load(Side::Text, device, 2, 3);
        let expected = model.embed_metadata(&records()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        assert_eq!(model.embed_metadata(&records()).unwrap(), expected);
                    }
                });
            }
        });
    }
}

#[test]
fn files_prepared_pixels_and_pictures_give_the_same() {
    let model = load(Side::None, Device::Rten, 2, 2);
    let root = tempfile::tempdir().unwrap();
    let mut all = Array4::<u8>::zeros((3, SIZE, SIZE, 3));
    let (mut paths, mut decoded) = (Vec::new(), Vec::new());
    for i in 0..3 {
        let side = SIZE as u32;
        let pixels: Vec<u8> = (0..side * side * 3)
            .map(|k| ((k * 5 + i * 31) % 256) as u8)
            .collect();
        let path = root.path().join(format!("{i}.png"));
        image::save_buffer(&path, &pixels, side, side, image::ColorType::Rgb8).unwrap();
        let prepared = ndarray::Array3::from_shape_vec((SIZE, SIZE, 3), pixels.clone()).unwrap();
        all.index_axis_mut(Axis(0), i as usize).assign(&prepared);
        decoded.push(RgbImage::new(side, side, pixels).unwrap());
        paths.push(path);
    }
    let from_files = model.embed_images(&paths).unwrap();
    assert_eq!(from_files, model.embed_rgb(&decoded).unwrap());
    let output = model.embed_prepared(all.view()).unwrap();
    assert_eq!(from_files.view(), output.embeds);
    assert_eq!(
        model.image_features(&paths).unwrap().view(),
        output.features
    );

    let wrong = Array4::<u8>::zeros((3, SIZE, SIZE + 1, 3));
    let error = model.embed_prepared(wrong.view()).unwrap_err();
    assert!(matches!(
        error,
        Error::Argument {
            what: "pictures",
            ..
        }
    ));
}

#[test]
fn the_first_bad_file_is_named() {
    let model = load(Side::None, Device::Rten, 3, 1);
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("text.jpg"), "no picture").unwrap();
    fs::write(path("empty.png"), "").unwrap();
    image::save_buffer(path("good.png"), &[9; 48], 4, 4, image::ColorType::Rgb8).unwrap();
    for bad in ["text.jpg", "empty.png", "missing.png"] {
        let paths = [path("good.png"), path(bad), path("also-missing.png")];
        match model.embed_images(&paths).unwrap_err() {
            Error::Image { item, .. } => assert!(item.ends_with(bad), "{item}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(model.embed_images(&[path("good.png")]).unwrap().len(), 1);
}

#[test]
fn nothing_gives_nothing() {
    for device in devices() {
        let model = load(Side::Text, device, 2, 4);
        let none: [&Path; 0] = [];
        for embeddings in [
            model.embed_images(&none).unwrap(),
            model.embed_rgb(&[]).unwrap(),
            model.embed_metadata(&[]).unwrap(),
        ] {
            assert_eq!((embeddings.len(), embeddings.dim()), (0, DIM));
        }
        let prepared = Array4::<u8>::zeros((0, SIZE, SIZE, 3));
        let output = model.embed_prepared(prepared.view()).unwrap();
        assert_eq!(output.embeds.dim(), (0, DIM));
        let none = model.embed_rgb(&[]).unwrap();
        assert!(model.audit(&none, &[]).unwrap().is_empty());
        let query = model.query(&none, Field::ScanDirection, ["Forward", "Reverse"]);
        assert_eq!(query.unwrap().probabilities.dim(), (0, 2));
        // A record without any field has a vector all the same.
        let empty = model.embed_metadata(&[Metadata::new()]).unwrap();
        assert!(unit(&empty));
    }
}

#[test]
fn fields_that_the_model_does_not_read_change_nothing() {
    for side in [Side::Text, Side::Tabular] {
        let model = load(side, Device::Rten, 1, 4);
        let plain = records();
        let mut more = records();
        for record in &mut more {
            record.set_location(2.35, 48.85).unwrap();
            record.set_gsd(0.5).unwrap();
        }
        let (plain, more) = (model.embed_metadata(&plain), model.embed_metadata(&more));
        assert_eq!(plain.unwrap(), more.unwrap());
    }
}

#[test]
fn what_other_fields_imply_is_filled_in() {
    let fields = FieldSet::of(&[Field::Location, Field::UtmZone, Field::CountryCode]);
    let (manifest, files) = parts(Side::Text, fields);
    let (_root, dir) = write(manifest, &files);
    let model = Embedder::from_bundle(
        Bundle::open(&dir).unwrap(),
        EngineOptions {
            device: Device::Rten,
            ..EngineOptions::default()
        },
    )
    .unwrap();
    let short = Metadata::new().with_location(-73.31, -3.79).unwrap();
    let long = short
        .clone()
        .with_utm_zone("18M")
        .unwrap()
        .with_country_code("PER")
        .unwrap();
    let prepared = model.prepare_metadata(std::slice::from_ref(&short));
    assert_eq!(prepared[0].fields(), fields);
    assert_eq!(
        model.embed_metadata(&[short]).unwrap(),
        model.embed_metadata(&[long]).unwrap()
    );
}

#[test]
fn a_model_of_images_alone_says_so() {
    let model = load(Side::None, Device::Rten, 1, 4);
    assert!(model.fields().is_empty());
    let images = model.embed_rgb(&pictures(2)).unwrap();
    for error in [
        model.embed_metadata(&records()).unwrap_err(),
        model.metadata_features(&[]).unwrap_err(),
        model.query(&images, Field::Gsd, ["1"]).unwrap_err(),
        model.audit(&images, &records()[..2]).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains("metadata tower"), "{error}");
    }
}

#[test]
fn a_query_is_the_softmax_of_the_scaled_cosines() {
    let model = load(Side::Text, Device::Rten, 1, 4);
    let images = model.embed_rgb(&pictures(5)).unwrap();
    let values = ["GEOEYE01", "QUICKBIRD02", "LANDSAT8"];
    let query = model.query(&images, Field::SensorPlatform, values).unwrap();
    assert_eq!(query.values, values);
    let records: Vec<Metadata> = values
        .iter()
        .map(|v| Metadata::new().with_sensor_platform(v).unwrap())
        .collect();
    let cosines = images
        .similarity(&model.embed_metadata(&records).unwrap())
        .unwrap();
    assert_eq!(query.similarities, cosines);
    for i in 0..5 {
        let weights: Vec<f64> = (0..3)
            .map(|j| (14.0 * f64::from(cosines[[i, j]])).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        for (j, weight) in weights.iter().enumerate() {
            let p = f64::from(query.probabilities[[i, j]]);
            assert!((p - weight / sum).abs() < 1e-5);
        }
        let best = query.best(i).unwrap();
        assert!(query.probabilities.row(i).iter().all(|p| *p <= best.1));
    }
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    let model = load(Side::Text, Device::Rten, 1, 4);
    let images = model.embed_rgb(&pictures(2)).unwrap();
    let none: [&str; 0] = [];
    let refused = |field, values: &[&str]| model.query(&images, field, values).unwrap_err();
    let error = refused(Field::CountryCode, &["PER"]);
    assert!(error.to_string().contains("country_code"), "{error}");
    assert!(matches!(error, Error::Unsupported { .. }));
    let error = refused(Field::CloudCover, &["5", "101"]);
    assert!(matches!(
        error,
        Error::InvalidField {
            field: "cloud_cover",
            ..
        }
    ));
    let error = refused(Field::CloudCover, &none);
    assert!(matches!(error, Error::Argument { what: "values", .. }));
    let error = refused(Field::CloudCover, &["5", "5.0"]);
    assert!(matches!(error, Error::Argument { what: "values", .. }));
    let other = Embeddings::new(ndarray::Array2::ones((2, DIM + 1))).unwrap();
    let error = model.query(&other, Field::CloudCover, ["5"]).unwrap_err();
    assert!(matches!(error, Error::Argument { what: "images", .. }));
}

#[test]
fn an_audit_holds_each_pair_against_the_set() {
    for side in [Side::Text, Side::Tabular] {
        let model = load(side, Device::Rten, 2, 4);
        let records = records();
        let images = model.embed_rgb(&pictures(records.len())).unwrap();
        let rows = model.audit(&images, &records).unwrap();
        let texts = model.embed_metadata(&records).unwrap();
        let cosines = images.similarity(&texts).unwrap();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!((row.index, row.records), (i, records.len()));
            let own = cosines[[i, i]];
            assert_eq!(row.similarity, own);
            let better = cosines.row(i).iter().filter(|c| **c > own).count();
            assert_eq!(row.rank, better + 1);
            let fields: FieldSet = row.fields.iter().map(|fit| fit.field).collect();
            assert_eq!(fields, records[i].fields());
            assert!(
                row.fields
                    .is_sorted_by(|a, b| a.gain_without >= b.gain_without)
            );
            for fit in &row.fields {
                let others = FIELDS.difference(FieldSet::of(&[fit.field]));
                let without = model.embed_metadata(&[records[i].only(others)]).unwrap();
                let cosine = images.similarity(&without).unwrap()[[i, 0]];
                assert!((fit.gain_without - (cosine - own)).abs() < 1e-5);
            }
        }
        let error = model.audit(&images, &records[1..]).unwrap_err();
        assert!(matches!(
            error,
            Error::Argument {
                what: "metadata",
                ..
            }
        ));
    }
}

#[test]
fn a_caption_that_is_too_long_is_an_error() {
    let model = load(Side::Text, Device::Rten, 1, 4);
    // Longer than the 16 characters that the context is made for.
    let mut record = Metadata::new()
        .with_sensor_platform(&"Z9".repeat(32))
        .unwrap();
    record.set_cloud_cover(100.0).unwrap();
    record.set_multispectral_gsd(1234.5678).unwrap();
    record.set_off_nadir_angle(12.34).unwrap();
    record.set_scan_direction("Forward").unwrap();
    let error = model.embed_metadata(&[record]).unwrap_err();
    assert!(matches!(error, Error::CaptionTooLong { .. }), "{error:?}");
    assert!(model.embed_metadata(&records()).is_ok());
}

#[test]
fn a_bundle_whose_graphs_are_others_does_not_load() {
    let (manifest, files) = parts(Side::Text, FIELDS);
    let load = |manifest: &BundleManifest, files: &Files| {
        let (_root, dir) = write(manifest.clone(), files);
        let loaded = Embedder::builder(dir.to_str().unwrap())
            .device(Device::Rten)
            .load();
        loaded.unwrap_err()
    };
    let bundle_error = |error: Error, file: &str| match &error {
        Error::Bundle { path, .. } => assert!(path.ends_with(file), "{error}"),
        other => panic!("{other:?}"),
    };
    // Another input size, another width, other features.
    let mut other = manifest.clone();
    other.arch.preprocessing.size = SIZE * 2;
    bundle_error(load(&other, &files), "image.onnx");
    let mut other = manifest.clone();
    other.arch.embed_dim = DIM + 1;
    bundle_error(load(&other, &files), "image.onnx");
    // The graphs in each other's place.
    let mut swapped = files.clone();
    swapped[0].1 = files[1].1.clone();
    swapped[1].1 = files[0].1.clone();
    bundle_error(load(&manifest, &swapped), "image.onnx");
    // A tabular graph for a text tower.
    let mut swapped = files.clone();
    swapped[1].1 = parts(Side::Tabular, FIELDS).1[1].1.clone();
    bundle_error(load(&manifest, &swapped), "metadata.onnx");
    // Another tokenizer.
    let mut other = files.clone();
    let small = CaptionTokenizer::train(std::iter::once("GSD: 1".to_owned()), 416).unwrap();
    other[2].1 = small.to_json().into_bytes();
    bundle_error(load(&manifest, &other), "tokenizer.json");
    other[2].1 = b"{}".to_vec();
    assert!(matches!(load(&manifest, &other), Error::Tokenizer { .. }));
    // No graph at all.
    let mut other = files.clone();
    other[0].1 = b"hostile".to_vec();
    match load(&manifest, &other) {
        Error::Graph { graph, .. } => assert!(graph.ends_with("image.onnx"), "{graph}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_that_are_none_are_an_error() {
    let (mut manifest, _) = parts(Side::None, FIELDS);
    // A variance of nearly 0 and a huge weight overflow to infinity and then to NaN.
    let mut graph = satmip_export::Graph::new("image", 20).unwrap();
    let dims = |last: usize| {
        use satmip_export::Dim;
        vec![Dim::from("batch"), SIZE.into(), SIZE.into(), last.into()]
    };
    let image = graph
        .input("image", satmip_export::DataType::U8, dims(3))
        .unwrap();
    let x = graph.cast(image, satmip_export::DataType::F32).unwrap();
    let x = graph.reduce_mean(x, &[1, 2], false).unwrap();
    let zero = graph.constant(satmip_export::Tensor::scalar(0.0)).unwrap();
    let x = graph.mul(x, zero).unwrap();
    let nan = graph.div(x, zero).unwrap();
    graph.output("image_features", nan).unwrap();
    graph.output("image_embeds", nan).unwrap();
    let bytes = graph
        .finish(&satmip_export::ModelInfo::new("test"))
        .unwrap();
    manifest.arch.embed_dim = 3;
    if let ImageTower::ResNet(config) = &mut manifest.arch.image {
        config.widths = vec![8, 3];
    }
    let (_root, dir) = write(manifest, &vec![("image.onnx", bytes.to_bytes().unwrap())]);
    let model = Embedder::builder(dir.to_str().unwrap())
        .device(Device::Rten)
        .load()
        .unwrap();
    let error = model.embed_rgb(&pictures(1)).unwrap_err();
    assert!(matches!(error, Error::Engine { .. }), "{error:?}");
    assert!(error.to_string().contains("not finite"), "{error}");
}

#[test]
fn builders_refuse_what_cannot_be() {
    let (manifest, files) = parts(Side::None, FIELDS);
    let (_root, dir) = write(manifest, &files);
    let builder = || Embedder::builder(dir.to_str().unwrap()).device(Device::Rten);
    for error in [
        builder().batch_size(0).load().unwrap_err(),
        builder().batch_size(1 << 40).load().unwrap_err(),
        builder().sessions(0).load().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    }
    let error = Embedder::builder("no such model").load().unwrap_err();
    assert!(matches!(error, Error::UnknownModel { .. }), "{error:?}");
    let error = builder()
        .device(Device::Auto)
        .onnxruntime_library("/no/such/libonnxruntime.so")
        .load()
        .unwrap_err();
    match &error {
        Error::Device { device, reason, .. } => {
            assert_eq!(device, "auto");
            assert!(reason.contains("/no/such/libonnxruntime.so"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
