//! A fixed number of things that are lent to one caller at a time.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

type Make<T> = Box<dyn Fn() -> Result<T> + Send + Sync>;

/// Lends things out to one caller at a time. They are made when they are first needed, at most
/// `most` of them; a caller that finds all of them lent waits.
///
/// A process that was forked makes its own: a fork copies things, but not the threads that they work with.
pub(super) struct Pool<T> {
    make: Make<T>,
    most: usize,
    state: Mutex<State<T>>,
    freed: Condvar,
}

struct State<T> {
    idle: Vec<T>,
    /// Things that exist or are being made.
    made: usize,
    /// The process that made them.
    process: u32,
}

impl<T> Pool<T> {
    pub(super) fn new(
        most: usize,
        first: Option<T>,
        make: impl Fn() -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        let idle: Vec<T> = first.into_iter().collect();
        let made = idle.len();
        Pool {
            make: Box::new(make),
            most: most.max(1),
            state: Mutex::new(State {
                idle,
                made,
                process: std::process::id(),
            }),
            freed: Condvar::new(),
        }
    }

    /// Calls `work` with a thing that nobody else has meanwhile.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let (place, idle) = self.enter();
        let mut thing = match idle {
            Some(thing) => thing,
            None => (self.make)()?,
        };
        let result = work(&mut thing);
        place.leave(thing);
        result
    }

    fn enter(&self) -> (Place<'_, T>, Option<T>) {
        let mut state = self.lock();
        loop {
            if let Some(thing) = state.idle.pop() {
                return (Place(self), Some(thing));
            }
            if state.made < self.most {
                state.made += 1;
                return (Place(self), None);
            }
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    // Nothing of a caller's runs under the lock, so a poisoned one is still in order.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if state.process != process {
            // Not dropped: to end it, a thing may wait for threads that are not here.
            std::mem::forget(std::mem::take(&mut state.idle));
            state.made = 0;
            state.process = process;
        }
        state
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("most", &self.most)
            .field("made", &self.lock().made)
            .finish_non_exhaustive()
    }
}

/// One of the pool's places. Dropped (after an error or a panic, when nobody knows what state the
/// thing is in), it is free for a new thing; left, it keeps its thing for the next caller.
struct Place<'p, T>(&'p Pool<T>);

impl<T> Place<'_, T> {
    fn leave(self, thing: T) {
        let pool = self.0;
        std::mem::forget(self);
        pool.lock().idle.push(thing);
        pool.freed.notify_one();
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.0.lock().made -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    fn counting(most: usize) -> (Pool<usize>, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let pool = Pool::new(most, None, move || Ok(count.fetch_add(1, Ordering::SeqCst)));
        (pool, made)
    }

    fn number(pool: &Pool<usize>) -> usize {
        pool.with(|n| Ok(*n)).unwrap()
    }

    #[test]
    fn one_caller_makes_one_thing() {
        let (pool, made) = counting(4);
        for _ in 0..10 {
            assert_eq!(number(&pool), 0);
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn many_callers_share_at_most_the_number_asked_for() {
        let (pool, made) = counting(3);
        let (inside, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        pool.with(|_| {
                            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                            peak.fetch_max(now, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert!(peak.load(Ordering::SeqCst) <= 3);
        assert!(made.load(Ordering::SeqCst) <= 3);
    }

    #[test]
    fn a_panic_costs_one_thing_and_no_place() {
        let (pool, made) = counting(1);
        for _ in 0..3 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.with(|_| -> Result<()> { panic!("inside") })
            }));
            assert!(caught.is_err());
        }
        assert_eq!(number(&pool), 3);
        assert_eq!(made.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_failure_to_make_one_is_not_kept() {
        let tries = AtomicUsize::new(0);
        let pool = Pool::new(1, None, move || {
            match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::Interrupted),
                n => Ok(n),
            }
        });
        assert!(pool.with(|_| Ok(())).is_err());
        assert_eq!(number(&pool), 1);
    }
}
