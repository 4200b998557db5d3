//! The test model as a static host has it, and what of it is in a cache.

use std::path::{Path, PathBuf};

use satmip::zoo::{Layout, pack};

use crate::{fixture, server};

/// `tiny@1.0.0`, packed for a static host, with a registry beside.
pub fn packed(out: &Path) -> PathBuf {
    pack(fixture::model(), out, Layout::Folders, None).unwrap()
}

/// Files below the cache that have a name of their own: blobs and files of models.
pub fn named_files(cache: &Path) -> Vec<String> {
    let all = server::read_all(cache, cache);
    let named = all
        .into_keys()
        .filter(|name| name.contains("/blobs/") || name.contains("/models/"));
    named.collect()
}
