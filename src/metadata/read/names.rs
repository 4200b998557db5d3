//! Which row of a table belongs to which file, by their names: the one rule of every join.
//!
//! A row names a file by its path, of which it may lack folders at the beginning. For a file, first
//! hit first:
//!
//! 1. the row of the whole path;
//! 2. the row of the path without its first folder, then without two, and so on down to the bare
//!    name ([`endings`]): the longest that there is;
//! 3. where the join allows it, the row of the same file name in another folder, when that is the
//!    only row and the only file of the name.
//!
//! By 2 and 3 a row belongs to one file at most. Where several files could have it, none of them
//! gets it: they are ambiguous. A row that some file has by its whole path, or by a longer ending,
//! is no other's.

use std::collections::HashMap;

/// A path, then the path without its first folder, and so on down to the file name; without the
/// `./` that some tools write in front.
pub(crate) fn endings(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(plain(path)), |rest| {
        rest.split_once('/').map(|(_, rest)| rest)
    })
}

/// A path without the `./` that some tools write in front of it.
pub(crate) fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

/// The row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Row(usize),
    Ambiguous,
    None,
}

/// The rows of a table by the paths that they name, and what the files showed of them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_path: HashMap<String, usize>,
    by_name: HashMap<String, Named>,
    files: Vec<Files>,
}

/// Rows that have a file name.
#[derive(Debug, Clone, Copy)]
enum Named {
    One(usize),
    Several,
}

/// The files that could have a row: whether one by its whole path, and how many by an ending of it
/// or by its name.
#[derive(Debug, Clone, Copy, Default)]
struct Files {
    whole: bool,
    endings: u8,
    names: u8,
}

impl Names {
    /// Adds a row, which is given the next number; or the number of the earlier row of the path.
    pub(crate) fn add(&mut self, path: &str) -> Result<usize, usize> {
        let path = plain(path);
        if let Some(first) = self.by_path.get(path) {
            return Err(*first);
        }
        let row = self.files.len();
        self.files.push(Files::default());
        self.by_path.insert(path.to_owned(), row);
        self.by_name
            .entry(file_name(path).to_owned())
            .and_modify(|named| *named = Named::Several)
            .or_insert(Named::One(row));
        Ok(row)
    }

    /// Notes a file, before any is looked for: what belongs to one alone can only be said when all
    /// are known.
    pub(crate) fn note(&mut self, file: &str) {
        let more = |count: &mut u8| *count = count.saturating_add(1);
        match (self.longest(file), self.named(file)) {
            (Some((row, true)), _) => self.files[row].whole = true,
            (Some((row, false)), _) => more(&mut self.files[row].endings),
            (None, Some(Named::One(row))) => more(&mut self.files[row].names),
            (None, _) => {}
        }
    }

    /// The row of a file; `by_name` allows rows of another folder.
    ///
    /// Where files were not noted, as those of a stream cannot be, what is not the whole path is
    /// ambiguous.
    pub(crate) fn find(&self, file: &str, by_name: bool) -> Match {
        if let Some((row, whole)) = self.longest(file) {
            let files = self.files[row];
            return match (whole, files.whole, files.endings) {
                (true, ..) | (false, false, 1) => Match::Row(row),
                (false, true, _) => Match::None,
                (false, false, _) => Match::Ambiguous,
            };
        }
        match self.named(file).filter(|_| by_name) {
            None => Match::None,
            Some(Named::Several) => Match::Ambiguous,
            Some(Named::One(row)) => match self.files[row] {
                Files { whole: true, .. } => Match::None,
                Files { endings, .. } if endings > 0 => Match::None,
                Files { names: 1, .. } => Match::Row(row),
                Files { .. } => Match::Ambiguous,
            },
        }
    }

    /// The row of exactly this path.
    #[cfg_attr(
        not(feature = "eval"),
        allow(dead_code, reason = "for sources of chips")
    )]
    pub(crate) fn whole(&self, file: &str) -> Option<usize> {
        self.by_path.get(plain(file)).copied()
    }

    /// The row of the longest ending of a path, whoever else could have it.
    #[cfg_attr(
        not(feature = "eval"),
        allow(dead_code, reason = "for sources of chips")
    )]
    pub(crate) fn nearest(&self, file: &str) -> Option<usize> {
        self.longest(file).map(|(row, _)| row)
    }

    /// The row of the longest ending of a path, and whether that is the whole path.
    fn longest(&self, file: &str) -> Option<(usize, bool)> {
        let mut rows = endings(file).enumerate();
        rows.find_map(|(cut, ending)| Some((*self.by_path.get(ending)?, cut == 0)))
    }

    fn named(&self, file: &str) -> Option<Named> {
        self.by_name.get(file_name(file)).copied()
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &[&str], files: &[&str]) -> Vec<Match> {
        let mut names = Names::default();
        for row in rows {
            let _ = names.add(row);
        }
        files.iter().for_each(|file| names.note(file));
        files.iter().map(|file| names.find(file, true)).collect()
    }

    #[test]
    fn paths_lose_their_folders_one_after_another() {
        let all: Vec<&str> = endings("./a/b/c.png").collect();
        assert_eq!(all, ["a/b/c.png", "b/c.png", "c.png"]);
        assert_eq!(endings("").collect::<Vec<_>>(), [""]);
        assert_eq!(endings("/a").collect::<Vec<_>>(), ["/a", "a"]);
    }

    #[test]
    fn the_whole_path_then_the_longest_ending_then_the_name() {
        use Match::*;
        for (rows, files, expected) in [
            (&["x"][..], &["x", "a/x"][..], &[Row(0), None][..]),
            (&["a/x", "x"], &["b/a/x", "c/x"], &[Row(0), Row(1)]),
            (&["x"], &["A/x", "B/x"], &[Ambiguous, Ambiguous]),
            (&["x"], &["A/x", "B/sub/x"], &[Ambiguous, Ambiguous]),
            (&["sub/x"], &["A/x", "B/sub/x"], &[None, Row(0)]),
            (&["A/x", "B/x"], &["t/A/x", "t/B/x"], &[Row(0), Row(1)]),
            (&["1/y"], &["a/y"], &[Row(0)]),
            (&["1/y"], &["a/y", "b/y"], &[Ambiguous, Ambiguous]),
            (&["1/y", "2/y"], &["a/y"], &[Ambiguous]),
            (&["./x"], &["./x"], &[Row(0)]),
            (&["y"], &["x"], &[None]),
        ] {
            assert_eq!(found(rows, files), expected, "{rows:?} {files:?}");
        }
    }

    #[test]
    fn files_that_nobody_counted_have_their_whole_path_alone() {
        let mut names = Names::default();
        assert_eq!((names.add("x"), names.add("./x")), (Ok(0), Err(0)));
        assert_eq!(names.find("x", true), Match::Row(0));
        assert_eq!(names.find("a/x", true), Match::Ambiguous);
        assert_eq!(names.add("b/y"), Ok(1));
        assert_eq!(names.find("a/y", true), Match::Ambiguous);
        assert_eq!(names.find("a/y", false), Match::None);
    }
}
