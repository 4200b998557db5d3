//! TIFF and BigTIFF: first page, 8 and 16 bits, any number of bands.
//!
//! The `tiff` crate is used directly, because satellite products have more kinds than the `image`
//! crate passes on: bands beyond RGB, planes, and JPEG-compressed YCbCr.

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::{PhotometricInterpretation, SampleFormat, Tag};
use ::tiff::{ColorType, TiffError};

use super::RgbImage;
use super::decode::{DecodeLimits, buffer, upright};
use super::raster::{narrow, rgb_from};
use crate::error::ImageFault;

/// The compression tag's value for JPEG as of TIFF's technical note 2.
const JPEG: u64 = 7;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, ImageFault> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(fault)?;
    let (width, height) = decoder.dimensions().map_err(fault)?;
    limits.check(width, height)?;

    let most = usize::try_from(limits.max_bytes()).unwrap_or(usize::MAX);
    let mut allocation = Limits::default();
    allocation.decoding_buffer_size = most;
    allocation.intermediate_buffer_size = most;
    decoder = decoder.with_limits(allocation);

    let kind = kind(&mut decoder)?;
    if number(&mut decoder, Tag::Compression)? == Some(JPEG) {
        check_whole(&mut decoder, bytes.len() as u64)?;
    }
    let orientation = number(&mut decoder, Tag::Orientation)?
        .and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?))
        .unwrap_or(Orientation::NoTransforms);

    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(fault)?;
    let got = samples.as_buffer(0).byte_len();
    if got < layout.complete_len {
        return Err(too_much_memory());
    }
    // With planes apart, each holds one sample of every pixel.
    let plane = (layout.planes > 1).then_some(layout.len);
    let pixels = match samples {
        DecodingResult::U8(samples) => {
            if kind.bits == 1 {
                bits_to_rgb(&samples, width, height)?
            } else {
                to_rgb(&samples, &kind, plane, |&v| v)?
            }
        }
        DecodingResult::U16(samples) => {
            to_rgb(&samples, &kind, plane.map(|bytes| bytes / 2), |&v| {
                narrow(v)
            })?
        }
        _ => return Err(ImageFault::Unsupported("TIFF of this sample type".into())),
    };
    upright(width, height, pixels, orientation)
}

/// How samples become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colors {
    /// The first sample is grey, or the first three are R, G and B.
    Direct,
    /// Ink, from none to full.
    Cmyk,
    /// JPEG's luma and chroma.
    YCbCr,
}

#[derive(Debug)]
struct Kind {
    colors: Colors,
    bits: u8,
    samples: usize,
}

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// What the samples are, or why they are not read.
fn kind(decoder: &mut Reader<'_>) -> Result<Kind, ImageFault> {
    let unsupported = |what: String| Err(ImageFault::Unsupported(what));
    let photometric = number(decoder, Tag::PhotometricInterpretation)?
        .and_then(|value| PhotometricInterpretation::from_u16(u16::try_from(value).ok()?));
    if photometric == Some(PhotometricInterpretation::RGBPalette) {
        return unsupported("palette TIFF".into());
    }
    let formats: Option<Vec<u16>> = decoder
        .find_tag_unsigned_vec(Tag::SampleFormat)
        .map_err(fault)?;
    for format in formats.unwrap_or_default() {
        match SampleFormat::from_u16(format) {
            Some(SampleFormat::Uint) => {}
            Some(SampleFormat::IEEEFP) => return unsupported("floating-point TIFF".into()),
            Some(SampleFormat::Int) => return unsupported("TIFF with signed samples".into()),
            _ => return unsupported(format!("TIFF with sample format {format}")),
        }
    }
    let color = decoder.colortype().map_err(fault)?;
    let (bits, samples) = (color.bit_depth(), usize::from(color.num_samples()));
    let one_bit_grey = color == ColorType::Gray(1);
    if !one_bit_grey && bits != 8 && bits != 16 {
        return unsupported(format!("TIFF with {bits} bits per sample"));
    }
    let colors = match color {
        ColorType::Gray(_)
        | ColorType::GrayA(_)
        | ColorType::RGB(_)
        | ColorType::RGBA(_)
        | ColorType::Multiband { .. } => Colors::Direct,
        ColorType::CMYK(_) | ColorType::CMYKA(_) => Colors::Cmyk,
        ColorType::YCbCr(8) => {
            // Elsewhere the chroma is stored at half size, which only JPEG decoders restore.
            if number(decoder, Tag::Compression)? != Some(JPEG) {
                return unsupported("YCbCr TIFF without JPEG compression".into());
            }
            Colors::YCbCr
        }
        other => return unsupported(format!("TIFF with colours {other:?}")),
    };
    Ok(Kind {
        colors,
        bits,
        samples,
    })
}

