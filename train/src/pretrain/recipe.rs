//! A training recipe: everything that a run depends on but the data itself.

mod check;
mod places;
mod read;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::OptimizerConfig;
use crate::data::ViewConfig;
use crate::model::SimclrConfig;
use satmip::Result;
use satmip::arch::{ImageTower, Preprocessing, Projector, TabularTokens};
use satmip::metadata::FieldSet;
use satmip_eval::chips::{ChipSet, ChipSource};

/// A recipe, as TOML under `zoo/recipes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The model's id.
    pub id: String,
    /// The model's version.
    pub version: String,
    /// Licence of the weights (SPDX), which the data's licences may decide.
    pub licence: String,
    /// What is trained.
    pub method: Method,
    /// Everything random follows from it.
    pub seed: u64,
    /// Optimizer steps.
    pub steps: usize,
    /// Chips of a step; their metadata are each other's negatives.
    pub batch_size: usize,
    /// Weight of SatMIP's loss in SatMIPS; the paper's lambda, 1 in SLIP.
    #[serde(default = "one")]
    pub lambda: f64,
    /// SatMIP's temperature at the start, from 0.01 to 1; it is learned, and starts at 0.07 as CLIP's and SLIP's.
    #[serde(default = "initial_temperature")]
    pub temperature: f64,
    /// Width of the common space.
    pub embed_dim: usize,
    /// Fields that the metadata tower reads.
    #[serde(default)]
    pub fields: FieldSet,
    /// Probability that a present field is left out, so that any subset works later (our choice).
    #[serde(default)]
    pub field_dropout: f64,
    /// Input size, fit, filter and normalisation.
    pub preprocessing: Preprocessing,
    /// The image tower.
    pub image: ImageTower,
    /// The image projector.
    #[serde(default = "linear")]
    pub image_projector: Projector,
    /// The metadata tower; none for SimCLR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataRecipe>,
    /// SimCLR's head; none for SatMIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simclr: Option<SimclrConfig>,
    /// Random views.
    #[serde(default)]
    pub views: ViewConfig,
    /// Whether SatMIP's picture is SimCLR's first view, as in the paper: two image passes. Without, a
    /// third view is drawn for SatMIP as in SLIP, by `satmip_views`: three image passes.
    #[serde(default = "yes")]
    pub view_coupling: bool,
    /// The third view without coupling; a crop of at least half the picture by default, as SLIP's.
    #[serde(default = "gentle")]
    pub satmip_views: ViewConfig,
    /// Whether metadata follow the crops, flips and turns of the view. Without, they are those of the whole
    /// chip, fitted to the input size, whatever the view shows: to measure what following is worth.
    #[serde(default = "yes")]
    pub metadata_follow_views: bool,
    /// Chips of one pass of a tower. With fewer than the batch, features are cached and each pass is done
    /// twice, so that the batch and its negatives may be larger than the device holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// Precision of the towers' passes; weights and losses stay in f32.
    #[serde(default)]
    pub precision: Precision,
    /// Decay of an exponential moving average of the weights, which is then evaluated and exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Weights of an image tower to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitRecipe>,
    /// What the image tower's batch norms do in training.
    #[serde(default, skip_serializing_if = "ImageNorms::is_batch")]
    pub image_norms: ImageNorms,
    /// When the run's state is saved.
    #[serde(default)]
    pub checkpoint: CheckpointRecipe,
    /// Most items that may be damaged or missing before the run stops; each is named and skipped.
    #[serde(default = "hundred")]
    pub max_bad_items: usize,
    /// AdamW and its schedule.
    pub optimizer: OptimizerConfig,
    /// Archives with their indices.
    pub data: Vec<ChipSource>,
    /// The splits of the data that are trained on; `train` alone unless this says otherwise. With `val`, for a final model whose
    /// recipe was chosen before, nothing is left to watch.
    #[serde(default = "train_alone", skip_serializing_if = "is_train_alone")]
    pub splits: Vec<String>,
    /// Watching a kNN accuracy while training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

fn train_alone() -> Vec<String> {
    vec!["train".to_owned()]
}

fn is_train_alone(splits: &[String]) -> bool {
    splits == ["train"]
}

/// The method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Two views of a picture against each other.
    Simclr,
    /// Picture against metadata.
    Satmip,
    /// Both, with the picture's first view as SatMIP's input (view coupling).
    Satmips,
}

/// Precision of the towers' passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16 passes over f32 master weights, where the device has it.
    Bf16,
}

