//! Pictures as Python gives them, and what the model takes of them.

use std::path::PathBuf;

use numpy::ndarray::ArrayView3;
use numpy::{
    PyArrayDescrMethods, PyReadonlyArray1, PyReadonlyArray3, PyUntypedArray, PyUntypedArrayMethods,
    dtype,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyMemoryView, PyTuple};
use satmip::image::{self, Geometry, Picture as Decoded, ReadOptions, Region, RgbImage};
use satmip::parts::guard::guarded;
use satmip::{Embedder, Error, ImageFault, Metadata};
use satmip_archive::Rasters;

use crate::scenes::Scenes;

/// A picture, held while the interpreter is left to others.
pub(crate) enum Held<'py> {
    /// A file.
    File(PathBuf),
    /// The bytes of a file.
    Encoded(PyBackedBytes),
    /// The bytes of a file, in an array or a buffer of Arrow's.
    Lent(PyReadonlyArray1<'py, u8>),
    /// Pixels, `[height, width, 3]`.
    Pixels(PyReadonlyArray3<'py, u8>),
    /// A part of a scene, which is a file or has an address.
    Window(PathBuf, Region),
    /// What is no picture, and why.
    Refused(String),
}

/// A picture as another thread reads it. Nothing is copied.
pub(crate) struct Picture<'a> {
    /// What errors call it.
    name: String,
    source: Source<'a>,
}

