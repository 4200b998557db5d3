//! Makes `export/consumers/golden/`: a tiny untrained model, four drawn chips, and the vectors that
//! the built-in engine gives for them, to check other stacks with.
//!
//! ```sh
//! cargo run --example golden_bundle --features export -- target/golden
//! ```
//!
//! Nothing is random: weights are drawn from a fixed seed, chips are drawn (`scenes.rs`).
//! A second run gives the same bytes, on one kind of processor (engines add in another order on
//! another, which moves the last digits of the vectors).

#[allow(dead_code)]
mod scenes;
#[allow(dead_code)]
mod texture;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use satmip::arch::{
    Arch, Fit, ImageTower, MetadataSide, MetadataTower, Pool, Preprocessing, Projector,
    ResizeFilter, TextConfig, VitConfig,
};
use satmip::bundle::{self, Bundle, BundleManifest};
use satmip::engine::EngineOptions;
use satmip::export::{ExportOptions, Precision, Weights, export_image, export_metadata};
use satmip::image::ReadOptions;
use satmip::metadata::CaptionTokenizer;
use satmip::{Device, Embedder, Field, FieldSet, Metadata};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use texture::Colour;

/// Where the weights come from.
const SEED: u64 = 6;
/// Height and width of the chips, which is the model's input.
const SIZE: u32 = 64;
/// Places within a pixel, along each side.
const SAMPLES: u32 = 4;
/// Tokens of the vocabulary at most.
const VOCABULARY: usize = 480;
/// Width of both towers and of the common space.
const DIM: usize = 32;

struct Chip {
    file: &'static str,
    /// Colour, 0 to 1, at a place in the scene's own pixels.
    scene: fn(f64, f64) -> Colour,
    /// Height and width of the part of the scene that is drawn, in those pixels.
    extent: f64,
    metadata: &'static [(Field, &'static str)],
}

/// A record of all fields, two of some, and one that nothing can be derived from.
const CHIPS: [Chip; 4] = [
    Chip {
        file: "river.png",
        scene: scenes::river,
        extent: 224.0,
        metadata: &[
            (Field::Gsd, "11.4546,9.1344"),
            (Field::MultispectralGsd, "41.1896"),
            (Field::PixelSize, "0.000103,0.0000823"),
            (Field::Timestamp, "2015-09-21T15:30:08Z"),
            (Field::Location, "-73.310776,-3.785814"),
            (Field::CloudCover, "14"),
            (Field::ScanDirection, "Reverse"),
            (Field::Wavelengths, "661,545,477"),
            (Field::TargetAzimuthAngle, "39.12"),
            (Field::SunAzimuthAngle, "77.28"),
            (Field::SunElevationAngle, "70.44"),
            (Field::OffNadirAngle, "27.7"),
            (Field::SensorPlatform, "GEOEYE01"),
        ],
    },
    Chip {
        file: "harbour.png",
        scene: scenes::harbour,
        extent: 160.0,
        metadata: &[
            (Field::Gsd, "0.625"),
            (Field::Timestamp, "2020-04-09T10:48:03.5Z"),
            (Field::Location, "4.0524,51.953"),
            (Field::CloudCover, "2.5"),
            (Field::OffNadirAngle, "18.125"),
            (Field::SensorPlatform, "WORLDVIEW03"),
        ],
    },
    Chip {
        file: "dunes.png",
        scene: scenes::dunes,
        extent: 64.0,
        metadata: &[
            (Field::Gsd, "10"),
            (Field::Timestamp, "2022-05-30"),
            (Field::SensorPlatform, "SENTINEL-2A"),
        ],
    },
    Chip {
        file: "snow.png",
        scene: scenes::snow,
        extent: 192.0,
        metadata: &[
            (Field::PixelSize, "0.0001953125,0.00013497"),
            (Field::Timestamp, "2021-01-25T11:21+01:00"),
            (Field::Location, "10.09704999,46.401"),
            (Field::SensorPlatform, "LANDSAT 8, OLI"),
        ],
    },
];

