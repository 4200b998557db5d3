//! Models by name: registries, the cache, downloads and their faults. Servers are of this process, on this machine.
#![cfg(all(unix, feature = "zoo", feature = "export"))]

#[path = "../fixture/mod.rs"]
mod fixture;

mod cache;
mod faults;
mod registries;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use satmip::zoo::{Layout, Patience, Zoo, ZooBuilder, pack};

/// `tiny@1.0.0`, packed for a static host, with a registry beside.
pub fn packed(out: &Path) -> PathBuf {
    pack(fixture::model(), out, Layout::Folders, None).unwrap()
}

/// A zoo that waits milliseconds where people would wait seconds.
pub fn hasty(cache: &Path, registry: &str) -> ZooBuilder {
    Zoo::builder()
        .cache_dir(cache)
        .offline(false)
        .registry(registry)
        .patience(Patience {
            attempts: 3,
            backoff: Duration::from_millis(1),
            longest_wait: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
            window: Duration::from_millis(300),
            slowest: 10_000,
        })
}

/// Files below the cache that have a name of their own: blobs and files of models.
pub fn named_files(cache: &Path) -> Vec<String> {
    let all = server::read_all(cache, cache);
    let named = all
        .into_keys()
        .filter(|name| name.contains("/blobs/") || name.contains("/models/"));
    named.collect()
}
