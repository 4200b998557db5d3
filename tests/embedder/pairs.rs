//! Pictures with their records: `embed_pairs`, `pairs_of`, `fitted_metadata`, and what `audit` makes of them.

use satmip::image::Geometry;

use super::*;

/// Fields that follow the pixels or are derived, and one that is neither.
const PLACED: FieldSet = FieldSet::of(&[
    Field::Gsd,
    Field::PixelSize,
    Field::Timestamp,
    Field::Location,
    Field::UtmZone,
    Field::CountryCode,
    Field::CloudCover,
    Field::SunAzimuthAngle,
    Field::SunElevationAngle,
]);

fn placed() -> Embedder {
    let (mut manifest, mut files) = parts(Side::Text, PLACED);
    // `records` of this crate have few of these fields; the vocabulary is of bytes, so nothing is too unusual for it.
    let captions = (0..40).map(|i| {
        Metadata::new()
            .with_gsd(f64::from(i) + 0.25)
            .and_then(|m| m.with_location(f64::from(i) * 3.0, f64::from(i)))
            .and_then(|m| m.with_timestamp("2015-09-21T15:30:08Z"))
            .unwrap()
            .derive_missing()
            .caption(PLACED)
    });
    let tokenizer = CaptionTokenizer::train(captions, 440).unwrap();
    if let Some(side) = &mut manifest.arch.metadata
        && let MetadataTower::Text(config) = &mut side.tower
    {
        config.vocabulary = tokenizer.vocabulary();
        config.context = tokenizer.context_for(PLACED);
        config.end_token = tokenizer.end_token();
    }
    let weights = Weights::random(&manifest.arch, 5).unwrap();
    let options = ExportOptions::default();
    files[0].1 = export_image(&manifest.arch, &weights, &options).unwrap();
    files[1].1 = export_metadata(&manifest.arch, &weights, &options).unwrap();
    files[2].1 = tokenizer.to_json().into_bytes();
    let (_root, dir) = write(manifest, &files);
    Embedder::builder(dir.to_str().unwrap())
        .device(Device::Rten)
        .sessions(2)
        .batch_size(4)
        .load()
        .unwrap()
}

fn here() -> Metadata {
    Metadata::new()
        .with_gsd(10.0)
        .and_then(|m| m.with_location(2.35, 48.85))
        .and_then(|m| m.with_timestamp("2020-06-21T10:30:00Z"))
        .unwrap()
}

fn picture(width: u32, height: u32) -> RgbImage {
    let pixels = (0..width * height * 3).map(|k| (k * 7 % 251) as u8);
    RgbImage::new(width, height, pixels.collect()).unwrap()
}

#[test]
fn both_sides_are_those_of_the_models_pixels() {
    let model = placed();
    let side = SIZE as u32;
    // Twice as large as the model, as large, larger with an odd rest, smaller.
    let sizes = [(2 * side, 2 * side), (side, side), (51, 34), (8, 4)];
    let gsds = [20.0, 10.0, 10.0 * 34.0 / 16.0, 2.5];
    let pictures: Vec<RgbImage> = sizes.iter().map(|(w, h)| picture(*w, *h)).collect();
    let pairs: Vec<_> = pictures.iter().map(|p| (p, here())).collect();
    let pairs = model.embed_pairs(&pairs).unwrap();
    assert_eq!((pairs.len(), pairs.rows()), (4, &[0, 1, 2, 3][..]));
    assert_eq!(pairs.images(), &model.embed_images(&pictures).unwrap());
    let records: Vec<Metadata> = pairs.records().iter().flatten().cloned().collect();
    for ((record, gsd), (width, height)) in records.iter().zip(gsds).zip(sizes) {
        assert_eq!(record.gsd().unwrap().x, gsd);
        let fitted = model.fitted_metadata(&here(), width, height).unwrap();
        assert_eq!(record, &fitted);
        assert_eq!(
            record.fields(),
            PLACED.difference(FieldSet::of(&[Field::CloudCover]))
        );
    }
    // An odd rest of one column: the centre moved by half a pixel of 10 m.
    let moved = records[2].location().unwrap().lon() - 2.35;
    assert!((moved + 0.5 * 10.0 / 73_300.0).abs() < 1e-6, "{moved}");
    // As if the records had been brought there by hand.
    assert_eq!(pairs.metadata(), &model.embed_metadata(&records).unwrap());
    let cosines = pairs.images().similarity(pairs.metadata()).unwrap();
    for (i, own) in pairs.similarities().into_iter().enumerate() {
        assert!((own.unwrap() - cosines[[i, i]]).abs() < 1e-6);
    }
}

