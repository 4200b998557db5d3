//! Writers of embeddings: Parquet, NumPy arrays, JSON lines.
//!
//! Each writer makes one part: one file, or several that belong together. It writes under names
//! with `.tmp` at the end; [`commit`] gives them their names once everything is on the disk.

mod jsonl;
mod npy;
#[cfg(feature = "parquet")]
mod parquet;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::jsonl::JsonLines;
use super::join::Match;
#[cfg(feature = "parquet")]
use crate::error::Cause;
use crate::error::{Error, Result};
use crate::image::Geometry;

/// File format of a job's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet: columns `id` and `valid` (the share of valid pixels), and one fixed-size list of 32-bit floats
    /// for each vector.
    #[default]
    Parquet,
    /// NumPy arrays of 32-bit floats, `[rows, d]` in C order, with the ids in a file beside them.
    Npy,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// The format that a file's name says.
    pub fn from_path(path: &Path) -> Option<Format> {
        path.extension()?
            .to_str()?
            .to_ascii_lowercase()
            .parse()
            .ok()
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "parquet" => Ok(Format::Parquet),
            "npy" => Ok(Format::Npy),
            "jsonl" => Ok(Format::Jsonl),
            _ => Err(Error::Argument {
                what: "format",
                reason: format!("`{text}` is none of parquet, npy, jsonl"),
            }),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Parquet => "parquet",
            Format::Npy => "npy",
            Format::Jsonl => "jsonl",
        })
    }
}

/// A column of vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    /// Name in the output.
    pub(crate) name: &'static str,
    /// Numbers in each vector.
    pub(crate) dim: usize,
    /// Whether an item can lack it.
    pub(crate) nullable: bool,
}

/// Rows to write: for each column one vector an id, none where it is missing.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) ids: Vec<String>,
    /// The table's row of each id.
    pub(crate) matches: Vec<Match>,
    /// The share of each picture's pixels that are there, above 0 to 1.
    pub(crate) valid: Vec<f32>,
    /// How each picture was read, in words.
    pub(crate) readings: Vec<String>,
    /// What fitting did to each picture.
    pub(crate) geometries: Vec<Geometry>,
    /// In the order of the schema; `values` has `ids.len() * dim` numbers, 0 where missing.
    pub(crate) columns: Vec<ColumnValues>,
}

#[derive(Debug, Default)]
pub(crate) struct ColumnValues {
    pub(crate) values: Vec<f32>,
    pub(crate) present: Vec<bool>,
}

impl Rows {
    /// The vector of a row and column.
    fn vector(&self, row: usize, column: usize, dim: usize) -> Option<&[f32]> {
        let column = &self.columns[column];
        column.present[row].then(|| &column.values[row * dim..(row + 1) * dim])
    }
}

/// What a part is written with.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) columns: Vec<ColumnSpec>,
    /// Where the vectors come from, for formats that can hold it.
    #[cfg_attr(
        not(feature = "parquet"),
        allow(dead_code, reason = "only Parquet has a place for it")
    )]
    pub(crate) provenance: Vec<(String, String)>,
}

/// Writes one part.
pub(crate) trait PartWriter {
    /// Appends rows.
    fn push(&mut self, rows: &Rows) -> Result<()>;

    /// The names that the files shall get.
    fn files(&self) -> Vec<PathBuf>;

    /// Completes the files, brings them to the disk and gives the names that they shall get.
    fn finish(self: Box<Self>) -> Result<Vec<PathBuf>>;
}

/// Begins a part; `base` is its path without the format's ending.
pub(crate) fn create(format: Format, base: &Path, schema: &Schema) -> Result<Box<dyn PartWriter>> {
    match format {
        #[cfg(feature = "parquet")]
        Format::Parquet => Ok(Box::new(parquet::Parquet::create(base, schema)?)),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => Err(Error::Argument {
            what: "format",
            reason: "this build cannot write Parquet (feature `parquet`)".into(),
        }),
        Format::Npy => Ok(Box::new(npy::Npy::create(base, schema)?)),
        Format::Jsonl => Ok(Box::new(JsonLines::create(base, schema)?)),
    }
}

/// Gives finished files their names, and makes the names last.
pub(crate) fn commit(files: &[PathBuf]) -> Result<()> {
    for file in files {
        std::fs::rename(temporary(file), file).map_err(|e| failed(file, e))?;
    }
    if let Some(folder) = files.first().and_then(|f| f.parent()) {
        sync_folder(folder)?;
    }
    Ok(())
}

/// The name under which a file is written until it is complete.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    with_suffix(path, ".tmp")
}

/// The path with something appended to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Brings a folder's entries to the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    if cfg!(unix) {
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(|e| failed(folder, e))?;
    }
    Ok(())
}

/// The error of a failed write.
pub(crate) fn failed(path: &Path, source: io::Error) -> Error {
    let reason = reason_of(&source);
    Error::Output {
        path: path.to_owned(),
        reason: reason.into(),
        source: Some(source.into()),
    }
}

fn reason_of(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full",
        io::ErrorKind::FileTooLarge => "the file would be larger than the system allows",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "no permission to write there"
        }
        io::ErrorKind::BrokenPipe => "the reader went away",
        _ => "cannot be written",
    }
}

