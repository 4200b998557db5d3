//! From the columns and rows of a raster to the coordinates of its projection.

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

    /// The steps along a row and along a column, `[a, b, d, e]`.
    pub(crate) fn steps(&self) -> [f64; 4] {
        let [a, b, _, d, e, _] = self.numbers();
        [a, b, d, e]
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

    /// Length of a step along a row and along a column.
    pub(crate) fn pixel_size(&self) -> (f64, f64) {
        let [a, b, _, d, e, _] = self.0;
        (a.hypot(d), b.hypot(e))
    }
}
