//! From a registry's entry to a bundle's folder in the cache.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::cache::Cache;
use super::download::{Fetcher, Patience, is_whole, on_a_thread};
use super::events::{Event, Observer};
use super::registry::Model;
use crate::bundle::{BundleManifest, CARD, FileEntry, MANIFEST, TOKENIZER, check_bytes};
use crate::error::{Error, Result};
use crate::parts::guard::panicked;
use crate::parts::sha256;

/// One side of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tower {
    /// The image graph.
    Image,
    /// The metadata graph, and its tokenizer.
    Metadata,
}

/// Which files of a model are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    #[default]
    Whole,
    /// What it takes to run the model.
    Part {
        /// In this precision; none is that of `image.onnx`.
        precision: Option<String>,
        /// This side alone; none is both.
        tower: Option<Tower>,
    },
}

/// How files are fetched.
pub(super) struct Pull<'a> {
    pub(super) cache: &'a Cache,
    pub(super) model: &'a Model,
    pub(super) patience: &'a Patience,
    pub(super) observer: &'a Observer,
    pub(super) offline: bool,
    /// Whether the contents of files that are there are looked at, and bad ones replaced.
    pub(super) repair: bool,
}

impl Pull<'_> {
    /// The model's folder, with the files of a selection in it.
    pub(super) fn run(&self, selection: &Selection) -> Result<PathBuf> {
        let folder = self.cache.model(self.model);
        let mut missing = BTreeSet::new();
        if self.has(&folder, MANIFEST)? {
            let manifest = self.manifest(&folder)?;
            for name in selection
                .files(&manifest)
                .map_err(|reason| self.refuse(reason))?
            {
                if !self.has(&folder, &name)? {
                    missing.insert(name);
                }
            }
            if missing.is_empty() {
                return Ok(folder);
            }
        }
        if self.offline {
            return Err(Error::NotCached {
                model: self.model.name(),
                file: missing
                    .into_iter()
                    .next()
                    .unwrap_or_else(|| MANIFEST.into()),
            });
        }
        self.cache.prepare()?;
        let waits = || self.observer.tell(Event::Waits { file: "the cache" });
        // Whoever removes models waits until this is done.
        let _shared = self.cache.lock("zoo", true, waits)?;
        on_a_thread(|| self.fetch(&folder, selection))
            .unwrap_or_else(|said| Err(panicked("fetching", said)))?;
        Ok(folder)
    }

    fn fetch(&self, folder: &Path, selection: &Selection) -> Result<()> {
        let mut fetcher = Fetcher {
            cache: self.cache,
            patience: self.patience,
            observer: self.observer,
            model: self.model.name(),
            client: None,
        };
        let mut bring = |name: &str| -> Result<()> {
            if is_whole(&folder.join(name), self.entry(name)?) {
                return Ok(());
            }
            fetcher.blob(name, self.entry(name)?, self.model.places(name))?;
            self.cache.link(folder, name, self.entry(name)?)
        };
        bring(MANIFEST)?;
        let manifest = self.manifest(folder)?;
        let names = selection
            .files(&manifest)
            .map_err(|reason| self.refuse(reason))?;
        let mut bytes = 0;
        for name in &names {
            let entry = self.entry(name)?;
            let blob = self.cache.blob(&entry.sha256);
            if !is_whole(&folder.join(name), entry) && !is_whole(&blob, entry) {
                bytes += entry.size;
            }
        }
        if bytes > 0 {
            self.observer.tell(Event::Model {
                model: self.model,
                bytes,
            });
        }
        names.iter().try_for_each(|name| bring(name))
    }

    /// Whether a file is there. One that is another file is taken away first, if it may be.
    fn has(&self, folder: &Path, name: &str) -> Result<bool> {
        let (path, entry) = (folder.join(name), self.entry(name)?);
        if !is_whole(&path, entry) {
            return Ok(false);
        }
        if self.repair && !is_right(&path, entry)? {
            self.cache.discard(folder, name, entry)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// The bundle's own words, held against the registry's.
    fn manifest(&self, folder: &Path) -> Result<BundleManifest> {
        let path = folder.join(MANIFEST);
        let json = fs::read(&path).map_err(|source| Error::io(&path, source))?;
        check_bytes(&path, self.entry(MANIFEST)?, &json)?;
        let manifest = BundleManifest::read(&json).map_err(|reason| self.refuse(reason))?;
        let stated = format!("{}@{}", manifest.id, manifest.version);
        if stated != self.model.name() {
            return Err(self.refuse(format!("its `{MANIFEST}` is of {stated}")));
        }
        for (name, entry) in &manifest.files {
            if self.model.files.get(name) != Some(entry) {
                return Err(self.refuse(format!(
                    "`{name}` is not the file that its `{MANIFEST}` names"
                )));
            }
        }
        Ok(manifest)
    }

    fn entry(&self, name: &str) -> Result<&FileEntry> {
        let entry = self.model.files.get(name);
        entry.ok_or_else(|| self.refuse(format!("it has no file `{name}`")))
    }

    fn refuse(&self, reason: String) -> Error {
        Error::Registry {
            origin: self.model.name(),
            reason,
            source: None,
        }
    }
}

impl Selection {
    /// What it takes to run a model in a precision.
    pub fn to_run(precision: Option<&str>) -> Self {
        Selection::Part {
            precision: precision.map(str::to_owned),
            tower: None,
        }
    }

    /// Names of the files, without `bundle.json`.
    ///
    /// # Errors
    /// A reason, where the model has no such part.
    fn files(&self, manifest: &BundleManifest) -> Result<Vec<String>, String> {
        let Selection::Part { precision, tower } = self else {
            return Ok(manifest.files.keys().cloned().collect());
        };
        let precision = precision.as_deref().unwrap_or(&manifest.precision);
        let graphs = manifest.graphs_in(precision)?;
        if *tower == Some(Tower::Metadata) && graphs.metadata.is_none() {
            return Err("it has no metadata tower".into());
        }
        let mut names = Vec::new();
        if *tower != Some(Tower::Metadata) {
            names.push(graphs.image);
        }
        if *tower != Some(Tower::Image) {
            names.extend(graphs.metadata);
            names.push(TOKENIZER.to_owned());
        }
        names.push(CARD.to_owned());
        names.retain(|name| manifest.files.contains_key(name));
        Ok(names)
    }
}

/// Whether a file has the contents that it should have.
pub(super) fn is_right(path: &Path, entry: &FileEntry) -> Result<bool> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let (size, hash) = sha256::of_reader(file).map_err(|source| Error::io(path, source))?;
    Ok(size == entry.size && hash == entry.sha256)
}
