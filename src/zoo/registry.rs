//! What a registry says of models: `registry.toml`.
//!
//! ```toml
//! format = 1
//!
//! [[model]]
//! id = "satmip-nano"
//! version = "0.2.0"
//! about = "SatMIPS with captions"
//! arch = "resnet, 64 px; text"
//! licence = "CC-BY-SA-4.0"
//! # `{file}` stands for the name of a file; tried in this order.
//! mirrors = ["https://example.org/zoo/satmip-nano-0.2.0-{file}", "satmip-nano/{file}"]
//!
//! [model.metrics]
//! "eurosat-rgb, kNN" = 76.1
//!
//! [model.files."image.onnx"]
//! size = 2606855
//! sha256 = "…"
//! ```

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::location::Location;
use crate::bundle::{FileEntry, MANIFEST, MOST_FILES, check_id, check_name};
use crate::error::{Error, Result};

/// The version of the format that this crate reads and writes.
pub const FORMAT: u32 = 1;

/// Longest registry that is read, in bytes.
pub(super) const LONGEST: u64 = 4 << 20;
/// Most models of a registry.
const MOST_MODELS: usize = 10_000;
/// Largest file of a model: 16 GiB, far above what a tower of today has.
const LARGEST_FILE: u64 = 16 << 30;
/// Most places of a file.
const MOST_MIRRORS: usize = 16;

/// Models that can be fetched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    format: u32,
    #[serde(default, rename = "model")]
    models: Vec<Model>,
    /// What it is called in messages.
    #[serde(skip)]
    origin: String,
}

/// A version of a model, as its registry has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name, which is never used for another model.
    pub id: String,
    /// Its version.
    pub version: Version,
    /// What it is, in a line.
    pub about: String,
    /// Its towers, in a line.
    pub arch: String,
    /// Licence of the weights, an SPDX expression.
    pub licence: String,
    /// Where its files are, in the order in which they are tried; `{file}` is the file's name.
    pub mirrors: Vec<String>,
    /// Figures of its card, accuracies in percent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Its files, `bundle.json` among them.
    pub files: BTreeMap<String, FileEntry>,
    /// Where the mirrors lead, in the same order.
    #[serde(skip)]
    places: Vec<Mirror>,
}

/// Where the files of a mirror are, by name.
type Mirror = BTreeMap<String, Location>;

impl Model {
    /// `id@version`.
    pub fn name(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        self.files.values().map(|entry| entry.size).sum()
    }

    /// Whether a name (`id`, `id@version`) means this model.
    pub(super) fn is_called(&self, name: &str) -> bool {
        means(name, &self.id, &self.version.to_string())
    }

    /// Where a file can be fetched from.
    pub(super) fn places<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a Location> {
        self.places
            .iter()
            .filter_map(move |mirror| mirror.get(file))
    }
}

/// Whether a name (`id`, `id@version`) means this version of a model.
pub(super) fn means(name: &str, id: &str, version: &str) -> bool {
    match name.split_once('@') {
        Some(stated) => stated == (id, version),
        None => name == id,
    }
}

impl Registry {
    /// Reads a registry. `place` is where it is, from which relative mirrors go.
    ///
    /// # Errors
    /// [`Error::Registry`] for one that is damaged, of another format, or names something
    /// impossible: ids and files that are no plain names, sizes beyond 16 GiB, a version twice, a
    /// model without `bundle.json` or without a place that is allowed.
    pub(super) fn parse(text: &str, origin: &str, place: Option<&Location>) -> Result<Registry> {
        let refuse = |reason: String| Error::Registry {
            origin: origin.to_owned(),
            reason,
            source: None,
        };
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let broken = |error: toml::de::Error| refuse(error.to_string().trim_end().to_owned());
        // The version first: what else a later version says may not be readable here.
        let Versioned { format } = toml::from_str(text).map_err(broken)?;
        if format != FORMAT {
            return Err(refuse(format!(
                "it has format {format}, this version of satmip reads format {FORMAT}"
            )));
        }
        let mut registry: Registry = toml::from_str(text).map_err(broken)?;
        registry.origin = origin.to_owned();
        if registry.models.len() > MOST_MODELS {
            return Err(refuse(format!("it has over {MOST_MODELS} models")));
        }
        let mut seen = std::collections::BTreeSet::new();
        for model in &mut registry.models {
            let named =
                |reason: String| refuse(format!("model `{}`: {reason}", model.id.escape_debug()));
            model.check().map_err(named)?;
            if !seen.insert((model.id.clone(), model.version.to_string())) {
                return Err(refuse(format!("model `{}` is there twice", model.name())));
            }
            model.places = model
                .mirrors_of(place)
                .map_err(|reason| refuse(format!("model `{}`: {reason}", model.id)))?;
        }
        Ok(registry)
    }

