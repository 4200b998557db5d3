//! From the bytes of a picture to the image tower's input.
//!
//! ```text
//! bytes --decode--> Picture --fit--> size x size x 3 bytes --(graph)--> normalised tensor
//! ```
//!
//! [`decode`] looks at the contents, never at the name, and checks the size in the header against
//! [`DecodeLimits`] before it decodes. It gives 8-bit RGB, and says how it was read ([`Reading`]):
//!
//! | in the file | what becomes of it |
//! |---|---|
//! | grey | the same value in R, G and B |
//! | palette | looked up; a TIFF's nodata is an index, and no colour |
//! | 8 bits per sample | as they are |
//! | fewer bits per sample | scaled to the full range |
//! | 16 bits in a PNG | the full range, as the format defines it: `v * 255 / 65535`, rounded |
//! | any other samples of a TIFF | by the [`Scale`] that the caller gives or the file states, else refused ([`radiometry`]) |
//! | bands of a TIFF | red, green and blue by GDAL's ColorInterp, else PhotometricInterpretation, or as the caller says ([`Bands`]); one band is grey, three that say nothing are R, G, B, others are refused |
//! | alpha | R, G and B as they are stored, as Pillow's `convert("RGB")` does; pixels are there where it is not 0, unless it is a TIFF's and most of its values lie between none and full, as those of near infrared |
//! | mask (a page of a TIFF) | says which pixels are there; one in a file `.msk` of its own is refused, as is a TIFF whose nodata, scale or colours stand in its `.aux.xml` |
//! | least sample is white (MinIsWhite) | scale and nodata are of what is stored; then black and white change places |
//! | strips and tiles that a TIFF leaves out | nodata, or 0 where there is none, as for GDAL |
//! | nodata, NaN, infinite | missing: they get the mean of the valid pixels; too few valid ones are an error ([`ReadOptions`]) |
//! | CMYK, YCCK | to RGB by Pillow's formula; a JPEG's inks are taken as inverted (Adobe's habit) |
//! | EXIF or TIFF orientation | applied, so that the picture stands upright |
//! | rows that run north, or columns that run west (GeoTIFF) | turned, so that north is up; askew of north by more than 0.06 degrees is refused |
//! | pages of a TIFF | a mask and smaller copies belong to the first; several pictures are refused |
//! | animation frames | the first |
//! | colour profiles, gamma | ignored |
//! | JPEG 2000 (feature `jpeg2000`) | tile by tile, samples as in a TIFF; the place by GeoJP2 or GMLJP2; alpha as the format defines it |
//! | 12-bit JPEG, complex samples, compressions that are not known | refused by name |
//!
//! [`fit`] cuts or stretches to a square and resizes with Pillow's antialiased filters, byte for
//! byte (golden values in `tests/images.rs`). Normalisation is inside the exported graph.
//!
//! [`Geometry`] keeps what crops, resizes, flips and turns did, so that metadata can follow the
//! pixels.

mod bands;
mod beside;
mod convert;
mod decide;
mod decode;
mod facts;
mod foreign;
mod geometry;
#[cfg(feature = "jpeg2000")]
mod jp2;
mod jpeg;
mod picture;
mod products;
pub mod radiometry;
#[cfg(feature = "geotiff")]
mod ranges;
mod raster;
mod resample;
mod resize;
mod tiff;
#[cfg(feature = "geotiff")]
mod windowed;

pub use bands::Bands;
pub use decode::{DecodeLimits, Prepared, decode, prepare, prepare_picture, read};
pub use geometry::Geometry;
pub use picture::{Picture, ReadOptions, Reading, Resolution};
pub use radiometry::{Product, Scale};
#[cfg(feature = "geotiff")]
pub use ranges::{RangeReader, RasterFile};
pub use resize::{Region, fit, fit_with_geometry, fitted_geometry, resize};
#[doc(hidden)]
pub use {beside::nothing_beside, tiff::facts as tiff_facts};
#[cfg(feature = "geotiff")]
pub(crate) use {
    decide::Role,
    decode::upright,
    tiff::{NO_CLASS, SMALL},
    windowed::Placing,
    windowed::Raster,
};

use crate::error::{Error, Result};

/// A picture of 8-bit RGB pixels, at least one, row by row from the top left corner.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl RgbImage {
    /// Takes `width * height * 3` bytes, row by row, R, G, B.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is no pixel or the length does not fit.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(Error::Argument {
                what: "pixels",
                reason: format!("a picture of {width} x {height} has no pixel"),
            });
        }
        if pixels.len() as u128 != u128::from(width) * u128::from(height) * 3 {
            return Err(Error::Argument {
                what: "pixels",
                reason: format!(
                    "{} bytes are no RGB picture of {width} x {height}",
                    pixels.len()
                ),
            });
        }
        Ok(RgbImage {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `height * width * 3` bytes, row by row, R, G, B.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels alone.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// R, G and B at a column and row, none outside the picture.
    pub fn get(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        self.pixels.get(at..at + 3)?.try_into().ok()
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RgbImage")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}
