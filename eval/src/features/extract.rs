//! From chips to features.

use std::ops::ControlFlow;

use ndarray::{Array2, Array4, s};

use super::{Block, FeatureKind, colour_means, raw_metadata};
use crate::{DataSet, Split};
use satmip::embedder::{Embedder, TowerOutput};
use satmip::image::fit_with_geometry;
use satmip::metadata::{FieldSet, Metadata};
use satmip::parts::threads::{cores, each};
use satmip::{Error, Result};

/// Batches between two reports of progress, so many that all cores have some.
const WINDOW: usize = 64;
/// Chips of a batch of raw features.
const RAW_BATCH: usize = 16;

/// What turns chips into numbers.
#[derive(Debug, Clone, Copy)]
pub enum Encoder<'a> {
    /// A model: what its towers see, before the projectors.
    Features(&'a Embedder),
    /// A model: unit rows of the space that pictures and metadata share.
    Embeds(&'a Embedder),
    /// No model: [`colour_means`] of pictures, [`raw_metadata`] of these fields.
    Raw(FieldSet),
}

/// Features of the chips that could be read.
#[derive(Debug)]
pub struct Extracted {
    /// One block for pictures and one for metadata, as asked; their rows are those of `rows`.
    pub blocks: Vec<Block>,
    /// Rows of the data set, ascending.
    pub rows: Vec<usize>,
    /// What is known of each, as the encoder saw it: of the picture that a model was shown.
    pub records: Vec<Metadata>,
    /// Chips that could not be read, and why.
    pub bad: Vec<(String, Error)>,
}

/// What is made of which chips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// The sides.
    pub kind: FeatureKind,
    /// The splits.
    pub splits: Vec<Split>,
    /// Threads that decode and embed.
    pub workers: usize,
}

impl Extraction {
    /// Of all splits, with a thread for each core.
    pub fn of(kind: FeatureKind) -> Self {
        Self {
            kind,
            splits: Split::ALL.into(),
            workers: cores(),
        }
    }
}

/// A batch of chips on its way.
struct Batch {
    rows: Vec<usize>,
    bad: Vec<(usize, Error)>,
    /// Of the rows that are not bad.
    records: Vec<Metadata>,
    made: Result<Vec<Array2<f32>>>,
}

