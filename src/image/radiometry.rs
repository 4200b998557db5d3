//! What sample values mean: which of them become black and which white.
//!
//! A model takes 8 bits a channel. Samples of 8 bits are a picture already and stay as they are. Any
//! others are numbers of some instrument, and a picture of them depends on what they mean:
//!
//! ```text
//! byte = round(255 (sample - low) / (high - low)), clamped to 0 and 255
//! ```
//!
//! `low` and `high` follow from a [`Scale`] that the caller gives, or from the scale and offset that a
//! file states of its bands (GDAL's tags). Where neither is there, nothing is guessed: that is an error.
//!
//! The products are listed at [`Product`].
//!
//! Reflectances of [`SURFACE`] or [`ABOVE_ATMOSPHERE`] become 0 to 255, unless a range is given with the
//! name, as in `s2:0,0.3`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, ImageFault};

pub use super::products::{ABOVE_ATMOSPHERE, Product, SURFACE};

/// What the caller says of samples that are not of 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Scale {
    /// What the file states, else an error. 16 bits of a PNG are the full range.
    #[default]
    Auto,
    /// Samples are reflectances by the rule of a product.
    Product(Product, Option<(f64, f64)>),
    /// Samples are reflectances by the scale and offset that the file states, which must be there.
    Stated(Option<(f64, f64)>),
    /// All that the sample's integer type can hold.
    Full,
    /// These sample values become 0 and 255; the first is the smaller one.
    Range(f64, f64),
}

impl FromStr for Scale {
    type Err = Error;

    /// `auto`, `full`, `LO,HI`, `stated` or the name of a product; the last two may have a range of
    /// reflectances behind a colon.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Argument {
            what: "scale",
            reason,
        };
        let (name, range) = match text.split_once(':') {
            Some((name, range)) => (name, Some(pair(range).map_err(refuse)?)),
            None => (text, None),
        };
        let product = Product::ALL.into_iter().find(|p| p.name() == name);
        match (name, range) {
            (_, range) if product.is_some() => {
                Ok(product.map_or(Scale::Auto, |product| Scale::Product(product, range)))
            }
            ("stated", range) => Ok(Scale::Stated(range)),
            ("auto", None) => Ok(Scale::Auto),
            ("full", None) => Ok(Scale::Full),
            ("auto" | "full", Some(_)) => Err(refuse(format!("`{name}` takes no range"))),
            (_, None) if name.contains(',') => {
                let (low, high) = pair(name).map_err(refuse)?;
                Ok(Scale::Range(low, high))
            }
            _ => Err(refuse(format!(
                "`{text}` is none of auto, full, stated, {}, nor two numbers `LO,HI`",
                Product::ALL.map(Product::name).join(", ")
            ))),
        }
    }
}

/// `LO,HI` with finite numbers, the first the smaller one.
fn pair(text: &str) -> Result<(f64, f64), String> {
    let number = |part: &str| part.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let numbers = text
        .split_once(',')
        .and_then(|(low, high)| number(low).zip(number(high)));
    let (low, high) = numbers.ok_or_else(|| format!("`{text}` is no pair of numbers `LO,HI`"))?;
    match low < high {
        true => Ok((low, high)),
        false => Err(format!("{low} is not below {high}")),
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, range: &Option<(f64, f64)>| match range {
            Some((low, high)) => write!(f, ":{low},{high}"),
            None => Ok(()),
        };
        match self {
            Scale::Auto => f.write_str("auto"),
            Scale::Full => f.write_str("full"),
            Scale::Range(low, high) => write!(f, "{low},{high}"),
            Scale::Stated(reflectances) => {
                f.write_str("stated")?;
                range(f, reflectances)
            }
            Scale::Product(product, reflectances) => {
                f.write_str(product.name())?;
                range(f, reflectances)
            }
        }
    }
}

impl Serialize for Scale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The type of a raster's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampleType {
    /// Bits of a sample as it is stored.
    pub(super) bits: u16,
    pub(super) kind: SampleKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleKind {
    Unsigned,
    Signed,
    Float,
}

impl SampleType {
    pub(super) const U8: SampleType = SampleType {
        bits: 8,
        kind: SampleKind::Unsigned,
    };
    pub(super) const U16: SampleType = SampleType {
        bits: 16,
        kind: SampleKind::Unsigned,
    };

