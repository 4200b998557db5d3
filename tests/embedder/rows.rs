//! Rows of images and metadata: shapes, engines, sessions, what goes in.

use super::*;

#[test]
fn shapes_and_lengths_are_as_promised() {
    for device in devices() {
        for side in [Side::Text, Side::Tabular] {
            let model = load(side, device, 2, 4);
            assert_eq!(model.device(), device);
            assert_eq!((model.input_size(), model.dim()), (SIZE, DIM));
            assert_eq!(model.fields(), FIELDS);
            let images = model.embed_images(&pictures(9)).unwrap();
            assert_eq!((images.len(), images.dim()), (9, DIM));
            assert!(unit(&images));
            let features = model.image_features(&pictures(9)).unwrap();
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
                let first = models[0].embed_images(&pictures(count)).unwrap();
                let second = other.embed_images(&pictures(count)).unwrap();
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
            let (a, b) = (
                whole.embed_images(&pictures(5)),
                half.embed_images(&pictures(5)),
            );
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
                one.embed_images(&pictures).unwrap(),
                many.embed_images(&pictures).unwrap()
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
    assert_eq!(from_files, model.embed_images(&decoded).unwrap());
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
            model.embed_images::<RgbImage>(&[]).unwrap(),
            model.embed_metadata(&[]).unwrap(),
        ] {
            assert_eq!((embeddings.len(), embeddings.dim()), (0, DIM));
        }
        let prepared = Array4::<u8>::zeros((0, SIZE, SIZE, 3));
        let output = model.embed_prepared(prepared.view()).unwrap();
        assert_eq!(output.embeds.dim(), (0, DIM));
        let none = model.embed_images::<RgbImage>(&[]).unwrap();
        let pairs = model.pairs_of(none.clone(), &[]).unwrap();
        assert!(model.audit(&pairs).unwrap().is_empty());
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
    let images = model.embed_images(&pictures(2)).unwrap();
    for error in [
        model.embed_metadata(&records()).unwrap_err(),
        model.metadata_features(&[]).unwrap_err(),
        model.query(&images, Field::Gsd, ["1"]).unwrap_err(),
        model.pairs_of(images.clone(), &[None, None]).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains("metadata tower"), "{error}");
    }
}
