//! GeoTIFF files, made here tag by tag.

use std::io::Cursor;

use satmip::metadata::read::geotiff::{GeoTiffOptions, read_from};
use satmip::metadata::read::{self};
use satmip::{Error, Field, FieldSet, Metadata};
use tempfile::TempDir;
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

use super::{assert_source_error, written};

/// A little-endian TIFF of one grey strip, with these tags.
#[derive(Clone)]
struct Builder {
    /// Tag, type (2 text, 3 short, 4 long, 12 double), bytes.
    tags: Vec<(u16, u16, Vec<u8>)>,
    compression: u16,
}

impl Builder {
    fn new(width: u16, height: u16) -> Self {
        let mut builder = Builder {
            tags: Vec::new(),
            compression: 1,
        };
        for (tag, value) in [
            (256, width),
            (257, height),
            (258, 8),
            (262, 1),
            (277, 1),
            (278, height),
        ] {
            builder = builder.shorts(tag, &[value]);
        }
        builder
    }

    fn shorts(mut self, tag: u16, values: &[u16]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tags.push((tag, 3, bytes));
        self
    }

    fn doubles(mut self, tag: u16, values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tags.push((tag, 12, bytes));
        self
    }

    fn text(mut self, tag: u16, text: &str) -> Self {
        self.tags.push((tag, 2, [text.as_bytes(), b"\0"].concat()));
        self
    }

    /// Pixel scale and the place of the outer corner of the first pixel.
    fn grid(self, scale: [f64; 2], corner: [f64; 2]) -> Self {
        self.doubles(33550, &[scale[0], scale[1], 0.0])
            .doubles(33922, &[0.0, 0.0, 0.0, corner[0], corner[1], 0.0])
    }

    /// GeoKeys: model type 1 projected or 2 geographic, and the code.
    fn system(self, code: u16) -> Self {
        let (model, key) = if code < 5000 && code != 3857 {
            (2, 2048)
        } else {
            (1, 3072)
        };
        self.shorts(34735, &[1, 1, 0, 2, 1024, 0, 1, model, key, 0, 1, code])
    }

    fn bytes(&self) -> Vec<u8> {
        let mut tags = self.clone().shorts(259, &[self.compression]).tags;
        let strip = 4u32.to_le_bytes().to_vec();
        tags.extend([(273, 4, 8u32.to_le_bytes().to_vec()), (279, 4, strip)]);
        tags.sort_by_key(|(tag, ..)| *tag);
        let mut file = b"II*\0\0\0\0\0\x01\x02\x03\x04".to_vec();
        let mut entries = (tags.len() as u16).to_le_bytes().to_vec();
        for (tag, kind, value) in &tags {
            let size = match kind {
                2 => 1,
                3 => 2,
                4 => 4,
                _ => 8,
            };
            entries.extend(tag.to_le_bytes());
            entries.extend(kind.to_le_bytes());
            entries.extend(((value.len() / size) as u32).to_le_bytes());
            if value.len() <= 4 {
                entries.extend(value);
                entries.extend(vec![0; 4 - value.len()]);
            } else {
                entries.extend((file.len() as u32).to_le_bytes());
                file.extend(value);
            }
        }
        let directory = file.len() as u32;
        file[4..8].copy_from_slice(&directory.to_le_bytes());
        file.extend(entries);
        file.extend([0; 4]);
        file
    }

    fn read(&self) -> Result<Metadata, Error> {
        read_from(
            Cursor::new(self.bytes()),
            "x.tif",
            &GeoTiffOptions::default(),
        )
    }
}

#[track_caller]
fn assert_location(metadata: &Metadata, lon: f64, lat: f64) {
    let place = metadata.location().unwrap();
    let apart = (place.lon() - lon).abs().max((place.lat() - lat).abs());
    assert!(apart < 2e-7, "{place:?} is not ({lon}, {lat})");
}

