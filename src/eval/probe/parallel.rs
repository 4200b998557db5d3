//! Numbered jobs on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::reason;
use crate::error::Result;
use crate::guard::safely;

/// The results of `work` for `0..jobs`, in that order. The calling thread works too.
///
/// # Errors
/// The error of the first job that has one or panics, or when a thread cannot be started.
pub(super) fn map<R: Send>(
    jobs: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if threads.min(jobs) <= 1 {
        return (0..jobs)
            .map(|job| safely("a probe", || work(job)))
            .collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return done;
            }
            done.push((job, safely("a probe", || work(job))));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(jobs))
            .map(|_| {
                thread::Builder::new()
                    .name("satmip-eval".into())
                    .spawn_scoped(scope, some)
                    .map_err(|e| reason(format!("cannot start a thread: {e}")))
            })
            .collect::<Result<_>>()?;
        let mut done = some();
        for other in others {
            done.extend(other.join().map_err(|_| reason("a thread panicked"))?);
        }
        Ok::<_, crate::error::Error>(done)
    })?;
    done.sort_unstable_by_key(|(job, _)| *job);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        for threads in [1, 2, 3, 16] {
            for jobs in [0, 1, 2, 7, 100] {
                let found = map(jobs, threads, |job| Ok(job * job)).unwrap();
                assert_eq!(found, (0..jobs).map(|j| j * j).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_panic_is_the_error_of_its_job() {
        for threads in [1, 4] {
            let found = map(50, threads, |job| match job {
                20 => panic!("no number"),
                _ => Ok(job),
            });
            assert_eq!(
                found.unwrap_err().to_string(),
                "a probe panicked: no number"
            );
        }
    }

    #[test]
    fn the_first_error_is_told() {
        for threads in [1, 4] {
            let found = map(50, threads, |job| match job {
                20 | 40 => Err(reason(format!("job {job}"))),
                _ => Ok(job),
            });
            assert!(found.unwrap_err().to_string().contains("job 20"));
        }
    }
}
