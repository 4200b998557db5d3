//! Contrastive pretraining: SimCLR, SatMIP and SatMIPS from a recipe file.

mod curves;
mod inputs;
mod knn;
mod optimizer;
mod recipe;
mod run;
mod tensorboard;

pub use curves::{compare_svg, curves_svg, read_metrics};
pub use knn::weighted_knn;
pub use optimizer::OptimizerConfig;
pub use recipe::{
    CheckpointRecipe, InitRecipe, MetadataRecipe, Method, Precision, Recipe, Validation,
};
pub use run::{Progress, Summary, pretrain};
pub use tensorboard::EventWriter;
