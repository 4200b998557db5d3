//! A model that is loaded in this process.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::ndarray::Axis;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use satmip::{Embedder, Embeddings, Field};

use crate::error::{Fault, Result, handed_back};
use crate::options::Options;
use crate::record::{of_json, record, records};
use crate::run::{Towers, Wanted};
use crate::scenes::Scenes;
use crate::vectors::{Pairs, matrix};

/// Exceptions that are handed back, None for items without one.
type Exceptions = Vec<Option<Py<PyAny>>>;
type Matrix<'py> = Bound<'py, PyArray2<f32>>;
type Flags<'py> = Bound<'py, PyArray1<bool>>;

/// Cores that this process may use, by its control group and affinity.
#[pyfunction]
pub(crate) fn cores() -> usize {
    satmip::parts::threads::cores()
}

/// A model that is ready to embed. `satmip.Embedder` makes one in each process and says what its methods do.
#[pyclass(frozen, module = "satmip._satmip")]
#[derive(Debug)]
pub(crate) struct Session(Towers);

impl Session {
    fn of(model: Arc<Embedder>, threads: usize) -> Self {
        Session(Towers {
            model,
            scenes: Scenes::default(),
            threads,
        })
    }

    /// The model.
    pub(crate) fn model(&self) -> &Arc<Embedder> {
        &self.0.model
    }

    /// Threads that decode and embed.
    pub(crate) fn threads(&self) -> usize {
        self.0.threads
    }
}

#[pymethods]
impl Session {
    /// Loads the model, for so many threads, and with this library of ONNX Runtime if one is given.
    #[new]
    fn new(
        py: Python<'_>,
        options: &Bound<'_, Options>,
        threads: usize,
        library: Option<PathBuf>,
    ) -> Result<Self> {
        let builder = options.get().builder(threads);
        let builder = match library {
            Some(library) => builder.onnxruntime_library(library),
            None => builder,
        };
        let model = Arc::new(py.detach(|| builder.load())?);
        Ok(Session::of(model, threads))
    }

    /// The same model for a process that was forked from this session's: scenes are opened anew.
    fn forked(&self) -> Self {
        Session::of(Arc::clone(&self.0.model), self.0.threads)
    }

    #[getter]
    fn id(&self) -> &str {
        &self.0.model.manifest().id
    }

    #[getter]
    fn precision(&self) -> &str {
        self.0.model.precision()
    }

    #[getter]
    fn dim(&self) -> usize {
        self.0.model.dim()
    }

    #[getter]
    fn input_size(&self) -> usize {
        self.0.model.input_size()
    }

    #[getter]
    fn fields(&self) -> Vec<&'static str> {
        self.0.model.fields().iter().map(Field::name).collect()
    }

    #[getter]
    fn device(&self) -> String {
        self.0.model.device().to_string()
    }

    #[getter]
    fn engine(&self) -> &'static str {
        self.0.model.engine()
    }

    #[getter(threads)]
    fn its_threads(&self) -> usize {
        self.threads()
    }

    #[getter]
    fn batch_size(&self) -> usize {
        self.0.model.batch_size()
    }

    /// Rows of pictures, and what is wrong with each.
    fn images<'py>(
        &self,
        pictures: &Bound<'py, PyAny>,
        features: bool,
        tolerant: bool,
    ) -> Result<(Matrix<'py>, Exceptions)> {
        let py = pictures.py();
        let rows = self
            .0
            .pictures(pictures, Wanted::features(features), tolerant)?;
        let faults = rows
            .items
            .into_iter()
            .map(|item| item.err().map(Fault::from));
        Ok((rows.vectors.into_pyarray(py), handed_back(py, faults)))
    }

    /// Rows of records whose values are those of the model's input pixels, and what is wrong with each.
    fn metadata<'py>(
        &self,
        given: &Bound<'py, PyAny>,
        features: bool,
        tolerant: bool,
    ) -> Result<(Matrix<'py>, Exceptions)> {
        let (py, model) = (given.py(), &self.0.model);
        let records = records(given)?.into_iter();
        let seen = records.map(|record| Ok(model.prepare_metadata(&[record?]).pop()));
        let rows = self
            .0
            .described(py, seen.collect(), Wanted::features(features), tolerant)?;
        Ok((rows.vectors.into_pyarray(py), handed_back(py, rows.faults)))
    }

    /// Rows of pictures and which are there; rows of their records and which are there; what is wrong with each.
    #[allow(clippy::type_complexity)]
    fn both<'py>(
        &self,
        pictures: &Bound<'py, PyAny>,
        given: Option<&Bound<'py, PyAny>>,
        tolerant: bool,
    ) -> Result<(Matrix<'py>, Flags<'py>, Matrix<'py>, Flags<'py>, Exceptions)> {
        let py = pictures.py();
        let both = self.0.both(pictures, given, tolerant)?;
        let records = self
            .0
            .described(py, both.records, Wanted::Embeds, tolerant)?;
        Ok((
            both.images.into_pyarray(py),
            both.there.into_pyarray(py),
            records.vectors.into_pyarray(py),
            records.there.into_pyarray(py),
            handed_back(py, records.faults),
        ))
    }

    /// Pictures with their records, without the bad ones; and what is wrong with each.
    fn pairs<'py>(
        &self,
        pictures: &Bound<'py, PyAny>,
        given: &Bound<'py, PyAny>,
        tolerant: bool,
    ) -> Result<(Pairs, Exceptions)> {
        let (py, model) = (pictures.py(), &self.0.model);
        let both = self.0.both(pictures, Some(given), tolerant)?;
        let (mut kept, mut records, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (at, record) in both.records.into_iter().enumerate() {
            match record {
                Ok(record) => {
                    kept.push(at);
                    records.push(record);
                    faults.push(None);
                }
                Err(fault) => faults.push(Some(fault)),
            }
        }
        let images = Embeddings::new(both.images.select(Axis(0), &kept))?;
        let pairs = py.detach(|| model.pairs_seen(images, records))?;
        Ok((Pairs(pairs), handed_back(py, faults)))
    }

    /// The cosines of pictures with values of a field, and the softmax of each row.
    fn query<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        field: &str,
        values: Vec<String>,
    ) -> Result<(Matrix<'py>, Matrix<'py>)> {
        let (py, model) = (images.py(), &self.0.model);
        let (images, field) = (matrix("images", images)?, field.parse::<Field>()?);
        let found = py.detach(|| model.query(&images, field, values))?;
        Ok((
            found.similarities.into_pyarray(py),
            found.probabilities.into_pyarray(py),
        ))
    }

    /// How well each picture fits its own record, a dictionary for each pair that has one.
    fn audit<'py>(&self, pairs: &Bound<'py, Pairs>) -> Result<Bound<'py, PyAny>> {
        let (py, model, pairs) = (pairs.py(), &self.0.model, &pairs.get().0);
        of_json(py, py.detach(|| model.audit(pairs))?)
    }

    /// The record of a file of so many pixels as the model sees it.
    fn fitted_metadata<'py>(
        &self,
        given: &Bound<'py, PyAny>,
        width: u32,
        height: u32,
    ) -> Result<Bound<'py, PyAny>> {
        let seen = self
            .0
            .model
            .fitted_metadata(&record(given)?, width, height)?;
        of_json(given.py(), seen)
    }
}
