//! The graph that fits a picture of any size.
//!
//! Antialiased resampling of an axis is a product with a matrix of weights, and that matrix follows from two lengths. So a
//! graph can do it with operators that every engine has, where ONNX's own `Resize` rounds no row to 8 bits
//! between the axes, which is a part of Pillow's definition, and is not antialiased in every engine.

use std::f32::consts::PI;

use satmip_export::{DataType, Dim, Graph, Tensor, Value};

use super::Built;
use crate::arch::{Fit, Preprocessing, ResizeFilter};

pub(super) fn build(graph: &mut Graph, preprocessing: &Preprocessing) -> Built<()> {
    let shape = ["batch", "height", "width"].map(Dim::from).into_iter();
    let shape = shape.chain([3.into()]).collect();
    let pictures = graph.input("picture", DataType::U8, shape)?;
    let down = Axis::of(graph, pictures, 1)?;
    let across = Axis::of(graph, pictures, 2)?;
    let (tall, wide) = match preprocessing.fit {
        Fit::Stretch => (down.length, across.length),
        Fit::Crop => {
            let side = graph.min(down.length, across.length)?;
            (side, side)
        }
    };
    let rows = down.weights(graph, "rows", tall, preprocessing)?;
    let columns = across.weights(graph, "columns", wide, preprocessing)?;
    let columns = graph.transpose(columns, &[1, 0])?;

    let x = graph.transpose(pictures, &[0, 3, 1, 2])?;
    let x = graph.cast(x, DataType::F32)?;
    let x = graph.matmul(x, columns)?;
    let x = rounded(graph, x)?;
    let x = graph.cast(x, DataType::F32)?;
    let x = graph.matmul(rows, x)?;
    let x = rounded(graph, x)?;
    let x = graph.transpose(x, &[0, 2, 3, 1])?;
    Ok(graph.output("image", x)?)
}

/// One axis of the pictures.
struct Axis {
    /// Its pixels, an f32 scalar.
    length: Value,
    /// Their numbers from 0, f32 [pixels].
    pixels: Value,
}

impl Axis {
    fn of(graph: &mut Graph, pictures: Value, place: usize) -> Built<Self> {
        let length = graph.dim_of(pictures, place)?;
        let pixels = graph.range(length)?;
        Ok(Axis {
            length: graph.cast(length, DataType::F32)?,
            pixels: graph.cast(pixels, DataType::F32)?,
        })
    }

    /// What each pixel adds to each pixel of the result, [size, pixels]: the filter at the distance of their centres,
    /// widened where the picture shrinks; 0 outside the centred `region`, an f32 scalar. Rows add up to 1.
    fn weights(
        &self,
        graph: &mut Graph,
        scope: &str,
        region: Value,
        preprocessing: &Preprocessing,
    ) -> Built<Value> {
        let size = preprocessing.size;
        let made = graph.within(scope, |g| {
            let number = |g: &mut Graph, value: f32| g.constant(Tensor::scalar(value));
            let (zero, half) = (number(g, 0.0)?, number(g, 0.5)?);
            let one = number(g, 1.0)?;

            // An odd rest is cut at the far side.
            let rest = g.sub(self.length, region)?;
            let left = g.mul(rest, half)?;
            let left = g.cast(left, DataType::I64)?;
            let left = g.cast(left, DataType::F32)?;
            let places = g.sub(self.pixels, left)?;
            let places = g.add(places, half)?;

            let target = number(g, size as f32)?;
            let scale = g.div(region, target)?;
            let widened = g.max(scale, one)?;
            let centres = (0..size).map(|i| i as f32 + 0.5).collect();
            let centres = g.constant(Tensor::f32(vec![size, 1], centres)?)?;
            let centres = g.mul(centres, scale)?;
            let distance = g.sub(places, centres)?;
            let distance = g.div(distance, widened)?;
            let opposite = g.sub(zero, distance)?;
            let distance = g.max(distance, opposite)?;

            let weights = filter(g, preprocessing.filter, distance)?;
            let begun = g.greater_or_equal(places, zero)?;
            let ended = g.less_or_equal(places, region)?;
            let inside = g.and(begun, ended)?;
            let weights = g.select(inside, weights, zero)?;
            let mean = g.reduce_mean(weights, &[1], true)?;
            let sum = g.mul(mean, self.length)?;
            g.div(weights, sum)
        })?;
        Ok(made)
    }
}

/// Pillow's filters at distances of at least 0: a triangle, Keys' cubic convolution with a = -0.5 (1981), or a sinc windowed
/// by a sinc of three times its width.
fn filter(g: &mut Graph, filter: ResizeFilter, x: Value) -> satmip_export::Result<Value> {
    let number = |g: &mut Graph, value: f32| g.constant(Tensor::scalar(value));
    let zero = number(g, 0.0)?;
    // ((a x + b) x + c) x + d
    let cubic = |g: &mut Graph, [a, b, c, d]: [f32; 4]| {
        let mut sum = number(g, a)?;
        for coefficient in [b, c, d] {
            let product = g.mul(sum, x)?;
            let coefficient = number(g, coefficient)?;
            sum = g.add(product, coefficient)?;
        }
        Ok::<_, satmip_export::Error>(sum)
    };
    let one = number(g, 1.0)?;
    let (support, value) = match filter {
        ResizeFilter::Bilinear => (1.0, g.sub(one, x)?),
        ResizeFilter::Bicubic => {
            let near = cubic(g, [1.5, -2.5, 0.0, 1.0])?;
            let far = cubic(g, [-0.5, 2.5, -4.0, 2.0])?;
            let is_near = g.less_or_equal(x, one)?;
            (2.0, g.select(is_near, near, far)?)
        }
        ResizeFilter::Lanczos => {
            let mut product = one;
            // Off 0, where the quotient is 1 in the limit.
            let tiny = number(g, 1e-6)?;
            let away = g.max(x, tiny)?;
            for angle in [PI, PI / 3.0] {
                let angle = number(g, angle)?;
                let angle = g.mul(away, angle)?;
                let sine = g.sin(angle)?;
                let sinc = g.div(sine, angle)?;
                product = g.mul(product, sinc)?;
            }
            (3.0, product)
        }
    };
    let support = number(g, support)?;
    let outside = g.greater_or_equal(x, support)?;
    g.select(outside, zero, value)
}

/// The nearest of 0 to 255, halves upwards.
fn rounded(graph: &mut Graph, x: Value) -> Built<Value> {
    let [zero, most, half] = [0.0, 255.0, 0.5].map(|v| graph.constant(Tensor::scalar(v)));
    let x = graph.max(x, zero?)?;
    let x = graph.min(x, most?)?;
    let x = graph.add(x, half?)?;
    // Casts cut off what is behind the point.
    Ok(graph.cast(x, DataType::U8)?)
}
