//! Contrastive pretraining: SimCLR, SatMIP and SatMIPS from a recipe file.

mod inputs;
mod knn;
mod optimizer;
mod recipe;
mod run;

pub use knn::weighted_knn;
pub use optimizer::OptimizerConfig;
pub use recipe::{
    CheckpointRecipe, InitRecipe, MetadataRecipe, Method, Precision, Recipe, Validation,
};
pub use run::{Progress, Summary, pretrain};
