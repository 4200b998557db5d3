//! A file of a registry, from one of its places into the cache.
//!
//! Bytes are hashed while they arrive and appended to a file aside, which takes its name only when
//! its sha256 is the right one and it is on the disk. What is cut off goes on where it stopped:
//! later in the same call, in a later process, or from another mirror.

#[cfg(feature = "download")]
mod http;
#[cfg(not(feature = "download"))]
#[path = "no_http.rs"]
mod http;
mod part;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

pub(super) use http::Client;
use part::Part;

use super::cache::{Cache, refused};
use super::events::{Event, Observer};
use super::location::Location;
use crate::bundle::FileEntry;
use crate::error::{Error, Result};
use crate::parts::guard::{guarded, said};

/// Most times that one place is asked for one file, however much arrives each time.
const MOST_ROUNDS: u32 = 100;

/// How long a download is waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Patience {
    /// Times in a row that a place may fail without anything having arrived.
    pub attempts: u32,
    /// Wait before the second attempt; twice as long before each further one.
    pub backoff: Duration,
    /// Longest wait that a server may ask for (`Retry-After`).
    pub longest_wait: Duration,
    /// Longest silence: of a connection, of the headers, between two pieces.
    pub timeout: Duration,
    /// Time over which the speed is looked at.
    pub window: Duration,
    /// Least speed, in bytes a second.
    pub slowest: u64,
}

impl Default for Patience {
    /// 5 attempts, 0.5 s, 60 s, 30 s, 30 s, 1,000 bytes/s: our choice.
    fn default() -> Self {
        Patience {
            attempts: 5,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            window: Duration::from_secs(30),
            slowest: 1000,
        }
    }
}

/// Why a place did not give a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// It may later; after this time, if the server said one.
    Passing {
        reason: String,
        wait: Option<Duration>,
    },
    /// It will not.
    Lasting(String),
    /// It gave another file.
    Other { actual: String },
    /// The cache cannot take it; no other place would help.
    Cache(Error),
}

/// Brings files of one model into the cache.
pub(super) struct Fetcher<'a> {
    pub(super) cache: &'a Cache,
    pub(super) patience: &'a Patience,
    pub(super) observer: &'a Observer,
    /// `id@version`, for messages.
    pub(super) model: String,
    /// Made for the first server.
    pub(super) client: Option<Client>,
}

