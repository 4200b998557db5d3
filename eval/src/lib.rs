//! What a representation is worth: kNN, linear probes, few shots, zero-shot queries, retrieval and audits on
//! labelled chips, for images alone, metadata alone and both.
//!
//! ```text
//! Description --DataSet::open--> chips, labels, splits --extract--> Features --Evaluation--> Report
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

pub mod chips;
mod dataset;
mod features;
pub mod figure;
mod parity;
pub mod probe;
pub mod report;
mod task;

pub use dataset::{DESCRIPTIONS, DataSet, Description, LabelRule, Split, SplitRule};
pub use features::{
    Block, Encoder, Extracted, Extraction, FeatureKind, Features, colour_means, extract,
    raw_metadata, read_stored,
};
pub use parity::{Sample, SampleOutputs, agreement};
pub use report::Report;
pub use task::{
    Asked, AuditConfig, AuditSide, Evaluation, LinearConfig, Solver, audit, retrieval, zero_shot,
};