#[test]
fn utm_of_the_three_datums_and_both_hemispheres() {
    // On the central meridian the northing is 0.9996 of the meridian's arc; the latitudes here
    // come from integrating the arc numerically on WGS84.
    for code in [32632, 25832] {
        let file = Builder::new(200, 100)
            .grid([10.0, 20.0], [499_000.0, 5_428_000.0])
            .system(code);
        let metadata = file.read().unwrap();
        assert_eq!(
            metadata.fields(),
            FieldSet::of(&[Field::Gsd, Field::Location, Field::UtmZone])
        );
        assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("(10,20)"));
        assert_eq!(metadata.text(Field::UtmZone).as_deref(), Some("32U"));
        assert_location(&metadata, 9.0, 48.995_899_97);
    }
    let nad83 = Builder::new(2, 2)
        .grid([0.6, 0.6], [499_999.4, 4_000_000.6])
        .system(26916);
    assert_location(&nad83.read().unwrap(), -87.0, 36.144_718_10);
    let south = Builder::new(2, 2)
        .grid([10.0, 10.0], [499_990.0, 6_000_010.0])
        .system(32718);
    let metadata = south.read().unwrap();
    assert_location(&metadata, -75.0, -36.144_718_10);
    assert_eq!(metadata.text(Field::UtmZone).as_deref(), Some("18H"));
}

#[test]
fn geographic_coordinates() {
    let file = Builder::new(10, 20)
        .grid([0.001, 0.002], [8.0, 47.0])
        .system(4326);
    let metadata = file.read().unwrap();
    assert_eq!(
        metadata.fields(),
        FieldSet::of(&[Field::PixelSize, Field::Location])
    );
    assert_eq!(
        metadata.text(Field::PixelSize).as_deref(),
        Some("0.001,0.002")
    );
    assert_location(&metadata, 8.005, 46.98);
    // A grid of 0 to 360 degrees.
    let east = Builder::new(10, 10)
        .grid([0.1, 0.1], [350.0, 1.0])
        .system(4326);
    assert_location(&east.read().unwrap(), -9.5, 0.5);
}

#[test]
fn web_mercator_is_brought_to_the_ground() {
    // x = a * longitude, y = a * ln(tan(45 + latitude / 2)) at (30, 60), a = 6378137 m.
    let (x, y) = (3_339_584.723_798_207, 8_399_737.889_818_357);
    let file = Builder::new(2, 2)
        .grid([10.0, 10.0], [x - 10.0, y + 10.0])
        .system(3857);
    let metadata = file.read().unwrap();
    assert_location(&metadata, 30.0, 60.0);
    let gsd = metadata.gsd().unwrap();
    assert!(
        (gsd.x - 5.012_599).abs() < 1e-5 && (gsd.y - 5.004_168).abs() < 1e-5,
        "{gsd:?}"
    );
    assert_eq!(metadata.utm_zone(), None);
}

#[test]
fn time_of_the_file_is_read_where_it_is_asked_for() {
    let asked = GeoTiffOptions { date_time: true };
    let read = |file: &Builder| read_from(Cursor::new(file.bytes()), "x.tif", &asked).unwrap();
    let file = Builder::new(2, 2).text(306, "2017:08:31 17:27:54");
    assert!(file.read().unwrap().is_empty());
    assert_eq!(
        read(&file).text(Field::Timestamp).as_deref(),
        Some("2017-08-31T17:27:54Z")
    );
    for other in [
        "last summer",
        "0000:00:00 00:00:00",
        "    ",
        "2017:13:31 17:27:54",
    ] {
        assert!(read(&Builder::new(2, 2).text(306, other)).is_empty());
    }
}

#[test]
fn maps_of_many_kinds() {
    let keys = |code: u16, unit: u16| {
        [
            1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, code, 3076, 0, 1, unit,
        ]
    };
    let read = |code, unit, corner, scale| {
        Builder::new(64, 64)
            .grid([scale, scale], corner)
            .shorts(34735, &keys(code, unit))
            .read()
    };
    // Lambert-93; the centre by pyproj 3.7.2.
    let metadata = read(2154, 9001, [652_000.0, 6_862_000.0], 10.0).unwrap();
    let place = metadata.location().unwrap();
    assert!((place.lon() - 2.350_208_9).abs() < 1e-5, "{place:?}");
    assert!((place.lat() - 48.853_394_2).abs() < 1e-5, "{place:?}");
    let gsd = metadata.gsd().unwrap();
    // The map is a little longer than the ground there, alike on both axes.
    assert!((gsd.x - gsd.y).abs() < 1e-6 && (gsd.x - 10.0).abs() < 0.02 && gsd.x != 10.0);
    assert_eq!(metadata.utm_zone(), None);
    // New York in feet of the US survey.
    let metadata = read(2263, 9003, [980_000.0, 200_000.0], 1.0).unwrap();
    assert!((metadata.gsd().unwrap().x - 0.3048).abs() < 1e-4);
    // UTM on another datum keeps the grid's number and has a zone.
    let metadata = read(23031, 9001, [500_000.0, 5_000_000.0], 10.0).unwrap();
    assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("10"));
    assert_eq!(metadata.text(Field::UtmZone).as_deref(), Some("31T"));
    // A unit that is not the system's own, and a place that is none.
    let error = read(2154, 9002, [652_000.0, 6_862_000.0], 10.0).unwrap_err();
    assert_source_error(&error, "x.tif", None, "EPSG:2154 in the unit EPSG:9002");
    let error = read(2154, 9001, [6.5e8, 6e8], 10.0).unwrap_err();
    assert_source_error(
        &error,
        "x.tif",
        None,
        "no place in the coordinate system EPSG:2154",
    );
}

