//! Layers of Transformers and residual networks.
//!
//! A layer is a struct of its weights in PyTorch's layout; `apply` adds its nodes to a graph
//! under a scope and gives the result. Weights are moved in, not copied.

mod attention;
mod convolution;
mod linear;
mod token;
mod transformer;

pub use attention::{Attention, causal_mask, causal_mask_at};
pub use convolution::{BatchNorm, Conv2d, global_average};
pub use linear::{LayerNorm, Linear, unit_rows};
pub use token::{Embedding, PatchEmbed, Pooled, first_match, normalise_pixels, prepend_token};
pub use transformer::{Block, GeluMlp, Mlp, ReGlu};
