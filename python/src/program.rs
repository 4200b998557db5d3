//! The program `satmip`, run by this process.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Does what a command line asks for, the program's name first, and gives the exit code; see `satmip.program`.
#[pyfunction]
pub(crate) fn program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| satmip_cli::run(arguments))
}
