//! Scenes that a catalogue lists: STAC items in JSON, collections of items, lines of items, and static catalogues, whose
//! links are followed.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{Contents, Entry, Sink};
use crate::assets::ItemFacts;
use crate::skipped::SkipKind;
use satmip::metadata::read;
use satmip::{Error, Metadata, Result};

/// Catalogues inside of catalogues that are followed (our choice).
const DEEPEST: usize = 16;

/// Whether a file's name is one of a catalogue.
pub(super) fn is_one(name: &str) -> bool {
    [
        ".json",
        ".geojson",
        ".ndjson",
        ".jsonl",
        ".geojsonl",
        ".geojsons",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}

/// Goes through the items of a file.
pub(super) fn visit(path: &Path, sink: &mut Sink<'_>) -> Result<()> {
    if let Some(documents) = read::json_lines(path)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        for (number, document) in documents {
            let name = format!("{file}#{number}");
            let flow = match document {
                Ok(document) => item(&document, &folder_of(path), &name, sink),
                Err(error) => fault(name, &error.to_string(), sink),
            };
            if flow.is_break() {
                break;
            }
        }
        return Ok(());
    }
    let mut walk = Walk {
        root: folder_of(path),
        seen: HashSet::from([plain(path)]),
    };
    let document = document(path).map_err(|reason| refused(path, reason))?;
    if kind_of(&document).is_none() {
        return Err(refused(
            path,
            "the JSON is no STAC item, collection or catalogue".into(),
        ));
    }
    let _ = walk.document(path, document, 0, sink);
    Ok(())
}

fn refused(path: &Path, reason: String) -> Error {
    Error::Input {
        input: path.display().to_string(),
        reason,
        source: None,
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// What a document is.
enum Kind {
    Item,
    Items,
    Catalogue,
}

fn kind_of(document: &Value) -> Option<Kind> {
    let has = |key: &str| document.get(key).is_some();
    match document.get("type").and_then(Value::as_str) {
        Some("Feature") => Some(Kind::Item),
        Some("FeatureCollection") => Some(Kind::Items),
        Some("Catalog" | "Collection") => Some(Kind::Catalogue),
        // Version 0.x has no `type` there.
        None if has("links") && has("stac_version") => Some(Kind::Catalogue),
        _ => None,
    }
}

/// Reads a document.
///
/// # Errors
/// The reason.
fn document(path: &Path) -> Result<Value, String> {
    // A pipe would be waited for.
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    match facts.is_file() {
        true => read::json_document(path).map_err(|error| error.to_string()),
        false => Err("not a regular file".into()),
    }
}

/// A static catalogue on its way.
struct Walk {
    /// Nothing outside of it is read.
    root: PathBuf,
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn document(
        &mut self,
        path: &Path,
        document: Value,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> ControlFlow<()> {
        match kind_of(&document) {
            Some(Kind::Item) => item(&document, &folder_of(path), &self.name(path), sink),
            Some(Kind::Items) => {
                let Value::Object(mut object) = document else {
                    return ControlFlow::Continue(());
                };
                let Some(Value::Array(features)) = object.remove("features") else {
                    return fault(self.name(path), "it has no `features`", sink);
                };
                for (at, feature) in features.iter().enumerate() {
                    let name = format!("{}#{}", self.name(path), at + 1);
                    item(feature, &folder_of(path), &name, sink)?;
                }
                ControlFlow::Continue(())
            }
            Some(Kind::Catalogue) => self.catalogue(path, &document, depth, sink),
            None => fault(
                self.name(path),
                "the JSON is no STAC item, collection or catalogue",
                sink,
            ),
        }
    }

    fn catalogue(
        &mut self,
        path: &Path,
        document: &Value,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> ControlFlow<()> {
        let links = document.get("links").and_then(Value::as_array);
        for link in links.into_iter().flatten() {
            let text = |key: &str| link.get(key).and_then(Value::as_str).unwrap_or_default();
            if !matches!(text("rel"), "item" | "items" | "child") {
                continue;
            }
            let href = text("href");
            let target = match self.inside(path, href) {
                Ok(target) => target,
                Err(reason) => {
                    fault(format!("{}: {href}", self.name(path)), &reason, sink)?;
                    continue;
                }
            };
            if depth >= DEEPEST {
                fault(
                    self.name(&target),
                    &format!("over {DEEPEST} catalogues inside each other"),
                    sink,
                )?;
                continue;
            }
            // A link back to where one was.
            if !self.seen.insert(target.clone()) {
                continue;
            }
            match self::document(&target) {
                Ok(found) => self.document(&target, found, depth + 1, sink)?,
                Err(reason) => fault(self.name(&target), &reason, sink)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// A document's name in the output, the same on all machines.
    fn name(&self, path: &Path) -> String {
        path.strip_prefix(plain(&self.root))
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// The file of a link, which must lie in the folder of the catalogue that was given.
    fn inside(&self, path: &Path, href: &str) -> Result<PathBuf, String> {
        if href.is_empty() {
            return Err("a link without an address".into());
        }
        if href.contains("://") {
            return Err(
                "a link to a server: this program follows links between files of this machine"
                    .into(),
            );
        }
        let target = plain(&folder_of(path).join(href));
        match target.starts_with(plain(&self.root)) && !target.starts_with("..") {
            true => Ok(target),
            false => Err("a link out of the catalogue's folder".into()),
        }
    }
}

/// A path without `.` and with `..` taken off, as far as names go.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// An item: its scene, or what is wrong with it. `folder` is where its own addresses begin.
fn item(item: &Value, folder: &Path, name: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
    let Some(id) = read::stac::id(item).filter(|id| !id.is_empty()) else {
        return fault(name.to_owned(), "the item has no `id`", sink);
    };
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let facts = ItemFacts {
        id: id.to_owned(),
        collection: text("collection"),
        metadata: Metadata::from_stac(item).map_err(|error| error.to_string()),
        item: item.clone(),
        folder: folder.to_owned(),
    };
    (sink.entry)(Entry {
        name: id.as_bytes().to_vec(),
        source: Contents::Item(Arc::new(facts)),
    })
}

fn fault(name: String, reason: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
    (sink.entry)(Entry {
        name: name.into_bytes(),
        source: Contents::Fault(SkipKind::Other, reason.to_owned()),
    })
}
