//! Models by name: registries, the cache, downloads and their faults. Servers are of this process, on this machine.
#![cfg(all(unix, feature = "download", feature = "export"))]

#[path = "../fixture/mod.rs"]
mod fixture;

mod cache;
mod faults;
mod registries;
mod server;
mod site;

use std::path::Path;
use std::time::Duration;

use satmip::zoo::{Patience, Zoo, ZooBuilder};
use site::{named_files, packed};

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
