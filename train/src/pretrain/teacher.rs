//! The network that a run goes on from, as it was: training keeps features near what it gives.

use std::ops::Range;
use std::sync::Arc;

use burn::module::Module;
use burn::prelude::{Device, Tensor, TensorData};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use super::Recipe;
use super::workers::{Workers, side_by_side};
use crate::model::ImageEncoder;
use satmip::Result;

/// An image tower that learns nothing and takes the running statistics of its batch norms.
#[derive(Debug)]
pub(super) struct Teacher {
    tower: ImageEncoder,
    /// Pixels a side of what it sees.
    size: usize,
}

impl Teacher {
    /// The tower as it is now, where the recipe asks for a teacher.
    pub(super) fn of(recipe: &Recipe, tower: &ImageEncoder) -> Option<Self> {
        let init = recipe.init.as_ref().filter(|init| init.distill > 0.0)?;
        Some(Self {
            tower: tower.valid(),
            size: init.distill_size.unwrap_or(recipe.preprocessing.size),
        })
    }

    /// Its features, `[batch, d]`, of pixels `[batch, 3, size, size]`, so many chips at a time.
    ///
    /// Two halves of the batch pass side by side. Halves, not parts for each core, because the sums of a part depend on
    /// how large it is.
    pub(super) fn features(
        &self,
        pixels: &Arc<Vec<f32>>,
        size: usize,
        chunk: usize,
        device: &Device,
        workers: Option<&Workers>,
    ) -> Result<Tensor<2>> {
        let chips = pixels.len() / (3 * size * size);
        let device = device.clone().without_autodiff();
        let halves = [0..chips / 2, chips / 2..chips].into_iter();
        let halves = halves.filter(|half| !half.is_empty()).map(|chips| Half {
            tower: self.tower.clone(),
            pixels: Arc::clone(pixels),
            sizes: [size, self.size],
            chips,
            chunk,
            device: device.clone(),
        });
        let features = side_by_side(workers, 0, halves.collect(), Half::features)?;
        Ok(Tensor::cat(features, 0))
    }
}

/// Some chips of a batch.
struct Half {
    tower: ImageEncoder,
    pixels: Arc<Vec<f32>>,
    /// Pixels a side of what is given and of what the tower sees.
    sizes: [usize; 2],
    chips: Range<usize>,
    chunk: usize,
    device: Device,
}

impl Half {
    fn features(self) -> Result<Tensor<2>> {
        let [given, seen] = self.sizes;
        let chip = 3 * given * given;
        let pixels = &self.pixels[self.chips.start * chip..self.chips.end * chip];
        let parts = pixels.chunks(self.chunk * chip).map(|part| {
            let shape = [part.len() / chip, 3, given, given];
            let images = TensorData::new(part.to_vec(), shape);
            let images = resized(Tensor::from_data(images, &self.device), seen);
            self.tower.forward(images)
        });
        Ok(Tensor::cat(parts.collect(), 0))
    }
}

/// Bicubic around the same centre, by PyTorch's kernel (a = -0.75; that of pictures in files is Pillow's, -0.5). It is
/// not antialiased, so that it only enlarges.
fn resized(images: Tensor<4>, size: usize) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    if [height, width] == [size, size] {
        return images;
    }
    let options = InterpolateOptions::new(InterpolateMode::Bicubic)
        .with_align_corners(false)
        .with_output_size([size, size]);
    interpolate(images, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_enlarged_around_their_centre() {
        let device = Device::flex();
        let ramp = [[0f32, 1.0, 2.0, 3.0]; 4];
        let images = Tensor::<2>::from_data(ramp, &device).reshape([1, 1, 4, 4]);
        let row = resized(images.clone(), 8)
            .slice([0..1, 0..1, 3..4, 0..8])
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        // A ramp stays one but for the kernel's ripple, at pixels' centres (i + 0.5) / 2 - 0.5; it has both sides alike.
        for (i, found) in row.iter().enumerate().take(7).skip(1) {
            assert!((found - (i as f32 - 0.5) / 2.0).abs() < 0.1, "{row:?}");
            assert!((found + row[7 - i] - 3.0).abs() < 1e-5, "{row:?}");
        }
        assert_eq!(resized(images.clone(), 4).into_data(), images.into_data());
    }
}
