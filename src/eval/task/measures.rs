//! Measures of answers, with their intervals.

use ndarray::ArrayView2;

use crate::error::Result;
use crate::eval::probe::{
    self, Interval, accuracy_interval, macro_f1_interval, mean_average_precision_interval,
};
use crate::eval::report::{Confusion, Metric};

/// Seed of the bootstrap's resamples (our choice).
const SEED: u64 = 0;

/// A share between 0 and 1 as a metric in percent.
pub(super) fn share(name: &str, found: Interval) -> Metric {
    Metric {
        interval: Some([100.0 * found.low, 100.0 * found.high]),
        ..Metric::plain(name, 100.0 * found.value)
    }
}

/// A share in percent, over several seeds.
pub(super) fn over_seeds(name: &str, values: &[f64]) -> Metric {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Metric {
        name: name.into(),
        value: 100.0 * mean,
        interval: None,
        deviation: (values.len() > 1).then(|| 100.0 * (squares / (n - 1.0)).sqrt()),
        seeds: values.len(),
    }
}

/// Accuracy and macro F1.
pub(super) fn of_classes(truth: &[usize], found: &[usize], classes: usize) -> Result<Vec<Metric>> {
    Ok(vec![
        share("accuracy", accuracy_interval(truth, found, classes, SEED)?),
        share("macro F1", macro_f1_interval(truth, found, classes, SEED)?),
    ])
}

/// Mean average precision of scores `[items, labels]`.
pub(super) fn of_labels(
    scores: ArrayView2<'_, f64>,
    truth: ArrayView2<'_, bool>,
) -> Result<Vec<Metric>> {
    let found = mean_average_precision_interval(scores, truth, SEED)?;
    Ok(vec![share("mAP", found)])
}

/// Counts of (truth, answer).
pub(super) fn confusion(truth: &[usize], found: &[usize], classes: usize) -> Result<Confusion> {
    let counted = probe::Confusion::new(truth, found, classes)?;
    let counts = counted.counts();
    Ok(Confusion {
        counts: counts.rows().into_iter().map(|row| row.to_vec()).collect(),
    })
}
