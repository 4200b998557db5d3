//! Where the pixels of a changed picture come from, so that metadata can follow them.

use super::resize::Region;
use crate::error::{Error, Result};
use crate::metadata::{Field, FieldSet, Location, Metadata, PerAxis, metres_per_degree};

/// How far a centre may move, in pixels of the source along each axis, and still be called the same where the size of a
/// pixel is not known (our choice).
const HALF_PIXEL: f64 = 0.5;

/// What crops, resizes, flips and quarter turns did to a picture.
///
/// It is an affine map from places in the picture as it is now to places in the source,
/// `source = linear * place + offset`, together with both sizes. Places are in pixels and
/// continuous: the pixel in column i and row j covers i to i + 1 and j to j + 1, and the middle
/// of a picture is (width / 2, height / 2).
///
/// ```
/// use satmip::Metadata;
/// use satmip::image::{Geometry, Region};
///
/// let left_half = Region { left: 0, top: 0, width: 100, height: 200 };
/// let geometry = Geometry::of(200, 200)?.crop(left_half)?.resize(50, 100)?;
/// let metadata = Metadata::new().with_gsd(0.5)?;
/// assert_eq!(geometry.apply_to(&metadata), Metadata::new().with_gsd(1.0)?);
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    source: (u32, u32),
    size: (u32, u32),
    /// Source x and y for one step along x, then along y.
    linear: [[f64; 2]; 2],
    offset: [f64; 2],
}

impl Geometry {
    /// A picture of this size that nothing was done to yet.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is no pixel.
    pub fn of(width: u32, height: u32) -> Result<Self> {
        check(width, height)?;
        Ok(Geometry {
            source: (width, height),
            size: (width, height),
            linear: [[1.0, 0.0], [0.0, 1.0]],
            offset: [0.0, 0.0],
        })
    }

    /// Width and height of the source in pixels.
    pub fn source_size(&self) -> (u32, u32) {
        self.source
    }

    /// Width and height of the picture as it is now, in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The place in the source, in pixels, that a place of the picture shows.
    pub fn to_source(&self, x: f64, y: f64) -> (f64, f64) {
        let [along_x, along_y] = self.linear;
        (
            along_x[0] * x + along_y[0] * y + self.offset[0],
            along_x[1] * x + along_y[1] * y + self.offset[1],
        )
    }

    /// Cuts a region out of the picture as it is now.
    ///
    /// # Errors
    /// [`Error::Argument`] when the region is empty or not within the picture.
    pub fn crop(self, region: Region) -> Result<Self> {
        check(region.width, region.height)?;
        let within = |start: u32, length: u32, side: u32| {
            u64::from(start) + u64::from(length) <= u64::from(side)
        };
        if !within(region.left, region.width, self.size.0)
            || !within(region.top, region.height, self.size.1)
        {
            let (width, height) = self.size;
            return Err(Error::Argument {
                what: "region",
                reason: format!("{region:?} is not within a picture of {width} x {height}"),
            });
        }
        let (x, y) = self.to_source(f64::from(region.left), f64::from(region.top));
        Ok(Geometry {
            size: (region.width, region.height),
            offset: [x, y],
            ..self
        })
    }

    /// Resizes to this width and height.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is no pixel.
    pub fn resize(self, width: u32, height: u32) -> Result<Self> {
        check(width, height)?;
        let x = f64::from(self.size.0) / f64::from(width);
        let y = f64::from(self.size.1) / f64::from(height);
        let [along_x, along_y] = self.linear;
        Ok(Geometry {
            size: (width, height),
            linear: [along_x.map(|v| v * x), along_y.map(|v| v * y)],
            ..self
        })
    }

    /// Mirrors left to right.
    pub fn flip_horizontal(self) -> Self {
        let (x, y) = self.to_source(f64::from(self.size.0), 0.0);
        let [along_x, along_y] = self.linear;
        Geometry {
            linear: [along_x.map(|v| -v), along_y],
            offset: [x, y],
            ..self
        }
    }

    /// Mirrors top to bottom.
    pub fn flip_vertical(self) -> Self {
        let (x, y) = self.to_source(0.0, f64::from(self.size.1));
        let [along_x, along_y] = self.linear;
        Geometry {
            linear: [along_x, along_y.map(|v| -v)],
            offset: [x, y],
            ..self
        }
    }

    /// Turns clockwise by 90 degrees as often as said: the left column becomes the top row.
    pub fn quarter_turns(self, turns: u8) -> Self {
        (0..turns % 4).fold(self, |before, _| {
            // Along the new x lies what lay along y upwards; along the new y what lay along x.
            let (x, y) = before.to_source(0.0, f64::from(before.size.1));
            let [along_x, along_y] = before.linear;
            Geometry {
                size: (before.size.1, before.size.0),
                linear: [along_y.map(|v| -v), along_x],
                offset: [x, y],
                ..before
            }
        })
    }

