//! Windows of scenes: the same pixels as the picture as a whole has, and as GDAL reads.
#![cfg(feature = "geotiff")]

use std::path::{Path, PathBuf};
use std::process::Command;

use satmip::image::{Picture, ReadOptions, Region, Resolution, read};
use satmip::scene::{Footprint, RasterFile, Scene};
use satmip::{Error, ImageFault};
use serde::Deserialize;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16};
use tiff::encoder::{TiffEncoder, TiffValue};
use tiff::tags::Tag;

fn rasters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rasters")
}

fn options(scale: &str) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.scale = scale.parse().unwrap();
    options
}

fn region([left, top, width, height]: [u32; 4]) -> Region {
    Region {
        left,
        top,
        width,
        height,
    }
}

/// Writes a GeoTIFF of one strip with a square grid: the side of a pixel, and where the first one's corner is.
fn write_raster<C: ColorType>(
    path: &Path,
    width: u32,
    samples: &[C::Inner],
    (code, side, corner): (u16, f64, (f64, f64)),
) where
    [C::Inner]: TiffValue,
{
    let mut file = std::fs::File::create(path).unwrap();
    let mut tiff = TiffEncoder::new(&mut file).unwrap();
    let height = samples.len() as u32 / width;
    let mut image = tiff.new_image::<C>(width, height).unwrap();
    let (model, key) = if code == 4326 { (2, 2048) } else { (1, 3072) };
    let keys = [1, 1, 0, 2, 1024, 0, 1, model, key, 0, 1, code];
    let tie = [0.0, 0.0, 0.0, corner.0, corner.1, 0.0];
    let encoder = image.encoder();
    encoder
        .write_tag(Tag::GeoKeyDirectoryTag, &keys[..])
        .unwrap();
    encoder
        .write_tag(Tag::ModelPixelScaleTag, &[side, side, 0.0][..])
        .unwrap();
    encoder.write_tag(Tag::ModelTiepointTag, &tie[..]).unwrap();
    image.rows_per_strip(16).unwrap();
    image.write_data(samples).unwrap();
}

/// The pixels that are there; none for those that are missing.
fn there(picture: &Picture, x: u32, y: u32) -> Option<[u8; 3]> {
    let valid = picture.valid_share(region([x, y, 1, 1])) == 1.0;
    picture.image().get(x, y).filter(|_| valid)
}

/// All files of the tests of rasters, of which some are refused and some are turned.
#[test]
fn windows_are_parts_of_the_picture() {
    let (mut compared, mut refused) = (0, 0);
    for entry in std::fs::read_dir(rasters()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "tif") {
            continue;
        }
        let found = ["auto", "0,3000", "stated"]
            .map(options)
            .into_iter()
            .find_map(|options| read(&path, &options).ok().map(|picture| (options, picture)));
        let Some((options, whole)) = found else {
            let scene = Scene::open(&path, &ReadOptions::default());
            let window =
                scene.and_then(|scene| scene.window(region([0, 0, scene.width(), scene.height()])));
            assert!(window.is_err(), "{}", path.display());
            refused += 1;
            continue;
        };
        let scene = Scene::open(&path, &options).unwrap();
        let (width, height) = (scene.width(), scene.height());
        let all = scene.window(region([0, 0, width, height])).unwrap();
        assert_eq!(all, whole, "{}", path.display());
        if whole.reading().turned.is_some() {
            continue;
        }
        for [left, top, w, h] in [
            [0, 0, 16, 16],
            [5, 3, 20, 11],
            [width - 1, height - 1, 1, 1],
            [9, 0, 1, height],
        ] {
            let window = scene.window(region([left, top, w, h])).unwrap();
            for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                let expected = there(&whole, left + x, top + y);
                assert_eq!(there(&window, x, y), expected, "{} {x} {y}", path.display());
            }
        }
        compared += 1;
    }
    assert!(
        compared > 20 && refused > 3,
        "{compared} compared, {refused} refused"
    );
}

