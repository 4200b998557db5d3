//! Batches in parallel, with one result whatever the number of threads.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, Axis};

use crate::error::{Error, Result};
use crate::guard::safely;

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
        let threads = self.threads.min(count.div_ceil(self.size)).max(1);
        let (failed, failure) = (AtomicBool::new(false), Mutex::new(None));
        let jobs = Mutex::new(result.axis_chunks_iter_mut(Axis(0), self.size).enumerate());
        let worker = || {
            while !failed.load(Ordering::Relaxed) {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((i, mut rows)) = job else { break };
                let start = i * self.size;
                let range = start..start + rows.nrows();
                let made = safely("embedding a batch", || work(range));
                match made.and_then(|made| fits(made, rows.dim())) {
                    Ok(made) => rows.assign(&made),
                    Err(error) => {
                        failed.store(true, Ordering::Relaxed);
                        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        // Jobs are handed out in order, so every earlier one gets its say.
                        if failure.as_ref().is_none_or(|(first, _)| i < *first) {
                            *failure = Some((i, error));
                        }
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(worker);
            }
            worker();
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(result),
        }
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

    #[test]
    fn the_first_failure_is_the_one_that_is_told() {
        for threads in [1, 4] {
            let batches = Batches { size: 1, threads };
            let error = batches
                .run(50, 2, |rows| match rows.start {
                    n if n >= 20 => {
                        // Later ones fail at once, the first one takes its time.
                        if n == 20 {
                            std::thread::sleep(std::time::Duration::from_millis(30));
                        }
                        Err(Error::Argument {
                            what: "row",
                            reason: n.to_string(),
                        })
                    }
                    _ => numbered(rows),
                })
                .unwrap_err();
            assert_eq!(error.to_string(), "row: 20");
        }
    }
}
