//! A job's output as a STAC collection: an item for each part, with the place and time of its rows.
//!
//! The fields of embeddings are those of the draft extension
//! <https://github.com/geo-embeddings/embeddings-stac-specification>, version 0.0.1.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

use super::filter::TimeSpan;
use super::ledger::{JOB, JobRecord, Ledger};
use super::output::{Format, VectorType, failed};
use satmip::metadata::read;
use satmip::parts::aside::{Aside, Existing};
use satmip::{Error, Result, Timestamp};

/// The version of STAC, which is that the draft extension rests on.
const STAC: &str = "1.0.0";
const EMBEDDINGS: &str = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json";
const PROCESSING: &str = "https://stac-extensions.github.io/processing/v1.2.0/schema.json";
/// Most scenes that an item links to (our choice): the rows name all of them.
const MOST_SOURCES: usize = 100;

/// What nobody can tell from the output itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CatalogueConfig {
    /// The collection's id.
    pub id: String,
    /// The licence of the embeddings, as SPDX has it; `other` where that cannot be said.
    pub license: String,
    /// When the pictures were taken, where the rows do not say: items of STAC must have a time.
    pub datetime: Option<TimeSpan>,
    /// Replace what an earlier call wrote.
    pub overwrite: bool,
}

impl CatalogueConfig {
    /// A collection of this id, its licence `other`.
    pub fn new(id: impl Into<String>) -> Self {
        CatalogueConfig {
            id: id.into(),
            license: "other".into(),
            datetime: None,
            overwrite: false,
        }
    }

    /// Whether STAC allows the id and the licence.
    fn check(&self) -> Result<()> {
        let refuse = |what, reason: String| Err(Error::Argument { what, reason });
        if self.id.is_empty() || self.id.chars().any(char::is_control) {
            return refuse("id", format!("{:?} is no name of a collection", self.id));
        }
        // The pattern of STAC's schema of collections.
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.+".contains(c);
        match !self.license.is_empty() && self.license.chars().all(allowed) {
            true => Ok(()),
            false => refuse(
                "license",
                format!(
                    "{:?} is no identifier of SPDX, as `CC-BY-4.0`: letters, digits, and any of `_-.+`",
                    self.license
                ),
            ),
        }
    }
}

/// Writes `collection.json`, `model.json` and `items/part-00000.json`, .. into the folder of a job that is done.
///
/// # Errors
/// [`Error::Output`] where the folder holds no job of windows in Parquet that is done, or cannot be read or written,
/// or holds those files already; [`Error::Argument`] where no row of a part has a time, and none was given, or STAC
/// does not allow the id or the licence.
pub fn catalogue(folder: &Path, config: &CatalogueConfig) -> Result<Vec<PathBuf>> {
    let refuse = |reason: &str| {
        Err(Error::Output {
            path: folder.to_owned(),
            reason: reason.into(),
            source: None,
        })
    };
    config.check()?;
    let job = folder.join(JOB);
    if !job.is_file() {
        return refuse("it holds no job of `satmip embed`");
    }
    let job: JobRecord =
        serde_json::from_value(read::json_document(&job)?).map_err(|error| Error::Output {
            path: job.clone(),
            reason: format!("no record of a job: {error}"),
            source: None,
        })?;
    if job.input.windows.is_none() || job.output.format != Format::Parquet {
        return refuse("its rows are no windows of scenes in Parquet");
    }
    if !Ledger::says_done(folder) {
        return refuse("its job is not done; the same `satmip embed` command goes on there");
    }
    let parts = parts(folder)?;
    let mut writer = Writer {
        existing: Existing::of(config.overwrite),
        written: Vec::new(),
    };
    let (mut all, mut links) = (Extent::default(), Vec::new());
    let items = folder.join("items");
    std::fs::create_dir_all(&items).map_err(|error| failed(&items, error))?;
    for part in &parts {
        let mut extent = Extent::of(part)?;
        if extent.time.is_none() {
            extent.time = config.datetime.and_then(|span| span.micros());
        }
        if extent.time.is_none() {
            return Err(Error::Argument {
                what: "datetime",
                reason: format!(
                    "no row of `{}` has a time, which STAC asks for: say it as `A/B`",
                    part.display()
                ),
            });
        }
        let name = part
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        writer.write(
            &items.join(format!("{name}.json")),
            &item(&name, &extent, &job, config),
        )?;
        links.push(json!({"rel": "item", "href": format!("./items/{name}.json"), "type": "application/geo+json"}));
        all.add(&extent);
    }
    writer.write(&folder.join("model.json"), &json!(job.model))?;
    writer.write(
        &folder.join("collection.json"),
        &collection(&all, links, &job, config),
    )?;
    Ok(writer.written)
}

