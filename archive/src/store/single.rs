//! One file, or standard output.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Tally;
use crate::ledger::json;
use crate::output::{
    self, Format, JsonLines, OutputFile, PartWriter, Rows, Schema, commit, failed, with_suffix,
};
use crate::skipped::Skipped;
use satmip::parts::aside::Existing;
use satmip::{Error, Result};

/// One file (with `NAME.errors.jsonl` beside it when items were left out), or standard output.
pub(crate) struct Single {
    writer: Box<dyn PartWriter>,
    /// Without the format's ending; none for standard output.
    base: Option<PathBuf>,
    errors: Option<OutputFile>,
    existing: Existing,
    /// What becomes of a file of errors that is there already.
    existing_errors: Existing,
    /// Names that files of an earlier output can have that this one replaces.
    taken: Vec<PathBuf>,
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
        let existing = Existing::of(overwrite);
        let mut taken = output::names(format, &base);
        taken.push(errors_beside(&base));
        // Files of an earlier output that this one lacks would be taken for its own.
        taken.iter().try_for_each(|file| existing.check(file))?;
        Ok(Single {
            writer: output::create(format, &base, schema)?,
            base: Some(base),
            errors: None,
            existing,
            existing_errors: existing,
            taken,
            tally: Tally::default(),
        })
    }

    /// A part that others may be writing as well: whoever is first has it. A file of errors without its part is of
    /// somebody who was lost in between, or has the same lines.
    pub(crate) fn part(path: &Path, format: Format, schema: &Schema) -> Result<Self> {
        let base = path.with_extension("");
        Existing::Keep.check(path)?;
        Ok(Single {
            writer: output::create(format, &base, schema)?,
            base: Some(base),
            errors: None,
            existing: Existing::Keep,
            existing_errors: Existing::Replace,
            taken: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// JSON lines, as the job has checked.
    pub(super) fn stdout(schema: &Schema) -> Self {
        Single {
            writer: Box::new(JsonLines::stream(Box::new(std::io::stdout()), schema)),
            base: None,
            errors: None,
            existing: Existing::Keep,
            existing_errors: Existing::Keep,
            taken: Vec::new(),
            tally: Tally::default(),
        }
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
        let files = self.writer.finish()?;
        let errors = self.errors.map(OutputFile::finish).transpose()?;
        let errors: Vec<_> = errors.into_iter().collect();
        let all = errors.iter().chain(&files);
        let written: Vec<PathBuf> = all.map(|f| f.target().to_owned()).collect();
        // Where the rows are, the errors are.
        let names: Vec<PathBuf> = errors.iter().map(|f| f.target().to_owned()).collect();
        commit(errors, self.existing_errors)?;
        if let Err(error) = commit(files, self.existing) {
            if self.existing_errors == Existing::Keep {
                // They were not there before; the error to tell is the first one.
                names
                    .iter()
                    .for_each(|path| drop(std::fs::remove_file(path)));
            }
            return Err(error);
        }
        if self.existing == Existing::Replace {
            for path in self.taken.iter().filter(|path| !written.contains(path)) {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(failed(path, error));
                    }
                    _ => {}
                }
            }
        }
        Ok(self.tally)
    }
}

/// The errors' file of a single output file.
pub(crate) fn errors_beside(base: &Path) -> PathBuf {
    with_suffix(base, ".errors.jsonl")
}
