//! Models by name: those inside the program, and those that registries list.
//!
//! A registry ([`Registry`]) names the files of models with their places, lengths and sha256. [`Zoo::open`] fetches
//! what a model needs into a cache ([`Zoo::pull`]) where later runs find it, also without a network.
//! What arrives is believed for its sha256 alone: servers and mirrors need no trust, the registry
//! does. One registry is part of the program; others are files or `https` pages that the user names.
//!
//! ```no_run
//! # fn main() -> satmip::Result<()> {
//! use satmip::zoo::{Selection, Zoo};
//! let zoo = Zoo::builder().cache_dir("/models").registry("https://example.org/zoo/registry.toml").build();
//! let folder = zoo.pull("satmip-tiny", &Selection::Whole)?; // a bundle's folder
//! let model = satmip::Embedder::builder("satmip-tiny").zoo(zoo).load()?;
//! # Ok(())
//! # }
//! ```

mod builtin;
mod cache;
// What only servers need is not used without them.
#[cfg_attr(not(feature = "download"), allow(dead_code))]
mod download;
mod events;
mod location;
mod pack;
mod pull;
mod registry;
mod shelf;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use builtin::DEFAULT_MODEL;
pub use download::Patience;
pub use events::Event;
pub use location::Location;
pub use pack::{Layout, pack};
pub use pull::{Selection, Tower};
pub use registry::{FORMAT, Model, Registry};

use cache::{Cache, Kept};
use events::Observer;
use pull::{Pull, is_right};
use registry::means;
use shelf::{Shelf, Shelved};
use sources::{LazyRegistry, Reading};

use crate::bundle::{Bundle, BundleManifest, MANIFEST};
use crate::error::{Error, Result};
use crate::parts::sha256;

/// No downloads, when it is set to something other than `0`.
pub const SATMIP_OFFLINE: &str = "SATMIP_OFFLINE";
/// Registries beside the program's own: paths and URLs with a comma between.
pub const SATMIP_REGISTRY: &str = "SATMIP_REGISTRY";

/// Registries and the cache of what was fetched from them.
#[derive(Debug, Clone)]
pub struct Zoo {
    sources: Arc<Vec<LazyRegistry>>,
    shelves: Vec<Shelf>,
    cache: Option<Cache>,
    offline: bool,
    patience: Patience,
    observer: Observer,
}

/// How a [`Zoo`] is made; see [`Zoo::builder`].
#[derive(Debug, Clone)]
pub struct ZooBuilder {
    registries: Vec<String>,
    folders: Vec<PathBuf>,
    cache: Option<PathBuf>,
    offline: bool,
    patience: Patience,
    observer: Observer,
}

/// Where a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Inside the program.
    BuiltIn,
    /// In a folder that was given to the zoo ([`ZooBuilder::folder`]).
    Folder,
    /// All files are in the cache.
    Cached,
    /// Some files are in the cache.
    Partial,
    /// It would be fetched.
    Remote,
}

/// What was found of a file in the cache.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// `id@version`.
    pub model: String,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it; none where it is the file that it should be.
    pub fault: Option<String>,
}

/// Ids of the models that are part of this program.
pub fn known() -> &'static [&'static str] {
    builtin::NAMES
}

/// The models of this program and of the environment's registries, as [`Zoo::open`].
///
/// # Errors
/// As [`Zoo::open`].
pub fn resolve(name: &str) -> Result<Bundle> {
    Zoo::from_env().open(name, None)
}

/// Whether a model that is part of the program has the graphs of a precision; one that cannot be opened says so
/// later.
fn has(bundle: &Result<Bundle>, precision: Option<&str>) -> bool {
    let (Ok(bundle), Some(precision)) = (bundle, precision) else {
        return true;
    };
    let Some(graphs) = bundle.manifest().graphs(precision) else {
        return false;
    };
    let files = [Some(graphs.image), graphs.metadata];
    files.iter().flatten().all(|name| bundle.holds(name))
}

/// What is wrong with a file that is not the one that it should be.
const CHANGED: &str = "its contents changed";

