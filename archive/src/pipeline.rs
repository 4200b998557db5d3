//! One thread that finds items, workers that embed them, and their results in order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::input::{Contents, Inputs, Listing, OpenScene};
use super::job::{changed, nothing};
use super::join::{Counter, Match, Table};
use super::stop::Stop;
use super::worker::{Batch, Done, Work};
use satmip::image::Region;
use satmip::parts::guard::{panicked, safely, said};
use satmip::{Error, Result};

/// Batches that each worker may have in flight: enough that a slow picture stops nobody, few
/// enough to bound the memory.
const IN_FLIGHT: usize = 2;

/// Batches of windows whose bytes are on their way that are held back (our choice): a request takes as long as some of
/// them.
const AHEAD: usize = 8;

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
    /// Batches that were handed out.
    pub(super) sent: u64,
}

impl Producer<'_> {
    /// Sends batches until the input ends, the job is stopped, or nobody listens. A token bounds what is in
    /// flight.
    fn produce(
        &mut self,
        inputs: &Inputs,
        stop: &Stop,
        batches: &Sender<Batch>,
        tokens: &Sender<()>,
    ) -> Result<Listing> {
        let mut batch = Batch {
            index: 0,
            items: Vec::new(),
        };
        let (mut other_input, mut sent) = (false, 0);
        let mut hand_out = |full: Batch| {
            // One that nobody takes any more, as after a stop, counts: the job is not done without it.
            sent += 1;
            match tokens.send(()).is_ok() && batches.send(full).is_ok() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let mut held = VecDeque::new();
        let mut send = |batch: &mut Batch| {
            let next = Batch {
                index: batch.index + 1,
                items: Vec::new(),
            };
            let full = std::mem::replace(batch, next);
            let far = announce(&full);
            held.push_back(full);
            match far && held.len() <= AHEAD {
                true => ControlFlow::Continue(()),
                false => held
                    .drain(..if far { 1 } else { held.len() })
                    .try_for_each(&mut hand_out),
            }
        };
        let listing = inputs.visit(&mut |item| {
            // A stream that is stopped ends in an item that is none.
            if stop.is_raised() {
                return ControlFlow::Break(());
            }
            self.escaped += u64::from(item.escaped);
            let found = self.table.map_or(Match::None, |table| table.find(&item));
            if let (Some(counter), Some(table)) = (&mut self.counter, self.table) {
                counter.count(&item, found, table);
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
        if stop.is_raised() {
            return Err(Error::Interrupted);
        }
        if listing.items == 0 {
            return Err(nothing("-", listing.ignored));
        }
        if !batch.items.is_empty() {
            let _ = send(&mut batch);
        }
        let _ = held.into_iter().try_for_each(hand_out);
        self.sent = sent;
        Ok(listing)
    }
}

/// Says to the scenes of a batch which of their windows come next; whether any of them is far away.
fn announce(batch: &Batch) -> bool {
    let mut windows: Vec<(&OpenScene, Vec<Region>)> = Vec::new();
    for (item, _) in &batch.items {
        let Contents::Window { scene, window, .. } = &item.source else {
            continue;
        };
        match windows.last_mut() {
            Some((last, regions)) if std::ptr::eq(*last, &**scene) => regions.push(*window),
            _ => windows.push((scene, vec![*window])),
        }
    }
    windows
        .iter()
        .for_each(|(scene, windows)| scene.scene.expect(windows));
    windows.iter().any(|(scene, _)| scene.is_far())
}

/// Runs producer and workers, and hands their results to `write` in order.
///
/// Once the job is stopped no batch is begun; those that were begun are finished and written. A panic of the
/// producer or of a worker is an error like any other, and ends all threads.
///
/// # Errors
/// [`Error::Interrupted`] where the job was stopped before all was written, or by `write` itself;
/// [`Error::Panic`]; those of the producer, the workers and `write`.
pub(super) fn pipeline(
    workers: usize,
    inputs: &Inputs,
    producer: &mut Producer<'_>,
    work: &Work<'_>,
    stop: &Stop,
    write: &mut dyn FnMut(Done) -> Result<()>,
) -> Result<Listing> {
    let (batches, todo) = bounded::<Batch>(workers);
    let (results, finished) = bounded::<Result<Done>>(workers);
    let (token, tokens) = bounded::<()>(workers * IN_FLIGHT);
    let (written, listing) = thread::scope(|scope| {
        let producing = scope.spawn(|| {
            let (batches, token) = (batches, token);
            safely("going through the inputs", || {
                producer.produce(inputs, stop, &batches, &token)
            })
        });
        for _ in 0..workers {
            let (todo, results) = (todo.clone(), results.clone());
            scope.spawn(move || {
                // Whoever takes a batch finishes it, so that those finished are the first ones.
                while !stop.is_raised() {
                    let Ok(batch) = todo.recv() else { return };
                    let first = batch.items.first().map(|(item, _)| item.id.clone());
                    let what = format!("the batch from `{}` on", first.unwrap_or_default());
                    let result = safely(&what, || work.run(batch));
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
        let listing = producing.join();
        (written, listing)
    });
    let written = written?;
    // What panics there is caught there.
    let listing =
        listing.map_err(|panic| panicked("going through the inputs", said(&*panic).to_owned()))?;
    if stop.is_broken() || (stop.is_raised() && !(listing.is_ok() && written == producer.sent)) {
        return Err(Error::Interrupted);
    }
    listing
}

/// Writes results in their order; how many there were.
fn in_order(
    finished: Receiver<Result<Done>>,
    tokens: Receiver<()>,
    write: &mut dyn FnMut(Done) -> Result<()>,
) -> Result<u64> {
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
    Ok(next)
}
