//! Reads the job's table of metadata.

use std::collections::BTreeMap;

use super::TableConfig;
use super::join::Table;
use crate::error::{Error, Result};
use crate::metadata::read::{Column, ColumnMap, table};

/// Reads a table into memory. A row that cannot be used is kept with its reason, for the item that
/// it belongs to.
pub(super) fn load(config: &TableConfig) -> Result<Table> {
    let map = column_map(&config.map)?;
    let mut rows = Table::default();
    for row in table::keyed_rows(&config.path, &map)? {
        let row = row?;
        if rows.len() >= table::MAX_TABLE_ROWS {
            return Err(Error::Input {
                input: config.path.display().to_string(),
                reason: format!("it has more than {} rows", table::MAX_TABLE_ROWS),
                source: None,
            });
        }
        let metadata = row.metadata.map_err(|error| error.to_string());
        rows.add(&row.key, metadata, row.line);
    }
    Ok(rows)
}

/// Understands pairs of column and field; the field `key` is the name of the picture's file.
pub(crate) fn column_map(pairs: &BTreeMap<String, String>) -> Result<ColumnMap> {
    let mut map = ColumnMap::default();
    for (column, field) in pairs {
        map = match field.as_str() {
            "key" => map.with_key([column.as_str()]),
            field => map.with(field.parse::<Column>()?, column),
        };
    }
    Ok(map)
}
