//! Many pictures and records through the model's towers, on all threads.
//!
//! Batches are cut by position alone, and what is bad keeps its place in its batch: the vectors of the others do not
//! depend on it, nor on the number of threads.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use numpy::ndarray::{Array2, Array4, ArrayView2, Axis, concatenate, s};
use pyo3::prelude::*;
use satmip::embedder::TowerOutput;
use satmip::image::Geometry;
use satmip::parts::threads;
use satmip::{Embedder, Error, Metadata};

use crate::error::{Fault, Result};
use crate::picture::Picture;
use crate::scenes::Scenes;

/// A model and what its calls share.
#[derive(Debug)]
pub(crate) struct Towers {
    pub(crate) model: Arc<Embedder>,
    pub(crate) scenes: Scenes,
    pub(crate) threads: usize,
}

/// Which of a tower's two outputs is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Embeds,
    Features,
}

/// What a picture's record must follow.
pub(crate) struct Seen {
    geometry: Geometry,
    /// Of a window: what its place says, or why that cannot be read.
    place: Option<satmip::Result<Metadata>>,
}

/// Rows of vectors, those of bad items zeros, and for each what is wrong with it.
pub(crate) struct Rows<T> {
    pub(crate) vectors: Array2<f32>,
    pub(crate) items: Vec<satmip::Result<T>>,
}

/// Watches for Python's signals while the interpreter is left to others.
pub(crate) struct Watch {
    caller: ThreadId,
    raised: Mutex<Option<PyErr>>,
}

impl Watch {
    /// Does work that needs no interpreter. Ctrl-C ends it after the batches that were begun.
    pub(crate) fn over<T: Send>(
        py: Python<'_>,
        work: impl FnOnce(&Watch) -> satmip::Result<T> + Send,
    ) -> Result<T> {
        let watch = Watch {
            caller: thread::current().id(),
            raised: Mutex::new(None),
        };
        let done = py.detach(|| work(&watch));
        let raised = watch
            .raised
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match raised {
            Some(exception) => Err(Fault::Python(exception)),
            None => Ok(done?),
        }
    }

    /// Ends the work where a signal came. Python hears of signals on its main thread, which may be the caller's.
    fn check(&self) -> satmip::Result<()> {
        if thread::current().id() != self.caller {
            return Ok(());
        }
        Python::attach(|py| py.check_signals()).map_err(|exception| {
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(exception);
            Error::Interrupted
        })
    }
}

