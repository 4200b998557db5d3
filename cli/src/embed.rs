//! `satmip embed`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Exit;
use super::interrupt::Interrupt;
use super::model::ModelArgs;
use super::output::{Output, one_line};
use super::reading::OrAuto;
use super::terminal::{Terminal, duration};
use satmip::image::Resolution;
use satmip::{Error, Result};
use satmip_archive::plan::{Shard, ShardConfig, run_shard};
use satmip_archive::{
    self as embed, Destination, Edge, Features, Format, JobConfig, TableConfig, Tiling,
};

/// Arguments that a plan has, or that are not of its parts.
const SAID_BY_A_PLAN: [&str; 29] = [
    "inputs",
    "scale",
    "bands",
    "min_valid",
    "nodata",
    "max_pixels",
    "batch_size",
    "tile",
    "stride",
    "edge",
    "assets",
    "offset",
    "gsd",
    "overview",
    "cloud_asset",
    "max_cloud",
    "bbox",
    "intersects",
    "grid",
    "datetime",
    "features",
    "vectors",
    "images_only",
    "metadata",
    "map",
    "format",
    "rows_per_part",
    "dry_run",
    "overwrite",
];

/// Embed images, and their metadata, into files of vectors
///
/// Inputs are folders (searched for image files), text lists of paths (`.txt`), tar archives, and
/// image files; `-` is a list or a tar archive from standard input. JPEG, PNG, WebP, TIFF and JPEG
/// 2000 are read. An image that cannot be read becomes a line of `errors.jsonl`, and the exit code is 3.
///
/// An output that ends in `.parquet`, `.npy` or `.jsonl` is one file, written aside and renamed at the end. Any other
/// name is a folder of parts: a job that was interrupted (Ctrl-C), run again with the same command, goes on where it
/// was, and one that was killed after its last complete part. Names that end as other files do are refused. `-` writes
/// JSON lines to standard output. Nothing that exists is replaced without `--overwrite`.
#[derive(Debug, Args)]
pub(super) struct EmbedArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    table: TableArgs,
    /// Do the blocks of a plan of `satmip plan`, which says all that decides the rows
    #[arg(long, value_name = "PLAN.parquet", conflicts_with_all = SAID_BY_A_PLAN)]
    plan: Option<PathBuf>,
    /// Which share of a plan's blocks: K of N, counted from 0; auto takes it from the variables of an array job of Slurm
    /// or AWS Batch, auto/N of an indexed job of Kubernetes; all of them where it is not given
    #[arg(long, value_name = "K/N", requires = "plan")]
    shard: Option<String>,
    /// Folder or file to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Format of a folder's parts [default: parquet]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatArg>,
    /// Images in a part of a folder
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_part: u32,
    /// Replace an output that exists or is of another job
    #[arg(long)]
    overwrite: bool,
    /// Say what there is to do, by names and headers alone, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Report as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What is embedded, and how.
#[derive(Debug, Args)]
pub(super) struct WhatArgs {
    /// Folders, lists, archives, images, scenes, catalogues; addresses of servers and stores
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    windows: WindowArgs,
    /// Vectors to write: embeds (one space), features (for probes)
    #[arg(long, value_enum, default_value_t = FeaturesArg::Embeds, value_name = "WHICH")]
    features: FeaturesArg,
    /// How the numbers of vectors are stored in Parquet: f32, f16, or int8 with a scale for each vector
    #[arg(long, value_name = "TYPE", default_value = "f32",
          value_parser = clap::builder::PossibleValuesParser::new(["f32", "f16", "int8"]))]
    vectors: String,
    /// Write no vectors of metadata, which windows of scenes else get of their own place and time
    #[arg(long)]
    images_only: bool,
}

impl WhatArgs {
    /// The job, without a table.
    pub(super) fn config(&self, destination: Destination) -> Result<JobConfig> {
        if self.inputs.is_empty() {
            return Err(Error::Argument {
                what: "INPUT",
                reason: "none was given".into(),
            });
        }
        let mut config = JobConfig::new(&self.inputs, destination);
        config.features = self.features.into();
        config.images_only = self.images_only;
        config.vectors = self.vectors.parse()?;
        self.windows.set(&mut config)?;
        let resolution = config.reading.resolution;
        config.reading = self.model.reading()?;
        config.reading.resolution = resolution;
        config.workers = self.model.workers();
        config.batch_size = self.model.batch_size();
        Ok(config)
    }
}

