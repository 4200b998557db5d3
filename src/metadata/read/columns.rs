//! Which column of a table holds what.

use std::fmt;
use std::str::FromStr;

use super::json::is_missing;
use super::projection::{Projection, utm_zone};
use super::{platform, short, table, time_text};
use crate::error::{Error, Result};
use crate::metadata::{Field, Metadata};

/// What a column of a table can hold: a field, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// A field as a whole, in the text form of [`Metadata::set_text`].
    Field(Field),
    /// Ground sample distance along a row, metres.
    GsdX,
    /// Ground sample distance along a column, metres.
    GsdY,
    /// Size of a pixel in degrees of longitude.
    PixelSizeX,
    /// Size of a pixel in degrees of latitude.
    PixelSizeY,
    /// Longitude of the centre, degrees.
    Longitude,
    /// Latitude of the centre, degrees.
    Latitude,
    /// EPSG code of the picture's projection; those of UTM tell the zone.
    Epsg,
}

impl Column {
    /// Everything that a column can hold.
    pub fn all() -> impl Iterator<Item = Column> {
        Field::ALL.into_iter().map(Column::Field).chain([
            Column::GsdX,
            Column::GsdY,
            Column::PixelSizeX,
            Column::PixelSizeY,
            Column::Longitude,
            Column::Latitude,
            Column::Epsg,
        ])
    }

