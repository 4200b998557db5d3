//! The markers of a codestream (ISO/IEC 15444-1, annex A), as far as it takes to read one tile without the others.
//!
//! A tile by itself is a codestream as well: the same main header, in which the picture ends where the tile does, and
//! the parts of the tile. Coordinates stay those of the whole picture, so that its code-blocks lie where they lay.

use std::ops::Range;

use super::Source;
use crate::error::ImageFault;

const SOC: u16 = 0xff4f;
const SIZ: u16 = 0xff51;
const COD: u16 = 0xff52;
const COC: u16 = 0xff53;
const TLM: u16 = 0xff55;
const PLM: u16 = 0xff57;
const PPM: u16 = 0xff60;
const SOT: u16 = 0xff90;
const SOD: u16 = 0xff93;
const EOC: [u8; 2] = [0xff, 0xd9];
/// Most bytes of a main header (our choice).
const MOST_HEADER: usize = 4 << 20;
/// Most code-blocks or precincts of a tile (our choice).
const MOST_BLOCKS: u64 = 1 << 20;
/// Most bytes of a part of a tile (our choice).
const MOST_PART: usize = 256 << 20;
/// Most parts of tiles (our choice; the standard has 65,535 tiles of 255 parts each).
const MOST_PARTS: usize = 1 << 20;

/// Whether a part of a tile leaves it at the main header how it is coded.
///
/// # Errors
/// Where it says something else, or its header is cut off.
fn without_coding(part: &[u8]) -> Result<(), ImageFault> {
    let mut at = 12;
    loop {
        match two(part, at)? {
            SOD => return Ok(()),
            COD | COC => return Err(unsupported("whose tiles are coded in different ways")),
            0xff00.. => at += 2 + usize::from(two(part, at + 2)?),
            _ => return Err(damaged("what should be a marker of a tile is none")),
        }
    }
}

/// What the samples of a band are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) bits: u8,
    pub(super) signed: bool,
}

/// A codestream by its tiles.
#[derive(Debug)]
pub(super) struct Codestream {
    /// The main header without the lengths of what follows it.
    header: Vec<u8>,
    /// Where in it the sizes stand.
    sizes: usize,
    pub(super) size: (u32, u32),
    pub(super) tile: (u32, u32),
    pub(super) components: Vec<Component>,
    /// How often the picture can be halved.
    pub(super) levels: u8,
    /// The logarithm of the pixels of the smallest pieces that a tile is cut into.
    smallest: u32,
    /// The parts of each tile, by their places in the file.
    tiles: Vec<Vec<Range<u64>>>,
}

fn damaged(reason: &str) -> ImageFault {
    ImageFault::Damaged(format!("its codestream: {reason}"))
}

fn unsupported(what: &str) -> ImageFault {
    ImageFault::Unsupported(format!("a JPEG 2000 {what}"))
}

fn two(bytes: &[u8], at: usize) -> Result<u16, ImageFault> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found
        .map(|bytes| u16::from_be_bytes(*bytes))
        .ok_or_else(|| damaged("a marker is cut off"))
}

fn four(bytes: &[u8], at: usize) -> Result<u32, ImageFault> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found
        .map(|bytes| u32::from_be_bytes(*bytes))
        .ok_or_else(|| damaged("a marker is cut off"))
}

