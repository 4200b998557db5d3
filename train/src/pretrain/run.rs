//! The training loop: one for SimCLR, SatMIP and SatMIPS.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::prelude::Device;

use super::fields::check_fields;
use super::folder::RunFolder;
use super::gauge::Gauge;
use super::inputs::resolve;
use super::progress::Metrics;
use super::step::StepContext;
use super::tensorboard::EventWriter;
use super::training::Training;
use super::workers::Workers;
use super::{Progress, Recipe, Summary, reason};
use crate::data::{Loader, LoaderConfig};
use satmip::Result;
use satmip::arch::Arch;
use satmip::parts::threads::cores;
use satmip_eval::chips::ChipSet;

/// Where a run reads and writes, and what changes its speed but never its weights.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder of the sources that the recipe names.
    pub data: PathBuf,
    /// The run's folder.
    pub out: PathBuf,
    /// Go on where the run in `out` stopped, or begin where there is none. Without it, `out` must not
    /// exist.
    pub resume: bool,
    /// Threads that draw batches; on libtorch's CPU also those of its operations.
    pub workers: usize,
    /// Most bytes of decoded chips that are kept in memory.
    pub cache_bytes: usize,
    /// Set from outside to finish the step, save and return.
    pub stop: Arc<AtomicBool>,
}

impl RunOptions {
    /// A new run with as many loader threads as there are cores, and 1 GiB of decoded chips.
    pub fn new(data: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            out: out.into(),
            resume: false,
            workers: cores(),
            cache_bytes: 1 << 30,
            stop: Arc::default(),
        }
    }
}

