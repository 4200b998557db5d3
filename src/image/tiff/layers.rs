//! The samples of a page: what they are, and how they become a picture.

use tiff_reader::{ColorModel, Ifd, RasterLayout, TiffError, TiffFile};

use super::super::Region;
#[cfg(feature = "geotiff")]
use super::super::convert::Table;
use super::super::convert::{Converted, Pixels, Rule, Sample};
use super::super::decide::Role;
use super::super::decode::{DecodeLimits, buffer_for};
use super::super::radiometry::{SampleKind, SampleType};
#[cfg(feature = "geotiff")]
use super::deflate::Deflate;
use super::facts::Said;
use super::fault;
use super::pages::Pages;
use super::palette::Palette;
use super::planes::Planes;
use super::stored::Stored;
use crate::error::ImageFault;

/// Bytes that are decoded at a time, unless a single row of strips or tiles has more.
const PIECE: usize = 4 << 20;

/// The samples of a page.
pub(super) struct Layers {
    pub(super) model: ColorModel,
    pub(super) kind: Kind,
    /// As they are stored.
    pub(super) stored: SampleType,
    /// As they become a picture.
    pub(super) samples: SampleType,
    /// Bands of a pixel as it becomes a picture.
    pub(super) bands: usize,
    /// The pixels as they are read.
    layout: RasterLayout,
    /// Where they are; none where the page does not say.
    pub(super) blocks: Option<Stored>,
    /// How its blocks are packed, where they are in the form that most scenes have.
    #[cfg(feature = "geotiff")]
    deflate: Option<Deflate>,
}

/// What samples are.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// Values of bands.
    Values,
    /// Values of which the least of the first band is white.
    WhiteIsLeast,
    /// Indices of a table of colours.
    Palette(Palette),
    /// Inks, or brightness and two differences, which the reader turns into red, green and blue.
    Colors,
}

impl Layers {
    pub(super) fn of(page: &Ifd, said: &Said, role: Role) -> Result<Self, ImageFault> {
        let layout = page.raster_layout().map_err(fault)?;
        let model = page.color_model().map_err(fault)?;
        let kind = match role {
            Role::Classes => Kind::Values,
            Role::Picture | Role::Band => kind(page, &model, &layout, said)?,
        };
        let stored = sample_type(&layout);
        let (layout, samples, bands) = match &kind {
            Kind::Values | Kind::WhiteIsLeast => (layout, stored, layout.samples_per_pixel),
            Kind::Palette(_) => (layout, SampleType::U8, layout.samples_per_pixel + 2),
            Kind::Colors => {
                let decoded = page.decoded_raster_layout().map_err(fault)?;
                (decoded, sample_type(&decoded), decoded.samples_per_pixel)
            }
        };
        if kind == Kind::Colors && said.nodata.is_some() {
            return Err(ImageFault::Unsupported(
                "a TIFF of inks or YCbCr with a nodata value, which could be meant of these or of red, green and \
                 blue,"
                    .into(),
            ));
        }
        Ok(Layers {
            model,
            kind,
            stored,
            samples,
            bands,
            blocks: Stored::of(page),
            #[cfg(feature = "geotiff")]
            deflate: Deflate::of(page, &layout),
            layout,
        })
    }

    /// Reads regions of the picture one after another and converts them, the first row of each next to the last one
    /// of the one before.
    pub(super) fn convert(
        &self,
        file: &TiffFile,
        pages: &Pages,
        rule: &Rule,
        nodata: Option<f64>,
        regions: &[Region],
        limits: &DecodeLimits,
    ) -> Result<Converted, ImageFault> {
        let unsupported =
            || ImageFault::Unsupported(format!("a TIFF of {}", sample_type(&self.layout)));
        let SampleType { bits, kind } = sample_type(&self.layout);
        let run = match (kind, bits) {
            (SampleKind::Unsigned, 1..=8) => Self::run::<u8>,
            (SampleKind::Unsigned, 9..=16) => Self::run::<u16>,
            (SampleKind::Unsigned, 32) => Self::run::<u32>,
            (SampleKind::Unsigned, 64) => Self::run::<u64>,
            (SampleKind::Signed, 8) => Self::run::<i8>,
            (SampleKind::Signed, 16) => Self::run::<i16>,
            (SampleKind::Signed, 32) => Self::run::<i32>,
            (SampleKind::Signed, 64) => Self::run::<i64>,
            (SampleKind::Float, 16) => Self::run::<half::f16>,
            (SampleKind::Float, 32) => Self::run::<f32>,
            (SampleKind::Float, 64) => Self::run::<f64>,
            _ => return Err(unsupported()),
        };
        run(self, file, pages, rule, nodata, regions, limits)
    }

