//! From a picture of any size to the image tower's input.

use serde::{Deserialize, Serialize};

use super::positive;
use crate::error::{Error, Result};

/// How a picture becomes the image tower's input: decoded to 8-bit RGB, resized, and normalised
/// as `(value / 255 - mean) / std` inside the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Height and width of the input in pixels.
    pub size: usize,
    /// How a picture of another shape is fitted into the square.
    #[serde(default)]
    pub fit: Fit,
    /// Resampling filter, antialiased when it shrinks.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Mean of R, G, B in 0 to 1.
    pub mean: [f64; 3],
    /// Standard deviation of R, G, B in 0 to 1, above 0.
    pub std: [f64; 3],
}

/// How a picture of another shape is fitted into the square input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The largest centred square, then resized: keeps pixels square, loses the edges.
    #[default]
    Crop,
    /// The whole picture, resized on each axis by itself: loses nothing, bends the pixels.
    Stretch,
}

/// Resampling filter, with Pillow's definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeFilter {
    /// Triangle filter (`Image.BILINEAR`).
    Bilinear,
    /// Cubic convolution with a = -0.5 (`Image.BICUBIC`).
    #[default]
    Bicubic,
    /// Lanczos with 3 lobes (`Image.LANCZOS`).
    Lanczos,
}

impl Preprocessing {
    #[doc(hidden)]
    pub fn validate(&self) -> Result<()> {
        positive("preprocessing.size", self.size)?;
        if self.size > 8192 {
            return Err(Error::arch("preprocessing.size", "is above 8192"));
        }
        let finite = self.mean.iter().chain(&self.std).all(|v| v.is_finite());
        if !finite || self.std.iter().any(|v| *v <= 0.0) {
            return Err(Error::arch(
                "preprocessing.std",
                "mean and std must be finite, std above 0",
            ));
        }
        Ok(())
    }
}
