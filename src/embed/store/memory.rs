//! Rows in memory, for commands that compare them.

use super::Tally;
use crate::embed::join::{Match, Table};
use crate::embed::output::Rows;
use crate::embed::skipped::{SkipKind, Skipped};
use crate::metadata::Metadata;

/// What a job found, in memory.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) ids: Vec<String>,
    /// The first column's vectors, one after another.
    pub(crate) vectors: Vec<f32>,
    /// The metadata of each id, where a table has some.
    pub(crate) metadata: Vec<Option<Metadata>>,
    pub(crate) skipped: Vec<Skipped>,
    matches: Vec<Match>,
    pub(super) tally: Tally,
}

impl Gathered {
    pub(super) fn push(&mut self, rows: &Rows, skipped: Vec<Skipped>, items: u64) {
        self.tally.items += items;
        self.tally.rows += rows.ids.len() as u64;
        self.tally.skipped += skipped.len() as u64;
        self.ids.extend_from_slice(&rows.ids);
        self.matches.extend_from_slice(&rows.matches);
        if let Some(column) = rows.columns.first() {
            self.vectors.extend_from_slice(&column.values);
        }
        self.skipped.extend(skipped);
    }

    pub(crate) fn join(&mut self, table: &Table) {
        for (id, found) in self.ids.iter().zip(&self.matches) {
            let metadata = match found {
                Match::Row(row) => table.row(*row),
                Match::Ambiguous | Match::None => {
                    self.metadata.push(None);
                    continue;
                }
            };
            if let Err(reason) = metadata {
                self.skipped.push(Skipped {
                    id: id.clone(),
                    kind: SkipKind::Metadata,
                    reason: reason.clone(),
                });
            }
            self.metadata.push(metadata.as_ref().ok().cloned());
        }
    }
}
