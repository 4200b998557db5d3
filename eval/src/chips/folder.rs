//! A folder of pictures with a table of them.

use std::path::Path;

use super::set::{Draft, Place};
use super::source::stays_within;
use satmip::{Error, Result};

/// Most pictures that are looked for before a folder without any is refused.
const LOOKED_FOR: usize = 100;

/// Reads the table; chips come in its order, and pictures that it does not name are left aside.
pub(super) fn open(draft: &mut Draft, folder: &Path, table: &Path, split: &str) -> Result<()> {
    std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let index = draft.index(table, split, Some("train"))?;
    let rows: Vec<_> = index.into_rows().collect();
    let there = |key: &str| stays_within(key) && folder.join(key).is_file();
    if !rows.iter().take(LOOKED_FOR).any(|row| there(&row.key)) {
        return Err(Error::Data {
            reason: format!(
                "`{}` has none of the first {} pictures of `{}`, `{}` first",
                folder.display(),
                rows.len().min(LOOKED_FOR),
                table.display(),
                rows.first().map_or("", |row| row.key.as_str()),
            ),
            source: None,
        });
    }
    for row in rows {
        let place = if stays_within(&row.key) {
            Place::File(folder.join(&row.key))
        } else {
            Place::Fault("the path leaves the folder".into())
        };
        draft.push(row.key, &row.label, row.metadata, place);
    }
    Ok(())
}
