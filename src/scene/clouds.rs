//! Clouds by a raster of classes over the same ground.

use std::path::Path;

use super::bands::times;
use super::blocks::Blocks;
use super::place_of;
use crate::error::{Error, ImageFault, Result};
use crate::image::{ReadOptions, Region, Role, Tiff};
use crate::metadata::read::geotiff::Georeference;

/// Classes of Sentinel-2's scene classification (SCL) that are clouds: of medium and of high probability, and cirrus
/// (ESA, Sentinel-2 Level-2A Algorithm Theoretical Basis Document).
const CLOUDS: [u8; 3] = [8, 9, 10];
/// The class of pixels without data.
const NO_DATA: u8 = 0;

/// A scene classification, whose pixels may be larger than the scene's.
#[derive(Debug)]
pub(super) struct Clouds {
    blocks: Blocks,
    /// Pixels of the scene that one of its own covers a side.
    coarser: u32,
}

impl Clouds {
    pub(super) fn open(
        path: &Path,
        scene: (u32, u32),
        place: Option<&Georeference>,
    ) -> Result<Self> {
        let fault = |fault| Error::Image {
            item: path.display().to_string(),
            fault,
        };
        let tiff = Tiff::open(path, &ReadOptions::default(), Role::Classes).map_err(fault)?;
        let own = place_of(&tiff).map_err(|reason| fault(ImageFault::Option(reason)))?;
        let coarser = times(tiff.size(), scene, own.as_ref(), place)
            .map_err(|reason| fault(ImageFault::Option(format!("the classes: {reason}"))))?;
        Ok(Clouds {
            blocks: Blocks::third_of(tiff),
            coarser,
        })
    }

    /// The share of a window's pixels with data that are clouds; none where none has data.
    pub(super) fn share(
        &self,
        window: Region,
        scene: (u32, u32),
    ) -> Result<Option<f32>, ImageFault> {
        let times = self.coarser;
        let right = (window.left + window.width).min(scene.0);
        let bottom = (window.top + window.height).min(scene.1);
        let (left, top) = (window.left / times, window.top / times);
        let part = Region {
            left,
            top,
            width: right.div_ceil(times) - left,
            height: bottom.div_ceil(times) - top,
        };
        let (classes, _) = self.blocks.window(part)?;
        let (mut data, mut clouds) = (0_u64, 0_u64);
        for row in window.top..bottom {
            for column in window.left..right {
                let at = (row / times - top) as usize * part.width as usize
                    + (column / times - left) as usize;
                let class = classes[at * 3];
                data += u64::from(class != NO_DATA);
                clouds += u64::from(CLOUDS.contains(&class));
            }
        }
        Ok((data > 0).then(|| (clouds as f64 / data as f64) as f32))
    }
}
