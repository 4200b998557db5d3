//! Draws the small satellite-like chips of `examples/chips/`: drawn, not photographed.
//!
//! ```sh
//! cargo run --example draw_chips -- examples/chips
//! ```
//!
//! Each chip is a function from a place to a colour, averaged over a grid of places within each
//! pixel, with a little sensor noise. Nothing is random: a second run draws the same again.

#[path = "draw_chips/scenes.rs"]
mod scenes;
#[path = "draw_chips/texture.rs"]
mod texture;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};
use satmip::image::radiometry::SURFACE;
use tiff::encoder::colortype::RGB16;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder};
use tiff::tags::Tag;

use texture::{Colour, hash};

/// Places within a pixel, along each side.
const SAMPLES: u32 = 4;

/// The tag in which GDAL says what samples mean.
const GDAL_METADATA: u16 = 42112;

/// How a chip is stored.
enum Store {
    Png,
    GreyPng,
    Jpeg,
    WebP,
    Tiff16,
}

struct Chip {
    file: &'static str,
    size: (u32, u32),
    store: Store,
    /// Colour, 0 to 1, at a place in pixels.
    scene: fn(f64, f64) -> Colour,
    /// Sensor noise, standard deviation about 0.3 of this.
    noise: f64,
    /// Cells of metadata.csv after the file, in the order of `COLUMNS`; empty is "not known".
    metadata: [&'static str; 12],
}

const COLUMNS: [&str; 13] = [
    "file",
    "lon",
    "lat",
    "timestamp",
    "gsd",
    "multispectral_gsd",
    "cloud_cover",
    "sun_azimuth_angle",
    "sun_elevation_angle",
    "off_nadir_angle",
    "target_azimuth_angle",
    "scan_direction",
    "sensor_platform",
];

#[rustfmt::skip]
const CHIPS: [Chip; 13] = [
    Chip { file: "fields.jpg", size: (256, 256), store: Store::Jpeg, scene: scenes::fields, noise: 0.03,
        metadata: ["1.5213", "48.3127", "2018-06-21T10:56:21Z", "1.2", "4.8", "3", "151.2", "63.1", "12.4", "98.2", "Forward", "WORLDVIEW02"] },
    Chip { file: "harbour.png", size: (160, 160), store: Store::Png, scene: scenes::harbour, noise: 0.012,
        metadata: ["4.0524", "51.9530", "2020-04-09T10:48:03Z", "0.6", "", "0", "157.9", "43.6", "18.1", "212.0", "Reverse", "WORLDVIEW03"] },
    Chip { file: "runway.jpg", size: (256, 160), store: Store::Jpeg, scene: scenes::runway, noise: 0.03,
        metadata: ["24.9571", "60.3190", "2019-07-02T09:41:55Z", "1.0", "4.1", "8", "159.3", "51.0", "25.2", "301.5", "Forward", "GEOEYE01"] },
    Chip { file: "forest.webp", size: (112, 112), store: Store::WebP, scene: scenes::forest, noise: 0.012,
        metadata: ["-63.2210", "-9.9014", "2016-08-14", "0.8", "", "22", "", "", "", "", "", "QUICKBIRD02"] },
    Chip { file: "town.png", size: (128, 128), store: Store::Png, scene: scenes::town, noise: 0.012,
        metadata: ["-97.7431", "30.2672", "2017-11-05T17:22:10Z", "0.5", "2.0", "0", "161.4", "42.4", "9.8", "45.3", "Reverse", "WORLDVIEW02"] },
    Chip { file: "river.jpg", size: (224, 224), store: Store::Jpeg, scene: scenes::river, noise: 0.03,
        metadata: ["-73.3108", "-3.7858", "2015-09-21T15:30:08Z", "11.45", "41.19", "14", "77.28", "70.44", "27.70", "39.12", "Reverse", "GEOEYE01"] },
    Chip { file: "coast.webp", size: (128, 96), store: Store::WebP, scene: scenes::coast, noise: 0.01,
        metadata: ["115.6402", "-31.5501", "2021-02-18T02:31:40Z", "3.0", "", "1", "78.5", "57.7", "", "", "", "PLANETSCOPE"] },
    Chip { file: "dunes.tif", size: (64, 64), store: Store::Tiff16, scene: scenes::dunes, noise: 0.008,
        metadata: ["15.4120", "-24.7300", "2022-05-30T09:05:12Z", "10", "", "0", "34.9", "36.8", "", "", "", "SENTINEL-2A"] },
    Chip { file: "solar_farm.png", size: (96, 96), store: Store::Png, scene: scenes::solar_farm, noise: 0.008,
        metadata: ["-5.2218", "37.4410", "2019-03-12T11:20:47Z", "0.5", "", "", "", "", "14.6", "", "", "WORLDVIEW03"] },
    Chip { file: "pivots.jpg", size: (256, 256), store: Store::Jpeg, scene: scenes::pivots, noise: 0.03,
        metadata: ["38.3900", "30.0310", "2020-08-03T08:12:00Z", "10", "", "0", "127.6", "65.0", "", "", "", "SENTINEL-2B"] },
    Chip { file: "snow.jpg", size: (192, 192), store: Store::Jpeg, scene: scenes::snow, noise: 0.02,
        metadata: ["10.0970", "46.4010", "2021-01-25T10:21:09Z", "15", "30", "4", "163.8", "22.3", "", "", "", "LANDSAT-8"] },
    Chip { file: "tanks.png", size: (96, 96), store: Store::Png, scene: scenes::tanks, noise: 0.012,
        metadata: ["", "", "2014-05-04T14:10:29Z", "0.73", "", "", "", "", "", "", "", ""] },
    Chip { file: "lake.png", size: (64, 64), store: Store::GreyPng, scene: scenes::lake, noise: 0.012,
        metadata: ["25.3310", "62.1170", "", "", "", "", "", "", "", "", "", ""] },
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1);
    let folder = Path::new(folder.as_deref().unwrap_or("examples/chips".as_ref()));
    std::fs::create_dir_all(folder)?;
    let mut table = COLUMNS.join(",");
    table.push('\n');
    for (seed, chip) in CHIPS.iter().enumerate() {
        let samples = draw(chip, seed as u32);
        store(chip, &samples, &folder.join(chip.file))?;
        table.push_str(&format!("{},{}\n", chip.file, chip.metadata.join(",")));
    }
    std::fs::write(folder.join("metadata.csv"), table)?;
    Ok(())
}