/// Holds the files in a bundle's folder against its manifest. Where the folder must be `whole`, one that is not there
/// is a fault; a cache has what was needed.
fn check_files(
    checked: &mut Vec<Checked>,
    model: &str,
    folder: &Path,
    manifest: &BundleManifest,
    whole: bool,
) -> Result<()> {
    for (name, entry) in &manifest.files {
        let path = folder.join(name);
        let fault = match path.exists() {
            true => (!is_right(&path, entry)?).then(|| CHANGED.into()),
            false if whole => Some("it is missing".into()),
            false => continue,
        };
        checked.push(Checked {
            model: model.to_owned(),
            path,
            fault,
        });
    }
    Ok(())
}

impl ZooBuilder {
    /// The folder for fetched files, in place of `SATMIP_CACHE_DIR` and the system's cache folder.
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Whether downloads are forbidden.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// One more registry: a path or a URL. It is read when a name is looked for that no earlier one has.
    pub fn registry(mut self, place: impl Into<String>) -> Self {
        self.registries.push(place.into());
        self
    }

    /// A folder of bundles, each in a folder with its id as its name, as `zoo` in a clone of the project. They come
    /// before those of registries.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// How long servers are waited for.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Who is told what happens, from the thread that fetches.
    pub fn on_event(mut self, told: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(told);
        self
    }

    /// The zoo; nothing is read yet.
    pub fn build(self) -> Zoo {
        let others = self.registries.into_iter().map(LazyRegistry::at);
        Zoo {
            sources: Arc::new(
                [LazyRegistry::built_in()]
                    .into_iter()
                    .chain(others)
                    .collect(),
            ),
            shelves: self.folders.into_iter().map(Shelf::at).collect(),
            cache: self.cache.map(Cache::at),
            offline: self.offline,
            patience: self.patience,
            observer: self.observer,
        }
    }
}

impl Zoo {
    /// A zoo with the settings of the environment: `SATMIP_CACHE_DIR`, [`SATMIP_OFFLINE`],
    /// [`SATMIP_REGISTRY`].
    pub fn builder() -> ZooBuilder {
        let offline = std::env::var_os(SATMIP_OFFLINE);
        let registries = std::env::var(SATMIP_REGISTRY).unwrap_or_default();
        let registries = registries
            .split(',')
            .map(str::trim)
            .filter(|place| !place.is_empty());
        ZooBuilder {
            registries: registries.map(str::to_owned).collect(),
            folders: Vec::new(),
            cache: crate::engine::cache_dir(),
            offline: offline.is_some_and(|value| !value.is_empty() && value != "0"),
            patience: Patience::default(),
            observer: Observer::default(),
        }
    }

    /// [`Zoo::builder`] as it is.
    pub fn from_env() -> Zoo {
        Zoo::builder().build()
    }

