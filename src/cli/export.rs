//! `satmip export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Exit;
use super::terminal::Terminal;
use crate::bundle;
use crate::error::Result;
use crate::export::{BundleFiles, Checkpoint, Precision};

/// Write a trained model as a bundle of ONNX graphs
///
/// The checkpoint is a folder with `arch.json`, `weights.safetensors`, for a text tower
/// `tokenizer.json`, and where they exist `card.json` (id, version, licence, training, metrics) and
/// `README.md`. The bundle needs none of our code to be used.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Folder of a checkpoint
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// Folder to write; it must not exist
    #[arg(short, long, value_name = "BUNDLE")]
    output: PathBuf,
    /// Precision of the weights
    #[arg(long, value_enum, default_value_t = PrecisionArg::F32)]
    precision: PrecisionArg,
    /// The model's name, in place of the card's
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The model's version, in place of the card's
    #[arg(long, value_name = "VERSION")]
    model_version: Option<String>,
    /// Licence of the weights (SPDX), in place of the card's
    #[arg(long, value_name = "LICENCE")]
    licence: Option<String>,
    /// Put the weights themselves into the bundle as well
    #[arg(long)]
    with_weights: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionArg {
    F32,
    F16,
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::F16 => Precision::F16Weights,
        }
    }
}

pub(super) fn run(args: ExportArgs, terminal: &Terminal) -> Result<Exit> {
    let checkpoint = Checkpoint::open(&args.checkpoint)?;
    let mut card = checkpoint.card().clone();
    card.id = args.id.or(card.id);
    card.version = args.model_version.or(card.version);
    card.licence = args.licence.or(card.licence);
    let checkpoint = checkpoint.with_card(card);
    let BundleFiles {
        manifest,
        mut files,
    } = checkpoint.export(args.precision.into())?;
    if args.with_weights {
        files.push((bundle::WEIGHTS, checkpoint.weights_file()?));
    }
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let parts: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    bundle::write(&args.output, manifest, &parts)?;
    terminal.say(&format!(
        "bundle of {} files, {:.1} MB, in `{}`",
        parts.len() + 1,
        size as f64 / 1e6,
        args.output.display()
    ));
    Ok(Exit::Done)
}
