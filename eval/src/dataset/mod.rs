//! Data sets: how they are described, and opened.

mod builtin;
mod dataset;
mod description;
mod near;
mod split;

pub use builtin::DESCRIPTIONS;
pub use dataset::DataSet;
pub use description::{Description, LabelRule, SplitRule};
pub use split::Split;
