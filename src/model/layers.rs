//! Linear and norm layers with the initialisations that the papers state.

use burn::nn::{Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::Device;

/// A linear layer with weights from N(0, std) and zero biases.
pub(super) fn linear(input: usize, output: usize, std: f64, device: &Device) -> Linear {
    let mut layer = linear_without_bias(input, output, std, device);
    layer.bias = Some(Initializer::Zeros.init([output], device));
    layer
}

/// A linear layer with weights from N(0, std) and no biases.
pub(super) fn linear_without_bias(
    input: usize,
    output: usize,
    std: f64,
    device: &Device,
) -> Linear {
    LinearConfig::new(input, output)
        .with_bias(false)
        .with_initializer(normal(std))
        .init(device)
}

pub(super) fn layer_norm(dim: usize, eps: f64, device: &Device) -> LayerNorm {
    LayerNormConfig::new(dim).with_epsilon(eps).init(device)
}

pub(super) fn normal(std: f64) -> Initializer {
    Initializer::Normal { mean: 0.0, std }
}
