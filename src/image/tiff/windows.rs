//! A file of which windows are read.

use std::path::Path;
use std::sync::Arc;

use ::image::metadata::Orientation;
use tiff_reader::source::FileSource;
use tiff_reader::{Ifd, TiffFile};

use super::super::Region;
use super::super::beside::nothing_beside;
use super::super::convert::Alpha;
use super::super::decode::{DecodeLimits, is_tiff};
use super::super::picture::{ReadOptions, Reading};
use super::{Role, Tiff, fault, open_options};
use crate::error::ImageFault;

/// Most bytes of a block of a scene that is read by windows, as it is stored: 256 MiB (our choice).
const MOST_BLOCK: u64 = 256 << 20;

impl Tiff {
    /// Opens a file, of which the header alone is read.
    pub(crate) fn open(path: &Path, options: &ReadOptions, role: Role) -> Result<Self, ImageFault> {
        nothing_beside(path)?;
        if !is_tiff(path)? {
            return Err(ImageFault::Unsupported(
                "a JPEG, PNG or WebP as a scene, of which only windows are read,".into(),
            ));
        }
        let source = FileSource::open(path).map_err(fault)?;
        let most = usize::try_from(MOST_BLOCK).unwrap_or(usize::MAX);
        let file = TiffFile::from_source_with_options(Arc::new(source), open_options(most));
        let file = file.map_err(fault)?;
        let page = file.ifd(0).map_err(fault)?;
        // As large as it may be: of its pixels only those are decoded that are asked for.
        DecodeLimits::of_pixels(u64::MAX).check(page.width(), page.height())?;
        let mut tiff = Tiff::of(file, options, role)?;
        tiff.settle_alpha()?;
        tiff.rule.table = tiff.layers.table(&tiff.rule);
        Ok(tiff)
    }

    /// Whether a band called alpha says which pixels are there, by blocks of the whole scene: a single one may have
    /// too little of it to tell.
    fn settle_alpha(&mut self) -> Result<(), ImageFault> {
        if self.rule.alpha.is_none() {
            return Ok(());
        }
        let (width, height) = self.size();
        let (across, down) = self.block();
        // The middle of each ninth (our choice).
        let at = |side: u32, block: u32, third: u64| {
            let place = u64::from(side) * (2 * third + 1) / 6;
            u32::try_from(place).unwrap_or(0) / block * block
        };
        let mut regions = Vec::new();
        for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
            let (left, top) = (at(width, across, column), at(height, down, row));
            let region = Region {
                left,
                top,
                width: across.min(width - left),
                height: down.min(height - top),
            };
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        let (_, _, alpha) = self.read(&regions)?;
        self.rule.alpha_defined = alpha == Alpha::Mask;
        if alpha == Alpha::Data {
            self.rule.alpha = None;
        }
        self.reading.alpha = Reading::alpha(alpha);
        Ok(())
    }

    /// Width and height as they are stored.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.page()
            .map_or((0, 0), |page| (page.width(), page.height()))
    }

    /// Width and height of what is decoded at once.
    pub(crate) fn block(&self) -> (u32, u32) {
        self.page().map_or((1, 1), |page| self.layers.block(page))
    }

    /// What was decided.
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(crate) fn reading_mut(&mut self) -> &mut Reading {
        &mut self.reading
    }

    /// How what is stored becomes upright.
    pub(crate) fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// The page of the picture.
    pub(crate) fn page(&self) -> Option<&Ifd> {
        self.file.ifds().first()
    }

    /// The pixels of a block and which of them are there, none where all are.
    pub(crate) fn region(
        &self,
        region: Region,
    ) -> Result<(Vec<u8>, Option<Vec<bool>>), ImageFault> {
        let (rgb, valid, _) = self.read(&[region])?;
        Ok((rgb, valid))
    }
}
