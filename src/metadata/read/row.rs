//! A row of a table while it is read: fields that come in parts are put together at the end.

use super::columns::Column;
use super::footprint::{self, Frame};
use super::grid::{self, Grid};
use super::normalise::{self, Source};
use super::{short, time_text};
use crate::error::{Error, Result};
use crate::metadata::crs::{Crs, utm_zone};
use crate::metadata::geotransform::GeoTransform;
use crate::metadata::{Field, Metadata, Timestamp};

/// How a table writes its values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// See [`Source::clamp_cloud_cover`].
    pub(super) clamp_cloud_cover: bool,
    /// See [`Source::decimal_comma`].
    pub(super) decimal_comma: bool,
    /// Times are days: every one of the column is a midnight.
    pub(super) days: bool,
}

/// What the columns of a row have said so far.
pub(super) struct Parts<'a> {
    style: &'a Style,
    pub(super) constellation: Option<&'a str>,
    metadata: Metadata,
    gsd: (Option<f64>, Option<f64>),
    pixel_size: (Option<f64>, Option<f64>),
    location: (Option<f64>, Option<f64>),
    zone: Option<u8>,
    /// Whether the zone is of a tile's name, so that its letter is a band.
    tile: bool,
    epsg: Option<u32>,
    transform: Option<GeoTransform>,
    size: Option<(f64, f64)>,
    sun_zenith: Option<f64>,
    interval: (Option<Timestamp>, Option<Timestamp>),
}

impl<'a> Parts<'a> {
    pub(super) fn new(style: &'a Style) -> Self {
        Parts {
            style,
            constellation: None,
            metadata: Metadata::new(),
            gsd: (None, None),
            pixel_size: (None, None),
            location: (None, None),
            zone: None,
            tile: false,
            epsg: None,
            transform: None,
            size: None,
            sun_zenith: None,
            interval: (None, None),
        }
    }

