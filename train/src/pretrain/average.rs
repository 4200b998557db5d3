//! An exponential moving average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::Tensor;

use crate::model::SatMip;

/// The average `a <- decay a + (1 - decay) w` after each step; running statistics of batch norm are
/// averaged likewise, as timm's `ModelEmaV2` does.
#[derive(Debug)]
pub(super) struct Average {
    model: SatMip,
    decay: f64,
}

impl Average {
    /// Starts from these weights.
    pub(super) fn new(model: &SatMip, decay: f64) -> Self {
        Self {
            model: model.valid(),
            decay,
        }
    }

    /// Takes over the weights of a checkpoint.
    pub(super) fn model_mut(&mut self) -> &mut SatMip {
        &mut self.model
    }

    /// The averaged model, without autodiff.
    pub(super) fn model(&self) -> &SatMip {
        &self.model
    }

    /// Goes on by one step.
    pub(super) fn update(&mut self, model: &SatMip) {
        let mut weights = GradientsParams::new();
        model.visit(&mut Gather(&mut weights));
        let decay = self.decay;
        self.model = self.model.clone().map(&mut Blend { weights, decay });
    }
}

/// Collects weights by their ids; burn's container of gradients is one for any rank.
struct Gather<'a>(&'a mut GradientsParams);

impl ModuleVisitor for Gather<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner());
    }
}

struct Blend {
    weights: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(now) = self.weights.remove::<D>(param.id) else {
            return param;
        };
        let decay = self.decay;
        param.map(|average| average * decay + now * (1.0 - decay))
    }
}
