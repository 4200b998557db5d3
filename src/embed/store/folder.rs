//! A folder of parts.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Tally;
use crate::embed::input::Chain;
use crate::embed::ledger::{
    DoneLine, ERRORS, JOB, JobRecord, LEDGER, Ledger, PartFile, PartLine, json, write_job,
};
use crate::embed::output::{
    self, Format, PartWriter, Rows, Schema, commit, failed, sync_folder, temporary,
};
use crate::embed::sha256_file;
use crate::embed::skipped::Skipped;
use crate::error::{Error, Result};

/// A folder with `job.json`, `ledger.jsonl`, `errors.jsonl` and `part-00000.*`.
pub(crate) struct Folder {
    path: PathBuf,
    format: Format,
    schema: Schema,
    items_per_part: u64,
    pub(super) ledger: Ledger,
    errors: File,
    errors_bytes: u64,
    pub(super) tally: Tally,
    part: Option<Part>,
}

/// The part that is being written.
struct Part {
    writer: Box<dyn PartWriter>,
    start: Tally,
    skipped: Vec<Skipped>,
    end: Chain,
}

impl Folder {
    pub(super) fn open(
        path: &Path,
        record: &JobRecord,
        schema: Schema,
        overwrite: bool,
    ) -> Result<Self> {
        let existed = prepare(path, record, overwrite)?;
        match Self::resume(path, existed, record, schema.clone()) {
            // What is damaged is begun anew where that was asked for.
            Err(Error::Output { .. }) if existed && overwrite => {
                remove_ours(path)?;
                Self::resume(path, false, record, schema)
            }
            result => result,
        }
    }

    fn resume(path: &Path, existed: bool, record: &JobRecord, schema: Schema) -> Result<Self> {
        let ledger = Ledger::open(path)?;
        if !existed {
            write_job(path, record)?;
        }
        let mut tally = Tally::default();
        let mut errors_bytes = 0;
        for part in &ledger.parts {
            tally.items = part.items[1];
            tally.rows = part.rows[1];
            tally.skipped += part.skipped;
            errors_bytes = part.errors_bytes;
            for file in &part.files {
                verify(path, file)?;
            }
        }
        remove_strays(path, &ledger)?;
        let errors_path = path.join(ERRORS);
        let mut errors = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&errors_path)
            .map_err(|e| failed(&errors_path, e))?;
        let length = errors
            .metadata()
            .map_err(|e| failed(&errors_path, e))?
            .len();
        if length < errors_bytes {
            return Err(changed(&errors_path, "is shorter than the ledger says"));
        }
        // Rows of a part that a kill cut short come again.
        errors
            .set_len(errors_bytes)
            .and_then(|()| errors.seek(SeekFrom::End(0)))
            .map_err(|e| failed(&errors_path, e))?;
        Ok(Folder {
            path: path.to_owned(),
            format: record.output.format,
            schema,
            items_per_part: record.output.rows_per_part as u64,
            ledger,
            errors,
            errors_bytes,
            tally,
            part: None,
        })
    }

    pub(super) fn push(
        &mut self,
        rows: &Rows,
        skipped: Vec<Skipped>,
        items: u64,
        end: Chain,
    ) -> Result<()> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => {
                let base = self
                    .path
                    .join(format!("part-{:05}", self.ledger.parts.len()));
                Part {
                    writer: output::create(self.format, &base, &self.schema)?,
                    start: self.tally,
                    skipped: Vec::new(),
                    end,
                }
            }
        };
        part.writer.push(rows)?;
        self.tally.items += items;
        self.tally.rows += rows.ids.len() as u64;
        self.tally.skipped += skipped.len() as u64;
        part.skipped.extend(skipped);
        part.end = end;
        if self.tally.items - part.start.items >= self.items_per_part {
            return self.commit(part);
        }
        self.part = Some(part);
        Ok(())
    }

    /// Errors first, then the part's names, then its line in the ledger: a kill in between leaves
    /// nothing that counts.
    fn commit(&mut self, part: Part) -> Result<()> {
        let files = part.writer.finish()?;
        let errors_path = self.path.join(ERRORS);
        let mut text = Vec::new();
        for skipped in &part.skipped {
            text.extend(json(&errors_path, skipped)?);
            text.push(b'\n');
        }
        if !text.is_empty() {
            self.errors
                .write_all(&text)
                .and_then(|()| self.errors.sync_all())
                .map_err(|e| failed(&errors_path, e))?;
            self.errors_bytes += text.len() as u64;
        }
        let entries = files.iter().map(|file| {
            let (size, sha256) = sha256_file(&temporary(file)).map_err(|e| failed(file, e))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Ok(PartFile {
                name: name.into_owned(),
                size,
                sha256,
            })
        });
        let entries = entries.collect::<Result<Vec<_>>>()?;
        commit(&files)?;
        self.ledger.add(PartLine {
            part: self.ledger.parts.len() as u64,
            items: [part.start.items, self.tally.items],
            rows: [part.start.rows, self.tally.rows],
            skipped: part.skipped.len() as u64,
            errors_bytes: self.errors_bytes,
            input_sha256: part.end.hex(),
            files: entries,
        })
    }

    pub(super) fn finish(mut self: Box<Self>, end: Chain) -> Result<Tally> {
        if let Some(part) = self.part.take() {
            self.commit(part)?;
        }
        self.ledger.finish(DoneLine {
            done: true,
            items: self.tally.items,
            rows: self.tally.rows,
            skipped: self.tally.skipped,
            input_sha256: end.hex(),
        })?;
        Ok(self.tally)
    }
}

