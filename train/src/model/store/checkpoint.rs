//! Tensors by name from a safetensors file or a PyTorch checkpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::store::pytorch_reader::{DType, PytorchReader, Tensor};
use half::{bf16, f16};

use super::{Place, caught, some};
use satmip::export::Weights;
use satmip::parts::ROOTS;
use satmip::{Error, Result};

/// A file of named tensors whose numbers are read when they are asked for.
pub(crate) enum Checkpoint {
    Safetensors(Weights),
    PyTorch {
        path: PathBuf,
        /// Keys of nested dictionaries are joined by dots.
        tensors: BTreeMap<String, Tensor>,
    },
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("tensors", &self.names().len())
            .finish_non_exhaustive()
    }
}

impl Checkpoint {
    /// Reads the header of a safetensors file.
    pub(super) fn safetensors(path: &Path) -> Result<Self> {
        Weights::open(path).map(Checkpoint::Safetensors)
    }

    /// Reads the header of a file of either kind. The name's extension tells safetensors, or else
    /// the brace with which its header begins.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if Weights::is_at(path)? {
            return Self::safetensors(path);
        }
        let reader = caught(|| PytorchReader::new(path).map_err(|e| e.to_string()))
            .and_then(|read| read)
            .map_err(|e| fault(path, "(header)", format!("is no PyTorch checkpoint: {e}")))?;
        Ok(Checkpoint::PyTorch {
            path: path.to_owned(),
            tensors: reader.into_tensors().into_iter().collect(),
        })
    }

    /// Names of all tensors.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Checkpoint::Safetensors(weights) => weights.names(),
            Checkpoint::PyTorch { tensors, .. } => tensors.keys().cloned().collect(),
        }
    }

    /// Shape of a tensor, where there is one of this name.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            Checkpoint::Safetensors(weights) => weights.shape(name).map(<[usize]>::to_vec),
            Checkpoint::PyTorch { tensors, .. } => tensors.get(name).map(|t| t.shape().to_vec()),
        }
    }

    /// Numbers of a tensor that has this shape, widened to f32.
    pub(crate) fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (path, tensors) = match self {
            Checkpoint::Safetensors(weights) => return weights.numbers(name, shape),
            Checkpoint::PyTorch { path, tensors } => (path, tensors),
        };
        let fail = |reason: String| fault(path, name, reason);
        let tensor = tensors.get(name).ok_or_else(|| fail("is missing".into()))?;
        let dtype = tensor.dtype();
        if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
            let reason = format!("is of {dtype:?}, expected F32, F16 or BF16");
            return Err(fail(reason));
        }
        let bytes = caught(|| tensor.read().map_err(|e| e.to_string()))
            .and_then(|read| read)
            .map_err(|e| fail(format!("cannot be read: {e}")))?;
        let numbers = widen(dtype, &bytes);
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

    /// What stands before the names of a module's places, and which of their spellings the file has: the root,
    /// with the prefix, and the spelling under which most are found.
    pub(super) fn origin(
        &self,
        prefix: &str,
        spellings: Vec<Vec<Place>>,
    ) -> Result<(String, Vec<Place>)> {
        let found = |origin: &str, places: &[Place]| {
            let there = |p: &&Place| self.shape(&format!("{origin}{}", p.spelled)).is_some();
            places.iter().filter(there).count()
        };
        let mut best: Option<(usize, String, usize)> = None;
        for (which, places) in spellings.iter().enumerate() {
            for origin in ROOTS.map(|root| format!("{root}{prefix}")) {
                let count = found(&origin, places);
                // The first of equals stays: the likelier come first.
                if count > best.as_ref().map_or(0, |(most, ..)| *most) {
                    best = Some((count, origin, which));
                }
            }
        }
        match best {
            Some((_, origin, which)) => {
                let places = spellings.into_iter().nth(which).unwrap_or_default();
                Ok((origin, places))
            }
            None => Err(self.fault("", self.nothing_found(prefix, &spellings.concat()))),
        }
    }

    /// Why no place was found, with the prefix that would have found one.
    fn nothing_found(&self, prefix: &str, places: &[Place]) -> String {
        let names = self.names();
        let other = places.iter().find_map(|place| {
            let mut before = names.iter().filter_map(|n| n.strip_suffix(&place.spelled));
            before.find(|p| p.ends_with('.') || p.is_empty())
        });
        let advice = match other {
            Some(other) => format!("; the prefix may be `{other}`"),
            None => String::new(),
        };
        let list = some(names.into_iter());
        format!("has no weight of the tower after the prefix `{prefix}`, only {list}{advice}")
    }

    /// An error that names this file.
    pub(super) fn fault(&self, tensor: &str, reason: String) -> Error {
        match self {
            Checkpoint::Safetensors(weights) => fault(weights.path(), tensor, reason),
            Checkpoint::PyTorch { path, .. } => fault(path, tensor, reason),
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

/// The reader gives native byte order.
fn widen(dtype: DType, data: &[u8]) -> Vec<f32> {
    let pairs = || data.as_chunks::<2>().0.iter();
    match dtype {
        DType::F16 => pairs().map(|b| f16::from_ne_bytes(*b).to_f32()).collect(),
        DType::BF16 => pairs().map(|b| bf16::from_ne_bytes(*b).to_f32()).collect(),
        _ => {
            let singles = data.as_chunks::<4>().0.iter();
            singles.map(|b| f32::from_ne_bytes(*b)).collect()
        }
    }
}
