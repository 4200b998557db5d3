//! A linear classifier on fixed features.

use ndarray::Array2;
use rand::seq::SliceRandom;

use super::{Evaluation, measures};
use crate::Split;
use crate::probe::{
    self, LabelSplit, LinearModel, Logistic, Sgd, Standardise, choose_c, choose_c_labels,
    default_grid,
};
use crate::report::{Report, Score, Task};
use satmip::{Error, Result};

/// Share of the training chips that choose C where there is no validation split (our choice).
const CARVED: f64 = 0.2;

/// How the classifier is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearConfig {
    /// The method.
    pub solver: Solver,
    /// Seed of what is drawn: the order of SGD's rows, and validation chips where there is no such split.
    pub seed: u64,
    /// Fits, with seeds from `seed` on. L-BFGS draws nothing else.
    pub seeds: usize,
}

/// How weights are found.
#[derive(Debug, Clone, PartialEq)]
pub enum Solver {
    /// L-BFGS on multinomial logistic regression with an L2 penalty, whose C is chosen on the validation split
    /// from this grid, or from [`default_grid`].
    Lbfgs {
        /// Values of C, inverse strengths of the penalty.
        grid: Option<Vec<f64>>,
    },
    /// SGD without a penalty; nothing is chosen.
    Sgd(Sgd),
}

impl Default for LinearConfig {
    fn default() -> Self {
        Self {
            solver: Solver::Lbfgs { grid: None },
            seed: 0,
            seeds: 1,
        }
    }
}

/// Rows of a split, standardised.
struct Part {
    rows: Array2<f32>,
    places: Vec<usize>,
}