    /// Whether samples are a picture's by their size: 8 bits without a sign, or fewer.
    pub(super) fn is_picture(self) -> bool {
        self.kind == SampleKind::Unsigned && self.bits <= 8
    }

    /// The largest value, 1 for floats.
    pub(super) fn most(self) -> f64 {
        self.range().map_or(1.0, |(_, most)| most)
    }

    /// The smallest and the largest value; none for floats.
    pub(super) fn range(self) -> Option<(f64, f64)> {
        let bits = i32::from(self.bits);
        match self.kind {
            SampleKind::Unsigned => Some((0.0, 2f64.powi(bits) - 1.0)),
            SampleKind::Signed => Some((-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0)),
            SampleKind::Float => None,
        }
    }
}

impl fmt::Display for SampleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SampleKind::Unsigned => "uint",
            SampleKind::Signed => "int",
            SampleKind::Float => "float",
        };
        write!(f, "{kind}{}", self.bits)
    }
}

/// What a file states of a band's samples: `value = scale * sample + offset`, in a unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stated {
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
    pub(super) unit: Option<String>,
}

impl Stated {
    /// Scale and offset, where they say anything.
    fn line(&self) -> Option<(f64, f64)> {
        let (scale, offset) = self.as_stated();
        let usable = scale.is_finite() && offset.is_finite() && scale > 0.0;
        (usable && (scale, offset) != (1.0, 0.0)).then_some((scale, offset))
    }

    fn as_stated(&self) -> (f64, f64) {
        (self.scale.unwrap_or(1.0), self.offset.unwrap_or(0.0))
    }

    fn is_silent(&self) -> bool {
        self.as_stated() == (1.0, 0.0)
    }

    /// Whether its unit says that its values are reflectances.
    fn is_named_reflectance(&self) -> bool {
        let unit = self.unit.as_deref().unwrap_or_default();
        unit.to_ascii_lowercase().contains("reflectance")
    }

    /// Whether the values can be reflectances: without another unit, and a type that holds no more
    /// than 10 and no less than -10 (our choice; temperatures and heights reach further).
    fn is_reflectance(&self, samples: SampleType) -> bool {
        const MOST: f64 = 10.0;
        let unit = self.unit.as_deref().unwrap_or_default().trim();
        let named = ["", "1", "reflectance", "unitless", "none"];
        let fits =
            samples
                .range()
                .zip(self.line())
                .is_some_and(|((least, most), (scale, offset))| {
                    least * scale + offset >= -MOST && most * scale + offset <= MOST
                });
        fits && named.iter().any(|known| unit.eq_ignore_ascii_case(known))
    }
}

/// Which sample values become 0 and 255, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Radiometry {
    /// For red, green and blue; none where samples are bytes and stay as they are.
    pub(super) range: Option<[(f64, f64); 3]>,
    /// Who says so, for people.
    pub(super) why: String,
    /// A sample that marks missing pixels, which the product's rule implies.
    pub(super) nodata: Option<f64>,
}

impl Radiometry {
    /// Black and white change places in these channels, as where a file says that its least sample is white.
    pub(super) fn exchanged(mut self, channels: [bool; 3], samples: SampleType) -> Self {
        if channels.contains(&true) {
            let mut ranges = self.range.unwrap_or([(0.0, samples.most()); 3]);
            for ((low, high), exchanged) in ranges.iter_mut().zip(channels) {
                if exchanged {
                    std::mem::swap(low, high);
                }
            }
            self.range = Some(ranges);
            self.why
                .push_str("; by PhotometricInterpretation the least is white");
        }
        self
    }
}

/// What is known of the samples that are to become red, green and blue.
pub(super) struct Facts<'a> {
    pub(super) samples: SampleType,
    /// What the file states of each of the three bands.
    pub(super) stated: [&'a Stated; 3],
    /// Whether one band is shown in grey.
    pub(super) grey: bool,
    /// The samples that are black and white by the format's definition, as in PNG.
    pub(super) by_format: Option<(f64, f64)>,
    /// Whether the samples were colours of another kind, as inks, and no numbers of an instrument.
    pub(super) colors: bool,
    /// Whether it is the file's only band and has no name: anything could be measured in it.
    pub(super) nameless: bool,
}

