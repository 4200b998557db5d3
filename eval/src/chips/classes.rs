//! Folders of pictures, one for each class, as most scene classification sets are published.

use std::fs;
use std::path::Path;

use super::PICTURES;
use super::index::{AMBIGUOUS, Found};
use super::set::{Draft, Place};
use satmip::metadata::Metadata;
use satmip::{Error, Result};

/// Lists `ROOT/CLASS/PICTURE`; chips come in the order of classes, then names. Folders within a
/// class's are not entered, other files are passed over.
pub(super) fn open(
    draft: &mut Draft,
    folder: &Path,
    root: &str,
    table: Option<&Path>,
    only: &str,
    split: &str,
) -> Result<()> {
    let in_names = root.contains("{split}");
    let all = if in_names { split } else { only };
    let root = folder.join(root.replace("{split}", split));
    let empty = || Error::EmptySplit {
        origin: root.display().to_string(),
        split: split.to_owned(),
        others: Vec::new(),
    };
    if (table.is_none() && all != split) || (in_names && !root.is_dir()) {
        return Err(empty());
    }
    let mut index = match table {
        Some(table) => Some(draft.index(table, split, Some(all))?),
        None => None,
    };
    let mut pictures: Vec<(String, String)> = Vec::new();
    for class in entries(&root)? {
        let path = root.join(&class);
        if !path.is_dir() {
            continue;
        }
        for file in entries(&path)? {
            let ending = file.rsplit_once('.').map(|(_, ending)| ending);
            if ending.is_some_and(|e| PICTURES.contains(&e.to_lowercase().as_str())) {
                pictures.push((class.clone(), format!("{class}/{file}")));
            }
        }
    }
    if let Some(index) = &mut index {
        pictures.iter().for_each(|(_, below)| index.note(&[below]));
    }
    for (class, below) in pictures {
        let place = Place::File(root.join(&below));
        let row = index.as_mut().map(|index| index.take(&[&below]));
        // Two splits may count their pictures alike.
        let name = match in_names {
            true => format!("{split}/{below}"),
            false => below,
        };
        match row {
            None => draft.push(name, &class, Metadata::new(), place),
            Some(Found::Row(row)) => draft.push(name, &class, row.metadata, place),
            Some(Found::OtherSplit) => {}
            Some(Found::Taken) => {
                draft.push_fault(name, "an earlier picture has its row of the table".into());
            }
            Some(Found::Ambiguous) => draft.push_fault(name, AMBIGUOUS.into()),
            Some(Found::Nothing) => {
                draft.push_fault(name, "the table has no row for it".into());
            }
        }
    }
    match index {
        Some(index) => index.all_taken(&root, None),
        None => Ok(()),
    }
}

/// The names in a folder, sorted, without hidden ones. A name that is no UTF-8 is refused: nothing
/// could say which picture it is.
fn entries(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| Error::Data {
                reason: format!(
                    "`{}` in `{}`: the name is no UTF-8",
                    name.to_string_lossy(),
                    folder.display()
                ),
                source: None,
            })?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
