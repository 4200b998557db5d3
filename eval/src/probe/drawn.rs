//! Features for tests.

use ndarray::Array2;
use rand::Rng;

use super::draws::{Purpose, stream};

/// Drawn rows with some that are equal.
pub(super) fn drawn(rows: usize, dim: usize, seed: u64) -> Array2<f32> {
    let mut rng = stream(seed, Purpose::Order, 0);
    let mut drawn = Array2::from_shape_simple_fn((rows, dim), || rng.random_range(-1.0..1.0));
    for copy in (10..rows).step_by(10) {
        let original = drawn.row(copy / 2).to_owned();
        drawn.row_mut(copy).assign(&original);
    }
    drawn
}
