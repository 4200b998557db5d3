//! Vectors, and what they say about each other.

use ndarray::{Array2, ArrayView2, Axis};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::parts::search::{Bank, Neighbour};

/// Rows whose similarities are worked out at a time where not all are kept.
const BLOCK: usize = 256;

/// A matrix of embeddings, one row for each picture or record, row by row in memory.
///
/// ```
/// use satmip::Embeddings;
/// use satmip::ndarray::array;
/// let images = Embeddings::new(array![[1.0, 0.0], [0.6, 0.8]])?;
/// let records = Embeddings::new(array![[0.0, 1.0]])?;
/// assert_eq!(images.similarity(&records)?, array![[0.0], [0.8]]);
/// let nearest = records.nearest(&images, 1)?;
/// assert_eq!(nearest.indices, array![[1]]);
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings(Array2<f32>);

/// The rows of [`Embeddings`], from [`Embeddings::iter`].
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    rest: &'a [f32],
    dim: usize,
    left: usize,
}

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [f32];

    fn next(&mut self) -> Option<&'a [f32]> {
        self.left = self.left.checked_sub(1)?;
        let (row, rest) = self.rest.split_at(self.dim);
        self.rest = rest;
        Some(row)
    }

    fn nth(&mut self, n: usize) -> Option<&'a [f32]> {
        let skipped = n.min(self.left);
        self.left -= skipped;
        self.rest = &self.rest[skipped * self.dim..];
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Rows<'_> {}

impl<'a> IntoIterator for &'a Embeddings {
    type Item = &'a [f32];
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}

/// A sequence of rows, each a sequence of numbers.
impl Serialize for Embeddings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// Takes rows of equal length with finite numbers.
impl<'de> Deserialize<'de> for Embeddings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<Vec<f32>>::deserialize(deserializer)?;
        let dim = rows.first().map_or(0, Vec::len);
        if let Some(other) = rows.iter().find(|row| row.len() != dim) {
            let said = format!("rows have {dim} and {} numbers", other.len());
            return Err(D::Error::custom(said));
        }
        let array = Array2::from_shape_vec((rows.len(), dim), rows.concat());
        Embeddings::new(array.map_err(D::Error::custom)?).map_err(D::Error::custom)
    }
}

/// The nearest rows of one set of embeddings for each row of another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Neighbours {
    /// `[n, k]`: positions of the nearest rows, nearest first.
    pub indices: Array2<usize>,
    /// `[n, k]`: their cosines.
    pub similarities: Array2<f32>,
}

impl Embeddings {
    /// Takes a matrix, one embedding in each row.
    ///
    /// # Errors
    /// [`Error::Argument`] when a number is not finite.
    pub fn new(rows: Array2<f32>) -> Result<Self> {
        if rows.iter().any(|value| !value.is_finite()) {
            return Err(Error::Argument {
                what: "embeddings",
                reason: "a number is not finite".into(),
            });
        }
        Ok(Embeddings::from_tower(rows))
    }

    /// Takes rows that are known to be finite.
    pub(super) fn from_tower(rows: Array2<f32>) -> Self {
        Embeddings(match rows.is_standard_layout() {
            true => rows,
            false => rows.as_standard_layout().into_owned(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.nrows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.0.ncols()
    }

    /// A row, none beyond the last.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.iter().nth(index)
    }

    /// The rows, each of [`Embeddings::dim`] numbers.
    ///
    /// ```
    /// use satmip::Embeddings;
    /// use satmip::ndarray::array;
    /// let embeddings = Embeddings::new(array![[1.0, 0.0], [0.0, 1.0]])?;
    /// let rows: Vec<&[f32]> = embeddings.iter().collect();
    /// assert_eq!(rows, [[1.0, 0.0], [0.0, 1.0]]);
    /// # Ok::<(), satmip::Error>(())
    /// ```
    pub fn iter(&self) -> Rows<'_> {
        Rows {
            rest: self.as_slice(),
            dim: self.dim(),
            left: self.len(),
        }
    }

    /// All numbers, row by row: `len * dim` of them.
    pub fn as_slice(&self) -> &[f32] {
        // Both constructors bring rows into this order.
        self.0.as_slice().unwrap_or_default()
    }

    /// All rows, `[len, dim]`.
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.0.view()
    }

