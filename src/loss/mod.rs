//! Contrastive losses.
//!
//! With cosine `s`, temperature `tau` and
//! `clr(a_i, b_i) = -log( exp(s(a_i, b_i) / tau) / sum_j exp(s(a_i, b_j) / tau) )`:
//!
//! - SatMIP: `1/2 (clr(z_I, z_M) + clr(z_M, z_I))`, the mean over the batch ([`info_nce`]);
//! - SimCLR: NT-Xent over two views of each picture ([`nt_xent`], Chen et al. 2020);
//! - SatMIPS: `SimCLR + lambda * SatMIP`.

use burn::prelude::{Int, Tensor};
use burn::tensor::activation::log_softmax;

/// Largest logarithm of the inverse temperature, `ln 100` as in CLIP.
pub const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;

/// Symmetric InfoNCE of unit rows `[batch, e]`; `logit_scale` `[1]` is the logarithm of `1 / tau`.
/// Returns `[1]`.
pub fn info_nce(images: Tensor<2>, metadata: Tensor<2>, logit_scale: Tensor<1>) -> Tensor<1> {
    let [batch, _] = images.dims();
    let device = images.device();
    let logits = images.matmul(metadata.transpose()) * logit_scale.exp().unsqueeze::<2>();
    let own = Tensor::<1, Int>::arange(0..batch as i64, &device).reshape([batch, 1]);
    let by_image = log_softmax(logits.clone(), 1).gather(1, own.clone());
    let by_metadata = log_softmax(logits.transpose(), 1).gather(1, own);
    (by_image.mean() + by_metadata.mean()) * -0.5
}

/// NT-Xent of two views' unit rows `[batch, e]`: each of the `2 batch` rows has its other view as
/// positive and all rows but itself as candidates. Returns `[1]`.
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = first.dims();
    let device = first.device();
    let both = Tensor::cat(vec![first, second], 0);
    let logits = both.clone().matmul(both.transpose()) / temperature;
    let own = Tensor::<2>::eye(2 * batch, &device).bool();
    // Far below any logit, and finite so that no gradient becomes NaN.
    let logits = logits.mask_fill(own, -1e9);
    let n = batch as i64;
    let other = Tensor::cat(
        vec![
            Tensor::<1, Int>::arange(n..2 * n, &device),
            Tensor::<1, Int>::arange(0..n, &device),
        ],
        0,
    )
    .reshape([2 * batch, 1]);
    -log_softmax(logits, 1).gather(1, other).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::prelude::Device;

    fn rows(values: &[[f32; 2]], device: &Device) -> Tensor<2> {
        let flat: Vec<f32> = values.iter().flatten().copied().collect();
        Tensor::from_data(
            burn::tensor::TensorData::new(flat, [values.len(), 2]),
            device,
        )
    }

    /// Symmetric InfoNCE in float64 by its definition.
    fn info_nce_f64(a: &[[f64; 2]], b: &[[f64; 2]], scale: f64) -> f64 {
        let dot = |x: &[f64; 2], y: &[f64; 2]| (x[0] * y[0] + x[1] * y[1]) * scale;
        let clr = |a: &[[f64; 2]], b: &[[f64; 2]]| -> f64 {
            (0..a.len())
                .map(|i| {
                    let all: f64 = b.iter().map(|y| dot(&a[i], y).exp()).sum();
                    -(dot(&a[i], &b[i]).exp() / all).ln()
                })
                .sum::<f64>()
                / a.len() as f64
        };
        0.5 * (clr(a, b) + clr(b, a))
    }

    #[test]
    fn info_nce_equals_its_definition() {
        let device = Device::flex();
        let a = [[1.0, 0.0], [0.6, 0.8], [0.0, -1.0]];
        let b = [[0.8, 0.6], [0.0, 1.0], [-0.6, -0.8]];
        let to_f32 = |m: [[f64; 2]; 3]| m.map(|r| r.map(|v| v as f32));
        let scale = Tensor::<1>::from_data([2.5f32.ln()], &device);
        let ours = info_nce(rows(&to_f32(a), &device), rows(&to_f32(b), &device), scale);
        let expected = info_nce_f64(&a, &b, 2.5);
        assert!((f64::from(ours.into_scalar::<f32>()) - expected).abs() < 1e-6);
    }

    #[test]
    fn a_batch_of_one_has_no_loss() {
        let device = Device::flex();
        let x = rows(&[[1.0, 0.0]], &device);
        let scale = Tensor::<1>::from_data([0.0f32], &device);
        assert_eq!(
            info_nce(x.clone(), x.clone(), scale).into_scalar::<f32>(),
            0.0
        );
        assert_eq!(nt_xent(x.clone(), x, 0.1).into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn large_logits_stay_finite() {
        let device = Device::flex();
        let a = rows(&[[1.0, 0.0], [0.0, 1.0]], &device);
        let scale = Tensor::<1>::from_data([1e4f32.ln()], &device);
        let wrong = info_nce(a.clone(), a.clone().flip([0]), scale).into_scalar::<f32>();
        assert!((wrong - 1e4).abs() < 1.0, "{wrong}");
        assert!(nt_xent(a.clone(), a, 1e-4).into_scalar::<f32>().is_finite());
    }

    #[test]
    fn nt_xent_of_two_pairs_by_hand() {
        // Both views of a picture are equal, the two pictures are orthogonal: each row has logits
        // 1/t for its other view, 0 and 0 for the others.
        let device = Device::flex();
        let a = rows(&[[1.0, 0.0], [0.0, 1.0]], &device);
        let t = 0.5f64;
        let expected = -((1.0 / t).exp() / ((1.0 / t).exp() + 2.0)).ln();
        let ours = nt_xent(a.clone(), a, t).into_scalar::<f32>();
        assert!(
            (f64::from(ours) - expected).abs() < 1e-6,
            "{ours} {expected}"
        );
    }
}