impl Codestream {
    /// Reads the main header from a place on, and where the parts of tiles are. `check` may refuse what the header says
    /// before anything is looked for by it.
    pub(super) fn of(
        source: &Source,
        start: u64,
        check: impl FnOnce(&Self) -> Result<(), ImageFault>,
    ) -> Result<Self, ImageFault> {
        if two(&source.bytes(start, 2)?, 0)? != SOC {
            return Err(damaged("it does not begin with SOC"));
        }
        let mut stream = Codestream {
            header: SOC.to_be_bytes().to_vec(),
            sizes: 0,
            size: (0, 0),
            tile: (0, 0),
            components: Vec::new(),
            levels: u8::MAX,
            smallest: 63,
            tiles: Vec::new(),
        };
        let mut at = start + 2;
        let mut lengths = Vec::new();
        loop {
            let head = source.bytes(at, 4)?;
            let (marker, length) = (two(&head, 0)?, two(&head, 2)?);
            if marker == SOT {
                break;
            }
            if marker < 0xff00 || length < 2 {
                return Err(damaged("what should be a marker is none"));
            }
            let segment = source.bytes(at, 2 + usize::from(length))?;
            at += 2 + u64::from(length);
            match marker {
                SIZ => stream.sizes(&segment)?,
                COD => stream.coding(segment.get(4), segment.get(9..))?,
                COC => {
                    // Before it the band's number, of one byte or two.
                    let style = if stream.components.len() > 256 { 6 } else { 5 };
                    stream.coding(segment.get(style), segment.get(style + 1..))?;
                }
                TLM => {
                    lengths.push(segment);
                    continue;
                }
                PLM => continue,
                PPM => return Err(unsupported("whose packets' headers stand apart (PPM)")),
                _ => {}
            }
            // The size is there already.
            if marker != SIZ {
                stream.header.extend_from_slice(&segment);
            }
            if stream.header.len() > MOST_HEADER {
                return Err(damaged("its header is too long"));
            }
        }
        if stream.sizes == 0 || stream.levels == u8::MAX {
            return Err(damaged("it says neither its size nor how it is coded"));
        }
        check(&stream)?;
        stream.check_pieces()?;
        let (across, down) = stream.grid();
        stream.tiles = vec![Vec::new(); across as usize * down as usize];
        match stream.by_lengths(&lengths, at) {
            Some(()) => {}
            None => stream.by_walking(source, at)?,
        }
        let mut parts = stream.tiles.iter().flatten();
        match parts.any(|part| part.start < source.size()) {
            true => Ok(stream),
            false => Err(damaged("the file ends before its first tile")),
        }
    }

    /// Takes the sizes of picture, tiles and samples.
    fn sizes(&mut self, segment: &[u8]) -> Result<(), ImageFault> {
        if self.sizes != 0 {
            return Err(damaged("it says its size twice"));
        }
        let number = |i: usize| four(segment, 6 + 4 * i);
        let (width, height) = (number(0)?, number(1)?);
        let origin = [number(2)?, number(3)?, number(6)?, number(7)?];
        if origin != [0; 4] {
            return Err(unsupported("whose picture or tiles do not begin at 0"));
        }
        self.size = (width, height);
        self.tile = (number(4)?.min(width), number(5)?.min(height));
        if width == 0 || height == 0 || self.tile.0 == 0 || self.tile.1 == 0 {
            return Err(damaged("it has no pixels"));
        }
        let count = usize::from(two(segment, 38)?);
        let samples = segment.get(40..40 + 3 * count);
        for sample in samples
            .ok_or_else(|| damaged("its size is cut off"))?
            .chunks_exact(3)
        {
            if sample[1..] != [1, 1] {
                return Err(unsupported("whose bands have pixels of different sizes"));
            }
            self.components.push(Component {
                bits: (sample[0] & 0x7f) + 1,
                signed: sample[0] & 0x80 != 0,
            });
        }
        let (across, down) = self.grid();
        if u64::from(across) * u64::from(down) > u64::from(u16::MAX) {
            return Err(damaged("it has over 65,535 tiles"));
        }
        self.sizes = self.header.len() + 6;
        self.header.extend_from_slice(segment);
        Ok(())
    }

    /// Takes how a band is coded.
    fn coding(&mut self, style: Option<&u8>, said: Option<&[u8]>) -> Result<(), ImageFault> {
        let (Some(style), Some([levels, width, height, _, _, precincts @ ..])) = (style, said)
        else {
            return Err(damaged("how it is coded is cut off"));
        };
        self.levels = self.levels.min(*levels);
        let blocks = u32::from((width & 15) + (height & 15) + 4);
        // Of each level that has some of its own; else there is one.
        let sizes = precincts.iter().enumerate().filter(|_| style & 1 == 1);
        let areas = sizes.map(|(level, size)| {
            let halved = 2 * (usize::from(*levels).saturating_sub(level)) as u32;
            halved + u32::from(size & 15) + u32::from(size >> 4)
        });
        self.smallest = areas.chain([blocks, self.smallest]).min().unwrap_or(63);
        Ok(())
    }

    /// Refuses tiles that are cut so small that they would need more memory than their pixels account for. That they
    /// are not too large was looked at before.
    fn check_pieces(&self) -> Result<(), ImageFault> {
        let (across, down) = self.tile;
        let pixels = u64::from(across) * u64::from(down) * self.components.len() as u64;
        match pixels >> self.smallest > MOST_BLOCKS {
            true => Err(unsupported("that is cut into too small pieces")),
            false => Ok(()),
        }
    }

    /// Tiles beside and below each other.
    fn grid(&self) -> (u32, u32) {
        (
            self.size.0.div_ceil(self.tile.0),
            self.size.1.div_ceil(self.tile.1),
        )
    }

