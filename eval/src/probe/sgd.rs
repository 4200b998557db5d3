//! The linear probe with SGD: a softmax classifier.

use std::f64::consts::PI;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, s};
use rand::seq::SliceRandom;

use super::draws::{Purpose, stream};
use super::linear::LinearModel;
use super::objective::Targets;
use super::{check_classes, check_features, reason};
use satmip::Result;

/// How the probe is trained. The defaults are those of the usual linear evaluation: learning rate `0.1 batch / 256`,
/// momentum 0.9, no weight decay, a cosine over all steps, 90 epochs; batches of 256 are our choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate at a batch of 256; it is scaled by `batch / 256`.
    pub base_rate: f64,
    /// Share of the last step's direction that is kept, 0 to 1.
    pub momentum: f64,
    /// Times that each row is seen.
    pub epochs: usize,
    /// Rows of a step; the last one of an epoch has what is left.
    pub batch: usize,
    /// Of the order of the rows.
    pub seed: u64,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd {
            base_rate: 0.1,
            momentum: 0.9,
            epochs: 90,
            batch: 256,
            seed: 0,
        }
    }
}

impl Sgd {
    /// Trains on `features` `[n, d]` with one class each, from weights of zeros (our choice: the
    /// objective is convex). The order of the rows depends on seed and epoch alone.
    ///
    /// # Errors
    /// Without rows or columns, when a value is not finite, when labels do not fit, when epochs or batch
    /// are 0, or when the weights grow beyond all bounds.
    pub fn fit(
        &self,
        features: ArrayView2<f32>,
        labels: &[usize],
        classes: usize,
    ) -> Result<LinearModel> {
        check_features("the features", features)?;
        check_classes("the features", features.nrows(), labels, classes)?;
        let sound = self.base_rate > 0.0 && (0.0..1.0).contains(&self.momentum);
        if self.epochs == 0 || self.batch == 0 || !sound {
            return Err(reason(format!(
                "{self:?}: epochs, batch and rate must be above 0, momentum from 0 to below 1"
            )));
        }
        let (rows, dim) = features.dim();
        let batch = self.batch.min(rows);
        let steps = self.epochs * rows.div_ceil(batch);
        let mut model = LinearModel::zeros(classes, dim);
        let mut pace = LinearModel::zeros(classes, dim);
        let mut wide = Array2::<f64>::zeros((batch, dim));
        let mut logits = Array2::<f64>::zeros((batch, classes));
        let mut step = 0;
        for epoch in 0..self.epochs {
            let mut order: Vec<usize> = (0..rows).collect();
            order.shuffle(&mut stream(self.seed, Purpose::Order, epoch as u64));
            for rows in order.chunks(batch) {
                let mut wide = wide.slice_mut(s![..rows.len(), ..]);
                for (mut to, row) in wide.outer_iter_mut().zip(rows) {
                    to.zip_mut_with(&features.row(*row), |to, from| *to = f64::from(*from));
                }
                let labels: Vec<usize> = rows.iter().map(|row| labels[*row]).collect();
                let targets = Targets::Classes {
                    labels: &labels,
                    classes,
                };
                let mut logits = logits.slice_mut(s![..rows.len(), ..]);
                logits.assign(&model.bias);
                general_mat_mul(1.0, &wide, &model.weights.t(), 1.0, &mut logits);
                targets.loss(0, logits.view_mut());
                // PyTorch's momentum: v = m v + gradient, w = w - rate v.
                let scale = 1.0 / rows.len() as f64;
                general_mat_mul(scale, &logits.t(), &wide, self.momentum, &mut pace.weights);
                pace.bias *= self.momentum;
                pace.bias.scaled_add(scale, &logits.sum_axis(Axis(0)));
                let rate = self.rate(step, steps);
                model.weights.scaled_add(-rate, &pace.weights);
                model.bias.scaled_add(-rate, &pace.bias);
                step += 1;
            }
        }
        if model
            .weights
            .iter()
            .chain(&model.bias)
            .any(|w| !w.is_finite())
        {
            return Err(reason(format!(
                "the probe's weights are not finite with learning rate {}; standardise the features",
                self.rate(0, steps)
            )));
        }
        Ok(model)
    }

