//! PyTorch's library under burn: its devices, and its own automatic differentiation.
//!
//! All that is libtorch's stands here: burn calls its backend for it deprecated and will drop it.
//!
//! burn's autodiff takes a convolution's gradients apart into other convolutions, which libtorch computes far more
//! slowly than its own (a depthwise one channel by channel), and batch norm into a dozen passes. So convolutional
//! towers on libtorch are differentiated by libtorch itself: their weights become leaves of its graph, the
//! tower passes on the device without burn's autodiff, which records that graph, and [`gradients`] asks it.
//! burn's backend for libtorch changes tensors in place where nobody else has them, which libtorch allows as long as
//! no operation has kept the old numbers for its gradient; it refuses loudly where one has. The operations of
//! convolutional towers keep their inputs alone, but for [`relu`](burn::tensor::activation::relu), which keeps its
//! output.
#![allow(deprecated)] // The backend as a whole.

use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::prelude::{Device, Tensor};
use burn::tensor::FloatDType;

/// libtorch's CPU.
pub(crate) fn cpu() -> Device {
    Device::libtorch()
}

/// The N-th of libtorch's CUDA devices.
pub(crate) fn cuda(index: usize) -> Device {
    Device::libtorch_cuda(index)
}

/// How many CUDA devices libtorch finds.
pub(crate) fn cuda_devices() -> usize {
    match tch::Cuda::is_available() {
        true => usize::try_from(tch::Cuda::device_count()).unwrap_or(0),
        false => 0,
    }
}

/// How many threads an operation on the CPU takes from now on.
pub(crate) fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}

/// Whether a device is libtorch's.
pub(crate) fn is_device(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    device == cpu() || (0..cuda_devices()).any(|index| device == cuda(index))
}

/// A tower of a training module with its weights as leaves of libtorch's graph, in a precision of their own. Running
/// statistics are shared with the original, so that they go on with it.
pub(crate) fn leaves<M: Module>(tower: &M, precision: Option<FloatDType>) -> M {
    tower.clone().map(&mut Leaves { precision })
}

struct Leaves {
    precision: Option<FloatDType>,
}

impl ModuleMapper for Leaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics.
        if !param.is_require_grad() {
            return param;
        }
        let weights = param.val().inner();
        let weights = match self.precision {
            Some(precision) => weights.cast(precision),
            None => weights,
        };
        let leaf = native(weights).map(|weights| weights.detach().set_requires_grad(true));
        match leaf {
            Some(leaf) => Param::initialized(param.id, from_native(leaf)),
            None => param,
        }
    }
}

/// The numbers alone, without libtorch's graph.
pub(crate) fn detached<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    match native(tensor.clone()) {
        // A copy: burn may change it in place.
        Some(tensor) => from_native(tensor.detach().copy()),
        None => tensor.clone(),
    }
}

/// The gradients of a replica's weights ([`leaves`]), from what it gave and the gradient by that.
pub(crate) fn gradients<M: Module>(
    replica: &M,
    given: Tensor<2>,
    by_given: Tensor<2>,
) -> Result<GradientsParams, String> {
    let missing = || "a tensor is not libtorch's".to_owned();
    let given = native(given).ok_or_else(missing)?;
    let by_given = native(by_given).ok_or_else(missing)?;
    let mut weights = Weights::default();
    replica.visit(&mut weights);
    // Its gradient by what was given is the other factor.
    let surrogate = (given * by_given).sum(None);
    let found = tch::Tensor::f_run_backward(&[surrogate], &weights.tensors, false, false);
    let found = found.map_err(|error| error.to_string())?;
    let mut gradients = GradientsParams::new();
    for ((id, rank), gradient) in weights.ids.into_iter().zip(found) {
        match rank {
            1 => gradients.register(id, from_native::<1>(gradient)),
            2 => gradients.register(id, from_native::<2>(gradient)),
            3 => gradients.register(id, from_native::<3>(gradient)),
            _ => gradients.register(id, from_native::<4>(gradient)),
        }
    }
    Ok(gradients)
}

/// A module's weights in the order of its fields.
#[derive(Default)]
struct Weights {
    ids: Vec<(ParamId, usize)>,
    tensors: Vec<tch::Tensor>,
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = native(param.val()).filter(tch::Tensor::requires_grad);
        if let Some(tensor) = tensor {
            self.ids.push((param.id, D));
            self.tensors.push(tensor);
        }
    }
}

/// Whether a tensor is a part of libtorch's graph.
pub(super) fn is_recorded<const D: usize>(tensor: &Tensor<D>) -> bool {
    native(tensor.clone()).is_some_and(|tensor| tensor.requires_grad())
}

/// Batch norm by the statistics of the batch, with its mean and its variance (divided by the number, not by one less).
pub(super) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Option<(Tensor<4>, Tensor<1>, Tensor<1>)> {
    let (x, gamma, beta) = (native(x)?, native(gamma)?, native(beta)?);
    let (y, mean, inverse) =
        x.native_batch_norm(Some(gamma), Some(beta), None, None, true, 0.0, epsilon);
    let variance = inverse.detach().pow_tensor_scalar(-2) - epsilon;
    Some((
        from_native(y),
        from_native(mean.detach().copy()),
        from_native(variance),
    ))
}

fn native<const D: usize>(tensor: Tensor<D>) -> Option<tch::Tensor> {
    let tensor = tensor.try_into_primitive::<LibTorch>().ok()?;
    Some(tensor.tensor)
}

fn from_native<const D: usize>(tensor: tch::Tensor) -> Tensor<D> {
    Tensor::from_primitive::<LibTorch>(TchTensor::new(tensor))
}
