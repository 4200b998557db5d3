//! The graph builder: values with types and shapes, and operators that check and infer them.
//!
//! A [`Value`] exists only once the operator that makes it was added, so nodes are in
//! topological order and a graph has no cycle.

mod convolution;
mod elementwise;
mod index;
mod layout;
mod matrix;
pub(crate) mod node;
mod shape;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::messages::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
};
use crate::model::{Model, ModelInfo};
use crate::tensor::{DataType, Tensor};

pub use convolution::Window;
pub use layout::{Size, SliceEnd};
pub use shape::Dim;

use shape::value_info;

/// Versions of ONNX's operator set that the builder writes.
pub const OPSETS: std::ops::RangeInclusive<i64> = 17..=22;

/// A value in a [`Graph`]: an input, a constant, or what an operator makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value {
    graph: u64,
    index: usize,
}

/// How weights are stored. Everything is computed in f32 in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WeightStorage {
    /// As they are.
    #[default]
    F32,
    /// Weights of two dimensions and more as f16, with a `Cast` to f32 behind them, which engines
    /// do once when they load. Biases and norms stay f32: they are few. So does a weight with a
    /// number beyond f16's range (65504).
    F16,
}

/// An ONNX graph being built.
///
/// Names of weights, nodes and inner values begin with the scope that [`Graph::within`] sets.
#[derive(Debug)]
pub struct Graph {
    id: u64,
    name: String,
    opset: i64,
    storage: WeightStorage,
    scope: String,
    values: Vec<Info>,
    names: HashSet<String>,
    nodes: Vec<NodeProto>,
    initializers: Vec<(usize, Tensor)>,
    constants: HashMap<(DataType, Vec<usize>, Vec<u8>), Value>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

#[derive(Debug)]
struct Info {
    name: String,
    data_type: DataType,
    shape: Vec<Dim>,
    /// What is known of the elements of a small integer value that stands for a shape.
    contents: Option<Vec<Dim>>,
    origin: Origin,
    used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Input,
    Constant,
    Node,
    Output,
}

impl Graph {
    /// An empty graph for a version of ONNX's operator set.
    ///
    /// # Errors
    /// A version outside of [`OPSETS`], an illegal name.
    pub fn new(name: &str, opset: i64) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if !OPSETS.contains(&opset) {
            return Err(Error::Opset {
                op: "graph",
                needs: *OPSETS.start(),
                has: opset,
            });
        }
        legal(name)?;
        Ok(Graph {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            opset,
            storage: WeightStorage::default(),
            scope: String::new(),
            values: Vec::new(),
            names: HashSet::new(),
            nodes: Vec::new(),
            initializers: Vec::new(),
            constants: HashMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        })
    }

    /// Sets how weights that are added from now on are stored.
    pub fn with_weight_storage(mut self, storage: WeightStorage) -> Self {
        self.storage = storage;
        self
    }

    /// The version of the operator set.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// An input that the caller gives at each run. Its name is as given, without the scope.
    ///
    /// # Errors
    /// [`Error::Name`] for an illegal or taken name, of the input or of a dimension.
    pub fn input(&mut self, name: &str, data_type: DataType, shape: Vec<Dim>) -> Result<Value> {
        for dim in &shape {
            if let Dim::Symbol(symbol) = dim {
                legal(symbol)?;
            }
        }
        let value = self.new_value(name.to_owned(), data_type, shape, Origin::Input)?;
        self.inputs.push(value.index);
        Ok(value)
    }

    /// A weight: a constant with a name, which is the scope's and this one.
    ///
    /// # Errors
    /// [`Error::Name`] for an illegal or taken name.
    pub fn weight(&mut self, name: &str, tensor: Tensor) -> Result<Value> {
        let halves = match self.storage {
            WeightStorage::F16 if tensor.dims().len() > 1 => tensor.to_f16(),
            _ => None,
        };
        let name = self.scoped(name);
        match halves {
            Some(halves) => {
                let stored = self.add_constant(name, halves)?;
                self.cast(stored, DataType::F32)
            }
            None => self.add_constant(name, tensor),
        }
    }

    /// A constant without a name of its own. Equal constants are stored once.
    ///
    /// # Errors
    /// None that a caller could cause; a name could be taken in theory.
    pub fn constant(&mut self, tensor: Tensor) -> Result<Value> {
        let key = (
            tensor.data_type(),
            tensor.dims().to_vec(),
            tensor.to_bytes(),
        );
        if let Some(value) = self.constants.get(&key) {
            return Ok(*value);
        }
        let name = format!("constant_{}", self.constants.len());
        let value = self.add_constant(name, tensor)?;
        self.constants.insert(key, value);
        Ok(value)
    }

    /// Makes a value an output of this name. The value itself keeps its name: an `Identity` node
    /// is between them, because some readers cannot have an output that is also an inner value.
    ///
    /// # Errors
    /// [`Error::Name`] for an illegal or taken name.
    pub fn output(&mut self, name: &str, value: Value) -> Result<()> {
        let (data_type, shape) = {
            let info = self.info("Identity", 0, value)?;
            (info.data_type, info.shape.clone())
        };
        let output = self.new_value(name.to_owned(), data_type, shape, Origin::Output)?;
        self.push_node("Identity", &[Some(value)], Vec::new(), &[output])?;
        self.outputs.push(output.index);
        Ok(())
    }

