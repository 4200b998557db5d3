//! Average precision of labels, one by one and their mean.

use ndarray::{ArrayView2, Axis};

use super::reason;
use satmip::Result;

/// Average precision of one label, 0 to 1: `sum (R_i - R_(i-1)) P_i` over the distinct scores from the
/// largest down, as scikit-learn's `average_precision_score`. None where no item has the label.
///
/// # Errors
/// When there are not as many scores, or a score is not a number.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Result<Option<f64>> {
    let ranked = Ranked::new(
        scores.iter().copied(),
        positive.iter().copied(),
        positive.len(),
    )?;
    Ok(ranked.average_precision(|_| 1))
}

/// Average precision over all labels.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanAveragePrecision {
    /// The mean over the labels that some item has, 0 to 1.
    pub mean: f64,
    /// Each label's; none where no item has it.
    pub labels: Vec<Option<f64>>,
    /// How many labels no item has; they are not in the mean.
    pub left_out: usize,
}

/// The mean of [`average_precision`] over the labels, from scores and truth `[items, labels]`.
///
/// # Errors
/// When the shapes differ, a score is not a number, or no item has any label.
pub fn mean_average_precision(
    scores: ArrayView2<f64>,
    truth: ArrayView2<bool>,
) -> Result<MeanAveragePrecision> {
    mean_over(&rank_labels(scores, truth)?, |_| 1).ok_or_else(|| reason("no item has any label"))
}

/// All labels' items in the order of their scores.
pub(super) fn rank_labels(scores: ArrayView2<f64>, truth: ArrayView2<bool>) -> Result<Vec<Ranked>> {
    if scores.dim() != truth.dim() {
        let (found, expected) = (scores.dim(), truth.dim());
        return Err(reason(format!(
            "scores of shape {found:?}, labels of shape {expected:?}"
        )));
    }
    let columns = scores.axis_iter(Axis(1)).zip(truth.axis_iter(Axis(1)));
    columns
        .map(|(s, t)| Ranked::new(s.iter().copied(), t.iter().copied(), t.len()))
        .collect()
}

/// The mean with each item counted `times`; none when no label is left.
pub(super) fn mean_over(
    labels: &[Ranked],
    times: impl Fn(usize) -> u64,
) -> Option<MeanAveragePrecision> {
    let labels: Vec<_> = labels.iter().map(|l| l.average_precision(&times)).collect();
    let found: Vec<f64> = labels.iter().copied().flatten().collect();
    (!found.is_empty()).then(|| MeanAveragePrecision {
        mean: found.iter().sum::<f64>() / found.len() as f64,
        left_out: labels.len() - found.len(),
        labels,
    })
}

/// A label's items, the largest score first.
pub(super) struct Ranked {
    items: Vec<Item>,
}

struct Item {
    index: u32,
    positive: bool,
    /// The next item has a smaller score, or there is none.
    last_of_score: bool,
}

impl Ranked {
    fn new(
        scores: impl ExactSizeIterator<Item = f64>,
        positive: impl Iterator<Item = bool>,
        items: usize,
    ) -> Result<Self> {
        if scores.len() != items || u32::try_from(items).is_err() {
            let found = scores.len();
            return Err(reason(format!("{found} scores for {items} items")));
        }
        let mut all: Vec<(f64, u32, bool)> = scores
            .zip(positive)
            .zip(0..)
            .map(|((score, positive), index)| (score, index, positive))
            .collect();
        if let Some((_, index, _)) = all.iter().find(|(score, ..)| score.is_nan()) {
            return Err(reason(format!("the score of item {index} is not a number")));
        }
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let items = (0..all.len()).map(|i| Item {
            index: all[i].1,
            positive: all[i].2,
            last_of_score: all.get(i + 1).is_none_or(|next| next.0 < all[i].0),
        });
        Ok(Ranked {
            items: items.collect(),
        })
    }

    /// With each item counted `times`.
    fn average_precision(&self, times: impl Fn(usize) -> u64) -> Option<f64> {
        let (mut seen, mut right, mut before, mut sum) = (0u64, 0u64, 0u64, 0.0);
        for item in &self.items {
            let times = times(item.index as usize);
            seen += times;
            right += if item.positive { times } else { 0 };
            if item.last_of_score && right > before {
                sum += (right - before) as f64 * (right as f64 / seen as f64);
                before = right;
            }
        }
        (right > 0).then(|| sum / right as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn ap(scores: &[f64], positive: &[bool]) -> f64 {
        average_precision(scores, positive).unwrap().unwrap()
    }

    #[test]
    fn four_items_by_hand() {
        // scikit-learn's own example: 0.83.
        let found = ap(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]);
        assert!((found - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
        assert_eq!(ap(&[3.0, 2.0, 1.0], &[true, true, false]), 1.0);
        assert_eq!(ap(&[3.0, 2.0, 1.0], &[false, false, true]), 1.0 / 3.0);
    }

    #[test]
    fn equal_scores_are_one_threshold() {
        // Whatever their order, two of four items at one score have precision one half.
        for positive in [[true, true, false, false], [false, true, false, true]] {
            assert_eq!(ap(&[1.0; 4], &positive), 0.5);
        }
        assert_eq!(ap(&[0.0, -0.0], &[true, false]), 0.5);
    }

    #[test]
    fn counting_an_item_twice_is_repeating_it() {
        let (scores, positive) = ([0.9, 0.5, 0.5, 0.2], [true, false, true, true]);
        let times = [1, 0, 2, 3];
        let ranked = Ranked::new(scores.into_iter(), positive.into_iter(), 4).unwrap();
        let found = ranked.average_precision(|item| times[item]).unwrap();
        let repeat = |item: usize| std::iter::repeat_n(item, times[item] as usize);
        let items: Vec<usize> = (0..4).flat_map(repeat).collect();
        let scores: Vec<f64> = items.iter().map(|i| scores[*i]).collect();
        let positive: Vec<bool> = items.iter().map(|i| positive[*i]).collect();
        assert_eq!(found, ap(&scores, &positive));
    }

    #[test]
    fn a_label_without_items_is_left_out() {
        let scores = array![[0.9, 0.1, 0.3], [0.1, 0.9, 0.2]];
        let truth = array![[true, true, false], [false, false, false]];
        let found = mean_average_precision(scores.view(), truth.view()).unwrap();
        assert_eq!(found.labels, [Some(1.0), Some(0.5), None]);
        assert_eq!((found.mean, found.left_out), (0.75, 1));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(average_precision(&[1.0], &[true, false]).is_err());
        assert!(average_precision(&[1.0, f64::NAN], &[true, false]).is_err());
        assert_eq!(average_precision(&[1.0], &[false]).unwrap(), None);
        let scores = array![[1.0]];
        assert!(mean_average_precision(scores.view(), array![[false]].view()).is_err());
        assert!(mean_average_precision(scores.view(), array![[false, true]].view()).is_err());
    }
}
