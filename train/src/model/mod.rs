//! burn modules built from an [`Arch`]: towers, projectors and the model that joins them.
//!
//! Field names are chosen so that weights carry the names of [`satmip::arch::names`]; the image
//! towers' are timm's and torchvision's.

mod attention;
mod conv_norm;
mod depthwise;
mod dropout;
mod efficientnet;
mod fresh;
mod lean;
#[cfg(feature = "libtorch")]
pub(crate) mod libtorch;
mod projector;
mod resnet;
mod simclr;
mod store;
mod tabular;
mod text;
mod transformer;
mod vit;

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::prelude::{Device, Int, Tensor};
use burn::tensor::{Bool, FloatDType};

pub use dropout::Noise;
pub use efficientnet::EfficientNetLite;
pub use projector::ProjectorModule;
pub use resnet::ResNet;
pub use simclr::{SimclrConfig, SimclrHead};
pub(crate) use store::Checkpoint;
pub use store::{LoadReport, load_image_tower, load_weights, save_weights};
pub use tabular::TabularTransformer;
pub use text::TextTransformer;
pub use vit::Vit;

use fresh::Fresh;
use satmip::Result;
use satmip::arch::{Arch, ImageTower, MetadataTower};

/// Initial logarithm of the inverse temperature, `ln(1 / 0.07)` as in CLIP.
pub const INITIAL_LOGIT_SCALE: f64 = 2.659_260_036_932_778;

/// Image tower, metadata tower, their projectors and the temperature.
#[derive(Module, Debug)]
pub struct SatMip {
    /// Picture to features.
    pub image: ImageEncoder,
    /// Features to the common space.
    pub image_projector: ProjectorModule,
    /// Metadata to features; none in a model of images alone.
    pub metadata: Option<MetadataEncoder>,
    /// Features to the common space.
    pub metadata_projector: Option<ProjectorModule>,
    /// Natural logarithm of the inverse temperature, `[1]`.
    pub logit_scale: Param<Tensor<1>>,
    /// SimCLR's head, used in training alone.
    pub simclr_head: Option<SimclrHead>,
}

/// One of the image towers.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum ImageEncoder {
    /// Vision Transformer.
    Vit(Vit),
    /// Residual convolutional network.
    ResNet(ResNet),
    /// EfficientNet-Lite.
    EfficientNetLite(EfficientNetLite),
}

/// One of the metadata towers.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum MetadataEncoder {
    /// Text Transformer over the caption.
    Text(TextTransformer),
    /// FT-Transformer over columns.
    Tabular(TabularTransformer),
}

/// A batch of metadata as a tower reads it.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum MetadataBatch {
    /// Token ids `[batch, length]`, 0 after the end token.
    Text(Tensor<2, Int>),
    /// Standardised numbers `[batch, n]`, category indices `[batch, m]` and presence of the
    /// fields `[batch, fields]`.
    Tabular(Tensor<2>, Tensor<2, Int>, Tensor<2, Bool>),
}

impl SatMip {
    /// A model with fresh weights, which follow from the seed alone, on every device.
    ///
    /// # Errors
    /// Where the architecture is impossible.
    pub fn new(
        arch: &Arch,
        simclr: Option<&SimclrConfig>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        arch.validate()?;
        let fresh = &Fresh::new(seed, device);
        let image = match &arch.image {
            ImageTower::Vit(c) => ImageEncoder::Vit(Vit::new(c, arch.preprocessing.size, fresh)),
            ImageTower::ResNet(c) => ImageEncoder::ResNet(ResNet::new(c, fresh)),
            ImageTower::EfficientNetLite(c) => {
                ImageEncoder::EfficientNetLite(EfficientNetLite::new(c, fresh))
            }
        };
        let (d, e) = (arch.image.features(), arch.embed_dim);
        let side = arch.metadata.as_ref();
        Ok(Self {
            image,
            image_projector: ProjectorModule::new(&arch.image_projector, d, e, fresh),
            metadata: side.map(|side| match &side.tower {
                MetadataTower::Text(c) => MetadataEncoder::Text(TextTransformer::new(c, fresh)),
                MetadataTower::Tabular(c) => {
                    MetadataEncoder::Tabular(TabularTransformer::new(c, side.fields, fresh))
                }
            }),
            metadata_projector: side
                .map(|s| ProjectorModule::new(&s.projector, s.tower.features(), e, fresh)),
            logit_scale: Initializer::Constant {
                value: INITIAL_LOGIT_SCALE,
            }
            .init([1], device),
            simclr_head: simclr.map(|c| SimclrHead::new(c, d, fresh)),
        })
    }