    /// The model of this name in the folders that were given.
    fn shelved(&self, name: &str) -> Result<Option<Shelved>> {
        // The program's own registry, which is the first, says what its names mean.
        let (Some(first), false) = (self.sources.first(), self.shelves.is_empty()) else {
            return Ok(None);
        };
        let registry = first.registry(&self.reading())?;
        for shelf in &self.shelves {
            if let Some(found) = shelf.find(name, registry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The bundle that a name stands for: the folder of this path, else the model of this id inside the
    /// program, else in a folder of bundles ([`ZooBuilder::folder`]), else the newest version (or the one of `id@version`) in the first registry that has it, of which
    /// those files are fetched that a precision needs; none is that of `image.onnx`.
    ///
    /// # Errors
    /// [`Error::UnknownModel`]; [`Error::Registry`]; [`Error::Fetch`], [`Error::NotCached`] and
    /// [`Error::Cache`] while fetching; else as [`Bundle::open`].
    pub fn open(&self, name: &str, precision: Option<&str>) -> Result<Bundle> {
        let path = Path::new(name);
        let bundle = if path.join(MANIFEST).exists() {
            // A folder that merely has a model's name, without a manifest, does not hide the model.
            Bundle::open(path)?
        } else if let Some(bundle) = builtin::open(name).filter(|bundle| has(bundle, precision)) {
            bundle?
        } else if let Some(found) = self.shelved(name)? {
            Bundle::open(found.folder)?
        } else if path.is_dir() {
            Bundle::open(path)?
        } else {
            let model = self.find(name)?;
            Bundle::open_present(&self.bring(model, &Selection::to_run(precision), false)?)?
        };
        match precision {
            Some(precision) => bundle.in_precision(precision),
            None => Ok(bundle),
        }
    }

    /// Fetches the files of a model, replaces those in the cache that are damaged, and gives the folder of
    /// its bundle.
    ///
    /// # Errors
    /// As [`Zoo::open`].
    pub fn pull(&self, name: &str, selection: &Selection) -> Result<PathBuf> {
        self.bring(self.find(name)?, selection, true)
    }

    fn bring(&self, model: &Model, selection: &Selection, repair: bool) -> Result<PathBuf> {
        let pull = Pull {
            cache: self.cache()?,
            model,
            patience: &self.patience,
            observer: &self.observer,
            offline: self.offline,
            repair,
        };
        pull.run(selection)
    }

    /// The model of a name (`id`, `id@version`) in the first registry that has it.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Registry`].
    pub fn find(&self, name: &str) -> Result<&Model> {
        let mut known: Vec<String> = builtin::NAMES.iter().map(|id| (*id).to_owned()).collect();
        for source in self.sources.iter() {
            let registry = source.registry(&self.reading())?;
            if let Some(model) = registry.find(name) {
                return Ok(model);
            }
            known.extend(
                registry
                    .models()
                    .iter()
                    .map(|model| match name.contains('@') {
                        true => model.name(),
                        false => model.id.clone(),
                    }),
            );
        }
        known.sort();
        known.dedup();
        Err(Error::UnknownModel {
            id: name.to_owned(),
            known,
        })
    }

    /// Every model of every registry, by id, the newest version first.
    ///
    /// # Errors
    /// [`Error::Registry`], also where two registries have a model of one id.
    pub fn models(&self) -> Result<Vec<&Model>> {
        let mut all: Vec<(&Registry, &Model)> = Vec::new();
        for source in self.sources.iter() {
            let registry = source.registry(&self.reading())?;
            let before = all.len();
            for model in registry.models() {
                if let Some((other, _)) = all[..before].iter().find(|(_, m)| m.id == model.id) {
                    return Err(Error::Registry {
                        origin: registry.origin().to_owned(),
                        reason: format!(
                            "`{}` is a model of the registry `{}`: an id is never used again",
                            model.id,
                            other.origin()
                        ),
                        source: None,
                    });
                }
                all.push((registry, model));
            }
        }
        let mut models: Vec<&Model> = all.into_iter().map(|(_, model)| model).collect();
        models.sort_by(|a, b| a.id.cmp(&b.id).then(b.version.cmp(&a.version)));
        Ok(models)
    }

    /// Where a model is.
    pub fn state(&self, model: &Model) -> State {
        if builtin::has(&model.name()) {
            return State::BuiltIn;
        }
        if matches!(self.shelved(&model.name()), Ok(Some(_))) {
            return State::Folder;
        }
        let Some(cache) = &self.cache else {
            return State::Remote;
        };
        let folder = cache.model(model);
        let present = model.files.iter();
        let present = present
            .filter(|(name, entry)| download::is_whole(&folder.join(name), entry))
            .count();
        match present {
            0 => State::Remote,
            n if n == model.files.len() => State::Cached,
            _ => State::Partial,
        }
    }

    /// The folder of a model's bundle, in a folder of bundles ([`ZooBuilder::folder`]) or if something of it was
    /// fetched; the newest version of an id.
    ///
    /// # Errors
    /// [`Error::NotCached`]; [`Error::UnknownModel`] for a name that no registry has either.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        if let Some(found) = self.shelved(name)? {
            return Ok(found.folder);
        }
        self.cached(name)
    }

    fn cached(&self, name: &str) -> Result<PathBuf> {
        let mut kept = self.kept(name)?;
        let version = |kept: &Kept| semver::Version::parse(&kept.version).ok();
        kept.sort_by_key(version);
        match kept.pop() {
            Some(kept) => Ok(kept.folder),
            None => Err(Error::NotCached {
                model: self.find(name)?.name(),
                file: MANIFEST.into(),
            }),
        }
    }

    /// Looks at every byte of what was fetched of a model, or of it in a folder of bundles ([`ZooBuilder::folder`]); of
    /// everything that was fetched without a name.
    ///
    /// # Errors
    /// [`Error::Io`] for what cannot be read, [`Error::NotCached`] and [`Error::UnknownModel`] as
    /// [`Zoo::path`].
    pub fn verify(&self, name: Option<&str>) -> Result<Vec<Checked>> {
        let mut checked = Vec::new();
        let shelved = name.map(|name| self.shelved(name)).transpose()?.flatten();
        if let Some(found) = &shelved {
            let model = format!("{}@{}", found.manifest.id, found.manifest.version);
            check_files(&mut checked, &model, &found.folder, &found.manifest, true)?;
        }
        let kept = match name {
            Some(name) => {
                if shelved.is_none() {
                    self.cached(name)?;
                }
                self.kept(name)?
            }
            None => self.cache()?.kept()?,
        };
        for kept in kept {
            let model = format!("{}@{}", kept.id, kept.version);
            let path = kept.folder.join(MANIFEST);
            let json = std::fs::read(&path).map_err(|source| Error::io(&path, source))?;
            let right = sha256::of_bytes(&json).starts_with(&kept.hash);
            checked.push(Checked {
                model: model.clone(),
                path,
                fault: (!right).then(|| CHANGED.into()),
            });
            // Where it changed, nothing that it says of other files can be believed.
            if let (true, Ok(manifest)) = (right, BundleManifest::read(&json)) {
                check_files(&mut checked, &model, &kept.folder, &manifest, false)?;
            }
        }
        Ok(checked)
    }

    /// Removes what was fetched of a model, all versions of an id, and files on their way; bytes that are free then.
    ///
    /// # Errors
    /// [`Error::NotCached`] and [`Error::UnknownModel`] as [`Zoo::path`]; [`Error::Cache`].
    pub fn remove(&self, name: &str) -> Result<u64> {
        self.cached(name)?;
        let cache = self.cache()?;
        cache.prepare()?;
        let waits = || self.observer.tell(Event::Waits { file: "the cache" });
        let _alone = cache.lock("zoo", false, waits)?;
        for kept in self.kept(name)? {
            std::fs::remove_dir_all(&kept.folder)
                .map_err(|source| cache::refused(&kept.folder, source))?;
        }
        let mut named = std::collections::BTreeSet::new();
        for kept in cache.kept()? {
            let path = kept.folder.join(MANIFEST);
            let json = std::fs::read(&path).map_err(|source| Error::io(&path, source))?;
            named.insert(sha256::of_bytes(&json));
            if let Ok(manifest) = BundleManifest::read(&json) {
                named.extend(manifest.files.into_values().map(|entry| entry.sha256));
            }
        }
        cache.collect(|sha256| named.contains(sha256))
    }

    /// The folder of fetched files; none where the system names none.
    pub fn cache_dir(&self) -> Option<&Path> {
        self.cache.as_ref().map(Cache::folder)
    }

    fn kept(&self, name: &str) -> Result<Vec<Kept>> {
        let mut kept = self.cache()?.kept()?;
        kept.retain(|kept| means(name, &kept.id, &kept.version));
        Ok(kept)
    }

    fn cache(&self) -> Result<&Cache> {
        self.cache.as_ref().ok_or_else(|| Error::Cache {
            path: PathBuf::new(),
            reason: "the system names no folder for it".into(),
            source: None,
        })
    }

    fn reading(&self) -> Reading<'_> {
        Reading {
            cache: self.cache.as_ref(),
            offline: self.offline,
            patience: &self.patience,
        }
    }
}
