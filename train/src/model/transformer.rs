//! The pre-norm Transformer block that the ViT and the text tower share.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::prelude::Tensor;
use burn::tensor::activation::gelu;

use super::attention::{Attention, Pooled};
use super::fresh::Fresh;
use super::lean::Entry;

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
    #[module(skip)]
    eps: f64,
}

impl Block {
    pub(super) fn new(shape: BlockShape, causal: bool, init: BlockInit, fresh: &Fresh) -> Self {
        let BlockShape {
            dim,
            heads,
            hidden,
            eps,
        } = shape;
        Self {
            norm1: fresh.layer_norm(dim, eps),
            attn: Attention::new(dim, heads, causal, [init.qkv, init.proj], fresh),
            norm2: fresh.layer_norm(dim, eps),
            mlp: Mlp {
                fc1: fresh.linear(dim, hidden, init.fc1),
                fc2: fresh.linear(hidden, dim, init.fc2),
            },
            eps,
        }
    }

    /// `[batch, tokens, dim]` to the same shape, or to `[batch, 1, dim]` for the pooled token.
    pub(super) fn forward(&self, x: Tensor<3>, pooled: Option<&Pooled>) -> Tensor<3> {
        let entry = Entry::new(x.clone(), Some(&self.norm1), self.eps, &self.attn.qkv);
        let mixed = self.attn.forward(entry, pooled);
        let x = match pooled {
            Some(pooled) => pooled.of(x),
            None => x,
        };
        let x = x + mixed;
        let entry = Entry::new(x.clone(), Some(&self.norm2), self.eps, &self.mlp.fc1);
        x + self.mlp.fc2.forward(gelu(entry.forward()))
    }

