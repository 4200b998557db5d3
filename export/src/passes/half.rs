//! Half precision: f16 weights and arithmetic, where that is safe.

use std::collections::{HashMap, HashSet};

use half::f16;

use super::quantise::{dims, floats};
use super::rewrite::{Rewrite, cast_to};
use crate::error::Result;
use crate::messages::{ElementType, NodeProto};
use crate::model::Model;
use crate::tensor::Tensor;

/// Operators that sum squares or many numbers, or take exponentials.
const WIDE: [&str; 6] = [
    "LayerNormalization",
    "Softmax",
    "ReduceMean",
    "ReduceL2",
    "ReduceSum",
    "GlobalAveragePool",
];
/// Operators that turn inputs into what the first layer reads.
const FIRST: [&str; 8] = [
    "Cast",
    "Unsqueeze",
    "Reshape",
    "Transpose",
    "Where",
    "Mul",
    "Add",
    "Sub",
];
/// Operators that read no element of a float.
const BLIND: [&str; 2] = ["Shape", "Size"];

/// Everything of floats becomes f16, but for: norms, softmax, means and what divides by a length;
/// what prepares the inputs (pixels to normalised numbers); and layers with weights that are too
/// large for f16. Inputs and outputs keep their types. A mask's large negative constants become
/// f16's lowest number.
///
/// # Errors
/// None for a model that [`check`](crate::check) accepts; the result is checked again.
pub fn half(model: Model) -> Result<Model> {
    let (mut rewrite, nodes) = Rewrite::new(model);
    let mut plan = Plan::new(&rewrite);
    for mut node in nodes {
        let width = plan.width(&rewrite, &node);
        if !BLIND.contains(&node.op_type.as_str()) {
            for input in &mut node.input {
                *input = plan.read(&mut rewrite, input, width)?;
            }
        }
        for output in &node.output {
            if rewrite.type_of(output) == Some(ElementType::Float as i32) {
                plan.widths.insert(output.clone(), width);
                if width == Width::Half {
                    rewrite.describe_like(output, output, ElementType::Float16);
                }
            }
        }
        rewrite.push(node);
    }
    rewrite.finish()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Width {
    Half,
    Single,
}

impl Width {
    fn element_type(self) -> ElementType {
        match self {
            Width::Half => ElementType::Float16,
            Width::Single => ElementType::Float,
        }
    }
}

struct Plan {
    /// Widths of the floats that are made so far.
    widths: HashMap<String, Width>,
    /// A value or constant in another width than its own.
    other: HashMap<(String, Width), String>,
    /// Values that still belong to the preparation of the inputs.
    first: HashSet<String>,
    /// Lengths, which something will be divided by.
    lengths: HashSet<String>,
    outputs: HashSet<String>,
}

impl Plan {
    fn new(rewrite: &Rewrite) -> Self {
        let float = ElementType::Float as i32;
        let inputs = || rewrite.inputs();
        let floats = inputs().filter(|(_, element)| *element == float);
        Plan {
            widths: floats
                .map(|(name, _)| (name.to_owned(), Width::Single))
                .collect(),
            other: HashMap::new(),
            first: inputs().map(|(name, _)| name.to_owned()).collect(),
            lengths: HashSet::new(),
            outputs: rewrite.outputs(),
        }
    }

    /// The width in which a node computes.
    fn width(&mut self, rewrite: &Rewrite, node: &NodeProto) -> Width {
        let op = node.op_type.as_str();
        let reads = |set: &HashSet<String>| node.input.iter().any(|name| set.contains(name));
        let is_constant = |name: &String| name.is_empty() || rewrite.constant(name).is_some();
        let mut inputs = node.input.iter();
        let prepares = FIRST.contains(&op)
            && reads(&self.first)
            && inputs.all(|name| self.first.contains(name) || is_constant(name));
        let scales = op == "ReduceL2" || (matches!(op, "Max" | "Div") && reads(&self.lengths));
        if prepares {
            self.first.extend(node.output.iter().cloned());
        }
        if scales {
            self.lengths.extend(node.output.iter().cloned());
        }
        let gives = node.output.iter().any(|name| self.outputs.contains(name));
        let large = || {
            let mut weights = node.input.iter().filter_map(|name| rewrite.constant(name));
            weights.any(|w| {
                dims(w).iter().product::<usize>() > 1 && !fits(&floats(w).unwrap_or_default())
            })
        };
        match prepares || scales || gives || WIDE.contains(&op) || large() {
            true => Width::Single,
            false => Width::Half,
        }
    }

    /// The name of a value in the width that its reader needs.
    fn read(&mut self, rewrite: &mut Rewrite, name: &str, needed: Width) -> Result<String> {
        let key = (name.to_owned(), needed);
        if let Some(other) = self.other.get(&key) {
            return Ok(other.clone());
        }
        if let Some(constant) = rewrite.constant(name) {
            let (dims, values) = (dims(constant), floats(constant));
            let (Width::Half, Some(values)) = (needed, values) else {
                return Ok(name.to_owned());
            };
            let halves = values.iter().map(|v| to_half(*v)).collect();
            let halves = Tensor::f16(dims, halves)?;
            let other = rewrite.add_constant(&format!("{name}.f16"), &halves);
            self.other.insert(key, other.clone());
            return Ok(other);
        }
        match self.widths.get(name) {
            Some(width) if *width != needed => {}
            _ => return Ok(name.to_owned()),
        }
        let to = needed.element_type();
        let suffix = if needed == Width::Half { "f16" } else { "f32" };
        let other = rewrite.fresh(&format!("{name}.{suffix}"));
        rewrite.describe_like(&other, name, to);
        rewrite.push_op("Cast", &[name], &other, cast_to(to));
        self.other.insert(key, other.clone());
        Ok(other)
    }
}

fn fits(values: &[f32]) -> bool {
    values.iter().all(|v| f16::from_f32(*v).is_finite())
}

/// The nearest half; a number beyond the range of halves becomes the largest of its sign.
fn to_half(value: f32) -> f16 {
    f16::from_f32(value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}
