//! Random views of a chip: crop, flips, quarter turns and colour, with metadata that follows.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Chip;
use crate::arch::{Preprocessing, ResizeFilter};
use crate::error::Result;
use crate::image::{Geometry, Region, RgbImage, fit, resize};
use crate::metadata::Metadata;

/// Which views are drawn. The defaults are our choice for chips of 64 pixels, after SimCLR's and
/// SLIP's views: no blur, as there is nothing left to blur at that size.
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
        }
    }
}

/// A view: normalised pixels `[3, size, size]` and the metadata that is true of them.
#[derive(Debug, Clone)]
pub struct View {
    /// Plane by plane, row by row.
    pub pixels: Vec<f32>,
    /// The chip's metadata after crop, resize, flips and turns.
    pub metadata: Metadata,
}

/// Draws a view of a chip.
///
/// # Errors
/// Where the preprocessing's size is impossible.
pub fn draw_view(
    chip: &Chip,
    config: &ViewConfig,
    preprocessing: &Preprocessing,
    rng: &mut impl Rng,
) -> Result<View> {
    let size = preprocessing.size as u32;
    let (width, height) = (chip.image.width(), chip.image.height());
    let region = draw_crop(width, height, config, rng);
    // Bilinear as torchvision's random resized crop.
    let cut = resize(&chip.image, region, size, size, ResizeFilter::Bilinear)?;
    let mut geometry = Geometry::of(width, height)?
        .crop(region)?
        .resize(size, size)?;
    let mut colours = to_planes(&cut);
    if config.flips && rng.random() {
        geometry = geometry.flip_horizontal();
        flip_horizontal(&mut colours, size as usize);
    }
    let turns = if config.quarter_turns {
        rng.random_range(0..4)
    } else {
        0
    };
    geometry = geometry.quarter_turns(turns);
    for _ in 0..turns {
        colours = quarter_turn(&colours, size as usize);
    }
    jitter(&mut colours, config, rng);
    normalise(&mut colours, preprocessing);
    Ok(View {
        pixels: colours,
        metadata: geometry.apply_to(&chip.metadata),
    })
}

/// The view that evaluation sees: fitted as the embedder does, normalised `[3, size, size]`.
///
/// # Errors
/// Where the preprocessing's size is impossible.
pub fn centre_view(image: &RgbImage, preprocessing: &Preprocessing) -> Result<Vec<f32>> {
    let size = preprocessing.size as u32;
    let fitted = RgbImage::new(size, size, fit(image, preprocessing)?)?;
    let mut colours = to_planes(&fitted);
    normalise(&mut colours, preprocessing);
    Ok(colours)
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

/// Pixels as planes in 0 to 1.
pub(super) fn to_planes(image: &RgbImage) -> Vec<f32> {
    let pixels = image.pixels();
    (0..3)
        .flat_map(|channel| pixels.iter().skip(channel).step_by(3))
        .map(|value| f32::from(*value) / 255.0)
        .collect()
}

/// Mirrors left to right.
fn flip_horizontal(colours: &mut [f32], size: usize) {
    for row in colours.chunks_exact_mut(size) {
        row.reverse();
    }
}

/// Turns clockwise by 90 degrees: the left column becomes the top row.
fn quarter_turn(colours: &[f32], size: usize) -> Vec<f32> {
    let mut turned = vec![0.0; colours.len()];
    for (plane, out) in colours
        .chunks_exact(size * size)
        .zip(turned.chunks_exact_mut(size * size))
    {
        for (i, value) in out.iter_mut().enumerate() {
            let (row, column) = (i / size, i % size);
            *value = plane[(size - 1 - column) * size + row];
        }
    }
    turned
}

/// Brightness, contrast, saturation and hue in this order, then grey.
fn jitter(colours: &mut [f32], config: &ViewConfig, rng: &mut impl Rng) {
    let plane = colours.len() / 3;
    if rng.random_bool(config.jitter) {
        let brightness = around_one(rng, config.brightness);
        let contrast = around_one(rng, config.contrast);
        let saturation = around_one(rng, config.saturation);
        let turn = std::f32::consts::TAU * uniform(rng, [-config.hue, config.hue]) as f32;
        for value in colours.iter_mut() {
            *value = (*value * brightness).clamp(0.0, 1.0);
        }
        let mean = (0..plane).map(|i| luma(colours, plane, i)).sum::<f32>() / plane as f32;
        for value in colours.iter_mut() {
            *value = ((*value - mean) * contrast + mean).clamp(0.0, 1.0);
        }
        let (sin, cos) = turn.sin_cos();
        for i in 0..plane {
            let [y, a, b] = to_yiq([colours[i], colours[plane + i], colours[2 * plane + i]]);
            let (a, b) = (a * saturation, b * saturation);
            let rgb = from_yiq([y, a * cos - b * sin, a * sin + b * cos]);
            for (channel, value) in rgb.into_iter().enumerate() {
                colours[channel * plane + i] = value.clamp(0.0, 1.0);
            }
        }
    }
    if rng.random_bool(config.grey) {
        for i in 0..plane {
            let y = luma(colours, plane, i);
            for channel in 0..3 {
                colours[channel * plane + i] = y;
            }
        }
    }
}

/// `(value - mean) / std` for each channel, as the exported graph does.
pub(super) fn normalise(colours: &mut [f32], preprocessing: &Preprocessing) {
    let plane = colours.len() / 3;
    for (channel, values) in colours.chunks_exact_mut(plane.max(1)).enumerate() {
        let mean = preprocessing.mean[channel] as f32;
        let scale = 1.0 / preprocessing.std[channel] as f32;
        for value in values {
            *value = (*value - mean) * scale;
        }
    }
}

/// Brightness by ITU-R BT.601.
fn luma(colours: &[f32], plane: usize, i: usize) -> f32 {
    0.299 * colours[i] + 0.587 * colours[plane + i] + 0.114 * colours[2 * plane + i]
}

/// NTSC's YIQ: brightness and two colour differences, in which a hue is an angle.
fn to_yiq([r, g, b]: [f32; 3]) -> [f32; 3] {
    [
        0.299 * r + 0.587 * g + 0.114 * b,
        0.5959 * r - 0.2746 * g - 0.3213 * b,
        0.2115 * r - 0.5227 * g + 0.3112 * b,
    ]
}

/// The inverse of [`to_yiq`].
fn from_yiq([y, i, q]: [f32; 3]) -> [f32; 3] {
    [
        y + 0.956 * i + 0.619 * q,
        y - 0.272 * i - 0.647 * q,
        y - 1.106 * i + 1.703 * q,
    ]
}

fn uniform(rng: &mut impl Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

fn around_one(rng: &mut impl Rng, spread: f64) -> f32 {
    uniform(rng, [1.0 - spread, 1.0 + spread]) as f32
}
