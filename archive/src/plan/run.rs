//! One machine's part of a plan.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::out::Out;
use super::shard::Shard;
use super::table::Plan;
use crate::input::{Inputs, Kept};
use crate::job::{self, Facts, go_through};
use crate::ledger::{JOB, JobRecord, LEDGER, Ledger, PartFile, PartLine, PlanRecord, json, pretty};
use crate::model::facts;
use crate::output::failed;
use crate::remote::Remote;
use crate::store::{Single, Store, errors_beside};
use crate::worker::Model;
use crate::{Destination, JobConfig, Progress};
use satmip::metadata::read;
use satmip::parts::sha256;
use satmip::{Embedder, Error, Result};

/// Which blocks of which plan, and where their parts go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShardConfig {
    /// The plan's file.
    pub plan: PathBuf,
    /// Whose blocks.
    pub shard: Shard,
    /// Where the parts go: a folder that all machines see, or an address of a store, as `s3://bucket/out`.
    pub out: PathBuf,
    /// Threads that decode and embed; 0 is one for each core.
    pub workers: usize,
    /// Set from outside to finish the batches that were begun and return [`Error::Interrupted`].
    pub stop: Arc<AtomicBool>,
}

impl ShardConfig {
    /// All blocks of a plan.
    pub fn new(plan: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        ShardConfig {
            plan: plan.into(),
            shard: Shard::WHOLE,
            out: out.into(),
            workers: 0,
            stop: Arc::default(),
        }
    }
}

/// What a machine did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardReport {
    /// Its blocks.
    pub blocks: u64,
    /// Those that were there when it came to them.
    pub done_before: u64,
    /// Those that another machine completed first.
    pub by_others: u64,
    /// Items of the blocks that it did.
    pub items: u64,
    /// Their rows.
    pub rows: u64,
    /// Their lines of errors.
    pub skipped: u64,
}