    /// The matrix itself, `[len, dim]`, row by row in memory.
    pub fn into_array(self) -> Array2<f32> {
        self.0
    }

    /// The cosine of each row of this with each row of the other: `[len, other.len]`, each from
    /// -1 to 1, and 0 where a row is all zeros.
    ///
    /// # Errors
    /// [`Error::Argument`] when rows are of different length.
    pub fn similarity(&self, other: &Embeddings) -> Result<Array2<f32>> {
        self.comparable(other)?;
        Ok(cosines(&self.unit().view(), &other.unit()))
    }

    /// For each row, the `k` rows of the other with the largest cosines, or all of them where
    /// there are fewer. Of equal ones the first comes first.
    ///
    /// # Errors
    /// [`Error::Argument`] when rows are of different length.
    pub fn nearest(&self, other: &Embeddings, k: usize) -> Result<Neighbours> {
        self.comparable(other)?;
        let k = k.min(other.len());
        let mut found = Neighbours {
            indices: Array2::zeros((self.len(), k)),
            similarities: Array2::zeros((self.len(), k)),
        };
        if k == 0 || self.is_empty() || self.dim() == 0 {
            return Ok(found);
        }
        let nearest = Bank::new(other.view())?.nearest(self.view(), k, <[Neighbour]>::to_vec)?;
        for (row, nearest) in nearest.iter().enumerate() {
            for (column, neighbour) in nearest.iter().enumerate() {
                found.indices[[row, column]] = neighbour.row as usize;
                // Rounding goes beyond 1 by some 1e-7.
                let cosine = neighbour.similarity.clamp(-1.0, 1.0);
                found.similarities[[row, column]] = cosine as f32;
            }
        }
        Ok(found)
    }

    /// For each row, its cosine with the row of the other at the same place, and the number of
    /// rows of the other whose cosine with it is larger.
    pub(super) fn paired(&self, other: &Embeddings) -> Vec<(f32, usize)> {
        let (mine, others) = (self.unit(), other.unit());
        let mut pairs = Vec::with_capacity(self.len());
        for rows in mine.axis_chunks_iter(Axis(0), BLOCK) {
            for cosines in cosines(&rows, &others).outer_iter() {
                let own = cosines[pairs.len()];
                let better = cosines.iter().filter(|cosine| **cosine > own).count();
                pairs.push((own, better));
            }
        }
        pairs
    }

    /// Some of the rows.
    #[doc(hidden)]
    pub fn select(&self, rows: &[usize]) -> Embeddings {
        Embeddings(self.0.select(Axis(0), rows))
    }

    /// The cosine of each row with the row of the other at the same place.
    #[doc(hidden)]
    pub fn pair_cosines(&self, other: &Embeddings) -> Vec<f32> {
        let (mine, others) = (self.unit(), other.unit());
        let rows = mine.outer_iter().zip(others.outer_iter());
        rows.map(|(a, b)| a.dot(&b).clamp(-1.0, 1.0)).collect()
    }

    fn comparable(&self, other: &Embeddings) -> Result<()> {
        if self.dim() == other.dim() {
            return Ok(());
        }
        Err(Error::Argument {
            what: "embeddings",
            reason: format!(
                "rows have {} and {} numbers; are they of one space?",
                self.dim(),
                other.dim()
            ),
        })
    }

    /// The rows scaled to unit length; zeros stay zeros.
    fn unit(&self) -> Array2<f32> {
        let mut unit = self.0.clone();
        for mut row in unit.outer_iter_mut() {
            let squares: f64 = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            if squares > 0.0 {
                let scale = squares.sqrt().recip();
                row.mapv_inplace(|v| (f64::from(v) * scale) as f32);
            }
        }
        unit
    }
}