    /// This geometry and then another, whose source is this one's result.
    ///
    /// # Errors
    /// [`Error::Argument`] when the sizes do not meet.
    pub fn then(&self, next: &Geometry) -> Result<Self> {
        if next.source != self.size {
            return Err(Error::Argument {
                what: "geometry",
                reason: format!(
                    "it begins with a picture of {:?} pixels, this one ends with {:?}",
                    next.source, self.size
                ),
            });
        }
        let linear = next.linear.map(|[x, y]| {
            let [along_x, along_y] = self.linear;
            [
                along_x[0] * x + along_y[0] * y,
                along_x[1] * x + along_y[1] * y,
            ]
        });
        let (x, y) = self.to_source(next.offset[0], next.offset[1]);
        Ok(Geometry {
            source: self.source,
            size: next.size,
            linear,
            offset: [x, y],
        })
    }

    /// The metadata of the picture as it is now, from the metadata of its source.
    ///
    /// The source is taken to be north-up: rows run east, columns run south.
    ///
    /// | field | after |
    /// |---|---|
    /// | `gsd`, `pixel_size` | scaled, on the picture's own axes: a quarter turn exchanges them |
    /// | `multispectral_gsd` | scaled by the geometric mean of both axes (our choice) |
    /// | `location` | moves with the centre; where neither `pixel_size` nor `gsd` is known, it stays for a move of at most half a pixel of the source along each axis, and is dropped for a longer one (our choice: a centre is not known better, and half a pixel is what a square cut leaves of an odd rest) |
    /// | `target_azimuth_angle`, `sun_azimuth_angle` | flipped and turned with the picture, so that they stay relative to its top as if that were north (our choice); shadows go on to fit |
    /// | derived `utm_zone`, `country_code` | derived again when the location moved |
    /// | all others | unchanged: they are of the scene or the sensor |
    ///
    /// A field that leaves its range is dropped; [`Geometry::apply_with_reasons`] says which and why.
    ///
    /// The location moves on a plane with the source centre's metres per degree. For a centre
    /// that moves by e metres east and n metres north at latitude phi this is off by about
    /// `e * n * tan(phi) / R` metres east and `e^2 * tan(phi) / 2R` metres north, R being the
    /// earth's radius: 0.3 m for 1 km each way at 60 degrees, 7 m for 5 km.
    pub fn apply_to(&self, metadata: &Metadata) -> Metadata {
        self.apply_with_reasons(metadata).0
    }

    /// The record of the picture as it is now, as a model sees it that reads `fields`: what the source's record implies
    /// is filled in ([`Metadata::derive_missing`]), all of it follows the pixels ([`Geometry::apply_to`]), and the
    /// other fields are left out.
    ///
    /// That is the order of training, and the only one that holds for every change: an azimuth of the sun that is
    /// derived after a flip would not be flipped with the picture. For a fit, which neither flips nor turns, the other
    /// order differs by what half a pixel on the ground makes.
    pub fn record_for(&self, source: &Metadata, fields: FieldSet) -> Metadata {
        self.apply_to(&source.derive_missing()).only(fields)
    }

