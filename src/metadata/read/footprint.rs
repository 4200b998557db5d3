//! The centre of a picture from its bounding box or outline, across the antimeridian too.
//!
//! Outlines come as GeoJSON, as well-known text, with or without PostGIS's `SRID=32631;` in front,
//! and as well-known binary.

use serde_json::Value;

use super::json;
use super::wkb;
use crate::metadata::crs::Crs;

/// The most vertices of an outline that are read.
const MAX_VERTICES: usize = 1_000_000;

/// The centre `(longitude, latitude)` of a GeoJSON `bbox` of 4 or 6 numbers.
pub(super) fn centre_of_bbox(bbox: &Value) -> Option<(f64, f64)> {
    centre_of_box(&json::numbers(bbox)?)
}

/// The centre of a box of 4 or 6 numbers.
///
/// West greater than east means that the box crosses the antimeridian (RFC 7946, section 5.2).
/// None when the box spans more than half of the globe: then it says nothing about the place,
/// or it is the mark of an outline that was cut at the antimeridian.
pub(super) fn centre_of_box(numbers: &[f64]) -> Option<(f64, f64)> {
    let (west, south, east, north) = match *numbers {
        [west, south, east, north] => (west, south, east, north),
        [west, south, _, east, north, _] => (west, south, east, north),
        _ => return None,
    };
    let east = if west > east { east + 360.0 } else { east };
    (east - west <= 180.0).then(|| (wrapped((west + east) / 2.0), (south + north) / 2.0))
}

/// The numbers of a box as tables write it: `[w, s, e, n]` with or without brackets, or a struct
/// `{xmin: w, ymin: s, xmax: e, ymax: n}`, which may have quotes and `zmin`, `zmax` as well.
pub(super) fn box_of_text(text: &str) -> Option<Vec<f64>> {
    /// Longer than any box.
    const LONGEST: usize = 1000;
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}')?;
        let mut sides = [None; 4];
        for pair in inner.split(',') {
            let (name, value) = pair.split_once(':')?;
            let name = name.trim().trim_matches(['"', '\'']);
            let side = ["xmin", "ymin", "xmax", "ymax"]
                .iter()
                .position(|side| name == *side);
            if let Some(side) = side {
                sides[side] = Some(value.trim().parse::<f64>().ok()?);
            }
        }
        return sides.into_iter().collect();
    }
    let inner = text
        .trim_start_matches(['[', '('])
        .trim_end_matches([']', ')']);
    let numbers = inner.split(',').map(|part| part.trim().parse().ok());
    numbers.collect()
}

/// The coordinates of an outline.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    /// Longitude and latitude.
    Degrees,
    /// Those of another system.
    Of(Crs),
}

impl Frame {
    /// The frame of an EPSG code; the reason where it cannot be used.
    pub(super) fn of_code(code: u32) -> Result<Self, String> {
        match code {
            4326 | 4979 => Ok(Frame::Degrees),
            code => Crs::from_epsg(code).map(Frame::Of),
        }
    }

    /// The centre of a box of 4 or 6 numbers, as longitude and latitude.
    pub(super) fn centre_of_box(&self, numbers: &[f64]) -> Result<Option<(f64, f64)>, String> {
        let crs = match self {
            Frame::Degrees => return Ok(centre_of_box(numbers)),
            Frame::Of(crs) => crs,
        };
        match *numbers {
            [west, south, east, north] | [west, south, _, east, north, _] => crs
                .place((west + east) / 2.0, (south + north) / 2.0)
                .map(Some),
            _ => Ok(None),
        }
    }

    fn centre(&self, bounds: &Bounds) -> Result<Option<(f64, f64)>, String> {
        match (self, bounds.middle()) {
            (Frame::Degrees, _) => Ok(bounds.centre()),
            (Frame::Of(crs), Some((x, y))) => crs.place(x, y).map(Some),
            (Frame::Of(_), None) => Ok(None),
        }
    }
}

/// The centre of an outline in well-known binary. None when it is empty, or spans more than half of
/// the globe. An SRID in the bytes counts before the frame.
pub(super) fn centre_of_wkb(bytes: &[u8], frame: &Frame) -> Result<Option<(f64, f64)>, String> {
    let outline = wkb::outline(bytes)?;
    match outline.srid.filter(|srid| *srid != 0) {
        Some(srid) => Frame::of_code(srid)?.centre(&outline.bounds),
        None => frame.centre(&outline.bounds),
    }
}

