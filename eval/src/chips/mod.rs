//! Labelled chips: where they come from, and one split of them opened.
//!
//! ```text
//! ChipSource --ChipSet::open--> names, labels, metadata; pixels on demand
//! ```

mod archive;
mod classes;
mod fmow;
mod folder;
mod index;
mod set;
mod shards;
mod source;
mod tar;

/// Endings of pictures, in lower case.
const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "tif", "tiff"];

pub use set::ChipSet;
pub use source::{ChipFiles, ChipSource, FMOW_CONTEXT};
