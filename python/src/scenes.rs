//! Scenes that stay open between calls: windows that follow each other share the blocks that were decoded.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use lru::LruCache;
use satmip::image::ReadOptions;
use satmip::scene::Scene;
use satmip::{Error, ImageFault};

/// Most scenes that stay open (our choice); each keeps at most [`MOST_KEPT`](satmip::scene::MOST_KEPT) of blocks.
const MOST_OPEN: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// A file as it was at a time: one that is replaced is another scene.
type Key = (PathBuf, Option<(u64, SystemTime)>);

/// A scene that somebody opens, or has opened.
type Slot = Arc<OnceLock<Result<Arc<Scene>, ImageFault>>>;

/// The scenes that were used last.
#[derive(Debug)]
pub(crate) struct Scenes(Mutex<LruCache<Key, Slot>>);

impl Default for Scenes {
    fn default() -> Self {
        Scenes(Mutex::new(LruCache::new(MOST_OPEN)))
    }
}

impl Scenes {
    /// The scene of a file; whoever asks first opens it, others wait for that.
    ///
    /// # Errors
    /// As [`Scene::open`].
    pub(crate) fn open(&self, path: &Path, reading: &ReadOptions) -> satmip::Result<Arc<Scene>> {
        let facts = std::fs::metadata(path).ok();
        let facts = facts.and_then(|facts| Some((facts.len(), facts.modified().ok()?)));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(kept.get_or_insert_mut((path.to_owned(), facts), Slot::default));
        drop(kept);
        let opened = slot.get_or_init(|| match Scene::open(path, reading) {
            Ok(scene) => Ok(Arc::new(scene)),
            Err(Error::Image { fault, .. }) => Err(fault),
            Err(other) => Err(ImageFault::Unreadable(other.to_string())),
        });
        opened.clone().map_err(|fault| Error::Image {
            item: path.display().to_string(),
            fault,
        })
    }
}
