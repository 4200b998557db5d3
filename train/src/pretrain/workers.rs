//! Threads for the lanes of a step, kept for a whole run.
//!
//! A lane has the same thread in every step. The C library keeps freed memory for the threads that
//! allocated it, so that lanes which changed threads would leave the peak of the largest in each of them:
//! with new threads in each step SatMIPS took 1.3 times the memory that it takes so.

use std::cell::RefCell;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use burn::prelude::Device;

use super::device::{is_libtorch, limit_threads};
use super::reason;
use satmip::Result;
use satmip::parts::guard::guarded;
use satmip::parts::threads::cores;

type Job = Box<dyn FnOnce() + Send>;

/// One thread for each lane, of which so many work at a time. Threads beyond the cores would gain nothing,
/// and each holds memory; a lane has its own all the same, because batch norm tells lanes apart by their
/// threads.
#[derive(Debug)]
pub(super) struct Workers {
    /// Those that there are so far.
    threads: RefCell<Vec<Worker>>,
    /// A place in this channel is a core in use.
    enter: Sender<()>,
    leave: Receiver<()>,
}

#[derive(Debug)]
struct Worker {
    /// The thread ends when this is dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    /// Threads for the lanes of so many views; none on a GPU, whose queue is one. On flex, whose operations take
    /// all cores themselves, as many work as there are cores. On libtorch the lanes share out `threads` evenly, so
    /// that a view has a core of its own instead of a part of each, and the operations of a view that is alone
    /// have all.
    pub(super) fn on(device: &Device, views: usize, threads: usize) -> Option<Self> {
        if device.clone().without_autodiff() == Device::flex() {
            return Some(Self::new(cores()));
        }
        if !is_libtorch(device) {
            return None;
        }
        let side_by_side = views.clamp(1, threads.max(1));
        limit_threads(threads / side_by_side);
        Some(Self::new(side_by_side))
    }

    /// Threads of which `at_a_time` work.
    pub(super) fn new(at_a_time: usize) -> Self {
        let (enter, leave) = bounded(at_a_time.max(1));
        Self {
            threads: RefCell::default(),
            enter,
            leave,
        }
    }

    /// Gives a thread a job; threads up to it are started.
    fn give(&self, thread: usize, job: Job) -> Result<()> {
        let mut threads = self.threads.borrow_mut();
        while threads.len() <= thread {
            let number = threads.len();
            threads.push(Worker::start(number)?);
        }
        let jobs = threads[thread].jobs.as_ref();
        let given = jobs.is_some_and(|jobs| jobs.send(job).is_ok());
        given.then_some(()).ok_or_else(ended)
    }
}

impl Worker {
    fn start(number: usize) -> Result<Self> {
        let (jobs, waiting) = unbounded::<Job>();
        let builder = thread::Builder::new().name(format!("lane {number}"));
        let thread = builder.spawn(move || waiting.into_iter().for_each(|job| job()));
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread.map_err(|e| reason(format!("no thread for a tower: {e}")))?),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Jobs catch what panics in them.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Runs the work of each lane and gives the results in the lanes' order: on the threads from number `first`
/// on, or without workers, and where there is one lane alone, in the caller's.
pub(super) fn side_by_side<T, R>(
    workers: Option<&Workers>,
    first: usize,
    lanes: Vec<T>,
    work: impl Fn(T) -> Result<R> + Copy + Send + 'static,
) -> Result<Vec<R>>
where
    T: Send + 'static,
    R: Send + 'static,
{
    // burn asserts inside: where memory runs out, for one.
    let safely = move |lane: T| {
        guarded(|| work(lane))
            .unwrap_or_else(|said| Err(reason(format!("a tower's pass panicked: {said}"))))
    };
    let Some(workers) = workers.filter(|_| lanes.len() > 1) else {
        return lanes.into_iter().map(safely).collect();
    };
    let (done, results) = unbounded();
    for (i, lane) in lanes.into_iter().enumerate() {
        let (enter, leave) = (workers.enter.clone(), workers.leave.clone());
        let done = done.clone();
        let job = move || {
            let result = enter.send(()).map_err(|_| ended()).and_then(|()| {
                let result = safely(lane);
                leave.recv().map_err(|_| ended())?;
                result
            });
            // Nobody waits any more where another lane's thread ended.
            let _ = done.send((i, result));
        };
        workers.give(first + i, Box::new(job))?;
    }
    drop(done);
    let mut results: Vec<_> = results.into_iter().collect();
    results.sort_unstable_by_key(|(lane, _)| *lane);
    results.into_iter().map(|(_, result)| result).collect()
}

fn ended() -> satmip::Error {
    reason("a tower's thread ended".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the threads that work.
    fn names(workers: &Workers, first: usize, lanes: usize) -> Vec<String> {
        let name = |_| Ok(thread::current().name().unwrap_or_default().to_owned());
        side_by_side(Some(workers), first, (0..lanes).collect(), name).unwrap()
    }

    #[test]
    fn a_lane_keeps_its_thread() {
        let workers = Workers::new(1);
        for _ in 0..20 {
            assert_eq!(names(&workers, 0, 3), ["lane 0", "lane 1", "lane 2"]);
            assert_eq!(names(&workers, 2, 2), ["lane 2", "lane 3"]);
        }
    }

    #[test]
    fn a_lane_that_fails_or_panics_leaves_its_thread_to_the_next_step() {
        let workers = Workers::new(2);
        let work = |lane: usize| match lane {
            1 => Err(reason("bad".into())),
            2 => panic!("worse"),
            lane => Ok(lane),
        };
        let run = |lanes| side_by_side(Some(&workers), 0, lanes, work).map_err(|e| e.to_string());
        assert!(run(vec![0, 1, 3]).unwrap_err().contains("bad"));
        assert!(run(vec![0, 3, 2]).unwrap_err().contains("panicked"));
        assert_eq!(run(vec![4, 5, 6]), Ok(vec![4, 5, 6]));
        assert_eq!(side_by_side(None, 0, vec![7, 8], work).unwrap(), [7, 8]);
        let none = side_by_side(Some(&workers), 0, Vec::new(), work).unwrap();
        assert!(none.is_empty());
    }
}
