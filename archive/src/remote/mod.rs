//! Objects of servers and stores, read in ranges.
//!
//! ```text
//! address --place--> store or server --get--> bytes of a range, size, version
//!                                      object --> RangeReader: what is expected is fetched ahead
//! ```
//!
//! `http` and `https` are asked by their whole address, signatures included; `s3`, `gs` and `az` through
//! `object_store`, with the variables that those stores' own tools read. Each range says which version of the object it
//! is of: two versions are never mixed.

mod access;
mod object;
mod place;
mod web;

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::StreamExt;
use lru::LruCache;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use crate::location::shown;
use crate::skipped::SkipKind;
pub(crate) use object::Object;
use place::Places;

/// Requests under way at a time (our choice).
const MOST_REQUESTS: usize = 16;
/// Objects that are kept open, each with its first [`object::HEAD`] bytes (our choice).
const MOST_OPEN: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Objects that could not be opened that are remembered (our choice).
const MOST_FAILED: usize = 100_000;

/// Why an object, or a part of it, cannot be had.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: SkipKind,
    pub(crate) reason: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn unreadable(reason: impl Into<String>) -> Fault {
        Fault {
            kind: SkipKind::Unreadable,
            reason: reason.into(),
        }
    }
}

/// An object that somebody opens, or has opened.
type Slot = Arc<OnceCell<Result<Arc<Object>, Fault>>>;

/// Everything remote that a job reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remote {
    shared: Arc<OnceLock<Result<Arc<Shared>, String>>>,
}

struct Shared {
    runtime: &'static Runtime,
    places: Places,
    requests: Semaphore,
    open: Mutex<LruCache<Url, Slot>>,
    /// Which version of each object was seen first, both as hashes.
    versions: Mutex<HashMap<u64, u64>>,
    /// What could not be opened stays so for a job, which goes through its inputs several times.
    failed: Mutex<HashMap<Url, Fault>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Remote {
    fn shared(&self) -> Result<&Arc<Shared>, Fault> {
        let shared = self.shared.get_or_init(|| Shared::new().map(Arc::new));
        shared
            .as_ref()
            .map_err(|reason| Fault::unreadable(reason.clone()))
    }

    /// Begins to open an object, and does not wait.
    pub(crate) fn announce(&self, url: &Url) {
        if let Ok(shared) = self.shared() {
            let (shared, slot, url) = (Arc::clone(shared), shared.slot(url), url.clone());
            shared.runtime.spawn(async move {
                slot.get_or_init(|| Object::open(shared, url)).await;
            });
        }
    }

    /// An object, of which the first bytes are read.
    ///
    /// # Errors
    /// Where it cannot be had, or is another one than when it was opened before.
    pub(crate) fn object(&self, url: &Url) -> Result<Arc<Object>, Fault> {
        let shared = self.shared()?;
        if let Some(fault) = shared.failed().get(url) {
            return Err(fault.clone());
        }
        let slot = shared.slot(url);
        let opened = shared
            .runtime
            .block_on(slot.get_or_init(|| Object::open(Arc::clone(shared), url.clone())));
        if let Err(fault) = opened {
            let mut failed = shared.failed();
            if failed.len() < MOST_FAILED {
                failed.insert(url.clone(), fault.clone());
            }
        }
        let object = opened.clone()?;
        shared.same(url, object.version())?;
        Ok(object)
    }

    /// An object as it is now, whatever was seen of it before.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub(crate) fn anew(&self, url: &Url) -> Result<Arc<Object>, Fault> {
        let shared = self.shared()?;
        let opened = Object::open(Arc::clone(shared), url.clone());
        shared.runtime.block_on(opened)
    }

    /// All bytes of an object, at most so many.
    ///
    /// # Errors
    /// Where it cannot be had or has more.
    pub(crate) fn whole(&self, url: &Url, most: u64) -> Result<Vec<u8>, Fault> {
        let shared = self.shared()?;
        let place = shared.places.of(url)?;
        shared.runtime.block_on(async {
            let _turn = shared.requests.acquire().await;
            place.whole(most).await.map(Vec::from)
        })
    }