    /// What becomes of each sample of 16 bits or fewer, for a file of which much will be read.
    #[cfg(feature = "geotiff")]
    pub(super) fn table(&self, rule: &Rule) -> Option<Table> {
        let SampleType { bits, kind } = sample_type(&self.layout);
        match (kind, bits, &self.kind) {
            // Its indices become bytes first.
            (.., Kind::Palette(_)) => rule.table::<u8>(),
            (SampleKind::Unsigned, 1..=8, _) => rule.table::<u8>(),
            (SampleKind::Unsigned, 9..=16, _) => rule.table::<u16>(),
            (SampleKind::Signed, 8, _) => rule.table::<i8>(),
            (SampleKind::Signed, 16, _) => rule.table::<i16>(),
            _ => None,
        }
    }

    fn run<T: Sample>(
        &self,
        file: &TiffFile,
        pages: &Pages,
        rule: &Rule,
        nodata: Option<f64>,
        regions: &[Region],
        limits: &DecodeLimits,
    ) -> Result<Converted, ImageFault> {
        let (layout, page) = (&self.layout, &pages.picture);
        let planes = self.planes(rule);
        let rule = &match self.kind {
            Kind::Values | Kind::WhiteIsLeast => rule.of_bands(planes.bands()),
            // The bands of what is read become others.
            Kind::Palette(_) | Kind::Colors => rule.clone(),
        };
        let sparse = self.blocks.as_ref().filter(|blocks| blocks.is_sparse());
        let sparse = nodata.zip(sparse);
        let area = |region: &Region| u64::from(region.width) * u64::from(region.height);
        let rgb = buffer_for(regions.iter().map(area).sum::<u64>() * 3)?;
        let mut pixels = Pixels::new(rule, rgb);
        for region in regions {
            let (left, width) = (region.left as usize, region.width as usize);
            let (top, height) = (region.top as usize, region.height as usize);
            let row_bytes = width * planes.bands().len() * layout.bytes_per_sample;
            let rows = rows_at_a_time(page, row_bytes).min(height);
            self.check(
                page,
                (rows * row_bytes) as u64,
                pages.mask.is_some(),
                area(region),
                limits,
            )?;
            let mask = pages.there(file, region)?;
            for first in (0..height).step_by(rows) {
                let rows = rows.min(height - first);
                let mut piece = match self.kind {
                    Kind::Colors => file.read_decoded_window_bytes_from_ifd(
                        page,
                        top + first,
                        left,
                        rows,
                        width,
                    ),
                    _ => {
                        self.stored_samples(file, page, &planes, (left, top + first), (width, rows))
                    }
                }
                .map_err(fault)?;
                if let Some((nodata, sparse)) = &sparse {
                    let place = (left, top + first);
                    sparse.fill::<T>(&mut piece, place, width, planes.bands(), *nodata);
                }
                let there = mask.as_deref();
                let there = there.and_then(|mask| mask.get(first * width..(first + rows) * width));
                match &self.kind {
                    Kind::Palette(palette) => {
                        let bands = layout.samples_per_pixel;
                        let (colors, there) = palette.look_up::<T>(&piece, bands, there, nodata)?;
                        pixels.push::<u8>(&colors, Some(&there));
                    }
                    _ => pixels.push::<T>(&piece, there),
                }
            }
        }
        Ok(pixels.finish())
    }

    /// The samples of some rows, the bands of each pixel side by side.
    fn stored_samples(
        &self,
        file: &TiffFile,
        page: &Ifd,
        planes: &Planes,
        place: (usize, usize),
        size: (usize, usize),
    ) -> Result<Vec<u8>, TiffError> {
        #[cfg(feature = "geotiff")]
        if let (Some(deflate), Some(blocks)) = (self.deflate, &self.blocks)
            && let Some(piece) = deflate.read(file, blocks, planes.bands(), place, size)?
        {
            return Ok(piece);
        }
        planes.read(file, page, &self.layout, place, size)
    }

    /// The bands that are read of the file.
    pub(super) fn planes(&self, rule: &Rule) -> Planes {
        match self.kind {
            Kind::Values | Kind::WhiteIsLeast => Planes::of(&self.layout, rule),
            Kind::Palette(_) | Kind::Colors => Planes::all(&self.layout),
        }
    }

