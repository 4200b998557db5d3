//! JPEG 2000 (JP2 files and bare codestreams), tile by tile.
//!
//! ```text
//! file --boxes--> where the codestream is, bands, place --codestream--> one tile --(decoder)--> samples --> RGB
//! ```
//!
//! The decoder reads whole codestreams alone, so that a tile is given to it as one of its own: memory is that of tiles,
//! and of the file no more is read than the tiles that windows touch.

mod boxes;
mod codestream;

use std::ops::Range;
use std::sync::Arc;

use ::image::metadata::Orientation;
use hayro_jpeg2000::{DecodeError, DecodeSettings, DecoderContext, Image, TileError};
use tiff_reader::source::{BytesSource, TiffSource};
use tiff_reader::{TiffError, TiffFile};

use super::Region;
use super::bands::Color;
use super::convert::{Converted, Pixels, Rule, Sample};
use super::decide::{self, Role, Samples};
use super::decode::{DecodeLimits, buffer_for, upright};
use super::facts::Facts;
use super::picture::{Picture, ReadOptions, Reading, Resolution};
use super::radiometry::{SampleKind, SampleType};
use super::ranges::{OpenRaster, RangeReader};
use super::tiff::{classes, north_up, orientation};
use super::windowed::Placing;
use crate::error::ImageFault;
use crate::metadata::read::gml;
use boxes::Boxes;
use codestream::Codestream;

/// Most bytes of a tile of a scene that is decoded, four for each sample: 128 MiB (our choice).
const MOST_TILE: u64 = 128 << 20;
/// Most copies of half the size that are offered (our choice).
const MOST_LEVELS: u8 = 16;

/// The bytes of a file.
pub(super) struct Source(Arc<dyn TiffSource>);

impl Source {
    fn size(&self) -> u64 {
        self.0.len()
    }

    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>, ImageFault> {
        let read = self.0.read_exact_at(at, length);
        read.map_err(|error| match error {
            TiffError::Io(error, _) => ImageFault::Unreadable(error.to_string()),
            _ => ImageFault::Damaged("it ends before what it says".into()),
        })
    }
}

/// A file of which it is known how its samples become a picture.
pub(crate) struct Jp2 {
    source: Source,
    codestream: Codestream,
    /// How often the picture that is read was halved.
    reduced: u8,
    sizes: Vec<(u32, u32)>,
    samples: SampleType,
    /// Bands that the picture is made of.
    needed: Vec<usize>,
    /// The rule of those bands.
    rule: Rule,
    reading: Reading,
    orientation: Orientation,
    reader: Option<Arc<dyn RangeReader>>,
}

/// Reads a whole picture.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, ImageFault> {
    if options.resolution != Resolution::Full {
        return Err(ImageFault::Option(
            "smaller copies are read of scenes alone, which are cut into windows".into(),
        ));
    }
    let source = Source(Arc::new(BytesSource::new(bytes.to_vec())));
    let most = options.limits.peak_bytes();
    let jp2 = Jp2::of(source, options, most, Role::Picture, |_, sizes| {
        options.limits.check(sizes[0].0, sizes[0].1).map(|()| 0)
    })?;
    let (width, height) = jp2.size();
    let (across, down) = jp2.block();
    let mut rgb = buffer_for(u64::from(width) * u64::from(height) * 3)?;
    rgb.resize(width as usize * height as usize * 3, 0);
    let mut valid: Option<Vec<bool>> = None;
    for top in (0..height).step_by(down as usize) {
        for left in (0..width).step_by(across as usize) {
            let region = Region {
                left,
                top,
                width: across.min(width - left),
                height: down.min(height - top),
            };
            let (pixels, there) = jp2.region(region)?;
            for row in 0..region.height as usize {
                let to = (top as usize + row) * width as usize + left as usize;
                let (from, length) = (row * region.width as usize, region.width as usize);
                rgb[to * 3..(to + length) * 3]
                    .copy_from_slice(&pixels[from * 3..(from + length) * 3]);
                if let Some(there) = &there {
                    let all = valid.get_or_insert_with(|| vec![true; rgb.len() / 3]);
                    all[to..to + length].copy_from_slice(&there[from..from + length]);
                }
            }
        }
    }
    let (image, valid) = upright(width, height, rgb, valid, jp2.orientation)?;
    Ok(Picture::new(image, valid, jp2.reading))
}

