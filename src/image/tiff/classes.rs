//! Rasters that say what pixels are: of Sentinel-2, Landsat and PlanetScope.

use super::super::bands::Chosen;
use super::super::convert::Table;
use super::super::radiometry::SampleType;
use crate::error::ImageFault;

/// The bands that tell clouds: of one band itself, of PlanetScope's eight (UDM2) the sixth (cloud) and the eighth
/// (unusable data).
pub(in crate::image) fn bands(samples: SampleType, bands: usize) -> Result<Chosen, ImageFault> {
    let rgb = match (bands, samples) {
        (1, SampleType::U8 | SampleType::U16) => [0, 0, 0],
        (8, SampleType::U8) => [5, 7, 7],
        _ => {
            return Err(ImageFault::Option(format!(
                "{bands} bands of {samples} are no classes that are known: Sentinel-2's SCL has one of 8 bits, \
                 Landsat's QA_PIXEL one of 16, PlanetScope's UDM2 eight of 8"
            )));
        }
    };
    Ok(Chosen {
        rgb,
        alpha: None,
        why: "classes".into(),
    })
}

/// The class of bits that no QA_PIXEL has.
pub(crate) const NO_CLASS: u8 = 255;
/// That of small numbers, which no QA_PIXEL has either: a mask, or SCL in 16 bits.
pub(crate) const SMALL: u8 = 254;

/// Landsat's bits (QA_PIXEL) as Sentinel-2's classes (SCL); none for bytes, which stay as they are.
///
/// Bit 0 is fill, alone; 1, 2 and 3 are dilated cloud, cirrus and cloud; 6 is set exactly where neither 1 nor 3 is
/// (USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide, LSDS-1619). The bits from 8 on say how sure that is,
/// so that no number but that of fill is below 16.
pub(in crate::image) fn table(samples: SampleType) -> Option<Table> {
    const FILL: u16 = 1;
    const CLOUDS: u16 = 0b1110;
    const CLOUD_OR_DILATED: u16 = 0b1010;
    const CLEAR: u16 = 1 << 6;
    /// Of SCL: no data, clouds of high probability, not vegetated.
    const CLASSES: [u16; 3] = [0, 9, 5];
    (samples == SampleType::U16).then(|| {
        Table::of(|bits| match (bits & FILL, bits & CLOUDS) {
            (FILL, _) if bits == FILL => CLASSES[0],
            _ if bits < 16 => SMALL.into(),
            (FILL, _) => NO_CLASS.into(),
            _ if (bits & CLEAR == 0) == (bits & CLOUD_OR_DILATED == 0) => NO_CLASS.into(),
            (_, 0) => CLASSES[2],
            _ => CLASSES[1],
        })
    })
}
