//! Convolutions, with the batch norm behind them folded in.

use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, Size, Value, Window};
use crate::tensor::Tensor;

/// A convolution over [batch, channels, height, width].
#[derive(Debug, Clone)]
pub struct Conv2d {
    /// [out, in / groups, kernel, kernel].
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// Kernel, stride and padding.
    pub window: Window,
    /// Groups of channels that are convolved apart; 1 for all together.
    pub groups: usize,
}

impl Conv2d {
    /// [batch, in, height, width] to [batch, out, ..].
    ///
    /// # Errors
    /// Weights that do not fit.
    pub fn apply(self, graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
        graph.within(scope, |g| {
            let weight = g.weight("weight", self.weight)?;
            let bias = match self.bias {
                Some(bias) => Some(g.weight("bias", bias)?),
                None => None,
            };
            g.conv(x, weight, bias, self.window, self.groups)
        })
    }

    /// The convolution with `norm` behind it as one convolution, computed in f64.
    ///
    /// # Errors
    /// A norm of another width; a variance below 0 or numbers that are not finite.
    pub fn folded(self, norm: &BatchNorm) -> Result<Conv2d> {
        const OP: &str = "batch norm";
        let misfit = || Error::shape(OP, format!("{norm:?} behind {:?}", self.weight));
        let filters = self.weight.dims().first().copied().unwrap_or(0);
        let numbers = |tensor: &Tensor| -> Result<Vec<f64>> {
            match tensor.as_f32() {
                Some(data) if data.len() == filters => {
                    Ok(data.iter().map(|v| f64::from(*v)).collect())
                }
                _ => Err(misfit()),
            }
        };
        let (scale, shift) = (numbers(&norm.weight)?, numbers(&norm.bias)?);
        let (mean, variance) = (numbers(&norm.running_mean)?, numbers(&norm.running_var)?);
        let before = match &self.bias {
            Some(bias) => numbers(bias)?,
            None => vec![0.0; filters],
        };
        let gain: Vec<f64> = (0..filters)
            .map(|f| scale[f] / (variance[f] + norm.epsilon).sqrt())
            .collect();
        let bias: Vec<f32> = (0..filters)
            .map(|f| ((before[f] - mean[f]) * gain[f] + shift[f]) as f32)
            .collect();
        let negative = variance.iter().any(|v| *v < 0.0);
        if negative || !bias.iter().all(|v| v.is_finite()) {
            return Err(Error::attribute(
                OP,
                "the running variance and mean do not give finite weights",
            ));
        }
        let data = self.weight.as_f32().ok_or_else(misfit)?;
        let per_filter = (data.len() / filters.max(1)).max(1);
        let weight = data
            .chunks(per_filter)
            .zip(&gain)
            .flat_map(|(filter, gain)| filter.iter().map(move |w| (f64::from(*w) * gain) as f32))
            .collect();
        Ok(Conv2d {
            weight: Tensor::f32(self.weight.dims().to_vec(), weight)?,
            bias: Some(Tensor::f32(vec![filters], bias)?),
            ..self
        })
    }
}

/// A batch norm with its running statistics, each `[channels]`.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// Scale.
    pub weight: Tensor,
    /// Shift.
    pub bias: Tensor,
    /// Running mean.
    pub running_mean: Tensor,
    /// Running variance.
    pub running_var: Tensor,
    /// Added to the variance.
    pub epsilon: f64,
}

/// The mean over height and width: [batch, channels, height, width] to [batch, channels].
///
/// # Errors
/// A value that is not a batch of pictures.
pub fn global_average(graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
    graph.within(scope, |g| {
        let x = g.global_average_pool(x)?;
        let channels = g.shape(x)?.get(1).and_then(Dim::known);
        let channels = channels
            .ok_or_else(|| Error::shape("global_average", "the number of channels is not known"))?;
        g.reshape(x, &[Size::Keep, Size::Of(channels)])
    })
}
