//! A picture with what was decided when it was read.

use ::image::metadata::Orientation;
use serde::Serialize;

use super::bands::{Bands, Chosen};
use super::convert::Alpha;
use super::decode::DecodeLimits;
use super::radiometry::{self, Radiometry, SampleType, Scale};
use super::{Region, RgbImage};
use crate::error::{Error, ImageFault, Result};

/// How pictures are read.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// What a picture may cost at most.
    pub limits: DecodeLimits,
    /// Which bands are red, green and blue.
    pub bands: Bands,
    /// What samples mean that are not of 8 bits.
    pub scale: Scale,
    /// The least share of valid pixels of what the model sees, 0 to 1.
    pub min_valid: f32,
    /// A sample of TIFFs that marks missing pixels, besides the one that the file states.
    pub nodata: Option<f64>,
    /// Of scenes: which copy of the picture is read.
    pub resolution: Resolution,
}

/// Which copy of its picture is read of a scene: GeoTIFFs hold smaller ones, called overviews.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Resolution {
    /// The picture itself.
    #[default]
    Full,
    /// An overview, counted from 1, which is the largest.
    Overview(usize),
    /// The copy whose pixels are nearest to so many metres, at most 1.42 times larger or smaller (overviews halve, our
    /// choice).
    Gsd(f64),
}

impl ReadOptions {
    /// Half of the pixels (our choice).
    pub const MIN_VALID: f32 = 0.5;

    /// As asked for, with a `min_valid` of another share.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is not within 0 to 1.
    pub fn with_min_valid(self, share: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::Argument {
                what: "min valid",
                reason: format!("{share} is no share from 0 to 1"),
            });
        }
        Ok(ReadOptions {
            min_valid: share,
            ..self
        })
    }
}

impl Default for ReadOptions {
    /// What files say, and half of the pixels.
    fn default() -> Self {
        ReadOptions {
            limits: DecodeLimits::default(),
            bands: Bands::Auto,
            scale: Scale::Auto,
            min_valid: Self::MIN_VALID,
            nodata: None,
            resolution: Resolution::Full,
        }
    }
}

impl From<DecodeLimits> for ReadOptions {
    fn from(limits: DecodeLimits) -> Self {
        ReadOptions {
            limits,
            ..ReadOptions::default()
        }
    }
}

/// What was decided when a picture was read, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reading {
    /// `JPEG`, `PNG`, `WebP` or `TIFF`.
    pub format: &'static str,
    /// The samples' type as it is stored, for example `uint16`.
    pub samples: String,
    /// Bands that the file has.
    pub bands: usize,
    /// Those that became red, green and blue, counted from 1.
    pub rgb: [usize; 3],
    /// Who says so.
    pub rgb_why: String,
    /// The samples that became 0 and 255, for red, green and blue; none for bytes as they are.
    pub range: Option<[(f64, f64); 3]>,
    /// Who says so.
    pub range_why: String,
    /// The samples that mark missing pixels.
    pub nodata: Vec<f64>,
    /// Whether the file has a mask of its own, which says which pixels are there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mask: bool,
    /// What became of a band called alpha.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<&'static str>,
    /// What was done so that the picture stands upright, or north is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turned: Option<String>,
}

impl Reading {
    /// The samples that became 0 and 255, in words; empty for bytes as they are.
    pub fn ranges(&self) -> String {
        self.range.map(radiometry::said).unwrap_or_default()
    }

    /// Of bands and samples as they were decided, without nodata, alpha and turns.
    pub(super) fn of(
        format: &'static str,
        samples: SampleType,
        bands: usize,
        chosen: &Chosen,
        radiometry: &Radiometry,
    ) -> Self {
        Reading {
            format,
            samples: samples.to_string(),
            bands,
            rgb: chosen.rgb.map(|band| band + 1),
            rgb_why: chosen.why.clone(),
            range: radiometry.range,
            range_why: radiometry.why.clone(),
            nodata: radiometry.nodata.into_iter().collect(),
            mask: false,
            alpha: None,
            turned: None,
        }
    }

    /// What to say of a picture that was stored in another orientation.
    pub(super) fn turned(by: &str, orientation: Orientation) -> Option<String> {
        (orientation != Orientation::NoTransforms)
            .then(|| format!("by {by}, {}", orientation.to_exif()))
    }

    /// What an alpha band turned out to be, in words.
    pub(super) fn alpha(alpha: Alpha) -> Option<&'static str> {
        match alpha {
            Alpha::None => None,
            Alpha::Mask => Some("it says which pixels are there"),
            Alpha::Data => Some(
                "most of its values lie between none and full, so that it is taken for no mask",
            ),
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.rgb;
        write!(
            f,
            "{} of {}, bands {red}, {green}, {blue} of {} ({})",
            self.format, self.samples, self.bands, self.rgb_why
        )?;
        match &self.range {
            None => write!(f, "; {}", self.range_why),
            Some(_) => {
                write!(
                    f,
                    "; {} become 0 to 255 ({})",
                    self.ranges(),
                    self.range_why
                )
            }
        }
    }
}

/// A decoded picture, which of its pixels are there, and how it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    image: RgbImage,
    /// Row by row; none where all pixels are there.
    valid: Option<Vec<bool>>,
    reading: Reading,
}