impl Towers {
    /// Embeds pictures. Where bad ones are not tolerated, the first of them ends the work.
    pub(crate) fn images(
        &self,
        pictures: &[Picture<'_>],
        wanted: Wanted,
        tolerant: bool,
        watch: &Watch,
    ) -> satmip::Result<Rows<Seen>> {
        let (arch, size) = (&self.model.manifest().arch, self.model.input_size());
        let width = wanted.width(arch.image.features(), arch.embed_dim);
        self.rows(pictures.len(), width, watch, |rows| {
            Picture::expect(&pictures[rows.clone()], &self.model, &self.scenes);
            let mut pixels = Array4::zeros((rows.len(), size, size, 3));
            let mut items = Vec::with_capacity(rows.len());
            for (picture, mut place) in pictures[rows].iter().zip(pixels.outer_iter_mut()) {
                match picture.fitted(&self.model, &self.scenes) {
                    Ok(fitted) => {
                        place
                            .iter_mut()
                            .zip(fitted.pixels)
                            .for_each(|(to, from)| *to = from);
                        items.push(Ok(Seen {
                            geometry: fitted.geometry,
                            place: fitted.place,
                        }));
                    }
                    Err(error) if tolerant => items.push(Err(error)),
                    Err(error) => return Err(error),
                }
            }
            let vectors = wanted.of(self.model.embed_prepared(pixels.view())?);
            Ok(Rows { vectors, items })
        })
    }

    /// Embeds records as the model sees them. When a batch fails, each of its records is run by itself; a failure of
    /// all of them is the engine's.
    pub(crate) fn metadata(
        &self,
        records: &[Metadata],
        wanted: Wanted,
        watch: &Watch,
    ) -> satmip::Result<Rows<()>> {
        let arch = &self.model.manifest().arch;
        let features = arch
            .metadata
            .as_ref()
            .map_or(0, |side| side.tower.features());
        let width = wanted.width(features, arch.embed_dim);
        self.rows(records.len(), width, watch, |rows| {
            let records = &records[rows];
            let whole = match self.model.seen_output(records) {
                Ok(output) => {
                    let items = records.iter().map(|_| Ok(())).collect();
                    return Ok(Rows {
                        vectors: wanted.of(output),
                        items,
                    });
                }
                Err(error) => error,
            };
            let mut found = Rows {
                vectors: Array2::zeros((records.len(), width)),
                items: Vec::new(),
            };
            for (at, record) in records.iter().enumerate() {
                let alone = self.model.seen_output(std::slice::from_ref(record));
                found.items.push(alone.map(|output| {
                    found
                        .vectors
                        .slice_mut(s![at..at + 1, ..])
                        .assign(&wanted.of(output));
                }));
            }
            match found.items.iter().all(satmip::Result::is_err) && is_of_all(&whole) {
                true => Err(whole),
                false => Ok(found),
            }
        })
    }

    /// The record of a picture as the model sees it; none where nothing is known that it reads.
    ///
    /// # Errors
    /// Where the place of a window cannot be read.
    pub(crate) fn seen(
        &self,
        picture: Seen,
        stated: Option<&Metadata>,
    ) -> satmip::Result<Option<Metadata>> {
        let record = match (picture.place.transpose()?, stated) {
            (Some(place), Some(stated)) => stated.of_part(&place),
            (Some(place), None) => place,
            (None, Some(stated)) => stated.clone(),
            (None, None) => return Ok(None),
        };
        let seen = picture.geometry.record_for(&record, self.model.fields());
        Ok((!seen.is_empty()).then_some(seen))
    }

    /// The rows that `work` makes of one batch after the other.
    fn rows<T: Send>(
        &self,
        count: usize,
        width: usize,
        watch: &Watch,
        work: impl Fn(Range<usize>) -> satmip::Result<Rows<T>> + Sync,
    ) -> satmip::Result<Rows<T>> {
        let size = self.model.batch_size();
        let batches = count.div_ceil(size);
        let done = threads::map("embedding a batch", batches, self.threads, |batch| {
            watch.check()?;
            work(batch * size..count.min((batch + 1) * size))
        })?;
        let views: Vec<ArrayView2<'_, f32>> = done.iter().map(|rows| rows.vectors.view()).collect();
        let vectors = match views.is_empty() {
            true => Array2::zeros((0, width)),
            false => concatenate(Axis(0), &views).map_err(|error| Error::Argument {
                what: "batch",
                reason: error.to_string(),
            })?,
        };
        let items = done.into_iter().flat_map(|rows| rows.items).collect();
        Ok(Rows { vectors, items })
    }
}

impl Wanted {
    /// The output for people who ask for features or not.
    pub(crate) fn features(features: bool) -> Self {
        match features {
            true => Wanted::Features,
            false => Wanted::Embeds,
        }
    }

    fn of(self, output: TowerOutput) -> Array2<f32> {
        match self {
            Wanted::Embeds => output.embeds,
            Wanted::Features => output.features,
        }
    }

    fn width(self, features: usize, embeds: usize) -> usize {
        match self {
            Wanted::Embeds => embeds,
            Wanted::Features => features,
        }
    }
}

/// Whether an error can be no record's own.
fn is_of_all(error: &Error) -> bool {
    matches!(
        error,
        Error::Engine { .. } | Error::Unsupported { .. } | Error::Panic { .. }
    )
}