/// The parts of a folder in their order.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("part-") && name.ends_with(".parquet")
    };
    let mut parts: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(is_part)
        .collect();
    parts.sort();
    Ok(parts)
}

/// Writes documents and remembers which.
struct Writer {
    existing: Existing,
    written: Vec<PathBuf>,
}

impl Writer {
    fn write(&mut self, path: &Path, document: &Value) -> Result<()> {
        let (aside, mut file) = Aside::file(path).map_err(|error| failed(path, error))?;
        let text = format!("{document:#}\n");
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| aside.place(self.existing))
            .map_err(|error| failed(path, error))?;
        self.written.push(path.to_owned());
        Ok(())
    }
}

/// Where and when the rows of a part are.
#[derive(Debug, Default, Clone, PartialEq)]
struct Extent {
    rows: usize,
    /// Numbers of a vector.
    dimensions: Option<i32>,
    /// West, south, east, north; from -180 to 180 where a row lies on the antimeridian.
    sides: Option<[f64; 4]>,
    /// The first and the last moment in microseconds.
    time: Option<(i64, i64)>,
    /// The smallest and the largest pixels in metres.
    gsd: Option<(f32, f32)>,
    sources: BTreeSet<String>,
}

impl Extent {
    fn of(part: &Path) -> Result<Self> {
        let damaged = |error: &dyn std::fmt::Display| Error::Output {
            path: part.to_owned(),
            reason: format!("it cannot be read: {error}"),
            source: None,
        };
        let file = File::open(part).map_err(|error| failed(part, error))?;
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
        let dimensions =
            reader
                .schema()
                .fields()
                .iter()
                .find_map(|field| match field.data_type() {
                    DataType::FixedSizeList(_, dimensions) => Some(*dimensions),
                    _ => None,
                });
        let names = ["bbox", "datetime", "source", "gsd"];
        let schema = reader.parquet_schema();
        let roots = schema.root_schema().get_fields().iter();
        let roots = roots
            .enumerate()
            .filter(|(_, field)| names.contains(&field.name()));
        let mask = ProjectionMask::roots(schema, roots.map(|(at, _)| at).collect::<Vec<_>>());
        let reader = reader
            .with_projection(mask)
            .build()
            .map_err(|error| damaged(&error))?;
        let mut extent = Extent {
            dimensions,
            ..Extent::default()
        };
        for batch in reader {
            let batch = batch.map_err(|error| damaged(&error))?;
            if extent.take(&batch).is_none() {
                return Err(damaged(&"its columns are no windows'"));
            }
        }
        Ok(extent)
    }

    /// Takes rows in; none where columns are missing.
    fn take(&mut self, batch: &RecordBatch) -> Option<()> {
        self.rows += batch.num_rows();
        let boxes = batch.column_by_name("bbox")?.as_struct_opt()?;
        let side = |name: &str| {
            boxes
                .column_by_name(name)?
                .as_primitive_opt::<Float64Type>()
        };
        let sides = [side("xmin")?, side("ymin")?, side("xmax")?, side("ymax")?];
        for row in (0..boxes.len()).filter(|row| boxes.is_valid(*row)) {
            let [mut west, south, mut east, north] = sides.map(|side| side.value(row));
            if west > east {
                (west, east) = (-180.0, 180.0);
            }
            self.around([west, south, east, north]);
        }
        let times = batch.column_by_name("datetime")?;
        let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
        times
            .iter()
            .flatten()
            .for_each(|time| self.between((time, time)));
        let gsd = batch
            .column_by_name("gsd")?
            .as_primitive_opt::<Float32Type>()?;
        gsd.iter()
            .flatten()
            .for_each(|gsd| self.of_pixels((gsd, gsd)));
        let sources = batch.column_by_name("source")?.as_string_opt::<i32>()?;
        for source in sources.iter().flatten() {
            if self.sources.len() < MOST_SOURCES {
                self.sources.insert(source.to_owned());
            }
        }
        Some(())
    }

    fn add(&mut self, other: &Extent) {
        self.rows += other.rows;
        self.dimensions = self.dimensions.or(other.dimensions);
        other.sides.into_iter().for_each(|sides| self.around(sides));
        other.time.into_iter().for_each(|time| self.between(time));
        other.gsd.into_iter().for_each(|gsd| self.of_pixels(gsd));
    }

    fn around(&mut self, [west, south, east, north]: [f64; 4]) {
        self.sides = Some(match self.sides {
            None => [west, south, east, north],
            Some([w, s, e, n]) => [w.min(west), s.min(south), e.max(east), n.max(north)],
        });
    }

    fn between(&mut self, (first, last): (i64, i64)) {
        let (a, b) = self.time.unwrap_or((first, last));
        self.time = Some((a.min(first), b.max(last)));
    }

    fn of_pixels(&mut self, (least, most): (f32, f32)) {
        let (a, b) = self.gsd.unwrap_or((least, most));
        self.gsd = Some((a.min(least), b.max(most)));
    }

