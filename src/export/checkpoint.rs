//! From the folder of a checkpoint to a bundle.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ExportOptions, Precision, Weights, export_image, export_metadata};
use crate::arch::{Arch, MetadataTower, names};
use crate::bundle::{self, Bundle, BundleManifest};
use crate::error::{Error, Result};

/// The architecture, in the folder of a checkpoint.
const ARCH: &str = "arch.json";
/// What the model says of itself, in the folder of a checkpoint.
const ABOUT: &str = "card.json";

/// A trained model before its export: a folder with `arch.json`, `weights.safetensors`, for a text tower
/// `tokenizer.json`, and where they exist `card.json` and `README.md`.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    arch: Arch,
    weights: Weights,
    tokenizer: Option<Vec<u8>>,
    readme: Option<Vec<u8>>,
    card: Card,
}

/// What a model says of itself, `card.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Card {
    /// The model's name.
    pub id: Option<String>,
    /// The model's version.
    pub version: Option<String>,
    /// Licence of the weights, an SPDX expression.
    pub licence: Option<String>,
    /// Training data and recipe.
    pub training: serde_json::Value,
    /// Figures of the evaluation.
    pub metrics: serde_json::Value,
}

/// A bundle that is not written yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct BundleFiles {
    /// The manifest, but for its `files`.
    pub manifest: BundleManifest,
    /// Files by name.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

impl Checkpoint {
    /// Whether a folder looks like a checkpoint.
    pub fn is_at(path: &Path) -> bool {
        path.join(ARCH).is_file() && path.join(bundle::WEIGHTS).is_file()
    }

    /// Opens the folder of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Export`] for a file that is missing or no JSON, [`Error::Io`], [`Error::Arch`], and
    /// [`Error::Weights`] for weights that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let arch: Arch = json(&path.join(ARCH))?.ok_or_else(|| missing(path, ARCH))?;
        arch.validate()?;
        let tokenizer = match is_text(&arch) {
            true => Some(required(path, bundle::TOKENIZER)?),
            false => None,
        };
        Ok(Self {
            path: path.to_owned(),
            weights: Weights::open(path.join(bundle::WEIGHTS))?,
            arch,
            tokenizer,
            readme: optional(&path.join(bundle::CARD))?,
            card: json(&path.join(ABOUT))?.unwrap_or_default(),
        })
    }

    /// A model of the same architecture and tokenizer as a bundle's, with random weights: one that has
    /// learned nothing, to compare with.
    ///
    /// # Errors
    /// [`Error::Bundle`] and [`Error::Checksum`] for a bundle whose tokenizer cannot be read.
    pub fn untrained(bundle: &Bundle, seed: u64) -> Result<Self> {
        let manifest = bundle.manifest();
        let arch = manifest.arch.clone();
        let tokenizer = match is_text(&arch) {
            true => Some(bundle.bytes(bundle::TOKENIZER)?.into_owned()),
            false => None,
        };
        Ok(Self {
            path: bundle.path().to_owned(),
            weights: Weights::random(&arch, seed)?,
            arch,
            tokenizer,
            readme: None,
            card: Card {
                id: Some(format!("{}-untrained", manifest.id)),
                version: Some(manifest.version.clone()),
                licence: Some(manifest.licence.clone()),
                ..Card::default()
            },
        })
    }

    /// What the model says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Puts other things in the place of what the model says of itself.
    pub fn with_card(mut self, card: Card) -> Self {
        self.card = card;
        self
    }

    /// With this name, and a version and licence that say nothing, where the checkpoint has none: enough to
    /// be evaluated.
    pub fn named(mut self, name: &str) -> Self {
        let plain = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
            _ => '-',
        };
        let card = &mut self.card;
        card.id
            .get_or_insert_with(|| name.chars().map(plain).collect());
        card.version.get_or_insert_with(|| "0".into());
        card.licence.get_or_insert_with(|| "NOASSERTION".into());
        self
    }

    /// The graphs and all else that makes a bundle.
    ///
    /// # Errors
    /// [`Error::Argument`] for a model without id, version or licence, and as
    /// [`export_image`].
    pub fn export(&self, precision: Precision) -> Result<BundleFiles> {
        let (arch, weights) = (&self.arch, &self.weights);
        let given = |value: &Option<String>, name: &str| {
            value.clone().ok_or_else(|| Error::Argument {
                what: "card",
                reason: format!("there is no {name}: give `--{name}`, or `card.json`"),
            })
        };
        let id = given(&self.card.id, "id")?;
        let version = given(&self.card.version, "model-version")?;
        let licence = given(&self.card.licence, "licence")?;
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
            training: self.card.training.clone(),
            metrics: self.card.metrics.clone(),
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
        let mut files = vec![(bundle::IMAGE_GRAPH, export_image(arch, weights, &options)?)];
        if arch.metadata.is_some() {
            files.push((
                bundle::METADATA_GRAPH,
                export_metadata(arch, weights, &options)?,
            ));
        }
        let texts = [
            (bundle::TOKENIZER, &self.tokenizer),
            (bundle::CARD, &self.readme),
        ];
        for (name, bytes) in texts {
            files.extend(bytes.clone().map(|bytes| (name, bytes)));
        }
        Ok(BundleFiles { manifest, files })
    }

    /// The weights as they lie in the folder.
    ///
    /// # Errors
    /// [`Error::Export`] and [`Error::Io`] where they are gone.
    pub fn weights_file(&self) -> Result<Vec<u8>> {
        required(&self.path, bundle::WEIGHTS)
    }
}

impl BundleFiles {
    /// The bundle, without a folder; `label` stands for one in messages.
    ///
    /// # Errors
    /// [`Error::Bundle`] for what cannot be a bundle.
    pub fn in_memory(self, label: &str) -> Result<Bundle> {
        Bundle::in_memory(label, self.manifest, self.files)
    }
}

fn is_text(arch: &Arch) -> bool {
    let side = arch.metadata.as_ref();
    side.is_some_and(|side| matches!(side.tower, MetadataTower::Text(_)))
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
