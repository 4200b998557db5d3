//! Which value of a metadata field fits a picture best.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ndarray::Axis;

use super::{measures, places, summary};
use crate::report::{FeatureSummary, MOST_FREQUENT, Metric, Report, Score, Task};
use crate::{DataSet, Extracted, Split};
use satmip::embedder::{Embedder, Embeddings};
use satmip::metadata::{Field, Metadata};
use satmip::{Error, Result};

/// Most values that are offered, the most frequent ones of the training chips (our choice).
const MOST_VALUES: usize = 200;

/// What is asked about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The season: which middle of a quarter, from January on, is nearest to the timestamp.
    Season,
    /// Any other field. Ground sample distances are rounded to two digits.
    Field(Field),
}

impl Asked {
    fn field(self) -> Field {
        match self {
            Asked::Season => Field::Timestamp,
            Asked::Field(field) => field,
        }
    }

    /// The value of a record, as it is offered.
    fn value(self, record: &Metadata, year: i32) -> Option<String> {
        match self {
            Asked::Season => {
                let time = record.timestamp()?;
                // December to February around 15 January, and so on.
                let month = [1, 4, 7, 10][(time.month() % 12 / 3) as usize];
                Some(format!("{year}-{month:02}-15"))
            }
            Asked::Field(Field::Gsd) => {
                let gsd = record.gsd()?;
                let mean = (gsd.x * gsd.y).sqrt();
                let scale = 10f64.powf(1.0 - mean.log10().floor());
                Some(format!("{}", (mean * scale).round() / scale))
            }
            Asked::Field(field) => record.text(field),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Season => f.pad("season"),
            Asked::Field(field) => f.pad(field.name()),
        }
    }
}

impl FromStr for Asked {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "season" => Ok(Asked::Season),
            "timestamp" => Err(Error::Argument {
                what: "field",
                reason: "every timestamp is another value; ask about the `season`".into(),
            }),
            field => field.parse().map(Asked::Field),
        }
    }
}

/// Zero-shot inference of metadata: each picture of the split gets the value that fits it best
/// ([`Embedder::query`]) of those that training chips have. `extracted` holds unit rows of pictures
/// ([`Encoder::Embeds`](crate::Encoder::Embeds)). One score for each field, with what always answering the
/// training chips' most frequent value would give, and what guessing would.
///
/// # Errors
/// [`Error::EmptySplit`], [`Error::Unsupported`] for a field that the model does not read, [`Error::Evaluation`] where fewer than two
/// values are known of the training chips, or no chip of the split has one of them.
pub fn zero_shot(
    data: &DataSet,
    extracted: &Extracted,
    model: &Embedder,
    fields: &[Asked],
    asked: Split,
    about: FeatureSummary,
) -> Result<Report> {
    let Some(images) = extracted.blocks.iter().find(|block| block.name == "image") else {
        return Err(Error::Evaluation {
            reason: "zero-shot inference needs pictures".into(),
        });
    };
    let mut notes = super::notes(data, &extracted.bad, asked);
    let mut scores = Vec::with_capacity(fields.len());
    let of = |split: Split| places(data, &extracted.rows, split);
    for split in [Split::Train, asked] {
        super::check_split(data, &extracted.rows, split, &about)?;
    }
    for field in fields {
        let refuse = |reason: &str| Error::Evaluation {
            reason: format!("`{field}` of `{}`: {reason}", data.name()),
        };
        let year = middle_year(&extracted.records);
        let value = |place: usize| field.value(&extracted.records[place], year);
        let known = of(Split::Train).into_iter().filter_map(value);
        let values = frequent(known);
        if values.len() < 2 {
            return Err(refuse("the training chips have fewer than two values"));
        }
        let mut places = Vec::new();
        let mut truth = Vec::new();
        for place in of(asked) {
            if let Some(at) = value(place).and_then(|v| values.iter().position(|k| *k == v)) {
                places.push(place);
                truth.push(at);
            }
        }
        if places.is_empty() {
            return Err(refuse(
                "no chip that is asked about has a value of the training chips",
            ));
        }
        let rows = Embeddings::new(images.rows.select(Axis(0), &places))?;
        let query = model.query(&rows, field.field(), &values)?;
        let best = |row: usize| {
            let row = query.similarities.row(row);
            (0..row.len())
                .rev()
                .max_by(|a, b| row[*a].total_cmp(&row[*b]))
        };
        let found: Vec<usize> = (0..places.len())
            .map(|row| best(row).unwrap_or(0))
            .collect();
        let mut metrics = measures::of_classes(&truth, &found, values.len())?;
        let mut counts = vec![0u64; values.len()];
        truth.iter().for_each(|at| counts[*at] += 1);
        // The first is the most frequent one of the training chips.
        let most = counts[0] as f64 / truth.len() as f64;
        metrics.push(Metric::plain(MOST_FREQUENT, 100.0 * most));
        metrics.push(Metric::plain("chance", 100.0 / values.len() as f64));
        let left = of(asked).len() - places.len();
        if left > 0 {
            notes.push(format!(
                "{field}: {left} chips without one of its values are left out"
            ));
        }
        scores.push(Score {
            setting: "field".into(),
            value: field.to_string(),
            metrics,
        });
    }
    Ok(Report {
        task: Task::ZeroShot,
        data: summary(data, &extracted.rows, asked),
        features: FeatureSummary {
            kind: "image".into(),
            dim: images.rows.ncols(),
            ..about
        },
        scores,
        headline: 0,
        confusion: None,
        notes,
    })
}

