//! Batches of views, drawn ahead of the training step by several threads.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rand::seq::SliceRandom;

use super::cache::Cache;
use super::piece::{Chip, Piece};
use super::{BadItem, Batch, DroppedField, LoaderConfig, Stream, rng_for};
use satmip::metadata::Field;
use satmip::parts::guard::guarded;
use satmip::{Error, Result};
use satmip_eval::chips::ChipSet;

/// Chips of a piece: few enough that the last pieces of a batch end at about the same time.
const PIECE: usize = 16;
/// Batches that are drawn while one is used: enough to even out slow ones, and bounded.
const AHEAD: usize = 2;

/// Draws batches ahead on threads of its own; an iterator over them in the order of steps.
///
/// Each batch is split into pieces of 16 chips, which the threads draw, with at most two batches
/// more than the one that was last asked for. What is random in a batch depends on the seed, the step
/// and the place in the batch alone. An epoch draws each chip at most once, and drops its last,
/// incomplete batch. A chip that cannot be used is replaced by one that is drawn from the same set.
///
/// After an error there are no more batches. Dropping the loader ends its threads.
pub struct Loader {
    config: LoaderConfig,
    cache: Arc<Cache>,
    stop: Arc<AtomicBool>,
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    threads: Vec<JoinHandle<()>>,
    /// Batches of an epoch, and the order of the one that is being handed out.
    per_epoch: usize,
    order: Option<(usize, Vec<Chip>)>,
    /// The next step to hand out to the threads, and to give back.
    next_job: usize,
    next_batch: usize,
    /// Batches that came before their turn.
    early: BTreeMap<usize, Vec<Piece>>,
    bad: Vec<BadItem>,
    known: HashSet<Chip>,
    dropped: BTreeMap<(Field, &'static str), u64>,
}

/// A piece to draw.
struct Job {
    step: usize,
    number: usize,
    chips: Vec<Chip>,
    batch: Arc<Mutex<Pieces>>,
}

/// A batch while its pieces come in.
struct Pieces {
    pieces: Vec<Option<Piece>>,
    missing: usize,
}

/// All pieces of a step, put together into the first one where nothing failed.
struct Done {
    step: usize,
    pieces: Vec<Piece>,
}

impl Loader {
    /// Starts drawing.
    ///
    /// # Errors
    /// [`Error::Training`] where a value of the configuration is impossible, an epoch has fewer chips
    /// than a batch, or no thread can be started.
    pub fn start(sets: Arc<Vec<ChipSet>>, config: LoaderConfig) -> Result<Self> {
        let epoch = config.check(&sets)?;
        let (jobs, waiting) = unbounded();
        let (finished, done) = unbounded();
        let mut loader = Loader {
            cache: Arc::new(Cache::new(sets, config.cache_bytes)),
            stop: Arc::new(AtomicBool::new(false)),
            jobs: Some(jobs),
            done,
            threads: Vec::new(),
            per_epoch: epoch / config.batch_size,
            order: None,
            next_job: config.steps.start,
            next_batch: config.steps.start,
            early: BTreeMap::new(),
            bad: Vec::new(),
            known: HashSet::new(),
            dropped: BTreeMap::new(),
            config,
        };
        for _ in 0..loader.config.workers.max(1) {
            let worker = Worker {
                config: loader.config.clone(),
                cache: Arc::clone(&loader.cache),
                stop: Arc::clone(&loader.stop),
                jobs: waiting.clone(),
                done: finished.clone(),
            };
            let thread = thread::Builder::new()
                .name("satmip-loader".into())
                .spawn(move || worker.run())
                .map_err(|e| Error::Training {
                    reason: "cannot start a thread of the loader".into(),
                    source: Some(e.into()),
                })?;
            loader.threads.push(thread);
        }
        loader.hand_out(loader.next_batch.saturating_add(AHEAD));
        Ok(loader)
    }

    /// The distinct chips that could not be used so far, in the order in which batches met them.
    pub fn bad_items(&self) -> &[BadItem] {
        &self.bad
    }

    /// The fields that could not follow their pixels so far, by field and reason.
    pub fn dropped_fields(&self) -> Vec<DroppedField> {
        let fields = self.dropped.iter();
        fields
            .map(|((field, reason), chips)| DroppedField {
                field: *field,
                reason,
                chips: *chips,
            })
            .collect()
    }

    /// Gives the threads all pieces of the steps before `end`.
    fn hand_out(&mut self, end: usize) {
        let Some(jobs) = &self.jobs else { return };
        let size = self.config.batch_size;
        while self.next_job < end.min(self.config.steps.end) {
            let step = self.next_job;
            let (epoch, within) = (step / self.per_epoch, step % self.per_epoch);
            if self
                .order
                .as_ref()
                .is_none_or(|(number, _)| *number != epoch)
            {
                self.order = Some((epoch, epoch_order(self.cache.sets(), &self.config, epoch)));
            }
            let order = self.order.as_ref().map_or(&[][..], |(_, order)| order);
            let pieces: Vec<&[Chip]> = order[within * size..][..size].chunks(PIECE).collect();
            let batch = Arc::new(Mutex::new(Pieces {
                pieces: pieces.iter().map(|_| None).collect(),
                missing: pieces.len(),
            }));
            for (number, chips) in pieces.into_iter().enumerate() {
                // The threads live as long as the sender does.
                let _ = jobs.send(Job {
                    step,
                    number,
                    chips: chips.to_vec(),
                    batch: Arc::clone(&batch),
                });
            }
            self.next_job += 1;
        }
    }

