//! Contrastive losses.
//!
//! With cosine `s`, temperature `tau` and
//! `clr(a_i, b_i) = -log( exp(s(a_i, b_i) / tau) / sum_j exp(s(a_i, b_j) / tau) )`:
//!
//! - SatMIP: `1/2 (clr(z_I, z_M) + clr(z_M, z_I))`, the mean over the batch ([`info_nce`]);
//! - SimCLR: NT-Xent over two views of each picture ([`nt_xent`], Chen et al. 2020);
//! - SatMIPS: `SimCLR + lambda * SatMIP`.
//!
//! Beside them [`distillation`] keeps features near those of the network that a run starts from.

mod distillation;
mod info_nce;
mod nt_xent;
#[cfg(test)]
mod reference;

pub use distillation::distillation;
pub use info_nce::{MAX_LOGIT_SCALE, info_nce};
pub use nt_xent::nt_xent;