    /// Parts of tiles by the lengths that the main header has of all of them; none where it has none, or says something
    /// else than it should.
    fn by_lengths(&mut self, segments: &[Vec<u8>], first: u64) -> Option<()> {
        let mut parts = Vec::new();
        for segment in segments {
            let style = *segment.get(5)?;
            let (number, length) = (
                usize::from(style >> 4 & 3),
                2 + 2 * usize::from(style >> 6 & 1),
            );
            let entries = segment.get(6..)?.chunks_exact(number + length);
            for (place, entry) in entries.enumerate() {
                let tile = match number {
                    // Without a number the tiles come one after the other.
                    0 if segments.len() == 1 => place,
                    1 => usize::from(entry[0]),
                    2 => usize::from(two(entry, 0).ok()?),
                    _ => return None,
                };
                let length = match length {
                    2 => u32::from(two(entry, number).ok()?),
                    _ => four(entry, number).ok()?,
                };
                parts.push((tile, length));
            }
        }
        let mut at = first;
        let mut tiles = vec![Vec::new(); self.tiles.len()];
        for (tile, length) in parts {
            let end = at + u64::from(length);
            tiles.get_mut(tile)?.push(at..end);
            at = end;
        }
        let all = tiles.iter().all(|parts| !parts.is_empty());
        all.then(|| self.tiles = tiles)
    }

    /// Parts of tiles by the length that each has of itself.
    fn by_walking(&mut self, source: &Source, first: u64) -> Result<(), ImageFault> {
        let (mut at, mut count) = (first, 0);
        while at + 12 <= source.size() {
            let head = source.bytes(at, 12)?;
            if two(&head, 0)? != SOT {
                break;
            }
            let (tile, length) = (usize::from(two(&head, 4)?), four(&head, 6)?);
            let end = match length {
                // The last one may go on to the end.
                0 => source.size(),
                length => at + u64::from(length),
            };
            count += 1;
            if end < at + 14 || count > MOST_PARTS {
                return Err(damaged("a part of a tile says a wrong length"));
            }
            let parts = self.tiles.get_mut(tile);
            parts
                .ok_or_else(|| damaged("a part is of no tile"))?
                .push(at..end);
            at = end;
        }
        Ok(())
    }

    /// Where the parts of the tile at a column and row of tiles are in the file.
    pub(super) fn parts(&self, column: u32, row: u32) -> &[Range<u64>] {
        let index = row as usize * self.grid().0 as usize + column as usize;
        self.tiles.get(index).map_or(&[], Vec::as_slice)
    }

    /// The tile at a column and row of tiles as a codestream of its own.
    pub(super) fn tile(
        &self,
        source: &Source,
        column: u32,
        row: u32,
    ) -> Result<Vec<u8>, ImageFault> {
        let parts = self.parts(column, row);
        if parts.is_empty() {
            return Err(damaged("a tile is missing; the file may be cut off"));
        }
        let mut stream = self.header.clone();
        let (left, top) = (column * self.tile.0, row * self.tile.1);
        let right = left.saturating_add(self.tile.0).min(self.size.0);
        let bottom = top.saturating_add(self.tile.1).min(self.size.1);
        for (place, number) in [
            (0, right),
            (1, bottom),
            (2, left),
            (3, top),
            (4, self.tile.0),
            (5, self.tile.1),
            (6, left),
            (7, top),
        ] {
            let at = self.sizes + 4 * place;
            stream[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        for part in parts {
            if part.end > source.size() {
                return Err(damaged("the file ends before this tile does"));
            }
            let length = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
            // No code is longer than what it stands for by much.
            if length > MOST_PART {
                return Err(damaged("a part of a tile is too long"));
            }
            let mut bytes = source.bytes(part.start, length)?;
            if two(&bytes, 0)? != SOT || bytes.len() < 14 {
                return Err(damaged("a part of a tile is not where it should be"));
            }
            without_coding(&bytes)?;
            // The only tile is the first one, and says its length also where it was the last of all.
            bytes[4..6].copy_from_slice(&[0, 0]);
            if bytes.ends_with(&EOC) && four(&bytes, 6)? == 0 {
                bytes.truncate(bytes.len() - EOC.len());
            }
            let whole = u32::try_from(bytes.len()).unwrap_or(0);
            bytes[6..10].copy_from_slice(&whole.to_be_bytes());
            stream.extend_from_slice(&bytes);
        }
        if !stream.ends_with(&EOC) {
            stream.extend_from_slice(&EOC);
        }
        Ok(stream)
    }
}
