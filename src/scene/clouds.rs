//! Clouds by a raster of classes over the same ground: Sentinel-2's SCL, Landsat's QA_PIXEL, PlanetScope's UDM2.

use super::bands::{times, under};
use super::blocks::Blocks;
use super::resolution;
use crate::error::{Error, ImageFault, Result};
use crate::image::{NO_CLASS, RasterFile, ReadOptions, Region, Resolution, Role};
use crate::metadata::read::geotiff::Georeference;

/// What a pixel of PlanetScope's mask has where it is cloud, and the bit of one without data (Planet, UDM 2).
const UDM2_CLOUD: u8 = 1;
const UDM2_FILL: u8 = 1;
/// Classes of Sentinel-2's scene classification (SCL) that are clouds: of medium and of high probability, and cirrus
/// (ESA, Sentinel-2 Level-2A Algorithm Theoretical Basis Document).
const CLOUDS: [u8; 3] = [8, 9, 10];
/// The class of pixels without data.
const NO_DATA: u8 = 0;
/// The last class, snow.
const LAST: u8 = 11;

/// Classes of pixels, whose pixels may be larger than the scene's.
#[derive(Debug)]
pub(super) struct Clouds {
    blocks: Blocks,
    /// Pixels of the scene that one of its own covers a side.
    coarser: u32,
    /// Whether they are PlanetScope's bands: cloud, and unusable data. Landsat's bits are classes already.
    udm2: bool,
}

impl Clouds {
    pub(super) fn open(
        file: &RasterFile,
        scene: (u32, u32),
        place: Option<&Georeference>,
    ) -> Result<Self> {
        let fault = |fault| Error::Image {
            item: file.name().to_owned(),
            fault,
        };
        let mut options = ReadOptions::default();
        // Of a scene that is read smaller than it is, so are the classes.
        if let Some(metres) = place.and_then(|place| resolution::metres(place, scene)) {
            options.resolution = Resolution::Gsd(metres);
        }
        let opened = resolution::open(file, &options, Role::Classes);
        let (tiff, own) = opened.map_err(fault)?;
        let own = own.map_err(|reason| fault(ImageFault::Option(reason)))?;
        let coarser = times(tiff.size(), scene, own.as_ref(), place)
            .map_err(|reason| fault(ImageFault::Option(format!("the classes: {reason}"))))?;
        let udm2 = tiff.bands() > 1;
        Ok(Clouds {
            udm2,
            blocks: Blocks::third_of(tiff),
            coarser,
        })
    }

    /// Announces windows.
    pub(super) fn expect(&self, windows: &[Region], scene: (u32, u32)) {
        let part = |window: &Region| under(within(*window, scene), self.coarser);
        self.blocks
            .expect(&windows.iter().map(part).collect::<Vec<_>>());
    }

    /// The share of a window's pixels with data that are clouds; none where none has data.
    ///
    /// # Errors
    /// Where the raster cannot be decoded, or has what no classes are: it may be another one.
    pub(super) fn share(
        &self,
        window: Region,
        scene: (u32, u32),
    ) -> Result<Option<f32>, ImageFault> {
        let times = self.coarser;
        let inside = within(window, scene);
        let (right, bottom) = (inside.left + inside.width, inside.top + inside.height);
        let part = under(inside, times);
        let Region { left, top, .. } = part;
        let (classes, _) = self.blocks.window(part)?;
        let last = if self.udm2 { UDM2_CLOUD } else { LAST };
        let (mut data, mut clouds) = (0_u64, 0_u64);
        for row in window.top..bottom {
            for column in window.left..right {
                let at = (row / times - top) as usize * part.width as usize
                    + (column / times - left) as usize;
                let (first, second) = (classes[at * 3], classes[at * 3 + 1]);
                if first > last {
                    return Err(self.unknown(first));
                }
                let (has_data, cloud) = match self.udm2 {
                    true => (second & UDM2_FILL == 0, first == UDM2_CLOUD),
                    false => (first != NO_DATA, CLOUDS.contains(&first)),
                };
                data += u64::from(has_data);
                clouds += u64::from(has_data && cloud);
            }
        }
        Ok((data > 0).then(|| (clouds as f64 / data as f64) as f32))
    }
}

impl Clouds {
    /// That a pixel has what no raster of classes has.
    fn unknown(&self, pixel: u8) -> ImageFault {
        let what = match (self.udm2, pixel) {
            (true, _) => format!("a cloud band of {pixel}, where PlanetScope's UDM2 has 0 or 1"),
            (false, NO_CLASS) if self.blocks.raster().reading().samples == "uint16" => {
                "bits that Landsat's QA_PIXEL of Collection 2 never has".to_owned()
            }
            (false, _) => format!("{pixel}, where Sentinel-2's SCL has 0 to {LAST}"),
        };
        ImageFault::Option(format!(
            "the asset that should tell clouds is no raster of classes: a pixel has {what}"
        ))
    }
}

/// What of a window is inside of the scene.
fn within(window: Region, scene: (u32, u32)) -> Region {
    Region {
        width: window.width.min(scene.0 - window.left),
        height: window.height.min(scene.1 - window.top),
        ..window
    }
}
