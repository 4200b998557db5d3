//! Dimensions and how shapes combine.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::messages::{
    DimensionProto, DimensionValue, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::tensor::DataType;

/// A dimension: a number, or the name of one that may vary from run to run.
///
/// Two dimensions of one name are the same number in any one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// A name.
    Symbol(Arc<str>),
}

impl Dim {
    /// The number, where it is one.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(n) => Some(*n),
            Dim::Symbol(_) => None,
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Dim::Known(n)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Dim::Symbol(name.into())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Symbol(name) => f.write_str(name),
        }
    }
}

/// `[batch, 3, 64, 64]`, for messages.
pub(super) fn show(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// The shape that two shapes broadcast to (numpy's rule). A name meets a number only where the
/// number is 1: that it could be that number in some run is not enough.
pub(super) fn broadcast(op: &'static str, a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(k) => shape[k].clone(),
        None => Dim::Known(1),
    };
    let combine = |i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Some(x),
        (Dim::Known(1), y) => Some(y),
        (x, Dim::Known(1)) => Some(x),
        _ => None,
    };
    (0..rank)
        .map(combine)
        .collect::<Option<_>>()
        .ok_or_else(|| Error::shape(op, format!("{} and {} do not broadcast", show(a), show(b))))
}

/// The product of the numbers, and the names in order.
pub(super) fn factors(op: &'static str, shape: &[Dim]) -> Result<(usize, Vec<Arc<str>>)> {
    let mut known = 1_usize;
    let mut names = Vec::new();
    for dim in shape {
        match dim {
            Dim::Known(n) => {
                known = known
                    .checked_mul(*n)
                    .ok_or_else(|| Error::shape(op, format!("{} is too large", show(shape))))?;
            }
            Dim::Symbol(name) => names.push(name.clone()),
        }
    }
    names.sort();
    Ok((known, names))
}

/// An axis counted from the front or, when negative, from the back.
pub(super) fn axis(op: &'static str, axis: isize, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + rank as isize } else { axis };
    if (0..rank as isize).contains(&from_front) {
        return Ok(from_front as usize);
    }
    Err(Error::attribute(
        op,
        format!("axis {axis} of a value of {rank} dimensions"),
    ))
}

pub(super) fn value_info(name: &str, data_type: DataType, shape: &[Dim]) -> ValueInfoProto {
    let dimension = |dim: &Dim| DimensionProto {
        value: Some(match dim {
            Dim::Known(n) => DimensionValue::DimValue(*n as i64),
            Dim::Symbol(name) => DimensionValue::DimParam(name.to_string()),
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: data_type.element_type() as i32,
                shape: Some(TensorShapeProto {
                    dim: shape.iter().map(dimension).collect(),
                }),
            }),
        }),
    }
}
