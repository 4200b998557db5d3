//! Adding nodes: what all operators share.

use super::shape::show;
use super::{Dim, Graph, Origin, Value};
use crate::error::{Error, Result};
use crate::messages::{AttributeProto, AttributeType, NodeProto};
use crate::tensor::DataType;

/// Type and shape of what an operator makes.
pub(super) type Made = (DataType, Vec<Dim>);

impl Graph {
    /// Adds a node with one output.
    pub(super) fn node(
        &mut self,
        op: &'static str,
        inputs: &[Value],
        attributes: Vec<AttributeProto>,
        made: Made,
    ) -> Result<Value> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        let name = self.next_name(op);
        let output = self.new_value(name, made.0, made.1, Origin::Node)?;
        self.push_node(op, &inputs, attributes, &[output])?;
        Ok(output)
    }

    /// Adds a node with several outputs.
    pub(super) fn node_of_many(
        &mut self,
        op: &'static str,
        inputs: &[Value],
        attributes: Vec<AttributeProto>,
        made: Vec<Made>,
    ) -> Result<Vec<Value>> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        let name = self.next_name(op);
        let outputs = made
            .into_iter()
            .enumerate()
            .map(|(i, (data_type, shape))| {
                self.new_value(format!("{name}.{i}"), data_type, shape, Origin::Node)
            })
            .collect::<Result<Vec<_>>>()?;
        self.push_node(op, &inputs, attributes, &outputs)?;
        Ok(outputs)
    }

    pub(super) fn push_node(
        &mut self,
        op: &'static str,
        inputs: &[Option<Value>],
        attribute: Vec<AttributeProto>,
        outputs: &[Value],
    ) -> Result<()> {
        let mut input = Vec::with_capacity(inputs.len());
        for (position, value) in inputs.iter().enumerate() {
            let Some(value) = value else {
                input.push(String::new());
                continue;
            };
            input.push(self.info(op, position, *value)?.name.clone());
            self.values[value.index].used = true;
        }
        let name = self.next_name(op);
        self.nodes.push(NodeProto {
            input,
            output: outputs
                .iter()
                .map(|v| self.values[v.index].name.clone())
                .collect(),
            name,
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
        Ok(())
    }

    fn next_name(&self, op: &str) -> String {
        self.scoped(&format!("{op}_{}", self.nodes.len()))
    }

    /// Refuses an operator, or a form of it, that came into the operator set later.
    pub(super) fn needs(&self, op: &'static str, opset: i64) -> Result<()> {
        if self.opset >= opset {
            return Ok(());
        }
        Err(Error::Opset {
            op,
            needs: opset,
            has: self.opset,
        })
    }

    /// The shape of an operator's input, of which the type is one of `types`.
    pub(super) fn take(
        &self,
        op: &'static str,
        position: usize,
        value: Value,
        types: &[DataType],
    ) -> Result<(DataType, Vec<Dim>)> {
        let info = self.info(op, position, value)?;
        if types.contains(&info.data_type) {
            return Ok((info.data_type, info.shape.clone()));
        }
        let expected: Vec<String> = types.iter().map(DataType::to_string).collect();
        Err(Error::Type {
            op,
            value: info.name.clone(),
            expected: expected.join(" or "),
            actual: info.data_type,
        })
    }

    /// The known elements of a small integer value that stands for a shape.
    pub(super) fn contents(
        &self,
        op: &'static str,
        position: usize,
        value: Value,
    ) -> Result<Vec<Dim>> {
        let info = self.info(op, position, value)?;
        info.contents.clone().ok_or_else(|| {
            Error::shape(
                op,
                format!(
                    "`{}` {} is not known to be made of dimensions",
                    info.name,
                    show(&info.shape)
                ),
            )
        })
    }

    pub(super) fn set_contents(&mut self, value: Value, contents: Vec<Dim>) {
        self.values[value.index].contents = Some(contents);
    }
}

pub(super) const FLOATS: &[DataType] = &[DataType::F32, DataType::F16];
pub(super) const NUMBERS: &[DataType] =
    &[DataType::F32, DataType::F16, DataType::I64, DataType::I32];
pub(super) const INTEGERS: &[DataType] = &[DataType::I64, DataType::I32];
pub(super) const I64: &[DataType] = &[DataType::I64];
pub(super) const BOOL: &[DataType] = &[DataType::Bool];
pub(super) const ANY: &[DataType] = &[
    DataType::F32,
    DataType::F16,
    DataType::I64,
    DataType::I32,
    DataType::U8,
    DataType::I8,
    DataType::Bool,
];

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        i: Some(value),
        r#type: AttributeType::Int as i32,
        ..Default::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        f: Some(value),
        r#type: AttributeType::Float as i32,
        ..Default::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        s: Some(value.as_bytes().to_vec()),
        r#type: AttributeType::String as i32,
        ..Default::default()
    }
}

pub(crate) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        ints: values.into_iter().map(|v| v as i64).collect(),
        r#type: AttributeType::Ints as i32,
        ..Default::default()
    }
}
