//! A convolution and the batch norm behind it.

use burn::module::{Module, ModuleMapper, Param, ParamId, RunningState};
use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::prelude::Tensor;

use super::depthwise::convolve;
#[cfg(feature = "libtorch")]
use super::libtorch;

/// `norm(conv(x))`. Where the norm takes its running statistics as they are, because it is frozen or nothing is
/// trained, it is a factor and a shift for each channel: they go into the convolution's weights, which are far
/// smaller than the map. The convolution has no bias.
pub(super) fn conv_norm(conv: &Conv2d, norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    let learns = norm.training.is_enabled();
    if learns && device.is_autodiff() {
        return norm.forward(convolve(conv, x));
    }
    #[cfg(feature = "libtorch")]
    if learns && libtorch::is_recorded(&conv.weight.val()) {
        return recorded(norm, convolve(conv, x));
    }
    let on_device = |state: &RunningState<Tensor<1>>| {
        let value = state.value();
        match value.device().is_autodiff() && !device.is_autodiff() {
            true => value.inner(),
            false => value.to_device(&device),
        }
    };
    let (mean, variance) = (on_device(&norm.running_mean), on_device(&norm.running_var));
    let factor = norm.gamma.val() * (variance + norm.epsilon).sqrt().recip();
    let shift = norm.beta.val() - mean * factor.clone();
    let channels = factor.dims()[0];
    let mut folded = conv.clone();
    let weight = conv.weight.val() * factor.reshape([channels, 1, 1, 1]);
    folded.weight = Param::initialized(ParamId::new(), weight);
    folded.bias = Some(Param::initialized(ParamId::new(), shift));
    convolve(&folded, x)
}

/// Batch norm by the batch's statistics in libtorch's graph; the running ones go on as burn's do.
#[cfg(feature = "libtorch")]
fn recorded(norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    let Some((y, mean, variance)) = libtorch::batch_norm(x.clone(), gamma, beta, norm.epsilon)
    else {
        return norm.forward(x);
    };
    let keep = 1.0 - norm.momentum;
    for (state, now) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        state.update(state.value_sync() * keep + Tensor::from_inner(now) * norm.momentum);
    }
    y
}

/// The module with its batch norms frozen: training takes the running statistics and leaves them, and only
/// factors and shifts are learned.
pub(super) fn freeze_statistics<M: Module>(module: M) -> M {
    struct Freeze;
    impl ModuleMapper for Freeze {
        fn map_flag(&mut self, flag: Param<burn::module::Flag>) -> Param<burn::module::Flag> {
            flag.with_value(false)
        }
    }
    module.map(&mut Freeze)
}

#[cfg(test)]
mod tests {
    use burn::nn::BatchNormConfig;
    use burn::nn::conv::Conv2dConfig;
    use burn::prelude::Device;
    use burn::tensor::Distribution;

    use super::*;

    #[derive(Module, Debug)]
    struct Pair {
        conv: Conv2d,
        norm: BatchNorm,
    }

    fn pair(device: &Device) -> Pair {
        let pair = Pair {
            conv: Conv2dConfig::new([2, 3], [3, 3])
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(3).init(device),
        };
        let x = Tensor::random([4, 2, 9, 9], Distribution::Normal(1.0, 2.0), device);
        // Statistics that are not 0 and 1.
        for _ in 0..3 {
            conv_norm(&pair.conv, &pair.norm, x.clone());
        }
        pair
    }

    fn worst<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn frozen_is_the_norm_of_its_statistics_with_the_same_gradients() {
        let device = Device::flex().autodiff();
        device.seed(5);
        let Pair { conv, norm } = freeze_statistics(pair(&device));
        let before = norm.running_mean.value_sync();
        let x = Tensor::random([4, 2, 9, 9], Distribution::Normal(0.0, 1.0), &device);
        let x = x.require_grad();
        let theirs = norm.forward(conv.forward(x.clone()));
        let ours = conv_norm(&conv, &norm, x.clone());
        assert!(worst(ours.clone(), theirs.clone()) < 1e-5);
        let weights = Tensor::random(ours.dims(), Distribution::Normal(0.0, 1.0), &device);
        let ours = (ours * weights.clone()).sum().backward();
        let theirs = (theirs * weights).sum().backward();
        fn close<const D: usize>([a, b]: [Tensor<D>; 2]) {
            let most: f32 = b.clone().abs().max().into_scalar();
            assert!(most > 0.01 && worst(a, b) < 1e-4 * most.max(1.0), "{most}");
        }
        close([&ours, &theirs].map(|g| x.grad(g).unwrap()));
        close([&ours, &theirs].map(|g| conv.weight.val().grad(g).unwrap()));
        for part in [norm.gamma.val(), norm.beta.val()] {
            close([&ours, &theirs].map(|g| part.grad(g).unwrap()));
        }
        assert_eq!(worst(norm.running_mean.value_sync(), before), 0.0);
    }

    #[test]
    fn without_gradients_it_is_the_norm_of_its_statistics() {
        let device = Device::flex().autodiff();
        device.seed(6);
        let Pair { conv, norm } = pair(&device).valid();
        let x = Tensor::random(
            [2, 2, 9, 9],
            Distribution::Normal(0.0, 1.0),
            &Device::flex(),
        );
        let theirs = norm.forward(conv.forward(x.clone()));
        assert!(worst(conv_norm(&conv, &norm, x), theirs) < 1e-5);
    }
}
