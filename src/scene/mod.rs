//! Scenes: rasters of any size, of which windows are read.
//!
//! ```no_run
//! use satmip::image::{ReadOptions, Region};
//! use satmip::scene::Scene;
//!
//! let scene = Scene::open("T31UDQ.tif", &ReadOptions::default())?;
//! let window = Region { left: 512, top: 0, width: 64, height: 64 };
//! let picture = scene.window(window)?; // 8-bit RGB, and which pixels are there
//! let record = scene.record(window)?; // its place and the size of its pixels
//! # Ok::<(), satmip::Error>(())
//! ```
//!
//! A window is in pixels as they are stored, its left upper corner is within the scene. Of the file those strips or
//! tiles are read that windows touch, and those read last are kept, so that windows that follow each other along the
//! rows decode each of them once. Memory is that of the blocks kept ([`MOST_KEPT`], more where two rows of large ones
//! need it, at most 336 MiB) and of those being decoded; it does not grow with the scene.
//!
//! A file may hold smaller copies of its picture, called overviews; which one is read is said by
//! [`ReadOptions::resolution`]. Windows are then in pixels of that copy.
//!
//! Samples become red, green and blue by the rules of [`image`](crate::image), decided once from the file's header; a band
//! called alpha is looked at in nine blocks of the scene. GeoTIFFs and other TIFFs are read.

mod bands;
mod blocks;
mod clouds;
mod footprint;
mod resolution;

use crate::error::{Error, ImageFault, Result};
use crate::image::{
    Picture, Raster, ReadOptions, Reading, Region, Resolution, RgbImage, Role, upright,
};
pub use crate::image::{RangeReader, RasterFile};
use crate::metadata::Metadata;
use crate::metadata::read::geotiff::Georeference;
use bands::Bands;
pub use blocks::MOST_KEPT;
use blocks::{Blocks, Decoded};
use clouds::Clouds;
pub use footprint::Footprint;

/// A raster of which windows are read, by any number of threads.
#[derive(Debug)]
pub struct Scene {
    /// What errors call it.
    name: String,
    source: Source,
    /// Where it is; or why that cannot be said.
    place: Result<Option<Georeference>, String>,
    clouds: Option<Clouds>,
}

/// Where its pixels are.
#[derive(Debug)]
enum Source {
    File(Box<Blocks>),
    Bands(Box<Bands>),
}

impl Source {
    /// The file whose pixels are the scene's.
    fn raster(&self) -> &Raster {
        match self {
            Source::File(blocks) => blocks.raster(),
            Source::Bands(bands) => bands.finest(),
        }
    }

    fn window(&self, window: Region) -> Decoded {
        match self {
            Source::File(blocks) => blocks.window(window),
            Source::Bands(bands) => bands.window(window),
        }
    }
}

impl Scene {
    /// Opens a GeoTIFF, or another TIFF, and decides how it is read.
    ///
    /// # Errors
    /// [`Error::Image`], as [`image::read`](crate::image::read) has it for files whose samples or bands need an option.
    pub fn open(file: impl Into<RasterFile>, options: &ReadOptions) -> Result<Self> {
        let file = file.into();
        let name = file.name().to_owned();
        let opened = resolution::open(&file, options, Role::Picture).and_then(|(raster, place)| {
            let found = place.as_ref().ok().and_then(Option::as_ref);
            resolution::reached(options, found, raster.size())?;
            Ok((raster, place))
        });
        let (raster, place) = opened.map_err(|fault| Error::Image {
            item: name.clone(),
            fault,
        })?;
        Ok(Scene {
            name,
            source: Source::File(Box::new(Blocks::of(raster))),
            place,
            clouds: None,
        })
    }

    /// Opens red, green and blue from files of their own, over the same ground. The scene's pixels are those of the
    /// finest; of a coarser one, whose pixels must be a whole number of times as large, each stands for several.
    /// `names` are what people call the three.
    ///
    /// # Errors
    /// As [`Scene::open`], naming the file; also where they do not lie over the same ground, or their samples differ.
    pub fn of_bands(
        files: [RasterFile; 3],
        names: [&str; 3],
        options: &ReadOptions,
    ) -> Result<Self> {
        let (bands, place) = Bands::open(&files, names, options)?;
        Ok(Scene {
            name: files[0].name().to_owned(),
            source: Source::Bands(Box::new(bands)),
            place: Ok(place),
            clouds: None,
        })
    }

