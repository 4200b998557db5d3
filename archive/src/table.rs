//! Reads the job's table of metadata.

use std::collections::BTreeMap;

use super::TableConfig;
use super::join::Table;
use satmip::metadata::FieldSet;
use satmip::metadata::read::{Column, ColumnMap, table};
use satmip::{Error, Result};

/// Bad lines that are warnings; the rest is for those who ask for more.
const LOUD: u64 = 5;

/// Reads a table into memory, for a model that reads these fields. A row that cannot be used is kept
/// with its reason, for the item that it belongs to; a line that cannot belong to any is named in
/// the log and left out.
pub(super) fn load(config: &TableConfig, fields: FieldSet) -> Result<Table> {
    let map = column_map(&config.map)?;
    let mut rows = Table::reading(fields);
    for row in table::keyed_rows(&config.path, &map)? {
        let mut row = row?;
        if rows.len() >= table::MAX_TABLE_ROWS {
            return Err(Error::Input {
                input: config.path.display().to_string(),
                reason: format!("it has more than {} rows", table::MAX_TABLE_ROWS),
                source: None,
            });
        }
        let Some(key) = row.key.take() else {
            let keyless = row.error(config.path.display(), "the row has no key");
            let error = row.metadata.err().unwrap_or(keyless);
            if rows.left_out() >= table::MAX_REFUSED_ROWS as u64 {
                return Err(error);
            }
            match rows.left_out() < LOUD {
                true => tracing::warn!("left out of the table: {error}"),
                false => tracing::info!("left out of the table: {error}"),
            }
            rows.leave_out();
            continue;
        };
        let place = row.place();
        let metadata = row.metadata.map_err(|error| error.to_string());
        rows.add(&key, metadata, &place);
    }
    Ok(rows)
}

fn column_named(field: &str) -> Result<Column> {
    field.parse().map_err(|_| Error::Argument {
        what: "map",
        reason: format!("`{field}` is no field, nor `key` or `none`"),
    })
}

/// Understands pairs of column and field; the field `key` is the name of the picture's file, and
/// `none` leaves the column out.
///
/// # Errors
/// [`Error::Argument`](satmip::Error::Argument) for a field that there is not.
pub fn column_map(pairs: &BTreeMap<String, String>) -> Result<ColumnMap> {
    let mut map = ColumnMap::default();
    for (column, field) in pairs {
        map = match field.as_str() {
            "key" => map.with_key([column.as_str()]),
            "none" => map.ignoring(column),
            field => map.with(column_named(field)?, column),
        };
    }
    Ok(map)
}