/// Where an image tower's weights come from (the paper's hierarchical pretraining).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitRecipe {
    /// Safetensors or PyTorch checkpoint with timm's or torchvision's names.
    pub weights: PathBuf,
    /// What stands before those names, for example `module.backbone.`.
    #[serde(default)]
    pub prefix: String,
    /// The file's sha256, in hexadecimal; another file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Weight of a loss that keeps features near those of the first weights, 0 for none: for each chip's first
    /// view 1 - cos of its features to those that the first weights give, both less the mean of the latter over
    /// the batch (our choice, against forgetting what the first weights know of other pictures). The first weights take
    /// the running statistics of their batch norms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub distill: f64,
    /// Pixels a side of what the first weights see of that view, at least the input size, to which it is enlarged: a
    /// network that was trained at 224 pixels knows more of a small chip that is enlarged, and what it knows can be
    /// taught at the input size. The input size where it is not given; for convolutional towers (our choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill_size: Option<usize>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// What the image tower's batch norms do in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageNorms {
    /// They take the statistics of each view of the batch, and keep a running mean of them for later.
    #[default]
    Batch,
    /// They take the running statistics of the first weights and leave them; only their factors and shifts are
    /// learned. A step is cheaper, and training sees what will be served.
    Frozen,
}

impl ImageNorms {
    fn is_batch(&self) -> bool {
        *self == ImageNorms::Batch
    }
}

/// When the run's state is saved; also at its end and when it is interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointRecipe {
    /// Steps between two checkpoints.
    pub every: usize,
    /// How many of the last checkpoints are kept, beside the one with the best kNN.
    pub keep: usize,
}

impl Default for CheckpointRecipe {
    fn default() -> Self {
        Self {
            every: 500,
            keep: 2,
        }
    }
}

/// The metadata tower's free choices; vocabulary, context and columns follow from the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum MetadataRecipe {
    /// Text Transformer.
    Text {
        /// Most tokens of the tokenizer that is trained on the captions.
        vocabulary: usize,
        /// A `tokenizer.json` to use instead, so that models share their ids.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokenizer: Option<PathBuf>,
        /// Width.
        dim: usize,
        /// Blocks.
        depth: usize,
        /// Attention heads.
        heads: usize,
    },
    /// FT-Transformer.
    Tabular {
        /// Width.
        dim: usize,
        /// Blocks.
        depth: usize,
        /// Attention heads.
        heads: usize,
        /// Hidden width of the ReGLU.
        hidden: usize,
        /// What a token stands for: `"column"` or `"field"`.
        #[serde(default)]
        tokens: TabularTokens,
        /// Dropout of the attention weights.
        #[serde(default)]
        attention_dropout: f64,
        /// Dropout inside the ReGLU.
        #[serde(default)]
        hidden_dropout: f64,
    },
}

/// Weighted kNN on the validation split of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Archive and index; neighbours come from `train`, queries from `val`.
    pub source: ChipSource,
    /// Steps between two evaluations.
    pub every: usize,
    /// Most chips of either split, spread evenly over it.
    pub chips: usize,
    /// Neighbours.
    pub k: usize,
}

impl Method {
    /// Image passes of a step for each chip.
    pub fn views(self) -> usize {
        match self {
            Method::Satmip => 1,
            Method::Simclr | Method::Satmips => 2,
        }
    }

    /// Whether metadata take part.
    pub fn uses_metadata(self) -> bool {
        self != Method::Simclr
    }
}

impl Recipe {
    /// The splits of its data, one set for each source; paths are relative to `folder`.
    pub(crate) fn open(&self, folder: &Path) -> Result<Vec<ChipSet>> {
        let splits: Vec<&str> = self.splits.iter().map(String::as_str).collect();
        let sources = self.data.iter();
        sources
            .map(|source| ChipSet::open_splits(source, folder, &splits))
            .collect()
    }

    /// Image passes of a step for each chip: [`Method::views`], and one more without view coupling.
    pub fn image_passes(&self) -> usize {
        match self.method {
            Method::Satmips if !self.view_coupling => 3,
            method => method.views(),
        }
    }
}

fn one() -> f64 {
    1.0
}

fn initial_temperature() -> f64 {
    0.07
}

fn yes() -> bool {
    true
}

fn hundred() -> usize {
    100
}

fn gentle() -> ViewConfig {
    ViewConfig {
        crop_area: [0.5, 1.0],
        ..ViewConfig::default()
    }
}

fn linear() -> Projector {
    Projector::Linear
}
