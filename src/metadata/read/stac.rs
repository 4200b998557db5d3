//! SpatioTemporal Asset Catalog (STAC) items of versions 0.x and 1.x.
//!
//! | field | where it is looked for, first hit first |
//! |---|---|
//! | gsd | `gsd` of the red, green and blue bands or their assets (the finest); `gsd` or `eo:gsd` of the item; `spatial_resolution` of those assets; `proj:transform` in a projection in metres; `sar:pixel_spacing_range` and `_azimuth` |
//! | timestamp | `datetime`; if null, the middle of `start_datetime` and `end_datetime` where they lie at most a day apart, to the second |
//! | location | centre of `bbox`, else of `geometry` (also across the antimeridian), else `proj:centroid` |
//! | utm_zone | `mgrs:*`, `s2:mgrs_tile`, `grid:code`, `sentinel:*`; else the zone of `proj:epsg` or `proj:code` with the band of the latitude |
//! | cloud_cover | `eo:cloud_cover`, `cloud_cover`; a negative one means "not known" |
//! | wavelengths | `center_wavelength` of the red, green and blue bands, in this order, when all three are there |
//! | sun angles | `view:sun_*`, `eo:sun_*`, `s2:mean_solar_*` (elevation is 90 less the zenith angle), `landsat:sun_*`, `sun_*` |
//! | target_azimuth_angle | `view:azimuth`, `eo:azimuth` |
//! | off_nadir_angle | `view:off_nadir`, `eo:off_nadir` |
//! | sensor_platform | `platform`, `eo:platform`, spelled by [`platform::canonical_of`] |
//!
//! `view:incidence_angle` is not the off-nadir angle (the Earth curves away between the two), and
//! some producers put the elevation of the sensor there: it is not read. `view:azimuth` is taken as
//! it stands; the text of the view extension has it point from the sensor to the target, but what
//! Maxar and Sentinel-2 catalogues state is the azimuth from the target to the sensor, as here.
//! Nothing is read for pixel_size, country_code, scan_direction and multispectral_gsd.
//!
//! A key that is missing, null or a word like `NA` leaves its field absent; anything else that
//! is no number, and a number out of range, is an error that names the item.

use serde_json::Value;

