//! The own metadata of a picture among all, and the other way round.

use ndarray::Axis;

use super::measures;
use crate::error::{Error, Result};
use crate::eval::probe::{self, Ranks};
use crate::eval::report::{DataSummary, FeatureSummary, Report, Score, Task};
use crate::eval::{DataSet, Extracted, Split};

/// Retrieval among the chips of a split, of which unit rows of both sides were extracted
/// ([`Encoder::Embeds`](crate::eval::Encoder::Embeds) with
/// [`FeatureKind::Both`](crate::eval::FeatureKind::Both)). Ranks count from 1; chips with the same metadata
/// share theirs.
///
/// # Errors
/// [`Error::Evaluation`] without both sides, [`Error::EmptySplit`].
pub fn retrieval(
    data: &DataSet,
    extracted: &Extracted,
    asked: Split,
    about: FeatureSummary,
) -> Result<Report> {
    let [images, metadata] = &extracted.blocks[..] else {
        return Err(Error::Evaluation {
            reason: "retrieval needs pictures and metadata".into(),
        });
    };
    let of = |split: Split| -> Vec<usize> {
        let rows = &extracted.rows;
        (0..rows.len())
            .filter(|place| data.split(rows[*place]) == split)
            .collect()
    };
    let places = of(asked);
    if places.is_empty() {
        return Err(Error::EmptySplit {
            origin: data.name().to_owned(),
            split: asked.name().into(),
        });
    }
    let dim = images.rows.ncols();
    let images = images.rows.select(Axis(0), &places);
    let metadata = metadata.rows.select(Axis(0), &places);
    let found = probe::retrieval(images.view(), metadata.view())?;
    let score = |direction: &str, ranks: &Ranks| {
        let mut metrics: Vec<_> = [1, 5, 10]
            .map(|k| measures::plain(&format!("recall@{k}"), 100.0 * ranks.recall_at(k)))
            .into();
        metrics.push(measures::plain("median rank", ranks.median()));
        metrics.push(measures::plain("of", places.len() as f64));
        Score {
            setting: "direction".into(),
            value: direction.into(),
            metrics,
        }
    };
    Ok(Report {
        task: Task::Retrieval,
        data: DataSummary {
            name: data.name().to_owned(),
            split: data.split_rule().to_owned(),
            evaluated: asked.name().into(),
            chips: Split::ALL.map(|split| of(split).len()),
            classes: data.classes().to_vec(),
        },
        features: FeatureSummary {
            kind: "both".into(),
            dim,
            ..about
        },
        scores: vec![
            score("image to metadata", &found.image_to_metadata),
            score("metadata to image", &found.metadata_to_image),
        ],
        headline: 0,
        confusion: None,
        notes: data.notes(asked),
    })
}
