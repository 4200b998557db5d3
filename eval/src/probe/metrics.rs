//! Measures of a classification: accuracy, macro F1, confusion matrix.

use ndarray::{Array2, ArrayView2};

use super::{check_classes, reason};
use satmip::Result;

/// How often each class was taken for each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Array2<u64>,
}

impl Confusion {
    /// Counts the items, whose classes are below `classes`.
    ///
    /// # Errors
    /// Without items, when there are not as many predictions, or when a class is not below `classes`.
    pub fn new(truth: &[usize], predicted: &[usize], classes: usize) -> Result<Self> {
        check_answers(truth, predicted, classes)?;
        let mut counts = Array2::zeros((classes, classes));
        for (truth, predicted) in truth.iter().zip(predicted) {
            counts[[*truth, *predicted]] += 1;
        }
        Ok(Confusion { counts })
    }

    /// Counts `[classes, classes]`: a row for each true class, a column for each predicted one.
    pub fn counts(&self) -> ArrayView2<'_, u64> {
        self.counts.view()
    }

    /// Share of the items that are classified rightly, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.tally().accuracy()
    }

    /// F1 of each class, `2 tp / (2 tp + fp + fn)`; none for a class that is neither in the truth nor
    /// predicted.
    pub fn f1(&self) -> Vec<Option<f64>> {
        self.tally().f1().collect()
    }

    /// The mean of [`Confusion::f1`] over the classes that have one, 0 to 1. This is scikit-learn's
    /// `f1_score(average="macro", zero_division=0)`.
    pub fn macro_f1(&self) -> f64 {
        self.tally().macro_f1()
    }

    fn tally(&self) -> Tally {
        Tally {
            right: self.counts.diag().to_vec(),
            all: (self.counts.rows().into_iter())
                .zip(self.counts.columns())
                .map(|(truth, found)| truth.sum() + found.sum())
                .collect(),
        }
    }
}

/// Checks that there are items, as many predictions, and no other classes.
pub(super) fn check_answers(truth: &[usize], predicted: &[usize], classes: usize) -> Result<()> {
    if truth.is_empty() {
        return Err(reason("there are no items to measure"));
    }
    check_classes("the truth", truth.len(), truth, classes)?;
    check_classes("the predictions", truth.len(), predicted, classes)
}

/// What accuracy and F1 need of a confusion matrix, in a row for each class.
pub(super) struct Tally {
    /// How often it was found rightly.
    right: Vec<u64>,
    /// How often it was the truth, and how often it was found.
    all: Vec<u64>,
}

impl Tally {
    pub(super) fn new(classes: usize) -> Self {
        Tally {
            right: vec![0; classes],
            all: vec![0; classes],
        }
    }

    /// Counts an item; both classes are below those of [`Tally::new`].
    pub(super) fn count(&mut self, truth: usize, predicted: usize) {
        self.right[truth] += u64::from(truth == predicted);
        self.all[truth] += 1;
        self.all[predicted] += 1;
    }

    pub(super) fn accuracy(&self) -> f64 {
        let (right, all): (u64, u64) = (self.right.iter().sum(), self.all.iter().sum());
        2.0 * right as f64 / all as f64
    }

    fn f1(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        let of = |(right, all): (&u64, &u64)| (*all > 0).then(|| 2.0 * *right as f64 / *all as f64);
        self.right.iter().zip(&self.all).map(of)
    }

    pub(super) fn macro_f1(&self) -> f64 {
        let (sum, count) =
            (self.f1().flatten()).fold((0.0, 0.0), |(sum, n), f1| (sum + f1, n + 1.0));
        sum / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn six_items_by_hand() {
        let confusion = Confusion::new(&[0, 0, 0, 1, 1, 3], &[0, 0, 1, 1, 0, 1], 5).unwrap();
        let mut expected = Array2::<u64>::zeros((5, 5));
        expected
            .slice_mut(ndarray::s![..2, ..2])
            .assign(&array![[2, 1], [1, 1]]);
        expected[[3, 1]] = 1;
        assert_eq!(confusion.counts(), expected);
        assert_eq!(confusion.accuracy(), 0.5);
        // Class 0: tp 2, fp 1, fn 1. Class 1: tp 1, fp 2, fn 1. Class 3: tp 0, fn 1.
        let f1 = [Some(4.0 / 6.0), Some(2.0 / 5.0), None, Some(0.0), None];
        assert_eq!(confusion.f1(), f1);
        assert!((confusion.macro_f1() - (2.0 / 3.0 + 0.4) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn all_right_is_one() {
        let confusion = Confusion::new(&[2, 1, 2], &[2, 1, 2], 3).unwrap();
        assert_eq!((confusion.accuracy(), confusion.macro_f1()), (1.0, 1.0));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(Confusion::new(&[], &[], 3).is_err());
        assert!(Confusion::new(&[0, 1], &[0], 3).is_err());
        assert!(Confusion::new(&[0, 3], &[0, 1], 3).is_err());
        let text = Confusion::new(&[0, 1], &[0, 7], 3).unwrap_err().to_string();
        assert!(text.contains("row 1 has label 7"), "{text}");
    }
}
