//! Logistic regression with an L2 penalty.

use ndarray::{ArrayView2, Axis, concatenate};

use super::lbfgs::minimise;
use super::linear::LinearModel;
use super::objective::{Objective, Targets};
use super::{check_classes, check_features, reason};
use satmip::Result;

/// How a regression is fitted: to the minimum of scikit-learn's objective,
/// `0.5 |W|² + C sum(loss)` with a bias that is not penalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// The search ends when the gradient of the objective over `C n` has a Euclidean norm below this.
    /// scikit-learn's default, 1e-4, is for the largest entry alone, so that ours is no looser.
    pub tolerance: f64,
    /// The search ends after this many iterations in any case.
    pub max_iterations: usize,
}

impl Default for Logistic {
    fn default() -> Self {
        Logistic {
            c: 1.0,
            tolerance: 1e-4,
            max_iterations: 1000,
        }
    }
}

/// A fitted regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The classifier.
    pub model: LinearModel,
    /// The objective over `C n`.
    pub objective: f64,
    /// The Euclidean norm of its gradient.
    pub gradient_norm: f64,
    /// Iterations of the search.
    pub iterations: usize,
    /// Whether the gradient is below the tolerance.
    pub converged: bool,
}

impl Logistic {
    /// With this C.
    pub fn with_c(self, c: f64) -> Self {
        Logistic { c, ..self }
    }

    /// Fits classes, one for each row of `features` `[n, d]`: softmax. With two classes one sigmoid, as
    /// scikit-learn, whose minimum is another than softmax's: class 1 has its weights, class 0 zeros.
    ///
    /// # Errors
    /// Without rows or columns, when a value is not finite, when labels do not fit, with fewer than two
    /// classes, or when C is not above 0.
    pub fn fit(&self, features: ArrayView2<f32>, labels: &[usize], classes: usize) -> Result<Fit> {
        self.fit_from(features, labels, classes, None)
    }

    /// As [`Logistic::fit`], from the weights of a model with the same shape: fewer iterations, where that
    /// is near.
    ///
    /// # Errors
    /// As [`Logistic::fit`], and when the model has another shape.
    pub fn fit_from(
        &self,
        features: ArrayView2<f32>,
        labels: &[usize],
        classes: usize,
        start: Option<&LinearModel>,
    ) -> Result<Fit> {
        check_classes("the features", features.nrows(), labels, classes)?;
        if classes < 2 {
            return Err(reason(format!("{classes} classes; two at least")));
        }
        if let Some(start) = start
            && start.weights.dim() != (classes, features.ncols())
        {
            return Err(reason("the first weights have another shape"));
        }
        if classes > 2 {
            return self.search(features, Targets::Classes { labels, classes }, start);
        }
        let of_one = ndarray::Array2::from_shape_fn((labels.len(), 1), |(row, _)| labels[row] == 1);
        let start = start.map(|model| LinearModel {
            weights: (&model.weights.row(1) - &model.weights.row(0)).insert_axis(Axis(0)),
            bias: ndarray::arr1(&[model.bias[1] - model.bias[0]]),
        });
        let mut fit = self.search(features, Targets::Labels(of_one.view()), start.as_ref())?;
        let (one, zero) = (&fit.model, LinearModel::zeros(1, features.ncols()));
        let stack = |e: ndarray::ShapeError| reason(e.to_string());
        fit.model = LinearModel {
            weights: concatenate(Axis(0), &[zero.weights.view(), one.weights.view()])
                .map_err(stack)?,
            bias: concatenate(Axis(0), &[zero.bias.view(), one.bias.view()]).map_err(stack)?,
        };
        Ok(fit)
    }

    /// Fits labels `[n, labels]` of which a row may have any number: a sigmoid for each. The minimum is that
    /// of one regression for each label.
    ///
    /// # Errors
    /// As [`Logistic::fit`].
    pub fn fit_labels(&self, features: ArrayView2<f32>, labels: ArrayView2<bool>) -> Result<Fit> {
        self.fit_labels_from(features, labels, None)
    }

    /// As [`Logistic::fit_labels`], from a model with the same shape.
    ///
    /// # Errors
    /// As [`Logistic::fit_from`].
    pub fn fit_labels_from(
        &self,
        features: ArrayView2<f32>,
        labels: ArrayView2<bool>,
        start: Option<&LinearModel>,
    ) -> Result<Fit> {
        let (rows, found) = (features.nrows(), labels.nrows());
        if rows != found || labels.ncols() == 0 {
            let width = labels.ncols();
            return Err(reason(format!(
                "features of {rows} rows, {width} labels of {found} rows"
            )));
        }
        self.search(features, Targets::Labels(labels), start)
    }

