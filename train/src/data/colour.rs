//! Colours of a view, from bytes to the normalised tensor.

use rand::Rng;

use super::views::{ViewConfig, chance, uniform};
use satmip::arch::Preprocessing;
use satmip::image::RgbImage;

/// What is done to a view's colours, in this order: brightness, contrast, saturation with hue, grey.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Colour {
    jitter: Option<Jitter>,
    grey: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Jitter {
    brightness: f32,
    contrast: f32,
    /// Saturation and hue, from RGB to RGB.
    matrix: [[f32; 3]; 3],
}

/// How the pixels of a square lie in another: in pixels, where it begins, one step right, one down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    start: isize,
    right: isize,
    down: isize,
    size: isize,
}

impl Walk {
    /// A square as it is.
    pub(super) fn of(size: usize) -> Self {
        let size = size as isize;
        Walk {
            start: 0,
            right: 1,
            down: size,
            size,
        }
    }

    /// Mirrored left to right.
    pub(super) fn flip_horizontal(self) -> Self {
        Walk {
            start: self.start + (self.size - 1) * self.right,
            right: -self.right,
            ..self
        }
    }

    /// Turned clockwise by 90 degrees: the left column becomes the top row.
    pub(super) fn quarter_turn(self) -> Self {
        Walk {
            start: self.start + (self.size - 1) * self.down,
            right: -self.down,
            down: self.right,
            ..self
        }
    }
}

/// NTSC's YIQ, in which a hue is an angle: brightness by ITU-R BT.601 and two colour differences.
const TO_YIQ: [[f32; 3]; 3] = [
    [0.299, 0.587, 0.114],
    [0.5959, -0.2746, -0.3213],
    [0.2115, -0.5227, 0.3112],
];

/// The inverse of [`TO_YIQ`].
const FROM_YIQ: [[f32; 3]; 3] = [
    [1.0, 0.956, 0.619],
    [1.0, -0.272, -0.647],
    [1.0, -1.106, 1.703],
];

impl Colour {
    /// Colours as they are.
    pub(super) const PLAIN: Colour = Colour {
        jitter: None,
        grey: false,
    };

    pub(super) fn draw(config: &ViewConfig, rng: &mut impl Rng) -> Self {
        let jitter = chance(rng, config.jitter).then(|| {
            let mut around_one = |spread: f64| uniform(rng, [1.0 - spread, 1.0 + spread]) as f32;
            let brightness = around_one(config.brightness);
            let contrast = around_one(config.contrast);
            let saturation = around_one(config.saturation);
            let turn = std::f32::consts::TAU * uniform(rng, [-config.hue, config.hue]) as f32;
            let (sin, cos) = (saturation * turn.sin(), saturation * turn.cos());
            let turned = [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]];
            Jitter {
                brightness,
                contrast,
                matrix: product(FROM_YIQ, product(turned, TO_YIQ)),
            }
        });
        Colour {
            jitter,
            grey: chance(rng, config.grey),
        }
    }

    /// Writes a square picture as normalised planes `[3, size, size]`, walked as said.
    pub(super) fn paint(
        &self,
        square: &RgbImage,
        walk: Walk,
        preprocessing: &Preprocessing,
        out: &mut [f32],
    ) {
        let size = square.width() as usize;
        let (mut red, rest) = out.split_at_mut(size * size);
        let (mut green, mut blue) = rest.split_at_mut(size * size);
        let brightness = self.jitter.as_ref().map_or(1.0, |jitter| jitter.brightness);
        let table: [f32; 256] =
            std::array::from_fn(|value| (value as f32 / 255.0 * brightness).clamp(0.0, 1.0));
        let (pixels, _) = square.pixels().as_chunks::<3>();
        let (mut sums, mut row) = ([0.0f64; 3], walk.start);
        for _ in 0..size {
            let (red_row, green_row, blue_row);
            (red_row, red) = red.split_at_mut(size);
            (green_row, green) = green.split_at_mut(size);
            (blue_row, blue) = blue.split_at_mut(size);
            let (mut at, mut sum) = (row, [0.0f32; 3]);
            for ((r, g), b) in red_row.iter_mut().zip(green_row).zip(blue_row) {
                let pixel = pixels[at as usize].map(|value| table[usize::from(value)]);
                [*r, *g, *b] = pixel;
                sum.iter_mut().zip(pixel).for_each(|(s, value)| *s += value);
                at += walk.right;
            }
            sums.iter_mut()
                .zip(sum)
                .for_each(|(s, v)| *s += f64::from(v));
            row += walk.down;
        }
        let mean = sums.map(|sum| (sum / (size * size) as f64) as f32);
        self.finish(luma(mean), preprocessing, out);
    }

    /// What follows brightness, and `(value - mean) / std` for each channel as the exported graph
    /// does. `mean` is the picture's mean luma.
    fn finish(&self, mean: f32, preprocessing: &Preprocessing, out: &mut [f32]) {
        let plane = out.len() / 3;
        let (red, rest) = out.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let scale = preprocessing.std.map(|std| 1.0 / std as f32);
        let shift = preprocessing.mean.map(|mean| mean as f32);
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let mut pixel = [*r, *g, *b];
            if let Some(jitter) = &self.jitter {
                pixel = pixel.map(|v| ((v - mean) * jitter.contrast + mean).clamp(0.0, 1.0));
                pixel = apply(&jitter.matrix, pixel).map(|v| v.clamp(0.0, 1.0));
            }
            if self.grey {
                pixel = [luma(pixel); 3];
            }
            *r = (pixel[0] - shift[0]) * scale[0];
            *g = (pixel[1] - shift[1]) * scale[1];
            *b = (pixel[2] - shift[2]) * scale[2];
        }
    }
}