/// Trains a recipe's model on the `train` split of its data. The run's folder gets
///
/// | file | what |
/// |---|---|
/// | `recipe.toml`, `arch.json`, `tokenizer.json` | what is trained, all values resolved |
/// | `metrics.jsonl`, `events.out.tfevents.*` | a line for each step, and the same for TensorBoard |
/// | `bad_items.jsonl` | items that could not be read, with the reason |
/// | `dropped_fields.json` | fields that could not follow their pixels in a view, with reason and number |
/// | `checkpoints/` | the run's state, and the weights with the best kNN |
/// | `weights.safetensors`, `card.json` | at the end: what `satmip export` reads |
/// | `summary.json`, `curves.svg` | at the end |
///
/// The same recipe and data give the same weights on the CPU, for any number of workers and however often
/// the run was interrupted and resumed. First weights, views and dropout are the same on every device.
///
/// # Errors
/// Where the data cannot be read, `out` exists or cannot be written, a checkpoint is damaged or of another
/// recipe, more than the recipe's number of items are bad, or the loss is not finite. The last names the
/// batch's items in `bad_batch.json`.
pub fn pretrain(
    recipe: &Recipe,
    options: &RunOptions,
    device: &Device,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary> {
    recipe.validate()?;
    let sets = recipe.open(&options.data)?;
    let records = sets.iter().flat_map(ChipSet::records);
    if recipe.method.uses_metadata() {
        check_fields(recipe.fields, records.clone())?;
    }
    let (arch, input) = resolve(recipe, records)?;
    let gauge = match &recipe.validation {
        Some(v) => Some(Gauge::new(v, &options.data, &arch.preprocessing)?),
        None => None,
    };
    let folder = RunFolder::open(recipe, &arch, input.as_ref(), options)?;
    let mut training = Training::new(recipe, &arch, &folder, device)?;
    let (metrics, lines) = Metrics::open(folder.path("metrics.jsonl"), training.step)?;
    let mut record = Record {
        events: match training.step {
            0 => EventWriter::create(&folder.out)?,
            done => EventWriter::resume(&folder.out, done as u64 + 1)?,
        },
        metrics,
        lines,
    };

    let chips = sets.iter().map(ChipSet::len).sum();
    let sets = Arc::new(sets);
    let loader_config = loader_config(recipe, &arch, &sets, options, training.step);
    let mut loader = Loader::start(Arc::clone(&sets), loader_config)?;
    let input = input.map(Arc::new);
    let workers = Workers::on(device, recipe.image_passes(), options.workers);
    let context = StepContext {
        recipe,
        input: input.as_ref(),
        device: &training.device.clone(),
        workers: workers.as_ref(),
    };
    let mut waiting = Instant::now();
    let mut interrupted = options.stop.load(Ordering::Relaxed);
    while !interrupted && training.step < recipe.steps {
        let Some(batch) = loader.next() else {
            return Err(reason("the loader ended before the last step".into()));
        };
        let waited = waiting.elapsed();
        let mut line = training.advance(batch?, &context, &sets, &folder)?;
        line.waited = waited.as_secs_f64();
        line.bad_items = loader.bad_items().len();
        if let Some(gauge) = &gauge
            && training.due(gauge.every)
        {
            line.knn = Some(gauge.measure(training.exported())?);
        }
        line.seconds = training.seconds();
        record.add(&line)?;
        training.note_knn(line.knn, &folder)?;
        interrupted = options.stop.load(Ordering::Relaxed);
        if interrupted || training.due(recipe.checkpoint.every) {
            folder.write_bad_items(&loader)?;
            folder.checkpoints.save(&training.state())?;
        }
        progress(&line);
        waiting = Instant::now();
    }

    let summary = Summary {
        steps: training.step,
        interrupted: training.step < recipe.steps,
        chips,
        parameters: training.parameters(),
        seconds: training.seconds(),
        loss: record.lines.last().map_or(f64::NAN, |line| line.loss),
        knn: record.lines.iter().rev().find_map(|line| line.knn),
        best_knn: training.best,
        bad_items: loader.bad_items().len(),
    };
    if !summary.interrupted {
        folder.write_bad_items(&loader)?;
        folder.finish(recipe, &training, &summary, &record.lines)?;
    }
    Ok(summary)
}

/// What the loader draws: two views, one for SatMIP alone, three without view coupling.
fn loader_config(
    recipe: &Recipe,
    arch: &Arch,
    sets: &[ChipSet],
    options: &RunOptions,
    done: usize,
) -> LoaderConfig {
    let mut views = vec![recipe.views.clone(); recipe.method.views()];
    // Without coupling, the last view is SatMIP's own.
    views.resize(recipe.image_passes(), recipe.satmip_views.clone());
    let coupled = views.len() == recipe.method.views();
    let sources = sets.iter().zip(&recipe.data);
    let per_epoch = sources.map(|(set, source)| source.of_epoch(set.len()));
    LoaderConfig {
        seed: recipe.seed,
        batch_size: recipe.batch_size,
        steps: done..recipe.steps,
        metadata_view: if coupled { 0 } else { views.len() - 1 },
        views,
        preprocessing: arch.preprocessing.clone(),
        fields: recipe.fields,
        metadata_follow_views: recipe.metadata_follow_views,
        field_dropout: recipe.field_dropout,
        per_epoch: per_epoch.collect(),
        workers: options.workers,
        cache_bytes: options.cache_bytes,
        max_bad_items: recipe.max_bad_items,
    }
}

/// What is written of each step.
struct Record {
    events: EventWriter,
    metrics: Metrics,
    lines: Vec<Progress>,
}

impl Record {
    fn add(&mut self, line: &Progress) -> Result<()> {
        self.metrics.write(line)?;
        let curves = [
            ("loss/total", Some(line.loss)),
            ("loss/simclr", line.simclr),
            ("loss/satmip", line.satmip),
            ("loss/distill", line.distill),
            ("knn", line.knn),
            ("optimizer/learning_rate", Some(line.learning_rate)),
            ("optimizer/gradient_norm", Some(line.gradient_norm)),
            ("logit_scale", Some(line.logit_scale)),
            ("seconds/waited", Some(line.waited)),
        ];
        for (tag, value) in curves {
            if let Some(value) = value {
                self.events.scalar(tag, line.step as u64, value as f32)?;
            }
        }
        if line.knn.is_some() {
            self.events.flush()?;
        }
        self.lines.push(line.clone());
        Ok(())
    }
}
