//! Where a window of a scene lies, as it is written.

use satmip::image::Region;
use satmip::scene::Footprint;
use satmip::{Metadata, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::input::OpenScene;

/// What is written of a window. It comes back from JSON to the bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowRow {
    /// Where the scene is, as the input has it.
    pub(crate) source: String,
    /// Its STAC item, and the item's collection.
    pub(crate) item: Option<String>,
    pub(crate) collection: Option<String>,
    /// First column and row, width and height, in pixels of the scene as it is stored.
    pub(crate) window: [u32; 4],
    /// The scene's coordinate system, as `EPSG:32633`.
    pub(crate) projection: Option<String>,
    /// Metres of a pixel along a row, the bits of an `f32`.
    gsd: Option<u32>,
    /// The share of its pixels with data that are clouds, the bits of an `f32`.
    #[serde(default)]
    cloud: Option<u32>,
    /// What a grid calls its centre.
    #[serde(default)]
    pub(crate) cell: Option<String>,
    /// When the picture was taken, as RFC 3339 or a date.
    pub(crate) datetime: Option<String>,
    /// The bits of the corners' longitudes and latitudes.
    corners: Option<[(u64, u64); 4]>,
}

impl WindowRow {
    /// Of a window whose place says this.
    pub(crate) fn of(
        open: &OpenScene,
        window: Region,
        cloud: Option<f32>,
        place: Option<&Metadata>,
        time: Option<Timestamp>,
        cell: Option<String>,
    ) -> Self {
        let scene = &open.scene;
        let bits = |(lon, lat): (f64, f64)| (lon.to_bits(), lat.to_bits());
        let footprint = scene.footprint(window);
        // What a table lists is no item.
        let item = open.item.as_ref().filter(|item| item.file.is_none());
        let gsd = place.and_then(|place| place.gsd().or_else(|| place.derive_missing().gsd()));
        WindowRow {
            source: open.source.clone(),
            item: item.map(|item| item.id.clone()),
            collection: item.and_then(|item| item.collection.clone()),
            window: [window.left, window.top, window.width, window.height],
            projection: scene.projection(),
            gsd: gsd.map(|gsd| (gsd.x as f32).to_bits()),
            cloud: cloud.map(f32::to_bits),
            cell,
            datetime: time.map(|time| time.to_string()),
            corners: footprint.map(|footprint| footprint.corners().map(bits)),
        }
    }

    /// Metres of a pixel along a row.
    pub(crate) fn gsd(&self) -> Option<f32> {
        self.gsd.map(f32::from_bits)
    }

    /// The share of its pixels with data that are clouds.
    pub(crate) fn cloud(&self) -> Option<f32> {
        self.cloud.map(f32::from_bits)
    }

    /// Where it lies on the ground.
    pub(crate) fn footprint(&self) -> Option<Footprint> {
        let corners = self.corners?;
        let corners = corners.map(|(lon, lat)| (f64::from_bits(lon), f64::from_bits(lat)));
        Some(Footprint::from_corners(corners))
    }

    /// Adds what is known of it to a line of JSON.
    pub(crate) fn describe(&self, line: &mut Map<String, Value>) {
        line.insert("source".into(), json!(self.source));
        line.insert("item_id".into(), json!(self.item));
        line.insert("collection".into(), json!(self.collection));
        line.insert("window".into(), json!(self.window));
        line.insert("proj_code".into(), json!(self.projection));
        line.insert("gsd".into(), json!(self.gsd()));
        line.insert("cloud".into(), json!(self.cloud()));
        line.insert("grid_cell".into(), json!(self.cell));
        line.insert("datetime".into(), json!(self.datetime));
        line.insert(
            "bbox".into(),
            json!(self.footprint().map(|place| place.bbox())),
        );
    }
}
