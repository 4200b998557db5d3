//! Which bands of a file are read: of one that stores each by itself those that become the picture.

use tiff_reader::{Ifd, RasterLayout, TiffError, TiffFile};

use super::super::convert::Rule;

/// The bands of a piece of a picture, in their order.
pub(super) struct Planes {
    bands: Vec<usize>,
    /// Whether each is stored by itself, and others are not read.
    apart: bool,
}

impl Planes {
    /// All bands of a file.
    pub(super) fn all(layout: &RasterLayout) -> Self {
        Planes {
            bands: (0..layout.samples_per_pixel).collect(),
            apart: false,
        }
    }

    /// The bands that a rule needs, where they can be read without the others.
    pub(super) fn of(layout: &RasterLayout, rule: &Rule) -> Self {
        let bands = rule.needed();
        match layout.planar_configuration == 2 && bands.len() < layout.samples_per_pixel {
            true => Planes { bands, apart: true },
            false => Planes::all(layout),
        }
    }

    pub(super) fn bands(&self) -> &[usize] {
        &self.bands
    }

    /// The pixels of some rows, the bands of each side by side.
    pub(super) fn read(
        &self,
        file: &TiffFile,
        page: &Ifd,
        layout: &RasterLayout,
        (left, top): (usize, usize),
        (width, rows): (usize, usize),
    ) -> Result<Vec<u8>, TiffError> {
        if !self.apart {
            return file.read_window_bytes_from_ifd(page, top, left, rows, width);
        }
        let sample = layout.bytes_per_sample;
        let pixel = sample * self.bands.len();
        let mut piece = vec![0; width * rows * pixel];
        for (place, band) in self.bands.iter().enumerate() {
            let plane =
                file.read_band_window_bytes_from_ifd(page, *band, top, left, rows, width)?;
            let to = piece.chunks_exact_mut(pixel);
            for (to, from) in to.zip(plane.chunks_exact(sample)) {
                to[place * sample..(place + 1) * sample].copy_from_slice(from);
            }
        }
        Ok(piece)
    }
}
