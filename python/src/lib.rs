//! The compiled half of the Python package `satmip`: the module `satmip._satmip`.
//!
//! ```text
//! pictures of Python --picture--> what the model takes --run--> rows of vectors --vectors--> numpy
//! records of Python  --record---> Metadata -----------/
//! ```
//!
//! The package's other half, in `python/satmip`, is what people call: it documents every call, makes a [`Session`] in
//! each process, and speaks Arrow. While pictures are decoded and graphs run, the interpreter is left to others.
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod background;
mod error;
mod items;
mod options;
mod picture;
mod plan;
mod program;
mod record;
mod run;
mod scenes;
mod session;
mod vectors;

/// What `import satmip._satmip` gives.
#[pyo3::pymodule]
mod _satmip {
    #[pymodule_export]
    use crate::error::SatmipError;
    #[pymodule_export]
    use crate::options::Options;
    #[pymodule_export]
    use crate::plan::{plan_create, plan_embed, plan_merge, plan_status, plan_verify};
    #[pymodule_export]
    use crate::program::program;
    #[pymodule_export]
    use crate::record::metadata_columns;
    #[pymodule_export]
    use crate::session::{Session, cores};
    #[pymodule_export]
    use crate::vectors::{Pairs, nearest, similarity};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Panics of decoders become errors of their items.
        satmip::parts::guard::quiet();
        let error = module.py().get_type::<SatmipError>();
        error.setattr("kind", crate::error::OTHER)?;
        error.setattr("hint", module.py().None())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
