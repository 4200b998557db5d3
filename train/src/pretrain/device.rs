//! The device to train on, by name.

use burn::prelude::Device;

#[cfg(feature = "libtorch")]
use crate::model::libtorch;
use satmip::{Error, Result};

/// Set to 1, wgpu's software adapters count as devices: to test that path where there is no GPU.
#[cfg(feature = "wgpu")]
const ALLOW_SOFTWARE: &str = "SATMIP_ALLOW_SOFTWARE_GPU";

/// A device by its name: `cpu`, and with the features of that name `libtorch` (PyTorch's library on the CPU) and
/// `libtorch-cuda`, `cuda`, `wgpu` or `vulkan`, the GPUs with `:N` for the N-th of several.
///
/// # Errors
/// [`Error::Device`] with a hint, for a device that this build or this machine lacks. wgpu's software
/// adapters count as missing: they are many times slower than the CPU backend. The environment variable
/// `SATMIP_ALLOW_SOFTWARE_GPU=1` allows them, for tests.
pub fn device(name: &str) -> Result<Device> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, index.parse().ok()),
        None => (name, Some(0usize)),
    };
    let Some(index) = index else {
        return Err(missing(name, "its number cannot be read", "write `cuda:0`"));
    };
    match kind {
        "cpu" if index == 0 => Ok(Device::flex()),
        "libtorch" if index == 0 => libtorch(name),
        "libtorch-cuda" => libtorch_cuda(name, index),
        "cuda" => cuda(name, index),
        "wgpu" | "vulkan" => gpu(name, kind, index),
        _ => Err(missing(
            name,
            "there is no such device",
            "choose `cpu`, `libtorch`, `libtorch-cuda`, `cuda`, `wgpu` or `vulkan`",
        )),
    }
}

/// Whether a device is libtorch's.
pub(super) fn is_libtorch(device: &Device) -> bool {
    #[cfg(feature = "libtorch")]
    return libtorch::is_device(device);
    #[cfg(not(feature = "libtorch"))]
    {
        let _ = device;
        false
    }
}

/// How many threads libtorch's operations on the CPU take from now on; nothing in a build without it.
pub(super) fn limit_threads(threads: usize) {
    #[cfg(feature = "libtorch")]
    libtorch::set_threads(threads);
    #[cfg(not(feature = "libtorch"))]
    let _ = threads;
}

#[cfg(feature = "libtorch")]
fn libtorch(_: &str) -> Result<Device> {
    Ok(libtorch::cpu())
}

#[cfg(feature = "libtorch")]
fn libtorch_cuda(name: &str, index: usize) -> Result<Device> {
    match libtorch::cuda_devices() {
        found if index < found => Ok(libtorch::cuda(index)),
        0 => {
            let hint = "`nvidia-smi` shows devices and driver; a libtorch with CUDA is the PyPI package `torch`, \
                        whose `torch/lib` and `nvidia/*/lib` belong in LD_LIBRARY_PATH";
            Err(missing(name, "libtorch finds no CUDA device", hint))
        }
        found => {
            let reason = format!("libtorch shows {found} CUDA devices, counted from 0");
            Err(missing(name, &reason, "`nvidia-smi` shows the devices"))
        }
    }
}

#[cfg(not(feature = "libtorch"))]
fn libtorch(name: &str) -> Result<Device> {
    Err(not_built(name, "libtorch"))
}

#[cfg(not(feature = "libtorch"))]
fn libtorch_cuda(name: &str, _: usize) -> Result<Device> {
    Err(not_built(name, "libtorch"))
}

#[cfg(feature = "cuda")]
fn cuda(name: &str, index: usize) -> Result<Device> {
    use burn::tensor::DeviceType;

    let found = Device::enumerate(DeviceType::Cuda).into_vec();
    found.into_iter().nth(index).ok_or_else(|| {
        let hint = "`nvidia-smi` shows the devices and the driver; libcuda must be found";
        missing(name, "CUDA shows no such device", hint)
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(name: &str, _: usize) -> Result<Device> {
    Err(not_built(name, "cuda"))
}

#[cfg(feature = "wgpu")]
fn gpu(name: &str, kind: &str, index: usize) -> Result<Device> {
    use burn::tensor::DeviceType;

    let filter = match kind {
        "wgpu" => DeviceType::Wgpu,
        _ => {
            #[cfg(feature = "vulkan")]
            {
                DeviceType::Vulkan
            }
            #[cfg(not(feature = "vulkan"))]
            return Err(not_built(name, "vulkan"));
        }
    };
    let found = Device::enumerate(filter).into_vec();
    let allowed = std::env::var(ALLOW_SOFTWARE).is_ok_and(|value| value == "1");
    let mut usable = found.into_iter().filter(|d| allowed || !is_software(d));
    usable.nth(index).ok_or_else(|| {
        let hint =
            "`vulkaninfo --summary` shows the adapters; a driver for the GPU must be installed";
        missing(
            name,
            "there is no such GPU, only software adapters if any",
            hint,
        )
    })
}

#[cfg(not(feature = "wgpu"))]
fn gpu(name: &str, kind: &str, _: usize) -> Result<Device> {
    Err(not_built(name, kind))
}

/// Whether an adapter is a program on the CPU.
#[cfg(feature = "wgpu")]
fn is_software(device: &Device) -> bool {
    format!("{device:?}").contains("Cpu")
}

fn not_built(name: &str, feature: &str) -> Error {
    let hint = format!("build with `-p satmip-cli --features {feature}`");
    missing(name, "this build is without it", &hint)
}

fn missing(name: &str, reason: &str, hint: &str) -> Error {
    Error::Device {
        device: name.to_owned(),
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_there_or_an_error_with_a_hint() {
        assert!(device("cpu").is_ok());
        for name in ["cpu:1", "libtorch:1", "tpu", "cuda:x", ""] {
            let error = device(name).unwrap_err();
            assert!(error.hint().is_some(), "{error}");
        }
        #[cfg(not(feature = "cuda"))]
        assert!(
            device("cuda")
                .unwrap_err()
                .hint()
                .unwrap()
                .contains("--features cuda")
        );
    }
}