    /// As [`Geometry::apply_to`], with the fields that could not follow, and why each was dropped.
    pub fn apply_with_reasons(
        &self,
        metadata: &Metadata,
    ) -> (Metadata, Vec<(Field, &'static str)>) {
        let mut after = Followed {
            record: metadata.clone(),
            dropped: Vec::new(),
        };
        let scale = self.linear.map(|[x, y]| x.hypot(y));
        // Exactly one of the two is along the source's x.
        let turned = self.linear[0][0] == 0.0;
        let scaled = |size: PerAxis| match turned {
            false => (size.x * scale[0], size.y * scale[1]),
            true => (size.y * scale[0], size.x * scale[1]),
        };
        if let Some(gsd) = metadata.gsd() {
            after.set(Field::Gsd, |r| r.set_gsd(scaled(gsd)));
        }
        if let Some(size) = metadata.pixel_size() {
            after.set(Field::PixelSize, |r| r.set_pixel_size(scaled(size)));
        }
        if let Some(gsd) = metadata.multispectral_gsd() {
            let gsd = gsd * (scale[0] * scale[1]).sqrt();
            after.set(Field::MultispectralGsd, |r| r.set_multispectral_gsd(gsd));
        }
        if let Some(azimuth) = metadata.target_azimuth_angle() {
            let azimuth = self.azimuth(azimuth);
            after.set(Field::TargetAzimuthAngle, |r| {
                r.set_target_azimuth_angle(azimuth)
            });
        }
        if let Some(azimuth) = metadata.sun_azimuth_angle() {
            let azimuth = self.azimuth(azimuth);
            after.set(Field::SunAzimuthAngle, |r| r.set_sun_azimuth_angle(azimuth));
        }
        if let Some(place) = metadata.location() {
            match self.centre(place, metadata) {
                Ok(centre) if centre == place => {}
                Ok(centre) => {
                    after.set(Field::Location, |r| {
                        r.set_location(centre.lon(), centre.lat())
                    });
                    after.derive_place_again(centre);
                }
                Err(reason) => after.drop(Field::Location, reason),
            }
        }
        (after.record, after.dropped)
    }

    /// The source's azimuth as it is seen in the picture, degrees clockwise from its top.
    fn azimuth(&self, degrees: f64) -> f64 {
        let [along_x, along_y] = self.linear;
        // North, which is up in the source, points along these axes of the picture.
        let north = match (sign(-along_x[1]), sign(along_y[1])) {
            (1, _) => 90.0,
            (-1, _) => 270.0,
            (_, -1) => 180.0,
            _ => 0.0,
        };
        let mirrored = along_x[0] * along_y[1] - along_x[1] * along_y[0] < 0.0;
        let turned: f64 = if mirrored {
            north - degrees
        } else {
            north + degrees
        };
        turned.rem_euclid(360.0)
    }

    /// Where the middle of the picture is, or why that cannot be told.
    fn centre(&self, place: Location, metadata: &Metadata) -> Result<Location, &'static str> {
        let middle =
            |(width, height): (u32, u32)| (f64::from(width) / 2.0, f64::from(height) / 2.0);
        let (x, y) = middle(self.size);
        let (now, before) = (self.to_source(x, y), middle(self.source));
        let (east, south) = (now.0 - before.0, now.1 - before.1);
        // Rounding in the map is no move.
        let least = 1e-9 * f64::from(self.source.0.max(self.source.1));
        if east.abs() <= least && south.abs() <= least {
            return Ok(place);
        }
        let size = metadata.pixel_size().or_else(|| {
            let (gsd, degree) = (metadata.gsd()?, metres_per_degree(place.lat()));
            Some(PerAxis {
                x: gsd.x / degree.x,
                y: gsd.y / degree.y,
            })
        });
        let Some(size) = size else {
            return match east.abs().max(south.abs()) <= HALF_PIXEL + least {
                true => Ok(place),
                false => Err("the centre moved, and neither pixel_size nor gsd says how far"),
            };
        };
        let lon = place.lon() + east * size.x;
        let lon = if lon.abs() > 180.0 {
            (lon + 180.0).rem_euclid(360.0) - 180.0
        } else {
            lon
        };
        Location::new(lon, place.lat() - south * size.y).map_err(|_| "the centre moved over a pole")
    }
}

fn check(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::Argument {
            what: "size",
            reason: format!("a picture of {width} x {height} has no pixel"),
        });
    }
    Ok(())
}

fn sign(value: f64) -> i8 {
    i8::from(value > 0.0) - i8::from(value < 0.0)
}

/// Metadata while they follow.
struct Followed {
    record: Metadata,
    dropped: Vec<(Field, &'static str)>,
}

impl Followed {
    /// Changes a field, which stays derived if it was; drops it when the value is out of range.
    fn set(&mut self, field: Field, change: impl FnOnce(&mut Metadata) -> Result<()>) {
        let derived = self.record.derived().contains(field);
        match change(&mut self.record) {
            Ok(()) if derived => self.record.mark_derived(field),
            Ok(()) => {}
            Err(_) => self.drop(field, "the value left the field's range"),
        }
    }

    fn drop(&mut self, field: Field, reason: &'static str) {
        self.record.remove(field);
        self.dropped.push((field, reason));
    }

    /// Derives the zone and the country of a new place, where they were derived before.
    fn derive_place_again(&mut self, place: Location) {
        let of_place = FieldSet::of(&[Field::UtmZone, Field::CountryCode]);
        let again = self.record.derived().intersection(of_place);
        if again.is_empty() {
            return;
        }
        let mut there = Metadata::new();
        if there.set_location(place.lon(), place.lat()).is_err() {
            return;
        }
        // Of the place alone, which saves the sun.
        let there = there.derive_missing();
        for field in again.iter() {
            match there.text(field) {
                Some(text) => self.set(field, |r| r.set_text(field, &text)),
                None => self.drop(field, "the new centre has none"),
            }
        }
    }
}
