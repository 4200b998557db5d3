//! Products of integers: weights of 8 bit, activations quantised as they come.

use std::collections::HashMap;

use super::SMALLEST;
use super::quantise::{dims, floats, per_channel};
use super::rewrite::{Rewrite, cast_to};
use crate::error::Result;
use crate::messages::{ElementType, NodeProto, TensorProto};
use crate::model::Model;
use crate::tensor::Tensor;

/// Weights use 7 of 8 bits. Processors without VNNI add pairs of products of an unsigned and a signed
/// byte in 16 bits, where two of 255 * 127 overflow and saturate; 2 * 255 * 64 fit.
const LIMIT: i8 = 63;

/// Each `MatMul` with a constant matrix becomes `DynamicQuantizeLinear`, `MatMulInteger`, and a
/// scaling back to f32: the form that ONNX Runtime and rten fuse. A scale for each column of the
/// weight, one for each run's activations as a whole.
///
/// Matrices named in `keep` stay as they are, and so do those of fewer than [`SMALLEST`] elements.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for weights that are not finite.
pub fn dynamic_int8(model: Model, keep: &[String]) -> Result<Model> {
    let (mut rewrite, nodes) = Rewrite::new(model);
    let mut activations: HashMap<String, [String; 3]> = HashMap::new();
    for node in nodes {
        let weight = weight_of(&node).filter(|name| !keep.iter().any(|k| k == name));
        let weight = weight
            .and_then(|name| rewrite.constant(name))
            .filter(|w| fits(w));
        let Some((name, dims, values)) =
            weight.and_then(|w| Some((w.name.clone(), dims(w), floats(w)?)))
        else {
            rewrite.push(node);
            continue;
        };
        let quantised = per_channel(&name, &values, &dims, 1, LIMIT)?;
        let columns = quantised.scales.len();
        let integers = Tensor::i8(dims, quantised.integers)?;
        let scales = Tensor::f32(vec![columns], quantised.scales)?;
        let integers = rewrite.add_constant(&format!("{name}.int8"), &integers);
        let scales = rewrite.add_constant(&format!("{name}.scale"), &scales);
        let [x, scale, zero] = activations
            .entry(node.input[0].clone())
            .or_insert_with(|| quantise(&mut rewrite, &node.input[0]))
            .clone();
        let output = &node.output[0];
        let [sum, float, both] = ["sum", "float", "scale"].map(|part| {
            let name = format!("{output}.{part}");
            rewrite.fresh(&name)
        });
        rewrite.describe_like(&sum, output, ElementType::Int32);
        rewrite.describe_like(&float, output, ElementType::Float);
        rewrite.push_op("MatMulInteger", &[&x, &integers, &zero], &sum, Vec::new());
        rewrite.push_op("Cast", &[&sum], &float, cast_to(ElementType::Float));
        rewrite.push_op("Mul", &[&scale, &scales], &both, Vec::new());
        rewrite.push_op("Mul", &[&float, &both], output, Vec::new());
    }
    rewrite.finish()
}

/// Names of the weights that [`dynamic_int8`] would quantise, in the order of the graph.
pub fn linear_weights(model: &Model) -> Vec<String> {
    let Some(graph) = &model.proto().graph else {
        return Vec::new();
    };
    let constants: HashMap<&str, &TensorProto> = graph
        .initializer
        .iter()
        .map(|c| (c.name.as_str(), c))
        .collect();
    let names = graph.node.iter().filter_map(weight_of);
    let large = names.filter(|name| constants.get(name).is_some_and(|w| fits(w)));
    large.map(str::to_owned).collect()
}

/// The second factor of a product.
fn weight_of(node: &NodeProto) -> Option<&str> {
    match (
        node.op_type.as_str(),
        node.domain.as_str(),
        node.input.as_slice(),
    ) {
        ("MatMul", "", [_, weight]) => Some(weight),
        _ => None,
    }
}

fn fits(weight: &TensorProto) -> bool {
    let size: usize = dims(weight).iter().product();
    weight.dims.len() == 2 && size >= SMALLEST && weight.data_type == ElementType::Float as i32
}

/// A value as bytes, with their scale and zero point.
fn quantise(rewrite: &mut Rewrite, x: &str) -> [String; 3] {
    let names = ["u8", "u8_scale", "u8_zero"].map(|part| rewrite.fresh(&format!("{x}.{part}")));
    rewrite.describe_like(&names[0], x, ElementType::Uint8);
    let outputs = [&names[0][..], &names[1], &names[2]];
    rewrite.push_many("DynamicQuantizeLinear", &[x], &outputs, Vec::new());
    names
}
