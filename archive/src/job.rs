//! The job itself: one thread finds the items, workers embed them, the caller's thread writes.

use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use serde_json::json;

use super::area::Area;
use super::assets::SceneOptions;
use super::input::{self, Contents, Inputs, Listing, shown_input};
use super::join::{Counter, JoinReport, Table};
use super::ledger::{
    AreaRecord, FirstRead, InputRecord, JobRecord, MetadataRecord, ModelRecord, OutputRecord,
    ReadingRecord, WindowsRecord,
};
use super::output::Schema;
use super::pipeline::{Producer, pipeline};
use super::skipped::{SkipKind, Skipped};
use super::stop::Stop;
use super::store::{Gathered, Store};
use super::worker::{Done, Model, Work};
use super::{Destination, JobConfig, JobReport, Progress, TableConfig, VectorType, table};
use satmip::arch::Arch;
use satmip::embedder::Embedder;
use satmip::image::{Bands, ReadOptions, Resolution, Scale, decode};
use satmip::metadata::FieldSet;
use satmip::parts::guard::guarded;
use satmip::parts::sha256;
use satmip::{Error, ImageFault, Result};

/// Embeds what `config` says. `progress` is called after each batch and can break off, as raising
/// [`JobConfig::stop`] does: batches that were begun are finished, and a folder keeps all of them. The same job
/// run again goes on there and ends with the bytes of an unbroken run.
///
/// # Errors
/// [`Error::Input`] when the inputs cannot be listed or hold no image, [`Error::Output`] when the
/// output exists, is of another job, or cannot be written, [`Error::Unsupported`] when a table is
/// given and the model has no metadata tower, [`Error::Interrupted`] when `progress` breaks off or the job
/// is stopped before it is done, [`Error::Panic`] when the model or the input panics.
/// Bad items are no errors.
pub fn run(
    config: &JobConfig,
    embedder: &Embedder,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<JobReport> {
    let facts = super::model::facts(embedder)?;
    run_with(config, embedder, &facts, progress)
}

/// What the output records of the model.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) record: ModelRecord,
    pub(super) engine: String,
    /// Most items that the model embeds at once.
    pub(super) batch_size: usize,
    pub(super) arch: Arch,
}

