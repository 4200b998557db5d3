//! Random streams that depend on what is drawn and on nothing else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A random stream for one purpose: the same four numbers give the same stream on every machine and
/// for any number of threads.
pub fn rng_for(seed: u64, purpose: u64, epoch: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, value) in key.chunks_exact_mut(8).zip([seed, purpose, epoch, index]) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
