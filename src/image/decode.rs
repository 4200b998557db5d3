//! Which format it is, whether it may be decoded, and who decodes it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::image::DynamicImage;
use ::image::metadata::Orientation;

use super::bands::{self, Color};
use super::beside::nothing_beside;
use super::picture::{Picture, ReadOptions, Reading};
use super::radiometry::{self, SampleType, Stated};
#[cfg(feature = "geotiff")]
use super::ranges::RasterFormat;
use super::{Geometry, Region, RgbImage, fit, fitted_geometry, jpeg, raster, tiff};
use crate::arch::Preprocessing;
use crate::error::{Error, ImageFault, Result};

/// Longest side that is read: the resize needs up to 50 bytes for each pixel of a side.
pub(super) const MOST_SIDE: u32 = 1 << 20;

/// What a picture may cost at most.
///
/// Decoding needs up to about 9 bytes per pixel at its peak beside the file (3 for the result, the rest for
/// progressive JPEG or 16-bit samples). TIFFs whose strips or tiles would need more than that sum of the largest
/// picture are refused beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Largest width times height; checked in the header, before anything is decoded.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    /// 178,956,970 pixels: above it Pillow refuses a picture as a decompression bomb.
    fn default() -> Self {
        DecodeLimits {
            max_pixels: 178_956_970,
        }
    }
}

impl DecodeLimits {
    /// Limits of this many pixels.
    pub fn of_pixels(max_pixels: u64) -> Self {
        DecodeLimits { max_pixels }
    }

    pub(super) fn check(&self, width: u32, height: u32) -> Result<(), ImageFault> {
        if width == 0 || height == 0 {
            return Err(ImageFault::Damaged(format!(
                "the header says {width} x {height} pixels"
            )));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(ImageFault::TooLarge {
                width,
                height,
                limit: self.max_pixels,
            });
        }
        if width.max(height) > MOST_SIDE {
            return Err(ImageFault::Unsupported(format!(
                "a side of {} pixels (over {MOST_SIDE})",
                width.max(height)
            )));
        }
        Ok(())
    }

    /// Bytes that a TIFF may need while it is decoded, its file apart.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.max_pixels.saturating_mul(9).saturating_add(64 << 20)
    }

    /// Bytes that a decoder may allocate, and that a file may have: four 16-bit samples for each
    /// pixel and 64 MiB for tables, profiles and strips.
    #[doc(hidden)]
    pub fn max_bytes(&self) -> u64 {
        self.max_pixels.saturating_mul(8).saturating_add(64 << 20)
    }
}

/// Decodes a picture to 8-bit RGB, by the rules that [the module](super) lists.
///
/// `item` is what errors call the picture. The format is told from the contents: JPEG, PNG, WebP
/// or TIFF.
///
/// # Errors
/// [`Error::Image`] names the item and what is wrong with it.
pub fn decode(bytes: &[u8], item: &str, options: &ReadOptions) -> Result<Picture> {
    decode_any(bytes, options).map_err(|fault| Error::Image {
        item: item.to_owned(),
        fault,
    })
}

/// Reads a file and decodes it.
///
/// # Errors
/// [`Error::Image`] names the file and what is wrong with it, a file that is missing or cannot be
/// read included.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Picture> {
    nothing_beside(path)
        .and_then(|()| read_bytes(path, &options.limits))
        .and_then(|bytes| decode_any(&bytes, options))
        .map_err(|fault| Error::Image {
            item: path.display().to_string(),
            fault,
        })
}

/// A picture as a model takes it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Prepared {
    /// `size * size * 3` bytes, row by row, RGB.
    pub pixels: Vec<u8>,
    /// What fitting did, for metadata to follow.
    pub geometry: Geometry,
    /// The share of valid pixels of what the model sees, above 0 to 1.
    pub valid: f32,
    /// How the picture was read.
    pub reading: Reading,
}

/// Decodes a picture and fits it to a model's input.
///
/// # Errors
/// As [`decode`] and [`fit`]; [`ImageFault::TooFewValid`] where fewer pixels are valid than the
/// options ask for.
pub fn prepare(
    bytes: &[u8],
    item: &str,
    options: &ReadOptions,
    preprocessing: &Preprocessing,
) -> Result<Prepared> {
    prepare_picture(decode(bytes, item, options)?, item, options, preprocessing)
}