enum Source<'a> {
    File(&'a PathBuf),
    Encoded(&'a [u8]),
    Pixels(ArrayView3<'a, u8>),
    Window(&'a PathBuf, Region),
    Refused(&'a str),
}

/// Why a picture at an address is none.
const AT_ADDRESS: &str =
    "of addresses windows are read, (address, (x, y, width, height)); of a picture give the bytes";

/// What the model takes of a picture.
pub(crate) struct Fitted {
    /// `size * size * 3` bytes.
    pub(crate) pixels: Vec<u8>,
    /// What was done to it, for its record to follow.
    pub(crate) geometry: Geometry,
    /// Of a window: what its place on the ground says, or why that cannot be read.
    pub(crate) place: Option<satmip::Result<Metadata>>,
}

impl<'py> Held<'py> {
    /// Takes an object of Python. What is no picture is told when its turn comes.
    pub(crate) fn of(given: &Bound<'py, PyAny>) -> Self {
        let held = Held::taken(given);
        held.unwrap_or_else(|error| Held::Refused(error.to_string()))
    }

    fn taken(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        if given.is_instance_of::<PyUntypedArray>() {
            return Held::of_array(given);
        }
        if given.is_instance_of::<PyTuple>() {
            return Ok(Held::of_window(given));
        }
        if given.is_instance_of::<PyMemoryView>() {
            let copied = given.py().get_type::<PyBytes>().call1((given,))?;
            return Ok(Held::Encoded(copied.extract()?));
        }
        if let Ok(bytes) = given.extract() {
            return Ok(Held::Encoded(bytes));
        }
        if let Ok(path) = given.extract() {
            return Ok(Held::File(path));
        }
        Ok(Held::Refused(format!(
            "{} is no picture; expected a path, bytes, an array of uint8 [height, width, 3], or a window \
             (path, (x, y, width, height))",
            shown(given)
        )))
    }

    fn of_array(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = given.cast::<PyUntypedArray>()?;
        let bytes = array.dtype().is_equiv_to(&dtype::<u8>(given.py()));
        Ok(match array.ndim() {
            3 if bytes => Held::Pixels(given.extract()?),
            1 if bytes && array.is_c_contiguous() => Held::Lent(given.extract()?),
            _ => Held::Refused(format!(
                "an array of {} {:?}; expected uint8 [height, width, 3]",
                array.dtype(),
                array.shape()
            )),
        })
    }

    /// A window of a scene: `(path, (x, y, width, height))`, for a path also an address.
    fn of_window(given: &Bound<'py, PyAny>) -> Self {
        match given.extract::<(PathBuf, [u32; 4])>() {
            Ok((scene, [left, top, width, height])) => Held::Window(
                scene,
                Region {
                    left,
                    top,
                    width,
                    height,
                },
            ),
            _ => Held::Refused(format!(
                "{} is no window; expected (path, (x, y, width, height)) in pixels of the scene",
                shown(given)
            )),
        }
    }

    /// The picture at a place of the list, for another thread to read.
    pub(crate) fn picture(&self, index: usize) -> Picture<'_> {
        let numbered = || format!("images[{index}]");
        let (name, source) = match self {
            Held::File(path) if Rasters::is_address(path) => {
                (Rasters::shown(path), Source::Refused(AT_ADDRESS))
            }
            Held::File(path) => (path.display().to_string(), Source::File(path)),
            Held::Encoded(bytes) => (numbered(), Source::Encoded(bytes)),
            Held::Lent(bytes) => match bytes.as_slice() {
                Ok(bytes) => (numbered(), Source::Encoded(bytes)),
                Err(_) => (
                    numbered(),
                    Source::Refused("its bytes do not lie in one piece"),
                ),
            },
            Held::Pixels(pixels) => (numbered(), Source::Pixels(pixels.as_array())),
            Held::Window(path, at) => {
                let sides = [at.left, at.top, at.width, at.height].map(|side| side.to_string());
                let name = format!("{}#{}", Rasters::shown(path), sides.join(","));
                (name, Source::Window(path, *at))
            }
            Held::Refused(reason) => (numbered(), Source::Refused(reason)),
        };
        Picture { name, source }
    }
}

impl Picture<'_> {
    /// Says of windows at addresses that they are read next, so that what they need is fetched at once.
    pub(crate) fn expect(pictures: &[Picture<'_>], model: &Embedder, scenes: &Scenes) {
        let same = |a: &Picture<'_>, b: &Picture<'_>| {
            a.address().is_some_and(|of| b.address() == Some(of))
        };
        for run in pictures.chunk_by(same) {
            let Some(address) = run[0].address() else {
                continue;
            };
            let windows = run.iter().filter_map(|picture| match &picture.source {
                Source::Window(_, at) => Some(*at),
                _ => None,
            });
            // What is wrong with it is told when its windows are read.
            let announce = || -> satmip::Result<()> {
                let scene = scenes.open(address, model.reading())?;
                scene.expect(&windows.collect::<Vec<_>>());
                Ok(())
            };
            drop(guarded(announce));
        }
    }

    /// Of a window the address of its scene, where it has one.
    fn address(&self) -> Option<&PathBuf> {
        match &self.source {
            Source::Window(path, _) if Rasters::is_address(path) => Some(path),
            _ => None,
        }
    }

    /// Reads it and fits it to the model.
    ///
    /// # Errors
    /// [`Error::Image`], which names the picture; a decoder's panic is one too.
    pub(crate) fn fitted(&self, model: &Embedder, scenes: &Scenes) -> satmip::Result<Fitted> {
        guarded(|| self.read(model, scenes))
            .unwrap_or_else(|said| Err(self.fault(ImageFault::DecoderPanicked(said))))
    }

    fn read(&self, model: &Embedder, scenes: &Scenes) -> satmip::Result<Fitted> {
        let reading = model.reading();
        match &self.source {
            Source::File(path) => self.prepared(image::read(path, reading)?, model, None),
            Source::Encoded(bytes) => {
                self.prepared(image::decode(bytes, &self.name, reading)?, model, None)
            }
            Source::Window(path, at) => {
                let scene = scenes.open(path, reading)?;
                let window = scene.window(*at).map_err(|error| {
                    if matches!(error, Error::Image { .. }) {
                        scenes.doubt(path);
                    }
                    self.outside(error)
                })?;
                self.prepared(window, model, Some(scene.record(*at)))
            }
            Source::Pixels(pixels) => {
                let picture = RgbImage::try_from(*pixels).map_err(|error| self.outside(error))?;
                let preprocessing = &model.manifest().arch.preprocessing;
                let (pixels, geometry) = image::fit_with_geometry(&picture, preprocessing)?;
                Ok(Fitted {
                    pixels,
                    geometry,
                    place: None,
                })
            }
            Source::Refused(reason) => Err(self.fault(ImageFault::Option((*reason).to_owned()))),
        }
    }

    fn prepared(
        &self,
        picture: Decoded,
        model: &Embedder,
        place: Option<satmip::Result<Metadata>>,
    ) -> satmip::Result<Fitted> {
        let reading: &ReadOptions = model.reading();
        let preprocessing = &model.manifest().arch.preprocessing;
        let prepared = image::prepare_picture(picture, &self.name, reading, preprocessing)?;
        Ok(Fitted {
            pixels: prepared.pixels,
            geometry: prepared.geometry,
            place,
        })
    }

    fn fault(&self, fault: ImageFault) -> Error {
        let item = self.name.clone();
        Error::Image { item, fault }
    }

    /// An argument that does not fit, as a fault of this picture.
    fn outside(&self, error: Error) -> Error {
        match error {
            Error::Argument { reason, .. } => self.fault(ImageFault::Option(reason)),
            other => other,
        }
    }
}

/// An object in an error: the start of what Python says of it.
fn shown(given: &Bound<'_, PyAny>) -> String {
    const MOST: usize = 60;
    let text = given.repr().map(|text| text.to_string());
    let text = text.unwrap_or_else(|_| "an object".to_owned());
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
