//! The boxes of a JP2 file (ISO/IEC 15444-1, annex I): where its codestream is, what its bands are, where it lies.

use super::Source;
use crate::error::ImageFault;

/// The box with a GeoTIFF of one pixel that says where the picture lies (GeoJP2).
const GEOTIFF: [u8; 16] = [
    0xb1, 0x4b, 0xf8, 0xbd, 0x08, 0x3d, 0x4b, 0x43, 0xa5, 0xae, 0x8c, 0xd7, 0xd5, 0xa6, 0xce, 0x03,
];
/// Most bytes of a box that is read (our choice).
const MOST: u64 = 4 << 20;
/// Most boxes of a file (our choice).
const MOST_BOXES: usize = 10_000;
/// Boxes inside of boxes that are looked into (our choice).
const DEEPEST: usize = 8;

/// What a file says of its picture.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    /// Where the codestream begins.
    pub(super) codestream: u64,
    /// What is said of the picture as a whole (`ihdr`).
    pub(super) header: Option<Header>,
    /// The number of its colour space (`colr`), where it is one of the standard's.
    pub(super) colors: Option<u32>,
    /// What is said of bands (`cdef`): their numbers, whether they are opacities, and which colour of the space they are.
    pub(super) channels: Vec<Channel>,
    /// A GeoTIFF that says where the picture lies (GeoJP2).
    pub(super) geotiff: Option<Vec<u8>>,
    /// A text in XML that says where the picture lies (GMLJP2).
    pub(super) gml: Option<String>,
}

/// Size, bands and bits of a picture, which its codestream says as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) size: (u32, u32),
    pub(super) bands: usize,
    /// Of a sample; none where bands differ.
    pub(super) bits: Option<u8>,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let four = |at: usize| {
            let bytes = bytes.get(at..)?.first_chunk()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let bands = bytes.get(8..)?.first_chunk()?;
        // The highest bit says whether there is a sign.
        let bits = |byte: u8| (byte & 0x7f) + 1;
        Some(Header {
            size: (four(4)?, four(0)?),
            bands: u16::from_be_bytes(*bands).into(),
            bits: bytes
                .get(10)
                .filter(|byte| **byte != 255)
                .copied()
                .map(bits),
        })
    }

    /// Whether it says the same as a codestream of this size, so many bands, and so many bits in the first of them.
    ///
    /// # Errors
    /// Where it says something else: one of the two is of another picture.
    pub(super) fn check(&self, size: (u32, u32), bands: usize, bits: u8) -> Result<(), ImageFault> {
        let pixels = |(width, height): (u32, u32)| format!("{width} x {height} pixels");
        let (own, other) = if self.size != size {
            (pixels(self.size), pixels(size))
        } else if self.bands != bands {
            (format!("{} bands", self.bands), format!("{bands}"))
        } else if let Some(own) = self.bits.filter(|own| *own != bits) {
            (format!("samples of {own} bits"), format!("{bits}"))
        } else {
            return Ok(());
        };
        Err(ImageFault::Damaged(format!(
            "its header (ihdr) says {own}, its codestream {other}"
        )))
    }
}

/// What is said of a band.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    pub(super) band: usize,
    pub(super) is_alpha: bool,
    /// Counted from 1; 0 is all of them.
    pub(super) color: u16,
}

/// A box: its type, and where its contents are.
struct Found {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

impl Boxes {
    /// Reads the boxes of a file; of a bare codestream there are none.
    pub(super) fn of(source: &Source) -> Result<Self, ImageFault> {
        let mut boxes = Boxes::default();
        if source.bytes(0, 4)? == [0xff, 0x4f, 0xff, 0x51] {
            return Ok(boxes);
        }
        let mut count = 0;
        boxes.take(source, 0..source.size(), 0, &mut count)?;
        match boxes.codestream {
            0 => Err(ImageFault::Damaged("it holds no codestream".into())),
            _ => Ok(boxes),
        }
    }

