//! An object, read in ranges, those that are expected ahead of time.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use tokio::sync::OnceCell;
use url::Url;

use super::place::Place;
use super::{Fault, Shared, changed};
use crate::location::shown;
use satmip::scene::RangeReader;

/// First bytes of an object that are read when it is opened: those of a cloud-optimised GeoTIFF hold its header (our
/// choice).
pub(super) const HEAD: u64 = 64 << 10;
/// Bytes around a small read that are read along with it (our choice).
const CHUNK: u64 = 64 << 10;
/// Larger reads are done by themselves (our choice).
const SMALL: usize = 16 << 10;
/// Chunks that are kept, 4 MiB of them.
const MOST_CHUNKS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Bytes between two expected ranges that are read along with them: a request costs more (our choice).
const GAP: u64 = 64 << 10;
/// Most bytes of one request (our choice): stores end those that last long.
const MOST_AT_ONCE: u64 = 8 << 20;
/// Most bytes of an object that are fetched ahead (our choice).
const MOST_AHEAD: u64 = 64 << 20;

/// Bytes that somebody fetches, or has fetched.
type Slot = Arc<OnceCell<Result<Bytes, Fault>>>;

/// An object of a store or server.
pub(crate) struct Object {
    shared: Arc<Shared>,
    place: Arc<Place>,
    /// Its address without secrets.
    name: String,
    size: u64,
    version: String,
    head: Bytes,
    /// By their numbers.
    chunks: Mutex<LruCache<u64, Slot>>,
    ahead: Mutex<Ahead>,
}

/// What is fetched ahead, by its first byte.
#[derive(Default)]
struct Ahead {
    fetches: BTreeMap<u64, Fetch>,
    bytes: u64,
}

struct Fetch {
    end: u64,
    slot: Slot,
    /// What nobody has read yet.
    parts: Vec<Range<u64>>,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("name", &self.name)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Object {
    pub(super) async fn open(shared: Arc<Shared>, url: Url) -> Result<Arc<Object>, Fault> {
        let place = shared.places.of(&url)?;
        let part = {
            let _turn = shared.requests.acquire().await;
            place.get(0..HEAD).await?
        };
        Ok(Arc::new(Object {
            shared,
            place: Arc::new(place),
            name: shown(&url),
            size: part.size,
            version: part.version.unwrap_or_default(),
            head: part.bytes,
            chunks: Mutex::new(LruCache::new(MOST_CHUNKS)),
            ahead: Mutex::default(),
        }))
    }

    /// Its address without secrets.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its server calls this state of it (ETag, else when it was changed), and how long it is.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// A range, of the object as it was opened.
    async fn get(
        shared: Arc<Shared>,
        place: Arc<Place>,
        range: Range<u64>,
        known: Known,
    ) -> Result<Bytes, Fault> {
        let _turn = shared.requests.acquire().await;
        let part = place.get(range.clone()).await?;
        if part.size != known.size || part.version.unwrap_or_default() != known.version {
            return Err(changed(&known.name));
        }
        match part.bytes.len() as u64 == range.end - range.start {
            true => Ok(part.bytes),
            false => Err(Fault::unreadable(
                "the server sent another range than was asked for",
            )),
        }
    }

    fn known(&self) -> Known {
        Known {
            name: self.name.clone(),
            size: self.size,
            version: self.version.clone(),
        }
    }

    fn fetch(
        &self,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Bytes, Fault>> + Send + use<> {
        Object::get(
            Arc::clone(&self.shared),
            Arc::clone(&self.place),
            range,
            self.known(),
        )
    }

    /// Waits for bytes that may be on their way, else asks for them.
    fn wait(&self, slot: &Slot, range: Range<u64>) -> Result<Bytes, Fault> {
        let fetched = slot.get_or_init(|| self.fetch(range));
        self.shared.runtime.block_on(fetched).clone()
    }

    /// Bytes that are expected: those around them, and where they begin.
    fn expected(&self, offset: u64, end: u64) -> Option<(Slot, Range<u64>)> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, fetch) = ahead.fetches.range_mut(..=offset).next_back()?;
        let start = *start;
        if fetch.end < end {
            return None;
        }
        let found = (Arc::clone(&fetch.slot), start..fetch.end);
        let read = |part: &Range<u64>| part.start <= offset && end <= part.end;
        if let Some(at) = fetch.parts.iter().position(read) {
            fetch.parts.swap_remove(at);
        }
        if fetch.parts.is_empty() {
            ahead.remove(start);
        }
        Some(found)
    }

    fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let end = offset.saturating_add(length as u64);
        let cut = |whole: &Bytes, start: u64| {
            let from = usize::try_from(offset - start).ok();
            let part = from.and_then(|from| whole.get(from..from + length));
            part.map(<[u8]>::to_vec)
                .ok_or_else(|| Fault::unreadable("the server sent fewer bytes than it said"))
        };
        if end <= self.head.len() as u64 {
            return cut(&self.head, 0);
        }
        if let Some((slot, range)) = self.expected(offset, end) {
            let start = range.start;
            return cut(&self.wait(&slot, range)?, start);
        }
        let chunk = offset / CHUNK;
        if length <= SMALL && end <= (chunk + 1) * CHUNK {
            let slot = {
                let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(chunks.get_or_insert(chunk, Slot::default))
            };
            let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(self.size);
            return cut(&self.wait(&slot, range)?, chunk * CHUNK);
        }
        let whole = self.shared.runtime.block_on(self.fetch(offset..end))?;
        cut(&whole, offset)
    }
}

/// What is known of an object since it was opened.
struct Known {
    name: String,
    size: u64,
    version: String,
}

impl Ahead {
    fn remove(&mut self, start: u64) {
        if let Some(fetch) = self.fetches.remove(&start) {
            self.bytes -= fetch.end - start;
        }
    }

    /// Whether a range is fetched ahead already.
    fn holds(&self, range: &Range<u64>) -> bool {
        let before = self.fetches.range(..=range.start).next_back();
        before.is_some_and(|(_, fetch)| range.end <= fetch.end)
    }

    /// Makes room by what is there and was not read after all.
    fn make_room(&mut self, bytes: u64) -> bool {
        while self.bytes + bytes > MOST_AHEAD {
            let there = |(_, fetch): &(&u64, &Fetch)| fetch.slot.initialized();
            let Some((start, _)) = self.fetches.iter().find(there) else {
                return false;
            };
            let start = *start;
            self.remove(start);
        }
        true
    }
}

impl RangeReader for Object {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.bytes(offset, length).map_err(io::Error::other)
    }

    fn expect(&self, ranges: &[Range<u64>]) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let in_head = |range: &Range<u64>| range.end <= self.head.len() as u64;
        let mut wanted: Vec<_> = ranges
            .iter()
            .filter(|range| !in_head(range) && range.end <= self.size && !ahead.holds(range))
            .cloned()
            .collect();
        wanted.sort_unstable_by_key(|range| (range.start, range.end));
        wanted.dedup();
        for parts in merged(wanted) {
            let start = parts[0].start;
            let end = parts.iter().map(|part| part.end).max().unwrap_or(start);
            if ahead.fetches.contains_key(&start) || !ahead.make_room(end - start) {
                continue;
            }
            let slot = Slot::default();
            let (fetch, begun) = (self.fetch(start..end), Arc::clone(&slot));
            self.shared.runtime.spawn(async move {
                begun.get_or_init(|| fetch).await;
            });
            ahead.bytes += end - start;
            ahead.fetches.insert(start, Fetch { end, slot, parts });
        }
    }
}

/// Ranges in order, those together that one request reads.
fn merged(ranges: Vec<Range<u64>>) -> Vec<Vec<Range<u64>>> {
    let mut groups: Vec<Vec<Range<u64>>> = Vec::new();
    let mut end = 0;
    for range in ranges {
        match groups.last_mut() {
            Some(group)
                if range.start <= end + GAP
                    && range.end.max(end) - group[0].start <= MOST_AT_ONCE =>
            {
                end = end.max(range.end);
                group.push(range);
            }
            _ => {
                end = range.end;
                groups.push(vec![range]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_at_once() {
        let all = vec![0..10, 10..20, 20 + GAP..30 + GAP, (1 << 20)..(1 << 20) + 5];
        let groups = merged(all);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
        let large = vec![0..MOST_AT_ONCE, MOST_AT_ONCE..MOST_AT_ONCE + 1];
        assert_eq!(merged(large).len(), 2);
    }
}
