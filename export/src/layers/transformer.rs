//! Pre-norm Transformer blocks.

use super::{Attention, LayerNorm, Linear, Pooled};
use crate::error::Result;
use crate::graph::{Graph, Value};

/// Two linear layers with an exact GELU between them.
#[derive(Debug, Clone)]
pub struct GeluMlp {
    /// [hidden, width].
    pub fc1: Linear,
    /// [width, hidden].
    pub fc2: Linear,
}

/// Two linear layers with a rectified gate between them (Shazeer 2020): the first gives values
/// and gates side by side, the second takes `value * relu(gate)`.
#[derive(Debug, Clone)]
pub struct ReGlu {
    /// [2 hidden, width]: values, then gates.
    pub fc1: Linear,
    /// [width, hidden].
    pub fc2: Linear,
}

/// The feed-forward part of a block.
#[derive(Debug, Clone)]
pub enum Mlp {
    /// With GELU.
    Gelu(GeluMlp),
    /// With a rectified gate.
    ReGlu(ReGlu),
}

impl Mlp {
    /// [.., width] to the same.
    ///
    /// # Errors
    /// Weights that do not fit.
    pub fn apply(self, graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
        graph.within(scope, |g| match self {
            Mlp::Gelu(mlp) => {
                let hidden = mlp.fc1.apply(g, "fc1", x)?;
                let hidden = g.gelu(hidden)?;
                mlp.fc2.apply(g, "fc2", hidden)
            }
            Mlp::ReGlu(mlp) => {
                let both = mlp.fc1.apply(g, "fc1", x)?;
                let parts = g.split(both, -1, 2)?;
                let gate = g.relu(parts[1])?;
                let hidden = g.mul(parts[0], gate)?;
                mlp.fc2.apply(g, "fc2", hidden)
            }
        })
    }
}

/// A pre-norm block: `x += attn(norm1(x)); x += mlp(norm2(x))`.
#[derive(Debug, Clone)]
pub struct Block {
    /// Norm before the attention; the FT-Transformer has none in its first block.
    pub norm1: Option<LayerNorm>,
    /// Self-attention.
    pub attn: Attention,
    /// Norm before the feed-forward part.
    pub norm2: LayerNorm,
    /// Feed-forward part.
    pub mlp: Mlp,
}

impl Block {
    /// [batch, length, width] to the same, or to [batch, 1, width] where one token is pooled, with
    /// a mask as in [`Attention::apply`].
    ///
    /// # Errors
    /// Weights that do not fit.
    pub fn apply(
        self,
        graph: &mut Graph,
        scope: &str,
        x: Value,
        mask: Option<Value>,
        pooled: Option<Pooled>,
    ) -> Result<Value> {
        graph.within(scope, |g| {
            let y = match self.norm1 {
                Some(norm) => norm.apply(g, "norm1", x)?,
                None => x,
            };
            let (x, asked) = match pooled {
                Some(pooled) => (pooled.of(g, x)?, pooled.of(g, y)?),
                None => (x, y),
            };
            let y = self.attn.apply(g, "attn", asked, y, mask)?;
            let x = g.add(x, y)?;
            let y = self.norm2.apply(g, "norm2", x)?;
            let y = self.mlp.apply(g, "mlp", y)?;
            g.add(x, y)
        })
    }
}
