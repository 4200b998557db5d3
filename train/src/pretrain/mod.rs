//! Contrastive pretraining: SimCLR, SatMIP and SatMIPS from a recipe file.
//!
//! [`pretrain`] is the loop. A step passes the views and the metadata through their towers side by side,
//! computes the losses over the whole batch, and brings the gradients back. What a run writes can be
//! resumed in mid-epoch to the same weights.

mod average;
mod checkpoint;
mod curves;
mod device;
mod dry_run;
mod estimate;
mod fields;
mod folder;
mod gauge;
mod inputs;
mod lanes;
mod optimizer;
mod progress;
mod recipe;
mod run;
mod step;
mod teacher;
mod tensorboard;
#[cfg(test)]
mod tests;
mod training;
mod workers;

pub use curves::{accuracy_over_time_svg, compare_svg, curves_svg, read_metrics};
pub use device::device;
pub use dry_run::{DryRun, MetadataSummary, SetSummary, dry_run, measure_speed};
pub use estimate::{Estimate, ForwardMacs, Memory, Parameters, estimate};
pub use fields::FieldCounts;
pub use optimizer::OptimizerConfig;
pub use progress::{Progress, Summary};
pub use recipe::{
    CheckpointRecipe, ImageNorms, InitRecipe, MetadataRecipe, Method, Precision, Recipe, Validation,
};
pub use run::{RunOptions, pretrain};
pub use tensorboard::EventWriter;

use satmip::Error;

fn reason(reason: String) -> Error {
    Error::Training {
        reason,
        source: None,
    }
}
