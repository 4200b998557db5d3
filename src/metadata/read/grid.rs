//! What the grid of a picture says in its coordinate system, whichever reader brought the two.

use super::normalise;
use crate::error::Result;
use crate::metadata::crs::{Crs, PixelSize};
use crate::metadata::geotransform::GeoTransform;
use crate::metadata::{Field, Metadata};

/// A grid and where it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub(super) crs: Crs,
    pub(super) transform: GeoTransform,
    /// Columns and rows, where they are known.
    pub(super) size: Option<(f64, f64)>,
}

impl Grid {
    /// Longitude and latitude of the picture's centre; none without its size or outside of the map.
    pub(super) fn centre(&self) -> Option<(f64, f64)> {
        let (x, y) = self.middle()?;
        self.crs.place(x, y).ok()
    }

    /// The size of a pixel in metres, at the picture's centre or else at a place that is known
    /// otherwise.
    pub(super) fn pixel_size(&self, place: Option<(f64, f64)>) -> Option<PixelSize> {
        let steps = self.transform.steps();
        let size = match (self.middle(), place) {
            (Some(at), _) => self.crs.pixel_size(at, steps).ok(),
            (None, Some(place)) => self.crs.pixel_size_at(place, steps),
            // Of these the place does not matter.
            (None, None) if self.crs.is_uniform() => self.crs.pixel_size((0.0, 0.0), steps).ok(),
            (None, None) => None,
        };
        // Catalogues give grids in degrees to radar pictures that lie on none: of those nothing is
        // taken. Files that have such a grid are on it.
        size.filter(|size| matches!(size, PixelSize::Metres(..)))
    }

    fn middle(&self) -> Option<(f64, f64)> {
        let (columns, rows) = self.size?;
        Some(self.transform.at(columns / 2.0, rows / 2.0))
    }
}

/// Sets gsd or pixel_size, whichever the size is.
pub(super) fn set_size(metadata: &mut Metadata, size: PixelSize) -> Result<()> {
    match size {
        PixelSize::Metres(x, y) => metadata.set_gsd((x, y)),
        PixelSize::Degrees(x, y) => metadata.set_pixel_size((x, y)),
    }
}

/// The map of six or nine numbers, as `proj:transform` has them.
pub(super) fn transform_of(numbers: &[f64]) -> Option<GeoTransform> {
    match *numbers {
        [a, b, c, d, e, f] => GeoTransform::from_numbers([a, b, c, d, e, f]),
        [a, b, c, d, e, f, g, h, i] if (g, h, i) == (0.0, 0.0, 1.0) => {
            GeoTransform::from_numbers([a, b, c, d, e, f])
        }
        _ => None,
    }
}

/// Columns and rows of `proj:shape`, which has the rows first.
pub(super) fn size_of(numbers: &[f64]) -> Option<(f64, f64)> {
    match *numbers {
        [rows, columns] if rows >= 1.0 && columns >= 1.0 => Some((columns, rows)),
        _ => None,
    }
}

/// Sets the zone of UTM that a system is of, at the latitude of the picture's place.
pub(super) fn set_zone(metadata: &mut Metadata, crs: &Crs) -> Result<()> {
    let latitude = metadata.location().map(|place| place.lat());
    match latitude.and_then(|latitude| crs.utm_zone(latitude)) {
        Some(zone) => normalise::text(
            metadata,
            Field::UtmZone,
            &zone,
            &normalise::Source::default(),
        ),
        None => Ok(()),
    }
}