/// Finds the radiometry, or says why there is none.
pub(super) fn decide(scale: Scale, facts: &Facts<'_>) -> Result<Radiometry, ImageFault> {
    let samples = facts.samples;
    if (samples == SampleType::U8 || facts.colors) && scale != Scale::Auto {
        let what = match facts.colors {
            true => "its samples are colours".to_owned(),
            false => "its samples have 8 bits".to_owned(),
        };
        return Err(ImageFault::Option(format!(
            "{what}, which are a picture already; `{scale}` is for others"
        )));
    }
    if samples == SampleType::U8 {
        return Ok(Radiometry {
            range: None,
            why: "8 bits as they are".into(),
            nodata: None,
        });
    }
    let all = |range: (f64, f64), why: String, nodata| {
        Ok(Radiometry {
            range: Some([range; 3]),
            why,
            nodata,
        })
    };
    match scale {
        Scale::Range(low, high) => all((low, high), "as asked for".into(), None),
        Scale::Full => match samples.range() {
            Some(range) => all(range, format!("all of {samples}, as asked for"), None),
            None => Err(ImageFault::Option(format!(
                "its samples are {samples}, which have no full range"
            ))),
        },
        Scale::Product(product, asked) => {
            let reflectances = facts.reflectances(asked, product.reflectances());
            let line = product.scale_and_offset();
            Ok(Radiometry {
                range: Some(reflectances.map(|range| samples_of(range, line))),
                why: format!(
                    "reflectance {} of `{}`, as asked for",
                    said(reflectances),
                    product.name()
                ),
                nodata: Some(product.nodata()),
            })
        }
        Scale::Auto if facts.by_format.is_some() => all(
            facts.by_format.unwrap_or_default(),
            "as the format defines it".into(),
            None,
        ),
        Scale::Auto => match stated(facts, None) {
            Some(Ok(_)) if facts.is_of_anything() => Err(ImageFault::Option(
                "the scale and offset that it states do not say what its only band measures; `--scale stated` \
                 takes it for reflectance, `--scale stated:-1,1` says which values become 0 and 255"
                    .into(),
            )),
            Some(found) => found,
            None => Err(needs_scale(samples)),
        },
        Scale::Stated(reflectances) => {
            stated(facts, reflectances).unwrap_or_else(|| Err(unstated(facts)))
        }
    }
}

/// Why what a file states cannot be used: nothing, not of all bands, or a scale that turns black and white round.
fn unstated(facts: &Facts<'_>) -> ImageFault {
    let silent = facts.stated.iter().filter(|s| s.is_silent()).count();
    let unusable = facts
        .stated
        .iter()
        .find(|s| !s.is_silent() && s.line().is_none());
    ImageFault::Option(match (silent, unusable) {
        (3, _) => "it states no scale and offset of its bands".into(),
        (_, Some(band)) => {
            let (scale, offset) = band.as_stated();
            format!(
                "it states the scale {scale} and offset {offset}, of which nothing can be made; say which samples \
                 become 0 and 255: `--scale LO,HI`"
            )
        }
        _ => "it states scale and offset for some of the bands only; say which samples become 0 and 255: \
              `--scale LO,HI`"
            .into(),
    })
}

/// The radiometry that the file states; none where it states nothing.
fn stated(
    facts: &Facts<'_>,
    reflectances: Option<(f64, f64)>,
) -> Option<Result<Radiometry, ImageFault>> {
    let [red, green, blue] = facts.stated.map(Stated::line);
    let lines = [red?, green?, blue?];
    // A range that was asked for is one of whatever the unit is.
    if reflectances.is_none()
        && let Some(other) = facts
            .stated
            .iter()
            .find(|s| !s.is_reflectance(facts.samples))
    {
        let unit = match other.unit.as_deref() {
            Some(unit) if !unit.trim().is_empty() => format!(" (unit `{unit}`)"),
            _ => String::new(),
        };
        return Some(Err(ImageFault::Option(format!(
            "the scale and offset that it states do not give reflectances{unit}; say what becomes 0 and 255, as in `stated:0,0.3`"
        ))));
    }
    let ranges = facts.reflectances(reflectances, SURFACE);
    let [red, green, blue] = [0, 1, 2].map(|i| samples_of(ranges[i], lines[i]));
    let one = lines.iter().all(|line| *line == lines[0]);
    let by = lines.map(|(scale, offset)| format!("the scale {scale} and offset {offset}"));
    let by = match one {
        true => by[0].clone(),
        false => by.join(", "),
    };
    Some(Ok(Radiometry {
        range: Some([red, green, blue]),
        why: format!("{} by {by} that the file states", said(ranges)),
        nodata: None,
    }))
}

