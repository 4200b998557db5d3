//! Views by their pixels.

use satmip::Metadata;
use satmip::arch::Preprocessing;
use satmip::image::RgbImage;
use satmip_train::data::{Stream, ViewConfig, centre_view, draw_view, rng_for};

/// Pixels as they are, as bytes.
fn plain_preprocessing(size: usize) -> Preprocessing {
    Preprocessing {
        size,
        fit: Default::default(),
        filter: Default::default(),
        mean: [0.0; 3],
        std: [1.0 / 255.0; 3],
    }
}

#[test]
fn pixels_of_a_view_are_where_its_geometry_says() {
    // Red grows to the right and green downwards, by 4 for each pixel.
    let pixels = (0..64 * 64u32).flat_map(|i| [(i % 64 * 4) as u8, (i / 64 * 4) as u8, 7]);
    let image = RgbImage::new(64, 64, pixels.collect()).unwrap();
    let config = ViewConfig {
        jitter: 0.0,
        grey: 0.0,
        ..ViewConfig::default()
    };
    let mut orientations = Vec::new();
    for index in 0..60 {
        let mut rng = rng_for(5, Stream::View(0), 0, index);
        let size = [64, 16][index as usize % 2];
        let preprocessing = plain_preprocessing(size);
        let view = draw_view(&image, &Metadata::new(), &config, &preprocessing, &mut rng).unwrap();
        assert_eq!(view.geometry.size(), (size as u32, size as u32));
        let (first, right) = (
            view.geometry.to_source(0.0, 0.0),
            view.geometry.to_source(1.0, 0.0),
        );
        let below = view.geometry.to_source(0.0, 1.0);
        let way = |to: (f64, f64)| {
            // Source pixels along x and y, one of which is none.
            let along = |v: f64| i8::from(v > 1e-9) - i8::from(v < -1e-9);
            (along(to.0 - first.0), along(to.1 - first.1))
        };
        orientations.push((way(right), way(below)));
        // Away from the edges, where the filter sees less.
        for (row, column) in [(5, 5), (5, size - 6), (size - 6, 5), (size / 2, size / 3)] {
            let (u, v) = view
                .geometry
                .to_source(column as f64 + 0.5, row as f64 + 0.5);
            let at =
                |channel: usize| f64::from(view.pixels[(channel * size + row) * size + column]);
            assert!(
                (at(0) - 4.0 * (u - 0.5)).abs() < 3.0,
                "{index}: {} at {u}",
                at(0)
            );
            assert!(
                (at(1) - 4.0 * (v - 0.5)).abs() < 3.0,
                "{index}: {} at {v}",
                at(1)
            );
            assert!((at(2) - 7.0).abs() < 1e-3);
        }
    }
    orientations.sort();
    orientations.dedup();
    assert_eq!(orientations.len(), 8, "{orientations:?}");
}

#[test]
fn the_centre_view_is_the_embedders() {
    let pixels: Vec<u8> = (0..20 * 12 * 3u32).map(|i| (i * i % 256) as u8).collect();
    let image = RgbImage::new(20, 12, pixels).unwrap();
    let preprocessing = plain_preprocessing(7);
    let fitted = satmip::image::fit(&image, &preprocessing).unwrap();
    let view = centre_view(&image, &preprocessing).unwrap();
    for (i, value) in view.iter().enumerate() {
        let byte = fitted[i % 49 * 3 + i / 49];
        assert!((value - f32::from(byte)).abs() < 1e-3);
    }
}

#[test]
fn blur_flattens_and_keeps_the_mean() {
    let pixels = (0..32 * 32u32).flat_map(|i| [if (i + i / 32) % 2 == 0 { 255 } else { 0 }; 3]);
    let image = RgbImage::new(32, 32, pixels.collect()).unwrap();
    let drawn = |blur| {
        let config = ViewConfig {
            crop_area: [1.0, 1.0],
            crop_aspect: [1.0, 1.0],
            jitter: 0.0,
            grey: 0.0,
            blur,
            blur_sigma: [2.0, 2.0],
            ..ViewConfig::default()
        };
        let mut rng = rng_for(1, Stream::View(0), 0, 0);
        let preprocessing = plain_preprocessing(32);
        let view = draw_view(&image, &Metadata::new(), &config, &preprocessing, &mut rng).unwrap();
        let mean = view.pixels.iter().sum::<f32>() / view.pixels.len() as f32;
        let spread = view
            .pixels
            .iter()
            .map(|v| (v - mean).abs())
            .fold(0.0, f32::max);
        (mean, spread)
    };
    let ((mean, spread), (blurred, flat)) = (drawn(0.0), drawn(1.0));
    assert!(
        (mean - 127.5).abs() < 0.1 && (mean - blurred).abs() < 0.5,
        "{mean} {blurred}"
    );
    assert!(
        (spread - 127.5).abs() < 0.1 && flat < 45.0,
        "{spread} {flat}"
    );
}
