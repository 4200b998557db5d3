//! What a model *is*, as plain data: towers, projectors, preprocessing and fields.
//!
//! This module knows no tensors and no runtime. The training code builds its modules from an
//! [`Arch`], the exporter builds graphs from it, a bundle stores it, and the embedder prepares its
//! inputs after it. Weights are found by the names that [`names`] documents.

mod efficientnet;
mod image;
mod lite;
mod metadata;
pub mod names;
mod preprocessing;
mod shapes;
mod standard;

use serde::{Deserialize, Serialize};

pub use efficientnet::{EfficientNetLiteConfig, LiteConv, MbConvBlock, MbConvStage, same_padding};
pub use image::{ImageTower, Pool, ResNetBlock, ResNetConfig, Stem, VitConfig};
pub use metadata::{
    CategoryColumn, MetadataTower, NumberColumn, TabularColumns, TabularConfig, TabularTokens,
    TextConfig,
};
pub use preprocessing::{Fit, Preprocessing, ResizeFilter};
pub use shapes::{BlockConv, weight_shapes};

use crate::error::{Error, Result};
use crate::metadata::FieldSet;

/// A whole model: two towers, their projectors into one space, and how inputs are prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arch {
    /// How a picture becomes the image tower's input.
    pub preprocessing: Preprocessing,
    /// Picture to `image_features`.
    pub image: ImageTower,
    /// `image_features` to `image_embeds`.
    pub image_projector: Projector,
    /// The side of the metadata; none for a model of images alone (SimCLR). Nothing trains the image projector then:
    /// `image_embeds` are a random projection of `image_features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSide>,
    /// Width of the common space, `image_embeds` and `metadata_embeds`.
    pub embed_dim: usize,
}

/// The metadata tower with its fields and projector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataSide {
    /// The fields that the tower was made for, in canonical order; others are ignored.
    pub fields: FieldSet,
    /// Metadata to `metadata_features`.
    pub tower: MetadataTower,
    /// `metadata_features` to `metadata_embeds`.
    pub projector: Projector,
}

/// Maps a tower's features into the common space. Rows are scaled to unit length afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Projector {
    /// One matrix without bias, as in CLIP and SLIP.
    Linear,
    /// Linear layers with bias and ReLU between them (our choice, not the paper's).
    Mlp {
        /// Widths of the hidden layers; at least one.
        hidden: Vec<usize>,
    },
}

impl Projector {
    /// Input and output width of each linear layer, in order.
    pub fn layers(&self, input: usize, output: usize) -> Vec<(usize, usize)> {
        let hidden: &[usize] = match self {
            Projector::Linear => &[],
            Projector::Mlp { hidden } => hidden,
        };
        let ins = std::iter::once(input).chain(hidden.iter().copied());
        let outs = hidden.iter().copied().chain(std::iter::once(output));
        ins.zip(outs).collect()
    }

    /// Whether the layers have biases.
    pub fn has_bias(&self) -> bool {
        matches!(self, Projector::Mlp { .. })
    }

    fn validate(&self, part: &str) -> Result<()> {
        match self {
            Projector::Linear => Ok(()),
            Projector::Mlp { hidden } if hidden.is_empty() || hidden.contains(&0) => {
                Err(Error::arch(
                    format!("{part}.hidden"),
                    "needs at least one width, each above 0",
                ))
            }
            Projector::Mlp { .. } => Ok(()),
        }
    }
}

impl Arch {
    /// Checks that such a model can be built.
    ///
    /// # Errors
    /// [`Error::Arch`] names the first setting that is impossible.
    pub fn validate(&self) -> Result<()> {
        positive("embed_dim", self.embed_dim)?;
        self.preprocessing.validate()?;
        self.image.validate(self.preprocessing.size)?;
        self.image_projector.validate("image_projector")?;
        if let Some(side) = &self.metadata {
            side.tower.validate(side.fields)?;
            side.projector.validate("metadata.projector")?;
        }
        Ok(())
    }
}

/// Largest width, depth or vocabulary that is believed; above it a file is taken to be hostile.
const MOST: usize = 1 << 20;

fn positive(part: &str, value: usize) -> Result<()> {
    if value == 0 || value > MOST {
        return Err(Error::arch(part, format!("{value} is outside 1 to {MOST}")));
    }
    Ok(())
}

fn divisible(part: &str, dim: usize, heads: usize) -> Result<()> {
    positive(part, heads)?;
    if !dim.is_multiple_of(heads) {
        return Err(Error::arch(
            part,
            format!("width {dim} is not divisible by {heads}"),
        ));
    }
    Ok(())
}
