//! `satmip pretrain`, with the feature `train`.

use std::path::PathBuf;

use burn::prelude::Device;
use clap::Args;

use super::Exit;
use super::report::Report;
use super::terminal::{Terminal, duration};
use crate::embed;
use crate::error::Result;
use crate::train::{Progress, Recipe, pretrain};

/// Steps between two lines where standard error is no terminal.
const LINE_EVERY: usize = 20;

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
    #[arg(short, long, value_name = "RUN")]
    output: PathBuf,
    /// Change a value of the recipe, for example `steps=200` or `optimizer.learning_rate=3e-4`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: PretrainArgs, terminal: &Terminal) -> Result<Exit> {
    let recipe = Recipe::read_with(&args.config, &args.set)?;
    let chips = recipe.batch_size as u64;
    let mut meter = terminal.meter();
    let mut tell = |progress: &Progress| {
        meter.update(&embed::Progress {
            items: progress.step as u64 * chips,
            resumed: 0,
            total: Some(progress.steps as u64 * chips),
            skipped: 0,
        });
        if progress.knn.is_some() || progress.step.is_multiple_of(LINE_EVERY) {
            terminal.say(&describe(progress));
        }
    };
    let device = Device::flex();
    let options = crate::train::RunOptions::new(&args.data, &args.output);
    let summary = pretrain(&recipe, &options, &device, &mut tell)?;
    meter.finish();
    if args.json {
        let mut report = Report::open();
        report.json(&summary)?;
        report.finish()?;
    }
    terminal.say(&format!(
        "{} steps over {} chips in {}, {} weights in `{}`",
        summary.steps,
        summary.chips,
        duration(summary.seconds),
        summary.parameters,
        args.output.display()
    ));
    Ok(Exit::Done)
}

/// `step 300 of 1200: loss 7.912, kNN 71.3 %`.
fn describe(progress: &Progress) -> String {
    let knn = progress
        .knn
        .map(|knn| format!(", kNN {knn:.1} %"))
        .unwrap_or_default();
    format!(
        "step {} of {}: loss {:.3}{knn}",
        progress.step, progress.steps, progress.loss
    )
}
