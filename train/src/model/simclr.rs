//! SimCLR's head.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::prelude::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use super::fresh::Fresh;

/// SimCLR's head and temperature. SLIP has hidden widths 4096 and 4096, output 256, temperature 0.1;
/// smaller heads for small towers are our choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimclrConfig {
    /// Widths of the hidden layers, each followed by batch norm and ReLU.
    pub hidden: Vec<usize>,
    /// Width in which views are compared.
    pub output: usize,
    /// Temperature of the loss, above 0.
    pub temperature: f64,
}

/// Linear layers, with batch norm and ReLU after all but the last.
#[derive(Module, Debug)]
pub struct SimclrHead {
    layers: Vec<Linear>,
    norms: Vec<BatchNorm>,
}

impl SimclrHead {
    /// A head over features of width `input`.
    pub(super) fn new(config: &SimclrConfig, input: usize, fresh: &Fresh) -> Self {
        let ins = std::iter::once(input).chain(config.hidden.iter().copied());
        let outs = config.hidden.iter().copied().chain([config.output]);
        Self {
            layers: ins
                .zip(outs)
                .map(|(i, o)| fresh.linear_without_bias(i, o, (i as f64).powf(-0.5)))
                .collect(),
            norms: config
                .hidden
                .iter()
                .map(|width| BatchNormConfig::new(*width).init(fresh.device))
                .collect(),
        }
    }

    /// `[batch, d]` to `[batch, output]`, not normalised.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let mut x = features;
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if let Some(norm) = self.norms.get(i) {
                x = relu(norm.forward(x));
            }
        }
        x
    }
}
