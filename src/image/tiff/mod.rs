//! TIFF and BigTIFF, GeoTIFF among them: one picture, any type of samples, any number of bands.
//!
//! Strips or tiles are decoded a few rows of them at a time and converted at once, so that a file of
//! many bands needs no more memory than its picture and one such row.

#[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
mod classes;
mod facts;
mod layers;
mod north;
mod pages;
mod palette;
mod planes;
mod sparse;
#[cfg(feature = "geotiff")]
mod windows;

use std::sync::Arc;

use ::image::metadata::Orientation;
use tiff_reader::{Ifd, OpenOptions, TiffError, TiffFile};

use super::Region;
use super::bands;
use super::convert::{Converted, Rule};
use super::decode::{DecodeLimits, upright};
use super::picture::{Picture, ReadOptions, Reading, Resolution};
use super::radiometry::{self, SampleType};
use crate::error::ImageFault;
#[cfg(feature = "geotiff")]
pub(crate) use classes::NO_CLASS;
use facts::{Facts, Said};
use layers::{Kind, Layers};
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

/// What a file is of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of it.
    Picture,
    #[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
    /// Red, green or blue alone. Each of the three channels that are read is the band as that colour.
    Band,
    /// Numbers of classes: a table of colours beside them is for people.
    #[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
    Classes,
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
        let facts = Facts::of(said, &layers.model, is_palette);
        let chosen = match role {
            Role::Classes => classes::bands(layers.samples, layers.bands)?,
            _ => bands::decide(options.bands, &facts.colors, facts.colors_source)?,
        };
        if role == Role::Band && !chosen.is_grey() {
            return Err(ImageFault::Option(format!(
                "it has {} bands, where one of red, green or blue alone was expected",
                facts.colors.len()
            )));
        }
        let few_bits = layers.samples.is_picture() && layers.samples != SampleType::U8;
        let colors = is_palette || layers.kind == Kind::Colors;
        let radiometry = radiometry::decide(
            options.scale,
            &radiometry::Facts {
                samples: layers.samples,
                stated: chosen.rgb.map(|band| facts.stated(band)),
                // Of a band it is known which it is: each colour has a range of its own.
                grey: chosen.is_grey() && role == Role::Picture,
                by_format: (few_bits || colors || role == Role::Classes)
                    .then_some((0.0, layers.samples.most())),
                colors,
                nameless: facts.is_nameless() && role == Role::Picture,
            },
        )?;
        // The least of the first band is white; other bands have no colour.
        let white_is_least = layers.kind == Kind::WhiteIsLeast;
        let exchanged = chosen.rgb.map(|band| white_is_least && band == 0);
        let radiometry = radiometry.exchanged(exchanged, layers.samples);
        let mut nodata: Vec<f64> = file_nodata
            .into_iter()
            .chain(options.nodata.filter(|_| role != Role::Classes))
            .chain(radiometry.nodata)
            .collect();
        nodata.dedup_by(|a, b| a.to_bits() == b.to_bits());
        let rule = Rule {
            bands: layers.bands,
            rgb: chosen.rgb,
            alpha: chosen.alpha,
            alpha_defined: false,
            range: radiometry.range,
            // Of a palette the index is nodata, and no colour.
            nodata: match is_palette {
                true => Vec::new(),
                false => nodata.clone(),
            },
            missing_where_all: layers.samples.is_picture(),
            table: match role {
                Role::Classes => classes::table(layers.samples).map(Arc::new),
                Role::Picture | Role::Band => None,
            },
        };
        let (orientation, turned) = north::orientation(page)?;
        let reading = Reading {
            nodata,
            mask,
            turned,
            ..Reading::of("TIFF", layers.stored, layers.bands, &chosen, &radiometry)
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
    rows.extend(Facts::of(said, &layers.model, is_palette).rows());
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
