//! Structural checks of a model, whoever wrote it.
//!
//! [`read`] is for files of unknown origin: it bounds what decoding may allocate before it
//! decodes. [`check`] then sees to it that names are unique, that nodes are in topological order,
//! that every tensor has as many bytes as its shape says, and that nothing reaches out of the
//! model's folder. What the operators mean is not checked here; an engine does that.

use std::collections::HashSet;

use prost::Message;

use crate::error::{Error, Result};
use crate::messages::{
    AttributeProto, AttributeType, DimensionValue, ElementType, GraphProto, IN_SIDE_FILE,
    ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use crate::model::is_plain_file_name;

mod wire;

/// Names of ONNX's own operator set.
const OWN_DOMAINS: [&str; 2] = ["", "ai.onnx"];

/// What [`read`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the file.
    pub bytes: u64,
    /// Most messages and texts in it (nodes, attributes, values, dimensions), which bounds the
    /// memory that decoding needs beyond the file's own size.
    pub parts: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: crate::model::INLINE_LIMIT,
            parts: 2_000_000,
        }
    }
}

/// Decodes a model and looks it over.
///
/// # Errors
/// [`Error::TooLarge`] and [`Error::Invalid`] for a file over the limits, [`Error::Decode`] for
/// bytes that are no model, and those of [`check`].
pub fn read(bytes: &[u8], limits: &Limits) -> Result<ModelProto> {
    if bytes.len() as u64 > limits.bytes {
        return Err(Error::TooLarge {
            bytes: bytes.len() as u64,
            limit: limits.bytes,
        });
    }
    wire::count_parts(bytes, limits.parts)?;
    let model = ModelProto::decode(bytes).map_err(|source| Error::Decode { source })?;
    check(&model)?;
    Ok(model)
}

/// Looks a model over.
///
/// # Errors
/// [`Error::Invalid`] names the first node, value or field that breaks a rule.
pub fn check(model: &ModelProto) -> Result<()> {
    let fault = |place: &str, reason: &str| Err(Error::invalid(place, reason));
    if !(3..=13).contains(&model.ir_version) {
        return fault("ir_version", "is not from 3 to 13");
    }
    let own = |domain: &str| OWN_DOMAINS.contains(&domain);
    let mut imported = HashSet::new();
    for set in &model.opset_import {
        let domain = if own(&set.domain) { "" } else { &set.domain };
        if !imported.insert(domain) {
            return fault("opset_import", "names an operator set twice");
        }
    }
    if !imported.contains("") {
        return fault("opset_import", "lacks ONNX's own operator set");
    }
    if !model.functions.is_empty() {
        return fault("functions", "a model with functions of its own");
    }
    let mut keys = HashSet::new();
    for property in &model.metadata_props {
        if property.key.is_empty() || !keys.insert(property.key.as_str()) {
            return fault("metadata_props", "an empty or repeated key");
        }
    }
    match &model.graph {
        Some(graph) => check_graph(graph, &imported),
        None => fault("graph", "is missing"),
    }
}

fn check_graph(graph: &GraphProto, imported: &HashSet<&str>) -> Result<()> {
    let fault = |place: &str, reason: &str| Err(Error::invalid(place, reason));
    if graph.name.is_empty() {
        return fault("graph.name", "is empty");
    }
    if graph.output.is_empty() {
        return fault("graph.output", "is empty");
    }
    if !graph.sparse_initializer.is_empty() {
        return fault("graph.sparse_initializer", "sparse constants");
    }
    let mut known: HashSet<&str> = HashSet::new();
    for input in &graph.input {
        check_value(input)?;
        if !known.insert(&input.name) {
            return fault(&input.name, "two inputs of one name");
        }
    }
    for tensor in &graph.initializer {
        check_tensor(tensor, &tensor.name)?;
        if tensor.name.is_empty() {
            return fault("graph.initializer", "a constant without a name");
        }
        if !known.insert(&tensor.name) {
            return fault(&tensor.name, "a constant and another value of one name");
        }
    }
    let mut names = HashSet::new();
    for (position, node) in graph.node.iter().enumerate() {
        let place = match node.name.as_str() {
            "" => format!("node {position} ({})", node.op_type),
            name => format!("node {name}"),
        };
        check_node(node, &place, imported)?;
        if !node.name.is_empty() && !names.insert(node.name.as_str()) {
            return fault(&place, "two nodes of one name");
        }
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            if !known.contains(input.as_str()) {
                let reason = format!("reads `{input}`, which nothing before it makes");
                return Err(Error::invalid(place, reason));
            }
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(output) {
                let reason = format!("makes `{output}` a second time");
                return Err(Error::invalid(place, reason));
            }
        }
    }
    let mut outputs = HashSet::new();
    for output in &graph.output {
        check_value(output)?;
        if !outputs.insert(output.name.as_str()) {
            return fault(&output.name, "two outputs of one name");
        }
        if !known.contains(output.name.as_str()) {
            return fault(&output.name, "an output that nothing makes");
        }
    }
    let mut described = HashSet::new();
    for value in &graph.value_info {
        check_value(value)?;
        if !described.insert(value.name.as_str()) {
            return fault(&value.name, "is described twice");
        }
    }
    Ok(())
}

