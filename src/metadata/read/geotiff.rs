//! Tags of GeoTIFF files: where the picture lies and how large its pixels are.
//!
//! OGC GeoTIFF standard 1.1 (OGC 19-008r4). Read are ModelPixelScale with one ModelTiepoint, or
//! ModelTransformation; the GeoKeys that name the coordinate system; and DateTime. Pixels are not
//! touched, so the compression does not matter.
//!
//! | coordinate system | EPSG | gives |
//! |---|---|---|
//! | WGS84, NAD83, ETRS89 in degrees | 4326, 4269, 4258 | location, pixel_size |
//! | UTM on WGS84, NAD83, ETRS89 | 326xx, 327xx, 269xx, 258xx | location, gsd, utm_zone |
//! | Web Mercator | 3857 | location, gsd |
//!
//! The datums differ by less than 2.5 m and are taken as one (our choice). The gsd of UTM is the
//! grid's, as the file states it; the scale of a zone differs from 1 by at most 0.1 percent. The
//! gsd of Web Mercator is brought to the ground at the picture's centre. A file in any other
//! system is an error that names its EPSG code; a TIFF without any reference to the ground is
//! none, and has no location.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use proj4rs::proj::Proj;
use tiff::decoder::Decoder;
use tiff::decoder::ifd::Value;
use tiff::tags::Tag;

use super::projection::Projection;
use super::{caused, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::geotransform::GeoTransform;
use crate::metadata::{Metadata, Timestamp};

/// What is read from a GeoTIFF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeoTiffOptions {
    /// Whether TIFF's DateTime is taken as the timestamp, in UTC. On by default.
    ///
    /// The tag has the time when the file was made. Planet and others put the acquisition
    /// there, in NAIP files it may be months later; turn it off where that matters.
    pub date_time: bool,
}

impl Default for GeoTiffOptions {
    fn default() -> Self {
        GeoTiffOptions { date_time: true }
    }
}

/// Reads the tags of a file.
pub fn read(path: impl AsRef<Path>, options: &GeoTiffOptions) -> Result<Metadata> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    read_from(BufReader::new(file), &path.display().to_string(), options)
}

/// Reads the tags from anywhere, for example from memory; `origin` names it in errors.
pub fn read_from(
    reader: impl Read + Seek,
    origin: &str,
    options: &GeoTiffOptions,
) -> Result<Metadata> {
    let damaged = |e: tiff::TiffError| caused(origin, format!("not a readable TIFF: {e}"), e);
    let mut tiff = Decoder::new(reader).map_err(damaged)?;
    let tags = Tags::of(&mut tiff).map_err(damaged)?;
    fields(&tags, options).map_err(|reason| unreadable(origin, reason))
}

/// The tags as they stand in the file.
#[derive(Debug, Default)]
struct Tags {
    width: f64,
    height: f64,
    pixel_scale: Option<Vec<f64>>,
    tiepoints: Option<Vec<f64>>,
    transformation: Option<Vec<f64>>,
    geo_keys: Option<Vec<u16>>,
    date_time: Option<String>,
}

impl Tags {
    fn of<R: Read + Seek>(tiff: &mut Decoder<R>) -> tiff::TiffResult<Self> {
        let (width, height) = tiff.dimensions()?;
        let mut find = |tag| tiff.find_tag(tag);
        let doubles = |value: Option<Value>| value.map(Value::into_f64_vec).transpose();
        Ok(Tags {
            width: width.into(),
            height: height.into(),
            pixel_scale: doubles(find(Tag::ModelPixelScaleTag)?)?,
            tiepoints: doubles(find(Tag::ModelTiepointTag)?)?,
            transformation: doubles(find(Tag::ModelTransformationTag)?)?,
            geo_keys: find(Tag::GeoKeyDirectoryTag)?
                .map(Value::into_u16_vec)
                .transpose()?,
            // A DateTime of another type is no DateTime.
            date_time: find(Tag::DateTime)?.and_then(|value| value.into_string().ok()),
        })
    }

    fn transform(&self, pixel_is_point: bool) -> Result<Option<GeoTransform>, String> {
        GeoTransform::from_tags(
            self.transformation.as_deref(),
            self.pixel_scale.as_deref(),
            self.tiepoints.as_deref(),
            pixel_is_point,
        )
    }
}

