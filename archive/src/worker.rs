//! What a worker does with a batch: read, decode, fit, and run the model's towers.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayView4, Axis, concatenate};

use super::Features;
use super::input::{self, Chain, Contents, Item};
use super::join::{Match, Table};
use super::output::{ColumnSpec, ColumnValues, Rows};
use super::skipped::{SkipKind, Skipped};
use satmip::arch::Preprocessing;
use satmip::image::{Geometry, Prepared, ReadOptions, prepare};
use satmip::metadata::{FieldSet, Metadata};
use satmip::parts::guard::guarded;
use satmip::{Error, ImageFault, Result};

/// What a tower gives, one row for each input.
#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    /// Before the projector, `[n, d]`.
    pub(crate) features: Array2<f32>,
    /// In the common space, `[n, e]`, unit rows.
    pub(crate) embeds: Array2<f32>,
}

/// The model as a job needs it.
pub(crate) trait Model: Sync {
    /// How pictures are fitted to the model.
    fn preprocessing(&self) -> &Preprocessing;

    /// Embeds fitted pictures, `[n, height, width, 3]`.
    fn images(&self, pictures: ArrayView4<'_, u8>) -> Result<Vectors>;

    /// Fields that the model reads.
    fn fields(&self) -> FieldSet;

    /// Embeds metadata as the model sees them ([`Geometry::record_for`]).
    fn metadata(&self, records: &[Metadata]) -> Result<Vectors>;
}

/// Consecutive items of the input. Where batches end depends on the input alone.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) index: u64,
    pub(crate) items: Vec<(Item, Match)>,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) index: u64,
    pub(crate) items: u64,
    pub(crate) end: Chain,
    pub(crate) rows: Rows,
    pub(crate) skipped: Vec<Skipped>,
}

/// Everything that all workers share.
pub(crate) struct Work<'a> {
    pub(crate) model: &'a dyn Model,
    pub(crate) table: Option<&'a Table>,
    pub(crate) features: Features,
    /// Columns of the images, then those of the metadata where there is a table.
    pub(crate) columns: &'a [ColumnSpec],
    pub(crate) reading: ReadOptions,
}

/// A row of vectors, and the row of the output that it belongs to.
type Place = (usize, usize);

/// An item whose picture could be read.
struct Good {
    id: String,
    found: Match,
    /// What was done to it, for its metadata to follow.
    geometry: Geometry,
    /// The share of its pixels that are there.
    valid: f32,
    /// How it was read, in words.
    reading: String,
}

impl Work<'_> {
    /// Embeds a batch. Bad items become rows of `skipped`; an error is the model's.
    pub(crate) fn run(&self, batch: Batch) -> Result<Done> {
        let mut done = Done {
            index: batch.index,
            items: batch.items.len() as u64,
            end: batch.items.last().map(|(i, _)| i.chain).unwrap_or_default(),
            rows: Rows::default(),
            skipped: Vec::new(),
        };
        let size = self.model.preprocessing().size;
        let mut pixels = Vec::with_capacity(batch.items.len() * size * size * 3);
        let mut good = Vec::with_capacity(batch.items.len());
        for (item, found) in batch.items {
            let id = item.id.clone();
            match self.picture(item) {
                Ok(prepared) => {
                    pixels.extend_from_slice(&prepared.pixels);
                    good.push(Good {
                        id,
                        found,
                        geometry: prepared.geometry,
                        valid: prepared.valid,
                        reading: prepared.reading.to_string(),
                    });
                }
                Err(skipped) => done.skipped.push(skipped),
            }
        }
        if good.is_empty() {
            done.rows.columns = self
                .columns
                .iter()
                .map(|_| ColumnValues::default())
                .collect();
            return Ok(done);
        }
        let pixel_rows = size * size * 3;
        let (vectors, kept, failed) = tolerant(good.len(), |rows| {
            let shape = (rows.len(), size, size, 3);
            let pixels = &pixels[rows.start * pixel_rows..rows.end * pixel_rows];
            let pictures = ArrayView4::from_shape(shape, pixels)
                .map_err(|e| wrong_output(format!("pictures of another size: {e}")))?;
            self.model.images(pictures)
        })?;
        for (row, error) in failed {
            done.skip(good[row].id.clone(), SkipKind::Model, error.to_string());
        }
        let good: Vec<&Good> = kept.iter().map(|row| &good[*row]).collect();
        let places: Vec<_> = (0..good.len()).map(|row| (row, row)).collect();
        let views = self.features.views(&vectors);
        let split = views.len();
        for (view, spec) in views.into_iter().zip(self.columns) {
            let values = scatter(view, &places, good.len(), spec)?;
            done.rows.columns.push(values);
        }
        if let Some(table) = self.table.filter(|_| self.columns.len() > split) {
            let (vectors, places) = self.metadata(table, &good, &mut done)?;
            for (i, spec) in self.columns[split..].iter().enumerate() {
                let none = ArrayView2::from(&[[0.0_f32; 0]; 0]);
                let views = vectors.as_ref().map(|v| self.features.views(v));
                let view = views.map_or(none, |views| views[i]);
                let values = scatter(view, &places, good.len(), spec)?;
                done.rows.columns.push(values);
            }
        }
        done.rows.valid = good.iter().map(|good| good.valid).collect();
        done.rows.readings = good.iter().map(|good| good.reading.clone()).collect();
        done.rows.geometries = good.iter().map(|good| good.geometry).collect();
        done.rows.matches = good.iter().map(|good| good.found).collect();
        done.rows.ids = good.into_iter().map(|good| good.id.clone()).collect();
        Ok(done)
    }

    /// A picture fitted to the model.
    fn picture(&self, item: Item) -> Result<Prepared, Skipped> {
        let id = item.id.clone();
        if let Contents::File(path) = &item.source {
            satmip::parts::nothing_beside(path).map_err(|fault| {
                let item = id.clone();
                Skipped::of(id.clone(), &Error::Image { item, fault })
            })?;
        }
        let bytes = input::read(item, self.reading.limits.max_bytes())?;
        // A decoder's panic on a hostile file must cost one item, not the job.
        guarded(|| prepare(&bytes, &id, &self.reading, self.model.preprocessing()))
            .unwrap_or_else(|said| {
                Err(Error::Image {
                    item: id.clone(),
                    fault: ImageFault::DecoderPanicked(said),
                })
            })
            .map_err(|error| Skipped::of(id, &error))
    }

    /// Embeds the metadata of items that have some: vectors, and for each the row it belongs to.
    fn metadata(
        &self,
        table: &Table,
        good: &[&Good],
        done: &mut Done,
    ) -> Result<(Option<Vectors>, Vec<Place>)> {
        let fields = self.model.fields();
        let mut records = Vec::new();
        for (place, item) in good.iter().enumerate() {
            let Match::Row(row) = item.found else {
                continue;
            };
            match table.row(row) {
                // Of a record without any field all models say the same: nothing of this picture.
                Ok(metadata) if !table.is_usable(metadata) => {}
                Ok(metadata) => {
                    let seen = item.geometry.record_for(metadata, fields);
                    if !seen.is_empty() {
                        records.push((place, seen));
                    }
                }
                Err(reason) => done.skip(item.id.clone(), SkipKind::Metadata, reason.as_str()),
            }
        }
        if records.is_empty() {
            return Ok((None, Vec::new()));
        }
        let (vectors, kept, failed) = tolerant(records.len(), |rows| {
            let records: Vec<_> = records[rows].iter().map(|(_, m)| m.clone()).collect();
            self.model.metadata(&records)
        })?;
        for (row, error) in failed {
            let id = good[records[row].0].id.clone();
            done.skip(id, SkipKind::Metadata, error.to_string());
        }
        let places = kept.iter().map(|row| records[*row].0).enumerate().collect();
        Ok((Some(vectors), places))
    }
}

