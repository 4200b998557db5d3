//! Weights by name from a safetensors file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use safetensors::tensor::{Metadata, TensorView, serialize};
use safetensors::{Dtype, SafeTensorError};
use satmip_export::Tensor;
use satmip_export::layers::{Attention, BatchNorm, Conv2d, GeluMlp, LayerNorm, Linear, ReGlu};

use crate::error::{Error, Result};

/// Most bytes of a header; safetensors' own limit.
const MOST_HEADER: u64 = 100_000_000;

/// Named tensors of a safetensors file, read one at a time and checked as they are read.
///
/// Tensors of f32, f16 and bf16 are accepted and widened to f32. Names and shapes are those of
/// [`crate::arch::names`]; tensors with other names are left alone.
pub struct Weights {
    path: PathBuf,
    header: Metadata,
    /// Where the tensors begin in the file.
    start: u64,
    source: Held,
}

enum Held {
    File(Mutex<File>),
    Bytes(Vec<u8>),
}

/// Where PyTorch checkpoints keep their weights, the likelier first: at the top, or under the keys
/// that PyTorch's tutorials, timm, DINO and MAE write.
pub const ROOTS: [&str; 6] = [
    "",
    "state_dict.",
    "model_state_dict.",
    "model.",
    "teacher.",
    "student.",
];

impl Weights {
    /// Whether a file is one of safetensors: its name's extension tells, or else the brace with
    /// which its header begins.
    #[doc(hidden)]
    pub fn is_at(path: &Path) -> Result<bool> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(9).read_to_end(&mut start))
            .map_err(|e| Error::io(path, e))?;
        let extension = path.extension().is_some_and(|e| e == "safetensors");
        Ok(extension || start.get(8) == Some(&b'{'))
    }

    /// Opens a file and reads its header. Tensors are read when they are asked for.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Weights`] for a file that is no whole safetensors file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::io(path, source);
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        if size >= 8 {
            file.read_exact(&mut length).map_err(io)?;
        }
        let length = header_length(path, length, size)?;
        let mut header = vec![0; length];
        file.read_exact(&mut header).map_err(io)?;
        let header = parse_header(path, &header, size)?;
        Ok(Weights {
            path: path.to_owned(),
            header,
            start: 8 + length as u64,
            source: Held::File(Mutex::new(file)),
        })
    }

    /// Takes a whole safetensors file from memory; `label` stands for its path in errors.
    ///
    /// # Errors
    /// [`Error::Weights`] for bytes that are no whole safetensors file.
    pub fn from_bytes(bytes: Vec<u8>, label: impl Into<PathBuf>) -> Result<Self> {
        let path = label.into();
        let size = bytes.len() as u64;
        let first = bytes.first_chunk::<8>().copied().unwrap_or_default();
        let length = header_length(&path, first, size)?;
        let header = parse_header(&path, &bytes[8..8 + length], size)?;
        Ok(Weights {
            path,
            header,
            start: 8 + length as u64,
            source: Held::Bytes(bytes),
        })
    }

    /// Tensors by name, with their shapes, as a safetensors file in memory; `label` stands for its path in
    /// errors.
    pub(super) fn in_memory(
        tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
        label: impl Into<PathBuf>,
    ) -> Result<Self> {
        let label = label.into();
        let refused = |e: SafeTensorError| fault(&label, "(header)", e.to_string());
        let bytes = tensors.iter().map(|(name, (shape, numbers))| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name, shape, bytes)
        });
        let bytes: Vec<_> = bytes.collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)?;
            Ok((*name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let file = serialize(views, None).map_err(refused)?;
        Weights::from_bytes(file, label)
    }

    /// The whole safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read any more.
    #[cfg(feature = "serve")]
    pub(super) fn file(&self) -> Result<Vec<u8>> {
        match &self.source {
            Held::Bytes(bytes) => Ok(bytes.clone()),
            Held::File(_) => std::fs::read(&self.path).map_err(|e| Error::io(&self.path, e)),
        }
    }

    /// The file, or the label given to [`Weights::from_bytes`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// Shape of a tensor, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(name).map(|info| info.shape.as_slice())
    }

    /// The numbers of a tensor that must have this shape, in row-major order.
    ///
    /// # Errors
    /// [`Error::Weights`] names the tensor when it is missing, has another shape or type, or has
    /// a number that is not finite.
    pub fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let info = self
            .header
            .info(name)
            .ok_or_else(|| self.fault(name, "is missing"))?;
        if info.shape != shape {
            let reason = format!("has shape {:?}, expected {shape:?}", info.shape);
            return Err(self.fault(name, reason));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let reason = format!("is of {:?}, expected F32, F16 or BF16", info.dtype);
            return Err(self.fault(name, reason));
        }
        let (from, to) = info.data_offsets;
        let numbers = match &self.source {
            Held::File(file) => widen(info.dtype, &self.read(file, from, to)?),
            Held::Bytes(bytes) => {
                let start = self.start as usize;
                let data = bytes.get(start + from..start + to);
                widen(info.dtype, data.unwrap_or_default())
            }
        };
        match numbers.iter().position(|v| !v.is_finite()) {
            None => Ok(numbers),
            Some(place) => {
                let reason = format!("number {place} of {} is not finite", numbers.len());
                Err(self.fault(name, reason))
            }
        }
    }

    fn read(&self, file: &Mutex<File>, from: usize, to: usize) -> Result<Vec<u8>> {
        // Every use of the file seeks first, so a panic elsewhere leaves nothing half done.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut data = vec![0; to - from];
        file.seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| file.read_exact(&mut data))
            .map_err(|source| Error::io(&self.path, source))?;
        Ok(data)
    }

    fn fault(&self, tensor: &str, reason: impl Into<String>) -> Error {
        fault(&self.path, tensor, reason)
    }

    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let numbers = self.numbers(name, shape)?;
        Tensor::f32(shape.to_vec(), numbers).map_err(|e| self.fault(name, e.to_string()))
    }

    pub(super) fn linear(
        &self,
        name: &str,
        input: usize,
        output: usize,
        bias: bool,
    ) -> Result<Linear> {
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), &[output, input])?,
            bias: match bias {
                true => Some(self.tensor(&format!("{name}.bias"), &[output])?),
                false => None,
            },
        })
    }

    pub(super) fn layer_norm(&self, name: &str, width: usize, epsilon: f64) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.tensor(&format!("{name}.weight"), &[width])?,
            bias: self.tensor(&format!("{name}.bias"), &[width])?,
            epsilon,
        })
    }

    pub(super) fn attention(&self, name: &str, width: usize, heads: usize) -> Result<Attention> {
        Ok(Attention {
            qkv: self.linear(&format!("{name}.qkv"), width, 3 * width, true)?,
            proj: self.linear(&format!("{name}.proj"), width, width, true)?,
            heads,
        })
    }

    pub(super) fn gelu_mlp(&self, name: &str, width: usize, hidden: usize) -> Result<GeluMlp> {
        Ok(GeluMlp {
            fc1: self.linear(&format!("{name}.fc1"), width, hidden, true)?,
            fc2: self.linear(&format!("{name}.fc2"), hidden, width, true)?,
        })
    }

    pub(super) fn reglu(&self, name: &str, width: usize, hidden: usize) -> Result<ReGlu> {
        Ok(ReGlu {
            fc1: self.linear(&format!("{name}.fc1"), width, 2 * hidden, true)?,
            fc2: self.linear(&format!("{name}.fc2"), hidden, width, true)?,
        })
    }

    /// A convolution with the batch norm behind it, of this epsilon, folded in. `shape` is the weight's,
    /// [out, in / groups, kernel, kernel].
    pub(super) fn folded_conv(
        &self,
        conv: &str,
        (norm, epsilon): (&str, f64),
        shape: [usize; 4],
        window: satmip_export::Window,
        groups: usize,
    ) -> Result<Conv2d> {
        let part = |part: &str| self.tensor(&format!("{norm}.{part}"), &shape[..1]);
        let batch_norm = BatchNorm {
            weight: part("weight")?,
            bias: part("bias")?,
            running_mean: part("running_mean")?,
            running_var: part("running_var")?,
            epsilon,
        };
        let conv = Conv2d {
            weight: self.tensor(&format!("{conv}.weight"), &shape)?,
            bias: None,
            window,
            groups,
        };
        conv.folded(&batch_norm)
            .map_err(|e| self.fault(&format!("{norm}.running_var"), e.to_string()))
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("path", &self.path)
            .field("tensors", &self.header.offset_keys().len())
            .finish_non_exhaustive()
    }
}

