//! What a step changes: weights, their average, the optimizer's moments.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::prelude::{Device, Tensor};

use super::average::Average;
use super::checkpoint::Trained;
use super::folder::RunFolder;
use super::optimizer::{Shares, clip_global_norm};
use super::step::{StepContext, scalar, step};
use super::teacher::Teacher;
use super::{ImageNorms, InitRecipe, Method, Progress, Recipe, reason};
use crate::data::Batch;
use crate::loss::MAX_LOGIT_SCALE;
use crate::model::{SatMip, load_image_tower, save_weights};
use satmip::Result;
use satmip::arch::Arch;
use satmip::bundle::FIRST_WEIGHTS;
use satmip::parts::sha256;
use satmip_eval::chips::ChipSet;

/// Everything that a step changes.
pub(super) struct Training {
    recipe: Recipe,
    /// With autodiff.
    pub(super) device: Device,
    model: SatMip,
    average: Option<Average>,
    optimizer: ModuleOptimizer,
    shares: Shares,
    /// What the features must stay near to, without autodiff.
    teacher: Option<Teacher>,
    /// Steps done.
    pub(super) step: usize,
    /// Best kNN accuracy in percent.
    pub(super) best: Option<f64>,
    /// Training time of earlier processes.
    before: Duration,
    start: Instant,
}

impl Training {
    /// A model with fresh weights, or with those of the newest checkpoint.
    pub(super) fn new(
        recipe: &Recipe,
        arch: &Arch,
        folder: &RunFolder,
        device: &Device,
    ) -> Result<Self> {
        let device = device.clone().autodiff();
        let head = recipe.simclr.as_ref();
        let head = head.filter(|_| recipe.method != Method::Satmip);
        let mut model = SatMip::new(arch, head, recipe.seed, &device)?;
        let scale = recipe.temperature.recip().ln();
        model.logit_scale = model
            .logit_scale
            .map(|start| start.full_like(scale).require_grad());
        let mut teacher = None;
        if let Some(init) = &recipe.init {
            check_file(init)?;
            let report = load_image_tower(&mut model, &init.weights, &init.prefix)?;
            folder.write_json("init.json", &report)?;
            save_weights(&model, &folder.path(FIRST_WEIGHTS))?;
            teacher = Teacher::of(recipe, &model.image);
        }
        if recipe.image_norms == ImageNorms::Frozen {
            model = model.with_frozen_image_norms();
        }
        let mut average = recipe.ema.map(|decay| Average::new(&model, decay));
        let optimizer = recipe.optimizer.build().map_err(reason)?;
        let (state, optimizer) =
            folder
                .checkpoints
                .restore(&mut model, average.as_mut(), optimizer)?;
        let shares = recipe.optimizer.shares(&arch.image).map_err(reason)?;
        let (step, seconds, best) = state.map_or((0, 0.0, None), |s| (s.step, s.seconds, s.best));
        Ok(Self {
            recipe: recipe.clone(),
            device,
            model,
            average,
            optimizer,
            shares,
            teacher,
            step,
            best,
            before: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            start: Instant::now(),
        })
    }

    /// One step. Of the line, `waited`, `bad_items` and `knn` are the caller's.
    pub(super) fn advance(
        &mut self,
        mut batch: Batch,
        context: &StepContext<'_>,
        sets: &[ChipSet],
        folder: &RunFolder,
    ) -> Result<Progress> {
        let recipe = &self.recipe;
        let items = std::mem::take(&mut batch.items);
        let mut outcome = step(&self.model, self.teacher.as_ref(), batch, context)?;
        let losses = outcome.losses;
        if !losses.total.is_finite() {
            let names = items.iter().map(|(set, chip)| sets[*set].name(*chip));
            let names: Vec<&str> = names.collect();
            let done = self.step + 1;
            let what = serde_json::json!({ "step": done, "items": names });
            folder.write_json("bad_batch.json", &what)?;
            return Err(reason(format!(
                "the loss is {} at step {done}; `{}` names the batch's items",
                losses.total,
                folder.path("bad_batch.json").display()
            )));
        }
        let most = recipe.optimizer.clip_norm;
        let gradient_norm = clip_global_norm(&self.model, &mut outcome.gradients, most);
        let learning_rate = recipe.optimizer.rate(self.step, recipe.steps);
        let stepped = self.optimizer.step(
            self.shares.of(learning_rate),
            self.model.clone(),
            outcome.gradients,
        );
        self.model = stepped;
        let scale = self.model.logit_scale.clone();
        self.model.logit_scale = scale.map(|scale| {
            Tensor::from_inner(scale.inner().clamp(0.0, MAX_LOGIT_SCALE)).require_grad()
        });
        if let Some(average) = &mut self.average {
            average.update(&self.model);
        }
        self.step += 1;
        Ok(Progress {
            step: self.step,
            steps: recipe.steps,
            loss: losses.total,
            simclr: losses.simclr,
            satmip: losses.satmip,
            distill: losses.distill,
            logit_scale: scalar(self.model.logit_scale.val().exp()),
            gradient_norm,
            learning_rate,
            seconds: 0.0,
            waited: 0.0,
            bad_items: 0,
            knn: None,
        })
    }

    /// The weights to evaluate and to export.
    pub(super) fn exported(&self) -> &SatMip {
        self.average.as_ref().map_or(&self.model, Average::model)
    }

    /// Keeps the weights where the kNN is the best so far.
    pub(super) fn note_knn(&mut self, knn: Option<f64>, folder: &RunFolder) -> Result<()> {
        let Some(knn) = knn.filter(|knn| self.best.is_none_or(|best| *knn > best)) else {
            return Ok(());
        };
        self.best = Some(knn);
        folder.checkpoints.save_best(&self.state())
    }

    /// Weights that are trained, and running statistics.
    pub(super) fn parameters(&self) -> usize {
        self.model.num_params()
    }

    /// Whether something that happens so often happens after this step.
    pub(super) fn due(&self, every: usize) -> bool {
        self.step.is_multiple_of(every) || self.step == self.recipe.steps
    }

    pub(super) fn seconds(&self) -> f64 {
        (self.before + self.start.elapsed()).as_secs_f64()
    }

    pub(super) fn state(&self) -> Trained<'_> {
        Trained {
            model: &self.model,
            average: self.average.as_ref(),
            optimizer: &self.optimizer,
            step: self.step,
            seconds: self.seconds(),
            best: self.best,
        }
    }
}

/// Refuses a file of first weights that is not the one that the recipe names.
fn check_file(init: &InitRecipe) -> Result<()> {
    match &init.sha256 {
        Some(expected) => {
            sha256::check_weights(&init.weights, expected, "the recipe's `init.sha256`")
        }
        None => Ok(()),
    }
}
