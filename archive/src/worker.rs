//! What a worker does with a batch: read, decode, fit, and run the model's towers.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayView4, Axis, concatenate};

use super::Features;
use super::grid::Grid;
use super::input::{self, Chain, Contents, Item, OpenScene, Record};
use super::join::{Match, Table, is_usable};
use super::output::{ColumnSpec, ColumnValues, Rows, WindowRow};
use super::remote::Remote;
use super::skipped::{SkipKind, Skipped};
use satmip::arch::Preprocessing;
use satmip::image::{Geometry, Prepared, ReadOptions, Region, prepare, prepare_picture};
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
    /// What is read of servers and stores.
    pub(crate) remote: &'a Remote,
    pub(crate) table: Option<&'a Table>,
    pub(crate) features: Features,
    /// Columns of the images, then those of the metadata where there is a table.
    pub(crate) columns: &'a [ColumnSpec],
    pub(crate) reading: ReadOptions,
    /// Most clouds of a window, a share.
    pub(crate) max_cloud: Option<f32>,
    /// Names for the places of windows.
    pub(crate) grid: Option<Grid>,
}

/// A row of vectors, and the row of the output that it belongs to.
type Place = (usize, usize);

/// An item whose picture could be read.
struct Good {
    id: String,
    found: Match,
    /// What a plan has joined to it.
    record: Option<Arc<Record>>,
    /// What was done to it, for its metadata to follow.
    geometry: Geometry,
    /// The share of its pixels that are there.
    valid: f32,
    /// How it was read, in words.
    reading: String,
    /// Of a window of a scene: more of it.
    window: Option<Window>,
}

