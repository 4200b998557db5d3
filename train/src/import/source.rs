//! Tensors by name from a safetensors file or a PyTorch checkpoint.

use std::path::{Path, PathBuf};

use crate::model::Checkpoint;
use satmip::export::Weights;
use satmip::{Error, Result};

/// A file of named tensors whose numbers are read when they are asked for.
#[derive(Debug)]
pub(super) enum WeightsFile {
    Safetensors(Weights),
    PyTorch(PathBuf, Checkpoint),
}

impl WeightsFile {
    /// Reads the header of a file of either kind, told by its name or by the brace with which the
    /// header of safetensors begins.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Weights`] for a file that is damaged, and [`Error::Import`] for a
    /// PyTorch checkpoint where the program cannot read one.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if Weights::is_at(path)? {
            return Weights::open(path).map(WeightsFile::Safetensors);
        }
        Self::pickled(path)
    }

    fn pickled(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        Ok(WeightsFile::PyTorch(path.to_owned(), checkpoint))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            WeightsFile::Safetensors(weights) => weights.path(),
            WeightsFile::PyTorch(path, _) => path,
        }
    }

    /// Names of all tensors, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = match self {
            WeightsFile::Safetensors(weights) => weights.names(),
            WeightsFile::PyTorch(_, checkpoint) => checkpoint.names(),
        };
        names.sort();
        names
    }

    /// Shape of a tensor; empty where there is none of this name, which no caller asks for.
    pub(super) fn shape(&self, name: &str) -> Vec<usize> {
        self.shape_of(name).unwrap_or_default()
    }

    /// Shape of a tensor, where there is one of this name.
    pub(super) fn shape_of(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            WeightsFile::Safetensors(weights) => weights.shape(name).map(<[usize]>::to_vec),
            WeightsFile::PyTorch(_, checkpoint) => checkpoint.shape(name),
        }
    }

    /// Numbers of a tensor, widened to f32.
    ///
    /// # Errors
    /// [`Error::Weights`] names the tensor when it cannot be read, is not of floats, or has a number
    /// that is not finite.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        match self {
            WeightsFile::Safetensors(weights) => weights.numbers(name, &self.shape(name)),
            WeightsFile::PyTorch(_, checkpoint) => checkpoint.numbers(name, &self.shape(name)),
        }
    }

    /// An error that names this file and a tensor.
    pub(super) fn fault(&self, tensor: &str, reason: impl Into<String>) -> Error {
        Error::Weights {
            path: self.path().to_owned(),
            tensor: tensor.to_owned(),
            reason: reason.into(),
        }
    }

    /// An error that names this file.
    pub(super) fn refuse(&self, reason: impl Into<String>, hint: Option<&str>) -> Error {
        Error::Import {
            path: PathBuf::from(self.path()),
            reason: reason.into(),
            hint: hint.map(str::to_owned),
        }
    }
}
