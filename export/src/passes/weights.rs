//! Weights of 8 bit, arithmetic in f32.

use std::collections::HashMap;

use super::SMALLEST;
use super::quantise::{dims, floats, per_channel};
use super::rewrite::{Rewrite, cast_to};
use crate::error::Result;
use crate::messages::{ElementType, NodeProto};
use crate::model::Model;
use crate::tensor::Tensor;

const LIMIT: i8 = 127;

/// Stores the matrices of `MatMul`, kernels of `Conv` and tables of `Gather` as 8 bits, with a scale for each
/// column, filter or column. A `Cast` and a `Mul` give them back as f32: engines do so once, as
/// they load (which they do not do for `DequantizeLinear`). Of a table, only the rows that are read.
///
/// Weights named in `keep` stay as they are, and so do those of fewer than [`SMALLEST`] elements,
/// and those that other operators read too.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for weights that are not finite.
pub fn weights_int8(model: Model, keep: &[String]) -> Result<Model> {
    let (mut rewrite, nodes) = Rewrite::new(model);
    let mut readers: HashMap<String, usize> = HashMap::new();
    for input in nodes.iter().flat_map(|node| &node.input) {
        *readers.entry(input.clone()).or_default() += 1;
    }
    for mut node in nodes {
        let Some(place) = place_of_weight(&node) else {
            rewrite.push(node);
            continue;
        };
        let name = node.input[place].clone();
        let wanted = readers.get(&name) == Some(&1) && !keep.contains(&name);
        let weight = rewrite.constant(&name).filter(|_| wanted);
        let large = weight.map(|w| (dims(w), floats(w)));
        let Some((dims, Some(values))) = large else {
            rewrite.push(node);
            continue;
        };
        let table = node.op_type == "Gather";
        if dims.len() < 2 || values.len() < SMALLEST || (table && !reads_rows(&node)) {
            rewrite.push(node);
            continue;
        }
        let axis = if node.op_type == "Conv" {
            0
        } else {
            dims.len() - 1
        };
        let quantised = per_channel(&name, &values, &dims, axis, LIMIT)?;
        let mut across = vec![1; dims.len() - axis];
        across[0] = dims[axis];
        let scales = Tensor::f32(across, quantised.scales)?;
        let integers = Tensor::i8(dims, quantised.integers)?;
        let integers = rewrite.add_constant(&format!("{name}.int8"), &integers);
        let scales = rewrite.add_constant(&format!("{name}.scale"), &scales);
        if table {
            let output = node.output[0].clone();
            let rows = rewrite.fresh(&format!("{output}.rows"));
            rewrite.describe_like(&rows, &output, ElementType::Int8);
            node.input[place] = integers;
            node.output[0].clone_from(&rows);
            rewrite.push(node);
            restore(&mut rewrite, &rows, &scales, &output);
        } else {
            let restored = rewrite.fresh(&format!("{name}.f32"));
            restore(&mut rewrite, &integers, &scales, &restored);
            node.input[place] = restored;
            rewrite.push(node);
        }
    }
    rewrite.finish()
}

/// The kernels of `Conv` that [`weights_int8`] would store as 8 bits, in the order of the graph: name and number of
/// elements.
pub fn kernel_weights(model: &Model) -> Vec<(String, usize)> {
    let Some(graph) = &model.proto().graph else {
        return Vec::new();
    };
    let convs = graph.node.iter().filter(|node| node.op_type == "Conv");
    let kernels = convs.filter_map(|node| {
        let name = node.input.get(place_of_weight(node)?)?;
        let constant = graph.initializer.iter().find(|c| c.name == *name)?;
        let size = dims(constant).iter().product();
        let is_float = constant.data_type == ElementType::Float as i32;
        (is_float && size >= SMALLEST).then(|| (name.clone(), size))
    });
    kernels.collect()
}

/// Which input of a node is a weight.
fn place_of_weight(node: &NodeProto) -> Option<usize> {
    match (node.op_type.as_str(), node.domain.as_str()) {
        ("MatMul" | "Conv", "") if node.input.len() >= 2 => Some(1),
        ("Gather", "") if node.input.len() == 2 => Some(0),
        _ => None,
    }
}

/// Whether a `Gather` takes rows of its table.
fn reads_rows(node: &NodeProto) -> bool {
    let axis = node.attribute.iter().find(|a| a.name == "axis");
    axis.is_none_or(|a| a.i == Some(0))
}

fn restore(rewrite: &mut Rewrite, integers: &str, scales: &str, output: &str) {
    let float = rewrite.fresh(&format!("{output}.float"));
    rewrite.push_op("Cast", &[integers], &float, cast_to(ElementType::Float));
    rewrite.push_op("Mul", &[&float, scales], output, Vec::new());
}
