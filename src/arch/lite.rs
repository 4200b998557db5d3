//! The published sizes of EfficientNet-Lite.
//!
//! The numbers are those of `efficientnet_lite_builder.py` and `efficientnet_builder.py` in
//! <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet>.

use super::{EfficientNetLiteConfig, MbConvStage};

/// Kernel, stride, expansion, width and depth of Lite0's stages, those of EfficientNet-B0
/// (`efficientnet_lite_builder.py`, `_DEFAULT_BLOCKS_ARGS`).
const STAGES: [[usize; 5]; 7] = [
    [3, 1, 1, 16, 1],
    [3, 2, 6, 24, 2],
    [5, 2, 6, 40, 2],
    [3, 2, 6, 80, 3],
    [5, 1, 6, 112, 3],
    [5, 2, 6, 192, 4],
    [3, 1, 6, 320, 1],
];

/// What widths and depths of Lite0 to Lite4 are multiplied by, in tenths (`efficientnet_lite_params`).
const SCALES: [(usize, usize); 5] = [(10, 10), (10, 11), (11, 12), (12, 14), (14, 18)];

impl EfficientNetLiteConfig {
    /// Number of published sizes.
    pub const SIZES: usize = SCALES.len();

    /// EfficientNet-Lite of a published size, 0 to 4: Lite0's stages with their widths and depths multiplied. First
    /// and last convolution keep their width, first and last stage their depth. A greater number is taken to be 4.
    pub fn lite(size: usize) -> Self {
        let (width, depth) = SCALES[size.min(SCALES.len() - 1)];
        let last = STAGES.len() - 1;
        let stages = STAGES.iter().enumerate().map(|(i, stage)| {
            let [kernel, stride, expansion, channels, blocks] = *stage;
            let scaled = (blocks * depth).div_ceil(10);
            MbConvStage {
                kernel,
                stride,
                expansion,
                width: round_width(channels * width),
                depth: if i == 0 || i == last { blocks } else { scaled },
            }
        });
        Self {
            stem: 32,
            stages: stages.collect(),
            head: 1280,
        }
    }
}

/// The multiple of 8 that is nearest to so many tenths, one more where more than a tenth would be lost
/// (`round_filters`).
fn round_width(tenths: usize) -> usize {
    let rounded = ((tenths + 40) / 80 * 8).max(8);
    if rounded * 100 < tenths * 9 {
        rounded + 8
    } else {
        rounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_depths_are_those_of_timm() {
        // `train/tests/reference/make_foreign.py` prints them from timm's models.
        for (size, widths, depths) in [
            (0, [16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1]),
            (1, [16, 24, 40, 80, 112, 192, 320], [1, 3, 3, 4, 4, 5, 1]),
            (2, [16, 24, 48, 88, 120, 208, 352], [1, 3, 3, 4, 4, 5, 1]),
            (3, [24, 32, 48, 96, 136, 232, 384], [1, 3, 3, 5, 5, 6, 1]),
            (4, [24, 32, 56, 112, 160, 272, 448], [1, 4, 4, 6, 6, 8, 1]),
        ] {
            let config = EfficientNetLiteConfig::lite(size);
            let found: Vec<_> = config.stages.iter().map(|s| (s.width, s.depth)).collect();
            let expected: Vec<_> = widths.into_iter().zip(depths).collect();
            assert_eq!(found, expected, "lite{size}");
            assert_eq!((config.stem, config.head), (32, 1280));
            config.validate().unwrap();
        }
    }
}
