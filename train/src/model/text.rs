//! The causal text Transformer of CLIP and SLIP.

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer, LayerNorm};
use burn::prelude::{Int, Tensor};

use super::attention::Pooled;
use super::fresh::Fresh;
use super::transformer::{Block, BlockInit, BlockShape};
use satmip::arch::TextConfig;

/// Causal Transformer over token ids, pooled at the first end token.
///
/// Initialised as SLIP's (Mu et al. 2022): tokens N(0, .02), positions N(0, .01), with width `w` and
/// depth `L` query, key and value `w^-.5`, both outputs `w^-.5 (2L)^-.5`, MLP input `(2w)^-.5`.
#[derive(Module, Debug)]
pub struct TextTransformer {
    token_embedding: Embedding,
    positional_embedding: Param<Tensor<2>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    #[module(skip)]
    end_token: i64,
}

impl TextTransformer {
    /// A tower with fresh weights.
    pub(super) fn new(config: &TextConfig, fresh: &Fresh) -> Self {
        let width = config.dim as f64;
        let out = width.powf(-0.5) * (2.0 * config.depth as f64).powf(-0.5);
        let init = BlockInit {
            qkv: width.powf(-0.5),
            proj: out,
            fc1: (2.0 * width).powf(-0.5),
            fc2: out,
        };
        let shape = BlockShape {
            dim: config.dim,
            heads: config.heads,
            hidden: 4 * config.dim,
            eps: config.norm_eps,
        };
        let mut token_embedding = EmbeddingConfig::new(config.vocabulary, config.dim)
            .with_initializer(Initializer::Zeros)
            .init(fresh.device);
        token_embedding.weight = fresh.normal(0.02, [config.vocabulary, config.dim]);
        Self {
            token_embedding,
            positional_embedding: fresh.normal(0.01, [config.context, config.dim]),
            blocks: (0..config.depth)
                .map(|_| Block::new(shape, true, init, fresh))
                .collect(),
            norm: fresh.layer_norm(config.dim, config.norm_eps),
            end_token: config.end_token,
        }
    }

    /// Ids `[batch, length]` with `length` at most the context, to `[batch, dim]`. What follows the
    /// first end token does not matter.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        let [batch, length] = ids.dims();
        let positions = self.positional_embedding.val().narrow(0, 0, length);
        let end = ids.clone().equal_elem(self.end_token).int().argmax(1);
        let tokens = self.token_embedding.forward(ids) + positions.unsqueeze_dim(0);
        let pooled = Pooled::At(end.reshape([batch]));
        let token = Block::all(&self.blocks, tokens, Some(&pooled));
        self.norm.forward(token).squeeze_dim(1)
    }
}
