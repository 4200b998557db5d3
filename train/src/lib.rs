//! Contrastive pretraining of towers for satellite images and their acquisition metadata, with burn.
//!
//! [`pretrain`](fn@pretrain) runs a [`Recipe`]: SimCLR, SatMIP or SatMIPS. [`data`] draws batches of views and records
//! from chips, [`model`] builds the towers of an [`Arch`](satmip::arch::Arch), [`loss`] has the objectives, and
//! [`import`] takes over checkpoints of others.
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

pub mod data;
mod flat_names;
pub mod import;
pub mod loss;
pub mod model;
mod pretrain;

/// Where a model trains, from [`device`].
pub use burn::prelude::Device;
pub use pretrain::*;
