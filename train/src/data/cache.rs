//! Decoded chips that are kept while they fit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use satmip::Result;
use satmip::image::RgbImage;
use satmip_eval::chips::ChipSet;

/// Keeps the first chips that are asked for, up to a number of bytes. Nothing is thrown out: an epoch
/// draws every chip once, so that no chip is likelier to be asked for than another.
pub(super) struct Cache {
    sets: Arc<Vec<ChipSet>>,
    /// A slot for each chip; none at all without a cache.
    slots: Vec<Vec<OnceLock<Arc<RgbImage>>>>,
    left: AtomicUsize,
}

impl Cache {
    pub(super) fn new(sets: Arc<Vec<ChipSet>>, bytes: usize) -> Self {
        let slots = |set: &ChipSet| (0..set.len()).map(|_| OnceLock::new()).collect();
        Cache {
            slots: match bytes {
                0 => Vec::new(),
                _ => sets.iter().map(slots).collect(),
            },
            sets,
            left: AtomicUsize::new(bytes),
        }
    }

    pub(super) fn sets(&self) -> &[ChipSet] {
        &self.sets
    }

    /// A chip's picture.
    ///
    /// # Errors
    /// As [`ChipSet::image`]; a failure is not kept.
    pub(super) fn image(&self, set: usize, chip: usize) -> Result<Arc<RgbImage>> {
        let slot = self.slots.get(set).and_then(|slots| slots.get(chip));
        if let Some(image) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(image));
        }
        let image = self.sets[set].image(chip)?;
        if let Some(slot) = slot {
            let bytes = image.pixels().len();
            let take = |left: usize| left.checked_sub(bytes);
            let order = Ordering::Relaxed;
            let fits = self.left.fetch_update(order, order, take).is_ok();
            if fits && slot.set(Arc::clone(&image)).is_err() {
                // Another thread was faster.
                self.left.fetch_add(bytes, order);
            }
        }
        Ok(image)
    }
}
