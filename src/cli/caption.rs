//! `satmip caption`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::embed::mapping;
use super::report::Report;
use crate::embed::column_map;
use crate::error::Result;
use crate::metadata::read::geotiff::GeoTiffOptions;
use crate::metadata::read::{self, Record, Records, table};
use crate::metadata::{FieldSet, Metadata};

/// Print the captions of metadata files: STAC, fMoW, CSV, Parquet, GeoTIFF
///
/// A record that cannot be read is named and costs no other, and the exit code is 3; it is 1 where
/// none can be read.
#[derive(Debug, Args)]
pub(super) struct CaptionArgs {
    /// Files of metadata; a table gives one caption for each row
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Add what the stated fields imply, for example the country from the location
    #[arg(long)]
    derive: bool,
    /// Fields to use: names with commas, or `all`, `time`, `angles`
    #[arg(
        long,
        value_name = "FIELDS",
        default_value = "all",
        hide_default_value = true
    )]
    fields: FieldSet,
    /// For tables: take a field, or `key`, from a column of another name
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = mapping)]
    map: Vec<(String, String)>,
    /// Take a TIFF's DateTime for the time of the acquisition: it is that of the file's writing
    #[arg(long)]
    datetime_tag: bool,
    /// Records with their captions and fields, one JSON object a line
    #[arg(long)]
    json: bool,
}

/// A record as JSON.
#[derive(Debug, Serialize)]
pub(super) struct RecordJson<'a> {
    pub(super) key: &'a str,
    pub(super) caption: String,
    pub(super) metadata: &'a Metadata,
    pub(super) derived: FieldSet,
}

impl<'a> RecordJson<'a> {
    pub(super) fn of(key: &'a str, metadata: &'a Metadata) -> Self {
        RecordJson {
            key,
            caption: metadata.caption(FieldSet::ALL),
            metadata,
            derived: metadata.derived(),
        }
    }
}

pub(super) fn run(args: CaptionArgs) -> Result<Exit> {
    let mut out = Report::open();
    let options = GeoTiffOptions {
        date_time: args.datetime_tag,
    };
    let (mut good, mut bad, mut first) = (0_u64, 0_u64, None);
    for file in &args.files {
        for record in records(file, &args.map, &options)? {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    bad += 1;
                    match first {
                        None => first = Some(error),
                        Some(_) => tracing::error!("{error}"),
                    }
                    continue;
                }
            };
            good += 1;
            let metadata = match args.derive {
                true => record.metadata.derive_missing(),
                false => record.metadata,
            };
            let metadata = metadata.only(args.fields);
            match args.json {
                true => out.json_line(&RecordJson::of(&record.key, &metadata))?,
                false => out.line(&metadata.caption(FieldSet::ALL))?,
            }
        }
    }
    out.finish()?;
    match first {
        Some(error) if good == 0 => return Err(error),
        Some(error) => tracing::error!("{error}"),
        None => {}
    }
    Ok(Exit::of(bad))
}

fn records(file: &Path, map: &[(String, String)], options: &GeoTiffOptions) -> Result<Records> {
    if map.is_empty() {
        return read::records_with(file, options);
    }
    let rows = table::rows(file, &column_map(&map.iter().cloned().collect())?)?;
    Ok(Box::new(rows.map(|row| {
        row.map(|row| Record {
            key: row.key,
            metadata: row.metadata,
        })
    })))
}
