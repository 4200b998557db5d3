//! One step: the towers' features, the losses over the whole batch, and all gradients.

use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::{Device, Tensor};

use super::inputs::MetadataInput;
use super::lanes::{Lane, LaneConfig};
use super::teacher::Teacher;
use super::workers::{Workers, side_by_side};
use super::{Method, Recipe, reason};
use crate::data::Batch;
use crate::loss::{distillation, info_nce, nt_xent};
use crate::model::{SatMip, unit_rows};
use satmip::Result;
use satmip::arch::ImageTower;

/// What a step needs beside the model and the batch.
#[derive(Debug)]
pub(super) struct StepContext<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) input: Option<&'a Arc<MetadataInput>>,
    /// With autodiff.
    pub(super) device: &'a Device,
    /// Threads for lanes, as many at a time as a CPU has cores, which one stream of work would leave idle;
    /// none on a GPU, whose queue is one and where lanes need no threads.
    pub(super) workers: Option<&'a Workers>,
}

/// The losses of a step and the gradients of all weights.
pub(super) struct StepOutcome {
    pub(super) gradients: GradientsParams,
    pub(super) losses: Losses,
}

/// Losses of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Losses {
    /// What is minimised.
    pub(super) total: f64,
    /// SimCLR's part.
    pub(super) simclr: Option<f64>,
    /// SatMIP's part, before lambda.
    pub(super) satmip: Option<f64>,
    /// Distance to the teacher's features, before its weight.
    pub(super) distill: Option<f64>,
}

/// Computes losses and gradients of a batch. With view coupling, SimCLR's first view is SatMIP's only
/// one, so that SatMIPS costs two image passes; without, a third view is SatMIP's.
///
/// The losses always see the whole batch. With `chunk`, the towers' passes do not (GradCache, Gao et al.
/// 2021): features are computed chunk by chunk without a graph, then the gradient of the loss by each
/// feature, then each chunk is passed again to bring it to the weights.
pub(super) fn step(
    model: &SatMip,
    teacher: Option<&Teacher>,
    batch: Batch,
    context: &StepContext<'_>,
) -> Result<StepOutcome> {
    let recipe = context.recipe;
    let config = LaneConfig {
        chunk: recipe
            .chunk
            .unwrap_or(recipe.batch_size)
            .clamp(1, recipe.batch_size),
        precision: recipe.precision,
        device: context.device.clone(),
        dropout: (recipe.seed, batch.step),
    };
    let size = recipe.preprocessing.size;
    let views = batch.views.len();
    // Not by the number of cores, which would round sums in other ways.
    let alone = views == 1 && context.workers.is_some();
    let parts = match recipe.image {
        ImageTower::Vit(_) if alone => 2,
        _ => 1,
    };
    let share = recipe.batch_size.div_ceil(parts);
    let mut lanes: Vec<Lane> = Vec::with_capacity(views * parts + 1);
    let pixels: Vec<_> = batch.views.into_iter().map(Arc::new).collect();
    let taught = match (teacher, pixels.first()) {
        (Some(teacher), Some(first)) => {
            let (device, workers) = (context.device, context.workers);
            Some(teacher.features(first, size, config.chunk, device, workers)?)
        }
        _ => None,
    };
    for pixels in pixels {
        for start in (0..recipe.batch_size).step_by(share) {
            let chips = start..(start + share).min(recipe.batch_size);
            let pixels = Arc::clone(&pixels);
            lanes.push(Lane::image(&model.image, pixels, size, chips, &config));
        }
    }
    if let (Some(tower), Some(input)) = (&model.metadata, context.input) {
        let (input, records) = (Arc::clone(input), Arc::new(batch.metadata));
        let fields = recipe.fields;
        lanes.push(Lane::metadata(tower, input, records, fields, &config));
    }
    let (lanes, mut features) = pass(model, lanes, context)?;

    // From here on the batch is whole again.
    let metadata = features.split_off(views * parts);
    let whole = features
        .chunks(parts)
        .map(|parts| Tensor::cat(parts.to_vec(), 0));
    let leaves: Vec<Tensor<2>> = whole
        .chain(metadata)
        .map(|features| Tensor::from_inner(features).require_grad())
        .collect();
    let (images, metadata) = leaves.split_at(views);
    let (total, losses) = losses(model, recipe, images, metadata.first(), taught)?;
    let mut by_loss = total.backward();
    let zeros = |leaf: &Tensor<2>| leaf.clone().inner().zeros_like();
    let by_features: Vec<Tensor<2>> = leaves
        .iter()
        .map(|leaf| {
            leaf.grad_remove(&mut by_loss)
                .unwrap_or_else(|| zeros(leaf))
        })
        .collect();
    let mut gradients = GradientsParams::from_grads(by_loss, model);

    let of_view = |lane: usize| match lane / parts {
        view if view < views => by_features[view].clone(),
        _ => by_features[views].clone(),
    };
    let work = lanes.into_iter().enumerate();
    let work = work.map(|(i, lane)| (lane, of_view(i))).collect();
    let weights = side_by_side(context.workers, 0, work, |(lane, gradient): (Lane, _)| {
        lane.backward(&gradient)
    })?;
    for part in weights {
        Lane::collect(&mut gradients, part, model);
    }
    Ok(StepOutcome { gradients, losses })
}

