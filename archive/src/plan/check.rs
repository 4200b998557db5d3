//! How far the blocks of a plan are, whether their parts are sound, and one folder of them all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::run::{base, line_of};
use crate::ledger::{DoneLine, ERRORS, JOB, JobRecord, LEDGER, Ledger, PartLine, json};
use crate::output::failed;
use crate::store::errors_beside;
use satmip::metadata::read;
use satmip::parts::aside::{Aside, Existing, target_of};
use satmip::parts::sha256;
use satmip::{Error, Result};

/// How far a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BlockState {
    /// Its part is complete.
    Done,
    /// A machine writes it, or was lost while it did.
    UnderWay,
    /// Nobody has begun it.
    Missing,
}

/// How far a plan is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// All blocks.
    pub blocks: u64,
    /// Those whose parts are complete.
    pub done: u64,
    /// Those that somebody writes, or was lost while it did.
    pub under_way: Vec<u64>,
    /// Those that nobody has begun, as first and last.
    pub missing: Vec<(u64, u64)>,
    /// Rows of those that are done.
    pub rows: u64,
    /// Their lines of errors.
    pub skipped: u64,
    /// Whether the parts are one folder already.
    pub merged: bool,
}

impl Status {
    /// Whether all blocks are done.
    pub fn is_complete(&self) -> bool {
        self.done == self.blocks
    }
}

/// What a look at every row found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Parts that were read.
    pub parts: u64,
    /// Their rows.
    pub rows: u64,
    /// What is wrong, by part.
    pub faults: Vec<String>,
}

/// The job of a folder, and how many blocks it has.
fn job(out: &Path) -> Result<(JobRecord, u64)> {
    let path = out.join(JOB);
    let refuse = |reason: String| Error::Output {
        path: out.to_owned(),
        reason,
        source: None,
    };
    if !path.is_file() {
        return Err(refuse("no plan was begun in it".into()));
    }
    let job: JobRecord = serde_json::from_value(read::json_document(&path)?)
        .map_err(|error| refuse(format!("`{JOB}` is no record of a job: {error}")))?;
    match job.input.plan.as_ref().map(|plan| plan.blocks) {
        Some(blocks) => Ok((job, blocks)),
        None => Err(refuse("it is of a job without a plan".into())),
    }
}

/// Looks which parts are there, by their names alone but for one small file each.
///
/// # Errors
/// [`Error::Output`] for a folder in which no plan was begun, or that cannot be read.
pub fn status(out: &Path) -> Result<Status> {
    let (_, blocks) = job(out)?;
    let mut status = Status {
        blocks,
        ..Status::default()
    };
    if let Some(done) = Ledger::done_line(out) {
        status.done = blocks;
        status.merged = true;
        (status.rows, status.skipped) = (done.rows, done.skipped);
        return Ok(status);
    }
    let mut begun = BTreeSet::new();
    let entries = std::fs::read_dir(out).map_err(|error| failed(out, error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let target = target_of(name.to_str().unwrap_or_default());
        begun.extend(target.and_then(block_of));
    }
    let mut gap: Option<u64> = None;
    for block in 0..=blocks {
        let state = match block {
            _ if block == blocks => BlockState::Done,
            _ if line_of(out, block).is_file() => BlockState::Done,
            _ if begun.contains(&block) => BlockState::UnderWay,
            _ => BlockState::Missing,
        };
        if state != BlockState::Missing
            && let Some(first) = gap.take()
        {
            status.missing.push((first, block - 1));
        }
        match state {
            BlockState::Done if block < blocks => {
                let line = line(out, block)?;
                status.done += 1;
                status.rows += line.rows[1];
                status.skipped += line.skipped;
            }
            BlockState::Done => {}
            BlockState::UnderWay => status.under_way.push(block),
            BlockState::Missing => {
                gap.get_or_insert(block);
            }
        }
    }
    Ok(status)
}

fn block_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("part-")?.split('.').next()?;
    digits.parse().ok()
}

fn line(out: &Path, block: u64) -> Result<PartLine> {
    let path = line_of(out, block);
    serde_json::from_value(read::json_document(&path)?).map_err(|error| Error::Output {
        path,
        reason: format!("no line of a ledger: {error}"),
        source: None,
    })
}

