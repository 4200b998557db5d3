//! Multi-head attention.

use super::Linear;
use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, Size, Value};
use crate::tensor::Tensor;

/// What is added to the scores of later positions: so far down that `exp` of it is 0 next to any
/// real score, and still finite, so that no engine meets infinity minus infinity.
const MASKED: f32 = -1e9;

/// Multi-head attention (Vaswani et al. 2017) with one weight for queries, keys and values, in
/// timm's layout.
///
/// In the graph they are three products (`q`, `k`, `v`): cutting the result of one product into
/// three costs a copy of all activations, which on a CPU is more than what one larger product saves.
#[derive(Debug, Clone)]
pub struct Attention {
    /// [3 width, width]: queries, keys, values; each is `heads` x head width.
    pub qkv: Linear,
    /// [width, width].
    pub proj: Linear,
    /// Number of heads; divides the width.
    pub heads: usize,
}

impl Attention {
    /// The tokens `asked` [batch, n, width] ask the tokens `x` [batch, length, width]:
    /// [batch, n, width]. Self-attention is `asked = x`. `mask` is added to the scores
    /// ([batch, heads, n, length]), for example a [`causal_mask`]; the batch and both lengths may
    /// be dynamic.
    ///
    /// # Errors
    /// A width that the heads do not divide, weights that do not fit.
    pub fn apply(
        self,
        graph: &mut Graph,
        scope: &str,
        asked: Value,
        x: Value,
        mask: Option<Value>,
    ) -> Result<Value> {
        let width = graph.shape(x)?.last().and_then(Dim::known);
        let head = width.filter(|w| self.heads > 0 && w.is_multiple_of(self.heads));
        let (Some(width), Some(head)) = (width, head.map(|w| w / self.heads)) else {
            return Err(Error::shape(
                "attention",
                format!("{} heads for a width of {width:?}", self.heads),
            ));
        };
        let [q, k, v] = self.qkv.parts()?;
        graph.within(scope, |g| {
            let heads = [Size::Keep, Size::Keep, Size::Of(self.heads), Size::Of(head)];
            let queries = q.apply(g, "q", asked)?;
            let queries = g.reshape(queries, &heads)?;
            let queries = g.transpose(queries, &[0, 2, 1, 3])?;
            let scale = g.constant(Tensor::scalar((1.0 / (head as f64).sqrt()) as f32))?;
            let queries = g.mul(queries, scale)?;
            let keys = k.apply(g, "k", x)?;
            let keys = g.reshape(keys, &heads)?;
            let keys = g.transpose(keys, &[0, 2, 3, 1])?;
            let values = v.apply(g, "v", x)?;
            let values = g.reshape(values, &heads)?;
            let values = g.transpose(values, &[0, 2, 1, 3])?;
            let mut scores = g.matmul(queries, keys)?;
            if let Some(mask) = mask {
                scores = g.add(scores, mask)?;
            }
            let weights = g.softmax(scores, -1)?;
            let mixed = g.matmul(weights, values)?;
            let mixed = g.transpose(mixed, &[0, 2, 1, 3])?;
            let mixed = g.reshape(mixed, &[Size::Keep, Size::Keep, Size::Of(width)])?;
            self.proj.apply(g, "proj", mixed)
        })
    }
}

/// A mask [length, length] that hides later positions from earlier ones, for a length that is
/// dimension `place` of `x` and may be dynamic: 0 where the key is at or before the query, else
/// -1e9.
///
/// # Errors
/// A dimension that is not there.
pub fn causal_mask(graph: &mut Graph, scope: &str, x: Value, place: usize) -> Result<Value> {
    graph.within(scope, |g| {
        let length = g.dim_of(x, place)?;
        let keys = g.range(length)?;
        let queries = g.unsqueeze(keys, &[1])?;
        open_up_to(g, keys, queries)
    })
}

/// The rows of a [`causal_mask`] that belong to one query of each sequence, [batch, 1, 1, length]:
/// 0 where the key is at or before the query's place (i64 `[batch]`), else -1e9.
///
/// # Errors
/// A dimension that is not there, places that are not i64.
pub fn causal_mask_at(
    graph: &mut Graph,
    scope: &str,
    (x, place): (Value, usize),
    queries: Value,
) -> Result<Value> {
    graph.within(scope, |g| {
        let length = g.dim_of(x, place)?;
        let keys = g.range(length)?;
        let queries = g.unsqueeze(queries, &[1, 2, 3])?;
        open_up_to(g, keys, queries)
    })
}

fn open_up_to(g: &mut Graph, keys: Value, queries: Value) -> Result<Value> {
    let seen = g.less_or_equal(keys, queries)?;
    let open = g.constant(Tensor::scalar(0.0))?;
    let masked = g.constant(Tensor::scalar(MASKED))?;
    g.select(seen, open, masked)
}
