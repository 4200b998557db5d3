//! What is known of an acquisition.

mod field;

pub use field::{Field, FieldSet};