pub(super) fn run_with(
    config: &JobConfig,
    model: &dyn Model,
    facts: &Facts,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<JobReport> {
    check(config, facts)?;
    let open = |record: &JobRecord, schema: Schema| {
        Store::open(&config.destination, record, schema, config.overwrite)
    };
    let inputs = inputs(config)?;
    let (report, _) = go_through(config, inputs, model, facts, true, open, progress)?;
    Ok(report)
}

/// Embeds the images that `config` says into memory, and finds their metadata; its destination is
/// not written.
///
/// # Errors
/// As [`run`], but for what is written.
pub fn gather(
    config: &JobConfig,
    embedder: &Embedder,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Gathered> {
    let facts = super::model::facts(embedder)?;
    let mut gathered = Gathered::default();
    let (_, table) = go_through(
        config,
        inputs(config)?,
        embedder,
        &facts,
        false,
        |_, _| Ok(Store::Memory(&mut gathered)),
        progress,
    )?;
    if let Some(table) = table {
        gathered.join(&table, embedder.fields());
    }
    Ok(gathered)
}

/// The inputs of a job, cut into windows where it says so.
fn inputs(config: &JobConfig) -> Result<Inputs> {
    let stop = Stop::new(&config.stop);
    let scenes = scenes(config)?;
    let inputs =
        Inputs::open_until(&stop, &config.inputs).map_err(|error| match stop.is_raised() {
            true => Error::Interrupted,
            false => error,
        })?;
    Ok(inputs.cut(scenes))
}

/// The job, into whatever store `open` gives. `embed_metadata` says whether joined metadata are
/// embedded as well.
pub(super) fn go_through<'s>(
    config: &JobConfig,
    inputs: Inputs,
    model: &dyn Model,
    facts: &Facts,
    embed_metadata: bool,
    open: impl FnOnce(&JobRecord, Schema) -> Result<Store<'s>>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(JobReport, Option<Table>)> {
    let stop = Stop::new(&config.stop);
    let side = facts.arch.metadata.as_ref();
    let fields = side.map_or(FieldSet::NONE, |side| side.fields);
    let load = |config| table::load(config, fields);
    let mut table = config.metadata.as_ref().map(load).transpose()?;
    let listing = match inputs.is_once() {
        true => None,
        false => Some(list(&inputs, config, &stop, table.as_mut())?),
    };
    let columns = columns(config, facts, embed_metadata && !config.images_only);
    let first = match listing {
        Some(_) => peek(&inputs, &config.reading)?,
        None => None,
    };
    let record = record(config, facts, listing, first, &columns, inputs.area())?;
    let schema = Schema {
        columns: columns.clone(),
        windows: config.windows.is_some(),
        vectors: config.vectors,
        provenance: provenance(&record)?,
    };
    let mut store = open(&record, schema)?;
    let (earlier, fingerprint) = store.earlier();
    let mut producer = Producer {
        batch_size: config.batch_size as u64,
        skip: earlier.items,
        fingerprint,
        table: table.as_ref(),
        counter: table.as_ref().map(Counter::new),
        escaped: 0,
        sent: 0,
    };
    let mut state = Progress {
        items: earlier.items,
        resumed: earlier.items,
        total: listing.map(|l| l.items),
        skipped: earlier.skipped,
    };
    let work = Work {
        model,
        remote: inputs.remote(),
        table: table.as_ref(),
        features: config.features,
        columns: &columns,
        reading: config.reading,
        max_cloud: config.max_cloud,
        grid: config.grid,
    };
    let done = store.is_done();
    let longer = || changed("the input has more items than the job that was done");
    let mut write = |batch: Done| {
        // Only a stream comes here: other inputs were counted before.
        if done {
            return Err(longer());
        }
        log(&batch.skipped, state.skipped);
        state.items += batch.items;
        state.skipped += batch.skipped.len() as u64;
        store.push(&batch.rows, batch.skipped, batch.items, batch.end)?;
        // What was begun is finished and written after a stop, too.
        if progress(&state).is_break() {
            stop.raise();
        }
        Ok(())
    };
    let found = pipeline(
        workers(config),
        &inputs,
        &mut producer,
        &work,
        &stop,
        &mut write,
    );
    let found = match found {
        Err(Error::Interrupted) => {
            store.pause()?;
            return Err(Error::Interrupted);
        }
        found => found?,
    };
    if let Some(listing) = listing
        && (found.chain != listing.chain || found.items != listing.items)
    {
        return Err(changed("the input changed while it was read"));
    }
    if found.items < earlier.items {
        return Err(changed("the input has fewer items than are done already"));
    }
    let tally = match done {
        true => earlier,
        false => store.finish(found.chain)?,
    };
    let metadata = producer.counter.map(|counter| counter.report());
    warn(&found, metadata);
    let report = JobReport {
        items: tally.items,
        rows: tally.rows,
        skipped: tally.skipped,
        ignored: found.ignored,
        resumed: earlier.items,
        escaped_names: producer.escaped,
        metadata,
    };
    Ok((report, table))
}

/// How scenes are cut and read; none where each file is one picture.
///
/// # Errors
/// [`Error::Argument`] for two assets or more than three, or clouds that are no share or that nothing tells.
pub(super) fn scenes(config: &JobConfig) -> Result<Option<SceneOptions>> {
    let refuse = |what, reason: String| Err(Error::Argument { what, reason });
    match (config.assets.len(), config.max_cloud) {
        (0 | 1 | 3, None) => {}
        (0 | 1 | 3, Some(_)) if config.cloud_asset.is_none() => {
            return refuse("max cloud", "no asset says which pixels are clouds".into());
        }
        (0 | 1 | 3, Some(most)) if !(0.0..=1.0).contains(&most) => {
            return refuse("max cloud", "it is no share from 0 to 1".into());
        }
        (0 | 1 | 3, Some(_)) => {}
        (names, _) => {
            return refuse(
                "assets",
                format!("{names} names, where one or three are wanted"),
            );
        }
    }
    let area = config.intersects.as_deref().map(Area::open).transpose()?;
    Ok(config.windows.map(|tiling| SceneOptions {
        tiling,
        reading: config.reading,
        assets: config.assets.clone(),
        offset: config.offset,
        classes: config.cloud_asset.clone(),
        bbox: config.bbox,
        area,
        time: config.datetime,
    }))
}

pub(super) fn check(config: &JobConfig, facts: &Facts) -> Result<()> {
    let positive = [
        ("batch size", config.batch_size),
        ("rows per part", config.rows_per_part),
    ];
    for (what, value) in positive {
        if value == 0 || value > 1 << 30 {
            return Err(Error::Argument {
                what,
                reason: format!("{value} is not between 1 and {}", 1 << 30),
            });
        }
    }
    if config.metadata.is_some() && facts.arch.metadata.is_none() {
        return Err(Error::Unsupported {
            model: facts.record.id.clone(),
            what: "embed metadata: it has no metadata tower".into(),
        });
    }
    if config.vectors != VectorType::F32 && config.format != super::Format::Parquet {
        return Err(Error::Argument {
            what: "vectors",
            reason: format!(
                "`{}` holds 32-bit floats alone; Parquet has a choice",
                config.format
            ),
        });
    }
    if config.destination == Destination::Stdout && config.format != super::Format::Jsonl {
        return Err(Error::Argument {
            what: "format",
            reason: format!("standard output takes `jsonl`, not `{}`", config.format),
        });
    }
    if let Destination::File(path) = &config.destination
        && super::Format::from_path(path) != Some(config.format)
    {
        return Err(Error::Argument {
            what: "format",
            reason: format!(
                "`{}` is no name of a `.{}` file",
                path.display(),
                config.format
            ),
        });
    }
    names_what_it_is(&config.destination)
}

/// Why an address is no output.
const IS_ADDRESS: &str = "an address, where a file or folder of this machine is wanted (the parts of a plan alone may be in a store)";

/// Whether an output is an address, which would become a folder of that name.
pub(super) fn is_address(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains("://"))
}

