//! The own metadata of a picture among all, and the other way round.

use ndarray::Axis;

use super::summary;
use crate::probe::{self, Ranks};
use crate::report::{FeatureSummary, Metric, Report, Score, Task};
use crate::{DataSet, Extracted, Split};
use satmip::{Error, Result};

/// Retrieval among the chips of a split, of which unit rows of both sides were extracted
/// ([`Encoder::Embeds`](crate::Encoder::Embeds) with
/// [`FeatureKind::Both`](crate::FeatureKind::Both)). Ranks count from 1; chips with the same metadata
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
    super::check_split(data, &extracted.rows, asked, &about)?;
    let places = super::places(data, &extracted.rows, asked);
    let dim = images.rows.ncols();
    let images = images.rows.select(Axis(0), &places);
    let metadata = metadata.rows.select(Axis(0), &places);
    let found = probe::retrieval(images.view(), metadata.view())?;
    let score = |direction: &str, ranks: &Ranks| {
        let mut metrics: Vec<_> = [1, 5, 10]
            .map(|k| Metric::plain(&format!("recall@{k}"), 100.0 * ranks.recall_at(k)))
            .into();
        metrics.push(Metric::plain("median rank", ranks.median()));
        metrics.push(Metric::plain("of", places.len() as f64));
        Score {
            setting: "direction".into(),
            value: direction.into(),
            metrics,
        }
    };
    Ok(Report {
        task: Task::Retrieval,
        data: summary(data, &extracted.rows, asked),
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
        notes: super::notes(data, &extracted.bad, asked),
    })
}