impl Evaluation<'_> {
    /// A linear probe. Features are standardised by the training chips. Where the split `val` is empty, or is the
    /// one that is asked about, a fifth of the training chips chooses C in its place, and the classifier is
    /// fitted again to all of them.
    ///
    /// # Errors
    /// [`Error::Evaluation`] for a grid, seeds or a rate that is impossible, and for SGD on chips with several
    /// labels.
    pub fn linear(&self, config: &LinearConfig) -> Result<Report> {
        if config.seeds == 0 {
            return Err(Error::Evaluation {
                reason: "a probe needs a seed".into(),
            });
        }
        let train = self.places(Split::Train);
        let scale = Standardise::fit(self.features.select(&train).view())?;
        let part = |places: Vec<usize>| -> Result<Part> {
            let rows = scale.apply(self.features.select(&places).view())?;
            Ok(Part { rows, places })
        };
        let train = part(train)?;
        let asked = part(self.places(self.asked))?;
        let mut notes = self.notes.clone();
        let (setting, value, models) = match &config.solver {
            Solver::Sgd(sgd) => {
                if self.data.is_multi_label() {
                    return Err(Error::Evaluation {
                        reason: "SGD's probe is for one label a chip; use L-BFGS".into(),
                    });
                }
                let labels = self.classes(&train.places);
                let classes = self.data.classes().len();
                let seeds = (0..config.seeds as u64).map(|i| config.seed.wrapping_add(i));
                let models: Result<Vec<LinearModel>> = seeds
                    .map(|seed| Sgd { seed, ..*sgd }.fit(train.rows.view(), &labels, classes))
                    .collect();
                ("epochs", sgd.epochs.to_string(), models?)
            }
            Solver::Lbfgs { grid } => {
                let grid = grid.clone().unwrap_or_else(default_grid);
                let (c, model, converged) =
                    self.logistic(&train, &part, &grid, config.seed, &mut notes)?;
                if !converged {
                    notes.push(format!("L-BFGS did not converge at C = {c}"));
                }
                ("C", format!("{c:.3e}"), vec![model])
            }
        };
        let mut confusion = None;
        let metrics = if self.data.is_multi_label() {
            let truth = self.labels(&asked.places);
            let scores = models[0].scores(asked.rows.view())?;
            measures::of_labels(scores.view(), truth.view())?
        } else {
            let (truth, classes) = (self.classes(&asked.places), self.data.classes().len());
            let found: Result<Vec<Vec<usize>>> = models
                .iter()
                .map(|model| model.predict(asked.rows.view()))
                .collect();
            let found = found?;
            confusion = measures::confusion(&truth, &found[0], classes)?;
            if found.len() > 1 {
                notes.push(format!(
                    "the confusion matrix is of seed {} alone",
                    config.seed
                ));
            }
            match &found[..] {
                [one] => measures::of_classes(&truth, one, classes)?,
                several => {
                    let of = |measure: fn(&probe::Confusion) -> f64| -> Result<Vec<f64>> {
                        let counted = several
                            .iter()
                            .map(|f| probe::Confusion::new(&truth, f, classes));
                        counted.map(|c| Ok(measure(&c?))).collect()
                    };
                    vec![
                        measures::over_seeds("accuracy", &of(probe::Confusion::accuracy)?),
                        measures::over_seeds("macro F1", &of(probe::Confusion::macro_f1)?),
                    ]
                }
            }
        };
        Ok(Report {
            task: Task::Linear,
            data: self.summary(),
            features: self.about.clone(),
            scores: vec![Score {
                setting: setting.into(),
                value,
                metrics,
            }],
            headline: 0,
            confusion,
            notes,
        })
    }

    /// The C that was chosen, its model, and whether the fit converged.
    fn logistic(
        &self,
        train: &Part,
        part: &impl Fn(Vec<usize>) -> Result<Part>,
        grid: &[f64],
        seed: u64,
        notes: &mut Vec<String>,
    ) -> Result<(f64, LinearModel, bool)> {
        let base = Logistic::default();
        let given = self.places(Split::Val);
        if !given.is_empty() && self.asked != Split::Val {
            let chosen = self.choose(train, &part(given)?, grid, &base)?;
            return Ok((chosen.c, chosen.fit.model, chosen.fit.converged));
        }
        let mut drawn = train.places.clone();
        drawn.shuffle(&mut probe::stream(seed, probe::Purpose::Validation, 0));
        let count = ((drawn.len() as f64 * CARVED) as usize).clamp(1, drawn.len().max(2) - 1);
        let rest = drawn.split_off(count);
        notes.push(format!(
            "C was chosen on {count} of the training chips, drawn with seed {seed}"
        ));
        let chosen = self.choose(&part(rest)?, &part(drawn)?, grid, &base)?;
        let base = base.with_c(chosen.c);
        let (rows, start) = (train.rows.view(), Some(&chosen.fit.model));
        let fit = match self.data.is_multi_label() {
            true => base.fit_labels_from(rows, self.labels(&train.places).view(), start)?,
            false => {
                let classes = self.data.classes().len();
                base.fit_from(rows, &self.classes(&train.places), classes, start)?
            }
        };
        Ok((chosen.c, fit.model, fit.converged))
    }

    fn choose(
        &self,
        train: &Part,
        val: &Part,
        grid: &[f64],
        base: &Logistic,
    ) -> Result<probe::Chosen> {
        if self.data.is_multi_label() {
            let (known, chosen) = (self.labels(&train.places), self.labels(&val.places));
            let known = LabelSplit {
                features: train.rows.view(),
                labels: known.view(),
            };
            let chosen = LabelSplit {
                features: val.rows.view(),
                labels: chosen.view(),
            };
            return choose_c_labels(known, chosen, grid, base);
        }
        let (known, chosen) = (self.classes(&train.places), self.classes(&val.places));
        let known = probe::Split {
            features: train.rows.view(),
            labels: &known,
        };
        let chosen = probe::Split {
            features: val.rows.view(),
            labels: &chosen,
        };
        choose_c(known, chosen, self.data.classes().len(), grid, base)
    }
}
