//! Tags of GeoTIFF files: where the picture lies and how large its pixels are.
//!
//! OGC GeoTIFF standard 1.1 (OGC 19-008r4). Read are ModelPixelScale with one ModelTiepoint, or
//! ModelTransformation; and the GeoKeys that name the coordinate system by its EPSG code. Pixels are
//! not touched, so the compression does not matter.
//!
//! | coordinate system | gives |
//! |---|---|
//! | degrees or grads | location, pixel_size in degrees |
//! | UTM | location, gsd as the grid states it, utm_zone |
//! | any other map | location, gsd on the ground at the picture's centre |
//!
//! Some 6,000 codes are known. A file in a system that is not, or that has no code, is an error that
//! names it; a TIFF without any reference to the ground is none, and has no location.
//!
//! TIFF's DateTime is the time when the file was written, and not read unless
//! [`GeoTiffOptions::date_time`] asks for it.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use tiff::decoder::Decoder;
use tiff::decoder::ifd::Value;
use tiff::tags::Tag;
use tiff_reader::Ifd;

#[cfg(feature = "jpeg2000")]
use super::gml::Grid;
use super::grid;
use super::{caused, time_text, unreadable};
use crate::error::{Error, Result};
use crate::metadata::crs::Crs;
use crate::metadata::geotransform::GeoTransform;
use crate::metadata::{Metadata, Timestamp};

/// What is read from a GeoTIFF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeoTiffOptions {
    /// Whether TIFF's DateTime is taken as the timestamp, in UTC. Off by default.
    ///
    /// The tag has the time when the file was written. Planet and others put the acquisition there;
    /// in NAIP files, and in whatever was converted, it may be months later.
    pub date_time: bool,
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

    /// Where the raster lies; none where it has no reference to the ground.
    fn georeference(&self) -> Result<Option<Georeference>, String> {
        let keys = self.geo_keys.as_deref().map(GeoKeys::parse).transpose()?;
        let Some(keys) = keys else { return Ok(None) };
        let Some(transform) = self.transform(keys.pixel_is_point())? else {
            return match keys.has_system() {
                // A coordinate system alone says nothing of this raster.
                true => Err(
                    "it names a coordinate system, and not where in it its pixels are".to_owned(),
                ),
                false => Ok(None),
            };
        };
        let (epsg, crs) = keys.system()?;
        Ok(Some(Georeference {
            transform,
            crs,
            epsg,
        }))
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
    if let Some(place) = tags.georeference()? {
        place.set(&mut metadata, (tags.width / 2.0, tags.height / 2.0))?;
    }
    Ok(metadata)
}

/// Where the pixels of a raster lie.
#[derive(Debug, Clone)]
pub(crate) struct Georeference {
    transform: GeoTransform,
    crs: Crs,
    epsg: u32,
}

