//! A linear classifier on a few chips of each class.

use super::{Evaluation, measures};
use crate::Split;
use crate::probe::{self, Logistic, Standardise};
use crate::report::{Report, Score, Task};
use satmip::{Error, Result};

impl Evaluation<'_> {
    /// For each number of shots and each of `seeds` seeds from `seed` on, draws so many training chips of each class and fits
    /// logistic regression with C = 1 (our choice) to them. Features are standardised by all training chips,
    /// which needs no label.
    ///
    /// # Errors
    /// [`Error::Evaluation`] without shots or seeds, for a class with fewer chips than shots, and for chips with
    /// several labels.
    pub fn few_shot(&self, shots: &[usize], seed: u64, seeds: usize) -> Result<Report> {
        if self.data.is_multi_label() {
            return Err(Error::Evaluation {
                reason: "few shots are of one label a chip".into(),
            });
        }
        let (train, asked) = (self.places(Split::Train), self.places(self.asked));
        let scale = Standardise::fit(self.features.select(&train).view())?;
        let rows = |places: &[usize]| scale.apply(self.features.select(places).view());
        let (known, queries) = (rows(&train)?, rows(&asked)?);
        let (labels, truth) = (self.classes(&train), self.classes(&asked));
        let split = probe::Split {
            features: known.view(),
            labels: &labels,
        };
        let test = probe::Split {
            features: queries.view(),
            labels: &truth,
        };
        let seeds: Vec<u64> = (0..seeds as u64).map(|i| seed.wrapping_add(i)).collect();
        let classes = self.data.classes();
        let mut scores = Vec::with_capacity(shots.len());
        for shots in shots {
            if let Some(class) = lacking(&labels, classes.len(), *shots) {
                return Err(Error::Evaluation {
                    reason: format!(
                        "the class `{}` of `{}` has fewer than {shots} training chips",
                        classes[class],
                        self.data.name()
                    ),
                });
            }
            let logistic = Logistic::default();
            let found = probe::few_shot(split, test, classes.len(), *shots, &logistic, &seeds)?;
            scores.push(Score {
                setting: "shots".into(),
                value: shots.to_string(),
                metrics: vec![measures::over_seeds("accuracy", &found.accuracies)],
            });
        }
        if scores.is_empty() {
            return Err(Error::Evaluation {
                reason: "no number of shots is given".into(),
            });
        }
        Ok(Report {
            task: Task::FewShot,
            data: self.summary(),
            features: self.about.clone(),
            headline: scores.len() - 1,
            scores,
            confusion: None,
            notes: self.notes.clone(),
        })
    }
}

/// The first class with fewer rows than this.
fn lacking(labels: &[usize], classes: usize, shots: usize) -> Option<usize> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|label| counts[*label] += 1);
    counts.iter().position(|count| *count < shots)
}
