//! Batches of views, drawn ahead of the training step on a thread of their own.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use rand::Rng;
use rand::seq::SliceRandom;

use super::{ChipSet, ViewConfig, draw_view, rng_for};
use crate::arch::Preprocessing;
use crate::error::{Error, Result};
use crate::metadata::{FieldSet, Metadata};

/// Purposes of random streams.
const ORDER: u64 = 1;
const VIEWS: u64 = 2;

/// How batches are drawn.
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// Chips of a batch.
    pub batch_size: usize,
    /// Batches to draw.
    pub steps: std::ops::Range<usize>,
    /// Views
    pub views: Vec<ViewConfig>,
    /// true of
    pub metadata_view: usize,
    /// t
    pub per_epoch: Vec<usize>,
    /// t
    pub workers: usize,
    /// t
    pub cache_bytes: usize,
    /// t
    pub max_bad_items: usize,
    /// Input size and normalisation.
    pub preprocessing: Preprocessing,
    /// Fields that the metadata tower reads.
    pub fields: FieldSet,
    /// Probability that a present field is left out of a record; at least one field stays.
    pub field_dropout: f64,
}

/// One step's input.
#[derive(Debug, Clone)]
pub struct Batch {
    /// t
    pub step: usize,
    /// t
    pub items: Vec<(usize, usize)>,
    /// For each view, normalised pixels `[batch, 3, size, size]`.
    pub views: Vec<Vec<f32>>,
    /// Metadata that is true of the first view.
    pub metadata: Vec<Metadata>,
}

/// Draws batches ahead; an iterator over them.
#[derive(Debug)]
pub struct Loader {
    batches: Receiver<Result<Batch>>,
}

impl Loader {
    /// Starts drawing. `sets` are the sources' chips, `per_epoch` how many of each an epoch takes.
    ///
    /// # Errors
    /// When an epoch has fewer chips than a batch.
    pub fn start(sets: Arc<Vec<ChipSet>>, config: LoaderConfig) -> Result<Self> {
        let per_epoch = config.per_epoch.clone();
        let epoch: usize = per_epoch.iter().sum();
        if config.batch_size == 0 || epoch < config.batch_size {
            return Err(Error::Training {
                reason: format!(
                    "an epoch of {epoch} chips has no batch of {}",
                    config.batch_size
                ),
                source: None,
            });
        }
        // Two batches ahead: enough to hide the drawing, and bounded.
        let (sender, batches) = bounded(2);
        thread::Builder::new()
            .name("satmip-loader".into())
            .spawn(move || {
                let batches_per_epoch = epoch / config.batch_size;
                let mut order = Vec::new();
                for step in config.steps.clone() {
                    let (number, within) = (step / batches_per_epoch, step % batches_per_epoch);
                    if within == 0 || order.is_empty() {
                        order = epoch_order(&sets, &per_epoch, config.seed, number as u64);
                    }
                    let chosen = &order[within * config.batch_size..][..config.batch_size];
                    let batch = draw_batch(&sets, chosen, step as u64, &config);
                    if sender.send(batch).is_err() {
                        return;
                    }
                }
            })
            .map_err(|e| Error::Training {
                reason: "cannot start the loader's thread".into(),
                source: Some(e.into()),
            })?;
        Ok(Self { batches })
    }
}

impl Loader {
    /// t
    pub fn bad_items(&self) -> Vec<super::BadItem> {
        Vec::new()
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.recv().ok()
    }
}

/// The chips of an epoch, as (set, chip), shuffled.
fn epoch_order(
    sets: &[ChipSet],
    per_epoch: &[usize],
    seed: u64,
    epoch: u64,
) -> Vec<(usize, usize)> {
    let mut order = Vec::with_capacity(per_epoch.iter().sum());
    for (set, (chips, take)) in sets.iter().zip(per_epoch).enumerate() {
        let mut indices: Vec<usize> = (0..chips.len()).collect();
        indices.shuffle(&mut rng_for(seed, ORDER, epoch, set as u64));
        order.extend(indices.into_iter().take(*take).map(|chip| (set, chip)));
    }
    order.shuffle(&mut rng_for(seed, ORDER, epoch, u64::MAX));
    order
}

fn draw_batch(
    sets: &[ChipSet],
    chosen: &[(usize, usize)],
    step: u64,
    config: &LoaderConfig,
) -> Result<Batch> {
    let side = config.preprocessing.size;
    let numbers = chosen.len() * 3 * side * side;
    let mut views = vec![Vec::with_capacity(numbers); config.views.len()];
    let mut metadata = Vec::with_capacity(chosen.len());
    for (index, (set, chip)) in chosen.iter().enumerate() {
        let mut rng = rng_for(config.seed, VIEWS, step, index as u64);
        for (number, pixels) in views.iter_mut().enumerate() {
            let chip = sets[*set].chip(*chip);
            let view = draw_view(chip, &config.views[number], &config.preprocessing, &mut rng)?;
            pixels.extend_from_slice(&view.pixels);
            if number == config.metadata_view {
                let record = view.metadata.only(config.fields);
                metadata.push(drop_fields(&record, config.field_dropout, &mut rng));
            }
        }
    }
    Ok(Batch {
        step: step as usize,
        items: chosen.to_vec(),
        views,
        metadata,
    })
}

/// Leaves out each present field with this probability; one drawn field always stays.
fn drop_fields(record: &Metadata, probability: f64, rng: &mut impl Rng) -> Metadata {
    let present: Vec<_> = record.fields().iter().collect();
    if present.is_empty() {
        return record.clone();
    }
    let keep = present[rng.random_range(0..present.len())];
    let kept = present
        .into_iter()
        .filter(|field| !rng.random_bool(probability) || *field == keep);
    record.only(kept.collect())
}
