//! Work that may panic, in somebody else's code or on a hostile file, as an error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// How many guards this thread is inside.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
}

/// Runs something; what a panic in it said is the error.
///
/// The panic is reported by whoever gets the error. Programs call [`quiet`] once, so that the
/// panic's own trace is not printed as well.
pub fn guarded<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    /// Leaves the guard on the way out, with and without a panic.
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            GUARDS.with(|guards| guards.set(guards.get() - 1));
        }
    }
    GUARDS.with(|guards| guards.set(guards.get() + 1));
    let inside = Inside;
    let result = catch_unwind(AssertUnwindSafe(work));
    drop(inside);
    result.map_err(|panic| said(&*panic).to_owned())
}

/// Does something that can fail; a panic in it is an error that says in what. Threads do all of their work in
/// this, so that whoever waits for them is told.
pub fn safely<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded(work).unwrap_or_else(|said| Err(panicked(what, said)))
}

/// The error of a panic.
pub fn panicked(what: &str, said: String) -> Error {
    Error::Panic {
        what: what.to_owned(),
        said,
    }
}

/// What a panic said.
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

/// From now on this process prints no trace of a panic that a guard turns into an error. All others
/// are reported as before.
pub fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if GUARDS.with(Cell::get) == 0 {
                before(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_it_said() {
        assert_eq!(guarded(|| 7), Ok(7));
        let index = 9;
        let told = guarded(|| [1, 2][index]).unwrap_err();
        assert!(told.contains("out of bounds"), "{told}");
        assert_eq!(guarded(|| panic!("plain")), Err::<(), _>("plain".into()));
        let odd = guarded(|| std::panic::panic_any(3));
        assert_eq!(odd, Err::<(), _>("no reason given".into()));
    }

    #[test]
    fn a_panic_says_in_what_it_was() {
        let told = safely::<()>("reading `a`", || panic!("plain")).unwrap_err();
        assert_eq!(told.to_string(), "reading `a` panicked: plain");
        assert!(told.hint().is_some());
        assert_eq!(safely("reading", || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn guards_nest_and_end() {
        let outer = guarded(|| guarded(|| panic!("inner")));
        assert_eq!(outer, Ok(Err::<(), _>("inner".into())));
        assert_eq!(GUARDS.with(Cell::get), 0);
    }
}
