//! What a model is made of: ports, operators, weights, precision, and what a run costs.
//!
//! [`skim`] reads a file of unknown origin without its weights, [`Summary::of`] counts. Numbers
//! that depend on dimensions that vary hold for the [`SymbolValues`] that were given. What cannot
//! be told is said to be unknown; nothing is guessed.

mod contents;
mod counts;
pub mod element;
mod layout;
mod node;
mod operators;
mod precision;
mod products;
mod shapes;
mod skim;
mod window;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};
use crate::messages::{DimensionValue, ModelProto, NodeProto, ValueInfoProto};

use counts::Counts;

pub use precision::Precision;
pub use products::Macs;
pub(crate) use shapes::shapes_of;
pub use skim::skim;

/// Most dimensions of a value that are followed.
const MOST_RANK: usize = 16;

/// Numbers in the place of named dimensions: 1, but for those that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SymbolValues(BTreeMap<String, u64>);

impl SymbolValues {
    /// Every named dimension is 1.
    pub fn ones() -> Self {
        SymbolValues::default()
    }

    /// With another number for the dimension of this name.
    pub fn with(mut self, name: &str, value: u64) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// The number of a dimension.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(1)
    }
}

/// A dimension as a file states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// A number.
    Number(u64),
    /// The name of one that may vary.
    Name(String),
    /// Nothing is said.
    Unknown,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Number(n) => write!(f, "{n}"),
            Extent::Name(name) => f.write_str(name),
            Extent::Unknown => f.write_str("?"),
        }
    }
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type; `no tensor` for sequences and maps.
    pub element_type: String,
    /// Its shape, where one is stated.
    pub shape: Option<Vec<Extent>>,
}

/// Constants of one element type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Constants {
    /// How many there are.
    pub tensors: u64,
    /// Their elements.
    pub elements: u64,
    /// Their bytes; 0 for texts, whose lengths are not read.
    pub bytes: u64,
}

/// What a model is made of. Operators and constants of graphs inside graphs are counted once;
/// multiply-accumulates are those of the main graph.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The graph's name.
    pub name: String,
    /// The tool that wrote the model, with its version.
    pub producer: String,
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets and their versions, ONNX's own under the name `ai.onnx`.
    pub opsets: Vec<(String, i64)>,
    /// What the caller gives.
    pub inputs: Vec<Port>,
    /// What the caller gets.
    pub outputs: Vec<Port>,
    /// Nodes by operator; those of other sets than ONNX's own with the set's name in front.
    pub operators: BTreeMap<String, u64>,
    /// Constants by element type, those of `Constant` nodes included.
    pub constants: BTreeMap<String, Constants>,
    /// Elements of all constants that are weights by their type: floats and integers of at most 8 bits.
    pub parameters: u64,
    /// How weights are stored and computed with.
    pub precision: Precision,
    /// What a run costs.
    pub macs: Macs,
    /// Files beside the model that hold weights, with the bytes that they must at least have.
    pub side_files: BTreeMap<String, u64>,
    /// Functions of the model's own.
    pub functions: usize,
    /// Sparse constants, which are not counted among the others.
    pub sparse: usize,
    /// What the model says of itself, in the file's order.
    pub properties: Vec<(String, String)>,
}

impl Summary {
    /// Counts what is in a model; dimensions that vary have the numbers of `symbols`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a model without a graph or operator set, constants whose size does not
    /// fit into 64 bits, and weights in a file outside of the model's folder.
    pub fn of(model: &ModelProto, symbols: &SymbolValues) -> Result<Summary> {
        let graph = model.graph.as_ref();
        let graph = graph.ok_or_else(|| Error::invalid("graph", "is missing; is it ONNX?"))?;
        if model.opset_import.is_empty() {
            return Err(Error::invalid("opset_import", "names no operator set"));
        }
        let mut counts = Counts::default();
        counts.graph(graph)?;
        let initializers = graph.initializer.iter();
        let initializers: std::collections::HashSet<&str> =
            initializers.map(|tensor| tensor.name.as_str()).collect();
        // Before version 4 of the format, weights were listed among the inputs as well.
        let given = |value: &&ValueInfoProto| !initializers.contains(value.name.as_str());
        let opsets = model
            .opset_import
            .iter()
            .map(|set| match set.domain.as_str() {
                "" => ("ai.onnx".to_owned(), set.version),
                domain => (domain.to_owned(), set.version),
            });
        let properties = model.metadata_props.iter();
        let producer = format!("{} {}", model.producer_name, model.producer_version);
        Ok(Summary {
            name: graph.name.clone(),
            producer: producer.trim().to_owned(),
            ir_version: model.ir_version,
            opsets: opsets.collect(),
            inputs: graph.input.iter().filter(given).map(port).collect(),
            outputs: graph.output.iter().map(port).collect(),
            operators: counts.operators,
            parameters: counts.parameters,
            constants: counts.constants,
            precision: precision::of(graph),
            macs: products::count(graph, symbols),
            side_files: counts.side_files,
            functions: model.functions.len(),
            sparse: counts.sparse,
            properties: properties
                .map(|p| (p.key.clone(), p.value.clone()))
                .collect(),
        })
    }

    /// Bytes of all constants.
    pub fn constant_bytes(&self) -> u64 {
        let bytes = self.constants.values().map(|c| c.bytes);
        bytes.fold(0, u64::saturating_add)
    }
}

/// `MatMul`, `com.microsoft.MultiHeadAttention`.
fn operator_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        own if node::OWN.contains(&own) => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

fn port(value: &ValueInfoProto) -> Port {
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let extent = |dim: &crate::messages::DimensionProto| match &dim.value {
        Some(DimensionValue::DimValue(n)) => {
            u64::try_from(*n).map_or(Extent::Unknown, Extent::Number)
        }
        Some(DimensionValue::DimParam(name)) if !name.is_empty() => Extent::Name(name.clone()),
        _ => Extent::Unknown,
    };
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    Port {
        name: value.name.clone(),
        element_type: match tensor {
            Some(tensor) => element::name(tensor.elem_type),
            None => "no tensor".to_owned(),
        },
        shape: shape.map(|shape| shape.dim.iter().map(extent).collect()),
    }
}
