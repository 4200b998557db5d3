//! PNG and WebP.

use std::io::Cursor;

use ::image::codecs::png::PngDecoder;
use ::image::codecs::webp::WebPDecoder;
use ::image::metadata::Orientation;
use ::image::{ColorType, ImageDecoder, ImageError, Limits};

use super::bands::{self, Color};
use super::convert::{Alpha, Pixels, Rule};
use super::decode::{DecodeLimits, buffer, buffer_for, upright};
use super::picture::{Picture, ReadOptions, Reading};
use super::radiometry::{self, SampleType, Stated};
use crate::error::ImageFault;

pub(super) fn decode_png(bytes: &[u8], options: &ReadOptions) -> Result<Picture, ImageFault> {
    let limits = &options.limits;
    // The header's size before the decoder's own limit on memory, which would say less.
    if let Some((width, height)) = png_size(bytes) {
        limits.check(width, height)?;
    }
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), allocation(limits, png_size(bytes)))
        .map_err(|e| fault("PNG", e))?;
    decode_with("PNG", decoder, options)
}

pub(super) fn decode_webp(bytes: &[u8], options: &ReadOptions) -> Result<Picture, ImageFault> {
    // A lossy scan that was cut off would be decoded to the end, as if zeros followed.
    if webp_is_cut_off(bytes) {
        return Err(ImageFault::Damaged(
            "the file ends before its container".into(),
        ));
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|e| fault("WebP", e))?;
    decode_with("WebP", decoder, options)
}

fn decode_with(
    format: &'static str,
    mut decoder: impl ImageDecoder,
    options: &ReadOptions,
) -> Result<Picture, ImageFault> {
    let limits = &options.limits;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    decoder
        .set_limits(allocation(limits, Some((width, height))))
        .map_err(|e| fault(format, e))?;
    // A broken EXIF block does not spoil the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let color = decoder.color_type();
    let (colors, samples) = match color {
        ColorType::L8 => (&[Color::Grey][..], SampleType::U8),
        ColorType::La8 => (&[Color::Grey, Color::Alpha][..], SampleType::U8),
        ColorType::Rgb8 => (&RGBA[..3], SampleType::U8),
        ColorType::Rgba8 => (&RGBA[..], SampleType::U8),
        ColorType::L16 => (&[Color::Grey][..], SampleType::U16),
        ColorType::La16 => (&[Color::Grey, Color::Alpha][..], SampleType::U16),
        ColorType::Rgb16 => (&RGBA[..3], SampleType::U16),
        ColorType::Rgba16 => (&RGBA[..], SampleType::U16),
        other => {
            return Err(ImageFault::Unsupported(format!(
                "{format} of kind {other:?}"
            )));
        }
    };
    let chosen = bands::decide(options.bands, colors, "as the format defines it")?;
    let radiometry = radiometry::decide(
        options.scale,
        &radiometry::Facts {
            samples,
            stated: [&Stated::default(); 3],
            grey: chosen.is_grey(),
            by_format: Some((0.0, samples.most())),
            colors: false,
            nameless: false,
        },
    )?;
    let mut stored = buffer(decoder.total_bytes())?;
    decoder
        .read_image(&mut stored)
        .map_err(|e| fault(format, e))?;
    let rule = Rule {
        bands: colors.len(),
        rgb: chosen.rgb,
        alpha: chosen.alpha,
        alpha_defined: true,
        range: radiometry.range,
        nodata: radiometry.nodata.into_iter().collect(),
        missing_where_all: samples == SampleType::U8,
        table: None,
    };
    let as_stored = color == ColorType::Rgb8 && chosen.rgb == [0, 1, 2];
    let (rgb, valid, alpha) = if as_stored {
        (stored, None, Alpha::None)
    } else {
        let rgb = buffer_for(u64::from(width) * u64::from(height) * 3)?;
        let mut pixels = Pixels::new(&rule, rgb);
        match samples == SampleType::U8 {
            true => pixels.push::<u8>(&stored, None),
            false => pixels.push::<u16>(&stored, None),
        }
        pixels.finish()
    };
    let reading = Reading {
        alpha: Reading::alpha(alpha),
        turned: Reading::turned("EXIF's orientation", orientation),
        ..Reading::of(format, samples, colors.len(), &chosen, &radiometry)
    };
    let (image, valid) = upright(width, height, rgb, valid, orientation)?;
    Ok(Picture::new(image, valid, reading))
}

const RGBA: [Color; 4] = [Color::Red, Color::Green, Color::Blue, Color::Alpha];

/// Width and height of the first chunk, where it is the header.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16) != Some(b"IHDR") {
        return None;
    }
    let word = |at| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some((word(16)?, word(20)?))
}

/// Whether the file is shorter than its container says; the last byte may be padding.
fn webp_is_cut_off(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).and_then(|size| size.try_into().ok());
    size.is_none_or(|size| bytes.len() as u64 + 1 < u64::from(u32::from_le_bytes(size)) + 8)
}

/// What a picture of this size may need: tables and profiles have no size of their own to be bounded by.
fn allocation(limits: &DecodeLimits, size: Option<(u32, u32)>) -> Limits {
    let own = size.map(|(width, height)| {
        let pixels = u64::from(width) * u64::from(height);
        DecodeLimits::of_pixels(pixels.min(limits.max_pixels)).max_bytes()
    });
    let mut allocation = Limits::no_limits();
    allocation.max_alloc = Some(own.unwrap_or(limits.max_bytes()));
    allocation
}

fn fault(format: &str, error: ImageError) -> ImageFault {
    match error {
        ImageError::Unsupported(error) => {
            ImageFault::Unsupported(format!("this kind of {format} ({error})"))
        }
        ImageError::Limits(_) => ImageFault::Unsupported(format!(
            "a {format} that needs more memory than its pixels account for"
        )),
        other => ImageFault::Damaged(other.to_string()),
    }
}