/// A picture that does not fit the model as it is, with its height and width.
const WIDE: (&str, u32, u32) = ("chips/wide.png", 71, 100);

/// Captions for the tokenizer alone: nothing, and text that no record would give.
const TEXTS: [&str; 4] = [
    "",
    "GSD: (10.00, 10.00)",
    "Sensor platform: naïve 衛星-7_x; <|end|>",
    "no label; 1e-04  two blanks",
];

/// Values whose digits in a caption are easily got wrong.
const VALUES: [(Field, &str); 12] = [
    (Field::Gsd, "9.9999,0.09996"),
    (Field::Gsd, "(0.012345, 1.234e-4)"),
    (Field::MultispectralGsd, "0.9999"),
    (Field::PixelSize, "9.999e-5,1.125"),
    (Field::Timestamp, "2100-12-31T23:59:59.999Z"),
    (Field::Timestamp, "2016-03-01 00:30-05:30"),
    (Field::Location, "-0.00001,0.00004"),
    (Field::CloudCover, "0.5"),
    (Field::Wavelengths, "[661.5, 545.4, 477]"),
    (Field::SunAzimuthAngle, "359.999"),
    (Field::SunElevationAngle, "-0.001"),
    (Field::OffNadirAngle, "89.375"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1);
    let folder = PathBuf::from(folder.ok_or("give a folder that does not exist yet")?);
    let tokenizer = CaptionTokenizer::train(captions()?.into_iter(), VOCABULARY)?;
    bundle::write(
        &folder.join("bundle"),
        manifest(&tokenizer)?,
        &files(&tokenizer)?
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
            .collect::<Vec<_>>(),
    )?;
    let chips = folder.join("chips");
    fs::create_dir(&chips)?;
    for chip in &CHIPS {
        draw(chip, SIZE, SIZE).save(chips.join(chip.file))?;
    }
    let (file, height, width) = WIDE;
    draw(&CHIPS[1], height, width).save(folder.join(file))?;
    let golden = golden(&folder, &tokenizer)?;
    fs::write(folder.join("golden.json"), lines(&golden))?;
    Ok(())
}

/// Captions that are spread over the world and the years, to learn the vocabulary from.
fn captions() -> satmip::Result<Vec<String>> {
    const PLATFORMS: [&str; 4] = ["GEOEYE01", "SENTINEL-2A", "WORLDVIEW03", "LANDSAT-8"];
    let record = |i: usize| {
        let step = i as f64;
        Metadata::new()
            .with_gsd(0.3 + step / 7.0)?
            .with_timestamp(&format!("20{:02}-{:02}-11T10:45:00Z", i % 24, i % 12 + 1))?
            .with_location(step * 1.7 - 170.0, (step * 2.3) % 130.0 - 55.0)?
            .with_cloud_cover(step % 100.0)?
            .with_scan_direction(["Forward", "Reverse"][i % 2])?
            .with_sensor_platform(PLATFORMS[i % 4])
    };
    let caption = |i| Ok(record(i)?.derive_missing().caption(FieldSet::ALL));
    (0..200).map(caption).collect()
}

fn arch(tokenizer: &CaptionTokenizer) -> Arch {
    Arch {
        preprocessing: Preprocessing {
            size: SIZE as usize,
            fit: Default::default(),
            filter: Default::default(),
            mean: [0.344, 0.38, 0.407],
            std: [0.203, 0.137, 0.116],
        },
        image: ImageTower::Vit(VitConfig {
            patch: 16,
            dim: DIM,
            depth: 2,
            heads: 2,
            mlp_ratio: 2,
            pool: Pool::Mean,
            norm_eps: 1e-6,
        }),
        image_projector: Projector::Linear,
        metadata: Some(MetadataSide {
            fields: FieldSet::ALL,
            tower: MetadataTower::Text(TextConfig {
                vocabulary: tokenizer.vocabulary(),
                context: tokenizer.context_for(FieldSet::ALL),
                end_token: tokenizer.end_token(),
                dim: DIM,
                depth: 2,
                heads: 2,
                norm_eps: 1e-5,
            }),
            projector: Projector::Linear,
        }),
        embed_dim: DIM,
    }
}

