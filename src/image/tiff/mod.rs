//! TIFF and BigTIFF, GeoTIFF among them: one picture, any type of samples, any number of bands.
//!
//! Strips or tiles are decoded a few rows of them at a time and converted at once, so that a file of
//! many bands needs no more memory than its picture and one such row.

#[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
pub(super) mod classes;
#[cfg(feature = "geotiff")]
mod deflate;
mod facts;
mod layers;
mod north;
mod pages;
mod palette;
mod planes;
mod stored;
#[cfg(feature = "geotiff")]
mod windows;

#[cfg(feature = "geotiff")]
use std::sync::Arc;

use ::image::metadata::Orientation;
use tiff_reader::{Ifd, OpenOptions, TiffError, TiffFile};

use super::Region;
use super::convert::{Converted, Rule};
use super::decide::{self, Role, Samples};
use super::decode::{DecodeLimits, upright};
use super::picture::{Picture, ReadOptions, Reading, Resolution};
use crate::error::ImageFault;
#[cfg(feature = "geotiff")]
pub(crate) use classes::{NO_CLASS, SMALL};
use facts::Said;
use layers::{Kind, Layers};
#[cfg(feature = "jpeg2000")]
pub(super) use north::{north_up, orientation};
use pages::Pages;

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, ImageFault> {
    let file = open(bytes, &options.limits)?;
    let pages = Pages::of(&file)?;
    let (width, height) = (pages.picture.width(), pages.picture.height());
    options.limits.check(width, height)?;
    if options.resolution != Resolution::Full {
        return Err(ImageFault::Option(
            "smaller copies are read of scenes alone, which are cut into windows".into(),
        ));
    }
    let tiff = Tiff::of(file, pages, options, Role::Picture)?;
    let whole = [Region::whole(width, height)];
    let (rgb, valid, alpha) = tiff.read(&whole)?;
    let reading = Reading {
        alpha: Reading::alpha(alpha),
        ..tiff.reading
    };
    let (image, valid) = upright(width, height, rgb, valid, tiff.orientation)?;
    Ok(Picture::new(image, valid, reading))
}

/// A file of which it is known how its samples become a picture.
pub(crate) struct Tiff {
    file: TiffFile,
    pages: Pages,
    /// What a region may cost.
    limits: DecodeLimits,
    layers: Layers,
    rule: Rule,
    /// The nodata value that the file states.
    nodata: Option<f64>,
    /// What was decided; of an alpha band nothing yet.
    pub(super) reading: Reading,
    pub(super) orientation: Orientation,
    /// Widths and heights of the picture and of its smaller copies.
    #[cfg(feature = "geotiff")]
    sizes: Vec<(u32, u32)>,
    /// Who wants to know what will be read; nobody where the bytes are at hand.
    #[cfg(feature = "geotiff")]
    reader: Option<Arc<dyn super::ranges::RangeReader>>,
}

impl Tiff {
    /// `pages` are the picture, or a copy of it; what is said of it stands in the file's first page.
    fn of(
        file: TiffFile,
        pages: Pages,
        options: &ReadOptions,
        role: Role,
    ) -> Result<Self, ImageFault> {
        let page = file.ifd(0).map_err(fault)?;
        let mask = pages.mask.is_some();
        let said = Said::of(page)?;
        let file_nodata = said.nodata;
        let layers = Layers::of(&pages.picture, &said, role)?;
        let is_palette = matches!(layers.kind, Kind::Palette(_));
        let facts = said.facts(&layers.model, is_palette);
        let classes = match role {
            Role::Classes => Some((
                classes::bands(layers.samples, layers.bands)?,
                classes::table(layers.samples),
            )),
            Role::Picture | Role::Band => None,
        };
        let samples = Samples {
            format: "TIFF",
            stored: layers.stored,
            samples: layers.samples,
            bands: layers.bands,
            facts: &facts,
            is_palette,
            has_colors: layers.kind == Kind::Colors,
            white_is_least: layers.kind == Kind::WhiteIsLeast,
            nodata: file_nodata,
            classes,
        };
        let (rule, reading) = decide::decide(samples, options, role)?;
        let (orientation, turned) = north::orientation(page)?;
        let reading = Reading {
            mask,
            turned,
            ..reading
        };
        Ok(Tiff {
            file,
            pages,
            limits: options.limits,
            layers,
            rule,
            nodata: file_nodata,
            reading,
            orientation,
            #[cfg(feature = "geotiff")]
            sizes: Vec::new(),
            #[cfg(feature = "geotiff")]
            reader: None,
        })
    }