    /// The name, for example `longitude`; fields have their own.
    pub fn name(self) -> &'static str {
        match self {
            Column::Field(field) => field.name(),
            Column::GsdX => "gsd_x",
            Column::GsdY => "gsd_y",
            Column::PixelSizeX => "pixel_size_x",
            Column::PixelSizeY => "pixel_size_y",
            Column::Longitude => "longitude",
            Column::Latitude => "latitude",
            Column::Epsg => "epsg",
        }
    }

    /// Further names that headers use for it, the likeliest first.
    fn aliases(self) -> &'static [&'static str] {
        match self {
            Column::Field(field) => match field {
                Field::Gsd => &["eo:gsd", "ground_sample_distance"],
                Field::Timestamp => &["datetime", "acquired", "acquisition_date", "date"],
                Field::UtmZone => &["utm"],
                Field::CountryCode => &["iso_a3"],
                Field::CloudCover => &["eo:cloud_cover"],
                Field::TargetAzimuthAngle => &["view:azimuth", "target_azimuth"],
                Field::SunAzimuthAngle => &["view:sun_azimuth", "sun_azimuth", "eo:sun_azimuth"],
                Field::SunElevationAngle => {
                    &["view:sun_elevation", "sun_elevation", "eo:sun_elevation"]
                }
                Field::OffNadirAngle => &["view:off_nadir", "off_nadir", "eo:off_nadir"],
                Field::SensorPlatform => &["platform", "eo:platform", "sensor_platform_name"],
                Field::MultispectralGsd
                | Field::PixelSize
                | Field::Location
                | Field::ScanDirection
                | Field::Wavelengths => &[],
            },
            Column::Longitude => &["lon", "lng", "long"],
            Column::Latitude => &["lat"],
            Column::Epsg => &["proj:epsg"],
            Column::GsdX | Column::GsdY | Column::PixelSizeX | Column::PixelSizeY => &[],
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Column {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Column::all()
            .find(|column| column.name() == text)
            .ok_or_else(|| Error::field("column", text, "no column has this name"))
    }
}

/// How a table's header is understood.
///
/// The default takes each field by its own name or an alias (`lon`, `longitude`, `datetime`,
/// `view:sun_azimuth`, `platform`, ...; letters may be of either case), whichever is there, and
/// the key from the first of `file`, `path`, `filename`, `file_name`, `image`, `key` and `id`.
/// Of a field and its parts (`location` with `longitude` and `latitude`) the parts win; a zone
/// that is a bare number takes its band from the latitude.
///
/// ```
/// use satmip::metadata::read::{Column, ColumnMap, CsvReader};
/// use satmip::Field;
///
/// let csv = "chip,resolution,lon,lat\na.png,0.5,8.58,47.45\n";
/// let map = ColumnMap::default()
///     .with_key(["chip"])
///     .with(Column::Field(Field::Gsd), "resolution");
/// let row = CsvReader::from_reader(csv.as_bytes(), "chips.csv", &map)?.next().unwrap()?;
/// assert_eq!(row.key, "a.png");
/// assert_eq!(row.metadata.gsd().map(|gsd| gsd.x), Some(0.5));
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnMap {
    /// Headers that make the key together; empty for the usual names.
    key: Vec<String>,
    /// Columns and the headers that were named for them, which must be there.
    named: Vec<(Column, String)>,
    /// Columns that are not read.
    without: Vec<Column>,
    /// Headers whose cells are handed on as text.
    texts: Vec<String>,
    aliases: bool,
    clamp_cloud_cover: bool,
}

impl Default for ColumnMap {
    fn default() -> Self {
        ColumnMap {
            aliases: true,
            ..ColumnMap::named_only()
        }
    }
}

const KEYS: [&str; 7] = [
    "file",
    "path",
    "filename",
    "file_name",
    "image",
    "key",
    "id",
];

impl ColumnMap {
    /// Reads no column but those that are named with [`ColumnMap::with`].
    pub fn named_only() -> Self {
        ColumnMap {
            key: Vec::new(),
            named: Vec::new(),
            without: Vec::new(),
            texts: Vec::new(),
            aliases: false,
            clamp_cloud_cover: false,
        }
    }

    /// The catalogue of Maxar's Open Data programme as a table of STAC properties.
    ///
    /// The key is `catalog_id/quadkey`. `tile:clouds_percent` reaches 101 there, by rounding, and
    /// is clamped to 100. `view:incidence_angle` is the elevation of the sensor there (90 less
    /// the incidence angle) and is not read; `view:off_nadir` is.
    pub fn maxar() -> Self {
        ColumnMap::default()
            .with_key(["catalog_id", "quadkey"])
            .with(Column::Field(Field::CloudCover), "tile:clouds_percent")
            .clamp_cloud_cover(true)
    }

    /// Takes the key from this column, or from several joined by `/`.
    #[must_use]
    pub fn with_key<I>(mut self, headers: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.key = headers.into_iter().map(Into::into).collect();
        self
    }

    /// Takes this from the column with that header, and from no other. A table without it is
    /// refused.
    #[must_use]
    pub fn with(mut self, column: Column, header: impl Into<String>) -> Self {
        self.named.retain(|(named, _)| *named != column);
        self.without.retain(|without| *without != column);
        self.named.push((column, header.into()));
        self
    }

    /// Leaves this out, whatever the header.
    #[must_use]
    pub fn without(mut self, column: Column) -> Self {
        self.named.retain(|(named, _)| *named != column);
        self.without.push(column);
        self
    }

    /// Hands the cells of this column on as text, as [`KeyedRow::texts`](super::table::KeyedRow),
    /// where the table has it: a label, for example.
    #[must_use]
    pub fn with_text(mut self, header: impl Into<String>) -> Self {
        self.texts.push(header.into());
        self
    }

    /// Takes a cloud cover above 100 percent as 100, instead of refusing the row.
    #[must_use]
    pub fn clamp_cloud_cover(mut self, clamp: bool) -> Self {
        self.clamp_cloud_cover = clamp;
        self
    }

    /// Finds the columns of a table; the reason when one is missing or stands there twice.
    pub(super) fn resolve(&self, header: &[String]) -> Result<Columns, String> {
        let key = if self.key.is_empty() {
            let found = KEYS.iter().find_map(|name| find(header, name).transpose());
            vec![found.unwrap_or_else(|| {
                let names = KEYS.map(|name| format!("`{name}`")).join(", ");
                Err(format!("no column is the key: none of {names} is there"))
            })?]
        } else {
            let keys = self.key.iter().map(|name| required(header, name));
            keys.collect::<Result<_, _>>()?
        };
        let columns = self.resolve_without_key(header)?;
        if columns.columns.is_empty() && columns.texts.iter().all(Option::is_none) {
            return Err("no column holds metadata".to_owned());
        }
        Ok(Columns { key, ..columns })
    }

    /// As [`ColumnMap::resolve`] for names that stand for one record, which has no key.
    pub(super) fn resolve_without_key(&self, header: &[String]) -> Result<Columns, String> {
        let mut columns = Vec::new();
        for column in Column::all() {
            if self.without.contains(&column) {
                continue;
            }
            let named = self.named.iter().find(|(named, _)| *named == column);
            let at = match named {
                Some((_, name)) => Some(required(header, name)?),
                None if self.aliases => std::iter::once(column.name())
                    .chain(column.aliases().iter().copied())
                    .find_map(|name| find(header, name).transpose())
                    .transpose()?,
                None => None,
            };
            if let Some(at) = at {
                columns.push((column, at));
            }
        }
        let texts = self.texts.iter().map(|name| find(header, name));
        Ok(Columns {
            key: Vec::new(),
            columns,
            texts: texts.collect::<Result<_, _>>()?,
            header: header.to_vec(),
            clamp_cloud_cover: self.clamp_cloud_cover,
        })
    }
}

/// Where a header stands: the one that is spelled so, else the one with other capitals.
fn find(header: &[String], name: &str) -> Result<Option<usize>, String> {
    let positions = |same: &dyn Fn(&str) -> bool| {
        let mut found = (0..header.len()).filter(|i| same(&header[*i]));
        (found.next(), found.next())
    };
    let exact = positions(&|other| other == name);
    let found = match exact {
        (None, _) => positions(&|other| other.eq_ignore_ascii_case(name)),
        exact => exact,
    };
    match found {
        (_, Some(_)) => Err(format!("the column `{name}` is there twice")),
        (found, None) => Ok(found),
    }
}

fn required(header: &[String], name: &str) -> Result<usize, String> {
    find(header, name)?.ok_or_else(|| format!("the column `{name}` is missing"))
}

/// What a row says.
pub(super) struct Row {
    pub(super) key: String,
    /// For each column of [`ColumnMap::with_text`] its cell, trimmed; none where the table lacks it.
    pub(super) texts: Vec<Option<String>>,
    pub(super) metadata: Result<Metadata, String>,
}

/// The columns of one table.
#[derive(Debug)]
pub(super) struct Columns {
    key: Vec<usize>,
    columns: Vec<(Column, usize)>,
    texts: Vec<Option<usize>>,
    header: Vec<String>,
    clamp_cloud_cover: bool,
}

impl Columns {
    /// The positions of all columns that are read.
    #[cfg(feature = "parquet")]
    pub(super) fn positions(&self) -> Vec<usize> {
        let columns = self.columns.iter().map(|(_, at)| *at);
        let texts = self.texts.iter().flatten().copied();
        let mut positions = self.key.clone();
        positions.extend(columns.chain(texts));
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Key, texts and metadata of a row, whose cells `cell` gives by position; or what is wrong with
    /// key and texts, or with the metadata.
    pub(super) fn row<'a>(
        &self,
        cell: impl Fn(usize) -> Result<&'a str, String>,
    ) -> Result<Row, String> {
        let read = |at: usize| cell(at).map_err(|reason| self.named(at, reason));
        let mut key = String::new();
        for (i, at) in self.key.iter().enumerate() {
            let part = read(*at)?;
            if part.trim().is_empty() {
                return Err(self.named(*at, "the key is empty".to_owned()));
            }
            if i > 0 {
                key.push('/');
            }
            key.push_str(if i == 0 { table::plain(part) } else { part });
        }
        let text = |at: &Option<usize>| match at {
            Some(at) => Ok(Some(read(*at)?.trim().to_owned())),
            None => Ok(None),
        };
        let texts = self.texts.iter().map(text).collect::<Result<_, String>>()?;
        Ok(Row {
            key,
            texts,
            metadata: self.metadata(cell),
        })
    }

    /// The metadata of a row, or what is wrong with them.
    pub(super) fn metadata<'a>(
        &self,
        cell: impl Fn(usize) -> Result<&'a str, String>,
    ) -> Result<Metadata, String> {
        let mut parts = Parts::default();
        for (column, at) in &self.columns {
            let text = cell(*at).map_err(|reason| self.named(*at, reason))?.trim();
            if !is_missing(text) {
                parts
                    .take(*column, text, self.clamp_cloud_cover)
                    .map_err(|reason| self.named(*at, reason))?;
            }
        }
        parts.finish()
    }

    fn named(&self, at: usize, reason: String) -> String {
        format!("column `{}`: {reason}", short(&self.header[at]))
    }
}

