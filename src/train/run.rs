//! The training loop.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::{Device, Tensor, TensorData};
use serde::Serialize;

use super::inputs::{MetadataInput, resolve};
use super::optimizer::clip_global_norm;
use super::{Method, Recipe, Validation, weighted_knn};
use crate::arch::Preprocessing;
use crate::data::{Batch, ChipSet, Loader, LoaderConfig, centre_view};
use crate::error::{Error, Result};
use crate::loss::{MAX_LOGIT_SCALE, info_nce, nt_xent};
use crate::model::{SatMip, save_weights, unit_rows};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The loss of this step.
    pub loss: f64,
    /// SimCLR's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simclr: Option<f64>,
    /// SatMIP's part, before lambda.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub satmip: Option<f64>,
    /// `1 / tau` of SatMIP.
    pub logit_scale: f64,
    /// Norm of all gradients before clipping.
    pub gradient_norm: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Seconds since the first step began.
    pub seconds: f64,
    /// kNN accuracy on the validation split in percent, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knn: Option<f64>,
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Steps done.
    pub steps: usize,
    /// Chips in the training split.
    pub chips: usize,
    /// Weights that were trained.
    pub parameters: usize,
    /// Wall-clock seconds of the loop.
    pub seconds: f64,
    /// Loss of the last step.
    pub loss: f64,
    /// Last kNN accuracy in percent.
    pub knn: Option<f64>,
}

