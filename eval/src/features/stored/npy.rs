//! NumPy arrays with their ids beside them.

use std::fs;
use std::path::Path;

use ndarray::{Array2, ArrayView2};
use ndarray_npy::ViewNpyExt;
use serde::Deserialize;

use super::{Stored, refuse};
use satmip::{Error, Result};

/// A line of the ids.
#[derive(Deserialize)]
struct Line {
    id: String,
}

/// Reads one side. Pictures are the array itself, metadata an array beside it; an array alone is what is asked for.
pub(super) fn read(path: &Path, side: &str, alone: bool) -> Result<Stored> {
    let base = path.with_extension("");
    let beside = |ending: &str| {
        let mut name = base.clone().into_os_string();
        name.push(ending);
        std::path::PathBuf::from(name)
    };
    let array = if side == "image" {
        path.to_owned()
    } else {
        let endings = ["features", "embedding"].map(|kind| format!(".{side}_{kind}.npy"));
        let found = endings.iter().map(|e| beside(e)).find(|p| p.exists());
        let array = found.or_else(|| alone.then(|| path.to_owned()));
        array.ok_or_else(|| {
            refuse(
                path,
                format!("there is no `{}` beside it", beside(&endings[0]).display()),
            )
        })?
    };
    let rows = numbers(&array)?;
    let list = beside(".ids.jsonl");
    let text = fs::read_to_string(&list).map_err(|e| Error::io(&list, e))?;
    let mut ids = Vec::with_capacity(rows.nrows());
    for (i, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line)
            .map_err(|e| refuse(&list, format!("line {}: {e}", i + 1)))?;
        ids.push(line.id);
    }
    if ids.len() != rows.nrows() {
        let reason = format!(
            "{} ids for the {} rows of `{}`",
            ids.len(),
            rows.nrows(),
            array.display()
        );
        return Err(refuse(&list, reason));
    }
    // What lacks a vector is NaN from end to end.
    let there = |(place, row): (usize, ndarray::ArrayView1<'_, f32>)| {
        (!row.iter().all(|v| v.is_nan())).then_some(place)
    };
    let places = rows.rows().into_iter().enumerate().map(there).collect();
    Ok(Stored { ids, places, rows })
}

/// A two-dimensional array of 32- or 64-bit numbers. The file's length is checked against its header
/// before anything is allocated for it.
fn numbers(path: &Path) -> Result<Array2<f32>> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
    let single = ArrayView2::<f32>::view_npy(&bytes).map(|view| view.to_owned());
    let read = single.or_else(|error| match ArrayView2::<f64>::view_npy(&bytes) {
        Ok(view) => Ok(view.mapv(|v| v as f32)),
        Err(_) => Err(error),
    });
    read.map_err(|e| {
        refuse(
            path,
            format!("no array of rows of floating-point numbers: {e}"),
        )
    })
}
