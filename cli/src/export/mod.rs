//! `satmip export`.

#[cfg(feature = "eval")]
mod precision;
mod resize;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Exit;
use super::interrupt::Interrupt;
use super::terminal::Terminal;
use satmip::bundle::{self, Bundle};
use satmip::export::{Checkpoint, Precision};
use satmip::parts::aside;
use satmip::{Error, Result};

/// Write a trained model as a bundle of ONNX graphs, verify one, or write the graph that resizes
///
/// The checkpoint is a folder with `arch.json`, `weights.safetensors`, for a text tower
/// `tokenizer.json`, and where they exist `card.json` (id, version, licence, training, metrics) and
/// `README.md`; or a bundle, whose graphs hold the weights (f32 or f16-weights). The bundle that is written
/// needs none of our code to be used.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    command: Option<ExportCommand>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    Verify(verify::VerifyArgs),
    Resize(resize::ResizeArgs),
}

#[derive(Debug, Args)]
struct WriteArgs {
    /// Folder of a checkpoint or bundle
    #[arg(value_name = "CHECKPOINT", required = true)]
    checkpoint: Option<PathBuf>,
    /// Folder to write; it must not exist
    #[arg(short, long, value_name = "BUNDLE", required = true)]
    output: Option<PathBuf>,
    /// Precisions of the graphs, the first as `image.onnx`: f32, f16, f16-weights, int8, int8-weights
    #[arg(
        long,
        default_value = "f32",
        value_delimiter = ',',
        value_name = "NAME,.."
    )]
    precision: Vec<Precision>,
    /// Weight that int8 leaves in f32, and int8-weights if it is a convolution's (may be repeated)
    #[arg(long, value_name = "NAME")]
    keep: Vec<String>,
    #[cfg(feature = "eval")]
    #[command(flatten)]
    parity: precision::ParityArgs,
    /// How far the image tower goes back to the weights that its training began with, from 0 to 1
    ///
    /// A model that began with another network's weights and learned from some kinds of pictures forgets some
    /// of what it knew of others; the way between (WiSE-FT) often has most of both.
    #[arg(long, value_name = "SHARE")]
    first_weights: Option<f64>,
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

pub(super) fn run(args: ExportArgs, terminal: &Terminal) -> Result<Exit> {
    match args.command {
        Some(ExportCommand::Verify(args)) => verify::run(&args, terminal),
        Some(ExportCommand::Resize(args)) => resize::run(&args, terminal),
        None => write(args.write, terminal),
    }
}

fn write(args: WriteArgs, terminal: &Terminal) -> Result<Exit> {
    // clap asks for both, unless there is a subcommand.
    let missing = |what| Error::Argument {
        what,
        reason: "is missing".into(),
    };
    let checkpoint = args.checkpoint.ok_or_else(|| missing("CHECKPOINT"))?;
    let output = args.output.ok_or_else(|| missing("--output"))?;
    let _interrupt = Interrupt::watch(terminal, "");
    let checkpoint = match checkpoint.join(bundle::MANIFEST).is_file() {
        true => Checkpoint::of_bundle(&Bundle::open(&checkpoint)?)?,
        false => Checkpoint::open(&checkpoint)?,
    };
    let checkpoint = match args.first_weights {
        Some(share) => checkpoint.toward_first(share)?,
        None => checkpoint,
    };
    // Before hours of measuring.
    aside::absent(&output)?;
    let mut card = checkpoint.card().clone();
    card.id = args.id.or(card.id);
    card.version = args.model_version.or(card.version);
    card.licence = args.licence.or(card.licence);
    let checkpoint = checkpoint.with_card(card);
    #[cfg(feature = "eval")]
    let mut all = precision::export(
        &checkpoint,
        &args.precision,
        args.keep,
        &args.parity,
        terminal,
    )?;
    #[cfg(not(feature = "eval"))]
    let mut all = checkpoint.export_all(&args.precision, &args.keep)?;
    if args.with_weights {
        let weights = checkpoint.weights_file()?;
        all.files.push((bundle::WEIGHTS.to_owned(), weights));
    }
    let size: usize = all.files.iter().map(|(_, bytes)| bytes.len()).sum();
    let parts: Vec<(&str, &[u8])> = all.files.iter().map(|(n, b)| (&n[..], &b[..])).collect();
    bundle::write(&output, all.manifest, &parts)?;
    terminal.say(&format!(
        "bundle of {} files, {:.1} MB, in `{}`",
        parts.len() + 1,
        size as f64 / 1e6,
        output.display()
    ));
    Ok(Exit::Done)
}
