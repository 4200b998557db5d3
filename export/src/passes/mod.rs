//! Other forms of a finished model.
//!
//! Each pass takes a model whose weights are f32 and gives one with the same inputs, outputs and
//! properties. Any model that [`check`](crate::check) accepts may be given; what a pass does not
//! know it leaves as it is.
//!
//! | pass | weights | arithmetic |
//! |---|---|---|
//! | [`half`] | f16 | f16; norms, softmax, pooling and what turns inputs into floats in f32 |
//! | [`dynamic_int8`] | matrices of 8 bit, a scale for each column | products of integers, the rest in f32 |
//! | [`weights_int8`] | matrices, kernels and tables of 8 bit | f32 |
//!
//! [`small_maps`] keeps the precision and changes the operators, for an engine that loads the model.

mod dynamic;
mod half;
mod quantise;
mod rewrite;
mod small_maps;
mod weights;

pub use dynamic::{dynamic_int8, linear_weights};
pub use half::half;
pub use small_maps::small_maps;
pub use weights::{kernel_weights, weights_int8};

/// Weights with fewer elements than this stay as they are: their bytes do not count, and their
/// scales would.
pub const SMALLEST: usize = 1024;
