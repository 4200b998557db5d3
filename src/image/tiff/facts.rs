//! What a TIFF says of its bands: colours, scale and offset, nodata.
//!
//! GDAL keeps what TIFF has no tag for in an XML text (tag 42112) and the nodata value as text (tag
//! 42113); <https://gdal.org/en/stable/drivers/raster/gtiff.html>.

use roxmltree::{Document, ParsingOptions};
use tiff_reader::{ColorModel, ExtraSample, Ifd};

use super::super::bands::Color;
use super::super::radiometry::Stated;
use crate::error::ImageFault;

const GDAL_METADATA: u16 = 42112;
const GDAL_NODATA: u16 = 42113;
/// The most elements of GDAL's text that are read.
const MOST_ELEMENTS: u32 = 100_000;

/// What is said of each band.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) colors: Vec<Color>,
    /// Where the colours are from, for people.
    pub(super) colors_source: &'static str,
    stated: Vec<Stated>,
    pub(super) nodata: Option<f64>,
}

impl Facts {
    pub(super) fn of(page: &Ifd, model: &ColorModel) -> Result<Self, ImageFault> {
        let colors = by_photometric(model);
        let mut facts = Facts {
            stated: vec![Stated::default(); colors.len()],
            colors,
            colors_source: "its PhotometricInterpretation",
            nodata: None,
        };
        let text = |code| page.tag(code).and_then(|tag| tag.value.as_str());
        if let Some(xml) = text(GDAL_METADATA) {
            facts.take(plain(xml))?;
        }
        if let Some(nodata) = text(GDAL_NODATA) {
            let nodata = plain(nodata);
            facts.nodata = Some(nodata.parse().map_err(|_| {
                ImageFault::Damaged(format!("its nodata value `{}` is no number", short(nodata)))
            })?);
        }
        Ok(facts)
    }

    /// What is stated of the scale of a band, counted from 0.
    pub(super) fn stated(&self, band: usize) -> &Stated {
        &self.stated[band]
    }

    /// Takes what GDAL's text says of bands that there are.
    fn take(&mut self, xml: &str) -> Result<(), ImageFault> {
        let options = ParsingOptions {
            nodes_limit: MOST_ELEMENTS,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(xml, options).map_err(|e| {
            ImageFault::Damaged(format!("what it says of its bands is no XML ({e})"))
        })?;
        for item in document.root_element().children() {
            let band = item
                .attribute("sample")
                .and_then(|s| s.parse::<usize>().ok());
            let (Some(band), Some(role)) = (band, item.attribute("role")) else {
                continue;
            };
            let (Some(color), Some(stated)) =
                (self.colors.get_mut(band), self.stated.get_mut(band))
            else {
                continue;
            };
            let value = item.text().unwrap_or_default().trim();
            let number = || {
                value.parse().map(Some).map_err(|_| {
                    let value = short(value);
                    ImageFault::Damaged(format!(
                        "the {role} `{value}` of band {} is no number",
                        band + 1
                    ))
                })
            };
            match role {
                "colorinterp" => {
                    *color = Color::of_gdal(value);
                    self.colors_source = "its ColorInterp";
                }
                "scale" => stated.scale = number()?,
                "offset" => stated.offset = number()?,
                "unittype" => stated.unit = Some(short(value).to_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The colours of the bands as they are decoded.
fn by_photometric(model: &ColorModel) -> Vec<Color> {
    let (mut colors, extra) = match model {
        ColorModel::Grayscale { extra_samples, .. } => {
            (vec![Color::Grey], extra_samples.as_slice())
        }
        ColorModel::TransparencyMask => (vec![Color::Grey], &[][..]),
        ColorModel::Rgb { extra_samples }
        | ColorModel::Palette { extra_samples, .. }
        | ColorModel::Cmyk { extra_samples }
        | ColorModel::YCbCr { extra_samples, .. }
        | ColorModel::CieLab { extra_samples }
        | ColorModel::Separated { extra_samples, .. } => (
            vec![Color::Red, Color::Green, Color::Blue],
            extra_samples.as_slice(),
        ),
    };
    colors.extend(extra.iter().map(|extra| match extra {
        ExtraSample::AssociatedAlpha | ExtraSample::UnassociatedAlpha => Color::Alpha,
        _ => Color::Unknown,
    }));
    colors
}

/// A tag's text without the zero that ends it.
fn plain(text: &str) -> &str {
    text.trim_matches(['\0', ' ', '\n', '\r', '\t'])
}

/// The first characters of a text, for messages.
fn short(text: &str) -> &str {
    match text.char_indices().nth(40) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
