//! Metadata of a table, joined to the items by file name.

use serde::Serialize;

use super::input::{Contents, Item};
use super::skipped::SkipKind;
use satmip::metadata::{FieldSet, Metadata};
pub(crate) use satmip::parts::names::Match;
use satmip::parts::names::Names;

/// How a table and the items fitted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JoinReport {
    /// Rows of the table, invalid ones included.
    pub rows: u64,
    /// Items that have a row.
    pub joined: u64,
    /// Of the items that have a row: those whose row states no field that the model reads, nor
    /// implies one. Their metadata vector is null.
    pub without_fields: u64,
    /// Of the items that have a row: those whose row could not be read, as it contradicts itself, another row or
    /// a field's limits. Their metadata vector is null; `errors.jsonl` names them.
    pub bad_rows: u64,
    /// Items that have no row.
    pub items_without_row: u64,
    /// Rows that no item belongs to.
    pub rows_without_item: u64,
    /// Of the items without a row: those whose path or file name several rows or items have, so
    /// that only a longer path could tell which is meant.
    pub ambiguous: u64,
    /// Of the items without a row: those whose file name a row has that names another folder.
    pub elsewhere: u64,
    /// Lines of the table that were left out, each named in the log: they have more or fewer cells
    /// than the header, or no readable file name. They are not among the rows.
    pub unreadable_rows: u64,
}

/// A row: what it says, or what is wrong with it.
type Row = Result<Metadata, String>;

/// A table of metadata, by the names of files.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    names: Names,
    /// Fields that the model reads.
    fields: FieldSet,
    unreadable: u64,
}

impl Table {
    /// A table for a model that reads these fields.
    pub(crate) fn reading(fields: FieldSet) -> Self {
        Table {
            fields,
            ..Table::default()
        }
    }

    /// Adds a row of a file, in the table's order. `place`, where it stands, is for messages.
    pub(crate) fn add(&mut self, path: &str, row: Row, place: &str) {
        match self.names.add(path) {
            Ok(_) => self.rows.push(row),
            Err(first) => {
                let first = &mut self.rows[first];
                if *first != row {
                    *first = Err(format!(
                        "the table has several rows for it that differ, the last in {place}"
                    ));
                }
            }
        }
    }

    /// Counts a line that is no row of any file.
    pub(crate) fn leave_out(&mut self) {
        self.unreadable += 1;
    }