/// Checks that no strip or tile is cut off: its JPEG decoder would fill the rest with grey.
fn check_whole(decoder: &mut Reader<'_>, len: u64) -> Result<(), ImageFault> {
    for (offsets, sizes) in [
        (Tag::StripOffsets, Tag::StripByteCounts),
        (Tag::TileOffsets, Tag::TileByteCounts),
    ] {
        let mut list = |tag| -> Result<Vec<u64>, ImageFault> {
            let values = decoder.find_tag_unsigned_vec(tag).map_err(fault)?;
            Ok(values.unwrap_or_default())
        };
        let (offsets, sizes) = (list(offsets)?, list(sizes)?);
        let end = |(offset, size): (&u64, &u64)| offset.saturating_add(*size);
        if offsets.iter().zip(&sizes).map(end).any(|end| end > len) {
            return Err(ImageFault::Damaged(
                "the file ends before its last strip or tile".into(),
            ));
        }
    }
    Ok(())
}

fn number(decoder: &mut Reader<'_>, tag: Tag) -> Result<Option<u64>, ImageFault> {
    decoder.find_tag_unsigned(tag).map_err(fault)
}

/// Samples, interleaved or in planes of `plane` samples, to RGB.
fn to_rgb<T: Copy>(
    samples: &[T],
    kind: &Kind,
    plane: Option<usize>,
    to_byte: impl Fn(&T) -> u8,
) -> Result<Vec<u8>, ImageFault> {
    let mut rgb = match (plane, kind.colors) {
        (None, Colors::Direct | Colors::YCbCr) => {
            rgb_from(samples.chunks_exact(kind.samples.max(1)), to_byte)?
        }
        (None, Colors::Cmyk) => return cmyk_to_rgb(samples, kind.samples, to_byte),
        (Some(len), Colors::Direct) if len > 0 => {
            let mut planes = samples.chunks_exact(len);
            let first = planes.next().unwrap_or_default();
            let (second, third) = match (planes.next(), planes.next()) {
                (Some(second), Some(third)) => (second, third),
                _ => (first, first),
            };
            let mut rgb = buffer(first.len() as u64 * 3)?;
            let bands = first.iter().zip(second).zip(third);
            for (out, ((r, g), b)) in rgb.chunks_exact_mut(3).zip(bands) {
                out.copy_from_slice(&[to_byte(r), to_byte(g), to_byte(b)]);
            }
            rgb
        }
        (Some(_), colors) => {
            return Err(ImageFault::Unsupported(format!(
                "{colors:?} TIFF in planes"
            )));
        }
    };
    if kind.colors == Colors::YCbCr {
        for pixel in rgb.chunks_exact_mut(3) {
            ycbcr_to_rgb(pixel);
        }
    }
    Ok(rgb)
}

/// `(1 - ink) * (1 - black)` for each ink, as Pillow.
fn cmyk_to_rgb<T>(
    samples: &[T],
    per_pixel: usize,
    to_byte: impl Fn(&T) -> u8,
) -> Result<Vec<u8>, ImageFault> {
    let pixels = samples.chunks_exact(per_pixel.max(4));
    let mut rgb = buffer(pixels.len() as u64 * 3)?;
    for (out, inks) in rgb.chunks_exact_mut(3).zip(pixels) {
        let white = 255 - u16::from(to_byte(&inks[3]));
        for (value, ink) in out.iter_mut().zip(inks) {
            let ink = u16::from(to_byte(ink));
            *value = ((u32::from(white) * u32::from(255 - ink) + 127) / 255) as u8;
        }
    }
    Ok(rgb)
}

/// JFIF's full-range conversion (ITU-T T.871).
fn ycbcr_to_rgb(pixel: &mut [u8]) {
    let &mut [y, cb, cr] = pixel else { return };
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let byte = |v: f32| v.round().clamp(0.0, 255.0) as u8;
    pixel.copy_from_slice(&[
        byte(y + 1.402 * cr),
        byte(y - 0.344_136 * cb - 0.714_136 * cr),
        byte(y + 1.772 * cb),
    ]);
}

/// Rows of bits, each row from a new byte, to black and white.
fn bits_to_rgb(rows: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ImageFault> {
    let width = width as usize;
    let mut rgb = buffer(width as u64 * u64::from(height) * 3)?;
    let rows = rows.chunks_exact(width.div_ceil(8));
    for (out, row) in rgb.chunks_exact_mut(width * 3).zip(rows) {
        for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
            pixel.fill(if row[x / 8] & (0x80 >> (x % 8)) == 0 {
                0
            } else {
                255
            });
        }
    }
    Ok(rgb)
}

fn too_much_memory() -> ImageFault {
    ImageFault::Unsupported("a TIFF that needs more memory than its pixels account for".into())
}

fn fault(error: TiffError) -> ImageFault {
    match error {
        TiffError::UnsupportedError(what) => {
            ImageFault::Unsupported(format!("this kind of TIFF ({what})"))
        }
        TiffError::LimitsExceeded => too_much_memory(),
        other => ImageFault::Damaged(other.to_string()),
    }
}
