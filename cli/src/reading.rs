//! Arguments that say how images are read.

use std::str::FromStr;

use clap::Args;

use satmip::Result;
use satmip::image::{Bands, DecodeLimits, ReadOptions, Scale};

/// A value, or `auto`: what happens without the option.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrAuto<T>(pub(super) Option<T>);

impl<T: FromStr> FromStr for OrAuto<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "auto" => Ok(OrAuto(None)),
            value => value.parse().map(|value| OrAuto(Some(value))),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// What samples mean that are not of 8 bits: s2, s2-offset, s2-l1c, s2-l1c-offset,
    /// landsat-c2, planet-sr (reflectance; `s2:0,0.3` sets which becomes black and white), stated (by the file's own scale and offset), full, or LO,HI
    /// (these sample values become black and white) [default: what the file states, else refused]
    #[arg(long, value_name = "SCALE", allow_hyphen_values = true)]
    scale: Option<Scale>,
    /// Bands of red, green and blue, counted from 1, as `4,3,2`; or one that is shown in grey
    /// [default: what the file says, else refused unless there are one or three]
    #[arg(long, value_name = "R,G,B")]
    bands: Option<Bands>,
    /// Least share of valid pixels (neither nodata, nor NaN, nor masked) of what the model sees [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    min_valid: Option<f32>,
    /// Sample of TIFFs that marks missing pixels, besides the one that the file states (`auto`: that one alone)
    #[arg(long, value_name = "auto|VALUE", allow_hyphen_values = true)]
    nodata: Option<OrAuto<f64>>,
    /// Largest image, width times height; checked before it is decoded
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::default().max_pixels)]
    max_pixels: u64,
}

impl ReadArgs {
    /// Whether they say which bands or samples are meant, which pictures alone have.
    pub(super) fn are_given(&self) -> bool {
        self.scale.is_some()
            || self.bands.is_some()
            || self.min_valid.is_some()
            || self.nodata.is_some_and(|nodata| nodata.0.is_some())
    }

    /// What the arguments say, and the usual where they say nothing.
    pub(super) fn options(&self) -> Result<ReadOptions> {
        self.over(ReadOptions::default())
    }

    /// What the arguments say, in place of what something else said.
    pub(super) fn over(&self, mut options: ReadOptions) -> Result<ReadOptions> {
        options.limits = DecodeLimits::of_pixels(self.max_pixels);
        options.scale = self.scale.unwrap_or(options.scale);
        options.bands = self.bands.unwrap_or(options.bands);
        options.nodata = self.nodata.map_or(options.nodata, |nodata| nodata.0);
        options.with_min_valid(self.min_valid.unwrap_or(options.min_valid))
    }
}
