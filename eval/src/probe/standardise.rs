//! Features with mean 0 and standard deviation 1.

use ndarray::{Array2, ArrayView2, Axis};

use super::{check_features, reason};
use satmip::Result;

/// A column whose deviation is smaller than this times `1 + |mean|` (our choice) is constant but for rounding: its
/// deviation is taken for 1, as in scikit-learn, so that neither noise nor another value elsewhere is blown up.
const LEAST_DEVIATION: f64 = 1e-6;

/// Means and standard deviations of the training rows' columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardise {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standardise {
    /// Of the columns of `rows` `[n, d]`; the deviation is the population's (over n), as scikit-learn's
    /// `StandardScaler`.
    ///
    /// # Errors
    /// Without rows or columns, or when a value is not finite.
    pub fn fit(rows: ArrayView2<f32>) -> Result<Self> {
        check_features("the training rows", rows)?;
        let (count, dim) = (rows.nrows() as f64, rows.ncols());
        let mut mean = vec![0.0; dim];
        for row in rows.outer_iter() {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut deviation = vec![0.0; dim];
        for row in rows.outer_iter() {
            for ((sum, value), mean) in deviation.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(*value) - mean).powi(2);
            }
        }
        for (sum, mean) in deviation.iter_mut().zip(&mean) {
            let found = (*sum / count).sqrt();
            *sum = match found > LEAST_DEVIATION * (1.0 + mean.abs()) {
                true => found,
                false => 1.0,
            };
        }
        Ok(Standardise { mean, deviation })
    }

    /// Rows `[n, d]` less the mean, over the deviation.
    ///
    /// # Errors
    /// When the width is another.
    pub fn apply(&self, rows: ArrayView2<f32>) -> Result<Array2<f32>> {
        if rows.ncols() != self.mean.len() {
            let (found, expected) = (rows.ncols(), self.mean.len());
            return Err(reason(format!(
                "features have width {found}, those before {expected}"
            )));
        }
        let mut rows = rows.to_owned();
        for mut row in rows.outer_iter_mut() {
            for ((value, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *value = ((f64::from(*value) - mean) / deviation) as f32;
            }
        }
        Ok(rows)
    }
}

/// Blocks of features of the same rows side by side, as image and metadata.
///
/// # Errors
/// When they have not as many rows, or there is no block.
pub fn concatenate(blocks: &[ArrayView2<f32>]) -> Result<Array2<f32>> {
    ndarray::concatenate(Axis(1), blocks).map_err(|_| {
        let rows: Vec<usize> = blocks.iter().map(ArrayView2::nrows).collect();
        reason(format!("features of {rows:?} rows side by side"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn training_rows_have_mean_zero_and_deviation_one() {
        // Deviations of 1, 2, 3, 6 by hand: mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5.
        let rows = array![[1.0, -5.0], [2.0, -5.0], [3.0, -5.0], [6.0, -5.0]];
        let of = Standardise::fit(rows.view()).unwrap();
        let found = of.apply(rows.view()).unwrap();
        for (row, centred) in [-2.0f32, -1.0, 0.0, 3.0].into_iter().enumerate() {
            assert!((found[[row, 0]] - centred / 3.5f32.sqrt()).abs() < 1e-6);
            assert_eq!(found[[row, 1]], 0.0);
        }
        // What training knows one value of is taken as it is elsewhere.
        let other = of.apply(array![[3.0, -4.5]].view()).unwrap();
        assert_eq!(other, array![[0.0, 0.5]]);
    }

    #[test]
    fn rounding_of_a_constant_is_not_blown_up() {
        let value = 123.456f32;
        let rows = array![[value], [value], [value.next_up()]];
        let of = Standardise::fit(rows.view()).unwrap();
        let found = of.apply(rows.view()).unwrap();
        assert!(found.iter().all(|v| v.abs() < 0.1), "{found}");
    }

    #[test]
    fn blocks_stand_side_by_side() {
        let (a, b) = (array![[1.0], [2.0]], array![[3.0, 4.0], [5.0, 6.0]]);
        let found = concatenate(&[a.view(), b.view()]).unwrap();
        assert_eq!(found, array![[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]);
        assert!(concatenate(&[a.view(), array![[1.0]].view()]).is_err());
        assert!(concatenate(&[]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(Standardise::fit(Array2::zeros((0, 2)).view()).is_err());
        assert!(Standardise::fit(array![[f32::INFINITY]].view()).is_err());
        let of = Standardise::fit(array![[1.0]].view()).unwrap();
        assert!(of.apply(array![[1.0, 2.0]].view()).is_err());
    }
}
