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
        self.line(&printable_json(&text))
    }

    /// A value as JSON on one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|e| failed(e.into()))?;
        self.line(&printable_json(&text))
    }

    /// Rows below their headings; columns that are all numbers are set to the right.
    pub(super) fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let count = |cell: &str| cell.chars().count();
        let shown = |cell: &str| one_line(cell).into_owned();
        let headings: Vec<String> = headings.iter().map(|heading| shown(heading)).collect();
        let cells = |row: &Vec<String>| row.iter().map(|cell| shown(cell)).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
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
        for row in std::iter::once(&headings).chain(&rows) {
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

/// A text in which what would steer a terminal is escaped, but for line breaks and tabs.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let escaped = |c: char| (steers(c) && !matches!(c, '\n' | '\t')).then(|| c.escape_default());
    replaced(text, |c| escaped(c).map(|escaped| escaped.to_string()))
}

/// As [`printable`], with line breaks and tabs escaped, too: for names and reasons, of which each has a line.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    replaced(text, |c| steers(c).then(|| c.escape_default().to_string()))
}

/// As [`printable`], of JSON, which has its own way to escape what stands in its texts.
fn printable_json(text: &str) -> Cow<'_, str> {
    // None of them is beyond U+FFFF.
    let escaped = |c: char| (steers(c) && c != '\n').then(|| format!("\\u{:04x}", u32::from(c)));
    replaced(text, escaped)
}

/// Whether a character moves a terminal's cursor, ends a line, or turns the direction of the text around it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in which characters are replaced.
fn replaced(text: &str, with: impl Fn(char) -> Option<String>) -> Cow<'_, str> {
    if !text.contains(|c| with(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut changed = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match with(c) {
            Some(other) => changed.push_str(&other),
            None => changed.push(c),
        }
    }
    Cow::Owned(changed)
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
    use super::{one_line, printable, printable_json};

    #[test]
    fn names_do_not_steer_terminals() {
        assert_eq!(printable("a\tb\nc\u{e9}"), "a\tb\nc\u{e9}");
        assert_eq!(printable("x\u{1b}[2Jy\u{9b}\r"), "x\\u{1b}[2Jy\\u{9b}\\r");
        assert_eq!(
            printable("a\u{0}gpj.\u{202e}x\u{2066}"),
            "a\\u{0}gpj.\\u{202e}x\\u{2066}"
        );
        assert_eq!(
            one_line("a\terror: b\nc\u{2028}\u{e9}"),
            "a\\terror: b\\nc\\u{2028}\u{e9}"
        );
    }

    #[test]
    fn json_stays_json() {
        for name in ["gpj.\u{202e}x", "\u{9b}2J", "\u{7f}\u{0}\n", "\u{2028}"] {
            let text = serde_json::to_string_pretty(&[name]).unwrap();
            let shown = printable_json(&text);
            assert!(shown.is_ascii(), "{shown}");
            assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [name]);
        }
    }
}
