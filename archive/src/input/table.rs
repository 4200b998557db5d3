//! Scenes that a table lists: a row for each, with its address and what is known of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{Contents, Entry, Sink};
use crate::assets::{ItemFacts, shown_href};
use crate::location::Location;
use crate::skipped::SkipKind;
use satmip::Result;
use satmip::metadata::read::{ColumnMap, table};

/// Whether a file's name is one of a table.
pub(super) fn is_one(name: &str) -> bool {
    [".csv", ".tsv"].iter().any(|ending| name.ends_with(ending))
}

/// Goes through the rows of a table; addresses that are no whole ones begin in its folder.
pub(super) fn visit(path: &Path, sink: &mut Sink<'_>) -> Result<()> {
    let place = Location::File(path.to_owned());
    // A table of addresses alone is one as well.
    let map = ColumnMap::default()
        .with_text("href")
        .with_text("url")
        .with_text("path")
        .with_text("file");
    for row in table::keyed_rows(path, &map)? {
        let row = row?;
        let metadata = row.metadata.map_err(|error| error.to_string());
        let entry = match (row.key, metadata) {
            (None, metadata) => {
                let reason = metadata
                    .err()
                    .unwrap_or_else(|| "the row names no file".into());
                fault(format!("{}#{}", place.file_name(), row.line), reason)
            }
            (Some(key), metadata) => match place.join(&key) {
                Err(reason) => fault(shown_href(&key), reason),
                Ok(file) => {
                    let id = shown_href(&key);
                    let facts = ItemFacts {
                        id: id.clone(),
                        collection: None,
                        metadata,
                        item: Value::Null,
                        file: Some(file),
                        place: place.clone(),
                    };
                    Entry {
                        name: id.into_bytes(),
                        source: Contents::Item(Arc::new(facts)),
                    }
                }
            },
        };
        if let ControlFlow::Break(()) = (sink.entry)(entry) {
            break;
        }
    }
    Ok(())
}

fn fault(name: String, reason: String) -> Entry {
    Entry {
        name: name.into_bytes(),
        source: Contents::Fault(SkipKind::Other, reason),
    }
}