#[test]
fn what_lies_beyond_the_edge_is_missing() {
    let path = rasters().join("u16.tif");
    let scene = Scene::open(&path, &options("0,3000")).unwrap();
    let (width, height) = (scene.width(), scene.height());
    let window = scene.window(region([width - 4, height - 2, 8, 8])).unwrap();
    assert_eq!(window.valid_share(region([0, 0, 8, 8])), 0.125);
    assert_eq!(window.valid_share(region([0, 0, 4, 2])), 1.0);
    for wrong in [
        [width, 0, 1, 1],
        [0, height, 1, 1],
        [0, 0, 0, 1],
        [0, 0, 1 << 20, 1 << 20],
    ] {
        let error = scene.window(region(wrong)).unwrap_err();
        assert!(
            matches!(error, Error::Argument { what: "window", .. }),
            "{error}"
        );
        let error = scene.cloud_share(region(wrong)).unwrap_err();
        assert!(
            matches!(error, Error::Argument { what: "window", .. }),
            "{error}"
        );
    }
}

#[test]
fn files_that_are_no_scenes_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Scene::open(&path, &ReadOptions::default()).unwrap_err()
    };
    for (name, bytes) in [
        ("empty.tif", &b""[..]),
        ("text.tif", b"no picture at all, but text"),
        ("cut.tif", b"II*\0\x08\0\0\0"),
        ("loop.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
    ] {
        assert!(matches!(open(name, bytes), Error::Image { .. }), "{name}");
    }
    let jpeg = open("a.jpg", b"\xff\xd8\xff\xe0 and so on");
    assert!(jpeg.to_string().contains("JPEG"), "{jpeg}");
    let missing = Scene::open(folder.path().join("none.tif"), &ReadOptions::default()).unwrap_err();
    assert!(
        matches!(
            missing,
            Error::Image {
                fault: ImageFault::Unreadable(_),
                ..
            }
        ),
        "{missing}"
    );
    let needs = Scene::open(rasters().join("u16.tif"), &ReadOptions::default()).unwrap_err();
    assert!(
        matches!(
            needs,
            Error::Image {
                fault: ImageFault::NeedsScale { .. },
                ..
            }
        ),
        "{needs}"
    );
}

#[derive(Deserialize)]
struct Expected {
    files: Vec<String>,
    scale: String,
    windows: Vec<[u32; 4]>,
    valid: Vec<f32>,
    classes: Option<String>,
    #[serde(default)]
    cloud: Vec<Option<f32>>,
    overview: Option<usize>,
    gsd: Option<f64>,
    bands: Option<String>,
    /// Whether it lies at 500,000 and 5,400,000 metres of UTM zone 33.
    #[serde(default)]
    place: bool,
}

