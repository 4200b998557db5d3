//! Axes: round ticks, ticks at settings, and their texts.

use std::ops::Range;

use crate::figure;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// A range with ticks of our own.
pub(super) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    pub(super) fn round(low: f64, high: f64, most: usize) -> Self {
        let ticks = ticks(low, high, most);
        Axis { low, high, ticks }
    }

    /// Of logarithms: ticks at the points themselves, as far as their numbers have room on so
    /// many pixels.
    pub(super) fn log(
        points: impl Iterator<Item = f64>,
        (low, high): (f64, f64),
        pixels: i32,
    ) -> Self {
        let mut all: Vec<f64> = points.collect();
        all.sort_by(f64::total_cmp);
        let scale = f64::from(pixels) / (high - low);
        let mut ticks: Vec<f64> = Vec::new();
        let mut free = f64::NEG_INFINITY;
        for x in all {
            let half = f64::from(figure::width(&number(10f64.powf(x)), 12)) / 2.0 + 3.0;
            if (x - low) * scale - half >= free {
                ticks.push(x);
                free = (x - low) * scale + half;
            }
        }
        Axis { low, high, ticks }
    }

    /// Distance of two ticks, 0 of one.
    pub(super) fn spacing(&self) -> f64 {
        match self.ticks.as_slice() {
            [first, second, ..] => second - first,
            _ => 0.0,
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// At most about `most` round values between two bounds: multiples of 1, 2 or 5 times a power of
/// ten.
pub(super) fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let least = (high - low) / most.max(1) as f64;
    if !(least.is_finite() && least > 0.0) {
        return vec![low];
    }
    let power = 10f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0].into_iter().map(|m| m * power);
    let step = round
        .into_iter()
        .find(|s| *s >= least)
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    let count = ((last - first).max(0.0) as usize).min(2 * most.max(1));
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

/// A tick's text: as many decimals as tell it from a neighbour at this distance.
pub(super) fn tick(value: f64, step: f64) -> String {
    let step = if step > 0.0 { step } else { value.abs() };
    if value.abs() < step * 1e-6 {
        return "0".into();
    }
    if !(1e-4..1e5).contains(&step) {
        return format!("{value:.1e}");
    }
    let decimals = (-(step * 1.000_001).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

/// A setting as people write it: `20`, `0.5`, `1e-6`.
pub(super) fn number(value: f64) -> String {
    // The logarithm and back cost the last digits.
    let rounded: f64 = format!("{value:.8e}").parse().unwrap_or(value);
    match rounded {
        v if (1e-3..1e6).contains(&v) => format!("{v}"),
        v => format!("{v:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 100.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        let found = ticks(71.3, 78.9, 6);
        assert!(
            found.len() >= 3 && found.iter().all(|t| (71.3..=78.9).contains(t)),
            "{found:?}"
        );
        assert_eq!(ticks(3.0, 3.0, 6), [3.0]);
        assert!(ticks(f64::NAN, 1.0, 6).len() == 1 && ticks(0.0, 1e308, 6).len() < 20);
        assert_eq!(tick(0.30000000000000004, 0.1), "0.3");
        assert_eq!(
            [tick(72.0, 2.0), tick(-1e-17, 0.5), tick(2.5, 0.5)],
            ["72", "0", "2.5"]
        );
    }

    #[test]
    fn settings_read_as_they_were_written() {
        for (value, text) in [(20.0, "20"), (0.5, "0.5"), (1e-6, "1e-6"), (1000.0, "1000")] {
            assert_eq!(number(10f64.powf(f64::log10(value))), text);
        }
    }

    #[test]
    fn crowded_settings_share_a_tick() {
        let points = || (1..=100).map(|k| f64::from(k).log10());
        let axis = Axis::log(points(), (0.0, 2.0), 500);
        assert!((5..40).contains(&axis.ticks.len()), "{:?}", axis.ticks);
        assert_eq!(axis.ticks[0], 0.0);
        assert_eq!(axis.map(&1.0, (100, 300)), 200);
    }
}
