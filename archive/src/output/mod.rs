//! Writers of embeddings: Parquet, NumPy arrays, JSON lines.
//!
//! Each writer makes one part: one file, or several that belong together. It writes them aside;
//! [`commit`] gives them their names once everything is on the disk.

mod geo;
mod jsonl;
mod npy;
mod parquet;
mod vectors;
mod window;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::jsonl::JsonLines;
pub use self::vectors::VectorType;
pub(crate) use self::window::WindowRow;
use super::join::Match;
use satmip::Cause;
use satmip::image::Geometry;
pub(crate) use satmip::parts::aside::failed;
use satmip::parts::aside::reason_of;
use satmip::parts::aside::{Aside, Existing, folder_of};
use satmip::{Error, Result};

/// File format of a job's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet: columns `id` and `valid` (the share of valid pixels), and one fixed-size list of 32-bit floats
    /// for each vector; of windows of scenes also where each lies, as GeoParquet 1.1.
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

/// All names that files of a format can have that belong to `base`, its path without the format's ending.
pub(crate) fn names(format: Format, base: &Path) -> Vec<PathBuf> {
    match format {
        Format::Parquet => vec![with_suffix(base, ".parquet")],
        Format::Npy => npy::names(base),
        Format::Jsonl => vec![with_suffix(base, ".jsonl")],
    }
}

/// Names of all columns of vectors that an output can have, in the order of the output.
pub(crate) const COLUMNS: [&str; 4] = [
    "image_embedding",
    "image_features",
    "metadata_embedding",
    "metadata_features",
];

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
///
/// All that is written of them can be put into JSON and comes back from it to the bit, so that an
/// interrupted job keeps the rows of its last part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rows {
    pub(crate) ids: Vec<String>,
    /// The table's row of each id; not written.
    #[serde(skip)]
    pub(crate) matches: Vec<Match>,
    /// The share of each picture's pixels that are there, above 0 to 1.
    #[serde(with = "bits")]
    pub(crate) valid: Vec<f32>,
    /// How each picture was read, in words.
    pub(crate) readings: Vec<String>,
    /// What fitting did to each picture; not written.
    #[serde(skip)]
    pub(crate) geometries: Vec<Geometry>,
    /// In the order of the schema; `values` has `ids.len() * dim` numbers, 0 where missing.
    pub(crate) columns: Vec<ColumnValues>,
    /// Of windows of scenes: where each lies. Empty for pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) windows: Vec<WindowRow>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ColumnValues {
    #[serde(with = "bits")]
    pub(crate) values: Vec<f32>,
    pub(crate) present: Vec<bool>,
}

/// 32-bit floats as the whole numbers that have the same bits: exact, with NaN.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| value.to_bits()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let bits = Vec::<u32>::deserialize(from)?;
        Ok(bits.into_iter().map(f32::from_bits).collect())
    }
}

impl Rows {
    /// Whether these rows have the columns of a schema: rows that were read can be any.
    pub(crate) fn fit(&self, schema: &Schema) -> bool {
        let (rows, columns) = (self.ids.len(), &schema.columns);
        let windows = if schema.windows { rows } else { 0 };
        self.columns.len() == columns.len()
            && self.windows.len() == windows
            && self.columns.iter().zip(columns).all(|(column, spec)| {
                column.present.len() == rows && column.values.len() == rows * spec.dim
            })
    }

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
    /// Whether rows are windows of scenes, of which it is written where they lie.
    pub(crate) windows: bool,
    /// How their numbers are stored, for formats that have a choice.
    pub(crate) vectors: VectorType,
    /// Where the vectors come from, for formats that can hold it.
    pub(crate) provenance: Vec<(String, String)>,
}

/// Writes one part.
pub(crate) trait PartWriter {
    /// Appends rows.
    fn push(&mut self, rows: &Rows) -> Result<()>;

    /// Completes the files and brings them to the disk; they still lack their names.
    fn finish(self: Box<Self>) -> Result<Vec<Aside>>;
}

/// Begins a part; `base` is its path without the format's ending.
pub(crate) fn create(format: Format, base: &Path, schema: &Schema) -> Result<Box<dyn PartWriter>> {
    match format {
        Format::Parquet => Ok(Box::new(parquet::Parquet::create(base, schema)?)),
        Format::Npy => Ok(Box::new(npy::Npy::create(base, schema)?)),
        Format::Jsonl => Ok(Box::new(JsonLines::create(base, schema)?)),
    }
}

