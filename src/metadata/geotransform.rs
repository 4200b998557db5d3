//! From the columns and rows of a raster to the coordinates of its projection.

use ::image::metadata::Orientation;

/// An affine map, with (0, 0) the outer corner of the first pixel:
/// `x = a column + b row + c`, `y = d column + e row + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GeoTransform([f64; 6]);

impl GeoTransform {
    /// The map of a GeoTIFF by its tags ModelTransformation, or ModelPixelScale and ModelTiepoint
    /// (OGC 19-008r4); none where it has neither, and the reason where they describe no map.
    ///
    /// `pixel_is_point` says that raster coordinates are those of pixel centres.
    pub(crate) fn from_tags(
        transformation: Option<&[f64]>,
        pixel_scale: Option<&[f64]>,
        tiepoints: Option<&[f64]>,
        pixel_is_point: bool,
    ) -> Result<Option<Self>, String> {
        let numbers = match (transformation, pixel_scale, tiepoints) {
            (Some(matrix), ..) => match matrix[..] {
                [a, b, _, c, d, e, _, f, ..] if matrix.len() == 16 => [a, b, c, d, e, f],
                _ => return Err("ModelTransformation has not 16 numbers".to_owned()),
            },
            (None, Some(scale), Some(tie)) => match (scale, tie) {
                ([sx, sy, ..], [column, row, _, x, y, _, ..]) => {
                    [*sx, 0.0, x - column * sx, 0.0, -sy, y + row * sy]
                }
                _ => return Err("ModelPixelScale or ModelTiepoint is too short".to_owned()),
            },
            (None, None, Some(tie)) if tie.len() > 6 => {
                return Err("ground control points without a grid are not supported".to_owned());
            }
            _ => return Ok(None),
        };
        let map =
            GeoTransform::from_numbers(numbers).ok_or("the grid of the picture is degenerate")?;
        if !pixel_is_point {
            return Ok(Some(map));
        }
        let (x, y) = map.at(-0.5, -0.5);
        let [a, b, _, d, e, _] = numbers;
        Ok(Some(GeoTransform([a, b, x, d, e, y])))
    }

    /// The map of `[a, b, c, d, e, f]` (the order of STAC's `proj:transform`); none where
    /// a number is not finite or a pixel has no size.
    pub(crate) fn from_numbers(numbers: [f64; 6]) -> Option<Self> {
        let map = GeoTransform(numbers);
        let (width, height) = map.pixel_size();
        let sound = numbers.iter().all(|n| n.is_finite()) && width > 0.0 && height > 0.0;
        sound.then_some(map)
    }

    /// The steps along a row and along a column of the picture as it is shown, north up: `[a, b, d, e]`,
    /// rows and columns exchanged where the raster is stored with a quarter turn.
    pub(crate) fn steps(&self) -> [f64; 4] {
        let [a, b, _, d, e, _] = self.numbers();
        match self.north_up() {
            Some(
                Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH,
            ) => [b, a, e, d],
            _ => [a, b, d, e],
        }
    }

    /// That of a copy whose pixels are so many times as wide and high.
    pub(crate) fn coarser(&self, across: f64, down: f64) -> Self {
        let [a, b, c, d, e, f] = self.0;
        GeoTransform([a * across, b * down, c, d * across, e * down, f])
    }

    /// `[a, b, c, d, e, f]`.
    pub(crate) fn numbers(&self) -> [f64; 6] {
        self.0
    }

    /// The coordinates of a place in the raster, in pixels.
    pub(crate) fn at(&self, column: f64, row: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * column + b * row + c, d * column + e * row + f)
    }

    /// How the raster is to be turned so that its rows run east and its columns south; none where
    /// they run askew of that by more than a thousandth.
    ///
    /// Along a row x grows by `a` and y by `d`, along a column x by `b` and y by `e`; y grows northwards.
    pub(crate) fn north_up(&self) -> Option<Orientation> {
        const ASKEW: f64 = 1e-3;
        let [a, b, _, d, e, _] = self.0;
        if b.abs() <= ASKEW * e.abs() && d.abs() <= ASKEW * a.abs() {
            return Some(match (a > 0.0, e > 0.0) {
                (true, false) => Orientation::NoTransforms,
                (true, true) => Orientation::FlipVertical,
                (false, false) => Orientation::FlipHorizontal,
                (false, true) => Orientation::Rotate180,
            });
        }
        if a.abs() <= ASKEW * d.abs() && e.abs() <= ASKEW * b.abs() {
            return Some(match (b > 0.0, d > 0.0) {
                (true, false) => Orientation::Rotate90FlipH,
                (true, true) => Orientation::Rotate270,
                (false, false) => Orientation::Rotate90,
                (false, true) => Orientation::Rotate270FlipH,
            });
        }
        None
    }

    /// Length of a step along a row and along a column.
    pub(crate) fn pixel_size(&self) -> (f64, f64) {
        let [a, b, _, d, e, _] = self.0;
        (a.hypot(d), b.hypot(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of the eight ways to store a raster is turned back to north up.
    #[test]
    fn every_axis_parallel_raster_is_turned_north_up() {
        // 3 x 2 pixels, each the number of its place: 10 * (columns from the west) + rows from the north.
        let upright = |x: u32, y: u32| ::image::Luma([(10 * x + y) as u8]);
        let (a, b) = (5.0, 7.0);
        for numbers in [
            [a, 0.0, 0.0, 0.0, -b, 0.0],
            [a, 0.0, 0.0, 0.0, b, 0.0],
            [-a, 0.0, 0.0, 0.0, -b, 0.0],
            [-a, 0.0, 0.0, 0.0, b, 0.0],
            [0.0, a, 0.0, -b, 0.0, 0.0],
            [0.0, a, 0.0, b, 0.0, 0.0],
            [0.0, -a, 0.0, -b, 0.0, 0.0],
            [0.0, -a, 0.0, b, 0.0, 0.0],
        ] {
            let map = GeoTransform(numbers);
            let turned = numbers[0] == 0.0;
            let (width, height) = if turned { (2, 3) } else { (3, 2) };
            // Places by the map, counted from the westernmost and northernmost pixel.
            let centre = |c: u32, r: u32| map.at(f64::from(c) + 0.5, f64::from(r) + 0.5);
            let all = || (0..height).flat_map(|r| (0..width).map(move |c| (c, r)));
            let west = all().map(|(c, r)| centre(c, r).0).fold(f64::MAX, f64::min);
            let north = all().map(|(c, r)| centre(c, r).1).fold(f64::MIN, f64::max);
            let stored = ::image::GrayImage::from_fn(width, height, |c, r| {
                let (x, y) = centre(c, r);
                upright(
                    ((x - west) / a).round() as u32,
                    ((north - y) / b).round() as u32,
                )
            });
            let mut picture = ::image::DynamicImage::ImageLuma8(stored);
            picture.apply_orientation(map.north_up().unwrap());
            let expected = ::image::GrayImage::from_fn(3, 2, upright);
            assert_eq!(picture.into_luma8(), expected, "{numbers:?}");
        }
    }

    #[test]
    fn a_raster_askew_of_north_is_not_turned() {
        let (sin, cos) = 10f64.to_radians().sin_cos();
        assert_eq!(
            GeoTransform([cos, sin, 0.0, sin, -cos, 0.0]).north_up(),
            None
        );
        let hardly = GeoTransform([10.0, 1e-9, 0.0, 1e-9, -10.0, 0.0]);
        assert_eq!(hardly.north_up(), Some(Orientation::NoTransforms));
    }
}