#[test]
fn other_systems_are_refused_by_code() {
    for (code, name) in [
        (26731, "EPSG:26731 is not supported: its datum needs a grid"),
        (4978, "EPSG:4978"),
        (9999, "EPSG:9999"),
        (32767, "user-defined"),
    ] {
        let file = Builder::new(2, 2)
            .grid([10.0, 10.0], [0.0, 0.0])
            .shorts(34735, &[1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, code]);
        assert_source_error(&file.read().unwrap_err(), "x.tif", None, name);
    }
}

#[test]
fn compression_does_not_matter_and_plain_files_are_empty() {
    let mut file = Builder::new(2, 2)
        .grid([0.1, 0.1], [8.0, 47.0])
        .system(4326);
    file.compression = 50_000;
    assert!(file.read().unwrap().location().is_some());
    assert!(Builder::new(2, 2).read().unwrap().is_empty());
}

#[test]
fn files_of_another_writer_and_of_the_large_kind() {
    let folder = TempDir::new().unwrap();
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new_big(&mut bytes).unwrap();
    let mut image = encoder.new_image::<colortype::RGB8>(4, 2).unwrap();
    let directory = image.encoder();
    directory
        .write_tag(Tag::ModelPixelScaleTag, &[0.5, 0.5, 0.0][..])
        .unwrap();
    directory
        .write_tag(Tag::ModelTiepointTag, &[0.0, 0.0, 0.0, 8.0, 47.0, 0.0][..])
        .unwrap();
    let keys: &[u16] = &[1, 1, 0, 2, 1024, 0, 1, 2, 2048, 0, 1, 4326];
    directory.write_tag(Tag::GeoKeyDirectoryTag, keys).unwrap();
    image.write_data(&[0; 24]).unwrap();
    let path = written(&folder, "big.jpg", bytes.into_inner());
    let records = read::from_file(&path).unwrap();
    assert_eq!((records.len(), records[0].key.as_str()), (1, "big.jpg"));
    assert_location(&records[0].metadata, 9.0, 46.5);
    assert_eq!(Metadata::from_geotiff(&path).unwrap(), records[0].metadata);
}

#[test]
fn damaged_files_never_panic() {
    let file = Builder::new(200, 100)
        .grid([10.0, 20.0], [499_000.0, 5_428_000.0])
        .system(32632)
        .text(306, "2017:08:31 17:27:54");
    let original = file.bytes();
    let read = |bytes: Vec<u8>| read_from(Cursor::new(bytes), "x.tif", &GeoTiffOptions::default());
    let mut errors = 0;
    for at in 0..original.len() {
        for bit in 0..8 {
            let mut damaged = original.clone();
            damaged[at] ^= 1 << bit;
            errors += usize::from(read(damaged).is_err());
        }
    }
    assert!(errors > 0);
    for length in 0..original.len() {
        let cut = read(original[..length].to_vec());
        assert!(
            cut.is_err() || length + 4 >= original.len(),
            "cut at {length}"
        );
    }
    let error = read(b"II*\0".to_vec()).unwrap_err();
    assert_source_error(&error, "x.tif", None, "not a readable TIFF");
    assert!(matches!(
        Metadata::from_geotiff("/nonexistent.tif"),
        Err(Error::Io { .. })
    ));
}
