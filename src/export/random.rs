//! Random weights for tests and benches.

use super::Weights;
use crate::arch::{Arch, names, weight_shapes};
use crate::error::Result;

impl Weights {
    /// Random weights for tests and benches: every tensor that `arch` has, with numbers of a size
    /// that keeps activations near 1. A model with them has learned nothing.
    ///
    /// The same seed gives the same weights on every machine of one C library; they are no part
    /// of the crate's promise of compatibility.
    ///
    /// # Errors
    /// [`Error::Arch`] for an architecture that cannot be.
    #[doc(hidden)]
    pub fn random(arch: &Arch, seed: u64) -> Result<Self> {
        arch.validate()?;
        let mut random = SplitMix(seed);
        let tensors = weight_shapes(arch)
            .into_iter()
            .map(|(name, shape)| {
                let count = shape.iter().product();
                let numbers = numbers(&name, &shape, count, &mut random);
                (name, (shape, numbers))
            })
            .collect();
        Weights::in_memory(&tensors, "(random weights)")
    }
}

fn numbers(name: &str, shape: &[usize], count: usize, random: &mut SplitMix) -> Vec<f32> {
    let mut fill = |mean: f64, std: f64| -> Vec<f32> {
        (0..count)
            .map(|_| (mean + std * random.normal()) as f32)
            .collect()
    };
    let is_scale = name.ends_with(".weight") && shape.len() == 1;
    if name == names::LOGIT_SCALE {
        return vec![(1.0_f32 / 0.07).ln()];
    }
    if name.ends_with("running_var") {
        return (0..count).map(|_| 0.5 + random.uniform() as f32).collect();
    }
    if is_scale {
        return fill(1.0, 0.1);
    }
    if name.ends_with("bias") || name.ends_with("running_mean") || name.contains("embed") {
        return fill(0.0, 0.2);
    }
    // Matrices and kernels keep the variance of what they get.
    let inputs: usize = shape.iter().skip(1).product();
    let is_token = shape.len() < 2 || name.contains("token") || name.contains("missing");
    match is_token {
        true => fill(0.0, 0.5),
        false => fill(0.0, (1.0 / inputs as f64).sqrt()),
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In 0 to 1, never 0.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller's transform.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