fn fields(tags: &Tags, options: &GeoTiffOptions) -> Result<Metadata, String> {
    let mut metadata = Metadata::new();
    if options.date_time
        && let Some(time) = tags.date_time.as_deref().and_then(date_time)
    {
        metadata.set_time(time);
    }
    let Some(keys) = tags.geo_keys.as_deref().map(GeoKeys::parse).transpose()? else {
        return Ok(metadata);
    };
    let Some(affine) = tags.transform(keys.pixel_is_point())? else {
        return Ok(metadata);
    };
    let projection = keys.projection()?;
    let centre = affine.at(tags.width / 2.0, tags.height / 2.0);
    let (lon, lat) = geographic(projection, centre)?;
    let size = affine.pixel_size();
    match projection {
        Projection::Geographic => metadata.set_pixel_size(size),
        Projection::Utm { .. } => metadata.set_gsd(size),
        Projection::WebMercator => {
            let (x, y) = ground_scale_of_web_mercator(lat);
            metadata.set_gsd((size.0 * x, size.1 * y))
        }
    }
    .and_then(|()| metadata.set_location(lon, lat))
    .and_then(|()| match projection.utm_zone(lat) {
        Some(zone) => metadata.set_utm_zone(&zone),
        None => Ok(()),
    })
    .map_err(|e| e.to_string())?;
    Ok(metadata)
}

/// TIFF's DateTime, `YYYY:MM:DD HH:MM:SS`; none where it is blank, zeros, or written otherwise,
/// as some programs do.
fn date_time(text: &str) -> Option<Timestamp> {
    let text = text.trim_matches(['\0', ' ']);
    time_text::rfc3339(text).parse().ok()
}

/// The entries of the GeoKey directory that are stored in it directly.
#[derive(Debug, Default)]
struct GeoKeys {
    model_type: Option<u16>,
    raster_type: Option<u16>,
    geographic: Option<u16>,
    projected: Option<u16>,
    angular_units: Option<u16>,
    linear_units: Option<u16>,
}

impl GeoKeys {
    /// Parses `[version, revision, minor, count, (key, tag, count, value) * count]`.
    fn parse(directory: &[u16]) -> Result<Self, String> {
        let (header, entries) = directory
            .split_at_checked(4)
            .ok_or("the GeoKey directory is shorter than its header")?;
        let count = usize::from(header[3]);
        if header[0] != 1 {
            return Err(format!(
                "version {} of the GeoKey directory is not known",
                header[0]
            ));
        }
        let entries = entries
            .get(..count * 4)
            .ok_or("the GeoKey directory is shorter than it says")?;
        let mut keys = GeoKeys::default();
        for entry in entries.chunks_exact(4) {
            // Entries with a tag are in that tag: names and parameters, which are not needed.
            if entry[1] != 0 {
                continue;
            }
            let slot = match entry[0] {
                1024 => &mut keys.model_type,
                1025 => &mut keys.raster_type,
                2048 => &mut keys.geographic,
                2054 => &mut keys.angular_units,
                3072 => &mut keys.projected,
                3076 => &mut keys.linear_units,
                _ => continue,
            };
            *slot = Some(entry[3]);
        }
        Ok(keys)
    }

    /// Whether raster coordinates are those of pixel centres.
    fn pixel_is_point(&self) -> bool {
        self.raster_type == Some(2)
    }

    fn projection(&self) -> Result<Projection, String> {
        const DEGREE: u16 = 9102;
        const METRE: u16 = 9001;
        let (code, is_projected) = match (self.model_type, self.projected, self.geographic) {
            (Some(1) | None, Some(code), _) => (code, true),
            (Some(2) | None, _, Some(code)) => (code, false),
            (Some(3), ..) => return Err("geocentric coordinates are not supported".to_owned()),
            _ => {
                return Err(
                    "the file does not say by EPSG code what its coordinates are".to_owned(),
                );
            }
        };
        let projection = match code {
            32767 => {
                return Err(
                    "a user-defined coordinate system (no EPSG code) is not supported".to_owned(),
                );
            }
            code => Projection::from_epsg(code.into())
                .filter(|p| is_projected != (*p == Projection::Geographic)),
        };
        let projection = projection.ok_or_else(|| {
            format!(
                "the coordinate system EPSG:{code} is not supported: \
                 expected WGS84, NAD83 or ETRS89 in degrees or UTM, or Web Mercator"
            )
        })?;
        let units = if is_projected {
            self.linear_units
        } else {
            self.angular_units
        };
        let expected = if is_projected { METRE } else { DEGREE };
        match units {
            Some(units) if units != expected => Err(format!(
                "EPSG:{code} in the unit EPSG:{units} is not supported"
            )),
            _ => Ok(projection),
        }
    }
}

