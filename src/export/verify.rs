//! Whether a bundle does what it promises, on every engine that this machine has.

use ndarray::{Array2, Array4, ArrayView2, Axis, concatenate};
use serde::Serialize;

use crate::bundle::Bundle;
use crate::embedder::{Embedder, EmbedderBuilder};
use crate::engine::{Device, EngineOptions, doctor};
use crate::error::{Error, Result};
use crate::metadata::Metadata;

/// Batches in which a graph must give the same rows, the largest last.
pub const BATCHES: [usize; 4] = [1, 2, 7, 32];

/// What [`verify`] found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// The model's name.
    pub id: String,
    /// What parity is judged against.
    pub reference: String,
    /// Each graph of each precision.
    pub graphs: Vec<GraphReport>,
}

/// One graph.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GraphReport {
    /// The file.
    pub file: String,
    /// Its precision.
    pub precision: String,
    /// Why its structure is not sound: names, order, sizes of constants, references out of the
    /// bundle.
    pub structure: Option<String>,
    /// Why its inputs and outputs (names, types, dynamic dimensions) are not those of the model.
    pub contract: Option<String>,
    /// Its rows on each engine in each size of batch.
    pub parity: Vec<ParityReport>,
}

/// Rows of one engine in batches of one size.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ParityReport {
    /// The device, as [`Device`] reads it.
    pub device: String,
    /// Rows in a batch.
    pub batch: usize,
    /// Least cosine of a unit row with the reference's.
    pub cosine_min: f64,
    /// Largest difference of a number of a unit row.
    pub max_abs: f64,
    /// Least cosine that will do.
    pub tolerance: f64,
    /// Why the engine gave no rows.
    pub error: Option<String>,
}

impl Verification {
    /// Whether everything is as it should be.
    pub fn passed(&self) -> bool {
        self.graphs.iter().all(|graph| {
            let sound = graph.structure.is_none() && graph.contract.is_none();
            sound && !graph.parity.is_empty() && graph.parity.iter().all(ParityReport::passed)
        })
    }
}

impl ParityReport {
    /// Whether the rows are near enough.
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.cosine_min >= self.tolerance
    }
}

