//! Names and shapes of the weights, in PyTorch's layout (a linear weight is `[out, in]`).
//!
//! The image tower's names after the prefix are timm's (`Vit`, `EfficientNetLite`) and torchvision's (`ResNet`).
//!
//! | name | shape |
//! |---|---|
//! | `image.cls_token`, `image.pos_embed` | `[1, 1, d]`, `[1, patches + 1, d]` |
//! | `image.patch_embed.proj.{weight,bias}` | `[d, 3, patch, patch]`, `[d]` |
//! | `image.blocks.I.{norm1,norm2}.{weight,bias}` | `[d]` |
//! | `image.blocks.I.attn.{qkv,proj}.{weight,bias}` | `[3d, d]`, `[d, d]` |
//! | `image.blocks.I.mlp.{fc1,fc2}.{weight,bias}` | `[ratio d, d]`, `[d, ratio d]` |
//! | `image.norm.{weight,bias}` | `[d]` |
//! | `image.conv1.weight`, `image.bn1.*` | `[w, 3, k, k]`, `[w]` |
//! | `image.layerS.B.convN.weight`, `image.layerS.B.bnN.*` | S from 1, B from 0, N from 1 |
//! | `image.layerS.B.downsample.{0.weight,1.*}` | where width or stride change |
//! | `image.conv_stem.weight`, `image.bn1.*` | `[w, 3, 3, 3]`, `[w]` |
//! | `image.blocks.S.B.{conv_pw,conv_dw,conv_pwl}.weight` | S, B from 0; widening, depthwise, narrowing |
//! | `image.blocks.S.B.{bn1,bn2,bn3}.*` | in the convolutions' order |
//! | `image.blocks.S.B.{conv_dw,conv_pw}.weight`, `.{bn1,bn2}.*` | of a block with an expansion of 1 |
//! | `image.conv_head.weight`, `image.bn2.*` | `[d, w, 1, 1]`, `[d]` |
//! | `*.bn*.{weight,bias,running_mean,running_var}` | epsilon 1e-5, of an EfficientNet-Lite 1e-3 |
//! | `metadata.token_embedding.weight` | `[vocabulary, d]` |
//! | `metadata.positional_embedding` | `[context, d]` |
//! | `metadata.blocks.I.*`, `metadata.norm.*` | as the image tower's, ratio 4 |
//! | `metadata.numbers.{weight,bias}` | `[n, d]` (tabular, from here) |
//! | `metadata.categories.weight`, `metadata.categories.bias` | `[category rows, d]`, `[m, d]` |
//! | `metadata.missing` | `[fields, d]`, fields in canonical order |
//! | `metadata.cls_token` | `[d]` |
//! | `metadata.blocks.I.{norm1,norm2}.*` | `norm1` only from the second block on |
//! | `metadata.blocks.I.attn.{qkv,proj}.*` | as above |
//! | `metadata.blocks.I.mlp.{fc1,fc2}.{weight,bias}` | `[2 hidden, d]`, `[d, hidden]` |
//! | `metadata.norm.*` | `[d]` |
//! | `image_projector.layers.I.{weight,bias}` | `bias` for the MLP alone |
//! | `metadata_projector.layers.I.{weight,bias}` | likewise |
//! | `logit_scale` | `[1]`, natural logarithm of 1 / temperature |
//!
//! ReGLU: `fc1` gives `[value, gate]`, each `hidden` wide; the result is `value * relu(gate)`.
//! The order of the tabular tokens is class token, numbers, categories.

/// Prefix of the image tower.
pub const IMAGE: &str = "image";
/// Prefix of the metadata tower.
pub const METADATA: &str = "metadata";
/// Prefix of the image projector.
pub const IMAGE_PROJECTOR: &str = "image_projector";
/// Prefix of the metadata projector.
pub const METADATA_PROJECTOR: &str = "metadata_projector";
/// The logarithm of the inverse temperature.
pub const LOGIT_SCALE: &str = "logit_scale";
/// Epsilon of a ResNet's batch norms, torchvision's.
pub const BATCH_NORM_EPS: f64 = 1e-5;
/// Epsilon of an EfficientNet-Lite's batch norms, TensorFlow's (`efficientnet_lite_builder.py`, `batch_norm_epsilon`).
pub const LITE_NORM_EPS: f64 = 1e-3;
