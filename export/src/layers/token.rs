//! Where tokens come from and which of them is read: pixels, patches, embeddings, extra tokens.

use super::Conv2d;
use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, Size, Value, Window};
use crate::tensor::{DataType, Tensor};

/// 8-bit pictures [batch, height, width, 3] to normalised f32 [batch, 3, height, width]:
/// `(value / 255 - mean) / std` for each channel.
///
/// # Errors
/// A value of another type or shape; a std of 0 or numbers that are not finite.
pub fn normalise_pixels(
    graph: &mut Graph,
    scope: &str,
    pixels: Value,
    mean: [f64; 3],
    std: [f64; 3],
) -> Result<Value> {
    let shape = graph.shape(pixels)?;
    if shape.len() != 4 || shape[3] != Dim::Known(3) || graph.data_type(pixels)? != DataType::U8 {
        return Err(Error::shape(
            "normalise_pixels",
            "expected u8 [batch, height, width, 3]",
        ));
    }
    let scale: [f64; 3] = std::array::from_fn(|c| 1.0 / (255.0 * std[c]));
    let shift: [f64; 3] = std::array::from_fn(|c| mean[c] / std[c]);
    if !scale.iter().chain(&shift).all(|v| v.is_finite()) {
        return Err(Error::attribute(
            "normalise_pixels",
            format!("mean {mean:?}, std {std:?}"),
        ));
    }
    let channels = |v: [f64; 3]| Tensor::f32(vec![3, 1, 1], v.map(|c| c as f32).to_vec());
    graph.within(scope, |g| {
        // Bytes are moved before they grow to floats.
        let x = g.transpose(pixels, &[0, 3, 1, 2])?;
        let x = g.cast(x, DataType::F32)?;
        let scale = g.constant(channels(scale)?)?;
        let x = g.mul(x, scale)?;
        let shift = g.constant(channels(shift)?)?;
        g.sub(x, shift)
    })
}

/// Cuts a picture into square patches and maps each to a token.
#[derive(Debug, Clone)]
pub struct PatchEmbed {
    /// [width, channels, patch, patch].
    pub weight: Tensor,
    /// `[width]`.
    pub bias: Tensor,
}

impl PatchEmbed {
    /// [batch, channels, height, width] to [batch, patches, token width], row by row.
    ///
    /// # Errors
    /// Weights that do not fit; a height or width that is no multiple of the patch.
    pub fn apply(self, graph: &mut Graph, scope: &str, x: Value) -> Result<Value> {
        let patch = self.weight.dims().last().copied().unwrap_or(0);
        let whole = |dim: &Dim| {
            dim.known()
                .is_some_and(|n| patch > 0 && n.is_multiple_of(patch))
        };
        let sides = graph.shape(x)?.iter().skip(2);
        if sides.len() != 2 || !sides.clone().all(whole) {
            return Err(Error::shape(
                "patch_embed",
                format!("patches of {patch} do not fill the picture"),
            ));
        }
        let window = Window {
            kernel: patch,
            stride: patch,
            padding: (0, 0),
        };
        graph.within(scope, |g| {
            let conv = Conv2d {
                weight: self.weight,
                bias: Some(self.bias),
                window,
                groups: 1,
            };
            let x = conv.apply(g, "proj", x)?;
            let channels = match g.shape(x)?.get(1) {
                Some(Dim::Known(n)) => *n,
                _ => return Err(Error::shape("patch_embed", "no known width")),
            };
            let x = g.reshape(x, &[Size::Keep, Size::Of(channels), Size::Rest])?;
            g.transpose(x, &[0, 2, 1])
        })
    }
}

/// A table of which rows are looked up.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// [rows, width].
    pub weight: Tensor,
}

impl Embedding {
    /// i64 [..] to [.., width].
    ///
    /// # Errors
    /// Indices that are not i64.
    pub fn apply(self, graph: &mut Graph, scope: &str, indices: Value) -> Result<Value> {
        graph.within(scope, |g| {
            let table = g.weight("weight", self.weight)?;
            g.gather(table, indices, 0)
        })
    }
}

/// Puts one token, of any shape that holds `width` numbers, in front of each row of
/// [batch, length, width]: [batch, 1 + length, width].
///
/// # Errors
/// A token of another width.
pub fn prepend_token(graph: &mut Graph, name: &str, token: Tensor, x: Value) -> Result<Value> {
    let width = graph.shape(x)?.last().and_then(Dim::known).unwrap_or(0);
    if token.len() != width {
        return Err(Error::shape(
            "prepend_token",
            format!("{token:?} for a width of {width}"),
        ));
    }
    let token = graph.weight(name, token)?;
    let token = graph.reshape(token, &[Size::Of(1), Size::Of(1), Size::Of(width)])?;
    let batch = graph.shape_of(x, 0, 1)?;
    let rest = graph.constant(Tensor::indices(vec![1, width as i64]))?;
    let shape = graph.concat(&[batch, rest], 0)?;
    let token = graph.expand(token, shape)?;
    graph.concat(&[token, x], 1)
}

/// The one token of each row that is read after the last block, so that this block need not
/// compute the others.
#[derive(Debug, Clone, Copy)]
pub enum Pooled {
    /// The first token, as a class token.
    First,
    /// The token at these places, i64 `[batch]`.
    At(Value),
}

impl Pooled {
    /// [batch, length, width] to [batch, 1, width].
    ///
    /// # Errors
    /// Places that are not i64, or not one for each row.
    pub fn of(self, graph: &mut Graph, x: Value) -> Result<Value> {
        match self {
            Pooled::First => {
                let first = graph.constant(Tensor::indices(vec![0]))?;
                graph.gather(x, first, 1)
            }
            Pooled::At(places) => {
                let picked = graph.pick(x, places)?;
                graph.unsqueeze(picked, &[1])
            }
        }
    }
}

/// In each row of integers [batch, length] the place of the first that equals `wanted`; in a row
/// without it the last place.
///
/// # Errors
/// A value that is not i64 [batch, length].
pub fn first_match(graph: &mut Graph, scope: &str, rows: Value, wanted: i64) -> Result<Value> {
    if graph.shape(rows)?.len() != 2 {
        return Err(Error::shape("first_match", "expected [batch, length]"));
    }
    graph.within(scope, |g| {
        let wanted = g.constant(Tensor::scalar_i64(wanted))?;
        let equal = g.equal(rows, wanted)?;
        let length = g.dim_of(rows, 1)?;
        let places = g.range(length)?;
        let one = g.constant(Tensor::scalar_i64(1))?;
        let last = g.sub(length, one)?;
        // Not ArgMax: rten 0.27 gives the last of equal places where the format asks for the
        // first.
        let candidates = g.select(equal, places, last)?;
        g.reduce_min(candidates, &[1], false)
    })
}
