//! Cutting and antialiased resizing.

use super::decode::MOST_SIDE;
use super::resample::{Axis, MOST_WINDOW_BYTES, resample};
use super::{Geometry, RgbImage};
use crate::arch::{Fit, Preprocessing, ResizeFilter};
use crate::error::{Error, Result};

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

/// [`fit`] and [`fitted_geometry`]: the model's input, and the way there for the picture's metadata.
///
/// # Errors
/// As [`fit`].
pub fn fit_with_geometry(
    image: &RgbImage,
    preprocessing: &Preprocessing,
) -> Result<(Vec<u8>, Geometry)> {
    let pixels = fit(image, preprocessing)?;
    let geometry = fitted_geometry(image.width(), image.height(), preprocessing)?;
    Ok((pixels, geometry))
}

/// Cuts a region out and resizes it, antialiased when it shrinks.
///
/// Pixels outside the region have no influence, as in Pillow's `crop(..).resize(..)`.
///
/// # Errors
/// [`Error::Argument`] when the region is empty, not within the picture or longer than 1,048,576
/// pixels, or when the new size is 0 or so unlike the region that it would need over 1 GiB.
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
    let within = |start: u32, length: u32, side: u32| {
        u64::from(start) + u64::from(length) <= u64::from(side)
    };
    if !within(region.left, region.width, image.width())
        || !within(region.top, region.height, image.height())
    {
        return Err(outside(format!(
            "{region:?} is not within a picture of {} x {}",
            image.width(),
            image.height()
        )));
    }
    if (width, height) == (region.width, region.height) {
        return RgbImage::new(width, height, cut(image, region));
    }
    let columns = Axis::new(region.width, width, filter);
    let rows = Axis::new(region.height, height, filter);
    if rows.longest() * u64::from(width) * 3 > MOST_WINDOW_BYTES {
        return Err(outside(format!(
            "{region:?} to {width} x {height} is too much of a stretch"
        )));
    }
    RgbImage::new(width, height, resample(image, region, &columns, &rows))
}

/// The region's pixels as they are.
fn cut(image: &RgbImage, region: Region) -> Vec<u8> {
    let row_bytes = image.width() as usize * 3;
    let columns = region.left as usize * 3..(region.left + region.width) as usize * 3;
    image
        .pixels()
        .chunks_exact(row_bytes)
        .skip(region.top as usize)
        .take(region.height as usize)
        .flat_map(|row| &row[columns.clone()])
        .copied()
        .collect()
}