/// Longitude and latitude in degrees.
fn geographic(projection: Projection, (x, y): (f64, f64)) -> Result<(f64, f64), String> {
    // The inverse projections give numbers far outside of the ground that they map, too.
    let nowhere = || format!("({x}, {y}) is no place in the coordinate system");
    let definition = match projection {
        Projection::Geographic => {
            // Grids of 0 to 360 degrees are in use.
            let wraps = x > 180.0 && x <= 360.0;
            return Ok((if wraps { x - 360.0 } else { x }, y));
        }
        Projection::Utm { zone, south } => {
            let northing = if south { y - FALSE_NORTHING } else { y };
            if northing.abs() > QUARTER_MERIDIAN || (x - FALSE_EASTING).abs() > FARTHEST_EASTING {
                return Err(nowhere());
            }
            let south = if south { " +south" } else { "" };
            format!("+proj=utm +zone={zone}{south} +datum=WGS84 +units=m +no_defs")
        }
        Projection::WebMercator => {
            if x.abs() > HALF_EQUATOR {
                return Err(nowhere());
            }
            "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m \
             +nadgrids=@null +no_defs"
                .to_owned()
        }
    };
    let impossible = |e: proj4rs::errors::Error| format!("{}: {e}", nowhere());
    let from = Proj::from_proj_string(&definition).map_err(impossible)?;
    let to = Proj::from_proj_string("+proj=longlat +datum=WGS84 +no_defs").map_err(impossible)?;
    let mut point = (x, y, 0.0);
    proj4rs::transform::transform(&from, &to, &mut point).map_err(impossible)?;
    let (lon, lat) = (point.0.to_degrees(), point.1.to_degrees());
    match lon.is_finite() && lat.is_finite() {
        true => Ok((lon, lat)),
        false => Err(nowhere()),
    }
}

/// What is added to eastings of UTM, metres.
const FALSE_EASTING: f64 = 500_000.0;
/// What is added to northings of UTM in the south, metres.
const FALSE_NORTHING: f64 = 10_000_000.0;
/// From the equator to a pole, metres, rounded up.
const QUARTER_MERIDIAN: f64 = 10_001_966.0;
/// Some 30 degrees at the equator, metres: neighbours of a zone are written in its coordinates,
/// the other side of the globe is not (our choice).
const FARTHEST_EASTING: f64 = 3_400_000.0;
/// From the meridian of Greenwich to the antimeridian in Web Mercator, metres, rounded up.
const HALF_EQUATOR: f64 = 20_037_509.0;