/// How scenes are cut.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scenes")]
pub(super) struct WindowArgs {
    /// Cut each file into square windows of so many pixels a side; each is a row with its own place
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    tile: Option<u32>,
    /// Pixels from one window to the next [default: the tile]
    #[arg(long, value_name = "PIXELS", requires = "tile", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    stride: Option<u32>,
    /// At the right and lower edge: one more window moved back inside, none, or one with missing pixels
    #[arg(long, value_enum, requires = "tile", default_value_t = EdgeArg::Shift, value_name = "HOW")]
    edge: EdgeArg,
    /// Assets of STAC items: one picture, or red,green,blue, by key or common name [default: red,green,blue with
    /// --scale, else visual]
    #[arg(long, value_name = "NAMES", requires = "tile", value_delimiter = ',')]
    assets: Vec<String>,
    /// What is added to samples of Sentinel-2 items with --scale s2 or s2-l1c: auto is what the item says
    #[arg(long, value_name = "auto|0|-1000", requires = "tile", default_value = "auto", allow_hyphen_values = true,
          value_parser = clap::builder::PossibleValuesParser::new(["auto", "0", "-1000"]))]
    offset: String,
    /// Read scenes with pixels of about so many metres: of their overviews the nearest one
    #[arg(long, value_name = "METRES", requires = "tile")]
    gsd: Option<f64>,
    /// Read this overview of scenes, counted from 1, the largest; `auto` reads the one that `--gsd` asks for, else none
    #[arg(long, value_name = "auto|N", requires = "tile")]
    overview: Option<OrAuto<u8>>,
    /// Asset that tells clouds (Sentinel-2's SCL, Landsat's QA_PIXEL, PlanetScope's UDM2): each window gets its share
    #[arg(long, value_name = "NAME", requires = "tile")]
    cloud_asset: Option<String>,
    /// Leave out windows with a larger share of clouds, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "cloud_asset")]
    max_cloud: Option<f32>,
    /// Only windows that touch this box, in degrees
    #[arg(
        long,
        value_name = "W,S,E,N",
        requires = "tile",
        allow_hyphen_values = true
    )]
    bbox: Option<String>,
    /// Only windows that touch a polygon of this file of GeoJSON
    #[arg(long, value_name = "FILE", requires = "tile")]
    intersects: Option<PathBuf>,
    /// Name the cell that each window's centre lies in: of Major TOM's grid, of so many metres a side, or of H3's, of a
    /// resolution from 0 to 15
    #[arg(long, value_name = "majortom:METRES|h3:RESOLUTION", requires = "tile")]
    grid: Option<String>,
    /// Only STAC items of this time: days or moments of RFC 3339, `..` for an open end
    #[arg(long, value_name = "A/B", requires = "tile")]
    datetime: Option<String>,
}

impl WindowArgs {
    fn tiling(&self) -> Result<Option<Tiling>> {
        let cut = |tile| Tiling::new(tile, self.stride.unwrap_or(tile), self.edge.into());
        self.tile.map(cut).transpose()
    }

    fn set(&self, config: &mut JobConfig) -> Result<()> {
        config.windows = self.tiling()?;
        config.reading.resolution = self.resolution()?;
        config.assets.clone_from(&self.assets);
        config.offset = self.offset.parse()?;
        config.cloud_asset.clone_from(&self.cloud_asset);
        config.max_cloud = self.max_cloud;
        config.bbox = self.bbox.as_deref().map(str::parse).transpose()?;
        config.intersects.clone_from(&self.intersects);
        config.grid = self.grid.as_deref().map(str::parse).transpose()?;
        config.datetime = self.datetime.as_deref().map(str::parse).transpose()?;
        Ok(())
    }

