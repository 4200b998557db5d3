//! Projectors into the common space.

use burn::module::Module;
use burn::nn::Linear;
use burn::prelude::Tensor;
use burn::tensor::activation::relu;

use super::fresh::Fresh;
use satmip::arch::Projector;

/// Linear layers with ReLU between them; one layer without bias for [`Projector::Linear`].
#[derive(Module, Debug)]
pub struct ProjectorModule {
    layers: Vec<Linear>,
}

impl ProjectorModule {
    /// A projector with weights from N(0, input^-.5), as SLIP's projection.
    pub(super) fn new(config: &Projector, input: usize, output: usize, fresh: &Fresh) -> Self {
        let make = if config.has_bias() {
            Fresh::linear
        } else {
            Fresh::linear_without_bias
        };
        let layers = config.layers(input, output).into_iter();
        Self {
            layers: layers
                .map(|(i, o)| make(fresh, i, o, (i as f64).powf(-0.5)))
                .collect(),
        }
    }

    /// `[batch, d]` to `[batch, e]`, not normalised.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let mut x = features;
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                x = relu(x);
            }
            x = layer.forward(x);
        }
        x
    }
}
