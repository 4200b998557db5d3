//! The Vision Transformer, with timm's names.

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::prelude::Tensor;

use super::attention::Pooled;
use super::fresh::Fresh;
use super::transformer::{Block, BlockInit, BlockShape};
use satmip::arch::{Pool, VitConfig};

/// Vision Transformer (Dosovitskiy et al. 2021). Weights start as timm's: N(0, 0.02), zero biases.
#[derive(Module, Debug)]
pub struct Vit {
    cls_token: Param<Tensor<3>>,
    pos_embed: Param<Tensor<3>>,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
    #[module(skip)]
    mean_pool: bool,
}

#[derive(Module, Debug)]
struct PatchEmbed {
    proj: Conv2d,
}

impl Vit {
    /// A tower for `size` x `size` pictures.
    pub(super) fn new(config: &VitConfig, size: usize, fresh: &Fresh) -> Self {
        let dim = config.dim;
        let patch = [config.patch, config.patch];
        let init = BlockInit {
            qkv: 0.02,
            proj: 0.02,
            fc1: 0.02,
            fc2: 0.02,
        };
        let shape = BlockShape {
            dim,
            heads: config.heads,
            hidden: config.mlp_ratio * dim,
            eps: config.norm_eps,
        };
        let proj = Conv2dConfig::new([3, dim], patch).with_stride(patch);
        Self {
            cls_token: fresh.normal(1e-6, [1, 1, dim]),
            pos_embed: fresh.normal(0.02, [1, config.patches(size) + 1, dim]),
            patch_embed: PatchEmbed {
                proj: fresh.convolution(proj, 0.02),
            },
            blocks: (0..config.depth)
                .map(|_| Block::new(shape, false, init, fresh))
                .collect(),
            norm: fresh.layer_norm(dim, config.norm_eps),
            mean_pool: config.pool == Pool::Mean,
        }
    }

    /// `[batch, 3, size, size]` to `[batch, dim]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let patches = self.patch_embed.proj.forward(images);
        let [batch, dim, rows, columns] = patches.dims();
        let patches = patches
            .reshape([batch, dim, rows * columns])
            .swap_dims(1, 2);
        let cls = self.cls_token.val().expand([batch, 1, dim]);
        let tokens = Tensor::cat(vec![cls, patches], 1) + self.pos_embed.val();
        if self.mean_pool {
            let tokens = self.norm.forward(Block::all(&self.blocks, tokens, None));
            let patches = tokens.narrow(1, 1, rows * columns);
            patches.mean_dim(1).squeeze_dim(1)
        } else {
            let token = Block::all(&self.blocks, tokens, Some(&Pooled::First));
            self.norm.forward(token).squeeze_dim(1)
        }
    }
}
