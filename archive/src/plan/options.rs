//! What decides the rows of a job, as a plan keeps it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::area::Area;
use crate::ledger::{AreaRecord, MetadataRecord};
use crate::output::Format;
use crate::tiling::Tiling;
use crate::{Destination, Features, JobConfig, VectorType};
use satmip::image::{DecodeLimits, ReadOptions, Resolution};
use satmip::{Error, Result};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Options {
    windows: Option<Tiling>,
    bands: String,
    scale: String,
    min_valid: f32,
    nodata: Option<f64>,
    max_pixels: u64,
    overview: Option<usize>,
    gsd: Option<f64>,
    assets: Vec<String>,
    offset: String,
    cloud_asset: Option<String>,
    max_cloud: Option<f32>,
    bbox: Option<String>,
    intersects: Option<AreaRecord>,
    grid: Option<String>,
    datetime: Option<String>,
    features: Features,
    vectors: VectorType,
    images_only: bool,
    format: Format,
    batch_size: usize,
    /// The table that was joined.
    metadata: Option<MetadataRecord>,
    pub(super) block_items: u64,
}

impl Options {
    pub(super) fn of(config: &JobConfig, metadata: Option<MetadataRecord>) -> Self {
        let batch = config.batch_size;
        let (overview, gsd) = match config.reading.resolution {
            Resolution::Overview(number) => (Some(number), None),
            Resolution::Gsd(metres) => (None, Some(metres)),
            _ => (None, None),
        };
        let area = config
            .intersects
            .as_deref()
            .and_then(|path| Area::open(path).ok());
        Options {
            windows: config.windows,
            bands: config.reading.bands.to_string(),
            scale: config.reading.scale.to_string(),
            min_valid: config.reading.min_valid,
            nodata: config.reading.nodata,
            max_pixels: config.reading.limits.max_pixels,
            overview,
            gsd,
            assets: config.assets.clone(),
            offset: config.offset.to_string(),
            cloud_asset: config.cloud_asset.clone(),
            max_cloud: config.max_cloud,
            bbox: config.bbox.map(|sides| sides.to_string()),
            intersects: area.map(|area| AreaRecord {
                file: area.path.display().to_string(),
                sha256: area.sha256,
            }),
            grid: config.grid.map(|grid| grid.to_string()),
            datetime: config.datetime.map(|span| span.to_string()),
            features: config.features,
            vectors: config.vectors,
            images_only: config.images_only,
            format: config.format,
            batch_size: batch,
            metadata,
            block_items: (config.rows_per_part.div_ceil(batch) * batch) as u64,
        }
    }

    /// The job again, with nothing that it embeds.
    ///
    /// # Errors
    /// Where the plan is of another version, or its polygons changed.
    pub(super) fn config(&self) -> Result<JobConfig> {
        let none: [PathBuf; 0] = [];
        let mut config = JobConfig::new(none, Destination::Stdout);
        let mut reading = ReadOptions::from(DecodeLimits::of_pixels(self.max_pixels));
        reading.bands = self.bands.parse()?;
        reading.scale = self.scale.parse()?;
        reading.min_valid = self.min_valid;
        reading.nodata = self.nodata;
        reading.resolution = match (self.overview, self.gsd) {
            (Some(number), _) => Resolution::Overview(number),
            (None, Some(metres)) => Resolution::Gsd(metres),
            (None, None) => Resolution::Full,
        };
        if !(1..=1 << 30).contains(&self.batch_size) {
            return Err(Error::Argument {
                what: "plan",
                reason: format!("batches of {} items", self.batch_size),
            });
        }
        config.reading = reading.with_min_valid(self.min_valid)?;
        let cut = |tiling: Tiling| Tiling::new(tiling.tile, tiling.stride, tiling.edge);
        config.windows = self.windows.map(cut).transpose()?;
        config.assets.clone_from(&self.assets);
        config.offset = self.offset.parse()?;
        config.cloud_asset.clone_from(&self.cloud_asset);
        config.max_cloud = self.max_cloud;
        config.bbox = self.bbox.as_deref().map(str::parse).transpose()?;
        config.grid = self.grid.as_deref().map(str::parse).transpose()?;
        config.datetime = self.datetime.as_deref().map(str::parse).transpose()?;
        if let Some(area) = &self.intersects {
            let path = PathBuf::from(&area.file);
            if Area::open(&path)?.sha256 != area.sha256 {
                return Err(Error::Argument {
                    what: "plan",
                    reason: format!("`{}` changed since the plan was made", area.file),
                });
            }
            config.intersects = Some(path);
        }
        config.features = self.features;
        config.vectors = self.vectors;
        config.images_only = self.images_only;
        config.format = self.format;
        config.batch_size = self.batch_size;
        config.joined.clone_from(&self.metadata);
        config.rows_per_part = usize::try_from(self.block_items).unwrap_or(usize::MAX);
        Ok(config)
    }
}
