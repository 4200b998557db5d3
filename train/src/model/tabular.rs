//! The FT-Transformer with a learned token for each missing field.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::prelude::{Int, Tensor, TensorData};
use burn::tensor::Bool;
use burn::tensor::activation::relu;

use super::attention::Pooled;
use super::dropout::Noise;
use super::fresh::Fresh;
use super::lean::{Entry, softmax_matmul};
use satmip::arch::{TabularConfig, TabularTokens};
use satmip::metadata::FieldSet;

/// FT-Transformer (Gorishniy et al. 2021) over the columns of the tabular view.
///
/// Tokens and class token start from U(-d^-.5, d^-.5), as there.
#[derive(Module, Debug)]
pub struct TabularTransformer {
    numbers: Option<Tokens>,
    categories: Option<Tokens>,
    missing: Param<Tensor<2>>,
    cls_token: Param<Tensor<1>>,
    blocks: Vec<TabularBlock>,
    norm: LayerNorm,
    /// Row of `missing` for each token, numbers first.
    #[module(skip)]
    token_fields: Vec<i64>,
    /// Token of each column of numbers, where columns share one.
    #[module(skip)]
    shared: Option<Vec<usize>>,
    /// First row of each category column in `categories.weight`.
    #[module(skip)]
    offsets: Vec<i64>,
}

/// One row of weight per number column, or per category of all columns, and one bias per token.
#[derive(Module, Debug)]
struct Tokens {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct TabularBlock {
    norm1: Option<LayerNorm>,
    attn: TabularAttention,
    norm2: LayerNorm,
    mlp: ReGlu,
    #[module(skip)]
    eps: f64,
}

#[derive(Module, Debug)]
struct TabularAttention {
    qkv: Linear,
    proj: Linear,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    heads: usize,
}

/// `fc2(value * relu(gate))` with `[value, gate] = fc1(x)`.
#[derive(Module, Debug)]
struct ReGlu {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    dropout: f64,
}

impl TabularTransformer {
    /// A tower with fresh weights for these fields.
    pub(super) fn new(config: &TabularConfig, fields: FieldSet, fresh: &Fresh) -> Self {
        let (d, columns) = (config.dim, &config.columns);
        let bound = (d as f64).powf(-0.5);
        let row = |field| fields.iter().position(|f| f == field).unwrap_or(0) as i64;
        let (n, m) = (columns.numbers.len(), columns.categories.len());
        let tokens = |rows: usize, tokens: usize| {
            (tokens > 0).then(|| Tokens {
                weight: fresh.uniform(bound, [rows, d]),
                bias: fresh.uniform(bound, [tokens, d]),
            })
        };
        Self {
            numbers: tokens(n, config.number_tokens().len()),
            categories: tokens(columns.category_rows(), m),
            missing: fresh.uniform(bound, [fields.len(), d]),
            cls_token: fresh.uniform(bound, [d]),
            blocks: (0..config.depth)
                .map(|i| TabularBlock::new(config, i > 0, fresh))
                .collect(),
            norm: fresh.layer_norm(d, config.norm_eps),
            token_fields: config.token_fields().into_iter().map(row).collect(),
            shared: (config.tokens == TabularTokens::Field).then(|| config.token_of_number()),
            offsets: columns
                .category_offsets()
                .into_iter()
                .map(|o| o as i64)
                .collect(),
        }
    }

