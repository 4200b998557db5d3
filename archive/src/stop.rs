//! Ending a job before its input ends.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asked by every thread of a job before it begins something.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// The caller's flag.
    outside: Arc<AtomicBool>,
    /// Raised by the job itself, where `progress` breaks off.
    inside: Arc<AtomicBool>,
}

impl Stop {
    pub(super) fn new(outside: &Arc<AtomicBool>) -> Self {
        Stop {
            outside: Arc::clone(outside),
            inside: Arc::default(),
        }
    }

    pub(super) fn raise(&self) {
        self.inside.store(true, Ordering::Relaxed);
    }

    /// Whether `progress` broke off.
    pub(super) fn is_broken(&self) -> bool {
        self.inside.load(Ordering::Relaxed)
    }

    pub(super) fn is_raised(&self) -> bool {
        self.is_broken() || self.outside.load(Ordering::Relaxed)
    }

    /// Whether whoever goes through something goes on.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        match self.is_raised() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
