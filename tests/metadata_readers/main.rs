//! The metadata readers over small files, good, odd and hostile.

mod files;
mod fmow;
#[cfg(feature = "geotiff")]
mod geotiff_files;
#[cfg(feature = "parquet")]
mod parquet_tables;
mod stac;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use satmip::metadata::read;
use satmip::{Error, Field, Metadata};
use serde_json::Value;
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/metadata")
        .join(name)
}

fn document(name: &str) -> Value {
    read::json_document(data(name)).unwrap()
}

/// A record's fields as text, in canonical order.
fn texts(metadata: &Metadata) -> Vec<(Field, String)> {
    let fields = metadata.fields();
    fields
        .iter()
        .map(|field| (field, metadata.text(field).unwrap()))
        .collect()
}

fn written(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[track_caller]
fn assert_source_error(error: &Error, origin: &str, line: Option<u64>, reason: &str) {
    match error {
        Error::MetadataSource {
            origin: o,
            line: l,
            reason: r,
            ..
        } => {
            assert!(o.contains(origin), "origin {o:?} lacks {origin:?}");
            assert_eq!(*l, line, "{error}");
            assert!(r.contains(reason), "reason {r:?} lacks {reason:?}");
        }
        other => panic!("another kind of error: {other:?}"),
    }
}
