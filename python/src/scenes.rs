//! Scenes that stay open between calls: windows that follow each other share the blocks that were decoded.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lru::LruCache;
use satmip::image::ReadOptions;
use satmip::scene::Scene;
use satmip::{Error, ImageFault};
use satmip_archive::Rasters;

/// Most scenes that stay open (our choice); each keeps at most [`MOST_KEPT`](satmip::scene::MOST_KEPT) of blocks.
const MOST_OPEN: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// How long a scene at an address stays open, whose server is not asked meanwhile whether it is another (our choice).
const FRESH: Duration = Duration::from_secs(60);

/// A file as it was at a time: one that is replaced is another scene. An address by itself.
type Key = (PathBuf, Option<(u64, SystemTime)>);

/// A scene that somebody opens, or has opened.
#[derive(Debug)]
struct Slot {
    since: Instant,
    scene: OnceLock<Result<Arc<Scene>, ImageFault>>,
    /// Whether a window of it could not be read.
    doubtful: AtomicBool,
}

impl Default for Slot {
    fn default() -> Self {
        Slot {
            since: Instant::now(),
            scene: OnceLock::new(),
            doubtful: AtomicBool::new(false),
        }
    }
}

/// The scenes that were used last.
#[derive(Debug)]
pub(crate) struct Scenes {
    kept: Mutex<LruCache<Key, Arc<Slot>>>,
    rasters: Rasters,
}

impl Default for Scenes {
    fn default() -> Self {
        Scenes {
            kept: Mutex::new(LruCache::new(MOST_OPEN)),
            rasters: Rasters::default(),
        }
    }
}

impl Scenes {
    /// A call begins: addresses are asked again from time to time, and at once where something could not be read.
    pub(crate) fn begin(&self) {
        let mut kept = self.kept();
        let old = |(key, slot): &(&Key, &Arc<Slot>)| {
            let failed = slot.scene.get().is_some_and(Result::is_err);
            let doubtful = slot.doubtful.load(Ordering::Relaxed);
            let stale = slot.since.elapsed() > FRESH && Rasters::is_address(&key.0);
            failed || doubtful || stale
        };
        let old: Vec<Key> = kept
            .iter()
            .filter(old)
            .map(|(key, _)| key.clone())
            .collect();
        old.iter().for_each(|key| drop(kept.pop(key)));
    }

    /// The scene of a file or an address; whoever asks first opens it, others wait for that.
    ///
    /// # Errors
    /// As [`Rasters::open`] and [`Scene::open`].
    pub(crate) fn open(&self, place: &Path, reading: &ReadOptions) -> satmip::Result<Arc<Scene>> {
        let slot = Arc::clone(self.kept().get_or_insert_mut(key(place), Arc::default));
        let open = || Scene::open(self.rasters.open(place)?, reading);
        let opened = slot.scene.get_or_init(|| match open() {
            Ok(scene) => Ok(Arc::new(scene)),
            Err(Error::Image { fault, .. }) => Err(fault),
            Err(other) => Err(ImageFault::Unreadable(other.to_string())),
        });
        opened.clone().map_err(|fault| Error::Image {
            item: Rasters::shown(place),
            fault,
        })
    }

    /// Hears that a window could not be read: a server may do better for the next call.
    pub(crate) fn doubt(&self, place: &Path) {
        if let Some(slot) = self.kept().peek(&key(place)) {
            slot.doubtful.store(true, Ordering::Relaxed);
        }
    }

    fn kept(&self) -> MutexGuard<'_, LruCache<Key, Arc<Slot>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(place: &Path) -> Key {
    let facts = match Rasters::is_address(place) {
        true => None,
        false => std::fs::metadata(place).ok(),
    };
    let facts = facts.and_then(|facts| Some((facts.len(), facts.modified().ok()?)));
    (place.to_owned(), facts)
}
