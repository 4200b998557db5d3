//! Rows in memory, for commands that compare them.

use super::Tally;
use crate::join::{Match, Table, is_usable};
use crate::output::Rows;
use crate::skipped::{SkipKind, Skipped};
use satmip::image::Geometry;
use satmip::metadata::{FieldSet, Metadata};

/// What a job found, in memory.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Gathered {
    /// The items that have a vector.
    pub ids: Vec<String>,
    /// The first column's vectors, one after another.
    pub vectors: Vec<f32>,
    /// The metadata of each id as the model sees them, where a table has some that it reads.
    pub metadata: Vec<Option<Metadata>>,
    /// Items that were left out.
    pub skipped: Vec<Skipped>,
    /// How many of them have a row without any field that the model reads, and so no metadata.
    pub without_fields: usize,
    matches: Vec<Match>,
    geometries: Vec<Geometry>,
    pub(super) tally: Tally,
}

impl Gathered {
    pub(super) fn push(&mut self, rows: &Rows, skipped: Vec<Skipped>, items: u64) {
        self.tally.items += items;
        self.tally.rows += rows.ids.len() as u64;
        self.tally.skipped += skipped.len() as u64;
        self.ids.extend_from_slice(&rows.ids);
        self.matches.extend_from_slice(&rows.matches);
        self.geometries.extend_from_slice(&rows.geometries);
        if let Some(column) = rows.columns.first() {
            self.vectors.extend_from_slice(&column.values);
        }
        self.skipped.extend(skipped);
    }

    pub(crate) fn join(&mut self, table: &Table, fields: FieldSet) {
        let found = self.matches.iter().zip(&self.geometries);
        for (id, (found, geometry)) in self.ids.iter().zip(found) {
            let metadata = match found {
                Match::Row(row) => table.row(*row),
                Match::Ambiguous | Match::Elsewhere | Match::None => {
                    self.metadata.push(None);
                    continue;
                }
            };
            if metadata
                .as_ref()
                .is_ok_and(|record| !is_usable(record, fields))
            {
                self.without_fields += 1;
                self.metadata.push(None);
                continue;
            }
            if let Err(reason) = metadata {
                self.skipped.push(Skipped {
                    id: id.clone(),
                    kind: SkipKind::Metadata,
                    reason: reason.clone(),
                    hint: None,
                });
            }
            let seen = metadata.as_ref().map(|m| geometry.record_for(m, fields));
            self.metadata.push(seen.ok().filter(|m| !m.is_empty()));
        }
    }
}
