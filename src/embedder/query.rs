//! Which of several values of a field fits a picture best.

use ndarray::{Array2, Axis};

use super::{Embedder, Embeddings};
use crate::error::{Error, Result};
use crate::metadata::{Field, Metadata};

/// What [`Embedder::query`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// The field that was asked about.
    pub field: Field,
    /// The values that were offered.
    pub values: Vec<String>,
    /// `[images, values]`: cosine of each picture with each value.
    pub similarities: Array2<f32>,
    /// `[images, values]`: softmax of the cosines; each row sums to 1.
    pub probabilities: Array2<f32>,
}

impl Query {
    /// The most probable value for a picture and its probability; of equal ones the first. None
    /// beyond the last picture.
    pub fn best(&self, image: usize) -> Option<(&str, f32)> {
        if image >= self.probabilities.nrows() {
            return None;
        }
        let row = self.probabilities.row(image);
        let best = (0..row.len())
            .rev()
            .max_by(|a, b| row[*a].total_cmp(&row[*b]))?;
        Some((&self.values[best], row[best]))
    }
}

impl Embedder {
    /// Zero-shot: which value of a field fits each picture.
    ///
    /// Each value becomes a record that has this field alone (and what it implies, see
    /// [`Embedder::prepare_metadata`]), written as for [`Metadata::set_text`]. With the cosine
    /// `c(i, j)` of picture `i` and value `j` and the model's logit scale `s`,
    ///
    /// ```text
    /// p(i, j) = exp(s c(i, j)) / sum_k exp(s c(i, k))
    /// ```
    ///
    /// Values are those of the model's input pixels, as in [`Embedder::embed_metadata`]: of a picture of 512 pixels of
    /// 0.5 m, brought to 64, the fitting `gsd` is 4. [`Embedder::fitted_metadata`] reckons it.
    ///
    /// The probabilities are relative to the values that are offered: when none fits, one of them
    /// still comes first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the model does not read the field, [`Error::InvalidField`] for a
    /// value that the field cannot have, [`Error::Argument`] for embeddings of another space, for
    /// no value, and for one that is given twice.
    pub fn query(
        &self,
        images: &Embeddings,
        field: Field,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Query> {
        self.check_space("images", images)?;
        self.metadata_tower("query")?;
        if !self.fields().contains(field) {
            return Err(Error::Unsupported {
                model: self.manifest.id.clone(),
                what: format!("query `{field}`: it reads {}", self.fields()),
            });
        }
        let values: Vec<String> = values.into_iter().map(|v| v.as_ref().to_owned()).collect();
        let mut records: Vec<Metadata> = Vec::with_capacity(values.len());
        for value in &values {
            let mut record = Metadata::new();
            record.set_text(field, value)?;
            if records.contains(&record) {
                return Err(Error::Argument {
                    what: "values",
                    reason: format!("`{value}` is given twice"),
                });
            }
            records.push(record);
        }
        if values.is_empty() {
            return Err(Error::Argument {
                what: "values",
                reason: "there is none to choose from".into(),
            });
        }
        let similarities = images.similarity(&self.embed_metadata(&records)?)?;
        Ok(Query {
            field,
            probabilities: softmax(&similarities, self.manifest.logit_scale),
            values,
            similarities,
        })
    }
}

/// Softmax of each row times `scale`.
fn softmax(rows: &Array2<f32>, scale: f64) -> Array2<f32> {
    let mut result = rows.clone();
    for mut row in result.axis_iter_mut(Axis(0)) {
        // Less the largest, so that nothing overflows.
        let largest = row.fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let weight = |v: f32| (f64::from(v - largest) * scale).exp();
        let sum: f64 = row.iter().map(|v| weight(*v)).sum();
        row.mapv_inplace(|v| (weight(v) / sum) as f32);
    }
    result
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn softmax_agrees_with_hand_computed_values() {
        let found = softmax(&array![[0.0, 0.5], [-1.0, 1.0]], 2.0);
        let e = std::f32::consts::E;
        let expected = array![
            [1.0 / (1.0 + e), e / (1.0 + e)],
            [1.0 / (1.0 + e.powi(4)), e.powi(4) / (1.0 + e.powi(4))]
        ];
        assert!((found - expected).iter().all(|d| d.abs() < 1e-6));
    }

    #[test]
    fn large_scales_do_not_overflow() {
        let found = softmax(&array![[1.0, 0.9, -1.0]], 1e4);
        assert_eq!(found[[0, 0]], 1.0);
        assert!((found.sum() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn best_takes_the_first_of_equals() {
        let query = Query {
            field: Field::CountryCode,
            values: vec!["PER".into(), "FRA".into(), "KEN".into()],
            similarities: Array2::zeros((1, 3)),
            probabilities: array![[0.2, 0.4, 0.4]],
        };
        assert_eq!(query.best(0), Some(("FRA", 0.4)));
        assert_eq!(query.best(1), None);
    }
}
