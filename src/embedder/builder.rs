//! Loading a model.

use std::path::PathBuf;

use super::Embedder;
use super::batches::Batches;
use super::tower::{ImageTower, MetadataTower};
use crate::bundle::Bundle;
use crate::engine::{Device, EngineOptions};
use crate::error::{Error, Result};
use crate::image::ReadOptions;
#[cfg(feature = "zoo")]
use crate::zoo::Zoo;

/// Rows that a GPU runs at a time, unless the caller says otherwise (our choice).
const GPU_BATCH: usize = 64;
/// Rows that a core of a CPU runs at a time, of pictures of 64 pixels a side; fewer of larger ones, which keep a core as
/// busy, so that memory does not grow with them (our choice).
const CPU_BATCH: usize = 16;

/// Rows that are run at a time by a model of pictures of so many pixels a side.
fn usual_batch(device: Device, side: usize) -> usize {
    match device.is_gpu() {
        true => GPU_BATCH,
        false => (CPU_BATCH * 64 * 64 / (side * side).max(1)).clamp(1, CPU_BATCH),
    }
}
/// Most rows that may be run at a time.
const LARGEST_BATCH: usize = 1 << 16;

/// How a model is loaded; see [`Embedder::builder`].
#[derive(Debug, Clone)]
pub struct EmbedderBuilder {
    source: ModelSource,
    precision: Option<String>,
    options: EngineOptions,
    batch_size: Option<usize>,
    reading: ReadOptions,
    #[cfg(feature = "zoo")]
    zoo: Option<Zoo>,
}

#[derive(Debug, Clone)]
enum ModelSource {
    Name(String),
    Bundle(Box<Bundle>),
}

impl From<Bundle> for EmbedderBuilder {
    fn from(bundle: Bundle) -> Self {
        EmbedderBuilder::of(ModelSource::Bundle(Box::new(bundle)))
    }
}

impl EmbedderBuilder {
    pub(super) fn named(model: String) -> Self {
        EmbedderBuilder::of(ModelSource::Name(model))
    }

    fn of(source: ModelSource) -> Self {
        EmbedderBuilder {
            source,
            precision: None,
            options: EngineOptions::default(),
            batch_size: None,
            reading: ReadOptions::default(),
            #[cfg(feature = "zoo")]
            zoo: None,
        }
    }

    /// The zoo in which a name is looked up, in place of [`Zoo::from_env`]. Whether it fetches what is missing is
    /// [`ZooBuilder::offline`](crate::zoo::ZooBuilder::offline)'s.
    #[cfg(feature = "zoo")]
    pub fn zoo(mut self, zoo: Zoo) -> Self {
        self.zoo = Some(zoo);
        self
    }

    /// The precision of the graphs, one of [`PRECISIONS`](crate::bundle::PRECISIONS) that the bundle has; that of its `image.onnx` unless
    /// this says otherwise.
    pub fn precision(mut self, precision: impl Into<String>) -> Self {
        self.precision = Some(precision.into());
        self
    }

    /// Where the model runs; [`Device::Auto`] unless this says otherwise.
    pub fn device(mut self, device: Device) -> Self {
        self.options.device = device;
        self
    }

    /// Batches that may run at the same time, each in one thread; one for each CPU core unless
    /// this says otherwise.
    pub fn sessions(mut self, sessions: usize) -> Self {
        self.options.sessions = sessions;
        self
    }

    /// The ONNX Runtime library to use; no other is looked for then.
    pub fn onnxruntime_library(mut self, library: impl Into<PathBuf>) -> Self {
        self.options.library = Some(library.into());
        self
    }

    /// Whether `python3` may be run to ask where an installed ONNX Runtime is; no unless this says otherwise, so that
    /// loading a model runs no program. Without it a library is found by [`Self::onnxruntime_library`], by
    /// `SATMIP_ORT_DYLIB`, in an active environment of Python, and in the system's folders
    /// ([`discovery`](crate::engine::discovery)). The command line asks.
    pub fn ask_python(mut self, ask: bool) -> Self {
        self.options.ask_python = ask;
        self
    }

    /// Device, sessions, library and whether Python is asked, at once.
    pub fn engine(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// Rows that are run at a time, 1 to 65,536. Unless this says otherwise 64 on a GPU; on a CPU 16 of pictures of 64
    /// pixels a side, 4 of 128, 1 of 224. Memory grows with it and with the number of sessions.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// How pictures are read: which bands, what samples mean, what they may cost.
    pub fn reading(mut self, reading: ReadOptions) -> Self {
        self.reading = reading;
        self
    }

    /// Loads the model.
    ///
    /// # Errors
    /// [`Error::UnknownModel`]; [`Error::Registry`], [`Error::Fetch`], [`Error::NotCached`] and
    /// [`Error::Cache`] for a model that is to be fetched; [`Error::Bundle`] and [`Error::Checksum`] for a bundle that is
    /// damaged or whose graphs are not the ones that its manifest describes; [`Error::Device`];
    /// [`Error::Graph`]; [`Error::Engine`]; [`Error::Argument`] for an impossible batch size.
    pub fn load(self) -> Result<Embedder> {
        if let Some(rows) = self.batch_size.filter(|n| !(1..=LARGEST_BATCH).contains(n)) {
            return Err(Error::Argument {
                what: "batch size",
                reason: format!("{rows} is outside 1 to {LARGEST_BATCH}"),
            });
        }
        if self.options.sessions == 0 {
            return Err(Error::Argument {
                what: "sessions",
                reason: "there must be at least one".into(),
            });
        }
        let bundle = match self.source {
            #[cfg(feature = "zoo")]
            ModelSource::Name(model) => {
                let zoo = self.zoo.unwrap_or_else(Zoo::from_env);
                zoo.open(&model, self.precision.as_deref())?
            }
            #[cfg(not(feature = "zoo"))]
            ModelSource::Name(model) => Bundle::open(model)?,
            ModelSource::Bundle(bundle) => *bundle,
        };
        let bundle = match &self.precision {
            Some(precision) => bundle.in_precision(precision)?,
            None => bundle,
        };
        let side = bundle.manifest().arch.preprocessing.size;
        let batches = |usual: usize| Batches {
            size: self.batch_size.unwrap_or(usual),
            threads: self.options.sessions,
        };
        Ok(Embedder {
            precision: bundle.precision().to_owned(),
            image: ImageTower::open(&bundle, &self.options)?,
            metadata: MetadataTower::open(&bundle, &self.options)?,
            manifest: bundle.manifest().clone(),
            batches: batches(usual_batch(self.options.device, side)),
            // Of records, which are all of one length.
            records: batches(usual_batch(self.options.device, 64)),
            reading: self.reading,
        })
    }
}
