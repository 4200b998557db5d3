//! Lays chips out as fMoW-RGB is, and reads them back as fMoW.
//!
//! ```sh
//! cargo run --release -p satmip-train --example lay_out_fmow -- DATA eurosat_rgb.tar eurosat_rgb.csv OUT 20
//! cargo run --release -p satmip-train --example lay_out_fmow -- OUT
//! ```
//!
//! The first takes at most 20 chips of each class and split from an archive and its index in DATA and
//! writes `OUT/SPLIT/CLASS/CLASS_N/CLASS_N_0_rgb.jpg` with a `.json` of fMoW's keys; nothing in it is
//! made up but the bounding boxes. Then, as the second does with any folder of that layout, it opens
//! each split and prints how many chips it has, which cannot be used, and what is known of the first.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use satmip::{Field, FieldSet, Metadata};
use satmip_eval::chips::{ChipFiles, ChipSet, ChipSource, FMOW_CONTEXT};
use serde_json::{Map, Value, json};

const SPLITS: [&str; 3] = ["train", "val", "test"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [root] => root.to_owned(),
        [data, archive, index, root, most] => {
            let source = ChipSource::new(ChipFiles::Archive {
                archive: archive.into(),
                index: index.into(),
            });
            lay_out(&source, Path::new(data), Path::new(root), most.parse()?)?;
            root.to_owned()
        }
        _ => return Err("give DATA ARCHIVE INDEX OUT CHIPS, or OUT alone".into()),
    };
    read_back(Path::new(&root))
}

fn lay_out(
    source: &ChipSource,
    data: &Path,
    root: &Path,
    most: usize,
) -> Result<(), Box<dyn Error>> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for split in SPLITS {
        let set = ChipSet::open(source, data, split)?;
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        for chip in 0..set.len() {
            let taken = taken.entry(set.label(chip)).or_default();
            if *taken == most {
                continue;
            }
            *taken += 1;
            let class = set.label(chip).to_lowercase().replace([' ', '/'], "_");
            let number = numbers.entry(class.clone()).or_default();
            let name = format!("{class}_{number}_0_rgb");
            let folder = root
                .join(split)
                .join(&class)
                .join(format!("{class}_{number}"));
            fs::create_dir_all(&folder)?;
            let image = set.image(chip)?;
            let size = (image.width(), image.height());
            let file = BufWriter::new(File::create(folder.join(format!("{name}.jpg")))?);
            let encoder = JpegEncoder::new_with_quality(file, 95);
            encoder.write_image(image.pixels(), size.0, size.1, ExtendedColorType::Rgb8)?;
            let record = record(&name, &class, *number, size, set.metadata(chip));
            let text = serde_json::to_string_pretty(&record)?;
            fs::write(folder.join(format!("{name}.json")), text)?;
            *number += 1;
        }
    }
    Ok(())
}

/// What is known, by fMoW's keys.
fn record(name: &str, class: &str, number: usize, size: (u32, u32), known: &Metadata) -> Value {
    let mut record = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            record.insert(key.to_owned(), value);
        }
    };
    put("img_filename", json!(format!("{name}.jpg")));
    put("img_width", json!(size.0));
    put("img_height", json!(size.1));
    put("category", json!(class));
    put("gsd", json!(known.gsd().map(|gsd| (gsd.x * gsd.y).sqrt())));
    put("pan_resolution_dbl", json!(known.gsd().map(|gsd| gsd.x)));
    put("multi_resolution_dbl", json!(known.multispectral_gsd()));
    put("mean_pixel_width", json!(known.pixel_size().map(|s| s.x)));
    put("mean_pixel_height", json!(known.pixel_size().map(|s| s.y)));
    put("approximate_wavelengths", json!(known.wavelengths()));
    put("cloud_cover", json!(known.cloud_cover()));
    put("target_azimuth_dbl", json!(known.target_azimuth_angle()));
    put("sun_azimuth_dbl", json!(known.sun_azimuth_angle()));
    put("sun_elevation_dbl", json!(known.sun_elevation_angle()));
    put("off_nadir_angle_dbl", json!(known.off_nadir_angle()));
    for (key, field) in [
        ("timestamp", Field::Timestamp),
        ("utm", Field::UtmZone),
        ("country_code", Field::CountryCode),
        ("scan_direction", Field::ScanDirection),
        ("sensor_platform_name", Field::SensorPlatform),
    ] {
        put(key, json!(known.text(field)));
    }
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let whole = corners(known, (width, height), [0.0, 0.0, width, height]);
    put("raw_location", json!(whole));
    // Half of the shorter side long, at places that differ from chip to chip.
    let side = (size.0.min(size.1) / 2).max(1);
    let place = |side_of: u32, step: usize| (side_of - side) * (number * step % 11) as u32 / 10;
    let [x, y] = [place(size.0, 7), place(size.1, 3)];
    let raw = corners(known, (width, height), [x, y, side, side].map(f64::from));
    let both = |id: i64| json!({"ID": id, "box": [x, y, side, side], "category": class, "raw_location": raw});
    // fMoW's records hold the box once for the picture and once for the task.
    put("bounding_boxes", json!([both(-1), both(number as i64)]));
    Value::Object(record)
}

/// A box of pixels as a polygon in longitude and latitude, north up.
fn corners(known: &Metadata, size: (f64, f64), [x, y, w, h]: [f64; 4]) -> Option<String> {
    let (centre, pixel) = (known.location()?, known.pixel_size()?);
    let lon = |x: f64| centre.lon() + (x - size.0 / 2.0) * pixel.x;
    let lat = |y: f64| centre.lat() - (y - size.1 / 2.0) * pixel.y;
    let around = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)];
    let points = around.map(|(x, y)| format!("{} {}", lon(x), lat(y)));
    Some(format!("POLYGON (({}))", points.join(", ")))
}

fn read_back(root: &Path) -> Result<(), Box<dyn Error>> {
    let source = ChipSource::new(ChipFiles::Fmow {
        fmow: root.to_owned(),
        context: FMOW_CONTEXT,
    });
    for split in SPLITS.iter().filter(|split| root.join(split).is_dir()) {
        let set = ChipSet::open(&source, Path::new(""), split)?;
        let mut labels: Vec<&str> = (0..set.len()).map(|chip| set.label(chip)).collect();
        labels.sort_unstable();
        labels.dedup();
        println!("{split}: {} chips of {} classes", set.len(), labels.len());
        for chip in 0..set.len() {
            if let Err(error) = set.image(chip) {
                println!("  {error}");
            }
        }
        if let Ok(image) = set.image(0) {
            println!("  {}: {} x {}", set.name(0), image.width(), image.height());
            println!("  {}", set.metadata(0).caption(FieldSet::ALL));
        }
    }
    Ok(())
}
