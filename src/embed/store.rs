//! Where a job's rows go: a folder of parts that can be resumed, one file, or standard output.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Destination;
use super::input::Chain;
use super::join::{Match, Table};
use super::ledger::{
    DoneLine, ERRORS, JOB, JobRecord, LEDGER, Ledger, PartFile, PartLine, json, write_job,
};
use super::output::{
    self, Format, JsonLines, OutputFile, PartWriter, Rows, Schema, commit, failed, sync_folder,
    temporary, with_suffix,
};
use super::skipped::{SkipKind, Skipped};
use crate::error::{Error, Result};
use crate::metadata::Metadata;

/// Counts of what is in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) items: u64,
    pub(crate) rows: u64,
    pub(crate) skipped: u64,
}

/// An opened destination.
pub(crate) enum Store<'a> {
    Folder(Box<Folder>),
    Single(Single),
    Memory(&'a mut Gathered),
}

impl Store<'_> {
    pub(crate) fn open(
        destination: &Destination,
        record: &JobRecord,
        schema: Schema,
        overwrite: bool,
    ) -> Result<Self> {
        let format = record.output.format;
        match destination {
            Destination::Folder(path) => {
                let folder = Folder::open(path, record, schema, overwrite)?;
                Ok(Store::Folder(Box::new(folder)))
            }
            Destination::File(path) => {
                Single::file(path, format, &schema, overwrite).map(Store::Single)
            }
            Destination::Stdout => Single::stdout(format, &schema).map(Store::Single),
        }
    }

    /// What an earlier run completed: counts, and the fingerprint of the input up to there.
    pub(crate) fn earlier(&self) -> (Tally, Option<String>) {
        let Store::Folder(folder) = self else {
            return (Tally::default(), None);
        };
        let fingerprint = folder.ledger.parts.last().map(|p| p.input_sha256.clone());
        (folder.tally, fingerprint)
    }

    /// Whether an earlier run completed the whole job.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Store::Folder(folder) if folder.ledger.done.is_some())
    }

    /// Appends rows of `items` items, `end` being the fingerprint of the input after them.
    pub(crate) fn push(
        &mut self,
        rows: &Rows,
        skipped: Vec<Skipped>,
        items: u64,
        end: Chain,
    ) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.push(rows, skipped, items, end),
            Store::Single(single) => single.push(rows, &skipped, items),
            Store::Memory(gathered) => {
                gathered.push(rows, skipped, items);
                Ok(())
            }
        }
    }

    /// Completes the output.
    pub(crate) fn finish(self, end: Chain) -> Result<Tally> {
        match self {
            Store::Folder(folder) => folder.finish(end),
            Store::Single(single) => single.finish(),
            Store::Memory(gathered) => Ok(gathered.tally),
        }
    }
}

/// A folder with `job.json`, `ledger.jsonl`, `errors.jsonl` and `part-00000.*`.
pub(crate) struct Folder {
    path: PathBuf,
    format: Format,
    schema: Schema,
    items_per_part: u64,
    ledger: Ledger,
    errors: File,
    errors_bytes: u64,
    tally: Tally,
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
    fn open(path: &Path, record: &JobRecord, schema: Schema, overwrite: bool) -> Result<Self> {
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

    fn push(&mut self, rows: &Rows, skipped: Vec<Skipped>, items: u64, end: Chain) -> Result<()> {
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
            let (size, sha256) =
                super::sha256_file(&temporary(file)).map_err(|e| failed(file, e))?;
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

    fn finish(mut self: Box<Self>, end: Chain) -> Result<Tally> {
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
    let found = super::sha256_file(&path).map_err(|e| failed(&path, e))?;
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

/// One file (with `NAME.errors.jsonl` beside it when items were left out), or standard output.
pub(crate) struct Single {
    writer: Box<dyn PartWriter>,
    /// Without the format's ending; none for standard output.
    base: Option<PathBuf>,
    errors: Option<OutputFile>,
    tally: Tally,
}

impl Single {
    fn file(path: &Path, format: Format, schema: &Schema, overwrite: bool) -> Result<Self> {
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

    fn stdout(format: Format, schema: &Schema) -> Result<Self> {
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

    fn push(&mut self, rows: &Rows, skipped: &[Skipped], items: u64) -> Result<()> {
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

    fn finish(self) -> Result<Tally> {
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

/// What a job found, in memory.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) ids: Vec<String>,
    /// The first column's vectors, one after another.
    pub(crate) vectors: Vec<f32>,
    /// The metadata of each id, where a table has some.
    pub(crate) metadata: Vec<Option<Metadata>>,
    pub(crate) skipped: Vec<Skipped>,
    matches: Vec<Match>,
    tally: Tally,
}

impl Gathered {
    fn push(&mut self, rows: &Rows, skipped: Vec<Skipped>, items: u64) {
        self.tally.items += items;
        self.tally.rows += rows.ids.len() as u64;
        self.tally.skipped += skipped.len() as u64;
        self.ids.extend_from_slice(&rows.ids);
        self.matches.extend_from_slice(&rows.matches);
        if let Some(column) = rows.columns.first() {
            self.vectors.extend_from_slice(&column.values);
        }
        self.skipped.extend(skipped);
    }

    pub(super) fn join(&mut self, table: &Table) {
        for (id, found) in self.ids.iter().zip(&self.matches) {
            let metadata = match found {
                Match::Row(row) => table.row(*row),
                Match::Ambiguous | Match::None => {
                    self.metadata.push(None);
                    continue;
                }
            };
            if let Err(reason) = metadata {
                self.skipped.push(Skipped {
                    id: id.clone(),
                    kind: SkipKind::Metadata,
                    reason: reason.clone(),
                });
            }
            self.metadata.push(metadata.as_ref().ok().cloned());
        }
    }
}