    fn resolution(&self) -> Result<Resolution> {
        match (self.gsd, self.overview.and_then(|overview| overview.0)) {
            (Some(_), Some(_)) => Err(Error::Argument {
                what: "overview",
                reason: "`--gsd` says already which one is read".into(),
            }),
            (Some(metres), _) if !(metres.is_finite() && metres > 0.0) => Err(Error::Argument {
                what: "gsd",
                reason: format!("{metres} is no length of a pixel in metres"),
            }),
            (Some(metres), _) => Ok(Resolution::Gsd(metres)),
            (None, Some(0)) => Err(Error::Argument {
                what: "overview",
                reason: "they are counted from 1".into(),
            }),
            (None, Some(number)) => Ok(Resolution::Overview(number.into())),
            (None, None) => Ok(Resolution::Full),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EdgeArg {
    Shift,
    Drop,
    Pad,
}

impl From<EdgeArg> for Edge {
    fn from(edge: EdgeArg) -> Self {
        match edge {
            EdgeArg::Shift => Edge::Shift,
            EdgeArg::Drop => Edge::Drop,
            EdgeArg::Pad => Edge::Pad,
        }
    }
}

/// A table of metadata and its columns.
#[derive(Debug, Args)]
pub(super) struct TableArgs {
    /// Table of metadata (CSV or Parquet), joined by path or unique file name
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// Take a field, or `key` (the file name), from a column of another name
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = mapping)]
    map: Vec<(String, String)>,
}

impl TableArgs {
    pub(super) fn config(&self) -> Result<Option<TableConfig>> {
        let mut map = BTreeMap::new();
        for (column, field) in &self.map {
            if map.insert(column.clone(), field.clone()).is_some() {
                return Err(Error::Argument {
                    what: "--map",
                    reason: format!("column `{column}` is given twice"),
                });
            }
        }
        match &self.metadata {
            Some(path) => Ok(Some(TableConfig {
                path: path.clone(),
                map,
            })),
            None if map.is_empty() => Ok(None),
            None => Err(Error::Argument {
                what: "--map",
                reason: "there is no table: give `--metadata`".into(),
            }),
        }
    }
}

pub(super) fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, field)) if !column.is_empty() && !field.is_empty() => {
            Ok((column.to_owned(), field.to_owned()))
        }
        _ => Err("expected COLUMN=FIELD, for example `acquired=timestamp`".into()),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Parquet,
    Npy,
    Jsonl,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Parquet => Format::Parquet,
            FormatArg::Npy => Format::Npy,
            FormatArg::Jsonl => Format::Jsonl,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FeaturesArg {
    Embeds,
    Features,
    Both,
}

