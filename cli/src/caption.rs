//! `satmip caption`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::embed::mapping;
use super::output::Output;
use super::terminal::Terminal;
use super::zoo::ZooArgs;
use satmip::image::{Geometry, fitted_geometry};
use satmip::metadata::read::geotiff::GeoTiffOptions;
use satmip::metadata::read::{self, Record, Records, table};
use satmip::metadata::{FieldSet, Metadata};
use satmip::{Error, Result};
use satmip_archive::column_map;

/// Print the captions of metadata files: STAC, fMoW, CSV, Parquet, GeoTIFF
///
/// Values are those that the file states: a gsd is that of its image's own pixels. A model sees the image resized, and
/// `embed` and `audit` let the record follow: `--model MODEL --size WIDTHxHEIGHT` prints the caption that the model reads.
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
    /// As this model sees images of `--size`: with what is implied, of its fields, gsd of its input pixels
    #[arg(short, long, value_name = "MODEL", requires = "size")]
    model: Option<String>,
    /// Width and height in pixels of the images that the records are of, upright
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size, requires = "model")]
    size: Option<(u32, u32)>,
    /// For tables: take a field, or `key`, from a column of another name
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = mapping)]
    map: Vec<(String, String)>,
    /// Take a TIFF's DateTime for the time of the acquisition: it is that of the file's writing
    #[arg(long)]
    datetime_tag: bool,
    /// Records with their captions and fields, one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zoo: ZooArgs,
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

pub(super) fn run(args: CaptionArgs, terminal: &Terminal) -> Result<Exit> {
    let model = args.model.as_ref().zip(args.size);
    let model = model
        .map(|(name, size)| View::open(name, size, &args.zoo, terminal))
        .transpose()?;
    let mut out = Output::open();
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
            let metadata = match &model {
                Some(view) => view.geometry.record_for(&record.metadata, view.fields),
                None if args.derive => record.metadata.derive_missing(),
                None => record.metadata,
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

/// How a model sees images of one size.
struct View {
    geometry: Geometry,
    fields: FieldSet,
}

impl View {
    fn open(
        name: &str,
        (width, height): (u32, u32),
        zoo: &ZooArgs,
        terminal: &Terminal,
    ) -> Result<Self> {
        let bundle = zoo.open(terminal).open(name, None)?;
        let manifest = bundle.manifest();
        let side = manifest.arch.metadata.as_ref();
        let side = side.ok_or_else(|| Error::Unsupported {
            model: manifest.id.clone(),
            what: "read a caption: it has no metadata tower".into(),
        })?;
        Ok(View {
            geometry: fitted_geometry(width, height, &manifest.arch.preprocessing)?,
            fields: side.fields,
        })
    }
}

/// `WIDTHxHEIGHT` in pixels.
fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0);
    let sides = text.split_once(['x', 'X']);
    sides
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| "expected WIDTHxHEIGHT in pixels, for example `512x512`".into())
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
