//! Work for many machines: a plan, cut into blocks, of which each machine does its own.
//!
//! ```text
//! inputs --plan--> plan.parquet --run_shard--> OUT/part-00000.parquet, .. --merge--> the folder of a job that is done
//! ```
//!
//! A plan says what decides the rows (model, windows, how pictures are read) and lists the inputs in their order, cut
//! into blocks of so many items. A block is the unit of work: its part appears under its name when it is complete, by a
//! name that nobody else can have taken, so that a machine that is lost costs one block and two that do the same one do
//! no harm. No machine knows of another; nothing is locked.

mod check;
mod options;
mod out;
mod run;
mod shard;
mod table;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use check::{Status, Verified, merge, status, verify};
#[cfg(test)]
pub(crate) use run::run_shard_with;
pub use run::{ShardConfig, ShardReport, run_shard};
pub use shard::Shard;

use super::input::{Contents, Inputs, Item, Known};
use super::job::{self, Facts};
use super::join::{Counter, JoinReport, Match};
use super::ledger::ModelRecord;
use super::model::facts;
use super::output::{Format, failed_within};
use super::skipped::SkipKind;
use super::stop::Stop;
use super::{JobConfig, Progress};
use options::Options;
use satmip::metadata::FieldSet;
use satmip::parts::aside::{folder_of, target_of};
use satmip::{Embedder, Error, Result};
use table::Writer;
pub(crate) use table::{Entry, Source};

/// What was planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlanReport {
    /// Items: windows or pictures, bad ones included.
    pub items: u64,
    /// Blocks that they are cut into.
    pub blocks: u64,
    /// Files in folders and archives whose name is no image's.
    pub ignored: u64,
    /// Scenes of another time or place than was asked for.
    pub outside: u64,
    /// How a table and the items fitted together.
    pub metadata: Option<JoinReport>,
}

