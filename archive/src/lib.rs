//! The batch job: images of folders, lists and archives in, files of embeddings out.
//!
//! ```no_run
//! use satmip_archive::{Destination, JobConfig, run};
//!
//! let model = satmip::Embedder::builder("satmip-lite").load()?;
//! let config = JobConfig::new(["archive.tar"], Destination::Folder("embeddings".into()));
//! let report = run(&config, &model, &mut |progress| {
//!     tracing::info!(items = progress.items, "embedded");
//!     std::ops::ControlFlow::Continue(())
//! })?;
//! assert_eq!(report.skipped, 0);
//! # Ok::<(), satmip::Error>(())
//! ```
//!
//! **Order and bytes.** Output order is input order, and the same input gives the same bytes for
//! any number of workers: batches and parts end where the input's order says.
//!
//! **A folder of parts can be resumed.** Each part is written aside, brought to the disk, renamed,
//! and then entered in `ledger.jsonl`. `job.json` says what the job is. The same job run again goes
//! on after the last complete part, or where [`JobConfig::stop`] ended it (the rows of the part that was not
//! complete are in `part-00003.partial` then), and ends with the same bytes; another job is refused, with the
//! differences. Nothing that a folder holds is removed or replaced without [`JobConfig::overwrite`]. What a *file* holds is not fingerprinted, its name is (of an archive also the
//! members' sizes).
//!
//! **A bad item is a row of `errors.jsonl`** ([`Skipped`]) and costs nothing else.
//!
//! **Memory** does not grow with the number of items, except: the names of one folder's own
//! entries, the table of metadata, and 16 bytes an item (to find double names) for everything but a
//! single folder.
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::broken_intra_doc_links,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod area;
mod assets;
mod catalogue;
mod filter;
mod grid;
mod input;
mod job;
mod join;
mod ledger;
mod location;
mod model;
mod output;
mod pipeline;
pub mod plan;
mod rasters;
#[cfg(feature = "remote")]
mod remote;
#[cfg(not(feature = "remote"))]
#[path = "remote/none.rs"]
mod remote;
mod skipped;
mod stop;
mod store;
mod survey;
mod table;
#[cfg(test)]
mod tests;
mod tiling;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use assets::Offset;
pub use catalogue::{CatalogueConfig, catalogue};
pub use filter::{BoundingBox, TimeSpan};
pub use grid::Grid;
pub use input::EXTENSIONS;
pub use job::{gather, run};
pub use join::JoinReport;
pub use output::{Format, VectorType};
pub use rasters::Rasters;
pub use skipped::{SkipKind, Skipped};
pub use store::Gathered;
pub use survey::{SceneFacts, Survey, preview, survey};
pub use table::column_map;
pub use tiling::{Edge, Tiling};

use output::ColumnSpec;
use satmip::arch::Arch;
use satmip::image::ReadOptions;
use worker::Vectors;

/// What to embed, how, and where it goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobConfig {
    /// Folders, `.txt` lists of paths, `.tar` archives, image files, STAC (`.json`, `.geojson`, `.ndjson`, `.jsonl`:
    /// items, collections of items, lines of items, static catalogues); `-` is standard input (a list or an archive). With several inputs an item's id begins with its folder or archive.
    pub inputs: Vec<PathBuf>,
    /// Where the vectors go.
    pub destination: Destination,
    /// The files' format.
    pub format: Format,
    /// The table that a plan has joined.
    pub(crate) joined: Option<ledger::MetadataRecord>,
    /// Which vectors are written.
    pub features: Features,
    /// How their numbers are stored; anything but 32 bits in Parquet alone.
    pub vectors: VectorType,
    /// A table of metadata, joined by file name.
    pub metadata: Option<TableConfig>,
    /// Threads that decode and embed; 0 is one for each core.
    pub workers: usize,
    /// Items in a batch, at least 1. Engines may differ in the last bits between batch sizes.
    pub batch_size: usize,
    /// Items in a part of a folder; rounded up to whole batches.
    pub rows_per_part: usize,
    /// How pictures are read: which bands, what samples mean, what they may cost.
    pub reading: ReadOptions,
    /// Leaves out the vectors of metadata, which windows of scenes get else even without a table.
    pub images_only: bool,
    /// How files are cut into windows, each an item of its own; none where each file is one picture.
    pub windows: Option<Tiling>,
    /// Of STAC items: the assets that are read, by key or by the common name of their band, one picture or red, green
    /// and blue. None are those called red, green and blue where [`ReadOptions::scale`] is given, else `visual`.
    pub assets: Vec<String>,
    /// Of STAC items: what is added to Sentinel-2's samples.
    pub offset: Offset,
    /// Of STAC items: the asset with Sentinel-2's scene classification (SCL), Landsat's QA_PIXEL or PlanetScope's UDM2, by
    /// which each window gets its share of clouds. Windows of a file that is none of these, such as a mask of 0 and 1,
    /// are left out.
    pub cloud_asset: Option<String>,
    /// Most clouds of a window, a share from 0 to 1; others are left out, and those of which it is not known stay.
    /// Needs [`JobConfig::cloud_asset`].
    pub max_cloud: Option<f32>,
    /// Of windows: only those that touch this box. Scenes without a place are left out with a reason.
    pub bbox: Option<BoundingBox>,
    /// Of windows: only those that touch a polygon of this file of GeoJSON.
    pub intersects: Option<PathBuf>,
    /// Names for the places of windows, at their centres: the column `grid_cell`.
    pub grid: Option<Grid>,
    /// Of STAC items: only those of this time.
    pub datetime: Option<TimeSpan>,
    /// Replace what another job wrote. The same job is resumed nevertheless, unless it is done.
    pub overwrite: bool,
    /// Set from outside to finish the batches that were begun, save them where the job can go on, and return
    /// [`Error::Interrupted`](satmip::Error::Interrupted).
    pub stop: Arc<AtomicBool>,
}

