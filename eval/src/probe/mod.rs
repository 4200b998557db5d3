//! The numbers behind evaluations: kNN, linear probes, few shots, retrieval, audits, and their measures.
//!
//! All of it takes features that are already computed, as rows `[n, d]` in `f32`, and labels counted
//! from 0. Nothing depends on the number of threads.

mod auc;
mod bootstrap;
mod choose;
#[cfg(test)]
mod drawn;
mod draws;
mod few_shot;
mod knn;
mod lbfgs;
mod linear;
mod logistic;
mod metrics;
mod objective;
mod precision;
mod retrieval;
mod sgd;
mod standardise;

pub use auc::auc_interval;
pub use bootstrap::{
    Interval, RESAMPLES, accuracy_interval, macro_f1_interval, mean_average_precision_interval,
};
pub use choose::{Chosen, choose_c, choose_c_labels, default_grid};
pub(crate) use draws::{Purpose, stream};
pub use few_shot::{FewShot, few_shot, mean_and_deviation};
pub use knn::{Knn, LabelKnn};
pub use linear::LinearModel;
pub use logistic::{Fit, Logistic};
pub use metrics::Confusion;
pub use precision::{MeanAveragePrecision, average_precision, mean_average_precision};
pub use retrieval::{Ranks, Retrieval, retrieval};
pub use sgd::Sgd;
pub use standardise::{Standardise, concatenate};

use ndarray::ArrayView2;

use satmip::{Error, Result};

/// Features with one class each.
#[derive(Debug, Clone, Copy)]
pub struct Split<'a> {
    /// `[n, d]`.
    pub features: ArrayView2<'a, f32>,
    /// `[n]`.
    pub labels: &'a [usize],
}

/// Features with any number of labels each.
#[derive(Debug, Clone, Copy)]
pub struct LabelSplit<'a> {
    /// `[n, d]`.
    pub features: ArrayView2<'a, f32>,
    /// Which labels a row has, `[n, labels]`.
    pub labels: ArrayView2<'a, bool>,
}

fn reason(reason: impl Into<String>) -> Error {
    Error::Evaluation {
        reason: reason.into(),
    }
}

/// Checks that `found` labels are one for each of `rows`, all below `classes`.
fn check_classes(what: &str, rows: usize, labels: &[usize], classes: usize) -> Result<()> {
    if labels.len() != rows {
        let found = labels.len();
        return Err(reason(format!("{what}: {rows} rows, but {found} labels")));
    }
    match labels.iter().position(|label| *label >= classes) {
        Some(row) => Err(reason(format!(
            "{what}: row {row} has label {}, but there are {classes} classes",
            labels[row]
        ))),
        None => Ok(()),
    }
}

/// Checks that rows of features are there, have columns and are finite.
fn check_features(what: &str, features: ArrayView2<f32>) -> Result<()> {
    let (rows, columns) = features.dim();
    if rows == 0 || columns == 0 {
        return Err(reason(format!(
            "{what}: features of {rows} rows and {columns} columns"
        )));
    }
    match features
        .indexed_iter()
        .find(|(_, value)| !value.is_finite())
    {
        Some(((row, column), value)) => Err(reason(format!(
            "{what}: row {row}, column {column} is {value}"
        ))),
        None => Ok(()),
    }
}

/// The index of the largest value, the first of equal ones.
fn first_largest(values: impl IntoIterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.into_iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
