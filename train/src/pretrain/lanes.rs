//! Towers side by side: each view and the metadata pass their tower on a thread of their own.
//!
//! A lane holds a replica of its tower: the same weights as leaves of a graph of its own, so that two
//! lanes never wait for one another. The losses see the features of the whole batch; their gradients
//! come back to each lane, which goes on to the weights. A view that is the only one is two lanes, half of
//! the chips each, where chips pass their tower independently of one another.

use std::ops::Range;
use std::sync::Arc;

use super::inputs::MetadataInput;
use super::{Precision, reason};
use crate::data::{Stream, rng_for};
#[cfg(feature = "libtorch")]
use crate::model::libtorch;
use crate::model::{ImageEncoder, MetadataEncoder, Noise};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::{Device, Tensor, TensorData};
use burn::tensor::{DType, FloatDType};
use satmip::Result;
use satmip::metadata::{FieldSet, Metadata};

/// A tower and the chips that pass it in one step.
pub(super) struct Lane {
    tower: Tower,
    /// Those of the batch that are the lane's.
    chips: Range<usize>,
    /// Chips of one pass.
    chunk: usize,
    precision: Precision,
    device: Device,
    /// Seed and step, from which the dropout of each pass follows.
    dropout: (u64, usize),
    /// Features with their graph, where all chips passed at once.
    held: Option<Tensor<2>>,
}

/// A replica and its input.
#[allow(clippy::large_enum_variant)]
enum Tower {
    Image {
        replica: ImageEncoder,
        /// Where pictures are passed: without burn's autodiff where libtorch differentiates.
        images: Device,
        /// `[batch, 3, size, size]`.
        pixels: Arc<Vec<f32>>,
        size: usize,
    },
    Metadata {
        replica: MetadataEncoder,
        input: Arc<MetadataInput>,
        records: Arc<Vec<Metadata>>,
        fields: FieldSet,
    },
}

/// What all lanes of a step share.
#[derive(Debug, Clone)]
pub(super) struct LaneConfig {
    pub(super) chunk: usize,
    pub(super) precision: Precision,
    pub(super) device: Device,
    /// The recipe's seed and the step, from which dropout follows.
    pub(super) dropout: (u64, usize),
}

impl Lane {
    /// A lane of some chips of one view, `[batch, 3, size, size]`.
    pub(super) fn image(
        tower: &ImageEncoder,
        pixels: Arc<Vec<f32>>,
        size: usize,
        chips: Range<usize>,
        config: &LaneConfig,
    ) -> Self {
        #[cfg(feature = "libtorch")]
        let by_libtorch = tower.is_convolutional() && libtorch::is_device(&config.device);
        #[cfg(not(feature = "libtorch"))]
        let by_libtorch = false;
        let (replica, images) = match by_libtorch {
            #[cfg(feature = "libtorch")]
            true => {
                let precision = match config.precision {
                    Precision::F32 => None,
                    Precision::Bf16 => Some(FloatDType::BF16),
                };
                let replica = libtorch::leaves(tower, precision);
                (replica, config.device.clone().without_autodiff())
            }
            _ => (replicate(tower, config.precision), config.device.clone()),
        };
        let tower = Tower::Image {
            replica,
            images,
            pixels,
            size,
        };
        Self::new(tower, chips, config)
    }

    /// The lane of the metadata.
    pub(super) fn metadata(
        tower: &MetadataEncoder,
        input: Arc<MetadataInput>,
        records: Arc<Vec<Metadata>>,
        fields: FieldSet,
        config: &LaneConfig,
    ) -> Self {
        let replica = replicate(tower, config.precision);
        let chips = 0..records.len();
        let tower = Tower::Metadata {
            replica,
            input,
            records,
            fields,
        };
        Self::new(tower, chips, config)
    }

    fn new(tower: Tower, chips: Range<usize>, config: &LaneConfig) -> Self {
        Self {
            tower,
            chips,
            chunk: config.chunk,
            precision: config.precision,
            device: config.device.clone(),
            dropout: config.dropout,
            held: None,
        }
    }

    /// The features of the lane's chips, `[chips, d]` in f32 without a graph. Where they are passed in
    /// chunks, no graph is kept, and [`Lane::backward`] passes each chunk again.
    pub(super) fn features(&mut self) -> Result<Tensor<2>> {
        if self.chunk >= self.chips.len() {
            let features = self.forward(self.chips.start)?;
            let plain = self.without_graph(&features);
            self.held = Some(features);
            return Ok(plain);
        }
        let chunks = self.chips.clone().step_by(self.chunk);
        let features = chunks.map(|start| Ok(self.without_graph(&self.forward(start)?)));
        Ok(Tensor::cat(features.collect::<Result<Vec<_>>>()?, 0))
    }