/// As [`prepare`], of a picture that is decoded already.
///
/// # Errors
/// As [`fit`]; [`ImageFault::TooFewValid`] where fewer pixels are valid than the options ask for.
pub fn prepare_picture(
    picture: Picture,
    item: &str,
    options: &ReadOptions,
    preprocessing: &Preprocessing,
) -> Result<Prepared> {
    let image = picture.image();
    let (width, height) = (image.width(), image.height());
    let region = Region::fitted(width, height, preprocessing.fit);
    let valid = picture.enough_valid(region, options.min_valid);
    Ok(Prepared {
        valid: valid.map_err(|fault| Error::Image {
            item: item.to_owned(),
            fault,
        })?,
        geometry: fitted_geometry(width, height, preprocessing)?,
        pixels: fit(image, preprocessing)?,
        reading: picture.reading().clone(),
    })
}

fn read_bytes(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, ImageFault> {
    let unreadable = |error: std::io::Error| ImageFault::Unreadable(error.to_string());
    // Asked before it is opened: opening a pipe that nobody writes to would wait for ever.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ImageFault::Unreadable("not a regular file".into()));
    }
    let most = limits.max_bytes();
    if metadata.len() > most {
        return Err(ImageFault::Unreadable(format!(
            "{} bytes are more than a picture within the limit of {} pixels needs",
            metadata.len(),
            limits.max_pixels
        )));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // Bounded again, because the file may grow while it is read.
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

fn decode_any(bytes: &[u8], options: &ReadOptions) -> Result<Picture, ImageFault> {
    let format = sniff(bytes)?;
    if options.nodata.is_some() && matches!(format, Format::Jpeg | Format::Png | Format::WebP) {
        return Err(ImageFault::Option(
            "a nodata value was given, which TIFF and JPEG 2000 alone can have".into(),
        ));
    }
    match format {
        Format::Jpeg => of_jpeg(jpeg::decode(bytes, &options.limits)?, options),
        Format::Png => raster::decode_png(bytes, options),
        Format::WebP => raster::decode_webp(bytes, options),
        Format::Tiff => tiff::decode(bytes, options),
        #[cfg(feature = "jpeg2000")]
        Format::Jpeg2000 => super::jp2::decode(bytes, options),
    }
}

/// A decoded JPEG, with the bands that were asked for.
fn of_jpeg(
    (mut image, orientation): (RgbImage, Orientation),
    options: &ReadOptions,
) -> Result<Picture, ImageFault> {
    let colors = [Color::Red, Color::Green, Color::Blue];
    let chosen = bands::decide(options.bands, &colors, "as the format defines it")?;
    if chosen.rgb != [0, 1, 2] {
        for pixel in image.pixels.chunks_exact_mut(3) {
            let stored = [pixel[0], pixel[1], pixel[2]];
            pixel.copy_from_slice(&chosen.rgb.map(|band| stored[band]));
        }
    }
    let radiometry = radiometry::decide(
        options.scale,
        &radiometry::Facts {
            samples: SampleType::U8,
            stated: [&Stated::default(); 3],
            grey: chosen.is_grey(),
            by_format: None,
            colors: false,
            nameless: false,
        },
    )?;
    let reading = Reading {
        turned: Reading::turned("EXIF's orientation", orientation),
        ..Reading::of("JPEG", SampleType::U8, colors.len(), &chosen, &radiometry)
    };
    Ok(Picture::new(image, None, reading))
}

/// The format of a scene by its first bytes.
#[cfg(feature = "geotiff")]
pub(super) fn raster_format(head: &[u8]) -> Result<RasterFormat, ImageFault> {
    match sniff(head)? {
        Format::Tiff => Ok(RasterFormat::Tiff),
        #[cfg(feature = "jpeg2000")]
        Format::Jpeg2000 => Ok(RasterFormat::Jpeg2000),
        Format::Jpeg | Format::Png | Format::WebP => Err(ImageFault::Unsupported(
            "a JPEG, PNG or WebP as a scene, of which only windows are read,".into(),
        )),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Format {
    Jpeg,
    Png,
    WebP,
    Tiff,
    #[cfg(feature = "jpeg2000")]
    Jpeg2000,
}

/// Formats that people have and that are not read, by their first bytes.
const KNOWN_UNREAD: [(&[u8], &str); 7] = [
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  ", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\x89HDF", "HDF5"),
    (b"NITF", "NITF"),
];

const JPEG_2000: &str = "JPEG 2000 without the feature `jpeg2000`";

fn sniff(bytes: &[u8]) -> Result<Format, ImageFault> {
    if bytes.is_empty() {
        return Err(ImageFault::Empty);
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    // Version 42 is TIFF, 43 BigTIFF.
    let tiff: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    if tiff.iter().any(|magic| bytes.starts_with(magic)) {
        return Ok(Format::Tiff);
    }
    if matches!(
        bytes.get(4..12),
        Some(b"ftypavif" | b"ftypheic" | b"ftypmif1")
    ) {
        return Err(ImageFault::Unsupported("HEIF or AVIF".into()));
    }
    #[cfg(feature = "jpeg2000")]
    if bytes.starts_with(b"\0\0\0\x0cjP  ") || bytes.starts_with(b"\xff\x4f\xff\x51") {
        return Ok(Format::Jpeg2000);
    }
    for (magic, name) in KNOWN_UNREAD {
        if bytes.starts_with(magic) {
            return Err(ImageFault::Unsupported(name.into()));
        }
    }
    Err(ImageFault::UnknownFormat)
}

/// A zeroed buffer, or an error where `vec!` would abort the process.
pub(super) fn buffer(len: u64) -> Result<Vec<u8>, ImageFault> {
    let refused = || ImageFault::Unreadable(format!("no memory for {len} bytes of pixels"));
    let len = usize::try_from(len).map_err(|_| refused())?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| refused())?;
    buffer.resize(len, 0);
    Ok(buffer)
}

/// An empty buffer with room, or an error where there is no memory.
pub(super) fn buffer_for(len: u64) -> Result<Vec<u8>, ImageFault> {
    let mut buffer = buffer(len)?;
    buffer.clear();
    Ok(buffer)
}

/// Pixels, and which of them are there.
pub(crate) type Masked = (RgbImage, Option<Vec<bool>>);

/// Turns pixels upright and makes them a picture.
pub(crate) fn upright(
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    valid: Option<Vec<bool>>,
    orientation: Orientation,
) -> Result<Masked, ImageFault> {
    let short = || ImageFault::Damaged("fewer pixels than the header says".into());
    if orientation == Orientation::NoTransforms {
        let image = RgbImage::new(width, height, pixels).map_err(|_| short())?;
        return Ok((image, valid));
    }
    let stored = ::image::RgbImage::from_raw(width, height, pixels).ok_or_else(short)?;
    let mut picture = DynamicImage::ImageRgb8(stored);
    picture.apply_orientation(orientation);
    let valid = valid.map(|valid| {
        let mask = valid.into_iter().map(u8::from).collect();
        let mask = ::image::GrayImage::from_raw(width, height, mask).ok_or_else(short)?;
        let mut mask = DynamicImage::ImageLuma8(mask);
        mask.apply_orientation(orientation);
        Ok(mask.into_bytes().into_iter().map(|v| v != 0).collect())
    });
    let (width, height) = (picture.width(), picture.height());
    let image = RgbImage::new(width, height, picture.into_bytes()).map_err(|_| short())?;
    Ok((image, valid.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_name_the_format() {
        assert_eq!(sniff(b""), Err(ImageFault::Empty));
        assert_eq!(sniff(b"\xff\xd8\xff\xe0"), Ok(Format::Jpeg));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Ok(Format::WebP));
        assert_eq!(
            sniff(b"RIFF\x10\0\0\0WAVEfmt "),
            Err(ImageFault::UnknownFormat)
        );
        assert_eq!(sniff(b"II+\0"), Ok(Format::Tiff));
        assert_eq!(sniff(b"MM\0*"), Ok(Format::Tiff));
        assert_eq!(sniff(b"a note"), Err(ImageFault::UnknownFormat));
        let jpeg_2000 = sniff(b"\0\0\0\x0cjP  \r\n\x87\n");
        #[cfg(feature = "jpeg2000")]
        assert_eq!(jpeg_2000, Ok(Format::Jpeg2000));
        #[cfg(not(feature = "jpeg2000"))]
        assert_eq!(jpeg_2000, Err(ImageFault::Unsupported(JPEG_2000.into())));
    }

    #[test]
    fn limit_is_inclusive_and_refuses_no_pixels() {
        let limits = DecodeLimits::of_pixels(100);
        assert_eq!(limits.check(10, 10), Ok(()));
        assert!(matches!(
            limits.check(101, 1),
            Err(ImageFault::TooLarge { .. })
        ));
        assert!(matches!(
            limits.check(u32::MAX, u32::MAX),
            Err(ImageFault::TooLarge { .. })
        ));
        assert!(matches!(limits.check(0, 5), Err(ImageFault::Damaged(_))));
    }
}
