//! What goes to standard output: tables for people, JSON for programs.

use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::Path;

use serde::Serialize;

use satmip::parts::aside::failed as write_failed;
use satmip::{Error, Result};

/// Standard output. A reader that went away is an error that ends the program with 0.
#[derive(Debug)]
pub(super) struct Output {
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(super) fn open() -> Self {
        Output {
            out: BufWriter::new(io::stdout().lock()),
        }
    }

    /// A line. Names of files and items are anybody's: what would steer a terminal is escaped.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{}", printable(text)).map_err(failed)
    }

    /// A value as JSON, with line breaks.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|e| failed(e.into()))?;
        self.line(&text)
    }

    /// A value as JSON on one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|e| failed(e.into()))?;
        self.line(&text)
    }

    /// Rows below their headings; columns that are all numbers are set to the right.
    pub(super) fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let count = |cell: &str| cell.chars().count();
        let columns: Vec<(usize, bool)> = headings
            .iter()
            .enumerate()
            .map(|(c, heading)| {
                let cells = || rows.iter().filter_map(|row| row.get(c));
                let width = cells()
                    .map(|cell| count(cell))
                    .chain([count(heading)])
                    .max();
                let numbers = cells().all(|cell| cell.parse::<f64>().is_ok());
                (width.unwrap_or(0), numbers && !rows.is_empty())
            })
            .collect();
        let headings = headings.iter().map(|h| (*h).to_owned()).collect();
        for row in std::iter::once(&headings).chain(rows) {
            let cells = row.iter().zip(&columns).map(|(cell, (width, right))| {
                let space = " ".repeat(width - count(cell));
                match right {
                    true => space + cell,
                    false => cell.clone() + &space,
                }
            });
            let text = cells.collect::<Vec<_>>().join("  ");
            self.line(text.trim_end())?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(failed)
    }
}

/// A text with its control characters escaped, but for line breaks and tabs.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match steers(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}

pub(super) fn failed(error: io::Error) -> Error {
    write_failed(Path::new("-"), error)
}

/// Whether standard output was closed by its reader, as `head` does.
pub(super) fn is_broken_pipe(error: &Error) -> bool {
    let Error::Output { path, source, .. } = error else {
        return false;
    };
    let io = source.as_ref().and_then(|s| s.downcast_ref::<io::Error>());
    path == Path::new("-") && io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn names_do_not_steer_terminals() {
        assert_eq!(printable("a\tb\nc\u{e9}"), "a\tb\nc\u{e9}");
        assert_eq!(printable("x\u{1b}[2Jy\u{9b}\r"), "x\\u{1b}[2Jy\\u{9b}\\r");
    }
}