/// Features of the chips of a data set.
///
/// A model sees the metadata of what it is shown: they follow a chip through its fit to the input size.
/// Chips that cannot be read are left out and named. `progress` is told how many chips are done, and may
/// stop.
///
/// # Errors
/// [`Error::Unsupported`] for a model without the side that is asked for, [`Error::Engine`],
/// [`Error::Interrupted`], and [`Error::Data`] where no chip of one of the splits can be read.
pub fn extract(
    data: &DataSet,
    encoder: Encoder<'_>,
    wanted: &Extraction,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Extracted> {
    let kind = wanted.kind;
    if let Encoder::Features(model) | Encoder::Embeds(model) = encoder
        && kind.has_metadata()
        && model.fields().is_empty()
    {
        return Err(Error::Unsupported {
            model: model.manifest().id.clone(),
            what: "embed metadata: it has no metadata tower".into(),
        });
    }
    let size = match encoder {
        Encoder::Features(model) | Encoder::Embeds(model) => model.batch_size(),
        Encoder::Raw(_) => RAW_BATCH,
    };
    let of = |row: &usize| wanted.splits.contains(&data.split(*row));
    let all: Vec<usize> = (0..data.len()).filter(of).collect();
    let mut found = Extracted {
        blocks: Vec::new(),
        rows: Vec::with_capacity(all.len()),
        records: Vec::with_capacity(all.len()),
        bad: data.faults().collect(),
    };
    let mut parts: Vec<Vec<Array2<f32>>> = Vec::new();
    let mut done = 0;
    for window in all.chunks(size * WINDOW) {
        let mut batches: Vec<Batch> = window
            .chunks(size)
            .map(|rows| Batch {
                rows: rows.to_vec(),
                bad: Vec::new(),
                records: Vec::new(),
                made: Ok(Vec::new()),
            })
            .collect();
        each(
            "embedding the data",
            &mut batches,
            wanted.workers,
            |batch| {
                batch.made = run(data, encoder, kind, batch);
            },
        )?;
        for batch in batches {
            let made = batch.made?;
            let bad: Vec<usize> = batch.bad.iter().map(|(row, _)| *row).collect();
            found
                .rows
                .extend(batch.rows.iter().filter(|row| !bad.contains(row)));
            let named = batch
                .bad
                .into_iter()
                .map(|(row, error)| (data.id(row).to_owned(), error));
            found.bad.extend(named);
            found.records.extend(batch.records);
            parts.push(made);
        }
        done += window.len();
        if progress(done).is_break() {
            return Err(Error::Interrupted);
        }
    }
    for split in &wanted.splits {
        let of = |row: &usize| data.split(*row) == *split;
        if all.iter().any(of) && !found.rows.iter().any(of) {
            let first = found.bad.first();
            let first = first.map_or(String::new(), |(_, error)| format!(": {error}"));
            return Err(Error::Data {
                reason: format!(
                    "`{}`: no chip of the split `{}` can be read{first}",
                    data.name(),
                    split.name()
                ),
                source: None,
            });
        }
    }
    let names = [
        ("image", kind.has_image()),
        ("metadata", kind.has_metadata()),
    ];
    let names = names.into_iter().filter(|(_, wanted)| *wanted);
    for (side, (name, _)) in names.enumerate() {
        let rows = match (encoder, name) {
            // Its columns follow from the training chips, so it waits until those are known.
            (Encoder::Raw(fields), "metadata") => raw(data, &found, fields)?,
            _ => stack(parts.iter().filter_map(|part| part.get(side)))?,
        };
        found.blocks.push(Block { name, rows });
    }
    Ok(found)
}

fn raw(data: &DataSet, found: &Extracted, fields: FieldSet) -> Result<Array2<f32>> {
    let train = |place: &usize| data.split(found.rows[*place]) == Split::Train;
    let train: Vec<usize> = (0..found.rows.len()).filter(train).collect();
    raw_metadata(&found.records, &train, fields)
}

/// The sides of one batch, without the chips that cannot be read.
fn run(
    data: &DataSet,
    encoder: Encoder<'_>,
    kind: FeatureKind,
    batch: &mut Batch,
) -> Result<Vec<Array2<f32>>> {
    let (rows, bad, kept) = (&batch.rows, &mut batch.bad, &mut batch.records);
    let model = match encoder {
        Encoder::Features(model) | Encoder::Embeds(model) => model,
        Encoder::Raw(_) => {
            let sides = match kind.has_image() {
                true => vec![colours(data, rows, bad)?],
                false => Vec::new(),
            };
            let good = rows
                .iter()
                .filter(|row| !bad.iter().any(|(b, _)| b == *row));
            kept.extend(good.map(|row| data.metadata(*row).clone()));
            return Ok(sides);
        }
    };
    let preprocessing = &model.manifest().arch.preprocessing;
    let size = preprocessing.size;
    // A chip that cannot be read is black and without metadata, so that the batch stays the same.
    let mut pixels = vec![0; rows.len() * size * size * 3];
    let mut records = vec![Metadata::new(); rows.len()];
    for ((place, row), slot) in rows
        .iter()
        .enumerate()
        .zip(pixels.chunks_exact_mut(size * size * 3))
    {
        let picture = data.image(*row);
        let fitted = picture.and_then(|picture| fit_with_geometry(&picture, preprocessing));
        match fitted {
            Ok((bytes, geometry)) => {
                slot.copy_from_slice(&bytes);
                records[place] = geometry.record_for(data.metadata(*row), FieldSet::ALL);
            }
            Err(error) => bad.push((*row, error)),
        }
    }
    let shape = (rows.len(), size, size, 3);
    let pixels = Array4::from_shape_vec(shape, pixels).map_err(|e| Error::Argument {
        what: "pictures",
        reason: e.to_string(),
    })?;
    let wanted = |output: TowerOutput| match encoder {
        Encoder::Embeds(_) => output.embeds,
        _ => output.features,
    };
    let mut sides = Vec::new();
    if kind.has_image() {
        sides.push(wanted(model.embed_prepared(pixels.view())?));
    }
    if kind.has_metadata() {
        let seen: Vec<Metadata> = records.iter().map(|r| r.only(model.fields())).collect();
        sides.push(wanted(model.seen_output(&seen)?));
    }
    let good: Vec<usize> = (0..rows.len())
        .filter(|place| !bad.iter().any(|(row, _)| *row == rows[*place]))
        .collect();
    kept.extend(good.iter().map(|place| records[*place].clone()));
    Ok(sides
        .into_iter()
        .map(|side| side.select(ndarray::Axis(0), &good))
        .collect())
}

fn colours(data: &DataSet, rows: &[usize], bad: &mut Vec<(usize, Error)>) -> Result<Array2<f32>> {
    let (mut numbers, mut count) = (Vec::new(), 0);
    for row in rows {
        match data.image(*row).and_then(|picture| colour_means(&picture)) {
            Ok(means) => {
                numbers.extend(means);
                count += 1;
            }
            Err(error) => bad.push((*row, error)),
        }
    }
    let width = numbers.len().checked_div(count).unwrap_or(0);
    Array2::from_shape_vec((count, width), numbers).map_err(|e| Error::Argument {
        what: "pictures",
        reason: e.to_string(),
    })
}

/// Parts one below the other; parts without a row have no say in the width.
fn stack<'a>(parts: impl Iterator<Item = &'a Array2<f32>> + Clone) -> Result<Array2<f32>> {
    let parts = parts.filter(|part| part.nrows() > 0);
    let rows = parts.clone().map(Array2::nrows).sum();
    let width = parts.clone().map(Array2::ncols).next().unwrap_or(0);
    let mut all = Array2::zeros((rows, width));
    let mut start = 0;
    for part in parts {
        let end = start + part.nrows();
        if part.ncols() != width {
            return Err(Error::Evaluation {
                reason: format!("rows of {} and {width} numbers in one set", part.ncols()),
            });
        }
        all.slice_mut(s![start..end, ..]).assign(part);
        start = end;
    }
    Ok(all)
}