    /// The learning rate of a step: a half cosine, from the full rate towards 0 after the last step.
    fn rate(&self, step: usize, steps: usize) -> f64 {
        let full = self.base_rate * self.batch as f64 / 256.0;
        full * 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Logistic;
    use super::super::drawn::drawn;
    use super::*;
    use ndarray::array;

    #[test]
    fn two_steps_by_hand() {
        // One row x = 2 of class 0 of two. The first gradient is (-1/2, 1/2) for the biases, twice that for
        // the weights; the rates of two steps are the full one and half of it.
        let sgd = Sgd {
            epochs: 2,
            batch: 256,
            ..Sgd::default()
        };
        let found = sgd.fit(array![[2.0]].view(), &[0], 2).unwrap();
        let (w, b) = (0.1, 0.05);
        let logits: (f64, f64) = (2.0 * w + b, -2.0 * w - b);
        let wrong = 1.0 / (1.0 + (logits.0 - logits.1).exp());
        let pace = 0.9 * 0.5 + wrong;
        assert!((found.bias[0] - (b + 0.05 * pace)).abs() < 1e-12);
        assert!((found.bias[1] + (b + 0.05 * pace)).abs() < 1e-12);
        assert!((found.weights[[0, 0]] - (w + 0.05 * 2.0 * pace)).abs() < 1e-12);
    }

    #[test]
    fn the_rate_falls_as_a_cosine() {
        let sgd = Sgd {
            batch: 512,
            ..Sgd::default()
        };
        assert_eq!(sgd.rate(0, 100), 0.2);
        assert!((sgd.rate(50, 100) - 0.1).abs() < 1e-15);
        assert!(sgd.rate(99, 100) < 1e-4 && sgd.rate(99, 100) > 0.0);
    }

    #[test]
    fn it_comes_near_to_the_regression_without_penalty() {
        let features = drawn(2000, 8, 1);
        let class =
            |row: usize| usize::from(features[[row, 0]] + features[[(row * 7) % 2000, 3]] > 0.0);
        let labels: Vec<usize> = (0..2000).map(class).collect();
        let sgd = Sgd::default().fit(features.view(), &labels, 2).unwrap();
        let exact = Logistic {
            c: 1e6,
            ..Logistic::default()
        };
        let exact = exact.fit(features.view(), &labels, 2).unwrap().model;
        let weights = &sgd.weights.row(1) - &sgd.weights.row(0);
        let far = (&weights - &exact.weights.row(1)).mapv(f64::abs);
        assert!(far.iter().all(|d| *d < 0.05), "{far}");
    }

    #[test]
    fn the_seed_decides() {
        let features = drawn(300, 4, 1);
        let labels: Vec<usize> = (0..300).map(|row| row % 3).collect();
        let of = |seed| {
            Sgd {
                seed,
                epochs: 2,
                batch: 32,
                ..Sgd::default()
            }
            .fit(features.view(), &labels, 3)
            .unwrap()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn what_cannot_be_trained_is_an_error() {
        let features = array![[1.0], [2.0]];
        let fit = |sgd: Sgd| sgd.fit(features.view(), &[0, 1], 2);
        assert!(
            fit(Sgd {
                epochs: 0,
                ..Sgd::default()
            })
            .is_err()
        );
        assert!(
            fit(Sgd {
                batch: 0,
                ..Sgd::default()
            })
            .is_err()
        );
        assert!(
            fit(Sgd {
                base_rate: f64::NAN,
                ..Sgd::default()
            })
            .is_err()
        );
        assert!(
            fit(Sgd {
                base_rate: 1e308,
                ..Sgd::default()
            })
            .is_err()
        );
        assert!(Sgd::default().fit(features.view(), &[0, 2], 2).is_err());
    }
}