fn luma(pixel: [f32; 3]) -> f32 {
    dot(TO_YIQ[0], pixel)
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn apply(matrix: &[[f32; 3]; 3], pixel: [f32; 3]) -> [f32; 3] {
    [
        dot(matrix[0], pixel),
        dot(matrix[1], pixel),
        dot(matrix[2], pixel),
    ]
}

fn product(a: [[f32; 3]; 3], b: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    a.map(|row| std::array::from_fn(|column| dot(row, [b[0][column], b[1][column], b[2][column]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Preprocessing {
        Preprocessing {
            size: 2,
            fit: Default::default(),
            filter: Default::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }

    fn paint(colour: &Colour, pixels: &[[u8; 3]; 4], walk: Walk) -> Vec<f32> {
        let square = RgbImage::new(2, 2, pixels.concat()).unwrap();
        let mut out = vec![9.0; 12];
        colour.paint(&square, walk, &plain(), &mut out);
        out
    }

    const SQUARE: [[u8; 3]; 4] = [[10, 0, 0], [20, 0, 0], [30, 0, 0], [40, 0, 255]];

    #[test]
    fn planes_and_walks_by_hand() {
        let red = |walk| {
            let planes = paint(&Colour::PLAIN, &SQUARE, walk);
            assert!((planes[4..8]).iter().all(|v| *v == 0.0));
            [0, 1, 2, 3].map(|i| (planes[i] * 255.0).round() as u8)
        };
        let walk = Walk::of(2);
        assert_eq!(red(walk), [10, 20, 30, 40]);
        assert_eq!(red(walk.flip_horizontal()), [20, 10, 40, 30]);
        assert_eq!(red(walk.quarter_turn()), [30, 10, 40, 20]);
        assert_eq!(red(walk.flip_horizontal().quarter_turn()), [40, 20, 30, 10]);
        let round = (0..4).fold(walk, |walk, _| walk.quarter_turn());
        assert_eq!(round, walk);
    }

    #[test]
    fn jitter_by_hand() {
        let same = product(FROM_YIQ, TO_YIQ);
        for (row, values) in same.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let expected = if row == column { 1.0 } else { 0.0 };
                assert!((value - expected).abs() < 2e-3, "{same:?}");
            }
        }
        let jitter = |brightness, contrast| Colour {
            jitter: Some(Jitter {
                brightness,
                contrast,
                matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            }),
            grey: false,
        };
        let grey = [[51; 3], [102; 3], [102; 3], [153; 3]];
        let bright = paint(&jitter(2.0, 1.0), &grey, Walk::of(2));
        for (value, expected) in bright.iter().zip([0.4, 0.8, 0.8, 1.0]) {
            assert!((value - expected).abs() < 1e-6, "{bright:?}");
        }
        // Around the mean luma of 0.4.
        let flat = paint(&jitter(1.0, 0.5), &grey, Walk::of(2));
        for (value, expected) in flat.iter().zip([0.3, 0.4, 0.4, 0.5]) {
            assert!((value - expected).abs() < 1e-6, "{flat:?}");
        }
    }

    #[test]
    fn grey_is_luma_in_all_channels() {
        let colour = Colour {
            jitter: None,
            grey: true,
        };
        let planes = paint(&colour, &SQUARE, Walk::of(2));
        assert_eq!(planes[..4], planes[4..8]);
        assert_eq!(planes[..4], planes[8..]);
        let last = 0.299 * 40.0 / 255.0 + 0.114;
        assert!((planes[3] - last).abs() < 1e-6);
    }
}
