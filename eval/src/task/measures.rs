//! Measures of answers, with their intervals.

use ndarray::ArrayView2;

use crate::probe::{
    self, Interval, accuracy_interval, macro_f1_interval, mean_average_precision_interval,
};
use crate::report::{Confusion, Metric};
use satmip::Result;

/// Seed of the bootstrap's resamples (our choice).
const SEED: u64 = 0;
/// Most classes of a confusion matrix (our choice).
const MOST_CLASSES: usize = 1000;

/// A share between 0 and 1 as a metric in percent.
pub(super) fn share(name: &str, found: Interval) -> Metric {
    Metric {
        interval: Some([100.0 * found.low, 100.0 * found.high]),
        ..Metric::plain(name, 100.0 * found.value)
    }
}

/// A share in percent, over several seeds.
pub(super) fn over_seeds(name: &str, values: &[f64]) -> Metric {
    let (mean, deviation) = probe::mean_and_deviation(values);
    Metric {
        name: name.into(),
        value: 100.0 * mean,
        interval: None,
        deviation: deviation.map(|deviation| 100.0 * deviation),
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

/// Counts of (truth, answer); none of over [`MOST_CLASSES`].
pub(super) fn confusion(
    truth: &[usize],
    found: &[usize],
    classes: usize,
) -> Result<Option<Confusion>> {
    if classes > MOST_CLASSES {
        return Ok(None);
    }
    let counted = probe::Confusion::new(truth, found, classes)?;
    let counts = counted.counts();
    Ok(Some(Confusion {
        counts: counts.rows().into_iter().map(|row| row.to_vec()).collect(),
    }))
}
