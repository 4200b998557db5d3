//! Random streams that depend on what is drawn and on nothing else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a random stream of training is for. All of them stand here, so that no two share a number: two streams
/// of one number and one step would draw the same.
///
/// The numbers are part of what a run gives: another number is another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The order of an epoch's chips.
    Order,
    /// Chips in place of bad ones.
    Replacements,
    /// Which fields of a record are left out.
    Fields,
    /// The towers' dropout.
    Dropout,
    /// First weights.
    Weights,
    /// The crop, turn and colours of a chip's view of this number.
    View(u32),
}

impl Stream {
    /// Its number. Views come last, so that there is room for as many as a recipe asks for.
    const fn number(self) -> u64 {
        match self {
            Stream::Order => 1,
            Stream::Replacements => 2,
            Stream::Fields => 3,
            Stream::Dropout => 4,
            Stream::Weights => 5,
            Stream::View(number) => 16 + number as u64,
        }
    }
}

/// A random stream for one purpose: the same four values give the same stream on every machine and
/// for any number of threads.
pub fn rng_for(seed: u64, stream: Stream, epoch: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    let values = [seed, stream.number(), epoch, index];
    for (bytes, value) in key.chunks_exact_mut(8).zip(values) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngCore;

    use super::*;

    #[test]
    fn no_two_streams_draw_the_same() {
        let mut streams = vec![
            Stream::Order,
            Stream::Replacements,
            Stream::Fields,
            Stream::Dropout,
            Stream::Weights,
        ];
        streams.extend((0..100).map(Stream::View));
        // A stream that is added to the enum and not to this list fails to compile here.
        for stream in &streams {
            match stream {
                Stream::Order
                | Stream::Replacements
                | Stream::Fields
                | Stream::Dropout
                | Stream::Weights
                | Stream::View(_) => {}
            }
        }
        let numbers: HashSet<u64> = streams.iter().map(|stream| stream.number()).collect();
        assert_eq!(numbers.len(), streams.len());
        let first = |stream: &Stream| rng_for(7, *stream, 3, 0).next_u64();
        let drawn: HashSet<u64> = streams.iter().map(first).collect();
        assert_eq!(drawn.len(), streams.len());
    }

    #[test]
    fn every_value_changes_the_stream() {
        let first = |seed, epoch, index| rng_for(seed, Stream::Order, epoch, index).next_u64();
        let base = first(1, 2, 3);
        assert_eq!(base, first(1, 2, 3));
        for other in [first(2, 2, 3), first(1, 3, 3), first(1, 2, 4)] {
            assert_ne!(base, other);
        }
    }
}