/// Ground metres per projected metre, along a row and along a column.
///
/// Web Mercator maps the ellipsoid by the formulas of a sphere of radius a: at latitude p the
/// scale is a / (N cos p) along the parallel and a / (M cos p) along the meridian, with the radii
/// of curvature N and M (IOGP Guidance Note 7-2, section 3.2.1.2).
fn ground_scale_of_web_mercator(latitude: f64) -> (f64, f64) {
    const E2: f64 = 0.006_694_379_990_141_316; // WGS84
    let (sin, cos) = latitude.to_radians().sin_cos();
    let w2 = 1.0 - E2 * sin * sin;
    (cos / w2.sqrt(), cos * (1.0 - E2) / (w2 * w2.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Tags {
        Tags {
            width: 100.0,
            height: 50.0,
            pixel_scale: Some(vec![10.0, 10.0, 0.0]),
            tiepoints: Some(vec![0.0, 0.0, 0.0, 500_000.0, 5_000_000.0, 0.0]),
            geo_keys: Some(vec![1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632]),
            ..Tags::default()
        }
    }

    fn parsed(tags: &Tags) -> Result<Metadata, String> {
        fields(tags, &GeoTiffOptions::default())
    }

    #[test]
    fn pixel_is_point_moves_the_grid_by_half_a_pixel() {
        let area = tags().transform(false).unwrap().unwrap();
        let point = tags().transform(true).unwrap().unwrap();
        assert_eq!(area.at(0.0, 0.0), (500_000.0, 5_000_000.0));
        assert_eq!(point.at(0.5, 0.5), (500_000.0, 5_000_000.0));
        assert_eq!(point.pixel_size(), (10.0, 10.0));
    }

    #[test]
    fn transformation_may_turn_the_picture() {
        let mut turned = tags();
        let matrix = [
            0.0, 3.0, 0.0, 500_000.0, 4.0, 0.0, 0.0, 5e6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0,
        ];
        turned.transformation = Some(matrix.to_vec());
        let gsd = parsed(&turned).unwrap().gsd().unwrap();
        assert_eq!((gsd.x, gsd.y), (4.0, 3.0));
        turned.transformation = Some(matrix[..12].to_vec());
        assert!(parsed(&turned).unwrap_err().contains("16 numbers"));
    }

    #[test]
    fn scale_of_web_mercator() {
        let (x, y) = ground_scale_of_web_mercator(0.0);
        assert!((x - 1.0).abs() < 1e-12 && (y - 0.993_305_62).abs() < 1e-8);
        let (x, y) = ground_scale_of_web_mercator(60.0);
        // N = 6394209.174 m, M = 6383453.857 m at 60 degrees on WGS84, over a = 6378137 m.
        assert!((x - 0.5 * 6_394_209.174 / 6_378_137.0).abs() < 1e-9, "{x}");
        assert!((y - 0.5 * 6_383_453.857 / 6_378_137.0).abs() < 1e-9, "{y}");
    }

    #[test]
    fn coordinate_systems_that_are_not_understood_are_named() {
        for (keys, expected) in [
            (
                vec![1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 3031],
                "EPSG:3031",
            ),
            (vec![1, 1, 0, 1, 3072, 0, 1, 32767], "user-defined"),
            (vec![1, 1, 0, 1, 2048, 0, 1, 4322], "EPSG:4322"),
            (vec![1, 1, 0, 1, 3072, 0, 1, 4326], "EPSG:4326"),
            (vec![1, 1, 0, 1, 1024, 0, 1, 3], "geocentric"),
            (vec![1, 1, 0, 0], "does not say"),
            (
                vec![1, 1, 0, 2, 3072, 0, 1, 32632, 3076, 0, 1, 9002],
                "EPSG:9002",
            ),
            (vec![1, 1, 0, 9, 3072, 0, 1, 32632], "shorter"),
            (vec![1, 1, 0], "shorter"),
            (vec![7, 1, 0, 0], "version 7"),
        ] {
            let mut other = tags();
            other.geo_keys = Some(keys);
            let reason = parsed(&other).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn grids_that_are_none_are_refused() {
        for (scale, tie) in [
            (vec![0.0, 10.0, 0.0], vec![0.0, 0.0, 0.0, 5e5, 5e6, 0.0]),
            (
                vec![f64::NAN, 10.0, 0.0],
                vec![0.0, 0.0, 0.0, 5e5, 5e6, 0.0],
            ),
            (vec![10.0], vec![0.0; 6]),
            (vec![10.0, 10.0], vec![0.0; 3]),
            (vec![10.0, 10.0, 0.0], vec![0.0, 0.0, 0.0, 1e300, 5e6, 0.0]),
            (vec![10.0, 10.0, 0.0], vec![0.0, 0.0, 0.0, 5e5, 9e9, 0.0]),
            (vec![10.0, 10.0, 0.0], vec![0.0, 0.0, 0.0, 4e7, 5e6, 0.0]),
        ] {
            let mut other = tags();
            (other.pixel_scale, other.tiepoints) = (Some(scale), Some(tie));
            assert!(parsed(&other).is_err(), "{other:?}");
        }
        let mut points = tags();
        (points.pixel_scale, points.tiepoints) = (None, Some(vec![0.0; 12]));
        assert!(parsed(&points).unwrap_err().contains("control points"));
    }

    #[test]
    fn a_plain_tiff_has_no_location() {
        let mut plain = Tags {
            date_time: Some("2017:08:31 17:27:54\0".into()),
            ..tags()
        };
        plain.geo_keys = None;
        let metadata = parsed(&plain).unwrap();
        assert_eq!(metadata.location(), None);
        assert_eq!(
            metadata.timestamp().unwrap().to_string(),
            "2017-08-31T17:27:54Z"
        );
        let untimed = GeoTiffOptions { date_time: false };
        assert!(fields(&plain, &untimed).unwrap().is_empty());
        plain.date_time = Some("0000:00:00 00:00:00".into());
        assert!(parsed(&plain).unwrap().is_empty());
    }
}