/// What is known of a window.
struct Window {
    scene: Arc<OpenScene>,
    /// What its place says of it, or why it says nothing.
    place: Result<Metadata, String>,
    /// The share of its pixels with data that are clouds.
    cloud: Option<f32>,
    at: Region,
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
            let record = item.record.clone();
            if let Contents::Window {
                scene, leads: true, ..
            } = &item.source
                && let Some(reason) = self.fault_of(scene, record.as_deref(), found)
            {
                done.skip(item.name().to_owned(), SkipKind::Metadata, reason);
            }
            let window = match &item.source {
                Contents::Window { scene, window, .. } => match self.window(scene, *window) {
                    Ok(window) => Some(window),
                    Err((kind, reason)) => {
                        done.skip(id, kind, reason);
                        continue;
                    }
                },
                _ => None,
            };
            match self.picture(item) {
                Ok(prepared) => {
                    pixels.extend_from_slice(&prepared.pixels);
                    good.push(Good {
                        id,
                        found,
                        record,
                        geometry: prepared.geometry,
                        valid: prepared.valid,
                        reading: prepared.reading.to_string(),
                        window,
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
        if self.columns.len() == split {
            self.name_bad_records(&good, &mut done);
        } else {
            let (vectors, places) = self.metadata(&good, &mut done)?;
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
        done.rows.windows = good
            .iter()
            .filter_map(|good| self.window_row(good))
            .collect();
        done.rows.ids = good.into_iter().map(|good| good.id.clone()).collect();
        Ok(done)
    }

    /// A picture fitted to the model.
    fn picture(&self, item: Item) -> Result<Prepared, Skipped> {
        let id = item.id.clone();
        if let Contents::Window { scene, window, .. } = &item.source {
            let preprocessing = self.model.preprocessing();
            let read = || {
                let picture = scene.scene.window(*window)?;
                prepare_picture(picture, &id, &self.reading, preprocessing)
            };
            return read().map_err(|error| Skipped::of(id.clone(), &error));
        }
        if let Contents::File(path) = &item.source {
            satmip::parts::nothing_beside(path).map_err(|fault| {
                let item = id.clone();
                Skipped::of(id.clone(), &Error::Image { item, fault })
            })?;
        }
        let bytes = input::read(item, self.remote, self.reading.limits.max_bytes())?;
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

    /// What is known of a window, or why it is left out.
    fn window(&self, scene: &Arc<OpenScene>, at: Region) -> Result<Window, (SkipKind, String)> {
        let cloud = scene.scene.cloud_share(at);
        let cloud = cloud.map_err(|error| SkipKind::of(&error))?;
        if let (Some(cloud), Some(most)) = (cloud, self.max_cloud)
            && cloud > most
        {
            let share = |share: f32| format!("{:.1} %", 100.0 * share);
            let reason = format!("{} are clouds, of at most {}", share(cloud), share(most));
            return Err((SkipKind::TooCloudy, reason));
        }
        let mut place = scene.scene.record(at).map_err(|error| error.to_string());
        if let (Some(cloud), Ok(place)) = (cloud, &mut place) {
            // A share is within the field's limits.
            let _ = place.set_cloud_cover(f64::from(cloud) * 100.0);
        }
        Ok(Window {
            scene: Arc::clone(scene),
            place,
            cloud,
            at,
        })
    }

    /// What is written of a window; none for a picture.
    fn window_row(&self, item: &Good) -> Option<WindowRow> {
        let window = item.window.as_ref()?;
        let time = self
            .stated(item)
            .ok()
            .flatten()
            .and_then(|record| record.timestamp());
        let place = window.place.as_ref().ok();
        let location = place.and_then(|place| place.location());
        let cell = self
            .grid
            .zip(location)
            .and_then(|(grid, at)| grid.cell(at.lon(), at.lat()));
        Some(WindowRow::of(
            &window.scene,
            window.at,
            window.cloud,
            place,
            time,
            cell,
        ))
    }

    /// What the table, or else the catalogue, says of an item's file; none where neither does.
    fn stated<'g>(&'g self, item: &'g Good) -> Result<Option<&'g Metadata>, &'g str> {
        let scene = item.window.as_ref().map(|window| &*window.scene);
        self.stated_of(scene, item.record.as_deref(), item.found)
    }

    fn stated_of<'g>(
        &'g self,
        scene: Option<&'g OpenScene>,
        record: Option<&'g Record>,
        found: Match,
    ) -> Result<Option<&'g Metadata>, &'g str> {
        if let Some(record) = record {
            return record.as_ref().map(Some).map_err(String::as_str);
        }
        match (found, self.table, scene) {
            (Match::Row(row), Some(table), _) => {
                table.row(row).as_ref().map(Some).map_err(String::as_str)
            }
            (_, _, Some(scene)) => scene.metadata().transpose(),
            _ => Ok(None),
        }
    }

    /// What is wrong with the metadata of all windows of a scene: it is said once.
    fn fault_of(&self, scene: &OpenScene, record: Option<&Record>, found: Match) -> Option<String> {
        let stated = self.stated_of(Some(scene), record, found);
        let fault = stated.err().or_else(|| scene.scene.misplaced());
        fault.map(|reason| format!("all of its windows: {reason}"))
    }

    /// Whether what is wrong with the metadata of an item is wrong with it alone.
    fn is_own(&self, item: &Good) -> bool {
        item.window.as_ref().is_none_or(|window| {
            let fault = self.fault_of(&window.scene, item.record.as_deref(), item.found);
            fault.is_none()
        })
    }

    /// What is known of an item: what is stated of its file, with its own place if it is a window.
    fn record<'g>(&'g self, item: &'g Good) -> Result<Option<Cow<'g, Metadata>>, &'g str> {
        let stated = self.stated(item)?;
        match item.window.as_ref().map(|window| &window.place) {
            None => Ok(stated.map(Cow::Borrowed)),
            Some(Ok(place)) => Ok(Some(match stated {
                Some(stated) => Cow::Owned(stated.of_part(place)),
                None => Cow::Borrowed(place),
            })),
            Some(Err(reason)) => Err(reason),
        }
    }

    /// Names windows whose time or place cannot be read and is null in their rows.
    fn name_bad_records(&self, good: &[&Good], done: &mut Done) {
        for item in good.iter().filter(|item| item.window.is_some()) {
            if let Err(reason) = self.record(item)
                && self.is_own(item)
            {
                done.skip(item.id.clone(), SkipKind::Metadata, reason);
            }
        }
    }

    /// Embeds the metadata of items that have some: vectors, and for each the row it belongs to.
    fn metadata(&self, good: &[&Good], done: &mut Done) -> Result<(Option<Vectors>, Vec<Place>)> {
        let fields = self.model.fields();
        let mut records = Vec::new();
        for (place, item) in good.iter().enumerate() {
            match self.record(item) {
                Ok(Some(metadata)) => {
                    // Of a record without any field all models say the same: nothing of this picture.
                    let seen = item.geometry.record_for(&metadata, fields);
                    if is_usable(&metadata, fields) && !seen.is_empty() {
                        records.push((place, seen));
                    }
                }
                Ok(None) => {}
                Err(reason) if self.is_own(item) => {
                    done.skip(item.id.clone(), SkipKind::Metadata, reason);
                }
                Err(_) => {}
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