fn check_node(node: &NodeProto, place: &str, imported: &HashSet<&str>) -> Result<()> {
    let fault = |reason: String| Err(Error::invalid(place, reason));
    if node.op_type.is_empty() {
        return fault("has no operator".into());
    }
    let domain = match node.domain.as_str() {
        own if OWN_DOMAINS.contains(&own) => "",
        other => other,
    };
    if !imported.contains(domain) {
        return fault(format!(
            "is of operator set `{domain}`, which is not imported"
        ));
    }
    if node.output.iter().all(String::is_empty) {
        return fault("makes nothing".into());
    }
    let mut names = HashSet::new();
    for attribute in &node.attribute {
        if attribute.name.is_empty() || !names.insert(attribute.name.as_str()) {
            return fault("has an unnamed or repeated attribute".into());
        }
        if !is_filled(attribute) {
            return fault(format!(
                "attribute `{}` does not hold what its type says",
                attribute.name
            ));
        }
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
            return fault(format!("attribute `{}` holds a graph", attribute.name));
        }
        if let Some(tensor) = &attribute.t {
            check_tensor(tensor, place)?;
        }
    }
    Ok(())
}

fn is_filled(attribute: &AttributeProto) -> bool {
    match AttributeType::try_from(attribute.r#type) {
        Ok(AttributeType::Float) => attribute.f.is_some(),
        Ok(AttributeType::Int) => attribute.i.is_some(),
        Ok(AttributeType::String) => attribute.s.is_some(),
        Ok(AttributeType::Tensor) => attribute.t.is_some(),
        Ok(AttributeType::Graph) => attribute.g.is_some(),
        // A list may be empty.
        Ok(AttributeType::Floats | AttributeType::Ints | AttributeType::Strings) => true,
        Ok(AttributeType::Undefined) | Err(_) => false,
    }
}

fn check_value(value: &ValueInfoProto) -> Result<()> {
    let fault = |reason: &str| Err(Error::invalid(&value.name, reason));
    if value.name.is_empty() {
        return Err(Error::invalid("graph", "a value without a name"));
    }
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let Some(tensor) = tensor else {
        return fault("is not stated to be a tensor");
    };
    match ElementType::try_from(tensor.elem_type) {
        Ok(ElementType::Undefined) | Err(_) => return fault("has an unknown element type"),
        Ok(_) => {}
    }
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    for dim in dims {
        if matches!(dim.value, Some(DimensionValue::DimValue(n)) if n < 0) {
            return fault("has a dimension below 0");
        }
    }
    Ok(())
}

fn check_tensor(tensor: &TensorProto, place: &str) -> Result<()> {
    let fault = |reason: String| Err(Error::invalid(place, reason));
    let elements = tensor.dims.iter().try_fold(1_u64, |product, dim| {
        product.checked_mul(u64::try_from(*dim).ok()?)
    });
    let element_type = ElementType::try_from(tensor.data_type).ok();
    let size = element_type.and_then(size_of);
    let (Some(elements), Some(size)) = (elements, size) else {
        return fault(format!(
            "a constant of shape {:?} and element type {} is not supported",
            tensor.dims, tensor.data_type
        ));
    };
    let Some(bytes) = elements.checked_mul(size) else {
        return fault(format!(
            "a constant of shape {:?} is too large",
            tensor.dims
        ));
    };
    if tensor.data_location == Some(IN_SIDE_FILE) {
        return check_external(tensor, place, bytes);
    }
    let (stored, expected) = match (&tensor.raw_data, element_type) {
        (Some(raw), _) => (raw.len() as u64, bytes),
        (None, Some(ElementType::Float)) => (tensor.float_data.len() as u64, elements),
        (None, Some(ElementType::Double)) => (tensor.double_data.len() as u64, elements),
        (None, Some(ElementType::Int64)) => (tensor.int64_data.len() as u64, elements),
        (None, Some(ElementType::Uint32 | ElementType::Uint64)) => {
            (tensor.uint64_data.len() as u64, elements)
        }
        (None, _) => (tensor.int32_data.len() as u64, elements),
    };
    if stored != expected {
        return fault(format!(
            "a constant of shape {:?} with {stored} bytes or elements, expected {expected}",
            tensor.dims
        ));
    }
    Ok(())
}

/// Bytes of an element; none for texts and for types that are not known.
fn size_of(element_type: ElementType) -> Option<u64> {
    match element_type {
        ElementType::Undefined | ElementType::String => None,
        ElementType::Uint8 | ElementType::Int8 | ElementType::Bool => Some(1),
        ElementType::Uint16 | ElementType::Int16 | ElementType::Float16 | ElementType::Bfloat16 => {
            Some(2)
        }
        ElementType::Float | ElementType::Int32 | ElementType::Uint32 => Some(4),
        ElementType::Int64 | ElementType::Double | ElementType::Uint64 => Some(8),
    }
}

fn check_external(tensor: &TensorProto, place: &str, bytes: u64) -> Result<()> {
    let fault = |reason: &str| Err(Error::invalid(place, reason));
    let entry = |key: &str| {
        let mut entries = tensor.external_data.iter().filter(|e| e.key == key);
        entries.next().map(|e| e.value.as_str())
    };
    if !entry("location").is_some_and(is_plain_file_name) {
        return fault("its side file is not a plain file name");
    }
    let number = |key: &str| entry(key).map(|text| text.parse::<u64>().ok());
    if number("offset") == Some(None) {
        return fault("the offset into its side file is no number");
    }
    match number("length") {
        None => Ok(()),
        Some(length) if length == Some(bytes) => Ok(()),
        Some(_) => fault("the length in its side file is not that of its shape"),
    }
}
