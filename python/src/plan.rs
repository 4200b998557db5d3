//! Plans: blocks of a job for many machines. `satmip.plan` says what the calls do and give.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use satmip::image::Resolution;
use satmip_archive::plan::{self, Shard, ShardConfig};
use satmip_archive::{Destination, Edge, Features, JobConfig, TableConfig, Tiling};

use crate::background::{Heard, Tell};
use crate::error::{Fault, Result};
use crate::options::{argument, count, parsed};
use crate::record::of_json;
use crate::session::Session;

/// Items of a block where nobody says how many, as the command line has it.
const BLOCK_ITEMS: usize = 10_000;
/// What says something of windows alone.
const OF_WINDOWS: [&str; 10] = [
    "stride",
    "edge",
    "assets",
    "offset",
    "cloud_asset",
    "max_cloud",
    "bbox",
    "intersects",
    "grid",
    "datetime",
];

/// Lists inputs into a plan's file; `given` has the arguments of `satmip.plan.create` by their names.
#[pyfunction]
pub(crate) fn plan_create<'py>(
    session: &Bound<'py, Session>,
    given: &Bound<'py, PyDict>,
    output: PathBuf,
    progress: Option<&Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>> {
    let py = session.py();
    let config = job(session.get(), given)?;
    let model = Arc::clone(session.get().model());
    let stop = Some(Arc::clone(&config.stop));
    let heard = Heard { progress, stop };
    let found = heard.over(py, "planning", move |tell| {
        plan::plan(&config, &model, &output, tell)
    })?;
    of_json(py, found)
}

/// Embeds a share of a plan's blocks.
#[pyfunction]
pub(crate) fn plan_embed<'py>(
    session: &Bound<'py, Session>,
    plan: PathBuf,
    out: PathBuf,
    shard: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>> {
    let py = session.py();
    if !matches!(Destination::from_path(&out), Destination::Folder(_)) {
        let reason = format!(
            "`{}` is no folder: the parts of a plan need a name without an ending",
            out.display()
        );
        return Err(Fault::argument("out", reason));
    }
    let mut config = ShardConfig::new(plan, out);
    config.shard = share(shard)?;
    config.workers = session.get().threads();
    let model = Arc::clone(session.get().model());
    let stop = Some(Arc::clone(&config.stop));
    let heard = Heard { progress, stop };
    let found = heard.over(py, "embedding a shard", move |tell| {
        plan::run_shard(&config, &model, tell)
    })?;
    of_json(py, found)
}

/// How far the blocks of a folder are.
#[pyfunction]
pub(crate) fn plan_status(py: Python<'_>, out: PathBuf) -> Result<Bound<'_, PyAny>> {
    let look = move |_: Tell<'_>| plan::status(&out);
    of_json(py, Heard::default().over(py, "looking at parts", look)?)
}

/// Reads every part of a folder.
#[pyfunction]
pub(crate) fn plan_verify(py: Python<'_>, out: PathBuf) -> Result<Bound<'_, PyAny>> {
    let look = move |_: Tell<'_>| plan::verify(&out);
    of_json(py, Heard::default().over(py, "reading parts", look)?)
}

/// Makes the parts of a folder those of one job. Signals are heard when it is done.
#[pyfunction]
pub(crate) fn plan_merge(py: Python<'_>, out: PathBuf) -> Result<Bound<'_, PyAny>> {
    of_json(py, py.detach(|| plan::merge(&out))?)
}

/// Which blocks are meant: `K/N`, or `auto` or `auto/N` for what the variables of an array job say.
fn share(text: &str) -> Result<Shard> {
    let count = match text.split_once('/') {
        None if text == "auto" => None,
        Some(("auto", count)) => {
            let parsed = count.parse::<u64>();
            let refused = |_| Fault::argument("shard", format!("`{count}` is no number of shards"));
            Some(parsed.map_err(refused)?)
        }
        _ => return Ok(text.parse()?),
    };
    let variable = |name: &str| std::env::var(name).ok();
    match Shard::from_variables(&variable, count)? {
        Some((shard, _)) => Ok(shard),
        None => Err(Fault::argument(
            "shard",
            "no variable of Slurm, AWS Batch or Kubernetes says which (say \"K/N\")",
        )),
    }
}

/// The job that is planned, which reads pictures as the session does.
fn job(session: &Session, given: &Bound<'_, PyDict>) -> Result<JobConfig> {
    let inputs: Vec<PathBuf> = argument(given, "inputs")?.unwrap_or_default();
    if inputs.is_empty() {
        return Err(Fault::argument("inputs", "none was given"));
    }
    let mut config = JobConfig::new(inputs, Destination::Folder(PathBuf::from("plan")));
    config.reading = *session.model().reading();
    config.workers = session.threads();
    config.batch_size = session.model().batch_size();
    config.rows_per_part = count(given, "block_items", u32::MAX as usize)?.unwrap_or(BLOCK_ITEMS);
    config.overwrite = argument(given, "overwrite")?.unwrap_or_default();
    let map: Option<BTreeMap<String, String>> = argument(given, "columns")?;
    config.metadata = match (argument::<PathBuf>(given, "metadata")?, map) {
        (None, Some(_)) => {
            let reason = "there is no table: give `metadata`";
            return Err(Fault::argument("columns", reason));
        }
        (None, None) => None,
        (Some(path), map) => Some(TableConfig {
            path,
            map: map.unwrap_or_default(),
        }),
    };
    config.images_only = argument(given, "images_only")?.unwrap_or_default();
    config.vectors = parsed(given, "vectors")?.unwrap_or(config.vectors);
    config.features = match argument::<String>(given, "features")?.as_deref() {
        None | Some("embeds") => Features::Embeds,
        Some("features") => Features::Features,
        Some("both") => Features::Both,
        Some(other) => {
            let reason = format!("`{other}` is none of embeds, features, both");
            return Err(Fault::argument("features", reason));
        }
    };
    match count(given, "tile", u32::MAX as usize)? {
        Some(tile) => windows(&mut config, tile, given)?,
        None => of_pictures(&config, given)?,
    }
    Ok(config)
}

/// How scenes are cut.
fn windows(config: &mut JobConfig, tile: usize, given: &Bound<'_, PyDict>) -> Result<()> {
    let stride = count(given, "stride", u32::MAX as usize)?.unwrap_or(tile);
    let edge: Edge = parsed(given, "edge")?.unwrap_or_default();
    config.windows = Some(Tiling::new(side(tile), side(stride), edge)?);
    config.assets = argument(given, "assets")?.unwrap_or_default();
    config.offset = parsed(given, "offset")?.unwrap_or(config.offset);
    config.cloud_asset = argument(given, "cloud_asset")?;
    config.max_cloud = argument(given, "max_cloud")?;
    config.bbox = parsed(given, "bbox")?;
    config.intersects = argument(given, "intersects")?;
    config.grid = parsed(given, "grid")?;
    config.datetime = parsed(given, "datetime")?;
    Ok(())
}

/// A side in pixels, which `Tiling` holds against its limits.
fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

/// Refuses what only windows have.
fn of_pictures(config: &JobConfig, given: &Bound<'_, PyDict>) -> Result<()> {
    for name in OF_WINDOWS {
        if given.get_item(name)?.is_some_and(|value| !value.is_none()) {
            return Err(Fault::argument(name, "it is of windows: give `tile` too"));
        }
    }
    match config.reading.resolution {
        Resolution::Full => Ok(()),
        _ => Err(Fault::argument(
            "model",
            "`gsd` and `overview` are of windows: give `tile` too",
        )),
    }
}
