//! The table of a source: which chips a split has, with their labels and metadata.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::error::{Error, Result};
use crate::metadata::Metadata;
use crate::metadata::read::ColumnMap;
use crate::metadata::read::table::{MAX_TABLE_ROWS, keyed_rows};

/// Most names of other splits that are kept.
const MOST_OTHERS: usize = 16;

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
    /// All rows by key; none for those of other splits.
    keys: HashMap<String, Option<usize>>,
    /// How many rows each other split has, of the first [`MOST_OTHERS`] that came.
    pub(super) others: BTreeMap<String, usize>,
}

/// Whether a key has a row.
pub(super) enum Found {
    Row(Box<IndexRow>),
    OtherSplit,
    /// An earlier chip has it.
    Taken,
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
            keys: HashMap::new(),
            others: BTreeMap::new(),
        };
        for row in keyed_rows(path, &map)? {
            let mut row = row?;
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
            if index.keys.len() >= MAX_TABLE_ROWS {
                let reason = format!("the table has more than {MAX_TABLE_ROWS} rows");
                return Err(fail(None, reason));
            }
            if index.keys.insert(row.key.clone(), place).is_some() {
                let reason = format!("file `{}` occurs twice", row.key);
                return Err(fail(Some(row.line), reason));
            }
            if wanted {
                index.rows.push(Some(IndexRow {
                    key: row.key,
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

    /// The row of the first of these keys that has one.
    pub(super) fn take<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) -> Found {
        for key in keys {
            let key = key.strip_prefix("./").unwrap_or(key);
            match self.keys.get(key) {
                Some(Some(place)) => {
                    let row = self.rows.get_mut(*place).and_then(Option::take);
                    return row.map_or(Found::Taken, |row| Found::Row(Box::new(row)));
                }
                Some(None) => return Found::OtherSplit,
                None => {}
            }
        }
        Found::Nothing
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