    /// The first and the last moment as RFC 3339, to whole seconds.
    fn times(&self) -> [Option<String>; 2] {
        let text = |seconds: i64| Some(Timestamp::from_unix_seconds(seconds).ok()?.to_string());
        let (first, last) = self.time.unzip();
        [
            first.and_then(|first| text(first.div_euclid(1_000_000))),
            last.and_then(|last| text(-(-last).div_euclid(1_000_000))),
        ]
    }
}

fn item(name: &str, extent: &Extent, job: &JobRecord, config: &CatalogueConfig) -> Value {
    let [first, last] = extent.times();
    let mut properties = Map::new();
    let same = first == last;
    properties.insert("datetime".into(), json!(first.as_ref().filter(|_| same)));
    if let (false, Some(first), Some(last)) = (same, &first, &last) {
        properties.insert("start_datetime".into(), json!(first));
        properties.insert("end_datetime".into(), json!(last));
    }
    properties.insert(
        "emb:runtime_parameters".into(),
        json!({
            "windows": job.input.windows,
            "batch_size": job.output.batch_size,
            "engine": job.engine,
            "rows": extent.rows,
        }),
    );
    properties.insert(
        "emb:preprocessing".into(),
        json!({
            "format": "satmip",
            "expression": {"reading": job.reading, "model": job.preprocessing},
        }),
    );
    let unit = json!({"format": "satmip", "expression": "l2_normalize"});
    properties.insert("emb:postprocessing".into(), unit);
    properties.insert("processing:software".into(), json!({"satmip": job.satmip}));
    if job.output.vectors == VectorType::Int8 {
        // A scale for each vector stands beside it.
        let quantization = json!({
            "method": "symmetric, bytes times the column `NAME_scale` of the row",
            "original_dtype": "float32",
            "quantized_dtype": "int8",
        });
        properties.insert("emb:quantization".into(), quantization);
    }
    let mut links = vec![
        json!({"rel": "root", "href": "../collection.json", "type": "application/json"}),
        json!({"rel": "parent", "href": "../collection.json", "type": "application/json"}),
        json!({"rel": "collection", "href": "../collection.json", "type": "application/json"}),
    ];
    links.extend(
        extent
            .sources
            .iter()
            .map(|source| json!({"rel": "emb:source-data", "href": source})),
    );
    let mut item = json!({
        "type": "Feature",
        "stac_version": STAC,
        "stac_extensions": [EMBEDDINGS, PROCESSING],
        "id": name,
        "collection": config.id,
        "geometry": Value::Null,
        "properties": properties,
        "links": links,
        "assets": {"embeddings": {
            "href": format!("../{name}.parquet"),
            "type": "application/vnd.apache.parquet",
            "roles": ["data"],
        }},
    });
    if let Some([west, south, east, north]) = extent.sides {
        let ring = [
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south],
        ];
        item["geometry"] = json!({"type": "Polygon", "coordinates": [ring]});
        item["bbox"] = json!([west, south, east, north]);
    }
    item
}

fn collection(
    all: &Extent,
    mut links: Vec<Value>,
    job: &JobRecord,
    config: &CatalogueConfig,
) -> Value {
    links.push(json!({"rel": "root", "href": "./collection.json", "type": "application/json"}));
    links.push(json!({
        "rel": "emb:model", "href": "./model.json", "type": "application/json",
        "title": format!("{} {}", job.model.id, job.model.version),
    }));
    for given in job.input.given.iter().take(MOST_SOURCES) {
        links.push(json!({"rel": "emb:source-data", "href": given}));
    }
    let layout = job.input.windows.as_ref().map(|windows| {
        let tiling = windows.tiling;
        json!({"layout_type": "regular_grid", "chip_size": [tiling.tile, tiling.tile], "stride": [tiling.stride, tiling.stride]})
    });
    let mut collection = json!({
        "type": "Collection",
        "stac_version": STAC,
        "stac_extensions": [EMBEDDINGS],
        "id": config.id,
        "description": format!(
            "{} embeddings of windows by {} {}, made by satmip {}",
            all.rows, job.model.id, job.model.version, job.satmip
        ),
        "license": config.license,
        "extent": {
            "spatial": {"bbox": [all.sides.unwrap_or([-180.0, -90.0, 180.0, 90.0])]},
            "temporal": {"interval": [all.times()]},
        },
        "emb:type": "chip",
        "emb:dimensions": all.dimensions,
        "data_type": job.output.vectors.stac(),
        "emb:chip_layout": layout,
        "links": links,
    });
    // One number, where all windows have about the same pixels.
    if let Some((least, most)) = all.gsd
        && most <= 1.01 * least
    {
        collection["gsd"] = json!(f64::from(least));
    }
    collection
}
