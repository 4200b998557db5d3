//! A folder of parts.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Tally;
use super::partial::{self, Partial, Pushed};
use crate::input::Chain;
use crate::ledger::{
    DoneLine, ERRORS, JOB, JobRecord, LEDGER, Ledger, PartFile, PartLine, json, write_job,
};
use crate::output::{self, Format, PartWriter, Rows, Schema, commit, failed, sync_folder};
use crate::skipped::Skipped;
use satmip::parts::aside::{Existing, target_of};
use satmip::parts::sha256;
use satmip::{Error, Result};

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
    /// What is kept of it where the job is stopped.
    partial: Partial,
    start: Tally,
    skipped: Vec<Skipped>,
    end: Chain,
}

/// What is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing that must stay.
    Nothing,
    /// This job.
    Same,
}

impl Folder {
    pub(super) fn open(
        path: &Path,
        record: &JobRecord,
        schema: Schema,
        overwrite: bool,
    ) -> Result<Self> {
        // Before anything is made there, so that a folder that is refused stays as it is ..
        look(path, record, overwrite)?;
        std::fs::create_dir_all(path).map_err(|e| failed(path, e))?;
        let lock = Ledger::lock(path)?;
        // .. and again now that no other process can change it.
        let found = look(path, record, overwrite)?;
        let ledger = || -> Result<File> { lock.try_clone().map_err(|e| failed(path, e)) };
        let begin = || {
            clear(path, &lock)?;
            write_job(path, record)?;
            Self::resume(path, ledger()?, record, schema.clone())
        };
        if found == Found::Nothing {
            return begin();
        }
        match Self::resume(path, ledger()?, record, schema.clone()) {
            // What is damaged is begun anew where that was asked for; a full disk is another matter.
            Err(Error::Output { source: None, .. }) if overwrite => begin(),
            result => result,
        }
    }

    /// Goes on after what the ledger has, and after what was kept of the part behind it.
    fn resume(path: &Path, ledger: File, record: &JobRecord, schema: Schema) -> Result<Self> {
        let ledger = Ledger::read(path, ledger)?;
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
        let mut folder = Folder {
            path: path.to_owned(),
            format: record.output.format,
            schema,
            items_per_part: record.output.rows_per_part as u64,
            ledger,
            errors,
            errors_bytes,
            tally,
            part: None,
        };
        folder.take_up()?;
        Ok(folder)
    }

    /// Writes the batches that were kept of an interrupted part to a new one, just as they came.
    fn take_up(&mut self) -> Result<()> {
        if self.ledger.done.is_some() {
            return Ok(());
        }
        let part = self.ledger.parts.len() as u64;
        let mut kept = match partial::Reader::open(&self.path, part, self.tally) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(()),
            Err(reason) => {
                let path = partial::path(&self.path, part);
                tracing::warn!(
                    "`{}` cannot be used ({reason}); part {part} is begun anew",
                    path.display()
                );
                return Ok(());
            }
        };
        let unusable = |folder: &Self, reason: String| {
            let path = partial::path(&folder.path, part);
            changed(&path, &format!("cannot be used ({reason})"))
        };
        while let Some(batch) = kept.next_batch().map_err(|reason| unusable(self, reason))? {
            if !batch.rows.fit(&self.schema) {
                return Err(unusable(self, "its rows have other columns".into()));
            }
            self.push(&batch.rows, batch.skipped, batch.items, batch.end)?;
        }
        Ok(())
    }

    /// Where the input goes on, if anything is done.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let part = self.part.as_ref().map(|part| part.end.hex());
        part.or_else(|| Some(self.ledger.parts.last()?.input_sha256.clone()))
    }

    /// Keeps the rows of the part that is being written, for the job to go on with.
    pub(super) fn pause(mut self: Box<Self>) -> Result<()> {
        match self.part.take() {
            Some(part) => part.partial.keep(),
            None => Ok(()),
        }
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
            None => self.begin(end)?,
        };
        part.writer.push(rows)?;
        let batch = Pushed {
            items,
            end,
            rows,
            skipped,
        };
        part.partial.push(&batch)?;
        let skipped = batch.skipped;
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

    fn begin(&self, end: Chain) -> Result<Part> {
        let number = self.ledger.parts.len() as u64;
        let base = self.path.join(format!("part-{number:05}"));
        Ok(Part {
            writer: output::create(self.format, &base, &self.schema)?,
            partial: Partial::create(&self.path, number, self.tally)?,
            start: self.tally,
            skipped: Vec::new(),
            end,
        })
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
            let target = file.target();
            let (size, sha256) = sha256::of_file(file.path()).map_err(|e| failed(target, e))?;
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            Ok(PartFile {
                name: name.into_owned(),
                size,
                sha256,
            })
        });
        let entries = entries.collect::<Result<Vec<_>>>()?;
        commit(files, Existing::Keep)?;
        let number = self.ledger.parts.len() as u64;
        self.ledger.add(PartLine {
            part: number,
            items: [part.start.items, self.tally.items],
            rows: [part.start.rows, self.tally.rows],
            skipped: part.skipped.len() as u64,
            errors_bytes: self.errors_bytes,
            input_sha256: part.end.hex(),
            files: entries,
        })?;
        remove_if_there(&partial::path(&self.path, number))
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

