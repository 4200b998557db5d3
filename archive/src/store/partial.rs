//! The rows of a part that was not complete when its job was stopped.
//!
//! `part-00003.partial` has a line of JSON for each thing: which part it is and where that begins, each batch that
//! was written to the part, and last the sha256 of all lines before. When the job goes on, the batches are
//! written to a new part just as they came, so that its bytes are those of an unbroken run. While a part is
//! being written the file has a temporary name; it gets its own when the job is stopped, and goes once the part is
//! complete.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Tally;
use crate::input::Chain;
use crate::ledger::json;
use crate::output::{OutputFile, Rows, commit};
use crate::skipped::Skipped;
use satmip::Result;
use satmip::parts::aside::Existing;
use satmip::parts::sha256;

/// Version of the file's layout.
const FORMAT: u32 = 1;
/// The ending of its name.
pub(super) const ENDING: &str = ".partial";

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    partial: u32,
    part: u64,
    /// Items and rows before the part.
    items: u64,
    rows: u64,
}

/// A batch as it was written to the part.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pushed<R> {
    pub(super) items: u64,
    /// Fingerprint of the input up to its end.
    pub(super) end: Chain,
    pub(super) rows: R,
    pub(super) skipped: Vec<Skipped>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    sha256: String,
}

/// Which part, and what is done before it.
fn begun(part: u64, before: Tally) -> Begun {
    Begun {
        partial: FORMAT,
        part,
        items: before.items,
        rows: before.rows,
    }
}

pub(super) fn path(folder: &Path, part: u64) -> PathBuf {
    folder.join(format!("part-{part:05}{ENDING}"))
}

/// The file while its part is written; it goes with this value, unless it is kept.
pub(super) struct Partial {
    file: OutputFile,
    hash: Sha256,
}

impl Partial {
    pub(super) fn create(folder: &Path, part: u64, before: Tally) -> Result<Self> {
        let mut partial = Partial {
            file: OutputFile::create(&path(folder, part))?,
            hash: Sha256::new(),
        };
        partial.line(&begun(part, before))?;
        Ok(partial)
    }

    pub(super) fn push(&mut self, batch: &Pushed<&Rows>) -> Result<()> {
        self.line(batch)
    }

    /// Gives the file its name, in the place of an earlier one of the same part.
    pub(super) fn keep(mut self) -> Result<()> {
        let sha256 = sha256::hex(&self.hash.clone().finalize());
        self.line(&Sum { sha256 })?;
        commit(vec![self.file.finish()?], Existing::Replace)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        let mut text = json(self.file.path(), value)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.file.write(&text)
    }
}

/// The lines of a file that is whole.
pub(super) struct Reader {
    lines: BufReader<File>,
    left: u64,
}

impl Reader {
    /// Opens the file of a part, if there is one.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub(super) fn open(folder: &Path, part: u64, before: Tally) -> Result<Option<Self>, String> {
        let file = match File::open(path(folder, part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| e.to_string())?,
        };
        let mut lines = BufReader::new(file);
        let (mut hash, mut count) = (Sha256::new(), 0);
        let (mut line, mut next) = (Vec::new(), Vec::new());
        read_line(&mut lines, &mut line)?;
        loop {
            read_line(&mut lines, &mut next)?;
            if next.is_empty() {
                break;
            }
            hash.update(&line);
            count += 1;
            std::mem::swap(&mut line, &mut next);
        }
        let sum: Sum = parse(&line)?;
        if count == 0 || sum.sha256 != sha256::hex(&hash.finalize()) {
            return Err("its contents are not those that were written".into());
        }
        io::Seek::rewind(&mut lines).map_err(|e| e.to_string())?;
        read_line(&mut lines, &mut line)?;
        let found: Begun = parse(&line)?;
        if found != begun(part, before) {
            return Err("it does not follow from the ledger".into());
        }
        Ok(Some(Reader {
            lines,
            left: count - 1,
        }))
    }

    /// The next batch; none after the last.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    pub(super) fn next_batch(&mut self) -> Result<Option<Pushed<Rows>>, String> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut line = Vec::new();
        read_line(&mut self.lines, &mut line)?;
        parse(&line).map(Some)
    }
}

fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> Result<(), String> {
    line.clear();
    let read = lines.read_until(b'\n', line);
    read.map(drop).map_err(|e| e.to_string())
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ColumnValues;
    use crate::skipped::SkipKind;

    fn rows(n: u64) -> Rows {
        Rows {
            ids: vec![format!("i{n}\n.jpg")],
            columns: vec![ColumnValues {
                values: vec![n as f32 / 3.0, f32::NAN],
                present: vec![true],
            }],
            ..Rows::default()
        }
    }

    const BEFORE: Tally = Tally {
        items: 20,
        rows: 18,
        skipped: 2,
    };

    fn written(folder: &Path) -> Vec<u8> {
        let mut partial = Partial::create(folder, 3, BEFORE).unwrap();
        for n in 0..4 {
            let batch = Pushed {
                items: 2,
                end: Chain::default(),
                rows: &rows(n),
                skipped: vec![Skipped {
                    id: format!("bad{n}"),
                    kind: SkipKind::Damaged,
                    reason: "it is".into(),
                    hint: Some("mend it".into()),
                }],
            };
            partial.push(&batch).unwrap();
        }
        assert!(!path(folder, 3).exists());
        partial.keep().unwrap();
        std::fs::read(path(folder, 3)).unwrap()
    }

    #[test]
    fn batches_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let mut reader = Reader::open(dir.path(), 3, BEFORE).unwrap().unwrap();
        for n in 0..4 {
            let batch = reader.next_batch().unwrap().unwrap();
            assert_eq!((batch.items, batch.skipped.len()), (2, 1));
            let json = |rows: &Rows| serde_json::to_string(rows).unwrap();
            assert_eq!(json(&batch.rows), json(&rows(n)));
        }
        assert!(reader.next_batch().unwrap().is_none());
        assert!(Reader::open(dir.path(), 4, BEFORE).unwrap().is_none());
        // What is dropped leaves nothing behind.
        drop(Partial::create(dir.path(), 5, BEFORE).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let whole = written(dir.path());
        let path = path(dir.path(), 3);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(Reader::open(dir.path(), 3, BEFORE).is_err(), "byte {at}");
        }
        for length in 0..whole.len() - 1 {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(
                Reader::open(dir.path(), 3, BEFORE).is_err(),
                "{length} bytes"
            );
        }
        std::fs::write(&path, &whole).unwrap();
        let other = Tally {
            items: 19,
            ..BEFORE
        };
        assert!(Reader::open(dir.path(), 3, other).is_err());
    }
}
