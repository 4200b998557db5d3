//! The area under the ROC curve.

use ndarray::ArrayView2;

use super::bootstrap::{Interval, resampled};
use super::reason;
use satmip::Result;

/// The probability that the score of a true item is above that of a false one, equal ones counting half
/// (Mann and Whitney 1947), with an interval over [`RESAMPLES`](super::RESAMPLES) resamples of the items.
///
/// Each item has one score as it truly is, `truth[i]`, and some made false, `falsified[[i, ..]]`; each true score
/// is held against all false ones, those of other items too. A resample draws items, with all of their scores.
///
/// # Errors
/// [`Error::Evaluation`](satmip::Error::Evaluation) without an item or a false score, for another number of rows,
/// and for a score that is not a number.
pub fn auc_interval(truth: &[f64], falsified: ArrayView2<f64>, seed: u64) -> Result<Interval> {
    if truth.is_empty() || falsified.is_empty() || falsified.nrows() != truth.len() {
        return Err(reason(format!(
            "{} true scores and false ones of shape {:?}",
            truth.len(),
            falsified.shape()
        )));
    }
    let mut scores: Vec<Scored> = Vec::with_capacity(truth.len() + falsified.len());
    scores.extend(truth.iter().enumerate().map(|(item, score)| Scored {
        score: *score,
        item,
        truth: true,
    }));
    scores.extend(falsified.indexed_iter().map(|((item, _), score)| Scored {
        score: *score,
        item,
        truth: false,
    }));
    if scores.iter().any(|s| s.score.is_nan()) {
        return Err(reason("a score is not a number"));
    }
    scores.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    let value = area(&scores, |_| 1);
    resampled(value, truth.len(), seed, |times| {
        area(&scores, |item| times[item].into())
    })
}

/// A score, of which item, and whether it is the true one.
struct Scored {
    score: f64,
    item: usize,
    truth: bool,
}

/// The area with so many of each item; the scores are ascending.
fn area(scores: &[Scored], times: impl Fn(usize) -> u64) -> f64 {
    let (mut above, mut truths, mut below) = (0.0, 0u64, 0u64);
    for equal in scores.chunk_by(|a, b| a.score == b.score) {
        let count = |truth: bool| -> u64 {
            let of = equal.iter().filter(|s| s.truth == truth);
            of.map(|s| times(s.item)).sum()
        };
        let (true_here, false_here) = (count(true), count(false));
        above += true_here as f64 * (below as f64 + false_here as f64 / 2.0);
        truths += true_here;
        below += false_here;
    }
    above / (truths as f64 * below as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn auc(truth: &[f64], falsified: Array2<f64>) -> f64 {
        auc_interval(truth, falsified.view(), 0).unwrap().value
    }

    #[test]
    fn areas_agree_with_counts_by_hand() {
        assert_eq!(auc(&[2.0, 3.0], array![[0.0], [1.0]]), 1.0);
        assert_eq!(auc(&[0.0, 1.0], array![[2.0], [3.0]]), 0.0);
        assert_eq!(auc(&[1.0, 1.0], array![[1.0], [1.0]]), 0.5);
        // 3 above 1 and 2 and equal to 3: 2.5; 1 equal to 1: 0.5; of 2 x 3 pairs each, with the other item's.
        let found = auc(&[3.0, 1.0], array![[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]);
        assert_eq!(found, 3.0 / 12.0);
        // Every pair counted by itself.
        let truth: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 11)).collect();
        let falsified = Array2::from_shape_fn((40, 3), |(i, j)| ((i * 5 + j * 3) % 9) as f64);
        let pairs = truth
            .iter()
            .flat_map(|t| falsified.iter().map(move |f| (t, f)));
        let won: f64 = pairs
            .map(|(t, f)| match t.total_cmp(f) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            })
            .sum();
        let found = auc(&truth, falsified.clone());
        assert!((found - won / (40.0 * 120.0)).abs() < 1e-12);
    }

    #[test]
    fn intervals_narrow_with_more_items() {
        // Scores of two overlapping uniform ranges: 0 to 1 and -0.5 to 0.5, so 7/8.
        let of = |count: usize| {
            let spread = |i: usize, by: f64| (i as f64 * by).fract();
            let truth: Vec<f64> = (0..count).map(|i| spread(i, 0.618_033_988)).collect();
            let falsified =
                Array2::from_shape_fn((count, 1), |(i, _)| spread(i, 0.414_213_562) - 0.5);
            auc_interval(&truth, falsified.view(), 1).unwrap()
        };
        let (few, many) = (of(100), of(3000));
        assert!((many.value - 0.875).abs() < 0.01, "{many:?}");
        assert!(few.low < few.value && few.value < few.high);
        assert!(
            many.high - many.low < 0.5 * (few.high - few.low),
            "{few:?} {many:?}"
        );
        assert_eq!(few, of(100));
    }

    #[test]
    fn what_is_no_score_is_refused() {
        for (truth, falsified) in [
            (vec![], Array2::zeros((0, 1))),
            (vec![1.0], Array2::zeros((1, 0))),
            (vec![1.0], Array2::zeros((2, 1))),
            (vec![f64::NAN], Array2::zeros((1, 1))),
            (vec![1.0], array![[f64::NAN]]),
        ] {
            assert!(auc_interval(&truth, falsified.view(), 0).is_err());
        }
        let infinite = auc(&[f64::INFINITY], array![[f64::NEG_INFINITY]]);
        assert_eq!(infinite, 1.0);
    }
}
