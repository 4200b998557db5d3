//! Writing a bundle.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::manifest::{BundleManifest, FORMAT, FileEntry, check_name};
use super::{MANIFEST, sha256};
use crate::error::{Error, Result};

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
    let refuse = |reason: String| refuse(dir, reason);
    let json = json(dir, &manifest)?;
    let output = |reason: &str, source: std::io::Error| Error::Output {
        path: dir.to_owned(),
        reason: reason.to_owned(),
        source: Some(Box::new(source)),
    };
    let Some(name) = dir.file_name() else {
        return Err(refuse("the path names no folder".into()));
    };
    if dir.symlink_metadata().is_ok() {
        return Err(Error::Output {
            path: dir.to_owned(),
            reason: "it exists already".into(),
            source: None,
        });
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|source| output("its folder cannot be made", source))?;
    let mut partial_name = std::ffi::OsString::from(".");
    partial_name.push(name);
    partial_name.push(format!(".partial-{}", std::process::id()));
    let partial = Partial(parent.join(partial_name));
    fs::create_dir(&partial.0).map_err(|source| output("it cannot be written", source))?;
    let manifest_file = [(MANIFEST, json.as_slice())];
    for (name, bytes) in files.iter().chain(&manifest_file) {
        write_synced(&partial.0.join(name), bytes)
            .map_err(|source| output(&format!("`{name}` cannot be written"), source))?;
    }
    fs::rename(&partial.0, dir).map_err(|source| output("it cannot be put in place", source))?;
    std::mem::forget(partial);
    // The rename itself is safe on disk when the folder that holds it is; not every system can.
    if let Ok(parent) = File::open(parent) {
        let _ = parent.sync_all();
    }
    Ok(())
}

/// Puts another manifest in the place of a bundle's, as where figures were measured after it was written. The files
/// stay as they are; a version that was published must stay too, so that another version is due.
///
/// # Errors
/// [`Error::Bundle`] for a manifest that is impossible, [`Error::Io`] where it cannot be written. The old one is
/// there until the new one is whole.
pub fn rewrite_manifest(dir: &Path, manifest: &BundleManifest) -> Result<()> {
    manifest.check().map_err(|reason| refuse(dir, reason))?;
    let json = json(dir, manifest)?;
    let path = dir.join(MANIFEST);
    let aside = dir.join(format!(".{MANIFEST}.new-{}", std::process::id()));
    let written = write_synced(&aside, &json).and_then(|()| fs::rename(&aside, &path));
    written.map_err(|source| {
        // What is left of it helps nobody.
        let _ = fs::remove_file(&aside);
        Error::io(&path, source)
    })
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

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A folder that goes away unless it is forgotten.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
