//! Names for places of the ground, so that rows of several archives can be brought together.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use satmip::{Error, Result};

/// The grid of Major TOM (<https://github.com/ESA-PhiLab/Major-TOM>, `src/grid.py`): rows of equal height from the equator,
/// each cut into cells of about the same width from the meridian of Greenwich. A cell is called by its lower left
/// corner, as `594U_89R`. The code is followed, which differs from the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// The side of a cell in metres.
    side: f64,
}

/// The earth's radius of that grid, in metres.
const RADIUS: f64 = 6_378_137.0;
/// Latitudes that it covers.
const MOST_LATITUDE: f64 = 85.0;

impl FromStr for Grid {
    type Err = Error;

    /// `majortom:METRES`.
    fn from_str(text: &str) -> Result<Self> {
        let side = text
            .strip_prefix("majortom:")
            .and_then(|side| side.parse().ok());
        match side.filter(|side| (10.0..=1e6).contains(side)) {
            Some(side) => Ok(Grid { side }),
            None => Err(Error::Argument {
                what: "grid",
                reason: format!(
                    "`{text}` is none of `majortom:METRES`, with 10 to 1,000,000 metres a side"
                ),
            }),
        }
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "majortom:{}", self.side)
    }
}

impl Grid {
    /// The cell of a place, in degrees; none beyond 85 degrees of latitude.
    pub(crate) fn cell(&self, lon: f64, lat: f64) -> Option<String> {
        let rows = (PI * RADIUS / self.side).ceil();
        let height = 180.0 / rows;
        let row = below(lat, height);
        let bottom = row * height;
        if bottom < -MOST_LATITUDE || lat > MOST_LATITUDE {
            return None;
        }
        let circumference = 2.0 * PI * RADIUS * bottom.to_radians().cos();
        let columns = (circumference / self.side).ceil();
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

    #[test]
    fn other_words_are_no_grids() {
        for text in [
            "majortom",
            "majortom:",
            "majortom:0",
            "majortom:nan",
            "h3:8",
            "",
        ] {
            assert!(text.parse::<Grid>().is_err(), "{text}");
        }
    }
}
