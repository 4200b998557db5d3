//! Which precision a graph has, from what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::messages::GraphProto;

/// How a graph stores its weights and computes, read off its constants and operators. Matrices and
/// kernels decide, for biases and norms are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// Singles.
    F32,
    /// Halves that are computed with as halves.
    F16,
    /// Halves in the file, each with a `Cast` behind it.
    F16Weights,
    /// Integer products of inputs that are quantised while the graph runs.
    Int8Dynamic,
    /// Integer products of inputs that are quantised by stored scales.
    Int8Static,
    /// 8-bit integers in the file, made floats before they are used.
    Int8Weights,
    /// Another element type.
    Other,
    /// The graph has no weights of two dimensions.
    None,
}

impl Precision {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::F16Weights => "f16 weights, f32 arithmetic",
            Precision::Int8Dynamic => "int8, dynamic",
            Precision::Int8Static => "int8, static",
            Precision::Int8Weights => "int8 weights, float arithmetic",
            Precision::Other => "other",
            Precision::None => "no weights",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Operators that multiply integers.
const INTEGER: [&str; 8] = [
    "ConvInteger",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QAttention",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
];
/// Operators that quantise while the graph runs.
const DYNAMIC: [&str; 4] = [
    "DynamicQuantizeLSTM",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "QAttention",
];

/// The precision of a graph.
pub(super) fn of(graph: &GraphProto) -> Precision {
    let has = |ops: &[&str]| {
        let mut nodes = graph.node.iter();
        nodes.any(|node| ops.contains(&node.op_type.as_str()))
    };
    if has(&INTEGER) {
        return match has(&DYNAMIC) {
            true => Precision::Int8Dynamic,
            false => Precision::Int8Static,
        };
    }
    // Matrices by name, with their element type; those of `Constant` nodes too.
    let mut matrices: BTreeMap<&str, i32> = graph
        .initializer
        .iter()
        .filter(|tensor| tensor.dims.len() > 1)
        .map(|tensor| (tensor.name.as_str(), tensor.data_type))
        .collect();
    for node in &graph.node {
        let tensors = node.attribute.iter().filter_map(|a| a.t.as_ref());
        let mut tensors = tensors.filter(|tensor| tensor.dims.len() > 1);
        let matrix = tensors.next();
        if let (Some(tensor), Some(output)) = (matrix, node.output.first()) {
            matrices.insert(output, tensor.data_type);
        }
    }
    matrices.retain(|_, element_type| super::element::is_weight(*element_type));
    // Types that something computes with as they are.
    let mut direct: BTreeSet<i32> = BTreeSet::new();
    for node in &graph.node {
        if matches!(
            node.op_type.as_str(),
            "Cast" | "DequantizeLinear" | "Identity"
        ) {
            continue;
        }
        let read = node.input.iter();
        direct.extend(read.filter_map(|name| matrices.get(name.as_str())));
    }
    let types: BTreeSet<i32> = matrices.into_values().collect();
    let has = |element_type: i32| types.contains(&element_type);
    const F32: i32 = 1;
    const U8: i32 = 2;
    const I8: i32 = 3;
    const F16: i32 = 10;
    match () {
        () if types.is_empty() => Precision::None,
        () if types.iter().any(|t| ![F32, U8, I8, F16].contains(t)) => Precision::Other,
        () if direct.contains(&F16) => Precision::F16,
        () if has(I8) || has(U8) => Precision::Int8Weights,
        () if has(F16) => Precision::F16Weights,
        () => Precision::F32,
    }
}