impl JobConfig {
    /// Batches of 8, parts of 10,000, Parquet in a folder or after the file's name.
    pub fn new<P: Into<PathBuf>>(
        inputs: impl IntoIterator<Item = P>,
        destination: Destination,
    ) -> Self {
        let format = match &destination {
            Destination::Folder(_) => Format::Parquet,
            Destination::File(path) => Format::from_path(path).unwrap_or_default(),
            Destination::Stdout => Format::Jsonl,
        };
        JobConfig {
            inputs: inputs.into_iter().map(Into::into).collect(),
            destination,
            format,
            features: Features::Embeds,
            vectors: VectorType::F32,
            metadata: None,
            joined: None,
            workers: 0,
            batch_size: 8,
            rows_per_part: 10_000,
            reading: ReadOptions::default(),
            images_only: false,
            windows: None,
            assets: Vec::new(),
            offset: Offset::Auto,
            cloud_asset: None,
            max_cloud: None,
            bbox: None,
            intersects: None,
            grid: None,
            datetime: None,
            overwrite: false,
            stop: Arc::default(),
        }
    }
}

/// Where a job's vectors go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder of parts, for jobs of any size: a killed job resumes.
    Folder(PathBuf),
    /// One file, written aside and renamed when it is complete; no resuming, and nothing of it stays where the job is
    /// stopped. Items that were left out are in `NAME.errors.jsonl`. NumPy arrays come as several files with one stem.
    File(PathBuf),
    /// JSON lines to standard output.
    Stdout,
}

impl Destination {
    /// A path that ends in `.parquet`, `.npy` or `.jsonl` is one file, `-` is standard output,
    /// everything else a folder.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if path == Path::new("-") {
            return Destination::Stdout;
        }
        match Format::from_path(&path) {
            Some(_) => Destination::File(path),
            None => Destination::Folder(path),
        }
    }

    /// Where the rows of items that were left out are written; they are only logged where the
    /// vectors go to standard output.
    pub fn errors_path(&self) -> Option<PathBuf> {
        match self {
            Destination::Folder(path) => Some(path.join(ledger::ERRORS)),
            Destination::File(path) => Some(store::errors_beside(&path.with_extension(""))),
            Destination::Stdout => None,
        }
    }
}

/// A table of metadata.
#[derive(Debug, Clone, Default)]
pub struct TableConfig {
    /// CSV or Parquet.
    pub path: PathBuf,
    /// Column to field (`Acquired` to `timestamp`), or to `key` for the column of file names;
    /// columns with the usual names are found without.
    pub map: BTreeMap<String, String>,
}

/// Which vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Features {
    /// `image_embedding` and `metadata_embedding`: unit vectors in the common space.
    #[default]
    Embeds,
    /// `image_features` and `metadata_features`: before the projector, what probes use.
    Features,
    /// All of them.
    Both,
}

impl Features {
    fn embeds(self) -> bool {
        self != Features::Features
    }

    fn features(self) -> bool {
        self != Features::Embeds
    }

    /// The chosen vectors of a tower, in the order of the columns.
    fn views(self, vectors: &Vectors) -> Vec<ArrayView2<'_, f32>> {
        let embeds = self.embeds().then(|| vectors.embeds.view());
        let features = self.features().then(|| vectors.features.view());
        embeds.into_iter().chain(features).collect()
    }

    /// The output's columns.
    fn columns(self, arch: &Arch, with_metadata: bool) -> Vec<ColumnSpec> {
        let mut columns = Vec::new();
        let mut add = |wanted: bool, name, dim, nullable| {
            if wanted {
                columns.push(ColumnSpec {
                    name,
                    dim,
                    nullable,
                });
            }
        };
        add(self.embeds(), "image_embedding", arch.embed_dim, false);
        add(
            self.features(),
            "image_features",
            arch.image.features(),
            false,
        );
        if let (true, Some(side)) = (with_metadata, &arch.metadata) {
            add(self.embeds(), "metadata_embedding", arch.embed_dim, true);
            add(
                self.features(),
                "metadata_features",
                side.tower.features(),
                true,
            );
        }
        columns
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Items done, those of an earlier run included.
    pub items: u64,
    /// Items of an earlier run.
    pub resumed: u64,
    /// All items; none while a stream has not ended.
    pub total: Option<u64>,
    /// Lines of `errors.jsonl` so far: items left out, and faults of metadata.
    pub skipped: u64,
}

/// What a job did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JobReport {
    /// Items of the input, bad ones included.
    pub items: u64,
    /// Rows in the output.
    pub rows: u64,
    /// Lines in `errors.jsonl`: items left out, which are those without a row, and faults of metadata
    /// ([`SkipKind::Metadata`]), of which items have a row nevertheless.
    pub skipped: u64,
    /// Files in folders and archives whose name is no image's.
    pub ignored: u64,
    /// Items that an earlier run had done.
    pub resumed: u64,
    /// Items whose name is no UTF-8; their ids have escapes (`\xHH`).
    pub escaped_names: u64,
    /// How the table of metadata fitted; none without a table.
    pub metadata: Option<JoinReport>,
}
