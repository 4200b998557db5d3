//! Views of chips, and batches of them, for training.
//!
//! ```text
//! ChipSet --Loader--> batches of views and metadata
//! ```
//!
//! Every random choice derives from (seed, epoch or step, index), never from the order in which
//! threads happen to run.

mod blur;
mod cache;
mod colour;
mod config;
mod loader;
mod piece;
mod randomness;
mod views;

pub use config::{BadItem, Batch, DroppedField, LoaderConfig};
pub use loader::Loader;
pub use randomness::{Stream, rng_for};
pub use views::{View, ViewConfig, centre_view, draw_view};
