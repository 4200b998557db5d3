//! Depthwise convolutions over small maps, as products of matrices.
//!
//! On a map of 2 x 2 or 4 x 4 pixels a kernel of 5 x 5 is mostly padding, and libraries for convolutions are slow there:
//! their gradients took over a quarter of PyTorch's pass of EfficientNet-Lite0 at 64 pixels, forward and backward, on
//! one thread of a CPU (torch.profiler, batch 128, once). For each channel such a convolution is a product with a small
//! matrix, whose numbers are those of the kernel.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::prelude::{Device, Tensor, TensorData};

use satmip::arch::same_padding;

/// Most pixels of a map that is small, our choice: a matrix has the square of them, so that maps of 16 x 16 would cost
/// more products than a convolution saves.
const MOST_PIXELS: usize = 64;

/// The convolution's result.
pub(super) fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let weight = conv.weight.val();
    let [out, inner, kernel, _] = weight.dims();
    let depthwise = conv.groups == channels && out == channels && inner == 1;
    let plain = conv.dilation == [1, 1] && matches!(conv.padding, PaddingConfig2d::Same);
    if !depthwise || !plain || height * width > MOST_PIXELS || kernel == 1 {
        return conv.forward(x);
    }
    let axes = [(height, conv.stride[0]), (width, conv.stride[1])].map(|(size, stride)| Axis {
        size,
        stride,
        kernel,
    });
    let [rows, columns] = axes;
    let places = rows.outputs() * columns.outputs();
    // [channels, pixels, places]: the weight by which a pixel counts at a place.
    let by_kernel = weight.reshape([channels, kernel * kernel]);
    let matrices = by_kernel.matmul(selection(&rows, &columns, &x.device()));
    let matrices = matrices.reshape([channels, height * width, places]);
    let pixels = x.reshape([batch, channels, height * width]);
    let result = pixels.swap_dims(0, 1).matmul(matrices).swap_dims(0, 1);
    let result = match &conv.bias {
        Some(bias) => result + bias.val().reshape([1, channels, 1]),
        None => result,
    };
    result.reshape([batch, channels, rows.outputs(), columns.outputs()])
}

/// One axis of a convolution with TensorFlow's padding.
struct Axis {
    size: usize,
    stride: usize,
    kernel: usize,
}

impl Axis {
    fn outputs(&self) -> usize {
        self.size.div_ceil(self.stride)
    }

    /// The place in the kernel by which an input counts at an output.
    fn tap(&self, input: usize, output: usize) -> Option<usize> {
        let (before, _) = same_padding(self.size, self.kernel, self.stride);
        let tap = (input + before).checked_sub(output * self.stride)?;
        (tap < self.kernel).then_some(tap)
    }
}

/// `[kernel * kernel, pixels * places]`: 1 where a tap of the kernel is that of a pixel at a place.
fn selection(rows: &Axis, columns: &Axis, device: &Device) -> Tensor<2> {
    let (pixels, places) = (rows.size * columns.size, rows.outputs() * columns.outputs());
    let (taps, pairs) = (rows.kernel * columns.kernel, pixels * places);
    let mut numbers = vec![0f32; taps * pairs];
    for pixel in 0..pixels {
        for place in 0..places {
            let row = rows.tap(pixel / columns.size, place / columns.outputs());
            let column = columns.tap(pixel % columns.size, place % columns.outputs());
            if let (Some(row), Some(column)) = (row, column) {
                let tap = row * columns.kernel + column;
                numbers[tap * pairs + pixel * places + place] = 1.0;
            }
        }
    }
    Tensor::from_data(TensorData::new(numbers, [taps, pairs]), device)
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Distribution;

    use super::*;

    fn worst<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        assert_eq!(a.dims(), b.dims());
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn small_maps_give_values_and_gradients_of_the_convolution() {
        let device = Device::flex().autodiff();
        device.seed(7);
        for (size, kernel, stride) in [
            ([2, 2], 5, 1),
            ([4, 4], 5, 2),
            ([4, 4], 3, 1),
            ([8, 8], 5, 1),
            ([8, 8], 3, 2),
            ([5, 7], 5, 2),
            ([3, 1], 3, 2),
        ] {
            let conv = Conv2dConfig::new([6, 6], [kernel, kernel])
                .with_groups(6)
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Same)
                .init(&device);
            let x = [3, 6, size[0], size[1]];
            let x = Tensor::random(x, Distribution::Normal(0.0, 1.0), &device).require_grad();
            let (ours, theirs) = (convolve(&conv, x.clone()), conv.forward(x.clone()));
            let what = format!("{size:?} {kernel} {stride}");
            assert!(worst(ours.clone(), theirs.clone()) < 1e-5, "{what}");
            let weights = Tensor::random(ours.dims(), Distribution::Normal(0.0, 1.0), &device);
            let ours = (ours * weights.clone()).sum().backward();
            let theirs = (theirs * weights).sum().backward();
            let by = |g: &_| (x.grad(g).unwrap(), conv.weight.val().grad(g).unwrap());
            let (a, b) = (by(&ours), by(&theirs));
            assert!(worst(a.0, b.0) < 1e-4 && worst(a.1, b.1) < 1e-4, "{what}");
        }
    }

    #[test]
    fn other_convolutions_are_left_to_burn() {
        let device = Device::flex();
        let conv = Conv2dConfig::new([2, 4], [3, 3])
            .with_padding(PaddingConfig2d::Same)
            .init(&device);
        let x = Tensor::random([1, 2, 4, 4], Distribution::Normal(0.0, 1.0), &device);
        assert_eq!(worst(convolve(&conv, x.clone()), conv.forward(x)), 0.0);
    }
}