    /// The gradients of the tower's weights, from the gradient of the loss by the features,
    /// `[batch, d]`.
    pub(super) fn backward(mut self, gradient: &Tensor<2>) -> Result<GradientsParams> {
        let mut total = GradientsParams::new();
        for start in self.chips.clone().step_by(self.chunk) {
            let features = match self.held.take() {
                Some(features) => features,
                None => self.forward(start)?,
            };
            let length = features.dims()[0];
            let part = gradient.clone().narrow(0, start, length);
            #[cfg(feature = "libtorch")]
            if let (true, Tower::Image { replica, .. }) = (self.by_libtorch(), &self.tower) {
                let mine = libtorch::gradients(replica, features, part).map_err(reason)?;
                add(&mut total, mine, replica);
                continue;
            }
            // Its gradient by the features is the given one.
            let gradients = (features * Tensor::from_inner(part)).sum().backward();
            match &self.tower {
                Tower::Image { replica, .. } => {
                    let mine = GradientsParams::from_grads(gradients, replica);
                    add(&mut total, mine, replica);
                }
                Tower::Metadata { replica, .. } => {
                    let mine = GradientsParams::from_grads(gradients, replica);
                    add(&mut total, mine, replica);
                }
            }
        }
        Ok(total)
    }

    /// Features without the graph that leads to them.
    fn without_graph(&self, features: &Tensor<2>) -> Tensor<2> {
        #[cfg(feature = "libtorch")]
        if self.by_libtorch() {
            return libtorch::detached(features);
        }
        features.clone().inner()
    }

    /// Whether libtorch differentiates the tower itself, instead of burn.
    #[cfg(feature = "libtorch")]
    fn by_libtorch(&self) -> bool {
        let device = match &self.tower {
            Tower::Image { images, .. } => images,
            Tower::Metadata { .. } => &self.device,
        };
        !device.is_autodiff()
    }

    /// Adds a lane's gradients to the step's.
    pub(super) fn collect<M: Module>(
        into: &mut GradientsParams,
        gradients: GradientsParams,
        model: &M,
    ) {
        add(into, gradients, model);
    }

    /// Passes the chunk that begins at `start`: features in f32.
    fn forward(&self, start: usize) -> Result<Tensor<2>> {
        let end = (start + self.chunk).min(self.chips.end);
        let features = match &self.tower {
            Tower::Image {
                replica,
                images,
                pixels,
                size,
            } => {
                let of = |chip: usize| chip * 3 * size * size;
                let numbers = pixels
                    .get(of(start)..of(end))
                    .ok_or_else(|| reason("a batch is shorter than it should be".into()))?;
                let shape = [end - start, 3, *size, *size];
                let data = TensorData::new(numbers.to_vec(), shape);
                let images = Tensor::<4>::from_data(data, images);
                replica.forward(match self.precision {
                    Precision::F32 => images,
                    Precision::Bf16 => images.cast(FloatDType::BF16),
                })
            }
            Tower::Metadata {
                replica,
                input,
                records,
                fields,
            } => {
                let records = records
                    .get(start..end)
                    .ok_or_else(|| reason("a batch lacks metadata".into()))?;
                // The second pass of a chunk must drop what the first dropped.
                let (seed, step) = self.dropout;
                let stream = rng_for(seed, Stream::Dropout, step as u64, start as u64);
                let noise = Noise::new(stream);
                let batch = input.batch(records, *fields, &self.device)?;
                let batch = match self.precision {
                    Precision::F32 => batch,
                    Precision::Bf16 => batch.cast(FloatDType::BF16),
                };
                replica
                    .forward(batch, Some(&noise))
                    .ok_or_else(|| reason("the metadata are of another tower's kind".into()))?
            }
        };
        Ok(match features.dtype() {
            DType::F32 => features,
            _ => features.cast(FloatDType::F32),
        })
    }
}

/// The same weights as leaves of a new graph, in the precision of the passes. Running statistics are
/// shared with the original, so that they go on with it.
fn replicate<M: Module>(module: &M, precision: Precision) -> M {
    module.clone().map(&mut Leaves { precision })
}

struct Leaves {
    precision: Precision,
}

impl ModuleMapper for Leaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let precision = self.precision;
        param.map(|weights| {
            let plain = weights.inner();
            let plain = match precision {
                Precision::F32 => plain,
                Precision::Bf16 => plain.cast(FloatDType::BF16),
            };
            Tensor::from_inner(plain).require_grad()
        })
    }
}

fn add<M: Module>(into: &mut GradientsParams, from: GradientsParams, module: &M) {
    module.visit(&mut Adder { into, from });
}

struct Adder<'a> {
    into: &'a mut GradientsParams,
    from: GradientsParams,
}

impl ModuleVisitor for Adder<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.from.remove::<D>(param.id) else {
            return;
        };
        let gradient = match gradient.dtype() {
            DType::F32 => gradient,
            _ => gradient.cast(FloatDType::F32),
        };
        let sum = match self.into.remove::<D>(param.id) {
            Some(before) => before + gradient,
            None => gradient,
        };
        self.into.register(param.id, sum);
    }
}
