//! Percentile bootstrap (Efron and Tibshirani 1993, chapter 13): 95 % intervals of a measure under
//! resampling of the items.

use ndarray::ArrayView2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::draws::{Purpose, stream};
use super::metrics::{Tally, check_answers};
use super::precision::{mean_over, rank_labels};
use super::reason;
use satmip::Result;
use satmip::parts::threads;
use satmip::parts::threads::cores;

/// Resamples of an interval (our choice).
pub const RESAMPLES: usize = 1000;

/// A measure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The measure of the items themselves.
    pub value: f64,
    /// The 2.5th percentile of its resamples.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// Accuracy, with an interval over [`RESAMPLES`] resamples.
///
/// # Errors
/// As [`Confusion::new`](super::Confusion::new).
pub fn accuracy_interval(
    truth: &[usize],
    predicted: &[usize],
    classes: usize,
    seed: u64,
) -> Result<Interval> {
    of_confusion(truth, predicted, classes, seed, Tally::accuracy)
}

/// Macro F1, with an interval over [`RESAMPLES`] resamples.
///
/// # Errors
/// As [`Confusion::new`](super::Confusion::new).
pub fn macro_f1_interval(
    truth: &[usize],
    predicted: &[usize],
    classes: usize,
    seed: u64,
) -> Result<Interval> {
    of_confusion(truth, predicted, classes, seed, Tally::macro_f1)
}

/// Mean average precision, with an interval over [`RESAMPLES`] resamples. A label that no item of a
/// resample has is left out of that resample's mean.
///
/// # Errors
/// As [`super::mean_average_precision`].
pub fn mean_average_precision_interval(
    scores: ArrayView2<f64>,
    truth: ArrayView2<bool>,
    seed: u64,
) -> Result<Interval> {
    let labels = rank_labels(scores, truth)?;
    let value = mean_over(&labels, |_| 1).ok_or_else(|| reason("no item has any label"))?;
    let items = truth.nrows();
    interval(value.mean, seed, |rng| {
        // Rare labels alone: a resample may have none at all, and is drawn anew.
        loop {
            let mut times = vec![0u32; items];
            draw(rng, items, |item| times[item] += 1);
            if let Some(found) = mean_over(&labels, |item| times[item].into()) {
                return found.mean;
            }
        }
    })
}

fn of_confusion(
    truth: &[usize],
    predicted: &[usize],
    classes: usize,
    seed: u64,
    measure: impl Fn(&Tally) -> f64 + Sync,
) -> Result<Interval> {
    check_answers(truth, predicted, classes)?;
    let mut whole = Tally::new(classes);
    for (truth, predicted) in truth.iter().zip(predicted) {
        whole.count(*truth, *predicted);
    }
    interval(measure(&whole), seed, |rng| {
        let mut tally = Tally::new(classes);
        let mut count = |item: usize| tally.count(truth[item], predicted[item]);
        draw(rng, truth.len(), &mut count);
        measure(&tally)
    })
}

/// A measure of all items with its interval; `measure` is told how often each item is in a resample.
pub(super) fn resampled(
    value: f64,
    items: usize,
    seed: u64,
    measure: impl Fn(&[u32]) -> f64 + Sync,
) -> Result<Interval> {
    interval(value, seed, |rng| {
        let mut times = vec![0u32; items];
        draw(rng, items, |item| times[item] += 1);
        measure(&times)
    })
}

/// As many items as there are, each any of them.
fn draw(rng: &mut ChaCha8Rng, items: usize, mut take: impl FnMut(usize)) {
    for _ in 0..items {
        take(rng.random_range(0..items as u64) as usize);
    }
}

fn interval(
    value: f64,
    seed: u64,
    resample: impl Fn(&mut ChaCha8Rng) -> f64 + Sync,
) -> Result<Interval> {
    let mut found = threads::map("a probe", RESAMPLES, cores(), |index| {
        Ok(resample(&mut stream(seed, Purpose::Resample, index as u64)))
    })?;
    found.sort_unstable_by(f64::total_cmp);
    Ok(Interval {
        value,
        low: percentile(&found, 2.5),
        high: percentile(&found, 97.5),
    })
}

/// A percentile of sorted values, linear between two (NumPy's default).
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * sorted.len().saturating_sub(1) as f64;
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied();
    let (below, above) = (at(place as usize), at(place as usize + 1));
    match (below, above) {
        (Some(below), Some(above)) => below + (above - below) * place.fract(),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn percentiles_are_linear() {
        let values = [0.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!(percentile(&values, 0.0), 0.0);
        assert_eq!(percentile(&values, 50.0), 20.0);
        assert_eq!(percentile(&values, 97.5), 39.0);
        assert_eq!(percentile(&values, 100.0), 40.0);
    }

    #[test]
    fn accuracys_interval_is_the_binomials() {
        // 80 % of 2000 items: standard deviation sqrt(0.8 * 0.2 / 2000) = 0.00894.
        let truth: Vec<usize> = (0..2000).map(|i| i % 5).collect();
        let predicted: Vec<usize> = (0..2000)
            .map(|i| if i % 10 < 8 { i % 5 } else { (i + 1) % 5 })
            .collect();
        let found = accuracy_interval(&truth, &predicted, 5, 1).unwrap();
        assert_eq!(found.value, 0.8);
        assert!(
            (found.low - (0.8 - 1.96 * 0.00894)).abs() < 0.003,
            "{found:?}"
        );
        assert!(
            (found.high - (0.8 + 1.96 * 0.00894)).abs() < 0.003,
            "{found:?}"
        );
        assert_eq!(found, accuracy_interval(&truth, &predicted, 5, 1).unwrap());
        assert_ne!(found, accuracy_interval(&truth, &predicted, 5, 2).unwrap());
        let f1 = macro_f1_interval(&truth, &predicted, 5, 1).unwrap();
        assert!(f1.low < f1.value && f1.value < f1.high);
    }

    #[test]
    fn many_classes_cost_no_table_of_them() {
        let truth: Vec<usize> = (0..200).map(|i| i * 100).collect();
        let predicted: Vec<usize> = truth.iter().map(|t| t + t % 200 / 100).collect();
        let found = macro_f1_interval(&truth, &predicted, 20_000, 1).unwrap();
        // 100 classes are right, 100 are missed, and 100 are found where they are not.
        assert!((found.value - 1.0 / 3.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn perfect_predictions_have_no_width() {
        let truth = [0, 1, 2, 1];
        let all = Interval {
            value: 1.0,
            low: 1.0,
            high: 1.0,
        };
        assert_eq!(accuracy_interval(&truth, &truth, 3, 1).unwrap(), all);
        assert_eq!(macro_f1_interval(&truth, &truth, 3, 1).unwrap(), all);
        let positive = Array2::from_shape_fn((4, 3), |(item, label)| truth[item] == label);
        let scores = positive.mapv(f64::from);
        let found = mean_average_precision_interval(scores.view(), positive.view(), 1);
        assert_eq!(found.unwrap(), all);
    }

    #[test]
    fn a_label_that_few_have_widens_the_interval() {
        // One positive of n items at rank 2: a resample's precision depends on how often each is drawn.
        let scores = Array2::from_shape_fn((50, 1), |(item, _)| -(item as f64));
        let positive = Array2::from_shape_fn((50, 1), |(item, _)| item == 1);
        let found = mean_average_precision_interval(scores.view(), positive.view(), 3).unwrap();
        assert_eq!(found.value, 0.5);
        assert!(found.low < 0.34 && found.high == 1.0, "{found:?}");
    }
}
