//! Operators, constants and side files.

use std::collections::BTreeMap;

use super::{Constants, MOST_RANK, element, operator_name};
use crate::error::{Error, Result};
use crate::messages::{GraphProto, IN_SIDE_FILE, TensorProto};
use crate::model::is_plain_file_name;

/// Sums over a graph and the graphs inside it.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) operators: BTreeMap<String, u64>,
    pub(super) constants: BTreeMap<String, Constants>,
    pub(super) parameters: u64,
    pub(super) side_files: BTreeMap<String, u64>,
    pub(super) sparse: usize,
}

impl Counts {
    /// # Errors
    /// As [`super::Summary::of`].
    pub(super) fn graph(&mut self, graph: &GraphProto) -> Result<()> {
        self.sparse += graph.sparse_initializer.len();
        for tensor in &graph.initializer {
            self.tensor(tensor, &tensor.name)?;
        }
        for node in &graph.node {
            *self.operators.entry(operator_name(node)).or_default() += 1;
            for attribute in &node.attribute {
                if let Some(tensor) = &attribute.t {
                    self.tensor(tensor, &node.name)?;
                }
                for inner in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
                    self.graph(inner)?;
                }
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &TensorProto, name: &str) -> Result<()> {
        let impossible = || {
            let name: String = name.chars().take(80).collect();
            Error::invalid(
                format!("constant `{name}`"),
                format!("cannot have the shape {:?}", some(&tensor.dims)),
            )
        };
        let elements = tensor.dims.iter().try_fold(1_u64, |product, dim| {
            product.checked_mul(u64::try_from(*dim).ok()?)
        });
        let elements = elements.ok_or_else(impossible)?;
        let bits = u64::from(element::bits(tensor.data_type).unwrap_or(0));
        let bytes = elements
            .checked_mul(bits)
            .ok_or_else(impossible)?
            .div_ceil(8);
        let sums = self
            .constants
            .entry(element::name(tensor.data_type))
            .or_default();
        sums.tensors += 1;
        sums.elements = sums.elements.checked_add(elements).ok_or_else(impossible)?;
        sums.bytes = sums.bytes.checked_add(bytes).ok_or_else(impossible)?;
        if element::is_weight(tensor.data_type) {
            self.parameters = self
                .parameters
                .checked_add(elements)
                .ok_or_else(impossible)?;
        }
        if tensor.data_location == Some(IN_SIDE_FILE) {
            self.side_file(tensor, bytes)?;
        }
        Ok(())
    }

    fn side_file(&mut self, tensor: &TensorProto, bytes: u64) -> Result<()> {
        let fault = |reason: &str| {
            let name: String = tensor.name.chars().take(80).collect();
            Err(Error::invalid(format!("constant `{name}`"), reason))
        };
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter().filter(|e| e.key == key);
            entries.next().map(|e| e.value.as_str())
        };
        let Some(location) = entry("location").filter(|name| is_plain_file_name(name)) else {
            return fault("lies in a file that is not named plainly, beside the model");
        };
        let number = |key: &str, default: u64| entry(key).map_or(Some(default), |t| t.parse().ok());
        let (Some(offset), Some(length)) = (number("offset", 0), number("length", bytes)) else {
            return fault("has a place in its side file that is no number");
        };
        let Some(end) = offset.checked_add(length).filter(|_| length == bytes) else {
            return fault("has a length in its side file that is not that of its shape");
        };
        let file = self.side_files.entry(location.to_owned()).or_default();
        *file = end.max(*file);
        Ok(())
    }
}

/// The first dimensions of a shape that may be hostile.
fn some(dims: &[i64]) -> &[i64] {
    &dims[..dims.len().min(MOST_RANK)]
}
