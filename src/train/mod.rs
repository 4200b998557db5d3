//! Contrastive pretraining: SimCLR, SatMIP and SatMIPS from a recipe file.

mod curves;
mod dry_run;
mod estimate;
mod fields;
mod inputs;
mod knn;
mod optimizer;
mod recipe;
mod run;
mod tensorboard;

pub use curves::{compare_svg, curves_svg, read_metrics};
pub use dry_run::{DryRun, MetadataSummary, SetSummary, dry_run, measure_speed};
pub use estimate::{Estimate, ForwardMacs, Memory, Parameters, estimate};
pub use fields::FieldCounts;
pub use knn::weighted_knn;
pub use optimizer::OptimizerConfig;
pub use recipe::{
    CheckpointRecipe, InitRecipe, MetadataRecipe, Method, Precision, Recipe, Validation,
};
pub use run::{Progress, Summary, pretrain};
pub use tensorboard::EventWriter;