    fn take(
        &mut self,
        source: &Source,
        range: std::ops::Range<u64>,
        depth: usize,
        count: &mut usize,
    ) -> Result<(), ImageFault> {
        let mut at = range.start;
        while at + 8 <= range.end {
            *count += 1;
            if *count > MOST_BOXES {
                return Err(ImageFault::Damaged(format!("over {MOST_BOXES} boxes")));
            }
            let found = header(source, at, range.end)?;
            at = found.end;
            match &found.kind {
                b"jp2c" => {
                    // The first one is the picture.
                    self.codestream = found.start;
                    return Ok(());
                }
                b"jp2h" | b"asoc" if depth < DEEPEST => {
                    self.take(source, found.start..found.end, depth + 1, count)?;
                }
                b"ihdr" if self.header.is_none() => {
                    let header = Header::of(&contents(source, &found)?);
                    let cut = || ImageFault::Damaged("its header (ihdr) is cut off".into());
                    self.header = Some(header.ok_or_else(cut)?);
                }
                b"colr" if self.colors.is_none() => {
                    let bytes = contents(source, &found)?;
                    if let [1, _, _, number @ ..] = bytes.as_slice()
                        && let Some(number) = number.first_chunk()
                    {
                        self.colors = Some(u32::from_be_bytes(*number));
                    }
                }
                b"cdef" => {
                    let bytes = contents(source, &found)?;
                    let entries = bytes.get(2..).unwrap_or_default().chunks_exact(6);
                    let number = |two: &[u8]| u16::from_be_bytes([two[0], two[1]]);
                    let channel = |entry: &[u8]| Channel {
                        band: number(entry).into(),
                        is_alpha: matches!(number(&entry[2..]), 1 | 2),
                        color: number(&entry[4..]),
                    };
                    self.channels = entries.map(channel).collect();
                }
                b"pclr" => {
                    return Err(ImageFault::Unsupported(
                        "a JPEG 2000 with a table of colours".into(),
                    ));
                }
                b"uuid" => {
                    let is_place =
                        found.end - found.start > 16 && source.bytes(found.start, 16)? == GEOTIFF;
                    if is_place {
                        self.geotiff = Some(contents(source, &found)?.split_off(16));
                    }
                }
                b"xml " if self.gml.is_none() => {
                    let bytes = contents(source, &found)?;
                    let text = String::from_utf8_lossy(&bytes);
                    if text.contains("RectifiedGrid") {
                        self.gml = Some(text.trim_matches(['\0', ' ', '\n']).to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn header(source: &Source, at: u64, end: u64) -> Result<Found, ImageFault> {
    let cut = || ImageFault::Damaged("a box ends behind the file".into());
    let head = source.bytes(at, 8)?;
    let [a, b, c, d, kind @ ..] = head.as_slice() else {
        return Err(cut());
    };
    let kind = *kind.first_chunk().ok_or_else(cut)?;
    let (start, length) = match u32::from_be_bytes([*a, *b, *c, *d]) {
        0 => (at + 8, end - at),
        1 => {
            let long = source.bytes(at + 8, 8)?;
            let long = long.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
            (at + 16, long.ok_or_else(cut)?)
        }
        length => (at + 8, length.into()),
    };
    let last = at.checked_add(length).filter(|last| *last >= start);
    // What follows the codestream is not needed, and the last box may be cut.
    let last = match &kind {
        b"jp2c" => last.map(|last| last.min(end)),
        _ => last.filter(|last| *last <= end),
    };
    Ok(Found {
        kind,
        start,
        end: last.ok_or_else(cut)?,
    })
}

fn contents(source: &Source, found: &Found) -> Result<Vec<u8>, ImageFault> {
    let length = found.end - found.start;
    match usize::try_from(length) {
        Ok(bytes) if length <= MOST => source.bytes(found.start, bytes),
        _ => Err(ImageFault::Damaged(format!(
            "a box of {length} bytes, where {MOST} is the most"
        ))),
    }
}
