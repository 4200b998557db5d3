//! kNN on a validation split while training.

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::prelude::{Tensor, TensorData};
use ndarray::Array2;

use super::{Validation, reason};
use crate::data::centre_view;
use crate::model::SatMip;
use satmip::Result;
use satmip::arch::Preprocessing;
use satmip::image::RgbImage;
use satmip_eval::chips::ChipSet;
use satmip_eval::probe::Knn;

/// Chips of one pass.
const BATCH: usize = 256;

/// Neighbours from a source's `train` split, queries from its `val` split.
#[derive(Debug)]
pub(super) struct Gauge {
    /// Steps between two evaluations.
    pub(super) every: usize,
    k: usize,
    classes: usize,
    preprocessing: Preprocessing,
    bank: Sample,
    queries: Sample,
}

/// Pictures and labels.
#[derive(Debug, Default)]
struct Sample {
    images: Vec<Arc<RgbImage>>,
    labels: Vec<usize>,
}

impl Gauge {
    /// Reads the sample. A picture that cannot be read is left out.
    pub(super) fn new(
        config: &Validation,
        data: &Path,
        preprocessing: &Preprocessing,
    ) -> Result<Self> {
        let bank = ChipSet::open(&config.source, data, "train")?;
        let queries = ChipSet::open(&config.source, data, "val")?;
        let mut names: Vec<&str> = (0..bank.len()).map(|i| bank.label(i)).collect();
        names.sort_unstable();
        names.dedup();
        let sample = |set: &ChipSet| {
            let mut sample = Sample::default();
            for i in (0..set.len()).step_by(set.len().div_ceil(config.chips).max(1)) {
                let Ok(image) = set.image(i) else {
                    continue;
                };
                sample.images.push(image);
                // A label that training lacks can never be right.
                let label = names.binary_search(&set.label(i));
                sample.labels.push(label.unwrap_or(usize::MAX));
            }
            sample
        };
        let gauge = Self {
            every: config.every,
            k: config.k,
            classes: names.len(),
            preprocessing: preprocessing.clone(),
            bank: sample(&bank),
            queries: sample(&queries),
        };
        if gauge.bank.images.is_empty() || gauge.queries.images.is_empty() {
            return Err(reason(
                "`validation` has no picture that can be read in its `train` or `val` split".into(),
            ));
        }
        Ok(gauge)
    }

    /// Accuracy of a weighted kNN in percent.
    pub(super) fn measure(&self, model: &SatMip) -> Result<f64> {
        let model = model.valid();
        let bank = self.features(&model, &self.bank)?;
        let queries = self.features(&model, &self.queries)?;
        let knn = Knn::new(bank.view(), &self.bank.labels, self.classes)?;
        let found = knn.predict(queries.view(), &[self.k])?.swap_remove(0);
        let right = found.iter().zip(&self.queries.labels);
        let right = right.filter(|(found, label)| found == label).count();
        Ok(100.0 * right as f64 / found.len() as f64)
    }

    /// One row for each picture.
    fn features(&self, model: &SatMip, sample: &Sample) -> Result<Array2<f32>> {
        let device = model.logit_scale.val().device();
        let size = self.preprocessing.size;
        let (mut rows, mut dim) = (Vec::new(), 0);
        for images in sample.images.chunks(BATCH) {
            let mut pixels = Vec::with_capacity(images.len() * 3 * size * size);
            for image in images {
                pixels.extend(centre_view(image, &self.preprocessing)?);
            }
            let pixels = TensorData::new(pixels, [images.len(), 3, size, size]);
            let features = model.image_features(Tensor::from_data(pixels, &device));
            dim = features.dims()[1];
            let numbers = features.into_data().try_to_vec::<f32>();
            rows.extend(numbers.map_err(|e| reason(format!("{e:?}")))?);
        }
        let shape = (sample.images.len(), dim);
        Array2::from_shape_vec(shape, rows).map_err(|e| reason(e.to_string()))
    }
}
