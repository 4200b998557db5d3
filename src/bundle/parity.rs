//! How near a precision comes to f32.

use serde::{Deserialize, Serialize};

/// What was found when the graphs of a precision were held against those in f32, on real chips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// The data set and its split.
    pub data: String,
    /// Chips, and records of metadata, that were compared.
    pub chips: usize,
    /// The engine that ran both.
    pub engine: String,
    /// Rows of `image_embeds`.
    pub image: Agreement,
    /// Rows of `metadata_embeds`, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Agreement>,
    /// Weighted kNN on `image_features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<KnnChange>,
}

/// Unit rows held against those in f32.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Least cosine of a row with its own in f32.
    pub cosine_min: f64,
    /// Mean of these cosines.
    pub cosine_mean: f64,
    /// Share of each row's 10 nearest other rows, 0 to 1, that are its 10 nearest in f32 too.
    pub nearest_10: f64,
}

/// Accuracy of weighted kNN in f32 and in the other precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KnnChange {
    /// Neighbours.
    pub k: usize,
    /// Accuracy in f32, percent.
    pub f32: f64,
    /// Accuracy in this precision, percent.
    pub here: f64,
}
