//! Symmetric InfoNCE.

use burn::prelude::{Int, Tensor};
use burn::tensor::activation::log_softmax;

/// Largest logarithm of the inverse temperature, `ln 100` as in CLIP.
pub const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;

/// Symmetric InfoNCE of unit rows `[batch, e]`; `logit_scale` `[1]` is the logarithm of `1 / tau`.
/// Returns `[1]`.
pub fn info_nce(images: Tensor<2>, metadata: Tensor<2>, logit_scale: Tensor<1>) -> Tensor<1> {
    let [batch, _] = images.dims();
    let own = Tensor::<1, Int>::arange(0..batch as i64, &images.device());
    // The rows are scaled and not the logits, which are as many as the batch squared.
    let rows = images * logit_scale.exp().unsqueeze::<2>();
    let logits = rows.matmul(metadata.transpose());
    let by_image = log_softmax(logits.clone(), 1).gather(1, own.clone().reshape([batch, 1]));
    let by_metadata = log_softmax(logits, 0).gather(0, own.reshape([1, batch]));
    (by_image.mean() + by_metadata.mean()) * -0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Rows, close, gradients, plain, random_rows, tensor, value};
    use burn::prelude::Device;

    /// The definition in float64. Like the tensors it does not ask whether the rows are of unit
    /// length, so that each element may be moved by itself.
    fn reference(images: &Rows, metadata: &Rows, logit_scale: f64) -> f64 {
        let logit = |i: usize, j: usize| logit_scale.exp() * plain::dot(&images[i], &metadata[j]);
        let n = images.len();
        let one = |i: usize| {
            let row = (0..n).map(|j| logit(i, j));
            let column = (0..n).map(|j| logit(j, i));
            0.5 * (plain::log_sum_exp(row) + plain::log_sum_exp(column)) - logit(i, i)
        };
        (0..n).map(one).sum::<f64>() / n as f64
    }

    fn ours(images: &Rows, metadata: &Rows, logit_scale: f64, device: &Device) -> f64 {
        let scale = Tensor::from_data([logit_scale as f32], device);
        value(info_nce(
            tensor(images, device),
            tensor(metadata, device),
            scale,
        ))
    }

    #[test]
    fn two_pairs_by_hand() {
        // Cosines 1 and 0.6 in the first row, 0 and 0.8 in the second, 1 / tau = 2.
        let images = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let metadata = vec![vec![1.0, 0.0], vec![0.6, 0.8]];
        let rows = (1.0 + (-0.8f64).exp()).ln() + (1.0 + (-1.6f64).exp()).ln();
        let columns = (1.0 + (-2.0f64).exp()).ln() + (1.0 + (-0.4f64).exp()).ln();
        let expected = (rows + columns) / 4.0;
        let found = ours(&images, &metadata, 2f64.ln(), &Device::flex());
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn random_batches_equal_the_definition() {
        let device = Device::flex();
        for (batch, width) in [(1, 1), (2, 3), (7, 5), (33, 16)] {
            for inverse in [1.0f64, 1.0 / 0.07, 100.0] {
                let (a, b) = (random_rows(batch, width, 1), random_rows(batch, width, 2));
                let expected = reference(&a, &b, inverse.ln());
                let found = ours(&a, &b, inverse.ln(), &device);
                let tolerance = 1e-6 * expected.abs().max(inverse);
                assert!(
                    (found - expected).abs() <= tolerance,
                    "batch {batch}, 1/tau {inverse}: {found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let device = Device::flex().autodiff();
        for (batch, inverse) in [(1, 5.0f64), (4, 1.0), (6, 1.0 / 0.07), (5, 100.0)] {
            let (a, b) = (random_rows(batch, 3, 3), random_rows(batch, 3, 4));
            let x = tensor(&a, &device).require_grad();
            let y = tensor(&b, &device).require_grad();
            let scale = Tensor::<1>::from_data([inverse.ln() as f32], &device).require_grad();
            let grads = info_nce(x.clone(), y.clone(), scale.clone()).backward();
            let what = format!("batch {batch}, 1/tau {inverse}");
            let tolerance = 1e-5 * inverse;
            let expected = gradients(&a, |a| reference(a, &b, inverse.ln()));
            let found = x.grad(&grads).unwrap();
            close(&format!("{what}, images"), found, &expected, tolerance);
            let expected = gradients(&b, |b| reference(&a, b, inverse.ln()));
            let found = y.grad(&grads).unwrap();
            close(&format!("{what}, metadata"), found, &expected, tolerance);
            let expected = gradients(&vec![vec![inverse.ln()]], |s| reference(&a, &b, s[0][0]));
            let found = scale.grad(&grads).unwrap().unsqueeze();
            close(&format!("{what}, scale"), found, &expected, tolerance);
        }
    }

    #[test]
    fn a_batch_of_one_has_no_loss() {
        let x = vec![vec![0.6, 0.8]];
        assert_eq!(ours(&x, &x, 0.0, &Device::flex()), 0.0);
        assert_eq!(ours(&x, &x, MAX_LOGIT_SCALE, &Device::flex()), 0.0);
    }

    #[test]
    fn logits_of_ten_thousand_stay_finite() {
        let device = Device::flex().autodiff();
        let a = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let swapped: Rows = a.iter().rev().cloned().collect();
        for (b, expected) in [(&a, 0.0), (&swapped, 1e4)] {
            let x = tensor(&a, &device).require_grad();
            let y = tensor(b, &device).require_grad();
            let scale = Tensor::<1>::from_data([1e4f32.ln()], &device).require_grad();
            let loss = info_nce(x.clone(), y.clone(), scale.clone());
            assert!((value(loss.clone()) - expected).abs() < 1.0);
            let grads = loss.backward();
            let all = [
                x.grad(&grads).unwrap().abs().sum(),
                y.grad(&grads).unwrap().abs().sum(),
                scale.grad(&grads).unwrap().abs().sum(),
            ];
            for (sum, name) in all.into_iter().zip(["images", "metadata", "scale"]) {
                let sum = value(sum);
                assert!(sum.is_finite(), "{name}: {sum}");
                // A pair that is found has no gradient left, one that is not has all of it.
                assert_eq!(sum > 1.0, expected > 0.0, "{name}: {sum}");
            }
        }
    }
}