    /// The model with the batch norms of its image tower frozen: training takes their running statistics as
    /// they are and leaves them so.
    pub fn with_frozen_image_norms(mut self) -> Self {
        self.image = conv_norm::freeze_statistics(self.image);
        self
    }

    /// Normalised pictures `[batch, 3, height, width]` to features `[batch, d]`.
    pub fn image_features(&self, images: Tensor<4>) -> Tensor<2> {
        self.image.forward(images)
    }

    /// Features `[batch, d]` to unit rows `[batch, e]`.
    pub fn project_image(&self, features: Tensor<2>) -> Tensor<2> {
        unit_rows(self.image_projector.forward(features))
    }

    /// Metadata to features `[batch, d]`, without dropout; none without a metadata tower or for a batch
    /// of another kind of tower.
    pub fn metadata_features(&self, batch: MetadataBatch) -> Option<Tensor<2>> {
        self.metadata.as_ref()?.forward(batch, None)
    }

    /// Features `[batch, d]` to unit rows `[batch, e]`; none without a metadata tower.
    pub fn project_metadata(&self, features: Tensor<2>) -> Option<Tensor<2>> {
        let projector = self.metadata_projector.as_ref()?;
        Some(unit_rows(projector.forward(features)))
    }
}

impl ImageEncoder {
    /// Whether it is made of convolutions with batch norms.
    #[cfg(feature = "libtorch")]
    pub(crate) fn is_convolutional(&self) -> bool {
        !matches!(self, ImageEncoder::Vit(_))
    }

    /// Normalised pictures `[batch, 3, height, width]` to features `[batch, d]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            ImageEncoder::Vit(tower) => tower.forward(images),
            ImageEncoder::ResNet(tower) => tower.forward(images),
            ImageEncoder::EfficientNetLite(tower) => tower.forward(images),
        }
    }
}

impl MetadataEncoder {
    /// Metadata to features `[batch, d]`; none for a batch of another kind of tower. With noise, the
    /// tower's dropout takes part.
    pub fn forward(&self, batch: MetadataBatch, noise: Option<&Noise>) -> Option<Tensor<2>> {
        match (self, batch) {
            (MetadataEncoder::Text(tower), MetadataBatch::Text(ids)) => Some(tower.forward(ids)),
            (
                MetadataEncoder::Tabular(tower),
                MetadataBatch::Tabular(numbers, categories, present),
            ) => Some(tower.forward(numbers, categories, present, noise)),
            _ => None,
        }
    }
}

impl MetadataBatch {
    /// The same batch with its numbers in another precision.
    pub fn cast(self, dtype: FloatDType) -> Self {
        match self {
            MetadataBatch::Text(ids) => MetadataBatch::Text(ids),
            MetadataBatch::Tabular(numbers, categories, present) => {
                MetadataBatch::Tabular(numbers.cast(dtype), categories, present)
            }
        }
    }
}

/// Scales each row to unit length; a row of zeros stays zero and has a gradient of zero.
pub fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    // Before the root, whose slope at 0 is infinite.
    let norm = x.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
    x / norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_zeros_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[0.0f32, 0.0], [3.0, 4.0]], &device).require_grad();
        let y = unit_rows(x.clone());
        let values = y.clone().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values[..2], [0.0, 0.0]);
        assert!((values[2] - 0.6).abs() < 1e-6 && (values[3] - 0.8).abs() < 1e-6);
        let gradient = x.grad(&y.sum().backward()).unwrap();
        let gradient = gradient.into_data().try_to_vec::<f32>().unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }
}