/// Ranges of red, green and blue in words; one where they are the same.
pub(super) fn said(ranges: [(f64, f64); 3]) -> String {
    let [red, green, blue] = ranges.map(|(low, high)| format!("{low} to {high}"));
    match red == green && green == blue {
        true => red,
        false => format!("{red}, {green}, {blue}"),
    }
}

impl Facts<'_> {
    /// Whether what is stated could be of an index or a height as well as of a reflectance.
    fn is_of_anything(&self) -> bool {
        self.nameless && !self.stated.iter().any(|s| s.is_named_reflectance())
    }

    /// What was asked for, for all three; else the usual, of green for all three where one band is
    /// shown in grey.
    fn reflectances(&self, asked: Option<(f64, f64)>, usual: [(f64, f64); 3]) -> [(f64, f64); 3] {
        match asked {
            Some(range) => [range; 3],
            None if self.grey => [usual[1]; 3],
            None => usual,
        }
    }
}

fn needs_scale(samples: SampleType) -> ImageFault {
    ImageFault::NeedsScale {
        samples: samples.to_string(),
    }
}

/// The samples that have these values.
fn samples_of((low, high): (f64, f64), (scale, offset): (f64, f64)) -> (f64, f64) {
    // Twelve digits, so that what a person reads is what is computed with.
    let neat = |value: f64| format!("{value:.11e}").parse().unwrap_or(value);
    (neat((low - offset) / scale), neat((high - offset) / scale))
}

