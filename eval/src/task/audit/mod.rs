//! Whether records with another chip's metadata are told from true ones.

mod swap;

use ndarray::{Array2, ArrayView2, Axis};
use rand::seq::SliceRandom;

use self::swap::{Swapped, Swaps};
use super::{measures, places, summary};
use crate::probe::{Purpose, auc_interval, stream};
use crate::report::{FeatureSummary, Metric, Report, Score, Task};
use crate::{DataSet, Extracted, Split};
use satmip::embedder::{Embedder, Embeddings};
use satmip::metadata::{FieldSet, Metadata};
use satmip::{Error, Result};

/// Seed of the bootstrap's resamples (our choice).
const RESAMPLES_SEED: u64 = 0;
/// Pictures that are held against all records at a time.
const BLOCK: usize = 256;

/// A model, and what it made of the chips: unit rows of pictures ([`Encoder::Embeds`](crate::Encoder::Embeds)).
#[derive(Debug, Clone, Copy)]
pub struct AuditSide<'a> {
    /// The model.
    pub model: &'a Embedder,
    /// Pictures of the split that is asked about.
    pub extracted: &'a Extracted,
}

/// What an audit is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditConfig {
    /// The fields, of those that the model reads.
    pub fields: FieldSet,
    /// Chips that are drawn from the split, which are each other's set; all of them where there are fewer.
    pub chips: usize,
    /// False records for each chip and field.
    pub draws: usize,
    /// Seed of the chips and false records that are drawn.
    pub seed: u64,
}

/// Scores of true records, and of the false ones of each draw, `[chips, draws]`.
struct Scores {
    truth: Vec<f64>,
    falsified: Array2<f64>,
}

/// How well [`Embedder::audit`] finds false records: for each field, and for all of them together, how probable
/// it is that a chip's true record scores above one that has another chip's value (AUC, Mann and Whitney 1947; 50 %
/// by chance).
///
/// False records are made of the chips of the split, each with the value of a chip that has another one; what
/// follows from a field is derived again, and a location takes its zone and country with it. Each true score is held
/// against all false ones, as one audit does that looks for what is wrong in a set.
///
/// | row | `AUC` is of | `AUC, cosine` is of |
/// |---|---|---|
/// | a field | what `satmip audit` shows of it, [`gain_without`](satmip::embedder::FieldFit::gain_without), negated | the cosine of picture and record |
/// | all fields | what it sorts by, the [`rank`](satmip::embedder::AuditRow::rank) among the split's records, negated | the cosine |
///
/// Intervals resample chips one by one: where few scenes or values stand behind many chips they are too narrow, and
/// figures of random weights away from 50 % show it.
///
/// `AUC, untrained` is as `AUC`, of the model `untrained`, the same towers with random weights. Fields without two
/// values are named in a note.
///
/// # Errors
/// [`Error::Unsupported`] for a model without metadata or a field that it does not read, [`Error::EmptySplit`],
/// [`Error::Evaluation`] without pictures or draws, where no field has two values, and where the two models saw
/// other chips; else as [`Embedder::embed_metadata`].
pub fn audit(
    data: &DataSet,
    trained: AuditSide<'_>,
    untrained: Option<AuditSide<'_>>,
    wanted: &AuditConfig,
    asked: Split,
    about: FeatureSummary,
) -> Result<Report> {
    let refuse = |reason: String| Err(Error::Evaluation { reason });
    let (model, extracted) = (trained.model, trained.extracted);
    let unread = wanted.fields.difference(model.fields());
    if model.fields().is_empty() || !unread.is_empty() {
        return Err(Error::Unsupported {
            model: model.manifest().id.clone(),
            what: match model.fields().is_empty() {
                true => "audit: it has no metadata tower".into(),
                false => format!("audit {unread}: it reads {}", model.fields()),
            },
        });
    }
    if wanted.draws == 0 || wanted.chips == 0 {
        return refuse("an audit needs a chip and a draw".into());
    }
    if untrained.is_some_and(|side| side.extracted.rows != extracted.rows) {
        return refuse("the untrained model saw other chips".into());
    }
    super::check_split(data, &extracted.rows, asked, &about)?;
    let mut asked_rows = places(data, &extracted.rows, asked);
    let all = asked_rows.len();
    if wanted.chips < all {
        asked_rows.shuffle(&mut stream(wanted.seed, Purpose::Sample, 0));
        asked_rows.truncate(wanted.chips);
        asked_rows.sort_unstable();
    }
    let derived = |place: &usize| extracted.records[*place].derive_missing();
    let records: Vec<Metadata> = asked_rows.iter().map(derived).collect();
    let trained = Pictures::of(trained, &asked_rows)?;
    let untrained = untrained.map(|side| Pictures::of(side, &asked_rows));
    let untrained = untrained.transpose()?;

    let mut notes = super::notes(data, &extracted.bad, asked);
    if asked_rows.len() < all {
        let drawn = asked_rows.len();
        notes.push(format!(
            "{drawn} of the {all} `{}` chips were drawn for the audit, with seed {}",
            asked.name(),
            wanted.seed
        ));
    }
    let mut scores = Vec::new();
    let fields = wanted.fields.iter().map(Swapped::Field);
    for swapped in fields.chain([Swapped::All]) {
        let (draws, seed) = (wanted.draws, wanted.seed);
        let swaps = match Swaps::draw(swapped, &records, model.fields(), draws, seed) {
            Ok(swaps) => swaps,
            Err(reason) => {
                notes.push(format!("{swapped} was not asked about: {reason}"));
                continue;
            }
        };
        let (shown, cosine) = trained.scores(swapped, &swaps, &records)?;
        let mut metrics = vec![auc("AUC", &shown)?, auc("AUC, cosine", &cosine)?];
        if let Some(untrained) = &untrained {
            let (shown, _) = untrained.scores(swapped, &swaps, &records)?;
            metrics.push(auc("AUC, untrained", &shown)?);
        }
        metrics.push(Metric::plain("chips", swaps.places.len() as f64));
        scores.push(Score {
            setting: "swapped".into(),
            value: swapped.to_string(),
            metrics,
        });
    }
    if scores.is_empty() {
        return refuse(format!("`{}`: {}", data.name(), notes.join("; ")));
    }
    Ok(Report {
        task: Task::Audit,
        data: summary(data, &extracted.rows, asked),
        features: FeatureSummary {
            kind: "both".into(),
            dim: model.dim(),
            ..about
        },
        headline: scores.len() - 1,
        scores,
        confusion: None,
        notes,
    })
}

