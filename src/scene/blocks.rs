//! The strips or tiles of a scene as 8-bit RGB, those read last kept.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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

/// A block as 8-bit RGB, and which of its pixels are there; none where all are.
pub(super) type Decoded = Result<(Vec<u8>, Option<Vec<bool>>), ImageFault>;

/// A block that somebody decodes, or has decoded.
type Slot = Arc<OnceLock<Decoded>>;

/// A raster by its blocks.
pub(super) struct Blocks {
    raster: Raster,
    /// By their places: column and row of the grid of blocks.
    kept: Mutex<LruCache<(u32, u32), Slot>>,
    /// How many blocks may be kept.
    most: usize,
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
            kept: Mutex::new(LruCache::unbounded()),
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
        for (row, column) in self.places(window) {
            let region = self.region(column, row);
            let slot = self.block(column, row);
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
    fn places(&self, window: Region) -> impl Iterator<Item = (u32, u32)> + use<> {
        let ((width, height), (across, down)) = (self.raster.size(), self.raster.block());
        let right = window.left.saturating_add(window.width).min(width);
        let bottom = window.top.saturating_add(window.height).min(height);
        let columns = window.left / across..right.div_ceil(across);
        let rows = window.top / down..bottom.div_ceil(down);
        rows.flat_map(move |row| columns.clone().map(move |column| (row, column)))
    }

    /// Whether somebody decodes a block of a window and is not done.
    pub(super) fn is_busy(&self, window: Region) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.places(window).any(|(row, column)| {
            let slot = kept.peek(&(column, row));
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
        let places = places.flat_map(|row| columns.iter().map(move |column| (*column, row)));
        places
            .map(|(column, row)| self.region(column, row))
            .collect()
    }

    /// Announces the blocks of windows that nobody has decoded or decodes.
    pub(super) fn expect(&self, windows: &[Region]) {
        if !self.raster.listens() {
            return;
        }
        let touched = windows.iter().flat_map(|window| self.places(*window));
        let mut places: Vec<_> = touched.collect();
        places.sort_unstable();
        places.dedup();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|(row, column)| !kept.contains(&(*column, *row)));
        drop(kept);
        let blocks: Vec<_> = places
            .into_iter()
            .map(|(row, column)| self.region(column, row))
            .collect();
        if !blocks.is_empty() {
            self.raster.expect(&blocks);
        }
    }

    /// A block's pixels. A decoder's panic on a hostile file must cost the windows of this block, not the job.
    fn decode(&self, region: Region) -> Decoded {
        guarded(|| self.raster.region(region))
            .unwrap_or_else(|said| Err(ImageFault::DecoderPanicked(said)))
    }

    /// The block at a place of the grid; whoever asks first decodes it, others wait for that.
    fn block(&self, column: u32, row: u32) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(kept.get_or_insert_mut((column, row), Slot::default));
        while kept.len() > self.most {
            kept.pop_lru();
        }
        slot
    }

    /// The pixels of the block at a place of the grid.
    fn region(&self, column: u32, row: u32) -> Region {
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