/// Lists the inputs of a job into a file, cut into blocks of [`JobConfig::rows_per_part`] items (rounded up to whole
/// batches). Of scenes the headers are read, of pictures nothing. Memory does not grow with the number of items but by
/// the 16 bytes each that find double names, and 24 for each scene.
///
/// What is learned of a scene is kept beside the plan ([`scenes_beside`]) until the plan is there: a call that is broken off or killed
/// is gone on with by the same call, which does not open those scenes again.
///
/// # Errors
/// [`Error::Argument`] for a stream, which can be read only once;
/// [`Error::Input`], [`Error::Output`] and [`Error::Interrupted`] as [`run`](crate::run).
pub fn plan(
    config: &JobConfig,
    embedder: &Embedder,
    path: &Path,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<PlanReport> {
    plan_with(config, &facts(embedder)?, path, progress)
}

pub(crate) fn plan_with(
    config: &JobConfig,
    facts: &Facts,
    path: &Path,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<PlanReport> {
    let refuse = |reason: &str| {
        Err(Error::Argument {
            what: "plan",
            reason: reason.into(),
        })
    };
    if job::is_address(path) {
        return refuse("it is written to a file of this machine, not to an address");
    }
    if config.format != Format::Parquet {
        return refuse("its parts are Parquet, and no other format");
    }
    job::check(config, facts)?;
    let stop = Stop::new(&config.stop);
    let inputs = Inputs::open_until(&stop, &config.inputs)?.cut(job::scenes(config)?);
    if inputs.streamed() {
        return refuse("a stream can be read only once");
    }
    let record = config.metadata.as_ref().map(job::table_record);
    let head = Head {
        format: table::FORMAT,
        satmip: env!("CARGO_PKG_VERSION").into(),
        model: facts.record.clone(),
        options: Options::of(config, record.transpose()?),
        inputs: job::given(config),
    };
    let mut writer = Writer::create(path, &head, config.overwrite)?;
    let whose = serde_json::to_string(&head).map_err(|error| failed_within(path, error.into()))?;
    let known = config
        .windows
        .map(|_| Known::open(&scenes_beside(path), &whose));
    let inputs = inputs.knowing(known.transpose()?);
    let fields = facts.arch.metadata.as_ref();
    let fields = fields.map_or(FieldSet::NONE, |side| side.fields);
    let load = |table| crate::table::load(table, fields);
    let mut joined = config.metadata.as_ref().map(load).transpose()?;
    if let Some(joined) = &mut joined {
        // A row may belong to one item alone, which all names tell.
        inputs.visit(&mut |item| {
            joined.note(&item);
            stop.flow()
        })?;
    }
    let mut counter = joined.as_ref().map(Counter::new);
    let block_items = head.options.block_items;
    let (mut entry, mut failed): (Option<Entry>, Option<Error>) = (None, None);
    let mut told = Progress::default();
    let listing = inputs.visit(&mut |item| {
        let mut step =
            |item: &Item, writer: &mut Writer, entry: &mut Option<Entry>| -> Result<()> {
                let block = item.index / block_items;
                let last = (item.index + 1).is_multiple_of(block_items);
                let found = joined.as_ref().map(|table| (table, table.find(item)));
                if let (Some(counter), Some((table, found))) = (&mut counter, found) {
                    counter.count(item, found, table);
                }
                match entry {
                    Some(open) if open.block == block && open.goes_on(item) => open.take += 1,
                    _ => {
                        let record = found.and_then(|(table, found)| match found {
                            Match::Row(row) => Some(table.row(row)),
                            _ => None,
                        });
                        let next = Entry::of(item, block, record)?;
                        if let Some(done) = entry.replace(next.after(entry.as_ref())) {
                            writer.push(done)?;
                        }
                    }
                }
                if let (true, Some(open)) = (last, entry.as_mut()) {
                    open.chain = Some(item.chain.hex());
                }
                Ok(())
            };
        if let Err(error) = step(&item, &mut writer, &mut entry) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        told.items = item.index + 1;
        if told.items.is_multiple_of(1000) && progress(&told).is_break() {
            stop.raise();
        }
        stop.flow()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if stop.is_raised() {
        return Err(Error::Interrupted);
    }
    let Some(mut last) = entry else {
        return Err(job::empty(config, &listing));
    };
    last.chain = Some(listing.chain.hex());
    writer.push(last)?;
    writer.finish(listing.items, &listing.chain.hex())?;
    if let Some(known) = inputs.known() {
        forget_lost(path);
        known.remove();
    }
    let metadata = counter.map(|counter| counter.report());
    job::warn(&listing, metadata);
    if let Some(bad) = metadata.map(|join| join.bad_rows).filter(|bad| *bad > 0) {
        tracing::warn!(
            "the table's rows of {bad} items cannot be read: machines name them, without a metadata vector"
        );
    }
    Ok(PlanReport {
        metadata,
        items: listing.items,
        blocks: listing.items.div_ceil(block_items),
        ignored: listing.ignored,
        outside: listing.outside,
    })
}

/// Removes what calls that were killed wrote of a plan; whoever calls has the only list of its scenes.
fn forget_lost(path: &Path) {
    let entries = std::fs::read_dir(folder_of(path));
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let target = name.to_str().and_then(target_of);
        if target.is_some_and(|target| path.file_name() == Some(target.as_ref())) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Where [`plan()`] keeps what it learned of scenes until the plan is there: `plan.parquet.scenes.jsonl`.
pub fn scenes_beside(plan: &Path) -> PathBuf {
    let mut name = plan.as_os_str().to_owned();
    name.push(".scenes.jsonl");
    name.into()
}

/// What a plan says of all its blocks.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub(crate) struct Head {
    /// Version of this layout.
    format: u32,
    satmip: String,
    model: ModelRecord,
    options: Options,
    /// As they were given: for people.
    inputs: Vec<String>,
}

impl Source {
    /// Where an item's bytes are.
    fn of(source: &Contents) -> Result<Source> {
        Ok(match source {
            Contents::File(path) => Source::File(path.clone()),
            Contents::Object(url) => Source::Object(url.clone()),
            Contents::Member {
                archive,
                offset,
                size,
            } => Source::Member {
                archive: archive.path().to_owned(),
                offset: *offset,
                size: *size,
            },
            Contents::Window { scene, .. } => match (&scene.item, &scene.place) {
                (Some(item), _) => Source::Item(std::sync::Arc::clone(item)),
                (None, Some(place)) => place.clone().into(),
                (None, None) => Source::Fault(SkipKind::Other, "it has no place".into()),
            },
            Contents::Listed { scene, .. } => Source::of(&scene.source)?,
            Contents::Item(item) => Source::Item(std::sync::Arc::clone(item)),
            Contents::Fault(kind, reason) => Source::Fault(*kind, reason.clone()),
            Contents::Refused(error) => {
                let (kind, reason) = SkipKind::of(error);
                Source::Fault(kind, reason)
            }
            Contents::Bytes(_) | Contents::Planned(_) => {
                return Err(Error::Argument {
                    what: "plan",
                    reason: "a stream can be read only once".into(),
                });
            }
        })
    }
}
