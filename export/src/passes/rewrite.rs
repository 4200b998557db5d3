//! A model taken apart, to be put together again in another way.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::error::Result;
use crate::graph::node::int;
use crate::messages::{
    AttributeProto, ElementType, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use crate::model::Model;
use crate::tensor::Tensor;

/// The parts of a graph, by name.
pub(super) struct Rewrite {
    model: ModelProto,
    constants: BTreeMap<String, TensorProto>,
    described: HashMap<String, ValueInfoProto>,
    names: HashSet<String>,
    nodes: Vec<NodeProto>,
}

impl Rewrite {
    /// Takes a model apart; its nodes are given back, to be pushed again or not.
    pub(super) fn new(model: Model) -> (Self, Vec<NodeProto>) {
        let mut model = model.into_proto();
        let mut graph = model.graph.take().unwrap_or_default();
        let nodes = std::mem::take(&mut graph.node);
        let constants = std::mem::take(&mut graph.initializer);
        let described = std::mem::take(&mut graph.value_info);
        let inner = nodes
            .iter()
            .flat_map(|n| [&n.name].into_iter().chain(&n.output));
        let outer = graph.input.iter().chain(&graph.output).map(|v| &v.name);
        let names = inner.chain(outer).chain(constants.iter().map(|c| &c.name));
        let names = names.cloned().collect();
        model.graph = Some(graph);
        let rewrite = Rewrite {
            model,
            constants: constants.into_iter().map(|c| (c.name.clone(), c)).collect(),
            described: described.into_iter().map(|v| (v.name.clone(), v)).collect(),
            names,
            nodes: Vec::with_capacity(nodes.len() * 2),
        };
        (rewrite, nodes)
    }

    /// The model of the nodes that were pushed. Constants that nothing reads and descriptions of
    /// values that nothing makes are left out.
    pub(super) fn finish(mut self) -> Result<Model> {
        let read: HashSet<&String> = self.nodes.iter().flat_map(|n| &n.input).collect();
        let made: HashSet<&String> = self.nodes.iter().flat_map(|n| &n.output).collect();
        self.constants.retain(|name, _| read.contains(name));
        self.described.retain(|name, _| made.contains(name));
        let mut described: Vec<_> = self.described.into_values().collect();
        described.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(graph) = &mut self.model.graph {
            graph.node = self.nodes;
            graph.initializer = self.constants.into_values().collect();
            graph.value_info = described;
        }
        Model::new(self.model)
    }

    /// Names of the graph's inputs with their element types.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (&str, i32)> {
        let graph = self.model.graph.iter();
        let inputs = graph.flat_map(|graph| &graph.input);
        inputs.filter_map(|v| Some((v.name.as_str(), element_type(v)?)))
    }

    /// Names of the graph's outputs.
    pub(super) fn outputs(&self) -> HashSet<String> {
        let graph = self.model.graph.iter();
        graph
            .flat_map(|graph| &graph.output)
            .map(|v| v.name.clone())
            .collect()
    }

    pub(super) fn constant(&self, name: &str) -> Option<&TensorProto> {
        self.constants.get(name)
    }

    /// Adds a constant under a name after `base`, and gives that name.
    pub(super) fn add_constant(&mut self, base: &str, tensor: &Tensor) -> String {
        let name = self.fresh(base);
        self.constants.insert(name.clone(), tensor.to_proto(&name));
        name
    }

    /// The element type that the file states for an inner value, a number of [`ElementType`].
    pub(super) fn type_of(&self, name: &str) -> Option<i32> {
        element_type(self.described.get(name)?)
    }

    /// States that a value has the shape of another and this element type.
    pub(super) fn describe_like(&mut self, name: &str, other: &str, to: ElementType) {
        let Some(mut info) = self.described.get(other).cloned() else {
            return;
        };
        name.clone_into(&mut info.name);
        if let Some(tensor) = info.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()) {
            tensor.elem_type = to as i32;
        }
        self.described.insert(name.to_owned(), info);
    }

    pub(super) fn push(&mut self, node: NodeProto) {
        self.nodes.push(node);
    }

    /// Adds a node with one output of this name.
    pub(super) fn push_op(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        self.push_many(op, inputs, &[output], attribute);
    }

    /// Adds a node with several outputs.
    pub(super) fn push_many(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let name = self.fresh(&format!("{}.{op}", outputs[0]));
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: outputs.iter().map(|name| (*name).to_owned()).collect(),
            name,
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
    }

    /// A name that nothing has yet: `base`, or `base` and a number.
    pub(super) fn fresh(&mut self, base: &str) -> String {
        let numbered = (1..).map(|i| format!("{base}_{i}"));
        let mut names = [base.to_owned()].into_iter().chain(numbered);
        let free = names.find(|name| !self.names.contains(name));
        let name = free.unwrap_or_else(|| base.to_owned());
        self.names.insert(name.clone());
        name
    }
}

/// `Cast`'s one attribute.
pub(super) fn cast_to(to: ElementType) -> Vec<AttributeProto> {
    vec![int("to", i64::from(to as i32))]
}

fn element_type(value: &ValueInfoProto) -> Option<i32> {
    let tensor = value.r#type.as_ref()?.tensor_type.as_ref()?;
    Some(tensor.elem_type)
}
