//! One file, or standard output.

use std::path::{Path, PathBuf};

use super::Tally;
use crate::embed::ledger::json;
use crate::embed::output::{
    self, Format, JsonLines, OutputFile, PartWriter, Rows, Schema, commit, failed, with_suffix,
};
use crate::embed::skipped::Skipped;
use crate::error::{Error, Result};

/// One file (with `NAME.errors.jsonl` beside it when items were left out), or standard output.
pub(crate) struct Single {
    writer: Box<dyn PartWriter>,
    /// Without the format's ending; none for standard output.
    base: Option<PathBuf>,
    errors: Option<OutputFile>,
    tally: Tally,
}

impl Single {
    pub(super) fn file(
        path: &Path,
        format: Format,
        schema: &Schema,
        overwrite: bool,
    ) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::Output {
                path: path.to_owned(),
                reason: "is a folder; a name without an ending means a folder of parts".into(),
                source: None,
            });
        }
        let base = path.with_extension("");
        let writer = output::create(format, &base, schema)?;
        if let Some(file) = writer
            .files()
            .into_iter()
            .find(|f| f.exists() && !overwrite)
        {
            return Err(Error::Output {
                path: file,
                reason: "exists already; choose another name, or `--overwrite` to replace it"
                    .into(),
                source: None,
            });
        }
        Ok(Single {
            writer,
            base: Some(base),
            errors: None,
            tally: Tally::default(),
        })
    }

    pub(super) fn stdout(format: Format, schema: &Schema) -> Result<Self> {
        if format != Format::Jsonl {
            return Err(Error::Argument {
                what: "format",
                reason: format!("standard output takes `jsonl`, not `{format}`"),
            });
        }
        Ok(Single {
            writer: Box::new(JsonLines::stream(Box::new(std::io::stdout()), schema)),
            base: None,
            errors: None,
            tally: Tally::default(),
        })
    }

    pub(super) fn push(&mut self, rows: &Rows, skipped: &[Skipped], items: u64) -> Result<()> {
        self.writer.push(rows)?;
        self.tally.items += items;
        self.tally.rows += rows.ids.len() as u64;
        self.tally.skipped += skipped.len() as u64;
        let Some(base) = &self.base else {
            return Ok(());
        };
        for row in skipped {
            let path = errors_beside(base);
            let file = match &mut self.errors {
                Some(file) => file,
                none => none.insert(OutputFile::create(&path)?),
            };
            file.write(&json(&path, row)?)?;
            file.write(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Tally> {
        let mut files = self.writer.finish()?;
        if let Some(base) = &self.base {
            let path = errors_beside(base);
            match self.errors {
                Some(errors) => files.insert(0, errors.finish()?),
                // Errors of an earlier run do not belong to the new file.
                None if path.exists() => {
                    std::fs::remove_file(&path).map_err(|e| failed(&path, e))?;
                }
                None => {}
            }
        }
        commit(&files)?;
        Ok(self.tally)
    }
}

/// The errors' file of a single output file.
pub(crate) fn errors_beside(base: &Path) -> PathBuf {
    with_suffix(base, ".errors.jsonl")
}