/// Tiles and strips, planes, compressions, predictors, byte orders, sparse files, masks, smaller copies, and bands in files
/// of their own, written by GDAL at the time of the test.
#[test]
fn windows_have_the_pixels_that_gdal_reads() {
    let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import numpy, rasterio, tifffile"])
        .output();
    if !has.is_ok_and(|has| has.status.success()) {
        eprintln!(
            "skipped: {python:?} lacks one of numpy, rasterio, tifffile (SATMIP_PYTHON names another)"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scene_files.py");
    let made = Command::new(&python)
        .arg(script)
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(made.success());
    let list = std::fs::read(folder.path().join("windows.json")).unwrap();
    let list: Vec<Expected> = serde_json::from_slice(&list).unwrap();
    let pixels = std::fs::read(folder.path().join("pixels.bin")).unwrap();
    let mut rest = pixels.as_slice();
    for expected in &list {
        let is_jpeg_2000 = expected.files[0].contains(".j");
        if is_jpeg_2000 && !cfg!(feature = "jpeg2000") {
            let bytes = expected.windows.iter().map(|[_, _, w, h]| w * h * 3);
            rest = &rest[bytes.sum::<u32>() as usize..];
            continue;
        }
        let mut options = options(&expected.scale);
        if let Some(bands) = &expected.bands {
            options.bands = bands.parse().unwrap();
        }
        if let Some(number) = expected.overview {
            options.resolution = Resolution::Overview(number);
        }
        if let Some(metres) = expected.gsd {
            options.resolution = Resolution::Gsd(metres);
        }
        let paths: Vec<_> = expected
            .files
            .iter()
            .map(|name| folder.path().join(name))
            .collect();
        let scene = match paths.as_slice() {
            [one] => Scene::open(one, &options),
            [red, green, blue] => {
                let files = [red, green, blue].map(RasterFile::from);
                Scene::of_bands(files, ["red", "green", "blue"], &options)
            }
            _ => panic!("{} files", paths.len()),
        };
        let mut scene = scene.unwrap_or_else(|error| panic!("{error}"));
        if let Some(classes) = &expected.classes {
            scene = scene.with_classes(folder.path().join(classes)).unwrap();
            // Another raster is no classification of this ground.
            let other = Scene::open(rasters().join("zstd.tif"), &ReadOptions::default()).unwrap();
            let error = other.with_classes(folder.path().join(classes)).unwrap_err();
            assert!(error.to_string().contains("classes"), "{error}");
            // Nor is a band a classification.
            let band = Scene::open(&paths[0], &options)
                .and_then(|scene| scene.with_classes(&paths[0]))
                .and_then(|scene| scene.cloud_share(region([0, 0, 16, 16])));
            let error = band.unwrap_err().to_string();
            assert!(error.contains("no raster of classes"), "{error}");
        }
        if let (Some(metres), Ok(record)) = (expected.gsd, scene.record(region([0, 0, 8, 8]))) {
            let gsd = record.gsd().unwrap().x;
            assert!((gsd / metres).ln().abs() < 1.42_f64.ln(), "{gsd} {metres}");
        }
        if expected.place {
            let footprint = scene.footprint(region([0, 0, 1, 1])).unwrap();
            let (lon, lat) = footprint.corners()[0];
            let name = &expected.files[0];
            assert_eq!(scene.projection().as_deref(), Some("EPSG:32633"), "{name}");
            assert!(
                (lon - 15.0).abs() < 1e-6 && (lat - 48.752_3).abs() < 1e-3,
                "{name} {lon} {lat}"
            );
        }
        for (window, cloud) in expected.windows.iter().zip(&expected.cloud) {
            let found = scene.cloud_share(region(*window)).unwrap();
            let near = match (found, *cloud) {
                (Some(found), Some(cloud)) => (found - cloud).abs() < 1e-6,
                (found, cloud) => found == cloud,
            };
            assert!(near, "{:?} {found:?} {cloud:?}", expected.classes);
        }
        for (window, valid) in expected.windows.iter().zip(&expected.valid) {
            let [_, _, width, height] = *window;
            let (part, after) = rest.split_at((width * height * 3) as usize);
            rest = after;
            let picture = scene.window(region(*window)).unwrap();
            let name = format!("{:?} {window:?}", expected.files);
            assert!(
                (picture.valid_share(region([0, 0, width, height])) - valid).abs() < 1e-6,
                "{name}"
            );
            for (at, pixel) in part.chunks_exact(3).enumerate() {
                let (x, y) = (at as u32 % width, at as u32 / width);
                let found = there(&picture, x, y).unwrap_or_default();
                assert_eq!(found, pixel, "{name} {x} {y}");
            }
        }
    }
    assert!(rest.is_empty() && list.len() > 106, "{} files", list.len());
}

/// A mask of 0 and 1 is no classification, by whose classes all would be clear.
#[test]
fn a_mask_tells_no_clouds() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let utm = (32633, 10.0, (500_000.0, 5_400_000.0));
    write_raster::<Gray8>(&path("scene.tif"), 48, &[90; 48 * 48], utm);
    let pixels = |class: fn(usize, usize) -> u8| -> Vec<u8> {
        (0..48 * 48).map(|at| class(at % 48, at / 48)).collect()
    };
    let open = |name: &str| {
        let scene = Scene::open(path("scene.tif"), &ReadOptions::default()).unwrap();
        scene.with_classes(path(name)).unwrap()
    };
    let share = |scene: &Scene, left, top| scene.cloud_share(region([left, top, 16, 16]));

    // Of a scene with classes, windows that have nothing but 0 and 1 say nothing of clouds.
    let classes = pixels(|x, y| match (x / 16, y / 16) {
        (0, 0) => 1,
        (1, 0) => 0,
        (2, 0) => (x % 2) as u8,
        (0, 1) => [1, 9][x % 2],
        _ => 4,
    });
    write_raster::<Gray8>(&path("scl.tif"), 48, &classes, utm);
    let scene = open("scl.tif");
    for (left, top, cloud) in [
        (0, 0, None),
        (16, 0, None),
        (32, 0, None),
        (0, 16, Some(0.5)),
        (16, 16, Some(0.0)),
    ] {
        assert_eq!(share(&scene, left, top).unwrap(), cloud, "{left} {top}");
    }
    // A mask is refused by name, in whichever order its windows are asked for.
    let mask = pixels(|x, _| u8::from(x > 20));
    write_raster::<Gray8>(&path("mask.tif"), 48, &mask, utm);
    for left in [0, 32] {
        let error = share(&open("mask.tif"), left, 0).unwrap_err().to_string();
        assert!(
            error.contains("mask.tif") && error.contains("0 or 1"),
            "{error}"
        );
    }
    // No data alone is no mask.
    write_raster::<Gray8>(&path("empty.tif"), 48, &[0; 48 * 48], utm);
    assert_eq!(share(&open("empty.tif"), 0, 0).unwrap(), None);

    // In 16 bits classes are Landsat's, and small numbers are none of them.
    for (name, number, reason) in [
        ("clear.tif", 21_824, None),
        ("mask16.tif", 0, Some("below 16 in 16 bits")),
        ("scl16.tif", 4, Some("below 16 in 16 bits")),
        ("clouds16.tif", 8, Some("SCL is of 8 bits")),
        ("both.tif", 21_824 | 8, Some("bits that Landsat's")),
    ] {
        write_raster::<Gray16>(&path(name), 48, &[number; 48 * 48], utm);
        let found = share(&open(name), 0, 0).map_err(|error| error.to_string());
        match reason {
            None => assert_eq!(found, Ok(Some(0.0))),
            Some(reason) => {
                let error = found.unwrap_err();
                assert!(error.contains(reason) && error.contains(name), "{error}");
            }
        }
    }
}

/// A sample that is said to be nodata is missing, in pictures and in scenes.
#[test]
fn nodata_may_be_said() {
    let path = rasters().join("u16.tif");
    let whole = region([0, 0, 40, 30]);
    let sample = {
        let scene = Scene::open(&path, &options("full")).unwrap();
        let picture = scene.window(whole).unwrap();
        assert_eq!(picture.valid_share(whole), 1.0);
        let [red, ..] = picture.image().get(0, 0).unwrap();
        f64::from(red)
    };
    // `full` divides by 257, so that many samples are that byte; one of them is not there.
    let mut with = options("full");
    let missing = (0..257).find_map(|rest| {
        with.nodata = Some(sample * 257.0 + f64::from(rest) - 128.0);
        let scene = Scene::open(&path, &with).unwrap();
        let share = scene.window(whole).unwrap().valid_share(whole);
        (share < 1.0).then_some(share)
    });
    assert!(missing.is_some(), "no sample was missing");
    assert_eq!(
        read(&path, &with).unwrap().valid_share(whole),
        missing.unwrap()
    );
    let jpeg = rasters().join("../../../examples/chips/River_2334.jpg");
    let error = read(&jpeg, &with).unwrap_err();
    assert!(error.to_string().contains("alone can have"), "{error}");
}

/// A file has the copies that it has, and no pictures of bytes are read smaller.
#[test]
fn copies_that_are_not_there_are_refused() {
    let path = rasters().join("u16.tif");
    for (resolution, reason) in [
        (Resolution::Overview(1), "overview 1 of 0"),
        (Resolution::Gsd(40.0), "pixels of 10 m, none near 40 m"),
        (Resolution::Gsd(3.0), "too large for 3 m"),
    ] {
        let mut options = options("0,3000");
        options.resolution = resolution;
        let error = Scene::open(&path, &options).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(read(&path, &options).is_err());
    }
    let mut near = options("0,3000");
    near.resolution = Resolution::Gsd(9.0);
    assert_eq!(Scene::open(&path, &near).unwrap().width(), 40);
}

#[test]
fn a_window_has_a_place_of_its_own() {
    let corners = [(14.0, 49.0), (15.0, 49.0), (15.0, 48.0), (14.0, 48.0)];
    assert_eq!(
        Footprint::from_corners(corners).bbox(),
        [14.0, 48.0, 15.0, 49.0]
    );
    let path = std::fs::read_dir(rasters())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let scene = Scene::open(path, &options("auto"));
            scene
                .is_ok_and(|scene| scene.projection().is_some() && scene.reading().turned.is_none())
        });
    let path = path.expect("a raster of the tests has a place");
    let scene = Scene::open(&path, &ReadOptions::default()).unwrap();
    let whole = region([0, 0, scene.width(), scene.height()]);
    let record = scene.record(whole).unwrap();
    assert_eq!(record, satmip::Metadata::from_geotiff(&path).unwrap());
    // The left upper quarter lies north-west of the centre, with pixels of the same size.
    let quarter = scene
        .record(region([0, 0, scene.width() / 2, scene.height() / 2]))
        .unwrap();
    let (centre, part) = (record.location().unwrap(), quarter.location().unwrap());
    assert!(
        part.lon() < centre.lon() && part.lat() > centre.lat(),
        "{part:?} {centre:?}"
    );
    let [west, south, east, north] = scene.footprint(whole).unwrap().bbox();
    assert!(west < part.lon() && part.lon() < east && south < part.lat() && part.lat() < north);
    assert_eq!(record.gsd().is_some(), quarter.gsd().is_some());
}