    /// Takes clouds from a raster of classes over the same ground, whose pixels may be a whole number of times as large:
    /// Sentinel-2's scene classification (SCL, one band of 8 bits: clouds of medium and high probability, cirrus),
    /// Landsat's QA_PIXEL (one band of 16 bits: dilated cloud, cirrus, cloud) or PlanetScope's UDM2 (eight bands of 8
    /// bits: cloud).
    ///
    /// # Errors
    /// [`Error::Image`] where it cannot be read or does not lie over the scene.
    pub fn with_classes(mut self, file: impl Into<RasterFile>) -> Result<Self> {
        let place = self.place.as_ref().ok().and_then(Option::as_ref);
        let clouds = Clouds::open(&file.into(), self.source.raster().size(), place)?;
        self.clouds = Some(clouds);
        Ok(self)
    }

    /// The share of a window's pixels with data that are clouds by the classification, 0 to 1; none without one, or
    /// where it has no data, or by SCL nothing but saturated or defective pixels.
    ///
    /// # Errors
    /// As [`Scene::window`]; also where the file holds what no classes are, such as a mask of 0 and 1.
    pub fn cloud_share(&self, window: Region) -> Result<Option<f32>> {
        self.check(window)?;
        let Some(clouds) = &self.clouds else {
            return Ok(None);
        };
        let share = clouds.share(window, self.source.raster().size());
        share.map_err(|fault| self.image(fault))
    }

    /// Width in pixels as they are stored.
    pub fn width(&self) -> u32 {
        self.source.raster().size().0
    }

    /// Height in pixels as they are stored.
    pub fn height(&self) -> u32 {
        self.source.raster().size().1
    }

    /// Width and height of what is decoded at once.
    pub fn block(&self) -> (u32, u32) {
        self.source.raster().block()
    }

    /// Widths and heights of the whole picture and of its smaller copies (overviews), as they are stored; of bands, those
    /// of the finest.
    pub fn overviews(&self) -> &[(u32, u32)] {
        self.source.raster().sizes()
    }

    /// The smallest copy of the picture that has so many pixels along its longer side: what a preview needs.
    pub fn resolution_for(&self, side: u32) -> Resolution {
        let large = |(_, size): &(usize, &(u32, u32))| size.0.max(size.1) >= side;
        let mut copies = self.overviews().iter().enumerate().skip(1);
        let last = copies.rfind(large);
        last.map_or(Resolution::Full, |(number, _)| Resolution::Overview(number))
    }

    /// How its samples become a picture.
    pub fn reading(&self) -> &Reading {
        match &self.source {
            Source::File(blocks) => blocks.raster().reading(),
            Source::Bands(bands) => &bands.reading,
        }
    }

    /// Adds to the reason for what samples mean ([`Reading::range_why`]).
    pub fn explain(&mut self, why: &str) {
        let reading = match &mut self.source {
            Source::File(blocks) => blocks.reading(),
            Source::Bands(bands) => &mut bands.reading,
        };
        reading.range_why.push_str("; ");
        reading.range_why.push_str(why);
    }

    /// The code of its coordinate system, as `EPSG:32633`; none where it has no place on the ground.
    pub fn projection(&self) -> Option<String> {
        let place = self.place.as_ref().ok()?.as_ref()?;
        Some(format!("EPSG:{}", place.epsg()))
    }

    /// Why it has no place on the ground, where its file says one that cannot be read.
    pub fn misplaced(&self) -> Option<&str> {
        self.place.as_ref().err().map(String::as_str)
    }

    /// The pixels of a window, north up. Those beyond the scene's edge are missing.
    ///
    /// # Errors
    /// [`Error::Argument`] for a window whose left upper corner is not within the scene, or that has no pixel or more
    /// than 2^28; [`Error::Image`] for data that cannot be decoded.
    pub fn window(&self, window: Region) -> Result<Picture> {
        self.check(window)?;
        let (rgb, valid) = self
            .source
            .window(window)
            .map_err(|fault| self.image(fault))?;
        let (image, valid) = self.upright(window.width, window.height, rgb, valid)?;
        Ok(Picture::new(image, valid, self.reading().clone()))
    }

