//! Where the parts of a confusion matrix are drawn, and how.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::words;
use crate::figure::{self, Area, COLOURS, Drawn, FAINT, GRID, INK};

/// Letters of a class name.
const LETTERS: usize = 24;
/// Height of the titles, and of the colour key below the matrix, in pixels.
const HEAD: i32 = 66;
const KEY: i32 = 46;
const LEAST_WIDTH: i32 = 480;

/// The sum of counts; of what overflows, the greatest number.
pub(super) fn total(counts: &[u64]) -> u64 {
    counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

/// A part of a whole, 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Where things are, in pixels.
pub(super) struct Layout {
    pub(super) size: (i32, i32),
    /// Upper left corner of the matrix, and width of a cell.
    corner: (i32, i32),
    cell: i32,
    /// Size of the class names; 0 leaves them out.
    font: i32,
    /// Names of the columns, upright where they fit their cell.
    names: Vec<String>,
    upright: bool,
    /// Width of the chips of each row.
    totals: i32,
    classes: i32,
}

impl Layout {
    pub(super) fn new(classes: &[String], counts: &[Vec<u64>]) -> Self {
        let (cell, font) = match classes.len() {
            0..=4 => (76, 13),
            5..=12 => (50, 12),
            13..=20 => (34, 12),
            21..=40 => (24, 11),
            41..=80 => (14, 10),
            _ => (5, 0),
        };
        let names: Vec<String> = classes
            .iter()
            .map(|name| figure::shorten(name, LETTERS))
            .collect();
        let widths = names.iter().map(|name| figure::width(name, font));
        let widest = widths.max().unwrap_or(0);
        let upright = widest <= cell - 4;
        let totals = counts.iter().map(|row| words::count(total(row)));
        let totals = totals.map(|text| figure::width(&text, font)).max();
        let totals = match font {
            0 => 0,
            _ => totals.unwrap_or(0).max(figure::width("total", font)),
        };
        let side = cell * classes.len() as i32;
        let corner = (40 + widest, HEAD + 22);
        let below = if upright { font + 10 } else { widest + 10 };
        Layout {
            size: (
                (corner.0 + side + 8 + totals + figure::LEFT).max(LEAST_WIDTH),
                corner.1 + side + below + 22 + KEY,
            ),
            corner,
            cell,
            font,
            names,
            upright,
            totals,
            classes: classes.len() as i32,
        }
    }

    fn side(&self) -> i32 {
        self.cell * self.classes
    }

    /// Ground, coloured cells, and numbers in them.
    pub(super) fn cells(&self, area: &Area<'_>, counts: &[Vec<u64>]) -> Drawn {
        let (left, top) = self.corner;
        let side = self.side();
        // Cells too small for a grid have a frame only.
        let gap = i32::from(self.cell >= 14);
        let lines = if gap == 1 { self.classes } else { 1 };
        for i in 0..=lines {
            let at = i * side / lines;
            let across = [(left, top + at), (left + side, top + at)];
            let down = [(left + at, top), (left + at, top + side)];
            area.draw(&PathElement::new(across, GRID))?;
            area.draw(&PathElement::new(down, GRID))?;
        }
        for (truth, row) in counts.iter().enumerate() {
            let whole = total(row);
            for (answer, count) in row.iter().enumerate().filter(|(_, c)| **c > 0) {
                let x = left + self.cell * answer as i32;
                let y = top + self.cell * truth as i32;
                let part = share(*count, whole);
                let (colour, ink) = colour(part, truth == answer);
                let ends = [(x + gap, y + gap), (x + self.cell, y + self.cell)];
                area.draw(&Rectangle::new(ends, colour.filled()))?;
                let middle = (x + (self.cell + gap) / 2, y + (self.cell + gap) / 2);
                self.numbers(area, middle, part, *count, ink)?;
            }
        }
        Ok(())
    }

    fn numbers(
        &self,
        area: &Area<'_>,
        (x, y): (i32, i32),
        part: f64,
        count: u64,
        ink: RGBColor,
    ) -> Drawn {
        let (size, decimals) = match self.cell {
            50.. => (self.font + 1, 1),
            34.. => (12, 0),
            24.. => (10, 0),
            _ => return Ok(()),
        };
        let style = |size| figure::text(size, ink, HPos::Center, VPos::Center);
        let percent = format!("{:.decimals$}", part * 100.0);
        // Whole numbers leave out what rounds to none of them; its colour stays.
        if percent == "0" {
            return Ok(());
        }
        let below = words::count(count);
        if self.cell < 50 || figure::width(&below, 10) > self.cell - 4 {
            area.draw(&Text::new(percent, (x, y), style(size)))?;
            return Ok(());
        }
        area.draw(&Text::new(percent, (x, y - 7), style(size)))?;
        area.draw(&Text::new(below, (x, y + 10), style(10)))?;
        Ok(())
    }

    /// Class names, chips of each row, and names of the axes.
    pub(super) fn names(&self, area: &Area<'_>, counts: &[Vec<u64>]) -> Drawn {
        let (left, top) = self.corner;
        let side = self.side();
        let text = |h, v| figure::text(self.font, INK, h, v);
        let turned = |style: TextStyle<'static>| style.transform(FontTransform::Rotate270);
        let axis = || figure::text(12, FAINT, HPos::Center, VPos::Center);
        let middle = (left + side / 2, top + side / 2);
        area.draw(&Text::new("truth", (18, middle.1), turned(axis())))?;
        let below = self.size.1 - KEY - 14;
        area.draw(&Text::new("answer", (middle.0, below), axis()))?;
        if self.font == 0 {
            return Ok(());
        }
        let right = left + side + 8 + self.totals;
        let heading = figure::text(self.font, FAINT, HPos::Right, VPos::Center);
        area.draw(&Text::new("total", (right, top - 10), heading.clone()))?;
        for (i, (name, row)) in self.names.iter().zip(counts).enumerate() {
            let at = self.cell * i as i32 + self.cell / 2;
            let place = (left - 8, top + at);
            area.draw(&Text::new(
                name.clone(),
                place,
                text(HPos::Right, VPos::Center),
            ))?;
            let chips = words::count(total(row));
            area.draw(&Text::new(chips, (right, top + at), heading.clone()))?;
            let (place, style) = match self.upright {
                true => (
                    (left + at, top + side + 12),
                    text(HPos::Center, VPos::Center),
                ),
                false => (
                    (left + at, top + side + 8),
                    turned(text(HPos::Right, VPos::Center)),
                ),
            };
            area.draw(&Text::new(name.clone(), place, style))?;
        }
        Ok(())
    }

    /// What the colours mean.
    pub(super) fn key(&self, area: &Area<'_>, about: &str) -> Drawn {
        const STEPS: i32 = 20;
        let y = self.size.1 - KEY + 12;
        let mut x = figure::LEFT;
        let style = figure::text(11, INK, HPos::Left, VPos::Center);
        for (name, right) in [("right: 0", true), ("wrong: 0", false)] {
            area.draw(&Text::new(name, (x, y), style.clone()))?;
            x += figure::width(name, 11) + 5;
            let end = x + 4 * STEPS;
            // Each shade goes on to the end below the next: no seams.
            for i in 0..STEPS {
                let (shade, _) = colour(f64::from(i) / f64::from(STEPS - 1), right);
                let ends = [(x + 4 * i, y - 6), (end, y + 6)];
                area.draw(&Rectangle::new(ends, shade.filled()))?;
            }
            x = end + 5;
            area.draw(&Text::new("100 %", (x, y), style.clone()))?;
            x += figure::width("100 %", 11) + 16;
        }
        let place = (figure::LEFT, y + 20);
        area.draw(&Text::new(
            format!("{about}; percent of each row"),
            place,
            style,
        ))?;
        Ok(())
    }
}

/// Colour of a share of a row, and the ink that can be read on it. A root makes few mistakes
/// visible too (our choice).
fn colour(part: f64, right: bool) -> (RGBColor, RGBColor) {
    let full = if right { COLOURS[0] } else { COLOURS[1] };
    let depth = 0.04 + 0.96 * part.clamp(0.0, 1.0).powf(0.6);
    let mix = |channel: u8| (255.0 - (255.0 - f64::from(channel)) * depth).round() as u8;
    let ink = if depth > 0.6 { WHITE } else { INK };
    (RGBColor(mix(full.0), mix(full.1), mix(full.2)), ink)
}
