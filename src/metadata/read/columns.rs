//! Which column of a table holds what.

use std::fmt;
use std::str::FromStr;

use super::footprint::Frame;
use super::normalise::is_missing;
use super::row::{Parts, Style};
use super::{names, short};
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
    /// EPSG code of the picture's projection, `32631` or `EPSG:32631`; those of UTM tell the zone,
    /// and it says what [`Column::Transform`] means. Codes of other authorities are left aside.
    Epsg,
    /// The six or nine numbers of `proj:transform`, in the projection of [`Column::Epsg`]: the gsd
    /// where no column states it, unless the projection is in degrees.
    Transform,
    /// Rows and columns of the picture, as in `proj:shape`: with the transform, its centre.
    Shape,
    /// Box around the picture in degrees: west, south, east, north, as a list or a struct of `xmin`,
    /// `ymin`, `xmax`, `ymax`. Its centre is the location where no column states it. Found by itself
    /// only beside an outline: boxes of other tables are of pixels.
    Bbox,
    /// Outline of the picture in degrees: well-known binary or text, or GeoJSON. Read where neither
    /// location nor box is there; what is none of these says nothing. Of a GeoParquet file, its
    /// primary column, in whatever system of coordinates the file says.
    Geometry,
    /// Constellation of the platform, which some platforms' names need.
    Constellation,
    /// Angle between the sun and the zenith, degrees, where no column has the sun's elevation.
    SunZenith,
    /// Start of the acquisition: with the end, its middle is the time where no column states it.
    Start,
    /// End of the acquisition.
    End,
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
            Column::Transform,
            Column::Shape,
            Column::Bbox,
            Column::Geometry,
            Column::Constellation,
            Column::SunZenith,
            Column::Start,
            Column::End,
        ])
    }

    /// Whether it says something of the picture by itself, or only beside other columns.
    fn stands_alone(self) -> bool {
        !matches!(self, Column::Constellation | Column::Shape)
    }

    /// Whether its own name is too common a word to be found without being asked for.
    fn needs_alias(self) -> bool {
        matches!(
            self,
            Column::Transform | Column::Shape | Column::Start | Column::End
        )
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
            Column::Transform => "transform",
            Column::Shape => "shape",
            Column::Bbox => "bbox",
            Column::Geometry => "geometry",
            Column::Constellation => "constellation",
            Column::SunZenith => "sun_zenith",
            Column::Start => "start",
            Column::End => "end",
        }
    }

    /// Further names that headers use for it, the likeliest first.
    fn aliases(self) -> &'static [&'static str] {
        match self {
            Column::Field(field) => match field {
                Field::Gsd => &["eo:gsd", "ground_sample_distance"],
                Field::Timestamp => &["datetime", "acquired", "acquisition_date", "date"],
                Field::UtmZone => &["utm", "s2:mgrs_tile", "grid:code"],
                Field::CountryCode => &["iso_a3"],
                Field::CloudCover => &["eo:cloud_cover"],
                Field::TargetAzimuthAngle => &["view:azimuth", "target_azimuth"],
                Field::SunAzimuthAngle => &[
                    "view:sun_azimuth",
                    "sun_azimuth",
                    "eo:sun_azimuth",
                    "s2:mean_solar_azimuth",
                    "landsat:sun_azimuth",
                ],
                Field::SunElevationAngle => &[
                    "view:sun_elevation",
                    "sun_elevation",
                    "eo:sun_elevation",
                    "landsat:sun_elevation",
                ],
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
            Column::Epsg => &["proj:epsg", "proj:code"],
            Column::Transform => &["proj:transform"],
            Column::Shape => &["proj:shape"],
            Column::Geometry => &["geom", "wkb_geometry"],
            Column::SunZenith => &["view:sun_zenith", "s2:mean_solar_zenith"],
            Column::Start => &["start_datetime"],
            Column::End => &["end_datetime"],
            Column::Bbox | Column::Constellation => &[],
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
/// that is a bare number takes its band from the latitude. Of the ways to say a place, longitude and
/// latitude come first, then `location`, `bbox`, `geometry`, and the centre of the grid.
///
/// A table of STAC items (stac-geoparquet) is read by the same names: `geometry`, `bbox`,
/// `proj:code` (or `proj:epsg`), `proj:transform`, `proj:shape`, `view:*` and so on. Its assets are
/// not.
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
    /// Headers that are treated as if they were not there.
    ignored: Vec<String>,
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

const KEYS: [&str; 9] = [
    "file",
    "path",
    "filename",
    "file_name",
    "href",
    "url",
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
            ignored: Vec::new(),
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

    /// Treats the column of this header as if it were not there, for every field and for the key.
    #[must_use]
    pub fn ignoring(mut self, header: impl Into<String>) -> Self {
        self.ignored.push(header.into());
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
        let header = &self.without_ignored(header)[..];
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
        let alone = |(column, _): &(Column, usize)| column.stands_alone();
        if !columns.columns.iter().any(alone) && columns.texts.iter().all(Option::is_none) {
            return Err("no column holds metadata".to_owned());
        }
        Ok(Columns { key, ..columns })
    }

    /// As [`ColumnMap::resolve`] for names that stand for one record, which has no key.
    pub(super) fn resolve_without_key(&self, header: &[String]) -> Result<Columns, String> {
        let header = &self.without_ignored(header)[..];
        let mut columns = Vec::new();
        for column in Column::all() {
            if self.without.contains(&column) {
                continue;
            }
            let named = self.named.iter().find(|(named, _)| *named == column);
            let at = match named {
                Some((_, name)) => Some(required(header, name)?),
                None if self.aliases => std::iter::once(column.name())
                    .filter(|_| !column.needs_alias())
                    .chain(column.aliases().iter().copied())
                    .find_map(|name| find(header, name).transpose())
                    .transpose()?,
                None => None,
            };
            if let Some(at) = at {
                columns.push((column, at));
            }
        }
        // Tables of objects in pictures have boxes of pixels: a box is one of degrees beside an
        // outline, as in STAC, or where it is said to be.
        let outlined = columns
            .iter()
            .any(|(column, _)| *column == Column::Geometry);
        let named = |wanted| self.named.iter().any(|(column, _)| *column == wanted);
        if !outlined && !named(Column::Bbox) {
            columns.retain(|(column, _)| *column != Column::Bbox);
        }
        let texts = self.texts.iter().map(|name| find(header, name));
        Ok(Columns {
            key: Vec::new(),
            columns,
            texts: texts.collect::<Result<_, _>>()?,
            header: header.to_vec(),
            style: Style {
                clamp_cloud_cover: self.clamp_cloud_cover,
                ..Style::default()
            },
            frame: Ok(Frame::Degrees),
        })
    }

    /// The headers, with nothing in the place of those that are left aside.
    fn without_ignored(&self, header: &[String]) -> Vec<String> {
        let kept = |name: &String| match self.ignored.contains(name) {
            true => String::new(),
            false => name.clone(),
        };
        header.iter().map(kept).collect()
    }

    /// The map with this header as the outline, where it says nothing else of outlines.
    #[cfg(feature = "parquet")]
    pub(super) fn with_primary_geometry(&self, header: &str) -> Self {
        let asked = self
            .named
            .iter()
            .any(|(column, _)| *column == Column::Geometry);
        let left_out = self.without.contains(&Column::Geometry)
            || self.ignored.iter().any(|name| name == header);
        match self.aliases && !asked && !left_out {
            true => self.clone().with(Column::Geometry, header),
            false => self.clone(),
        }
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
    /// How the table writes its values.
    pub(super) style: Style,
    /// The coordinates of outlines and boxes, or why they cannot be used.
    pub(super) frame: Result<Frame, String>,
}

impl Columns {
    /// Reads the times of the table as days, and says so.
    pub(super) fn take_days(&mut self, days: bool, origin: &str) {
        self.style.days = days;
        if let Some(at) = self
            .position(Column::Field(Field::Timestamp))
            .filter(|_| days)
        {
            let column = self.header(at);
            tracing::warn!(
                "{origin}: every time of column `{column}` is a midnight: they are taken as dates, \
                 without a time of day"
            );
        }
    }

    /// Where a column stands in the table.
    pub(super) fn position(&self, wanted: Column) -> Option<usize> {
        let found = self.columns.iter().find(|(column, _)| *column == wanted);
        found.map(|(_, at)| *at)
    }

    /// The header of a column.
    pub(super) fn header(&self, at: usize) -> &str {
        self.header.get(at).map_or("", String::as_str)
    }

    /// Whether the place of a row can only come from its outline or box.
    #[cfg(feature = "parquet")]
    pub(super) fn place_by_outline(&self) -> bool {
        let has = |column| self.position(column).is_some();
        let stated = has(Column::Longitude) || has(Column::Field(Field::Location));
        !stated && (has(Column::Geometry) || has(Column::Bbox))
    }

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
            key.push_str(if i == 0 { names::plain(part) } else { part });
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
        let mut parts = Parts::new(&self.style);
        let read = |at: usize| match cell(at) {
            Ok(text) => Ok(Some(text.trim()).filter(|text| !is_missing(text))),
            Err(reason) => Err(self.named(at, reason)),
        };
        if let Some(at) = self.position(Column::Constellation) {
            parts.constellation = read(at)?;
        }
        for (column, at) in &self.columns {
            // Read only where it is needed: an outline may be long, and wrong where no one asks.
            if matches!(column, Column::Geometry | Column::Bbox) {
                continue;
            }
            if let Some(text) = read(*at)? {
                parts
                    .take(*column, text)
                    .map_err(|reason| self.named(*at, reason))?;
            }
        }
        for column in [Column::Bbox, Column::Geometry] {
            let Some(at) = self.position(column).filter(|_| !parts.is_placed()) else {
                continue;
            };
            if let Some(text) = read(at)? {
                let frame = self.frame.as_ref().map_err(|e| self.named(at, e.clone()))?;
                parts
                    .outline(column, text, frame)
                    .map_err(|reason| self.named(at, reason))?;
            }
        }
        parts.finish()
    }

    fn named(&self, at: usize, reason: String) -> String {
        format!("column `{}`: {reason}", short(&self.header[at]))
    }
}