#[test]
fn files_and_pixels_give_the_same_pairs() {
    let model = placed();
    let root = tempfile::tempdir().unwrap();
    let (mut files, mut pictures) = (Vec::new(), Vec::new());
    for (i, (width, height)) in [(40, 30), (16, 16), (9, 23)].into_iter().enumerate() {
        let path = root.path().join(format!("{i}.png"));
        let picture = picture(width, height);
        image::save_buffer(
            &path,
            picture.pixels(),
            width,
            height,
            image::ColorType::Rgb8,
        )
        .unwrap();
        files.push((path, here()));
        pictures.push((picture, here()));
    }
    let from_files = model.embed_pairs(&files).unwrap();
    assert_eq!(from_files, model.embed_pairs(&pictures).unwrap());
    let borrowed: Vec<(&RgbImage, &Metadata)> = pictures.iter().map(|(p, m)| (p, m)).collect();
    assert_eq!(from_files, model.embed_pairs(&borrowed).unwrap());
    let named: Vec<(String, &Metadata)> = files
        .iter()
        .map(|(p, m)| (p.display().to_string(), m))
        .collect();
    assert_eq!(from_files, model.embed_pairs(&named).unwrap());
}

#[test]
fn a_record_that_says_nothing_to_the_model_has_no_vector() {
    for model in [
        load(Side::Text, Device::Rten, 2, 2),
        load(Side::Tabular, Device::Rten, 2, 2),
    ] {
        let known = records();
        // The model reads no gsd, so that a record of it alone is none.
        let mute = Metadata::new().with_gsd(3.0).unwrap();
        let given = [&known[1], &mute, &known[2], &Metadata::new(), &known[3]].map(Clone::clone);
        let pictures = pictures(5);
        let pairs: Vec<_> = pictures.iter().zip(&given).collect();
        let pairs = model.embed_pairs(&pairs).unwrap();
        assert_eq!(
            (pairs.len(), pairs.images().len(), pairs.metadata().len()),
            (5, 5, 3)
        );
        assert_eq!(pairs.rows(), [0, 2, 4]);
        let has: Vec<bool> = pairs.records().iter().map(Option::is_some).collect();
        assert_eq!(has, [true, false, true, false, true]);
        assert_eq!(
            pairs
                .similarities()
                .iter()
                .map(Option::is_some)
                .collect::<Vec<_>>(),
            has
        );
        // They are no rivals in an audit, and have no row in it.
        let audit = model.audit(&pairs).unwrap();
        let rows: Vec<_> = audit.iter().map(|row| (row.index, row.records)).collect();
        assert_eq!(rows, [(0, 3), (2, 3), (4, 3)]);
        for row in &audit {
            let own = pairs.similarities()[row.index].unwrap();
            assert!((row.similarity - own).abs() < 1e-6);
        }
        // The same from vectors that are there already.
        let given: Vec<_> = given.into_iter().map(Some).collect();
        let images = model.embed_images(&pictures).unwrap();
        assert_eq!(model.pairs_of(images, &given).unwrap(), pairs);
    }
}

#[test]
fn one_order_of_deriving_and_following() {
    let model = placed();
    for (width, height) in [
        (16, 16),
        (51, 34),
        (1, 1),
        (1, 10_000),
        (10_000, 1),
        (513, 512),
    ] {
        let source = here().with_cloud_cover(3.0).unwrap();
        let first = model.fitted_metadata(&source, width, height).unwrap();
        // What is derived already stays as it is.
        let again = model
            .fitted_metadata(&source.derive_missing(), width, height)
            .unwrap();
        assert_eq!(first, again, "{width} x {height}");
        // Nothing is left to derive, so `embed_metadata` and `pairs_of` change nothing.
        assert_eq!(
            model.prepare_metadata(std::slice::from_ref(&first)),
            std::slice::from_ref(&first)
        );
        // The other order differs by half a pixel on the ground at most: for a fit, captions have the same zone, country
        // and angles within 0.01 degrees.
        let geometry =
            satmip::image::fitted_geometry(width, height, &model.manifest().arch.preprocessing)
                .unwrap();
        let other = geometry.apply_to(&source).derive_missing().only(PLACED);
        assert_eq!(other.fields(), first.fields());
        let near = |a: f64, b: f64, within: f64| assert!((a - b).abs() <= within, "{a} {b}");
        let (a, b) = (first.pixel_size().unwrap(), other.pixel_size().unwrap());
        near(a.x / b.x, 1.0, 1e-5);
        near(a.y / b.y, 1.0, 1e-5);
        near(
            first.sun_azimuth_angle().unwrap(),
            other.sun_azimuth_angle().unwrap(),
            0.01,
        );
        near(
            first.sun_elevation_angle().unwrap(),
            other.sun_elevation_angle().unwrap(),
            0.01,
        );
        assert_eq!(first.utm_zone(), other.utm_zone());
        assert_eq!(first.country_code(), other.country_code());
    }
    // A flip tells the orders apart: the sun of the flipped picture stands where its shadows say.
    let flipped = Geometry::of(16, 16).unwrap().flip_horizontal();
    let seen = flipped.record_for(&here(), PLACED);
    let sun = here().derive_missing().sun_azimuth_angle().unwrap();
    assert!((seen.sun_azimuth_angle().unwrap() - (360.0 - sun)).abs() < 1e-9);
}

