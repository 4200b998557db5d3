//! The package's one exception.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use satmip::Error;

create_exception!(
    satmip,
    SatmipError,
    PyException,
    "What went wrong, and with which item.\n\n\
     `kind` says what it is about: argument, device, download, engine, file, image, metadata, model, panic,\n\
     unsupported or other. `hint` says what to do about it, or is None."
);

/// The kind of errors that no other name fits.
pub(crate) const OTHER: &str = "other";

/// What ends a call: an error of satmip's, or an exception of Python's.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An error, and the item that it is about where it does not say so itself.
    Satmip { item: Option<String>, error: Error },
    /// An exception, as it is.
    Python(PyErr),
}

/// Result with a [`Fault`].
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Satmip { item: None, error }
    }
}

impl From<PyErr> for Fault {
    fn from(exception: PyErr) -> Self {
        Fault::Python(exception)
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Python(exception) => exception,
            Fault::Satmip { item, error } => Python::attach(|py| raised(py, item, &error)),
        }
    }
}

impl Fault {
    /// An argument that does not fit.
    pub(crate) fn argument(what: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Error::Argument { what, reason }.into()
    }

    /// An error of an item that it does not name.
    pub(crate) fn of(item: String, error: Error) -> Self {
        let item = Some(item);
        Fault::Satmip { item, error }
    }
}

/// The faults of items as exceptions that are handed back, None for items without one.
pub(crate) fn handed_back(
    py: Python<'_>,
    faults: impl IntoIterator<Item = Option<Fault>>,
) -> Vec<Option<Py<PyAny>>> {
    let exception = |fault| PyErr::from(fault).into_value(py).into_any();
    let faults = faults.into_iter();
    faults.map(|fault| fault.map(exception)).collect()
}

/// The exception of an error: its text with all causes, its kind, and what helps as a note below the traceback.
fn raised(py: Python<'_>, item: Option<String>, error: &Error) -> PyErr {
    let mut text = item.map(|item| format!("{item}: ")).unwrap_or_default();
    text.push_str(&error.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let exception = SatmipError::new_err(text);
    let described = || -> PyResult<()> {
        let value = exception.value(py);
        value.setattr("kind", kind(error))?;
        if let Some(hint) = error.hint() {
            // What `add_note` of Python 3.11 does; older ones do not show it.
            value.setattr("__notes__", vec![format!("hint: {hint}")])?;
            value.setattr("hint", hint)?;
        }
        Ok(())
    };
    match described() {
        Ok(()) => exception,
        Err(other) => other,
    }
}

/// What an error is about.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Argument { .. } => "argument",
        Error::Image { .. } => "image",
        Error::InvalidField { .. }
        | Error::MetadataSource { .. }
        | Error::CaptionTooLong { .. } => "metadata",
        Error::UnknownModel { .. }
        | Error::Bundle { .. }
        | Error::Checksum { .. }
        | Error::Arch { .. }
        | Error::Graph { .. }
        | Error::Tokenizer { .. } => "model",
        Error::Device { .. } => "device",
        Error::Engine { .. } => "engine",
        Error::Unsupported { .. } => "unsupported",
        Error::Registry { .. }
        | Error::Fetch { .. }
        | Error::NotCached { .. }
        | Error::Cache { .. } => "download",
        Error::Io { .. } | Error::Input { .. } | Error::Output { .. } => "file",
        Error::Panic { .. } => "panic",
        _ => OTHER,
    }
}
