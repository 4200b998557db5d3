//! Reads of an ONNX file what must be known before an engine sees it: its inputs and outputs, and
//! that it is safe to hand over.
//!
//! The files are protobuf messages (`onnx.proto3`); this reads the few fields that matter, in place,
//! and refuses what could hurt the process that loads a graph from an unknown source: messages
//! nested so deep that a recursive reader runs out of stack, tensors that claim more elements than
//! the file has bytes, and weights outside the file, which a runtime would look for in the working
//! directory.

use super::port::{Dimension, Element, Port};
use crate::error::{Error, Result};

/// Graphs inside graphs (branches and loops) that are followed. Our own graphs have none.
const MOST_NESTED_GRAPHS: usize = 4;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 16;
/// Most inputs or outputs.
const MOST_PORTS: usize = 64;
/// Longest dimension of an input or output that is believed.
const LONGEST_DIMENSION: i64 = 1 << 31;
/// Most elements that a constant shape may ask for.
const MOST_CONSTANT_ELEMENTS: u64 = 1 << 28;

/// What a file says of its graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

type Scan<T> = std::result::Result<T, String>;

impl Graph {
    /// Reads and checks `bytes`; `name` is for messages.
    pub(super) fn read(bytes: &[u8], name: &str) -> Result<Graph> {
        model(bytes).map_err(|reason| Error::Graph {
            graph: name.to_owned(),
            reason,
        })
    }
}

fn model(bytes: &[u8]) -> Scan<Graph> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let (mut graph, mut opset) = (None, false);
    for field in Fields(bytes) {
        match field? {
            (7, Wire::Bytes(body)) if graph.is_none() => graph = Some(main_graph(body)?),
            (7, _) => return Err("more than one main graph".into()),
            (8, Wire::Bytes(_)) => opset = true,
            (20, _) => return Err("it has training information".into()),
            (25, _) => return Err("it has local functions, which are not supported".into()),
            _ => {}
        }
    }
    match graph {
        Some(_) if !opset => Err("it names no operator set".into()),
        Some(graph) => Ok(graph),
        None => Err("it has no graph; is this an ONNX file?".into()),
    }
}

fn main_graph(body: &[u8]) -> Scan<Graph> {
    let parts = graph(body, MOST_NESTED_GRAPHS)?;
    // Before version 4 of the format, weights were listed among the inputs as well.
    let inputs = parts
        .inputs
        .iter()
        .filter(|(name, _)| !parts.tensors.contains(name));
    let inputs = inputs.map(|(name, body)| port("input", name, body));
    let inputs = inputs.collect::<Scan<Vec<Port>>>()?;
    let outputs = parts.outputs.iter();
    let outputs = outputs.map(|(name, body)| port("output", name, body));
    let outputs = outputs.collect::<Scan<Vec<Port>>>()?;
    for (kind, ports) in [("input", &inputs), ("output", &outputs)] {
        if ports.is_empty() || ports.len() > MOST_PORTS {
            return Err(format!("it has {} {kind}s", ports.len()));
        }
        for (i, port) in ports.iter().enumerate() {
            if ports[..i].iter().any(|other| other.name == port.name) {
                return Err(format!("two {kind}s are called `{}`", port.name));
            }
        }
    }
    if let Some(port) = outputs.iter().find(|p| p.element != Element::F32) {
        return Err(format!("output `{}` is {port}, not f32", port.name));
    }
    Ok(Graph { inputs, outputs })
}

#[derive(Default)]
struct Parts<'a> {
    /// Names of the weights.
    tensors: Vec<&'a str>,
    /// Names and types.
    inputs: Vec<(&'a str, &'a [u8])>,
    outputs: Vec<(&'a str, &'a [u8])>,
}

fn graph(body: &[u8], deeper: usize) -> Scan<Parts<'_>> {
    let mut parts = Parts::default();
    let mut shapes: Vec<(&str, u64)> = Vec::new();
    let mut nodes = Vec::new();
    for field in Fields(body) {
        match field? {
            (1, Wire::Bytes(body)) => nodes.push(body),
            (5, Wire::Bytes(body)) => {
                let tensor = tensor(body)?;
                parts.tensors.push(tensor.name);
                shapes.extend(tensor.as_shape.map(|elements| (tensor.name, elements)));
            }
            (15, _) => return Err("it has sparse weights, which are not supported".into()),
            (11, Wire::Bytes(body)) => parts.inputs.push(value_info(body)?),
            (12, Wire::Bytes(body)) => parts.outputs.push(value_info(body)?),
            _ => {}
        }
    }
    for body in nodes {
        node(body, deeper, &mut shapes)?;
    }
    Ok(parts)
}

