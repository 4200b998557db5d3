//! Work on a thread of its own, while the caller's hears of signals and tells of progress.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use satmip::parts::guard::{panicked, safely};
use satmip_archive::Progress;

use crate::error::{Fault, Result};

/// How often it is looked whether a signal came (our choice).
const POLL: Duration = Duration::from_millis(50);

/// By which work tells how far it is.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// Whom to tell, and how to end what is done.
#[derive(Debug, Default)]
pub(crate) struct Heard<'a, 'py> {
    /// Called with items, items of an earlier run, all items (None where that is not known) and items left out.
    pub(crate) progress: Option<&'a Bound<'py, PyAny>>,
    /// Raised on Ctrl-C, and then the work is waited for; work without one is left to itself, and must be one that only
    /// reads.
    pub(crate) stop: Option<Arc<AtomicBool>>,
}

impl Heard<'_, '_> {
    fn listen(&self, py: Python<'_>, told: Option<Progress>) -> PyResult<()> {
        py.check_signals()?;
        if let (Some(call), Some(told)) = (self.progress, told) {
            call.call1((told.items, told.resumed, told.total, told.skipped))?;
        }
        Ok(())
    }

    /// Does work that needs no interpreter. An exception of a signal's or of the callback's ends it.
    pub(crate) fn over<T: Send + 'static>(
        &self,
        py: Python<'_>,
        what: &'static str,
        work: impl FnOnce(Tell<'_>) -> satmip::Result<T> + Send + 'static,
    ) -> Result<T> {
        let latest: Arc<Mutex<Option<Progress>>> = Arc::default();
        let (told, (send, mut done)) = (Arc::clone(&latest), mpsc::channel());
        let own = move || {
            let mut tell = |progress: &Progress| {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(*progress);
                ControlFlow::Continue(())
            };
            // Nobody waits where the caller was interrupted.
            let _ = send.send(safely(what, || work(&mut tell)));
        };
        let thread = thread::Builder::new().name("satmip-job".into());
        thread.spawn(own).map_err(PyErr::from)?;
        let mut raised = None;
        let found = loop {
            let heard;
            (heard, done) = py.detach(move || (done.recv_timeout(POLL), done));
            let told = latest.lock().unwrap_or_else(PoisonError::into_inner).take();
            if raised.is_none()
                && let Err(exception) = self.listen(py, told)
            {
                match &self.stop {
                    Some(stop) => stop.store(true, Ordering::SeqCst),
                    None => return Err(Fault::Python(exception)),
                }
                raised = Some(exception);
            }
            match heard {
                Ok(found) => break found,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Err(panicked(what, "it ended without a result".into()));
                }
            }
        };
        match raised {
            Some(exception) => Err(Fault::Python(exception)),
            None => Ok(found?),
        }
    }
}