impl Done {
    fn skip(&mut self, id: String, kind: SkipKind, reason: impl Into<String>) {
        let reason = reason.into();
        self.skipped.push(Skipped {
            id,
            kind,
            reason,
            hint: None,
        });
    }
}

/// Runs a tower on `count` inputs. When that fails, runs it on each by itself, so that one bad
/// input costs no other: vectors of those that succeeded, which they are, and why the others
/// failed. A failure of the engine on all of them is the engine's, and an error.
#[allow(clippy::type_complexity)]
fn tolerant(
    count: usize,
    run: impl Fn(Range<usize>) -> Result<Vectors>,
) -> Result<(Vectors, Vec<usize>, Vec<(usize, Error)>)> {
    let whole = match run(0..count) {
        Ok(vectors) => return Ok((vectors, (0..count).collect(), Vec::new())),
        Err(error) => error,
    };
    let (mut rows, mut kept, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..count {
        match run(row..row + 1) {
            Ok(vectors) => {
                rows.push(vectors);
                kept.push(row);
            }
            Err(error) => failed.push((row, error)),
        }
    }
    if rows.is_empty() && matches!(whole, Error::Engine { .. }) {
        return Err(whole);
    }
    let stack = |part: fn(&Vectors) -> ArrayView2<'_, f32>| match rows.is_empty() {
        true => Ok(Array2::zeros((0, 0))),
        false => concatenate(Axis(0), &rows.iter().map(part).collect::<Vec<_>>())
            .map_err(|e| wrong_output(e.to_string())),
    };
    let vectors = Vectors {
        features: stack(|v| v.features.view())?,
        embeds: stack(|v| v.embeds.view())?,
    };
    Ok((vectors, kept, failed))
}

/// A column of `rows` rows with `view`'s rows at their places, and nothing elsewhere.
fn scatter(
    view: ArrayView2<'_, f32>,
    places: &[(usize, usize)],
    rows: usize,
    spec: &ColumnSpec,
) -> Result<ColumnValues> {
    let mut column = ColumnValues {
        values: vec![0.0; rows * spec.dim],
        present: vec![false; rows],
    };
    if !places.is_empty() && view.ncols() != spec.dim {
        return Err(wrong_output(format!(
            "{} numbers for `{}`, expected {}",
            view.ncols(),
            spec.name,
            spec.dim
        )));
    }
    for (from, to) in places {
        let target = &mut column.values[to * spec.dim..(to + 1) * spec.dim];
        target
            .iter_mut()
            .zip(view.row(*from))
            .for_each(|(t, v)| *t = *v);
        column.present[*to] = true;
    }
    Ok(column)
}

fn wrong_output(reason: String) -> Error {
    Error::Argument {
        what: "model",
        reason,
    }
}
