//! Reading from a pipe that may stay silent for ever, without waiting for ever.

use std::io::{self, ErrorKind, Read};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::stop::Stop;
use satmip::parts::guard::guarded;

/// Bytes that are read at a time: what a pipe holds on most systems.
const PIECE: usize = 1 << 16;
/// Pieces that are read ahead.
const AHEAD: usize = 2;
/// How often a reader that waits looks whether the job is stopped.
const POLL: Duration = Duration::from_millis(50);

/// What came of one read.
enum Piece {
    Bytes(Vec<u8>),
    Failed(io::Error),
    Panicked(String),
}

/// A reader whose reads happen on a thread of their own, so that a stop is seen while one of them waits. That thread
/// ends with the read that it is in: with the process, where nothing comes any more.
pub(super) struct Stoppable {
    pieces: Receiver<Piece>,
    stop: Stop,
    piece: Vec<u8>,
    /// Bytes of the piece that were given.
    given: usize,
}

impl Stoppable {
    pub(super) fn new(mut reader: Box<dyn Read + Send>, stop: Stop) -> io::Result<Self> {
        let (sender, pieces) = bounded(AHEAD);
        let read = move || {
            loop {
                let mut bytes = vec![0; PIECE];
                let piece = match guarded(|| reader.read(&mut bytes)) {
                    Ok(Ok(0)) => return,
                    Ok(Ok(length)) => {
                        bytes.truncate(length);
                        Piece::Bytes(bytes)
                    }
                    Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => continue,
                    Ok(Err(error)) => Piece::Failed(error),
                    Err(said) => Piece::Panicked(said),
                };
                let last = !matches!(piece, Piece::Bytes(_));
                if sender.send(piece).is_err() || last {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("satmip-stream".into())
            .spawn(read)?;
        Ok(Stoppable {
            pieces,
            stop,
            piece: Vec::new(),
            given: 0,
        })
    }
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            if self.stop.is_raised() {
                return Err(io::Error::other("the job is stopped"));
            }
            match self.pieces.recv_timeout(POLL) {
                Ok(Piece::Bytes(bytes)) => (self.piece, self.given) = (bytes, 0),
                Ok(Piece::Failed(error)) => return Err(error),
                // Whoever reads is the one to panic, and guarded against it.
                Ok(Piece::Panicked(said)) => std::panic::resume_unwind(Box::new(said)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.given);
        buffer[..length].copy_from_slice(&self.piece[self.given..][..length]);
        self.given += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    #[test]
    fn bytes_come_as_they_are_and_end() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        let reader = Box::new(io::Cursor::new(bytes.clone()));
        let mut found = Vec::new();
        let mut stream = Stoppable::new(reader, Stop::default()).unwrap();
        stream.read_to_end(&mut found).unwrap();
        assert!(found == bytes);
    }

    #[test]
    fn a_silent_pipe_is_not_waited_for_once_the_job_is_stopped() {
        struct Silent;
        impl Read for Silent {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                loop {
                    thread::park();
                }
            }
        }
        let flag = Arc::new(AtomicBool::new(false));
        let mut stream = Stoppable::new(Box::new(Silent), Stop::new(&flag)).unwrap();
        let begun = Instant::now();
        flag.store(true, Ordering::Relaxed);
        let error = stream.read(&mut [0; 8]).unwrap_err();
        assert!(error.to_string().contains("stopped"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