#[test]
fn a_place_alone_survives_half_a_pixel() {
    let place = Metadata::new().with_location(2.35, 48.85).unwrap();
    let model = placed();
    for (width, height) in [(101, 100), (1, 10_000), (10_000, 1)] {
        let seen = model.fitted_metadata(&place, width, height).unwrap();
        assert_eq!(seen.location(), place.location(), "{width} x {height}");
    }
    // A longer way cannot be told without the size of a pixel.
    let right = satmip::image::Region {
        left: 2,
        top: 0,
        width: 98,
        height: 100,
    };
    let cut = Geometry::of(100, 100).unwrap().crop(right).unwrap();
    assert_eq!(cut.apply_to(&place).location(), None);
}

#[test]
fn odd_sizes_and_values_are_results_or_typed_errors() {
    let model = placed();
    // One pixel becomes 16: 10 m become 0.625.
    let pairs = model
        .embed_pairs(&[(picture(1, 1), here()), (picture(1, 10_000), here())])
        .unwrap();
    assert!(unit(pairs.images()) && unit(pairs.metadata()));
    for record in pairs.records() {
        assert_eq!(record.as_ref().unwrap().gsd().unwrap().x, 0.625);
    }
    // A gsd that leaves its range is missing, and so is a record of nothing else.
    let least = Metadata::new().with_gsd(1e-4).unwrap();
    let pairs = model.embed_pairs(&[(picture(1, 1), least)]).unwrap();
    assert_eq!((pairs.records(), pairs.metadata().len()), (&[None][..], 0));
    // A record cannot hold a number that is none.
    assert!(matches!(
        Metadata::new().with_gsd(f64::NAN),
        Err(Error::InvalidField { field: "gsd", .. })
    ));
    assert!(matches!(
        model.fitted_metadata(&here(), 0, 5),
        Err(Error::Argument { .. })
    ));
}

#[test]
fn no_pairs_are_no_error() {
    let model = placed();
    let none: [(&str, Metadata); 0] = [];
    let pairs = model.embed_pairs(&none).unwrap();
    assert!(pairs.is_empty() && pairs.rows().is_empty() && pairs.similarities().is_empty());
    assert_eq!(pairs.images().dim(), DIM);
    assert_eq!(pairs.metadata().dim(), DIM);
    assert!(model.audit(&pairs).unwrap().is_empty());
}

#[test]
fn the_first_fault_is_told_and_pictures_come_first() {
    let model = load(Side::Text, Device::Rten, 3, 1);
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("text.jpg"), "no picture").unwrap();
    image::save_buffer(path("good.png"), &[9; 48], 4, 4, image::ColorType::Rgb8).unwrap();
    let mut long = Metadata::new()
        .with_sensor_platform(&"Z9".repeat(32))
        .unwrap();
    long.set_cloud_cover(100.0).unwrap();
    long.set_multispectral_gsd(1234.5678).unwrap();
    long.set_off_nadir_angle(12.34).unwrap();
    long.set_scan_direction("Forward").unwrap();
    let short = Metadata::new().with_cloud_cover(1.0).unwrap();
    let pairs = [
        (path("good.png"), &long),
        (path("text.jpg"), &short),
        (path("missing.png"), &short),
    ];
    match model.embed_pairs(&pairs).unwrap_err() {
        Error::Image { item, .. } => assert!(item.ends_with("text.jpg"), "{item}"),
        other => panic!("{other:?}"),
    }
    let error = model.embed_pairs(&pairs[..1]).unwrap_err();
    assert!(matches!(error, Error::CaptionTooLong { .. }), "{error:?}");
}

#[test]
fn pairs_that_do_not_belong_together_are_refused() {
    let model = load(Side::Text, Device::Rten, 1, 4);
    let images = model.embed_images(&pictures(3)).unwrap();
    let records: Vec<_> = records().into_iter().map(Some).collect();
    let error = model.pairs_of(images, &records[..2]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Argument {
                what: "records",
                ..
            }
        ),
        "{error:?}"
    );
    let other = Embeddings::new(ndarray::Array2::ones((2, DIM + 1))).unwrap();
    let error = model.pairs_of(other, &records[..2]).unwrap_err();
    assert!(
        matches!(error, Error::Argument { what: "images", .. }),
        "{error:?}"
    );
    let images_alone = load(Side::None, Device::Rten, 1, 4);
    let pairs: Vec<_> = pictures(1)
        .into_iter()
        .map(|p| (p, Metadata::new()))
        .collect();
    let error = images_alone.embed_pairs(&pairs).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}
