//! Pictures of every kind against what Pillow makes of them, and pictures that must be refused.
//!
//! `tests/data/images/make.py` makes the files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use satmip::arch::{Fit, Preprocessing, ResizeFilter};
use satmip::image::{
    DecodeLimits, ReadOptions, Region, RgbImage, Scale, decode, fit, prepare, read,
};
use satmip::{Error, ImageFault};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn picture(name: &str) -> RgbImage {
    read_as(name, Scale::Auto)
}

fn read_as(name: &str, scale: Scale) -> RgbImage {
    let mut options = ReadOptions::default();
    options.scale = scale;
    read(&folder().join(name), &options).unwrap().into_image()
}

fn fault(bytes: &[u8]) -> ImageFault {
    match decode(bytes, "an item", &ReadOptions::default()) {
        Err(Error::Image { item, fault }) => {
            assert_eq!(item, "an item");
            fault
        }
        other => panic!("{other:?}"),
    }
}

/// The pattern that make.py calls `noise`.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..3u32 {
                let h = x
                    .wrapping_mul(374_761_393)
                    .wrapping_add(y.wrapping_mul(668_265_263))
                    .wrapping_add(c.wrapping_mul(2_246_822_519));
                let h = (h ^ (h >> 13)).wrapping_mul(1_274_126_177);
                let value = (h ^ (h >> 16)) & 255;
                let extreme = (x / 16 + y / 16) % 2 == 1;
                pixels.push(if extreme {
                    u32::from(value >= 128) * 255
                } else {
                    value
                } as u8);
            }
        }
    }
    RgbImage::new(width, height, pixels).unwrap()
}

/// Largest and mean difference of two pictures' values.
fn difference(a: &RgbImage, b: &RgbImage) -> (u8, f64) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let apart = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    let all = || a.pixels().iter().zip(b.pixels()).map(apart);
    let mean = all().map(f64::from).sum::<f64>() / a.pixels().len() as f64;
    (all().max().unwrap(), mean)
}

