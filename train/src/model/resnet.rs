//! ResNets of any width and depth, with torchvision's names.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::Tensor;
use burn::tensor::activation::relu;

use super::conv_norm::conv_norm;
use super::fresh::Fresh;
use satmip::arch::names::BATCH_NORM_EPS;
use satmip::arch::{ResNetBlock, ResNetConfig};

/// Residual network (He et al. 2016); features are the mean over the last map.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    max_pool: Option<MaxPool2d>,
    layers: Vec<Vec<Residual>>,
}

/// `relu(shortcut(x) + body(x))`; the body is two convolutions, or three in a bottleneck.
#[derive(Module, Debug)]
struct Residual {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    downsample: Option<Downsample>,
}

/// The shortcut where width or stride change: `downsample.0` and `downsample.1` in torchvision.
#[derive(Module, Debug)]
struct Downsample {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ResNet {
    /// A tower with Kaiming-normal weights (fan out), as torchvision's.
    pub(super) fn new(config: &ResNetConfig, fresh: &Fresh) -> Self {
        let mut width = config.widths[0];
        let stem = &config.stem;
        let pool = MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let mut layers = Vec::with_capacity(config.widths.len());
        for (stage, (&inner, &depth)) in config.widths.iter().zip(&config.depths).enumerate() {
            let mut blocks = Vec::with_capacity(depth);
            for index in 0..depth {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                blocks.push(Residual::new(config.block, width, inner, stride, fresh));
                width = inner * config.block.expansion();
            }
            layers.push(blocks);
        }
        Self {
            conv1: convolution(3, config.widths[0], stem.kernel, stem.stride, fresh),
            bn1: batch_norm(config.widths[0], fresh),
            max_pool: stem.max_pool.then(|| pool.init()),
            layers,
        }
    }

    /// `[batch, 3, height, width]` to `[batch, d]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(conv_norm(&self.conv1, &self.bn1, images));
        if let Some(pool) = &self.max_pool {
            x = pool.forward(x);
        }
        for block in self.layers.iter().flatten() {
            x = block.forward(x);
        }
        let [batch, channels, height, width] = x.dims();
        x.reshape([batch, channels, height * width])
            .mean_dim(2)
            .squeeze_dim(2)
    }
}

impl Residual {
    fn new(kind: ResNetBlock, input: usize, inner: usize, stride: usize, fresh: &Fresh) -> Self {
        let output = inner * kind.expansion();
        let conv = |i, o, kernel, stride| convolution(i, o, kernel, stride, fresh);
        let bottleneck = kind == ResNetBlock::Bottleneck;
        let (conv1, conv2) = if bottleneck {
            (conv(input, inner, 1, 1), conv(inner, inner, 3, stride))
        } else {
            (conv(input, inner, 3, stride), conv(inner, inner, 3, 1))
        };
        Self {
            conv1,
            bn1: batch_norm(inner, fresh),
            conv2,
            bn2: batch_norm(inner, fresh),
            conv3: bottleneck.then(|| conv(inner, output, 1, 1)),
            bn3: bottleneck.then(|| batch_norm(output, fresh)),
            downsample: (stride != 1 || input != output).then(|| Downsample {
                conv: conv(input, output, 1, stride),
                norm: batch_norm(output, fresh),
            }),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(d) => conv_norm(&d.conv, &d.norm, x.clone()),
            None => x.clone(),
        };
        let x = relu(conv_norm(&self.conv1, &self.bn1, x));
        let mut x = conv_norm(&self.conv2, &self.bn2, x);
        if let (Some(conv3), Some(bn3)) = (&self.conv3, &self.bn3) {
            x = conv_norm(conv3, bn3, relu(x));
        }
        relu(x + shortcut)
    }
}

fn convolution(input: usize, output: usize, kernel: usize, stride: usize, fresh: &Fresh) -> Conv2d {
    let pad = kernel / 2;
    // Kaiming-normal by fan out, gain of ReLU.
    let std = (2.0 / (output * kernel * kernel) as f64).sqrt();
    let config = Conv2dConfig::new([input, output], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false);
    fresh.convolution(config, std)
}

fn batch_norm(channels: usize, fresh: &Fresh) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_epsilon(BATCH_NORM_EPS)
        .init(fresh.device)
}
