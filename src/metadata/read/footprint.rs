//! The centre of a picture from its bounding box or outline, across the antimeridian too.

use serde_json::Value;

/// The most vertices of an outline that are read.
const MAX_VERTICES: usize = 1_000_000;

/// The centre `(longitude, latitude)` of a GeoJSON `bbox` of 4 or 6 numbers.
///
/// West greater than east means that the box crosses the antimeridian (RFC 7946, section 5.2).
/// None when the box spans more than half of the globe: then it says nothing about the place,
/// or it is the mark of an outline that was cut at the antimeridian.
pub(super) fn centre_of_bbox(bbox: &Value) -> Option<(f64, f64)> {
    let numbers: Vec<f64> = bbox.as_array()?.iter().map_while(Value::as_f64).collect();
    let (west, south, east, north) = match numbers[..] {
        [west, south, east, north] => (west, south, east, north),
        [west, south, _, east, north, _] => (west, south, east, north),
        _ => return None,
    };
    let east = if west > east { east + 360.0 } else { east };
    (east - west <= 180.0).then(|| (wrapped((west + east) / 2.0), (south + north) / 2.0))
}

/// The centre of the box around a GeoJSON geometry, of any type.
///
/// When the longitudes span more than 180 degrees, those below zero are taken to lie beyond the
/// antimeridian. None when the outline is empty or still spans more than half of the globe.
pub(super) fn centre_of_geometry(geometry: &Value) -> Option<(f64, f64)> {
    let mut bounds = Bounds::default();
    let mut left = vec![geometry.get("coordinates").or(geometry.get("geometries"))?];
    // An explicit stack: the nesting is whatever the document says.
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => match items.as_slice() {
                [Value::Number(x), Value::Number(y), ..] => {
                    bounds.add(x.as_f64()?, y.as_f64()?)?;
                }
                items => left.extend(items),
            },
            Value::Object(part) => {
                left.extend(part.get("coordinates").or(part.get("geometries")));
            }
            _ => {}
        }
    }
    bounds.centre()
}

/// The centre of the box around a WKT text such as `POLYGON ((8.5 47.4, 8.6 47.4, ...))`.
pub(super) fn centre_of_wkt(text: &str) -> Option<(f64, f64)> {
    let start = text.find('(')?;
    let mut bounds = Bounds::default();
    for pair in text[start..].split(',') {
        let mut numbers = pair
            .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
            .filter(|part| !part.is_empty());
        let (x, y) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        bounds.add(x, y)?;
    }
    bounds.centre()
}

/// A longitude of -180 to 180 degrees from one that ran on beyond the antimeridian.
fn wrapped(longitude: f64) -> f64 {
    if (180.0..=540.0).contains(&longitude) && longitude > 180.0 {
        longitude - 360.0
    } else if (-540.0..-180.0).contains(&longitude) {
        longitude + 360.0
    } else {
        longitude
    }
}

/// Bounds of vertices, with longitudes both as they are and with the negative ones moved east.
#[derive(Default)]
struct Bounds {
    vertices: usize,
    longitude: Option<(f64, f64)>,
    eastward: Option<(f64, f64)>,
    latitude: Option<(f64, f64)>,
}

impl Bounds {
    /// None when the vertex is not finite or one too many.
    fn add(&mut self, x: f64, y: f64) -> Option<()> {
        self.vertices += 1;
        if !x.is_finite() || !y.is_finite() || self.vertices > MAX_VERTICES {
            return None;
        }
        let eastward = if x < 0.0 { x + 360.0 } else { x };
        for (bounds, value) in [
            (&mut self.longitude, x),
            (&mut self.eastward, eastward),
            (&mut self.latitude, y),
        ] {
            let (low, high) = bounds.unwrap_or((value, value));
            *bounds = Some((low.min(value), high.max(value)));
        }
        Some(())
    }

    fn centre(&self) -> Option<(f64, f64)> {
        let (south, north) = self.latitude?;
        let (west, east) = [self.longitude?, self.eastward?]
            .into_iter()
            .find(|(west, east)| east - west <= 180.0)?;
        Some((wrapped((west + east) / 2.0), (south + north) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn boxes_plain_and_across_the_antimeridian() {
        assert_eq!(centre_of_bbox(&json!([10, 20, 12, 24])), Some((11.0, 22.0)));
        assert_eq!(
            centre_of_bbox(&json!([10, 20, 0, 12, 24, 9])),
            Some((11.0, 22.0))
        );
        let (lon, lat) =
            centre_of_bbox(&json!([179.256949, -16.351724, -179.70343, -15.345454])).unwrap();
        assert!((lon - 179.7767595).abs() < 1e-9 && (lat + 15.848589).abs() < 1e-9);
        assert_eq!(
            centre_of_bbox(&json!([179, 0, -177, 2])),
            Some((-179.0, 1.0))
        );
        for broken in [
            json!([-180, -17, 180, -15]),
            json!([1, 2, 3]),
            json!("1,2,3,4"),
            json!([1, 2, null, 4]),
        ] {
            assert_eq!(centre_of_bbox(&broken), None, "{broken}");
        }
    }

    #[test]
    fn outlines_plain_cut_and_uncut() {
        let plain = json!({"type": "Polygon", "coordinates": [[[10, 20], [12, 20], [12, 24], [10, 24], [10, 20]]]});
        assert_eq!(centre_of_geometry(&plain), Some((11.0, 22.0)));
        let cut = json!({"type": "MultiPolygon", "coordinates": [
            [[[179, 0], [180, 0], [180, 2], [179, 2], [179, 0]]],
            [[[-180, 0], [-177, 0], [-177, 2], [-180, 2], [-180, 0]]]]});
        assert_eq!(centre_of_geometry(&cut), Some((-179.0, 1.0)));
        let uncut = json!({"type": "Polygon", "coordinates": [[[179, 0], [-179.5, 0], [-179.5, 2], [179, 0]]]});
        assert_eq!(centre_of_geometry(&uncut), Some((179.75, 1.0)));
        let beyond =
            json!({"type": "Polygon", "coordinates": [[[179, 0], [183, 0], [183, 2], [179, 0]]]});
        assert_eq!(centre_of_geometry(&beyond), Some((-179.0, 1.0)));
        let collection = json!({"type": "GeometryCollection", "geometries": [plain, {"type": "Point", "coordinates": [14, 20]}]});
        assert_eq!(centre_of_geometry(&collection), Some((12.0, 22.0)));
        let world =
            json!({"type": "Polygon", "coordinates": [[[-170, 0], [-10, 0], [10, 1], [170, 2]]]});
        assert_eq!(centre_of_geometry(&world), None);
        for broken in [
            json!(null),
            json!({}),
            json!({"coordinates": []}),
            json!({"coordinates": ["x"]}),
        ] {
            assert_eq!(centre_of_geometry(&broken), None, "{broken}");
        }
    }

    #[test]
    fn well_known_text() {
        let text = "POLYGON ((8.5 47.4, 8.7 47.4, 8.7 47.8, 8.5 47.8, 8.5 47.4))";
        let (lon, lat) = centre_of_wkt(text).unwrap();
        assert!((lon - 8.6).abs() < 1e-12 && (lat - 47.6).abs() < 1e-12);
        for broken in [
            "",
            "POLYGON",
            "POLYGON EMPTY",
            "POLYGON ((8.5, 47))",
            "POLYGON ((a b))",
            "POLYGON ((1 NaN))",
        ] {
            assert_eq!(centre_of_wkt(broken), None, "{broken}");
        }
    }
}
