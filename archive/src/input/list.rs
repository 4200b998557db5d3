//! Text lists: one path a line, or NUL between paths as `find -print0` writes them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{Contents, Entry, Sink, bytes_path, unreadable};
use crate::location::{Location, shown};
use crate::skipped::SkipKind;
use satmip::{Error, Result};

/// A longer line is no path on any system, and is not read into memory.
const LONGEST: u64 = 1 << 16;

/// A list of paths. They are relative to the working folder, as a shell would take them.
#[derive(Debug)]
pub(super) struct List {
    name: String,
    text: Text,
    separator: u8,
}

#[derive(Debug)]
enum Text {
    File(PathBuf),
    Memory(Vec<u8>),
}

impl List {
    pub(super) fn file(path: &Path) -> Result<Self> {
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LONGEST).read_to_end(&mut head))
            .map_err(|e| unreadable(path, e))?;
        Ok(List {
            name: path.display().to_string(),
            separator: separator(&head),
            text: Text::File(path.to_owned()),
        })
    }

    pub(super) fn memory(name: &str, text: Vec<u8>) -> Self {
        List {
            name: name.to_owned(),
            separator: separator(&text),
            text: Text::Memory(text),
        }
    }

    pub(super) fn visit(&self, sink: &mut Sink<'_>) -> Result<()> {
        match &self.text {
            Text::Memory(text) => self.lines(text.as_slice(), sink),
            Text::File(path) => {
                let file = File::open(path).map_err(|e| unreadable(path, e))?;
                self.lines(BufReader::new(file), sink)
            }
        }
    }

    fn lines(&self, mut text: impl BufRead, sink: &mut Sink<'_>) -> Result<()> {
        let mut number = 0_u64;
        loop {
            let mut line = Vec::new();
            number += 1;
            let read = (&mut text)
                .take(LONGEST)
                .read_until(self.separator, &mut line)
                .map_err(|e| unreadable(Path::new(&self.name), e))?;
            if read == 0 {
                return Ok(());
            }
            if read as u64 == LONGEST {
                return Err(Error::Input {
                    input: self.name.clone(),
                    reason: format!("line {number} has over {LONGEST} bytes: not a list of paths"),
                    source: None,
                });
            }
            if line.last() == Some(&self.separator) {
                line.pop();
            }
            if self.separator == b'\n' && line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.is_empty() {
                continue;
            }
            let source = match Location::given(&bytes_path(&line)) {
                Ok(Location::Remote(url)) => {
                    line = shown(&url).into_bytes();
                    Contents::Object(url)
                }
                Ok(Location::File(path)) => Contents::File(path),
                Err(reason) => Contents::Fault(SkipKind::Other, reason),
            };
            if let ControlFlow::Break(()) = (sink.entry)(Entry { name: line, source }) {
                return Ok(());
            }
        }
    }
}

fn separator(head: &[u8]) -> u8 {
    if head.contains(&0) { 0 } else { b'\n' }
}
