//! The objective of a logistic regression, and its gradient.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use super::reason;
use satmip::Result;
use satmip::parts::threads;
use satmip::parts::threads::cores;

/// Rows that are multiplied at a time (our choice).
const BLOCK: usize = 256;
/// Parts that are summed one by one, at most: a number that does not depend on the threads.
const PARTS: usize = 64;
/// Products below which threads cost more than they bring.
const SMALL: usize = 1 << 20;

/// What the rows are.
#[derive(Clone, Copy)]
pub(super) enum Targets<'a> {
    /// One class each, `[n]`, of `classes`: softmax.
    Classes { labels: &'a [usize], classes: usize },
    /// Labels each has or has not, `[n, labels]`: a sigmoid each.
    Labels(ArrayView2<'a, bool>),
}

impl Targets<'_> {
    /// How many linear functions there are.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Targets::Classes { classes, .. } => *classes,
            Targets::Labels(labels) => labels.ncols(),
        }
    }

    /// From logits `[rows, outputs]` of the rows from `first` on: their summed loss; the logits become its
    /// gradient.
    pub(super) fn loss(&self, first: usize, mut logits: ArrayViewMut2<f64>) -> f64 {
        let rows = logits.outer_iter_mut().enumerate();
        rows.map(|(row, mut logits)| match self {
            Targets::Classes { labels, .. } => {
                let most = logits.fold(f64::NEG_INFINITY, |m, z| m.max(*z));
                let own = logits[labels[first + row]];
                logits.mapv_inplace(|z| (z - most).exp());
                let sum = logits.sum();
                logits /= sum;
                logits[labels[first + row]] -= 1.0;
                most + sum.ln() - own
            }
            Targets::Labels(labels) => {
                let mut loss = 0.0;
                for (z, has) in logits.iter_mut().zip(labels.row(first + row)) {
                    // log(1 + exp(z)), less z where the label is there, without overflow.
                    let small = (-z.abs()).exp();
                    let truth = if *has { 1.0 } else { 0.0 };
                    loss += z.max(0.0) + small.ln_1p() - truth * *z;
                    let share = if *z >= 0.0 { 1.0 } else { small } / (1.0 + small);
                    *z = share - truth;
                }
                loss
            }
        })
        .sum()
    }
}

/// Mean loss of the rows and `penalty / 2` times the squared weights, the bias being free.
///
/// This is scikit-learn's `0.5 |W|² + C sum(loss)` divided by `C n`, with `penalty = 1 / (C n)`.
/// Parameters are the weights `[outputs, d]`, then the bias `[outputs]`.
pub(super) struct Objective<'a> {
    features: ArrayView2<'a, f32>,
    targets: Targets<'a>,
    penalty: f64,
    threads: usize,
}

/// The objective at a place.
#[derive(Clone, Default)]
pub(super) struct Value {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
}

impl<'a> Objective<'a> {
    pub(super) fn new(features: ArrayView2<'a, f32>, targets: Targets<'a>, penalty: f64) -> Self {
        let small = features.len().saturating_mul(targets.outputs()) < SMALL;
        Objective {
            features,
            targets,
            penalty,
            threads: if small { 1 } else { cores() },
        }
    }

    /// How many parameters there are.
    pub(super) fn len(&self) -> usize {
        self.targets.outputs() * (self.features.ncols() + 1)
    }

    pub(super) fn at(&self, parameters: &[f64]) -> Result<Value> {
        let (rows, dim) = self.features.dim();
        let outputs = self.targets.outputs();
        let (weights, bias) = self.split(parameters)?;
        let part = rows.div_ceil(PARTS).next_multiple_of(BLOCK);
        let parts = threads::map("a probe", rows.div_ceil(part), self.threads, |index| {
            let last = ((index + 1) * part).min(rows);
            let (mut loss, mut of_weights) = (0.0, Array2::zeros((outputs, dim)));
            let mut of_bias = ndarray::Array1::<f64>::zeros(outputs);
            let mut wide = Array2::<f64>::zeros((BLOCK, dim));
            let mut logits = Array2::<f64>::zeros((BLOCK, outputs));
            for first in (index * part..last).step_by(BLOCK) {
                let rows = self
                    .features
                    .slice(s![first..(first + BLOCK).min(last), ..]);
                let mut wide = wide.slice_mut(s![..rows.nrows(), ..]);
                let mut logits = logits.slice_mut(s![..rows.nrows(), ..]);
                wide.zip_mut_with(&rows, |to, from| *to = f64::from(*from));
                logits.assign(&bias);
                general_mat_mul(1.0, &wide, &weights.t(), 1.0, &mut logits);
                loss += self.targets.loss(first, logits.view_mut());
                general_mat_mul(1.0, &logits.t(), &wide, 1.0, &mut of_weights);
                of_bias += &logits.sum_axis(Axis(0));
            }
            Ok((loss, of_weights, of_bias))
        })?;
        let squared = weights.iter().map(|w| w * w).sum::<f64>();
        let mut value = 0.5 * self.penalty * squared;
        let mut gradient = vec![0.0; parameters.len()];
        let scale = 1.0 / rows as f64;
        for (loss, of_weights, of_bias) in parts {
            value += scale * loss;
            for (sum, part) in gradient.iter_mut().zip(of_weights.iter().chain(&of_bias)) {
                *sum += scale * part;
            }
        }
        for (sum, weight) in gradient.iter_mut().zip(weights) {
            *sum += self.penalty * weight;
        }
        Ok(Value { value, gradient })
    }

