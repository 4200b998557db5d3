//! Writing a bundle.

use std::path::Path;

use super::MANIFEST;
use super::manifest::{BundleManifest, FORMAT, FileEntry, check_name};
use crate::error::{Error, Result};
use crate::parts::aside;
use crate::parts::sha256;

/// Writes a bundle into a new folder.
///
/// `manifest.format` and `manifest.files` are filled in. The folder appears complete or not at all:
/// everything is written beside it, synced, and renamed.
///
/// # Errors
/// [`Error::Output`] when `dir` exists already or cannot be written, [`Error::Bundle`] when the
/// bundle would not open: a file that the architecture needs is missing, a name is not plain, a
/// value of the manifest is impossible.
pub fn write(dir: &Path, manifest: BundleManifest, files: &[(&str, &[u8])]) -> Result<()> {
    let manifest = complete(dir, manifest, files)?;
    let json = json(dir, &manifest)?;
    let refuse = |reason: String| refuse(dir, reason);
    if dir.file_name().is_none() {
        return Err(refuse("the path names no folder".into()));
    }
    let manifest_file = (MANIFEST, json.as_slice());
    let files: Vec<_> = files.iter().copied().chain([manifest_file]).collect();
    aside::write_folder(dir, &files)
}

/// Puts another manifest in the place of a bundle's, as where figures were measured after it was written. The files
/// stay as they are; a version that was published must stay too, so that another version is due.
///
/// # Errors
/// [`Error::Bundle`] for a manifest that is impossible, [`Error::Output`] where it cannot be written. The old one is
/// there until the new one is whole.
pub fn rewrite_manifest(dir: &Path, manifest: &BundleManifest) -> Result<()> {
    manifest.check().map_err(|reason| refuse(dir, reason))?;
    let json = json(dir, manifest)?;
    aside::write(&dir.join(MANIFEST), &json, aside::Existing::Replace)
}

fn refuse(dir: &Path, reason: String) -> Error {
    Error::Bundle {
        path: dir.to_owned(),
        reason,
        source: None,
    }
}

/// The manifest as it stands in a bundle.
fn json(dir: &Path, manifest: &BundleManifest) -> Result<Vec<u8>> {
    let json = serde_json::to_vec_pretty(manifest);
    let mut json = json.map_err(|e| refuse(dir, e.to_string()))?;
    json.push(b'\n');
    Ok(json)
}

/// The manifest with its format and files, checked; `dir` stands for the bundle in messages.
pub(super) fn complete(
    dir: &Path,
    manifest: BundleManifest,
    files: &[(&str, &[u8])],
) -> Result<BundleManifest> {
    let refuse = |reason: String| refuse(dir, reason);
    let mut manifest = BundleManifest {
        format: FORMAT,
        ..manifest
    };
    manifest.files.clear();
    for (name, bytes) in files {
        check_name(name).map_err(refuse)?;
        let entry = FileEntry {
            size: bytes.len() as u64,
            sha256: sha256::of_bytes(bytes),
        };
        if manifest.files.insert((*name).to_owned(), entry).is_some() {
            return Err(refuse(format!("`{name}` is given twice")));
        }
    }
    manifest.check().map_err(refuse)?;
    Ok(manifest)
}
