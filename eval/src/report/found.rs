//! What an evaluation found, for people, machines and figures alike.

use serde::{Deserialize, Serialize};

/// The metric of a question about metadata: how many are right who always give the most frequent answer.
pub(crate) const MOST_FREQUENT: &str = "most frequent";

/// Result of one task on one data set with one kind of features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was done.
    pub task: Task,
    /// On what.
    pub data: DataSummary,
    /// With what.
    pub features: FeatureSummary,
    /// One entry for each setting: each k, each number of shots, each metadata field, each direction of retrieval.
    pub scores: Vec<Score>,
    /// Which of the scores stands for all where there is room for one.
    pub headline: usize,
    /// Counts of the headline's answers, where classes were told apart.
    pub confusion: Option<Confusion>,
    /// What a reader must know: leakage, classes left out, chips that could not be read.
    pub notes: Vec<String>,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Weighted k nearest neighbours.
    Knn,
    /// A linear classifier on fixed features.
    Linear,
    /// A linear classifier on a few chips of each class.
    FewShot,
    /// The value of a metadata field that fits a picture best.
    ZeroShot,
    /// The own metadata of a picture among all, and the other way round.
    Retrieval,
    /// Records with another chip's metadata, told from true ones.
    Audit,
}

/// The data of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// Name of the description.
    pub name: String,
    /// How the splits came about: `given`, `random`, `blocks of 1 degree`.
    pub split: String,
    /// Split that was asked about: `test` or `val`.
    pub evaluated: String,
    /// Chips of the training, validation and test split that features were made of.
    pub chips: [usize; 3],
    /// Classes, in the order of the confusion matrix.
    pub classes: Vec<String>,
}

/// The features of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureSummary {
    /// `image`, `metadata` or `both`.
    pub kind: String,
    /// `trained`, `untrained`, `raw` or `stored`.
    pub encoder: String,
    /// Id of the model, or name of the file.
    pub model: String,
    /// Width of a row.
    pub dim: usize,
}

/// What one setting gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the setting's quantity: `k`, `C`, `epochs`, `shots`, `field`, `direction`.
    pub setting: String,
    /// Its value.
    pub value: String,
    /// Measures of the setting, the headline first.
    pub metrics: Vec<Metric>,
}

/// A measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// `accuracy`, `macro F1`, `mAP`, `recall@1`, `median rank`, `chance`, `AUC`.
    pub name: String,
    /// The value; shares are in percent. The mean where there were several seeds.
    pub value: f64,
    /// Bounds of the bootstrap's interval of 95 %.
    pub interval: Option<[f64; 2]>,
    /// Sample standard deviation over the seeds.
    pub deviation: Option<f64>,
    /// Number of seeds, 1 without.
    pub seeds: usize,
}

impl Metric {
    /// A value of one run, without an interval.
    pub fn plain(name: &str, value: f64) -> Self {
        Metric {
            name: name.into(),
            value,
            interval: None,
            deviation: None,
            seeds: 1,
        }
    }
}

/// Counts of (truth, answer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// `counts[truth][answer]`.
    pub counts: Vec<Vec<u64>>,
}
