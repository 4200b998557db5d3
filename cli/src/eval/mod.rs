//! `satmip eval`.

mod audit;
mod common;
#[cfg(feature = "train")]
mod imagenet;
mod summary;

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use self::common::describe;
use self::common::{CommonArgs, EncoderArg, Figures};
use super::Exit;
use super::interrupt::Interrupt;
use super::terminal::Terminal;
use satmip::embedder::Embedder;
use satmip::metadata::FieldSet;
use satmip::{Error, Result};
use satmip_archive::Progress;
use satmip_eval::probe::Sgd;
use satmip_eval::report::FeatureSummary;
use satmip_eval::{
    Asked, DataSet, Encoder, Evaluation, Extracted, Extraction, FeatureKind, LinearConfig, Report,
    Solver, Split, extract, read_stored, retrieval, zero_shot,
};

/// Most draws of an evaluation.
const MOST_DRAWS: usize = 1000;

/// Measure what a representation is worth on labelled chips
///
/// Retrieval, zero-shot questions and audits need no labels.
///
/// DATA is the name of a known data set or a description file (TOML: source, split, labels). Classifiers
/// learn from its split `train`; figures are about `test`.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(subcommand)]
    task: TaskArgs,
}

#[derive(Debug, Subcommand)]
enum TaskArgs {
    /// Weighted k nearest neighbours, with DINO's votes
    Knn {
        /// Numbers of neighbours; 20 is the headline
        #[arg(short, value_delimiter = ',', default_values_t = [10, 20, 100, 200], value_name = "K",
              value_parser = positive)]
        k: Vec<usize>,
        /// Figure of the scores over k (SVG)
        #[arg(long, value_name = "SVG")]
        figure: Option<PathBuf>,
        /// Figure of the confusion matrix (SVG)
        #[arg(long, value_name = "SVG")]
        confusion: Option<PathBuf>,
        #[command(flatten)]
        features: FeatureArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// A linear classifier; its regularisation is chosen on the validation split
    Linear {
        /// How it is fitted
        #[arg(long, value_enum, default_value_t = SolverArg::Lbfgs, value_name = "SOLVER")]
        solver: SolverArg,
        /// Values of C to choose from, of L-BFGS [default: 1e-4 to 1e2 in half decades]
        #[arg(long, value_delimiter = ',', value_name = "C")]
        grid: Option<Vec<f64>>,
        /// Epochs of SGD [default: 90]
        #[arg(long, value_name = "N")]
        epochs: Option<usize>,
        /// Seeds of SGD [default: 1]
        #[arg(long, value_name = "N", value_parser = draws)]
        seeds: Option<usize>,
        /// Figure of the confusion matrix (SVG)
        #[arg(long, value_name = "SVG")]
        confusion: Option<PathBuf>,
        #[command(flatten)]
        features: FeatureArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// A linear classifier on a few chips of each class, drawn several times
    Fewshot {
        /// Chips of each class
        #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 10, 50], value_name = "N",
              value_parser = positive)]
        shots: Vec<usize>,
        /// Draws
        #[arg(long, default_value_t = 5, value_name = "N", value_parser = draws)]
        seeds: usize,
        /// Figure of the scores over shots (SVG)
        #[arg(long, value_name = "SVG")]
        figure: Option<PathBuf>,
        #[command(flatten)]
        features: FeatureArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Which value of a metadata field fits each picture
    Zeroshot {
        /// Fields: season, country_code, sensor_platform, gsd, ..
        #[arg(long, value_delimiter = ',', required = true, value_name = "FIELD")]
        field: Vec<Asked>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// The own metadata of a picture among all, and the other way round
    Retrieval {
        #[command(flatten)]
        common: CommonArgs,
    },
    Audit(audit::AuditArgs),
    Summary(summary::SummaryArgs),
}

/// What stands for a chip.
#[derive(Debug, Args)]
struct FeatureArgs {
    /// What is known of a chip: image, metadata or both
    #[arg(long, default_value = "image", value_name = "WHICH")]
    features: FeatureKind,
    /// What makes numbers of it
    #[arg(long, value_enum, default_value_t = EncoderArg::Trained, value_name = "ENCODER",
          conflicts_with = "embeddings")]
    encoder: EncoderArg,
    /// Stored vectors in place of a model's: .npy with .ids.jsonl, .parquet, or a folder of parts
    #[arg(long, value_name = "PATH")]
    embeddings: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SolverArg {
    /// Logistic regression with an L2 penalty
    Lbfgs,
    /// The probe of SimCLR, without a penalty
    Sgd,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be above 0".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

fn draws(text: &str) -> Result<usize, String> {
    match positive(text)? {
        draws @ ..=MOST_DRAWS => Ok(draws),
        _ => Err(format!("must be {MOST_DRAWS} at most")),
    }
}

/// The solver of a probe; options of the other one are refused.
fn solver(
    solver: SolverArg,
    grid: Option<Vec<f64>>,
    epochs: Option<usize>,
    seeds: Option<usize>,
) -> Result<Solver> {
    let refuse = |what: &'static str, reason: &str| {
        Err(Error::Argument {
            what,
            reason: reason.into(),
        })
    };
    match solver {
        SolverArg::Sgd if grid.is_some() => refuse("grid", "SGD has no penalty to choose"),
        SolverArg::Sgd => Ok(Solver::Sgd(Sgd {
            epochs: epochs.unwrap_or(Sgd::default().epochs),
            ..Sgd::default()
        })),
        SolverArg::Lbfgs if epochs.is_some() => {
            refuse("epochs", "L-BFGS has none; they are of `--solver sgd`")
        }
        SolverArg::Lbfgs if seeds.is_some() => {
            refuse("seeds", "L-BFGS draws nothing; they are of `--solver sgd`")
        }
        SolverArg::Lbfgs => Ok(Solver::Lbfgs { grid }),
    }
}

