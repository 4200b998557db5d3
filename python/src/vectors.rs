//! Vectors as arrays of NumPy, and what they say about each other.

use numpy::{AllowTypeChange, IntoPyArray, PyArray2, PyArrayLike2, ToPyArray};
use pyo3::prelude::*;
use satmip::Embeddings;

use crate::error::{Fault, Result};
use crate::record::of_json;

/// A matrix of an array or of lists.
///
/// # Errors
/// Where it is none of finite numbers, `[rows, width]`.
pub(crate) fn matrix(what: &'static str, given: &Bound<'_, PyAny>) -> Result<Embeddings> {
    let rows: PyArrayLike2<'_, f32, AllowTypeChange> = given.extract().map_err(|error| {
        let error: PyErr = error;
        Fault::argument(
            what,
            format!("vectors are wanted, as [rows, width]: {error}"),
        )
    })?;
    Ok(Embeddings::new(rows.as_array().to_owned())?)
}

/// The cosine of each row of one matrix with each row of the other.
#[pyfunction]
pub(crate) fn similarity<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyArray2<f32>>> {
    let (py, a, b) = (a.py(), matrix("a", a)?, matrix("b", b)?);
    Ok(py.detach(|| a.similarity(&b))?.into_pyarray(py))
}

/// For each row of one matrix the `k` rows of the other with the largest cosines: their positions and cosines.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub(crate) fn nearest<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    k: usize,
) -> Result<(Bound<'py, PyArray2<usize>>, Bound<'py, PyArray2<f32>>)> {
    let (py, a, b) = (a.py(), matrix("a", a)?, matrix("b", b)?);
    let found = py.detach(|| a.nearest(&b, k))?;
    Ok((
        found.indices.into_pyarray(py),
        found.similarities.into_pyarray(py),
    ))
}

/// Pictures and their records, embedded: what `Embedder.embed_pairs` gives.
///
/// Pair `i` is row `i` of `images` and element `i` of `records`. A pair of which nothing is known that the model
/// reads has no row in `metadata`.
#[pyclass(frozen, module = "satmip")]
#[derive(Debug)]
pub(crate) struct Pairs(pub(crate) satmip::Pairs);

#[pymethods]
impl Pairs {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        let (pairs, records) = (self.0.len(), self.0.rows().len());
        format!("<satmip.Pairs: {pairs} pairs, {records} with a record>")
    }

    /// The pictures, one unit row for each pair; a new array at each call.
    #[getter]
    fn images<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.0.images().view().to_pyarray(py)
    }

    /// The records that have a field which the model reads, one unit row for each; a new array at each call.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.0.metadata().view().to_pyarray(py)
    }

    /// For each row of `metadata` the pair that it belongs to, ascending.
    #[getter]
    fn rows(&self) -> Vec<usize> {
        self.0.rows().to_vec()
    }

    /// The records as the model saw them, of its input pixels; None where nothing is known that it reads.
    #[getter]
    fn records<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        of_json(py, self.0.records())
    }

    /// The cosine of each picture with its own record; None where it has none.
    #[getter]
    fn similarities(&self) -> Vec<Option<f32>> {
        self.0.similarities()
    }
}
