//! A raster of any format of which windows are read.

use ::image::metadata::Orientation;
use tiff_reader::Ifd;

use super::Region;
use super::decide::Role;
#[cfg(feature = "jpeg2000")]
use super::jp2::Jp2;
use super::picture::{ReadOptions, Reading};
use super::ranges::{RasterFile, RasterFormat};
use super::tiff::Tiff;
use crate::error::ImageFault;
#[cfg(feature = "jpeg2000")]
use crate::metadata::read::gml::Grid;

/// Where a file says that its pixels lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placing<'a> {
    /// Tags of GeoTIFF.
    Tags(&'a Ifd),
    /// The grid of a JPEG 2000 file (GMLJP2), or why it cannot be read.
    #[cfg(feature = "jpeg2000")]
    Grid(Result<&'a Grid, &'a str>),
    /// Nowhere.
    #[cfg(feature = "jpeg2000")]
    None,
}

/// A file of which it is known how its samples become a picture.
pub(crate) enum Raster {
    Tiff(Box<Tiff>),
    #[cfg(feature = "jpeg2000")]
    Jp2(Box<Jp2>),
}

/// Calls a method of whichever it is.
macro_rules! each {
    ($raster:expr, $it:ident => $call:expr) => {
        match $raster {
            Raster::Tiff($it) => $call,
            #[cfg(feature = "jpeg2000")]
            Raster::Jp2($it) => $call,
        }
    };
}

impl Raster {
    /// Opens a file, of which headers alone are read. `choose` says which copy of the picture is read, 0 being the
    /// picture itself, by what is said of its place and the copies' sizes.
    pub(crate) fn open(
        file: &RasterFile,
        options: &ReadOptions,
        role: Role,
        choose: impl FnOnce(Placing<'_>, &[(u32, u32)]) -> Result<usize, ImageFault>,
    ) -> Result<Self, ImageFault> {
        let open = file.open()?;
        match open.format {
            RasterFormat::Tiff => {
                Tiff::open(open, options, role, choose).map(|tiff| Raster::Tiff(Box::new(tiff)))
            }
            #[cfg(feature = "jpeg2000")]
            RasterFormat::Jpeg2000 => {
                Jp2::open(open, options, role, choose).map(|jp2| Raster::Jp2(Box::new(jp2)))
            }
        }
    }

    /// Width and height of what is read, as they are stored.
    pub(crate) fn size(&self) -> (u32, u32) {
        each!(self, it => it.size())
    }

    /// Those of the picture and of its smaller copies.
    pub(crate) fn sizes(&self) -> &[(u32, u32)] {
        each!(self, it => it.sizes())
    }

    /// Width and height of what is decoded at once.
    pub(crate) fn block(&self) -> (u32, u32) {
        each!(self, it => it.block())
    }

    /// Bands of a pixel.
    pub(crate) fn bands(&self) -> usize {
        each!(self, it => it.bands())
    }

    /// What was decided.
    pub(crate) fn reading(&self) -> &Reading {
        each!(self, it => it.reading())
    }

    pub(crate) fn reading_mut(&mut self) -> &mut Reading {
        each!(self, it => it.reading_mut())
    }

    /// How what is stored becomes upright.
    pub(crate) fn orientation(&self) -> Orientation {
        each!(self, it => it.orientation())
    }

    /// The pixels of a block and which of them are there, none where all are.
    pub(crate) fn region(
        &self,
        region: Region,
    ) -> Result<(Vec<u8>, Option<Vec<bool>>), ImageFault> {
        each!(self, it => it.region(region))
    }

    /// Whether anybody wants to know what will be read.
    pub(crate) fn listens(&self) -> bool {
        each!(self, it => it.listens())
    }

    /// Tells whoever reads the bytes that these blocks will be decoded soon.
    pub(crate) fn expect(&self, blocks: &[Region]) {
        each!(self, it => it.expect(blocks));
    }
}
