//! EfficientNet-Lite, with timm's names.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::Tensor;

use super::conv_norm::conv_norm;
use super::fresh::Fresh;
use crate::flat_names::FlatNames;
use satmip::arch::names::LITE_NORM_EPS;
use satmip::arch::{EfficientNetLiteConfig, LiteConv, MbConvBlock};

/// EfficientNet-Lite (Tan and Le 2019); features are the mean over the last map.
#[derive(Module, Debug)]
pub struct EfficientNetLite {
    conv_stem: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Vec<MbConv>>,
    conv_head: Conv2d,
    bn2: BatchNorm,
}

/// A block: `conv_pw` widens, `conv_dw` mixes places, `conv_pwl` narrows. Without a `conv_pwl` it does not widen:
/// `conv_dw` comes first and `conv_pw` second, each with the norm of its place.
#[derive(Module, Debug)]
struct MbConv {
    conv_pw: Conv2d,
    bn1: BatchNorm,
    conv_dw: Conv2d,
    bn2: BatchNorm,
    conv_pwl: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    #[module(skip)]
    skip: bool,
}

impl EfficientNetLite {
    /// A tower with fresh weights: kernels from N(0, 2 / fan out), norms of scale 1.
    pub(super) fn new(config: &EfficientNetLiteConfig, fresh: &Fresh) -> Self {
        let mut all = config.blocks().into_iter();
        let stages = config.stages.iter().map(|stage| {
            let blocks = all.by_ref().take(stage.depth);
            blocks
                .filter_map(|block| MbConv::new(&block, fresh))
                .collect()
        });
        let (stem, head) = (config.stem_conv(), config.head_conv());
        Self {
            conv_stem: of(&stem, fresh),
            bn1: batch_norm(stem.output, fresh),
            blocks: stages.collect(),
            conv_head: of(&head, fresh),
            bn2: batch_norm(head.output, fresh),
        }
    }

    /// The names that EfficientNet-PyTorch has for the same weights.
    pub(super) fn flat_names(&self) -> FlatNames {
        let widens = |block: &MbConv| block.conv_pwl.is_some();
        let stages = self.blocks.iter();
        FlatNames::of(stages.map(|blocks| (blocks.len(), blocks.iter().any(widens))))
    }

    /// `[batch, 3, height, width]` to `[batch, d]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu6(conv_norm(&self.conv_stem, &self.bn1, images));
        for block in self.blocks.iter().flatten() {
            x = block.forward(x);
        }
        let x = relu6(conv_norm(&self.conv_head, &self.bn2, x));
        let [batch, channels, height, width] = x.dims();
        x.reshape([batch, channels, height * width])
            .mean_dim(2)
            .squeeze_dim(2)
    }
}

impl MbConv {
    /// A block of two or three convolutions; the architecture has no others.
    fn new(block: &MbConvBlock, fresh: &Fresh) -> Option<Self> {
        let norm = |conv: &LiteConv| batch_norm(conv.output, fresh);
        let skip = block.skip;
        match block.convs.as_slice() {
            [depthwise, pointwise] => Some(Self {
                conv_dw: of(depthwise, fresh),
                bn1: norm(depthwise),
                conv_pw: of(pointwise, fresh),
                bn2: norm(pointwise),
                conv_pwl: None,
                bn3: None,
                skip,
            }),
            [widening, depthwise, narrowing] => Some(Self {
                conv_pw: of(widening, fresh),
                bn1: norm(widening),
                conv_dw: of(depthwise, fresh),
                bn2: norm(depthwise),
                conv_pwl: Some(of(narrowing, fresh)),
                bn3: Some(norm(narrowing)),
                skip,
            }),
            _ => None,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = input.clone();
        let x = match (&self.conv_pwl, &self.bn3) {
            (Some(conv_pwl), Some(bn3)) => {
                let x = relu6(conv_norm(&self.conv_pw, &self.bn1, x));
                let x = relu6(conv_norm(&self.conv_dw, &self.bn2, x));
                conv_norm(conv_pwl, bn3, x)
            }
            _ => {
                let x = relu6(conv_norm(&self.conv_dw, &self.bn1, x));
                conv_norm(&self.conv_pw, &self.bn2, x)
            }
        };
        match self.skip {
            true => x + input,
            false => x,
        }
    }
}

fn relu6(x: Tensor<4>) -> Tensor<4> {
    // One operation: two in place would take from the first the numbers that its gradient needs.
    x.clamp(0.0, 6.0)
}

fn of(conv: &LiteConv, fresh: &Fresh) -> Conv2d {
    let LiteConv {
        input,
        output,
        kernel,
        stride,
        groups,
        ..
    } = *conv;
    convolution(input, output, kernel, stride, groups, fresh)
}

/// A convolution without bias and with TensorFlow's padding, its weights from N(0, 2 / fan out), where the fan out
/// is that of a group, as timm's `efficientnet_init_weights` has it.
fn convolution(
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
    fresh: &Fresh,
) -> Conv2d {
    let fan_out = output * kernel * kernel / groups;
    let std = (2.0 / fan_out as f64).sqrt();
    let config = Conv2dConfig::new([input, output], [kernel, kernel])
        .with_stride([stride, stride])
        .with_groups(groups)
        // burn's rule is TensorFlow's: the one more pixel of an odd number is behind.
        .with_padding(PaddingConfig2d::Same)
        .with_bias(false);
    fresh.convolution(config, std)
}

/// Its running statistics move by a tenth at each step, as a ResNet's and those of timm's models; TensorFlow moves
/// them by a hundredth, which is too slow for runs of some hundred steps.
fn batch_norm(channels: usize, fresh: &Fresh) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_epsilon(LITE_NORM_EPS)
        .init(fresh.device)
}
