//! The strips or tiles of a scene as 8-bit RGB, those read last kept.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use lru::LruCache;

use crate::error::ImageFault;
use crate::image::{Raster, Reading, Region};
use crate::parts::guard::guarded;

/// Most bytes of decoded blocks that a scene keeps: 192 MiB (our choice; two rows of tiles of 512 pixels of a scene of
/// 60,000 pixels a row).
pub const MOST_KEPT: usize = 192 << 20;

/// Most bytes of decoded blocks that a scene of large ones keeps, so that two rows of them are there: windows that lie
/// on both would else decode each again (our choice; Sentinel-2's tiles of 1,024 pixels in three bands need 264 MiB).
const MOST_OF_TWO_ROWS: usize = 336 << 20;

/// Most blocks that are known to be needed soon (our choice).
const MOST_AHEAD: usize = 1024;

/// Fewest blocks that a scene must be able to keep for one to be decoded before it is asked for: else it would drive out
/// those that are in use (our choice).
const FEWEST_FOR_AHEAD: usize = 8;

/// A block as 8-bit RGB, and which of its pixels are there; none where all are.
pub(super) type Decoded = Result<(Vec<u8>, Option<Vec<bool>>), ImageFault>;

/// A block that somebody decodes, or has decoded.
type Slot = Arc<OnceLock<Decoded>>;

/// A raster by its blocks.
pub(super) struct Blocks {
    raster: Raster,
    known: Mutex<Known>,
    /// How many blocks may be kept.
    most: usize,
}

/// Row and column of a block in the grid of blocks.
type Place = (u32, u32);

