//! The graph that resizes against the resize of our own, which gives Pillow's bytes, in each engine.
#![cfg(all(feature = "export", feature = "serve"))]

#[allow(dead_code)]
mod graph_engines;

use graph_engines::{Engine, Input};
use satmip::arch::{Fit, Preprocessing, ResizeFilter};
use satmip::export::{ExportOptions, export_resize};
use satmip::image::{RgbImage, fit};

const FILTERS: [ResizeFilter; 3] = [
    ResizeFilter::Bilinear,
    ResizeFilter::Bicubic,
    ResizeFilter::Lanczos,
];

fn preprocessing(size: usize, fit: Fit, filter: ResizeFilter) -> Preprocessing {
    Preprocessing {
        size,
        fit,
        filter,
        mean: [0.4; 3],
        std: [0.2; 3],
    }
}

/// Noise of all values, or black and white alone, where filters with negative lobes overshoot most.
fn picture(width: usize, height: usize, extreme: bool, seed: u32) -> Vec<u8> {
    let mut random = seed;
    let mut noise = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match extreme {
            true => ((random >> 31) * 255) as u8,
            false => (random >> 24) as u8,
        }
    };
    (0..width * height * 3).map(|_| noise()).collect()
}

fn engines(preprocessing: &Preprocessing) -> Vec<Engine> {
    let bytes = export_resize(preprocessing, &ExportOptions::default()).unwrap();
    satmip_export::check::read(&bytes, &Default::default()).unwrap();
    graph_engines::all(&bytes)
}

fn run(engine: &mut Engine, batch: usize, height: usize, width: usize, bytes: Vec<u8>) -> Vec<u8> {
    engine.bytes(&[("picture", Input::U8(vec![batch, height, width, 3], bytes))])
}

fn fitted(bytes: &[u8], width: usize, height: usize, preprocessing: &Preprocessing) -> Vec<u8> {
    let image = RgbImage::new(width as u32, height as u32, bytes.to_vec()).unwrap();
    fit(&image, preprocessing).unwrap()
}

#[test]
fn its_bytes_are_those_of_our_own_resize_but_for_roundings() {
    for (size, filter) in [20, 33].into_iter().flat_map(|s| FILTERS.map(|f| (s, f))) {
        for how in [Fit::Crop, Fit::Stretch] {
            let preprocessing = preprocessing(size, how, filter);
            for mut engine in engines(&preprocessing) {
                let (mut most, mut differ, mut all) = (0, 0, 0);
                for (width, height) in [
                    (1, 1),
                    (20, 20),
                    (33, 33),
                    (7, 12),
                    (41, 30),
                    (30, 41),
                    (95, 3),
                    (200, 160),
                ] {
                    for extreme in [false, true] {
                        let bytes = picture(width, height, extreme, 7);
                        let ours = fitted(&bytes, width, height, &preprocessing);
                        let theirs = run(&mut engine, 1, height, width, bytes);
                        assert_eq!(theirs.len(), ours.len());
                        let apart = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b));
                        differ += apart.clone().filter(|d| *d > 0).count();
                        all += ours.len();
                        most = most.max(apart.max().unwrap());
                        if (width, height) == (size, size) {
                            assert_eq!(ours, theirs, "a picture of the right size changes");
                        }
                    }
                }
                println!(
                    "{filter:?}, {how:?}, {size} px, {}: at most {most} apart, {differ} of {all}",
                    engine.name()
                );
                // Rows that were rounded the other way weigh more where the filter has more lobes.
                let tolerance = if filter == ResizeFilter::Lanczos {
                    2
                } else {
                    1
                };
                assert!(
                    most <= tolerance,
                    "{filter:?}, {how:?}, {}: {most}",
                    engine.name()
                );
            }
        }
    }
}

#[test]
fn pictures_of_one_size_are_a_batch() {
    let preprocessing = preprocessing(16, Fit::Crop, ResizeFilter::Bicubic);
    for mut engine in engines(&preprocessing) {
        let pictures: Vec<_> = (0..3).map(|i| picture(40, 25, false, i)).collect();
        let together = run(&mut engine, 3, 25, 40, pictures.concat());
        let alone = pictures.into_iter().map(|p| run(&mut engine, 1, 25, 40, p));
        assert_eq!(together, alone.collect::<Vec<_>>().concat());
    }
}

#[test]
fn a_size_of_nothing_is_refused() {
    let nothing = preprocessing(0, Fit::Crop, ResizeFilter::Bicubic);
    let error = export_resize(&nothing, &ExportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("preprocessing.size"), "{error}");
}
