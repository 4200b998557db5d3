//! Image towers.

use serde::{Deserialize, Serialize};

use super::names::{BATCH_NORM_EPS, LITE_NORM_EPS};
use super::standard::StatedTower;
use super::{EfficientNetLiteConfig, divisible, positive};
use crate::error::{Error, Result};

/// Picture to features.
///
/// Read from all settings (`kind = "vit"`, `"resnet"`, `"efficientnet-lite"`) or from the name of a
/// standard size: `kind = "vit-tiny"`, `"vit-small"` or `"vit-base"` with `patch` and, where it is no
/// class token, `pool`; `kind = "resnet18"` or `"resnet50"`; `kind = "efficientnet-lite0"` to
/// `"efficientnet-lite4"`. Always written with all settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", from = "StatedTower")]
pub enum ImageTower {
    /// A Vision Transformer with timm's names.
    Vit(VitConfig),
    /// A residual convolutional network with torchvision's names.
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// An EfficientNet-Lite with timm's names.
    #[serde(rename = "efficientnet-lite")]
    EfficientNetLite(EfficientNetLiteConfig),
}

/// A Vision Transformer (Dosovitskiy et al. 2021), pre-norm, exact GELU, with learned positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of a square patch in pixels; divides the input size.
    pub patch: usize,
    /// Width of the tokens and of the features.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; divides `dim`.
    pub heads: usize,
    /// Hidden width of a block's MLP as a multiple of `dim`; 4 in every published ViT.
    #[serde(default = "four")]
    pub mlp_ratio: usize,
    /// How the tokens become one vector.
    #[serde(default)]
    pub pool: Pool,
    /// Epsilon of the layer norms; timm has 1e-6.
    #[serde(default = "vit_eps")]
    pub norm_eps: f64,
}

/// How a Transformer's tokens become one vector, after the last norm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The class token.
    #[default]
    Cls,
    /// The mean of the patch tokens (the class token exists and is left out).
    Mean,
}

/// A ResNet (He et al. 2016). ResNet-18 and -50 are special cases; `widths` and `depths` also
/// describe much smaller networks for chips of 64 pixels.
///
/// Features are the mean over the last feature map, as wide as that map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// What comes before the first stage.
    pub stem: Stem,
    /// Kind of block.
    pub block: ResNetBlock,
    /// Width of each stage, before a bottleneck's expansion by 4. The first convolution has
    /// the width of the first stage. Every stage but the first halves height and width.
    pub widths: Vec<usize>,
    /// Number of blocks of each stage.
    pub depths: Vec<usize>,
}

/// The first convolution of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Side of the kernel, odd; padding is half of it. ResNet-50 has 7.
    pub kernel: usize,
    /// Stride. ResNet-50 has 2.
    pub stride: usize,
    /// Whether a 3 x 3 max pooling with stride 2 and padding 1 follows.
    pub max_pool: bool,
}

/// Kind of a ResNet's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResNetBlock {
    /// Two 3 x 3 convolutions (ResNet-18, -34); the first has the stride.
    Basic,
    /// 1 x 1, 3 x 3, 1 x 1 with expansion 4 (ResNet-50); the 3 x 3 has the stride.
    Bottleneck,
}

impl ResNetBlock {
    /// Output width over stage width: 1 or 4.
    pub fn expansion(self) -> usize {
        match self {
            ResNetBlock::Basic => 1,
            ResNetBlock::Bottleneck => 4,
        }
    }
}

impl ImageTower {
    /// Width of `image_features`.
    pub fn features(&self) -> usize {
        match self {
            ImageTower::Vit(c) => c.dim,
            ImageTower::ResNet(c) => c.widths.last().copied().unwrap_or(0) * c.block.expansion(),
            ImageTower::EfficientNetLite(c) => c.head,
        }
    }

    /// Epsilon of the batch norms, where the tower has some.
    pub fn batch_norm_eps(&self) -> Option<f64> {
        match self {
            ImageTower::Vit(_) => None,
            ImageTower::ResNet(_) => Some(BATCH_NORM_EPS),
            ImageTower::EfficientNetLite(_) => Some(LITE_NORM_EPS),
        }
    }

    pub(super) fn validate(&self, size: usize) -> Result<()> {
        match self {
            ImageTower::Vit(c) => c.validate(size),
            ImageTower::ResNet(c) => c.validate(),
            ImageTower::EfficientNetLite(c) => c.validate(),
        }
    }
}

impl VitConfig {
    /// Number of patch tokens at an input of `size` x `size` pixels.
    pub fn patches(&self, size: usize) -> usize {
        (size / self.patch).pow(2)
    }

    fn validate(&self, size: usize) -> Result<()> {
        positive("image.dim", self.dim)?;
        positive("image.depth", self.depth)?;
        positive("image.mlp_ratio", self.mlp_ratio)?;
        divisible("image.heads", self.dim, self.heads)?;
        divisible("image.patch", size, self.patch)
    }
}

impl ResNetConfig {
    fn validate(&self) -> Result<()> {
        positive("image.stem.stride", self.stem.stride)?;
        if self.stem.kernel.is_multiple_of(2) || self.stem.kernel > 31 {
            return Err(Error::arch(
                "image.stem.kernel",
                "must be odd and at most 31",
            ));
        }
        if self.widths.is_empty() || self.widths.len() != self.depths.len() {
            return Err(Error::arch(
                "image.depths",
                format!(
                    "{} depths for {} widths; one of each per stage",
                    self.depths.len(),
                    self.widths.len()
                ),
            ));
        }
        for (width, depth) in self.widths.iter().zip(&self.depths) {
            positive("image.widths", *width)?;
            positive("image.depths", *depth)?;
        }
        Ok(())
    }
}

pub(super) fn four() -> usize {
    4
}

pub(super) fn vit_eps() -> f64 {
    1e-6
}