impl From<FeaturesArg> for Features {
    fn from(features: FeaturesArg) -> Self {
        match features {
            FeaturesArg::Embeds => Features::Embeds,
            FeaturesArg::Features => Features::Features,
            FeaturesArg::Both => Features::Both,
        }
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    output: String,
    model: &'a str,
    engine: &'a str,
    seconds: f64,
    items_per_second: f64,
    #[serde(flatten)]
    report: embed::JobReport,
}

pub(super) fn run(args: EmbedArgs, terminal: &Terminal) -> Result<Exit> {
    let destination = Destination::from_path(&args.output);
    if args.json && destination == Destination::Stdout {
        return Err(Error::Argument {
            what: "--json",
            reason: "standard output takes the vectors already".into(),
        });
    }
    if let Some(plan) = &args.plan {
        return shard(&args, plan, terminal);
    }
    // `requires` of the parser gives way where what is required conflicts with something that is there.
    if args.shard.is_some() {
        return Err(Error::Argument {
            what: "shard",
            reason: "it is of a plan's blocks: give `--plan PLAN.parquet`".into(),
        });
    }
    let mut config = args.what.config(destination)?;
    if let Some(format) = args.format {
        config.format = format.into();
    }
    config.metadata = args.table.config()?;
    config.rows_per_part = args.rows_per_part as usize;
    config.overwrite = args.overwrite;
    let interrupt = Interrupt::watch(terminal, "");
    if args.dry_run {
        config.stop = interrupt.flag();
        return dry_run(&config, args.json);
    }
    let embedder = args.what.model.load(terminal)?;
    tracing::info!(
        "model `{}` on {}, {} workers",
        embedder.manifest().id,
        embedder.engine(),
        config.workers
    );
    config.stop = interrupt.flag();
    let mut meter = terminal.meter();
    let mut last = embed::Progress::default();
    let result = embed::run(&config, &embedder, &mut |progress| {
        meter.update(progress);
        last = *progress;
        ControlFlow::Continue(())
    });
    if let Err(Error::Interrupted) = result {
        meter.finish();
        terminal.say(&broken_off(&last, &config.destination));
        return Ok(Exit::Interrupted);
    }
    let report = result?;
    let elapsed = meter.finish();
    terminal.say(&sentence(&report, elapsed, &config));
    if let Some(next) = next_step(&report, &config, !embedder.fields().is_empty()) {
        terminal.say(&next);
    }
    let exit = Exit::of(report.skipped);
    if args.json {
        let mut out = Output::open();
        out.json(&Summary {
            output: args.output.display().to_string(),
            model: &embedder.manifest().id,
            engine: embedder.engine(),
            seconds: elapsed.as_secs_f64(),
            items_per_second: rate(&report, elapsed),
            report,
        })?;
        out.finish()?;
    }
    Ok(exit)
}

/// Does a share of the blocks of a plan.
fn shard(args: &EmbedArgs, plan: &Path, terminal: &Terminal) -> Result<Exit> {
    if !matches!(Destination::from_path(&args.output), Destination::Folder(_)) {
        return Err(Error::Argument {
            what: "output",
            reason: "the parts of a plan need a folder, a name without an ending".into(),
        });
    }
    let (shard, why) = which(args.shard.as_deref())?;
    terminal.say(&format!("shard {shard}{why}"));
    let mut config = ShardConfig::new(plan, &args.output);
    config.shard = shard;
    config.workers = args.what.model.workers();
    let interrupt = Interrupt::watch(terminal, "");
    let embedder = args.what.model.load(terminal)?;
    config.stop = interrupt.flag();
    let mut meter = terminal.meter();
    let report = run_shard(&config, &embedder, &mut |progress| {
        meter.update(progress);
        ControlFlow::Continue(())
    });
    let elapsed = meter.finish();
    if let Err(Error::Interrupted) = report {
        terminal
            .say("interrupted: the blocks that are done stay; the same command does the others");
        return Ok(Exit::Interrupted);
    }
    let report = report?;
    let rate = report.items as f64 / elapsed.as_secs_f64().max(1e-3);
    terminal.say(&format!(
        "{} items in {}, {rate:.1} items/s, {} rows, {}; of {} blocks {} were done before, {} by others",
        report.items,
        duration(elapsed.as_secs_f64()),
        report.rows,
        faults(report.items, report.rows, report.skipped),
        report.blocks,
        report.done_before,
        report.by_others
    ));
    if args.json {
        let mut out = Output::open();
        out.json(&report)?;
        out.finish()?;
    }
    Ok(Exit::of(report.skipped))
}

/// Which share is meant, and who says so.
fn which(text: Option<&str>) -> Result<(Shard, String)> {
    let count = match text {
        None => return Ok((Shard::WHOLE, String::new())),
        Some("auto") => None,
        Some(text) => match text.strip_prefix("auto/") {
            None => return Ok((text.parse()?, String::new())),
            Some(count) => {
                let count = count.parse().map_err(|_| Error::Argument {
                    what: "shard",
                    reason: format!("`{count}` is no number of shards"),
                })?;
                Some(count)
            }
        },
    };
    let variable = |name: &str| std::env::var(name).ok();
    match Shard::from_variables(&variable, count)? {
        Some((shard, name)) => Ok((shard, format!(", by {name}"))),
        None => Err(Error::Argument {
            what: "shard",
            reason: "no variable of Slurm, AWS Batch or Kubernetes says which (say `--shard K/N`)"
                .into(),
        }),
    }
}

/// What there is to do.
fn dry_run(config: &JobConfig, json: bool) -> Result<Exit> {
    let found = embed::survey(config)?;
    let mut out = Output::open();
    if json {
        out.json(&found)?;
        out.finish()?;
        return Ok(Exit::of(found.refused));
    }
    let megabytes = found.bytes as f64 / 1e6;
    let what = match config.windows {
        Some(tiling) => format!(
            "{} windows of {} pixels, of {} scenes",
            found.items, tiling.tile, found.scenes
        ),
        None => format!("{} images", found.items),
    };
    out.line(&format!("{what} ({megabytes:.1} MB)"))?;
    if found.outside > 0 {
        out.line(&format!(
            "{} scenes of another time or place",
            found.outside
        ))?;
    }
    if found.ignored > 0 {
        out.line(&format!("{} other files", found.ignored))?;
    }
    if found.refused > 0 {
        out.line(&format!("{} would be left out:", found.refused))?;
        for refused in &found.first_refused {
            let reason = format!("{}: {}", refused.id, refused.reason);
            out.line(&format!("  {}", one_line(&reason)))?;
        }
    }
    out.finish()?;
    Ok(Exit::of(found.refused))
}

/// What is left of a job that was interrupted.
fn broken_off(last: &embed::Progress, destination: &Destination) -> String {
    let of = last
        .total
        .map_or(String::new(), |total| format!(" of {total}"));
    let folder = "with a folder (a name without an ending) it could go on";
    match destination {
        Destination::Folder(path) if last.items > 0 => format!(
            "interrupted: {}{of} items are saved in `{}`; the same command goes on there",
            last.items,
            path.display()
        ),
        Destination::Folder(_) => {
            "interrupted before the first new item was done; the same command begins, or goes on"
                .into()
        }
        Destination::File(path) => format!(
            "interrupted: nothing was written to `{}`; {folder}",
            path.display()
        ),
        Destination::Stdout => format!("interrupted after {}{of} items; {folder}", last.items),
    }
}

/// What a person may do with what was written.
fn next_step(report: &embed::JobReport, config: &JobConfig, tower: bool) -> Option<String> {
    let Destination::Folder(folder) = &config.destination else {
        return None;
    };
    if config.format != Format::Parquet || report.rows == 0 {
        return None;
    }
    // Windows have a place of their own.
    let known = config.metadata.is_some() || (tower && config.windows.is_some());
    let columns = match known && !config.images_only {
        true => "`image_embedding` and `metadata_embedding` are",
        false => "`image_embedding` is",
    };
    let columns = match config.features {
        Features::Features => "features are",
        Features::Embeds | Features::Both => columns,
    };
    Some(format!(
        "next: open `{}` in DuckDB, polars or pandas;\n  {columns} beside each `id`",
        folder.join("part-*.parquet").display()
    ))
}

fn rate(report: &embed::JobReport, elapsed: Duration) -> f64 {
    (report.items - report.resumed) as f64 / elapsed.as_secs_f64().max(1e-3)
}

/// How many items were left out, which have no row, and how many lines of errors are of others: of their metadata.
pub(super) fn faults(items: u64, rows: u64, lines: u64) -> String {
    let left_out = items.saturating_sub(rows);
    match lines.saturating_sub(left_out) {
        0 => format!("{left_out} left out"),
        1 => format!("{left_out} left out, 1 fault of metadata"),
        more => format!("{left_out} left out, {more} faults of metadata"),
    }
}

fn sentence(report: &embed::JobReport, elapsed: Duration, config: &JobConfig) -> String {
    let new = report.items - report.resumed;
    let mut text = match new {
        0 => format!("nothing to do: all {} items are done", report.items),
        _ => format!(
            "{new} items in {}, {:.1} items/s, {} rows",
            duration(elapsed.as_secs_f64()),
            rate(report, elapsed),
            report.rows
        ),
    };
    if new > 0 && report.resumed > 0 {
        text.push_str(&format!(", {} done before", report.resumed));
    }
    if let Some(join) = &report.metadata {
        text.push_str(&format!(
            ", {} with metadata",
            join.joined - join.without_fields - join.bad_rows
        ));
    }
    if report.skipped > 0 {
        let faults = faults(report.items, report.rows, report.skipped);
        text.push_str(&format!(", {faults}"));
        if let Some(path) = config.destination.errors_path() {
            text.push_str(&format!(": see `{}`", path.display()));
        }
    }
    text
}
