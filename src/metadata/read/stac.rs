//! SpatioTemporal Asset Catalog (STAC) items of versions 0.x and 1.x.
//!
//! | field | where it is looked for, first hit first |
//! |---|---|
//! | gsd | `gsd` of the red, green and blue bands or of the picture's assets (the finest); `gsd` or `eo:gsd` of the item; `gsd` that all data assets agree on; `spatial_resolution` of the colour assets; `proj:transform`, on the ground; `sar:pixel_spacing_range` and `_azimuth` |
//! | timestamp | `datetime`; if null, the middle of `start_datetime` and `end_datetime` where they lie at most a day apart, to the second |
//! | location | centre of `bbox`, else of `geometry` (also across the antimeridian), else `proj:centroid`, else the centre by `proj:transform` and `proj:shape` |
//! | utm_zone | `mgrs:*`, `s2:mgrs_tile`, `grid:code`, `sentinel:*`; else the zone of the projection with the band of the latitude |
//! | cloud_cover | `eo:cloud_cover`, `cloud_cover` |
//! | wavelengths | `center_wavelength` of the red, green and blue bands, in this order, when all three are there |
//! | sun angles | `view:sun_*`, `eo:sun_*`, `s2:mean_solar_*` (elevation is 90 less the zenith angle), `landsat:sun_*`, `sun_*` |
//! | target_azimuth_angle | `view:azimuth`, `eo:azimuth` |
//! | off_nadir_angle | `view:off_nadir`, `eo:off_nadir` |
//! | sensor_platform | `platform`, `eo:platform` |
//!
//! The projection is `proj:code`, `proj:epsg` or the id of `proj:projjson`; it and its grid stand at
//! the item or at the assets, where those of the picture's come first: the assets of red, green and
//! blue, else those called `visual`, `data` and the like, else those of the role `data` that agree.
//! A projection that is not known says nothing.
//!
//! `view:incidence_angle` is not the off-nadir angle (the Earth curves away between the two), and
//! some producers put the elevation of the sensor there: it is not read. `view:azimuth` is taken as
//! it stands; the text of the view extension has it point from the sensor to the target, but what
//! Maxar and Sentinel-2 catalogues state is the azimuth from the target to the sensor, as here.
//! `created`, `updated` and `published` are dates of files, and not read. Nothing is read for
//! pixel_size, country_code, scan_direction and multispectral_gsd: grids in degrees are stated for
//! radar pictures too, which lie on none.
//!
//! A key that is missing, null or a word like `NA` leaves its field absent; anything else that
//! is no number (or no text), and a number out of range, is an error that names the item.

use serde_json::Value;