/// 0 to 255 for a sample.
pub(super) fn byte(sample: f64, (low, high): (f64, f64)) -> u8 {
    // A cast rounds towards zero, saturates, and takes a NaN for 0.
    (255.0 * (sample - low) / (high - low) + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(samples: SampleType, stated: &Stated) -> Facts<'_> {
        Facts {
            samples,
            stated: [stated; 3],
            grey: false,
            by_format: None,
            colors: false,
            nameless: false,
        }
    }

    fn of(bits: u16, kind: SampleKind) -> SampleType {
        SampleType { bits, kind }
    }

    fn range(scale: &str, samples: SampleType, stated: &Stated) -> (f64, f64) {
        let found = decide(scale.parse().unwrap(), &facts(samples, stated)).unwrap();
        found.range.unwrap()[0]
    }

    #[test]
    fn names_and_ranges_are_read_and_written() {
        for text in [
            "auto",
            "full",
            "stated",
            "stated:0,0.3",
            "s2",
            "s2-offset:0,0.4",
            "landsat-c2",
            "planet-sr",
            "0,3000",
            "-1.5,2",
        ] {
            let scale: Scale = text.parse().unwrap();
            assert_eq!(scale.to_string(), text);
        }
        for (text, reason) in [
            ("", "none of"),
            ("s3", "none of"),
            ("3000,0", "not below"),
            ("5,5", "not below"),
            ("0,NaN", "no pair"),
            ("0,inf", "no pair"),
            ("0,1,2", "no pair"),
            ("full:0,1", "no range"),
            ("s2:1", "no pair"),
            ("s2:0.4,0.1", "not below"),
        ] {
            let error = text.parse::<Scale>().unwrap_err();
            assert!(
                matches!(error, Error::Argument { what: "scale", .. }),
                "{text}"
            );
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn products_have_the_numbers_of_their_makers() {
        let none = Stated::default();
        let close = |(low, high): (f64, f64), (l, h): (f64, f64)| {
            assert!(
                (low - l).abs() < 1e-6 && (high - h).abs() < 1e-6,
                "{low} {high}"
            );
        };
        close(range("s2:0,0.3", SampleType::U16, &none), (0.0, 3000.0));
        close(
            range("s2-offset:0,0.3", SampleType::U16, &none),
            (1000.0, 4000.0),
        );
        close(
            range("planet-sr:0,1", SampleType::U16, &none),
            (0.0, 10_000.0),
        );
        // (0 + 0.2) / 0.0000275 and (0.3 + 0.2) / 0.0000275
        close(
            range("landsat-c2:0,0.3", SampleType::U16, &none),
            (7_272.727_272_7, 18_181.818_181_8),
        );
        close(range("full", SampleType::U16, &none), (0.0, 65_535.0));
        close(
            range("full", of(16, SampleKind::Signed), &none),
            (-32_768.0, 32_767.0),
        );
        close(
            range("0,3000", of(32, SampleKind::Float), &none),
            (0.0, 3000.0),
        );
    }

    #[test]
    fn what_a_file_states_counts_where_it_gives_reflectances() {
        let stated = |scale, offset, unit: &str| Stated {
            scale: Some(scale),
            offset: Some(offset),
            unit: Some(unit.into()).filter(|u: &String| !u.is_empty()),
        };
        let landsat = stated(2.75e-5, -0.2, "");
        let found = decide(Scale::Auto, &facts(SampleType::U16, &landsat)).unwrap();
        for (range, (low, high)) in found.range.unwrap().into_iter().zip(SURFACE) {
            assert!((range.0 - (low + 0.2) / 2.75e-5).abs() < 1e-6);
            assert!((range.1 - (high + 0.2) / 2.75e-5).abs() < 1e-6);
        }
        // Kelvin by its unit, kelvin by its size, and a digital elevation model.
        for (other, samples) in [
            (stated(1e-4, 0.0, "K"), SampleType::U16),
            (stated(0.003_418_02, 149.0, ""), SampleType::U16),
            (stated(0.1, 0.0, ""), of(16, SampleKind::Signed)),
            (stated(0.5, 0.0, ""), of(32, SampleKind::Float)),
        ] {
            let error = decide(Scale::Auto, &facts(samples, &other)).unwrap_err();
            assert!(error.to_string().contains("stated:0,0.3"), "{error}");
        }
        assert_eq!(
            range("stated:149,249", SampleType::U16, &stated(0.01, 149.0, "K")).0,
            0.0
        );
    }

    #[test]
    fn nothing_is_guessed() {
        let none = Stated::default();
        for samples in [
            SampleType::U16,
            of(16, SampleKind::Signed),
            of(32, SampleKind::Float),
        ] {
            let fault = decide(Scale::Auto, &facts(samples, &none)).unwrap_err();
            assert_eq!(
                fault,
                ImageFault::NeedsScale {
                    samples: samples.to_string()
                }
            );
        }
        // A scale of 1 and an offset of 0 say nothing; of two bands alone neither.
        let nothing = Stated {
            scale: Some(1.0),
            offset: Some(0.0),
            unit: None,
        };
        assert!(decide(Scale::Auto, &facts(SampleType::U16, &nothing)).is_err());
        assert!(decide(Scale::Stated(None), &facts(SampleType::U16, &none)).is_err());
        assert!(decide(Scale::Full, &facts(of(32, SampleKind::Float), &none)).is_err());
    }

    #[test]
    fn bytes_stay_and_take_no_scale() {
        let none = Stated::default();
        let bytes = facts(SampleType::U8, &none);
        assert_eq!(decide(Scale::Auto, &bytes).unwrap().range, None);
        for scale in ["full", "s2", "0,100"] {
            let fault = decide(scale.parse().unwrap(), &bytes).unwrap_err();
            assert!(matches!(fault, ImageFault::Option(_)), "{fault}");
        }
    }

    #[test]
    fn samples_are_rounded_and_clamped() {
        let range = (0.0, 65_535.0);
        for sample in 0..=u16::MAX {
            let exact = (f64::from(sample) * 255.0 / 65_535.0).round();
            assert_eq!(f64::from(byte(sample.into(), range)), exact, "{sample}");
        }
        assert_eq!(byte(-5.0, (0.0, 10.0)), 0);
        assert_eq!(byte(11.0, (0.0, 10.0)), 255);
        assert_eq!(byte(1e300, (0.0, 10.0)), 255);
        assert_eq!(byte(1250.0, (1000.0, 1500.0)), 128);
    }
}