fn auc(name: &str, scores: &Scores) -> Result<Metric> {
    let found = auc_interval(&scores.truth, scores.falsified.view(), RESAMPLES_SEED)?;
    Ok(measures::share(name, found))
}

/// A model with the unit rows of the pictures that are asked about.
struct Pictures<'a> {
    model: &'a Embedder,
    rows: Embeddings,
}

impl<'a> Pictures<'a> {
    fn of(side: AuditSide<'a>, places: &[usize]) -> Result<Self> {
        let mut blocks = side.extracted.blocks.iter();
        let Some(images) = blocks.find(|block| block.name == "image") else {
            return Err(Error::Evaluation {
                reason: "an audit needs pictures".into(),
            });
        };
        Ok(Self {
            model: side.model,
            rows: Embeddings::new(images.rows.select(Axis(0), places))?,
        })
    }

    /// What an audit shows, and cosines. `records` are those of all pictures, with what they imply.
    fn scores(
        &self,
        swapped: Swapped,
        swaps: &Swaps,
        records: &[Metadata],
    ) -> Result<(Scores, Scores)> {
        let images = self.rows.select(&swaps.places);
        let own: Vec<Metadata> = swaps.places.iter().map(|p| records[*p].clone()).collect();
        let own = self.model.prepare_metadata(&own);
        let Swapped::Field(field) = swapped else {
            let embedded = self.model.embed_prepared_metadata(&own)?;
            return Ok(among_all(images.view(), embedded.view(), &swaps.donors));
        };
        let cosines = |records: &[Metadata]| -> Result<Vec<f32>> {
            let embedded = self.model.embed_prepared_metadata(records)?;
            Ok(images.pair_cosines(&embedded))
        };
        let others = self.model.fields().difference(FieldSet::of(&[field]));
        let rests = |records: &[Metadata]| -> Vec<Metadata> {
            records.iter().map(|record| record.only(others)).collect()
        };
        let without = |records: &[Metadata]| -> Result<Vec<f32>> {
            // All of them have the field.
            let found = self.model.cosines_without(&images, records, field)?;
            Ok(found.into_iter().map(|(_, cosine)| cosine).collect())
        };
        let own_without = without(&own)?;
        let rest = rests(&own);
        let mut shown = Columns::default();
        let mut plain = Columns::default();
        let mut add = |with: Vec<f32>, without: &[f32]| {
            let gains = without.iter().zip(&with).map(|(rest, all)| rest - all);
            shown.0.push(gains.map(|gain| -f64::from(gain)).collect());
            plain.0.push(with.into_iter().map(f64::from).collect());
        };
        add(cosines(&own)?, &own_without);
        for draw in 0..swaps.donors.len() {
            let made = self.model.prepare_metadata(&swaps.made(draw, records)?);
            let with = cosines(&made)?;
            // Where nothing follows from the field, the rest of the record is the same, and its cosine too.
            match rests(&made) == rest {
                true => add(with, &own_without),
                false => add(with, &without(&made)?),
            }
        }
        Ok((shown.scores(), plain.scores()))
    }
}

