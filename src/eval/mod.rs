//! What a representation is worth: kNN, linear probes, few shots, zero-shot queries, retrieval and audits on
//! labelled chips, for images alone, metadata alone and both.
//!
//! ```text
//! Description --DataSet::open--> chips, labels, splits --extract--> Features --Evaluation--> Report
//! ```

mod data;
mod features;
mod parity;
pub mod probe;
pub mod report;
mod task;

pub use data::{DESCRIPTIONS, DataSet, Description, LabelRule, Split, SplitRule};
pub use features::{
    Block, Encoder, Extracted, Extraction, FeatureKind, Features, colour_means, extract,
    raw_metadata, read_stored,
};
pub use parity::{Sample, SampleOutputs, agreement};
pub use report::Report;
pub use task::{
    Asked, AuditConfig, AuditSide, Evaluation, LinearConfig, Solver, audit, retrieval, zero_shot,
};