/// Cosines of unit rows.
fn cosines(a: &ArrayView2<'_, f32>, b: &Array2<f32>) -> Array2<f32> {
    let mut cosines = a.dot(&b.t());
    // Rounding goes beyond 1 by some 1e-7.
    cosines.mapv_inplace(|cosine| cosine.clamp(-1.0, 1.0));
    cosines
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn embeddings(rows: Array2<f32>) -> Embeddings {
        Embeddings::new(rows).unwrap()
    }

    #[test]
    fn similarity_is_the_cosine() {
        let a = embeddings(array![[3.0, 4.0], [0.0, 0.0]]);
        let b = embeddings(array![[1.0, 0.0], [-6.0, -8.0], [4.0, -3.0]]);
        let found = a.similarity(&b).unwrap();
        let expected = array![[0.6, -1.0, 0.0], [0.0, 0.0, 0.0]];
        assert!((found - expected).iter().all(|d| d.abs() < 1e-6));
    }

    #[test]
    fn nearest_come_in_order_and_ties_by_position() {
        let a = embeddings(array![[1.0, 0.0]]);
        let b = embeddings(array![[0.0, 1.0], [2.0, 0.0], [1.0, 1.0], [1.0, 0.0]]);
        let found = a.nearest(&b, 3).unwrap();
        assert_eq!(found.indices, array![[1, 3, 2]]);
        assert!((found.similarities[[0, 2]] - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(a.nearest(&b, 99).unwrap().indices, array![[1, 3, 2, 0]]);
        assert_eq!(a.nearest(&b, 0).unwrap().indices.dim(), (1, 0));
    }

    #[test]
    fn blocks_do_not_show() {
        let rows = 2 * BLOCK + 3;
        let a = Array2::from_shape_fn((rows, 3), |(i, j)| ((i * 7 + j * 3) as f32).sin());
        let a = embeddings(a);
        let found = a.nearest(&a, 1).unwrap();
        assert!(found.similarities.iter().all(|cosine| *cosine > 0.999_999));
        for (i, (own, better)) in a.paired(&a).into_iter().enumerate() {
            assert!(own > 0.999_999 && better <= 3, "row {i}: {own}, {better}");
        }
        assert_eq!(a.pair_cosines(&a).len(), rows);
    }

    #[test]
    fn rows_are_slices_in_order() {
        let three = embeddings(array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        assert_eq!(three.iter().len(), 3);
        assert_eq!(three.row(2), Some(&[5.0, 6.0][..]));
        assert_eq!((three.row(3), three.row(usize::MAX)), (None, None));
        assert_eq!(three.as_slice(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        // Rows that lie apart in memory, and rows without numbers.
        let turned = embeddings(array![[1.0, 2.0], [3.0, 4.0]].reversed_axes());
        assert_eq!(turned.row(0), Some(&[1.0, 3.0][..]));
        assert_eq!(embeddings(Array2::zeros((2, 0))).iter().count(), 2);
    }

    #[test]
    fn json_keeps_them_and_refuses_what_they_cannot_be() {
        let two = embeddings(array![[1.0, 2.0], [0.25, -4.0]]);
        let text = serde_json::to_string(&two).unwrap();
        assert_eq!(text, "[[1.0,2.0],[0.25,-4.0]]");
        assert_eq!(serde_json::from_str::<Embeddings>(&text).unwrap(), two);
        assert!(serde_json::from_str::<Embeddings>("[]").unwrap().is_empty());
        for bad in ["[[1.0], [1.0, 2.0]]", "[[1e39]]", "[1.0]", "{}"] {
            assert!(serde_json::from_str::<Embeddings>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn empty_sets_are_no_error() {
        let none = embeddings(Array2::zeros((0, 4)));
        let some = embeddings(Array2::ones((3, 4)));
        assert_eq!(none.similarity(&some).unwrap().dim(), (0, 3));
        assert_eq!(some.similarity(&none).unwrap().dim(), (3, 0));
        assert_eq!(some.nearest(&none, 5).unwrap().indices.dim(), (3, 0));
        assert!(none.is_empty() && none.row(0).is_none());
    }

    #[test]
    fn other_spaces_and_numbers_that_are_none_are_refused() {
        let a = embeddings(Array2::ones((3, 4)));
        let b = embeddings(Array2::ones((3, 5)));
        assert!(matches!(a.similarity(&b), Err(Error::Argument { .. })));
        assert!(matches!(a.nearest(&b, 1), Err(Error::Argument { .. })));
        assert!(Embeddings::new(array![[1.0, f32::NAN]]).is_err());
    }
}