/// What is known of blocks.
struct Known {
    /// Those that somebody asked for, who decodes them; the ones used last.
    kept: LruCache<Place, Slot>,
    /// Those that will be needed soon and that nobody has begun.
    ahead: BTreeSet<Place>,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl Blocks {
    pub(super) fn of(raster: Raster) -> Self {
        Blocks::keeping(raster, 1)
    }

    /// One of three files of a scene.
    pub(super) fn third_of(raster: Raster) -> Self {
        Blocks::keeping(raster, 3)
    }

    /// One of so many files of a scene.
    fn keeping(raster: Raster, files: usize) -> Self {
        let (width, height) = raster.block();
        // Three bytes a pixel, and one for what is missing.
        let block = (width as usize * height as usize * 4).max(1);
        let two_rows = 2 * raster.size().0.div_ceil(width.max(1)) as usize * block;
        let bytes = (MOST_KEPT / files).max(two_rows.min(MOST_OF_TWO_ROWS / files));
        Blocks {
            raster,
            known: Mutex::new(Known {
                kept: LruCache::unbounded(),
                ahead: BTreeSet::new(),
            }),
            most: (bytes / block).max(1),
        }
    }

    pub(super) fn reading(&mut self) -> &mut Reading {
        self.raster.reading_mut()
    }

    pub(super) fn raster(&self) -> &Raster {
        &self.raster
    }

    /// The pixels of a window and which of them are there; none where all are.
    pub(super) fn window(&self, window: Region) -> Decoded {
        let (width, height) = self.raster.size();
        let right = window.left.saturating_add(window.width).min(width);
        let bottom = window.top.saturating_add(window.height).min(height);
        let row_pixels = window.width as usize;
        let mut rgb = vec![0; row_pixels * window.height as usize * 3];
        let cut = right - window.left < window.width || bottom - window.top < window.height;
        let mut valid = cut.then(|| vec![false; row_pixels * window.height as usize]);
        for place in self.places(window) {
            let region = self.region(place);
            let slot = self.slot(place);
            let decoded = slot.get_or_init(|| self.decode(region));
            let (pixels, there) = decoded.as_ref().map_err(ImageFault::clone)?;
            if there.is_some() && valid.is_none() {
                valid = Some(vec![true; row_pixels * window.height as usize]);
            }
            let left = window.left.max(region.left);
            let length = (right.min(region.left + region.width) - left) as usize;
            let rows = window.top.max(region.top)..bottom.min(region.top + region.height);
            for y in rows {
                let from = (y - region.top) as usize * region.width as usize
                    + (left - region.left) as usize;
                let to = (y - window.top) as usize * row_pixels + (left - window.left) as usize;
                rgb[to * 3..(to + length) * 3]
                    .copy_from_slice(&pixels[from * 3..(from + length) * 3]);
                if let Some(valid) = &mut valid {
                    match there {
                        Some(there) => {
                            valid[to..to + length].copy_from_slice(&there[from..from + length])
                        }
                        None => valid[to..to + length].fill(true),
                    }
                }
            }
        }
        Ok((rgb, valid))
    }

    /// Rows and columns of the grid of blocks that a window touches.
    fn places(&self, window: Region) -> impl Iterator<Item = Place> + use<> {
        let ((width, height), (across, down)) = (self.raster.size(), self.raster.block());
        let right = window.left.saturating_add(window.width).min(width);
        let bottom = window.top.saturating_add(window.height).min(height);
        let columns = window.left / across..right.div_ceil(across);
        let rows = window.top / down..bottom.div_ceil(down);
        rows.flat_map(move |row| columns.clone().map(move |column| (row, column)))
    }

    /// Whether somebody decodes a block of a window and is not done.
    pub(super) fn is_busy(&self, window: Region) -> bool {
        let known = self.known();
        self.places(window).any(|place| {
            let slot = known.kept.peek(&place);
            slot.is_some_and(|slot| slot.get().is_none())
        })
    }

    /// Up to nine blocks: those at the corners, in the middle, and in the middle of the sides.
    pub(super) fn nine(&self) -> Vec<Region> {
        let ((width, height), (across, down)) = (self.raster.size(), self.raster.block());
        let thirds = |count: u32| {
            let mut places = vec![0, count / 2, count.saturating_sub(1)];
            places.dedup();
            places
        };
        let columns = thirds(width.div_ceil(across));
        let places = thirds(height.div_ceil(down)).into_iter();
        let places = places.flat_map(|row| columns.iter().map(move |column| (row, *column)));
        places.map(|place| self.region(place)).collect()
    }

    /// Hears which windows come next: those of their blocks that nobody has decoded or decodes are announced to whoever
    /// reads the bytes, and are what a thread decodes that would else wait for another.
    pub(super) fn expect(&self, windows: &[Region]) {
        let touched = windows.iter().flat_map(|window| self.places(*window));
        let mut places: BTreeSet<Place> = touched.collect();
        let mut known = self.known();
        places.retain(|place| !known.kept.contains(place));
        let room = MOST_AHEAD.saturating_sub(known.ahead.len());
        known.ahead.extend(places.iter().take(room));
        drop(known);
        if self.raster.listens() && !places.is_empty() {
            let blocks: Vec<_> = places.into_iter().map(|place| self.region(place)).collect();
            self.raster.expect(&blocks);
        }
    }

    /// A block's pixels. A decoder's panic on a hostile file must cost the windows of this block, not the job.
    fn decode(&self, region: Region) -> Decoded {
        guarded(|| self.raster.region(region))
            .unwrap_or_else(|said| Err(ImageFault::DecoderPanicked(said)))
    }

    /// The block at a place: of this thread to decode where nobody has asked for it before, else decoded or about to be.
    /// While another thread is at it, this one decodes blocks that will be needed soon.
    fn slot(&self, place: Place) -> Slot {
        let (slot, is_own) = self.claim(&mut self.known(), place);
        while !is_own && slot.get().is_none() {
            let mut known = self.known();
            let next = match self.most >= FEWEST_FOR_AHEAD {
                true => known.ahead.pop_first(),
                false => None,
            };
            let Some(next) = next else { break };
            let (ahead, _) = self.claim(&mut known, next);
            drop(known);
            ahead.get_or_init(|| self.decode(self.region(next)));
        }
        slot
    }

    /// The block at a place, and whether nobody asked for it before.
    fn claim(&self, known: &mut Known, place: Place) -> (Slot, bool) {
        if let Some(slot) = known.kept.get(&place) {
            return (Arc::clone(slot), false);
        }
        let slot = Slot::default();
        known.kept.put(place, Arc::clone(&slot));
        known.ahead.remove(&place);
        while known.kept.len() > self.most {
            known.kept.pop_lru();
        }
        (slot, true)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pixels of the block at a place.
    fn region(&self, (row, column): Place) -> Region {
        let ((width, height), (across, down)) = (self.raster.size(), self.raster.block());
        let (left, top) = (column * across, row * down);
        Region {
            left,
            top,
            width: across.min(width - left),
            height: down.min(height - top),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::image::{RasterFile, ReadOptions, Role};

    /// 40 x 30 pixels in tiles of 16: three beside and two below each other.
    fn blocks() -> Blocks {
        let file = RasterFile::from("tests/data/rasters/bigtiff.tif");
        let options = ReadOptions::default();
        let opened = super::super::resolution::open(&file, &options, Role::Picture);
        Blocks::of(opened.map(|(raster, _)| raster).unwrap())
    }

    fn is_decoded(blocks: &Blocks, place: Place) -> bool {
        let known = blocks.known();
        let slot = known.kept.peek(&place);
        slot.is_some_and(|slot| slot.get().is_some())
    }

    #[test]
    fn who_would_wait_decodes_what_comes_next() {
        let blocks = blocks();
        let window = |left| Region {
            left,
            top: 0,
            width: 16,
            height: 16,
        };
        blocks.expect(&[window(0), window(16), window(32)]);
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        thread::scope(|scope| {
            let blocks = &blocks;
            scope.spawn(move || {
                let slot = blocks.slot((0, 0));
                slot.get_or_init(|| {
                    begun.send(()).unwrap();
                    may_go.recv().unwrap();
                    blocks.decode(blocks.region((0, 0)))
                });
            });
            has_begun.recv().unwrap();
            assert!(blocks.is_busy(window(0)));
            let waiting = scope.spawn(move || blocks.window(window(0)));
            let begun = Instant::now();
            while !(is_decoded(blocks, (0, 1)) && is_decoded(blocks, (0, 2))) {
                let waited = begun.elapsed();
                assert!(waited < Duration::from_secs(60), "nothing was decoded");
                thread::yield_now();
            }
            assert!(!is_decoded(blocks, (0, 0)) && !waiting.is_finished());
            go.send(()).unwrap();
            let found = waiting.join().unwrap().unwrap();
            assert_eq!(found, blocks.window(window(0)).unwrap());
        });
        // What nobody announced is left alone.
        assert!(!is_decoded(&blocks, (1, 0)));
        assert!(blocks.known().ahead.is_empty());
    }
}
