//! Names for places of the ground, so that rows of several archives can be brought together.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use h3o::{LatLng, Resolution};
use satmip::{Error, Result};

/// A grid of the ground whose cells have names.
///
/// `majortom:METRES` is the grid of Major TOM (<https://github.com/ESA-PhiLab/Major-TOM>, `src/grid.py`): rows of equal
/// height from the equator, each cut into cells of about the same width from the meridian of Greenwich. A cell is called
/// by its lower left corner, as `594U_89R`. The code is followed, which differs from the paper.
///
/// `h3:RESOLUTION` is Uber's H3 (<https://h3geo.org>): hexagons with edges of 1,281 km (resolution 0), 531 m (8) to 0.6 m (15), as
/// `881f8d7a49fffff`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// The side of a cell in metres.
    MajorTom(f64),
    H3(Resolution),
}

/// The earth's radius of Major TOM's grid, in metres.
const RADIUS: f64 = 6_378_137.0;
/// Latitudes that Major TOM's grid covers.
const MOST_LATITUDE: f64 = 85.0;

impl FromStr for Grid {
    type Err = Error;

    /// `majortom:METRES` or `h3:RESOLUTION`.
    fn from_str(text: &str) -> Result<Self> {
        let kind = match text.split_once(':') {
            Some(("majortom", side)) => side
                .parse()
                .ok()
                .filter(|side| (10.0..=1e6).contains(side))
                .map(Kind::MajorTom),
            Some(("h3", resolution)) => resolution.parse().ok().map(Kind::H3),
            _ => None,
        };
        kind.map(Grid).ok_or_else(|| Error::Argument {
            what: "grid",
            reason: format!(
                "`{text}` is neither `majortom:METRES`, with 10 to 1,000,000 metres a side, nor `h3:RESOLUTION`, from 0 to 15"
            ),
        })
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::MajorTom(side) => write!(f, "majortom:{side}"),
            Kind::H3(resolution) => write!(f, "h3:{resolution}"),
        }
    }
}

impl Grid {
    /// The cell of a place, in degrees; none beyond 85 degrees of latitude in Major TOM's grid.
    pub(crate) fn cell(&self, lon: f64, lat: f64) -> Option<String> {
        match self.0 {
            Kind::MajorTom(side) => major_tom(side, lon, lat),
            Kind::H3(resolution) => {
                let place = LatLng::new(lat, lon).ok()?;
                Some(place.to_cell(resolution).to_string())
            }
        }
    }
}

fn major_tom(side: f64, lon: f64, lat: f64) -> Option<String> {
    let rows = (PI * RADIUS / side).ceil();
    let height = 180.0 / rows;
    let row = below(lat, height);
    let bottom = row * height;
    if bottom < -MOST_LATITUDE || lat > MOST_LATITUDE {
        return None;
    }
    let circumference = 2.0 * PI * RADIUS * bottom.to_radians().cos();
    let columns = (circumference / side).ceil();
    let mut column = below(lon, 360.0 / columns);
    // What is left beside the antimeridian belongs to the last cell, from the other side.
    if column * (360.0 / columns) < -180.0 {
        column += columns;
    }
    let name = |number: f64, from: char, to: char| match number < 0.0 {
        true => format!("{}{to}", -number),
        false => format!("{number}{from}"),
    };
    Some(format!(
        "{}_{}",
        name(row, 'U', 'D'),
        name(column, 'R', 'L')
    ))
}

/// How many whole steps from 0 lie below a number; one on a step belongs to the one before, as there.
fn below(number: f64, step: f64) -> f64 {
    (number / step).ceil() - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells of Major TOM's own code.
    #[test]
    fn cells_are_those_of_major_tom() {
        for (side, lat, lon, expected) in [
            (10000.0, 48.137, 11.575, "535U_86R"),
            (10000.0, -33.87, 151.21, "378D_1396R"),
            (10000.0, 0.01, -0.01, "0U_1L"),
            (10000.0, -0.01, 179.999, "1D_2003R"),
            (10000.0, 84.9, -179.99, "945U_179L"),
            (320.0, 52.52, 13.405, "18270U_2837R"),
            (10000.0, 40.0, -105.0, "445U_897L"),
        ] {
            let grid: Grid = format!("majortom:{side}").parse().unwrap();
            assert_eq!(
                grid.cell(lon, lat).as_deref(),
                Some(expected),
                "{grid} {lat} {lon}"
            );
        }
        let grid: Grid = "majortom:10000".parse().unwrap();
        assert_eq!((grid.cell(0.0, 86.0), grid.cell(0.0, -86.0)), (None, None));
    }

    /// Cells of Uber's own library (the Python package `h3` 4.5).
    #[test]
    fn cells_are_those_of_h3() {
        for (resolution, lat, lon, expected) in [
            (9, 37.7752702151959, -122.418307270836, "8928308280fffff"),
            (8, 48.137, 11.575, "881f8d7a49fffff"),
            (0, -33.87, 151.21, "80bffffffffffff"),
            (15, 52.52, 13.405, "8f1f1d48945d998"),
            (5, 0.01, -179.999, "857eb573fffffff"),
            (7, 89.99, 12.0, "870326231ffffff"),
            (7, -90.0, 0.0, "87f29380effffff"),
            (10, -13.1, -72.55, "8a8b6cc2c8cffff"),
        ] {
            let grid: Grid = format!("h3:{resolution}").parse().unwrap();
            assert_eq!(
                grid.cell(lon, lat).as_deref(),
                Some(expected),
                "{grid} {lat} {lon}"
            );
        }
    }

    #[test]
    fn other_words_are_no_grids() {
        for text in [
            "majortom",
            "majortom:",
            "majortom:0",
            "majortom:nan",
            "h3",
            "h3:",
            "h3:16",
            "h3:-1",
            "h3:8.5",
            "s2:8",
            "",
        ] {
            assert!(text.parse::<Grid>().is_err(), "{text}");
        }
    }
}