    /// All blocks, the last of them for the pooled token alone.
    pub(super) fn all(blocks: &[Block], x: Tensor<3>, pooled: Option<&Pooled>) -> Tensor<3> {
        let last = blocks.len().saturating_sub(1);
        blocks.iter().enumerate().fold(x, |x, (i, block)| {
            block.forward(x, pooled.filter(|_| i == last))
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::prelude::{Device, Int};
    use burn::tensor::activation::softmax;
    use burn::tensor::{Bool, Distribution};

    const SHAPE: [usize; 3] = [3, 6, 8];

    /// The block by burn's layers, one after the other, for all tokens.
    fn by_layers(block: &Block, x: Tensor<3>, causal: bool) -> Tensor<3> {
        let [batch, tokens, dim] = SHAPE;
        let qkv = block.attn.qkv.forward(block.norm1.forward(x.clone()));
        let [q, k, v] = [0, 1, 2].map(|i| {
            let part = qkv.clone().narrow(2, i * dim, dim);
            part.reshape([batch, tokens, 2, 4]).swap_dims(1, 2)
        });
        let mut scores = q.matmul(k.swap_dims(2, 3)) * 0.5;
        if causal {
            let mask = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &x.device());
            let mask = mask.unsqueeze::<4>().expand([batch, 2, tokens, tokens]);
            scores = scores.mask_fill(mask, -1e9);
        }
        let mixed = softmax(scores, 3).matmul(v).swap_dims(1, 2);
        let x = x + block.attn.proj.forward(mixed.reshape(SHAPE));
        let hidden = block.mlp.fc1.forward(block.norm2.forward(x.clone()));
        x + block.mlp.fc2.forward(gelu(hidden))
    }

    /// A block whose norms are not the identity.
    fn block(causal: bool, device: &Device) -> Block {
        let init = BlockInit {
            qkv: 0.7,
            proj: 0.4,
            fc1: 0.4,
            fc2: 0.3,
        };
        let shape = BlockShape {
            dim: 8,
            heads: 2,
            hidden: 16,
            eps: 1e-6,
        };
        let mut block = Block::new(shape, causal, init, &Fresh::new(1, device));
        for norm in [&mut block.norm1, &mut block.norm2] {
            let random = || Tensor::random([8], Distribution::Normal(1.0, 0.5), device);
            norm.gamma = Param::from_tensor(random());
            norm.beta = Some(Param::from_tensor(random()));
        }
        block
    }

    fn worst<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn values_and_gradients_are_those_of_the_layers() {
        let device = Device::flex().autodiff();
        device.seed(9);
        for causal in [false, true] {
            let block = block(causal, &device);
            let x = Tensor::random(SHAPE, Distribution::Normal(0.3, 2.0), &device).require_grad();
            let weights = Tensor::random(SHAPE, Distribution::Normal(0.0, 1.0), &device);
            let ours = block.forward(x.clone(), None);
            let theirs = by_layers(&block, x.clone(), causal);
            let most: f32 = theirs.clone().abs().max().into_scalar();
            let difference = worst(ours.clone(), theirs.clone());
            assert!(difference < 1e-5 * most.max(1.0), "{difference} of {most}");
            let ours = (ours * weights.clone()).sum().backward();
            let theirs = (theirs * weights).sum().backward();
            // Gradients are sums over all tokens: compared with the largest of a tensor.
            fn close<const D: usize>(what: &str, [a, b]: [Tensor<D>; 2]) {
                let most: f32 = b.clone().abs().max().into_scalar();
                let difference = worst(a, b);
                assert!(most > 0.1, "{what}: {most}");
                assert!(
                    difference < 1e-5 * most.max(1.0),
                    "{what}: {difference} of {most}"
                );
            }
            close("x", [&ours, &theirs].map(|g| x.grad(g).unwrap()));
            for (name, layer) in [
                ("qkv", &block.attn.qkv),
                ("proj", &block.attn.proj),
                ("fc1", &block.mlp.fc1),
                ("fc2", &block.mlp.fc2),
            ] {
                let weight = layer.weight.val();
                close(name, [&ours, &theirs].map(|g| weight.grad(g).unwrap()));
                let bias = layer.bias.as_ref().unwrap().val();
                close(name, [&ours, &theirs].map(|g| bias.grad(g).unwrap()));
            }
            for (name, norm) in [("norm1", &block.norm1), ("norm2", &block.norm2)] {
                for part in [norm.gamma.val(), norm.beta.as_ref().unwrap().val()] {
                    close(name, [&ours, &theirs].map(|g| part.grad(g).unwrap()));
                }
            }
        }
    }

    #[test]
    fn a_pooled_token_is_the_same_as_among_all() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            device.seed(10);
            for causal in [false, true] {
                let block = block(causal, &device);
                let x = Tensor::random(SHAPE, Distribution::Normal(0.0, 2.0), &device);
                let all = block.forward(x.clone(), None);
                let places = Tensor::<1, Int>::from_data([0, 2, 5], &device);
                for pooled in [Pooled::First, Pooled::At(places)] {
                    let one = block.forward(x.clone(), Some(&pooled));
                    assert_eq!(one.dims(), [3, 1, 8]);
                    assert!(worst(one, pooled.of(all.clone())) < 1e-5, "causal {causal}");
                }
            }
        }
    }

    #[test]
    fn large_scores_stay_finite() {
        let device = Device::flex().autodiff();
        device.seed(11);
        let mut block = block(true, &device);
        let x =
            (Tensor::random(SHAPE, Distribution::Normal(0.0, 1.0), &device) * 1e4).require_grad();
        let qkv = &mut block.attn.qkv;
        qkv.weight = Param::from_tensor((qkv.weight.val() * 1e3).detach());
        let y = block.forward(x.clone(), None);
        let gradients = y.clone().sum().backward();
        for value in [
            y.abs().sum(),
            Tensor::from_inner(x.grad(&gradients).unwrap().abs().sum()),
        ] {
            assert!(value.into_scalar::<f32>().is_finite());
        }
    }
}
