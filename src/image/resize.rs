//! Cutting and antialiased resizing.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::decode::MOST_SIDE;
use super::{Geometry, RgbImage};
use crate::arch::{Fit, Preprocessing, ResizeFilter};
use crate::error::{Error, Result};

/// Pixels that the picture between the two passes may have. More is only needed when a tall and
/// narrow picture is stretched; then the other order needs less.
const MOST_BETWEEN: u64 = 1 << 26;

/// A rectangle of whole pixels in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Columns to its left.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
}

impl Region {
    /// All of a picture of this size.
    pub fn whole(width: u32, height: u32) -> Self {
        Region {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// The part of a picture of this size that [`fit`] uses. An odd rest is cut at the far side.
    pub fn fitted(width: u32, height: u32, fit: Fit) -> Self {
        match fit {
            Fit::Stretch => Region::whole(width, height),
            Fit::Crop => {
                let side = width.min(height);
                Region {
                    left: (width - side) / 2,
                    top: (height - side) / 2,
                    width: side,
                    height: side,
                }
            }
        }
    }
}

/// Fits a picture to a model's input: `size * size * 3` bytes, row by row, RGB.
///
/// # Errors
/// [`Error::Arch`] when the preprocessing's size is not in 1 to 8192.
pub fn fit(image: &RgbImage, preprocessing: &Preprocessing) -> Result<Vec<u8>> {
    let size = u32::try_from(preprocessing.size)
        .ok()
        .filter(|size| (1..=8192).contains(size))
        .ok_or_else(|| Error::arch("preprocessing.size", "is outside 1 to 8192"))?;
    let region = Region::fitted(image.width(), image.height(), preprocessing.fit);
    Ok(resize(image, region, size, size, preprocessing.filter)?.into_pixels())
}

/// What [`fit`] does to a picture of this size, so that its metadata can follow: the model saw
/// pixels of another size, and a gsd holds for pixels.
///
/// # Errors
/// [`Error::Argument`] when the picture or the model's input has no pixel.
pub fn fitted_geometry(width: u32, height: u32, preprocessing: &Preprocessing) -> Result<Geometry> {
    let size = u32::try_from(preprocessing.size).unwrap_or(u32::MAX);
    Geometry::of(width, height)?
        .crop(Region::fitted(width, height, preprocessing.fit))?
        .resize(size, size)
}

/// Cuts a region out and resizes it, antialiased when it shrinks.
///
/// Pixels outside the region have no influence, as in Pillow's `crop(..).resize(..)`.
///
/// # Errors
/// [`Error::Argument`] when the region is empty, not within the picture or longer than 1,048,576
/// pixels, or the new size is 0.
pub fn resize(
    image: &RgbImage,
    region: Region,
    width: u32,
    height: u32,
    filter: ResizeFilter,
) -> Result<RgbImage> {
    let outside = |reason: String| Error::Argument {
        what: "region",
        reason,
    };
    if region.width.max(region.height) > MOST_SIDE {
        return Err(outside(format!(
            "{region:?} has a side of more than {MOST_SIDE} pixels"
        )));
    }
    if region.width == 0 || region.height == 0 || width == 0 || height == 0 {
        return Err(outside(format!(
            "{region:?} to {width} x {height} leaves no pixel"
        )));
    }
    let misfit = |error: &dyn std::fmt::Display| {
        outside(format!(
            "{region:?} of a picture of {} x {}: {error}",
            image.width(),
            image.height()
        ))
    };
    let source = ImageRef::new(
        image.width(),
        image.height(),
        image.pixels(),
        PixelType::U8x3,
    )
    .map_err(|e| misfit(&e))?;
    let part = CroppedImage::new(
        &source,
        region.left,
        region.top,
        region.width,
        region.height,
    )
    .map_err(|e| misfit(&e))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(match filter {
        ResizeFilter::Bilinear => FilterType::Bilinear,
        ResizeFilter::Bicubic => FilterType::CatmullRom,
        ResizeFilter::Lanczos => FilterType::Lanczos3,
    }));
    let mut resizer = Resizer::new();
    let mut resized = Image::new(width, height, PixelType::U8x3);
    if u64::from(width) * u64::from(region.height) <= MOST_BETWEEN {
        // One axis at a time, along the rows first. In one call it would be along the columns
        // first, and because values between the passes are cut to 0..=255, filters with negative
        // lobes would differ from Pillow's by up to 53 where black and white meet.
        let mut narrowed = Image::new(width, region.height, PixelType::U8x3);
        resizer
            .resize(&part, &mut narrowed, &options)
            .map_err(|e| misfit(&e))?;
        resizer
            .resize(&narrowed, &mut resized, &options)
            .map_err(|e| misfit(&e))?;
    } else {
        resizer
            .resize(&part, &mut resized, &options)
            .map_err(|e| misfit(&e))?;
    }
    RgbImage::new(width, height, resized.into_vec())
}
