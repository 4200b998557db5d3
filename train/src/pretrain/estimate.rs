//! What a recipe's model costs: parameters, multiply-accumulates and memory, counted from the architecture.
//!
//! A multiply-accumulate (MAC) is one multiplication with its addition, as in timm's tables.
//! Matrix products and convolutions are counted, norms and activations are not. A backward pass
//! costs twice its forward pass; a tower in chunks does its forward pass twice.

use serde::Serialize;

use super::{Precision, Recipe};
use crate::model::SimclrConfig;
use satmip::arch::names::{IMAGE, IMAGE_PROJECTOR, METADATA, METADATA_PROJECTOR};
use satmip::arch::{
    Arch, EfficientNetLiteConfig, ImageTower, MetadataTower, Projector, ResNetConfig,
    TabularConfig, TextConfig, VitConfig, weight_shapes,
};

/// Batches of pixels in memory: the step's own and two that are drawn ahead.
const BATCHES: f64 = 3.0;
/// Copies of a matrix of similarities that a loss keeps for its backward pass (our choice: the
/// product, its scaled and masked form, and the softmax).
const LOSS_COPIES: f64 = 3.0;

/// Counts for one recipe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Weights that are trained.
    pub parameters: Parameters,
    /// Image passes of a step for each chip.
    pub image_passes: usize,
    /// MACs of one forward pass.
    pub forward: ForwardMacs,
    /// MACs of a whole step, forward and backward, losses included.
    pub step_macs: u64,
    /// Memory of a step, in bytes.
    pub memory: Memory,
}

/// Trained weights by part; running statistics of batch norms are not trained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// Image tower.
    pub image: u64,
    /// Image projector.
    pub image_projector: u64,
    /// Metadata tower.
    pub metadata: u64,
    /// Metadata projector.
    pub metadata_projector: u64,
    /// SimCLR's head.
    pub simclr_head: u64,
    /// All of them, and the temperature.
    pub total: u64,
}

/// MACs of one forward pass of each part, for one picture or one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForwardMacs {
    /// Image tower, one view.
    pub image: u64,
    /// Image projector, one view.
    pub image_projector: u64,
    /// Metadata tower, one record.
    pub metadata: u64,
    /// Metadata projector, one record.
    pub metadata_projector: u64,
    /// SimCLR's head, one view.
    pub simclr_head: u64,
}

/// Bytes of a step by what they hold. Decoded chips, the program and what its libraries keep for
/// later come on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Weights, and their 16-bit copy under bf16.
    pub weights: u64,
    /// Gradients.
    pub gradients: u64,
    /// AdamW's two moments.
    pub optimizer: u64,
    /// Moving average of the weights.
    pub average: u64,
    /// What the backward pass reads: each layer's output once, of one chunk.
    pub activations: u64,
    /// Pixels of the step's views and of two batches drawn ahead.
    pub pixels: u64,
    /// Sum of these.
    pub total: u64,
}

/// MACs of a forward pass, and numbers that it keeps for the backward pass.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    macs: f64,
    kept: f64,
}

/// Counts the cost of a recipe's steps, for an architecture whose vocabulary, context and columns
/// are known. Captions are taken to fill the context; a run pads them to the longest of a batch.
///
/// Both must be valid ([`Recipe::validate`], [`Arch::validate`]).
pub fn estimate(recipe: &Recipe, arch: &Arch) -> Estimate {
    count(recipe, arch, None)
}