    /// What a server answers to a document, at most so many bytes.
    ///
    /// # Errors
    /// Where it cannot be had or has more; of stores, which answer none.
    pub(crate) fn post(&self, url: &Url, body: String, most: u64) -> Result<Vec<u8>, Fault> {
        let shared = self.shared()?;
        match shared.places.of(url)? {
            place::Place::Web(web, url) => shared.runtime.block_on(async {
                let _turn = shared.requests.acquire().await;
                web.whole(&url, Some(body), most).await.map(Vec::from)
            }),
            place::Place::Store(..) => Err(Fault::unreadable("a store answers no documents")),
        }
    }

    /// Writes an object; if `new`, only where there is none, and whether there was none.
    ///
    /// # Errors
    /// Where it cannot be written, or the store cannot refuse to replace.
    pub(crate) fn put(&self, url: &Url, bytes: Vec<u8>, new: bool) -> Result<bool, Fault> {
        let shared = self.shared()?;
        let (store, path) = shared.places.store(url)?;
        shared.runtime.block_on(async {
            let _turn = shared.requests.acquire().await;
            place::put(&*store, &path, bytes, new).await
        })
    }

    /// Goes through the objects below an address of a store, in the byte order of their names: the name below it, and
    /// the address.
    ///
    /// # Errors
    /// Where they cannot be listed.
    pub(crate) fn list(
        &self,
        url: &Url,
        each: &mut dyn FnMut(&str, Url) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let shared = self.shared()?;
        let (store, prefix) = shared.places.store(url)?;
        let mut listed = store.list(Some(&prefix));
        let mut before = String::new();
        while let Some(found) = shared.runtime.block_on(listed.next()) {
            let found = found.map_err(|error| place::fault(&error))?;
            let key = found.location.as_ref().to_owned();
            // Stores list by name; resuming rests on it.
            if key < before {
                return Err(Fault::unreadable(
                    "the store does not list its objects by name (give a list of addresses)",
                ));
            }
            let name = key.strip_prefix(prefix.as_ref()).unwrap_or(&key);
            let name = name.trim_start_matches('/').to_owned();
            let mut address = url.clone();
            address.set_path(&format!("/{key}"));
            before = key;
            if each(&name, address).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The threads that send requests: one pair for a process, which lives as long as it does, since what was fetched may be
/// dropped on them. One that was forked makes its own: a fork copies no threads.
fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: Mutex<Option<(u32, &Runtime)>> = Mutex::new(None);
    let process = std::process::id();
    let mut made = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, runtime)) = made.filter(|(owner, _)| *owner == process) {
        return Ok(runtime);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("satmip-remote")
        .enable_all()
        .build()
        .map_err(|error| format!("no threads for requests: {error}"))?;
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    *made = Some((process, runtime));
    Ok(runtime)
}

impl Shared {
    fn new() -> Result<Self, String> {
        Ok(Shared {
            runtime: runtime()?,
            places: Places::new()?,
            requests: Semaphore::new(MOST_REQUESTS),
            open: Mutex::new(LruCache::new(MOST_OPEN)),
            versions: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    fn slot(&self, url: &Url) -> Slot {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.get_or_insert_mut_ref(url, Slot::default))
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<Url, Fault>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an object is of the version that was seen first.
    fn same(&self, url: &Url, version: &str) -> Result<(), Fault> {
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *versions
            .entry(hash(url.as_str()))
            .or_insert_with(|| hash(version));
        match first == hash(version) {
            true => Ok(()),
            false => Err(changed(&shown(url))),
        }
    }
}

/// An object that is another one than before.
fn changed(name: &str) -> Fault {
    Fault::unreadable(format!("`{name}` changed while the job ran"))
}
