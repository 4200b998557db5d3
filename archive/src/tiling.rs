//! How scenes are cut into windows.

use std::fmt;
use std::str::FromStr;

use satmip::image::Region;
use satmip::{Error, Result};
use serde::{Deserialize, Serialize};

/// A lattice of square windows over a scene, row by row from the left upper corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tiling {
    /// Side of a window in pixels of the scene.
    pub tile: u32,
    /// Pixels from the start of a window to that of the next one.
    pub stride: u32,
    /// What becomes of the rest at the right and lower edge.
    pub edge: Edge,
}

/// What becomes of the rest of a scene at its right and lower edge, where no whole window has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edge {
    /// One more window, moved back inside, that shares pixels with the one before it. A scene that is smaller than a
    /// window is padded.
    #[default]
    Shift,
    /// It is left out.
    Drop,
    /// One more window of which the pixels beyond the edge are missing.
    Pad,
}

impl Edge {
    const ALL: [(Edge, &str); 3] = [
        (Edge::Shift, "shift"),
        (Edge::Drop, "drop"),
        (Edge::Pad, "pad"),
    ];
}

impl FromStr for Edge {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Edge::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(edge, _)| *edge).ok_or_else(|| Error::Argument {
            what: "edge",
            reason: format!("`{text}` is none of shift, drop, pad"),
        })
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Edge::ALL.iter().find(|(edge, _)| edge == self);
        f.write_str(found.map_or("", |(_, name)| name))
    }
}

impl Tiling {
    /// Windows of `tile` pixels a side, `stride` apart.
    ///
    /// # Errors
    /// [`Error::Argument`] for a side outside of 1 to 16,384 pixels or a stride outside of 1 to 1,048,576.
    pub fn new(tile: u32, stride: u32, edge: Edge) -> Result<Self> {
        for (what, value, most) in [("tile", tile, 1 << 14), ("stride", stride, 1 << 20)] {
            if !(1..=most).contains(&value) {
                return Err(Error::Argument {
                    what,
                    reason: format!("{value} pixels are outside 1 to {most}"),
                });
            }
        }
        Ok(Tiling { tile, stride, edge })
    }

    /// How many windows a scene of this size has; none where it is smaller than one and such are dropped.
    pub fn count(&self, width: u32, height: u32) -> u64 {
        u64::from(self.along(width)) * u64::from(self.along(height))
    }

    /// The windows of a scene of this size, in order.
    pub fn windows(&self, width: u32, height: u32) -> impl Iterator<Item = Region> + use<> {
        let tiling = *self;
        let (across, down) = (tiling.along(width), tiling.along(height));
        (0..down).flat_map(move |row| {
            (0..across).map(move |column| Region {
                left: tiling.start(column, width),
                top: tiling.start(row, height),
                width: tiling.tile,
                height: tiling.tile,
            })
        })
    }

    /// Whole windows along a side.
    fn whole(&self, side: u32) -> u32 {
        match side.checked_sub(self.tile) {
            Some(rest) => rest / self.stride + 1,
            None => 0,
        }
    }

    /// Windows along a side.
    fn along(&self, side: u32) -> u32 {
        let whole = self.whole(side);
        // Pixels before the end of the last whole window; with a stride above the tile there are gaps between them.
        let covered = match whole {
            0 => 0,
            n => u64::from(n - 1) * u64::from(self.stride) + u64::from(self.tile),
        };
        let next = u64::from(whole) * u64::from(self.stride);
        let more = match self.edge {
            Edge::Drop => false,
            Edge::Shift => covered < side.into(),
            // The next window must begin inside.
            Edge::Pad => covered < side.into() && next < side.into(),
        };
        whole + u32::from(more)
    }

    /// The first pixel of a window along a side.
    fn start(&self, index: u32, side: u32) -> u32 {
        match self.edge {
            Edge::Shift if index == self.whole(side) => side.saturating_sub(self.tile),
            _ => index * self.stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(tile: u32, stride: u32, edge: Edge, side: u32) -> Vec<u32> {
        let tiling = Tiling::new(tile, stride, edge).unwrap();
        let windows: Vec<_> = tiling.windows(side, 1).map(|window| window.left).collect();
        // Of one row of pixels there is one row of windows, or none where rests are dropped.
        assert_eq!(windows.len() as u64, tiling.count(side, 1));
        windows
    }

    #[test]
    fn edges_are_covered_as_asked_for() {
        for (edge, side, expected) in [
            (Edge::Shift, 128, vec![0, 64]),
            (Edge::Shift, 130, vec![0, 64, 66]),
            (Edge::Shift, 64, vec![0]),
            (Edge::Shift, 10, vec![0]),
            (Edge::Pad, 130, vec![0, 64, 128]),
            (Edge::Pad, 128, vec![0, 64]),
            (Edge::Pad, 10, vec![0]),
        ] {
            assert_eq!(starts(64, 64, edge, side), expected, "{edge} {side}");
        }
        let drop = Tiling::new(64, 64, Edge::Drop).unwrap();
        assert_eq!(
            (drop.count(130, 130), drop.count(63, 64), drop.count(64, 64)),
            (4, 0, 1)
        );
    }

    #[test]
    fn windows_may_overlap_or_leave_gaps() {
        assert_eq!(starts(64, 32, Edge::Shift, 128), [0, 32, 64]);
        assert_eq!(starts(64, 32, Edge::Shift, 140), [0, 32, 64, 76]);
        assert_eq!(starts(64, 100, Edge::Shift, 164), [0, 100]);
        assert_eq!(starts(64, 100, Edge::Pad, 180), [0, 100]);
        assert_eq!(starts(64, 100, Edge::Pad, 201), [0, 100, 200]);
    }

    #[test]
    fn rows_come_one_after_another() {
        let tiling = Tiling::new(64, 64, Edge::Shift).unwrap();
        let windows: Vec<_> = tiling.windows(128, 100).map(|w| (w.left, w.top)).collect();
        assert_eq!(windows, [(0, 0), (64, 0), (0, 36), (64, 36)]);
        // A whole Sentinel-2 tile.
        assert_eq!(tiling.count(10_980, 10_980), 172 * 172);
        assert_eq!(
            Tiling::new(64, 64, Edge::Drop)
                .unwrap()
                .count(10_980, 10_980),
            29_241
        );
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for (tile, stride) in [(0, 64), (64, 0), (1 << 20, 64), (64, u32::MAX)] {
            assert!(matches!(
                Tiling::new(tile, stride, Edge::Shift),
                Err(Error::Argument { .. })
            ));
        }
    }
}