/// As [`estimate`], with captions of so many tokens.
pub(super) fn count(recipe: &Recipe, arch: &Arch, tokens: Option<usize>) -> Estimate {
    let head = recipe
        .simclr
        .as_ref()
        .filter(|_| recipe.method != super::Method::Satmip);
    let side = arch.metadata.as_ref();
    let (features, embed) = (arch.image.features(), arch.embed_dim);
    let image = match &arch.image {
        ImageTower::Vit(c) => vit(c, arch.preprocessing.size),
        ImageTower::ResNet(c) => resnet(c, arch.preprocessing.size),
        ImageTower::EfficientNetLite(c) => efficientnet(c, arch.preprocessing.size),
    };
    let metadata = side.map_or(Cost::default(), |side| match &side.tower {
        MetadataTower::Text(c) => text(c, tokens.unwrap_or(c.context)),
        MetadataTower::Tabular(c) => tabular(c),
    });
    let image_projector = side.map_or(Cost::default(), |_| {
        projector(&arch.image_projector, features, embed)
    });
    let metadata_projector = side.map_or(Cost::default(), |side| {
        projector(&side.projector, side.tower.features(), embed)
    });
    let simclr_head = head.map_or(Cost::default(), |head| simclr(head, features));

    let batch = recipe.batch_size as f64;
    let chunk = recipe.chunk.map_or(batch, |chunk| batch.min(chunk as f64));
    let passes = recipe.image_passes() as f64;
    let heads = head.map_or(0.0, |_| 2.0);
    let forwards = if chunk < batch { 4.0 } else { 3.0 };
    let width = head.map_or(0.0, |head| head.output as f64);
    let pairs = side.map_or(0.0, |_| batch * batch);
    let views = head.map_or(0.0, |_| 4.0 * batch * batch);
    let towers = passes * image.macs + metadata.macs;
    let small = image_projector.macs + metadata_projector.macs + heads * simclr_head.macs;
    let losses = pairs * embed as f64 + views * width;
    let step_macs = batch * (forwards * towers + 3.0 * small) + 3.0 * losses;

    let parameters = parameters(arch, head);
    let weights = parameters.total as f64 * 4.0;
    let half = recipe.precision == Precision::Bf16;
    let size = if half { 2.0 } else { 4.0 };
    let in_towers = chunk * (passes * image.kept + metadata.kept) * size;
    let in_heads =
        batch * (image_projector.kept + metadata_projector.kept + heads * simclr_head.kept) * 4.0;
    let in_losses = LOSS_COPIES * (pairs + views) * 4.0;
    let pixels = 3.0 * (arch.preprocessing.size as f64).powi(2);
    let parts = [
        weights * if half { 1.5 } else { 1.0 },
        weights,
        weights * 2.0,
        weights * f64::from(u8::from(recipe.ema.is_some())),
        in_towers + in_heads + in_losses,
        BATCHES * batch * passes * pixels * 4.0,
    ];
    let [weights, gradients, optimizer, average, activations, pixels] = parts.map(whole);
    Estimate {
        parameters,
        image_passes: recipe.image_passes(),
        forward: ForwardMacs {
            image: whole(image.macs),
            image_projector: whole(image_projector.macs),
            metadata: whole(metadata.macs),
            metadata_projector: whole(metadata_projector.macs),
            simclr_head: whole(simclr_head.macs),
        },
        step_macs: whole(step_macs),
        memory: Memory {
            weights,
            gradients,
            optimizer,
            average,
            activations,
            pixels,
            total: whole(parts.iter().sum()),
        },
    }
}

/// To the nearest whole number, at most the largest there is.
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn parameters(arch: &Arch, head: Option<&SimclrConfig>) -> Parameters {
    let shapes: Vec<(String, u64)> = weight_shapes(arch)
        .into_iter()
        .filter(|(name, _)| !name.contains(".running_"))
        .map(|(name, shape)| (name, shape.iter().map(|n| *n as u64).product()))
        .collect();
    let of = |part: &str| -> u64 {
        let named = shapes.iter().filter(|(name, _)| {
            name.strip_prefix(part)
                .is_some_and(|rest| rest.starts_with('.'))
        });
        named.map(|(_, count)| count).sum()
    };
    let simclr_head = head.map_or(0, |head| {
        let layers = layers(arch.image.features(), &head.hidden, head.output);
        let matrices: usize = layers.iter().map(|(i, o)| i * o).sum();
        let norms: usize = head.hidden.iter().map(|width| 2 * width).sum();
        (matrices + norms) as u64
    });
    Parameters {
        image: of(IMAGE),
        image_projector: of(IMAGE_PROJECTOR),
        metadata: of(METADATA),
        metadata_projector: of(METADATA_PROJECTOR),
        simclr_head,
        total: shapes.iter().map(|(_, count)| count).sum::<u64>() + simclr_head,
    }
}

/// Input and output width of linear layers in a row.
fn layers(input: usize, hidden: &[usize], output: usize) -> Vec<(usize, usize)> {
    let ins = std::iter::once(input).chain(hidden.iter().copied());
    let outs = hidden.iter().copied().chain([output]);
    ins.zip(outs).collect()
}

/// A block over `n` tokens: query, key, value and output; scores and their use; the MLP. Kept are
/// both norms, query to value, scores before and after the softmax, both sums, and the MLP.
fn block(n: f64, d: f64, heads: f64, fc1: f64, fc2: f64) -> Cost {
    Cost {
        macs: n * (4.0 * d * d + d * fc1 + fc2 * d) + 2.0 * n * n * d,
        kept: n * (10.0 * d + fc1 + fc2) + 2.0 * heads * n * n,
    }
}

