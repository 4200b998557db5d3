//! Where windows are wanted: polygons of GeoJSON.

use std::path::{Path, PathBuf};

use geo::{BoundingRect, Intersects, Line, LineString, MultiPolygon, Polygon, Rect};
use geojson::GeoJson;
use serde_json::Value;

use satmip::metadata::read;
use satmip::parts::sha256;
use satmip::scene::Footprint;
use satmip::{Error, Result};

/// Polygons in degrees of WGS84, of a file of GeoJSON (RFC 7946): those on the antimeridian are split there.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    /// Each with the box around it.
    polygons: Vec<(Rect, Polygon)>,
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
}

impl Area {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is no GeoJSON of polygons in degrees; [`Error::Io`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::Argument {
            what: "intersects",
            reason: format!("`{}`: {reason}", path.display()),
        };
        let document = read::json_document(path)?;
        // GeoJSON of 2008 could be in any coordinate system.
        if let Some(crs) = document.get("crs") {
            let name = crs
                .pointer("/properties/name")
                .and_then(|name| name.as_str());
            if !name.is_some_and(|name| name.ends_with("CRS84") || name.ends_with(":4326")) {
                return Err(refuse(format!(
                    "its coordinates are no degrees of WGS84: {crs}"
                )));
            }
        }
        check_rings(&document).map_err(refuse)?;
        let document: GeoJson =
            serde_json::from_value(document).map_err(|error| refuse(error.to_string()))?;
        let shapes = geo::GeometryCollection::try_from(&document)
            .map_err(|error| refuse(error.to_string()))?;
        let mut polygons = Vec::new();
        for shape in shapes {
            take(shape, &mut polygons).map_err(refuse)?;
        }
        if polygons.is_empty() {
            return Err(refuse("it holds no polygon".into()));
        }
        let (_, sha256) = sha256::of_file(path).map_err(|error| Error::io(path, error))?;
        Ok(Area {
            polygons,
            path: path.to_owned(),
            sha256,
        })
    }

    /// Whether a window touches one of the polygons.
    pub(crate) fn touches(&self, footprint: &Footprint) -> bool {
        footprint.polygons().into_iter().any(|ring| {
            let window = Polygon::new(LineString::from(ring), Vec::new());
            let sides = window.bounding_rect();
            self.polygons.iter().any(|(around, polygon)| {
                sides.is_some_and(|sides| sides.intersects(around)) && polygon.intersects(&window)
            })
        })
    }
}

/// Looks at the rings of polygons, which would be closed in silence.
///
/// # Errors
/// Where one has fewer than four positions, or does not end where it begins.
fn check_rings(document: &Value) -> Result<(), String> {
    let all = |key: &str| {
        let parts = document.get(key).and_then(Value::as_array);
        parts.into_iter().flatten()
    };
    match document.get("type").and_then(Value::as_str) {
        Some("FeatureCollection") => all("features").try_for_each(check_rings),
        Some("GeometryCollection") => all("geometries").try_for_each(check_rings),
        Some("Feature") => document.get("geometry").map_or(Ok(()), check_rings),
        Some("Polygon") => all("coordinates").try_for_each(check_ring),
        Some("MultiPolygon") => {
            let mut rings = all("coordinates").filter_map(Value::as_array).flatten();
            rings.try_for_each(check_ring)
        }
        _ => Ok(()),
    }
}

fn check_ring(ring: &Value) -> Result<(), String> {
    const RULE: &str = "(RFC 7946, section 3.1.6)";
    let positions = ring.as_array().map(Vec::as_slice).unwrap_or_default();
    if positions.len() < 4 {
        return Err(format!(
            "a ring of {} positions, where four are the least, the last one as the first {RULE}",
            positions.len()
        ));
    }
    let numbers = |position: &Value| -> Vec<Option<f64>> {
        let numbers = position.as_array().into_iter().flatten();
        numbers.map(Value::as_f64).collect()
    };
    let wrong = |position: &&Value| {
        let numbers = numbers(position);
        numbers.len() < 2 || numbers.iter().any(Option::is_none)
    };
    if let Some(position) = positions.iter().find(wrong) {
        return Err(format!(
            "a position of `{position}`, where a longitude and a latitude are wanted (RFC 7946, section 3.1.1)"
        ));
    }
    match positions {
        [first, .., last] if numbers(first) != numbers(last) => Err(format!(
            "a ring that ends at {last} and not at {first}, where it begins {RULE}"
        )),
        _ => Ok(()),
    }
}