/// Embeds the blocks of a shard that are not there yet. `progress` is called after each batch and can break off.
///
/// # Errors
/// [`Error::Input`] for a file that is no plan, [`Error::Argument`] for another model than was planned,
/// [`Error::Output`] for a folder that another plan or job was begun in, or that cannot be written,
/// [`Error::Interrupted`].
pub fn run_shard(
    config: &ShardConfig,
    embedder: &Embedder,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<ShardReport> {
    run_shard_with(config, embedder, &facts(embedder)?, progress)
}

pub(crate) fn run_shard_with(
    config: &ShardConfig,
    model: &dyn Model,
    facts: &Facts,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<ShardReport> {
    let plan = Plan::open(&config.plan)?;
    let mut job = job_of(&plan, facts)?;
    job.workers = config.workers;
    job.stop = Arc::clone(&config.stop);
    let out = Out::open(&config.out)?;
    begin(&out, &plan, &job, facts)?;
    // Others may complete more meanwhile; that is seen when a part gets its name.
    let names = out.names()?;
    let blocks = config.shard.blocks(plan.blocks());
    let (remote, kept) = (Remote::default(), Arc::default());
    let mut report = ShardReport {
        blocks: blocks.end - blocks.start,
        ..ShardReport::default()
    };
    let total = blocks.clone().map(|block| plan.items_of(block)).sum();
    let mut told = Progress {
        total: Some(total),
        ..Progress::default()
    };
    let merged = names.contains(LEDGER) && Ledger::done_in(&out.read(LEDGER)?).is_some();
    for block in blocks {
        let items = plan.items_of(block);
        if is_done(&names, block, merged) {
            report.done_before += 1;
            told.items += items;
            told.resumed += items;
            continue;
        }
        let before = told;
        let mut tell = |now: &Progress| {
            told.items = before.items + now.items;
            told.skipped = before.skipped + now.skipped;
            progress(&told)
        };
        match run_block(
            &out, block, &plan, &job, &remote, &kept, model, facts, &mut tell,
        )? {
            Some(line) => {
                report.items += items;
                report.rows += line.rows[1];
                report.skipped += line.skipped;
                told.items = before.items + items;
            }
            None => {
                report.by_others += 1;
                told.items = before.items + items;
                told.resumed += items;
            }
        }
    }
    Ok(report)
}

/// The job that a plan is of, for a model.
fn job_of(plan: &Plan, facts: &Facts) -> Result<JobConfig> {
    let head = &plan.head;
    let (own, planned) = (env!("CARGO_PKG_VERSION"), &head.satmip);
    if own != planned {
        return refuse(format!(
            "it was made by satmip {planned}, and this is {own}"
        ));
    }
    if facts.record != head.model {
        let name =
            |id: &str, version: &str, precision: &str| format!("`{id}` {version} ({precision})");
        let (own, planned) = (&facts.record, &head.model);
        return refuse(format!(
            "it was made for the model {}, sha256 {}, and this is {}, sha256 {}",
            name(&planned.id, &planned.version, &planned.precision),
            planned.bundle_sha256,
            name(&own.id, &own.version, &own.precision),
            own.bundle_sha256
        ));
    }
    head.options.config()
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Argument {
        what: "plan",
        reason,
    })
}

/// Makes the folder of parts the plan's, or finds that it is.
fn begin(out: &Out, plan: &Plan, job: &JobConfig, facts: &Facts) -> Result<()> {
    if let Out::Folder(folder) = out {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    let mut record = job::record_of(job, facts)?;
    record.input.given.clone_from(&plan.head.inputs);
    record.input.items = Some(plan.items);
    record.input.sha256 = Some(plan.chain.clone());
    record.input.plan = Some(PlanRecord {
        sha256: plan.sha256.clone(),
        blocks: plan.blocks(),
    });
    if out.place(JOB, pretty(&out.name(), &record)?)? {
        return Ok(());
    }
    let earlier = read::json_of_bytes(&out.read(JOB)?, out.name().join(JOB).display())?;
    let differences = record.differences(&earlier)?;
    match differences.is_empty() {
        true => Ok(()),
        false => Err(out.refuse(format!(
            "it was begun by another plan or job: {}",
            differences.join("; ")
        ))),
    }
}

/// Whether a part is there, and what says that it is complete: where all are merged, the ledger.
pub(super) fn is_done(names: &BTreeSet<String>, block: u64, merged: bool) -> bool {
    names.contains(&part_name(block)) && (merged || names.contains(&line_name(block)))
}

/// The name of a part.
pub(super) fn part_name(block: u64) -> String {
    format!("part-{block:05}.parquet")
}

/// What stands beside a part until all are merged.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Beside {
    /// The fingerprint of the plan's file.
    pub(super) plan: String,
    pub(super) line: PartLine,
}

/// The name of what says that a part is complete.
pub(super) fn line_name(block: u64) -> String {
    format!("part-{block:05}.json")
}

/// Embeds a block; none where another machine was faster.
#[allow(
    clippy::too_many_arguments,
    reason = "what is the same for all blocks, one by one"
)]
fn run_block(
    out: &Out,
    block: u64,
    plan: &Plan,
    job: &JobConfig,
    remote: &Remote,
    kept: &Arc<Kept>,
    model: &dyn Model,
    facts: &Facts,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Option<PartLine>> {
    let part = out.base(block).with_extension("parquet");
    let taken = || part.is_file();
    if !taken() {
        let inputs = Inputs::planned(plan.entries(block)?, remote.clone(), Arc::clone(kept));
        let inputs = inputs.cut(job::scenes(job)?);
        let mut job = job.clone();
        job.destination = Destination::File(part.clone());
        let open =
            |_: &JobRecord, schema| Single::part(&part, job.format, &schema).map(Store::Single);
        match go_through(&job, inputs, model, facts, true, open, progress) {
            Ok(_) => {}
            // Somebody placed it in between; the same rows are in it.
            Err(Error::Output { .. }) if taken() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let line = line(out, block, plan)?;
    let sent = out.send(block)?;
    out.forget(block);
    // Where a store had the part already, it is somebody's who was lost before the line, or has the same bytes.
    let text = json(
        &part,
        &Beside {
            plan: plan.sha256.clone(),
            line: line.clone(),
        },
    )?;
    match out.place(&line_name(block), text)? && sent {
        true => Ok(Some(line)),
        false => Ok(None),
    }
}

/// What is said of a part that is there, counted from it.
fn line(out: &Out, block: u64, plan: &Plan) -> Result<PartLine> {
    let part = out.base(block).with_extension("parquet");
    let rows = super::check::rows_of(&part)?;
    let errors = errors_beside(&out.base(block));
    let text = match std::fs::read(&errors) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io(&errors, error)),
    };
    let (size, sha256) = sha256::of_file(&part).map_err(|error| Error::io(&part, error))?;
    let start = block * plan.items_of(0);
    let entries = plan.entries(block)?;
    let chain = entries.last().and_then(|entry| entry.chain.clone());
    let name = part.file_name().unwrap_or_default().to_string_lossy();
    Ok(PartLine {
        part: block,
        items: [start, start + plan.items_of(block)],
        rows: [0, rows],
        skipped: text.iter().filter(|byte| **byte == b'\n').count() as u64,
        errors_bytes: text.len() as u64,
        input_sha256: chain.unwrap_or_default(),
        files: vec![PartFile {
            name: name.into_owned(),
            size,
            sha256,
        }],
    })
}