impl Fetcher<'_> {
    /// Brings a file into the cache, unless it is there.
    ///
    /// # Errors
    /// [`Error::Fetch`] with what each place said, [`Error::Cache`].
    pub(super) fn blob<'l>(
        &mut self,
        name: &str,
        entry: &FileEntry,
        places: impl Iterator<Item = &'l Location>,
    ) -> Result<()> {
        let blob = self.cache.blob(&entry.sha256);
        if is_whole(&blob, entry) {
            return Ok(());
        }
        let waits = || self.observer.tell(Event::Waits { file: name });
        let _lock = self.cache.lock(&entry.sha256, false, waits)?;
        // Whoever had the lock may have fetched it.
        if is_whole(&blob, entry) {
            return Ok(());
        }
        self.observer.tell(Event::File {
            file: name,
            size: entry.size,
        });
        let mut part = Part::open(self.cache, entry)?;
        let mut faults = Vec::new();
        for place in places {
            match self.ask(place, &mut part) {
                Ok(()) => return self.keep(part, &blob),
                Err(Fault::Cache(error)) => return Err(error),
                Err(Fault::Passing { reason, .. } | Fault::Lasting(reason)) => {
                    faults.push(format!("{place}: {reason}"));
                }
                Err(Fault::Other { actual }) => faults.push(format!(
                    "{place}: it is another file: its sha256 is {actual}, expected {}",
                    entry.sha256
                )),
            }
        }
        Err(Error::Fetch {
            model: self.model.clone(),
            file: name.to_owned(),
            reason: faults.join("; "),
        })
    }

    fn keep(&self, part: Part<'_>, blob: &Path) -> Result<()> {
        if let Some(folder) = blob.parent() {
            fs::create_dir_all(folder).map_err(|source| refused(folder, source))?;
        }
        part.keep_as(blob)
    }

    /// Asks one place until it has given all or gives no more.
    fn ask(&mut self, place: &Location, part: &mut Part<'_>) -> Result<(), Fault> {
        let mut attempt = 0;
        // Bytes of an earlier process or of another place may be of another file.
        let mut inherited = part.length() > 0;
        for _ in 0..MOST_ROUNDS {
            let before = part.length();
            let fault = match self.once(place, part).and_then(|()| part.check()) {
                Ok(()) => return Ok(()),
                Err(Fault::Other { .. }) if inherited => {
                    inherited = false;
                    part.restart().map_err(Fault::Cache)?;
                    continue;
                }
                Err(fault @ Fault::Other { .. }) => {
                    part.restart().map_err(Fault::Cache)?;
                    return Err(fault);
                }
                Err(fault) => fault,
            };
            let Fault::Passing { reason, wait } = &fault else {
                return Err(fault);
            };
            attempt = match part.length() > before && !part.is_slow() {
                true => 1,
                false => attempt + 1,
            };
            if attempt >= self.patience.attempts {
                return Err(fault);
            }
            let wait = match wait {
                Some(wait) if *wait > self.patience.longest_wait => {
                    let reason = format!("{reason}, and asks to wait {} s", wait.as_secs());
                    return Err(Fault::Lasting(reason));
                }
                Some(wait) => *wait,
                None => self.patience.backoff * 2_u32.saturating_pow(attempt - 1),
            };
            self.observer.tell(Event::Retry {
                place,
                reason,
                wait,
            });
            std::thread::sleep(wait.min(self.patience.longest_wait));
        }
        Err(Fault::Lasting(format!("it broke off {MOST_ROUNDS} times")))
    }

    fn once(&mut self, place: &Location, part: &mut Part<'_>) -> Result<(), Fault> {
        if part.is_complete() {
            return Ok(());
        }
        match place {
            Location::File(path) => copy(path, part, self.observer),
            Location::Web(url) => {
                let client = match &mut self.client {
                    Some(client) => client,
                    none => none.insert(Client::new(self.patience).map_err(Fault::Lasting)?),
                };
                client.append(url, part, self.observer)
            }
        }
    }
}

/// Does what needs a client of servers on a thread of its own: the client has an async runtime inside, which panics on a
/// thread of another one, as the caller's may be.
///
/// # Errors
/// What it said, where the work panicked.
pub(super) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| guarded(work));
        // What panics there is caught there.
        thread
            .join()
            .unwrap_or_else(|panic| Err(said(&*panic).to_owned()))
    })
}

/// Whether a file is there with the length that it should have. Its contents are looked at where
/// they are used.
pub(super) fn is_whole(path: &Path, entry: &FileEntry) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.len() == entry.size)
}

fn copy(path: &Path, part: &mut Part<'_>, observer: &Observer) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::Lasting(error.to_string());
    let mut file = File::open(path).map_err(fault)?;
    let length = file.metadata().map_err(fault)?.len();
    if length != part.expected() {
        let reason = format!("it has {length} bytes, expected {}", part.expected());
        return Err(Fault::Lasting(reason));
    }
    part.restart().map_err(Fault::Cache)?;
    let mut buffer = vec![0; 1 << 16];
    while !part.is_complete() {
        match file.read(&mut buffer) {
            Ok(0) => return Err(Fault::Lasting("it became shorter".into())),
            Ok(read) => part.append(&buffer[..read], observer)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_on_the_thread_is_told() {
        assert_eq!(on_a_thread(|| 7), Ok(7));
        let told = on_a_thread(|| -> u8 { panic!("no runtime") });
        assert_eq!(told, Err("no runtime".into()));
    }
}