    /// The pieces of a step.
    fn wait(&mut self, step: usize) -> Result<Vec<Piece>> {
        loop {
            if let Some(pieces) = self.early.remove(&step) {
                return Ok(pieces);
            }
            let done = self.done.recv().map_err(|_| Error::Training {
                reason: "the loader's threads have ended".into(),
                source: None,
            })?;
            self.early.insert(done.step, done.pieces);
        }
    }

    /// Counts bad chips in the order of the batch, so that the threads' number changes nothing.
    fn count(&mut self, pieces: &mut [Piece]) -> Result<()> {
        for piece in pieces {
            for (chip, reason) in piece.bad.drain(..) {
                if !self.known.insert(chip) {
                    continue;
                }
                let set = &self.cache.sets()[chip.0];
                let name = format!("{}: {}", set.source(), set.name(chip.1));
                self.bad.push(BadItem { name, reason });
                let most = self.config.max_bad_items;
                if let Some(last) = self.bad.last().filter(|_| self.known.len() > most) {
                    return Err(Error::Training {
                        reason: format!(
                            "more than {most} chips cannot be used, `{}` last: {}",
                            last.name, last.reason
                        ),
                        source: None,
                    });
                }
            }
            for (key, chips) in &piece.dropped {
                *self.dropped.entry(*key).or_default() += chips;
            }
            if let Some(error) = piece.failure.take() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn batch(&mut self, step: usize) -> Result<Batch> {
        self.hand_out(step.saturating_add(1 + AHEAD));
        let mut pieces = self.wait(step)?;
        self.count(&mut pieces)?;
        let whole = pieces.into_iter().next().unwrap_or_default();
        Ok(Batch {
            step,
            views: whole.views,
            metadata: whole.metadata,
            items: whole.items,
        })
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread's panics were caught and are errors by now.
            let _ = thread.join();
        }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.jobs.is_none() || self.next_batch >= self.config.steps.end {
            return None;
        }
        let batch = self.batch(self.next_batch);
        self.next_batch += 1;
        if batch.is_err() {
            self.end();
        }
        Some(batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("config", &self.config)
            .field("next_batch", &self.next_batch)
            .finish_non_exhaustive()
    }
}

/// What a thread holds.
struct Worker {
    config: LoaderConfig,
    cache: Arc<Cache>,
    stop: Arc<AtomicBool>,
    jobs: Receiver<Job>,
    done: Sender<Done>,
}

impl Worker {
    fn run(self) {
        let mut scratch = Vec::new();
        for job in &self.jobs {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let first = job.number * PIECE;
            let draw = || {
                let (cache, config) = (&self.cache, &self.config);
                Piece::draw(cache, config, job.step, first, &job.chips, &mut scratch)
            };
            let piece = guarded(draw).unwrap_or_else(|said| failed(job.step, &said));
            if let Some(pieces) = take_in(&job.batch, job.number, piece) {
                let step = job.step;
                // Whoever waits for this step must hear of it, whatever happens.
                let pieces =
                    guarded(|| join(pieces)).unwrap_or_else(|said| vec![failed(step, &said)]);
                let _ = self.done.send(Done { step, pieces });
            }
        }
    }
}

/// A piece that is nothing but a panic.
fn failed(step: usize, said: &str) -> Piece {
    Piece {
        failure: Some(Error::Training {
            reason: format!("drawing the views of step {} panicked: {said}", step + 1),
            source: None,
        }),
        ..Piece::default()
    }
}

/// Adds a piece to its batch; all of them when it was the last.
fn take_in(batch: &Mutex<Pieces>, number: usize, piece: Piece) -> Option<Vec<Piece>> {
    let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
    batch.pieces[number] = Some(piece);
    batch.missing -= 1;
    (batch.missing == 0).then(|| batch.pieces.drain(..).flatten().collect())
}

/// Moves what was drawn into the first piece; bad chips and failures stay where they are.
fn join(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let Some((first, rest)) = pieces.split_first_mut() else {
        return pieces;
    };
    for (number, pixels) in first.views.iter_mut().enumerate() {
        let more = rest.iter().filter_map(|piece| piece.views.get(number));
        pixels.reserve_exact(more.map(Vec::len).sum());
    }
    for piece in rest {
        for (all, pixels) in first.views.iter_mut().zip(piece.views.drain(..)) {
            all.extend_from_slice(&pixels);
        }
        first.metadata.append(&mut piece.metadata);
        first.items.append(&mut piece.items);
    }
    pieces
}

/// The chips of an epoch, shuffled.
fn epoch_order(sets: &[ChipSet], config: &LoaderConfig, epoch: usize) -> Vec<Chip> {
    let mut order = Vec::new();
    for (set, (chips, take)) in sets.iter().zip(&config.per_epoch).enumerate() {
        let mut numbers: Vec<usize> = (0..chips.len()).collect();
        numbers.shuffle(&mut rng_for(
            config.seed,
            Stream::Order,
            epoch as u64,
            set as u64,
        ));
        order.extend(numbers.into_iter().take(*take).map(|chip| (set, chip)));
    }
    order.shuffle(&mut rng_for(
        config.seed,
        Stream::Order,
        epoch as u64,
        u64::MAX,
    ));
    order
}
