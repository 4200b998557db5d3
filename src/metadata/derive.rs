//! What other fields imply.

use std::sync::LazyLock;

use country_boundaries::{BOUNDARIES_ODBL_360X180, CountryBoundaries, LatLon};
use solar_positioning::time::JulianDate;
use solar_positioning::{SolarPositions, delta_t};

use super::field::Field;
#[cfg(feature = "geotiff")]
use super::field::FieldSet;
use super::place::{CountryCode, Location, UtmZone};
use super::record::Metadata;
use super::sensor::PerAxis;
use super::time::{TimePrecision, Timestamp};

/// Semi-major axis of WGS84, metres.
const SEMI_MAJOR: f64 = 6_378_137.0;
/// Square of the first eccentricity of WGS84, from its flattening of 1 / 298.257223563.
const ECCENTRICITY2: f64 = 6.694_379_990_141_316e-3;

impl Metadata {
    /// The record of a part of this picture: what `place` says of the part, as
    /// [`Scene::record`](crate::scene::Scene::record) gives it, takes the place of the picture's own location, country,
    /// UTM zone, gsd and pixel size; what it does not say of these is missing. A cloud
    /// cover that it states is the part's as well.
    #[cfg(feature = "geotiff")]
    pub fn of_part(&self, place: &Metadata) -> Metadata {
        Metadata {
            location: place.location,
            country_code: place.country_code,
            utm_zone: place.utm_zone,
            gsd: place.gsd,
            pixel_size: place.pixel_size,
            cloud_cover: place.cloud_cover.or(self.cloud_cover),
            derived: FieldSet::NONE,
            ..self.clone()
        }
    }

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
        let degree = metres_per_degree(place.lat());
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
        latitude: place.lat(),
        longitude: place.lon(),
    };
    let position = SolarPositions::new().at_from_julian(julian, place, 0.0, None);
    position.ok().map(|p| (p.azimuth(), p.elevation_angle()))
}

/// The smallest country around a place. Boundaries: ODbL, (c) OpenStreetMap contributors.
fn country(place: Location) -> Option<CountryCode> {
    static BOUNDARIES: LazyLock<Option<CountryBoundaries>> =
        LazyLock::new(|| CountryBoundaries::from_reader(BOUNDARIES_ODBL_360X180).ok());
    let place = LatLon::new(place.lat(), place.lon()).ok()?;
    // Subdivisions (`US-TX`) come first and have no alpha-3 code.
    let ids = BOUNDARIES.as_ref()?.ids(place);
    ids.into_iter().find_map(CountryCode::from_alpha2)
}

#[cfg(test)]
mod tests {
    use super::super::caption::poster;
    use super::super::field::FieldSet;
    use super::*;

    const PLACED: FieldSet = FieldSet::GSD_TIME_LOCATION;
    const DERIVED: FieldSet = FieldSet::of(&[
        Field::PixelSize,
        Field::UtmZone,
        Field::CountryCode,
        Field::SunAzimuthAngle,
        Field::SunElevationAngle,
    ]);

    fn at(lon: f64, lat: f64) -> Metadata {
        Metadata::new()
            .with_location(lon, lat)
            .unwrap()
            .derive_missing()
    }

    fn near(a: Option<f64>, b: f64, within: f64) {
        let a = a.unwrap();
        assert!((a - b).abs() <= within, "{a} is not within {within} of {b}");
    }

    #[test]
    fn the_poster_follows_from_place_time_and_gsd() {
        let record = poster().only(PLACED).derive_missing();
        assert_eq!(record.fields(), PLACED.union(DERIVED));
        assert_eq!(record.derived(), DERIVED);
        assert_eq!(record.text(Field::UtmZone).as_deref(), Some("18M"));
        assert_eq!(record.text(Field::CountryCode).as_deref(), Some("PER"));
        near(record.sun_azimuth_angle(), 77.28, 0.5);
        near(record.sun_elevation_angle(), 70.44, 0.5);
        let size = record.pixel_size().unwrap();
        near(Some(size.x / 1.03e-4), 1.0, 0.005);
        near(Some(size.y / 8.23e-5), 1.0, 0.005);
    }

    #[test]
    fn what_is_given_stays() {
        assert_eq!(poster().derive_missing(), poster());
        let given = poster()
            .only(PLACED)
            .with_country_code("COL")
            .unwrap()
            .derive_missing();
        assert_eq!(given.text(Field::CountryCode).as_deref(), Some("COL"));
        assert!(!given.derived().contains(Field::CountryCode));
    }