/// Trains a recipe's model on the `train` split of its data and writes to `out`, a new folder:
/// `recipe.toml`, `arch.json`, `tokenizer.json` for a text tower, `metrics.jsonl`,
/// `weights.safetensors`, which is replaced at each validation and at the end, and `card.json`.
///
/// The same recipe and data give the same weights, unless another run goes on in the same process:
/// burn has one stream of random numbers for first weights and dropout.
///
/// # Errors
/// Where the data cannot be read, `out` exists or cannot be written, or the loss is not finite.
pub fn pretrain(
    recipe: &Recipe,
    data: &Path,
    out: &Path,
    device: &Device,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary> {
    recipe.validate()?;
    let sets = recipe
        .data
        .iter()
        .map(|source| ChipSet::open(source, data, "train"))
        .collect::<Result<Vec<_>>>()?;
    let (arch, input) = resolve(recipe, &sets)?;
    let gauge = match &recipe.validation {
        Some(validation) => Some(Gauge::new(validation, data, &arch.preprocessing)?),
        None => None,
    };
    fs::create_dir(out).map_err(|e| Error::Output {
        path: out.to_owned(),
        reason: "cannot be created as a new folder".into(),
        source: Some(e.into()),
    })?;
    let write = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).map_err(|e| Error::io(&path, e))
    };
    write("recipe.toml", toml::to_string(recipe).map_err(to_error)?)?;
    write(
        "arch.json",
        serde_json::to_string_pretty(&arch).map_err(to_error)?,
    )?;
    if let Some(json) = input.as_ref().and_then(MetadataInput::tokenizer_json) {
        write("tokenizer.json", json)?;
    }
    let metrics_path = out.join("metrics.jsonl");
    let mut metrics = fs::File::create(&metrics_path).map_err(|e| Error::io(&metrics_path, e))?;

    let device = device.clone().autodiff();
    device.seed(recipe.seed);
    let head = recipe.simclr.as_ref();
    let head = head.filter(|_| recipe.method != Method::Satmip);
    let mut model = SatMip::new(&arch, head, &device)?;
    let parameters = model.num_params();
    let mut optimizer = recipe.optimizer.build().map_err(reason)?;
    let chips = sets.iter().map(ChipSet::len).sum();
    let per_epoch = sets.iter().zip(&recipe.data);
    let per_epoch = per_epoch
        .map(|(chips, source)| {
            source
                .chips_per_epoch()
                .map_or(chips.len(), |n| n.min(chips.len()))
        })
        .collect();
    let loader = Loader::start(
        Arc::new(sets),
        LoaderConfig {
            per_epoch,
            seed: recipe.seed,
            batch_size: recipe.batch_size,
            steps: 0..recipe.steps,
            views: vec![recipe.views.clone(); recipe.method.views()],
            metadata_view: 0,
            workers: 2,
            cache_bytes: 1 << 30,
            max_bad_items: recipe.max_bad_items,
            preprocessing: arch.preprocessing.clone(),
            fields: recipe.fields,
            field_dropout: recipe.field_dropout,
        },
    )?;

    let weights = out.join("weights.safetensors");
    let start = Instant::now();
    let (mut last_loss, mut last_knn) = (f64::NAN, None);
    for (step, batch) in loader.enumerate() {
        let losses = step_losses(&model, recipe, input.as_ref(), batch?, &device)?;
        let loss = scalar(losses.total.clone());
        if !loss.is_finite() {
            return Err(reason(format!("the loss is {loss} at step {}", step + 1)));
        }
        let mut gradients = GradientsParams::from_grads(losses.total.backward(), &model);
        let gradient_norm = clip_global_norm(&model, &mut gradients, recipe.optimizer.clip_norm);
        let learning_rate = recipe.optimizer.rate(step, recipe.steps);
        model = optimizer.step(learning_rate, model, gradients);
        model.logit_scale = model.logit_scale.map(|scale| {
            Tensor::from_inner(scale.inner().clamp(0.0, MAX_LOGIT_SCALE)).require_grad()
        });

        let done = step + 1;
        let due = |every: usize| done.is_multiple_of(every) || done == recipe.steps;
        let knn = match &gauge {
            Some(gauge) if due(gauge.every) => {
                save_weights(&model, &weights)?;
                Some(gauge.measure(&model)?)
            }
            _ => None,
        };
        last_knn = knn.or(last_knn);
        last_loss = loss;
        let line = Progress {
            step: done,
            steps: recipe.steps,
            loss,
            simclr: losses.simclr.map(scalar),
            satmip: losses.satmip.map(scalar),
            logit_scale: scalar(model.logit_scale.val().exp()),
            gradient_norm,
            learning_rate,
            seconds: start.elapsed().as_secs_f64(),
            knn,
        };
        let json = serde_json::to_string(&line).map_err(to_error)?;
        writeln!(metrics, "{json}").map_err(|e| Error::io(&metrics_path, e))?;
        progress(&line);
    }
    save_weights(&model, &weights)?;
    let summary = Summary {
        steps: recipe.steps,
        chips,
        parameters,
        seconds: start.elapsed().as_secs_f64(),
        loss: last_loss,
        knn: last_knn,
    };
    // What `satmip export` puts into the bundle.
    let card = serde_json::json!({
        "id": recipe.id,
        "version": recipe.version,
        "licence": recipe.licence,
        "training": { "recipe": recipe, "summary": summary },
    });
    write(
        "card.json",
        serde_json::to_string_pretty(&card).map_err(to_error)?,
    )?;
    Ok(summary)
}

struct Losses {
    total: Tensor<1>,
    simclr: Option<Tensor<1>>,
    satmip: Option<Tensor<1>>,
}

