//! The same work for many things, on all cores.

use std::thread;

use crate::error::{Error, Result};

/// Fewer things than this are not worth a thread.
const FEW: usize = 64;

/// Calls `work` for each item, in no order that anything may depend on.
///
/// # Errors
/// When a thread cannot be started.
pub(crate) fn each<T: Send>(items: &mut [T], work: impl Fn(&mut T) + Sync) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    if items.len() < FEW || threads == 1 {
        items.iter_mut().for_each(work);
        return Ok(());
    }
    let (share, work) = (items.len().div_ceil(threads), &work);
    thread::scope(|scope| {
        for part in items.chunks_mut(share) {
            thread::Builder::new()
                .name("satmip-index".into())
                .spawn_scoped(scope, move || part.iter_mut().for_each(work))
                .map_err(|e| Error::Data {
                    reason: "cannot start a thread to read the data".into(),
                    source: Some(e.into()),
                })?;
        }
        Ok(())
    })
}
