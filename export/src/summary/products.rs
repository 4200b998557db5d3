//! Multiply-accumulates of a graph.

use std::collections::BTreeMap;
use std::fmt;

use super::node::View;
use super::operators::{gemm, matmul_sizes};
use super::shapes::{Known, Shape};
use super::{SymbolValues, operator_name};
use crate::messages::GraphProto;

/// Multiply-accumulates of matrix products, convolutions and attention.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Macs {
    /// The sum of what could be counted.
    pub counted: u64,
    /// That sum by operator.
    pub by_operator: BTreeMap<String, u64>,
    /// Operators of which some nodes could not be counted: how many, and why (the first reason).
    pub uncounted: BTreeMap<String, (u64, &'static str)>,
}

impl Macs {
    /// Whether every product was counted.
    pub fn is_exact(&self) -> bool {
        self.uncounted.is_empty()
    }

    /// Whether nothing is known: nothing was counted, though there was something.
    pub fn is_unknown(&self) -> bool {
        self.counted == 0 && !self.is_exact()
    }

    fn leave_out(&mut self, operator: String, reason: &'static str) {
        self.uncounted.entry(operator).or_insert((0, reason)).0 += 1;
    }
}

/// `1234`, `at least 1234`, or `unknown`.
impl fmt::Display for Macs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_unknown(), self.is_exact()) {
            (true, _) => f.write_str("unknown"),
            (_, true) => write!(f, "{}", self.counted),
            (_, false) => write!(f, "at least {}", self.counted),
        }
    }
}

/// Operators of ONNX's own set that multiply and are not counted.
const OTHERS: [&str; 15] = [
    "Attention",
    "ConvTranspose",
    "DFT",
    "DeformConv",
    "Einsum",
    "GRU",
    "If",
    "LSTM",
    "Loop",
    "QLinearConv",
    "QLinearMatMul",
    "RNN",
    "STFT",
    "Scan",
    "SequenceMap",
];

/// Operators of ONNX Runtime's set that do not multiply matrices.
const PRODUCTLESS: [&str; 12] = [
    "BiasAdd",
    "BiasGelu",
    "BiasSoftmax",
    "DequantizeLinear",
    "EmbedLayerNormalization",
    "FastGelu",
    "Gelu",
    "QuantizeLinear",
    "QuickGelu",
    "RotaryEmbedding",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
];

/// Counts the products of a graph whose dimensions have these numbers.
pub(super) fn count(graph: &GraphProto, symbols: &SymbolValues) -> Macs {
    let known = Known::of(graph, symbols);
    let mut macs = Macs::default();
    for node in &graph.node {
        let view = View::new(node, &known);
        let name = || operator_name(node);
        match products(&view) {
            Found::None => {}
            Found::Uncounted => macs.leave_out(name(), "it is not among those that are counted"),
            Found::Products(None) => macs.leave_out(name(), "a shape is not known"),
            Found::Products(Some(products)) => match macs.counted.checked_add(products) {
                Some(sum) => {
                    macs.counted = sum;
                    *macs.by_operator.entry(name()).or_default() += products;
                }
                None => macs.leave_out(name(), "the sum is too large"),
            },
        }
    }
    macs
}

enum Found {
    None,
    Uncounted,
    /// None where a shape is open or the number too large.
    Products(Option<u64>),
}

fn products(view: &View<'_, '_>) -> Found {
    let op = view.op();
    let own = view.is_own();
    Found::Products(match op {
        "MatMul" | "MatMulInteger" if own => matmul(view),
        "Gemm" if own => gemm(view).and_then(|sizes| times(&sizes)),
        "Conv" | "ConvInteger" if own => conv(view),
        "MultiHeadAttention" if !own && view.is_known_domain() => {
            attention(view).and_then(|a| a.products())
        }
        op if own && OTHERS.contains(&op) => return Found::Uncounted,
        _ if own => return Found::None,
        op if view.is_known_domain() && PRODUCTLESS.contains(&op) => return Found::None,
        _ => return Found::Uncounted,
    })
}

fn times(sizes: &[u64]) -> Option<u64> {
    // A 0 wins over whatever overflows before it.
    if sizes.contains(&0) {
        return Some(0);
    }
    sizes.iter().try_fold(1_u64, |p, n| p.checked_mul(*n))
}

fn matmul(view: &View<'_, '_>) -> Option<u64> {
    let (many, sizes) = matmul_sizes(view.shape(0)?, view.shape(1)?)?;
    times(&[many.as_slice(), &sizes].concat())
}

/// Each output takes channels / groups x the kernel's sides.
fn conv(view: &View<'_, '_>) -> Option<u64> {
    let kernel = view.shape(1)?;
    let [filters, per_group, sides @ ..] = kernel.as_slice() else {
        return None;
    };
    let groups = u64::try_from(view.int("group", 1)).ok()?;
    let fits = per_group.checked_mul(groups) == view.shape(0)?.get(1).copied();
    fits.then_some(())?;
    let made = super::window::slide(view, *filters, sides)?;
    times(&[made.as_slice(), &kernel[1..]].concat())
}

/// Sizes of a `MultiHeadAttention` of ONNX Runtime without its projections, which are not part of
/// the operator.
pub(super) struct Attention {
    batch: u64,
    queries: u64,
    keys: u64,
    /// All heads of the queries side by side, and of the values.
    width: u64,
    value_width: u64,
}

impl Attention {
    pub(super) fn output(&self) -> Shape {
        vec![self.batch, self.queries, self.value_width]
    }

    /// Scores and mixtures; a mask saves nothing.
    fn products(&self) -> Option<u64> {
        let width = self.width.checked_add(self.value_width)?;
        times(&[self.batch, self.queries, self.keys, width])
    }
}

/// The sizes of an attention; none with keys of an earlier call or for shapes that do not fit.
pub(super) fn attention(view: &View<'_, '_>) -> Option<Attention> {
    if view.has(6) || view.has(7) {
        return None;
    }
    let query = view.shape(0)?.as_slice();
    if let ([batch, length, heads, 3, head], false) = (query, view.has(1)) {
        let width = heads.checked_mul(*head)?;
        return Some(Attention {
            batch: *batch,
            queries: *length,
            keys: *length,
            width,
            value_width: width,
        });
    }
    let [batch, queries, width] = *query else {
        return None;
    };
    let (keys, value_width, fits) = match (view.shape(1)?.as_slice(), view.has(2)) {
        ([b, keys, w], true) => match view.shape(2)?.as_slice() {
            [_, length, values] => (*keys, *values, (b, w, length) == (&batch, &width, keys)),
            _ => return None,
        },
        ([b, keys, heads, 2, head], false) => {
            let same = heads.checked_mul(*head) == Some(width);
            (*keys, width, *b == batch && same)
        }
        ([b, heads, keys, head], true) => match view.shape(2)?.as_slice() {
            [_, values, length, wide] => {
                let same = heads.checked_mul(*head) == Some(width) && length == keys;
                (*keys, values.checked_mul(*wide)?, *b == batch && same)
            }
            _ => return None,
        },
        _ => return None,
    };
    fits.then_some(Attention {
        batch,
        queries,
        keys,
        width,
        value_width,
    })
}
