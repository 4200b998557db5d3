//! Blocks of deflate, the compression that most scenes have, by libdeflate: the decoder of TIFF needs twice as long for
//! them, and goes over their samples several times where this does it once.

use libdeflater::Decompressor;
use tiff_reader::{ByteOrder, Ifd, RasterLayout, TiffError, TiffFile};

use super::stored::Stored;

/// How the samples of a page lie in its blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deflate {
    /// Bytes of a sample: 1 or 2.
    sample: usize,
    /// Samples of a pixel in a block: 1 where each band has blocks of its own.
    samples: usize,
    /// Whether each sample is stored as its difference to the one before.
    differences: bool,
}

impl Deflate {
    /// None of pages that have another form.
    pub(super) fn of(page: &Ifd, layout: &RasterLayout) -> Option<Self> {
        const DEFLATE: u16 = 8;
        const DEFLATE_BEFORE: u16 = 32946;
        const NONE: u16 = 1;
        const HORIZONTAL: u16 = 2;
        let sample = match layout.bits_per_sample {
            8 => 1,
            16 => 2,
            _ => return None,
        };
        let known = matches!(page.compression(), DEFLATE | DEFLATE_BEFORE)
            && matches!(page.predictor(), NONE | HORIZONTAL)
            && page.fill_order() == 1;
        known.then(|| Deflate {
            sample,
            samples: match layout.planar_configuration {
                2 => 1,
                _ => layout.samples_per_pixel,
            },
            differences: page.predictor() == HORIZONTAL,
        })
    }

    /// The pixels of some rows, these bands of each side by side, as the decoder of TIFF has them: numbers in this
    /// machine's order, and 0 of blocks that are left out. None where a block is not what it should be: the decoder
    /// says why.
    pub(super) fn read(
        self,
        file: &TiffFile,
        stored: &Stored,
        bands: &[usize],
        (left, top): (usize, usize),
        (width, height): (usize, usize),
    ) -> Result<Option<Vec<u8>>, TiffError> {
        let pixel = self.sample * bands.len();
        let mut piece = vec![0; width * height * pixel];
        let mut decompressor = Decompressor::new();
        let mut block = Vec::new();
        // One block has the samples of all bands, or each band has its own.
        let planes = if self.samples > 1 { &bands[..1] } else { bands };
        for at in stored.under((left, top), (width, height)) {
            let (across, down) = stored.size(at.1);
            let (x, y) = stored.corner(at);
            let columns = left.max(x)..(left + width).min(x + across);
            let rows = top.max(y)..(top + height).min(y + down);
            let block_row = across * self.samples * self.sample;
            for (place, band) in planes.iter().enumerate() {
                let Some(range) = stored.place(*band, at) else {
                    continue;
                };
                block.resize(block_row * down, 0);
                // Deflate makes nothing much longer.
                let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                if length / 2 > block.len() + 4096 {
                    return Ok(None);
                }
                let packed = file.source().read_exact_at(range.start, length)?;
                let unpacked = decompressor.zlib_decompress(&packed, &mut block);
                if unpacked != Ok(block.len()) {
                    return Ok(None);
                }
                for row in rows.clone() {
                    let from = &mut block[(row - y) * block_row..][..block_row];
                    self.restore(from, file.byte_order());
                    let from = &from[(columns.start - x) * self.samples * self.sample..]
                        [..columns.len() * self.samples * self.sample];
                    let to = ((row - top) * width + columns.start - left) * pixel;
                    let to = &mut piece[to..][..columns.len() * pixel];
                    match self.sample {
                        _ if from.len() == to.len() => to.copy_from_slice(from),
                        1 => spread::<1>(from, to, place, bands.len()),
                        _ => spread::<2>(from, to, place, bands.len()),
                    }
                }
            }
        }
        Ok(Some(piece))
    }

    /// Makes a row of a block the numbers that it stands for, in this machine's order.
    fn restore(self, row: &mut [u8], order: ByteOrder) {
        match (self.sample, order) {
            (1, _) => self.sum(row, |[byte]: [u8; 1]| byte.into(), |sum| [sum as u8]),
            (_, ByteOrder::LittleEndian) => self.sum(row, u16::from_le_bytes, u16::to_ne_bytes),
            (_, ByteOrder::BigEndian) => self.sum(row, u16::from_be_bytes, u16::to_ne_bytes),
        }
    }

    /// The same for samples of some bytes each; of those of one byte the low one counts.
    fn sum<const BYTES: usize>(
        self,
        row: &mut [u8],
        read: impl Fn([u8; BYTES]) -> u16,
        write: impl Fn(u16) -> [u8; BYTES],
    ) {
        let (numbers, _) = row.as_chunks_mut::<BYTES>();
        if !self.differences {
            numbers
                .iter_mut()
                .for_each(|number| *number = write(read(*number)));
        } else if self.samples == 1 {
            let mut sum = 0u16;
            for number in numbers {
                sum = sum.wrapping_add(read(*number));
                *number = write(sum);
            }
        } else if let Some((first, _)) = numbers.split_at_mut_checked(self.samples) {
            first
                .iter_mut()
                .for_each(|number| *number = write(read(*number)));
            for at in self.samples..numbers.len() {
                // What stands before is in this machine's order already.
                let before = native(numbers[at - self.samples]);
                numbers[at] = write(before.wrapping_add(read(numbers[at])));
            }
        }
    }
}

/// Copies the samples of a band to pixels of so many bands.
fn spread<const BYTES: usize>(from: &[u8], to: &mut [u8], band: usize, bands: usize) {
    let ((from, _), (to, _)) = (from.as_chunks::<BYTES>(), to.as_chunks_mut::<BYTES>());
    let to = to.iter_mut().skip(band).step_by(bands);
    to.zip(from).for_each(|(to, from)| *to = *from);
}

/// A number of one or two bytes in this machine's order.
fn native<const BYTES: usize>(bytes: [u8; BYTES]) -> u16 {
    match bytes.as_slice() {
        [low] => u16::from(*low),
        [a, b] => u16::from_ne_bytes([*a, *b]),
        _ => 0,
    }
}