/// Gives finished files their names, and makes the names last: all of them, or none where another
/// file has one of the names and must stay.
pub(crate) fn commit(files: Vec<Aside>, existing: Existing) -> Result<()> {
    let mut placed: Vec<PathBuf> = Vec::new();
    for file in files {
        let target = file.target().to_owned();
        if let Err(error) = file.place(existing) {
            if existing == Existing::Keep {
                // These were not there before; the error to tell is the first one.
                placed
                    .iter()
                    .for_each(|path| drop(std::fs::remove_file(path)));
            }
            return Err(failed(&target, error));
        }
        placed.push(target);
    }
    match placed.first() {
        Some(file) => sync_folder(folder_of(file)),
        None => Ok(()),
    }
}

/// The path with something appended to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Brings a folder's entries to the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    satmip::parts::aside::sync_folder(folder).map_err(|e| failed(folder, e))
}

/// As [`failed`], for an error that may hold the system's error somewhere inside.
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

/// A file being written, with its name in every error.
#[derive(Debug)]
pub(crate) struct OutputFile {
    aside: Aside,
    file: io::BufWriter<File>,
}

impl OutputFile {
    /// Creates the temporary form of a file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let (aside, file) = Aside::file(path).map_err(|e| failed(path, e))?;
        Ok(OutputFile {
            aside,
            file: io::BufWriter::with_capacity(1 << 16, file),
        })
    }

    /// The name that the file shall get.
    pub(crate) fn path(&self) -> &Path {
        self.aside.target()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| failed(self.aside.target(), e))
    }

    /// Overwrites the first bytes.
    fn rewrite_start(&mut self, bytes: &[u8]) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|e| failed(self.aside.target(), e))
    }

    /// Brings everything to the disk; the file still lacks its name.
    pub(crate) fn finish(mut self) -> Result<Aside> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|e| failed(self.aside.target(), e))?;
        Ok(self.aside)
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
            windows: false,
            vectors: VectorType::F32,
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
        let formats = [Format::Parquet, Format::Npy, Format::Jsonl];
        for format in formats {
            let dir = tempfile::tempdir().unwrap();
            let write = |name: &str, pushes: &[(usize, usize)]| {
                let base = dir.path().join(name);
                let mut writer = create(format, &base, &schema()).unwrap();
                for (first, n) in pushes {
                    writer.push(&rows(*first, *n)).unwrap();
                }
                let files = writer.finish().unwrap();
                let names: Vec<_> = files.iter().map(|f| f.target().to_owned()).collect();
                let known = super::names(format, &base);
                assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
                assert!(names.iter().all(|f| !f.exists()), "{format}");
                commit(files, Existing::Keep).unwrap();
                assert!(names.iter().all(|f| f.is_file()), "{format}");
                let read = |f: &PathBuf| std::fs::read(f).unwrap();
                names.iter().map(read).collect::<Vec<_>>()
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
                names.iter().all(|n| !n.to_string_lossy().contains(".tmp")),
                "{format}: {names:?}"
            );
        }
    }

    #[test]
    fn files_get_their_names_together_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x");
        let finished = || {
            let mut writer = create(Format::Npy, &base, &schema()).unwrap();
            writer.push(&rows(0, 2)).unwrap();
            writer.finish().unwrap()
        };
        let ids = dir.path().join("x.ids.jsonl");
        std::fs::write(&ids, b"another's").unwrap();
        let error = commit(finished(), Existing::Keep).unwrap_err().to_string();
        assert!(
            error.contains("x.ids.jsonl") && error.contains("exists"),
            "{error}"
        );
        assert_eq!(std::fs::read(&ids).unwrap(), b"another's");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        commit(finished(), Existing::Replace).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn rows_come_back_from_json_to_the_bit() {
        let mut before = rows(0, 5);
        let odd = [f32::NAN, -0.0, f32::INFINITY, f32::MIN_POSITIVE / 3.0, 0.1];
        before.columns[0].values[..5].copy_from_slice(&odd);
        let json = serde_json::to_vec(&before).unwrap();
        let after: Rows = serde_json::from_slice(&json).unwrap();
        assert_eq!(after.ids, before.ids);
        let all = |rows: &Rows| -> Vec<u32> {
            let values = rows.columns.iter().flat_map(|c| &c.values);
            values.map(|v| v.to_bits()).collect()
        };
        assert_eq!(all(&after), all(&before));
        assert!(after.fit(&schema()));
        let mut short = rows(0, 5);
        short.columns[1].values.pop();
        assert!(!short.fit(&schema()));
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
