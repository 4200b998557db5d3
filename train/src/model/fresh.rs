//! First weights. They are drawn on the CPU from streams of our own, and moved to the device: one seed gives one
//! model, whatever the device.

use std::cell::Cell;

use burn::module::Param;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::data::{Stream, rng_for};

/// Draws the first weights of a model, tensor by tensor.
#[derive(Debug)]
pub(super) struct Fresh<'a> {
    pub(super) device: &'a Device,
    seed: u64,
    /// Tensors drawn so far: each has a stream of its own.
    drawn: Cell<u64>,
}

impl<'a> Fresh<'a> {
    /// Weights for a device, all from one seed.
    pub(super) fn new(seed: u64, device: &'a Device) -> Self {
        Self {
            device,
            seed,
            drawn: Cell::new(0),
        }
    }

    /// From N(0, std).
    pub(super) fn normal<const D: usize>(&self, std: f64, shape: [usize; D]) -> Param<Tensor<D>> {
        self.draw(shape, StandardNormal, |x: f64| x * std)
    }

    /// From U(-bound, bound).
    pub(super) fn uniform<const D: usize>(
        &self,
        bound: f64,
        shape: [usize; D],
    ) -> Param<Tensor<D>> {
        // A bound of a finite, positive width is always a range.
        match Uniform::new(-1.0, 1.0) {
            Ok(unit) => self.draw(shape, unit, |x: f64| x * bound),
            Err(_) => self.zeros(shape),
        }
    }

    /// All 0.
    pub(super) fn zeros<const D: usize>(&self, shape: [usize; D]) -> Param<Tensor<D>> {
        Initializer::Zeros.init(shape, self.device)
    }

    /// A linear layer with weights from N(0, std) and zero biases.
    pub(super) fn linear(&self, input: usize, output: usize, std: f64) -> Linear {
        let mut layer = self.linear_without_bias(input, output, std);
        layer.bias = Some(self.zeros([output]));
        layer
    }

    /// A linear layer with weights from N(0, std) and no biases.
    pub(super) fn linear_without_bias(&self, input: usize, output: usize, std: f64) -> Linear {
        let mut layer = LinearConfig::new(input, output)
            .with_bias(false)
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        layer.weight = self.normal(std, [input, output]);
        layer
    }

    /// A convolution with weights from N(0, std), and zero biases where the settings have any.
    pub(super) fn convolution(&self, config: Conv2dConfig, std: f64) -> burn::nn::conv::Conv2d {
        let mut layer = config
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        layer.weight = self.normal(std, layer.weight.dims());
        layer
    }

    /// A layer norm that changes nothing but mean and variance.
    pub(super) fn layer_norm(&self, dim: usize, eps: f64) -> LayerNorm {
        LayerNormConfig::new(dim)
            .with_epsilon(eps)
            .init(self.device)
    }

    fn draw<const D: usize>(
        &self,
        shape: [usize; D],
        distribution: impl Distribution<f64>,
        scale: impl Fn(f64) -> f64,
    ) -> Param<Tensor<D>> {
        let number = self.drawn.get();
        self.drawn.set(number + 1);
        let rng = rng_for(self.seed, Stream::Weights, 0, number);
        let numbers = distribution.sample_iter(rng).take(shape.iter().product());
        let numbers: Vec<f32> = numbers.map(|x| scale(x) as f32).collect();
        Param::from_tensor(Tensor::from_data(
            TensorData::new(numbers, shape),
            self.device,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers<const D: usize>(weights: Param<Tensor<D>>) -> Vec<f32> {
        weights.val().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn weights_follow_from_seed_and_place_alone() {
        let device = Device::flex();
        let two = |seed| {
            let fresh = Fresh::new(seed, &device);
            [fresh.normal(0.5, [3, 4]), fresh.normal(0.5, [3, 4])].map(numbers)
        };
        let [first, second] = two(1);
        assert_ne!(first, second);
        // burn's own stream plays no part.
        device.seed(9);
        assert_eq!(two(1), [first.clone(), second]);
        assert_ne!(two(2)[0], first);
    }

    #[test]
    fn spread_and_bounds_are_as_asked() {
        let device = Device::flex();
        let fresh = Fresh::new(3, &device);
        let normal = numbers(fresh.normal(0.1, [100, 100]));
        let mean = normal.iter().sum::<f32>() / 1e4;
        let std = (normal.iter().map(|x| x * x).sum::<f32>() / 1e4).sqrt();
        assert!(
            mean.abs() < 0.004 && (std - 0.1).abs() < 0.004,
            "{mean} {std}"
        );
        let uniform = numbers(fresh.uniform(0.2, [10_000]));
        let most = uniform.iter().fold(0f32, |most, x| most.max(x.abs()));
        assert!(most <= 0.2 && most > 0.199, "{most}");
        assert_eq!(numbers(fresh.zeros([3])), [0.0; 3]);
    }
}