    /// Builds a part of the graph under a scope: `within("blocks", ..)` in `within("image", ..)`
    /// has the prefix `image.blocks.`.
    ///
    /// # Errors
    /// An illegal scope, or what `build` returns.
    pub fn within<T>(
        &mut self,
        scope: &str,
        build: impl FnOnce(&mut Graph) -> Result<T>,
    ) -> Result<T> {
        legal(scope)?;
        let inner = self.scoped(scope);
        let outer = std::mem::replace(&mut self.scope, inner);
        let built = build(self);
        self.scope = outer;
        built
    }

    /// Element type of a value.
    ///
    /// # Errors
    /// [`Error::ForeignValue`].
    pub fn data_type(&self, value: Value) -> Result<DataType> {
        Ok(self.info("graph", 0, value)?.data_type)
    }

    /// Shape of a value.
    ///
    /// # Errors
    /// [`Error::ForeignValue`].
    pub fn shape(&self, value: Value) -> Result<&[Dim]> {
        Ok(&self.info("graph", 0, value)?.shape)
    }

    /// Name of a value in the file.
    ///
    /// # Errors
    /// [`Error::ForeignValue`].
    pub fn value_name(&self, value: Value) -> Result<&str> {
        Ok(&self.info("graph", 0, value)?.name)
    }

    /// Number of nodes so far.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Closes the graph and looks it over once more.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a graph without output, a weight that nothing reads, or properties
    /// with an empty or repeated key.
    pub fn finish(self, info: &ModelInfo) -> Result<Model> {
        if self.outputs.is_empty() {
            return Err(Error::invalid(&self.name, "the graph has no output"));
        }
        let unused = |(index, _): &&(usize, Tensor)| !self.values[*index].used;
        if let Some((index, _)) = self.initializers.iter().find(unused) {
            let name = &self.values[*index].name;
            return Err(Error::invalid(name, "nothing reads this weight"));
        }
        let infos = |indices: &[usize]| {
            let values = indices.iter().map(|i| &self.values[*i]);
            values
                .map(|v| value_info(&v.name, v.data_type, &v.shape))
                .collect()
        };
        let inner: Vec<usize> = (0..self.values.len())
            .filter(|i| self.values[*i].origin == Origin::Node)
            .collect();
        let graph = GraphProto {
            input: infos(&self.inputs),
            output: infos(&self.outputs),
            value_info: infos(&inner),
            // One by one, so that the weights are not held twice.
            initializer: self
                .initializers
                .into_iter()
                .map(|(index, tensor)| tensor.to_proto(&self.values[index].name))
                .collect(),
            node: self.nodes,
            name: self.name,
            ..Default::default()
        };
        let property = |(key, value): &(String, String)| StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        };
        Model::new(ModelProto {
            ir_version: ir_version(self.opset),
            producer_name: info.producer.clone(),
            producer_version: info.producer_version.clone(),
            doc_string: info.description.clone(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: self.opset,
            }],
            metadata_props: info.properties.iter().map(property).collect(),
            ..Default::default()
        })
    }

    fn add_constant(&mut self, name: String, tensor: Tensor) -> Result<Value> {
        let shape = tensor.dims().iter().copied().map(Dim::Known).collect();
        let value = self.new_value(name, tensor.data_type(), shape, Origin::Constant)?;
        // Only shapes are followed this way, and no shape has more dimensions than this.
        const MOST: usize = 16;
        self.values[value.index].contents =
            tensor
                .as_i64()
                .filter(|v| v.len() <= MOST)
                .and_then(|values| {
                    let number = |v: &i64| usize::try_from(*v).ok().map(Dim::Known);
                    values.iter().map(number).collect()
                });
        self.initializers.push((value.index, tensor));
        Ok(value)
    }

    fn scoped(&self, name: &str) -> String {
        if self.scope.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.scope)
    }

    fn new_value(
        &mut self,
        name: String,
        data_type: DataType,
        shape: Vec<Dim>,
        origin: Origin,
    ) -> Result<Value> {
        legal(&name)?;
        if !self.names.insert(name.clone()) {
            return Err(Error::Name {
                name,
                reason: "the graph has a value of this name already",
            });
        }
        self.values.push(Info {
            name,
            data_type,
            shape,
            contents: None,
            origin,
            used: false,
        });
        Ok(Value {
            graph: self.id,
            index: self.values.len() - 1,
        })
    }

    fn info(&self, op: &'static str, position: usize, value: Value) -> Result<&Info> {
        if value.graph != self.id {
            return Err(Error::ForeignValue { op, position });
        }
        Ok(&self.values[value.index])
    }
}

/// The oldest file format that may carry the operator set, after ONNX's table of versions.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=18 => 8,
        19 | 20 => 9,
        _ => 10,
    }
}

/// Letters, digits and `_ . / : -`, beginning with a letter or `_`: what every reader takes and
/// what needs no quoting in a file name or a shell.
fn legal(name: &str) -> Result<()> {
    let reason = if name.is_empty() {
        "is empty"
    } else if name.len() > 512 {
        "is longer than 512 bytes"
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        "must begin with a letter or `_`"
    } else if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_./:-".contains(c))
    {
        "has characters other than letters, digits and `_ . / : -`"
    } else {
        return Ok(());
    };
    Err(Error::Name {
        name: name.chars().take(80).collect(),
        reason,
    })
}