/// Finds out whether what is in a folder is this job, something that may go, or neither: an error. Nothing
/// is changed.
fn look(path: &Path, record: &JobRecord, overwrite: bool) -> Result<Found> {
    let refuse = |path: &Path, reason: String| {
        Err(Error::Output {
            path: path.to_owned(),
            reason,
            source: None,
        })
    };
    let names = match names(path) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(_) if path.is_file() => return refuse(path, "is a file, not a folder".into()),
        Err(error) => return Err(failed(path, error)),
    };
    if !names.iter().any(|name| name == JOB) {
        if overwrite {
            return Ok(Found::Nothing);
        }
        if names.iter().any(|name| !is_ours(name)) {
            return refuse(
                path,
                "exists and is no output of a job; choose another folder, or `--overwrite` to \
                 write between its files"
                    .into(),
            );
        }
        return match result(path, &names) {
            Some(file) => refuse(
                &file,
                format!(
                    "is of an earlier job, whose `{JOB}` is not there; choose another folder, move it \
                     away, or `--overwrite` to replace it"
                ),
            ),
            None => Ok(Found::Nothing),
        };
    }
    let job = path.join(JOB);
    let text = std::fs::read(&job).map_err(|e| failed(&job, e))?;
    let earlier = serde_json::from_slice(&text).ok();
    let differences = match earlier.filter(is_job) {
        Some(earlier) => record.differences(&earlier)?,
        None if overwrite => vec![format!("`{JOB}` is of no job")],
        None => {
            return refuse(
                &job,
                "describes no job of satmip; choose another folder, move it away, or `--overwrite` to replace it"
                    .into(),
            );
        }
    };
    if differences.is_empty() {
        // The same job goes on even with `--overwrite`, as the same command is run after a kill.
        return Ok(match overwrite && Ledger::says_done(path) {
            true => Found::Nothing,
            false => Found::Same,
        });
    }
    if !overwrite && result(path, &names).is_some() {
        return refuse(
            path,
            format!(
                "is of another job: {}; choose another folder, or `--overwrite` to replace it",
                differences.join("; ")
            ),
        );
    }
    Ok(Found::Nothing)
}

/// Whether a `job.json` is one that a job wrote, of this version or an earlier one.
fn is_job(description: &serde_json::Value) -> bool {
    description["format"].is_u64() && description["satmip"].is_string()
}

