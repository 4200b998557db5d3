//! Data sets: how they are described, and opened.

mod builtin;
mod description;
mod labelled;
mod near;
mod split;

pub use builtin::DESCRIPTIONS;
pub use description::{Description, LabelRule, SplitRule};
pub use labelled::DataSet;
pub use split::Split;