    /// Weights and bias.
    pub(super) fn split<'p>(
        &self,
        parameters: &'p [f64],
    ) -> Result<(ArrayView2<'p, f64>, ArrayView1<'p, f64>)> {
        let shape = (self.targets.outputs(), self.features.ncols());
        let weights = parameters.get(..shape.0 * shape.1).unwrap_or(&[]);
        let bias = parameters.get(shape.0 * shape.1..).unwrap_or(&[]);
        let weights = ArrayView2::from_shape(shape, weights).map_err(|e| reason(e.to_string()))?;
        Ok((weights, ArrayView1::from(bias)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn;
    use super::*;

    fn parameters(count: usize) -> Vec<f64> {
        drawn(1, count, 9).iter().map(|v| f64::from(*v)).collect()
    }

    /// Compares the gradient with central differences.
    fn check_slope(objective: &Objective) {
        let at = parameters(objective.len());
        let found = objective.at(&at).unwrap();
        for index in 0..at.len() {
            let step = 1e-5;
            let moved = |by: f64| {
                let mut at = at.clone();
                at[index] += by;
                objective.at(&at).unwrap().value
            };
            let expected = (moved(step) - moved(-step)) / (2.0 * step);
            let found = found.gradient[index];
            assert!(
                (found - expected).abs() < 1e-8,
                "{index}: {found}, {expected}"
            );
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let features = drawn(300, 4, 1);
        let labels: Vec<usize> = (0..300).map(|row| row * row % 3).collect();
        let targets = Targets::Classes {
            labels: &labels,
            classes: 3,
        };
        check_slope(&Objective::new(features.view(), targets, 0.3));
        let has = Array2::from_shape_fn((300, 2), |(row, label)| (row + label) % 3 == 0);
        check_slope(&Objective::new(
            features.view(),
            Targets::Labels(has.view()),
            0.3,
        ));
    }

    #[test]
    fn zero_parameters_have_the_loss_of_a_guess() {
        let (features, labels) = (drawn(10, 2, 1), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]);
        let targets = Targets::Classes {
            labels: &labels,
            classes: 4,
        };
        let found = Objective::new(features.view(), targets, 1.0)
            .at(&[0.0; 12])
            .unwrap();
        assert!((found.value - 4.0f64.ln()).abs() < 1e-15);
        let has = Array2::from_elem((10, 3), true);
        let targets = Targets::Labels(has.view());
        let found = Objective::new(features.view(), targets, 1.0)
            .at(&[0.0; 9])
            .unwrap();
        assert!((found.value - 3.0 * 2.0f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn far_logits_stay_finite() {
        let features = ndarray::array![[1000.0f32], [-1000.0]];
        let targets = Targets::Classes {
            labels: &[1, 0],
            classes: 2,
        };
        let found = Objective::new(features.view(), targets, 0.0).at(&[5.0, -5.0, 0.0, 0.0]);
        assert_eq!(found.unwrap().value, 10_000.0);
        let has = ndarray::array![[false], [true]];
        let targets = Targets::Labels(has.view());
        let found = Objective::new(features.view(), targets, 0.0)
            .at(&[5.0, 0.0])
            .unwrap();
        assert_eq!((found.value, found.gradient), (5000.0, vec![1000.0, 0.0]));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let features = drawn(40_000, 6, 1);
        let labels: Vec<usize> = (0..40_000).map(|row| row % 3).collect();
        let targets = Targets::Classes {
            labels: &labels,
            classes: 3,
        };
        let mut objective = Objective::new(features.view(), targets, 0.3);
        let at = parameters(objective.len());
        let mut on = |threads: usize| {
            objective.threads = threads;
            let found = objective.at(&at).unwrap();
            (found.value, found.gradient)
        };
        let one = on(1);
        assert_eq!(one, on(2));
        assert_eq!(one, on(7));
    }
}
