//! What must be refused.

use super::*;

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
    let error = model.embed_images(&pictures(1)).unwrap_err();
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
