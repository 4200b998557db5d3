//! Random views of a chip: crop, flips, quarter turns, colour and blur, with metadata that follows.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::blur::blur;
use super::colour::{Colour, Walk};
use satmip::arch::{Preprocessing, ResizeFilter};
use satmip::image::{Geometry, Region, RgbImage, fit, resize};
use satmip::metadata::{Field, Metadata};
use satmip::{Error, Result};

/// Which views are drawn. The defaults are our choice for chips of 64 pixels, after SimCLR's and
/// SLIP's views: no blur, as there is nothing left to blur at that size.
///
/// Satellite pictures have no up: `flips` together with `quarter_turns` gives all 8 orientations,
/// vertical flips among them, and azimuths follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewConfig {
    /// Least and largest share of the picture's area that a crop keeps, within 0 to 1.
    pub crop_area: [f64; 2],
    /// Least and largest width over height of a crop.
    pub crop_aspect: [f64; 2],
    /// Mirror left to right with probability 0.5; with the turns, this gives all 8 orientations.
    pub flips: bool,
    /// Turn by 0, 1, 2 or 3 quarters, all equally often.
    pub quarter_turns: bool,
    /// Probability of the colour jitter.
    pub jitter: f64,
    /// Brightness factor within 1 - b to 1 + b.
    pub brightness: f64,
    /// Contrast factor within 1 - c to 1 + c.
    pub contrast: f64,
    /// Saturation factor within 1 - s to 1 + s.
    pub saturation: f64,
    /// Hue turned by at most this share of a full turn, in the YIQ plane.
    pub hue: f64,
    /// Probability of a grey picture.
    pub grey: f64,
    /// Probability of a Gaussian blur; 0.5 in SLIP at 224 pixels.
    pub blur: f64,
    /// Least and largest standard deviation of the blur in pixels of the view; SLIP's 0.1 to 2.
    pub blur_sigma: [f64; 2],
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            crop_area: [0.2, 1.0],
            crop_aspect: [3.0 / 4.0, 4.0 / 3.0],
            flips: true,
            quarter_turns: true,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
            grey: 0.2,
            blur: 0.0,
            blur_sigma: [0.1, 2.0],
        }
    }
}

impl ViewConfig {
    /// Checks that every value is possible.
    ///
    /// # Errors
    /// The value's name, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, value, most) in [
            ("jitter", self.jitter, 1.0),
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("saturation", self.saturation, 1.0),
            ("hue", self.hue, 0.5),
            ("grey", self.grey, 1.0),
            ("blur", self.blur, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err((name, format!("is {value}, outside 0 to {most}")));
            }
        }
        for (name, [low, high], least, most) in [
            ("crop_area", self.crop_area, f64::MIN_POSITIVE, 1.0),
            ("crop_aspect", self.crop_aspect, 0.01, 100.0),
            ("blur_sigma", self.blur_sigma, f64::MIN_POSITIVE, 100.0),
        ] {
            if !(low >= least && low <= high && high <= most) {
                let bound = match least {
                    f64::MIN_POSITIVE => "0 <".to_owned(),
                    least => format!("{least} <="),
                };
                return Err((
                    name,
                    format!("is [{low}, {high}]; needs {bound} least <= largest <= {most}"),
                ));
            }
        }
        Ok(())
    }
}

