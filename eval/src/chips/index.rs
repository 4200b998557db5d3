//! The table of a source: which chips a split has, with their labels and metadata.

use std::collections::BTreeMap;
use std::path::Path;

use satmip::metadata::Metadata;
use satmip::metadata::read::ColumnMap;
use satmip::metadata::read::table::{MAX_TABLE_ROWS, keyed_rows};
use satmip::parts::names::{Match, Names};
use satmip::{Error, Result};

/// Most names of other splits that are kept.
const MOST_OTHERS: usize = 16;

/// What is wrong with a chip whose row could be another's.
pub(super) const AMBIGUOUS: &str =
    "several pictures could have its row of the table: write a longer path there";

/// A row of the split that was asked for.
pub(super) struct IndexRow {
    pub(super) key: String,
    pub(super) label: String,
    pub(super) metadata: Metadata,
}

/// A table, read.
pub(super) struct Index {
    /// Rows of the split in the table's order, each until a chip takes it.
    rows: Vec<Option<IndexRow>>,
    /// All rows by key, those of other splits too.
    names: Names,
    /// For each of them, where it stands among the rows of the split.
    places: Vec<Option<usize>>,
    /// How many rows each other split has, of the first [`MOST_OTHERS`] that came.
    pub(super) others: BTreeMap<String, usize>,
}

/// Whether a key has a row.
pub(super) enum Found {
    Row(Box<IndexRow>),
    OtherSplit,
    /// An earlier chip has it.
    Taken,
    /// Several chips could have it, and nothing tells which is meant.
    Ambiguous,
    Nothing,
}

impl Index {
    /// Reads a table's rows of one split. Without a column `split` all rows are of the split `all`;
    /// with none given there, and without a column `label`, the table is refused.
    ///
    /// # Errors
    /// Where the file cannot be read, a column is missing, a key occurs twice, or a row of the split
    /// has a bad value.
    pub(super) fn read(path: &Path, split: &str, all: Option<&str>) -> Result<Self> {
        let fail = |line: Option<u64>, reason: String| Error::MetadataSource {
            origin: path.display().to_string(),
            line,
            reason,
            source: None,
        };
        let map = ColumnMap::default().with_text("label").with_text("split");
        let mut index = Index {
            rows: Vec::new(),
            names: Names::default(),
            places: Vec::new(),
            others: BTreeMap::new(),
        };
        for row in keyed_rows(path, &map)? {
            let mut row = row?;
            // Without a key it is of no picture, so that its split cannot matter.
            let Some(key) = row.key.take() else {
                let keyless = row.error(path.display(), "the row has no key");
                return Err(row.metadata.err().unwrap_or(keyless));
            };
            let part = row.texts.pop().flatten();
            let label = row.texts.pop().flatten();
            if all.is_none() {
                for (name, cell) in [("label", &label), ("split", &part)] {
                    if cell.is_none() {
                        return Err(fail(Some(1), format!("the column `{name}` is missing")));
                    }
                }
            }
            let part = part.as_deref().or(all).unwrap_or_default();
            let wanted = part == split;
            let place = wanted.then_some(index.rows.len());
            if !wanted {
                index.count_other(part);
            }
            if index.places.len() >= MAX_TABLE_ROWS {
                let reason = format!("the table has more than {MAX_TABLE_ROWS} rows");
                return Err(fail(None, reason));
            }
            if index.names.add(&key).is_err() {
                let reason = format!("file `{key}` occurs twice");
                return Err(row.error(path.display(), reason));
            }
            index.places.push(place);
            if wanted {
                index.rows.push(Some(IndexRow {
                    key,
                    label: label.unwrap_or_default(),
                    metadata: row.metadata?,
                }));
            }
        }
        if index.rows.is_empty() {
            return Err(Error::EmptySplit {
                origin: path.display().to_string(),
                split: split.to_owned(),
                others: index.others.into_keys().collect(),
            });
        }
        Ok(index)
    }

    fn count_other(&mut self, split: &str) {
        if let Some(rows) = self.others.get_mut(split) {
            *rows += 1;
        } else if self.others.len() < MOST_OTHERS {
            self.others.insert(split.to_owned(), 1);
        }
    }

    /// Notes the names of a chip, before any is looked for: see [`Names`].
    pub(super) fn note(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.names.note(name, None));
    }

    /// The row of the first of a chip's names that has one.
    pub(super) fn take(&mut self, names: &[&str]) -> Found {
        for name in names {
            match self.names.find(name, None) {
                Match::Row(row) => return self.take_row(row),
                Match::Ambiguous => {
                    // It is no chip's, and none is missing for it.
                    return match self.names.nearest(name).map(|row| self.take_row(row)) {
                        Some(Found::OtherSplit) => Found::OtherSplit,
                        _ => Found::Ambiguous,
                    };
                }
                Match::Elsewhere | Match::None => {}
            }
        }
        Found::Nothing
    }

    /// The row whose key is exactly this name.
    pub(super) fn take_exact(&mut self, name: &str) -> Found {
        match self.names.whole(name) {
            Some(row) => self.take_row(row),
            None => Found::Nothing,
        }
    }

    fn take_row(&mut self, row: usize) -> Found {
        let Some(place) = self.places.get(row).copied().flatten() else {
            return Found::OtherSplit;
        };
        let row = self.rows.get_mut(place).and_then(Option::take);
        row.map_or(Found::Taken, |row| Found::Row(Box::new(row)))
    }

    /// All rows that no chip took.
    pub(super) fn into_rows(self) -> impl Iterator<Item = IndexRow> {
        self.rows.into_iter().flatten()
    }

    /// Refuses a table of which chips are missing in `place`, for `why` it may be.
    ///
    /// # Errors
    /// [`Error::Data`] with their number and the first of their names.
    pub(super) fn all_taken(self, place: &Path, why: Option<&str>) -> Result<()> {
        let mut left: Vec<String> = self.into_rows().map(|row| row.key).collect();
        left.sort_unstable();
        let Some(first) = left.first() else {
            return Ok(());
        };
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        Err(Error::Data {
            reason: format!(
                "`{}` lacks {} chips of its table, `{first}` first{why}",
                place.display(),
                left.len()
            ),
            source: None,
        })
    }
}