    /// Lines that are no rows.
    pub(crate) fn left_out(&self) -> u64 {
        self.unreadable
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Notes an item, before any is joined.
    pub(crate) fn note(&mut self, item: &Item) {
        if !Self::is_again(item) && item.is_first() {
            self.names.note(item.name(), item.place.as_deref());
        }
    }

    /// Whether an item is there for the second time, and embedded no more.
    fn is_again(item: &Item) -> bool {
        matches!(item.source, Contents::Fault(SkipKind::Duplicate, _))
    }

    /// The row of an item, by its id and by its place: whether the inputs are one folder or several of its folders
    /// makes no difference.
    pub(crate) fn find(&self, item: &Item) -> Match {
        self.names.find(item.name(), item.place.as_deref())
    }

    /// What a row says.
    pub(crate) fn row(&self, index: usize) -> &Row {
        &self.rows[index]
    }

    fn is_without_fields(&self, index: usize) -> bool {
        let row = self.row(index).as_ref();
        row.is_ok_and(|record| !is_usable(record, self.fields))
    }
}

/// Whether a model that reads these fields sees anything in a record: a field, stated or implied.
pub(crate) fn is_usable(record: &Metadata, reading: FieldSet) -> bool {
    let reads = |fields: FieldSet| !fields.intersection(reading).is_empty();
    reads(record.fields()) || reads(record.derive_missing().fields())
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
                unreadable_rows: table.left_out(),
                ..JoinReport::default()
            },
            used: vec![false; table.len()],
        }
    }

    pub(crate) fn count(&mut self, item: &Item, found: Match, table: &Table) {
        if Table::is_again(item) {
            return;
        }
        match found {
            Match::Row(row) => {
                self.report.joined += 1;
                self.report.without_fields += u64::from(table.is_without_fields(row));
                self.report.bad_rows += u64::from(table.row(row).is_err());
                self.used[row] = true;
            }
            Match::Ambiguous => {
                self.report.items_without_row += 1;
                self.report.ambiguous += 1;
            }
            Match::Elsewhere => {
                self.report.items_without_row += 1;
                self.report.elsewhere += 1;
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
    use satmip::metadata::Field;

    fn matches(table: &mut Table, files: &[&str]) -> (Vec<Match>, JoinReport) {
        matches_of(table, files, &[""])
    }

    /// With these folders as the inputs.
    fn matches_of(table: &mut Table, files: &[&str], roots: &[&str]) -> (Vec<Match>, JoinReport) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        let roots: Vec<_> = roots.iter().map(|root| dir.path().join(root)).collect();
        let inputs = Inputs::open(&roots).unwrap();
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
        for (item, found) in items.iter().zip(&found) {
            counter.count(item, *found, table);
        }
        (found, counter.report())
    }

    fn table(paths: &[&str]) -> Table {
        let mut table = Table::default();
        for (i, path) in paths.iter().enumerate() {
            table.add(path, Ok(Metadata::default()), &format!("line {}", i + 2));
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
            // Rows without any field at all.
            without_fields: 3,
            ..JoinReport::default()
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
        let (found, report) = matches(&mut table(&["1/y.jpg", "2/y.jpg"]), &["a/y.jpg"]);
        assert_eq!(found, [Match::Elsewhere]);
        assert_eq!((report.joined, report.elsewhere), (0, 1));
    }

    #[test]
    fn one_input_or_several_join_alike() {
        let files = ["A/x.png", "B/x.png", "B/only.png"];
        for rows in [
            &["x.png", "only.png"][..],
            &["A/x.png", "B/x.png"],
            &["B/x.png"],
        ] {
            let (one, report) = matches_of(&mut table(rows), &files, &[""]);
            let (two, other) = matches_of(&mut table(rows), &files, &["A", "B"]);
            // Folders give their names in the order of bytes, which is the same here.
            assert_eq!((&one, report), (&two, other), "{rows:?}");
        }
        // The row of another folder is nobody's, whether that folder is among the inputs or not.
        for rows in [&["A/x.png"][..], &["other/x.png"], &["/nowhere/x.png"]] {
            let (found, report) = matches_of(&mut table(rows), &files, &["B"]);
            assert_eq!(found, [Match::None, Match::Elsewhere], "{rows:?}");
            assert_eq!((report.joined, report.elsewhere), (0, 1));
        }
        let (found, _) = matches_of(&mut table(&["B/x.png"]), &files, &["B"]);
        assert_eq!(found, [Match::None, Match::Row(0)]);
        // A file that is given twice is one.
        let (found, report) = matches_of(&mut table(&["only.png"]), &files, &["B", "B/only.png"]);
        assert_eq!(found[0], Match::Row(0));
        assert_eq!((report.joined, report.items_without_row), (1, 1));
        let (found, report) = matches_of(&mut table(&["x.png"]), &files, &["A", "B"]);
        assert_eq!(found, [Match::Ambiguous, Match::None, Match::Ambiguous]);
        assert_eq!((report.joined, report.ambiguous), (0, 2));
    }

    #[test]
    fn rows_without_a_field_that_the_model_reads_are_counted() {
        let mut table = Table::reading(FieldSet::of(&[Field::CountryCode]));
        table.add(
            "gsd.png",
            Ok(Metadata::new().with_gsd(10.0).unwrap()),
            "line 2",
        );
        table.add(
            "place.png",
            Ok(Metadata::new().with_location(2.35, 48.86).unwrap()),
            "line 3",
        );
        table.add(
            "sea.png",
            Ok(Metadata::new().with_location(-30.0, 30.0).unwrap()),
            "line 4",
        );
        table.add("bad.png", Err("bad".into()), "line 5");
        table.leave_out();
        let files = ["bad.png", "gsd.png", "place.png", "sea.png"];
        let (_, report) = matches(&mut table, &files);
        assert_eq!((report.joined, report.without_fields), (4, 2));
        assert_eq!(report.bad_rows, 1);
        assert_eq!((report.rows, report.unreadable_rows), (4, 1));
    }

    #[test]
    fn rows_that_contradict_each_other_are_an_error_of_that_item() {
        let mut rows = Table::default();
        let with = |gsd| Metadata::new().with_gsd(gsd).unwrap();
        rows.add("a.jpg", Ok(with(1.0)), "line 2");
        rows.add("a.jpg", Ok(with(1.0)), "line 3");
        rows.add("b.jpg", Ok(with(1.0)), "line 4");
        rows.add("b.jpg", Ok(with(2.0)), "line 5");
        assert_eq!(rows.len(), 2);
        assert!(rows.row(0).is_ok());
        assert!(rows.row(1).as_ref().unwrap_err().contains("line 5"));
    }
}
