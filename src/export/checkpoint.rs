//! From the folder of a checkpoint to a bundle.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use satmip_export::passes::{kernel_weights, linear_weights};

use super::{
    ExportOptions, Precision, Weights, export_image, export_metadata, properties, stac_mlm,
};
use crate::arch::{Arch, MetadataTower, names};
use crate::bundle::{self, AuditFigure, Bundle, BundleManifest, Graphs};
use crate::error::{Error, Result};
use crate::json::Json;

/// The architecture, in the folder of a checkpoint.
const ARCH: &str = "arch.json";
/// What the model says of itself, in the folder of a checkpoint.
const ABOUT: &str = "card.json";

/// A trained model before its export: a folder with `arch.json`, `weights.safetensors`, for a text tower
/// `tokenizer.json`, and where they exist `card.json` and `README.md`.
#[derive(Debug)]
pub struct Checkpoint {
    arch: Arch,
    weights: Weights,
    tokenizer: Option<Vec<u8>>,
    readme: Option<Vec<u8>>,
    card: Card,
    /// The weights that it began with, where there are any.
    first: Option<PathBuf>,
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
    pub training: Json,
    /// Figures of the evaluation.
    pub metrics: Json,
    /// How well audits find false values, as [`BundleManifest::audit`] has it.
    pub audit: BTreeMap<String, Vec<AuditFigure>>,
}