fn blocks(depth: usize, block: Cost) -> Cost {
    Cost {
        macs: depth as f64 * block.macs,
        kept: depth as f64 * block.kept,
    }
}

fn vit(c: &VitConfig, size: usize) -> Cost {
    let (d, patches) = (c.dim as f64, c.patches(size) as f64);
    let (n, hidden) = (patches + 1.0, (c.mlp_ratio * c.dim) as f64);
    let all = blocks(c.depth, block(n, d, c.heads as f64, hidden, hidden));
    Cost {
        macs: all.macs + patches * d * 3.0 * (c.patch as f64).powi(2),
        kept: all.kept + 2.0 * n * d,
    }
}

fn text(c: &TextConfig, tokens: usize) -> Cost {
    let (d, n) = (c.dim as f64, tokens as f64);
    let all = blocks(c.depth, block(n, d, c.heads as f64, 4.0 * d, 4.0 * d));
    Cost {
        kept: all.kept + 2.0 * n * d,
        ..all
    }
}

fn tabular(c: &TabularConfig) -> Cost {
    let tokens = c.token_fields().len() + 1;
    let (d, hidden, n) = (c.dim as f64, c.hidden as f64, tokens as f64);
    let all = blocks(c.depth, block(n, d, c.heads as f64, 2.0 * hidden, hidden));
    Cost {
        kept: all.kept + 2.0 * n * d,
        ..all
    }
}

/// Convolutions; each one's output is kept, that of its norm and that of the ReLU.
fn resnet(c: &ResNetConfig, size: usize) -> Cost {
    const COPIES: f64 = 3.0;
    // With an odd kernel and half of it as padding, only the stride counts.
    let shrunk = |side: usize, stride: usize| (side.saturating_sub(1)) / stride.max(1) + 1;
    let mut cost = Cost::default();
    let mut conv = |side: usize, input: usize, output: usize, kernel: usize| {
        let area = (side as f64).powi(2);
        let (input, output) = (input as f64, output as f64);
        cost.macs += area * input * output * (kernel as f64).powi(2);
        cost.kept += COPIES * area * output;
    };
    let mut channels = c.widths.first().copied().unwrap_or(0);
    let mut side = shrunk(size, c.stem.stride);
    conv(side, 3, channels, c.stem.kernel);
    if c.stem.max_pool {
        side = shrunk(side, 2);
    }
    for (stage, (&width, &depth)) in c.widths.iter().zip(&c.depths).enumerate() {
        for block in 0..depth {
            let before = side;
            for part in c.block_convs(stage, block, channels) {
                // The shortcut reads what the block reads.
                let from = if part.is_shortcut() { before } else { side };
                let to = shrunk(from, part.stride);
                conv(to, part.input, part.output, part.kernel);
                if !part.is_shortcut() {
                    side = to;
                }
            }
            channels = width * c.block.expansion();
        }
    }
    cost
}

/// Convolutions; each one's output is kept, that of its norm, and that of its ReLU6 where it has one.
fn efficientnet(c: &EfficientNetLiteConfig, size: usize) -> Cost {
    let mut cost = Cost::default();
    let mut side = size;
    for (_, _, conv) in c.convs() {
        side = side.div_ceil(conv.stride);
        let area = (side as f64).powi(2);
        let weights: f64 = conv.shape().iter().map(|n| *n as f64).product();
        cost.macs += area * weights;
        cost.kept += area * conv.output as f64 * if conv.active { 3.0 } else { 2.0 };
    }
    cost
}

fn projector(projector: &Projector, input: usize, output: usize) -> Cost {
    linear(&projector.layers(input, output), 1.0)
}

fn simclr(head: &SimclrConfig, input: usize) -> Cost {
    linear(&layers(input, &head.hidden, head.output), 3.0)
}

/// Linear layers, each output kept so many times (a norm and a ReLU keep their own).
fn linear(layers: &[(usize, usize)], copies: f64) -> Cost {
    let products = layers.iter().map(|(i, o)| *i as f64 * *o as f64);
    let outputs = layers.iter().map(|(_, o)| *o as f64);
    Cost {
        macs: products.sum(),
        kept: copies * outputs.sum::<f64>(),
    }
}

#[cfg(test)]
mod tests;
