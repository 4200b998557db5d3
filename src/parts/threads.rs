//! The same work for many things, on several threads, with one result whatever their number.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::Result;
use crate::parts::guard::safely;

/// Fewer small things than this are not worth a thread.
const FEW: usize = 64;

/// Number of cores.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Threads for so many things that take microseconds each.
pub fn threads_for(items: usize) -> usize {
    match items < FEW {
        true => 1,
        false => cores(),
    }
}

/// The results of `work` for `0..jobs`, in that order; `what` it is stands in the error of a panic. The calling thread
/// works too, so that threads which cannot be started are done without.
///
/// # Errors
/// The error of the first job that has one or panics; jobs behind it may not be done.
pub fn map<R: Send>(
    what: &str,
    jobs: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    // Jobs are handed out in order, so that every one before the first that failed gets its say.
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let some = || {
        let mut done = Vec::new();
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs || job > failed.load(Ordering::Relaxed) {
                return done;
            }
            let result = safely(what, || work(job));
            if result.is_err() {
                failed.fetch_min(job, Ordering::Relaxed);
            }
            done.push((job, result));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(jobs))
            .map_while(|_| {
                let thread = thread::Builder::new().name("satmip".into());
                thread.spawn_scoped(scope, some).ok()
            })
            .collect();
        let mut done = some();
        // What panics there is caught there.
        done.extend(
            others
                .into_iter()
                .filter_map(|other| other.join().ok())
                .flatten(),
        );
        done
    });
    done.sort_unstable_by_key(|(job, _)| *job);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Calls `work` for each item on so many threads, in no order that anything may depend on.
///
/// # Errors
/// Where `work` panics: then not all items were seen.
pub fn each<T: Send>(
    what: &str,
    items: &mut [T],
    threads: usize,
    work: impl Fn(&mut T) + Sync,
) -> Result<()> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    let parts: Vec<Mutex<&mut [T]>> = items.chunks_mut(share).map(Mutex::new).collect();
    map(what, parts.len(), threads, |part| {
        let mut part = parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        part.iter_mut().for_each(&work);
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn reason(reason: &str) -> Error {
        Error::Argument {
            what: "job",
            reason: reason.into(),
        }
    }

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        for threads in [0, 1, 2, 3, 16] {
            for jobs in [0, 1, 2, 7, 100] {
                let found = map("a job", jobs, threads, |job| Ok(job * job)).unwrap();
                assert_eq!(found, (0..jobs).map(|j| j * j).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_panic_is_the_error_of_its_job_and_ends_the_work() {
        for threads in [1, 4] {
            let found = map("a job", 50, threads, |job| match job {
                20 => panic!("no number"),
                _ => Ok(job),
            });
            assert_eq!(found.unwrap_err().to_string(), "a job panicked: no number");
            let seen = AtomicUsize::new(0);
            let found = map("a job", 1 << 20, threads, |_| -> Result<()> {
                seen.fetch_add(1, Ordering::Relaxed);
                Err(reason("no"))
            });
            assert!(found.is_err() && seen.into_inner() <= threads);
        }
    }

    #[test]
    fn the_first_error_is_told() {
        for threads in [1, 4] {
            let found = map("a job", 50, threads, |job| match job {
                n if n >= 20 => {
                    // Later ones fail at once, the first one takes its time.
                    if n == 20 {
                        thread::sleep(std::time::Duration::from_millis(30));
                    }
                    Err(reason(&n.to_string()))
                }
                _ => Ok(job),
            });
            assert_eq!(found.unwrap_err().to_string(), "job: 20");
        }
    }

    #[test]
    fn each_item_is_seen_once() {
        for (threads, items) in [(1, 5), (3, 2), (2, 5), (4, 0), (0, 3)] {
            let mut seen = vec![0; items];
            each("counting", &mut seen, threads, |count| *count += 1).unwrap();
            assert_eq!(seen, vec![1; items]);
        }
        assert_eq!((threads_for(FEW - 1), threads_for(FEW)), (1, cores()));
        for threads in [1, 3] {
            let mut items: Vec<usize> = (0..9).collect();
            let work = |item: &mut usize| assert!(*item != 4, "not this one");
            let error = each("reading the data", &mut items, threads, work).unwrap_err();
            assert_eq!(error.to_string(), "reading the data panicked: not this one");
        }
    }
}
