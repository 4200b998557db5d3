//! Where the strips or tiles of a page are stored, and which of them are left out.

#[cfg(feature = "geotiff")]
use std::ops::Range;

use tiff_reader::Ifd;

use super::super::convert::Sample;

/// The strips or tiles of a page, here called blocks.
pub(super) struct Stored {
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    /// Width and height of one; the last strip may have fewer rows.
    block: (usize, usize),
    /// Rows that are stored: tiles go beyond the picture, strips do not.
    #[cfg(feature = "geotiff")]
    rows: usize,
    /// How many stand beside and below each other.
    across: usize,
    down: usize,
    /// Whether each band has its own.
    planes: bool,
    /// Whether some are left out.
    is_sparse: bool,
}

impl Stored {
    /// None where the page does not say.
    pub(super) fn of(page: &Ifd) -> Option<Self> {
        let (offsets, lengths) = match page.is_tiled() {
            true => (page.tile_offsets()?, page.tile_byte_counts()?),
            false => (page.strip_offsets()?, page.strip_byte_counts()?),
        };
        let (width, height) = (page.width().max(1), page.height().max(1));
        let (across, down) = match (page.tile_width(), page.tile_height()) {
            (Some(across), Some(down)) if page.is_tiled() => (across.max(1), down.max(1)),
            _ => (width, page.rows_per_strip().clamp(1, height)),
        };
        let is_absent = |(at, length): (&u64, &u64)| *at == 0 || *length == 0;
        Some(Stored {
            is_sparse: offsets.iter().zip(&lengths).any(is_absent),
            block: (across as usize, down as usize),
            #[cfg(feature = "geotiff")]
            rows: match page.is_tiled() {
                true => height.next_multiple_of(down) as usize,
                false => height as usize,
            },
            across: width.div_ceil(across) as usize,
            down: height.div_ceil(down) as usize,
            planes: page.planar_configuration() == 2,
            offsets,
            lengths,
        })
    }

    /// Whether each band has its own.
    #[cfg(feature = "geotiff")]
    pub(super) fn has_planes(&self) -> bool {
        self.planes
    }

    /// Whether some are left out.
    pub(super) fn is_sparse(&self) -> bool {
        self.is_sparse
    }

    /// First column and row of a block, by its column and row among the blocks.
    #[cfg(feature = "geotiff")]
    pub(super) fn corner(&self, (column, row): (usize, usize)) -> (usize, usize) {
        (column * self.block.0, row * self.block.1)
    }

    /// Width and height of the blocks of a row of them, as they are stored.
    #[cfg(feature = "geotiff")]
    pub(super) fn size(&self, row: usize) -> (usize, usize) {
        let left = self.rows.saturating_sub(row * self.block.1);
        (self.block.0, self.block.1.min(left))
    }

    /// Columns and rows of the blocks under a part of the picture, whose first pixel is at a column and row.
    #[cfg(feature = "geotiff")]
    pub(super) fn under(
        &self,
        (left, top): (usize, usize),
        (width, height): (usize, usize),
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let covered = |from: usize, length: usize, block: usize, all: usize| {
            from / block..(from + length).div_ceil(block).min(all)
        };
        let columns = covered(left, width, self.block.0, self.across);
        let rows = covered(top, height, self.block.1, self.down);
        rows.flat_map(move |row| columns.clone().map(move |column| (column, row)))
    }

    /// Where a block of a band is; none where it is left out.
    #[cfg(feature = "geotiff")]
    pub(super) fn place(&self, band: usize, (column, row): (usize, usize)) -> Option<Range<u64>> {
        let index = self.index(band, (column, row));
        let (at, length) = (*self.offsets.get(index)?, *self.lengths.get(index)?);
        (at > 0 && length > 0).then(|| at..at.saturating_add(length))
    }

    fn index(&self, band: usize, (column, row): (usize, usize)) -> usize {
        let plane = if self.planes { band } else { 0 };
        (plane * self.down + row) * self.across + column
    }

    /// Writes nodata to samples that are left out of a piece of these bands and this width, whose first pixel is at a
    /// column and row: GDAL takes blocks that are not there for nodata, or for 0 where there is none.
    pub(super) fn fill<T: Sample>(
        &self,
        piece: &mut [u8],
        (left, first): (usize, usize),
        width: usize,
        bands: &[usize],
        nodata: f64,
    ) {
        let is_absent = |index: usize| {
            let found = self.offsets.get(index).zip(self.lengths.get(index));
            found.is_some_and(|(at, length)| *at == 0 || *length == 0)
        };
        let rows = piece.chunks_exact_mut(width * bands.len() * T::BYTES);
        for (i, row) in rows.enumerate() {
            let below = (first + i) / self.block.1;
            for (sample, bytes) in row.chunks_exact_mut(T::BYTES).enumerate() {
                let (x, band) = (left + sample / bands.len(), bands[sample % bands.len()]);
                if is_absent(self.index(band, (x / self.block.0, below))) {
                    T::of(nodata).write(bytes);
                }
            }
        }
    }
}
