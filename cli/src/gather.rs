//! Images, and their metadata, embedded into memory for commands that compare them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use ndarray::Array2;

use super::model::ModelArgs;
use super::terminal::Terminal;
use satmip::embedder::{Embedder, Embeddings};
use satmip::{Error, Result};
use satmip_archive::{self as embed, Destination, Gathered, JobConfig, TableConfig};

/// What was embedded: each row of `images` is the image of this id.
pub(super) struct Images {
    pub(super) images: Embeddings,
    pub(super) found: Gathered,
}

pub(super) fn images(
    inputs: Vec<PathBuf>,
    table: Option<TableConfig>,
    model: &ModelArgs,
    embedder: &Embedder,
    terminal: &Terminal,
) -> Result<Images> {
    let mut config = JobConfig::new(inputs, Destination::Stdout);
    config.metadata = table;
    config.workers = model.workers();
    config.batch_size = model.batch_size();
    config.reading = model.reading()?;
    let mut meter = terminal.meter();
    let mut found = embed::gather(&config, embedder, &mut |progress| {
        meter.update(progress);
        ControlFlow::Continue(())
    })?;
    meter.finish();
    let vectors = std::mem::take(&mut found.vectors);
    let shape = (found.ids.len(), embedder.dim());
    let rows = Array2::from_shape_vec(shape, vectors).map_err(|e| Error::Argument {
        what: "model",
        reason: e.to_string(),
    })?;
    Ok(Images {
        images: Embeddings::new(rows)?,
        found,
    })
}