use super::assets::Bands;
use super::grid::{self, Grid};
use super::json::{self, Entry, Object};
use super::normalise::{self, Source};
use super::{footprint, short, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::crs::{Crs, PixelSize};
use crate::metadata::{Field, Metadata, Timestamp};

/// Whether a document looks like a STAC item or a collection of items.
#[doc(hidden)]
pub fn is_stac(document: &Value) -> bool {
    match document.get("type").and_then(Value::as_str) {
        Some("Feature") => {
            let has_assets = document.get("assets").is_some_and(Value::is_object);
            document.get("stac_version").is_some() || has_assets
        }
        Some("FeatureCollection") => document.get("features").is_some_and(Value::is_array),
        _ => false,
    }
}

/// The items of a document: itself, or the features of a collection.
#[doc(hidden)]
pub fn items(document: &Value) -> impl Iterator<Item = &Value> {
    let features = match document.get("features").and_then(Value::as_array) {
        Some(features) => features.as_slice(),
        None => std::slice::from_ref(document),
    };
    features.iter()
}

/// The id of an item.
#[doc(hidden)]
pub fn id(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

/// What a document of STAC is that is no item; none where it is none of these.
///
/// Version 0.x has no `type` there: a collection has an extent, a catalogue links alone.
pub(super) fn other_kind(document: &Value) -> Option<&'static str> {
    let has = |key: &str| document.get(key).is_some();
    match document.get("type").and_then(Value::as_str) {
        Some("Collection") => Some("a STAC collection"),
        Some("Catalog") => Some("a STAC catalogue"),
        None if has("stac_version") && has("extent") => Some("a STAC collection"),
        None if has("stac_version") && has("links") => Some("a STAC catalogue"),
        _ => None,
    }
    .filter(|_| has("stac_version") || has("links"))
}

/// Why a document of [`other_kind`] is refused.
pub(super) fn no_item(kind: &str) -> String {
    format!("it is {kind}, not an item: it says nothing of one picture")
}

/// Reads a STAC item.
#[doc(hidden)]
pub fn read(item: &Value) -> Result<Metadata> {
    let origin = id(item).unwrap_or("STAC item");
    let refuse = |reason: &str| Err(unreadable(origin, reason));
    if let Some(kind) = other_kind(item) {
        return refuse(&no_item(kind));
    }
    match item.get("type").and_then(Value::as_str) {
        Some("Feature") if is_stac(item) => {}
        Some("FeatureCollection") => {
            return refuse("it is a collection of items, not one item");
        }
        _ => return refuse("the JSON is no STAC item"),
    }
    let Some(properties) = item.get("properties").and_then(Value::as_object) else {
        return refuse("the item has no `properties`");
    };
    fields(item, properties).map_err(|e| unreadable(origin, e.to_string()))
}

/// Numbers of the item, by the keys that state them.
const NUMBERS: [(Field, &[&str]); 4] = [
    (Field::CloudCover, &["eo:cloud_cover", "cloud_cover"]),
    (Field::TargetAzimuthAngle, &["view:azimuth", "eo:azimuth"]),
    (
        Field::SunAzimuthAngle,
        &[
            "view:sun_azimuth",
            "eo:sun_azimuth",
            "s2:mean_solar_azimuth",
            "landsat:sun_azimuth",
            "sun_azimuth",
        ],
    ),
    (Field::OffNadirAngle, &["view:off_nadir", "eo:off_nadir"]),
];

fn fields(item: &Value, properties: &Object) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    let source = Source {
        constellation: words(properties, Field::SensorPlatform, "constellation")?,
        ..Source::default()
    };
    let bands = Bands::of(item, properties)?;
    let crs = Projections::of(properties, &bands);
    if let Some(time) = timestamp(properties)? {
        metadata.set_time(time);
    }
    if let Some((lon, lat)) = centre(item, properties, &crs) {
        metadata.set_location(lon, lat)?;
    }
    let place = metadata.location().map(|place| (place.lon(), place.lat()));
    let size = crs.pixel_size(place);
    if let Some((x, y)) = gsd(properties, &bands, size)? {
        normalise::numbers(&mut metadata, Field::Gsd, &[x, y], &source)?;
    }
    if let Some(zone) = zone(properties)? {
        normalise::text(&mut metadata, Field::UtmZone, &zone, &source)?;
        normalise::settle_zone(&mut metadata)?;
    } else if let Some(crs) = &crs.one {
        grid::set_zone(&mut metadata, crs)?;
    }
    for (field, keys) in NUMBERS {
        if let Some(value) = first(properties, field, keys)? {
            normalise::number(&mut metadata, field, value, &source)?;
        }
    }
    if let Some(angle) = sun_elevation(properties)? {
        normalise::number(&mut metadata, Field::SunElevationAngle, angle, &source)?;
    }
    if let [Some(red), Some(green), Some(blue)] = bands.wavelengths {
        let wavelengths = [red, green, blue];
        normalise::numbers(&mut metadata, Field::Wavelengths, &wavelengths, &source)?;
    }
    let name = words(properties, Field::SensorPlatform, "platform")?;
    let name = name.or(words(properties, Field::SensorPlatform, "eo:platform")?);
    if let Some(name) = name {
        normalise::text(&mut metadata, Field::SensorPlatform, name, &source)?;
    }
    Ok(metadata)
}

/// The text under a key; anything else that is there is an error.
fn words<'a>(object: &'a Object, field: Field, key: &str) -> Result<Option<&'a str>> {
    json::only_text(object, key).map_err(|value| {
        let reason = format!("`{key}` is no text");
        Error::field(field.name(), short(&value.to_string()), reason)
    })
}

/// The first of these keys that has a number.
pub(super) fn first(object: &Object, field: Field, keys: &[&str]) -> Result<Option<f64>> {
    for key in keys {
        match json::entry(object, key) {
            Entry::Number(number) => return Ok(Some(number)),
            Entry::Absent => {}
            Entry::Junk(value) => {
                let reason = format!("`{key}` is no number");
                return Err(Error::field(
                    field.name(),
                    short(&value.to_string()),
                    reason,
                ));
            }
        }
    }
    Ok(None)
}

fn sun_elevation(properties: &Object) -> Result<Option<f64>> {
    const ELEVATION: [&str; 4] = [
        "view:sun_elevation",
        "eo:sun_elevation",
        "landsat:sun_elevation",
        "sun_elevation",
    ];
    const ZENITH: [&str; 2] = ["s2:mean_solar_zenith", "view:sun_zenith"];
    Ok(
        match first(properties, Field::SunElevationAngle, &ELEVATION)? {
            Some(elevation) => Some(elevation),
            None => {
                first(properties, Field::SunElevationAngle, &ZENITH)?.map(|zenith| 90.0 - zenith)
            }
        },
    )
}

