//! Multi-head self-attention of all tokens, or of the one token that is pooled.

use burn::module::Module;
use burn::nn::Linear;
use burn::prelude::{Device, Int, Tensor};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, IntDType};

use super::fresh::Fresh;
use super::lean::{self, Entry};

/// Multi-head self-attention with one matrix for query, key and value.
#[derive(Module, Debug)]
pub(super) struct Attention {
    pub(super) qkv: Linear,
    pub(super) proj: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    causal: bool,
}

/// The one token of each row that is wanted after the last block, so that the last block need not
/// compute the others.
#[allow(clippy::large_enum_variant)]
pub(super) enum Pooled {
    /// The first.
    First,
    /// At these places, `[batch]`.
    At(Tensor<1, Int>),
}

impl Pooled {
    /// `[batch, tokens, dim]` to `[batch, 1, dim]`.
    pub(super) fn of(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, dim] = x.dims();
        match self {
            Pooled::First => x.narrow(1, 0, 1),
            Pooled::At(places) => {
                let places = places.clone().reshape([batch, 1, 1]);
                x.gather(1, places.expand([batch, 1, dim]))
            }
        }
    }
}

impl Attention {
    pub(super) fn new(
        dim: usize,
        heads: usize,
        causal: bool,
        std: [f64; 2],
        fresh: &Fresh,
    ) -> Self {
        Self {
            qkv: fresh.linear(dim, 3 * dim, std[0]),
            proj: fresh.linear(dim, dim, std[1]),
            heads,
            causal,
        }
    }

    /// What enters `qkv` to `[batch, tokens, dim]`, or `[batch, 1, dim]` for the pooled token.
    pub(super) fn forward(&self, entry: Entry, pooled: Option<&Pooled>) -> Tensor<3> {
        let [batch, tokens, dim] = entry.x.dims();
        let lean = lean::applies(&entry.x);
        let width = dim / self.heads;
        let scale = if lean { (width as f64).powf(-0.5) } else { 1.0 };
        let asked = match pooled {
            Some(pooled) => pooled.of(entry.x.clone()),
            None => entry.x.clone(),
        };
        let queries = asked.dims()[1];
        let heads = |x: Tensor<3>| {
            let [batch, tokens, _] = x.dims();
            x.reshape([batch, tokens, self.heads, width])
                .swap_dims(1, 2)
        };
        let q = heads(entry.columns(asked, 0, dim, scale));
        let k = heads(entry.columns(entry.x.clone(), dim, dim, 1.0));
        let v = heads(entry.columns(entry.x.clone(), 2 * dim, dim, 1.0));
        let mixed = if lean {
            let mut scores = q.matmul(k.swap_dims(2, 3));
            if let Some(hidden) = self.hidden(pooled, tokens, &scores.device()) {
                let never = Tensor::zeros(hidden.dims(), &scores.device());
                scores = scores + never.mask_fill(hidden, f32::NEG_INFINITY);
            }
            lean::softmax_matmul(scores, v, |powers| powers)
        } else {
            let options = AttentionModuleOptions {
                is_causal: self.causal && pooled.is_none(),
                ..Default::default()
            };
            let hidden = pooled
                .and_then(|_| self.hidden(pooled, tokens, &q.device()))
                .map(|hidden| hidden.expand([batch, self.heads, queries, tokens]));
            attention(q, k, v, hidden, None, options)
        };
        self.proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, queries, dim]))
    }

    /// The keys that a query must not see, `[1 or batch, 1, queries, tokens]`; none where it sees all.
    fn hidden(
        &self,
        pooled: Option<&Pooled>,
        tokens: usize,
        device: &Device,
    ) -> Option<Tensor<4, Bool>> {
        if !self.causal {
            return None;
        }
        let all = Tensor::<1, Int>::arange(0..tokens as i64, device);
        let places = match pooled {
            None => all.clone().reshape([1, 1, tokens, 1]),
            Some(Pooled::First) => Tensor::zeros([1, 1, 1, 1], device),
            Some(Pooled::At(places)) => {
                // Comparisons need one type, and backends differ in that of an argmax.
                let batch = places.dims()[0];
                let places = places.clone().cast(IntDType::from(all.dtype()));
                places.reshape([batch, 1, 1, 1])
            }
        };
        let [batch, _, queries, _] = places.dims();
        let shape = [batch, 1, queries, tokens];
        let keys = all.reshape([1, 1, 1, tokens]).expand(shape);
        Some(keys.greater(places.expand(shape)))
    }
}
