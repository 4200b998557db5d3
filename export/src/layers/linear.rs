//! Linear layers, layer norms, unit rows.

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::tensor::Tensor;

/// `x W^T + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// [out, in], as PyTorch has it. The graph stores the transpose.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// [.., in] to [.., out].
    ///
    /// # Errors
    /// Weights that do not fit each other or `x`.
    pub fn apply(self, graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
        graph.within(scope, |g| {
            let weight = g.weight("weight", self.weight.transposed()?)?;
            let product = g.matmul(x, weight)?;
            let Some(bias) = self.bias else {
                return Ok(product);
            };
            let bias = g.weight("bias", bias)?;
            g.add(product, bias)
        })
    }

    /// Layers that each give an equal share of the output, in its order.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) for an output of a width that `N` does not divide.
    pub(super) fn parts<const N: usize>(&self) -> Result<[Linear; N]> {
        let weights = self.weight.parts::<N>()?;
        let biases = match &self.bias {
            Some(bias) => bias.parts::<N>()?.map(Some),
            None => std::array::from_fn(|_| None),
        };
        let mut biases = biases.into_iter();
        Ok(weights.map(|weight| Linear {
            weight,
            bias: biases.next().flatten(),
        }))
    }
}

/// Normalisation over the last dimension, scaled and shifted.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// Scale, `[width]`.
    pub weight: Tensor,
    /// Shift, `[width]`.
    pub bias: Tensor,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// The same shape.
    ///
    /// # Errors
    /// Weights that do not fit `x`, an impossible epsilon.
    pub fn apply(self, graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
        graph.within(scope, |g| {
            let weight = g.weight("weight", self.weight)?;
            let bias = g.weight("bias", self.bias)?;
            g.layer_norm(x, weight, bias, self.epsilon as f32)
        })
    }
}

/// Scales the rows of the last dimension to length 1. A row of zeros stays one: the length is
/// taken to be at least 1e-12, as PyTorch's `normalize` does.
///
/// # Errors
/// A value that is not of floats.
pub fn unit_rows(graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
    graph.within(scope, |g| {
        let length = g.reduce_l2(x, &[-1], true)?;
        let least = g.constant(Tensor::scalar(1e-12))?;
        let length = g.max(length, least)?;
        g.div(x, length)
    })
}
