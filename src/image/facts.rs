//! What a file says of its bands, as they are decoded.

use super::bands::{self, Color};
use super::radiometry::Stated;

/// What is said of each band.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) colors: Vec<Color>,
    /// Where the colours are from, for people.
    pub(super) colors_source: &'static str,
    pub(super) stated: Vec<Stated>,
}

impl Facts {
    /// Colours alone, and where they are from.
    pub(super) fn of_colors(colors: Vec<Color>, colors_source: &'static str) -> Self {
        Facts {
            stated: vec![Stated::default(); colors.len()],
            colors_source,
            colors,
        }
    }

    /// What is stated of the scale of a band, counted from 0.
    pub(super) fn stated(&self, band: usize) -> &Stated {
        &self.stated[band]
    }

    /// Whether there is one band beside alpha, and nothing says which.
    pub(super) fn is_nameless(&self) -> bool {
        let mut shown = self.colors.iter().filter(|color| **color != Color::Alpha);
        matches!(
            (shown.next(), shown.next()),
            (Some(Color::Grey | Color::Unknown), None)
        )
    }

    /// What is said, for people who have to say the rest.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![(
            "bands",
            format!("{}: {}", self.colors.len(), bands::said(&self.colors)),
        )];
        let of = |stated: &Stated| {
            let (scale, offset) = (stated.scale.unwrap_or(1.0), stated.offset.unwrap_or(0.0));
            let unit = stated.unit.as_deref().map(|unit| format!(" {unit}"));
            format!("scale {scale}, offset {offset}{}", unit.unwrap_or_default())
        };
        let mut stated: Vec<String> = self.stated.iter().map(of).collect();
        if self.stated.iter().any(|s| *s != Stated::default()) {
            stated.dedup();
            stated.truncate(8);
            rows.push(("states", stated.join("; ")));
        }
        rows
    }
}