impl Jp2 {
    /// Opens a file, of which headers alone are read. `choose` says which copy of the picture is read, 0 being the
    /// picture itself, by what is said of its place and the copies' sizes.
    pub(super) fn open(
        open: OpenRaster,
        options: &ReadOptions,
        role: Role,
        choose: impl FnOnce(Placing<'_>, &[(u32, u32)]) -> Result<usize, ImageFault>,
    ) -> Result<Self, ImageFault> {
        let mut jp2 = Jp2::of(Source(open.source), options, MOST_TILE, role, choose)?;
        jp2.reader = open.reader;
        Ok(jp2)
    }

    fn of(
        source: Source,
        options: &ReadOptions,
        most: u64,
        role: Role,
        choose: impl FnOnce(Placing<'_>, &[(u32, u32)]) -> Result<usize, ImageFault>,
    ) -> Result<Self, ImageFault> {
        let boxes = Boxes::of(&source)?;
        let check = |stream: &Codestream| {
            let (width, height) = stream.size;
            let bands = stream.components.len();
            if let (Some(header), Some(first)) = (boxes.header, stream.components.first()) {
                header.check((width, height), bands, first.bits)?;
            }
            DecodeLimits::of_pixels(u64::MAX).check(width, height)?;
            let (across, down) = stream.tile;
            let tile = u64::from(across) * u64::from(down) * bands as u64 * 4;
            match tile > most {
                false => Ok(()),
                true => Err(ImageFault::Unsupported(format!(
                    "a JPEG 2000 with tiles of {across} x {down} pixels, which need too much memory (smaller ones: \
                     `gdal_translate -of JP2OpenJPEG -co BLOCKXSIZE=1024 -co BLOCKYSIZE=1024 IN.jp2 OUT.jp2`)"
                ))),
            }
        };
        let codestream = Codestream::of(&source, boxes.codestream, check)?;
        let bands = codestream.components.len();
        let samples = samples_of(&codestream)?;
        let sizes = sizes(&codestream);
        let place = boxes.geotiff.as_ref().map(|bytes| {
            TiffFile::from_bytes(bytes.clone())
                .map_err(|_| ImageFault::Damaged("its box with a GeoTIFF is none".into()))
        });
        let place = place.transpose()?;
        let page = place.as_ref().and_then(|file| file.ifd(0).ok());
        let grid = boxes.gml.as_deref().map(gml::grid);
        let (placing, (orientation, turned)) = match (page, &grid) {
            (Some(page), _) => (Placing::Tags(page), orientation(page)?),
            (None, Some(Ok(Some(grid)))) => (Placing::Grid(Ok(grid)), north_up(&grid.transform)?),
            (None, Some(Err(reason))) => (Placing::Grid(Err(reason)), UPRIGHT),
            (None, Some(Ok(None)) | None) => (Placing::None, UPRIGHT),
        };
        let chosen = choose(placing, &sizes)?;
        if chosen >= sizes.len() {
            let copies = sizes.len() - 1;
            return Err(ImageFault::Option(format!("overview {chosen} of {copies}")));
        }
        let facts = Facts::of_colors(colors(&boxes, bands)?, "its colour space");
        let said = Samples {
            format: "JPEG 2000",
            stored: samples,
            samples,
            bands,
            facts: &facts,
            is_palette: false,
            has_colors: false,
            white_is_least: false,
            nodata: None,
            classes: match role {
                Role::Classes => Some((classes::bands(samples, bands)?, classes::table(samples))),
                Role::Picture | Role::Band => None,
            },
        };
        let (mut rule, mut reading) = decide::decide(said, options, role)?;
        reading.turned = turned;
        // Alpha of this format is one by its definition.
        rule.alpha_defined = true;
        reading.alpha = rule.alpha.map(|_| "it says which pixels are there");
        if rule.table.is_none() {
            let table = match samples.bits {
                1..=8 => rule.table::<u8>(),
                _ => rule.table::<u16>(),
            };
            rule.table = table.map(Arc::new);
        }
        // The decoder gives all bands, of which those that are needed go on.
        let needed = rule.needed();
        let rule = rule.of_bands(&needed);
        Ok(Jp2 {
            source,
            codestream,
            reduced: u8::try_from(chosen).unwrap_or(0),
            sizes,
            samples,
            needed,
            rule,
            reading,
            orientation,
            reader: None,
        })
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.sizes[usize::from(self.reduced)]
    }

    pub(super) fn sizes(&self) -> &[(u32, u32)] {
        &self.sizes
    }

    /// Width and height of a tile of what is read.
    pub(super) fn block(&self) -> (u32, u32) {
        let (across, down) = self.codestream.tile;
        let (width, height) = self.size();
        let side = |tile: u32, whole: u32| tile.div_ceil(1 << self.reduced).clamp(1, whole);
        (side(across, width), side(down, height))
    }

    pub(super) fn bands(&self) -> usize {
        self.codestream.components.len()
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn reading_mut(&mut self) -> &mut Reading {
        &mut self.reading
    }

    pub(super) fn orientation(&self) -> Orientation {
        self.orientation
    }

    pub(super) fn listens(&self) -> bool {
        self.reader.is_some()
    }

    /// Tells whoever reads the bytes that these tiles will be decoded soon.
    pub(super) fn expect(&self, blocks: &[Region]) {
        let Some(reader) = &self.reader else { return };
        let (across, down) = self.block();
        let size = reader.size();
        let parts = blocks.iter().flat_map(|block| {
            let parts = self.codestream.parts(block.left / across, block.top / down);
            parts
                .iter()
                .map(|part| part.start.min(size)..part.end.min(size))
        });
        reader.expect(&parts.collect::<Vec<Range<u64>>>());
    }

    /// The pixels of a tile and which of them are there, none where all are.
    pub(super) fn region(
        &self,
        region: Region,
    ) -> Result<(Vec<u8>, Option<Vec<bool>>), ImageFault> {
        let (across, down) = self.block();
        let (column, row) = (region.left / across, region.top / down);
        let stream = self.codestream.tile(&self.source, column, row)?;
        let (rgb, valid, _) = match self.samples.bits {
            1..=8 => self.convert::<u8>(&stream, region),
            _ => self.convert::<u16>(&stream, region),
        }?;
        Ok((rgb, valid))
    }

    fn convert<T: Sample>(&self, stream: &[u8], region: Region) -> Result<Converted, ImageFault> {
        let damaged = |error: DecodeError| match error {
            // The decoder says it of all that is wrong with a tile.
            DecodeError::Tile(TileError::Invalid) => {
                ImageFault::Damaged("a tile is damaged or cut off".into())
            }
            error => ImageFault::Damaged(error.to_string()),
        };
        let (width, height) = (region.width as usize, region.height as usize);
        let settings = DecodeSettings {
            resolve_palette_indices: false,
            strict: true,
            // Whole numbers of halvings, however many pixels the last tile has.
            target_resolution: (self.reduced > 0).then(|| self.whole(region)),
        };
        let image = Image::new(stream, &settings).map_err(damaged)?;
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(damaged)?;
        let bands = decoded.components();
        let pixels = width * height;
        let fits = bands.len() == self.bands()
            && (image.width() as usize, image.height() as usize) == (width, height)
            && bands.iter().all(|band| band.samples().len() == pixels);
        if !fits {
            return Err(ImageFault::Damaged(
                "a tile has another size than it should".into(),
            ));
        }
        let (least, most) = self.samples.range().unwrap_or_default();
        let mut bytes = vec![0; pixels * self.needed.len() * T::BYTES];
        for (place, band) in self.needed.iter().enumerate() {
            let to = bytes.chunks_exact_mut(self.needed.len() * T::BYTES);
            for (to, sample) in to.zip(bands[*band].samples()) {
                // Lossy codes run over the limits.
                let sample = f64::from(*sample).round().clamp(least, most);
                T::of(sample).write(&mut to[place * T::BYTES..(place + 1) * T::BYTES]);
            }
        }
        let mut converted = Pixels::new(&self.rule, buffer_for(pixels as u64 * 3)?);
        converted.push::<T>(&bytes, None);
        Ok(converted.finish())
    }

    /// The size at which the decoder halves a tile as often as it should.
    fn whole(&self, region: Region) -> (u32, u32) {
        let full = |start: u32, tile: u32, whole: u32| {
            let start = start << self.reduced;
            tile.min(whole - start) >> self.reduced
        };
        let ((across, down), (width, height)) = (self.codestream.tile, self.codestream.size);
        (
            full(region.left, across, width),
            full(region.top, down, height),
        )
    }
}

/// Nothing is to be turned.
const UPRIGHT: (Orientation, Option<String>) = (Orientation::NoTransforms, None);

/// What the samples of all bands are.
fn samples_of(codestream: &Codestream) -> Result<SampleType, ImageFault> {
    let Some(first) = codestream.components.first() else {
        return Err(ImageFault::Damaged("it has no bands".into()));
    };
    if codestream.components.iter().any(|other| other != first) {
        return Err(ImageFault::Unsupported(
            "a JPEG 2000 whose bands have samples of different types".into(),
        ));
    }
    if first.signed {
        // The decoder gives them without their sign.
        return Err(ImageFault::Unsupported(
            "a JPEG 2000 of signed samples (`gdal_translate IN.jp2 OUT.tif`)".into(),
        ));
    }
    match first.bits {
        bits @ 1..=16 => Ok(SampleType {
            bits: bits.into(),
            kind: SampleKind::Unsigned,
        }),
        bits => Err(ImageFault::Unsupported(format!(
            "a JPEG 2000 of {bits} bits"
        ))),
    }
}

/// Widths and heights of the picture and of its copies of half the size, as far as tiles can be halved.
fn sizes(codestream: &Codestream) -> Vec<(u32, u32)> {
    let ((width, height), (across, down)) = (codestream.size, codestream.tile);
    let mut sizes = vec![(width, height)];
    for level in 1..=codestream.levels.min(MOST_LEVELS) {
        let step = 1_u32 << level;
        // The last tile of a row or column may be smaller than the others.
        let halves = |whole: u32, tile: u32| {
            let last = match whole % tile {
                0 => tile,
                rest => rest,
            };
            (tile >= whole || tile.is_multiple_of(step)) && last >= step
        };
        if !halves(width, across) || !halves(height, down) {
            break;
        }
        sizes.push((width.div_ceil(step), height.div_ceil(step)));
    }
    sizes
}

/// What the bands are.
fn colors(boxes: &Boxes, bands: usize) -> Result<Vec<Color>, ImageFault> {
    const RGB: u32 = 16;
    const GREY: u32 = 17;
    let known = match (boxes.colors, bands) {
        (Some(RGB), 3..) => vec![Color::Red, Color::Green, Color::Blue],
        (Some(GREY), _) | (None, 1 | 2) => vec![Color::Grey],
        (None, _) => Vec::new(),
        (Some(number), _) => {
            return Err(ImageFault::Unsupported(format!(
                "a JPEG 2000 of {bands} bands of the colour space {number}"
            )));
        }
    };
    let color = |band: usize| {
        let said = boxes.channels.iter().find(|channel| channel.band == band);
        let place = match said {
            Some(channel) if channel.is_alpha => return Color::Alpha,
            Some(channel) if channel.color > 0 => usize::from(channel.color) - 1,
            _ => band,
        };
        known.get(place).cloned().unwrap_or(Color::Unknown)
    };
    Ok((0..bands).map(color).collect())
}