/// Adds the polygons of a shape.
fn take(shape: geo::Geometry, polygons: &mut Vec<(Rect, Polygon)>) -> Result<(), String> {
    let shapes = match shape {
        geo::Geometry::Polygon(polygon) => MultiPolygon::from(polygon),
        geo::Geometry::MultiPolygon(several) => several,
        geo::Geometry::Rect(sides) => MultiPolygon::from(sides.to_polygon()),
        geo::Geometry::GeometryCollection(several) => {
            return several
                .into_iter()
                .try_for_each(|shape| take(shape, polygons));
        }
        _ => return Err("it holds points or lines, where polygons are wanted".into()),
    };
    for polygon in shapes {
        let Some(sides) = polygon.bounding_rect() else {
            continue;
        };
        let within =
            |lon: f64, lat: f64| (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
        if !within(sides.min().x, sides.min().y) || !within(sides.max().x, sides.max().y) {
            let (west, east) = (sides.min().x, sides.max().x);
            let runs_on = west >= -540.0 && east <= 540.0 && east - west <= 360.0;
            return Err(
                match runs_on && within(0.0, sides.min().y) && within(0.0, sides.max().y) {
                    true => format!(
                        "its longitudes run from {west} to {east}: within -180 to 180 it is split at the antimeridian \
                     (RFC 7946, section 3.1.9)"
                    ),
                    false => "its coordinates are no longitudes and latitudes in degrees".into(),
                },
            );
        }
        let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
        if let Some(line) = rings.flat_map(LineString::lines).find(jumps) {
            return Err(format!(
                "a ring goes from longitude {} to {} in one step: split it at the antimeridian (RFC 7946, section \
                 3.1.9), or add points between",
                line.start.x, line.end.x
            ));
        }
        polygons.push((sides, polygon));
    }
    Ok(())
}

/// Whether a line is over half of the world long: meant is the other way round, over the antimeridian. That of a box of
/// the whole world is not.
fn jumps(line: &Line) -> bool {
    let (from, to) = (line.start.x, line.end.x);
    (to - from).abs() > 180.0 && !(from.abs() == 180.0 && to.abs() == 180.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(text: &str) -> Result<Area> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("area.geojson");
        std::fs::write(&path, text).unwrap();
        Area::open(&path)
    }

    fn square(west: f64, south: f64) -> Footprint {
        let (east, north) = (west + 1.0, south + 1.0);
        Footprint::from_corners([(west, north), (east, north), (east, south), (west, south)])
    }

    #[test]
    fn windows_are_inside_outside_or_in_a_hole() {
        let ring = |w: f64, s: f64, e: f64, n: f64| {
            format!("[[{w},{s}],[{e},{s}],[{e},{n}],[{w},{n}],[{w},{s}]]")
        };
        let text = format!(
            r#"{{"type": "Feature", "properties": {{}}, "geometry": {{"type": "Polygon", "coordinates": [{}, {}]}}}}"#,
            ring(0.0, 0.0, 10.0, 10.0),
            ring(3.0, 3.0, 7.0, 7.0)
        );
        let area = area(&text).unwrap();
        for (west, south, expected) in [
            (1.0, 1.0, true),
            (-0.5, 5.0, true),
            (4.5, 4.5, false),
            (6.5, 6.5, true),
            (-3.0, 0.0, false),
            (20.0, 20.0, false),
        ] {
            assert_eq!(
                area.touches(&square(west, south)),
                expected,
                "{west} {south}"
            );
        }
    }

    #[test]
    fn both_sides_of_the_antimeridian_are_found() {
        let east = r#"{"type": "Polygon", "coordinates": [[[-180,0],[-179,0],[-179,2],[-180,2],[-180.0,0]]]}"#;
        let area = area(east).unwrap();
        assert!(area.touches(&square(179.5, 0.5)));
        assert!(!area.touches(&square(178.5, 0.5)));
    }

    #[test]
    fn the_whole_world_is_an_area() {
        let world = r#"{"type": "Polygon", "coordinates": [[[-180,-90],[180,-90],[180,90],[-180,90],[-180,-90]]]}"#;
        assert!(area(world).unwrap().touches(&square(12.0, 50.0)));
    }

    #[test]
    fn what_holds_no_polygons_is_refused() {
        for (text, reason) in [
            (
                r#"{"type": "Point", "coordinates": [1, 2]}"#,
                "points or lines",
            ),
            (
                r#"{"type": "FeatureCollection", "features": []}"#,
                "no polygon",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[[500000,0],[500001,0],[500001,2],[500000,0]]]}"#,
                "in degrees",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [], "crs": {"type": "name", "properties": {"name": "EPSG:32633"}}}"#,
                "no degrees",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[[170,0],[-170,0],[-170,2],[170,2],[170,0]]]}"#,
                "split it at the antimeridian",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[[170,0],[190,0],[190,2],[170,2],[170,0]]]}"#,
                "run from 170 to 190",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[[10,0],[12,0],[10,0]]]}"#,
                "a ring of 3 positions",
            ),
            (
                r#"{"type": "Feature", "properties": {}, "geometry":
                {"type": "MultiPolygon", "coordinates": [[[[10,0],[12,0],[12,2],[10,2]]]]}}"#,
                "ends at [10,2] and not at [10,0]",
            ),
            (
                r#"{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry":
                {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [[]]}]}}]}"#,
                "a ring of 0 positions",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[[1],[2],[3],[1]]]}"#,
                "a position of `[1]`",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[[],[],[],[]]]}"#,
                "a position of `[]`",
            ),
            (
                r#"{"type": "Polygon", "coordinates": [[["1","2"],["3","2"],["1","3"],["1","2"]]]}"#,
                "a longitude and a latitude",
            ),
            ("{}", "area.geojson"),
            ("[1", "area.geojson"),
        ] {
            let error = area(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
