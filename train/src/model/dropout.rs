//! Dropout from a stream of our own, so that a step drops the same on every device.

use std::cell::RefCell;

use burn::prelude::{Tensor, TensorData};
use rand::RngCore;
use rand_chacha::ChaCha8Rng;

/// What a pass drops: the same stream drops the same.
#[derive(Debug)]
pub struct Noise(RefCell<ChaCha8Rng>);

impl Noise {
    /// Noise from a stream, in the order in which layers ask for it.
    pub(crate) fn new(stream: ChaCha8Rng) -> Self {
        Self(RefCell::new(stream))
    }

    /// `x` with each number made 0 with probability `rate`, and the others divided by the share that stays.
    pub(super) fn drop<const D: usize>(&self, x: Tensor<D>, rate: f64) -> Tensor<D> {
        if rate <= 0.0 {
            return x;
        }
        let kept = (1.0 / (1.0 - rate)) as f32;
        let below = (rate * f64::from(u32::MAX)) as u32;
        let shape = x.dims();
        let mut rng = self.0.borrow_mut();
        let mut factor = || if rng.next_u32() < below { 0.0 } else { kept };
        let factors: Vec<f32> = (0..shape.iter().product()).map(|_| factor()).collect();
        let factors: Tensor<D> = Tensor::from_data(TensorData::new(factors, shape), &x.device());
        let factors = factors.cast(x.dtype());
        x * factors
    }
}

#[cfg(test)]
mod tests {
    use burn::prelude::Device;

    use super::*;
    use crate::data::{Stream, rng_for};

    #[test]
    fn the_share_is_as_asked_and_follows_from_the_stream() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::ones([100, 100], &device);
        let dropped = |step| {
            let noise = Noise::new(rng_for(1, Stream::Dropout, step, 0));
            let y = noise.drop(x.clone(), 0.2).into_data();
            y.try_to_vec::<f32>().unwrap()
        };
        let y = dropped(0);
        let zeros = y.iter().filter(|y| **y == 0.0).count();
        assert!((1800..2200).contains(&zeros), "{zeros}");
        assert!(y.iter().all(|y| *y == 0.0 || *y == 1.25));
        assert_eq!(y, dropped(0));
        assert_ne!(y, dropped(1));
    }
}
