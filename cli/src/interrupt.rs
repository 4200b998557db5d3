//! Ctrl-C (SIGINT) and SIGTERM.
//!
//! The first one ends a command in an orderly way: while the command looks at its flag, by what the command makes
//! of it; else at once, without the files that have no name yet. A second one ends the process
//! whatever it is doing. The exit code is 130 in each case.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use super::Exit;
use super::terminal::Terminal;
use satmip::parts::aside;

/// How often it is looked whether a signal came.
const POLL: Duration = Duration::from_millis(20);
/// A command that takes longer than this to end says that it is about to.
const PATIENCE: u32 = 50;

/// Watches signals for one command.
#[derive(Debug)]
pub(super) struct Interrupt {
    raised: Arc<AtomicBool>,
    /// Whether the command looks at the flag.
    heeded: Arc<AtomicBool>,
    /// Whether the command has ended.
    ended: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches from now on. `told` is added to what is said where the command is ended at once. Where signals cannot be
    /// watched, they end the process as they do everywhere.
    pub(super) fn watch(terminal: &Terminal, told: &'static str) -> Self {
        let interrupt = Interrupt {
            raised: Arc::default(),
            heeded: Arc::default(),
            ended: Arc::default(),
        };
        let register = |signal| {
            // In this order: the first signal finds the flag still down.
            let code = i32::from(Exit::INTERRUPTED);
            flag::register_conditional_shutdown(signal, code, Arc::clone(&interrupt.raised))?;
            flag::register(signal, Arc::clone(&interrupt.raised))
        };
        let watch = interrupt.watcher(terminal.sayer(), told);
        // Whoever registers flags must also look at them.
        let watching = thread::Builder::new()
            .name("satmip-signals".into())
            .spawn(watch)
            .and_then(|_| {
                [SIGINT, SIGTERM]
                    .into_iter()
                    .try_for_each(|s| register(s).map(drop))
            });
        if let Err(error) = watching {
            tracing::warn!("signals cannot be watched ({error}): Ctrl-C ends at once");
        }
        interrupt
    }

    fn watcher(
        &self,
        say: impl Fn(&str) + Send + 'static,
        told: &'static str,
    ) -> impl FnOnce() + Send + 'static {
        let (raised, heeded) = (Arc::clone(&self.raised), Arc::clone(&self.heeded));
        let ended = Arc::clone(&self.ended);
        move || {
            let mut waited = 0;
            while !ended.load(Ordering::SeqCst) {
                if raised.load(Ordering::SeqCst) {
                    if !heeded.load(Ordering::SeqCst) {
                        aside::remove_all();
                        say(&format!("interrupted{told}"));
                        // Not by way of the libraries' own ends: other threads still use them.
                        low_level::exit(i32::from(Exit::INTERRUPTED));
                    }
                    waited += 1;
                    if waited == PATIENCE {
                        say("finishing what was begun; Ctrl-C again ends at once");
                    }
                }
                thread::sleep(POLL);
            }
        }
    }

    /// The flag, which the command looks at from now on.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        self.heeded.store(true, Ordering::SeqCst);
        Arc::clone(&self.raised)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}
