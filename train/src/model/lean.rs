//! A layer norm with the linear layer behind it, and a softmax, in few passes over the activations.
//!
//! burn's autodiff takes layer norm and softmax apart into single operations, each of which walks over
//! the whole activation on one thread of the CPU, and several more in the backward pass. What stands
//! here is the same mathematics with most of it moved to the weights, which are far smaller.

use burn::nn::{LayerNorm, Linear};
use burn::prelude::{Device, Tensor};
use burn::tensor::DType;
use burn::tensor::module::linear;

/// Whether a pass is one of training in f32 on the CPU. Elsewhere burn's own operations are fused.
pub(super) fn applies(x: &Tensor<3>) -> bool {
    let device = x.device();
    x.dtype() == DType::F32 && device.is_autodiff() && device.without_autodiff() == Device::flex()
}

/// What enters a linear layer, with its weights.
pub(super) struct Entry {
    /// `[batch, tokens, dim]`.
    pub(super) x: Tensor<3>,
    /// `[dim, output]`.
    pub(super) weight: Tensor<2>,
    /// `[output]`.
    pub(super) bias: Option<Tensor<1>>,
}

impl Entry {
    /// `x` through `norm`, on its way into `layer`; `eps` is the norm's.
    pub(super) fn new(x: Tensor<3>, norm: Option<&LayerNorm>, eps: f64, layer: &Linear) -> Self {
        let weight = layer.weight.val();
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        match norm {
            Some(norm) if applies(&x) => {
                // linear(gamma z + beta) = z (gamma W) + (beta W + b)
                let shift = norm.beta.as_ref().map(|beta| {
                    let row = beta.val().unsqueeze::<2>().matmul(weight.clone());
                    row.squeeze_dim::<1>(0)
                });
                Self {
                    x: standardised(x, eps),
                    weight: weight * norm.gamma.val().unsqueeze_dim(1),
                    bias: match (bias, shift) {
                        (Some(bias), Some(shift)) => Some(bias + shift),
                        (bias, shift) => bias.or(shift),
                    },
                }
            }
            _ => Self {
                x: match norm {
                    Some(norm) => norm.forward(x),
                    None => x,
                },
                weight,
                bias,
            },
        }
    }

    /// The linear layer's output.
    pub(super) fn forward(self) -> Tensor<3> {
        linear(self.x, self.weight, self.bias)
    }

    /// `width` columns of the linear layer's output from `start` on, times `scale`, for `x` or for
    /// other tokens in its place.
    pub(super) fn columns(
        &self,
        x: Tensor<3>,
        start: usize,
        width: usize,
        scale: f64,
    ) -> Tensor<3> {
        let scaled = |weight: Tensor<2>| match scale {
            1.0 => weight,
            _ => weight * scale,
        };
        let weight = scaled(self.weight.clone().narrow(1, start, width));
        let bias = self.bias.clone().map(|bias| {
            let row = bias.narrow(0, start, width).unsqueeze::<2>();
            scaled(row).squeeze_dim(0)
        });
        linear(x, weight, bias)
    }
}

/// `(x - mean) / sqrt(variance + eps)` over the last axis.
fn standardised(x: Tensor<3>, eps: f64) -> Tensor<3> {
    let [batch, tokens, dim] = x.dims();
    let x = x.reshape([batch * tokens, dim]);
    // A mean as a product with a constant vector has a gradient of one pass.
    let mean = Tensor::full([dim, 1], 1.0 / dim as f64, &x.device());
    let centred = x.clone() + x.matmul(mean.clone().neg());
    // Half of the square's gradient, doubled where there is one number for each token.
    let half = (centred.clone() * centred.clone().detach()).matmul(mean);
    let variance = half.clone() * 2.0 - half.detach();
    let z = centred * (variance + eps).sqrt().recip();
    z.reshape([batch, tokens, dim])
}

/// `softmax(scores) values` over `[batch, heads, queries, keys]` and `[batch, heads, keys, width]`, with
/// `drop` on the softmax. The sum divides last, where there are fewer numbers than scores.
pub(super) fn softmax_matmul(
    scores: Tensor<4>,
    values: Tensor<4>,
    drop: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let keys = scores.dims()[3];
    let ones = Tensor::ones([1, 1, keys, 1], &scores.device());
    let most = scores.clone().detach().max_dim(3);
    let powers = (scores - most).exp();
    let sum = powers.clone().matmul(ones);
    drop(powers).matmul(values) * sum.recip()
}