impl Georeference {
    /// That of a page of a TIFF; none where it has no place on the ground.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn of(page: &Ifd) -> Result<Option<Self>, String> {
        let wrong = |tag: Tag| format!("its tag {tag:?} holds no numbers of the type it must");
        let numbers = |tag: Tag| {
            let Some(found) = page.tag(tag.to_u16()) else {
                return Ok(None);
            };
            let numbers = found.value.as_f64_vec();
            numbers.map(Some).ok_or_else(|| wrong(tag))
        };
        let keys = match page.tag(Tag::GeoKeyDirectoryTag.to_u16()) {
            None => None,
            Some(found) => {
                let keys = found.value.as_u16_slice();
                Some(keys.ok_or_else(|| wrong(Tag::GeoKeyDirectoryTag))?.to_vec())
            }
        };
        let tags = Tags {
            width: page.width().into(),
            height: page.height().into(),
            pixel_scale: numbers(Tag::ModelPixelScaleTag)?,
            tiepoints: numbers(Tag::ModelTiepointTag)?,
            transformation: numbers(Tag::ModelTransformationTag)?,
            geo_keys: keys,
            date_time: None,
        };
        tags.georeference()
    }

    /// That of the grid of a JPEG 2000 file.
    ///
    /// # Errors
    /// Where its coordinate system is not supported.
    #[cfg(feature = "jpeg2000")]
    pub(crate) fn on(grid: &Grid) -> Result<Self, String> {
        Ok(Georeference {
            transform: grid.transform,
            crs: Crs::from_epsg(grid.epsg)?,
            epsg: grid.epsg,
        })
    }

    /// That of a copy whose pixels are so many times as wide and high.
    pub(crate) fn coarser(mut self, across: f64, down: f64) -> Self {
        self.transform = self.transform.coarser(across, down);
        self
    }

    /// The code of the coordinate system.
    pub(crate) fn epsg(&self) -> u32 {
        self.epsg
    }

    /// Whether this raster lies over the ground of another one with pixels so many times as large a side, to a tenth of
    /// the other's pixel.
    pub(crate) fn covers(&self, other: &Self, times: f64) -> bool {
        let (own, theirs) = (self.transform.numbers(), other.transform.numbers());
        let (width, height) = other.transform.pixel_size();
        let step = 0.1 * width.min(height);
        let scaled =
            |i: usize| (own[i] - theirs[i] * times).abs() <= 1e-6 * (width + height) * times;
        let placed = |i: usize| (own[i] - theirs[i]).abs() <= step;
        self.epsg == other.epsg
            && [0, 1, 3, 4].into_iter().all(scaled)
            && [2, 5].into_iter().all(placed)
    }

    /// Longitude and latitude of a place in the raster, in pixels; none outside of the map.
    pub(crate) fn on_the_ground(&self, column: f64, row: f64) -> Option<(f64, f64)> {
        let (x, y) = self.transform.at(column, row);
        self.crs.place(x, y).ok()
    }

    /// What the raster's place says of pixels around a column and row.
    ///
    /// # Errors
    /// Where that is outside of the map.
    pub(crate) fn record(&self, at: (f64, f64)) -> Result<Metadata, String> {
        let mut metadata = Metadata::new();
        self.set(&mut metadata, at)?;
        Ok(metadata)
    }

    fn set(&self, metadata: &mut Metadata, (column, row): (f64, f64)) -> Result<(), String> {
        let centre = self.transform.at(column, row);
        let (lon, lat) = self.crs.place(centre.0, centre.1)?;
        let size = self.crs.pixel_size(centre, self.transform.steps())?;
        grid::set_size(metadata, size)
            .and_then(|()| metadata.set_location(lon, lat))
            .and_then(|()| grid::set_zone(metadata, &self.crs))
            .map_err(|e| e.to_string())
    }
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

    /// Whether a coordinate system is named.
    fn has_system(&self) -> bool {
        self.projected.is_some() || self.geographic.is_some()
    }

    /// Whether raster coordinates are those of pixel centres.
    fn pixel_is_point(&self) -> bool {
        self.raster_type == Some(2)
    }

    /// The coordinate system and its code, whose units must be those that the keys state, where they do.
    fn system(&self) -> Result<(u32, Crs), String> {
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
        let crs = Crs::from_epsg(code.into())?;
        if crs.is_geographic() == is_projected {
            let kind = if is_projected { "a map" } else { "degrees" };
            return Err(format!(
                "the file says that its coordinates are of {kind}, EPSG:{code} is none"
            ));
        }
        let (unit, size) = match is_projected {
            true => (self.linear_units, self.linear_units.map(metres_of)),
            false => (self.angular_units, self.angular_units.map(degrees_of)),
        };
        let own = crs.unit();
        let agrees = |size: Option<f64>| size.is_some_and(|size| (size / own - 1.0).abs() < 1e-9);
        match (unit, size) {
            (Some(unit), Some(size)) if !agrees(size) => Err(format!(
                "EPSG:{code} in the unit EPSG:{unit} is not supported"
            )),
            _ => Ok((code.into(), crs)),
        }
    }
}

/// Metres of a unit of length, by its EPSG code; of those that GeoTIFF files have.
fn metres_of(unit: u16) -> Option<f64> {
    match unit {
        9001 => Some(1.0),
        9002 => Some(0.3048),
        // The foot of the US survey.
        9003 => Some(1200.0 / 3937.0),
        9036 => Some(1000.0),
        _ => None,
    }
}

/// Degrees of a unit of angle, by its EPSG code.
fn degrees_of(unit: u16) -> Option<f64> {
    match unit {
        // The degree, and the degree as its supplier writes it.
        9102 | 9122 => Some(1.0),
        9105 => Some(0.9),
        _ => None,
    }
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
        // Of the picture north up: rows of the raster run along its columns.
        assert_eq!((gsd.x, gsd.y), (3.0, 4.0));
        turned.transformation = Some(matrix[..12].to_vec());
        assert!(parsed(&turned).unwrap_err().contains("16 numbers"));
    }

    #[test]
    fn coordinate_systems_that_are_not_understood_are_named() {
        for (keys, expected) in [
            (
                vec![1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 26731],
                "EPSG:26731 is not supported: its datum needs a grid",
            ),
            (vec![1, 1, 0, 1, 3072, 0, 1, 32767], "user-defined"),
            (vec![1, 1, 0, 1, 2048, 0, 1, 4267], "EPSG:4267"),
            (
                vec![1, 1, 0, 1, 3072, 0, 1, 2000],
                "does not say how its datum",
            ),
            (vec![1, 1, 0, 1, 3072, 0, 1, 4978], "geocentric"),
            (vec![1, 1, 0, 1, 3072, 0, 1, 1], "no definition"),
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
        assert!(parsed(&plain).unwrap().is_empty());
        let timed = GeoTiffOptions { date_time: true };
        let metadata = fields(&plain, &timed).unwrap();
        assert_eq!(metadata.location(), None);
        assert_eq!(
            metadata.timestamp().unwrap().to_string(),
            "2017-08-31T17:27:54Z"
        );
        plain.date_time = Some("0000:00:00 00:00:00".into());
        assert!(fields(&plain, &timed).unwrap().is_empty());
    }
}
