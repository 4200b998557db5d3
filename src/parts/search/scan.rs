//! Cosine similarities of many rows against many, block by block.
//!
//! A block of similarities is a matrix product in `f32`, whose last bits depend on the machine and on
//! where a row lies in the block. So they only sort out what is surely far; whatever is closer than their
//! error is compared by [`exact`], which depends on the two rows alone.

use ndarray::ArrayView2;
use ndarray::linalg::general_mat_mul;

use super::reason;
use crate::error::Result;
use crate::parts::threads;

/// Queries in a block (our choice; larger ones gain less than 10 %).
const QUERY_BLOCK: usize = 256;
/// Rows of the bank in a block, at most.
const BANK_BLOCK: usize = 4096;
/// Similarities that all threads hold together, at most: 64 MB.
const SIMILARITIES: usize = 16 << 20;

/// Rows of length 1, or 0 where a row was 0. Width is at least 1.
#[derive(Debug, Clone)]
pub struct UnitRows {
    values: Vec<f32>,
    dim: usize,
}

impl UnitRows {
    /// Divides each row by its norm (in f64, rounded to f32).
    ///
    /// # Errors
    /// Without rows or columns, or when a value is not finite; `what` names the rows.
    pub fn new(what: &str, rows: ArrayView2<f32>) -> Result<Self> {
        if rows.is_empty() {
            let (rows, columns) = rows.dim();
            return Err(reason(format!("{what}: {rows} rows and {columns} columns")));
        }
        if let Some(((row, column), value)) = rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(reason(format!(
                "{what}: row {row}, column {column} is {value}"
            )));
        }
        let dim = rows.ncols();
        let mut values = Vec::with_capacity(rows.len());
        for row in rows.outer_iter() {
            let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            let scale = if norm > 0.0 { 1.0 / norm.sqrt() } else { 0.0 };
            values.extend(row.iter().map(|v| (f64::from(*v) * scale) as f32));
        }
        Ok(UnitRows { values, dim })
    }

    /// Number of rows, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there is a row")]
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Numbers in a row, at least 1.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..][..self.dim]
    }

    /// Rows `first..last`.
    fn part(&self, first: usize, last: usize) -> Result<ArrayView2<'_, f32>> {
        let values = &self.values[first * self.dim..last * self.dim];
        ArrayView2::from_shape((last - first, self.dim), values).map_err(|e| reason(e.to_string()))
    }
}

