//! Distance of features to those of another network.

use burn::prelude::Tensor;

use crate::model::unit_rows;

/// The mean over the batch of `1 - cos(x - m, t - m)`, with `m` the mean of `taught` over the batch, from 0 to 2:
/// how far the features `[batch, d]` have turned from the teacher's, `[batch, d]`, which are without a graph.
///
/// Features behind a ReLU all point into one corner, so that cosines without a centre tell little. Keeping
/// features near those of the network that one starts from is Learning without Forgetting's idea (Li and Hoiem
/// 2016); the centred cosine is our choice.
pub fn distillation(features: Tensor<2>, taught: Tensor<2>) -> Tensor<1> {
    let centre = Tensor::from_inner(taught.clone().mean_dim(0));
    let ours = unit_rows(features - centre.clone());
    let theirs = unit_rows(Tensor::from_inner(taught) - centre);
    1.0 - (ours * theirs).sum_dim(1).mean()
}

#[cfg(test)]
mod tests {
    use burn::prelude::Device;

    use super::*;

    #[test]
    fn equal_features_are_at_0_and_turned_ones_further() {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let taught = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 1.0], [2.0, 6.0]], &plain);
        let at = |x: Tensor<2>| distillation(x, taught.clone()).into_scalar::<f32>();
        let same = Tensor::from_inner(taught.clone());
        assert!(at(same.clone()).abs() < 1e-6);
        // The mean is (2, 3): pictures opposite to it are at the greatest distance.
        let opposite = same.clone().neg() + Tensor::<2>::from_data([[4.0, 6.0]], &device);
        assert!((at(opposite) - 2.0).abs() < 1e-5);
        // By hand: (-1, -1), (1, -2), (0, 3) against (-1, -1), (1, -2), (3, 3).
        let other = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 1.0], [5.0, 6.0]], &device);
        let expected = (1.0 - 0.5f32.sqrt()) / 3.0;
        assert!((at(other) - expected).abs() < 1e-6);
    }
}
