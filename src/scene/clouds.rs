//! Clouds by a raster of classes over the same ground: Sentinel-2's SCL, Landsat's QA_PIXEL, PlanetScope's UDM2.

use std::sync::OnceLock;

use super::bands::{times, under};
use super::blocks::Blocks;
use super::resolution;
use crate::error::{Error, ImageFault, Result};
use crate::image::{NO_CLASS, RasterFile, ReadOptions, Region, Resolution, Role, SMALL};
use crate::metadata::read::geotiff::Georeference;

/// What a pixel of PlanetScope's mask has where it is cloud, and the bit of one without data (Planet, UDM 2).
const UDM2_CLOUD: u8 = 1;
const UDM2_FILL: u8 = 1;
/// Classes of Sentinel-2's scene classification (SCL) that are clouds: of medium and of high probability, and cirrus
/// (ESA, Sentinel-2 Level-2A Algorithm Theoretical Basis Document).
const CLOUDS: [u8; 3] = [8, 9, 10];
/// The class of pixels without data.
const NO_DATA: u8 = 0;
/// The class of saturated or defective pixels. A mask has nothing but it and no data: of such pixels nothing is known.
const SATURATED: u8 = 1;
/// The last class, snow.
const LAST: u8 = 11;

/// Classes of pixels, whose pixels may be larger than the scene's.
#[derive(Debug)]
pub(super) struct Clouds {
    /// What errors call the file.
    name: String,
    blocks: Blocks,
    /// Pixels of the scene that one of its own covers a side.
    coarser: u32,
    /// Whether they are PlanetScope's bands: cloud, and unusable data. Landsat's bits are classes already.
    udm2: bool,
    /// Whether it looks like a mask of 0 and 1, where anybody had to know.
    is_mask: OnceLock<bool>,
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
            name: file.name().to_owned(),
            udm2,
            is_mask: OnceLock::new(),
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

    /// The share of a window's pixels with data that are clouds; none where none has data, or by SCL none but defective
    /// ones.
    ///
    /// # Errors
    /// Where the raster cannot be decoded, or has what no classes are: it may be another one, such as a mask of 0 and
    /// 1.
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
        let mut says = self.udm2;
        for row in window.top..bottom {
            for column in window.left..right {
                let at = (row / times - top) as usize * part.width as usize
                    + (column / times - left) as usize;
                let (first, second) = (classes[at * 3], classes[at * 3 + 1]);
                if first > last {
                    return Err(self.unknown(first));
                }
                says |= first > SATURATED;
                let (has_data, cloud) = match self.udm2 {
                    true => (second & UDM2_FILL == 0, first == UDM2_CLOUD),
                    false => (first != NO_DATA, CLOUDS.contains(&first)),
                };
                data += u64::from(has_data);
                clouds += u64::from(has_data && cloud);
            }
        }
        if !says && self.is_mask() {
            return Err(self.no_classes("all of its pixels are 0 or 1, as those of a mask"));
        }
        Ok((says && data > 0).then(|| (clouds as f64 / data as f64) as f32))
    }
}

impl Clouds {
    /// Whether nine blocks of the raster, spread over it, hold 1 and nothing but 0 and 1. It is asked where a window
    /// has nothing else, so that classes cost no look.
    fn is_mask(&self) -> bool {
        // Landsat's fill is 1 by itself.
        let of_bytes = self.blocks.raster().reading().samples == "uint8";
        let found = || {
            let mut ones = false;
            for region in self.blocks.nine() {
                let Ok((classes, _)) = self.blocks.window(region) else {
                    return false;
                };
                if classes.iter().any(|class| *class > SATURATED) {
                    return false;
                }
                ones |= classes.contains(&SATURATED);
            }
            ones
        };
        of_bytes && *self.is_mask.get_or_init(found)
    }

    /// That a pixel has what no raster of classes has.
    fn unknown(&self, pixel: u8) -> ImageFault {
        let is_landsat = self.blocks.raster().reading().samples == "uint16";
        let what = match (self.udm2, pixel) {
            (true, _) => format!("a cloud band of {pixel}, where PlanetScope's UDM2 has 0 or 1"),
            (false, SMALL) if is_landsat => {
                "a number below 16 in 16 bits, which Landsat's QA_PIXEL never has; Sentinel-2's SCL is of 8 bits \
                 (`gdal_translate -ot Byte IN.tif OUT.tif`)"
                    .to_owned()
            }
            (false, NO_CLASS) if is_landsat => {
                "bits that Landsat's QA_PIXEL of Collection 2 never has".to_owned()
            }
            (false, _) => format!("{pixel}, where Sentinel-2's SCL has 0 to {LAST}"),
        };
        self.no_classes(&format!("a pixel has {what}"))
    }

    /// That the asset is another one than it should be.
    fn no_classes(&self, why: &str) -> ImageFault {
        ImageFault::Option(format!(
            "`{}`, which should tell clouds, is no raster of classes: {why}",
            self.name
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
