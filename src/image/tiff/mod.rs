//! TIFF and BigTIFF, GeoTIFF among them: the first page, any type of samples, any number of bands.
//!
//! Strips or tiles are decoded a few rows of them at a time and converted at once, so that a file of
//! many bands needs no more memory than its picture and one such row.

mod facts;
mod north;

use ::image::metadata::Orientation;
use tiff_reader::{ColorModel, Ifd, OpenOptions, RasterLayout, TiffError, TiffFile};

use super::bands;
use super::convert::{Converted, Pixels, Rule, Sample};
use super::decode::{DecodeLimits, buffer_for, upright};
use super::picture::{Picture, ReadOptions, Reading};
use super::radiometry::{self, SampleKind, SampleType};
use crate::error::ImageFault;
use facts::Facts;

/// Bytes that are decoded at a time, unless a single row of strips or tiles has more.
const PIECE: usize = 4 << 20;

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, ImageFault> {
    let file = open(bytes, &options.limits)?;
    let page = file.ifd(0).map_err(fault)?;
    options.limits.check(page.width(), page.height())?;
    let layers = Layers::of(page)?;
    let facts = Facts::of(page, &layers.model)?;
    let chosen = bands::decide(options.bands, &facts.colors, facts.colors_source)?;
    let radiometry = radiometry::decide(
        options.scale,
        &radiometry::Facts {
            samples: layers.samples,
            stated: chosen.rgb.map(|band| facts.stated(band)),
            grey: chosen.is_grey(),
            // Colours of a palette have 16 bits, of which programs read the upper 8.
            by_format: matches!(layers.model, ColorModel::Palette { .. })
                .then_some((0.0, 65_280.0)),
        },
    )?;
    let mut nodata: Vec<f64> = facts.nodata.into_iter().chain(radiometry.nodata).collect();
    nodata.dedup_by(|a, b| a.to_bits() == b.to_bits());
    let rule = Rule {
        bands: layers.layout.samples_per_pixel,
        rgb: chosen.rgb,
        alpha: chosen.alpha,
        opaque: layers.samples.most(),
        range: radiometry.range,
        nodata: nodata.clone(),
        missing_where_all: layers.samples == SampleType::U8,
    };
    let (rgb, valid, alpha) = layers.convert(&file, page, &rule)?;
    let (orientation, turned) = north::orientation(page)?;
    let bands = layers.layout.samples_per_pixel;
    let reading = Reading {
        nodata,
        alpha: Reading::alpha(alpha),
        turned,
        ..Reading::of("TIFF", layers.samples, bands, &chosen, &radiometry)
    };
    let (image, valid) = upright(page.width(), page.height(), rgb, valid, orientation)?;
    Ok(Picture::new(image, valid, reading))
}

fn open(bytes: &[u8], limits: &DecodeLimits) -> Result<TiffFile, ImageFault> {
    let most = usize::try_from(limits.max_bytes()).unwrap_or(usize::MAX);
    let options = OpenOptions {
        // Every block is read once.
        block_cache_bytes: 0,
        block_cache_slots: 0,
        decode_output_bytes: most,
        ..OpenOptions::default()
    };
    TiffFile::from_bytes_with_options(bytes.to_vec(), options).map_err(fault)
}

/// The samples of a page as they are decoded.
struct Layers {
    model: ColorModel,
    layout: RasterLayout,
    samples: SampleType,
    /// Whether the reader turns colours into red, green and blue, or bits into bytes.
    decoded: bool,
}

impl Layers {
    fn of(page: &Ifd) -> Result<Self, ImageFault> {
        let stored = page.raster_layout().map_err(fault)?;
        let model = page.color_model().map_err(fault)?;
        let plain = match &model {
            ColorModel::Grayscale { white_is_zero, .. } => !white_is_zero,
            ColorModel::Rgb { .. } => true,
            ColorModel::Separated { .. } => {
                return Err(ImageFault::Unsupported(
                    "a TIFF of inks other than CMYK".into(),
                ));
            }
            _ => false,
        };
        let decoded = !plain || !matches!(stored.bits_per_sample, 8 | 16 | 32 | 64);
        let layout = match decoded {
            true => page.decoded_raster_layout().map_err(fault)?,
            false => stored,
        };
        let kind = match layout.sample_format {
            1 => SampleKind::Unsigned,
            2 => SampleKind::Signed,
            _ => SampleKind::Float,
        };
        let samples = SampleType {
            bits: layout.bits_per_sample,
            kind,
        };
        Ok(Layers {
            model,
            layout,
            samples,
            decoded,
        })
    }

    fn convert(&self, file: &TiffFile, page: &Ifd, rule: &Rule) -> Result<Converted, ImageFault> {
        let push: fn(&mut Pixels<'_>, &[u8]) = match (self.samples.kind, self.samples.bits) {
            (SampleKind::Unsigned, 8) => push::<u8>,
            (SampleKind::Unsigned, 16) => push::<u16>,
            (SampleKind::Unsigned, 32) => push::<u32>,
            (SampleKind::Unsigned, 64) => push::<u64>,
            (SampleKind::Signed, 8) => push::<i8>,
            (SampleKind::Signed, 16) => push::<i16>,
            (SampleKind::Signed, 32) => push::<i32>,
            (SampleKind::Signed, 64) => push::<i64>,
            (SampleKind::Float, 16) => push::<half::f16>,
            (SampleKind::Float, 32) => push::<f32>,
            (SampleKind::Float, 64) => push::<f64>,
            _ => {
                let samples = self.samples;
                return Err(ImageFault::Unsupported(format!("a TIFF of {samples}")));
            }
        };
        let layout = &self.layout;
        let block = match page.tile_height() {
            Some(rows) => rows as usize,
            None => page.rows_per_strip() as usize,
        };
        let block = block.clamp(1, layout.height);
        let row_bytes = layout.width * layout.samples_per_pixel * layout.bytes_per_sample;
        let rows = block * (PIECE / (block * row_bytes).max(1)).max(1);
        let rgb = buffer_for(layout.width as u64 * layout.height as u64 * 3)?;
        let mut pixels = Pixels::new(rule, rgb);
        for first in (0..layout.height).step_by(rows) {
            let rows = rows.min(layout.height - first);
            let piece = match self.decoded {
                true => file.read_decoded_window_bytes_from_ifd(page, first, 0, rows, layout.width),
                false => file.read_window_bytes_from_ifd(page, first, 0, rows, layout.width),
            };
            push(&mut pixels, &piece.map_err(fault)?);
        }
        Ok(pixels.finish())
    }
}

fn push<T: Sample>(pixels: &mut Pixels<'_>, bytes: &[u8]) {
    pixels.push::<T>(bytes);
}

fn fault(error: TiffError) -> ImageFault {
    const LZMA: u16 = 34925;
    match error {
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
