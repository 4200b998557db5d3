//! `satmip export`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Exit;
use super::terminal::Terminal;
use crate::arch::{Arch, MetadataTower, names};
use crate::bundle::{self, BundleManifest};
use crate::error::{Error, Result};
use crate::export::{ExportOptions, Precision, Weights, export_image, export_metadata};

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

/// What a model says of itself, `card.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Card {
    id: Option<String>,
    version: Option<String>,
    licence: Option<String>,
    training: serde_json::Value,
    metrics: serde_json::Value,
}

pub(super) fn run(args: ExportArgs, terminal: &Terminal) -> Result<Exit> {
    let from = &args.checkpoint;
    let arch: Arch = json(&from.join("arch.json"))?.ok_or_else(|| missing(from, "arch.json"))?;
    arch.validate()?;
    let card: Card = json(&from.join("card.json"))?.unwrap_or_default();
    let given = |flag: &Option<String>, card: Option<String>, name: &str| {
        flag.clone().or(card).ok_or_else(|| Error::Argument {
            what: "card",
            reason: format!("there is no {name}: give `--{name}`, or `card.json`"),
        })
    };
    let id = given(&args.id, card.id, "id")?;
    let version = given(&args.model_version, card.version, "model-version")?;
    let licence = given(&args.licence, card.licence, "licence")?;
    let weights_path = from.join(bundle::WEIGHTS);
    let weights = Weights::open(&weights_path)?;
    let precision = Precision::from(args.precision);
    let logit_scale = match &arch.metadata {
        Some(_) => f64::from(weights.numbers(names::LOGIT_SCALE, &[1])?[0]).exp(),
        None => 1.0,
    };
    let manifest = BundleManifest {
        format: bundle::FORMAT,
        id: id.clone(),
        version: version.clone(),
        arch: arch.clone(),
        logit_scale,
        licence: licence.clone(),
        precision: precision.name().to_owned(),
        training: card.training,
        metrics: card.metrics,
        files: Default::default(),
    };
    let about = serde_json::to_string(&manifest).map_err(|e| Error::Export {
        what: "the manifest".into(),
        reason: e.to_string(),
        source: Some(e.into()),
    })?;
    let options = ExportOptions {
        precision,
        properties: vec![
            ("satmip.id".into(), id),
            ("satmip.version".into(), version),
            ("satmip.licence".into(), licence),
            ("satmip.bundle".into(), about),
        ],
        ..ExportOptions::default()
    };
    let mut files = vec![(
        bundle::IMAGE_GRAPH,
        export_image(&arch, &weights, &options)?,
    )];
    if let Some(side) = &arch.metadata {
        files.push((
            bundle::METADATA_GRAPH,
            export_metadata(&arch, &weights, &options)?,
        ));
        if matches!(side.tower, MetadataTower::Text(_)) {
            files.push((bundle::TOKENIZER, required(from, bundle::TOKENIZER)?));
        }
    }
    if args.with_weights {
        files.push((bundle::WEIGHTS, required(from, bundle::WEIGHTS)?));
    }
    if let Some(text) = optional(&from.join(bundle::CARD))? {
        files.push((bundle::CARD, text));
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

fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = optional(path)? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&bytes).map_err(|e| Error::Export {
        what: format!("`{}`", path.display()),
        reason: e.to_string(),
        source: Some(e.into()),
    })?;
    Ok(Some(value))
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path, error)),
    }
}

fn required(folder: &Path, name: &str) -> Result<Vec<u8>> {
    optional(&folder.join(name))?.ok_or_else(|| missing(folder, name))
}

fn missing(folder: &Path, name: &str) -> Error {
    Error::Export {
        what: format!("`{}`", folder.display()),
        reason: format!("it has no `{name}`; a checkpoint is a folder with one"),
        source: None,
    }
}
