//! What a TIFF says of its bands: colours, scale and offset, nodata.
//!
//! GDAL keeps what TIFF has no tag for in an XML text (tag 42112) and the nodata value as text (tag
//! 42113); <https://gdal.org/en/stable/drivers/raster/gtiff.html>.

use std::collections::BTreeMap;

use roxmltree::{Document, ParsingOptions};
use tiff_reader::{ColorModel, ExtraSample, Ifd};

use super::super::bands::Color;
use super::super::facts::Facts;
use super::super::radiometry::Stated;
use crate::error::ImageFault;

const GDAL_METADATA: u16 = 42112;
const GDAL_NODATA: u16 = 42113;
/// The most elements of GDAL's text that are read.
const MOST_ELEMENTS: u32 = 100_000;

/// What is said of the samples of a pixel as they are stored.
#[derive(Debug, Default)]
pub(super) struct Said {
    colors: BTreeMap<usize, Color>,
    stated: BTreeMap<usize, Stated>,
    pub(super) nodata: Option<f64>,
}

impl Said {
    pub(super) fn of(page: &Ifd) -> Result<Self, ImageFault> {
        let mut said = Said::default();
        let text = |code| page.tag(code).and_then(|tag| tag.value.as_str());
        if let Some(xml) = text(GDAL_METADATA) {
            said.take(plain(xml))?;
        }
        if let Some(nodata) = text(GDAL_NODATA) {
            let nodata = plain(nodata);
            said.nodata = Some(nodata.parse().map_err(|_| {
                ImageFault::Damaged(format!("its nodata value `{}` is no number", short(nodata)))
            })?);
        }
        Ok(said)
    }

    /// Whether the first sample is called an index of a table of colours.
    pub(super) fn is_palette(&self) -> bool {
        self.colors.get(&0) == Some(&Color::Other("Palette".into()))
    }

    /// Takes what GDAL's text says of bands.
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
                    self.colors.insert(band, Color::of_gdal(value));
                }
                "scale" => self.stated(band).scale = number()?,
                "offset" => self.stated(band).offset = number()?,
                "unittype" => self.stated(band).unit = Some(short(value).to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    fn stated(&mut self, band: usize) -> &mut Stated {
        self.stated.entry(band).or_default()
    }
}

impl Said {
    /// What is said of each band as it is decoded.
    pub(super) fn facts(self, model: &ColorModel, palette: bool) -> Facts {
        let (base, extra) = match model {
            ColorModel::Grayscale { extra_samples, .. } => (1, extra_samples.as_slice()),
            ColorModel::TransparencyMask => (1, &[][..]),
            ColorModel::Palette { extra_samples, .. } => (1, extra_samples.as_slice()),
            ColorModel::Cmyk { extra_samples } => (4, extra_samples.as_slice()),
            ColorModel::Rgb { extra_samples }
            | ColorModel::YCbCr { extra_samples, .. }
            | ColorModel::CieLab { extra_samples }
            | ColorModel::Separated { extra_samples, .. } => (3, extra_samples.as_slice()),
        };
        let mut colors = match base == 1 && !palette {
            true => vec![Color::Grey],
            false => vec![Color::Red, Color::Green, Color::Blue],
        };
        let shown = colors.len();
        colors.extend(extra.iter().map(|extra| match extra {
            ExtraSample::AssociatedAlpha | ExtraSample::UnassociatedAlpha => Color::Alpha,
            _ => Color::Unknown,
        }));
        // What is said of an index or of inks is not said of the colours that become of them.
        let decoded = |sample: usize| match sample.checked_sub(base) {
            Some(extra) => Some(extra + shown),
            None => Some(sample).filter(|_| base == shown),
        };
        let source = match palette {
            true => "its table of colours",
            false => "its PhotometricInterpretation",
        };
        let mut facts = Facts::of_colors(colors, source);
        for (sample, color) in self.colors {
            if let Some(band) = decoded(sample).filter(|band| *band < facts.colors.len()) {
                facts.colors[band] = color;
                if band < shown {
                    facts.colors_source = "its ColorInterp";
                }
            }
        }
        for (sample, stated) in self.stated {
            if let Some(band) = decoded(sample).filter(|band| *band < facts.stated.len()) {
                facts.stated[band] = stated;
            }
        }
        facts
    }
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
