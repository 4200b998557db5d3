//! How the samples of a raster become red, green and blue, decided once by what its header says.

use std::sync::Arc;

use super::bands;
use super::convert::{Rule, Table};
use super::facts::Facts;
use super::picture::{ReadOptions, Reading};
use super::radiometry::{self, SampleType};
use crate::error::ImageFault;

/// What a file is of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of it.
    Picture,
    /// Red, green or blue alone. Each of the three channels that are read is the band as that colour.
    #[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
    Band,
    /// Numbers of classes: a table of colours beside them is for people.
    #[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
    Classes,
}

/// What a header says of samples.
pub(super) struct Samples<'a> {
    pub(super) format: &'static str,
    /// As they are stored.
    pub(super) stored: SampleType,
    /// As they become a picture.
    pub(super) samples: SampleType,
    /// Bands of a pixel.
    pub(super) bands: usize,
    pub(super) facts: &'a Facts,
    /// Whether they are indices of a table of colours.
    pub(super) is_palette: bool,
    /// Whether they are colours of another kind, as inks.
    pub(super) has_colors: bool,
    /// Whether the least of the first band is white.
    pub(super) white_is_least: bool,
    /// The nodata value that the file states.
    pub(super) nodata: Option<f64>,
    /// For classes which bands tell them, and what becomes of each.
    pub(super) classes: Option<(bands::Chosen, Option<Table>)>,
}

/// Decides by what a header and the caller say.
pub(super) fn decide(
    said: Samples<'_>,
    options: &ReadOptions,
    role: Role,
) -> Result<(Rule, Reading), ImageFault> {
    let Samples {
        samples,
        facts,
        bands: count,
        ..
    } = said;
    let (chosen, table) = match said.classes {
        Some((chosen, table)) => (chosen, table),
        None => {
            let chosen = bands::decide(options.bands, &facts.colors, facts.colors_source)?;
            (chosen, None)
        }
    };
    if role == Role::Band && !chosen.is_grey() {
        return Err(ImageFault::Option(format!(
            "it has {} bands, where one of red, green or blue alone was expected",
            facts.colors.len()
        )));
    }
    let few_bits = samples.is_picture() && samples != SampleType::U8;
    let has_colors = said.is_palette || said.has_colors;
    let radiometry = radiometry::decide(
        options.scale,
        &radiometry::Facts {
            samples,
            stated: chosen.rgb.map(|band| facts.stated(band)),
            // Of a band it is known which it is: each colour has a range of its own.
            grey: chosen.is_grey() && role == Role::Picture,
            by_format: (few_bits || has_colors || role == Role::Classes)
                .then_some((0.0, samples.most())),
            colors: has_colors,
            nameless: facts.is_nameless() && role == Role::Picture,
        },
    )?;
    // The least of the first band is white; other bands have no colour.
    let exchanged = chosen.rgb.map(|band| said.white_is_least && band == 0);
    let radiometry = radiometry.exchanged(exchanged, samples);
    let mut nodata: Vec<f64> = said
        .nodata
        .into_iter()
        .chain(options.nodata.filter(|_| role != Role::Classes))
        .chain(radiometry.nodata)
        .collect();
    nodata.dedup_by(|a, b| a.to_bits() == b.to_bits());
    let rule = Rule {
        bands: count,
        rgb: chosen.rgb,
        alpha: chosen.alpha,
        alpha_defined: false,
        range: radiometry.range,
        // Of a palette the index is nodata, and no colour.
        nodata: match said.is_palette {
            true => Vec::new(),
            false => nodata.clone(),
        },
        missing_where_all: samples.is_picture(),
        table: table.map(Arc::new),
    };
    let reading = Reading {
        nodata,
        ..Reading::of(said.format, said.stored, count, &chosen, &radiometry)
    };
    Ok((rule, reading))
}
