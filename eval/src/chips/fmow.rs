//! The layout of fMoW-RGB: pictures with their JSON, each bounding box one chip.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::set::{Draft, Place};
use satmip::image::{Geometry, Region};
use satmip::metadata::Metadata;
use satmip::metadata::read::{fmow, json_document};
use satmip::parts::threads::{each, threads_for};
use satmip::{Error, Result};

/// How pictures are called; those with `_msrgb` are other bands of the same.
const ENDING: &str = "_rgb.jpg";
/// Folders within folders: CLASS/CLASS_N, and one more for a root above.
const DEEPEST: usize = 3;

/// A picture while its JSON is read.
struct Picture {
    path: PathBuf,
    /// Path from the root, with `/`.
    name: String,
    class: String,
    boxes: Result<Vec<Chip>, String>,
}

/// What a box gives, or what is wrong with it.
type Chip = Result<Found, String>;

struct Found {
    label: String,
    size: (u32, u32),
    region: Region,
    metadata: Metadata,
}

/// Reads the JSON of all pictures of a split; chips come in the order of their paths, then boxes.
pub(super) fn open(draft: &mut Draft, root: &Path, context: f64, split: &str) -> Result<()> {
    if root.is_dir() && !root.join(split).exists() {
        return Err(Error::EmptySplit {
            origin: root.display().to_string(),
            split: split.to_owned(),
            others: Vec::new(),
        });
    }
    let mut pictures = Vec::new();
    collect(&root.join(split), split, "", DEEPEST, &mut pictures)?;
    pictures.sort_unstable_by(|a: &Picture, b| a.name.cmp(&b.name));
    let threads = threads_for(pictures.len());
    each("reading the data", &mut pictures, threads, |picture| {
        picture.boxes = chips(&picture.path, &picture.class, context);
    })?;
    for picture in pictures {
        match picture.boxes {
            Err(reason) => draft.push_fault(picture.name, reason),
            Ok(chips) => {
                for (number, chip) in chips.into_iter().enumerate() {
                    let name = format!("{}#{number}", picture.name);
                    match chip {
                        Err(reason) => draft.push_fault(name, reason),
                        Ok(chip) => {
                            let place = Place::Part(picture.path.clone(), chip.size, chip.region);
                            draft.push(name, &chip.label, chip.metadata, place);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Finds the pictures below a folder. The class is the first folder below the split.
fn collect(
    folder: &Path,
    name: &str,
    class: &str,
    deeper: usize,
    found: &mut Vec<Picture>,
) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let path = entry.path();
        let file = entry.file_name().to_string_lossy().into_owned();
        let below = format!("{name}/{file}");
        if file.ends_with(ENDING) {
            found.push(Picture {
                path,
                name: below,
                class: class.to_owned(),
                boxes: Ok(Vec::new()),
            });
        } else if deeper > 0 && !file.starts_with('.') && path.is_dir() {
            let class = if class.is_empty() { &file } else { class };
            collect(&path, &below, class, deeper - 1, found)?;
        }
    }
    Ok(())
}

/// The chips of a picture, from the JSON beside it.
fn chips(picture: &Path, class: &str, context: f64) -> Result<Vec<Chip>, String> {
    let mut document =
        json_document(picture.with_extension("json")).map_err(|error| match error {
            Error::Io { source, .. } => format!("its JSON: {source}"),
            other => other.to_string(),
        })?;
    // Taken out first: the reader would fall back to a box's place for the picture's.
    let boxes = document.get_mut("bounding_boxes").map(Value::take);
    let boxes = match boxes {
        Some(Value::Array(boxes)) => boxes,
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err("its JSON has no `bounding_boxes`".into()),
    };
    let metadata = fmow::read(&document).map_err(|error| error.to_string())?;
    let size = size(picture, &document)?;
    let mut seen: Vec<(&Value, &str)> = Vec::new();
    let mut chips = Vec::new();
    for one in &boxes {
        let label = one.get("category").and_then(Value::as_str).unwrap_or(class);
        let place = one.get("box").unwrap_or(&Value::Null);
        // Records give the box once for the picture and once for the task.
        if seen.contains(&(place, label)) {
            continue;
        }
        seen.push((place, label));
        chips.push(region(place, size, context).and_then(|region| {
            let geometry = Geometry::of(size.0, size.1).and_then(|whole| whole.crop(region));
            let geometry = geometry.map_err(|error| error.to_string())?;
            Ok(Found {
                label: label.to_owned(),
                size,
                region,
                metadata: geometry.apply_to(&metadata),
            })
        }));
    }
    if chips.is_empty() {
        return Err("its JSON has an empty `bounding_boxes`".into());
    }
    Ok(chips)
}

/// Width and height as the JSON says, else as the picture's header does.
fn size(picture: &Path, document: &Value) -> Result<(u32, u32), String> {
    let side = |key: &str| match document.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let side = value.as_u64().and_then(|side| u32::try_from(side).ok());
            let side = side.filter(|side| *side > 0);
            side.map(Some)
                .ok_or_else(|| format!("its JSON has an impossible `{key}`"))
        }
    };
    match (side("img_width")?, side("img_height")?) {
        (Some(width), Some(height)) => Ok((width, height)),
        _ => ::image::ImageReader::open(picture)
            .map_err(|error| error.to_string())?
            .into_dimensions()
            .map_err(|error| error.to_string()),
    }
}

/// The part of a picture that shows a box `[x, y, width, height]` with its context.
fn region(place: &Value, (width, height): (u32, u32), context: f64) -> Result<Region, String> {
    let numbers = place.as_array().map(|items| {
        let numbers = items.iter().map(Value::as_f64);
        numbers.collect::<Option<Vec<f64>>>()
    });
    let Some(Some(numbers)) = numbers else {
        return Err("its box is no list of numbers".into());
    };
    let [x, y, w, h] = numbers[..] else {
        return Err(format!("its box has {} numbers, not 4", numbers.len()));
    };
    if !(w > 0.0 && h > 0.0) {
        return Err(format!("its box is {w} x {h} pixels"));
    }
    let (right, bottom) = (f64::from(width), f64::from(height));
    let outside = || {
        let place = format!("[{x}, {y}, {w}, {h}]");
        format!("its box {place} lies outside the picture of {width} x {height}")
    };
    if x >= right || y >= bottom || x + w <= 0.0 || y + h <= 0.0 {
        return Err(outside());
    }
    let half = context * w.max(h) / 2.0;
    let along = |start: f64, length: f64, end: f64| {
        let middle = start + length / 2.0;
        let first = (middle - half).floor().clamp(0.0, end);
        let last = (middle + half).ceil().clamp(0.0, end);
        (last > first).then_some((first as u32, (last - first) as u32))
    };
    let (left, width) = along(x, w, right).ok_or_else(outside)?;
    let (top, height) = along(y, h, bottom).ok_or_else(outside)?;
    Ok(Region {
        left,
        top,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_box_gets_its_context_and_is_clipped() {
        let cut = |place: Value, context| {
            region(&place, (200, 100), context).map(|r| [r.left, r.top, r.width, r.height])
        };
        assert_eq!(cut(json!([80, 40, 40, 20]), 1.0), Ok([80, 30, 40, 40]));
        assert_eq!(cut(json!([80, 40, 40, 20]), 1.5), Ok([70, 20, 60, 60]));
        assert_eq!(cut(json!([0, 0, 40, 20]), 1.5), Ok([0, 0, 50, 40]));
        assert_eq!(cut(json!([190, 90, 400, 400]), 1.0), Ok([190, 90, 10, 10]));
        assert_eq!(
            cut(json!([-1e300, 0, 2e300, 1]), 1.25),
            Ok([0, 0, 200, 100])
        );
        assert_eq!(cut(json!([10.5, 10.5, 1.0, 0.2]), 1.0), Ok([10, 10, 2, 2]));
    }

    proptest::proptest! {
        #[test]
        fn any_box_gives_a_part_of_the_picture_or_a_reason(
            numbers in proptest::collection::vec(proptest::num::f64::NORMAL, 4),
            width in 1..5000u32, height in 1..5000u32, context in 1.0..100.0f64,
        ) {
            if let Ok(part) = region(&json!(numbers), (width, height), context) {
                let geometry = Geometry::of(width, height).unwrap();
                proptest::prop_assert!(geometry.crop(part).is_ok(), "{part:?}");
            }
        }

        #[test]
        fn a_box_within_is_within_its_part(
            at in (0..400u32, 0..300u32, 1..100u32, 1..100u32), context in 1.0..3.0f64,
        ) {
            let (x, y, w, h) = at;
            let part = region(&json!([x, y, w, h]), (500, 400), context).unwrap();
            proptest::prop_assert!(part.left <= x && x + w <= part.left + part.width);
            proptest::prop_assert!(part.top <= y && y + h <= part.top + part.height);
            let longest = (context * f64::from(w.max(h))).ceil() as u32 + 1;
            proptest::prop_assert!(part.width.max(part.height) <= longest);
        }
    }

    #[test]
    fn impossible_boxes_say_why() {
        for (place, part) in [
            (json!([200, 0, 10, 10]), "outside"),
            (json!([-10, 0, 10, 10]), "outside"),
            (json!([0, 0, 0, 10]), "0 x 10"),
            (json!([0, 0, 5, -10]), "5 x -10"),
            (json!([0, 0, 5]), "3 numbers"),
            (json!(["a", 0, 5, 5]), "no list"),
            (json!(null), "no list"),
        ] {
            let reason = region(&place, (200, 100), 1.25).unwrap_err();
            assert!(reason.contains(part), "{place}: {reason}");
        }
    }
}