/// A row while it is read: fields that come in parts are put together at the end.
#[derive(Default)]
struct Parts {
    metadata: Metadata,
    gsd: (Option<f64>, Option<f64>),
    pixel_size: (Option<f64>, Option<f64>),
    location: (Option<f64>, Option<f64>),
    zone: Option<u8>,
    projection: Option<Projection>,
}

impl Parts {
    fn take(&mut self, column: Column, text: &str, clamp: bool) -> Result<(), String> {
        let number = || {
            let number: f64 = text
                .parse()
                .map_err(|_| format!("`{}` is no number", short(text)))?;
            let finite = number.is_finite().then_some(number);
            finite.ok_or_else(|| format!("`{}` is not finite", short(text)))
        };
        match column {
            Column::Field(field) => {
                return self.field(field, text, clamp).map_err(|e| e.to_string());
            }
            Column::GsdX => self.gsd.0 = Some(number()?),
            Column::GsdY => self.gsd.1 = Some(number()?),
            Column::PixelSizeX => self.pixel_size.0 = Some(number()?),
            Column::PixelSizeY => self.pixel_size.1 = Some(number()?),
            Column::Longitude => self.location.0 = Some(number()?),
            Column::Latitude => self.location.1 = Some(number()?),
            Column::Epsg => {
                let code = number()?;
                if code.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&code) {
                    return Err(format!("`{}` is no EPSG code", short(text)));
                }
                self.projection = Projection::from_epsg(code as u32);
            }
        }
        Ok(())
    }

    fn field(&mut self, field: Field, text: &str, clamp: bool) -> Result<()> {
        let metadata = &mut self.metadata;
        match field {
            Field::Timestamp => metadata.set_timestamp(&time_text::rfc3339(text)),
            Field::SensorPlatform => metadata.set_sensor_platform(&platform::canonical(text)),
            Field::CloudCover
                if clamp
                    && text
                        .parse()
                        .is_ok_and(|percent: f64| percent > 100.0 && percent.is_finite()) =>
            {
                metadata.set_cloud_cover(100.0)
            }
            // A bare number, as `46` or `46.0`, waits for the latitude.
            Field::UtmZone => match text.parse::<f64>() {
                Ok(zone) if zone.fract() == 0.0 && (1.0..=60.0).contains(&zone) => {
                    self.zone = Some(zone as u8);
                    Ok(())
                }
                _ => metadata.set_utm_zone(text),
            },
            field => metadata.set_text(field, text),
        }
    }

    fn finish(mut self) -> Result<Metadata, String> {
        let metadata = &mut self.metadata;
        let both = |names: &str, parts| match parts {
            (Some(x), Some(y)) => Ok(Some((x, y))),
            (None, None) => Ok(None),
            _ => Err(format!("one of {names} is there without the other")),
        };
        if let Some(gsd) = both("`gsd_x` and `gsd_y`", self.gsd)? {
            metadata.set_gsd(gsd).map_err(|e| e.to_string())?;
        }
        if let Some(size) = both("`pixel_size_x` and `pixel_size_y`", self.pixel_size)? {
            metadata.set_pixel_size(size).map_err(|e| e.to_string())?;
        }
        if let Some((lon, lat)) = both("longitude and latitude", self.location)? {
            metadata.set_location(lon, lat).map_err(|e| e.to_string())?;
        }
        let latitude = metadata.location().map(|place| place.lat);
        if metadata.utm_zone().is_none()
            && let Some(latitude) = latitude
        {
            let zone = match self.zone {
                Some(zone) => utm_zone(zone, latitude),
                None => self.projection.and_then(|p| p.utm_zone(latitude)),
            };
            if let Some(zone) = zone {
                metadata.set_utm_zone(&zone).map_err(|e| e.to_string())?;
            }
        }
        Ok(self.metadata)
    }
}