/// A file of a job that holds something of its result: not what a process leaves that was killed before it had
/// any.
fn result(path: &Path, names: &[String]) -> Option<PathBuf> {
    let holds = |name: &&String| match name.as_str() {
        JOB => false,
        LEDGER | ERRORS => path.join(name).metadata().is_ok_and(|m| m.len() > 0),
        name => is_ours(name) && !is_temporary(name),
    };
    names.iter().find(holds).map(|name| path.join(name))
}

/// Whether a job gives this name to a file of its own.
fn is_ours(name: &str) -> bool {
    let name = without_temporary(name);
    [JOB, LEDGER, ERRORS].contains(&name) || part_number(name).is_some()
}

/// The number of the part that a file is of.
fn part_number(name: &str) -> Option<u64> {
    let (number, ending) = name.strip_prefix("part-")?.split_once('.')?;
    let digits = number.len() >= 5 && number.bytes().all(|b| b.is_ascii_digit());
    let ending = format!(".{ending}");
    let known = [".parquet", ".npy", ".jsonl", partial::ENDING];
    let known = known.iter().any(|known| ending.ends_with(known));
    (digits && known).then(|| number.parse().ok()).flatten()
}

fn is_temporary(name: &str) -> bool {
    without_temporary(name) != name
}

/// The name that a temporary file shall get; earlier versions named theirs `NAME.tmp`.
fn without_temporary(name: &str) -> &str {
    let target = target_of(name).or_else(|| name.strip_suffix(".tmp"));
    target.unwrap_or(name)
}

/// Removes what a job wrote, and nothing else; its ledger, which is locked, is emptied.
fn clear(path: &Path, ledger: &File) -> Result<()> {
    // The job's description goes first: without it the rest is not taken for a job.
    remove_if_there(&path.join(JOB))?;
    for name in listed(path)?.iter().filter(|name| is_ours(name)) {
        if name != LEDGER {
            remove_if_there(&path.join(name))?;
        }
    }
    ledger
        .set_len(0)
        .and_then(|()| ledger.sync_all())
        .map_err(|e| failed(&path.join(LEDGER), e))?;
    sync_folder(path)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn names(path: &Path) -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir(path)?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

fn listed(path: &Path) -> Result<Vec<String>> {
    names(path).map_err(|e| failed(path, e))
}

/// Removes what was begun and never came into the ledger: temporary files, and the files of the part behind the
/// ledger's last, which are written again. Any other part is somebody's, and refused.
fn remove_strays(path: &Path, ledger: &Ledger) -> Result<()> {
    let files = ledger.parts.iter().flat_map(|part| &part.files);
    let known: HashSet<&str> = files.map(|file| file.name.as_str()).collect();
    let next = ledger.parts.len() as u64;
    let begun = |number| number == next && ledger.done.is_none();
    let mut strays = Vec::new();
    for name in listed(path)?.into_iter().filter(|name| is_ours(name)) {
        let number = part_number(&name);
        let partial = name.ends_with(partial::ENDING);
        match number {
            _ if is_temporary(&name) => strays.push(name),
            Some(number) if partial && begun(number) => {}
            Some(_) if partial => strays.push(name),
            Some(_) if known.contains(name.as_str()) => {}
            Some(number) if begun(number) => strays.push(name),
            Some(_) => {
                return Err(Error::Output {
                    path: path.join(name),
                    reason:
                        "is no part that the ledger names; move it away, or `--overwrite` to begin \
                             anew"
                            .into(),
                    source: None,
                });
            }
            None => {}
        }
    }
    strays
        .iter()
        .try_for_each(|name| remove_if_there(&path.join(name)))
}

fn verify(folder: &Path, file: &PartFile) -> Result<()> {
    let path = folder.join(&file.name);
    if !is_ours(&file.name) {
        return Err(changed(&path, "is no name of a part"));
    }
    let found = sha256::of_file(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => changed(&path, "is in the ledger and not there"),
        _ => failed(&path, error),
    })?;
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
