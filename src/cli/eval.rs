//! `satmip eval`.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::Exit;
use super::model::ModelArgs;
use super::report::Report as Output;
use super::terminal::Terminal;
use crate::embed::Progress;
use crate::embedder::Embedder;
use crate::error::{Error, Result};
use crate::eval::probe::Sgd;
use crate::eval::report::{
    FeatureSummary, card_block, confusion_svg, headings, replace_block, rows, scores_svg,
};
use crate::eval::{
    Asked, DESCRIPTIONS, DataSet, Description, Encoder, Evaluation, Extracted, FeatureKind,
    LinearConfig, Report, Solver, Split, SplitRule, extract, read_stored, retrieval, zero_shot,
};
use crate::export::{Checkpoint, Precision};
use crate::metadata::FieldSet;
use crate::zoo;

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

#[derive(Debug, Args)]
struct CommonArgs {
    /// Name of a known data set, or a description (TOML)
    #[arg(long, value_name = "DATA")]
    data: String,
    /// Folder that the description's paths are in [default: the description's, or here]
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Another split than the description's
    #[arg(long, value_enum, value_name = "RULE")]
    split: Option<SplitArg>,
    /// Seed of a split that is drawn
    #[arg(long, default_value_t = 0, value_name = "N", requires = "split")]
    split_seed: u64,
    /// Split that figures are about: test or val
    #[arg(long, default_value = "test", value_name = "SPLIT")]
    on: Split,
    /// Seed of random weights and draws
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// Figure of the scores over k or shots (SVG)
    #[arg(long, value_name = "SVG")]
    figure: Option<PathBuf>,
    /// Figure of the confusion matrix (SVG)
    #[arg(long, value_name = "SVG")]
    confusion: Option<PathBuf>,
    /// Model card (Markdown) whose block `eval:start` to `eval:end` becomes this report
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EncoderArg {
    /// The model as it is
    Trained,
    /// The same towers with random weights
    Untrained,
    /// No model: colour means of pictures, metadata as they are
    Raw,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SolverArg {
    /// Logistic regression with an L2 penalty
    Lbfgs,
    /// The probe of SimCLR, without a penalty
    Sgd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitArg {
    /// As the source says
    Given,
    /// Chip by chip; leaks where chips have neighbours
    Random,
    /// Blocks of 1 degree
    Blocks,
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
        TaskArgs::Zeroshot { field, common } => {
            let (data, model) = (common.open()?, common.load(EncoderArg::Trained)?);
            let found = run_encoder(&data, Encoder::Embeds(&model), FeatureKind::Image, terminal)?;
            let about = about(EncoderArg::Trained, &model.manifest().id);
            let report = zero_shot(&data, &found, &model, &field, common.on, about)?;
            common.show(report, found.bad.len(), terminal)
        }
        TaskArgs::Retrieval { common } => {
            let (data, model) = (common.open()?, common.load(EncoderArg::Trained)?);
            let found = run_encoder(&data, Encoder::Embeds(&model), FeatureKind::Both, terminal)?;
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
            let found = run_encoder(&data, encoder, args.features, terminal)?;
            (found, about(args.encoder, ""))
        }
        (None, encoder) => {
            let model = common.load(encoder)?;
            let found = run_encoder(&data, Encoder::Features(&model), args.features, terminal)?;
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
    terminal: &Terminal,
) -> Result<Extracted> {
    let mut meter = terminal.meter_of("chips");
    let found = extract(data, encoder, kind, &mut |done| {
        meter.update(&Progress {
            items: done as u64,
            total: Some(data.len() as u64),
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

impl CommonArgs {
    fn open(&self) -> Result<DataSet> {
        let path = Path::new(&self.data);
        let known = DESCRIPTIONS.iter().find(|(name, _)| *name == self.data);
        let (mut description, folder) = match known {
            _ if path.is_file() => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                (Description::read(path)?, folder)
            }
            Some((name, text)) => (Description::parse(text, name)?, PathBuf::new()),
            None => {
                let names: Vec<&str> = DESCRIPTIONS.iter().map(|(name, _)| *name).collect();
                return Err(Error::Argument {
                    what: "--data",
                    reason: format!(
                        "`{}` is no file, and none of {}",
                        self.data,
                        names.join(", ")
                    ),
                });
            }
        };
        let seed = self.split_seed;
        match self.split {
            None => {}
            Some(SplitArg::Given) => description.split = SplitRule::default(),
            Some(SplitArg::Random) => description.split = SplitRule::random(seed),
            Some(SplitArg::Blocks) => description.split = SplitRule::blocks(seed),
        }
        DataSet::open(&description, self.root.as_deref().unwrap_or(&folder))
    }

    /// The model: a bundle, or a checkpoint that is exported in memory.
    fn load(&self, encoder: EncoderArg) -> Result<Embedder> {
        let path = Path::new(&self.model.model);
        let checkpoint = match Checkpoint::is_at(path) {
            true => Some(Checkpoint::open(path)?),
            false => None,
        };
        let bundle = match checkpoint {
            Some(checkpoint) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let files = checkpoint.named(&name).export(Precision::F32)?;
                files.in_memory(&self.model.model)?
            }
            None => zoo::resolve(&self.model.model)?,
        };
        let bundle = match encoder {
            EncoderArg::Untrained => {
                let untrained = Checkpoint::untrained(&bundle, self.seed)?;
                untrained.export(Precision::F32)?.in_memory("untrained")?
            }
            EncoderArg::Trained | EncoderArg::Raw => bundle,
        };
        self.model.load_bundle(bundle)
    }

    fn show(&self, report: Report, bad: usize, terminal: &Terminal) -> Result<Exit> {
        let write =
            |path: &Path, text: String| fs::write(path, text).map_err(|e| Error::io(path, e));
        if let Some(path) = &self.figure {
            write(path, scores_svg(std::slice::from_ref(&report))?)?;
        }
        if let Some(path) = &self.confusion {
            write(path, confusion_svg(&report)?)?;
        }
        if let Some(path) = &self.card {
            let card = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
            let block = card_block(std::slice::from_ref(&report))?;
            write(path, replace_block(&card, &block)?)?;
        }
        let mut out = Output::open();
        if self.json {
            out.json(&report)?;
        } else {
            let (data, features) = (&report.data, &report.features);
            let [train, val, test] = data.chips;
            terminal.say(&format!(
                "{} ({}): {train} train, {val} val, {test} test; {} classes; {} of {} {}, {} wide",
                data.name,
                data.split,
                data.classes.len(),
                features.encoder,
                features.kind,
                features.model,
                features.dim
            ));
            out.table(&headings(&report), &rows(&report))?;
        }
        out.finish()?;
        for note in &report.notes {
            terminal.say(&format!("note: {note}"));
        }
        Ok(Exit::of(bad as u64))
    }
}
