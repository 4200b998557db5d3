//! How far the blocks of a plan are, whether their parts are sound, and one folder of them all.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::out::Out;
use super::run::{Beside, is_done, line_name, part_name};
use crate::ledger::{DoneLine, ERRORS, JOB, JobRecord, LEDGER, Ledger, PartLine, PlanRecord, json};
use crate::output::failed;
use crate::store::errors_beside;
use satmip::metadata::read;
use satmip::parts::aside::target_of;
use satmip::parts::sha256;
use satmip::{Error, Result};

/// What helps where a part is not what it should be.
const AGAIN: &str =
    "remove a part that is wrong, and what is beside it, and run the same `embed --plan` again";

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
    /// Items of those that are done.
    pub items: u64,
    /// Their rows: items that are embedded.
    pub rows: u64,
    /// Their lines of errors: items without a row, and items of whose metadata something is wrong.
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
fn job(out: &Out, names: &BTreeSet<String>) -> Result<(JobRecord, PlanRecord)> {
    if !names.contains(JOB) {
        return Err(out.refuse("no plan was begun in it"));
    }
    let text = read::json_of_bytes(&out.read(JOB)?, out.name().join(JOB).display())?;
    let job: JobRecord = serde_json::from_value(text)
        .map_err(|error| out.refuse(format!("`{JOB}` is no record of a job: {error}")))?;
    match job.input.plan.clone() {
        Some(plan) => Ok((job, plan)),
        None => Err(out.refuse("it is of a job without a plan")),
    }
}

/// The ledger of all parts, where they are merged.
fn ledger(out: &Out, names: &BTreeSet<String>) -> Result<Option<(Vec<u8>, DoneLine)>> {
    if !names.contains(LEDGER) {
        return Ok(None);
    }
    let text = out.read(LEDGER)?;
    let done = Ledger::done_in(&text);
    Ok(done.map(|done| (text, done)))
}

/// What is said of each part that is there, in their order.
fn lines(out: &Out, names: &BTreeSet<String>, plan: &PlanRecord) -> Result<Vec<PartLine>> {
    let there = (0..plan.blocks).filter(|block| is_done(names, *block, false));
    let (there, lines): (Vec<_>, Vec<_>) = there.map(|block| (block, line_name(block))).unzip();
    let texts = out.read_all(&lines)?;
    let parsed = there.iter().zip(&lines).zip(texts);
    let parsed = parsed.map(|((block, name), text)| {
        let found: Beside = serde_json::from_slice(&text)
            .map_err(|error| out.refuse(format!("`{name}` is no line of a ledger: {error}")))?;
        match found.plan == plan.sha256 && found.line.part == *block {
            true => Ok(found.line),
            false => Err(out.refuse(format!(
                "`{name}` and its part are of another plan ({AGAIN})"
            ))),
        }
    });
    parsed.collect()
}

/// Looks which parts are there, by their names alone but for one small file each.
///
/// # Errors
/// [`Error::Output`] for a folder in which no plan was begun, or that cannot be read.
pub fn status(out: &Path) -> Result<Status> {
    let out = Out::open(out)?;
    status_of(&out, &out.names()?)
}

fn status_of(out: &Out, names: &BTreeSet<String>) -> Result<Status> {
    let (_, plan) = job(out, names)?;
    let blocks = plan.blocks;
    let mut status = Status {
        blocks,
        ..Status::default()
    };
    if let Some((_, done)) = ledger(out, names)? {
        status.merged = true;
        (status.items, status.rows, status.skipped) = (done.items, done.rows, done.skipped);
    } else {
        for line in lines(out, names, &plan)? {
            status.items += line.items[1].saturating_sub(line.items[0]);
            status.rows += line.rows[1];
            status.skipped += line.skipped;
        }
    }
    // Of a folder that is merged, parts may be lost since.
    let is_there = |block: u64| is_done(names, block, status.merged);
    status.done = (0..blocks).filter(|block| is_there(*block)).count() as u64;
    let begun: BTreeSet<u64> = names
        .iter()
        .filter_map(|name| block_of(target_of(name)?))
        .collect();
    for block in 0..blocks {
        match () {
            () if is_there(block) => {}
            () if begun.contains(&block) => status.under_way.push(block),
            () => match status.missing.last_mut() {
                Some((_, last)) if *last + 1 == block => *last = block,
                _ => status.missing.push((block, block)),
            },
        }
    }
    Ok(status)
}