impl Picture {
    /// Missing pixels get the mean of those that are there, channel by channel; black where none is
    /// (our choice: a colour that the picture has already draws no edge but the gap's own).
    pub(crate) fn new(mut image: RgbImage, valid: Option<Vec<bool>>, reading: Reading) -> Self {
        let valid = valid.filter(|valid| valid.contains(&false));
        if let Some(valid) = &valid {
            fill(&mut image.pixels, valid);
        }
        Picture {
            image,
            valid,
            reading,
        }
    }

    /// The pixels.
    pub fn image(&self) -> &RgbImage {
        &self.image
    }

    /// The pixels alone.
    pub fn into_image(self) -> RgbImage {
        self.image
    }

    /// What was decided.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The share of a region's pixels that are there, 0 to 1: neither nodata, nor NaN or infinite, nor
    /// hidden by a mask. A region that is empty or not within the picture has none.
    pub fn valid_share(&self, region: Region) -> f32 {
        let (width, height) = (self.image.width() as usize, self.image.height() as usize);
        let columns = region.left as usize..region.left as usize + region.width as usize;
        let rows = region.top as usize..region.top as usize + region.height as usize;
        if columns.end > width || rows.end > height || columns.is_empty() || rows.is_empty() {
            return 0.0;
        }
        let Some(valid) = &self.valid else {
            return 1.0;
        };
        let pixels = columns.len() * rows.len();
        let there = |row: &[bool]| row[columns.clone()].iter().filter(|valid| **valid).count();
        let found: usize = valid
            .chunks_exact(width)
            .skip(rows.start)
            .take(rows.len())
            .map(there)
            .sum();
        (found as f64 / pixels as f64) as f32
    }

    /// The share of a region's pixels that are there, where it is no less than `least`.
    ///
    /// # Errors
    /// [`ImageFault::TooFewValid`].
    #[doc(hidden)]
    pub fn enough_valid(&self, region: Region, least: f32) -> Result<f32, ImageFault> {
        match self.valid_share(region) {
            valid if valid < least || valid == 0.0 => Err(ImageFault::TooFewValid { valid, least }),
            valid => Ok(valid),
        }
    }
}

/// Puts the mean of the valid pixels in the place of the others.
fn fill(pixels: &mut [u8], valid: &[bool]) {
    let mut sums = [0u64; 3];
    let mut count = 0u64;
    for (pixel, _) in pixels.chunks_exact(3).zip(valid).filter(|(_, v)| **v) {
        count += 1;
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(*value);
        }
    }
    let mean = sums.map(|sum| match count {
        0 => 0,
        count => ((sum + count / 2) / count) as u8,
    });
    for (pixel, _) in pixels.chunks_exact_mut(3).zip(valid).filter(|(_, v)| !**v) {
        pixel.copy_from_slice(&mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(valid: Option<Vec<bool>>) -> Picture {
        let image = RgbImage::new(2, 2, vec![10, 0, 0, 20, 0, 0, 9, 9, 9, 9, 9, 9]).unwrap();
        let reading = Reading {
            format: "TIFF",
            samples: "uint16".into(),
            bands: 3,
            rgb: [1, 2, 3],
            rgb_why: "as asked for".into(),
            range: Some([(0.0, 3000.0); 3]),
            range_why: "as asked for".into(),
            nodata: vec![0.0],
            mask: false,
            alpha: None,
            turned: None,
        };
        Picture::new(image, valid, reading)
    }

    #[test]
    fn missing_pixels_get_the_mean_of_the_others() {
        let half = picture(Some(vec![true, true, false, false]));
        let mean = [15, 0, 0];
        assert_eq!(half.image().pixels()[6..], [mean, mean].concat());
        let none = picture(Some(vec![false; 4]));
        assert!(none.image().pixels().iter().all(|v| *v == 0));
        assert_eq!(picture(Some(vec![true; 4])), picture(None));
    }

    #[test]
    fn the_share_is_that_of_the_region() {
        let half = picture(Some(vec![true, true, false, true]));
        let region = |left, top, width, height| Region {
            left,
            top,
            width,
            height,
        };
        assert_eq!(half.valid_share(Region::whole(2, 2)), 0.75);
        assert_eq!(half.valid_share(region(0, 0, 2, 1)), 1.0);
        assert_eq!(half.valid_share(region(0, 1, 1, 1)), 0.0);
        assert_eq!(half.valid_share(region(1, 1, 2, 1)), 0.0);
        assert_eq!(picture(None).valid_share(Region::whole(2, 2)), 1.0);
        assert_eq!(half.enough_valid(Region::whole(2, 2), 0.75), Ok(0.75));
        assert!(half.enough_valid(Region::whole(2, 2), 0.76).is_err());
        // Without any pixel there is no picture, whatever was asked for.
        assert!(
            picture(Some(vec![false; 4]))
                .enough_valid(Region::whole(2, 2), 0.0)
                .is_err()
        );
    }

    #[test]
    fn a_share_is_from_0_to_1() {
        let options = ReadOptions::default();
        assert_eq!(options.with_min_valid(0.25).unwrap().min_valid, 0.25);
        for share in [-0.1, 1.1, f32::NAN] {
            assert!(options.with_min_valid(share).is_err(), "{share}");
        }
    }

    #[test]
    fn a_reading_is_said_in_one_line() {
        let reading = picture(None).reading().to_string();
        assert_eq!(
            reading,
            "TIFF of uint16, bands 1, 2, 3 of 3 (as asked for); 0 to 3000 become 0 to 255 (as asked for)"
        );
    }
}
