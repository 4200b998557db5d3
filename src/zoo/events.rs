//! What happens while files are fetched, for whoever shows it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::location::Location;
use super::registry::Model;

/// Something that happened while a model is fetched.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Files of a model will be fetched: so many bytes of them. Its licence is `model.licence`.
    Model {
        /// The model.
        model: &'a Model,
        /// What is not there yet, in bytes.
        bytes: u64,
    },
    /// A file begins, or goes on where it stopped.
    File {
        /// Its name.
        file: &'a str,
        /// Its length in bytes.
        size: u64,
    },
    /// Bytes of the file arrived.
    Bytes {
        /// Bytes that are there.
        of_file: u64,
        /// Bytes of the whole file.
        of: u64,
    },
    /// A place failed and is asked again after a while.
    Retry {
        /// The place.
        place: &'a Location,
        /// What was wrong.
        reason: &'a str,
        /// How long is waited.
        wait: Duration,
    },
    /// Another process fetches the file, and is waited for.
    Waits {
        /// The file's name.
        file: &'a str,
    },
}

/// Who is told of events.
#[derive(Clone, Default)]
pub(super) struct Observer(Option<Arc<Told>>);

type Told = dyn Fn(Event<'_>) + Send + Sync;

impl Observer {
    pub(super) fn new(told: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        Observer(Some(Arc::new(told)))
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        match &event {
            Event::Model { model, bytes } => {
                tracing::info!(
                    model = model.name(),
                    bytes,
                    licence = model.licence,
                    "fetching"
                );
            }
            Event::Retry {
                place,
                reason,
                wait,
            } => {
                tracing::debug!(%place, reason, ?wait, "trying again");
            }
            _ => {}
        }
        if let Some(told) = &self.0 {
            told(event);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
