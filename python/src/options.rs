//! How a model is loaded and pictures are read, checked before anything is loaded.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use satmip::embedder::EmbedderBuilder;
use satmip::image::{DecodeLimits, ReadOptions, Resolution};
use satmip::zoo::DEFAULT_MODEL;
use satmip::{Device, Embedder};

use crate::error::{Fault, Result};

/// Most images in a batch, and most threads.
const MOST: [usize; 2] = [65_536, 1024];

/// The arguments of `satmip.Embedder`, but for the library of ONNX Runtime.
#[pyclass(frozen, module = "satmip._satmip")]
#[derive(Debug)]
pub(crate) struct Options {
    model: String,
    device: Device,
    precision: Option<String>,
    threads: Option<usize>,
    batch_size: Option<usize>,
    reading: ReadOptions,
}

#[pymethods]
impl Options {
    /// Takes the arguments by their names, None where one was not given.
    #[new]
    fn new(given: &Bound<'_, PyDict>) -> Result<Self> {
        let device: Device = parsed(given, "device")?.unwrap_or_default();
        Ok(Options {
            model: argument(given, "model")?.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            device,
            precision: argument(given, "precision")?,
            threads: count(given, "threads", MOST[1])?,
            batch_size: count(given, "batch_size", MOST[0])?,
            reading: reading(given)?,
        })
    }

    /// Where the model is to run.
    #[getter]
    fn device(&self) -> String {
        self.device.to_string()
    }

    /// The number of threads, if it was given.
    #[getter]
    fn threads(&self) -> Option<usize> {
        self.threads
    }
}

impl Options {
    /// A builder with these options, that runs so many batches at a time.
    pub(crate) fn builder(&self, threads: usize) -> EmbedderBuilder {
        // Two sessions keep a GPU busy while one of them waits for its data.
        let sessions = match self.device.is_gpu() {
            true => threads.min(2),
            false => threads,
        };
        let builder = Embedder::builder(self.model.as_str())
            .device(self.device)
            .sessions(sessions)
            .reading(self.reading);
        let builder = match self.batch_size {
            Some(rows) => builder.batch_size(rows),
            None => builder,
        };
        match &self.precision {
            Some(precision) => builder.precision(precision),
            None => builder,
        }
    }
}

/// How pictures are read.
fn reading(given: &Bound<'_, PyDict>) -> Result<ReadOptions> {
    let mut options = ReadOptions::default();
    if let Some(pixels) = argument(given, "max_pixels")? {
        options.limits = DecodeLimits::of_pixels(pixels);
    }
    options.scale = parsed(given, "scale")?.unwrap_or(options.scale);
    options.bands = parsed(given, "bands")?.unwrap_or(options.bands);
    options.resolution = match (argument(given, "gsd")?, argument(given, "overview")?) {
        (None, None) => Resolution::Full,
        (None, Some(0)) => {
            return Err(Fault::argument("overview", "they are counted from 1"));
        }
        (None, Some(number)) => Resolution::Overview(number),
        (Some(metres), None) if f64::is_finite(metres) && metres > 0.0 => Resolution::Gsd(metres),
        (Some(metres), None) => {
            let reason = format!("{metres} is no length of a pixel in metres");
            return Err(Fault::argument("gsd", reason));
        }
        (Some(_), Some(_)) => {
            return Err(Fault::argument(
                "gsd",
                "`overview` says which copy is read already",
            ));
        }
    };
    options.nodata = argument(given, "nodata")?;
    let share = argument(given, "min_valid")?.unwrap_or(options.min_valid);
    Ok(options.with_min_valid(share)?)
}

/// An argument; none where it is None.
pub(crate) fn argument<T>(given: &Bound<'_, PyDict>, name: &'static str) -> Result<Option<T>>
where
    T: for<'a, 'py> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    match given.get_item(name)?.filter(|value| !value.is_none()) {
        None => Ok(None),
        Some(value) => match value.extract() {
            Ok(argument) => Ok(Some(argument)),
            Err(error) => {
                let error: PyErr = error.into();
                Err(Fault::argument(name, format!("{}: {error}", value.repr()?)))
            }
        },
    }
}

/// An argument that is a word of the command line's.
pub(crate) fn parsed<T: std::str::FromStr<Err = satmip::Error>>(
    given: &Bound<'_, PyDict>,
    name: &'static str,
) -> Result<Option<T>> {
    let text: Option<String> = argument(given, name)?;
    Ok(text.map(|text| text.parse()).transpose()?)
}

/// An argument that is a number from 1 on.
pub(crate) fn count(
    given: &Bound<'_, PyDict>,
    name: &'static str,
    most: usize,
) -> Result<Option<usize>> {
    let count: Option<usize> = argument(given, name)?;
    match count.filter(|count| !(1..=most).contains(count)) {
        None => Ok(count),
        Some(count) => Err(Fault::argument(
            name,
            format!("{count} is outside 1 to {most}"),
        )),
    }
}
