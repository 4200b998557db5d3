//! Which row of a table belongs to which file, by their names: the one rule of every join.
//!
//! A row names a file by its path, of which it may lack folders at the beginning. For a file, first
//! hit first:
//!
//! 1. the row of the whole path;
//! 2. the row of the path without its first folder, then without two, and so on down to the bare
//!    name ([`endings`]): the longest that there is;
//!
//! Before these comes the row of a longer path with which the file's place on this machine ends: a
//! table that was made for the folder above names `B/x.png`, which is `x.png` of the input `B`.
//!
//! A row that names another folder is not the file's, though the file's name is the same: `A/x.png`
//! is not `x.png` of `B`. Such files are told apart from those without any row, so that the caller
//! can say so.
//!
//! By 2 a row belongs to one file at most. Where several files could have it, none of them
//! gets it: they are ambiguous. A row that some file has by its whole path, or by a longer ending,
//! is no other's.

use std::collections::{HashMap, HashSet};

/// A path, then the path without its first folder, and so on down to the file name; without the
/// `./` that some tools write in front.
pub fn endings(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(plain(path)), |rest| {
        rest.split_once('/').map(|(_, rest)| rest)
    })
}

/// A path without the `./` that some tools write in front of it.
pub fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

/// The row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    Row(usize),
    Ambiguous,
    /// No row, but one of the same file name in another folder.
    Elsewhere,
    None,
}

/// The rows of a table by the paths that they name, and what the files showed of them.
#[derive(Debug, Default)]
pub struct Names {
    by_path: HashMap<String, usize>,
    names: HashSet<String>,
    files: Vec<Files>,
}

/// The files that could have a row: whether one by its whole path, and how many by an ending of it.
#[derive(Debug, Clone, Copy, Default)]
struct Files {
    whole: bool,
    endings: u8,
}

impl Names {
    /// Adds a row, which is given the next number; or the number of the earlier row of the path.
    pub fn add(&mut self, path: &str) -> Result<usize, usize> {
        let path = plain(path);
        if let Some(first) = self.by_path.get(path) {
            return Err(*first);
        }
        let row = self.files.len();
        self.files.push(Files::default());
        self.by_path.insert(path.to_owned(), row);
        self.names.insert(file_name(path).to_owned());
        Ok(row)
    }

    /// Notes a file, before any is looked for: what belongs to one alone can only be said when all
    /// are known. `place` is the whole path on this machine, where the file has one.
    pub fn note(&mut self, file: &str, place: Option<&str>) {
        match self.longest(file, place) {
            Some((row, true)) => self.files[row].whole = true,
            Some((row, false)) => {
                let endings = &mut self.files[row].endings;
                *endings = endings.saturating_add(1);
            }
            None => {}
        }
    }

    /// The row of a file.
    ///
    /// Where files were not noted, as those of a stream cannot be, what is not the whole path is
    /// ambiguous.
    pub fn find(&self, file: &str, place: Option<&str>) -> Match {
        let Some((row, whole)) = self.longest(file, place) else {
            return match self.names.contains(file_name(file)) {
                true => Match::Elsewhere,
                false => Match::None,
            };
        };
        let files = self.files[row];
        match (whole, files.whole, files.endings) {
            (true, ..) | (false, false, 1) => Match::Row(row),
            (false, true, _) => Match::None,
            (false, false, _) => Match::Ambiguous,
        }
    }

    /// The row of exactly this path.
    pub fn whole(&self, file: &str) -> Option<usize> {
        self.by_path.get(plain(file)).copied()
    }

    /// The row of the longest ending of a path, whoever else could have it.
    pub fn nearest(&self, file: &str) -> Option<usize> {
        self.longest(file, None).map(|(row, _)| row)
    }

    /// The row of the longest ending of a path, and whether that is the whole path, or more of the
    /// file's place.
    fn longest(&self, file: &str, place: Option<&str>) -> Option<(usize, bool)> {
        let whole = plain(file).len();
        let longer = place.into_iter().flat_map(endings);
        let longer = longer.take_while(|ending| ending.len() > whole);
        let mut paths = longer.chain(endings(file));
        paths.find_map(|path| Some((*self.by_path.get(path)?, path.len() >= whole)))
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
        files.iter().for_each(|file| names.note(file, None));
        files.iter().map(|file| names.find(file, None)).collect()
    }

    #[test]
    fn a_row_of_the_folder_above_joins_where_the_place_agrees() {
        let mut names = Names::default();
        for row in ["A/x", "B/x", "B/sub/y", "C/z", "w"] {
            names.add(row).unwrap();
        }
        let place = |file: &str| format!("/data/B/{file}");
        let files = ["x", "sub/y", "z", "w", "v"];
        for file in files {
            names.note(file, Some(&place(file)));
        }
        let found = files.map(|file| names.find(file, Some(&place(file))));
        use Match::*;
        assert_eq!(found, [Row(1), Row(2), Elsewhere, Row(4), None]);
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
            (&["sub/x"], &["A/x", "B/sub/x"], &[Elsewhere, Row(0)]),
            (&["A/x", "B/x"], &["t/A/x", "t/B/x"], &[Row(0), Row(1)]),
            (&["1/y"], &["a/y"], &[Elsewhere]),
            (&["1/y"], &["y"], &[Elsewhere]),
            (&["1/y", "2/y"], &["a/y"], &[Elsewhere]),
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
        assert_eq!(names.find("x", None), Match::Row(0));
        assert_eq!(names.find("a/x", None), Match::Ambiguous);
        assert_eq!(names.add("b/y"), Ok(1));
        assert_eq!(names.find("a/y", None), Match::Elsewhere);
    }
}