    fn search<'a>(
        &self,
        features: ArrayView2<'a, f32>,
        targets: Targets<'a>,
        start: Option<&LinearModel>,
    ) -> Result<Fit> {
        check_features("the features", features)?;
        if !(self.c > 0.0 && self.c.is_finite() && self.tolerance > 0.0) {
            let (c, tolerance) = (self.c, self.tolerance);
            return Err(reason(format!(
                "C {c} and tolerance {tolerance}; both must be above 0"
            )));
        }
        let penalty = 1.0 / (self.c * features.nrows() as f64);
        let objective = Objective::new(features, targets, penalty);
        let start = match start {
            Some(model) => model.weights.iter().chain(&model.bias).copied().collect(),
            None => vec![0.0; objective.len()],
        };
        if start.len() != objective.len() {
            return Err(reason("the first weights have another shape"));
        }
        let found = minimise(&objective, start, self.tolerance, self.max_iterations)?;
        let (weights, bias) = objective.split(&found.parameters)?;
        Ok(Fit {
            model: LinearModel {
                weights: weights.to_owned(),
                bias: bias.to_owned(),
            },
            objective: found.value,
            gradient_norm: found.gradient_norm,
            iterations: found.iterations,
            converged: found.gradient_norm < self.tolerance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn;
    use super::*;
    use ndarray::{Array2, array};

    fn sharp(c: f64) -> Logistic {
        Logistic {
            c,
            tolerance: 1e-10,
            max_iterations: 10_000,
        }
    }

    #[test]
    fn one_column_by_hand() {
        // Two rows at +-1: by symmetry the bias is 0, and w = C * 2 / (1 + exp(w)) at the minimum.
        let fit = sharp(3.0)
            .fit(array![[-1.0], [1.0]].view(), &[0, 1], 2)
            .unwrap();
        let w = fit.model.weights[[1, 0]];
        assert!((w - 3.0 * 2.0 / (1.0 + w.exp())).abs() < 1e-9, "{w}");
        assert!(fit.converged && fit.model.bias[1].abs() < 1e-9);
        assert_eq!(fit.model.weights[[0, 0]], 0.0);
    }

    #[test]
    fn a_bias_alone_gives_the_shares_of_the_classes() {
        // Features of zeros: softmax(bias) is how often each class is there.
        let features = Array2::zeros((10, 2));
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
        let fit = sharp(1.0).fit(features.view(), &labels, 3).unwrap();
        let odds = (&fit.model.bias - fit.model.bias[0]).mapv(f64::exp);
        for (found, expected) in odds.iter().zip([1.0, 0.6, 0.4]) {
            assert!((found - expected).abs() < 1e-8);
        }
    }

    #[test]
    fn labels_together_equal_labels_apart() {
        let features = drawn(200, 5, 1);
        let has = Array2::from_shape_fn((200, 3), |(row, label)| {
            features[[row, label]] + 0.5 * features[[row, 4]] > 0.2
        });
        let together = sharp(0.7).fit_labels(features.view(), has.view()).unwrap();
        for label in 0..3 {
            let one: Vec<usize> = has.column(label).iter().map(|h| usize::from(*h)).collect();
            let apart = sharp(0.7).fit(features.view(), &one, 2).unwrap().model;
            let far = (&together.model.weights.row(label) - &apart.weights.row(1)).mapv(f64::abs);
            assert!(far.iter().all(|d| *d < 1e-7), "{far}");
            assert!((together.model.bias[label] - apart.bias[1]).abs() < 1e-7);
        }
    }

    #[test]
    fn another_start_ends_at_the_same_minimum() {
        let features = drawn(300, 6, 2);
        let labels: Vec<usize> = (0..300).map(|row| (row * 7 + row / 9) % 4).collect();
        let first = sharp(0.01).fit(features.view(), &labels, 4).unwrap().model;
        let cold = sharp(10.0).fit(features.view(), &labels, 4).unwrap();
        let warm = sharp(10.0)
            .fit_from(features.view(), &labels, 4, Some(&first))
            .unwrap();
        let far = (&cold.model.weights - &warm.model.weights).mapv(f64::abs);
        assert!(cold.converged && warm.converged);
        assert!(far.iter().all(|d| *d < 1e-7));
    }

    #[test]
    fn separable_rows_with_almost_no_penalty_end() {
        let features = array![[1e4, 0.0], [-1e4, 0.0], [0.0, 1e4]];
        let fit = Logistic {
            tolerance: 1e-300,
            ..sharp(1e12)
        };
        let fit = fit.fit(features.view(), &[0, 1, 2], 3).unwrap();
        assert_eq!(fit.model.predict(features.view()).unwrap(), [0, 1, 2]);
        assert!(fit.model.weights.iter().all(|w| w.is_finite()));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let features = array![[1.0, 0.0], [0.0, 1.0]];
        let fit =
            |c: f64, labels: &[usize], classes| sharp(c).fit(features.view(), labels, classes);
        assert!(fit(0.0, &[0, 1], 2).is_err());
        assert!(fit(f64::NAN, &[0, 1], 2).is_err());
        assert!(fit(1.0, &[0, 0], 1).is_err());
        assert!(fit(1.0, &[0], 2).is_err());
        assert!(fit(1.0, &[0, 2], 2).is_err());
        let (nan, none) = (array![[f32::NAN], [0.0]], Array2::<f32>::zeros((0, 2)));
        assert!(sharp(1.0).fit(nan.view(), &[0, 1], 2).is_err());
        assert!(sharp(1.0).fit(none.view(), &[], 2).is_err());
        let other = LinearModel::zeros(3, 2);
        assert!(
            sharp(1.0)
                .fit_from(features.view(), &[0, 1], 2, Some(&other))
                .is_err()
        );
    }
}
