//! A typed ONNX graph builder.
//!
//! [`Graph`] builds a graph one operator at a time. Every value carries its element type and
//! shape (numbers and named dynamic dimensions), and every operator checks its inputs and infers
//! its outputs, so that a mistake is an [`Error`] where it is made and not in some engine later.
//! [`layers`] has the layers of Transformers and residual networks, [`Model`] writes the file
//! (with a side file of weights above 2 GiB), and [`check`] looks over files of unknown origin.
//!
//! The semantics of the operators are those of the
//! [ONNX operator reference](https://onnx.ai/onnx/operators/). The messages are written by hand
//! for prost: no protoc is needed, at build time or ever.
//!
//! ```
//! use satmip_export::{DataType, Dim, Graph, ModelInfo, Tensor, layers::Linear};
//!
//! # fn main() -> Result<(), satmip_export::Error> {
//! let mut graph = Graph::new("tiny", 20)?;
//! let x = graph.input("x", DataType::F32, vec![Dim::from("batch"), Dim::from(4)])?;
//! let layer = Linear {
//!     weight: Tensor::f32(vec![3, 4], vec![0.5; 12])?,
//!     bias: None,
//! };
//! let y = layer.apply(&mut graph, "layer", x)?;
//! graph.output("y", y)?;
//! let bytes = graph.finish(&ModelInfo::new("example"))?.to_bytes()?;
//! # assert!(bytes.len() > 48);
//! # Ok(())
//! # }
//! ```
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::broken_intra_doc_links,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod check;
mod error;
pub mod graph;
pub mod layers;
pub mod messages;
mod model;
pub mod passes;
pub mod summary;
mod tensor;

pub use error::{Error, Result};
pub use graph::{Dim, Graph, Size, SliceEnd, Value, WeightStorage, Window};
pub use model::{External, INLINE_LIMIT, Model, ModelInfo, Written};
pub use tensor::{DataType, Tensor};
