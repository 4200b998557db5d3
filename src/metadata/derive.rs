//! What other fields imply.

use std::sync::LazyLock;

use country_boundaries::{BOUNDARIES_ODBL_360X180, CountryBoundaries, LatLon};
use solar_positioning::time::JulianDate;
use solar_positioning::{SolarPositions, delta_t};

use super::field::Field;
use super::place::{CountryCode, Location, UtmZone};
use super::record::Metadata;
use super::sensor::PerAxis;
use super::time::{TimePrecision, Timestamp};

/// Semi-major axis of WGS84, metres.
const SEMI_MAJOR: f64 = 6_378_137.0;
/// Square of the first eccentricity of WGS84, from its flattening of 1 / 298.257223563.
const ECCENTRICITY2: f64 = 6.694_379_990_141_316e-3;

impl Metadata {
    /// The record with the fields that others imply, where they were missing;
    /// [`derived`](Metadata::derived) tells them from given ones.
    ///
    /// | field | from | by |
    /// |---|---|---|
    /// | `utm_zone` | location | the UTM grid with its exceptions, 80 S to 84 N |
    /// | `country_code` | location | OpenStreetMap's boundaries; none at sea |
    /// | `sun_azimuth_angle`, `sun_elevation_angle` | location, timestamp to the minute | NREL's solar position algorithm, at sea level, without refraction |
    /// | `pixel_size` | gsd, latitude | WGS84's radii of curvature, for a north-up picture |
    /// | `gsd` | pixel_size, latitude | likewise |
    ///
    /// A field stays missing where nothing implies it or where the result is out of its range
    /// (a pixel size in degrees near a pole).
    pub fn derive_missing(&self) -> Metadata {
        let mut record = self.clone();
        let Some(place) = self.location else {
            return record;
        };
        let mut found = Vec::new();
        if self.utm_zone.is_none() {
            record.utm_zone = UtmZone::of(place);
            found.push(Field::UtmZone);
        }
        if self.country_code.is_none() {
            record.country_code = country(place);
            found.push(Field::CountryCode);
        }
        let degree = metres_per_degree(place.lat);
        match (self.gsd, self.pixel_size) {
            (Some(gsd), None) => {
                let size = (gsd.x / degree.x, gsd.y / degree.y);
                if record.set_pixel_size(size).is_ok() {
                    found.push(Field::PixelSize);
                }
            }
            (None, Some(size)) => {
                let gsd = (size.x * degree.x, size.y * degree.y);
                if record.set_gsd(gsd).is_ok() {
                    found.push(Field::Gsd);
                }
            }
            _ => {}
        }
        if let Some((azimuth, elevation)) = self.timestamp.and_then(|time| sun(time, place)) {
            if self.sun_azimuth_angle.is_none() && record.set_sun_azimuth_angle(azimuth).is_ok() {
                found.push(Field::SunAzimuthAngle);
            }
            if self.sun_elevation_angle.is_none()
                && record.set_sun_elevation_angle(elevation).is_ok()
            {
                found.push(Field::SunElevationAngle);
            }
        }
        for field in found {
            if record.has(field) {
                record.derived.insert(field);
            }
        }
        record
    }
}

/// Metres of one degree of longitude (x) and of latitude (y) at a latitude in degrees, on WGS84.
///
/// With N = a / sqrt(1 - e² sin²φ) and M = a (1 - e²) / (1 - e² sin²φ)^(3/2), the radii of
/// curvature in the prime vertical and in the meridian: N cos φ π / 180 and M π / 180
/// (Snyder 1987, Map Projections: A Working Manual, equations 4-18 to 4-21).
pub(crate) fn metres_per_degree(lat: f64) -> PerAxis {
    let (sin, cos) = lat.to_radians().sin_cos();
    let w2 = 1.0 - ECCENTRICITY2 * sin * sin;
    let prime_vertical = SEMI_MAJOR / w2.sqrt();
    let meridian = SEMI_MAJOR * (1.0 - ECCENTRICITY2) / (w2 * w2.sqrt());
    PerAxis {
        x: (prime_vertical * cos).to_radians(),
        y: meridian.to_radians(),
    }
}

/// Azimuth and elevation of the sun's centre in degrees; none where only the day is known.
///
/// Without refraction: the geometric direction is what image metadata state (our choice).
fn sun(time: Timestamp, place: Location) -> Option<(f64, f64)> {
    if time.precision() == TimePrecision::Day {
        return None;
    }
    let midnight = (time.year(), time.month(), time.day());
    let seconds = time.unix_seconds().rem_euclid(86_400.0);
    let (hour, rest) = ((seconds / 3600.0).floor(), seconds % 3600.0);
    let delta_t = delta_t::estimate_from_date(midnight.0, midnight.1).ok()?;
    let julian = JulianDate::from_utc(
        midnight.0,
        midnight.1,
        midnight.2,
        hour as u32,
        (rest / 60.0).floor() as u32,
        rest % 60.0,
        delta_t,
    )
    .ok()?;
    let place = solar_positioning::Location {
        latitude: place.lat,
        longitude: place.lon,
    };
    let position = SolarPositions::new().at_from_julian(julian, place, 0.0, None);
    position.ok().map(|p| (p.azimuth(), p.elevation_angle()))
}

/// The smallest country around a place. Boundaries: ODbL, (c) OpenStreetMap contributors.
fn country(place: Location) -> Option<CountryCode> {
    static BOUNDARIES: LazyLock<Option<CountryBoundaries>> =
        LazyLock::new(|| CountryBoundaries::from_reader(BOUNDARIES_ODBL_360X180).ok());
    let place = LatLon::new(place.lat, place.lon).ok()?;
    // Subdivisions (`US-TX`) come first and have no alpha-3 code.
    let ids = BOUNDARIES.as_ref()?.ids(place);
    ids.into_iter().find_map(CountryCode::from_alpha2)
}
