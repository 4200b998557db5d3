//! Satellite images and what is known of their acquisition in one embedding space.
//!
#![cfg_attr(feature = "builtin-model", doc = "```no_run")]
#![cfg_attr(not(feature = "builtin-model"), doc = "```ignore")]
//! use satmip::{Device, Embedder, Field, Metadata};
//!
//! # fn main() -> satmip::Result<()> {
//! let model = Embedder::builder("satmip-lite").device(Device::Auto).load()?;
//! let record = Metadata::new().with_gsd(10.0)?.with_location(2.35, 48.85)?; // any subset of 15 fields, of the file
//! let pairs = model.embed_pairs(&[("a.jpg", record), ("b.tif", Metadata::new())])?; // its gsd follows the resize
//! let cosines = pairs.images().similarity(pairs.metadata())?; // of n pictures with m records
//! let guess = model.query(pairs.images(), Field::CountryCode, ["FRA", "KEN", "PER"])?;
//! let odd = model.audit(&pairs)?; // how well each record fits its picture
//! # Ok(())
//! # }
//! ```
//!
//! The way of a picture: [`image`] decodes and fits it, an [`engine`] runs the graph of a
//! [`bundle`], and an [`Embedder`] does all of that for many at a time. The way of metadata: a
//! reader of [`metadata::read`] or the setters of [`Metadata`] make a record, whose caption or
//! columns the other graph reads. [`embed`] is the job over an archive of millions.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `serve` (default) | engines, bundles, [`Embedder`], the batch job |
//! | `zoo` (default) | models by name, downloaded from registries |
//! | `builtin-model` | `satmip-lite` inside the program, 4.6 MB |
//! | `parquet`, `geotiff` | Parquet tables; metadata of GeoTIFFs |
//! | `export` | architectures and weights to ONNX |
//! | `cli` | the program `satmip` |
//! | `train` | pretraining with burn, on the CPU |
//! | `wgpu`, `vulkan`, `cuda` | pretraining on a GPU |
//! | `onnxruntime-cuda`, `onnxruntime-tensorrt` | GPUs through ONNX Runtime |
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::broken_intra_doc_links,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

/// The README's Rust must compile.
#[cfg(all(doctest, feature = "builtin-model"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub mod arch;
#[cfg(feature = "serve")]
mod aside;
#[cfg(feature = "serve")]
pub mod bundle;
#[cfg(feature = "eval")]
pub mod chips;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "serve")]
pub mod embed;
#[cfg(feature = "serve")]
pub mod embedder;
#[cfg(feature = "serve")]
pub mod engine;
mod error;
#[cfg(feature = "eval")]
pub mod eval;
#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "eval")]
mod figure;
#[cfg_attr(
    not(feature = "serve"),
    allow(dead_code, reason = "for engines, jobs and readers")
)]
mod guard;
pub mod image;
#[cfg(all(feature = "export", feature = "eval"))]
pub mod import;
#[cfg(feature = "train")]
pub mod loss;
pub mod metadata;
#[cfg(feature = "train")]
pub mod model;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "zoo")]
pub mod zoo;

#[cfg(feature = "serve")]
pub use bundle::{Bundle, BundleManifest};
#[cfg(feature = "serve")]
pub use embedder::{Embedder, Embeddings, Pairs};
#[cfg(feature = "serve")]
pub use engine::Device;
pub use error::{Cause, Error, ImageFault, Result};
pub use metadata::{
    CountryCode, Field, FieldSet, Location, Metadata, PerAxis, ScanDirection, TimePrecision,
    Timestamp, UtmZone,
};
