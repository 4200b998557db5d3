//! A tar archive of pictures with a table of them.

use std::path::Path;

use super::index::Found;
use super::set::{Draft, Place};
use super::tar;
use satmip::Result;

/// Reads the index and the archive's headers; chips come in the archive's order.
pub(super) fn open(draft: &mut Draft, archive: &Path, index: &Path, split: &str) -> Result<()> {
    let mut index = draft.index(index, split, None)?;
    let file = tar::open(archive.to_owned(), true)?;
    let number = draft.archives.len();
    let damage = tar::members(&file, &mut |member| {
        let Found::Row(row) = index.take_exact(&member.name) else {
            return;
        };
        let place = if member.plain {
            Place::Member {
                archive: number,
                offset: member.offset,
                size: member.size,
            }
        } else {
            Place::Fault("a link or special file in the archive".into())
        };
        draft.push(member.name, &row.label, row.metadata, place);
    })?;
    draft.archives.push(file);
    index.all_taken(archive, damage.as_deref())
}
