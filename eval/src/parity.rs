//! How near one precision of a model comes to another, on chips of a data set.

use ndarray::{Array2, Array4, ArrayView2, Axis, concatenate, s};

use super::probe::Knn;
use super::{DataSet, Split};
use satmip::bundle::{Agreement, KnnChange, Parity};
use satmip::embedder::{Embedder, TowerOutput};
use satmip::image::fit_with_geometry;
use satmip::metadata::Metadata;
use satmip::parts::threads::{cores, each};
use satmip::{Error, Result};

/// Neighbours of kNN, as in DINO's headline figure.
const K: usize = 20;
/// Neighbours whose agreement is counted.
const NEAREST: usize = 10;

/// Chips that are ready for a model: as many of the training split, to be neighbours, as of the
/// test split, to be compared; evenly spread over either.
#[derive(Debug)]
pub struct Sample {
    data: String,
    pictures: Array4<u8>,
    records: Vec<Metadata>,
    /// Rows of the training split, which come first.
    bank: usize,
    /// The first label of each chip; none for a data set of several labels.
    labels: Option<Vec<usize>>,
    classes: usize,
}

/// What both towers give for a sample.
#[derive(Debug)]
pub struct SampleOutputs {
    image: TowerOutput,
    metadata: Option<TowerOutput>,
}

impl Sample {
    /// At most `chips` chips of each split, fitted to the model's input. Chips that cannot be read
    /// are left out.
    ///
    /// # Errors
    /// [`Error::EmptySplit`] where none of a split can be read.
    pub fn draw(data: &DataSet, model: &Embedder, chips: usize) -> Result<Self> {
        let preprocessing = &model.manifest().arch.preprocessing;
        let size = preprocessing.size;
        let mut sample = Sample {
            data: format!("{}, test ({} split)", data.name(), data.split_rule()),
            pictures: Array4::zeros((0, size, size, 3)),
            records: Vec::new(),
            bank: 0,
            labels: (!data.is_multi_label()).then(Vec::new),
            classes: data.classes().len(),
        };
        let mut pixels = Vec::new();
        for split in [Split::Train, Split::Test] {
            let before = sample.records.len();
            for row in spread(&data.rows(split), chips) {
                let Ok(picture) = data.image(row) else {
                    continue;
                };
                let (fitted, geometry) = fit_with_geometry(&picture, preprocessing)?;
                pixels.extend(fitted);
                let seen = geometry.record_for(data.metadata(row), model.fields());
                sample.records.push(seen);
                if let Some(labels) = &mut sample.labels {
                    labels.extend(data.labels(row).first());
                }
            }
            if sample.records.len() == before {
                return Err(Error::EmptySplit {
                    split: split.name().to_owned(),
                    origin: data.name().to_owned(),
                    others: Vec::new(),
                });
            }
            if split == Split::Train {
                sample.bank = sample.records.len();
            }
        }
        let shape = (sample.records.len(), size, size, 3);
        sample.pictures = Array4::from_shape_vec(shape, pixels).map_err(|e| Error::Argument {
            what: "pictures",
            reason: e.to_string(),
        })?;
        Ok(sample)
    }

    /// Runs a model over the sample.
    ///
    /// # Errors
    /// [`Error::Engine`], [`Error::CaptionTooLong`].
    pub fn outputs(&self, model: &Embedder) -> Result<SampleOutputs> {
        let size = model.batch_size();
        let mut batches: Vec<_> = self
            .pictures
            .axis_chunks_iter(Axis(0), size)
            .zip(self.records.chunks(size))
            .map(|(pictures, records)| (pictures, records, None))
            .collect();
        let has_metadata = !model.fields().is_empty();
        each(
            "embedding the data",
            &mut batches,
            cores(),
            |(pictures, records, made)| {
                let image = model.embed_prepared(pictures.view());
                let metadata = has_metadata.then(|| model.seen_output(records));
                *made = Some((image, metadata));
            },
        )?;
        let (mut images, mut metadata) = (Vec::new(), Vec::new());
        for (_, _, made) in batches {
            if let Some((image, side)) = made {
                images.push(image?);
                metadata.extend(side.transpose()?);
            }
        }
        Ok(SampleOutputs {
            image: stack(&images)?,
            metadata: match has_metadata {
                true => Some(stack(&metadata)?),
                false => None,
            },
        })
    }

    /// Holds `other` against `reference`, which is the model in f32.
    ///
    /// # Errors
    /// [`Error::Evaluation`] for outputs of another sample.
    pub fn parity(
        &self,
        reference: &SampleOutputs,
        other: &SampleOutputs,
        engine: &str,
    ) -> Result<Parity> {
        let test = |rows: &Array2<f32>| rows.slice(s![self.bank.., ..]).to_owned();
        let agreement = |a: &TowerOutput, b: &TowerOutput| {
            agreement(test(&a.embeds).view(), test(&b.embeds).view())
        };
        let metadata = match (&reference.metadata, &other.metadata) {
            (Some(a), Some(b)) => Some(agreement(a, b)?),
            _ => None,
        };
        let knn = match &self.labels {
            Some(labels) => Some(KnnChange {
                k: K,
                f32: self.accuracy(&reference.image, labels)?,
                here: self.accuracy(&other.image, labels)?,
            }),
            None => None,
        };
        Ok(Parity {
            data: self.data.clone(),
            chips: self.records.len() - self.bank,
            engine: engine.to_owned(),
            image: agreement(&reference.image, &other.image)?,
            metadata,
            knn,
        })
    }