/// Reads every part that is there: whether its bytes are those that were written, and its vectors finite and of length 1.
///
/// # Errors
/// As [`status`].
pub fn verify(out: &Path) -> Result<Verified> {
    let (_, blocks) = job(out)?;
    let lines = match Ledger::done_line(out) {
        Some(_) => Ledger::parts_of(out)?,
        None => {
            let done = (0..blocks).filter(|block| line_of(out, *block).is_file());
            done.map(|block| line(out, block)).collect::<Result<_>>()?
        }
    };
    let mut found = Verified::default();
    for line in lines {
        let path = base(out, line.part).with_extension("parquet");
        let name = format!("part-{:05}.parquet", line.part);
        found.parts += 1;
        let file = line.files.first();
        match (sha256::of_file(&path), file) {
            (Err(error), _) => {
                found.faults.push(format!("{name}: {error}"));
                continue;
            }
            (Ok((_, sha256)), Some(file)) if sha256 != file.sha256 => {
                found
                    .faults
                    .push(format!("{name}: its bytes are not those that were written"));
                continue;
            }
            _ => {}
        }
        match check_vectors(&path) {
            Ok(rows) if rows == line.rows[1] - line.rows[0] => found.rows += rows,
            Ok(rows) => found.faults.push(format!("{name}: {rows} rows")),
            Err(error) => found.faults.push(format!("{name}: {error}")),
        }
    }
    Ok(found)
}

/// Rows of a part.
pub(super) fn rows_of(part: &Path) -> Result<u64> {
    let rows = opened(part)?.metadata().file_metadata().num_rows();
    Ok(u64::try_from(rows).unwrap_or(0))
}

fn opened(part: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(part).map_err(|error| failed(part, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(part, &error))
}

fn damaged(part: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Output {
        path: part.to_owned(),
        reason: format!("it cannot be read: {error}"),
        source: None,
    }
}

/// Rows of a part whose vectors are finite, and those of the common space of length 1.
fn check_vectors(part: &Path) -> Result<u64> {
    /// How far from 1 a length may be.
    const CLOSE: f32 = 1e-3;
    let rows = opened(part)?
        .build()
        .map_err(|error| damaged(part, &error))?;
    let mut count = 0;
    for batch in rows {
        let batch = batch.map_err(|error| damaged(part, &error))?;
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let Some(lists) = column.as_fixed_size_list_opt() else {
                continue;
            };
            let unit = field.name().ends_with("_embedding");
            for (row, list) in lists.iter().enumerate() {
                let Some(list) = list else { continue };
                // Those of fewer bits are near to length 1, or have their scale elsewhere.
                let Some(numbers) = list.as_primitive_opt::<Float32Type>() else {
                    continue;
                };
                let numbers = numbers.values();
                let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
                if !length.is_finite() || (unit && (length - 1.0).abs() > CLOSE) {
                    let row = count + row as u64;
                    return Err(damaged(
                        part,
                        &format!("row {row}: a vector of length {length}"),
                    ));
                }
            }
        }
        count += batch.num_rows() as u64;
    }
    Ok(count)
}

/// Makes the parts of all blocks the folder of a job that is done: one ledger, one file of errors. No part is copied.
///
/// # Errors
/// As [`status`]; [`Error::Output`] where blocks are not done, or parts are not those that were written (by their sizes).
pub fn merge(out: &Path) -> Result<Status> {
    let found = status(out)?;
    if found.merged {
        return Ok(found);
    }
    if !found.is_complete() {
        return Err(Error::Output {
            path: out.to_owned(),
            reason: format!("{} of {} blocks are done", found.done, found.blocks),
            source: None,
        });
    }
    let (job, blocks) = job(out)?;
    let (mut rows, mut errors, mut ledger) = (0, Vec::new(), Vec::new());
    let mut items = 0;
    let ledger_path = out.join(LEDGER);
    for block in 0..blocks {
        let mut line = line(out, block)?;
        let part = base(out, block).with_extension("parquet");
        let size = std::fs::metadata(&part)
            .map_err(|error| failed(&part, error))?
            .len();
        if line.files.first().is_none_or(|file| file.size != size)
            || line.part != block
            || line.items[0] != items
        {
            return Err(damaged(&part, &"it is not what was written of this block"));
        }
        let own = errors_beside(&base(out, block));
        if line.skipped > 0 {
            errors.extend(std::fs::read(&own).map_err(|error| Error::io(&own, error))?);
        }
        line.rows = [rows, rows + line.rows[1]];
        (rows, items) = (line.rows[1], line.items[1]);
        line.errors_bytes = errors.len() as u64;
        ledger.extend(json(&ledger_path, &line)?);
        ledger.push(b'\n');
    }
    let done = DoneLine {
        done: true,
        items,
        rows,
        skipped: found.skipped,
        input_sha256: job.input.sha256.unwrap_or_default(),
    };
    ledger.extend(json(&ledger_path, &done)?);
    ledger.push(b'\n');
    place(&out.join(ERRORS), &errors)?;
    place(&ledger_path, &ledger)?;
    // What the ledger says now, and what machines that were lost left behind.
    for entry in std::fs::read_dir(out)
        .map_err(|error| failed(out, error))?
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let of_block = block_of(name).is_some()
            && (name.ends_with(".json") || name.ends_with(".errors.jsonl"));
        if of_block || target_of(name).and_then(block_of).is_some() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    status(out)
}

fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    let (aside, mut file) = Aside::file(path).map_err(|error| failed(path, error))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| aside.place(Existing::Replace))
        .map_err(|error| failed(path, error))
}
