//! One thread that finds items, workers that embed them, and their results in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::input::{Inputs, Listing};
use super::job::{changed, nothing};
use super::join::{Counter, Match, Table};
use super::worker::{Batch, Done, Work};
use crate::error::Result;

/// Batches that each worker may have in flight: enough that a slow picture stops nobody, few
/// enough to bound the memory.
const IN_FLIGHT: usize = 4;

/// Finds the items and cuts them into batches.
pub(super) struct Producer<'a> {
    pub(super) batch_size: u64,
    /// Items that an earlier run has done.
    pub(super) skip: u64,
    /// The input's fingerprint after those.
    pub(super) fingerprint: Option<String>,
    pub(super) table: Option<&'a Table>,
    pub(super) counter: Option<Counter>,
    pub(super) escaped: u64,
}

impl Producer<'_> {
    /// Sends batches until the input ends or nobody listens. A token bounds what is in flight.
    fn produce(
        &mut self,
        inputs: &Inputs,
        batches: &Sender<Batch>,
        tokens: &Sender<()>,
    ) -> Result<Listing> {
        let mut batch = Batch {
            index: 0,
            items: Vec::new(),
        };
        let mut other_input = false;
        let send = |batch: &mut Batch| {
            let next = Batch {
                index: batch.index + 1,
                items: Vec::new(),
            };
            let full = std::mem::replace(batch, next);
            match tokens.send(()).is_ok() && batches.send(full).is_ok() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let listing = inputs.visit(&mut |item| {
            self.escaped += u64::from(item.escaped);
            let found = self.table.map_or(Match::None, |table| table.find(&item));
            if let (Some(counter), Some(table)) = (&mut self.counter, self.table) {
                counter.count(found, table);
            }
            if item.index < self.skip {
                let last = item.index + 1 == self.skip;
                let known = self.fingerprint.as_deref();
                if last && known.is_some_and(|known| known != item.chain.hex()) {
                    other_input = true;
                    return ControlFlow::Break(());
                }
                return ControlFlow::Continue(());
            }
            batch.items.push((item, found));
            match batch.items.len() as u64 == self.batch_size {
                true => send(&mut batch),
                false => ControlFlow::Continue(()),
            }
        })?;
        if other_input {
            return Err(changed("the items that are done already are other ones"));
        }
        if listing.items == 0 {
            return Err(nothing("-", listing.ignored));
        }
        if !batch.items.is_empty() {
            let _ = send(&mut batch);
        }
        Ok(listing)
    }
}

/// Runs producer and workers, and hands their results to `write` in order.
pub(super) fn pipeline(
    workers: usize,
    inputs: &Inputs,
    producer: &mut Producer<'_>,
    work: &Work<'_>,
    write: &mut dyn FnMut(Done) -> Result<()>,
) -> Result<Listing> {
    let (batches, todo) = bounded::<Batch>(workers);
    let (results, finished) = bounded::<Result<Done>>(workers);
    let (token, tokens) = bounded::<()>(workers * IN_FLIGHT);
    thread::scope(|scope| {
        let listing = scope.spawn(move || producer.produce(inputs, &batches, &token));
        for _ in 0..workers {
            let (todo, results) = (todo.clone(), results.clone());
            scope.spawn(move || {
                for batch in todo {
                    let result = work.run(batch);
                    let failed = result.is_err();
                    if results.send(result).is_err() || failed {
                        return;
                    }
                }
            });
        }
        drop((todo, results));
        // Returning drops the receivers, which ends the producer and every worker.
        let written = in_order(finished, tokens, write);
        let listing = match listing.join() {
            Ok(listing) => listing,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        written?;
        listing
    })
}

fn in_order(
    finished: Receiver<Result<Done>>,
    tokens: Receiver<()>,
    write: &mut dyn FnMut(Done) -> Result<()>,
) -> Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for done in finished {
        let done = done?;
        waiting.insert(done.index, done);
        while let Some(done) = waiting.remove(&next) {
            next += 1;
            write(done)?;
            let _ = tokens.try_recv();
        }
    }
    Ok(())
}
