//! Separable antialiased resampling, as Pillow defines it.
//!
//! An output value is a weighted mean of the source around its place. The weights are the filter,
//! widened by the scale when the picture shrinks, at the distances between centres of pixels, and
//! they add up to 1. Rows are resampled first and rounded to 8 bits, then columns, both with
//! weights of 22 binary places. All of it is part of the definition, and with all of it the bytes
//! are Pillow's (up to Pillow 12; 13 begins with the columns where a picture loses much more of its height
//! than of its width, which a square never does). The order alone matters by up to 53 of 255 where black and white meet and the
//! filter has negative lobes; how halves round by up to 2. That is why this is not left to a
//! crate that begins with the columns.

use std::collections::VecDeque;
use std::f64::consts::PI;

use super::{Region, RgbImage};
use crate::arch::ResizeFilter;

/// Bytes of a resampled row that are wanted at once for one row of the output, for the most.
pub(super) const MOST_WINDOW_BYTES: u64 = 1 << 30;

/// Binary places of a weight: a sum of weighted bytes fits 32 bits with room for overshoot.
const PLACES: u32 = 22;

/// One axis: which source pixels an output pixel sees, and their weights.
pub(super) struct Axis {
    /// First source pixel of each output pixel, and where its weights begin and end.
    windows: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<i32>,
}

impl Axis {
    /// From `source` to `target` pixels, both at least 1.
    pub(super) fn new(source: u32, target: u32, filter: ResizeFilter) -> Self {
        let scale = f64::from(source) / f64::from(target);
        let widened = scale.max(1.0);
        let support = support(filter) * widened;
        let (mut windows, mut weights) = (Vec::new(), Vec::<i32>::new());
        for index in 0..target {
            let centre = (f64::from(index) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as u32;
            let end = (((centre + support + 0.5) as u32).min(source)).max(first + 1);
            let weight = |pixel: u32| value(filter, (f64::from(pixel) - centre + 0.5) / widened);
            let sum: f64 = (first..end).map(weight).sum();
            let begin = weights.len();
            weights.extend((first..end).map(|pixel| fixed(weight(pixel) / sum)));
            windows.push((first as usize, begin..weights.len()));
        }
        Axis { windows, weights }
    }

    /// The longest window in pixels.
    pub(super) fn longest(&self) -> u64 {
        let lengths = self.windows.iter().map(|(_, range)| range.len() as u64);
        lengths.max().unwrap_or(0)
    }

    /// For each output pixel the first source pixel and the weights from it on.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = |range: &std::ops::Range<usize>| &self.weights[range.clone()];
        self.windows
            .iter()
            .map(move |(first, range)| (*first, weights(range)))
    }
}

/// Half the filter's width at scale 1.
fn support(filter: ResizeFilter) -> f64 {
    match filter {
        ResizeFilter::Bilinear => 1.0,
        ResizeFilter::Bicubic => 2.0,
        ResizeFilter::Lanczos => 3.0,
    }
}

/// The filter at a distance in pixels: a triangle, Keys' cubic convolution with a = -0.5 (1981),
/// or a sinc windowed by a wider sinc.
fn value(filter: ResizeFilter, distance: f64) -> f64 {
    let x = distance.abs();
    let sinc = |x: f64| {
        if x == 0.0 {
            1.0
        } else {
            (PI * x).sin() / (PI * x)
        }
    };
    match filter {
        _ if x >= support(filter) => 0.0,
        ResizeFilter::Bilinear => 1.0 - x,
        ResizeFilter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        ResizeFilter::Bicubic => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        ResizeFilter::Lanczos => sinc(x) * sinc(x / 3.0),
    }
}

/// Resamples a region, which must be within the picture and of the axes' source sizes.
pub(super) fn resample(image: &RgbImage, region: Region, columns: &Axis, rows: &Axis) -> Vec<u8> {
    let width = columns.windows.len();
    let mut output = Vec::with_capacity(width * rows.windows.len() * 3);
    // Resampled source rows from `oldest` on; windows only ever move down.
    let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
    let mut oldest = 0;
    let mut sums = vec![0i32; width * 3];
    for (first, weights) in rows.iter() {
        while oldest < first {
            kept.pop_front();
            oldest += 1;
        }
        while kept.len() < weights.len() {
            let row = oldest + kept.len();
            kept.push_back(resample_row(image, region, row, columns));
        }
        sums.fill(0);
        for (row, weight) in kept.iter().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(*value);
            }
        }
        output.extend(sums.iter().map(|sum| rounded(*sum)));
    }
    output
}

/// One row of the region, resampled along the row.
fn resample_row(image: &RgbImage, region: Region, row: usize, columns: &Axis) -> Vec<u8> {
    let start = (region.top as usize + row) * image.width() as usize + region.left as usize;
    let pixels = &image.pixels()[start * 3..(start + region.width as usize) * 3];
    let (pixels, _) = pixels.as_chunks::<3>();
    let mut output = vec![0; columns.windows.len() * 3];
    for (out, (first, weights)) in output.as_chunks_mut::<3>().0.iter_mut().zip(columns.iter()) {
        let (mut red, mut green, mut blue) = (0, 0, 0);
        for (&[r, g, b], weight) in pixels[first..].iter().zip(weights) {
            red += weight * i32::from(r);
            green += weight * i32::from(g);
            blue += weight * i32::from(b);
        }
        *out = [red, green, blue].map(rounded);
    }
    output
}

/// A weight with 22 binary places, rounded away from zero at halves.
fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << PLACES)).round() as i32
}

/// The nearest byte; halves go up.
fn rounded(sum: i32) -> u8 {
    ((sum + (1 << (PLACES - 1))) >> PLACES).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ResizeFilter; 3] = [
        ResizeFilter::Bilinear,
        ResizeFilter::Bicubic,
        ResizeFilter::Lanczos,
    ];

    #[test]
    fn weights_add_up_to_one_within_the_source() {
        for filter in ALL {
            for (source, target) in [(1, 1), (1, 9), (9, 1), (64, 64), (7, 5), (5, 7), (1000, 3)] {
                let axis = Axis::new(source, target, filter);
                assert_eq!(axis.iter().count(), target as usize);
                for (first, weights) in axis.iter() {
                    assert!(first + weights.len() <= source as usize);
                    let sum: i32 = weights.iter().sum();
                    assert!((sum - (1 << PLACES)).unsigned_abs() as usize <= weights.len());
                    // No sum of weighted bytes leaves 32 bits, partial sums included.
                    let most: i64 = weights.iter().map(|w| i64::from(w.abs()) * 255).sum();
                    assert!(most < 1 << 31);
                }
            }
        }
    }

    #[test]
    fn filters_by_hand() {
        assert_eq!(value(ResizeFilter::Bilinear, -0.25), 0.75);
        assert_eq!(value(ResizeFilter::Bicubic, 0.5), 0.5625);
        assert_eq!(value(ResizeFilter::Bicubic, -1.5), -0.0625);
        let lanczos = value(ResizeFilter::Lanczos, 0.5);
        assert!(
            (lanczos - 0.607_927_101_854_026_6).abs() < 1e-12,
            "{lanczos}"
        );
        for filter in ALL {
            assert_eq!(value(filter, 0.0), 1.0);
            assert_eq!(value(filter, support(filter)), 0.0);
        }
    }
}
