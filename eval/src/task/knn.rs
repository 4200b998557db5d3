//! Weighted k nearest neighbours.

use super::{Evaluation, measures};
use crate::Split;
use crate::probe::{Knn, LabelKnn};
use crate::report::{Report, Score, Task};
use satmip::Result;

/// The k of the headline, DINO's.
const HEADLINE: usize = 20;

impl Evaluation<'_> {
    /// kNN with DINO's votes (see [`Knn`]) for each of `ks`; k = 20 is the headline where it is among them.
    /// Chips with several labels are measured by mean average precision.
    ///
    /// # Errors
    /// [`Error::Evaluation`](satmip::Error::Evaluation) without a k and for k = 0.
    pub fn knn(&self, ks: &[usize]) -> Result<Report> {
        let (train, asked) = (self.places(Split::Train), self.places(self.asked));
        let bank = self.features.select(&train);
        let queries = self.features.select(&asked);
        let classes = self.data.classes().len();
        let headline = ks.iter().position(|k| *k == HEADLINE).unwrap_or(0);
        let mut confusion = None;
        let mut metrics = Vec::with_capacity(ks.len());
        if self.data.is_multi_label() {
            let truth = self.labels(&asked);
            let knn = LabelKnn::new(bank.view(), self.labels(&train).view())?;
            for scores in knn.scores(queries.view(), ks)? {
                metrics.push(measures::of_labels(scores.view(), truth.view())?);
            }
        } else {
            let truth = self.classes(&asked);
            let knn = Knn::new(bank.view(), &self.classes(&train), classes)?;
            let found = knn.predict(queries.view(), ks)?;
            for found in &found {
                metrics.push(measures::of_classes(&truth, found, classes)?);
            }
            if let Some(found) = found.get(headline) {
                confusion = measures::confusion(&truth, found, classes)?;
            }
        }
        let scores = ks.iter().zip(metrics).map(|(k, metrics)| Score {
            setting: "k".into(),
            value: k.to_string(),
            metrics,
        });
        Ok(Report {
            task: Task::Knn,
            data: self.summary(),
            features: self.about.clone(),
            scores: scores.collect(),
            headline,
            confusion,
            notes: self.notes.clone(),
        })
    }
}
