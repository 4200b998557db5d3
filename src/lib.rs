//! Satellite images and what is known of their acquisition in one embedding space.
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

pub mod arch;
#[cfg(feature = "serve")]
pub mod bundle;
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
#[cfg(feature = "export")]
pub mod export;
pub mod image;
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
pub use embedder::{Embedder, Embeddings};
#[cfg(feature = "serve")]
pub use engine::Device;
pub use error::{Cause, Error, ImageFault, Result};
pub use metadata::{
    CountryCode, Field, FieldSet, Location, Metadata, PerAxis, ScanDirection, TimePrecision,
    Timestamp, UtmZone,
};
