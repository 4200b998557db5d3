//! The bytes of a picture.

use std::fs::File;
use std::io::Read;

use super::item::{Contents, Item};
use crate::remote::Remote;
use crate::skipped::{SkipKind, Skipped};
use satmip::Result;

/// Reads an item's bytes, at most `limit` of them.
pub(crate) fn read(item: Item, remote: &Remote, limit: u64) -> Result<Vec<u8>, Skipped> {
    let id = item.id;
    read_source(item.source, remote, limit).map_err(|(kind, reason)| Skipped {
        id,
        kind,
        reason,
        hint: None,
    })
}

fn read_source(
    source: Contents,
    remote: &Remote,
    limit: u64,
) -> Result<Vec<u8>, (SkipKind, String)> {
    match source {
        Contents::Fault(kind, reason) => Err((kind, reason)),
        Contents::Refused(error) => Err(SkipKind::of(&error)),
        Contents::Planned(_) => Err((
            SkipKind::Other,
            "an entry of a plan has no bytes of its own".into(),
        )),
        Contents::Item(_) => {
            let reason = "a STAC item is of a scene: say how large its windows are (`--tile 64`)";
            Err((SkipKind::Option, reason.into()))
        }
        Contents::Window { .. } | Contents::Listed { .. } => {
            Err((SkipKind::Other, "a window has no bytes of its own".into()))
        }
        Contents::Bytes(bytes) => Ok(bytes),
        Contents::Object(url) => {
            let read = remote.whole(&url, limit);
            read.map_err(|fault| (fault.kind, fault.reason))
        }
        Contents::Member {
            archive,
            offset,
            size,
        } => {
            within(size, limit)?;
            archive
                .read(offset, size)
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => (SkipKind::Damaged, error.to_string()),
                    _ => fault_of(&error),
                })
        }
        Contents::File(path) => {
            let facts = std::fs::metadata(&path).map_err(|e| fault_of(&e))?;
            if !facts.is_file() {
                return Err((SkipKind::Unreadable, "not a regular file".into()));
            }
            within(facts.len(), limit)?;
            let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0));
            let file = File::open(&path).map_err(|e| fault_of(&e))?;
            // A file can grow after it was measured.
            file.take(limit)
                .read_to_end(&mut bytes)
                .map_err(|e| fault_of(&e))?;
            Ok(bytes)
        }
    }
}

fn within(size: u64, limit: u64) -> Result<(), (SkipKind, String)> {
    if size > limit {
        let reason = format!(
            "{size} bytes are more than an image within the pixel limit can need ({limit})"
        );
        return Err((SkipKind::TooLarge, reason));
    }
    Ok(())
}

pub(super) fn fault_of(error: &std::io::Error) -> (SkipKind, String) {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => SkipKind::Missing,
        _ => SkipKind::Unreadable,
    };
    (kind, error.to_string())
}