/// All lanes and their features, in their order.
///
/// Batch norm averages the running statistics of passes that run side by side. The sum of two does not
/// depend on their order, the sum of three does, so a third view waits for the first two.
fn pass(
    model: &SatMip,
    mut lanes: Vec<Lane>,
    context: &StepContext<'_>,
) -> Result<(Vec<Lane>, Vec<Tensor<2>>)> {
    let cut = if lanes.len() > 3 { 2 } else { lanes.len() };
    let second = lanes.split_off(cut);
    let mut passed = Vec::with_capacity(cut + second.len());
    for wave in [lanes, second] {
        let first = passed.len();
        let work = |mut lane: Lane| lane.features().map(|features| (lane, features));
        passed.extend(side_by_side(context.workers, first, wave, work)?);
        // Joins the running statistics that the wave's threads left.
        let _ = model.image.valid();
    }
    Ok(passed.into_iter().unzip())
}

/// The loss with its graph, and its parts.
fn losses(
    model: &SatMip,
    recipe: &Recipe,
    images: &[Tensor<2>],
    metadata: Option<&Tensor<2>>,
    taught: Option<Tensor<2>>,
) -> Result<(Tensor<1>, Losses)> {
    let simclr = match (&model.simclr_head, &recipe.simclr, images) {
        (Some(head), Some(config), [first, second, ..]) => {
            let project = |x: &Tensor<2>| unit_rows(head.forward(x.clone()));
            Some(nt_xent(project(first), project(second), config.temperature))
        }
        _ => None,
    };
    // Without coupling, the last view is SatMIP's own.
    let view = match recipe.view_coupling {
        true => images.first(),
        false => images.last(),
    };
    let satmip = match (view, metadata) {
        (Some(view), Some(metadata)) => model.project_metadata(metadata.clone()).map(|rows| {
            let pictures = model.project_image(view.clone());
            info_nce(pictures, rows, model.logit_scale.val())
        }),
        _ => None,
    };
    let parts = (simclr.clone(), satmip.clone());
    let total = match (parts, recipe.method) {
        ((Some(simclr), Some(satmip)), Method::Satmips) => simclr + satmip * recipe.lambda,
        ((Some(loss), None), Method::Simclr) | ((None, Some(loss)), Method::Satmip) => loss,
        _ => return Err(reason("the recipe's method lacks a part".into())),
    };
    let distill = match (images.first(), taught) {
        (Some(view), Some(taught)) => Some(distillation(view.clone(), taught)),
        _ => None,
    };
    let weight = recipe.init.as_ref().map_or(0.0, |init| init.distill);
    let total = match &distill {
        Some(distance) => total + distance.clone() * weight,
        None => total,
    };
    let losses = Losses {
        total: scalar(total.clone()),
        simclr: simclr.map(scalar),
        satmip: satmip.map(scalar),
        distill: distill.map(scalar),
    };
    Ok((total, losses))
}

/// The number in a tensor of one.
pub(super) fn scalar(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}