    /// Percent of the test chips that their neighbours in the training split name rightly.
    fn accuracy(&self, image: &TowerOutput, labels: &[usize]) -> Result<f64> {
        let (bank, queries) = image.features.view().split_at(Axis(0), self.bank);
        let knn = Knn::new(bank, &labels[..self.bank], self.classes)?;
        let named = knn.predict(queries, &[K])?.remove(0);
        let truth = &labels[self.bank..];
        let right = named.iter().zip(truth).filter(|(a, b)| a == b).count();
        Ok(100.0 * right as f64 / truth.len() as f64)
    }
}

/// Cosines of unit rows with their counterparts, and how many of their nearest they share.
///
/// # Errors
/// [`Error::Evaluation`] without rows and for matrices of two shapes.
pub fn agreement(reference: ArrayView2<f32>, other: ArrayView2<f32>) -> Result<Agreement> {
    let rows = reference.nrows();
    if rows == 0 || reference.dim() != other.dim() {
        return Err(Error::Evaluation {
            reason: format!("{:?} rows against {:?}", reference.dim(), other.dim()),
        });
    }
    let dot = |(a, b): (ndarray::ArrayView1<f32>, ndarray::ArrayView1<f32>)| -> f64 {
        a.iter()
            .zip(&b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let cosines: Vec<f64> = reference
        .outer_iter()
        .zip(other.outer_iter())
        .map(dot)
        .collect();
    let (near, here) = (nearest(reference), nearest(other));
    let shared =
        |(a, b): (&Vec<usize>, &Vec<usize>)| a.iter().filter(|row| b.contains(row)).count();
    let common: usize = near.iter().zip(&here).map(shared).sum();
    let most: usize = near.iter().map(Vec::len).sum();
    Ok(Agreement {
        cosine_min: cosines.iter().copied().fold(f64::INFINITY, f64::min),
        cosine_mean: cosines.iter().sum::<f64>() / rows as f64,
        nearest_10: match most {
            0 => 1.0,
            most => common as f64 / most as f64,
        },
    })
}

/// For each row the other rows of largest cosine, the lower of equal ones first.
fn nearest(rows: ArrayView2<f32>) -> Vec<Vec<usize>> {
    let cosines = rows.dot(&rows.t());
    let of_row = |(row, cosines): (usize, ndarray::ArrayView1<f32>)| {
        let mut others: Vec<usize> = (0..cosines.len()).filter(|other| *other != row).collect();
        others.sort_by(|a, b| cosines[*b].total_cmp(&cosines[*a]));
        others.truncate(NEAREST);
        others
    };
    cosines.outer_iter().enumerate().map(of_row).collect()
}

/// At most `most` of these, evenly spread.
fn spread(rows: &[usize], most: usize) -> Vec<usize> {
    let count = rows.len().min(most);
    (0..count).map(|i| rows[i * rows.len() / count]).collect()
}

fn stack(parts: &[TowerOutput]) -> Result<TowerOutput> {
    let join = |side: fn(&TowerOutput) -> ArrayView2<'_, f32>| {
        let parts: Vec<_> = parts.iter().map(side).collect();
        concatenate(Axis(0), &parts).map_err(|e| Error::Evaluation {
            reason: e.to_string(),
        })
    };
    Ok(TowerOutput {
        features: join(|part| part.features.view())?,
        embeds: join(|part| part.embeds.view())?,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn equal_rows_agree_and_turned_ones_do_not() {
        let rows = array![[1.0_f32, 0.0], [0.8, 0.6], [0.0, 1.0]];
        let same = agreement(rows.view(), rows.view()).unwrap();
        assert!((same.cosine_min - 1.0).abs() < 1e-6 && same.nearest_10 == 1.0);
        let turned = array![[1.0_f32, 0.0], [0.8, 0.6], [0.6, 0.8]];
        let other = agreement(rows.view(), turned.view()).unwrap();
        assert!((other.cosine_min - 0.8).abs() < 1e-6);
        assert!((other.cosine_mean - 2.8 / 3.0).abs() < 1e-6);
        // With fewer than 11 rows all others are the nearest.
        assert_eq!(other.nearest_10, 1.0);
        assert!(agreement(rows.view(), rows.slice(s![..2, ..])).is_err());
        assert!(agreement(rows.slice(s![..0, ..]), rows.slice(s![..0, ..])).is_err());
    }

    #[test]
    fn the_nearest_of_many_rows_change_with_them() {
        let at = |i: usize| (i as f32 * 0.1).sin_cos();
        let rows = Array2::from_shape_fn((30, 2), |(i, j)| if j == 0 { at(i).1 } else { at(i).0 });
        let mut mirrored = rows.clone();
        mirrored.slice_mut(s![..;2, 1]).mapv_inplace(|v| -v);
        let found = agreement(rows.view(), mirrored.view()).unwrap();
        assert!(
            found.nearest_10 < 0.9 && found.nearest_10 > 0.3,
            "{found:?}"
        );
    }

    #[test]
    fn a_sample_is_spread_over_all_rows() {
        assert_eq!(spread(&[3, 5, 7, 9, 11, 13], 3), [3, 7, 11]);
        assert_eq!(spread(&[3, 5], 9), [3, 5]);
        assert!(spread(&[], 9).is_empty());
    }
}
