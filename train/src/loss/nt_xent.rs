//! NT-Xent, SimCLR's loss.

use burn::prelude::{Int, Tensor};
use burn::tensor::Bool;
use burn::tensor::activation::log_softmax;

/// Takes a row itself out of its candidates: far below any logit, and finite so that no gradient
/// becomes NaN.
const NEVER: f32 = -1e9;

/// NT-Xent of two views' unit rows `[batch, e]`: each of the `2 batch` rows has its other view as
/// positive and all rows but itself as candidates. Returns `[1]`.
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = first.dims();
    let device = first.device();
    let both = Tensor::cat(vec![first, second], 0);
    // The rows are scaled and not the logits, which are as many as the rows squared.
    let logits = (both.clone() / temperature).matmul(both.transpose());
    let others = Tensor::<2, Bool>::diag_mask([2 * batch, 2 * batch], 0, &device);
    let logits = logits.mask_fill(others.bool_not(), NEVER);
    let n = batch as i64;
    let positive = Tensor::cat(
        vec![
            Tensor::<1, Int>::arange(n..2 * n, &device),
            Tensor::<1, Int>::arange(0..n, &device),
        ],
        0,
    )
    .reshape([2 * batch, 1]);
    -log_softmax(logits, 1).gather(1, positive).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Rows, close, gradients, plain, random_rows, tensor, value};
    use burn::prelude::Device;

    /// The definition in float64, for rows of any length.
    fn reference(first: &Rows, second: &Rows, temperature: f64) -> f64 {
        let both: Rows = first.iter().chain(second).cloned().collect();
        let n = first.len();
        let logit = |i: usize, j: usize| plain::dot(&both[i], &both[j]) / temperature;
        let one = |i: usize| {
            let candidates = (0..2 * n).filter(|j| *j != i).map(|j| logit(i, j));
            plain::log_sum_exp(candidates) - logit(i, (i + n) % (2 * n))
        };
        (0..2 * n).map(one).sum::<f64>() / (2 * n) as f64
    }

    fn ours(first: &Rows, second: &Rows, temperature: f64) -> f64 {
        let device = Device::flex();
        value(nt_xent(
            tensor(first, &device),
            tensor(second, &device),
            temperature,
        ))
    }

    #[test]
    fn two_pairs_by_hand() {
        // Both views of a picture are equal, the two pictures are orthogonal: each row has logits
        // 1/t for its other view, 0 and 0 for the others.
        let a = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let t = 0.5f64;
        let expected = -((1.0 / t).exp() / ((1.0 / t).exp() + 2.0)).ln();
        let found = ours(&a, &a, t);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn random_batches_equal_the_definition() {
        for (batch, width) in [(1, 1), (2, 3), (7, 5), (33, 16)] {
            for temperature in [1.0, 0.1, 0.01] {
                let (a, b) = (random_rows(batch, width, 5), random_rows(batch, width, 6));
                let (found, expected) = (ours(&a, &b, temperature), reference(&a, &b, temperature));
                let tolerance = 1e-6 * expected.abs().max(1.0 / temperature);
                assert!(
                    (found - expected).abs() <= tolerance,
                    "batch {batch}, t {temperature}: {found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let device = Device::flex().autodiff();
        for (batch, temperature) in [(1, 0.5), (4, 1.0), (6, 0.1), (5, 0.01)] {
            let (a, b) = (random_rows(batch, 3, 7), random_rows(batch, 3, 8));
            let x = tensor(&a, &device).require_grad();
            let y = tensor(&b, &device).require_grad();
            let grads = nt_xent(x.clone(), y.clone(), temperature).backward();
            let what = format!("batch {batch}, t {temperature}");
            let tolerance = 1e-5 / temperature;
            let expected = gradients(&a, |a| reference(a, &b, temperature));
            let found = x.grad(&grads).unwrap();
            close(&format!("{what}, first"), found, &expected, tolerance);
            let expected = gradients(&b, |b| reference(&a, b, temperature));
            let found = y.grad(&grads).unwrap();
            close(&format!("{what}, second"), found, &expected, tolerance);
        }
    }

    #[test]
    fn a_batch_of_one_has_no_loss() {
        assert_eq!(ours(&vec![vec![0.6, 0.8]], &vec![vec![1.0, 0.0]], 0.1), 0.0);
    }

    #[test]
    fn logits_of_ten_thousand_stay_finite() {
        let device = Device::flex().autodiff();
        let a = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let swapped: Rows = a.iter().rev().cloned().collect();
        for (b, expected) in [(&a, 0.0), (&swapped, 1e4)] {
            let x = tensor(&a, &device).require_grad();
            let y = tensor(b, &device).require_grad();
            let loss = nt_xent(x.clone(), y.clone(), 1e-4);
            assert!((value(loss.clone()) - expected).abs() < 1.0);
            let grads = loss.backward();
            for (rows, name) in [(x, "first"), (y, "second")] {
                let sum = value(rows.grad(&grads).unwrap().abs().sum());
                assert!(sum.is_finite(), "{name}: {sum}");
                assert_eq!(sum > 1.0, expected > 0.0, "{name}: {sum}");
            }
        }
    }
}