fn gsd(properties: &Object, bands: &Bands, size: Option<PixelSize>) -> Result<Option<(f64, f64)>> {
    let stated = first(properties, Field::Gsd, &["gsd", "eo:gsd"])?;
    let one = bands.gsd.or(stated).or(bands.data_gsd).or(bands.resolution);
    if let Some(gsd) = one {
        return Ok(Some((gsd, gsd)));
    }
    if let Some(PixelSize::Metres(x, y)) = size {
        return Ok(Some((x, y)));
    }
    let range = first(properties, Field::Gsd, &["sar:pixel_spacing_range"])?;
    let azimuth = first(properties, Field::Gsd, &["sar:pixel_spacing_azimuth"])?;
    Ok(range.zip(azimuth))
}

fn timestamp(properties: &Object) -> Result<Option<Timestamp>> {
    let time = |key| {
        words(properties, Field::Timestamp, key)?
            .map(|text| time_text::rfc3339(text).parse::<Timestamp>())
            .transpose()
    };
    if let Some(time) = time("datetime")? {
        return Ok(Some(time));
    }
    let interval = time("start_datetime")?.zip(time("end_datetime")?);
    Ok(interval.and_then(|(start, end)| time_text::middle(start, end)))
}

fn centre(item: &Value, properties: &Object, crs: &Projections) -> Option<(f64, f64)> {
    let stated = || {
        let centroid = properties.get("proj:centroid")?.as_object()?;
        json::number(centroid, "lon").zip(json::number(centroid, "lat"))
    };
    item.get("bbox")
        .and_then(footprint::centre_of_bbox)
        .or_else(|| item.get("geometry").and_then(footprint::centre_of_geometry))
        .or_else(stated)
        .or_else(|| crs.grids.iter().find_map(Grid::centre))
}

/// The projections of an item and its picture.
#[derive(Debug, Default)]
struct Projections {
    /// The one that all that is known of the picture has.
    one: Option<Crs>,
    /// The grids that are complete: those of the picture's assets, else the item's.
    grids: Vec<Grid>,
}

impl Projections {
    fn of(properties: &Object, bands: &Bands) -> Self {
        let whole = json::epsg(properties);
        // Keys of an asset count before the item's.
        let code = |asset: &Object| json::epsg(asset).or(whole);
        let grid = |code: Option<u32>, of: &Object| {
            let numbers = |key| {
                let there = of.get(key).or_else(|| properties.get(key));
                there.and_then(json::numbers)
            };
            let transform = of.get("proj:transform").and_then(json::numbers)?;
            Some(Grid {
                crs: Crs::from_epsg(code?).ok()?,
                transform: grid::transform_of(&transform)?,
                size: numbers("proj:shape").and_then(|n| grid::size_of(&n)),
            })
        };
        let mut grids: Vec<Grid> = bands
            .grids
            .iter()
            .filter_map(|asset| grid(code(asset), asset))
            .collect();
        if grids.is_empty() {
            grids.extend(grid(whole, properties));
        }
        let mut codes: Vec<u32> = bands.grids.iter().filter_map(code).collect();
        codes.extend(whole.filter(|_| codes.is_empty()));
        codes.dedup();
        let one = match codes[..] {
            [code] => Crs::from_epsg(code).ok(),
            _ => None,
        };
        Projections { one, grids }
    }

    /// The finest pixel of the grids.
    fn pixel_size(&self, place: Option<(f64, f64)>) -> Option<PixelSize> {
        let area = |size: &PixelSize| match *size {
            PixelSize::Metres(x, y) | PixelSize::Degrees(x, y) => x * y,
        };
        let sizes = self.grids.iter().filter_map(|grid| grid.pixel_size(place));
        sizes.min_by(|a, b| area(a).total_cmp(&area(b)))
    }
}

fn zone(properties: &Object) -> Result<Option<String>> {
    let field = Field::UtmZone;
    let parts = |number, band| {
        let number = json::number(properties, number)?;
        Some(format!("{number}{}", json::text(properties, band)?))
    };
    if let Some(zone) = parts("mgrs:utm_zone", "mgrs:latitude_band")
        .or_else(|| parts("sentinel:utm_zone", "sentinel:latitude_band"))
    {
        return Ok(Some(zone));
    }
    // Codes of other grids are no zone of this one.
    let tile = words(properties, field, "s2:mgrs_tile")?.and_then(normalise::grid_zone);
    let code = words(properties, field, "grid:code")?;
    let code = code.filter(|code| code.starts_with("MGRS-"));
    Ok(tile.or_else(|| code.and_then(normalise::grid_zone)))
}
