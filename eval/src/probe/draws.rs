//! Random streams that depend on what is drawn and on nothing else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for, so that two uses of one seed share nothing.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of the rows in an epoch.
    Order = 0x6576_6101,
    /// The rows of a resample.
    Resample = 0x6576_6102,
    /// The rows of a few-shot draw.
    Shots = 0x6576_6103,
    /// The training chips that stand in for a validation split.
    Validation = 0x6576_6104,
    /// Whose value a swapped record gets.
    Swap = 0x6576_6105,
    /// The chips that an audit is asked about.
    Sample = 0x6576_6106,
}

/// The stream of `(seed, purpose, index)`, equal on every machine and for any number of threads.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, value) in key
        .chunks_exact_mut(8)
        .zip([seed, purpose as u64, 0, index])
    {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        let base = first(1, Purpose::Order, 2);
        assert_eq!(base, first(1, Purpose::Order, 2));
        assert_ne!(base, first(2, Purpose::Order, 2));
        for other in [
            Purpose::Resample,
            Purpose::Shots,
            Purpose::Validation,
            Purpose::Swap,
            Purpose::Sample,
        ] {
            assert_ne!(base, first(1, other, 2));
        }
        assert_ne!(base, first(1, Purpose::Order, 1));
    }
}
