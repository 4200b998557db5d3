//! The pre-norm Transformer block that the ViT and the text tower share.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::prelude::{Device, Tensor};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

use super::layers::{layer_norm, linear};

/// Standard deviations of a block's initial weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockInit {
    /// Query, key and value.
    pub(super) qkv: f64,
    /// Attention output.
    pub(super) proj: f64,
    /// First layer of the MLP.
    pub(super) fc1: f64,
    /// Second layer of the MLP.
    pub(super) fc2: f64,
}

/// Multi-head self-attention with one matrix for query, key and value.
#[derive(Module, Debug)]
pub(super) struct Attention {
    qkv: Linear,
    proj: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    causal: bool,
}

/// Two linear layers with the exact GELU between them.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

/// `x + attn(norm1(x))`, then `x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Attention {
    fn new(dim: usize, heads: usize, causal: bool, init: BlockInit, device: &Device) -> Self {
        Self {
            qkv: linear(dim, 3 * dim, init.qkv, device),
            proj: linear(dim, dim, init.proj, device),
            heads,
            causal,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, dim] = x.dims();
        let [q, k, v] = split_heads(self.qkv.forward(x), self.heads);
        let options = AttentionModuleOptions {
            is_causal: self.causal,
            ..Default::default()
        };
        let mixed = attention(q, k, v, None, None, options);
        self.proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, tokens, dim]))
    }
}

/// `[batch, tokens, 3 * dim]` to query, key and value, each `[batch, heads, tokens, dim / heads]`.
pub(super) fn split_heads(qkv: Tensor<3>, heads: usize) -> [Tensor<4>; 3] {
    let [batch, tokens, width] = qkv.dims();
    let dim = width / 3;
    [0, 1, 2].map(|i| {
        qkv.clone()
            .narrow(2, i * dim, dim)
            .reshape([batch, tokens, heads, dim / heads])
            .swap_dims(1, 2)
    })
}

impl Block {
    pub(super) fn new(shape: BlockShape, causal: bool, init: BlockInit, device: &Device) -> Self {
        let BlockShape {
            dim,
            heads,
            hidden,
            eps,
        } = shape;
        Self {
            norm1: layer_norm(dim, eps, device),
            attn: Attention::new(dim, heads, causal, init, device),
            norm2: layer_norm(dim, eps, device),
            mlp: Mlp {
                fc1: linear(dim, hidden, init.fc1, device),
                fc2: linear(hidden, dim, init.fc2, device),
            },
        }
    }

    /// `[batch, tokens, dim]` to the same shape.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.norm1.forward(x));
        let hidden = gelu(self.mlp.fc1.forward(self.norm2.forward(x.clone())));
        x + self.mlp.fc2.forward(hidden)
    }
}

/// Sizes of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) dim: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) eps: f64,
}
