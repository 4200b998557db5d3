//! `satmip eval`.

mod common;
mod summary;

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub(in crate::cli) use self::common::describe;
use self::common::{CommonArgs, EncoderArg};
use super::Exit;
use super::terminal::Terminal;
use crate::embed::Progress;
use crate::error::Result;
use crate::eval::probe::Sgd;
use crate::eval::report::FeatureSummary;
use crate::eval::{
    Asked, DataSet, Encoder, Evaluation, Extracted, FeatureKind, LinearConfig, Report, Solver,
    Split, extract, read_stored, retrieval, zero_shot,
};
use crate::metadata::FieldSet;

/// Measure what a representation is worth on labelled chips
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
        /// Values of C to choose from [default: 1e-4 to 1e2 in half decades]
        #[arg(
            long,
            value_delimiter = ',',
            value_name = "C",
            conflicts_with = "epochs"
        )]
        grid: Option<Vec<f64>>,
        /// Epochs of SGD
        #[arg(long, default_value_t = Sgd::default().epochs, value_name = "N")]
        epochs: usize,
        /// Seeds of SGD
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = positive)]
        seeds: usize,
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
        #[arg(long, default_value_t = 5, value_name = "N", value_parser = positive)]
        seeds: usize,
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

pub(super) fn run(args: EvalArgs, terminal: &Terminal) -> Result<Exit> {
    match args.task {
        TaskArgs::Knn {
            k,
            features,
            common,
        } => classify(&features, common, terminal, |e, _| e.knn(&k)),
        TaskArgs::Linear {
            solver,
            grid,
            epochs,
            seeds,
            features,
            common,
        } => {
            let solver = match solver {
                SolverArg::Lbfgs => Solver::Lbfgs { grid },
                SolverArg::Sgd => Solver::Sgd(Sgd {
                    epochs,
                    ..Sgd::default()
                }),
            };
            classify(&features, common, terminal, |evaluation, seed| {
                evaluation.linear(&LinearConfig {
                    solver: solver.clone(),
                    seed,
                    seeds,
                })
            })
        }
        TaskArgs::Fewshot {
            shots,
            seeds,
            features,
            common,
        } => classify(&features, common, terminal, |e, _| {
            e.few_shot(&shots, seeds)
        }),
        TaskArgs::Summary(args) => summary::run(&args, terminal),
        TaskArgs::Zeroshot { field, common } => {
            let data = common.open_unlabelled()?;
            let model = common.load(EncoderArg::Trained, terminal)?;
            let (encoder, splits) = (Encoder::Embeds(&model), [Split::Train, common.on]);
            let found = run_encoder(&data, encoder, FeatureKind::Image, &splits, terminal)?;
            let about = about(EncoderArg::Trained, &model.manifest().id);
            let report = zero_shot(&data, &found, &model, &field, common.on, about)?;
            common.show(report, found.bad.len(), terminal)
        }
        TaskArgs::Retrieval { common } => {
            let data = common.open_unlabelled()?;
            let model = common.load(EncoderArg::Trained, terminal)?;
            let (encoder, splits) = (Encoder::Embeds(&model), [common.on]);
            let found = run_encoder(&data, encoder, FeatureKind::Both, &splits, terminal)?;
            let about = about(EncoderArg::Trained, &model.manifest().id);
            let report = retrieval(&data, &found, common.on, about)?;
            common.show(report, found.bad.len(), terminal)
        }
    }
}

/// Extracts features and asks about them.
fn classify(
    args: &FeatureArgs,
    common: CommonArgs,
    terminal: &Terminal,
    ask: impl FnOnce(&Evaluation<'_>, u64) -> Result<Report>,
) -> Result<Exit> {
    let data = common.open()?;
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
            let found = run_encoder(&data, encoder, args.features, &Split::ALL, terminal)?;
            (found, about(args.encoder, ""))
        }
        (None, encoder) => {
            let model = common.load(encoder, terminal)?;
            let found = run_encoder(
                &data,
                Encoder::Features(&model),
                args.features,
                &Split::ALL,
                terminal,
            )?;
            (found, about(encoder, &model.manifest().id))
        }
    };
    let bad = found.bad.len();
    let evaluation = Evaluation::new(&data, found, args.features, common.on, about)?;
    let report = ask(&evaluation, common.seed)?;
    common.show(report, bad, terminal)
}

fn run_encoder(
    data: &DataSet,
    encoder: Encoder<'_>,
    kind: FeatureKind,
    splits: &[Split],
    terminal: &Terminal,
) -> Result<Extracted> {
    let mut meter = terminal.meter_of("chips");
    let total = splits.iter().map(|split| data.rows(*split).len() as u64);
    let total = Some(total.sum());
    let found = extract(data, encoder, kind, splits, &mut |done| {
        meter.update(&Progress {
            items: done as u64,
            total,
            ..Progress::default()
        });
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
    };
    FeatureSummary {
        kind: String::new(),
        encoder: encoder.into(),
        model: model.into(),
        dim: 0,
    }
}