/// Checks a node and the tensors and graphs in its attributes. `shapes` are the constants known
/// so far that could be a shape, with the number of elements that they would ask for.
fn node<'a>(body: &'a [u8], deeper: usize, shapes: &mut Vec<(&'a str, u64)>) -> Scan<()> {
    let (mut inputs, mut output, mut operator) = (Vec::new(), "", "");
    let mut constant = None;
    for field in Fields(body) {
        match field? {
            (1, Wire::Bytes(name)) => inputs.push(text(name)?),
            (2, Wire::Bytes(name)) if output.is_empty() => output = text(name)?,
            (4, Wire::Bytes(name)) => operator = text(name)?,
            (5, Wire::Bytes(body)) => constant = attribute(body, deeper)?.or(constant),
            _ => {}
        }
    }
    // A runtime may work out what depends on constants alone while it loads the graph, so that
    // a few bytes could ask for more memory than there is.
    let shape_input = match operator {
        "Constant" => {
            shapes.extend(constant.map(|elements| (output, elements)));
            None
        }
        "ConstantOfShape" => inputs.first(),
        "Expand" | "Tile" => inputs.get(1),
        _ => None,
    };
    let asked = shape_input.and_then(|name| shapes.iter().find(|(n, _)| n == name));
    match asked {
        Some((_, elements)) if *elements > MOST_CONSTANT_ELEMENTS => Err(format!(
            "a node `{operator}` asks for {elements} elements, over the limit of \
             {MOST_CONSTANT_ELEMENTS}"
        )),
        _ => Ok(()),
    }
}

/// Checks an attribute; gives the elements that its tensor would ask for as a shape.
fn attribute(body: &[u8], deeper: usize) -> Scan<Option<u64>> {
    let mut shape = None;
    for field in Fields(body) {
        match field? {
            (5 | 10, Wire::Bytes(body)) => shape = tensor(body)?.as_shape.or(shape),
            (6 | 11, Wire::Bytes(body)) => match deeper {
                0 => return Err(format!("graphs are nested over {MOST_NESTED_GRAPHS} deep")),
                deeper => {
                    graph(body, deeper - 1)?;
                }
            },
            (14 | 15 | 22 | 23, _) => {
                return Err("an attribute has types or sparse tensors".into());
            }
            _ => {}
        }
    }
    Ok(shape)
}

struct Tensor<'a> {
    name: &'a str,
    /// Elements of a tensor of this shape, were these integers a shape.
    as_shape: Option<u64>,
}

fn tensor(body: &[u8]) -> Scan<Tensor<'_>> {
    let (mut name, mut data_type, mut dims) = ("", 0, Vec::new());
    let (mut raw, mut typed, mut integers) = (None, 0_u64, Vec::new());
    for field in Fields(body) {
        match field? {
            (1, wire) => wire.integers(&mut dims)?,
            (2, Wire::Varint(value)) => data_type = value,
            (7, wire) => {
                typed += wire.length();
                wire.integers(&mut integers)?;
            }
            // Strings count with their two bytes of framing, so that empty ones count as well.
            (6, wire) => typed += wire.length() + 2,
            (4 | 5 | 10 | 11, wire) => typed += wire.length(),
            (8, Wire::Bytes(value)) => name = text(value)?,
            (9, Wire::Bytes(value)) => raw = Some(value),
            (13, _) => {
                return Err(format!(
                    "weight `{name}` lies in another file; it must be inside"
                ));
            }
            (14, Wire::Varint(value)) if value != 0 => {
                return Err(format!(
                    "weight `{name}` lies in another file; it must be inside"
                ));
            }
            _ => {}
        }
        if dims.len() > MOST_DIMENSIONS {
            return Err(format!(
                "weight `{name}` has over {MOST_DIMENSIONS} dimensions"
            ));
        }
    }
    let impossible = || format!("weight `{name}` cannot have the shape {dims:?}");
    let elements = elements(&dims).ok_or_else(impossible)?;
    match (raw, bits(data_type)) {
        (Some(raw), Some(bits)) => {
            let expected = (u128::from(elements) * bits).div_ceil(8);
            if raw.len() as u128 != expected {
                return Err(format!(
                    "weight `{name}` of shape {dims:?} has {} bytes, expected {expected}",
                    raw.len()
                ));
            }
        }
        (Some(_), None) => return Err(format!("weight `{name}` has element type {data_type}")),
        // At least one byte for each element, in any of the encodings.
        (None, _) if elements > typed => {
            return Err(format!(
                "weight `{name}` of shape {dims:?} has {typed} bytes"
            ));
        }
        (None, _) => {}
    }
    const I64: u64 = 7;
    let as_shape = (data_type == I64 && dims.len() <= 1 && elements <= MOST_DIMENSIONS as u64)
        .then(|| {
            let (words, _) = raw.unwrap_or_default().as_chunks();
            integers.extend(words.iter().map(|word| i64::from_le_bytes(*word)));
            // Entries of -1 and 0 stand for sizes that are known elsewhere.
            let sizes = integers.iter().map(|size| (*size).max(1) as u64);
            sizes.fold(1, u64::saturating_mul)
        });
    Ok(Tensor { name, as_shape })
}

fn elements(dims: &[i64]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |product, dim| {
        product.checked_mul(u64::try_from(*dim).ok()?)
    })
}