/// A view: normalised pixels `[3, size, size]` and the metadata that is true of them.
#[derive(Debug, Clone)]
pub struct View {
    /// Plane by plane, row by row.
    pub pixels: Vec<f32>,
    /// What crop, resize, flips and turns did.
    pub geometry: Geometry,
    /// The chip's metadata after that.
    pub metadata: Metadata,
    /// Fields that could not follow, and why.
    pub dropped: Vec<(Field, &'static str)>,
}

/// Draws a view of a picture and its metadata.
///
/// # Errors
/// Where the preprocessing's size is impossible.
pub fn draw_view(
    image: &RgbImage,
    metadata: &Metadata,
    config: &ViewConfig,
    preprocessing: &Preprocessing,
    rng: &mut impl Rng,
) -> Result<View> {
    let mut pixels = vec![0.0; numbers(preprocessing)?];
    let mut scratch = Vec::new();
    let geometry = draw_into(image, config, preprocessing, rng, &mut scratch, &mut pixels)?;
    let (metadata, dropped) = geometry.apply_with_reasons(metadata);
    Ok(View {
        pixels,
        geometry,
        metadata,
        dropped,
    })
}

/// The view that evaluation sees: fitted as the embedder does, normalised `[3, size, size]`.
///
/// # Errors
/// Where the preprocessing's size is impossible.
pub fn centre_view(image: &RgbImage, preprocessing: &Preprocessing) -> Result<Vec<f32>> {
    let mut pixels = vec![0.0; numbers(preprocessing)?];
    let size = preprocessing.size;
    let fitted = RgbImage::new(size as u32, size as u32, fit(image, preprocessing)?)?;
    Colour::PLAIN.paint(&fitted, Walk::of(size), preprocessing, &mut pixels);
    Ok(pixels)
}

/// Draws a view into `pixels`, as many as [`numbers`]; `scratch` is kept between calls.
pub(super) fn draw_into(
    image: &RgbImage,
    config: &ViewConfig,
    preprocessing: &Preprocessing,
    rng: &mut impl Rng,
    scratch: &mut Vec<f32>,
    pixels: &mut [f32],
) -> Result<Geometry> {
    let size = preprocessing.size;
    let side = size as u32;
    let (width, height) = (image.width(), image.height());
    let region = draw_crop(width, height, config, rng);
    // Bilinear as torchvision's random resized crop.
    let square = resize(image, region, side, side, ResizeFilter::Bilinear)?;
    let mut geometry = Geometry::of(width, height)?
        .crop(region)?
        .resize(side, side)?;
    let mut walk = Walk::of(size);
    if config.flips && rng.random() {
        geometry = geometry.flip_horizontal();
        walk = walk.flip_horizontal();
    }
    if config.quarter_turns {
        let turns: u8 = rng.random_range(0..4);
        geometry = geometry.quarter_turns(turns);
        walk = (0..turns).fold(walk, |walk, _| walk.quarter_turn());
    }
    Colour::draw(config, rng).paint(&square, walk, preprocessing, pixels);
    if chance(rng, config.blur) {
        // After the normalisation, which a blur does not change.
        blur(pixels, size, uniform(rng, config.blur_sigma), scratch);
    }
    Ok(geometry)
}

/// Numbers of a view.
///
/// # Errors
/// Where the preprocessing's size is not within 1 to 8192.
pub(super) fn numbers(preprocessing: &Preprocessing) -> Result<usize> {
    match preprocessing.size {
        size @ 1..=8192 => Ok(3 * size * size),
        _ => Err(Error::arch("preprocessing.size", "is outside 1 to 8192")),
    }
}

/// A random crop as torchvision's: ten tries, else the whole picture.
fn draw_crop(width: u32, height: u32, config: &ViewConfig, rng: &mut impl Rng) -> Region {
    let area = f64::from(width) * f64::from(height);
    for _ in 0..10 {
        let target = area * uniform(rng, config.crop_area);
        let aspect = uniform(rng, config.crop_aspect.map(f64::ln)).exp();
        let w = (target * aspect).sqrt().round() as u32;
        let h = (target / aspect).sqrt().round() as u32;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return Region {
                left: rng.random_range(0..=width - w),
                top: rng.random_range(0..=height - h),
                width: w,
                height: h,
            };
        }
    }
    Region::whole(width, height)
}

/// True with this probability.
pub(super) fn chance(rng: &mut impl Rng, probability: f64) -> bool {
    rng.random::<f64>() < probability
}

pub(super) fn uniform(rng: &mut impl Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}
