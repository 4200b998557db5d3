//! Rasters as archives hold them: samples, bands, missing pixels, layouts, directions.
//!
//! `tests/data/rasters/make.py` makes the files with GDAL. Almost all show [`picture`].

use std::path::{Path, PathBuf};

use satmip::arch::{Fit, Preprocessing, ResizeFilter};
use satmip::image::{Bands, Picture, ReadOptions, Region, RgbImage, Scale, decode, prepare, read};
use satmip::{Error, ImageFault};

const WIDTH: u32 = 40;
const HEIGHT: u32 = 30;

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rasters");
    folder.join(format!("{name}.tif"))
}

fn options(bands: &str, scale: &str) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.bands = bands.parse::<Bands>().unwrap();
    options.scale = scale.parse::<Scale>().unwrap();
    options
}

fn opened(name: &str, bands: &str, scale: &str) -> Picture {
    read(&path(name), &options(bands, scale)).unwrap()
}

fn fault(name: &str, bands: &str, scale: &str) -> ImageFault {
    match read(&path(name), &options(bands, scale)) {
        Err(Error::Image { item, fault }) => {
            assert!(item.contains(name), "{item}");
            fault
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn value(x: u32, y: u32, band: u32) -> u8 {
    (1 + (x * 7 + y * 13 + band * 57 + (x / 8) * (y / 8) * 31) % 250) as u8
}

/// What make.py calls `picture`.
fn picture() -> RgbImage {
    let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    let pixels = places.flat_map(|(x, y)| [0, 1, 2].map(|band| value(x, y, band)));
    RgbImage::new(WIDTH, HEIGHT, pixels.collect()).unwrap()
}

fn grey(band: u32) -> RgbImage {
    let pixels = picture()
        .pixels()
        .chunks(3)
        .flat_map(|p| [p[band as usize]; 3])
        .collect();
    RgbImage::new(WIDTH, HEIGHT, pixels).unwrap()
}

#[test]
fn layouts_and_compressions_give_the_same_pixels() {
    for (name, scale) in [
        ("planes_tiled", "auto"),
        ("zstd", "auto"),
        ("webp", "auto"),
        ("lerc", "auto"),
        ("packbits", "auto"),
        ("bigtiff", "auto"),
        ("planes_strips_u16", "0,2550"),
        ("big_endian_u16", "0,2550"),
        ("lerc_zstd_f32", "0,1"),
        ("deflate_f32", "0,1"),
    ] {
        assert_eq!(*opened(name, "auto", scale).image(), picture(), "{name}");
    }
    assert!(
        matches!(fault("lzma", "auto", "auto"), ImageFault::Unsupported(w) if w.contains("LZMA"))
    );
}

#[test]
fn samples_of_every_type_are_read_with_a_scale_and_refused_without() {
    for (name, samples, scale) in [
        ("u16", "uint16", "0,2550"),
        ("i16", "int16", "0,2550"),
        ("u32", "uint32", "0,2550"),
        ("f32", "float32", "0,1"),
        ("f64", "float64", "0,1"),
    ] {
        let opened = opened(name, "auto", scale);
        assert_eq!(*opened.image(), picture(), "{name}");
        assert_eq!(opened.reading().samples, samples);
        let fault = fault(name, "auto", "auto");
        assert_eq!(
            fault,
            ImageFault::NeedsScale {
                samples: samples.into()
            }
        );
        let hint = fault.hint().unwrap();
        assert!(
            hint.contains("--scale s2") && hint.contains("--scale LO,HI"),
            "{hint}"
        );
    }
}

#[test]
fn products_and_the_full_range_are_what_they_say() {
    // 0.0001 DN from 0 to 0.255 is 0 to 2550.
    for scale in [
        "s2:0,0.255",
        "planet-sr:0,0.255",
        "s2-offset:-0.1,0.155",
        "0,2550",
    ] {
        assert_eq!(*opened("u16", "auto", scale).image(), picture(), "{scale}");
    }
    let full = opened("u16", "auto", "full");
    let stored = picture();
    let expected = stored
        .pixels()
        .iter()
        .map(|v| (f64::from(*v) * 10.0 * 255.0 / 65535.0).round() as u8);
    assert!(full.image().pixels().iter().copied().eq(expected));
    let dark = opened("u16", "auto", "1000,2000");
    assert!(dark.image().pixels().contains(&0) && dark.image().pixels().contains(&255));
}

#[test]
fn what_the_file_states_of_its_samples_is_used() {
    let stated = opened("stated_reflectance", "auto", "stated:0,0.3");
    assert_eq!(*stated.image(), picture());
    let by_itself = opened("stated_reflectance", "auto", "auto");
    let by_name = opened("stated_reflectance", "auto", "s2-offset");
    assert_eq!(by_itself.image(), by_name.image());
    assert!(
        by_itself
            .reading()
            .range_why
            .contains("that the file states")
    );
    let fault = fault("stated_kelvin", "auto", "auto");
    assert!(fault.to_string().contains("unit `K`"), "{fault}");
    assert_eq!(
        *opened("stated_kelvin", "auto", "stated:149,174.5").image(),
        picture()
    );
}

#[test]
fn bands_are_those_that_the_file_names_or_the_caller() {
    let named = opened("bgrn_u8", "auto", "auto");
    assert_eq!(*named.image(), picture());
    assert_eq!(named.reading().rgb, [3, 2, 1]);
    assert!(named.reading().rgb_why.contains("ColorInterp"));
    assert_eq!(*opened("bgrn_u8", "3,2,1", "auto").image(), picture());
    assert_ne!(*opened("bgrn_u8", "1,2,3", "auto").image(), picture());
    assert_eq!(*opened("bgrn_u16", "auto", "0,2550").image(), picture());
    assert_eq!(
        *opened("thirteen_u16", "4,3,2", "0,2550").image(),
        picture()
    );
    assert_eq!(*opened("bgrn_u8", "2", "auto").image(), grey(1));
    for (name, bands, scale) in [
        ("thirteen_u16", 13, "0,2550"),
        ("four_silent_u8", 4, "auto"),
        ("two_u8", 2, "auto"),
    ] {
        let fault = fault(name, "auto", scale);
        let named = matches!(fault, ImageFault::NeedsBands { bands: b, .. } if b == bands);
        assert!(named, "{name}: {fault}");
        assert!(fault.hint().unwrap().contains("--bands 4,3,2"));
    }
    let none = fault("thirteen_u16", "14,3,2", "0,2550");
    assert_eq!(
        none,
        ImageFault::Option("there is no band 14, it has 13".into())
    );
    let none = fault("u16", "auto", "stated");
    assert!(matches!(none, ImageFault::Option(_)), "{none}");
    let bytes = fault("zstd", "auto", "s2");
    assert!(matches!(bytes, ImageFault::Option(_)), "{bytes}");
}

#[test]
fn near_infrared_that_is_called_alpha_hides_nothing() {
    let naip = opened("nir_called_alpha", "auto", "auto");
    assert_eq!(*naip.image(), picture());
    assert_eq!(naip.valid_share(Region::whole(WIDTH, HEIGHT)), 1.0);
    assert!(naip.reading().alpha.unwrap().contains("no mask"));
    let masked = opened("alpha_mask", "auto", "auto");
    assert_eq!(masked.valid_share(Region::whole(WIDTH, HEIGHT)), 0.75);
    let visible = |image: &RgbImage| -> Vec<_> {
        let places = (0..HEIGHT).flat_map(|y| (10..WIDTH).map(move |x| (x, y)));
        places.map(|(x, y)| image.get(x, y)).collect()
    };
    assert_eq!(visible(masked.image()), visible(&picture()));
}

#[test]
fn missing_pixels_are_counted_and_never_numbers() {
    let whole = Region::whole(WIDTH, HEIGHT);
    let half = opened("half_nodata", "auto", "0,2550");
    assert_eq!(half.valid_share(whole), 0.5);
    let left = Region { width: 20, ..whole };
    assert_eq!(
        (half.valid_share(left), half.reading().nodata.as_slice()),
        (1.0, &[0.0][..])
    );
    // The mean of the left half, in place of all of the right one.
    let mean = half.image().get(39, 0).unwrap();
    for band in 0..3 {
        let places = (0..HEIGHT).flat_map(|y| (0..20).map(move |x| (x, y)));
        let sum: u32 = places.map(|(x, y)| u32::from(value(x, y, band))).sum();
        assert_eq!(u32::from(mean[band as usize]), (sum + 300) / 600);
    }
    assert!((20..40).all(|x| half.image().get(x, 17) == Some(mean)));
    let holes = opened("holes_f32", "auto", "0,1");
    assert_eq!(holes.valid_share(whole), 0.925);
    let filled = [0, 1, 2].map(|x| holes.image().get(x, 5));
    assert!(filled[0].is_some() && filled.iter().all(|pixel| *pixel == filled[0]));
    assert_eq!(holes.image().get(5, 5), picture().get(5, 5));
    // Of bytes a pixel is missing where all three say so: one band of 0 is a colour.
    let bytes = opened("nodata_u8", "auto", "auto");
    assert_eq!(bytes.valid_share(whole), 0.9);
    assert_eq!(bytes.image().get(7, 10).unwrap()[0], 0);
}

#[test]
fn too_few_valid_pixels_are_an_error_that_says_how_many() {
    let preprocessing = Preprocessing {
        size: 16,
        fit: Fit::Crop,
        filter: ResizeFilter::Bilinear,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let prepared = |name: &str, least: f32| {
        let file = std::fs::read(path(name)).unwrap();
        let options = options("auto", "0,2550").with_min_valid(least).unwrap();
        prepare(&file, name, &options, &preprocessing)
    };
    // The model sees columns 5 to 34, of which 15 are there.
    assert_eq!(prepared("half_nodata", 0.5).unwrap().valid, 0.5);
    for (name, least) in [
        ("half_nodata", 0.6),
        ("all_nodata", 0.5),
        ("all_nodata", 0.0),
    ] {
        let error = prepared(name, least).unwrap_err();
        assert!(error.to_string().contains("valid"), "{error}");
        let asks_for_fewer = error.hint().unwrap().contains("--min-valid");
        assert_eq!(asks_for_fewer, name == "half_nodata", "{error}");
    }
}

#[test]
fn north_is_up_however_the_raster_is_stored() {
    for name in ["south_up", "west_up", "turned"] {
        let opened = opened(name, "auto", "auto");
        assert_eq!(*opened.image(), picture(), "{name}");
        assert_eq!(
            opened.reading().turned.as_deref(),
            Some("so that north is up")
        );
    }
    let askew = fault("askew", "auto", "auto");
    assert!(
        matches!(&askew, ImageFault::Unsupported(w) if w.contains("gdalwarp")),
        "{askew}"
    );
}

/// A picture that a mask hides left of this column, and that is whole elsewhere.
fn assert_hidden_left_of(picture: &Picture, column: u32, name: &str) {
    let whole = Region::whole(WIDTH, HEIGHT);
    let left = Region {
        width: column,
        ..whole
    };
    let share = (WIDTH - column) as f32 / WIDTH as f32;
    assert_eq!(picture.valid_share(whole), share, "{name}");
    assert_eq!(picture.valid_share(left), 0.0, "{name}");
}

#[test]
fn bits_that_fill_no_bytes_are_the_numbers_that_are_stored() {
    for scale in ["0,2550", "s2:0,0.255"] {
        let twelve = opened("nbits12", "auto", scale);
        assert_eq!(*twelve.image(), picture(), "{scale}");
        assert_eq!(twelve.reading().samples, "uint12");
    }
    let full = opened("nbits12", "auto", "full");
    assert_eq!(full.reading().range, Some([(0.0, 4095.0); 3]));
    let needs = fault("nbits12", "auto", "auto");
    assert!(
        matches!(&needs, ImageFault::NeedsScale { samples } if samples == "uint12"),
        "{needs}"
    );
    let stated = opened("nbits12_stated", "auto", "stated:0,0.3");
    assert_eq!(*stated.image(), picture());
    let half = opened("nbits12_nodata", "auto", "0,2550");
    assert_eq!(
        half.image(),
        opened("half_nodata", "auto", "0,2550").image()
    );
    assert_eq!(half.valid_share(Region::whole(WIDTH, HEIGHT)), 0.5);
    // 4 bits are a picture, of which 15 is white where the file does not call it nodata.
    let few = opened("nbits4_nodata", "auto", "auto");
    assert_eq!(few.valid_share(Region::whole(WIDTH, HEIGHT)), 0.5);
    for x in 0..20 {
        assert_eq!(few.image().get(x, 3), Some([value(x, 3, 1) / 17 * 17; 3]));
    }
    assert_eq!(
        opened("nbits4_nodata", "auto", "0,10").reading().range,
        Some([(0.0, 10.0); 3])
    );
}

#[test]
fn masks_that_are_pages_hide() {
    for (name, scale) in [
        ("mask", "auto"),
        ("mask_u16", "0,2550"),
        ("mask_jpeg", "auto"),
        ("mask_copies", "auto"),
    ] {
        let masked = opened(name, "auto", scale);
        assert_hidden_left_of(&masked, 10, name);
        assert!(masked.reading().mask, "{name}");
        if name != "mask_jpeg" {
            assert_eq!(masked.image().get(25, 7), picture().get(25, 7), "{name}");
        }
    }
    let none = opened("mask_all", "auto", "auto");
    assert_eq!(none.valid_share(Region::whole(WIDTH, HEIGHT)), 0.0);
    let pages = fault("pages", "auto", "auto");
    assert!(
        matches!(&pages, ImageFault::Unsupported(w) if w.contains("2 pictures") && w.contains("GTIFF_DIR:1")),
        "{pages}"
    );
}

#[test]
fn what_gdal_keeps_beside_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tif");
    std::fs::copy(path("zstd"), &file).unwrap();
    assert!(read(&file, &ReadOptions::default()).is_ok());
    std::fs::write(dir.path().join("x.tif.msk"), b"II*\0").unwrap();
    let error = read(&file, &ReadOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("x.tif.msk") && error.contains("GDAL_TIFF_INTERNAL_MASK"),
        "{error}"
    );
    std::fs::remove_file(dir.path().join("x.tif.msk")).unwrap();
    // Of GDAL's notes statistics change nothing, a nodata value does.
    let notes = |what: &str| {
        let band =
            format!("<PAMDataset><PAMRasterBand band=\"1\">{what}</PAMRasterBand></PAMDataset>");
        std::fs::write(dir.path().join("x.tif.aux.xml"), band).unwrap();
        read(&file, &ReadOptions::default()).map_err(|error| error.to_string())
    };
    assert!(notes("<Metadata><MDI key=\"STATISTICS_MEAN\">9</MDI></Metadata>").is_ok());
    for what in ["<NoDataValue>0</NoDataValue>", "<Scale>0.0001</Scale>"] {
        let error = notes(what).unwrap_err();
        assert!(error.contains("x.tif.aux.xml"), "{error}");
    }
}

#[test]
fn tables_of_colours_are_looked_up_and_nodata_is_an_index() {
    for (name, nodata) in [
        ("palette_by_interp", None),
        ("palette_nodata", Some(1.0)),
        ("palette_unused_nodata", Some(0.0)),
    ] {
        let colors = opened(name, "auto", "auto");
        assert_eq!(colors.reading().nodata, Vec::from_iter(nodata), "{name}");
        let at = |x: u32| match value(x, 4, 0) % 2 {
            0 => [10, 200, 30],
            _ => [0, 0, 0],
        };
        assert!(
            (10..WIDTH).all(|x| colors.image().get(x, 4) == Some(at(x))),
            "{name}"
        );
        match nodata {
            Some(1.0) => assert_hidden_left_of(&colors, 10, name),
            _ => {
                assert_hidden_left_of(&colors, 0, name);
                assert_eq!(colors.image().get(3, 4), Some([250, 0, 250]), "{name}");
            }
        }
        let scale = fault(name, "auto", "0,100");
        assert!(matches!(scale, ImageFault::Option(_)), "{scale}");
    }
    let none = fault("palette_without_table", "auto", "auto");
    assert!(
        matches!(&none, ImageFault::Unsupported(w) if w.contains("index")),
        "{none}"
    );
}

#[test]
fn where_the_least_is_white_scales_and_nodata_are_of_what_is_stored() {
    let inverse = |x: u32, y: u32| Some([255 - value(x, y, 0); 3]);
    for (name, scale) in [
        ("white_u8", "auto"),
        ("white_u16_nodata", "0,2550"),
        ("white_i16", "0,2550"),
        ("white_f32", "0,1"),
    ] {
        let white = opened(name, "auto", scale);
        for (x, y) in [(10, 0), (17, 9), (39, 29)] {
            assert_eq!(white.image().get(x, y), inverse(x, y), "{name}");
        }
        assert!(white.reading().range_why.contains("white"), "{name}");
    }
    let left = opened("white_u16_nodata", "auto", "0,2550");
    assert_hidden_left_of(&left, 10, "white_u16_nodata");
}

#[test]
fn an_alpha_hides_where_it_is_none_whatever_full_is() {
    for (name, scale) in [
        ("alpha_of_one", "auto"),
        ("alpha_255_of_u16", "0,2550"),
        ("alpha_soft", "auto"),
    ] {
        let masked = opened(name, "auto", scale);
        assert_hidden_left_of(&masked, 10, name);
        assert_eq!(masked.image().get(25, 7), picture().get(25, 7), "{name}");
    }
}

#[test]
fn blocks_that_are_not_there_are_nodata() {
    let absent = opened("sparse_nodata", "auto", "auto");
    assert_hidden_left_of(&absent, 16, "sparse_nodata");
    // Without a nodata value they are 0, as for GDAL.
    let black = opened("sparse", "auto", "auto");
    assert_hidden_left_of(&black, 0, "sparse");
    assert_eq!(black.image().get(3, 3), Some([0; 3]));
}

#[test]
fn what_a_file_states_is_believed_where_it_says_enough() {
    for (name, scale, said) in [
        ("index_i16", "auto", "--scale stated:-1,1"),
        ("stated_partly", "stated", "some of the bands"),
        (
            "stated_negative",
            "stated",
            "the scale -0.0001 and offset 0.3",
        ),
    ] {
        let fault = fault(name, "auto", scale);
        assert!(
            matches!(&fault, ImageFault::Option(why) if why.contains(said)),
            "{name}: {fault}"
        );
    }
    assert_eq!(
        *opened("index_i16", "auto", "stated:0,0.255").image(),
        grey(0)
    );
    let three = opened("stated_three", "auto", "stated:0,0.3");
    assert!(three.reading().range_why.contains("scale 0.0002"));
    let webp = fault("webp_opaque", "auto", "auto");
    assert!(
        matches!(&webp, ImageFault::Unsupported(w) if w.contains("alpha")),
        "{webp}"
    );
}

#[test]
fn other_formats_take_bands_and_no_scale() {
    let png =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images/rgb.png"))
            .unwrap();
    let stored = decode(&png, "rgb", &ReadOptions::default()).unwrap();
    let turned = decode(&png, "rgb", &options("3,2,1", "auto")).unwrap();
    let [r, g, b] = stored.image().get(0, 0).unwrap();
    assert_eq!(turned.image().get(0, 0), Some([b, g, r]));
    let jpeg =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images/rgb.jpg"))
            .unwrap();
    for bytes in [&png, &jpeg] {
        for (bands, scale) in [("4,3,2", "auto"), ("auto", "s2")] {
            let error = decode(bytes, "rgb", &options(bands, scale)).unwrap_err();
            let is_option = matches!(
                error,
                Error::Image {
                    fault: ImageFault::Option(_),
                    ..
                }
            );
            assert!(is_option, "{bands} {scale}");
        }
    }
}

/// A TIFF of pages with these tags, of one 32-bit number each, and without any pixel.
fn pages_of(pages: &[&[(u16, u32)]]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    for (i, tags) in pages.iter().enumerate() {
        file.extend((tags.len() as u16).to_le_bytes());
        for (code, value) in *tags {
            file.extend(code.to_le_bytes());
            file.extend(4u16.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        let next = if i + 1 < pages.len() {
            file.len() + 4
        } else {
            0
        };
        file.extend((next as u32).to_le_bytes());
    }
    file
}

fn refused(file: &[u8]) -> String {
    let mut options = ReadOptions::default();
    options.scale = Scale::Full;
    decode(file, "made", &options).unwrap_err().to_string()
}

#[test]
fn what_would_need_more_memory_than_a_picture_may_is_refused_beforehand() {
    let strip = |rows: u32| {
        let (width, strips) = (13_000, 8 * 13_000 * rows);
        [
            (256, width),
            (257, 13_000),
            (258, 64),
            (259, 8),
            (262, 1),
            (273, 8),
            (277, 1),
            (278, rows),
            (279, strips),
        ]
    };
    let error = refused(&pages_of(&[&strip(13_000)]));
    assert!(error.contains("TILED=YES"), "{error}");
    // With small strips it is damaged alone: most of them are not there.
    let error = refused(&pages_of(&[&strip(10)]));
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn a_smaller_copy_that_comes_first_is_not_the_picture() {
    let page = |kind: u32, side: u32| [(254, kind), (256, side), (257, side), (258, 8)];
    let error = refused(&pages_of(&[&page(1, 10), &page(0, 40)]));
    assert!(error.contains("GTIFF_DIR:2"), "{error}");
    let error = refused(&pages_of(&[&page(0, 10), &page(0, 40)]));
    assert!(error.contains("2 pictures"), "{error}");
    let error = refused(&pages_of(&[&page(0, 40), &page(4, 20)]));
    assert!(error.contains("another size"), "{error}");
}
