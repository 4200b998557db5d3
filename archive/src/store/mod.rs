//! Where a job's rows go: a folder of parts that can be resumed, one file, standard output, or
//! memory.

mod folder;
mod memory;
mod partial;
mod single;

pub(crate) use self::folder::Folder;
pub use self::memory::Gathered;
pub(crate) use self::single::{Single, errors_beside};
use super::Destination;
use super::input::Chain;
use super::ledger::JobRecord;
use super::output::{Rows, Schema};
use super::skipped::Skipped;
use satmip::Result;

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
            Destination::Stdout => Ok(Store::Single(Single::stdout(&schema))),
        }
    }

    /// What an earlier run did: counts, and the fingerprint of the input up to there.
    pub(crate) fn earlier(&self) -> (Tally, Option<String>) {
        let Store::Folder(folder) = self else {
            return (Tally::default(), None);
        };
        (folder.tally, folder.fingerprint())
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

    /// Ends before the input does: what is done stays where the job can go on with it, else nothing of it does.
    pub(crate) fn pause(self) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.pause(),
            Store::Single(_) | Store::Memory(_) => Ok(()),
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