    /// Regions one below the other.
    fn read(&self, regions: &[Region]) -> Result<Converted, ImageFault> {
        self.layers.convert(
            &self.file,
            &self.pages,
            &self.rule,
            self.nodata,
            regions,
            &self.limits,
        )
    }
}

/// What a TIFF says of itself where it says too little to be read.
pub fn facts(
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<Vec<(&'static str, String)>, ImageFault> {
    let file = open(bytes, limits)?;
    let pages = Pages::of(&file)?;
    let page = &pages.picture;
    let said = Said::of(page)?;
    let nodata = said.nodata;
    let layers = Layers::of(page, &said, Role::Picture)?;
    let is_palette = matches!(layers.kind, Kind::Palette(_));
    let mut rows = vec![
        (
            "image",
            format!("{} x {} pixels", page.width(), page.height()),
        ),
        ("format", "TIFF".to_owned()),
        ("samples", layers.stored.to_string()),
    ];
    rows.extend(said.facts(&layers.model, is_palette).rows());
    rows.extend(nodata.map(|nodata| ("nodata", nodata.to_string())));
    if pages.mask.is_some() {
        rows.push(("mask", "a page of the file".to_owned()));
    }
    Ok(rows)
}

fn open(bytes: &[u8], limits: &DecodeLimits) -> Result<TiffFile, ImageFault> {
    let most = usize::try_from(limits.peak_bytes()).unwrap_or(usize::MAX);
    TiffFile::from_bytes_with_options(bytes.to_vec(), open_options(most)).map_err(fault)
}

/// For files of which at most so many bytes are decoded at a time.
fn open_options(most: usize) -> OpenOptions {
    OpenOptions {
        // Every block is read once.
        block_cache_bytes: 0,
        block_cache_slots: 0,
        decode_output_bytes: most,
        ..OpenOptions::default()
    }
}

fn fault(error: TiffError) -> ImageFault {
    const LZMA: u16 = 34925;
    match error {
        TiffError::Io(error, _) => ImageFault::Unreadable(error.to_string()),
        TiffError::UnsupportedCompression(LZMA) => {
            ImageFault::Unsupported("a TIFF compressed by LZMA".into())
        }
        TiffError::UnsupportedCompression(_)
        | TiffError::UnsupportedPredictor(_)
        | TiffError::UnsupportedPlanarConfiguration(_)
        | TiffError::UnsupportedBitsPerSample(_)
        | TiffError::UnsupportedSampleFormat(_)
        | TiffError::UnsupportedVersion(_) => {
            ImageFault::Unsupported(format!("this kind of TIFF ({error})"))
        }
        TiffError::DecodeOutputTooLarge { .. } | TiffError::DecodeOutputAllocationFailed { .. } => {
            ImageFault::Unsupported(
                "a TIFF that needs more memory than its pixels account for".into(),
            )
        }
        // An encoder of WebP leaves out an alpha that hides nothing.
        TiffError::DecompressionFailed { reason, .. } if reason.contains("WebP channel count 3") => {
            ImageFault::Unsupported(
                "a TIFF of WebP whose alpha was left out (`gdal_translate -b 1 -b 2 -b 3 IN.tif OUT.tif`)".into(),
            )
        }
        TiffError::InvalidImageLayout(what) if what.contains("not supported") => {
            ImageFault::Unsupported(format!("this kind of TIFF ({what})"))
        }
        other => ImageFault::Damaged(other.to_string()),
    }
}

/// Stored upright, or turned as EXIF's number says.
fn by_tag(page: &Ifd) -> Orientation {
    const ORIENTATION: u16 = 274;
    page.tag(ORIENTATION)
        .and_then(|tag| tag.value.as_u16())
        .and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}