    #[test]
    fn setting_and_removing_unmark() {
        let mut record = poster().only(PLACED).derive_missing();
        record.set_utm_zone("18L").unwrap();
        record.remove(Field::CountryCode);
        let rest = FieldSet::of(&[Field::UtmZone, Field::CountryCode]);
        assert_eq!(record.derived(), DERIVED.difference(rest));
        assert_eq!(record.only(PLACED).derived(), FieldSet::NONE);
        assert_eq!(
            record.derive_missing().derived(),
            DERIVED.difference(FieldSet::of(&[Field::UtmZone]))
        );
    }

    #[test]
    fn nothing_follows_from_nothing() {
        assert!(Metadata::new().derive_missing().is_empty());
        let unplaced = poster().only(FieldSet::GSD.union(FieldSet::TIME));
        assert_eq!(unplaced.derive_missing(), unplaced);
    }

    #[test]
    fn countries() {
        for (lon, lat, code) in [
            (2.35, 48.86, Some("FRA")),
            (-97.0, 33.0, Some("USA")),
            (36.82, -1.29, Some("KEN")),
            (114.17, 22.32, Some("HKG")),
            (-52.5, 4.0, Some("GUF")),
            (8.691, 47.6973, Some("DEU")),
            (12.453, 41.903, Some("VAT")),
            (151.2, -33.87, Some("AUS")),
            (0.0, 90.0, None),
            (-30.0, 30.0, None),
            (180.0, 0.5, None),
        ] {
            assert_eq!(
                at(lon, lat).text(Field::CountryCode).as_deref(),
                code,
                "{lon} {lat}"
            );
        }
    }

    #[test]
    fn a_day_has_no_sun() {
        let day = at(5.32, 60.39)
            .with_timestamp("2020-06-21")
            .unwrap()
            .derive_missing();
        assert_eq!(day.sun_azimuth_angle(), None);
        let minute = at(5.32, 60.39)
            .with_timestamp("2020-06-21T11:40Z")
            .unwrap()
            .derive_missing();
        // Local noon of the solstice: 90 - 60.39 + 23.44.
        near(minute.sun_elevation_angle(), 53.05, 0.1);
        near(minute.sun_azimuth_angle(), 180.0, 1.0);
    }

    #[test]
    fn the_sun_before_1970_and_at_night() {
        // Greenwich at midnight of an equinox: as far below the horizon as it is above at noon.
        let night = at(0.0, 51.48)
            .with_timestamp("1960-03-20T00:07:30Z")
            .unwrap()
            .derive_missing();
        near(night.sun_elevation_angle(), -38.7, 0.5);
        let azimuth = night.sun_azimuth_angle().unwrap();
        assert!(!(1.0..=359.0).contains(&azimuth), "{azimuth}");
    }

    #[test]
    fn degrees_on_wgs84() {
        // Published lengths of a degree in kilometres: longitude, latitude.
        for (lat, lon_km, lat_km) in [
            (0.0, 111.320, 110.574),
            (15.0, 107.551, 110.649),
            (-45.0, 78.847, 111.132),
            (75.0, 28.902, 111.618),
        ] {
            let degree = metres_per_degree(lat);
            near(Some(degree.x / 1000.0), lon_km, 0.0006);
            near(Some(degree.y / 1000.0), lat_km, 0.0006);
        }
    }

    #[test]
    fn gsd_and_pixel_size_are_inverse() {
        let record = Metadata::new()
            .with_gsd((10.0, 20.0))
            .unwrap()
            .with_location(5.32, -60.39)
            .unwrap();
        let size = record.derive_missing();
        let mut back = size.clone();
        back.remove(Field::Gsd);
        let back = back.derive_missing();
        assert!(back.derived().contains(Field::Gsd));
        near(back.gsd().map(|g| g.x), 10.0, 1e-9);
        near(back.gsd().map(|g| g.y), 20.0, 1e-9);
    }

    #[test]
    fn nothing_is_derived_out_of_range() {
        let pole = Metadata::new()
            .with_gsd(10_000.0)
            .unwrap()
            .with_location(0.0, 90.0)
            .unwrap();
        let derived = pole.derive_missing();
        assert_eq!((derived.pixel_size(), derived.utm_zone()), (None, None));
        assert_eq!(derived, pole);
    }
}
