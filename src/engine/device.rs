//! Where a graph runs.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Where a graph runs. [`Device::Auto`] alone leaves the choice to the crate; every other device
/// is that device or an error, never another one in silence.
///
/// ```
/// let device: satmip::Device = "rten".parse()?;
/// assert_eq!(device, satmip::Device::Rten);
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// ONNX Runtime on the CPU where a usable library is found, else the built-in rten.
    #[default]
    Auto,
    /// The built-in rten, on the CPU.
    Rten,
    /// ONNX Runtime on the CPU.
    OnnxRuntime,
    /// ONNX Runtime on the NVIDIA GPU of this number, by CUDA.
    Cuda(u32),
    /// ONNX Runtime on the NVIDIA GPU of this number, by TensorRT.
    TensorRt(u32),
}

impl Device {
    /// Whether the graph runs on a GPU.
    pub fn is_gpu(self) -> bool {
        matches!(self, Device::Cuda(_) | Device::TensorRt(_))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.pad("auto"),
            Device::Rten => f.pad("rten"),
            Device::OnnxRuntime => f.pad("onnxruntime"),
            Device::Cuda(gpu) => f.pad(&format!("cuda:{gpu}")),
            Device::TensorRt(gpu) => f.pad(&format!("tensorrt:{gpu}")),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `auto`, `rten`, `onnxruntime`, `cuda`, `cuda:N`, `tensorrt`, `tensorrt:N`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::Argument {
            what: "device",
            reason: format!(
                "`{}` is none of auto, rten, onnxruntime, cuda:N and tensorrt:N",
                text.chars().take(40).collect::<String>()
            ),
        };
        let (name, gpu) = match text.split_once(':') {
            None => (text, None),
            Some((name, number)) => (name, Some(number.parse().map_err(|_| unknown())?)),
        };
        match (name, gpu) {
            ("auto", None) => Ok(Device::Auto),
            ("rten", None) => Ok(Device::Rten),
            ("onnxruntime", None) => Ok(Device::OnnxRuntime),
            ("cuda", gpu) => Ok(Device::Cuda(gpu.unwrap_or(0))),
            ("tensorrt", gpu) => Ok(Device::TensorRt(gpu.unwrap_or(0))),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_goes_both_ways() {
        for device in [
            Device::Auto,
            Device::Rten,
            Device::OnnxRuntime,
            Device::Cuda(0),
            Device::TensorRt(3),
        ] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "gpu", "cuda:", "cuda:-1", "rten:0", "CUDA", "cuda:0:1"] {
            let error = text.parse::<Device>().unwrap_err();
            assert!(
                matches!(error, Error::Argument { what: "device", .. }),
                "{text}"
            );
        }
    }
}
