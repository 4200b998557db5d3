//! A folder that has bundles by their ids, as `zoo` in a clone of the project.

use std::fs;
use std::path::{Path, PathBuf};

use super::registry::means;
use crate::bundle::{BundleManifest, MANIFEST, check_id};

/// A folder of bundles; each is in the folder that has its id as its name.
#[derive(Debug, Clone)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn at(folder: PathBuf) -> Self {
        Shelf(folder)
    }

    /// The folder of the model of this name (`id`, `id@version`), where its bundle says that it is that model.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let id = name.split_once('@').map_or(name, |(id, _)| id);
        check_id(id).ok()?;
        let folder = self.0.join(id);
        let manifest = manifest(&folder)?;
        means(name, &manifest.id, &manifest.version).then_some(folder)
    }
}

fn manifest(folder: &Path) -> Option<BundleManifest> {
    BundleManifest::read(&fs::read(folder.join(MANIFEST)).ok()?).ok()
}