/// Refuses names that would become others: folders with the ending of a file, and files with an ending in capitals.
fn names_what_it_is(destination: &Destination) -> Result<()> {
    const FILES: [&str; 16] = [
        "csv", "tsv", "txt", "json", "ndjson", "geojson", "npz", "pt", "h5", "hdf5", "arrow",
        "feather", "tar", "gz", "zip", "zst",
    ];
    let refuse = |path: &Path, reason: &str| {
        Err(Error::Argument {
            what: "output",
            reason: format!("`{}`: {reason}", path.display()),
        })
    };
    let (Destination::File(path) | Destination::Folder(path)) = destination else {
        return Ok(());
    };
    if is_address(path) {
        return refuse(path, IS_ADDRESS);
    }
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.unwrap_or_default();
    let lower = ending.to_ascii_lowercase();
    match destination {
        Destination::File(path) if lower != ending => {
            refuse(path, "write its ending in small letters")
        }
        Destination::Folder(path) if FILES.contains(&lower.as_str()) && !path.is_dir() => refuse(
            path,
            "such files are not written; end it in .parquet, .npy or .jsonl, or in nothing for a folder of parts",
        ),
        _ => Ok(()),
    }
}

/// Goes through the inputs once, to count and fingerprint them and to find unique file names.
fn list(
    inputs: &Inputs,
    config: &JobConfig,
    stop: &Stop,
    mut table: Option<&mut Table>,
) -> Result<Listing> {
    let listing = inputs.visit(&mut |item| {
        if let Some(table) = &mut table {
            table.note(&item);
        }
        stop.flow()
    })?;
    if stop.is_raised() {
        return Err(Error::Interrupted);
    }
    match listing.items {
        0 => Err(empty(config, &listing)),
        _ => Ok(listing),
    }
}

/// The inputs as they were given, without secrets.
pub(super) fn given(config: &JobConfig) -> Vec<String> {
    let inputs = config.inputs.iter();
    inputs.map(|path| shown_input(path)).collect()
}

/// That there is nothing to embed.
pub(super) fn empty(config: &JobConfig, listing: &Listing) -> Error {
    let given = given(config).join(", ");
    match listing.outside {
        0 => nothing(&given, listing.ignored),
        outside => Error::Input {
            input: given,
            reason: format!(
                "no window there touches the ground at the time that was asked for ({outside} scenes)"
            ),
            source: None,
        },
    }
}

/// Reads the first image that can be read, for the job's record.
///
/// # Errors
/// [`Error::Argument`] where options say what no image of the first few can have, and the image's own
/// error where none of a few can be read without an option.
fn peek(inputs: &Inputs, options: &ReadOptions) -> Result<Option<FirstRead>> {
    const MOST: u64 = 16;
    let given = options.bands != Bands::Auto || options.scale != Scale::Auto;
    let (mut first, mut refused, mut others) = (None, None, false);
    inputs.visit(&mut |item| {
        if item.index >= MOST {
            others = true;
            return ControlFlow::Break(());
        }
        let id = item.id.clone();
        let read = match item.source {
            Contents::Window { scene, .. } => Ok(Ok(scene.scene.reading().clone())),
            Contents::Refused(error) => Ok(Err(*error)),
            _ => {
                let Ok(bytes) = input::read(item, inputs.remote(), options.limits.max_bytes())
                else {
                    others = true;
                    return ControlFlow::Continue(());
                };
                guarded(|| decode(&bytes, &id, options).map(|picture| picture.reading().clone()))
            }
        };
        match read {
            Ok(Ok(reading)) => {
                first = Some(FirstRead::of(id, &reading));
                return ControlFlow::Break(());
            }
            Ok(Err(Error::Image { fault, .. })) if is_about_options(&fault) => {
                refused.get_or_insert((id, fault));
            }
            Ok(Err(_)) | Err(_) => others = true,
        }
        ControlFlow::Continue(())
    })?;
    match refused {
        Some((id, fault)) if first.is_none() => match fault {
            ImageFault::Option(reason) if given => Err(Error::Argument {
                what: "bands or scale",
                reason: format!("`{id}`: {reason}"),
            }),
            fault if !others => Err(Error::Image { item: id, fault }),
            _ => Ok(None),
        },
        _ => Ok(first),
    }
}