/// The chip's colours, 0 to 1, row by row.
fn draw(chip: &Chip, seed: u32) -> Vec<f64> {
    let (width, height) = chip.size;
    let mut samples = Vec::new();
    for row in 0..height {
        for column in 0..width {
            let mut sum = [0.0; 3];
            for i in 0..SAMPLES * SAMPLES {
                let within = |i: u32| (f64::from(i) + 0.5) / f64::from(SAMPLES);
                let x = f64::from(column) + within(i % SAMPLES);
                let y = f64::from(row) + within(i / SAMPLES);
                let colour = (chip.scene)(x, y);
                sum.iter_mut().zip(colour).for_each(|(s, c)| *s += c);
            }
            for (channel, sum) in sum.into_iter().enumerate() {
                let mean = sum / f64::from(SAMPLES * SAMPLES);
                let noise =
                    hash((column * 3) as i32 + channel as i32, row as i32, 900 + seed) - 0.5;
                samples.push((mean + chip.noise * noise).clamp(0.0, 1.0));
            }
        }
    }
    samples
}

fn store(chip: &Chip, samples: &[f64], path: &Path) -> Result<(), Box<dyn Error>> {
    let (width, height) = chip.size;
    let bytes = samples.iter().map(|v| (v * 255.0).round() as u8).collect();
    let picture = RgbImage::from_raw(width, height, bytes).ok_or("a size that does not fit")?;
    match chip.store {
        Store::Png => picture.save_with_format(path, ImageFormat::Png)?,
        Store::GreyPng => {
            DynamicImage::from(picture)
                .into_luma8()
                .save_with_format(path, ImageFormat::Png)?;
        }
        Store::WebP => picture.save_with_format(path, ImageFormat::WebP)?,
        Store::Jpeg => {
            let file = BufWriter::new(File::create(path)?);
            JpegEncoder::new_with_quality(file, 85).encode_image(&picture)?;
        }
        Store::Tiff16 => {
            // Reflectances, as the file states: those of black and white are what satmip takes for them.
            let (scale, offset) = (1e-4, -0.1);
            let reflectances = samples.iter().zip(SURFACE.iter().cycle());
            let wide: Vec<u16> = reflectances
                .map(|(v, (low, high))| *v * (high - low) + low)
                .map(|reflectance| ((reflectance - offset) / scale).round() as u16)
                .collect();
            let stated = |role: &str, value: f64| {
                let items = (0..3).map(|band| {
                    let name = role.to_uppercase();
                    format!(
                        "<Item name=\"{name}\" sample=\"{band}\" role=\"{role}\">{value}</Item>"
                    )
                });
                items.collect::<String>()
            };
            let (scales, offsets) = (stated("scale", scale), stated("offset", offset));
            let metadata = format!("<GDALMetadata>{scales}{offsets}</GDALMetadata>");
            let file = BufWriter::new(File::create(path)?);
            let mut encoder = TiffEncoder::new(file)?
                .with_compression(Compression::Deflate(DeflateLevel::Balanced));
            let mut image = encoder.new_image::<RGB16>(width, height)?;
            image
                .encoder()
                .write_tag(Tag::Unknown(GDAL_METADATA), metadata.as_str())?;
            image.write_data(&wide)?;
        }
    }
    Ok(())
}
