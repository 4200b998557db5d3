//! Pictures of other crates.

use ndarray::ArrayView3;

use super::RgbImage;
use crate::error::{Error, Result};

/// `[height, width, 3]`, R, G, B.
impl TryFrom<ArrayView3<'_, u8>> for RgbImage {
    type Error = Error;

    fn try_from(pixels: ArrayView3<'_, u8>) -> Result<Self> {
        let (height, width, bands) = pixels.dim();
        let refuse = |reason: String| Error::Argument {
            what: "pixels",
            reason,
        };
        if bands != 3 {
            let reason = format!("[{height}, {width}, {bands}] is no [height, width, 3]");
            return Err(refuse(reason));
        }
        let side = |side: usize| {
            let most = u32::MAX;
            u32::try_from(side).map_err(|_| refuse(format!("a side of {side} is over {most}")))
        };
        RgbImage::new(
            side(width)?,
            side(height)?,
            pixels.iter().copied().collect(),
        )
    }
}

/// A picture of the crate `image`, read as the same file is read here: grey becomes R, G and B, alpha is left out,
/// and 16 bits become 8 over their full range. Floating-point samples are refused, as nothing says what they mean.
#[cfg(feature = "dynamic-image")]
#[cfg_attr(docsrs, doc(cfg(feature = "dynamic-image")))]
impl TryFrom<&::image::DynamicImage> for RgbImage {
    type Error = Error;

    fn try_from(picture: &::image::DynamicImage) -> Result<Self> {
        use ::image::ColorType;
        let color = picture.color();
        if !matches!(
            color,
            ColorType::L8
                | ColorType::La8
                | ColorType::Rgb8
                | ColorType::Rgba8
                | ColorType::L16
                | ColorType::La16
                | ColorType::Rgb16
                | ColorType::Rgba16
        ) {
            return Err(Error::Argument {
                what: "pixels",
                reason: format!("samples of {color:?} have no range that would be known"),
            });
        }
        RgbImage::new(
            picture.width(),
            picture.height(),
            picture.to_rgb8().into_raw(),
        )
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;

    #[test]
    fn an_array_is_a_picture_of_rows() {
        let all = Array3::from_shape_fn((2, 4, 3), |(y, x, band)| (y * 100 + x * 10 + band) as u8);
        let picture = RgbImage::try_from(all.view()).unwrap();
        assert_eq!((picture.width(), picture.height()), (4, 2));
        assert_eq!(picture.get(3, 1), Some([130, 131, 132]));
        // A window does not lie in one piece.
        let window = RgbImage::try_from(all.slice(s![.., 1..3, ..])).unwrap();
        assert_eq!(window.get(1, 0), Some([20, 21, 22]));
        assert!(RgbImage::try_from(all.slice(s![.., .., ..2])).is_err());
        assert!(RgbImage::try_from(all.slice(s![..0, .., ..])).is_err());
    }

    #[cfg(feature = "dynamic-image")]
    #[test]
    fn a_picture_of_the_crate_image_is_read_as_its_file_is() {
        use ::image::{DynamicImage, ImageBuffer, Luma, Rgb32FImage, Rgba};
        let grey = ImageBuffer::from_pixel(3, 2, Luma([65535u16 / 2]));
        let read = RgbImage::try_from(&DynamicImage::ImageLuma16(grey)).unwrap();
        assert_eq!((read.width(), read.get(2, 1)), (3, Some([127, 127, 127])));
        let clear = ImageBuffer::from_pixel(1, 1, Rgba([9u8, 8, 7, 0]));
        let read = RgbImage::try_from(&DynamicImage::ImageRgba8(clear)).unwrap();
        assert_eq!(read.get(0, 0), Some([9, 8, 7]));
        let float = DynamicImage::ImageRgb32F(Rgb32FImage::new(1, 1));
        assert!(RgbImage::try_from(&float).is_err());
    }
}