/// Bits of an element of `TensorProto.DataType`; none for strings and what is not known.
fn bits(data_type: u64) -> Option<u128> {
    match data_type {
        2 | 3 | 9 | 17..=20 | 24 => Some(8),
        4 | 5 | 10 | 16 => Some(16),
        1 | 6 | 12 => Some(32),
        7 | 11 | 13 | 14 => Some(64),
        15 => Some(128),
        21..=23 => Some(4),
        _ => None,
    }
}

fn value_info(body: &[u8]) -> Scan<(&str, &[u8])> {
    let (mut name, mut kind) = ("", &[][..]);
    for field in Fields(body) {
        match field? {
            (1, Wire::Bytes(value)) => name = text(value)?,
            (2, Wire::Bytes(body)) => kind = body,
            _ => {}
        }
    }
    match name {
        "" => Err("an input or output has no name".into()),
        name => Ok((name, kind)),
    }
}

fn port(kind: &str, name: &str, body: &[u8]) -> Scan<Port> {
    let unfit = |what: &str| format!("{kind} `{name}` {what}");
    let mut tensor = None;
    for field in Fields(body) {
        if let (1, Wire::Bytes(body)) = field? {
            tensor = Some(body);
        }
    }
    let (mut element, mut shape) = (0, None);
    for field in Fields(tensor.ok_or_else(|| unfit("is no tensor"))?) {
        match field? {
            (1, Wire::Varint(value)) => element = value,
            (2, Wire::Bytes(body)) => shape = Some(body),
            _ => {}
        }
    }
    let element = match element {
        1 => Element::F32,
        2 => Element::U8,
        7 => Element::I64,
        9 => Element::Bool,
        other => return Err(unfit(&format!("has the unsupported element type {other}"))),
    };
    let mut dimensions = Vec::new();
    for field in Fields(shape.ok_or_else(|| unfit("declares no shape"))?) {
        if let (1, Wire::Bytes(body)) = field? {
            let unnamed = format!("{name}.{}", dimensions.len());
            let dimension = dimension(body, unnamed);
            dimensions.push(dimension.map_err(|reason| unfit(&reason))?);
        }
        if dimensions.len() > MOST_DIMENSIONS {
            return Err(unfit("has too many dimensions"));
        }
    }
    Ok(Port {
        name: name.to_owned(),
        element,
        shape: dimensions,
    })
}

fn dimension(body: &[u8], unnamed: String) -> Scan<Dimension> {
    let mut dimension = Dimension::Named(unnamed);
    for field in Fields(body) {
        match field? {
            (1, Wire::Varint(value)) => {
                let size = value as i64;
                if !(0..=LONGEST_DIMENSION).contains(&size) {
                    return Err(format!("has a dimension of {size}"));
                }
                dimension = Dimension::Fixed(size as usize);
            }
            (2, Wire::Bytes(value)) if !value.is_empty() => {
                dimension = Dimension::Named(text(value)?.to_owned());
            }
            _ => {}
        }
    }
    Ok(dimension)
}

fn text(bytes: &[u8]) -> Scan<&str> {
    std::str::from_utf8(bytes).map_err(|_| "a name is not UTF-8".into())
}

/// A field of a protobuf message.
enum Wire<'a> {
    Varint(u64),
    Fixed(usize),
    Bytes(&'a [u8]),
}

impl Wire<'_> {
    /// Bytes of the value.
    fn length(&self) -> u64 {
        match self {
            Wire::Varint(_) => 1,
            Wire::Fixed(length) => *length as u64,
            Wire::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// A repeated integer, packed or not; stops when no shape could have so many.
    fn integers(&self, into: &mut Vec<i64>) -> Scan<()> {
        match self {
            Wire::Varint(value) => into.push(*value as i64),
            Wire::Fixed(_) => return Err("an integer has the wrong encoding".into()),
            Wire::Bytes(bytes) => {
                let mut rest = *bytes;
                while !rest.is_empty() && into.len() <= MOST_DIMENSIONS {
                    into.push(varint(&mut rest)? as i64);
                }
            }
        }
        into.truncate(MOST_DIMENSIONS + 1);
        Ok(())
    }
}

/// The fields of a message, in the order of the file.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Scan<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Scan<(u64, Wire<'a>)> {
        let key = varint(&mut self.0)?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed(self.take(8)?.len()),
            2 => {
                let length = varint(&mut self.0)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(self.take(4)?.len()),
            _ => return Err("it is damaged, or no ONNX file".into()),
        };
        match key >> 3 {
            0 => Err("it is damaged, or no ONNX file".into()),
            number => Ok((number, wire)),
        }
    }

    fn take(&mut self, length: u64) -> Scan<&'a [u8]> {
        let length = usize::try_from(length).ok().filter(|l| *l <= self.0.len());
        let (taken, rest) = self
            .0
            .split_at(length.ok_or("it is cut off or damaged, or no ONNX file")?);
        self.0 = rest;
        Ok(taken)
    }
}

fn varint(bytes: &mut &[u8]) -> Scan<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((first, rest)) = bytes.split_first() else {
            return Err("it is cut off or damaged, or no ONNX file".into());
        };
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("it is damaged, or no ONNX file".into())
}
