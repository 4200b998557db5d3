//! Where windows are wanted: polygons of GeoJSON.

use std::path::{Path, PathBuf};

use geo::{BoundingRect, Intersects, Line, LineString, MultiPolygon, Polygon, Rect};
use geojson::GeoJson;

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
            return Err("its coordinates are no longitudes and latitudes in degrees".into());
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
        let east = r#"{"type": "Polygon", "coordinates": [[[-180,0],[-179,0],[-179,2],[-180,2],[-180,0]]]}"#;
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
            ("{}", "area.geojson"),
            ("[1", "area.geojson"),
        ] {
            let error = area(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