/// Whether other options would read the image.
fn is_about_options(fault: &ImageFault) -> bool {
    matches!(
        fault,
        ImageFault::Option(_) | ImageFault::NeedsScale { .. } | ImageFault::NeedsBands { .. }
    )
}

pub(super) fn nothing(input: &str, ignored: u64) -> Error {
    let endings = super::input::EXTENSIONS.join(", ");
    let others = match ignored {
        0 => String::new(),
        1 => " (1 other file)".into(),
        several => format!(" ({several} other files)"),
    };
    Error::Input {
        input: input.to_owned(),
        reason: format!(
            "no image there{others}, nor a scene of a catalogue; in folders and archives, images are files that end in \
             {endings}"
        ),
        source: None,
    }
}

pub(super) fn changed(reason: &str) -> Error {
    Error::Input {
        input: "the inputs".into(),
        reason: reason.into(),
        source: None,
    }
}

/// The output's columns.
fn columns(config: &JobConfig, facts: &Facts, embed_metadata: bool) -> Vec<super::ColumnSpec> {
    // Each window has a place of its own.
    let windows = config.windows.is_some() && facts.arch.metadata.is_some();
    let table = config.metadata.is_some() || config.joined.is_some();
    let known = table || windows;
    let with_metadata = embed_metadata && known;
    config.features.columns(&facts.arch, with_metadata)
}

/// The record of a job whose inputs a plan lists.
pub(super) fn record_of(config: &JobConfig, facts: &Facts) -> Result<JobRecord> {
    let columns = columns(config, facts, !config.images_only);
    let area = config.intersects.as_deref().map(Area::open).transpose()?;
    record(config, facts, None, None, &columns, area.as_ref())
}

/// The record of a table.
pub(super) fn table_record(table: &TableConfig) -> Result<MetadataRecord> {
    let (_, sha256) = sha256::of_file(&table.path).map_err(|e| Error::io(&table.path, e))?;
    Ok(MetadataRecord {
        file: table.path.display().to_string(),
        sha256,
        map: table.map.clone(),
    })
}

fn record(
    config: &JobConfig,
    facts: &Facts,
    listing: Option<Listing>,
    first: Option<FirstRead>,
    columns: &[super::ColumnSpec],
    area: Option<&Area>,
) -> Result<JobRecord> {
    let text = |path: &Path| path.display().to_string();
    let metadata = match &config.joined {
        Some(joined) => Some(joined.clone()),
        None => config.metadata.as_ref().map(table_record).transpose()?,
    };
    let parts = config.rows_per_part.div_ceil(config.batch_size);
    Ok(JobRecord {
        format: 2,
        satmip: env!("CARGO_PKG_VERSION").into(),
        model: facts.record.clone(),
        engine: facts.engine.clone(),
        preprocessing: facts.arch.preprocessing.clone(),
        input: InputRecord {
            given: given(config),
            plan: None,
            items: listing.map(|l| l.items),
            sha256: listing.map(|l| l.chain.hex()),
            windows: config.windows.map(|tiling| WindowsRecord {
                tiling,
                assets: config.assets.clone(),
                offset: config.offset.to_string(),
                resolution: match config.reading.resolution {
                    Resolution::Overview(number) => Some(format!("overview {number}")),
                    Resolution::Gsd(metres) => Some(format!("{metres} m")),
                    _ => None,
                },
                cloud_asset: config.cloud_asset.clone(),
                max_cloud: config.max_cloud,
                bbox: config.bbox.map(|sides| sides.to_string()),
                intersects: area.map(|area| AreaRecord {
                    file: text(&area.path),
                    sha256: area.sha256.clone(),
                }),
                grid: config.grid.map(|grid| grid.to_string()),
                datetime: config.datetime.map(|span| span.to_string()),
            }),
        },
        reading: ReadingRecord {
            bands: config.reading.bands.to_string(),
            scale: config.reading.scale.to_string(),
            min_valid: config.reading.min_valid,
            nodata: config.reading.nodata,
            missing_pixels: "the mean of the valid ones".into(),
            first,
        },
        metadata,
        output: OutputRecord {
            format: config.format,
            vectors: config.vectors,
            columns: columns.iter().map(|c| c.name.to_owned()).collect(),
            batch_size: config.batch_size.min(facts.batch_size),
            rows_per_part: parts * config.batch_size,
            max_pixels: config.reading.limits.max_pixels,
        },
    })
}