/// Windows of scenes that run on over the antimeridian, in degrees of 0 to 360 or in metres of Web Mercator, have the
/// place that they have in any other scene.
#[test]
fn scenes_may_run_on_over_the_antimeridian() {
    let folder = tempfile::tempdir().unwrap();
    let degree = 20_037_508.342_789_244 / 180.0;
    for (code, side, corner) in [
        (4326, 0.0625, (178.0, 2.0)),
        (4326, 0.0625, (-182.0, 2.0)),
        (3857, 0.0625 * degree, (178.0 * degree, 2.0 * degree)),
        (3857, 0.0625 * degree, (-182.0 * degree, 2.0 * degree)),
    ] {
        let path = folder.path().join("scene.tif");
        write_raster::<Gray8>(&path, 64, &[90; 64 * 64], (code, side, corner));
        let scene = Scene::open(&path, &ReadOptions::default()).unwrap();
        // West and east of it, beside it on both sides, and over it.
        for (left, west, east, middle) in [
            (0, 178.0, 179.0, 178.5),
            (16, 179.0, 180.0, 179.5),
            (32, -180.0, -179.0, -179.5),
            (48, -179.0, -178.0, -178.5),
            (24, 179.5, -179.5, 180.0),
        ] {
            let window = region([left, 16, 16, 16]);
            let name = format!("EPSG:{code} from {} on, {left}", corner.0);
            let place = scene.record(window).unwrap().location().unwrap();
            let off = (place.lon() - middle + 180.0).rem_euclid(360.0) - 180.0;
            assert!(off.abs() < 1e-6, "{name}: {place:?}");
            let footprint = scene.footprint(window).unwrap();
            let [w, _, e, _] = footprint.bbox();
            assert!(
                (w - west).abs() < 1e-6 && (e - east).abs() < 1e-6,
                "{name}: {w} {e}"
            );
            let over = left == 24;
            assert_eq!(footprint.is_split(), over, "{name}");
            let outline = footprint.polygons();
            assert_eq!(outline.len(), 1 + usize::from(over), "{name}");
            let mut lons = outline.iter().flatten().map(|(lon, _)| lon.abs());
            assert!(lons.all(|lon| lon <= 180.0), "{name}: {outline:?}");
        }
    }
}

