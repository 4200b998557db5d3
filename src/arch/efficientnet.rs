//! EfficientNet-Lite.

use serde::{Deserialize, Serialize};

use super::positive;
use crate::error::{Error, Result};

/// An EfficientNet-Lite: EfficientNet (Tan and Le 2019) without squeeze-and-excitation and with ReLU6, as
/// TensorFlow's `efficientnet/lite` has it. `lite0` to `lite4` are special cases ([`Self::lite`]); other stages
/// also describe much smaller networks.
///
/// Batch norms have an epsilon of 1e-3 ([`names::LITE_NORM_EPS`](super::names::LITE_NORM_EPS)). Convolutions are
/// padded by TensorFlow's rule `SAME` ([`same_padding`]), which follows from the input size: any size will do, and
/// at a stride of 2 an even side gets its odd pixel at the bottom and at the right.
///
/// Features are the mean over the last feature map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetLiteConfig {
    /// Width of the first convolution, 3 x 3 with a stride of 2; 32 in every published size.
    pub stem: usize,
    /// Stages of blocks, in order.
    pub stages: Vec<MbConvStage>,
    /// Width of the last convolution, 1 x 1, and of the features; 1280 in every published size.
    pub head: usize,
}

/// A stage: blocks of one kind, of which the first may change the width and has the stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MbConvStage {
    /// Side of the depthwise kernels, odd.
    pub kernel: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// How many times wider than its input a block is inside. A block of 1 has no convolution that widens: it is
    /// a depthwise and a pointwise convolution, timm's `DepthwiseSeparableConv`.
    pub expansion: usize,
    /// Channels out.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
}

/// One block, with its input added to its output where both have one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MbConvBlock {
    /// Name after the tower's, for example `blocks.1.0`.
    pub name: String,
    /// Its convolutions in order.
    pub convs: Vec<LiteConv>,
    /// Whether the block's input is added to its output.
    pub skip: bool,
}

/// One convolution of an EfficientNet-Lite, with the batch norm behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteConv {
    /// Name after the block's (after the tower's where it is in no block), for example `conv_dw`.
    pub name: &'static str,
    /// The norm's name, likewise.
    pub norm: &'static str,
    /// Channels in.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Groups: as many as channels in a depthwise convolution, else 1.
    pub groups: usize,
    /// Whether ReLU6 follows the norm.
    pub active: bool,
}

impl LiteConv {
    /// Shape of the weight, `[out, in / groups, kernel, kernel]`.
    pub fn shape(&self) -> [usize; 4] {
        let per_group = self.input / self.groups.max(1);
        [self.output, per_group, self.kernel, self.kernel]
    }
}

/// TensorFlow's padding `SAME` of a side of `side` pixels: how many before it and how many behind it. The result has
/// `side / stride` pixels, rounded up; of an odd number of pixels the one more is behind.
pub fn same_padding(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let stride = stride.max(1);
    let reach = side.div_ceil(stride).saturating_sub(1) * stride + kernel;
    let total = reach.saturating_sub(side);
    (total / 2, total - total / 2)
}

impl EfficientNetLiteConfig {
    /// Width of each stage.
    pub fn widths(&self) -> Vec<usize> {
        self.stages.iter().map(|stage| stage.width).collect()
    }

    /// Number of blocks of each stage.
    pub fn depths(&self) -> Vec<usize> {
        self.stages.iter().map(|stage| stage.depth).collect()
    }

    /// The first convolution.
    pub fn stem_conv(&self) -> LiteConv {
        LiteConv {
            stride: 2,
            ..dense("conv_stem", "bn1", 3, self.stem, 3, true)
        }
    }

    /// The last convolution.
    pub fn head_conv(&self) -> LiteConv {
        let input = self.stages.last().map_or(self.stem, |stage| stage.width);
        dense("conv_head", "bn2", input, self.head, 1, true)
    }

    /// All blocks, in order.
    pub fn blocks(&self) -> Vec<MbConvBlock> {
        let mut blocks = Vec::new();
        let mut input = self.stem;
        for (s, stage) in self.stages.iter().enumerate() {
            for b in 0..stage.depth {
                let stride = if b == 0 { stage.stride } else { 1 };
                blocks.push(MbConvBlock {
                    name: format!("blocks.{s}.{b}"),
                    convs: stage.convs(input, stride),
                    skip: stride == 1 && input == stage.width,
                });
                input = stage.width;
            }
        }
        blocks
    }