/// The dot product of two rows, summed in f64 in eight lanes: products of two f32 are exact in f64, so
/// that its error is below 1e-14 for unit rows of any usual width.
pub fn exact(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    for (x, y) in a.zip(b) {
        for lane in 0..8 {
            lanes[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// How far a similarity of [`scan`] may lie from [`exact`]: the bound of a dot product in f32 summed in any
/// order, `d u / (1 - d u)` with `u = 2^-24` (Higham 2002, eq. 3.5), for rows whose length is 1 but for
/// rounding. Eight more than `d` cover that rounding and the one to f32 of a threshold.
pub fn error_bound(dim: usize) -> f64 {
    let du = (dim + 8) as f64 * f64::from(f32::EPSILON) / 2.0;
    du / (1.0 - du).max(0.5)
}

/// What is done with the similarities of a query.
pub trait Scan: Sync {
    /// What is kept while the bank goes by.
    type State;
    /// What is found for a query.
    type Found: Send;

    /// Begins a query.
    fn start(&self, query: usize) -> Self::State;
    /// Similarities of `query` with the bank's rows from `first` on.
    fn take(&self, state: &mut Self::State, query: usize, first: usize, similarities: &[f32]);
    /// Ends it.
    fn finish(&self, state: Self::State, query: usize) -> Self::Found;
}

/// What `scan` finds for each of the queries. Each sees the whole bank, from its first row to its last.
pub fn scan<S: Scan>(
    queries: &UnitRows,
    bank: &UnitRows,
    threads: usize,
    scan: &S,
) -> Result<Vec<S::Found>> {
    if queries.dim != bank.dim {
        let (found, expected) = (queries.dim, bank.dim);
        return Err(reason(format!(
            "queries have width {found}, the bank {expected}"
        )));
    }
    let wide = SIMILARITIES / QUERY_BLOCK / threads.max(1);
    let wide = wide.clamp(64, BANK_BLOCK).min(bank.len());
    let blocks = queries.len().div_ceil(QUERY_BLOCK);
    let found = threads::map("a search", blocks, threads, |block| {
        let first_query = block * QUERY_BLOCK;
        let last_query = (first_query + QUERY_BLOCK).min(queries.len());
        let some = queries.part(first_query, last_query)?;
        let mut states: Vec<_> = (first_query..last_query).map(|q| scan.start(q)).collect();
        let mut similarities = vec![0.0f32; some.nrows() * wide];
        for first in (0..bank.len()).step_by(wide) {
            let rows = bank.part(first, (first + wide).min(bank.len()))?;
            let width = rows.nrows();
            let values = &mut similarities[..some.nrows() * width];
            let mut product = ndarray::ArrayViewMut2::from_shape((some.nrows(), width), values)
                .map_err(|e| reason(e.to_string()))?;
            general_mat_mul(1.0, &some, &rows.t(), 0.0, &mut product);
            let lines = similarities.chunks_exact(width);
            for ((query, state), line) in (first_query..).zip(&mut states).zip(lines) {
                scan.take(state, query, first, line);
            }
        }
        let found = (first_query..).zip(states);
        Ok(found.map(|(q, s)| scan.finish(s, q)).collect::<Vec<_>>())
    })?;
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// Drawn rows with some that are equal.
    pub(in crate::parts::search) fn drawn(rows: usize, dim: usize, seed: u64) -> Array2<f32> {
        // Knuth's multiplier; the high bits are random enough for a test.
        let mut state = seed;
        let mut drawn = Array2::from_shape_simple_fn((rows, dim), || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        });
        for copy in (10..rows).step_by(10) {
            let original = drawn.row(copy / 2).to_owned();
            drawn.row_mut(copy).assign(&original);
        }
        drawn
    }

    /// Keeps all that goes by.
    struct Everything;

    impl Scan for Everything {
        type State = Vec<f32>;
        type Found = Vec<f32>;
        fn start(&self, _: usize) -> Vec<f32> {
            Vec::new()
        }
        fn take(&self, state: &mut Vec<f32>, _: usize, first: usize, similarities: &[f32]) {
            assert_eq!(state.len(), first);
            state.extend(similarities);
        }
        /// Ends it.
        fn finish(&self, state: Vec<f32>, _: usize) -> Vec<f32> {
            state
        }
    }

    #[test]
    fn every_similarity_is_within_its_bound() {
        for (queries, bank, dim) in [(1, 1, 1), (3, 5000, 7), (600, 33, 192), (257, 4097, 3)] {
            let queries = UnitRows::new("queries", drawn(queries, dim, 1).view()).unwrap();
            let bank = UnitRows::new("bank", drawn(bank, dim, 2).view()).unwrap();
            let found = scan(&queries, &bank, 2, &Everything).unwrap();
            assert_eq!(found.len(), queries.len());
            for (q, line) in found.iter().enumerate() {
                assert_eq!(line.len(), bank.len());
                for (b, s) in line.iter().enumerate() {
                    let exact = exact(queries.row(q), bank.row(b));
                    assert!((f64::from(*s) - exact).abs() <= error_bound(dim));
                }
            }
        }
    }

    #[test]
    fn rows_have_length_one_or_zero() {
        let rows = array![[3.0, 4.0], [0.0, 0.0], [1e30, 0.0], [-1e-30, 0.0]];
        let unit = UnitRows::new("rows", rows.view()).unwrap();
        assert_eq!(unit.row(0), [0.6, 0.8]);
        assert_eq!(unit.row(1), [0.0, 0.0]);
        assert_eq!(unit.row(2), [1.0, 0.0]);
        assert_eq!(unit.row(3), [-1.0, 0.0]);
    }

    #[test]
    fn bad_rows_are_named() {
        let text = |rows: Array2<f32>| {
            UnitRows::new("the bank", rows.view())
                .unwrap_err()
                .to_string()
        };
        assert!(text(array![[1.0, 0.0], [0.0, f32::NAN]]).contains("the bank: row 1, column 1"));
        assert!(text(Array2::zeros((0, 3))).contains("0 rows"));
        assert!(text(Array2::zeros((3, 0))).contains("0 columns"));
        let (two, three) = (Array2::ones((1, 2)), Array2::ones((1, 3)));
        let two = UnitRows::new("a", two.view()).unwrap();
        let three = UnitRows::new("b", three.view()).unwrap();
        assert!(scan(&two, &three, 1, &Everything).is_err());
    }

    #[test]
    fn the_sum_has_every_term() {
        let a: Vec<f32> = (1..=19).map(|v| v as f32).collect();
        assert_eq!(
            exact(&a, &a),
            (1..=19).map(|v| f64::from(v * v)).sum::<f64>()
        );
    }
}