use super::json::{self, Entry, Object};
use super::projection::Projection;
use super::{footprint, platform, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::{Field, Metadata, Timestamp};

/// The longest acquisition whose middle is taken for its time, in seconds.
///
/// A composite of more than a day has no time of acquisition (our choice).
const LONGEST_ACQUISITION: f64 = 86_400.0;

/// Whether a document looks like a STAC item or a collection of items.
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
pub fn items(document: &Value) -> impl Iterator<Item = &Value> {
    let features = match document.get("features").and_then(Value::as_array) {
        Some(features) => features.as_slice(),
        None => std::slice::from_ref(document),
    };
    features.iter()
}

/// The id of an item.
pub fn id(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

/// Reads a STAC item.
pub fn read(item: &Value) -> Result<Metadata> {
    let origin = id(item).unwrap_or("STAC item");
    let refuse = |reason: &str| Err(unreadable(origin, reason));
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

fn fields(item: &Value, properties: &Object) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    let bands = Bands::of(item, properties);
    let projection = epsg(properties).and_then(Projection::from_epsg);
    if let Some(gsd) = gsd(properties, &bands, projection)? {
        metadata.set_gsd(gsd)?;
    }
    if let Some(time) = timestamp(properties)? {
        metadata.set_timestamp(&time)?;
    }
    if let Some((lon, lat)) = centre(item, properties) {
        metadata.set_location(lon, lat)?;
    }
    let latitude = metadata.location().map(|place| place.lat);
    if let Some(zone) = zone(properties, projection, latitude) {
        metadata.set_utm_zone(&zone)?;
    }
    if let Some(percent) = first(
        properties,
        Field::CloudCover,
        &["eo:cloud_cover", "cloud_cover"],
    )? && percent >= 0.0
    {
        metadata.set_cloud_cover(percent)?;
    }
    if let [Some(red), Some(green), Some(blue)] = bands.wavelengths {
        metadata.set_wavelengths(&[red, green, blue])?;
    }
    if let Some(angle) = first(
        properties,
        Field::TargetAzimuthAngle,
        &["view:azimuth", "eo:azimuth"],
    )? {
        metadata.set_target_azimuth_angle(clockwise(angle))?;
    }
    if let Some(angle) = sun_azimuth(properties)? {
        metadata.set_sun_azimuth_angle(clockwise(angle))?;
    }
    if let Some(angle) = sun_elevation(properties)? {
        metadata.set_sun_elevation_angle(angle)?;
    }
    if let Some(angle) = first(
        properties,
        Field::OffNadirAngle,
        &["view:off_nadir", "eo:off_nadir"],
    )? {
        // The sign, where a producer gives one, tells the side.
        metadata.set_off_nadir_angle(angle.abs())?;
    }
    let name = json::text(properties, "platform").or(json::text(properties, "eo:platform"));
    if let Some(name) = name {
        let constellation = json::text(properties, "constellation");
        metadata.set_sensor_platform(&platform::canonical_of(name, constellation))?;
    }
    Ok(metadata)
}

/// The first of these keys that has a number.
fn first(object: &Object, field: Field, keys: &[&str]) -> Result<Option<f64>> {
    for key in keys {
        match json::entry(object, key) {
            Entry::Number(number) => return Ok(Some(number)),
            Entry::Absent => {}
            Entry::Junk(value) => {
                let reason = format!("`{key}` is no number");
                return Err(Error::field(field.name(), value, reason));
            }
        }
    }
    Ok(None)
}

/// An azimuth counted from -180 to 180 as one from 0 to 360.
fn clockwise(azimuth: f64) -> f64 {
    if (-180.0..0.0).contains(&azimuth) {
        azimuth + 360.0
    } else {
        azimuth
    }
}

fn sun_azimuth(properties: &Object) -> Result<Option<f64>> {
    const KEYS: [&str; 5] = [
        "view:sun_azimuth",
        "eo:sun_azimuth",
        "s2:mean_solar_azimuth",
        "landsat:sun_azimuth",
        "sun_azimuth",
    ];
    first(properties, Field::SunAzimuthAngle, &KEYS)
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

fn gsd(
    properties: &Object,
    bands: &Bands,
    projection: Option<Projection>,
) -> Result<Option<(f64, f64)>> {
    if let Some(gsd) = bands.gsd {
        return Ok(Some((gsd, gsd)));
    }
    if let Some(gsd) = first(properties, Field::Gsd, &["gsd", "eo:gsd"])? {
        return Ok(Some((gsd, gsd)));
    }
    if let Some(gsd) = bands.resolution {
        return Ok(Some((gsd, gsd)));
    }
    // Web Mercator's metres are none on the ground; degrees are no metres at all.
    if matches!(projection, Some(Projection::Utm { .. }))
        && let Some(gsd) = transform(properties)
    {
        return Ok(Some(gsd));
    }
    let range = first(properties, Field::Gsd, &["sar:pixel_spacing_range"])?;
    let azimuth = first(properties, Field::Gsd, &["sar:pixel_spacing_azimuth"])?;
    Ok(range.zip(azimuth))
}

/// The size of a pixel on each axis by `proj:transform`.
fn transform(properties: &Object) -> Option<(f64, f64)> {
    let numbers = properties.get("proj:transform")?.as_array()?;
    let mut numbers = numbers.iter().map_while(json::finite);
    let mut next = || numbers.next();
    let (a, b, _, d, e) = (next()?, next()?, next()?, next()?, next()?);
    let size = (a.hypot(d), b.hypot(e));
    (size.0 > 0.0 && size.1 > 0.0).then_some(size)
}

fn timestamp(properties: &Object) -> Result<Option<String>> {
    if let Some(time) = json::text(properties, "datetime") {
        return Ok(Some(time_text::rfc3339(time)));
    }
    let time = |key| {
        json::text(properties, key)
            .map(|text| time_text::rfc3339(text).parse::<Timestamp>())
            .transpose()
    };
    let (Some(start), Some(end)) = (time("start_datetime")?, time("end_datetime")?) else {
        return Ok(None);
    };
    let (start, end) = (start.unix_seconds(), end.unix_seconds());
    if !(0.0..=LONGEST_ACQUISITION).contains(&(end - start)) {
        return Ok(None);
    }
    let middle = Timestamp::from_unix_seconds(((start + end) / 2.0).floor() as i64)?;
    Ok(Some(middle.to_string()))
}

fn centre(item: &Value, properties: &Object) -> Option<(f64, f64)> {
    let stated = || {
        let centroid = properties.get("proj:centroid")?.as_object()?;
        json::number(centroid, "lon").zip(json::number(centroid, "lat"))
    };
    item.get("bbox")
        .and_then(footprint::centre_of_bbox)
        .or_else(|| item.get("geometry").and_then(footprint::centre_of_geometry))
        .or_else(stated)
}

fn epsg(properties: &Object) -> Option<u32> {
    let code = match json::entry(properties, "proj:epsg") {
        Entry::Number(code) => code,
        _ => json::text(properties, "proj:code")?
            .strip_prefix("EPSG:")?
            .parse()
            .ok()?,
    };
    (code.fract() == 0.0 && (1.0..=1e6).contains(&code)).then_some(code as u32)
}

fn zone(
    properties: &Object,
    projection: Option<Projection>,
    latitude: Option<f64>,
) -> Option<String> {
    let parts = |number, band| {
        let number = json::number(properties, number)?;
        Some(format!("{number}{}", json::text(properties, band)?))
    };
    parts("mgrs:utm_zone", "mgrs:latitude_band")
        .or_else(|| parts("sentinel:utm_zone", "sentinel:latitude_band"))
        .or_else(|| grid_zone(json::text(properties, "s2:mgrs_tile")?))
        .or_else(|| grid_zone(json::text(properties, "grid:code")?.strip_prefix("MGRS-")?))
        .or_else(|| projection?.utm_zone(latitude?))
}

/// The zone that the name of a tile of the military grid begins with: `06VVN` has `06V`.
fn grid_zone(tile: &str) -> Option<String> {
    let tile = tile.strip_prefix('T').unwrap_or(tile);
    let end = tile.find(|c: char| !c.is_ascii_digit())?;
    tile.get(..=end).map(str::to_owned)
}

/// What the red, green and blue bands of an item state.
#[derive(Debug, Default)]
struct Bands {
    /// Nanometres of red, green and blue.
    wavelengths: [Option<f64>; 3],
    /// The finest `gsd` of them or their assets, metres.
    gsd: Option<f64>,
    /// The finest `spatial_resolution` of their assets, metres.
    resolution: Option<f64>,
}

impl Bands {
    fn of(item: &Value, properties: &Object) -> Self {
        let mut bands = Bands::default();
        let listed = list(properties);
        for band in listed.iter().filter_map(Value::as_object) {
            bands.add(band);
        }
        let assets = item.get("assets").and_then(Value::as_object);
        for asset in assets.into_iter().flat_map(|assets| assets.values()) {
            if let Some(asset) = asset.as_object() {
                bands.add_asset(asset, listed);
            }
        }
        bands
    }

    fn add_asset(&mut self, asset: &Object, listed: &[Value]) {
        let mut colour = false;
        for band in list(asset) {
            // Version 0.x refers to the item's list by position.
            let band = match band.as_u64() {
                Some(index) => usize::try_from(index).ok().and_then(|i| listed.get(i)),
                None => Some(band),
            };
            if let Some(band) = band.and_then(Value::as_object) {
                colour |= self.add(band);
            }
        }
        if !colour {
            return;
        }
        for key in ["gsd", "eo:gsd"] {
            finest(&mut self.gsd, json::number(asset, key));
        }
        for key in ["raster:bands", "bands"] {
            for band in asset
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let band = band.as_object();
                for key in ["spatial_resolution", "raster:spatial_resolution"] {
                    finest(
                        &mut self.resolution,
                        band.and_then(|b| json::number(b, key)),
                    );
                }
            }
        }
        finest(
            &mut self.resolution,
            json::number(asset, "raster:spatial_resolution"),
        );
    }

    /// Takes what a band states; whether it is red, green or blue.
    fn add(&mut self, band: &Object) -> bool {
        let name = json::text(band, "common_name").or(json::text(band, "eo:common_name"));
        let Some(channel) = name.and_then(|name| {
            let colours = ["red", "green", "blue"];
            colours
                .iter()
                .position(|colour| name.eq_ignore_ascii_case(colour))
        }) else {
            return false;
        };
        let wavelength =
            json::number(band, "center_wavelength").or(json::number(band, "eo:center_wavelength"));
        let stated = &mut self.wavelengths[channel];
        *stated = stated.or(wavelength.map(nanometres));
        for key in ["gsd", "eo:gsd"] {
            finest(&mut self.gsd, json::number(band, key));
        }
        true
    }
}

fn list(object: &Object) -> &[Value] {
    ["eo:bands", "bands"]
        .iter()
        .find_map(|key| object.get(*key).and_then(Value::as_array))
        .map_or(&[], Vec::as_slice)
}

fn finest(kept: &mut Option<f64>, metres: Option<f64>) {
    if let Some(metres) = metres.filter(|metres| *metres > 0.0) {
        *kept = Some(kept.map_or(metres, |kept| kept.min(metres)));
    }
}

/// Nanometres from the micrometres of the eo extension, to the thousandth.
///
/// A number that is 100 or more can only have been meant in nanometres.
fn nanometres(wavelength: f64) -> f64 {
    let nanometres = if wavelength < 100.0 {
        wavelength * 1000.0
    } else {
        wavelength
    };
    (nanometres * 1000.0).round() / 1000.0
}
