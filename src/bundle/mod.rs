//! A model on disk: a folder that is complete by itself.
//!
//! | file | what it is |
//! |---|---|
//! | `bundle.json` | the [`BundleManifest`]: architecture, preprocessing, fields, licence, figures, and size and sha256 of every other file |
//! | `image.onnx` | the image tower with its projector |
//! | `metadata.onnx` | the metadata tower with its projector; absent for a model of images alone |
//! | `image.int8.onnx`, `metadata.f16.onnx`, .. | the same in other precisions (optional) |
//! | `tokenizer.json` | the tokenizer of a text tower, in the format of `tokenizers` |
//! | `weights.safetensors` | the weights by name, to train on (optional) |
//! | `README.md` | the card (optional) |
//! | `stac-mlm.json` | the model as a STAC Item (optional) |
//!
//! The graphs can be used without this crate; [`Bundle::open`] checks everything that the manifest
//! states before any of it is used.

mod audited;
mod manifest;
mod parity;
mod read;
mod write;

pub use audited::{AuditEvidence, AuditFigure, WHOLE_RECORD};
pub use manifest::{BundleManifest, FORMAT, FileEntry, Graphs, PRECISIONS};
#[cfg(feature = "zoo")]
pub(crate) use manifest::{MOST_FILES, check_id, check_name};
pub use parity::{Agreement, KnnChange, Parity};
pub use read::Bundle;
#[cfg(feature = "zoo")]
pub(crate) use read::check_bytes;
pub use write::{rewrite_manifest, write};

/// The manifest.
pub const MANIFEST: &str = "bundle.json";
/// The image tower with its projector.
pub const IMAGE_GRAPH: &str = "image.onnx";
/// The metadata tower with its projector.
pub const METADATA_GRAPH: &str = "metadata.onnx";
/// The tokenizer of a text tower.
pub const TOKENIZER: &str = "tokenizer.json";
/// The weights by name.
pub const WEIGHTS: &str = "weights.safetensors";
/// The weights that a run began with, beside those of a checkpoint, where its image tower was loaded.
pub const FIRST_WEIGHTS: &str = "first.safetensors";
/// The model as a STAC Item of the Machine Learning Model extension.
pub const STAC_MLM: &str = "stac-mlm.json";
/// The card.
pub const CARD: &str = "README.md";