/// What a file of vectors says about their origin.
fn provenance(record: &JobRecord) -> Result<Vec<(String, String)>> {
    let json = super::ledger::json(Path::new("provenance"), &record.preprocessing)?;
    // Without the first picture: how each was read stands in the footer, too, and a stream has none.
    let reading = ReadingRecord {
        first: None,
        ..record.reading.clone()
    };
    let reading = super::ledger::json(Path::new("provenance"), &reading)?;
    let mut pairs = vec![
        ("satmip.version", record.satmip.clone()),
        ("satmip.model", record.model.id.clone()),
        ("satmip.model_version", record.model.version.clone()),
        ("satmip.model_precision", record.model.precision.clone()),
        ("satmip.bundle_sha256", record.model.bundle_sha256.clone()),
        ("satmip.engine", record.engine.clone()),
        (
            "satmip.preprocessing",
            String::from_utf8_lossy(&json).into_owned(),
        ),
        (
            "satmip.read_options",
            String::from_utf8_lossy(&reading).into_owned(),
        ),
    ];
    if let Some(windows) = &record.input.windows {
        pairs.push(("emb", embeddings(windows, record)));
    }
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    Ok(pairs.into_iter().map(owned).collect())
}

/// What the vectors of windows are, by the fields of the draft extension of STAC for embeddings, version 0.0.1.
fn embeddings(windows: &WindowsRecord, record: &JobRecord) -> String {
    let (tile, stride) = (windows.tiling.tile, windows.tiling.stride);
    let layout = json!({"layout_type": "regular_grid", "chip_size": [tile, tile], "stride": [stride, stride]});
    let model = json!({"id": record.model.id, "version": record.model.version, "sha256": record.model.bundle_sha256});
    json!({
        "version": "0.0.1",
        "emb:type": "chip",
        "data_type": record.output.vectors.stac(),
        "emb:chip_layout": layout,
        "model": model,
    })
    .to_string()
}

fn workers(config: &JobConfig) -> usize {
    match config.workers {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n => n.min(1024),
    }
}

/// The first few bad items are warnings, the rest is in the errors' file.
fn log(skipped: &[Skipped], before: u64) {
    const LOUD: u64 = 5;
    for (row, before) in skipped.iter().zip(before..) {
        let hint = row.hint.iter().map(|hint| format!("; {hint}"));
        let (reason, hint) = (&row.reason, hint.collect::<String>());
        // Its image is embedded.
        let what = match row.kind {
            SkipKind::Metadata => "no metadata of",
            _ => "skipped",
        };
        if before < LOUD {
            tracing::warn!("{what} `{}`: {reason}{hint}", row.id);
        } else {
            tracing::debug!("{what} `{}`: {reason}", row.id);
        }
    }
}

pub(super) fn warn(found: &Listing, metadata: Option<JoinReport>) {
    if found.ignored > 0 {
        tracing::info!("{} files were left aside: no image's name", found.ignored);
    }
    let Some(join) = metadata else { return };
    if join.unreadable_rows > 0 {
        let rows = join.unreadable_rows;
        tracing::warn!("{rows} rows of the table could not be read, and are left out");
    }
    if join.without_fields > 0 {
        tracing::warn!(
            "{} items have a row without any field that the model reads: their metadata vector is \
             null",
            join.without_fields
        );
    }
    if join.joined == 0 {
        tracing::warn!("no row of the table belongs to any item: are these the same files?");
    } else if join.items_without_row + join.rows_without_item > 0 {
        tracing::warn!(
            "{} items have no row in the table ({} for want of a unique path or file name), {} rows have no item",
            join.items_without_row,
            join.ambiguous,
            join.rows_without_item
        );
    }
    if join.elsewhere > 0 {
        tracing::warn!(
            "of {} items the table has the file name in another folder: a row is joined by the whole path that it \
             names, or by a file name alone",
            join.elsewhere
        );
    }
}
