//! The same work for many things, on several cores.

use std::thread;

use crate::error::{Error, Result};
use crate::guard::{panicked, safely, said};

/// Fewer small things than this are not worth a thread.
const FEW: usize = 64;

/// Number of cores.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Threads for so many things that take microseconds each.
pub(crate) fn threads_for(items: usize) -> usize {
    match items < FEW {
        true => 1,
        false => cores(),
    }
}

/// Calls `work` for each item on so many threads, in no order that anything may depend on.
///
/// # Errors
/// When a thread cannot be started, and where `work` panics: then not all items were seen.
pub(crate) fn each<T: Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(&mut T) + Sync,
) -> Result<()> {
    let threads = threads.min(items.len());
    let some = |part: &mut [T]| {
        safely("reading the data", || {
            part.iter_mut().for_each(&work);
            Ok(())
        })
    };
    if threads <= 1 {
        return some(items);
    }
    let (share, some) = (items.len().div_ceil(threads), &some);
    thread::scope(|scope| {
        let mut started = Vec::with_capacity(threads);
        for part in items.chunks_mut(share) {
            let thread = thread::Builder::new()
                .name("satmip-chips".into())
                .spawn_scoped(scope, move || some(part))
                .map_err(|e| Error::Data {
                    reason: "cannot start a thread to read the data".into(),
                    source: Some(e.into()),
                })?;
            started.push(thread);
        }
        // What panics there is caught there.
        started.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| Err(panicked("reading the data", said(&*panic).to_owned())))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_few_things_have_as_many_threads_as_were_asked_for() {
        for (asked, items, expected) in [(1, 5, 1), (3, 2, 2), (2, 5, 2), (4, 0, 0)] {
            let mut seen = vec![None; items];
            each(&mut seen, asked, |slot| {
                *slot = Some(thread::current().id())
            })
            .unwrap();
            let threads: HashSet<_> = seen.into_iter().map(Option::unwrap).collect();
            assert_eq!(threads.len(), expected, "{asked} {items}");
        }
        assert_eq!((threads_for(FEW - 1), threads_for(FEW)), (1, cores()));
    }

    #[test]
    fn a_panic_is_an_error() {
        for threads in [1, 3] {
            let mut items: Vec<usize> = (0..9).collect();
            let work = |item: &mut usize| assert!(*item != 4, "not this one");
            let error = each(&mut items, threads, work).unwrap_err().to_string();
            assert_eq!(error, "reading the data panicked: not this one");
        }
    }
}
