//! Lines of JSON (NDJSON, JSON Lines, sequences of RFC 8142): an item, a collection of items or an
//! fMoW record on each.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{MAX_DOCUMENT_BYTES, Record, document_records, json_of_bytes, table, within};
use crate::error::{Error, Result};

/// What stands before each text of a sequence.
pub(super) const MARK: u8 = 0x1e;

/// Endings of the names of such files, for one whose first line is broken.
const ENDINGS: [&str; 4] = ["ndjson", "jsonl", "geojsonl", "geojsons"];

/// Whether a file's name says that it has a document on each line.
pub(super) fn are_named(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    ENDINGS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a file has a document on each line: its first line is a whole one, and there are more.
/// One whose first line is broken is known by its name.
pub(super) fn are_lines(path: &Path) -> Result<bool> {
    if are_named(path) {
        return Ok(true);
    }
    let failed = |e| Error::io(path, e);
    let file: Box<dyn Read + Send> = Box::new(File::open(path).map_err(failed)?);
    let mut reader = BufReader::new(file);
    let mut first = Vec::new();
    loop {
        first.clear();
        let more = line(&mut reader, &mut first).map_err(failed)?;
        if !more || too_long(&first) {
            return Ok(false);
        }
        if !blank(&first) {
            break;
        }
    }
    // A file of one object over many lines begins with a bracket alone: parsing ends at once.
    if serde_json::from_slice::<IgnoredAny>(plain(&first)).is_err() {
        return Ok(false);
    }
    let mut rest = Vec::new();
    while line(&mut reader, &mut rest).map_err(failed)? {
        if !blank(&rest) {
            return Ok(true);
        }
        rest.clear();
    }
    Ok(false)
}

/// The documents of a file, line by line, each with its number from 1. Lines that are blank are passed over; after an error
/// of the file itself the iterator ends.
pub struct Documents {
    path: PathBuf,
    reader: Lined,
    /// The line at hand.
    number: u64,
    bytes: Vec<u8>,
    done: bool,
}

/// What lines are read from.
type Lined = BufReader<Box<dyn Read + Send>>;

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("path", &self.path)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Documents {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Ok(Documents::of(path.to_owned(), Box::new(file), 8 << 10))
    }

    /// Of what comes from a reader, so many bytes at a time; errors call it by this name.
    pub(super) fn of(name: PathBuf, reader: Box<dyn Read + Send>, at_a_time: usize) -> Self {
        Documents {
            path: name,
            reader: BufReader::with_capacity(at_a_time, reader),
            number: 0,
            bytes: Vec::new(),
            done: false,
        }
    }

    /// The document of the line at hand.
    fn document(&mut self) -> Result<Value> {
        if too_long(&self.bytes) {
            skip_line(&mut self.reader).map_err(|e| Error::io(&self.path, e))?;
            let reason = format!("the line is larger than {MAX_DOCUMENT_BYTES} bytes");
            return Err(table::at(self.path.display(), self.number, reason));
        }
        json_of_bytes(plain(&self.bytes), "JSON")
            .map_err(|e| within(&self.path, Some(self.number), e))
    }
}

impl Iterator for Documents {
    type Item = (u64, Result<Value>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            self.bytes.clear();
            match line(&mut self.reader, &mut self.bytes) {
                Ok(true) => self.number += 1,
                Ok(false) => self.done = true,
                Err(e) => {
                    self.done = true;
                    return Some((self.number + 1, Err(Error::io(&self.path, e))));
                }
            }
            if !blank(&self.bytes) {
                return Some((self.number, self.document()));
            }
        }
        None
    }
}

/// The records of a file, line by line.
pub(super) struct Lines {
    documents: Documents,
    /// What the line at hand still has.
    left: VecDeque<Result<Record>>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Lines {
            documents: Documents::open(path)?,
            left: VecDeque::new(),
        })
    }

    /// Takes the records of a line.
    fn take(&mut self, number: u64, document: &Value) -> Result<()> {
        let path = &self.documents.path;
        let records = document_records(document, &format!("line {number}"))
            .map_err(|reason| table::at(path.display(), number, reason))?;
        let located = |record: Result<Record>| record.map_err(|e| within(path, Some(number), e));
        self.left = records.into_iter().map(located).collect();
        Ok(())
    }
}

impl Iterator for Lines {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.left.pop_front() {
                return Some(record);
            }
            let (number, document) = self.documents.next()?;
            let taken = document.and_then(|document| self.take(number, &document));
            if let Err(error) = taken {
                return Some(Err(error));
            }
        }
    }
}

/// The next line; of one that is too long, so much that it is known to be. False at the end.
fn line(reader: &mut Lined, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut within = reader.by_ref().take(MAX_DOCUMENT_BYTES + 1);
    Ok(within.read_until(b'\n', bytes)? > 0)
}

fn too_long(line: &[u8]) -> bool {
    line.last() != Some(&b'\n') && line.len() as u64 > MAX_DOCUMENT_BYTES
}

/// Passes over the rest of a line.
fn skip_line(reader: &mut Lined) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if used == 0 || end.is_some() {
            return Ok(());
        }
    }
}

/// A line without the marks around its text.
fn plain(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.strip_prefix(&[MARK]).unwrap_or(line)
}

fn blank(line: &[u8]) -> bool {
    plain(line).iter().all(u8::is_ascii_whitespace)
}