/// As [`failed`], for an error that may hold the system's error somewhere inside.
#[cfg(feature = "parquet")]
pub(crate) fn failed_within(path: &Path, source: Cause) -> Error {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
    let mut reason = "cannot be written";
    while let Some(error) = inner {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            reason = reason_of(io);
            break;
        }
        inner = error.source();
    }
    Error::Output {
        path: path.to_owned(),
        reason: reason.into(),
        source: Some(source),
    }
}

/// The temporary form of a file, removed unless it is kept.
#[derive(Debug)]
struct Aside {
    path: PathBuf,
    kept: bool,
}

impl Aside {
    fn create(path: &Path) -> Result<(Self, File)> {
        let file = File::create(temporary(path)).map_err(|e| failed(path, e))?;
        let aside = Aside {
            path: path.to_owned(),
            kept: false,
        };
        Ok((aside, file))
    }

    /// The name that the file shall get.
    fn keep(mut self) -> PathBuf {
        self.kept = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.kept {
            // The disk may be full: what cannot be completed must not stay.
            let _ = std::fs::remove_file(temporary(&self.path));
        }
    }
}

/// A file being written, with its name in every error.
#[derive(Debug)]
pub(crate) struct OutputFile {
    aside: Aside,
    file: io::BufWriter<File>,
}

impl OutputFile {
    /// Creates the temporary form of a file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let (aside, file) = Aside::create(path)?;
        Ok(OutputFile {
            aside,
            file: io::BufWriter::with_capacity(1 << 16, file),
        })
    }

    /// The name that the file shall get.
    pub(crate) fn path(&self) -> &Path {
        &self.aside.path
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| failed(&self.aside.path, e))
    }

    /// Overwrites the first bytes.
    fn rewrite_start(&mut self, bytes: &[u8]) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|e| failed(&self.aside.path, e))
    }

    /// Brings everything to the disk; gives the file's final name.
    pub(crate) fn finish(mut self) -> Result<PathBuf> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|e| failed(&self.aside.path, e))?;
        Ok(self.aside.keep())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn schema() -> Schema {
        let column = |name, dim, nullable| ColumnSpec {
            name,
            dim,
            nullable,
        };
        Schema {
            columns: vec![
                column("image_embedding", 2, false),
                column("metadata_embedding", 3, true),
            ],
            provenance: vec![("satmip.model".into(), "test".into())],
        }
    }

    pub(super) fn rows(first: usize, n: usize) -> Rows {
        let dims = [2, 3];
        let mut rows = Rows {
            ids: (first..first + n).map(|i| format!("i{i}\n.jpg")).collect(),
            valid: (first..first + n)
                .map(|i| if i % 2 == 0 { 1.0 } else { 0.75 })
                .collect(),
            readings: vec!["as it is".into(); n],
            ..Rows::default()
        };
        for (c, dim) in dims.into_iter().enumerate() {
            let mut column = ColumnValues::default();
            for i in first..first + n {
                let present = c == 0 || i % 3 != 1;
                column.present.push(present);
                let value = if present { i as f32 + 0.25 } else { 0.0 };
                column.values.extend(std::iter::repeat_n(value, dim));
            }
            rows.columns.push(column);
        }
        rows
    }

    /// What every writer must do: names appear on commit only, the same rows in other pushes give
    /// the same bytes, a part without rows is a valid file.
    #[test]
    fn every_writer_keeps_the_contract() {
        let formats = [
            #[cfg(feature = "parquet")]
            Format::Parquet,
            Format::Npy,
            Format::Jsonl,
        ];
        for format in formats {
            let dir = tempfile::tempdir().unwrap();
            let write = |name: &str, pushes: &[(usize, usize)]| {
                let base = dir.path().join(name);
                let mut writer = create(format, &base, &schema()).unwrap();
                for (first, n) in pushes {
                    writer.push(&rows(*first, *n)).unwrap();
                }
                let names = writer.files();
                let files = writer.finish().unwrap();
                assert_eq!(files, names, "{format}");
                assert!(files.iter().all(|f| !f.exists()), "{format}");
                commit(&files).unwrap();
                assert!(files.iter().all(|f| f.is_file()), "{format}");
                let read = |f: &PathBuf| std::fs::read(f).unwrap();
                files.iter().map(read).collect::<Vec<_>>()
            };
            let whole = write("whole", &[(0, 7)]);
            assert_eq!(
                whole,
                write("pieces", &[(0, 3), (3, 3), (6, 1)]),
                "{format}"
            );
            assert_ne!(whole, write("other", &[(1, 7)]), "{format}");
            write("none", &[]);
            drop(create(format, &dir.path().join("abandoned"), &schema()).unwrap());
            let left = std::fs::read_dir(dir.path()).unwrap();
            let names: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
            assert!(
                names.iter().all(|n| !n.to_string_lossy().ends_with(".tmp")),
                "{format}: {names:?}"
            );
        }
    }

    #[test]
    fn writers_name_what_they_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("no/such/folder");
        for format in [Format::Npy, Format::Jsonl] {
            let error = create(format, &base, &schema()).err().unwrap();
            assert!(matches!(error, Error::Output { .. }), "{error}");
            assert!(error.to_string().contains("folder"), "{error}");
        }
    }
}
