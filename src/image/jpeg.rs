//! JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.
//!
//! The markers are walked here before the decoder sees the file, for three reasons: the size is
//! known before anything is allocated, what cannot be read is refused by its name, and a file
//! that was cut off is told from a whole one (a decoder fills what is missing with grey).

use ::image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::RgbImage;
use super::decode::{DecodeLimits, buffer, upright};
use crate::error::ImageFault;

/// Bytes of "Adobe", version and flags before the colour transform in an APP14 segment.
const ADOBE_TRANSFORM_AT: usize = 11;

/// The picture, upright, and how it was stored.
pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<(RgbImage, Orientation), ImageFault> {
    let outline = Outline::read(bytes)?;
    let (width, height) = (u32::from(outline.width), u32::from(outline.height));
    limits.check(width, height)?;
    if !ends(bytes, outline.scan) {
        return Err(cut_off());
    }
    match outline.plain_rgb_marker {
        // The decoder takes this marker for CMYK whatever the number of components: hide it, and
        // the components are passed through as they are.
        Some(at) => {
            let mut copy = bytes.to_vec();
            copy[at] = b'-';
            decode_pixels(&copy, width, height, true)
        }
        None => decode_pixels(bytes, width, height, false),
    }
}

fn decode_pixels(
    bytes: &[u8],
    width: u32,
    height: u32,
    plain_rgb: bool,
) -> Result<(RgbImage, Orientation), ImageFault> {
    // Strict: a broken scan is an error. The sides are limited by their product alone.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(fault)?;
    if plain_rgb && decoder.input_colorspace() == Some(ColorSpace::YCbCr) {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::YCbCr));
    }
    let mut pixels = buffer(u64::from(width) * u64::from(height) * 3)?;
    if decoder.output_buffer_size() != Some(pixels.len()) {
        return Err(ImageFault::Damaged("two sizes in one file".into()));
    }
    decoder.decode_into(&mut pixels).map_err(fault)?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let (image, _) = upright(width, height, pixels, None, orientation)?;
    Ok((image, orientation))
}

fn fault(error: DecodeErrors) -> ImageFault {
    match error {
        DecodeErrors::Unsupported(scheme) => ImageFault::Unsupported(format!("JPEG {scheme:?}")),
        DecodeErrors::ExhaustedData => cut_off(),
        other => ImageFault::Damaged(other.to_string().trim().to_owned()),
    }
}

fn cut_off() -> ImageFault {
    ImageFault::Damaged("the file ends before the end-of-image marker".into())
}

/// What the segments before the first scan say.
struct Outline {
    width: u16,
    height: u16,
    /// Offset of the first scan's compressed data.
    scan: usize,
    /// Offset of an Adobe marker that says "three components are R, G, B".
    plain_rgb_marker: Option<usize>,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, ImageFault> {
        let (mut frame, mut untransformed) = (None, None);
        let mut at = 2;
        loop {
            let (code, after) = next_marker(bytes, at).ok_or_else(cut_off)?;
            at = after;
            if code == 0xd9 {
                return Err(ImageFault::Damaged(
                    "there is no picture in the file".into(),
                ));
            }
            let Some(segment) = segment(bytes, code, after)? else {
                continue;
            };
            at += segment.len() + 2;
            match code {
                0xc0..=0xc2 => frame = Some(Frame::read(segment)?),
                0xc3 => return Err(ImageFault::Unsupported("lossless JPEG".into())),
                0xc5..=0xc7 => return Err(ImageFault::Unsupported("hierarchical JPEG".into())),
                0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(ImageFault::Unsupported(
                        "JPEG with arithmetic coding".into(),
                    ));
                }
                0xee if segment.starts_with(b"Adobe") => {
                    untransformed =
                        (segment.get(ADOBE_TRANSFORM_AT) == Some(&0)).then_some(after + 2);
                }
                0xda => break,
                _ => {}
            }
        }
        let frame = frame.ok_or_else(|| ImageFault::Damaged("a scan without a frame".into()))?;
        Ok(Outline {
            width: frame.width,
            height: frame.height,
            scan: at,
            plain_rgb_marker: untransformed.filter(|_| frame.components == 3),
        })
    }
}

struct Frame {
    width: u16,
    height: u16,
    components: u8,
}

impl Frame {
    fn read(segment: &[u8]) -> Result<Self, ImageFault> {
        let &[precision, y1, y0, x1, x0, components, ..] = segment else {
            return Err(ImageFault::Damaged("the frame header is too short".into()));
        };
        if precision != 8 {
            return Err(ImageFault::Unsupported(format!(
                "JPEG with {precision} bits per sample"
            )));
        }
        if ![1, 3, 4].contains(&components) {
            return Err(ImageFault::Unsupported(format!(
                "JPEG with {components} components"
            )));
        }
        let height = u16::from_be_bytes([y1, y0]);
        if height == 0 {
            return Err(ImageFault::Unsupported("JPEG without a height".into()));
        }
        Ok(Frame {
            width: u16::from_be_bytes([x1, x0]),
            height,
            components,
        })
    }
}

/// The next marker at or after an offset, and the offset after it. Compressed data is stepped
/// over: in it, 0xff is followed by 0.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)? + 1;
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let code = *bytes.get(at)?;
        at += 1;
        if code != 0 {
            return Some((code, at));
        }
    }
}

/// The contents of a marker's segment; none for the markers that have none.
fn segment(bytes: &[u8], code: u8, at: usize) -> Result<Option<&[u8]>, ImageFault> {
    if matches!(code, 0x01 | 0xd0..=0xd9) {
        return Ok(None);
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let &[high, low, ..] = rest else {
        return Err(cut_off());
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < 2 {
        return Err(ImageFault::Damaged(format!("a segment of {length} bytes")));
    }
    rest.get(2..length).map(Some).ok_or_else(cut_off)
}

/// Whether the end-of-image marker follows the scans.
fn ends(bytes: &[u8], scan: usize) -> bool {
    // Nearly every whole file ends so, and this spares a look at every byte.
    if bytes
        .get(scan..)
        .is_some_and(|data| data.ends_with(b"\xff\xd9"))
    {
        return true;
    }
    let mut at = scan;
    while let Some((code, after)) = next_marker(bytes, at) {
        if code == 0xd9 {
            return true;
        }
        let Ok(contents) = segment(bytes, code, after) else {
            return false;
        };
        at = after + contents.map_or(0, |contents| contents.len() + 2);
    }
    false
}