/// JPEG 2000 has the pixels of the TIFF that it was made beside, as a whole and by windows; what is broken is named.
#[cfg(feature = "jpeg2000")]
#[test]
fn jpeg_2000_is_read_tile_by_tile_and_never_panics() {
    let path = rasters().join("jpeg2000_u16.jp2");
    let options = options("0,2550");
    let tiff = read(&rasters().join("u16.tif"), &options).unwrap();
    let whole = read(&path, &options).unwrap();
    assert_eq!(whole.image(), tiff.image());
    let scene = Scene::open(&path, &options).unwrap();
    assert_eq!((scene.block(), scene.overviews().len()), ((32, 30), 2));
    let window = scene.window(region([20, 5, 16, 16])).unwrap();
    for (x, y) in (0..16).flat_map(|y| (0..16).map(move |x| (x, y))) {
        assert_eq!(there(&window, x, y), there(&whole, 20 + x, 5 + y));
    }

    // The last part of a tile may leave it open how long it is.
    let mut open = std::fs::read(&path).unwrap();
    let part = [0xff, 0x90, 0, 10];
    let last = open.windows(4).rposition(|four| four == part).unwrap();
    open[last + 6..last + 10].fill(0);
    let open = satmip::image::decode(&open, "open.jp2", &options).unwrap();
    assert_eq!(open.image(), tiff.image());
    // Nodata beside the file is not passed over.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.jp2");
    std::fs::copy(&path, &copy).unwrap();
    let notes = "<PAMDataset><PAMRasterBand band=\"1\"><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>";
    std::fs::write(folder.path().join("copy.jp2.aux.xml"), notes).unwrap();
    let error = Scene::open(&copy, &options).unwrap_err().to_string();
    assert!(error.contains("nodata"), "{error}");

    // Which bands are taken makes no difference, though the decoder gives all of them.
    for bands in ["2", "3,1,1"] {
        let mut options = options;
        options.bands = bands.parse().unwrap();
        let tiff = read(&rasters().join("u16.tif"), &options).unwrap();
        assert_eq!(read(&path, &options).unwrap().image(), tiff.image());
    }

    // Whatever is cut or changed gives a picture or an error.
    let bytes = std::fs::read(&path).unwrap();
    let (mut errors, mut pictures) = (0, 0);
    let mut small = options;
    small.limits.max_pixels = 1 << 14;
    let mut count = |bytes: &[u8]| match satmip::image::decode(bytes, "x.jp2", &small) {
        Ok(picture) => {
            assert!(picture.image().width() > 0);
            pictures += 1;
        }
        Err(Error::Image { .. }) => errors += 1,
        Err(error) => panic!("{error}"),
    };
    for end in (0..bytes.len()).step_by(23) {
        count(&bytes[..end]);
    }
    // A small generator of Lehmer's, always the same.
    let mut state = 1_u64;
    for _ in 0..500 {
        let mut changed = bytes.clone();
        for _ in 0..3 {
            state = state * 48_271 % 2_147_483_647;
            // Headers are hit as often as all that follows.
            let most = if state.is_multiple_of(2) {
                900
            } else {
                bytes.len() as u64
            };
            let at = (state / 7 % most) as usize;
            changed[at] = (state >> 8) as u8;
        }
        count(&changed);
    }
    assert!(errors > 100 && pictures > 30, "{errors} {pictures}");
}

