//! Tables of colours.

use tiff_reader::{ColorMap, RasterLayout};

use super::super::convert::Sample;
use super::super::radiometry::byte;
use crate::error::ImageFault;

/// Colours by their index.
#[derive(Debug, PartialEq)]
pub(super) struct Palette {
    colors: Vec<[u8; 3]>,
    /// The largest value of the other bands.
    most: f64,
}

impl Palette {
    pub(super) fn of(map: &ColorMap, layout: &RasterLayout) -> Result<Self, ImageFault> {
        let unsigned = layout.sample_format == 1 && layout.bits_per_sample <= 16;
        if !unsigned || map.len() != 1 << layout.bits_per_sample {
            return Err(ImageFault::Unsupported(
                "a TIFF whose table of colours does not fit its samples".into(),
            ));
        }
        let channels = [map.red(), map.green(), map.blue()];
        let whole = channels.iter().all(|c| c.iter().all(|v| v % 257 == 0));
        // Colours of a table have 16 bits, of which programs write the upper 8, or both alike.
        let byte = |value: u16| match whole {
            true => (value / 257) as u8,
            false => byte(value.into(), (0.0, 65_280.0)),
        };
        Ok(Palette {
            colors: (0..map.len())
                .map(|i| channels.map(|channel| byte(channel[i])))
                .collect(),
            most: 2f64.powi(layout.bits_per_sample.into()) - 1.0,
        })
    }

    /// The colours of pixels with their other bands in 8 bits, and which pixels are there: those that the mask
    /// shows and whose index is not nodata.
    pub(super) fn look_up<T: Sample>(
        &self,
        piece: &[u8],
        bands: usize,
        mask: Option<&[bool]>,
        nodata: Option<f64>,
    ) -> Result<(Vec<u8>, Vec<bool>), ImageFault> {
        let pixels = piece.chunks_exact(bands * T::BYTES);
        let mut colors = Vec::with_capacity(pixels.len() * (bands + 2));
        let mut there = Vec::with_capacity(pixels.len());
        for (i, pixel) in pixels.enumerate() {
            let mut samples = pixel.chunks_exact(T::BYTES).map(T::read);
            let index = samples.next().map_or(0.0, T::number);
            let color = self.colors.get(index as usize).ok_or_else(|| {
                ImageFault::Damaged(format!("its table has no colour of index {index}"))
            })?;
            let shown = mask.is_none_or(|mask| mask.get(i) == Some(&true));
            there.push(shown && nodata != Some(index));
            colors.extend_from_slice(color);
            colors.extend(samples.map(|sample| match sample.number() {
                0.0 => 0,
                // What is not 0 stays so.
                other => byte(other, (0.0, self.most)).max(1),
            }));
        }
        Ok((colors, there))
    }
}
