//! Arguments that every command with a model has.

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;

use super::reading::ReadArgs;
use super::terminal::Terminal;
use super::zoo::ZooArgs;
use satmip::Result;
#[cfg(feature = "eval")]
use satmip::bundle::Bundle;
use satmip::embedder::{Embedder, EmbedderBuilder};
use satmip::engine::Device;
use satmip::image::ReadOptions;
use satmip::zoo::DEFAULT_MODEL;

#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Name of a model, or folder of a bundle
    #[arg(short, long, default_value = DEFAULT_MODEL, value_name = "MODEL")]
    pub(super) model: String,
    /// Precision of its graphs, of those that the bundle has: f32, f16, f16-weights, int8, int8-weights
    #[arg(long, value_name = "NAME")]
    pub(super) precision: Option<String>,
    /// Where it runs: auto, rten, onnxruntime, cuda:N, tensorrt:N
    #[arg(
        long,
        default_value = "auto",
        value_name = "DEVICE",
        hide_default_value = true
    )]
    pub(super) device: Device,
    /// Library of ONNX Runtime, if it is not found
    #[arg(long, value_name = "FILE")]
    pub(super) onnxruntime: Option<PathBuf>,
    /// Threads that decode and embed [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// Images in a batch [default: 16, on a GPU 64; large images are run in smaller ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch_size: Option<u32>,
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    pub(super) zoo: ZooArgs,
}

impl ModelArgs {
    pub(super) fn workers(&self) -> usize {
        match self.workers {
            Some(n) => n as usize,
            None => available_parallelism().map_or(1, usize::from),
        }
    }

    pub(super) fn batch_size(&self) -> usize {
        match self.batch_size {
            Some(n) => n as usize,
            // A CPU core is busy with 16; a GPU is not.
            None if self.device.is_gpu() => 64,
            None => 16,
        }
    }

    pub(super) fn reading(&self) -> Result<ReadOptions> {
        self.reading.options()
    }

    /// How pictures are read, where something else said so before.
    #[cfg(feature = "eval")]
    pub(super) fn reading_over(&self, options: ReadOptions) -> Result<ReadOptions> {
        self.reading.over(options)
    }

    pub(super) fn load(&self, terminal: &Terminal) -> Result<Embedder> {
        let builder = self.configure(Embedder::builder(self.model.as_str()))?;
        let embedder = builder.zoo(self.zoo.open(terminal)).load()?;
        crate::opened(embedder.device());
        Ok(embedder)
    }

    /// As [`ModelArgs::load`], of a bundle in place of the one that is named.
    #[cfg(feature = "eval")]
    pub(super) fn load_bundle(&self, bundle: Bundle) -> Result<Embedder> {
        let embedder = self.configure(EmbedderBuilder::from(bundle))?.load()?;
        crate::opened(embedder.device());
        Ok(embedder)
    }

    fn configure(&self, builder: EmbedderBuilder) -> Result<EmbedderBuilder> {
        // Two sessions keep a GPU busy while one of them waits for its data.
        let sessions = match self.device.is_gpu() {
            true => self.workers().min(2),
            false => self.workers(),
        };
        let builder = match &self.precision {
            Some(precision) => builder.precision(precision),
            None => builder,
        };
        let mut builder = builder
            .device(self.device)
            .ask_python(true)
            .sessions(sessions)
            .reading(self.reading()?);
        if let Some(rows) = self.batch_size {
            builder = builder.batch_size(rows as usize);
        }
        if let Some(library) = &self.onnxruntime {
            builder = builder.onnxruntime_library(library);
        }
        Ok(builder)
    }
}
