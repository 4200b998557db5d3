//! Metadata of a table, joined to the items by file name.

use std::collections::HashMap;

use serde::Serialize;

use super::input::Item;
use crate::metadata::Metadata;

/// How a table and the items fitted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct JoinReport {
    /// Rows of the table, invalid ones included.
    pub rows: u64,
    /// Items that have a row.
    pub joined: u64,
    /// Items that have no row.
    pub items_without_row: u64,
    /// Rows that no item belongs to.
    pub rows_without_item: u64,
    /// Of the items without a row: those whose file name several rows or items have, so that
    /// only a path could tell which is meant.
    pub ambiguous: u64,
}

/// A row: what it says, or what is wrong with it.
type Row = Result<Metadata, String>;

/// A table of metadata, by the names of files.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    by_path: HashMap<String, usize>,
    by_name: HashMap<String, Named>,
    /// What the items showed: which rows are matched by a path, and how many share a name.
    by_path_taken: Vec<bool>,
    by_name_taken: Vec<u8>,
}

/// Rows that have a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    One(usize),
    Several,
}

/// The row of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Row(usize),
    Ambiguous,
    None,
}

impl Table {
    /// Adds a row of a file, in the table's order. `line` is for messages.
    pub(crate) fn add(&mut self, path: &str, row: Row, line: u64) {
        let path = path.strip_prefix("./").unwrap_or(path);
        if let Some(first) = self.by_path.get(path) {
            let first = &mut self.rows[*first];
            if *first != row {
                *first = Err(format!(
                    "the table has several rows for it that differ, the last in line {line}"
                ));
            }
            return;
        }
        let index = self.rows.len();
        self.rows.push(row);
        self.by_path.insert(path.to_owned(), index);
        self.by_name
            .entry(file_name(path).to_owned())
            .and_modify(|named| *named = Named::Several)
            .or_insert(Named::One(index));
        self.by_path_taken.push(false);
        self.by_name_taken.push(0);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Notes an item, before any is joined: file names join only where they are unique among
    /// the rows and among the items.
    pub(crate) fn note(&mut self, item: &Item) {
        if let Some(row) = self.exact(item) {
            self.by_path_taken[row] = true;
        } else if let Some(Named::One(row)) = self.by_name.get(file_name(item.name())) {
            let count = &mut self.by_name_taken[*row];
            *count = count.saturating_add(1);
        }
    }

    /// The row of an item: of the same path, else of the same file name where that is unique.
    pub(crate) fn find(&self, item: &Item) -> Match {
        if let Some(row) = self.exact(item) {
            return Match::Row(row);
        }
        match self.by_name.get(file_name(item.name())) {
            None => Match::None,
            Some(Named::Several) => Match::Ambiguous,
            Some(Named::One(row)) if self.by_path_taken[*row] => Match::None,
            // Never above 1 after all items were noted, and 0 for a stream, whose items nobody
            // could count before.
            Some(Named::One(row)) if self.by_name_taken[*row] == 1 => Match::Row(*row),
            Some(Named::One(_)) => Match::Ambiguous,
        }
    }

    /// What a row says.
    pub(crate) fn row(&self, index: usize) -> &Row {
        &self.rows[index]
    }

    fn exact(&self, item: &Item) -> Option<usize> {
        let find = |path: &str| self.by_path.get(path.strip_prefix("./").unwrap_or(path));
        find(&item.id).or_else(|| find(item.name())).copied()
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Counts matches as items come.
#[derive(Debug)]
pub(crate) struct Counter {
    report: JoinReport,
    used: Vec<bool>,
}

impl Counter {
    pub(crate) fn new(table: &Table) -> Self {
        Counter {
            report: JoinReport {
                rows: table.len() as u64,
                ..JoinReport::default()
            },
            used: vec![false; table.len()],
        }
    }

    pub(crate) fn count(&mut self, found: Match) {
        match found {
            Match::Row(row) => {
                self.report.joined += 1;
                self.used[row] = true;
            }
            Match::Ambiguous => {
                self.report.items_without_row += 1;
                self.report.ambiguous += 1;
            }
            Match::None => self.report.items_without_row += 1,
        }
    }

    pub(crate) fn report(&self) -> JoinReport {
        JoinReport {
            rows_without_item: self.used.iter().filter(|used| !**used).count() as u64,
            ..self.report
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::super::input::Inputs;
    use super::*;

    fn matches(table: &mut Table, files: &[&str]) -> (Vec<Match>, JoinReport) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        let inputs = Inputs::open(&[dir.path().to_owned()]).unwrap();
        let mut items = Vec::new();
        inputs
            .visit(&mut |item| {
                items.push(item);
                ControlFlow::Continue(())
            })
            .unwrap();
        items.iter().for_each(|item| table.note(item));
        let mut counter = Counter::new(table);
        let found: Vec<_> = items.iter().map(|item| table.find(item)).collect();
        found.iter().for_each(|m| counter.count(*m));
        (found, counter.report())
    }

    fn table(paths: &[&str]) -> Table {
        let mut table = Table::default();
        for (i, path) in paths.iter().enumerate() {
            table.add(path, Ok(Metadata::default()), i as u64 + 2);
        }
        table
    }

    #[test]
    fn a_path_comes_before_a_file_name() {
        let mut rows = table(&["x.jpg", "a/x.jpg", "./b/y.jpg", "gone.jpg"]);
        let (found, report) = matches(&mut rows, &["a/x.jpg", "b/y.jpg", "c/z.jpg", "x.jpg"]);
        let expected = [Match::Row(1), Match::Row(2), Match::None, Match::Row(0)];
        assert_eq!(found, expected);
        let expected = JoinReport {
            rows: 4,
            joined: 3,
            items_without_row: 1,
            rows_without_item: 1,
            ambiguous: 0,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn a_file_name_joins_only_where_it_is_unique() {
        let (found, _) = matches(&mut table(&["y.jpg"]), &["deep/y.jpg"]);
        assert_eq!(found, [Match::Row(0)]);
        let (found, report) = matches(&mut table(&["y.jpg"]), &["a/y.jpg", "b/y.jpg"]);
        assert_eq!(found, [Match::Ambiguous, Match::Ambiguous]);
        assert_eq!((report.ambiguous, report.rows_without_item), (2, 1));
        let (found, _) = matches(&mut table(&["1/y.jpg", "2/y.jpg"]), &["a/y.jpg"]);
        assert_eq!(found, [Match::Ambiguous]);
    }

    #[test]
    fn rows_that_contradict_each_other_are_an_error_of_that_item() {
        let mut rows = Table::default();
        let with = |gsd| Metadata::new().with_gsd(gsd).unwrap();
        rows.add("a.jpg", Ok(with(1.0)), 2);
        rows.add("a.jpg", Ok(with(1.0)), 3);
        rows.add("b.jpg", Ok(with(1.0)), 4);
        rows.add("b.jpg", Ok(with(2.0)), 5);
        assert_eq!(rows.len(), 2);
        assert!(rows.row(0).is_ok());
        assert!(rows.row(1).as_ref().unwrap_err().contains("line 5"));
    }
}