/// Scores of true records, then those of each draw.
#[derive(Default)]
struct Columns(Vec<Vec<f64>>);

impl Columns {
    fn scores(mut self) -> Scores {
        let truth = self.0.remove(0);
        let shape = (truth.len(), self.0.len());
        Scores {
            falsified: Array2::from_shape_fn(shape, |(row, draw)| self.0[draw][row]),
            truth,
        }
    }
}

fn scores(truth: Vec<f64>, shape: (usize, usize)) -> Scores {
    Scores {
        truth,
        falsified: Array2::zeros(shape),
    }
}

/// Negated ranks and cosines of each picture with its own record, and with those of its donors in each draw. A rank
/// is 1 more than the number of records of other pictures with a larger cosine. Rows are unit rows.
fn among_all(
    images: ArrayView2<'_, f32>,
    records: ArrayView2<'_, f32>,
    donors: &[Vec<usize>],
) -> (Scores, Scores) {
    let shape = (images.nrows(), donors.len());
    let mut ranks = scores(Vec::with_capacity(shape.0), shape);
    let mut cosines = scores(Vec::with_capacity(shape.0), shape);
    for (block, rows) in images.axis_chunks_iter(Axis(0), BLOCK).enumerate() {
        for (i, row) in rows.dot(&records.t()).outer_iter().enumerate() {
            let own = block * BLOCK + i;
            let better = |cosine: f32| {
                let others = row.iter().enumerate().filter(|(other, _)| *other != own);
                others.filter(|(_, c)| **c > cosine).count()
            };
            let rank = |cosine: f32| -((1 + better(cosine)) as f64);
            ranks.truth.push(rank(row[own]));
            cosines.truth.push(row[own].into());
            for (draw, donors) in donors.iter().enumerate() {
                let cosine = row[donors[own]];
                ranks.falsified[[own, draw]] = rank(cosine);
                cosines.falsified[[own, draw]] = cosine.into();
            }
        }
    }
    (ranks, cosines)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn ranks_and_cosines_among_all_are_those_by_hand() {
        // Records along the axes and between; pictures 0 and 1 fit their own best, 2 fits 0.
        let records = array![[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]];
        let images = array![[1.0, 0.0], [0.0, 1.0], [0.8, -0.6]];
        let donors = [vec![1, 2, 0], vec![2, 0, 1]];
        let (ranks, cosines) = among_all(images.view(), records.view(), &donors);
        let off = cosines.truth.iter().zip([1.0, 1.0, 0.0]);
        assert!(off.into_iter().all(|(found, c)| (found - c).abs() < 1e-6));
        assert_eq!(ranks.truth, [-1.0, -1.0, -2.0]);
        // Picture 0 with record 1: record 2 is better, its own (0) is replaced.
        assert_eq!(
            ranks.falsified,
            array![[-2.0, -1.0], [-1.0, -2.0], [-1.0, -2.0]]
        );
        let found = auc_interval(&ranks.truth, ranks.falsified.view(), 0).unwrap();
        // True -1, -1, -2; false -1, -1, -1, -2, -2, -2.
        let by_hand = (2.0 * (3.0 + 3.0 * 0.5) + 3.0 * 0.5) / 18.0;
        assert!((found.value - by_hand).abs() < 1e-12);
    }

    #[test]
    fn blocks_do_not_show_in_ranks() {
        let count = 2 * BLOCK + 9;
        let angle = |i: usize| (i as f32) * 0.01;
        let rows = Array2::from_shape_fn((count, 2), |(i, axis)| {
            [angle(i).cos(), angle(i).sin()][axis]
        });
        let donors = vec![(0..count).map(|i| (i + 1) % count).collect::<Vec<_>>()];
        let (ranks, _) = among_all(rows.view(), rows.view(), &donors);
        assert!(ranks.truth.iter().all(|rank| *rank == -1.0));
        // The next on the arc is the nearest or second nearest, but for the last, whose donor is the first.
        let far = ranks.falsified.iter().filter(|rank| **rank < -2.0).count();
        assert_eq!(far, 1);
    }
}
