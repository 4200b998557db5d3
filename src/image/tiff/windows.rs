//! A file of which windows are read.

use std::ops::Range;
use std::sync::Arc;

use ::image::metadata::Orientation;
use tiff_reader::TiffFile;

use super::super::Region;
use super::super::convert::Alpha;
use super::super::decide::Role;
use super::super::decode::DecodeLimits;
use super::super::picture::{ReadOptions, Reading, Resolution};
use super::super::ranges::OpenRaster;
use super::super::windowed::Placing;
use super::pages::Pages;
use super::stored::Stored;
use super::{Tiff, fault, open_options};
use crate::error::ImageFault;

/// Most bytes of a block of a scene that is read by windows, as it is stored: 256 MiB (our choice).
const MOST_BLOCK: u64 = 256 << 20;

impl Tiff {
    /// Opens a file, of which the header alone is read. `choose` says which copy of the picture is read, 0 being the
    /// picture itself, by the page that says where it is and the copies' sizes.
    pub(in crate::image) fn open(
        open: OpenRaster,
        options: &ReadOptions,
        role: Role,
        choose: impl FnOnce(Placing<'_>, &[(u32, u32)]) -> Result<usize, ImageFault>,
    ) -> Result<Self, ImageFault> {
        let most = usize::try_from(MOST_BLOCK).unwrap_or(usize::MAX);
        let file = TiffFile::from_source_with_options(Arc::clone(&open.source), open_options(most));
        let file = file.map_err(fault)?;
        let full = Pages::of(&file)?;
        let copies = match full.copies(&file, &*open.source) {
            // Nobody asked for them.
            Err(_) if options.resolution == Resolution::Full => Vec::new(),
            copies => copies?,
        };
        let size = |pages: &Pages| (pages.picture.width(), pages.picture.height());
        let sizes: Vec<_> = std::iter::once(&full).chain(&copies).map(size).collect();
        let chosen = choose(Placing::Tags(&full.picture), &sizes)?;
        let mut copies = std::iter::once(full).chain(copies);
        let pages = copies.nth(chosen).ok_or_else(|| {
            let overviews = sizes.len() - 1;
            ImageFault::Option(format!("overview {chosen} of {overviews}"))
        })?;
        // As large as it may be: of its pixels only those are decoded that are asked for.
        let (width, height) = size(&pages);
        DecodeLimits::of_pixels(u64::MAX).check(width, height)?;
        let mut tiff = Tiff::of(file, pages, options, role)?;
        tiff.sizes = sizes;
        tiff.reader = open.reader;
        tiff.settle_alpha()?;
        if tiff.rule.table.is_none() {
            tiff.rule.table = tiff.layers.table(&tiff.rule).map(Arc::new);
        }
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

    /// Width and height of what is read, as they are stored.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.pages.picture.width(), self.pages.picture.height())
    }

    /// Those of the picture and of its smaller copies.
    pub(crate) fn sizes(&self) -> &[(u32, u32)] {
        &self.sizes
    }

    /// Width and height of what is decoded at once.
    pub(crate) fn block(&self) -> (u32, u32) {
        self.layers.block(&self.pages.picture)
    }

    /// Bands of a pixel.
    pub(crate) fn bands(&self) -> usize {
        self.layers.bands
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

    /// The pixels of a block and which of them are there, none where all are.
    pub(crate) fn region(
        &self,
        region: Region,
    ) -> Result<(Vec<u8>, Option<Vec<bool>>), ImageFault> {
        let (rgb, valid, _) = self.read(&[region])?;
        Ok((rgb, valid))
    }

    /// Whether anybody wants to know what will be read.
    pub(crate) fn listens(&self) -> bool {
        self.reader.is_some()
    }

    /// Tells whoever reads the bytes that these blocks will be decoded soon.
    pub(crate) fn expect(&self, blocks: &[Region]) {
        let Some(reader) = &self.reader else { return };
        let mut ranges = Vec::new();
        let planes = self.layers.planes(&self.rule);
        let mask = self.pages.mask.as_ref().and_then(Stored::of);
        let picture = self.layers.blocks.as_ref();
        let pages = picture.map(|picture| (picture, planes.bands()));
        let pages = pages
            .into_iter()
            .chain(mask.as_ref().map(|mask| (mask, &[0][..])));
        for (stored, bands) in pages {
            for block in blocks {
                ranges.extend(ranges_of(stored, bands, *block, reader.size()));
            }
        }
        reader.expect(&ranges);
    }
}

/// Where the strips or tiles of a region are, of a file of planes those of some bands, with the 4 bytes on each side that
/// GDAL writes around those of a cloud-optimised file.
fn ranges_of(stored: &Stored, bands: &[usize], region: Region, size: u64) -> Vec<Range<u64>> {
    const AROUND: u64 = 4;
    let [left, top, width, height] =
        [region.left, region.top, region.width, region.height].map(|side| side as usize);
    let bands = if stored.has_planes() { bands } else { &[0] };
    let places = bands.iter().flat_map(|band| {
        let under = stored.under((left, top), (width, height));
        under.filter_map(|at| stored.place(*band, at))
    });
    places
        .filter(|place| place.end <= size)
        .map(|place| place.start.saturating_sub(AROUND)..(place.end + AROUND).min(size))
        .collect()
}