    /// Every convolution with its name and its norm's, both after the tower's.
    #[doc(hidden)]
    pub fn convs(&self) -> Vec<(String, String, LiteConv)> {
        let single = |conv: LiteConv| (conv.name.to_owned(), conv.norm.to_owned(), conv);
        let inner = self.blocks().into_iter().flat_map(|block| {
            let named = move |conv: LiteConv| {
                let of = |part| format!("{}.{part}", block.name);
                (of(conv.name), of(conv.norm), conv)
            };
            block.convs.into_iter().map(named).collect::<Vec<_>>()
        });
        let ends = [single(self.stem_conv()), single(self.head_conv())];
        let [stem, head] = ends;
        [stem].into_iter().chain(inner).chain([head]).collect()
    }

    pub(super) fn validate(&self) -> Result<()> {
        positive("image.stem", self.stem)?;
        positive("image.head", self.head)?;
        if self.stages.is_empty() {
            return Err(Error::arch("image.stages", "needs at least one stage"));
        }
        let mut input = self.stem;
        for stage in &self.stages {
            if stage.kernel.is_multiple_of(2) || stage.kernel > 31 {
                let reason = format!("has a kernel of {}; odd and at most 31", stage.kernel);
                return Err(Error::arch("image.stages", reason));
            }
            positive("image.stages.stride", stage.stride)?;
            positive("image.stages.expansion", stage.expansion)?;
            positive("image.stages.width", stage.width)?;
            positive("image.stages.depth", stage.depth)?;
            // Inside a block as well.
            positive("image.stages.expansion", input * stage.expansion)?;
            positive("image.stages.expansion", stage.width * stage.expansion)?;
            input = stage.width;
        }
        Ok(())
    }
}

impl MbConvStage {
    /// The convolutions of a block that gets so many channels, under timm's names.
    fn convs(&self, input: usize, stride: usize) -> Vec<LiteConv> {
        let inner = input * self.expansion;
        let depthwise = |norm| LiteConv {
            stride,
            groups: inner,
            ..dense("conv_dw", norm, inner, inner, self.kernel, true)
        };
        if self.expansion == 1 {
            let pointwise = dense("conv_pw", "bn2", inner, self.width, 1, false);
            return vec![depthwise("bn1"), pointwise];
        }
        vec![
            dense("conv_pw", "bn1", input, inner, 1, true),
            depthwise("bn2"),
            dense("conv_pwl", "bn3", inner, self.width, 1, false),
        ]
    }
}

fn dense(
    name: &'static str,
    norm: &'static str,
    input: usize,
    output: usize,
    kernel: usize,
    active: bool,
) -> LiteConv {
    LiteConv {
        name,
        norm,
        input,
        output,
        kernel,
        stride: 1,
        groups: 1,
        active,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_that_of_tensorflow() {
        // side, kernel, stride, before, behind: by hand from the rule.
        for (side, kernel, stride, before, behind) in [
            (64, 3, 2, 0, 1),
            (33, 3, 2, 1, 1),
            (64, 5, 2, 1, 2),
            (33, 5, 2, 2, 2),
            (64, 3, 1, 1, 1),
            (7, 5, 1, 2, 2),
            (4, 1, 2, 0, 0),
            (1, 3, 2, 1, 1),
            (10, 3, 3, 1, 1),
        ] {
            let found = same_padding(side, kernel, stride);
            assert_eq!(found, (before, behind), "{side} {kernel} {stride}");
            let steps = (side + before + behind - kernel) / stride + 1;
            assert_eq!(steps, side.div_ceil(stride));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        type Change = fn(&mut EfficientNetLiteConfig);
        let changes: [(&str, Change); 6] = [
            ("image.stages", |c| c.stages.clear()),
            ("kernel of 4", |c| c.stages[2].kernel = 4),
            ("image.stages.stride", |c| c.stages[1].stride = 0),
            ("image.stages.depth", |c| c.stages[0].depth = 0),
            ("image.stages.expansion", |c| {
                c.stages[3].expansion = 1 << 16
            }),
            ("image.head", |c| c.head = 0),
        ];
        for (part, change) in changes {
            let mut config = EfficientNetLiteConfig::lite(0);
            change(&mut config);
            let text = config.validate().unwrap_err().to_string();
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