/// Looks over every graph of a bundle, and runs it on drawn pictures and on records with and without
/// fields: on the built-in engine, and on every other device that is available.
///
/// Rows are held against the graph in f32, or where the bundle has none against its first
/// precision, on the built-in engine one by one. What is found wrong stands in the result.
///
/// # Errors
/// [`Error::Bundle`] and [`Error::Checksum`] for files that changed since the bundle was opened.
pub fn verify(bundle: &Bundle, options: &EngineOptions) -> Result<Verification> {
    let manifest = bundle.manifest();
    let precisions = manifest.precisions();
    let against = match precisions.contains(&"f32") {
        true => "f32",
        false => precisions[0],
    };
    let sample = Drawn::new(manifest.arch.preprocessing.size);
    let load = |precision: &str, device: Device| -> Result<Embedder> {
        EmbedderBuilder::from(bundle.clone().in_precision(precision)?)
            .engine(EngineOptions {
                device,
                sessions: 1,
                ..options.clone()
            })
            .batch_size(BATCHES[BATCHES.len() - 1])
            .load()
    };
    let reference = load(against, Device::Rten).and_then(|model| sample.rows(&model, 1));
    let devices = available(options);
    let mut found = Verification {
        id: manifest.id.clone(),
        reference: format!("{against}, {}, batch 1", Device::Rten),
        graphs: Vec::new(),
    };
    for precision in precisions {
        let names = manifest.graphs(precision);
        let contract = load(precision, Device::Rten).err();
        let mut sides = [Vec::new(), Vec::new()];
        for device in &devices {
            let model = load(precision, *device);
            for batch in BATCHES {
                let made = match &model {
                    Ok(model) => sample.rows(model, batch).map_err(|e| e.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                let compared = compare(reference.as_ref(), made.as_ref());
                for (side, (cosine_min, max_abs, error)) in sides.iter_mut().zip(compared) {
                    side.push(ParityReport {
                        device: device.to_string(),
                        batch,
                        cosine_min,
                        max_abs,
                        tolerance: tolerance(precision, against),
                        error,
                    });
                }
            }
        }
        let [image, metadata] = sides;
        let files = names.into_iter().flat_map(|g| [Some(g.image), g.metadata]);
        for (file, parity) in files.zip([image, metadata]) {
            let Some(file) = file else { continue };
            let bytes = bundle.bytes(&file)?;
            let read = satmip_export::check::read(&bytes, &Default::default());
            found.graphs.push(GraphReport {
                file,
                precision: precision.to_owned(),
                structure: read.err().map(|e| e.to_string()),
                contract: contract.as_ref().map(Error::to_string),
                parity,
            });
        }
    }
    Ok(found)
}

/// Least cosine with the reference that will do; our choice. Engines differ in the order of their
/// sums; rounded weights and activations differ by more.
fn tolerance(precision: &str, against: &str) -> f64 {
    match precision {
        "f32" => 0.99999,
        // Its activations are quantised over the batch, so that rows depend on their neighbours.
        "int8" => 0.98,
        same if same == against => 0.99999,
        "f16-weights" => 0.9999,
        "f16" => 0.999,
        _ => 0.995,
    }
}

fn available(options: &EngineOptions) -> Vec<Device> {
    let found = doctor::examine(options);
    let others = found.devices.iter().filter(|report| report.available);
    let others = others.filter_map(|report| report.device.parse().ok());
    let others = others.filter(|device| *device != Device::Rten);
    [Device::Rten].into_iter().chain(others).collect()
}

/// Pictures and records that are the same on every machine.
struct Drawn {
    pictures: Array4<u8>,
    records: Vec<Metadata>,
}

type Rows = (Array2<f32>, Option<Array2<f32>>);

impl Drawn {
    fn new(size: usize) -> Self {
        let rows = BATCHES[BATCHES.len() - 1];
        let mut random = 1_u32;
        let mut noise = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 24
        };
        // Waves of a direction and colour of each picture, and noise: neither flat nor all noise.
        let pictures = Array4::from_shape_fn((rows, size, size, 3), |(row, y, x, channel)| {
            let along = (x * (row % 5 + 1) + y * (row % 7)) as f32 / size as f32;
            let wave = 0.5 + 0.5 * (along * 6.0 + channel as f32 + row as f32).sin();
            (wave * 200.0) as u8 + (noise() * 55 / 255) as u8
        });
        let records = (0..rows)
            .map(|row| record(row).unwrap_or_default())
            .collect();
        Drawn { pictures, records }
    }

    /// All rows, in batches of this size.
    fn rows(&self, model: &Embedder, batch: usize) -> Result<Rows> {
        let pictures = self.pictures.axis_chunks_iter(Axis(0), batch);
        let images = pictures.map(|chunk| Ok(model.embed_prepared(chunk)?.embeds));
        let images = joined(images.collect::<Result<Vec<_>>>()?)?;
        if model.fields().is_empty() {
            return Ok((images, None));
        }
        let records = self.records.chunks(batch);
        let metadata = records.map(|chunk| Ok(model.metadata_output(chunk)?.embeds));
        let metadata = joined(metadata.collect::<Result<Vec<_>>>()?)?;
        Ok((images, Some(metadata)))
    }
}

/// Rows of batches, one below the other.
fn joined(batches: Vec<Array2<f32>>) -> Result<Array2<f32>> {
    let views: Vec<_> = batches.iter().map(|rows| rows.view()).collect();
    concatenate(Axis(0), &views).map_err(|e| Error::Argument {
        what: "a batch",
        reason: e.to_string(),
    })
}

/// A record with more or fewer fields; the first has none.
fn record(row: usize) -> Result<Metadata> {
    let at = row as f64;
    let mut record = Metadata::new();
    if row % 2 == 1 {
        record.set_location(-170.0 + 10.3 * at, -60.0 + 3.7 * at)?;
    }
    if row % 3 == 1 {
        record.set_gsd(0.3 * (1.0 + at))?;
        record.set_timestamp(&format!(
            "20{:02}-0{}-1{}T0{}:15:30Z",
            row % 24,
            row % 9 + 1,
            row % 9,
            row % 9
        ))?;
    }
    if row % 5 == 1 {
        record.set_cloud_cover(3.0 * at)?;
        record.set_off_nadir_angle(at)?;
        record.set_sensor_platform("SENTINEL-2A")?;
    }
    Ok(record)
}

/// Least cosine, largest difference, and what failed, of images and metadata.
fn compare(
    reference: Result<&Rows, &Error>,
    made: Result<&Rows, &String>,
) -> [(f64, f64, Option<String>); 2] {
    let nothing = |reason: String| (0.0, f64::INFINITY, Some(reason));
    match (reference, made) {
        (_, Err(error)) => [(); 2].map(|()| nothing(error.clone())),
        (Err(error), _) => [(); 2].map(|()| nothing(format!("the reference: {error}"))),
        (Ok(a), Ok(b)) => [
            difference(a.0.view(), b.0.view()),
            match (&a.1, &b.1) {
                (Some(a), Some(b)) => difference(a.view(), b.view()),
                _ => (1.0, 0.0, None),
            },
        ],
    }
}

fn difference(a: ArrayView2<f32>, b: ArrayView2<f32>) -> (f64, f64, Option<String>) {
    let dot = |a: ndarray::ArrayView1<f32>, b: ndarray::ArrayView1<f32>| -> f64 {
        a.iter()
            .zip(&b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let rows = a.outer_iter().zip(b.outer_iter());
    let cosine = rows.map(|(a, b)| dot(a, b)).fold(f64::INFINITY, f64::min);
    let differences = a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs()));
    (cosine, differences.fold(0.0, f64::max), None)
}