    /// Width and height of what is decoded at once: a tile, or some strips.
    #[cfg(feature = "geotiff")]
    pub(super) fn block(&self, page: &Ifd) -> (u32, u32) {
        let (width, height) = (page.width(), page.height());
        match (page.tile_width(), page.tile_height()) {
            (Some(across), Some(down)) if page.is_tiled() => {
                (across.clamp(1, width), down.clamp(1, height))
            }
            _ => {
                let layout = &self.layout;
                let row = layout.width * layout.samples_per_pixel * layout.bytes_per_sample;
                let rows = u32::try_from(rows_at_a_time(page, row)).unwrap_or(height);
                (width, rows.clamp(1, height))
            }
        }
    }

    /// Whether the picture and the blocks that are decoded at a time stay within what a picture may cost.
    fn check(
        &self,
        page: &Ifd,
        piece: u64,
        mask: bool,
        pixels: u64,
        limits: &DecodeLimits,
    ) -> Result<(), ImageFault> {
        let layout = &self.layout;
        let block = match (page.tile_width(), page.tile_height()) {
            (Some(width), Some(height)) => u64::from(width).saturating_mul(height.into()),
            _ => layout.width as u64 * u64::from(page.rows_per_strip()).min(layout.height as u64),
        };
        let pixel_bytes = (layout.samples_per_pixel * layout.bytes_per_sample) as u64;
        // The block, its copy in the piece, and colours that a piece becomes; bytes, and what is there of them.
        let pieces = match self.kind {
            Kind::Values | Kind::WhiteIsLeast => 1,
            Kind::Palette(_) => 5,
            Kind::Colors => 2,
        };
        let cost = block
            .saturating_mul(pixel_bytes)
            .saturating_add(piece.saturating_mul(pieces))
            .saturating_add(pixels.saturating_mul(5 + u64::from(mask)));
        // Nor may it be out of proportion: a tile of a gigabyte is no small picture's.
        let own = pixels
            .saturating_mul(6 * pixel_bytes + 9)
            .saturating_add(64 << 20);
        match cost <= limits.peak_bytes().min(own) {
            true => Ok(()),
            false => Err(ImageFault::Unsupported(
                "a TIFF that needs more memory than its pixels account for (its strips or tiles are large: \
                 `gdal_translate -co TILED=YES IN.tif OUT.tif`)"
                    .into(),
            )),
        }
    }
}

/// Rows that are decoded at a time: whole strips or tiles of them, of so many bytes a row.
fn rows_at_a_time(page: &Ifd, row_bytes: usize) -> usize {
    let block = match page.tile_height() {
        Some(rows) => rows as usize,
        None => page.rows_per_strip() as usize,
    };
    let block = block.clamp(1, (page.height() as usize).max(1));
    block * (PIECE / (block * row_bytes).max(1)).max(1)
}

fn kind(
    page: &Ifd,
    model: &ColorModel,
    layout: &RasterLayout,
    said: &Said,
) -> Result<Kind, ImageFault> {
    const JPEG: u16 = 7;
    match model {
        // GDAL writes the table of colours beside grey as well, and says by ColorInterp what it is.
        ColorModel::Grayscale { .. } if said.is_palette() => {
            match page.color_map().map_err(fault)? {
                Some(map) => Palette::of(&map, layout).map(Kind::Palette),
                None => Err(ImageFault::Unsupported(
                    "a TIFF whose band is called an index of colours that it does not hold".into(),
                )),
            }
        }
        ColorModel::Palette { color_map, .. } => Palette::of(color_map, layout).map(Kind::Palette),
        ColorModel::Grayscale {
            white_is_zero: true,
            ..
        } => Ok(Kind::WhiteIsLeast),
        ColorModel::Separated { .. } => Err(ImageFault::Unsupported(
            "a TIFF of inks other than CMYK".into(),
        )),
        // The decoder of JPEG has made red, green and blue of it already.
        ColorModel::YCbCr { .. } if page.compression() == JPEG => Ok(Kind::Values),
        ColorModel::Cmyk { .. } | ColorModel::YCbCr { .. } | ColorModel::CieLab { .. } => {
            Ok(Kind::Colors)
        }
        ColorModel::Grayscale { .. } | ColorModel::Rgb { .. } | ColorModel::TransparencyMask => {
            Ok(Kind::Values)
        }
    }
}

fn sample_type(layout: &RasterLayout) -> SampleType {
    SampleType {
        bits: layout.bits_per_sample,
        kind: match layout.sample_format {
            1 => SampleKind::Unsigned,
            2 => SampleKind::Signed,
            _ => SampleKind::Float,
        },
    }
}
