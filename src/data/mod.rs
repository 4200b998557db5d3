//! Chips for training: where they come from, views of them, and batches.
//!
//! ```text
//! ChipSource --ChipSet::open--> names, labels, metadata --Loader--> batches of views and metadata
//! ```
//!
//! Every random choice derives from (seed, epoch or step, index), never from the order in which
//! threads happen to run.

mod archive;
mod blur;
mod cache;
mod colour;
mod config;
mod fmow;
mod folder;
mod index;
mod loader;
mod parallel;
mod piece;
mod randomness;
mod set;
mod shards;
mod source;
mod tar;
mod views;

pub use config::{BadItem, Batch, DroppedField, LoaderConfig};
pub use loader::Loader;
pub use randomness::rng_for;
pub use set::ChipSet;
pub use source::{ChipSource, FMOW_CONTEXT};
pub use views::{View, ViewConfig, centre_view, draw_view};