fn preprocessing(size: usize, fit: Fit, filter: ResizeFilter) -> Preprocessing {
    Preprocessing {
        size,
        fit,
        filter,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

#[test]
fn resizing_gives_pillows_bytes() {
    let mut worst = 0;
    let mut cases = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(case) = name
            .strip_prefix("fit_")
            .and_then(|n| n.strip_suffix(".png"))
        else {
            continue;
        };
        let parts: Vec<&str> = case.split('_').collect();
        let [sides, how, filter, size] = parts[..] else {
            panic!("{name}");
        };
        let (width, height) = sides.split_once('x').unwrap();
        let how = match how {
            "crop" => Fit::Crop,
            "stretch" => Fit::Stretch,
            other => panic!("{other}"),
        };
        let filter = match filter {
            "bilinear" => ResizeFilter::Bilinear,
            "bicubic" => ResizeFilter::Bicubic,
            "lanczos" => ResizeFilter::Lanczos,
            other => panic!("{other}"),
        };
        let size: u32 = size.parse().unwrap();
        let source = noise(width.parse().unwrap(), height.parse().unwrap());
        let fitted = fit(&source, &preprocessing(size as usize, how, filter)).unwrap();
        let fitted = RgbImage::new(size, size, fitted).unwrap();
        let (most, _) = difference(&fitted, &picture(&name));
        assert_eq!(most, 0, "{name} differs");
        worst = worst.max(most);
        cases += 1;
    }
    assert_eq!(cases, 21);
    println!("largest difference to Pillow's resize: {worst}");
}

#[test]
fn fitting_to_the_same_size_changes_nothing() {
    let source = noise(40, 40);
    for filter in [
        ResizeFilter::Bilinear,
        ResizeFilter::Bicubic,
        ResizeFilter::Lanczos,
    ] {
        for how in [Fit::Crop, Fit::Stretch] {
            let same = fit(&source, &preprocessing(40, how, filter)).unwrap();
            assert_eq!(same, source.pixels());
        }
    }
}

#[test]
fn lossless_kinds_give_the_exact_pixels() {
    let rgb = noise(19, 13);
    let first = RgbImage::new(
        19,
        13,
        rgb.pixels().chunks(3).flat_map(|p| [p[0]; 3]).collect(),
    )
    .unwrap();
    for name in [
        "rgb.png",
        "rgb.webp",
        "rgb.tif",
        "lzw.tif",
        "deflate.tif",
        "big.tif",
        "alpha.tif",
        "rgb16.png",
        "planes.tif",
        "rgbn.tif",
    ] {
        assert_eq!(difference(&picture(name), &rgb).0, 0, "{name}");
    }
    for name in ["grey.png", "grey.tif", "grey16.png", "white_is_zero.tif"] {
        assert_eq!(difference(&picture(name), &first).0, 0, "{name}");
    }
    // Clear pixels are missing, all others as they are.
    for (name, wanted) in [
        ("alpha.png", &rgb),
        ("alpha.webp", &rgb),
        ("rgba16.png", &rgb),
        ("grey_alpha.png", &first),
        ("grey_alpha16.png", &first),
    ] {
        let read = read(&folder().join(name), &ReadOptions::default()).unwrap();
        let pairs = read
            .image()
            .pixels()
            .chunks(3)
            .zip(wanted.pixels().chunks(3));
        let others = pairs.filter(|(a, b)| a != b).count();
        let missing = 1.0 - read.valid_share(Region::whole(19, 13));
        assert!(
            others as f32 <= missing * 19.0 * 13.0 + 0.5,
            "{name}: {others}"
        );
        assert!(missing < 0.05, "{name}: {missing}");
    }
    for name in ["rgb16.tif", "planes16.tif"] {
        assert_eq!(difference(&read_as(name, Scale::Full), &rgb).0, 0, "{name}");
    }
    let grey = read_as("grey16.tif", Scale::Full);
    assert_eq!(difference(&grey, &first).0, 0);
}

#[test]
fn kinds_that_need_a_conversion_agree_with_pillow() {
    // File, largest and mean difference of 255. Lossless kinds must be equal; JPEG decoders may
    // round the inverse transform differently, and the more so where chroma is enlarged.
    for (name, most, mean) in [
        ("palette.png", 0, 0.0),
        ("bits.png", 0, 0.0),
        ("bits.tif", 0, 0.0),
        ("cmyk.tif", 0, 0.0),
        ("lossy.webp", 0, 0.0),
        ("jpeg.tif", 1, 0.03),
        ("baseline444.jpg", 2, 0.02),
        ("baseline420.jpg", 3, 0.4),
        ("baseline422.jpg", 3, 0.2),
        ("restarts.jpg", 3, 0.4),
        ("progressive.jpg", 3, 0.4),
        ("grey.jpg", 1, 0.02),
        ("rgb.jpg", 1, 0.02),
        ("cmyk.jpg", 1, 0.02),
        ("ycck.jpg", 2, 0.02),
        ("cmyk_plain.jpg", 1, 0.02),
    ] {
        let (max, average) = difference(&picture(name), &picture(&format!("wanted_{name}.png")));
        assert!(max <= most, "{name} differs by {max}");
        assert!(average <= mean, "{name} differs by {average} on average");
    }
}

#[test]
fn a_palette_is_looked_up_in_a_tiff_as_well() {
    let palette = picture("palette.tif");
    assert_eq!(
        difference(&palette, &picture("wanted_palette.png.png")).0,
        0
    );
}

#[test]
fn every_orientation_stands_upright() {
    let upright = picture("upright.png");
    for value in 1..=8 {
        let (max, _) = difference(&picture(&format!("orientation{value}.jpg")), &upright);
        assert!(max <= 12, "orientation {value}: {max}");
    }
    for name in ["orientation6.png", "orientation6.webp", "orientation6.tif"] {
        assert_eq!(difference(&picture(name), &upright).0, 0, "{name}");
    }
}

#[test]
fn clear_pixels_of_a_palette_are_missing_and_the_others_pillows() {
    let clear = read(&folder().join("palette_clear.png"), &ReadOptions::default()).unwrap();
    let valid = clear.valid_share(Region::whole(19, 13));
    let wanted = picture("wanted_palette_clear.png.png");
    let same = |(a, b): &(&[u8], &[u8])| a == b;
    let pixels = clear
        .image()
        .pixels()
        .chunks(3)
        .zip(wanted.pixels().chunks(3));
    let equal = pixels.filter(same).count();
    assert!(
        valid < 1.0 && equal as f32 >= valid * 19.0 * 13.0,
        "{valid} {equal}"
    );
}

#[test]
fn sixteen_bits_are_scaled_over_the_full_range() {
    // In the file v * 257 + 100, which rounds to v; the high byte alone would do so as well,
    // but not for v * 257 + 200.
    let mut file = bytes("grey16.tif");
    let samples = file.len() - 19 * 13 * 2;
    for sample in file[samples..].as_chunks_mut::<2>().0 {
        *sample = (17 * 257 + 200u16).to_le_bytes();
    }
    let mut options = ReadOptions::default();
    options.scale = Scale::Full;
    let image = decode(&file, "grey", &options).unwrap().into_image();
    assert!(image.pixels().iter().all(|v| *v == 18));
}

#[test]
fn one_pixel_is_a_picture() {
    let one = noise(1, 1);
    let fitted = fit(&one, &preprocessing(16, Fit::Crop, ResizeFilter::Bicubic)).unwrap();
    assert!(fitted.chunks(3).all(|pixel| pixel == one.pixels()));
    let file = bytes("fit_1x1_crop_bicubic_8.png");
    let preprocessing = preprocessing(64, Fit::Stretch, ResizeFilter::Lanczos);
    let prepared = prepare(&file, "one", &ReadOptions::default(), &preprocessing).unwrap();
    assert_eq!(prepared.pixels.len(), 64 * 64 * 3);
}

#[test]
fn a_picture_without_pixels_cannot_be_made() {
    for (width, height, len) in [
        (0, 5, 0),
        (5, 0, 0),
        (2, 2, 11),
        (2, 2, 13),
        (u32::MAX, u32::MAX, 3),
    ] {
        let made = RgbImage::new(width, height, vec![0; len]);
        assert!(matches!(made, Err(Error::Argument { what: "pixels", .. })));
    }
}

#[test]
fn giants_are_refused_from_their_header() {
    for (name, width, height) in [
        ("giant.png", 30_000, 30_000),
        ("giant.jpg", 30_000, 30_000),
        ("giant.tif", 30_000, 30_000),
        ("giant.webp", 16_383, 16_383),
    ] {
        let file = bytes(name);
        let start = Instant::now();
        let fault = fault(&file);
        // Milliseconds on an idle machine; never the seconds of a decoded giant.
        assert!(start.elapsed() < Duration::from_millis(500), "{name}");
        let limit = DecodeLimits::default().max_pixels;
        assert_eq!(
            fault,
            ImageFault::TooLarge {
                width,
                height,
                limit
            },
            "{name}"
        );
    }
}

#[test]
fn the_limit_is_the_callers() {
    let file = bytes("rgb.png");
    let options = |pixels| ReadOptions::from(DecodeLimits::of_pixels(pixels));
    assert!(decode(&file, "rgb", &options(19 * 13)).is_ok());
    let error = decode(&file, "rgb", &options(19 * 13 - 1)).unwrap_err();
    assert!(error.hint().unwrap().contains("--max-pixels"));
    // Legal and far below the limit of pixels, though wider than decoders' own default limits.
    let wide = picture("wide.jpg");
    assert_eq!((wide.width(), wide.height()), (20_000, 24));
}

#[test]
fn several_pictures_in_one_file_are_refused() {
    let path = folder().join("pages.tif");
    let error = read(&path, &ReadOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("2 pictures"), "{error}");
}

#[test]
fn cut_off_files_are_errors_and_never_grey_pictures() {
    for name in [
        "baseline444.jpg",
        "baseline420.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "grey.jpg",
        "rgb.jpg",
        "cmyk.jpg",
        "rgb.png",
        "rgb.webp",
        "lossy.webp",
        "rgb.tif",
        "lzw.tif",
        "deflate.tif",
        "jpeg.tif",
        "planes16.tif",
    ] {
        let file = bytes(name);
        // Pillow writes TIFF's tags behind the pixels: any cut loses them. PNG's last chunk says
        // only "end", and a WebP is padded to an even length.
        let needed = file.len()
            - match name {
                _ if name.ends_with(".png") => 12,
                _ if name.ends_with(".webp") => 1,
                _ => 0,
            };
        let mut options = ReadOptions::default();
        if name == "planes16.tif" {
            options.scale = Scale::Full;
        }
        for cut in (0..needed).rev().take(40).chain((0..needed).step_by(37)) {
            let whole = file.len();
            match decode(&file[..cut], name, &options) {
                Err(Error::Image {
                    fault: ImageFault::Damaged(_) | ImageFault::Empty | ImageFault::UnknownFormat,
                    ..
                }) => {}
                other => panic!("{name} cut to {cut} of {whole} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn kinds_that_are_not_read_are_named() {
    for (name, word) in [
        ("float.tif", "float32"),
        ("signed.tif", "int16"),
        ("grey32.tif", "uint32"),
    ] {
        match fault(&bytes(name)) {
            ImageFault::NeedsScale { samples } => assert_eq!(samples, word, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    for name in ["bands6.tif", "bands2.tif"] {
        let fault = fault(&bytes(name));
        assert!(
            matches!(fault, ImageFault::NeedsBands { .. }),
            "{name}: {fault}"
        );
    }
    // One byte of the frame header makes other processes of a baseline JPEG.
    let plain = bytes("baseline444.jpg");
    let frame = plain.windows(2).position(|w| w == b"\xff\xc0").unwrap();
    for (code, word) in [
        (0xc3, "lossless"),
        (0xc9, "arithmetic"),
        (0xc5, "hierarchical"),
    ] {
        let mut file = plain.clone();
        file[frame + 1] = code;
        assert!(matches!(fault(&file), ImageFault::Unsupported(w) if w.contains(word)));
    }
    let mut deep = plain;
    deep[frame + 4] = 12;
    assert!(matches!(fault(&deep), ImageFault::Unsupported(w) if w.contains("12 bits")));
}

#[test]
fn what_is_no_picture_is_told_apart() {
    assert_eq!(fault(b""), ImageFault::Empty);
    assert_eq!(
        fault(b"a text that somebody called .jpg"),
        ImageFault::UnknownFormat
    );
    assert_eq!(fault(b"\xff\xd8"), ImageFault::UnknownFormat);
    assert!(matches!(fault(b"GIF89a..."), ImageFault::Unsupported(w) if w == "GIF"));

    let folder = tempfile::tempdir().unwrap();
    let limits = ReadOptions::default();
    let text = folder.path().join("note.jpg");
    std::fs::write(&text, "a text").unwrap();
    let error = read(&text, &limits).unwrap_err();
    assert!(error.to_string().contains("note.jpg"), "{error}");
    assert!(matches!(
        error,
        Error::Image {
            fault: ImageFault::UnknownFormat,
            ..
        }
    ));

    for path in [folder.path().join("missing.png"), folder.path().to_owned()] {
        let error = read(&path, &limits).unwrap_err();
        assert!(
            matches!(&error, Error::Image { item, fault: ImageFault::Unreadable(_) }
                if *item == path.display().to_string()),
            "{error:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_unicode_is_no_obstacle() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
    std::fs::write(&path, bytes("rgb.png")).unwrap();
    let read = read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(read.into_image(), noise(19, 13));
}

/// Changed files decode or are refused; the test is that none of them panics or runs on.
#[test]
fn changed_files_never_panic() {
    // Above the files' own sizes and low enough that a changed header stays quick.
    let limits = DecodeLimits::of_pixels(1 << 16);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("fit_") && !name.starts_with("wanted_"))
        .filter(|name| !name.ends_with(".py") && !name.starts_with("wide"))
        .collect();
    names.sort();
    let (mut decoded, mut refused) = (0, 0);
    for format in [".jpg", ".png", ".webp", ".tif"] {
        let files: Vec<Vec<u8>> = names
            .iter()
            .filter(|n| n.ends_with(format))
            .map(|n| bytes(n))
            .collect();
        assert!(files.len() >= 4, "{format}");
        for round in 0..FUZZ_ROUNDS {
            let mut file = files[round % files.len()].clone();
            for _ in 0..=random(8) {
                let at = random(file.len());
                match random(6) {
                    0 => file[at] = random(256) as u8,
                    1 => file[at] ^= 1 << random(8),
                    2 => file[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random(6)],
                    3 => file.truncate(at.max(1)),
                    4 => file.insert(at, random(256) as u8),
                    _ => {
                        let from = random(file.len());
                        let len = random(16).min(file.len() - at.max(from));
                        file.copy_within(from..from + len, at);
                    }
                }
            }
            match decode(&file, "changed", &limits.into()) {
                Ok(picture) => {
                    let image = picture.image();
                    decoded += 1;
                    assert!(
                        u64::from(image.width()) * u64::from(image.height()) <= limits.max_pixels
                    );
                }
                Err(Error::Image { .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    // Both ends are reached, or the changes are of no use.
    assert!(
        decoded > 100 && refused > 100,
        "{decoded} decoded, {refused} refused"
    );
}

/// Changed files of each format; `SATMIP_FUZZ_ROUNDS` at build time asks for more.
const FUZZ_ROUNDS: usize = match option_env!("SATMIP_FUZZ_ROUNDS") {
    Some(_) => 200_000,
    None => 3_000,
};
