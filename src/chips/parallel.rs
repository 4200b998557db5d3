//! The same work for many things, on several cores.

use std::thread;

use crate::error::{Error, Result};

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
/// When a thread cannot be started.
pub(crate) fn each<T: Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(&mut T) + Sync,
) -> Result<()> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        items.iter_mut().for_each(work);
        return Ok(());
    }
    let (share, work) = (items.len().div_ceil(threads), &work);
    thread::scope(|scope| {
        for part in items.chunks_mut(share) {
            thread::Builder::new()
                .name("satmip-chips".into())
                .spawn_scoped(scope, move || part.iter_mut().for_each(work))
                .map_err(|e| Error::Data {
                    reason: "cannot start a thread to read the data".into(),
                    source: Some(e.into()),
                })?;
        }
        Ok(())
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
}
