//! Where the bytes of a raster are that is read in ranges.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tiff_reader::TiffError;
use tiff_reader::source::{FileSource, TiffSource};

use super::beside::nothing_beside;
use super::decode::raster_format;
use crate::error::ImageFault;

/// Bytes that are read in ranges, by any number of threads: a file, or an object of a store.
pub trait RangeReader: Send + Sync + std::fmt::Debug {
    /// How many there are.
    fn size(&self) -> u64;

    /// Exactly `length` bytes from `offset` on.
    ///
    /// # Errors
    /// Where they cannot be had; the error's text is what a person reads.
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Hears that these ranges will be read soon, once each: what takes long can begin with them. It must not wait.
    fn expect(&self, ranges: &[Range<u64>]) {
        let _ = ranges;
    }
}

/// A raster: a file of this machine, or whatever can be read in ranges.
#[derive(Debug, Clone)]
pub struct RasterFile {
    name: String,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
enum Bytes {
    File(PathBuf),
    Ranges(Arc<dyn RangeReader>),
}

impl<P: AsRef<Path>> From<P> for RasterFile {
    fn from(path: P) -> Self {
        let path = path.as_ref();
        RasterFile {
            name: path.display().to_string(),
            bytes: Bytes::File(path.to_owned()),
        }
    }
}

impl RasterFile {
    /// A raster that errors call by this name.
    pub fn of_ranges(name: impl Into<String>, reader: Arc<dyn RangeReader>) -> Self {
        RasterFile {
            name: name.into(),
            bytes: Bytes::Ranges(reader),
        }
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes, of which the first ones are those of a format of scenes.
    pub(super) fn open(&self) -> Result<OpenRaster, ImageFault> {
        let (source, head) = match &self.bytes {
            Bytes::File(path) => {
                nothing_beside(path)?;
                file(path)?
            }
            Bytes::Ranges(reader) => {
                let length = reader.size().min(HEAD);
                let head = reader.read(0, usize::try_from(length).unwrap_or(0));
                let ranges = Ranges(Arc::clone(reader));
                (
                    Arc::new(ranges) as Arc<dyn TiffSource>,
                    head.map_err(unreadable)?,
                )
            }
        };
        let format = raster_format(&head)?;
        let reader = match &self.bytes {
            Bytes::File(_) => None,
            Bytes::Ranges(reader) => Some(Arc::clone(reader)),
        };
        Ok(OpenRaster {
            source,
            format,
            reader,
        })
    }
}

/// Formats of which windows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RasterFormat {
    Tiff,
    #[cfg(feature = "jpeg2000")]
    Jpeg2000,
}

/// A raster's bytes, open.
pub(super) struct OpenRaster {
    pub(super) source: Arc<dyn TiffSource>,
    pub(super) format: RasterFormat,
    /// Who wants to know what will be read.
    pub(super) reader: Option<Arc<dyn RangeReader>>,
}

/// Bytes that tell a format.
const HEAD: u64 = 64;

fn file(path: &Path) -> Result<(Arc<dyn TiffSource>, Vec<u8>), ImageFault> {
    // A pipe would be waited for.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ImageFault::Unreadable("not a regular file".into()));
    }
    let mut head = Vec::new();
    let read = File::open(path)
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, HEAD), &mut head));
    read.map_err(unreadable)?;
    let source =
        FileSource::open(path).map_err(|error| ImageFault::Unreadable(error.to_string()))?;
    Ok((Arc::new(source), head))
}

fn unreadable(error: io::Error) -> ImageFault {
    ImageFault::Unreadable(error.to_string())
}

/// A reader of ranges as the decoder of TIFF wants it.
struct Ranges(Arc<dyn RangeReader>);

impl TiffSource for Ranges {
    fn len(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, TiffError> {
        let size = self.len();
        if offset.checked_add(len as u64).is_none_or(|end| end > size) {
            return Err(TiffError::OffsetOutOfBounds {
                offset,
                length: len as u64,
                data_len: size,
            });
        }
        let read = self.0.read(offset, len);
        read.map_err(|error| TiffError::Io(error, String::new()))
    }
}