fn header_length(path: &Path, first: [u8; 8], size: u64) -> Result<usize> {
    let length = u64::from_le_bytes(first);
    if size < 8 || length == 0 || length > MOST_HEADER.min(size - 8) {
        return Err(fault(path, "(header)", "is no safetensors file"));
    }
    Ok(length as usize)
}

/// Parses the header and sees to it that the tensors fill the rest of the file exactly.
fn parse_header(path: &Path, header: &[u8], size: u64) -> Result<Metadata> {
    let parsed: Metadata = serde_json::from_slice(header)
        .map_err(|e| fault(path, "(header)", format!("is no safetensors file: {e}")))?;
    let whole = 8 + header.len() as u64 + parsed.data_len() as u64;
    if whole != size {
        let reason = format!("the file has {size} bytes, its header says {whole}");
        return Err(fault(path, "(header)", reason));
    }
    Ok(parsed)
}

fn fault(path: &Path, tensor: &str, reason: impl Into<String>) -> Error {
    Error::Weights {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        reason: reason.into(),
    }
}

fn widen(dtype: Dtype, data: &[u8]) -> Vec<f32> {
    let pairs = || data.as_chunks::<2>().0.iter();
    match dtype {
        Dtype::F16 => pairs().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        _ => {
            let singles = data.as_chunks::<4>().0.iter();
            singles.map(|b| f32::from_le_bytes(*b)).collect()
        }
    }
}