/// A bundle that is not written yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct BundleFiles {
    /// The manifest, but for its `files`.
    pub manifest: BundleManifest,
    /// Files by name.
    pub files: Vec<(String, Vec<u8>)>,
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
            weights: Weights::open(path.join(bundle::WEIGHTS))?,
            arch,
            tokenizer,
            readme: optional(&path.join(bundle::CARD))?,
            card: json(&path.join(ABOUT))?.unwrap_or_default(),
            first: Some(path.join(bundle::FIRST_WEIGHTS)).filter(|path| path.is_file()),
        })
    }

    /// A model of these weights, which says nothing of itself; `tokenizer` is a text tower's `tokenizer.json`.
    #[doc(hidden)]
    pub fn of_parts(arch: Arch, weights: Weights, tokenizer: Option<Vec<u8>>) -> Self {
        Self {
            arch,
            weights,
            tokenizer,
            readme: None,
            card: Card::default(),
            first: None,
        }
    }

    /// A bundle's model, of which the graphs hold the weights ([`Weights::of_bundle`]): to export it in other
    /// precisions, or as this version of satmip writes graphs.
    ///
    /// # Errors
    /// As [`Weights::of_bundle`].
    pub fn of_bundle(bundle: &Bundle) -> Result<Self> {
        let manifest = bundle.manifest();
        let mut model = Self::like(bundle, Weights::of_bundle(bundle)?)?;
        if manifest.files.contains_key(bundle::CARD) {
            model.readme = Some(bundle.bytes(bundle::CARD)?.into_owned());
        }
        model.card.training = manifest.training.clone();
        model.card.metrics = manifest.metrics.clone();
        model.card.audit = manifest.audit.clone();
        Ok(model)
    }

    /// A model of the same architecture and tokenizer as a bundle's, with random weights: one that has
    /// learned nothing, to compare with.
    ///
    /// # Errors
    /// [`Error::Bundle`] and [`Error::Checksum`] for a bundle whose tokenizer cannot be read.
    pub fn untrained(bundle: &Bundle, seed: u64) -> Result<Self> {
        let manifest = bundle.manifest();
        let mut model = Self::like(bundle, Weights::random(&manifest.arch, seed)?)?;
        model.card.id = Some(format!("{}-untrained", manifest.id));
        Ok(model)
    }

    /// These weights in a bundle's architecture.
    fn like(bundle: &Bundle, weights: Weights) -> Result<Self> {
        let manifest = bundle.manifest();
        let arch = manifest.arch.clone();
        let tokenizer = match is_text(&arch) {
            true => Some(bundle.bytes(bundle::TOKENIZER)?.into_owned()),
            false => None,
        };
        Ok(Self {
            weights,
            arch,
            tokenizer,
            readme: None,
            card: Card {
                id: Some(manifest.id.clone()),
                version: Some(manifest.version.clone()),
                licence: Some(manifest.licence.clone()),
                ..Card::default()
            },
            first: None,
        })
    }

    /// The model with its image tower a share of the way back to the weights that it began with: each weight and
    /// running statistic is `share * first + (1 - share) * trained` (WiSE-FT, Wortsman et al. 2022). All else
    /// stays. What it gives on other pictures than those of the training is often better.
    ///
    /// # Errors
    /// [`Error::Argument`] for a share outside of 0 to 1 and for a checkpoint without first weights, and
    /// [`Error::Weights`] where their tensors are not the checkpoint's.
    pub fn toward_first(mut self, share: f64) -> Result<Self> {
        let refuse = |reason: &str| Error::Argument {
            what: "first-weights",
            reason: reason.into(),
        };
        if !(0.0..=1.0).contains(&share) {
            return Err(refuse("must be from 0, for the trained weights, to 1"));
        }
        let first = self.first.as_ref().ok_or_else(|| {
            let known = bundle::FIRST_WEIGHTS;
            refuse(&format!(
                "there is no `{known}`: only a run whose recipe has `init` keeps the weights it began with"
            ))
        })?;
        let first = Weights::open(first)?;
        let mut tensors = BTreeMap::new();
        for name in self.weights.names() {
            let shape = self.weights.shape(&name).unwrap_or_default().to_vec();
            let mut numbers = self.weights.numbers(&name, &shape)?;
            if name.starts_with(&format!("{}.", names::IMAGE)) {
                let before = first.numbers(&name, &shape)?;
                for (number, before) in numbers.iter_mut().zip(before) {
                    let mixed = share * f64::from(before) + (1.0 - share) * f64::from(*number);
                    *number = mixed as f32;
                }
            }
            tensors.insert(name, (shape, numbers));
        }
        self.weights = Weights::in_memory(&tensors, self.weights.path())?;
        if let serde_json::Value::Object(training) = self.card.training.value_mut() {
            training.insert("first_weights_share".into(), share.into());
        }
        Ok(self)
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

    /// The graphs in one precision and all else that makes a bundle.
    ///
    /// # Errors
    /// As [`export_all`](Self::export_all).
    pub fn export(&self, precision: Precision) -> Result<BundleFiles> {
        self.export_all(&[precision], &[])
    }

    /// The graphs in these precisions and all else that makes a bundle. The first precision has the
    /// plain names; `keep` names weights that [`Precision::Int8`] leaves in f32, and kernels that
    /// [`Precision::Int8Weights`] does, too.
    ///
    /// # Errors
    /// [`Error::Argument`] for a model without id, version or licence and for no or a repeated
    /// precision, and as [`export_image`].
    pub fn export_all(&self, precisions: &[Precision], keep: &[String]) -> Result<BundleFiles> {
        let Some((first, others)) = precisions.split_first() else {
            return Err(refuse_precision("give at least one".into()));
        };
        let manifest = self.manifest(*first)?;
        let properties = properties::of(&manifest, self.tokenizer.as_deref())?;
        let mut all = BundleFiles {
            manifest,
            files: Vec::new(),
        };
        for precision in precisions {
            let graphs = match precision == first {
                true => all.manifest.graphs(precision.name()),
                false => Some(self.named_graphs(*precision)),
            };
            let Some(graphs) = graphs.filter(|g| all.files.iter().all(|(n, _)| *n != g.image))
            else {
                return Err(refuse_precision(format!("`{precision}` is there twice")));
            };
            self.add_graphs(&mut all, *precision, &graphs, keep, &properties)?;
            if others.contains(precision) {
                let variants = &mut all.manifest.variants;
                variants.insert(precision.name().to_owned(), graphs);
            }
        }
        let precisions = all.manifest.precisions().into_iter();
        let graphs = precisions.filter_map(|p| Some((p.to_owned(), all.manifest.graphs(p)?)));
        let graphs: Vec<(String, Graphs)> = graphs.collect();
        let item = format!("{:#}\n", stac_mlm::item(&all.manifest, &graphs));
        all.files
            .push((bundle::STAC_MLM.to_owned(), item.into_bytes()));
        let texts = [
            (bundle::TOKENIZER, &self.tokenizer),
            (bundle::CARD, &self.readme),
        ];
        for (name, bytes) in texts {
            let file = bytes.clone().map(|bytes| (name.to_owned(), bytes));
            all.files.extend(file);
        }
        Ok(all)
    }

    /// The names of the graphs in a precision that is not the bundle's first.
    fn named_graphs(&self, precision: Precision) -> Graphs {
        let named = |file: &str| file.replace(".onnx", &format!(".{precision}.onnx"));
        let metadata = self.arch.metadata.as_ref();
        Graphs {
            image: named(bundle::IMAGE_GRAPH),
            metadata: metadata.map(|_| named(bundle::METADATA_GRAPH)),
        }
    }

    fn add_graphs(
        &self,
        all: &mut BundleFiles,
        precision: Precision,
        graphs: &Graphs,
        keep: &[String],
        properties: &[(String, String)],
    ) -> Result<()> {
        let mut properties = properties.to_vec();
        properties.push(("satmip.precision".into(), precision.name().into()));
        let options = ExportOptions {
            precision,
            keep: keep.to_vec(),
            properties,
            ..ExportOptions::default()
        };
        let image = export_image(&self.arch, &self.weights, &options)?;
        all.files.push((graphs.image.clone(), image));
        if let Some(name) = &graphs.metadata {
            let metadata = export_metadata(&self.arch, &self.weights, &options)?;
            all.files.push((name.clone(), metadata));
        }
        Ok(())
    }

    fn manifest(&self, precision: Precision) -> Result<BundleManifest> {
        let given = |value: &Option<String>, name: &str| {
            value.clone().ok_or_else(|| Error::Argument {
                what: "card",
                reason: format!("there is no {name}: give `--{name}`, or `card.json`"),
            })
        };
        let logit_scale = match &self.arch.metadata {
            Some(_) => f64::from(self.weights.numbers(names::LOGIT_SCALE, &[1])?[0]).exp(),
            None => 1.0,
        };
        Ok(BundleManifest {
            format: bundle::FORMAT,
            id: given(&self.card.id, "id")?,
            version: given(&self.card.version, "model-version")?,
            arch: self.arch.clone(),
            logit_scale,
            licence: given(&self.card.licence, "licence")?,
            precision: precision.name().to_owned(),
            variants: Default::default(),
            parity: Default::default(),
            training: self.card.training.clone(),
            metrics: self.card.metrics.clone(),
            audit: self.card.audit.clone(),
            files: Default::default(),
        })
    }

    /// Names of the weights that [`Precision::Int8`] would quantise, those of the image graph first.
    ///
    /// # Errors
    /// As [`export_image`].
    pub fn linear_weights(&self) -> Result<Vec<String>> {
        let options = ExportOptions::default();
        let image = super::image_model(&self.arch, &self.weights, &options)?;
        let mut names = linear_weights(&image);
        if self.arch.metadata.is_some() {
            let metadata = super::metadata_model(&self.arch, &self.weights, &options)?;
            names.extend(linear_weights(&metadata));
        }
        Ok(names)
    }

    /// The convolutions' weights that [`Precision::Int8Weights`] would store as 8 bits: name and number of elements.
    ///
    /// # Errors
    /// As [`export_image`].
    pub fn kernel_weights(&self) -> Result<Vec<(String, usize)>> {
        let options = ExportOptions::default();
        let image = super::image_model(&self.arch, &self.weights, &options)?;
        Ok(kernel_weights(&image))
    }

    /// The weights as a safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] where the checkpoint's are gone.
    pub fn weights_file(&self) -> Result<Vec<u8>> {
        self.weights.file()
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

fn refuse_precision(reason: String) -> Error {
    Error::Argument {
        what: "precision",
        reason,
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
