//! Shapes of a graph's values with numbers in the place of names, operator by operator.
//!
//! Only what follows is known: an operator that is not in the tables here, or inputs that do not
//! fit, leave the shape of its outputs open, or as the file states it in numbers.

use std::collections::HashMap;

use super::contents::contents;
use super::node::View;
use super::operators::{constant, outputs};
use super::{MOST_RANK, SymbolValues};
use crate::messages::{DimensionValue, GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// Most elements of a value that are followed; no shape has more dimensions.
pub(super) const MOST_CONTENTS: usize = 64;

pub(super) type Shape = Vec<u64>;

/// What is known of the values of a graph.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    pub(super) shapes: HashMap<&'a str, Shape>,
    /// Elements of small integer values, which may stand for shapes.
    pub(super) contents: HashMap<&'a str, Vec<i64>>,
}

/// Shapes of the values of a model, by their names.
pub(crate) fn shapes_of(model: &ModelProto, symbols: &SymbolValues) -> HashMap<String, Vec<u64>> {
    let Some(graph) = &model.graph else {
        return HashMap::new();
    };
    let shapes = Known::of(graph, symbols).shapes.into_iter();
    shapes
        .map(|(name, shape)| (name.to_owned(), shape))
        .collect()
}

impl<'a> Known<'a> {
    /// Of a whole graph, whose nodes are in topological order.
    pub(super) fn of(graph: &'a GraphProto, symbols: &SymbolValues) -> Known<'a> {
        let mut known = Known::default();
        for input in &graph.input {
            known.set(
                &input.name,
                shape_of(input, |name| Some(symbols.get(name)), Some(1)),
            );
        }
        for tensor in &graph.initializer {
            known.constant(&tensor.name, tensor);
        }
        let given: Vec<&str> = graph.input.iter().flat_map(names).collect();
        let of_given = |name: &str| given.contains(&name).then(|| symbols.get(name));
        let stated: HashMap<&str, &ValueInfoProto> = graph
            .value_info
            .iter()
            .chain(&graph.output)
            .map(|value| (value.name.as_str(), value))
            .collect();
        for node in &graph.node {
            let view = View::new(node, &known);
            let (shapes, contents) = match node.op_type.as_str() {
                "Constant" => constant(&view),
                _ => (outputs(&view), contents(&view)),
            };
            let mut shapes = shapes.into_iter();
            for (place, output) in node.output.iter().enumerate() {
                let inferred = shapes.next().flatten();
                let stated = || shape_of(stated.get(output.as_str())?, of_given, None);
                known.set(output, inferred.or_else(stated));
                if let (0, Some(contents)) = (place, &contents) {
                    known.contents.insert(output, contents.clone());
                }
            }
        }
        known
    }

    fn set(&mut self, name: &'a str, shape: Option<Shape>) {
        if let Some(shape) = shape.filter(|shape| shape.len() <= MOST_RANK) {
            self.shapes.insert(name, shape);
        }
    }

    fn constant(&mut self, name: &'a str, tensor: &TensorProto) {
        self.set(name, dims(tensor));
        if let Some(contents) = integers(tensor) {
            self.contents.insert(name, contents);
        }
    }
}

/// Names of the dimensions of a value.
fn names(value: &ValueInfoProto) -> Vec<&str> {
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let shape = tensor.and_then(|t| t.shape.as_ref());
    let dims = shape.iter().flat_map(|shape| &shape.dim);
    dims.filter_map(|dim| match &dim.value {
        Some(DimensionValue::DimParam(name)) => Some(name.as_str()),
        _ => None,
    })
    .collect()
}

/// A stated shape, with numbers for its names and for dimensions of which nothing is said.
fn shape_of(
    value: &ValueInfoProto,
    named: impl Fn(&str) -> Option<u64>,
    unnamed: Option<u64>,
) -> Option<Shape> {
    let tensor = value.r#type.as_ref()?.tensor_type.as_ref()?;
    let number = |dim: &crate::messages::DimensionProto| match &dim.value {
        Some(DimensionValue::DimValue(n)) => u64::try_from(*n).ok(),
        Some(DimensionValue::DimParam(name)) if !name.is_empty() => named(name),
        _ => unnamed,
    };
    let dims = &tensor.shape.as_ref()?.dim;
    if dims.len() > MOST_RANK {
        return None;
    }
    dims.iter().map(number).collect()
}

pub(super) fn dims(tensor: &TensorProto) -> Option<Shape> {
    let dims = tensor.dims.iter().map(|dim| u64::try_from(*dim).ok());
    dims.collect()
}

/// The elements of a small tensor of 32- or 64-bit integers whose data are there.
pub(super) fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    let count = dims(tensor)?
        .into_iter()
        .try_fold(1_u64, u64::checked_mul)?;
    let count = usize::try_from(count)
        .ok()
        .filter(|n| *n <= MOST_CONTENTS)?;
    let values: Vec<i64> = match (tensor.data_type, &tensor.raw_data) {
        (7, Some(raw)) => {
            let words = raw.as_chunks().0.iter();
            words.map(|word| i64::from_le_bytes(*word)).collect()
        }
        (6, Some(raw)) => {
            let words = raw.as_chunks().0.iter();
            words.map(|word| i32::from_le_bytes(*word).into()).collect()
        }
        (7, None) => tensor.int64_data.clone(),
        (6, None) => tensor.int32_data.iter().copied().map(i64::from).collect(),
        _ => return None,
    };
    (values.len() == count).then_some(values)
}
