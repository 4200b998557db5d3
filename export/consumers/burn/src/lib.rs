//! Embeds chips with the image tower as a module of burn: copy this file, `build.rs` and `Cargo.toml`.

use burn::prelude::{Device, Int, Tensor, TensorData};
use burn::tensor::{DType, DataError};

/// The code that burn-onnx made of `image.onnx`, with the weights inside.
#[allow(clippy::all, unused)]
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/model/image.rs"));
}

/// Pictures of RGB bytes, `size x size x 3` each, to unit rows.
pub fn embed_images(
    pictures: &[Vec<u8>],
    size: usize,
    device: &Device,
) -> Result<Vec<Vec<f32>>, DataError> {
    let pixels = TensorData::new(pictures.concat(), [pictures.len(), size, size, 3]);
    let image = Tensor::<4, Int>::from_data(pixels.convert_dtype(DType::U8), device);
    let (_features, embeds) = generated::Model::from_embedded(device).forward(image);
    let width = embeds.dims()[1];
    let numbers: Vec<f32> = embeds.into_data().try_to_vec()?;
    Ok(numbers.chunks(width).map(<[f32]>::to_vec).collect())
}
