//! `bundle.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AuditFigure, IMAGE_GRAPH, MANIFEST, METADATA_GRAPH, Parity, TOKENIZER};
use crate::arch::{Arch, MetadataTower};
use crate::json::Json;

/// The version of the format that this crate writes and reads.
pub const FORMAT: u32 = 1;
/// Precisions that the graphs of a bundle can have: f32; f16 weights and arithmetic; f16 weights;
/// 8-bit weights with products of integers; 8-bit weights.
pub const PRECISIONS: [&str; 5] = ["f32", "f16", "f16-weights", "int8", "int8-weights"];

/// Most files of a bundle.
pub(crate) const MOST_FILES: usize = 64;
/// Longest name of a file, and longest id.
const LONGEST_NAME: usize = 100;
/// Largest logit scale that is believed; training holds it at or below 100.
const LARGEST_LOGIT_SCALE: f64 = 1e4;

/// What a bundle says of itself, `bundle.json`.
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// let bundle = satmip::zoo::resolve("satmip-lite")?;
/// let manifest = bundle.manifest();
/// assert_eq!((manifest.id.as_str(), manifest.licence.as_str()), ("satmip-lite", "CC-BY-SA-4.0"));
/// # }
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleManifest {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// The model's name: lower-case letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// The model's version.
    pub version: String,
    /// Towers, projectors, preprocessing and fields.
    pub arch: Arch,
    /// What cosines are multiplied with before a softmax, 1 / temperature (not its logarithm).
    pub logit_scale: f64,
    /// Licence of the weights, an SPDX expression.
    pub licence: String,
    /// Precision of `image.onnx` and `metadata.onnx`, one of [`PRECISIONS`].
    pub precision: String,
    /// The same model in other precisions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Graphs>,
    /// How near a precision comes to f32, where that was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parity: BTreeMap<String, Parity>,
    /// Training data and recipe.
    #[serde(default)]
    pub training: Json,
    /// Figures of the evaluation.
    #[serde(default)]
    pub metrics: Json,
    /// How well audits find false values, by the name of the field ([`WHOLE_RECORD`](super::WHOLE_RECORD) for whole
    /// records), on each set that was asked about; see [`BundleManifest::audit_evidence`]. A field that is not there
    /// was not measured. `satmip eval audit --write-bundle` writes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub audit: BTreeMap<String, Vec<AuditFigure>>,
    /// Every file but `bundle.json` itself.
    #[serde(default)]
    pub files: BTreeMap<String, FileEntry>,
}

/// The files of a model's graphs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graphs {
    /// The image graph.
    pub image: String,
    /// The metadata graph, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its length in bytes.
    pub size: u64,
    /// Its sha256, in lower-case hexadecimal.
    pub sha256: String,
}

impl BundleManifest {
    /// Files that the model cannot do without, given its architecture.
    pub fn required(&self) -> Vec<&'static str> {
        let mut names = vec![IMAGE_GRAPH];
        if let Some(side) = &self.arch.metadata {
            names.push(METADATA_GRAPH);
            if matches!(side.tower, MetadataTower::Text(_)) {
                names.push(TOKENIZER);
            }
        }
        names
    }

    /// The precisions that the bundle has, that of `image.onnx` first.
    pub fn precisions(&self) -> Vec<&str> {
        let others = self.variants.keys().map(String::as_str);
        [self.precision.as_str()]
            .into_iter()
            .chain(others)
            .collect()
    }

    /// The files of the graphs in a precision; none where the bundle lacks it.
    pub fn graphs(&self, precision: &str) -> Option<Graphs> {
        if precision == self.precision {
            let metadata = self.arch.metadata.as_ref();
            return Some(Graphs {
                image: IMAGE_GRAPH.to_owned(),
                metadata: metadata.map(|_| METADATA_GRAPH.to_owned()),
            });
        }
        self.variants.get(precision).cloned()
    }

    /// As [`BundleManifest::graphs`]; the error is a reason.
    pub(crate) fn graphs_in(&self, precision: &str) -> Result<Graphs, String> {
        self.graphs(precision).ok_or_else(|| {
            let has = self.precisions().join(", ");
            format!("it is not there in `{precision}`, only in {has}")
        })
    }

    /// Reads the manifest; the error is a reason.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        // The version first: what else a later version says may not be readable here.
        let Versioned { format } = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        if format != FORMAT {
            return Err(format!(
                "it has format {format}, this version of satmip reads format {FORMAT}"
            ));
        }
        serde_json::from_slice(json).map_err(|e| e.to_string())
    }

    /// Reads and checks the manifest; the error is a reason.
    #[cfg(feature = "zoo")]
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        let manifest = BundleManifest::parse(json)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks everything but the files themselves; the error is a reason.
    pub(super) fn check(&self) -> Result<(), String> {
        check_id(&self.id)?;
        if !(self.logit_scale > 0.0 && self.logit_scale <= LARGEST_LOGIT_SCALE) {
            return Err(format!(
                "the logit scale {} is impossible",
                self.logit_scale
            ));
        }
        self.check_precisions()?;
        self.check_audit()?;
        self.arch.validate().map_err(|error| error.to_string())?;
        if self.files.len() > MOST_FILES {
            return Err(format!("it names over {MOST_FILES} files"));
        }
        for (name, entry) in &self.files {
            check_name(name)?;
            let hexadecimal = entry.sha256.bytes().all(|b| b.is_ascii_hexdigit());
            if entry.sha256.len() != 64 || !hexadecimal {
                return Err(format!("`{name}` has no valid sha256"));
            }
        }
        let missing = self
            .required()
            .into_iter()
            .find(|name| !self.files.contains_key(*name));
        match missing {
            Some(name) => Err(format!("it names no `{name}`")),
            None => Ok(()),
        }
    }
}

impl BundleManifest {
    fn check_precisions(&self) -> Result<(), String> {
        let known = |name: &str| PRECISIONS.contains(&name);
        let stated = self.precisions().into_iter();
        let stated = stated.chain(self.parity.keys().map(String::as_str));
        if let Some(name) = stated.into_iter().find(|name| !known(name)) {
            return Err(format!("the precision `{}` is unknown", shown(name)));
        }
        if self.variants.contains_key(&self.precision) {
            return Err(format!("it has the precision `{}` twice", self.precision));
        }
        for (precision, graphs) in &self.variants {
            if graphs.metadata.is_some() != self.arch.metadata.is_some() {
                return Err(format!(
                    "its graphs in `{precision}` are not those of the model"
                ));
            }
            let mut names = [&graphs.image].into_iter().chain(&graphs.metadata);
            if let Some(name) = names.find(|name| !self.files.contains_key(*name)) {
                return Err(format!("it names no `{}`", shown(name)));
            }
        }
        Ok(())
    }
}

/// Checks that a model's name is one that a folder can have on every system.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let fits = !id.is_empty() && id.len() <= LONGEST_NAME && !id.starts_with('.');
    match fits && id.chars().all(plain) {
        true => Ok(()),
        false => Err(format!("`{}` is no valid id", shown(id))),
    }
}

/// Checks that a file's name stays inside the bundle's folder on every system.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && name.chars().all(plain);
    if !fits {
        return Err(format!("`{}` is no plain file name", shown(name)));
    }
    if name == MANIFEST {
        return Err(format!("it lists `{MANIFEST}` itself"));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.escape_debug().take(60).collect()
}
