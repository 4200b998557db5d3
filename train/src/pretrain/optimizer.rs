//! AdamW with two groups, a warm-up with cosine decay, and clipping by the global norm.

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{ModuleVisitor, Param, ParamGroup};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::{Module, Tensor};
use serde::{Deserialize, Serialize};

use satmip::arch::ImageTower;

/// AdamW and its schedule. The defaults of betas and epsilon are SLIP's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Largest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// Learning rate at the end of the cosine.
    #[serde(default = "final_rate")]
    pub final_learning_rate: f64,
    /// Steps of linear warm-up from 1e-6.
    pub warmup_steps: usize,
    /// The step at which the cosine ends, the run's last by default. A run that ends before it
    /// keeps a higher rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_steps: Option<usize>,
    /// Decay of matrices; none on norms, biases, tokens, positions and the logit scale.
    #[serde(default = "decay")]
    pub weight_decay: f64,
    /// Decay rates of the two moments.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Most that the norm of all gradients together may be; 0 for no clipping.
    #[serde(default)]
    pub clip_norm: f64,
    /// Largest learning rate of the image tower, where it is another than that of all else: a tower that starts
    /// from weights of its own needs less than heads that know nothing. It warms up and decays as the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tower_learning_rate: Option<f64>,
    /// The share of the learning rate that each stage of the image tower has of that of the stage behind it
    /// (layer-wise decay), above 0 and at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f64>,
}

/// The parts of a model whose learning rate is a share of the recipe's.
pub(super) struct Shares(Vec<(ParamGroup, f64)>);

impl Shares {
    /// The learning rates of a step.
    pub(super) fn of(&self, rate: f64) -> ModuleLearningRate {
        let all = ModuleLrScheduler::new(rate);
        let groups = self.0.iter();
        let mut all = groups.fold(all, |all, (group, share)| {
            all.with_group(group.clone(), rate * share)
        });
        all.step()
    }
}

/// The stages of an image tower from its input to its output, by the names of its weights.
fn stages(tower: &ImageTower) -> Vec<String> {
    let numbered = |name: &str, count: usize| {
        let stage = |i| format!(r"^image\.(?:\w+\.)?{name}\.{i}\.");
        (0..count).map(stage).collect::<Vec<_>>()
    };
    match tower {
        ImageTower::Vit(c) => numbered("blocks", c.depth),
        ImageTower::ResNet(c) => numbered("layers", c.depths.len()),
        ImageTower::EfficientNetLite(c) => numbered("blocks", c.stages.len()),
    }
}

/// Parameters without weight decay, by the names of this crate's modules.
const NO_DECAY: [&str; 6] = [
    r"\.(bias|gamma|beta)$",
    r"cls_token$",
    r"(pos_embed|positional_embedding)$",
    r"token_embedding\.weight$",
    r"(missing|numbers\.weight|categories\.weight)$",
    r"logit_scale$",
];

impl OptimizerConfig {
    /// The optimizer.
    pub(super) fn build(&self) -> Result<ModuleOptimizer, String> {
        let config = AdamWConfig::new()
            .with_beta_1(self.betas[0] as f32)
            .with_beta_2(self.betas[1] as f32)
            .with_epsilon(self.epsilon as f32)
            .with_weight_decay(self.weight_decay as f32);
        let group =
            ParamGroup::from_any_regexes(NO_DECAY.to_vec()).map_err(|e| format!("{e:?}"))?;
        let no_decay = config.clone().with_weight_decay(0.0).build();
        Ok(config.init().with_group(group, no_decay, None))
    }

    /// The parts of a model with this image tower whose learning rate is not the recipe's.
    pub(super) fn shares(&self, tower: &ImageTower) -> Result<Shares, String> {
        let group = |pattern: &str| ParamGroup::from_regex(pattern).map_err(|e| format!("{e:?}"));
        let whole = match self.tower_learning_rate {
            Some(rate) => rate / self.learning_rate,
            None => 1.0,
        };
        let decay = self.layer_decay.unwrap_or(1.0);
        if whole == 1.0 && decay == 1.0 {
            return Ok(Shares(Vec::new()));
        }
        let stages = stages(tower);
        // What stands before the first stage is one more; what comes after the last learns as the last does.
        let before = decay.powi(stages.len() as i32);
        let mut shares = vec![(group(r"^image\.")?, whole * before)];
        for (i, stage) in stages.iter().enumerate() {
            let behind = stages.len() - 1 - i;
            shares.push((group(stage)?, whole * decay.powi(behind as i32)));
        }
        shares.push((group(r"^image\.(?:\w+\.)?(norm|conv_head|bn2)\.")?, whole));
        Ok(Shares(shares))
    }

    /// The learning rate of a step, counted from 0, out of `steps`.
    pub fn rate(&self, step: usize, steps: usize) -> f64 {
        const START: f64 = 1e-6;
        if step < self.warmup_steps {
            let share = step as f64 / self.warmup_steps as f64;
            return START + (self.learning_rate - START) * share;
        }
        let end = self.decay_steps.unwrap_or(steps);
        let rest = end.saturating_sub(self.warmup_steps).max(1);
        let share = ((step - self.warmup_steps) as f64 / rest as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * cosine
    }
}

/// Scales all gradients so that their common norm is at most `most`; returns the norm before.
pub(super) fn clip_global_norm<M: Module>(
    model: &M,
    gradients: &mut GradientsParams,
    most: f64,
) -> f64 {
    let mut sum = SquareSum {
        gradients,
        total: None,
    };
    model.visit(&mut sum);
    let Some(total) = sum.total else { return 0.0 };
    let norm = f64::from(total.sqrt().into_scalar::<f32>());
    if most > 0.0 && norm > most {
        model.visit(&mut Scale {
            gradients,
            factor: most / (norm + 1e-6),
        });
    }
    norm
}

struct SquareSum<'a> {
    gradients: &'a GradientsParams,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for SquareSum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.total = Some(match self.total.take() {
                Some(total) => total + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor);
        }
    }
}

fn final_rate() -> f64 {
    1e-5
}

fn decay() -> f64 {
    0.1
}

fn betas() -> [f64; 2] {
    [0.9, 0.98]
}

fn epsilon() -> f64 {
    1e-8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_warms_up_and_decays() {
        let config = OptimizerConfig {
            learning_rate: 1e-3,
            final_learning_rate: 1e-5,
            warmup_steps: 10,
            decay_steps: None,
            weight_decay: 0.1,
            betas: betas(),
            epsilon: 1e-8,
            clip_norm: 0.0,
            tower_learning_rate: None,
            layer_decay: None,
        };
        assert_eq!(config.rate(0, 110), 1e-6);
        assert_eq!(config.rate(10, 110), 1e-3);
        assert!((config.rate(60, 110) - (1e-5 + 0.99e-3 / 2.0)).abs() < 1e-9);
        assert!((config.rate(110, 110) - 1e-5).abs() < 1e-12);
        let longer = OptimizerConfig {
            decay_steps: Some(110),
            ..config
        };
        assert!((longer.rate(60, 80) - (1e-5 + 0.99e-3 / 2.0)).abs() < 1e-9);
    }
}
