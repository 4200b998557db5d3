//! Batches in parallel, with one result whatever the number of threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, Axis};

use crate::error::{Error, Result};
use crate::parts::threads;

/// How rows are cut into batches and run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batches {
    /// Rows of a batch.
    pub(super) size: usize,
    /// Batches that run at the same time.
    pub(super) threads: usize,
}

impl Batches {
    /// The matrix of `count` rows that `work` makes, given a range of rows at a time.
    ///
    /// Which rows share a batch follows from their position alone. When several batches fail, the
    /// error is that of the first of them.
    pub(super) fn run(
        self,
        count: usize,
        width: usize,
        work: impl Fn(Range<usize>) -> Result<Array2<f32>> + Sync,
    ) -> Result<Array2<f32>> {
        let mut result = Array2::zeros((count, width));
        let batches = result.axis_chunks_iter_mut(Axis(0), self.size);
        let batches: Vec<_> = batches.map(Mutex::new).collect();
        threads::map("embedding a batch", batches.len(), self.threads, |batch| {
            let mut rows = batches[batch]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let start = batch * self.size;
            let made = work(start..start + rows.nrows())?;
            let made = fits(made, rows.dim())?;
            rows.assign(&made);
            Ok(())
        })?;
        drop(batches);
        Ok(result)
    }
}

fn fits(made: Array2<f32>, expected: (usize, usize)) -> Result<Array2<f32>> {
    if made.dim() == expected {
        return Ok(made);
    }
    Err(Error::Argument {
        what: "batch",
        reason: format!("it gave {:?} numbers, expected {expected:?}", made.dim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(rows: Range<usize>) -> Result<Array2<f32>> {
        let first = rows.start;
        Ok(Array2::from_shape_fn((rows.len(), 2), |(i, j)| {
            ((first + i) * 2 + j) as f32
        }))
    }

    #[test]
    fn rows_come_in_order_for_any_number_of_threads() {
        let expected = numbered(0..103).unwrap();
        for threads in [1, 2, 7, 200] {
            for size in [1, 10, 103, 1000] {
                let batches = Batches { size, threads };
                assert_eq!(batches.run(103, 2, numbered).unwrap(), expected);
            }
        }
    }

    #[test]
    fn no_rows_are_an_empty_matrix() {
        let batches = Batches {
            size: 8,
            threads: 4,
        };
        let made = batches.run(0, 5, |_| panic!("no batch to run")).unwrap();
        assert_eq!(made.dim(), (0, 5));
    }

    #[test]
    fn a_panic_is_an_error_and_ends_all_threads() {
        for threads in [1, 4] {
            let batches = Batches { size: 1, threads };
            let work = |rows: Range<usize>| match rows.start {
                20 => panic!("no memory"),
                _ => numbered(rows),
            };
            let error = batches.run(50, 2, work).unwrap_err();
            assert_eq!(error.to_string(), "embedding a batch panicked: no memory");
        }
    }
}
