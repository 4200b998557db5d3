//! Where a JPEG 2000 picture lies, by the grid in its text (GMLJP2, OGC 05-047r3 and 08-085r8).

use roxmltree::{Document, Node, ParsingOptions};

use crate::metadata::geotransform::GeoTransform;

/// The most elements of a text that are read (our choice).
const MOST_ELEMENTS: u32 = 100_000;

/// The pixels of a picture in a coordinate system.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub(crate) transform: GeoTransform,
    pub(crate) epsg: u32,
}

/// The first grid of a text; none where it has no grid.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn grid(xml: &str) -> Result<Option<Grid>, String> {
    let options = ParsingOptions {
        nodes_limit: MOST_ELEMENTS,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(xml, options)
        .map_err(|error| format!("its place is no XML ({error})"))?;
    let Some(grid) = below(document.root(), "RectifiedGrid").next() else {
        return Ok(None);
    };
    let origin = below(grid, "pos")
        .chain(below(grid, "coordinates"))
        .next()
        .ok_or("its grid has no origin")?;
    let origin = pair(origin)?;
    let vectors = below(grid, "offsetVector")
        .map(pair)
        .collect::<Result<Vec<_>, _>>()?;
    let [along, down] = vectors[..] else {
        return Err(format!(
            "its grid has {} offset vectors, where two are wanted",
            vectors.len()
        ));
    };
    let name = grid
        .descendants()
        .find_map(|node| node.attribute("srsName"))
        .ok_or("its grid names no coordinate system")?;
    let epsg = code(name).ok_or_else(|| format!("`{name}` is no code of EPSG"))?;
    let swapped = match epsg {
        // Latitude comes first.
        4326 | 4258 => true,
        // UTM (WGS 84, ETRS89), and Web Mercator: easting comes first.
        32601..=32660 | 32701..=32760 | 25828..=25838 | 3857 => false,
        _ => {
            return Err(format!(
                "in which order EPSG:{epsg} has its axes is not known"
            ));
        }
    };
    let turned = |(x, y): (f64, f64)| if swapped { (y, x) } else { (x, y) };
    let [origin, along, down] = [origin, along, down].map(turned);
    // The origin is the middle of the first pixel.
    let corner = (
        origin.0 - (along.0 + down.0) / 2.0,
        origin.1 - (along.1 + down.1) / 2.0,
    );
    let numbers = [along.0, down.0, corner.0, along.1, down.1, corner.1];
    let transform = GeoTransform::from_numbers(numbers).ok_or("its grid is degenerate")?;
    Ok(Some(Grid { transform, epsg }))
}

/// The elements of a name below a node, whatever its namespace.
fn below<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants()
        .filter(move |node| node.is_element() && node.tag_name().name() == name)
}

/// The two numbers of an element.
fn pair(node: Node<'_, '_>) -> Result<(f64, f64), String> {
    let text = node.text().unwrap_or_default();
    let numbers: Result<Vec<f64>, _> = text
        .split([' ', ',', '\n', '\t'])
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect();
    match numbers.as_deref() {
        Ok([x, y]) if x.is_finite() && y.is_finite() => Ok((*x, *y)),
        _ => Err(format!(
            "`{}` of its grid is not two numbers",
            text.chars().take(40).collect::<String>()
        )),
    }
}

/// The code of `urn:ogc:def:crs:EPSG::32631`, `http://www.opengis.net/def/crs/EPSG/0/32631` and their like.
fn code(name: &str) -> Option<u32> {
    let code = name.rsplit([':', '/', '#']).next()?;
    let of_epsg = name.to_ascii_uppercase().contains("EPSG");
    code.parse().ok().filter(|_| of_epsg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(srs: &str, origin: &str, along: &str, down: &str) -> String {
        format!(
            r#"<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml"><gml:RectifiedGrid dimension="2">
            <gml:origin><gml:Point srsName="{srs}"><gml:pos>{origin}</gml:pos></gml:Point></gml:origin>
            <gml:offsetVector>{along}</gml:offsetVector><gml:offsetVector>{down}</gml:offsetVector>
            </gml:RectifiedGrid></gml:FeatureCollection>"#
        )
    }

    #[test]
    fn grids_are_read_from_the_middle_of_their_first_pixel() {
        let utm = text(
            "urn:ogc:def:crs:EPSG::32631",
            "600005 4999995",
            "10 0",
            "0 -10",
        );
        let found = grid(&utm).unwrap().unwrap();
        assert_eq!(found.epsg, 32631);
        assert_eq!(
            found.transform.numbers(),
            [10.0, 0.0, 600_000.0, 0.0, -10.0, 5e6]
        );
        let degrees = text(
            "http://www.opengis.net/gml/srs/epsg.xml#4326",
            "49.5 2.5",
            "0 1",
            "-1 0",
        );
        let found = grid(&degrees).unwrap().unwrap();
        assert_eq!(found.transform.numbers(), [1.0, 0.0, 2.0, 0.0, -1.0, 50.0]);
    }

    #[test]
    fn what_is_no_grid_says_why() {
        let utm = "urn:ogc:def:crs:EPSG::32631";
        for (xml, reason) in [
            ("<a".to_owned(), "no XML"),
            (text("here", "0 0", "1 0", "0 1"), "no code"),
            (text("EPSG:31467", "0 0", "1 0", "0 1"), "order"),
            (text(utm, "0", "1 0", "0 1"), "two numbers"),
            (text(utm, "0 NaN", "1 0", "0 1"), "two numbers"),
            (text(utm, "0 0", "0 0", "0 1"), "degenerate"),
        ] {
            let error = grid(&xml).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(grid("<a/>").unwrap().is_none());
    }
}