/// The distinct values, the most frequent first, at most [`MOST_VALUES`].
fn frequent(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut values: Vec<(String, usize)> = counts.into_iter().collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(MOST_VALUES);
    values.into_iter().map(|(value, _)| value).collect()
}

/// The year in the middle of the records' timestamps.
fn middle_year(records: &[Metadata]) -> i32 {
    let mut years: Vec<i32> = records
        .iter()
        .filter_map(|r| Some(r.timestamp()?.year()))
        .collect();
    years.sort_unstable();
    years.get(years.len() / 2).copied().unwrap_or(2020)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_gsd_and_other_fields_have_values() {
        let record = |time: &str| Metadata::new().with_timestamp(time).unwrap();
        for (time, value) in [
            ("2018-12-31", "2016-01-15"),
            ("2018-02-28", "2016-01-15"),
            ("2018-03-01", "2016-04-15"),
            ("2018-08-31T10:00:00Z", "2016-07-15"),
            ("2018-11-30", "2016-10-15"),
        ] {
            assert_eq!(
                Asked::Season.value(&record(time), 2016).as_deref(),
                Some(value),
                "{time}"
            );
        }
        let gsd = |x: f64| {
            let record = Metadata::new().with_gsd(x).unwrap();
            Asked::Field(Field::Gsd).value(&record, 0)
        };
        assert_eq!(gsd(3.04).as_deref(), Some("3"));
        assert_eq!(gsd(0.3149).as_deref(), Some("0.31"));
        assert_eq!(gsd(10.96).as_deref(), Some("11"));
        assert_eq!(gsd(123.0).as_deref(), Some("120"));
        assert_eq!(Asked::Season.value(&Metadata::new(), 2016), None);
        assert!("timestamp".parse::<Asked>().is_err());
        assert_eq!("season".parse::<Asked>().unwrap(), Asked::Season);
    }

    #[test]
    fn values_come_by_frequency_then_name() {
        let values = ["b", "a", "c", "b", "a"].map(String::from);
        assert_eq!(frequent(values.into_iter()), ["a", "b", "c"]);
        let many = (0..500).map(|i| format!("{i:03}"));
        assert_eq!(frequent(many).len(), MOST_VALUES);
    }
}
