//! Architecture and weights to ONNX graphs.
//!
//! | graph | inputs | outputs |
//! |---|---|---|
//! | image | `image` u8 [batch, size, size, 3], RGB | `image_features` f32 [batch, d], `image_embeds` f32 [batch, e], unit rows |
//! | metadata, text | `input_ids` i64 [batch, length] | `metadata_features`, `metadata_embeds` |
//! | metadata, tabular | `numbers` f32 [batch, n], `categories` i64 [batch, m], `present` bool [batch, fields] | the same |
//! | resize | `picture` u8 [batch, height, width, 3], RGB | `image`, fitted for the image graph |
//!
//! Opset 20, dynamic batch and length. Preprocessing's normalisation is inside the image graph;
//! `numbers` are standardised by the caller
//! ([`NumberColumn`](crate::arch::NumberColumn) has the statistics). Features are what the tower
//! gives before its projector. A row of embeds is a unit vector, or zeros where the projector
//! gives zeros.

mod checkpoint;
mod graph_weights;
mod image;
mod metadata;
mod precision;
mod projector;
mod properties;
mod random;
mod resize;
mod stac_mlm;
mod verify;
mod weights;

use satmip_export::{Graph, Model, ModelInfo};

use crate::arch::{Arch, Preprocessing};
use crate::error::{Error, Result};

pub use checkpoint::{BundleFiles, Card, Checkpoint};
pub use precision::Precision;
pub use verify::{BATCHES, GraphReport, ParityReport, Verification, verify};
#[doc(hidden)]
pub use weights::ROOTS;
pub use weights::Weights;

/// The version of ONNX's operator set: the first with `Gelu` as one operator.
pub const OPSET: i64 = 20;

/// How graphs are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// How weights are stored and what is computed in.
    pub precision: Precision,
    /// Names of weights that [`Precision::Int8`] leaves in f32, and of kernels that
    /// [`Precision::Int8Weights`] does, too.
    pub keep: Vec<String>,
    /// Named texts for the file's `metadata_props`; keys must be unique.
    pub properties: Vec<(String, String)>,
    /// The producer's version as it stands in the file; this crate's by default.
    pub producer_version: String,
}

impl Default for ExportOptions {
    fn default() -> Self {
        ExportOptions {
            precision: Precision::default(),
            keep: Vec::new(),
            properties: Vec::new(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The image tower and its projector as the bytes of `image.onnx`.
///
/// # Errors
/// [`Error::Arch`] for an architecture that cannot be, [`Error::Weights`] for a tensor that is
/// missing, has another shape or numbers that are not finite, [`Error::Export`] when the model
/// has more than 2 GiB (see [`image_model`]).
pub fn export_image(arch: &Arch, weights: &Weights, options: &ExportOptions) -> Result<Vec<u8>> {
    image_model(arch, weights, options)?
        .to_bytes()
        .map_err(|e| failed("the image graph", e))
}

/// The metadata tower and its projector as the bytes of `metadata.onnx`.
///
/// # Errors
/// As [`export_image`], and [`Error::Export`] for a model without a metadata side.
pub fn export_metadata(arch: &Arch, weights: &Weights, options: &ExportOptions) -> Result<Vec<u8>> {
    metadata_model(arch, weights, options)?
        .to_bytes()
        .map_err(|e| failed("the metadata graph", e))
}

/// The image graph, to be written with a side file of weights where it needs one
/// ([`Model::write`]).
///
/// # Errors
/// As [`export_image`].
pub fn image_model(arch: &Arch, weights: &Weights, options: &ExportOptions) -> Result<Model> {
    arch.validate()?;
    build("image", "the image graph", options, |graph| {
        image::build(graph, arch, weights)
    })
}

/// The metadata graph, to be written with a side file of weights where it needs one.
///
/// # Errors
/// As [`export_metadata`].
pub fn metadata_model(arch: &Arch, weights: &Weights, options: &ExportOptions) -> Result<Model> {
    arch.validate()?;
    let side = arch.metadata.as_ref().ok_or_else(|| Error::Export {
        what: "the metadata graph".into(),
        reason: "the model has no metadata side".into(),
        source: None,
    })?;
    build("metadata", "the metadata graph", options, |graph| {
        metadata::build(graph, side, arch.embed_dim, weights)
    })
}

/// The graph that fits pictures of any size to an image graph's input, for programs without a resize like Pillow's:
/// `picture` u8 [batch, height, width, 3] to `image` u8 [batch, size, size, 3]. Its bytes are those of
/// [`image::fit`](crate::image::fit), but for roundings: where the tests compare them, at most 1 apart, with Lanczos 2. It has no operator
/// that an engine of ours lacks, and works in f32 whatever the options' precision.
///
/// # Errors
/// [`Error::Arch`] for a size, mean or deviation that cannot be.
pub fn export_resize(preprocessing: &Preprocessing, options: &ExportOptions) -> Result<Vec<u8>> {
    preprocessing.validate()?;
    let what = "the resize graph";
    let mut options = ExportOptions {
        precision: Precision::F32,
        ..options.clone()
    };
    let properties = properties::of_images(preprocessing)?;
    options.properties.extend(properties);
    let model = build("resize", what, &options, |graph| {
        resize::build(graph, preprocessing)
    })?;
    model.to_bytes().map_err(|e| failed(what, e))
}

/// Why a graph was not built: the weights, or the builder refused it.
enum Fault {
    Ours(Error),
    Builder(satmip_export::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Ours(error)
    }
}

impl From<satmip_export::Error> for Fault {
    fn from(error: satmip_export::Error) -> Self {
        Fault::Builder(error)
    }
}

type Built<T> = std::result::Result<T, Fault>;

fn build(
    name: &str,
    what: &str,
    options: &ExportOptions,
    fill: impl FnOnce(&mut Graph) -> Built<()>,
) -> Result<Model> {
    let info = ModelInfo {
        producer: "satmip".into(),
        producer_version: options.producer_version.clone(),
        description: String::new(),
        properties: options.properties.clone(),
    };
    let finish = || -> Built<Model> {
        let mut graph = Graph::new(name, OPSET)?.with_weight_storage(options.precision.storage());
        fill(&mut graph)?;
        let model = graph.finish(&info)?;
        Ok(options.precision.rewrite(model, &options.keep)?)
    };
    finish().map_err(|fault| match fault {
        Fault::Ours(error) => error,
        Fault::Builder(error) => failed(what, error),
    })
}

fn failed(what: &str, error: satmip_export::Error) -> Error {
    Error::Export {
        what: what.into(),
        reason: error.to_string(),
        source: Some(error.into()),
    }
}