/// Makes the folder, or finds out whether what is there is this job. True when it is.
fn prepare(path: &Path, record: &JobRecord, overwrite: bool) -> Result<bool> {
    let refuse = |reason: String| {
        Err(Error::Output {
            path: path.to_owned(),
            reason,
            source: None,
        })
    };
    if path.is_file() {
        return refuse("is a file, not a folder".into());
    }
    std::fs::create_dir_all(path).map_err(|e| failed(path, e))?;
    let names = names(path)?;
    let job = path.join(JOB);
    if !names.iter().any(|name| name == JOB) {
        if !overwrite && names.iter().any(|name| !is_ours(name)) {
            return refuse(
                "exists and is no output of a job; choose another folder, or `--overwrite` to \
                 write between its files"
                    .into(),
            );
        }
        remove_ours(path)?;
        return Ok(false);
    }
    let text = std::fs::read(&job).map_err(|e| failed(&job, e))?;
    let differences = match serde_json::from_slice(&text) {
        Ok(earlier) => record.differences(&earlier)?,
        Err(error) => vec![format!("`{JOB}` cannot be read ({error})")],
    };
    if !overwrite && !differences.is_empty() {
        return refuse(format!(
            "is of another job: {}; choose another folder, or `--overwrite` to replace it",
            differences.join("; ")
        ));
    }
    // The same job goes on even with `--overwrite`, as the same command is run after a kill.
    let done = || Ledger::open(path).is_ok_and(|ledger| ledger.done.is_some());
    if differences.is_empty() && !(overwrite && done()) {
        return Ok(true);
    }
    remove_ours(path)?;
    Ok(false)
}

/// Whether a job gives this name to a file of its own.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let part = name.strip_prefix("part-").and_then(|rest| {
        let (number, ending) = rest.split_once('.')?;
        let digits = number.len() >= 5 && number.bytes().all(|b| b.is_ascii_digit());
        let known = [".parquet", ".npy", ".jsonl"];
        (digits && known.iter().any(|k| format!(".{ending}").ends_with(k))).then_some(())
    });
    [JOB, LEDGER, ERRORS].contains(&name) || part.is_some()
}

/// Removes what a job wrote, and nothing else, unless another process is at it.
fn remove_ours(path: &Path) -> Result<()> {
    let _lock = Ledger::lock(path)?;
    // The job's description goes first: without it the rest is not taken for a job.
    let job = path.join(JOB);
    if job.exists() {
        std::fs::remove_file(&job).map_err(|e| failed(&job, e))?;
    }
    for name in names(path)?.iter().filter(|name| is_ours(name)) {
        let file = path.join(name);
        std::fs::remove_file(&file).map_err(|e| failed(&file, e))?;
    }
    sync_folder(path)
}

fn names(path: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(path).map_err(|e| failed(path, e))?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()
        .map_err(|e| failed(path, e))
}

/// Removes parts that were begun, or named, and never came into the ledger.
fn remove_strays(path: &Path, ledger: &Ledger) -> Result<()> {
    let files = ledger.parts.iter().flat_map(|part| &part.files);
    let known: HashSet<&str> = files.map(|file| file.name.as_str()).collect();
    for name in names(path)? {
        let stray = is_ours(&name)
            && (name.ends_with(".tmp") || name.starts_with("part-"))
            && !known.contains(name.as_str());
        if stray {
            let file = path.join(name);
            std::fs::remove_file(&file).map_err(|e| failed(&file, e))?;
        }
    }
    Ok(())
}

fn verify(folder: &Path, file: &PartFile) -> Result<()> {
    let path = folder.join(&file.name);
    if !is_ours(&file.name) {
        return Err(changed(&path, "is no name of a part"));
    }
    let found = sha256_file(&path).map_err(|e| failed(&path, e))?;
    if found != (file.size, file.sha256.clone()) {
        return Err(changed(&path, "is not the file that the ledger names"));
    }
    Ok(())
}

fn changed(path: &Path, what: &str) -> Error {
    Error::Output {
        path: path.to_owned(),
        reason: format!("{what}; `--overwrite` begins anew"),
        source: None,
    }
}
