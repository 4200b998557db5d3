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
//! columns the other graph reads.
//!
//! Around this crate: `satmip-archive` is the job over an archive of millions, `satmip-eval` says what vectors are
//! worth, `satmip-train` trains models with burn, `satmip-cli` is the program `satmip`.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `serve` (default) | engines, bundles, [`Embedder`] |
//! | `zoo` (default) | models by name, from this machine's registries, folders and cache |
//! | `download` (default) | models and registries of servers |
//! | `model-lite` | `satmip-lite` as a part of the program, 4.6 MB |
//! | `model-lite-128`, `model-nano`, `model-nano-simclr`, `model-nano-tabular`, `model-tiny` | other models likewise |
//! | `builtin-model` | the default model, which is `model-lite` |
//! | `parquet` | metadata from Parquet and GeoParquet tables |
//! | `geotiff` | metadata from GeoTIFFs; all coordinate systems of EPSG |
//! | `jpeg2000` | pictures and scenes in JPEG 2000 |
//! | `dynamic-image` | pictures of the crate `image` |
//! | `export` | architectures and weights to ONNX graphs |
//! | `onnxruntime-cuda`, `onnxruntime-tensorrt` | GPUs through ONNX Runtime |
#![cfg_attr(docsrs, feature(doc_cfg))]
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
pub mod bundle;
#[cfg(feature = "serve")]
pub mod embedder;
#[cfg(feature = "serve")]
pub mod engine;
mod error;
#[cfg(feature = "export")]
pub mod export;
pub mod image;
mod json;
pub mod metadata;
#[doc(hidden)]
pub mod parts;
#[cfg(feature = "geotiff")]
pub mod scene;
#[cfg(feature = "zoo")]
pub mod zoo;

/// Arrays of this version are in the public interface.
pub use ndarray;

#[cfg(feature = "serve")]
pub use bundle::{Bundle, BundleManifest};
#[cfg(feature = "serve")]
pub use embedder::{Embedder, Embeddings, Encoded, Pairs};
#[cfg(feature = "serve")]
pub use engine::Device;
pub use error::{Cause, Error, ImageFault, Result};
pub use json::Json;
pub use metadata::{
    CountryCode, Field, FieldSet, Location, Metadata, PerAxis, ScanDirection, TimePrecision,
    Timestamp, UtmZone,
};
