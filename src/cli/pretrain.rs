//! `satmip pretrain`, with the feature `train`.

use std::path::{Path, PathBuf};

use burn::prelude::Device;
use clap::Args;

use super::report::Report;
use super::terminal::{Meter, Terminal, duration};
use super::{Exit, dry_run};
use crate::embed;
use crate::error::Result;
use crate::train::{Progress, Recipe, Summary, pretrain};

/// Train a model from a recipe, on the CPU
///
/// The run's folder holds the recipe, the architecture, the tokenizer, `metrics.jsonl` and the
/// weights; `satmip export` makes a bundle of it. Everything random follows from the recipe's
/// seed: the same recipe and data give the same weights.
#[derive(Debug, Args)]
pub(super) struct PretrainArgs {
    /// Recipe (TOML); see zoo/recipes
    #[arg(short, long, value_name = "RECIPE")]
    config: PathBuf,
    /// Folder with the archives and indices that the recipe names
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Folder to write; it must not exist
    #[arg(short, long, value_name = "RUN", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Change a value of the recipe, for example `steps=200` or `optimizer.learning_rate=3e-4`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train nothing; say what the data hold, what the model costs, and about how long it takes
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: PretrainArgs, terminal: &Terminal) -> Result<Exit> {
    let recipe = Recipe::read_with(&args.config, &args.set)?;
    let device = Device::flex();
    let Some(output) = args.output.filter(|_| !args.dry_run) else {
        return dry_run::run(&recipe, &args.data, &device, args.json);
    };
    let mut watch = Watch::new(&recipe, terminal);
    let mut tell = |progress: &Progress| watch.update(progress);
    let summary = pretrain(&recipe, &args.data, &output, &device, &mut tell)?;
    watch.finish();
    if args.json {
        let mut report = Report::open();
        report.json(&summary)?;
        report.finish()?;
    }
    terminal.say(&describe(&summary, &output));
    Ok(Exit::Done)
}

fn describe(summary: &Summary, output: &Path) -> String {
    let knn = knn(summary.knn);
    format!(
        "{} steps over {} chips in {}: loss {:.3}{knn}; {} weights in `{}`",
        summary.steps,
        summary.chips,
        duration(summary.seconds),
        summary.loss,
        summary.parameters,
        output.display()
    )
}

/// Shows how a run goes on: loss, images per second and the time that is left; and each accuracy
/// on a line of its own.
struct Watch<'a> {
    terminal: &'a Terminal,
    meter: Meter<'a>,
    /// Chips of a step.
    chips: u64,
    /// Steps that were done before, where the run goes on.
    before: Option<usize>,
    knn: Option<f64>,
}

impl<'a> Watch<'a> {
    fn new(recipe: &Recipe, terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            meter: terminal.meter_of("images"),
            chips: recipe.batch_size as u64,
            before: None,
            knn: None,
        }
    }

    fn update(&mut self, progress: &Progress) {
        let first = progress.step.saturating_sub(1);
        let before = *self.before.get_or_insert(first);
        self.knn = progress.knn.or(self.knn);
        let about = format!("loss {:.3}{}", progress.loss, knn(self.knn));
        let chips = |steps: usize| steps as u64 * self.chips;
        self.meter.about(about.clone());
        self.meter.update(&embed::Progress {
            items: chips(progress.step),
            resumed: chips(before),
            total: Some(chips(progress.steps)),
            skipped: 0,
        });
        if progress.knn.is_some() {
            let (step, steps) = (progress.step, progress.steps);
            self.terminal
                .say(&format!("step {step} of {steps}: {about}"));
        }
    }

    fn finish(self) {
        self.meter.finish();
    }
}

/// `, kNN 71.3 %`, where it was measured.
fn knn(percent: Option<f64>) -> String {
    percent.map_or(String::new(), |percent| format!(", kNN {percent:.1} %"))
}
