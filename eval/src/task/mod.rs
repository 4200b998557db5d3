//! The evaluations, from features to a [`Report`].

mod audit;
mod few_shot;
mod knn;
mod linear;
mod measures;
mod retrieval;
mod zero_shot;

pub use audit::{AuditConfig, AuditSide, audit};
pub use linear::{LinearConfig, Solver};
pub use retrieval::retrieval;
pub use zero_shot::{Asked, zero_shot};

use ndarray::Array2;

use super::report::{DataSummary, FeatureSummary};
use super::{DataSet, Extracted, Features, Split};
use satmip::{Error, Result};

/// Features of a data set and what is known of its chips, ready to be asked about.
#[derive(Debug)]
pub struct Evaluation<'a> {
    data: &'a DataSet,
    features: Features,
    /// Rows of the data set that the rows of the features are.
    rows: Vec<usize>,
    asked: Split,
    about: FeatureSummary,
    notes: Vec<String>,
}

impl<'a> Evaluation<'a> {
    /// Joins what was extracted. `about` says what the features are; its width is filled in. Classifiers learn
    /// from the split `train`, figures are about the split `asked`, `val` or `test`.
    ///
    /// # Errors
    /// As [`Features::join`]; [`Error::EmptySplit`] and [`Error::Evaluation`] where a split has no chip, or none with features;
    /// [`Error::Argument`] where `asked` is the training split.
    pub fn new(
        data: &'a DataSet,
        extracted: Extracted,
        kind: super::FeatureKind,
        asked: Split,
        about: FeatureSummary,
    ) -> Result<Self> {
        if asked == Split::Train {
            return Err(Error::Argument {
                what: "split",
                reason: "what a classifier learned from says nothing; ask about `val` or `test`"
                    .into(),
            });
        }
        let Extracted {
            blocks, rows, bad, ..
        } = extracted;
        for split in [Split::Train, asked] {
            check_split(data, &rows, split, &about)?;
        }
        let id = |place: usize| data.id(rows[place]).to_owned();
        let train = places(data, &rows, Split::Train);
        let features = Features::join(kind, blocks, &train, id)?;
        let mut notes = notes(data, &bad, asked);
        if kind == super::FeatureKind::Both {
            notes.push(
                "image and metadata are standardised by the training chips, divided by the root of their width, and \
                 joined"
                    .into(),
            );
        }
        let about = FeatureSummary {
            kind: kind.name().into(),
            dim: features.dim(),
            ..about
        };
        Ok(Self {
            data,
            features,
            rows,
            asked,
            about,
            notes,
        })
    }

    /// Rows of the features that belong to a split.
    fn places(&self, split: Split) -> Vec<usize> {
        places(self.data, &self.rows, split)
    }

    /// The class of each of these rows; the first where there are several.
    fn classes(&self, places: &[usize]) -> Vec<usize> {
        let class = |place: &usize| self.data.labels(self.rows[*place]).first().copied();
        places
            .iter()
            .map(|place| class(place).unwrap_or(0))
            .collect()
    }

    /// Which labels each of these rows has, `[rows, labels]`.
    fn labels(&self, places: &[usize]) -> Array2<bool> {
        let mut labels = Array2::from_elem((places.len(), self.data.classes().len()), false);
        for (row, place) in places.iter().enumerate() {
            for label in self.data.labels(self.rows[*place]) {
                labels[[row, *label]] = true;
            }
        }
        labels
    }

    fn summary(&self) -> DataSummary {
        summary(self.data, &self.rows, self.asked)
    }
}

/// Which of these rows of a data set belong to a split.
fn places(data: &DataSet, rows: &[usize], split: Split) -> Vec<usize> {
    let of = |place: &usize| data.split(rows[*place]) == split;
    (0..rows.len()).filter(of).collect()
}

/// Refuses a split without a chip, and one of whose chips none has features.
fn check_split(data: &DataSet, rows: &[usize], split: Split, about: &FeatureSummary) -> Result<()> {
    if data.rows(split).is_empty() {
        return Err(data.lacks(split));
    }
    if places(data, rows, split).is_empty() {
        let of = match about.model.as_str() {
            "" => String::new(),
            model => format!(" of `{model}`"),
        };
        let (split, name) = (split.name(), data.name());
        return Err(Error::Evaluation {
            reason: format!("no chip of the split `{split}` of `{name}` has features{of}"),
        });
    }
    Ok(())
}

/// What a reader must know of the data and of the chips that could not be read.
fn notes(data: &DataSet, bad: &[(String, Error)], asked: Split) -> Vec<String> {
    let mut notes = data.notes(asked);
    if let Some((name, error)) = bad.first() {
        notes.push(format!(
            "{} of {} chips are left out, `{name}` first: {error}",
            bad.len(),
            data.len() + data.faults().count()
        ));
    }
    notes
}

/// These rows of a data set, as a report tells of them.
fn summary(data: &DataSet, rows: &[usize], asked: Split) -> DataSummary {
    DataSummary {
        name: data.name().to_owned(),
        split: data.split_rule().to_owned(),
        evaluated: asked.name().into(),
        chips: Split::ALL.map(|split| places(data, rows, split).len()),
        classes: data.classes().to_vec(),
    }
}