    /// Its models, in its order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// What it is called in messages: `built in`, a path or a URL.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The newest version of the models that a name (`id`, `id@version`) means.
    pub(super) fn find(&self, name: &str) -> Option<&Model> {
        let named = self.models.iter().filter(|model| model.is_called(name));
        named.max_by(|a, b| a.version.cmp(&b.version))
    }

    /// The same registry with one more model.
    ///
    /// # Errors
    /// A reason, where another model has this id and version.
    pub(super) fn with(mut self, model: Model) -> Result<Registry, String> {
        self.format = FORMAT;
        let name = model.name();
        match self.models.iter().position(|other| other.name() == name) {
            Some(place) if self.models[place].files == model.files => self.models[place] = model,
            Some(_) => {
                return Err(format!(
                    "it has another `{name}` already: a changed model needs a new version"
                ));
            }
            None => self.models.push(model),
        }
        Ok(self)
    }
}

impl Model {
    /// A model whose mirrors were not followed yet.
    pub(super) fn new(id: &str, version: Version, files: BTreeMap<String, FileEntry>) -> Model {
        Model {
            id: id.to_owned(),
            version,
            about: String::new(),
            arch: String::new(),
            licence: String::new(),
            mirrors: Vec::new(),
            metrics: BTreeMap::new(),
            files,
            places: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), String> {
        check_id(&self.id)?;
        if !self.files.contains_key(MANIFEST) {
            return Err(format!("it has no `{MANIFEST}`"));
        }
        if self.files.len() > MOST_FILES {
            return Err(format!("it has over {MOST_FILES} files"));
        }
        for (name, entry) in &self.files {
            if name != MANIFEST {
                check_name(name)?;
            }
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if entry.sha256.len() != 64 || !entry.sha256.bytes().all(lower) {
                return Err(format!("`{name}` has no sha256 of 64 lower-case digits"));
            }
            if entry.size > LARGEST_FILE {
                return Err(format!(
                    "`{name}` has {} bytes, over {LARGEST_FILE}",
                    entry.size
                ));
            }
        }
        match self.metrics.values().all(|value| value.is_finite()) {
            true => Ok(()),
            false => Err("a figure is not finite".into()),
        }
    }

    fn mirrors_of(&self, registry: Option<&Location>) -> Result<Vec<Mirror>, String> {
        if self.mirrors.is_empty() || self.mirrors.len() > MOST_MIRRORS {
            return Err(format!(
                "it has {} mirrors, not 1 to {MOST_MIRRORS}",
                self.mirrors.len()
            ));
        }
        // The program's own registry lies nowhere: its relative mirrors are for whoever reads it as a file.
        let reached = |mirror: &&String| registry.is_some() || mirror.contains("://");
        let places: Vec<Mirror> = self
            .mirrors
            .iter()
            .filter(reached)
            .map(|mirror| {
                if !mirror.contains("{file}") {
                    return Err(format!(
                        "the mirror `{}` has no `{{file}}`",
                        mirror.escape_debug()
                    ));
                }
                let at = |name: &String| {
                    Location::in_registry(&mirror.replace("{file}", name), registry)
                };
                self.files
                    .keys()
                    .map(|name| Ok((name.clone(), at(name)?)))
                    .collect()
            })
            .collect::<Result<_, String>>()?;
        match places.is_empty() {
            true => Err("it has relative mirrors alone, and the registry has no place".into()),
            false => Ok(places),
        }
    }
}
