//! `satmip pretrain`, with the feature `train`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::interrupt::Interrupt;
use super::output::Output;
use super::terminal::{Meter, Terminal, duration};
use super::{Exit, dry_run};
use satmip::Result;
use satmip_archive as embed;
use satmip_train::{Progress, Recipe, RunOptions, Summary, device, pretrain};

/// Train a model from a recipe: SimCLR, SatMIP or SatMIPS
///
/// The run's folder holds the recipe, the architecture, the tokenizer, `metrics.jsonl`, events for
/// TensorBoard, checkpoints, and at the end the weights and `curves.svg`; `satmip export` makes a bundle
/// of it or of a checkpoint. Ctrl-C finishes the step, saves and ends with exit code 130; `--resume` goes
/// on from there, in mid-epoch, to the same weights as an unbroken run.
#[derive(Debug, Args)]
pub(super) struct PretrainArgs {
    /// Recipe (TOML); see zoo/recipes
    #[arg(short, long, value_name = "RECIPE")]
    config: PathBuf,
    /// Folder with the archives and indices that the recipe names
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Folder to write; without `--resume` it must not exist
    #[arg(short, long, value_name = "RUN", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Change a value of the recipe, for example `steps=200` or `optimizer.learning_rate=3e-4`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train nothing; say what the data hold, what the model costs, and about how long it takes
    #[arg(long)]
    dry_run: bool,
    /// Go on where the run in the folder stopped, or begin where there is none
    #[arg(long)]
    resume: bool,
    /// Where to train: `cpu`, or in a build with that feature `cuda`, `wgpu` or `vulkan`; `cuda:1` is
    /// the second one
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Threads that read and draw chips; the number of cores by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Memory for decoded chips, in MB
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    cache: usize,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: PretrainArgs, terminal: &Terminal) -> Result<Exit> {
    let recipe = Recipe::read_with(&args.config, &args.set)?;
    let device = device(&args.device)?;
    let Some(output) = args.output.filter(|_| !args.dry_run) else {
        return dry_run::run(&recipe, &args.data, &device, args.json);
    };
    let mut watch = Watch::new(&recipe, terminal);
    let mut tell = |progress: &Progress| watch.update(progress);
    let mut options = RunOptions::new(args.data, &output);
    options.resume = args.resume;
    options.workers = args.workers.map_or(options.workers, usize::from);
    options.cache_bytes = args.cache.saturating_mul(1 << 20);
    let interrupt = Interrupt::watch(terminal, "");
    options.stop = interrupt.flag();
    let summary = pretrain(&recipe, &options, &device, &mut tell)?;
    watch.finish();
    if args.json {
        let mut report = Output::open();
        report.json(&summary)?;
        report.finish()?;
    }
    terminal.say(&describe(&summary, &output));
    Ok(match summary.interrupted {
        true => Exit::Interrupted,
        false => Exit::Done,
    })
}

fn describe(summary: &Summary, output: &Path) -> String {
    let knn = knn(summary.knn);
    if summary.interrupted {
        return format!(
            "interrupted after step {}; saved in `{}`, go on with `--resume`",
            summary.steps,
            output.display()
        );
    }
    let bad = match summary.bad_items {
        0 => String::new(),
        n => format!("; {n} items could not be read, see `bad_items.jsonl`"),
    };
    format!(
        "{} steps over {} chips in {}: loss {:.3}{knn}; {} weights in `{}`{bad}",
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
        let mut seen = embed::Progress::default();
        seen.items = chips(progress.step);
        seen.resumed = chips(before);
        seen.total = Some(chips(progress.steps));
        self.meter.update(&seen);
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
