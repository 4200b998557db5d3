//! The crate's one error type.

use std::path::PathBuf;

use crate::tensor::DataType;

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a graph cannot be built, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is illegal or taken.
    #[error("name `{name}`: {reason}")]
    Name {
        /// The name, with its scope.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A value that another graph made.
    #[error("{op}: input {position} is a value of another graph")]
    ForeignValue {
        /// The operator that was given it.
        op: &'static str,
        /// Which of its inputs, counted from 0.
        position: usize,
    },

    /// An input of an element type that the operator does not take.
    #[error("{op}: `{value}` is {actual}, expected {expected}")]
    Type {
        /// The operator.
        op: &'static str,
        /// The input's name.
        value: String,
        /// Types that would do.
        expected: String,
        /// The type that it has.
        actual: DataType,
    },

    /// Shapes that do not fit the operator or each other.
    #[error("{op}: {reason}")]
    Shape {
        /// The operator.
        op: &'static str,
        /// What does not fit, with the shapes.
        reason: String,
    },

    /// A setting of an operator that is impossible.
    #[error("{op}: {reason}")]
    Attribute {
        /// The operator.
        op: &'static str,
        /// What is impossible.
        reason: String,
    },

    /// An operator that the graph's version of the operator set does not have.
    #[error("{op} needs opset {needs}, the graph has {has}")]
    Opset {
        /// The operator, or `graph` for a version that is not written at all.
        op: &'static str,
        /// First version that has it.
        needs: i64,
        /// The graph's version.
        has: i64,
    },

    /// Data that do not fit the tensor's shape.
    #[error("tensor of shape {dims:?}: {reason}")]
    Tensor {
        /// The shape.
        dims: Vec<usize>,
        /// What does not fit.
        reason: String,
    },

    /// A graph that is not complete, or a file that breaks a rule of the format.
    #[error("{place}: {reason}")]
    Invalid {
        /// The node, value or field concerned.
        place: String,
        /// The rule that it breaks.
        reason: String,
    },

    /// More bytes than one file may have; write it with a side file.
    #[error("the model has {bytes} bytes, one file holds at most {limit}")]
    TooLarge {
        /// Size of the whole model.
        bytes: u64,
        /// The limit.
        limit: u64,
    },

    /// Bytes that are no ONNX model.
    #[error("not an ONNX model")]
    Decode {
        /// Where decoding failed.
        #[source]
        source: prost::DecodeError,
    },

    /// Writing a file failed.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn shape(op: &'static str, reason: impl Into<String>) -> Self {
        Error::Shape {
            op,
            reason: reason.into(),
        }
    }

    pub(crate) fn attribute(op: &'static str, reason: impl Into<String>) -> Self {
        Error::Attribute {
            op,
            reason: reason.into(),
        }
    }

    pub(crate) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Invalid {
            place: place.into(),
            reason: reason.into(),
        }
    }
}