    fn source(&self) -> Source<'a> {
        Source {
            clamp_cloud_cover: self.style.clamp_cloud_cover,
            decimal_comma: self.style.decimal_comma,
            constellation: self.constellation,
        }
    }

    /// Takes a cell that is not missing.
    pub(super) fn take(&mut self, column: Column, text: &str) -> Result<(), String> {
        let source = self.source();
        let number = || normalise::single(text, &source);
        match column {
            Column::Field(field) => return self.field(field, text).map_err(|e| e.to_string()),
            Column::GsdX => self.gsd.0 = Some(number()?),
            Column::GsdY => self.gsd.1 = Some(number()?),
            Column::PixelSizeX => self.pixel_size.0 = Some(number()?),
            Column::PixelSizeY => self.pixel_size.1 = Some(number()?),
            Column::Longitude => self.location.0 = Some(number()?),
            Column::Latitude => self.location.1 = Some(number()?),
            Column::SunZenith => self.sun_zenith = Some(number()?),
            Column::Start => self.interval.0 = Some(time(text)?),
            Column::End => self.interval.1 = Some(time(text)?),
            Column::Epsg => self.epsg = epsg(text)?,
            Column::Transform => {
                let transform = numbers(text).and_then(|n| grid::transform_of(&n));
                self.transform = Some(transform.ok_or("expected 6 or 9 numbers of a grid")?);
            }
            Column::Shape => {
                let size = numbers(text).and_then(|n| grid::size_of(&n));
                self.size = Some(size.ok_or("expected the numbers of rows and columns")?);
            }
            // The first is taken beforehand, the others where they are needed.
            Column::Constellation | Column::Bbox | Column::Geometry => {}
        }
        Ok(())
    }

    fn field(&mut self, field: Field, text: &str) -> Result<()> {
        let source = self.source();
        let metadata = &mut self.metadata;
        match (field, text.parse::<f64>()) {
            (Field::Timestamp, _) if self.style.days => {
                let time: Timestamp = time_text::rfc3339(text).parse()?;
                metadata.set_time(time.to_day());
                Ok(())
            }
            // A bare number, as `46` or `46.0`, waits for the latitude.
            (Field::UtmZone, Ok(zone)) if zone.fract() == 0.0 && (1.0..=60.0).contains(&zone) => {
                self.zone = Some(zone as u8);
                Ok(())
            }
            _ => {
                self.tile |= field == Field::UtmZone && normalise::grid_zone(text.trim()).is_some();
                normalise::text(metadata, field, text, &source)
            }
        }
    }

    /// Whether the row has said already where its picture is.
    pub(super) fn is_placed(&self) -> bool {
        self.metadata.location().is_some() || self.location.0.is_some() || self.location.1.is_some()
    }

    /// Takes the place from a box or an outline.
    pub(super) fn outline(
        &mut self,
        column: Column,
        text: &str,
        frame: &Frame,
    ) -> Result<(), String> {
        let centre = match column {
            Column::Bbox => {
                let numbers = footprint::box_of_text(text)
                    .filter(|n| matches!(n.len(), 4 | 6) && n.iter().all(|n| n.is_finite()))
                    .ok_or("expected the 4 or 6 numbers of a box")?;
                frame.centre_of_box(&numbers)?
            }
            _ => footprint::centre_of_cell(text, frame)?,
        };
        match centre {
            Some((lon, lat)) => self
                .metadata
                .set_location(lon, lat)
                .map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// Puts the parts together.
    pub(super) fn finish(mut self) -> Result<Metadata, String> {
        let both = |names: &str, parts| match parts {
            (Some(x), Some(y)) => Ok(Some((x, y))),
            (None, None) => Ok(None),
            _ => Err(format!("one of {names} is there without the other")),
        };
        let gsd = both("`gsd_x` and `gsd_y`", self.gsd)?;
        let pixel_size = both("`pixel_size_x` and `pixel_size_y`", self.pixel_size)?;
        let location = both("longitude and latitude", self.location)?;
        self.join(gsd, pixel_size, location)
            .map_err(|e| e.to_string())?;
        Ok(self.metadata)
    }

    fn join(
        &mut self,
        gsd: Option<(f64, f64)>,
        pixel_size: Option<(f64, f64)>,
        location: Option<(f64, f64)>,
    ) -> Result<()> {
        let source = self.source();
        let metadata = &mut self.metadata;
        if let Some((x, y)) = gsd {
            normalise::numbers(metadata, Field::Gsd, &[x, y], &source)?;
        }
        if let Some((x, y)) = pixel_size {
            normalise::numbers(metadata, Field::PixelSize, &[x, y], &source)?;
        }
        if let Some((lon, lat)) = location {
            normalise::numbers(metadata, Field::Location, &[lon, lat], &source)?;
        }
        if let Some(zenith) = self.sun_zenith
            && !metadata.has(Field::SunElevationAngle)
        {
            normalise::number(metadata, Field::SunElevationAngle, 90.0 - zenith, &source)?;
        }
        if let (Some(start), Some(end)) = self.interval
            && !metadata.has(Field::Timestamp)
            && let Some(middle) = time_text::middle(start, end)
        {
            metadata.set_time(middle);
        }
        // A code that is not known says nothing: the table may have it for other readers.
        let crs = self.epsg.and_then(|code| Crs::from_epsg(code).ok());
        if let (Some(crs), Some(transform)) = (&crs, self.transform) {
            let grid = Grid {
                crs: crs.clone(),
                transform,
                size: self.size,
            };
            if metadata.location().is_none()
                && let Some((lon, lat)) = grid.centre()
            {
                metadata.set_location(lon, lat)?;
            }
            let stated = metadata.has(Field::Gsd) || metadata.has(Field::PixelSize);
            let place = metadata.location().map(|place| (place.lon(), place.lat()));
            if let Some(size) = grid.pixel_size(place).filter(|_| !stated) {
                grid::set_size(metadata, size)?;
            }
        }
        if let (None, Some((zone, place))) =
            (metadata.utm_zone(), self.zone.zip(metadata.location()))
            && let Some(zone) = utm_zone(zone, place.lat())
        {
            metadata.set_utm_zone(&zone)?;
        }
        if metadata.location().is_none() && !self.tile && normalise::is_half_or_band(metadata) {
            let zone = metadata.text(Field::UtmZone).unwrap_or_default();
            return Err(Error::field(
                Field::UtmZone.name(),
                zone,
                "could be a latitude band or a half of the earth; without a location write the name of a tile, \
                 as `T31NAA`, or leave it out",
            ));
        }
        normalise::settle_zone(metadata)?;
        match &crs {
            // The zone of the pixels' grid, wherever they lie in it.
            Some(crs) if metadata.utm_zone().is_none() && self.zone.is_none() => {
                grid::set_zone(metadata, crs)
            }
            _ => Ok(()),
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    time_text::rfc3339(text)
        .parse()
        .map_err(|e: crate::Error| e.to_string())
}

/// The code of `32631`, `32631.0` or `EPSG:32631`; none where it is of another authority.
fn epsg(text: &str) -> Result<Option<u32>, String> {
    let wrong = || format!("`{}` is no EPSG code", short(text));
    match text.parse::<f64>() {
        Ok(code) if code.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&code) => {
            Ok(Some(code as u32))
        }
        Ok(_) => Err(wrong()),
        Err(_) => match (Crs::code_of(text), text.split_once(':')) {
            (Some(code), _) => Ok(Some(code)),
            (None, Some((authority, _))) if !authority.eq_ignore_ascii_case("epsg") => Ok(None),
            (None, _) => Err(wrong()),
        },
    }
}

/// The numbers of a list with commas, with or without brackets.
fn numbers(text: &str) -> Option<Vec<f64>> {
    /// More than any list that is read here has.
    const MOST: usize = 64;
    let inner = text
        .trim_start_matches(['[', '('])
        .trim_end_matches([']', ')']);
    let parts = inner.split(',').take(MOST);
    parts.map(|part| part.trim().parse().ok()).collect()
}
