//! NumPy arrays (format version 1.0), one for each column, with the ids beside them.
//!
//! The first column is `BASE.npy`, others `BASE.COLUMN.npy`; rows that lack a vector are NaN there.
//! `BASE.ids.jsonl` has a line for each row: `{"id": .., "metadata": true, "valid": 1.0}`, where
//! `metadata` says whether the row has its metadata's vectors, and `valid` is the share of valid pixels.

use std::path::{Path, PathBuf};

use super::{COLUMNS, ColumnSpec, OutputFile, PartWriter, Rows, Schema, with_suffix};
use satmip::Result;
use satmip::parts::aside::Aside;

/// Bytes before the data: enough for any shape, so that it can be filled in at the end.
const HEADER: usize = 128;

const FIRST: &str = ".npy";
const IDS: &str = ".ids.jsonl";

/// All names that files of `base` can have, whatever its columns.
pub(super) fn names(base: &Path) -> Vec<PathBuf> {
    let columns = COLUMNS.iter().map(|column| of_column(base, column));
    let others = [FIRST, IDS].map(|suffix| with_suffix(base, suffix));
    others.into_iter().chain(columns).collect()
}

fn of_column(base: &Path, column: &str) -> PathBuf {
    with_suffix(base, &format!(".{column}.npy"))
}

pub(super) struct Npy {
    arrays: Vec<(ColumnSpec, OutputFile)>,
    ids: OutputFile,
    rows: u64,
}

impl Npy {
    pub(super) fn create(base: &Path, schema: &Schema) -> Result<Self> {
        let arrays = schema.columns.iter().enumerate().map(|(i, column)| {
            let path = match i {
                0 => with_suffix(base, FIRST),
                _ => of_column(base, column.name),
            };
            let mut file = OutputFile::create(&path)?;
            file.write(&header(0, column.dim))?;
            Ok((column.clone(), file))
        });
        Ok(Npy {
            arrays: arrays.collect::<Result<_>>()?,
            ids: OutputFile::create(&with_suffix(base, IDS))?,
            rows: 0,
        })
    }
}

impl PartWriter for Npy {
    fn push(&mut self, rows: &Rows) -> Result<()> {
        let mut bytes = Vec::new();
        for (c, (column, file)) in self.arrays.iter_mut().enumerate() {
            bytes.clear();
            for i in 0..rows.ids.len() {
                match rows.vector(i, c, column.dim) {
                    Some(vector) => bytes.extend(vector.iter().flat_map(|v| v.to_le_bytes())),
                    None => {
                        bytes.extend([f32::NAN.to_le_bytes()].repeat(column.dim).as_flattened())
                    }
                }
            }
            file.write(&bytes)?;
        }
        let nullable = self.arrays.iter().position(|(column, _)| column.nullable);
        for (i, id) in rows.ids.iter().enumerate() {
            let metadata = nullable.is_some_and(|c| rows.columns[c].present[i]);
            let mut line =
                serde_json::json!({ "id": id, "metadata": metadata, "valid": rows.valid[i] });
            if let (Some(window), Some(line)) = (rows.windows.get(i), line.as_object_mut()) {
                window.describe(line);
            }
            self.ids.write(format!("{line}\n").as_bytes())?;
        }
        self.rows += rows.ids.len() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aside>> {
        let mut files = Vec::new();
        for (column, mut file) in self.arrays {
            file.rewrite_start(&header(self.rows, column.dim))?;
            files.push(file.finish()?);
        }
        files.push(self.ids.finish()?);
        Ok(files)
    }
}

fn header(rows: u64, dim: usize) -> Vec<u8> {
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(HEADER as u16 - 10).to_le_bytes());
    bytes.extend_from_slice(dict.as_bytes());
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, schema};
    use super::*;

    #[test]
    fn the_header_is_numpy_version_1_and_the_data_follow() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Box::new(Npy::create(&dir.path().join("x"), &schema()).unwrap());
        writer.push(&rows(0, 5)).unwrap();
        super::super::commit(
            writer.finish().unwrap(),
            satmip::parts::aside::Existing::Keep,
        )
        .unwrap();
        let bytes = std::fs::read(dir.path().join("x.npy")).unwrap();
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let dict = std::str::from_utf8(&bytes[10..128]).unwrap();
        let expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 2), }";
        assert_eq!(dict.trim_end(), expected);
        assert!(dict.ends_with('\n'));
        assert_eq!(bytes.len(), 128 + 5 * 2 * 4);
        assert_eq!(bytes[128..132], 0.25_f32.to_le_bytes());
        let second = std::fs::read(dir.path().join("x.metadata_embedding.npy")).unwrap();
        let row = |i: usize| f32::from_le_bytes(second[128 + 12 * i..][..4].try_into().unwrap());
        assert!(row(1).is_nan() && row(2) == 2.25);
        let ids = std::fs::read_to_string(dir.path().join("x.ids.jsonl")).unwrap();
        assert_eq!(ids.lines().count(), 5);
        assert!(
            ids.starts_with("{\"id\":\"i0\\n.jpg\",\"metadata\":true,\"valid\":1.0}\n"),
            "{ids}"
        );
        let longest = header(u64::MAX, usize::MAX);
        assert_eq!(longest.len(), HEADER);
        assert!(longest.ends_with(b" \n"));
    }
}
