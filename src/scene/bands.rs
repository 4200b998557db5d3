//! Red, green and blue from files of their own, over the same ground.

use super::blocks::{Blocks, Decoded};
use super::resolution;
use crate::error::{Error, ImageFault, Result};
use crate::image::{Raster, RasterFile, ReadOptions, Reading, Region, Role};
use crate::metadata::read::geotiff::Georeference;

/// Most pixels of the finest band that one of another covers a side: 64 (our choice).
const MOST_COARSER: u32 = 64;

/// Three files. A coarser one covers the ground of the finest with pixels a whole number of times as large; its
/// pixels are repeated.
#[derive(Debug)]
pub(super) struct Bands {
    bands: [Blocks; 3],
    /// Pixels of the finest band that one of each covers a side.
    coarser: [u32; 3],
    pub(super) reading: Reading,
}

impl Bands {
    /// Opens red, green and blue, of which `names` are what people call them.
    ///
    /// # Errors
    /// [`Error::Image`] of the file concerned.
    pub(super) fn open(
        files: &[RasterFile; 3],
        names: [&str; 3],
        options: &ReadOptions,
    ) -> Result<(Self, Option<Georeference>)> {
        let image = |at: usize, fault| Error::Image {
            item: format!("{} ({})", files[at].name(), names[at]),
            fault,
        };
        let open = |at: usize| {
            let opened = resolution::open(&files[at], options, Role::Band);
            let (raster, place) = opened.map_err(|fault| image(at, fault))?;
            let place = place.map_err(|reason| image(at, ImageFault::Option(reason)))?;
            Ok((raster, place))
        };
        let [(red, red_place), (green, green_place), (blue, blue_place)] =
            [open(0)?, open(1)?, open(2)?];
        let sizes = [red.size(), green.size(), blue.size()];
        let places = [red_place, green_place, blue_place];
        let finest = (0..3).max_by_key(|at| (sizes[*at].0, 3 - at)).unwrap_or(0);
        resolution::reached(options, places[finest].as_ref(), sizes[finest])
            .map_err(|fault| image(finest, fault))?;
        let mut coarser = [1; 3];
        for at in 0..3 {
            coarser[at] = times(
                sizes[at],
                sizes[finest],
                places[at].as_ref(),
                places[finest].as_ref(),
            )
            .map_err(|reason| {
                let reason = format!("beside {}: {reason}", names[finest]);
                image(at, ImageFault::Option(reason))
            })?;
        }
        let reading = Reading {
            bands: 3,
            rgb: [1, 2, 3],
            rgb_why: format!("the assets {}", names.join(", ")),
            range: channels([&red, &green, &blue]),
            ..red.reading().clone()
        };
        if [&red, &green, &blue]
            .iter()
            .any(|raster| raster.reading().samples != reading.samples)
        {
            return Err(Error::Image {
                item: files[0].name().to_owned(),
                fault: ImageFault::Option(
                    "red, green and blue have samples of different types".into(),
                ),
            });
        }
        let place = places.into_iter().nth(finest).flatten();
        let bands = [red, green, blue].map(Blocks::third_of);
        Ok((
            Bands {
                bands,
                coarser,
                reading,
            },
            place,
        ))
    }

    /// The file whose pixels are the scene's.
    pub(super) fn finest(&self) -> &Raster {
        let at = self
            .coarser
            .iter()
            .position(|times| *times == 1)
            .unwrap_or(0);
        self.bands[at].raster()
    }

    /// Announces windows.
    pub(super) fn expect(&self, windows: &[Region]) {
        for (band, times) in self.bands.iter().zip(self.coarser) {
            let parts: Vec<_> = windows.iter().map(|window| under(*window, times)).collect();
            band.expect(&parts);
        }
    }

    /// The pixels of a window and which of them are there in all bands; none where all are.
    pub(super) fn window(&self, window: Region) -> Decoded {
        let (width, height) = (window.width as usize, window.height as usize);
        let mut rgb = vec![0; width * height * 3];
        let mut valid: Option<Vec<bool>> = None;
        let parts = self.coarser.map(|times| under(window, times));
        for (channel, found) in self.decoded(parts).into_iter().enumerate() {
            let (part, times) = (parts[channel], self.coarser[channel]);
            let Region { left, top, .. } = part;
            let (pixels, there) = found?;
            let at = |x: usize, y: usize| {
                let column = (window.left as usize + x) / times as usize - left as usize;
                let row = (window.top as usize + y) / times as usize - top as usize;
                row * part.width as usize + column
            };
            for y in 0..height {
                for x in 0..width {
                    rgb[(y * width + x) * 3 + channel] = pixels[at(x, y) * 3 + channel];
                }
            }
            if let Some(there) = there {
                let valid = valid.get_or_insert_with(|| vec![true; width * height]);
                for y in 0..height {
                    for x in 0..width {
                        valid[y * width + x] &= there[at(x, y)];
                    }
                }
            }
        }
        Ok((rgb, valid))
    }

    /// What each band has of its part of a window. One that somebody else decodes at this moment comes last, so that two
    /// threads at windows of the same blocks do not wait for each other.
    fn decoded(&self, parts: [Region; 3]) -> [Decoded; 3] {
        let mut found = parts.map(|_| Ok((Vec::new(), None)));
        let mut open = vec![0, 1, 2];
        while !open.is_empty() {
            let is_free = |at: &usize| !self.bands[*at].is_busy(parts[*at]);
            let next = open.iter().position(is_free).unwrap_or(0);
            let at = open.remove(next);
            found[at] = self.bands[at].window(parts[at]);
        }
        found
    }
}

/// The pixels of a raster under a window of the scene, each of which covers so many of the scene's a side.
pub(super) fn under(window: Region, times: u32) -> Region {
    let (left, top) = (window.left / times, window.top / times);
    Region {
        left,
        top,
        width: (window.left + window.width).div_ceil(times) - left,
        height: (window.top + window.height).div_ceil(times) - top,
    }
}

/// How many pixels of a scene one of another raster covers a side, where the two lie over the same ground.
///
/// # Errors
/// The reason where they do not.
pub(super) fn times(
    (width, height): (u32, u32),
    scene: (u32, u32),
    own: Option<&Georeference>,
    place: Option<&Georeference>,
) -> Result<u32, String> {
    let times = scene.0.div_ceil(width);
    let fits = |whole: u32, part: u32| whole.div_ceil(times) == part;
    if times > MOST_COARSER || !fits(scene.0, width) || !fits(scene.1, height) {
        return Err(format!(
            "{width} x {height} pixels do not cover {} x {} a whole number of times",
            scene.0, scene.1
        ));
    }
    let same = match (own, place) {
        (Some(own), Some(place)) => own.covers(place, times.into()),
        (None, None) => true,
        _ => false,
    };
    match same {
        true => Ok(times),
        false => Err("they do not lie over the same ground".into()),
    }
}

/// The ranges of the three files, each as its own colour.
fn channels(bands: [&Raster; 3]) -> Option<[(f64, f64); 3]> {
    let [red, green, blue] = bands.map(|band| band.reading().range);
    Some([red?[0], green?[1], blue?[2]])
}
