//! Features that `satmip embed`, or anybody, stored before.

mod npy;
mod parquet;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, concatenate};

use super::{Block, Extracted, FeatureKind};
use crate::DataSet;
use satmip::{Error, Result};

/// Most folders of an id that may stand in front of a chip's path.
const DEEPEST: usize = 64;

/// Stored vectors of one side.
struct Stored {
    ids: Vec<String>,
    /// The row of each id's vector; metadata may lack some.
    places: Vec<Option<usize>>,
    rows: Array2<f32>,
}

/// Reads the features of a data set's chips from files.
///
/// `path` is a Parquet file with a text column `id` and `image_features` or `image_embedding`,
/// `metadata_features` or `metadata_embedding` (lists of numbers; features are taken where both are
/// there); a NumPy array `[n, width]` of 32- or 64-bit numbers `BASE.npy` with its ids in `BASE.ids.jsonl`
/// (`{"id": ..}` a line), the metadata in `BASE.metadata_features.npy` or `BASE.metadata_embedding.npy` beside
/// it (where there is no such file and pictures are not asked for, `BASE.npy` is taken for the metadata); or a
/// folder of such parts. An id is a chip's path in its archive
/// or folder; more folders in front, as `satmip embed` has them, do not matter.
///
/// Chips without a stored vector are left out: `bad` names them.
///
/// # Errors
/// [`Error::Io`], and [`Error::Evaluation`] for a file that is no such table, an id that occurs twice, and where no
/// chip of the data set has a vector.
pub fn read_stored(data: &DataSet, path: &Path, kind: FeatureKind) -> Result<Extracted> {
    let sides: Vec<&'static str> = [
        ("image", kind.has_image()),
        ("metadata", kind.has_metadata()),
    ]
    .into_iter()
    .filter_map(|(name, wanted)| wanted.then_some(name))
    .collect();
    let parts = parts(path)?;
    let mut found: Vec<Stored> = Vec::new();
    for side in &sides {
        let read: Vec<Stored> = parts
            .iter()
            .map(|part| read(part, side, sides.len() == 1))
            .collect::<Result<_>>()?;
        found.push(join(path, read)?);
    }
    let places: Vec<HashMap<&str, usize>> = found
        .iter()
        .map(|stored| index(path, &stored.ids))
        .collect::<Result<_>>()?;
    let mut extracted = Extracted {
        blocks: Vec::new(),
        rows: Vec::new(),
        records: Vec::new(),
        bad: data.faults().collect(),
    };
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); sides.len()];
    for row in 0..data.len() {
        let id = data.id(row);
        let of = |(stored, numbers): (&Stored, &HashMap<&str, usize>)| {
            numbers.get(id).and_then(|number| stored.places[*number])
        };
        match found
            .iter()
            .zip(&places)
            .map(of)
            .collect::<Option<Vec<_>>>()
        {
            Some(here) => {
                extracted.rows.push(row);
                extracted.records.push(data.metadata(row).clone());
                for (chosen, place) in chosen.iter_mut().zip(here) {
                    chosen.push(place);
                }
            }
            None => extracted.bad.push((
                id.to_owned(),
                Error::Evaluation {
                    reason: format!("`{}` has no vector of it", path.display()),
                },
            )),
        }
    }
    if extracted.rows.is_empty() {
        let matched = (0..data.len()).any(|row| places[0].contains_key(data.id(row)));
        let first = found.first().and_then(|stored| stored.ids.first());
        let reason = match matched {
            true => format!("no chip of `{}` has a vector of each side", data.name()),
            false => format!(
                "none of its ids (`{}` first) is a chip of `{}` (`{}` first)",
                first.map_or("", String::as_str),
                data.name(),
                data.id(0)
            ),
        };
        return Err(refuse(path, reason));
    }
    for ((name, stored), chosen) in sides.into_iter().zip(&found).zip(chosen) {
        let rows = stored.rows.select(Axis(0), &chosen);
        extracted.blocks.push(Block { name, rows });
    }
    Ok(extracted)
}

