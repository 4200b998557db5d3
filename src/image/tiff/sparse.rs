//! Blocks that a file leaves out: GDAL takes them for nodata, or for 0 where there is none.

use tiff_reader::{Ifd, RasterLayout};

use super::super::convert::Sample;

/// Which strips or tiles are left out.
pub(super) struct Sparse {
    absent: Vec<bool>,
    /// Width and height of one.
    block: (usize, usize),
    /// How many stand beside and below each other.
    across: usize,
    down: usize,
}

impl Sparse {
    /// None where all blocks are there.
    pub(super) fn of(page: &Ifd, layout: &RasterLayout) -> Option<Self> {
        let (offsets, counts) = match page.is_tiled() {
            true => (page.tile_offsets()?, page.tile_byte_counts()?),
            false => (page.strip_offsets()?, page.strip_byte_counts()?),
        };
        let absent = offsets.iter().zip(&counts);
        let absent: Vec<bool> = absent
            .map(|(at, length)| *at == 0 || *length == 0)
            .collect();
        if !absent.contains(&true) {
            return None;
        }
        let block = match (page.tile_width(), page.tile_height()) {
            (Some(width), Some(height)) if page.is_tiled() => (width as usize, height as usize),
            _ => (layout.width, page.rows_per_strip() as usize),
        };
        let block = (block.0.max(1), block.1.clamp(1, layout.height));
        Some(Sparse {
            absent,
            block,
            across: layout.width.div_ceil(block.0),
            down: layout.height.div_ceil(block.1),
        })
    }

    /// Writes nodata to samples that are left out of a piece of these bands and this width, whose first pixel is at a
    /// column and row.
    pub(super) fn fill<T: Sample>(
        &self,
        piece: &mut [u8],
        (left, first): (usize, usize),
        width: usize,
        (layout, bands): (&RasterLayout, &[usize]),
        nodata: f64,
    ) {
        let planes = layout.planar_configuration == 2;
        for (i, row) in piece
            .chunks_exact_mut(width * bands.len() * T::BYTES)
            .enumerate()
        {
            let below = (first + i) / self.block.1;
            for (sample, bytes) in row.chunks_exact_mut(T::BYTES).enumerate() {
                let (x, band) = (left + sample / bands.len(), bands[sample % bands.len()]);
                let plane = if planes { band } else { 0 };
                let index = (plane * self.down + below) * self.across + x / self.block.0;
                if self.absent.get(index) == Some(&true) {
                    T::of(nodata).write(bytes);
                }
            }
        }
    }
}