/// The centre of an outline in a table's cell: well-known text, GeoJSON, or well-known binary in
/// hexadecimal digits. As [`centre_of_wkb`]; none where it is nothing of the kind, for other things
/// are called `geometry` too.
pub(super) fn centre_of_cell(text: &str, frame: &Frame) -> Result<Option<(f64, f64)>, String> {
    let text = text.trim();
    if text.starts_with('{') {
        let geometry: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        return Ok(centre_of_geometry(&geometry).filter(|_| geometry.get("type").is_some()));
    }
    if let Some(bytes) = wkb::from_hex(text) {
        return centre_of_wkb(&bytes, frame);
    }
    let srid = text.get(..5).filter(|s| s.eq_ignore_ascii_case("SRID="));
    let (frame, text) = match (srid, text.split_once(';')) {
        (Some(_), Some((srid, rest))) => {
            let code = srid[5..].trim().parse();
            let code: u32 = code.map_err(|_| "the SRID is no number")?;
            (Frame::of_code(code)?, rest.trim())
        }
        _ => (frame.clone(), text),
    };
    let word = text.split(['(', ' ']).next().unwrap_or_default();
    let is_text = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    if !is_text || !text.contains('(') {
        return Ok(None);
    }
    let bounds = bounds_of_wkt(text).ok_or("the well-known text cannot be read")?;
    frame.centre(&bounds)
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
    bounds_of_wkt(text)?.centre()
}

fn bounds_of_wkt(text: &str) -> Option<Bounds> {
    let start = text.find('(')?;
    let mut bounds = Bounds::default();
    for pair in text[start..].split(',') {
        // Of a collection, the names of its parts stand between the brackets.
        let mut numbers = pair
            .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
            .filter(|part| !part.is_empty())
            .skip_while(|part| {
                part.starts_with(|c: char| c.is_ascii_uppercase()) && *part != "NaN"
            });
        let (x, y) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        bounds.add(x, y)?;
    }
    Some(bounds)
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
#[derive(Debug, Default)]
pub(super) struct Bounds {
    vertices: usize,
    longitude: Option<(f64, f64)>,
    eastward: Option<(f64, f64)>,
    latitude: Option<(f64, f64)>,
}

impl Bounds {
    /// None when the vertex is not finite or one too many.
    pub(super) fn add(&mut self, x: f64, y: f64) -> Option<()> {
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

    /// The middle as it stands, of coordinates that are no degrees.
    fn middle(&self) -> Option<(f64, f64)> {
        let ((south, north), (west, east)) = (self.latitude?, self.longitude?);
        Some(((west + east) / 2.0, (south + north) / 2.0))
    }

    /// The centre of longitudes and latitudes; see [`centre_of_geometry`].
    pub(super) fn centre(&self) -> Option<(f64, f64)> {
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
    fn boxes_of_tables() {
        let wanted = Some(vec![2.9, 48.6, 3.1, 48.8]);
        for text in [
            "[2.9, 48.6, 3.1, 48.8]",
            "2.9,48.6,3.1,48.8",
            "(2.9, 48.6, 3.1, 48.8)",
            "{xmin: 2.9, ymin: 48.6, xmax: 3.1, ymax: 48.8}",
            "{\"xmin\": 2.9, \"ymin\": 48.6, \"zmin\": 0, \"xmax\": 3.1, \"ymax\": 48.8, \"zmax\": 9}",
        ] {
            assert_eq!(box_of_text(text), wanted, "{text}");
        }
        for broken in [
            "",
            "[]",
            "{xmin: 1}",
            "{xmin: a, ymin: 1}",
            "[1, 2, x, 4]",
            "{",
        ] {
            assert_eq!(box_of_text(broken), None, "{broken}");
        }
    }

    #[test]
    fn outlines_of_cells() {
        let centre = |text| centre_of_cell(text, &Frame::Degrees);
        for text in [
            "POINT (11 22)",
            "POINT Z (11 22 5)",
            "polygon((10 20, 12 20, 12 24, 10 20))",
            "SRID=4326;POLYGON ((10 20, 12 20, 12 24, 10 20))",
            "GEOMETRYCOLLECTION (POINT (10 20), LINESTRING (12 24, 11 21))",
            "{\"type\": \"Point\", \"coordinates\": [11, 22]}",
            // POINT (11 22), little-endian.
            "010100000000000000000026400000000000003640",
        ] {
            assert_eq!(centre(text), Ok(Some((11.0, 22.0))), "{text}");
        }
        // Empty, and what is no outline at all.
        for nothing in [
            "POLYGON EMPTY",
            "47.5",
            "{}",
            "[(135, 522), (245, 522)]",
            "a;b",
        ] {
            assert_eq!(centre(nothing), Ok(None), "{nothing}");
        }
        for (broken, part) in [
            ("POINT (a b)", "cannot be read"),
            ("SRID=x;POINT (1 2)", "SRID"),
            ("SRID=1;POINT (1 2)", "EPSG:1"),
            ("0101", "too early"),
        ] {
            let reason = centre(broken).unwrap_err();
            assert!(reason.contains(part), "{broken}: {reason}");
        }
        assert!(centre("{\"type\": ").is_err());
    }

    #[cfg(feature = "geotiff")]
    #[test]
    fn outlines_in_other_systems_are_no_degrees() {
        let text =
            "SRID=32631;POLYGON ((499000 5400000, 501000 5400000, 501000 5402000, 499000 5400000))";
        let (lon, lat) = centre_of_cell(text, &Frame::Degrees).unwrap().unwrap();
        assert!(
            (lon - 3.0).abs() < 1e-9 && (lat - 48.76).abs() < 0.01,
            "{lon} {lat}"
        );
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