/// What is wrong with a JPEG 2000 is said as it is.
#[cfg(feature = "jpeg2000")]
#[test]
fn broken_jpeg_2000_says_what_is_wrong() {
    let bytes = std::fs::read(rasters().join("jpeg2000_u16.jp2")).unwrap();
    let options = options("0,2550");
    let folder = tempfile::tempdir().unwrap();
    let opened = |bytes: &[u8]| {
        let path = folder.path().join("x.jp2");
        std::fs::write(&path, bytes).unwrap();
        Scene::open(&path, &options)
    };
    let found = |what: &[u8]| bytes.windows(what.len()).position(|found| found == what);
    let header = found(b"ihdr").unwrap() + 4;
    let stream = found(&[0xff, 0x4f, 0xff, 0x51]).unwrap();
    let tile = found(&[0xff, 0x90, 0, 10]).unwrap();
    // Height and width, bands, and bits less one.
    for (at, own, other) in [
        (3, "40 x 31 pixels", "40 x 30 pixels"),
        (7, "41 x 30 pixels", "40 x 30 pixels"),
        (9, "4 bands", "codestream 3"),
        (10, "17 bits", "codestream 16"),
    ] {
        let mut changed = bytes.clone();
        changed[header + at] += 1;
        let error = opened(&changed).unwrap_err().to_string();
        assert!(error.contains(own) && error.contains(other), "{error}");
    }
    // Where bands differ it says no bits.
    let mut open = bytes.clone();
    open[header + 10] = 255;
    assert!(opened(&open).is_ok());
    // A tile as large as a picture of absurd size, which has no header beside it.
    let mut absurd = bytes[stream..].to_vec();
    for at in [8, 12, 24, 28] {
        absurd[at..at + 4].copy_from_slice(&100_000_u32.to_be_bytes());
    }
    let error = opened(&absurd).unwrap_err().to_string();
    assert!(error.contains("tiles of 100000 x 100000"), "{error}");
    // Cut before its first tile, and in the middle of it.
    for end in [tile, tile + 5] {
        let error = opened(&bytes[..end]).unwrap_err().to_string();
        assert!(error.contains("ends before"), "{error}");
    }
    let cut = opened(&bytes[..tile + 40]).unwrap();
    let window = |left| cut.window(region([left, 0, 4, 4]));
    let error = window(0).unwrap_err().to_string();
    assert!(error.contains("ends before this tile does"), "{error}");
    let error = window(36).unwrap_err().to_string();
    assert!(error.contains("a tile is missing"), "{error}");
}
