//! From chips to rows of numbers.

mod extract;
mod join;
mod raw;
mod stored;

pub use extract::{Encoder, Extracted, Extraction, extract};
pub use join::{Block, FeatureKind, Features};
pub use raw::{colour_means, raw_metadata};
pub use stored::read_stored;
