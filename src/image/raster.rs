//! PNG and WebP, and samples of any layout to 8-bit RGB.

use std::io::Cursor;

use ::image::codecs::png::PngDecoder;
use ::image::codecs::webp::WebPDecoder;
use ::image::{ColorType, ImageDecoder, ImageError, Limits};

use super::RgbImage;
use super::decode::{DecodeLimits, buffer, upright};
use crate::error::ImageFault;

pub(super) fn decode_png(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, ImageFault> {
    // The header's size before the decoder's own limit on memory, which would say less.
    if let Some((width, height)) = png_size(bytes) {
        limits.check(width, height)?;
    }
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), allocation(limits))
        .map_err(|e| fault("PNG", e))?;
    decode_with("PNG", decoder, limits)
}

pub(super) fn decode_webp(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, ImageFault> {
    // A lossy scan that was cut off would be decoded to the end, as if zeros followed.
    if webp_is_cut_off(bytes) {
        return Err(ImageFault::Damaged(
            "the file ends before its container".into(),
        ));
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|e| fault("WebP", e))?;
    decode_with("WebP", decoder, limits)
}

fn decode_with(
    format: &'static str,
    mut decoder: impl ImageDecoder,
    limits: &DecodeLimits,
) -> Result<RgbImage, ImageFault> {
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    decoder
        .set_limits(allocation(limits))
        .map_err(|e| fault(format, e))?;
    // A broken EXIF block does not spoil the pixels.
    let orientation = decoder
        .orientation()
        .unwrap_or(::image::metadata::Orientation::NoTransforms);
    let color = decoder.color_type();
    let mut samples = buffer(decoder.total_bytes())?;
    decoder
        .read_image(&mut samples)
        .map_err(|e| fault(format, e))?;
    let channels = usize::from(color.channel_count());
    let pixels = match color {
        ColorType::Rgb8 => samples,
        ColorType::L8 | ColorType::La8 | ColorType::Rgba8 => {
            rgb_from(samples.chunks_exact(channels), |&v| v)?
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let (wide, _) = samples.as_chunks::<2>();
            rgb_from(wide.chunks_exact(channels), |v| {
                narrow(u16::from_ne_bytes(*v))
            })?
        }
        other => {
            return Err(ImageFault::Unsupported(format!(
                "{format} of kind {other:?}"
            )));
        }
    };
    upright(width, height, pixels, orientation)
}

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

/// 16 bits to 8 over the full range: `v * 255 / 65535`, rounded.
pub(super) fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// R, G and B of pixels that have one or two samples (grey) or at least three.
pub(super) fn rgb_from<'a, T: 'a>(
    pixels: impl ExactSizeIterator<Item = &'a [T]>,
    to_byte: impl Fn(&T) -> u8,
) -> Result<Vec<u8>, ImageFault> {
    let mut rgb = buffer(pixels.len() as u64 * 3)?;
    for (out, pixel) in rgb.chunks_exact_mut(3).zip(pixels) {
        match pixel {
            [r, g, b, ..] => out.copy_from_slice(&[to_byte(r), to_byte(g), to_byte(b)]),
            [grey, ..] => out.fill(to_byte(grey)),
            [] => {}
        }
    }
    Ok(rgb)
}

fn allocation(limits: &DecodeLimits) -> Limits {
    let mut allocation = Limits::no_limits();
    allocation.max_alloc = Some(limits.max_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_is_the_rounded_full_range() {
        for value in 0..=u16::MAX {
            let exact = (f64::from(value) * 255.0 / 65535.0).round();
            assert_eq!(f64::from(narrow(value)), exact, "{value}");
        }
    }
}