    /// Says which windows will be asked for next. A thread that would else wait for another, which decodes the strip or
    /// tile that both need, decodes those of these windows; and of files that are read through a [`RangeReader`] what is
    /// not at hand is announced to it. Windows outside of the scene are passed over.
    pub fn expect(&self, windows: &[Region]) {
        let inside = |window: &Region| self.check(*window).is_ok();
        let windows: Vec<Region> = windows.iter().copied().filter(inside).collect();
        match &self.source {
            Source::File(blocks) => blocks.expect(&windows),
            Source::Bands(bands) => bands.expect(&windows),
        }
        if let Some(clouds) = &self.clouds {
            clouds.expect(&windows, self.source.raster().size());
        }
    }

    /// Whether a window begins within the scene and is of a size that can be read.
    fn check(&self, window: Region) -> Result<()> {
        const MOST: u64 = 1 << 28;
        let pixels = u64::from(window.width) * u64::from(window.height);
        if !(1..=MOST).contains(&pixels)
            || window.left >= self.width()
            || window.top >= self.height()
        {
            return Err(Error::Argument {
                what: "window",
                reason: format!(
                    "{} x {} pixels from column {} and row {} on, of a scene of {} x {}",
                    window.width,
                    window.height,
                    window.left,
                    window.top,
                    self.width(),
                    self.height()
                ),
            });
        }
        Ok(())
    }

    /// Pixels as they are stored, turned so that north is up.
    fn upright(
        &self,
        width: u32,
        height: u32,
        rgb: Vec<u8>,
        valid: Option<Vec<bool>>,
    ) -> Result<(RgbImage, Option<Vec<bool>>)> {
        let turn = self.source.raster().orientation();
        upright(width, height, rgb, valid, turn).map_err(|fault| self.image(fault))
    }

    /// The error of a fault of this scene.
    fn image(&self, fault: ImageFault) -> Error {
        Error::Image {
            item: self.name.clone(),
            fault,
        }
    }

    /// What the scene's place says of a window: location, gsd or pixel size, UTM zone, at the window's own centre.
    /// Empty where the scene has no place.
    ///
    /// # Errors
    /// [`Error::MetadataSource`] where it has one that cannot be read, or the window lies outside of the map.
    pub fn record(&self, window: Region) -> Result<Metadata> {
        let found = self.place.as_ref().map_err(String::clone);
        let found = found.and_then(|place| match place {
            Some(place) => {
                let half = |start: u32, side: u32| f64::from(start) + f64::from(side) / 2.0;
                let centre = (
                    half(window.left, window.width),
                    half(window.top, window.height),
                );
                place.record(centre)
            }
            None => Ok(Metadata::new()),
        });
        found.map_err(|reason| Error::MetadataSource {
            origin: self.name.clone(),
            line: None,
            reason,
            source: None,
        })
    }

    /// The corners of a window on the ground; none where the scene has no place, or a corner lies outside of the map.
    pub fn footprint(&self, window: Region) -> Option<Footprint> {
        Footprint::of(self.place.as_ref().ok()?.as_ref()?, window)
    }

    /// A picture of the whole scene of at most `side` pixels a side, each the one in the middle of those that it
    /// stands for, for people to look at.
    ///
    /// # Errors
    /// [`Error::Image`] for data that cannot be decoded.
    pub fn preview(&self, side: u32) -> Result<RgbImage> {
        let longest = self.width().max(self.height());
        let step = longest.div_ceil(side.max(1)).max(1);
        let (width, height) = (self.width().div_ceil(step), self.height().div_ceil(step));
        let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
        for row in 0..height {
            let top = (row * step + step / 2).min(self.height() - 1);
            let line = Region {
                left: 0,
                top,
                width: self.width(),
                height: 1,
            };
            let (rgb, _) = self
                .source
                .window(line)
                .map_err(|fault| self.image(fault))?;
            for column in 0..width {
                let left = (column * step + step / 2).min(self.width() - 1) as usize;
                pixels.extend_from_slice(&rgb[left * 3..left * 3 + 3]);
            }
        }
        let (image, _) = self.upright(width, height, pixels, None)?;
        Ok(image)
    }
}
