//! A folder that has bundles by their ids, as `zoo` in a clone of the project.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::registry::{Registry, means};
use crate::bundle::{BundleManifest, MANIFEST, check_id};
use crate::error::{Error, Result};
use crate::parts::sha256;

/// A folder of bundles; each is in the folder that has its id as its name.
#[derive(Debug, Clone)]
pub(super) struct Shelf(PathBuf);

/// A bundle on a shelf.
#[derive(Debug)]
pub(super) struct Shelved {
    pub(super) folder: PathBuf,
    pub(super) manifest: BundleManifest,
}

impl Shelf {
    pub(super) fn at(folder: PathBuf) -> Self {
        Shelf(folder)
    }

    /// The model of this name (`id`, `id@version`), where a bundle says that it is that model. A name means the same
    /// bytes for ever: where `registry` has it, the bundle must be the one that it names.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Bundle`] for a manifest that cannot be read, [`Error::Checksum`] for another one.
    pub(super) fn find(&self, name: &str, registry: &Registry) -> Result<Option<Shelved>> {
        let id = name.split_once('@').map_or(name, |(id, _)| id);
        if check_id(id).is_err() {
            return Ok(None);
        }
        let folder = self.0.join(id);
        let path = folder.join(MANIFEST);
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, error)),
        };
        let manifest = BundleManifest::read(&json).map_err(|reason| Error::Bundle {
            path: folder.clone(),
            reason,
            source: None,
        })?;
        if manifest.id != id || !means(name, &manifest.id, &manifest.version) {
            return Ok(None);
        }
        let known = registry.find(&format!("{id}@{}", manifest.version));
        if let Some(entry) = known.and_then(|model| model.files.get(MANIFEST)) {
            let actual = sha256::of_bytes(&json);
            if actual != entry.sha256 {
                return Err(Error::Checksum {
                    path,
                    what: "sha256",
                    expected: entry.sha256.clone(),
                    actual,
                });
            }
        }
        Ok(Some(Shelved { folder, manifest }))
    }
}