fn manifest(tokenizer: &CaptionTokenizer) -> serde_json::Result<BundleManifest> {
    serde_json::from_value(json!({
        "format": bundle::FORMAT,
        "id": "golden",
        "version": "1",
        "arch": arch(tokenizer),
        "logit_scale": 14.0,
        "licence": "MIT OR Apache-2.0",
        "precision": Precision::F32.name(),
    }))
}

fn files(tokenizer: &CaptionTokenizer) -> satmip::Result<[(&'static str, Vec<u8>); 3]> {
    let arch = arch(tokenizer);
    let weights = Weights::random(&arch, SEED)?;
    let options = ExportOptions::default();
    Ok([
        (
            bundle::IMAGE_GRAPH,
            export_image(&arch, &weights, &options)?,
        ),
        (
            bundle::METADATA_GRAPH,
            export_metadata(&arch, &weights, &options)?,
        ),
        (bundle::TOKENIZER, tokenizer.to_json().into_bytes()),
    ])
}

/// The chip's scene, as much as fits: each pixel is the mean over a grid of places.
fn draw(chip: &Chip, height: u32, width: u32) -> RgbImage {
    let scale = chip.extent / f64::from(height.max(width));
    RgbImage::from_fn(width, height, |column, row| {
        let mut sum = [0.0; 3];
        for i in 0..SAMPLES * SAMPLES {
            let within = |i: u32| (f64::from(i) + 0.5) / f64::from(SAMPLES);
            let x = (f64::from(column) + within(i % SAMPLES)) * scale;
            let y = (f64::from(row) + within(i / SAMPLES)) * scale;
            let colour = (chip.scene)(x, y);
            sum.iter_mut().zip(colour).for_each(|(s, c)| *s += c);
        }
        let samples = f64::from(SAMPLES * SAMPLES);
        image::Rgb(sum.map(|s| (s / samples * 255.0).round().clamp(0.0, 255.0) as u8))
    })
}

/// What other stacks should find: the captions, ids and vectors of the chips.
fn golden(
    folder: &Path,
    tokenizer: &CaptionTokenizer,
) -> Result<Map<String, Value>, Box<dyn Error>> {
    let options = EngineOptions {
        device: Device::Rten,
        ..EngineOptions::default()
    };
    let model = Embedder::from_bundle(Bundle::open(folder.join("bundle"))?, options)?;
    let records = CHIPS
        .iter()
        .map(record)
        .collect::<satmip::Result<Vec<_>>>()?;
    let records = model.prepare_metadata(&records);
    let images = model.embed_images(&CHIPS.map(|c| folder.join("chips").join(c.file)))?;
    let metadata = model.embed_metadata(&records)?;

    let mut chips = Vec::new();
    for (i, (chip, record)) in CHIPS.iter().zip(&records).enumerate() {
        let caption = record.caption(FieldSet::ALL);
        chips.push(json!({
            "file": format!("chips/{}", chip.file),
            "metadata": texts_of(record),
            "ids": tokenizer.encode(&caption, usize::MAX)?,
            "caption": caption,
            "image_embeds": row(images.row(i)),
            "metadata_embeds": row(metadata.row(i)),
        }));
    }
    let mut texts = Vec::new();
    for text in TEXTS {
        texts.push(json!({ "caption": text, "ids": tokenizer.encode(text, usize::MAX)? }));
    }
    let cosines = images.similarity(&metadata)?;
    let golden = json!({
        "made_by": "cargo run --example golden_bundle --features export",
        "engine": model.engine(),
        "hint": "The model has learned nothing: its vectors are there to be compared.",
        "tolerance": { "cosine": 0.99999, "absolute": 1e-4 },
        "chips": chips,
        "texts": texts,
        "values": values()?,
        "records": records_fitted()?,
        "fits": fits(folder)?,
        "cosines": cosines.outer_iter().map(|r| row(r.to_slice())).collect::<Value>(),
    });
    Ok(golden.as_object().cloned().unwrap_or_default())
}

/// What captions make of single values.
fn values() -> satmip::Result<Vec<Value>> {
    let value = |(field, text): (Field, &str)| {
        let mut record = Metadata::new();
        record.set_text(field, text)?;
        let caption = record.caption(FieldSet::ALL);
        Ok(json!({ "field": field, "text": text, "caption": caption }))
    };
    VALUES.into_iter().map(value).collect()
}

/// Records of pictures of several sizes, with the caption that a model of 64 pixels reads: what is known follows the fit.
fn records_fitted() -> satmip::Result<Vec<Value>> {
    let mut fitted = Vec::new();
    for (chip, width, height, fit) in [
        (&CHIPS[0], 512, 512, Fit::Crop),
        (&CHIPS[1], 101, 64, Fit::Crop),
        (&CHIPS[1], 100, 40, Fit::Stretch),
        (&CHIPS[2], 1, 10_000, Fit::Crop),
        (&CHIPS[3], 63, 200, Fit::Crop),
    ] {
        let preprocessing = Preprocessing {
            size: SIZE as usize,
            fit,
            filter: ResizeFilter::Bicubic,
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        let source = record(chip)?.derive_missing();
        let geometry = satmip::image::fitted_geometry(width, height, &preprocessing)?;
        let caption = geometry
            .record_for(&source, FieldSet::ALL)
            .caption(FieldSet::ALL);
        fitted.push(json!({
            "metadata": texts_of(&source),
            "width": width,
            "height": height,
            "preprocessing": { "size": SIZE, "fit": fit },
            "caption": caption,
        }));
    }
    Ok(fitted)
}

/// Each known field as text.
fn texts_of(record: &Metadata) -> Map<String, Value> {
    let text = |f: Field| {
        record
            .text(f)
            .map(|text| (f.name().to_owned(), text.into()))
    };
    record.fields().iter().filter_map(text).collect()
}

/// Fingerprints of one picture, fitted in every way: u8 [size, size, 3], as Pillow gives it.
fn fits(folder: &Path) -> satmip::Result<Vec<Value>> {
    let picture = satmip::image::read(&folder.join(WIDE.0), &ReadOptions::default())?.into_image();
    let mut fits = Vec::new();
    for (size, fit) in [(40, Fit::Crop), (90, Fit::Stretch)] {
        for filter in [
            ResizeFilter::Bilinear,
            ResizeFilter::Bicubic,
            ResizeFilter::Lanczos,
        ] {
            let preprocessing = Preprocessing {
                size,
                fit,
                filter,
                mean: [0.5; 3],
                std: [0.5; 3],
            };
            let pixels = satmip::image::fit(&picture, &preprocessing)?;
            fits.push(json!({
                "file": WIDE.0,
                "preprocessing": { "size": size, "fit": fit, "filter": filter },
                "sha256": format!("{:x}", Sha256::digest(pixels)),
            }));
        }
    }
    Ok(fits)
}

fn record(chip: &Chip) -> satmip::Result<Metadata> {
    let mut record = Metadata::new();
    for (field, text) in chip.metadata {
        record.set_text(*field, text)?;
    }
    Ok(record)
}

fn row(numbers: Option<&[f32]>) -> Value {
    numbers.into_iter().flatten().copied().map(short).collect()
}

/// A number as short as it can be told from its neighbours in f32.
fn short(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

/// JSON with one line for each entry, and for each element of an entry that is a list.
fn lines(golden: &Map<String, Value>) -> String {
    let entry = |(name, value): (&String, &Value)| match value {
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(|v| format!("    {v}")).collect();
            format!("  {name:?}: [\n{}\n  ]", list.join(",\n"))
        }
        value => format!("  {name:?}: {value}"),
    };
    let entries: Vec<String> = golden.iter().map(entry).collect();
    format!("{{\n{}\n}}\n", entries.join(",\n"))
}
