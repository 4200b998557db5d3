//! Models by name.
//!
//! A name is the path of a bundle folder or the id of a model that is part of the program (feature
//! `builtin-model`).

mod builtin;

use std::path::Path;

use crate::bundle::{Bundle, MANIFEST};
use crate::error::{Error, Result};

/// Ids of the models that [`resolve`] knows.
pub fn known() -> &'static [&'static str] {
    builtin::NAMES
}

/// The bundle that a name stands for: the folder of this path, else the known model of this id.
///
/// # Errors
/// [`Error::UnknownModel`] when there is neither; else as [`Bundle::open`].
pub fn resolve(id: &str) -> Result<Bundle> {
    let path = Path::new(id);
    // A folder that merely has a model's name, without a manifest, does not hide the model.
    if path.join(MANIFEST).exists() {
        return Bundle::open(path);
    }
    if let Some(bundle) = builtin::open(id) {
        return bundle;
    }
    if path.is_dir() {
        return Bundle::open(path);
    }
    Err(Error::UnknownModel {
        id: id.to_owned(),
        known: known().iter().map(|id| (*id).to_owned()).collect(),
    })
}