pub(super) fn run(args: EvalArgs, terminal: &Terminal) -> Result<Exit> {
    let _interrupt = Interrupt::watch(terminal, "");
    match args.task {
        TaskArgs::Knn {
            k,
            figure,
            confusion,
            features,
            common,
        } => {
            let figures = Figures {
                scores: figure.as_deref(),
                confusion: confusion.as_deref(),
                overwrite: common.overwrite,
            };
            classify(&features, &figures, common, terminal, |e, _| e.knn(&k))
        }
        TaskArgs::Linear {
            solver: method,
            grid,
            epochs,
            seeds,
            confusion,
            features,
            common,
        } => {
            let solver = solver(method, grid, epochs, seeds)?;
            let figures = Figures {
                confusion: confusion.as_deref(),
                overwrite: common.overwrite,
                ..Figures::default()
            };
            classify(&features, &figures, common, terminal, |evaluation, seed| {
                evaluation.linear(&LinearConfig {
                    solver,
                    seed,
                    seeds: seeds.unwrap_or(1),
                })
            })
        }
        TaskArgs::Fewshot {
            shots,
            seeds,
            figure,
            features,
            common,
        } => {
            let figures = Figures {
                scores: figure.as_deref(),
                overwrite: common.overwrite,
                ..Figures::default()
            };
            classify(&features, &figures, common, terminal, |e, seed| {
                e.few_shot(&shots, seed, seeds)
            })
        }
        TaskArgs::Audit(args) => audit::run(&args, terminal),
        TaskArgs::Summary(args) => summary::run(&args, terminal),
        TaskArgs::Zeroshot { field, common } => {
            let splits = [Split::Train, common.on];
            let (data, model, found) = embed(&common, FeatureKind::Image, &splits, terminal)?;
            let about = about(EncoderArg::Trained, &model.manifest().id);
            let report = zero_shot(&data, &found, &model, &field, common.on, about)?;
            common.show(report, &Figures::default(), found.bad.len(), terminal)
        }
        TaskArgs::Retrieval { common } => {
            let splits = [common.on];
            let (data, model, found) = embed(&common, FeatureKind::Both, &splits, terminal)?;
            let about = about(EncoderArg::Trained, &model.manifest().id);
            let report = retrieval(&data, &found, common.on, about)?;
            common.show(report, &Figures::default(), found.bad.len(), terminal)
        }
    }
}

/// Unit rows of some splits, labels or not.
fn embed(
    common: &CommonArgs,
    kind: FeatureKind,
    splits: &[Split],
    terminal: &Terminal,
) -> Result<(DataSet, Embedder, Extracted)> {
    let data = common.open(DataSet::open_unlabelled)?;
    let model = common.load(EncoderArg::Trained, terminal)?;
    let wanted = Extraction {
        kind,
        splits: splits.into(),
        workers: common.workers(),
    };
    let found = run_encoder(&data, Encoder::Embeds(&model), &wanted, terminal)?;
    Ok((data, model, found))
}

/// Extracts features and asks about them.
fn classify(
    args: &FeatureArgs,
    figures: &Figures<'_>,
    common: CommonArgs,
    terminal: &Terminal,
    ask: impl FnOnce(&Evaluation<'_>, u64) -> Result<Report>,
) -> Result<Exit> {
    figures.check()?;
    let data = common.open(DataSet::open)?;
    let wanted = Extraction {
        workers: common.workers(),
        ..Extraction::of(args.features)
    };
    let (found, about) = match (&args.embeddings, args.encoder) {
        (Some(path), _) => {
            let found = read_stored(&data, path, args.features)?;
            let about = FeatureSummary {
                encoder: "stored".into(),
                model: path.display().to_string(),
                ..about(args.encoder, "")
            };
            (found, about)
        }
        (None, EncoderArg::Raw) => {
            let encoder = Encoder::Raw(FieldSet::ALL);
            let found = run_encoder(&data, encoder, &wanted, terminal)?;
            (found, about(args.encoder, ""))
        }
        (None, encoder) => {
            let model = common.load(encoder, terminal)?;
            let found = run_encoder(&data, Encoder::Features(&model), &wanted, terminal)?;
            (found, about(encoder, &model.manifest().id))
        }
    };
    let bad = found.bad.len();
    let evaluation = Evaluation::new(&data, found, args.features, common.on, about)?;
    let report = ask(&evaluation, common.seed)?;
    common.show(report, figures, bad, terminal)
}

fn run_encoder(
    data: &DataSet,
    encoder: Encoder<'_>,
    wanted: &Extraction,
    terminal: &Terminal,
) -> Result<Extracted> {
    let mut meter = terminal.meter_of("chips");
    let total = wanted
        .splits
        .iter()
        .map(|split| data.rows(*split).len() as u64);
    let total = Some(total.sum());
    let found = extract(data, encoder, wanted, &mut |done| {
        let mut progress = Progress::default();
        (progress.items, progress.total) = (done as u64, total);
        meter.update(&progress);
        ControlFlow::Continue(())
    })?;
    meter.finish();
    Ok(found)
}

/// What the features are; their kind and width are filled in by the evaluation.
fn about(encoder: EncoderArg, model: &str) -> FeatureSummary {
    let encoder = match encoder {
        EncoderArg::Trained => "trained",
        EncoderArg::Untrained => "untrained",
        EncoderArg::Raw => "raw",
        #[cfg(feature = "train")]
        EncoderArg::ImagenetLite0 => "imagenet-lite0",
    };
    FeatureSummary {
        kind: String::new(),
        encoder: encoder.into(),
        model: model.into(),
        dim: 0,
    }
}
