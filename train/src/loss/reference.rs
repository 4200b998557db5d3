//! What the tests of the losses compare with: float64 and finite differences.

use burn::prelude::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(super) type Rows = Vec<Vec<f64>>;

/// Sums of a definition in float64.
pub(super) mod plain {
    pub(in crate::loss) fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    pub(in crate::loss) fn log_sum_exp(values: impl Iterator<Item = f64>) -> f64 {
        values.map(f64::exp).sum::<f64>().ln()
    }
}

/// Unit rows whose elements are exact in f32.
pub(super) fn random_rows(batch: usize, width: usize, seed: u64) -> Rows {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut row = || -> Vec<f64> {
        let raw: Vec<f64> = (0..width).map(|_| random.random_range(-1.0..1.0)).collect();
        let norm = plain::dot(&raw, &raw).sqrt();
        raw.iter().map(|v| f64::from((v / norm) as f32)).collect()
    };
    (0..batch).map(|_| row()).collect()
}

pub(super) fn tensor(rows: &Rows, device: &Device) -> Tensor<2> {
    let flat: Vec<f32> = rows.iter().flatten().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), rows[0].len()]), device)
}

pub(super) fn value(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// Central finite differences of a function of rows, with a step of 1e-6 in float64.
pub(super) fn gradients(rows: &Rows, function: impl Fn(&Rows) -> f64) -> Rows {
    const STEP: f64 = 1e-6;
    let mut moved = rows.clone();
    let mut result = rows.clone();
    for i in 0..rows.len() {
        for j in 0..rows[i].len() {
            moved[i][j] = rows[i][j] + STEP;
            let above = function(&moved);
            moved[i][j] = rows[i][j] - STEP;
            let below = function(&moved);
            moved[i][j] = rows[i][j];
            result[i][j] = (above - below) / (2.0 * STEP);
        }
    }
    result
}

pub(super) fn close(what: &str, found: Tensor<2>, expected: &Rows, tolerance: f64) {
    let found = found.into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(found.len(), expected.iter().map(Vec::len).sum::<usize>());
    for (found, expected) in found.into_iter().zip(expected.iter().flatten()) {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= tolerance,
            "{what}: {found}, expected {expected}"
        );
    }
}
