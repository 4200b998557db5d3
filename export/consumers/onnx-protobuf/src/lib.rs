//! What a graph takes, gives and consists of, read with onnx-protobuf: copy this file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;

use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::dimension::Value;
use onnx_protobuf::{ModelProto, ValueInfoProto};
use protobuf::{Enum, Message};

/// What a graph takes, gives and consists of.
#[derive(Debug, PartialEq)]
pub struct Summary {
    /// The version of the default operator set.
    pub opset: i64,
    /// The inputs that are no weights, as `name TYPE [dimension, ..]`.
    pub inputs: Vec<String>,
    /// The outputs, likewise.
    pub outputs: Vec<String>,
    /// How often each operator occurs.
    pub operators: BTreeMap<String, usize>,
    /// Tensors of weights and the numbers in them.
    pub weights: (usize, i64),
}

impl Summary {
    /// Reads a file of a graph.
    pub fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let model = ModelProto::parse_from_bytes(&std::fs::read(path)?)?;
        let graph = model.graph.as_ref().ok_or("the model has no graph")?;
        let opset = model.opset_import.iter().find(|set| set.domain.is_empty());
        let mut operators = BTreeMap::new();
        for node in &graph.node {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        let numbers = |dims: &[i64]| dims.iter().product::<i64>();
        let is_weight =
            |port: &&ValueInfoProto| graph.initializer.iter().any(|w| w.name == port.name);
        Ok(Summary {
            opset: opset.ok_or("the model names no operator set")?.version,
            inputs: graph
                .input
                .iter()
                .filter(|p| !is_weight(p))
                .map(port)
                .collect(),
            outputs: graph.output.iter().map(port).collect(),
            operators,
            weights: (
                graph.initializer.len(),
                graph.initializer.iter().map(|w| numbers(&w.dims)).sum(),
            ),
        })
    }
}

fn port(port: &ValueInfoProto) -> String {
    let tensor = port.type_.tensor_type();
    let kind = match DataType::from_i32(tensor.elem_type) {
        Some(kind) => format!("{kind:?}"),
        None => format!("type {}", tensor.elem_type),
    };
    let dimension = |value: &Option<Value>| match value {
        Some(Value::DimValue(size)) => size.to_string(),
        Some(Value::DimParam(name)) => name.clone(),
        _ => "?".into(),
    };
    let shape: Vec<String> = tensor
        .shape
        .dim
        .iter()
        .map(|d| dimension(&d.value))
        .collect();
    format!("{} {kind} [{}]", port.name, shape.join(", "))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  opset {}", self.opset)?;
        for port in &self.inputs {
            writeln!(f, "  takes {port}")?;
        }
        for port in &self.outputs {
            writeln!(f, "  gives {port}")?;
        }
        writeln!(
            f,
            "  {} numbers in {} tensors",
            self.weights.1, self.weights.0
        )?;
        for (operator, count) in &self.operators {
            writeln!(f, "  {count:4} {operator}")?;
        }
        Ok(())
    }
}
