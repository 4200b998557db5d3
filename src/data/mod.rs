//! Chips for training: reading them, drawing views of them, and batches.
//!
//! Every random choice derives from (seed, epoch or step, index), never from the order in which
//! threads happen to run.

mod chips;
mod loader;
mod randomness;
mod views;

pub use chips::{BadItem, Chip, ChipSet, ChipSource, read_chips};
pub use loader::{Batch, Loader, LoaderConfig};
pub use randomness::rng_for;
pub use views::{View, ViewConfig, centre_view, draw_view};
