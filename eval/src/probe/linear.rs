//! A linear classifier.

use ndarray::{Array1, Array2, ArrayView2};

use super::{check_features, first_largest, reason};
use satmip::Result;

/// One linear function for each class or label.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    /// `[classes, d]`.
    pub weights: Array2<f64>,
    /// `[classes]`.
    pub bias: Array1<f64>,
}

impl LinearModel {
    /// All zeros.
    pub(super) fn zeros(classes: usize, dim: usize) -> Self {
        LinearModel {
            weights: Array2::zeros((classes, dim)),
            bias: Array1::zeros(classes),
        }
    }

    /// `features weightsᵀ + bias`, `[n, classes]`: logits, without softmax or sigmoid.
    ///
    /// # Errors
    /// Without rows, when the width is another than the weights', or when a value is not finite.
    pub fn scores(&self, features: ArrayView2<f32>) -> Result<Array2<f64>> {
        check_features("the features", features)?;
        let (found, expected) = (features.ncols(), self.weights.ncols());
        if found != expected {
            return Err(reason(format!(
                "features have width {found}, the model {expected}"
            )));
        }
        let mut scores = Array2::zeros((features.nrows(), self.bias.len()));
        let rows = features.axis_chunks_iter(ndarray::Axis(0), 4096);
        for (rows, mut scores) in rows.zip(scores.axis_chunks_iter_mut(ndarray::Axis(0), 4096)) {
            scores.assign(&(rows.mapv(f64::from).dot(&self.weights.t()) + &self.bias));
        }
        Ok(scores)
    }

    /// The class with the largest score of each row, the lowest of equal ones.
    ///
    /// # Errors
    /// As [`LinearModel::scores`].
    pub fn predict(&self, features: ArrayView2<f32>) -> Result<Vec<usize>> {
        let scores = self.scores(features)?;
        let rows = scores.outer_iter();
        Ok(rows.map(|row| first_largest(row.iter().copied())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn two_rows_by_hand() {
        let model = LinearModel {
            weights: array![[1.0, 0.0], [0.0, 2.0], [0.0, 2.0]],
            bias: array![0.5, 0.0, 0.0],
        };
        let features = array![[1.0, 0.0], [0.0, 1.0]];
        let scores = model.scores(features.view()).unwrap();
        assert_eq!(scores, array![[1.5, 0.0, 0.0], [0.5, 2.0, 2.0]]);
        assert_eq!(model.predict(features.view()).unwrap(), [0, 1]);
        assert!(model.predict(array![[1.0]].view()).is_err());
        assert!(model.predict(array![[1.0, f32::NAN]].view()).is_err());
    }
}