/// The losses of a batch: the first view is SimCLR's first and SatMIP's only one.
fn step_losses(
    model: &SatMip,
    recipe: &Recipe,
    input: Option<&MetadataInput>,
    batch: Batch,
    device: &Device,
) -> Result<Losses> {
    let size = recipe.preprocessing.size;
    let features: Vec<Tensor<2>> = batch
        .views
        .into_iter()
        .map(|pixels| {
            let shape = [recipe.batch_size, 3, size, size];
            let images = Tensor::from_data(TensorData::new(pixels, shape), device);
            model.image_features(images)
        })
        .collect();
    let simclr = match (&model.simclr_head, &recipe.simclr, features.as_slice()) {
        (Some(head), Some(config), [first, second]) => {
            let project = |x: &Tensor<2>| unit_rows(head.forward(x.clone()));
            Some(nt_xent(project(first), project(second), config.temperature))
        }
        _ => None,
    };
    let satmip = match (input, features.first()) {
        (Some(input), Some(first)) => {
            let records = input.batch(&batch.metadata, recipe.fields, device)?;
            let rows = model
                .metadata_features(records)
                .and_then(|features| model.project_metadata(features));
            rows.map(|rows| {
                info_nce(
                    model.project_image(first.clone()),
                    rows,
                    model.logit_scale.val(),
                )
            })
        }
        _ => None,
    };
    let weighted = satmip.clone().map(|loss| match recipe.method {
        Method::Satmips => loss * recipe.lambda,
        _ => loss,
    });
    let total = match (simclr.clone(), weighted) {
        (Some(a), Some(b)) => a + b,
        (Some(a), None) => a,
        (None, Some(b)) => b,
        (None, None) => return Err(reason("the recipe has no loss".into())),
    };
    Ok(Losses {
        total,
        simclr,
        satmip,
    })
}

/// kNN on a validation split.
struct Gauge {
    every: usize,
    k: usize,
    size: usize,
    bank: Sample,
    queries: Sample,
}

/// Prepared pixels and labels.
struct Sample {
    pixels: Vec<Vec<f32>>,
    labels: Vec<usize>,
}

impl Gauge {
    fn new(config: &Validation, data: &Path, preprocessing: &Preprocessing) -> Result<Self> {
        let bank = ChipSet::open(&config.source, data, "train")?;
        let queries = ChipSet::open(&config.source, data, "val")?;
        let mut names: Vec<&str> = (0..bank.len()).map(|c| bank.label(c)).collect();
        names.sort_unstable();
        names.dedup();
        let sample = |chips: &ChipSet| -> Result<Sample> {
            let chosen = (0..chips.len()).step_by(chips.len().div_ceil(config.chips).max(1));
            let mut sample = Sample {
                pixels: Vec::new(),
                labels: Vec::new(),
            };
            for chip in chosen {
                sample
                    .pixels
                    .push(centre_view(&*chips.image(chip)?, preprocessing)?);
                // A label that training lacks can never be right.
                let label = names.binary_search(&chips.label(chip));
                sample.labels.push(label.unwrap_or(usize::MAX));
            }
            Ok(sample)
        };
        Ok(Self {
            every: config.every,
            k: config.k,
            size: preprocessing.size,
            bank: sample(&bank)?,
            queries: sample(&queries)?,
        })
    }

    /// Accuracy in percent.
    fn measure(&self, model: &SatMip) -> Result<f64> {
        let model = model.clone().valid();
        let device = model.logit_scale.val().device();
        let embed = |sample: &Sample| -> Result<(Vec<f32>, usize)> {
            let (mut rows, mut dim) = (Vec::new(), 0);
            for pixels in sample.pixels.chunks(256) {
                let shape = [pixels.len(), 3, self.size, self.size];
                let images = TensorData::new(pixels.concat(), shape);
                let features = model.image_features(Tensor::from_data(images, &device));
                dim = features.dims()[1];
                let data = unit_rows(features).into_data();
                rows.extend(
                    data.try_to_vec::<f32>()
                        .map_err(|e| reason(format!("{e:?}")))?,
                );
            }
            Ok((rows, dim))
        };
        let (bank, dim) = embed(&self.bank)?;
        let (queries, _) = embed(&self.queries)?;
        let (known, asked) = (&self.bank.labels, &self.queries.labels);
        Ok(100.0 * weighted_knn(&bank, known, &queries, asked, dim, self.k))
    }
}

fn scalar(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}

fn reason(reason: String) -> Error {
    Error::Training {
        reason,
        source: None,
    }
}

fn to_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Training {
        reason: "the run's description cannot be written".into(),
        source: Some(Box::new(error)),
    }
}
