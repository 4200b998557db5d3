//! What a run would do, without training.

use std::path::Path;
use std::time::Instant;

use burn::prelude::{Device, Tensor, TensorData};
use serde::Serialize;

use super::estimate::count;
use super::fields::{FieldCounts, check_fields};
use super::inputs::{MetadataInput, resolve};
use super::{Estimate, Recipe};
use satmip::metadata::Metadata;
use satmip::{Error, Result};
use satmip_eval::chips::ChipSet;

/// How much longer a real step takes than its multiply-accumulates at the speed of a plain matrix
/// product: convolutions, small matrices, norms, activations and the drawing of views. On two CPU
/// cores in use by others, steps of the recipes `nano-*` took 2 to 5 times as long; elsewhere it is a
/// guess.
const SLOWDOWN: f64 = 3.0;

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// The recipe with all its defaults.
    pub recipe: Recipe,
    /// The training sets, in the recipe's order.
    pub sets: Vec<SetSummary>,
    /// Chips of the validation split, of which the recipe's number is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_chips: Option<usize>,
    /// What the metadata tower reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSummary>,
    /// Whole batches of an epoch.
    pub steps_per_epoch: usize,
    /// Epochs in all.
    pub epochs: f64,
    /// Counts of the model.
    pub estimate: Estimate,
    /// Multiply-accumulates that the device did in a second in one large matrix product just now.
    pub macs_per_second: f64,
    /// About how long a step would take, in seconds: an estimate from the two values above.
    pub step_seconds: f64,
}

/// One training set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetSummary {
    /// Its file or folder.
    pub name: String,
    /// Chips of the training split.
    pub chips: usize,
    /// Chips that an epoch draws.
    pub per_epoch: usize,
    /// How many of the chips have each of the recipe's fields.
    pub fields: FieldCounts,
}

/// What a metadata tower reads of the training chips as they are; views change values, not fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum MetadataSummary {
    /// Captions, with all fields that a chip has.
    Text {
        /// Tokens of the shortest caption, start and end token included.
        least_tokens: usize,
        /// Tokens of the median caption.
        median_tokens: usize,
        /// Tokens of the longest caption.
        most_tokens: usize,
        /// Tokens that the tower reads of each, padding included.
        context: usize,
        /// Tokens of the vocabulary.
        vocabulary: usize,
    },
    /// Columns.
    Tabular {
        /// Names of the columns of numbers.
        numbers: Vec<String>,
        /// Names of the columns of categories, with the number of their values.
        categories: Vec<(String, usize)>,
    },
}

/// Reads the data of a recipe and says what a run over them would do; nothing is written.
///
/// # Errors
/// Where a run would be refused before its first step: as [`Recipe::validate`], where the data
/// cannot be read, lack a field of the recipe altogether, or are fewer than a batch.
pub fn dry_run(recipe: &Recipe, data: &Path, device: &Device) -> Result<DryRun> {
    recipe.validate()?;
    let sets = recipe.open(data)?;
    let records = || sets.iter().flat_map(ChipSet::records);
    if recipe.method.uses_metadata() {
        check_fields(recipe.fields, records())?;
    }
    let (arch, input) = resolve(recipe, records())?;
    let summaries: Vec<SetSummary> = recipe
        .data
        .iter()
        .zip(&sets)
        .map(|(source, set)| SetSummary {
            name: source.name(),
            chips: set.len(),
            per_epoch: source.of_epoch(set.len()),
            fields: FieldCounts::of(recipe.fields, set.records()),
        })
        .collect();
    let epoch: usize = summaries.iter().map(|set| set.per_epoch).sum();
    let steps_per_epoch = epoch / recipe.batch_size;
    if steps_per_epoch == 0 {
        return Err(Error::Training {
            reason: format!(
                "an epoch of {epoch} chips has no batch of {}",
                recipe.batch_size
            ),
            source: None,
        });
    }
    let validation_chips = match &recipe.validation {
        Some(validation) => Some(ChipSet::open(&validation.source, data, "val")?.len()),
        None => None,
    };
    let metadata = match &input {
        Some(input) => Some(summarise(input, recipe, records())?),
        None => None,
    };
    // A batch is padded to its longest caption alone.
    let tokens = match &metadata {
        Some(MetadataSummary::Text { most_tokens, .. }) => Some(*most_tokens),
        _ => None,
    };
    let estimate = count(recipe, &arch, tokens);
    let macs_per_second = measure_speed(device);
    Ok(DryRun {
        sets: summaries,
        validation_chips,
        metadata,
        steps_per_epoch,
        epochs: recipe.steps as f64 / steps_per_epoch as f64,
        step_seconds: SLOWDOWN * estimate.step_macs as f64 / macs_per_second,
        estimate,
        macs_per_second,
        recipe: recipe.clone(),
    })
}

fn summarise<'a>(
    input: &MetadataInput,
    recipe: &Recipe,
    records: impl Iterator<Item = &'a Metadata>,
) -> Result<MetadataSummary> {
    match input {
        MetadataInput::Caption { tokenizer, context } => {
            let mut counts = Vec::new();
            for record in records {
                let ids = tokenizer.encode(&record.caption(recipe.fields), *context)?;
                counts.push(ids.len());
            }
            counts.sort_unstable();
            let at = |place: usize| counts.get(place).copied().unwrap_or(0);
            Ok(MetadataSummary::Text {
                least_tokens: at(0),
                median_tokens: at(counts.len() / 2),
                most_tokens: at(counts.len().saturating_sub(1)),
                context: *context,
                vocabulary: tokenizer.vocabulary(),
            })
        }
        MetadataInput::Columns(columns) => Ok(MetadataSummary::Tabular {
            numbers: columns.numbers.iter().map(|c| c.name.clone()).collect(),
            categories: columns
                .categories
                .iter()
                .map(|c| (c.name.clone(), c.vocabulary.len()))
                .collect(),
        }),
    }
}

/// Multiply-accumulates that a device does in a second in a large matrix product of f32; takes
/// about a second on a CPU, and less on a GPU.
pub fn measure_speed(device: &Device) -> f64 {
    const ENOUGH: f64 = 0.1;
    let mut best = 0.0_f64;
    for side in [256_usize, 512, 1024, 2048, 4096, 8192] {
        let numbers: Vec<f32> = (0..side * side).map(|i| (i % 7) as f32).collect();
        let a = Tensor::<2>::from_data(TensorData::new(numbers, [side, side]), device);
        let product = || {
            let start = Instant::now();
            // Reading a number waits for the device.
            let _: f32 = a.clone().matmul(a.clone()).max().into_scalar();
            start.elapsed().as_secs_f64().max(1e-9)
        };
        product();
        let seconds = product();
        best = best.max((side as f64).powi(3) / seconds);
        if seconds > ENOUGH {
            break;
        }
    }
    best
}
