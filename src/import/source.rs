//! Tensors by name from a safetensors file or a PyTorch checkpoint.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::export::Weights;

/// A file of named tensors whose numbers are read when they are asked for.
#[derive(Debug)]
pub(super) enum Source {
    Safetensors(Weights),
    #[cfg(feature = "train")]
    PyTorch(pytorch::File),
}

impl Source {
    /// Reads the header of a file of either kind, told by its name or by the brace with which the
    /// header of safetensors begins.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Weights`] for a file that is damaged, and [`Error::Import`] for a
    /// PyTorch checkpoint where the program cannot read one.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(9).read_to_end(&mut start))
            .map_err(|e| Error::io(path, e))?;
        let extension = path.extension().is_some_and(|e| e == "safetensors");
        if extension || start.get(8) == Some(&b'{') {
            return Weights::open(path).map(Source::Safetensors);
        }
        Self::pickled(path)
    }

    #[cfg(feature = "train")]
    fn pickled(path: &Path) -> Result<Self> {
        pytorch::File::open(path).map(Source::PyTorch)
    }

    #[cfg(not(feature = "train"))]
    fn pickled(path: &Path) -> Result<Self> {
        Err(Error::Import {
            path: path.to_owned(),
            reason: "it is no safetensors file, and this program reads no PyTorch checkpoints".into(),
            hint: Some(
                "save it as safetensors (`safetensors.torch.save_file`), or build with the feature \
                 `train`"
                    .into(),
            ),
        })
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Source::Safetensors(weights) => weights.path(),
            #[cfg(feature = "train")]
            Source::PyTorch(file) => &file.path,
        }
    }

    /// Names of all tensors, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = match self {
            Source::Safetensors(weights) => weights.names(),
            #[cfg(feature = "train")]
            Source::PyTorch(file) => file.tensors.keys().cloned().collect(),
        };
        names.sort();
        names
    }

    /// Shape of a tensor; empty where there is none of this name, which no caller asks for.
    pub(super) fn shape(&self, name: &str) -> Vec<usize> {
        match self {
            Source::Safetensors(weights) => weights.shape(name).unwrap_or_default().to_vec(),
            #[cfg(feature = "train")]
            Source::PyTorch(file) => match file.tensors.get(name) {
                Some(tensor) => tensor.shape().to_vec(),
                None => Vec::new(),
            },
        }
    }

    /// Numbers of a tensor, widened to f32.
    ///
    /// # Errors
    /// [`Error::Weights`] names the tensor when it cannot be read, is not of floats, or has a number
    /// that is not finite.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        match self {
            Source::Safetensors(weights) => weights.numbers(name, &self.shape(name)),
            #[cfg(feature = "train")]
            Source::PyTorch(file) => file.numbers(name),
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

#[cfg(feature = "train")]
mod pytorch {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::{Path, PathBuf};

    use burn::store::pytorch_reader::{DType, PytorchReader, Tensor};
    use half::{bf16, f16};

    use crate::error::{Error, Result};

    /// A PyTorch checkpoint; keys of nested dictionaries are joined by dots.
    pub(in super::super) struct File {
        pub(super) path: PathBuf,
        pub(super) tensors: BTreeMap<String, Tensor>,
    }

    impl std::fmt::Debug for File {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("File")
                .field("path", &self.path)
                .field("tensors", &self.tensors.len())
                .finish()
        }
    }

    impl File {
        pub(super) fn open(path: &Path) -> Result<Self> {
            let reader = caught(|| PytorchReader::new(path).map_err(|e| e.to_string()));
            let reader = reader.map_err(|e| {
                let reason = format!("is no PyTorch checkpoint: {e}");
                fault(path, "(header)", reason)
            })?;
            Ok(File {
                path: path.to_owned(),
                tensors: reader.into_tensors().into_iter().collect(),
            })
        }

        pub(super) fn numbers(&self, name: &str) -> Result<Vec<f32>> {
            let fail = |reason: String| fault(&self.path, name, reason);
            let tensor = self.tensors.get(name);
            let tensor = tensor.ok_or_else(|| fail("is missing".into()))?;
            let dtype = tensor.dtype();
            if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
                let reason = format!("is of {dtype:?}, expected F32, F16 or BF16");
                return Err(fail(reason));
            }
            let bytes = caught(|| tensor.read().map_err(|e| e.to_string()))
                .map_err(|e| fail(format!("cannot be read: {e}")))?;
            // The reader gives native byte order.
            let pairs = || bytes.as_chunks::<2>().0.iter();
            let numbers: Vec<f32> = match dtype {
                DType::F16 => pairs().map(|b| f16::from_ne_bytes(*b).to_f32()).collect(),
                DType::BF16 => pairs().map(|b| bf16::from_ne_bytes(*b).to_f32()).collect(),
                _ => {
                    let singles = bytes.as_chunks::<4>().0.iter();
                    singles.map(|b| f32::from_ne_bytes(*b)).collect()
                }
            };
            let shape = tensor.shape().to_vec();
            if Some(numbers.len()) != shape.iter().try_fold(1, |p: usize, n| p.checked_mul(*n)) {
                let reason = format!("has {} numbers, its shape is {shape:?}", numbers.len());
                return Err(fail(reason));
            }
            match numbers.iter().position(|v| !v.is_finite()) {
                None => Ok(numbers),
                Some(place) => {
                    let reason = format!("number {place} of {} is not finite", numbers.len());
                    Err(fail(reason))
                }
            }
        }
    }

    fn fault(path: &Path, tensor: &str, reason: String) -> Error {
        Error::Weights {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            reason,
        }
    }

    /// A reader's result, or what it panicked with.
    fn caught<T>(action: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(text.unwrap_or("the reader failed").to_owned())
        })
    }
}