fn block_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("part-")?.split('.').next()?;
    digits.parse().ok()
}

/// Reads every part that is there: whether its bytes are those that were written, and its vectors finite and of length 1.
///
/// # Errors
/// As [`status`].
pub fn verify(out: &Path) -> Result<Verified> {
    let out = Out::open(out)?;
    let names = out.names()?;
    let (_, plan) = job(&out, &names)?;
    let lines = match ledger(&out, &names)? {
        Some((text, _)) => Ledger::parts_in(&text),
        None => lines(&out, &names, &plan)?,
    };
    let mut found = Verified::default();
    for line in lines {
        let name = part_name(line.part);
        found.parts += 1;
        let sound = match names.contains(&name) {
            true => sound(&out, &line).map_err(|error| error.to_string()),
            false => Err("it is not there".to_owned()),
        };
        match sound {
            Ok(rows) => found.rows += rows,
            Err(error) => found.faults.push(format!("{name}: {error} ({AGAIN})")),
        }
        out.forget(line.part);
    }
    Ok(found)
}

/// The rows of a part that is what was written.
fn sound(out: &Out, line: &PartLine) -> Result<u64> {
    let path = out.fetch(line.part)?;
    let (_, sha256) = sha256::of_file(&path).map_err(|error| failed(&path, error))?;
    if line.files.first().is_none_or(|file| file.sha256 != sha256) {
        return Err(damaged(&path, &"its bytes are not those that were written"));
    }
    match check_vectors(&path)? {
        rows if rows == line.rows[1] - line.rows[0] => Ok(rows),
        rows => Err(damaged(&path, &format!("{rows} rows"))),
    }
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
    let out = &Out::open(out)?;
    let names = out.names()?;
    let found = status_of(out, &names)?;
    if !found.is_complete() {
        let reason = format!(
            "{} of {} blocks are done ({AGAIN})",
            found.done, found.blocks
        );
        return Err(out.refuse(reason));
    }
    if found.merged {
        forget_lines(out)?;
        return Ok(found);
    }
    let (job, plan) = job(out, &names)?;
    let (mut rows, mut items, mut errors, mut ledger) = (0, 0, Vec::new(), Vec::new());
    for mut line in lines(out, &names, &plan)? {
        let part = out.base(line.part).with_extension("parquet");
        let name = part
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let size = match out {
            Out::Folder(_) => std::fs::metadata(&part)
                .map_err(|error| failed(&part, error))?
                .len(),
            // Its place was taken by the line's own part, or by one of the same bytes.
            Out::Store { .. } => line.files.first().map_or(0, |file| file.size),
        };
        if !names.contains(&name)
            || line.files.first().is_none_or(|file| file.size != size)
            || line.items[0] != items
        {
            return Err(damaged(
                &part,
                &format!("it is not what was written of this block ({AGAIN})"),
            ));
        }
        if line.skipped > 0 {
            let own = errors_beside(&out.base(line.part));
            let own = own.file_name().unwrap_or_default().to_string_lossy();
            errors.extend(out.read(&own)?);
        }
        line.rows = [rows, rows + line.rows[1]];
        (rows, items) = (line.rows[1], line.items[1]);
        line.errors_bytes = errors.len() as u64;
        ledger.extend(json(&part, &line)?);
        ledger.push(b'\n');
    }
    let done = DoneLine {
        done: true,
        items,
        rows,
        skipped: found.skipped,
        input_sha256: job.input.sha256.unwrap_or_default(),
    };
    ledger.extend(json(&out.name(), &done)?);
    ledger.push(b'\n');
    out.replace(ERRORS, errors)?;
    out.replace(LEDGER, ledger)?;
    forget_lines(out)?;
    status_of(out, &out.names()?)
}

/// Removes what the ledger says now, and what machines that were lost left behind.
fn forget_lines(out: &Out) -> Result<()> {
    let of_block = |name: &str| {
        let beside = name.ends_with(".json") || name.ends_with(".errors.jsonl");
        (beside && block_of(name).is_some()) || target_of(name).and_then(block_of).is_some()
    };
    out.remove(out.names()?.into_iter().filter(|name| of_block(name)));
    Ok(())
}