    /// Standardised numbers `[batch, n]`, category indices `[batch, m]` and presence
    /// `[batch, fields]` to `[batch, dim]`; with noise, dropout takes part.
    pub fn forward(
        &self,
        numbers: Tensor<2>,
        categories: Tensor<2, Int>,
        present: Tensor<2, Bool>,
        noise: Option<&Noise>,
    ) -> Tensor<2> {
        let [batch, m] = categories.dims();
        let device = numbers.device();
        let dim = self.cls_token.dims()[0];
        let mut columns = Vec::with_capacity(2);
        if let Some(tokens) = &self.numbers {
            let weighted = match &self.shared {
                None => numbers.unsqueeze_dim::<3>(2) * tokens.weight.val().unsqueeze_dim(0),
                Some(shared) => sum_weighted(numbers, tokens, shared),
            };
            columns.push(weighted + tokens.bias.val().unsqueeze_dim(0));
        }
        if let Some(table) = &self.categories {
            let offsets = TensorData::new(self.offsets.clone(), [1, m]);
            let rows = (categories + Tensor::from_data(offsets, &device)).reshape([batch * m]);
            let tokens = table.weight.val().select(0, rows);
            let tokens = tokens.reshape([batch, m, dim]);
            columns.push(tokens + table.bias.val().unsqueeze_dim(0));
        }
        let columns = Tensor::cat(columns, 1);
        let fields = TensorData::new(self.token_fields.clone(), [self.token_fields.len()]);
        let fields = Tensor::<1, Int>::from_data(fields, &device);
        let present = present.int().select(1, fields.clone()).float();
        let present = present.unsqueeze_dim::<3>(2);
        let missing = self.missing.val().select(0, fields).unsqueeze_dim::<3>(0);
        let columns = columns * present.clone() + missing * (1.0 - present);
        let cls = self.cls_token.val().reshape([1, 1, dim]);
        let tokens = Tensor::cat(vec![cls.expand([batch, 1, dim]), columns], 1);
        let last = self.blocks.len().saturating_sub(1);
        let tokens = self
            .blocks
            .iter()
            .enumerate()
            .fold(tokens, |x, (i, block)| {
                let pooled = Some(&Pooled::First).filter(|_| i == last);
                block.forward(x, pooled, noise)
            });
        self.norm.forward(tokens.narrow(1, 0, 1).squeeze_dim(1))
    }
}

/// `[batch, tokens, dim]`: the sum of `x W` over the columns of each token, as one matrix product
/// with a weight that is 0 where a column belongs to another token.
fn sum_weighted(numbers: Tensor<2>, tokens: &Tokens, token_of: &[usize]) -> Tensor<3> {
    let (device, [batch, n]) = (numbers.device(), numbers.dims());
    let [count, dim] = tokens.bias.dims();
    let mut member = vec![0.0f32; n * count];
    for (column, token) in token_of.iter().enumerate() {
        member[column * count + token] = 1.0;
    }
    let member = Tensor::<3>::from_data(TensorData::new(member, [n, count, 1]), &device);
    let weight = tokens.weight.val().unsqueeze_dim::<3>(1) * member;
    numbers
        .matmul(weight.reshape([n, count * dim]))
        .reshape([batch, count, dim])
}

impl TabularBlock {
    fn new(config: &TabularConfig, norm_first: bool, fresh: &Fresh) -> Self {
        let d = config.dim;
        let std = (d as f64).powf(-0.5);
        Self {
            norm1: norm_first.then(|| fresh.layer_norm(d, config.norm_eps)),
            attn: TabularAttention {
                qkv: fresh.linear(d, 3 * d, std),
                proj: fresh.linear(d, d, std),
                dropout: config.attention_dropout,
                heads: config.heads,
            },
            norm2: fresh.layer_norm(d, config.norm_eps),
            mlp: ReGlu {
                fc1: fresh.linear(d, 2 * config.hidden, std),
                fc2: fresh.linear(config.hidden, d, (config.hidden as f64).powf(-0.5)),
                dropout: config.hidden_dropout,
            },
            eps: config.norm_eps,
        }
    }

    /// `[batch, tokens, dim]` to the same shape, or to `[batch, 1, dim]` for the pooled token.
    fn forward(&self, x: Tensor<3>, pooled: Option<&Pooled>, noise: Option<&Noise>) -> Tensor<3> {
        let attn = &self.attn;
        let entry = Entry::new(x.clone(), self.norm1.as_ref(), self.eps, &attn.qkv);
        let mixed = attn.forward(entry, pooled, noise);
        let x = match pooled {
            Some(pooled) => pooled.of(x),
            None => x,
        };
        let x = x + mixed;
        let entry = Entry::new(x.clone(), Some(&self.norm2), self.eps, &self.mlp.fc1);
        x + self.mlp.forward(entry, noise)
    }
}

impl TabularAttention {
    fn forward(&self, entry: Entry, pooled: Option<&Pooled>, noise: Option<&Noise>) -> Tensor<3> {
        let [batch, _, dim] = entry.x.dims();
        let width = dim / self.heads;
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
        let q = heads(entry.columns(asked, 0, dim, (width as f64).powf(-0.5)));
        let k = heads(entry.columns(entry.x.clone(), dim, dim, 1.0));
        let v = heads(entry.columns(entry.x.clone(), 2 * dim, dim, 1.0));
        let scores = q.matmul(k.swap_dims(2, 3));
        let mixed = softmax_matmul(scores, v, |powers| dropped(noise, powers, self.dropout));
        self.proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, queries, dim]))
    }
}

impl ReGlu {
    fn forward(&self, entry: Entry, noise: Option<&Noise>) -> Tensor<3> {
        let hidden = self.fc2.weight.dims()[0];
        let value = entry.columns(entry.x.clone(), 0, hidden, 1.0);
        let gate = entry.columns(entry.x.clone(), hidden, hidden, 1.0);
        let inner = dropped(noise, value * relu(gate), self.dropout);
        self.fc2.forward(inner)
    }
}

fn dropped<const D: usize>(noise: Option<&Noise>, x: Tensor<D>, rate: f64) -> Tensor<D> {
    match noise {
        Some(noise) => noise.drop(x, rate),
        None => x,
    }
}