/// The files of a path: itself, or the parts in a folder.
fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut parts = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| Error::io(path, e))? {
        let name = entry.map_err(|e| Error::io(path, e))?.file_name();
        let name = name.to_string_lossy().into_owned();
        let base = name.strip_suffix(".parquet").or(name.strip_suffix(".npy"));
        // `part-00000.metadata_features.npy` is beside its part.
        if base.is_some_and(|base| base.starts_with("part-") && !base.contains('.')) {
            parts.push(path.join(name));
        }
    }
    parts.sort_unstable();
    match parts.is_empty() {
        true => Err(refuse(
            path,
            "it has no `part-*.parquet` and no `part-*.npy`".into(),
        )),
        false => Ok(parts),
    }
}

fn read(path: &Path, side: &'static str, alone: bool) -> Result<Stored> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => npy::read(path, side, alone),
        Some("parquet") => parquet::read(path, side),
        _ => Err(refuse(path, "it is neither `.npy` nor `.parquet`".into())),
    }
}

/// The parts one behind the other; parts without a vector have no say in the width.
fn join(path: &Path, mut parts: Vec<Stored>) -> Result<Stored> {
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    let mut all = Stored {
        ids: Vec::new(),
        places: Vec::new(),
        rows: Array2::zeros((0, 0)),
    };
    let filled: Vec<_> = parts.iter().filter(|part| part.rows.nrows() > 0).collect();
    let width = filled.first().map_or(0, |part| part.rows.ncols());
    if let Some(other) = filled.iter().find(|part| part.rows.ncols() != width) {
        let widths = format!("vectors of {width} and of {} numbers", other.rows.ncols());
        return Err(refuse(path, widths));
    }
    let rows: Vec<_> = filled.iter().map(|part| part.rows.view()).collect();
    if !rows.is_empty() {
        all.rows = concatenate(Axis(0), &rows).map_err(|e| refuse(path, e.to_string()))?;
    }
    let mut start = 0;
    for part in parts {
        let moved = part.places.iter().map(|place| Some((*place)? + start));
        all.places.extend(moved);
        all.ids.extend(part.ids);
        start += part.rows.nrows();
    }
    Ok(all)
}

/// Places by id, and by id without its first folders where that is no other's end.
fn index<'a>(path: &Path, ids: &'a [String]) -> Result<HashMap<&'a str, usize>> {
    let mut places = HashMap::with_capacity(2 * ids.len());
    for (place, id) in ids.iter().enumerate() {
        if places.insert(id.as_str(), place).is_some() {
            return Err(refuse(path, format!("the id `{id}` occurs twice")));
        }
    }
    let mut shorter: HashMap<&str, Option<usize>> = HashMap::new();
    for (place, id) in ids.iter().enumerate() {
        for (slash, _) in id.rmatch_indices('/').take(DEEPEST) {
            let only = shorter.entry(&id[slash + 1..]).and_modify(|p| *p = None);
            only.or_insert(Some(place));
        }
    }
    for (id, place) in shorter {
        if let Some(place) = place {
            places.entry(id).or_insert(place);
        }
    }
    Ok(places)
}

fn refuse(path: &Path, reason: String) -> Error {
    Error::Evaluation {
        reason: format!("embeddings `{}`: {reason}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_without_their_first_folders() {
        let deep = "/".repeat(100_000) + "c.png";
        let ids = ["a/x/b.png".to_owned(), "a/y/b.png".to_owned(), deep];
        let places = index(Path::new("stored"), &ids).unwrap();
        assert_eq!(places.get("x/b.png"), Some(&0));
        assert_eq!(places.get("y/b.png"), Some(&1));
        assert_eq!(places.get("b.png"), None);
        assert_eq!(places.get("c.png"), Some(&2));
    }
}
