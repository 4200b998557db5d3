//! `satmip zoo` and models by name, as a person has them. Servers are of this process, on this machine.
#![cfg(unix)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod program;
#[path = "../../../tests/zoo/server.rs"]
mod server;
mod tls;

use std::path::{Path, PathBuf};

use satmip::zoo::{Layout, pack};

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
