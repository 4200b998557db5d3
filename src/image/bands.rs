//! Which bands of a raster are red, green and blue.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, ImageFault};

/// What the caller says of bands, which are counted from 1 as GDAL counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Bands {
    /// What the file says, else an error where there are neither one nor three.
    #[default]
    Auto,
    /// Red, green and blue.
    Rgb([NonZeroU16; 3]),
    /// One band that is shown in grey.
    Grey(NonZeroU16),
}

impl FromStr for Bands {
    type Err = Error;

    /// `auto`, `4,3,2` for red, green and blue, or `1` for grey.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Argument {
            what: "bands",
            reason,
        };
        if text == "auto" {
            return Ok(Bands::Auto);
        }
        let number = |part: &str| {
            let number = part.trim().parse::<NonZeroU16>();
            number.map_err(|_| {
                refuse(format!(
                    "`{part}` is no number of a band; they are counted from 1"
                ))
            })
        };
        let numbers: Vec<NonZeroU16> = text.split(',').map(number).collect::<Result<_, _>>()?;
        match numbers[..] {
            [grey] => Ok(Bands::Grey(grey)),
            [red, green, blue] => Ok(Bands::Rgb([red, green, blue])),
            _ => Err(refuse(format!(
                "`{text}` has {} bands; expected three, as `4,3,2` for red, green and blue, or one that is shown in grey",
                numbers.len()
            ))),
        }
    }
}

impl fmt::Display for Bands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bands::Auto => f.write_str("auto"),
            Bands::Grey(band) => write!(f, "{band}"),
            Bands::Rgb([red, green, blue]) => write!(f, "{red},{green},{blue}"),
        }
    }
}

impl Serialize for Bands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a file says of one band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Color {
    Red,
    Green,
    Blue,
    Grey,
    Alpha,
    /// Another one, by the file's word for it: near infrared, for example.
    Other(String),
    /// Nothing.
    Unknown,
}

impl Color {
    /// The colour that GDAL's word for a band's interpretation means.
    pub(super) fn of_gdal(word: &str) -> Color {
        match word.trim() {
            "Red" => Color::Red,
            "Green" => Color::Green,
            "Blue" => Color::Blue,
            "Gray" => Color::Grey,
            "Alpha" => Color::Alpha,
            "Undefined" | "" => Color::Unknown,
            other => Color::Other(other.chars().take(40).collect()),
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Color::Red => "red",
            Color::Green => "green",
            Color::Blue => "blue",
            Color::Grey => "grey",
            Color::Alpha => "alpha",
            Color::Other(word) => word,
            Color::Unknown => "nothing",
        })
    }
}

/// The bands that become red, green and blue, counted from 0, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) rgb: [usize; 3],
    /// A band that says which pixels are there, if its values are such.
    pub(super) alpha: Option<usize>,
    pub(super) why: String,
}

impl Chosen {
    /// Whether one band is shown in grey.
    pub(super) fn is_grey(&self) -> bool {
        self.rgb[0] == self.rgb[1] && self.rgb[1] == self.rgb[2]
    }
}

/// Chooses bands. `says` has what the file says of each band, `source` where it says so.
pub(super) fn decide(bands: Bands, says: &[Color], source: &str) -> Result<Chosen, ImageFault> {
    let alpha = says.iter().position(|color| *color == Color::Alpha);
    let chosen = |rgb, why: &str| {
        Ok(Chosen {
            rgb,
            // A band that is shown hides nothing.
            alpha: alpha.filter(|band| !rgb.contains(band)),
            why: why.to_owned(),
        })
    };
    let existing = |band: NonZeroU16| match usize::from(band.get()) {
        band if band <= says.len() => Ok(band - 1),
        band => Err(ImageFault::Option(format!(
            "there is no band {band}, it has {}",
            says.len()
        ))),
    };
    match bands {
        Bands::Rgb(bands) => {
            let [red, green, blue] = bands.map(existing);
            return chosen([red?, green?, blue?], "as asked for");
        }
        Bands::Grey(band) => return chosen([existing(band)?; 3], "shown in grey, as asked for"),
        Bands::Auto => {}
    }
    let the_one = |wanted: Color| {
        let mut found = (0..says.len()).filter(|band| says[*band] == wanted);
        found.next().filter(|_| found.next().is_none())
    };
    if let (Some(red), Some(green), Some(blue)) = (
        the_one(Color::Red),
        the_one(Color::Green),
        the_one(Color::Blue),
    ) {
        return chosen([red, green, blue], source);
    }
    let shown: Vec<usize> = (0..says.len())
        .filter(|band| says[*band] != Color::Alpha)
        .collect();
    let silent = shown
        .iter()
        .all(|band| matches!(says[*band], Color::Grey | Color::Unknown));
    match shown[..] {
        [only] => chosen([only; 3], "its only band, shown in grey"),
        [red, green, blue] if silent => chosen(
            [red, green, blue],
            "its three bands in their order, of which it says nothing",
        ),
        _ => Err(ImageFault::NeedsBands {
            bands: says.len(),
            says: said(says),
        }),
    }
}

/// What the file says of its bands, at most of eight.
pub(super) fn said(says: &[Color]) -> String {
    const MOST: usize = 8;
    if says.iter().all(|color| *color == Color::Unknown) {
        return "nothing".into();
    }
    let mut words: Vec<String> = says.iter().take(MOST).map(Color::to_string).collect();
    if says.len() > MOST {
        words.push("..".into());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colors(words: &str) -> Vec<Color> {
        words.split(' ').map(Color::of_gdal).collect()
    }

    fn found(bands: &str, words: &str) -> Result<Chosen, ImageFault> {
        decide(bands.parse().unwrap(), &colors(words), "its ColorInterp")
    }

    #[test]
    fn the_file_decides_where_it_says_all_three() {
        let bgrn = found("auto", "Blue Green Red Undefined").unwrap();
        assert_eq!((bgrn.rgb, bgrn.alpha), ([2, 1, 0], None));
        assert_eq!(bgrn.why, "its ColorInterp");
        let rgba = found("auto", "Red Green Blue Alpha").unwrap();
        assert_eq!((rgba.rgb, rgba.alpha), ([0, 1, 2], Some(3)));
        assert_eq!(found("auto", "NIR Red Green Blue").unwrap().rgb, [1, 2, 3]);
    }

    #[test]
    fn one_band_is_grey_and_three_silent_ones_are_colours() {
        assert_eq!(found("auto", "Gray").unwrap().rgb, [0; 3]);
        assert_eq!(found("auto", "NIR").unwrap().rgb, [0; 3]);
        let hidden = found("auto", "Gray Alpha").unwrap();
        assert_eq!((hidden.rgb, hidden.alpha), ([0; 3], Some(1)));
        assert_eq!(
            found("auto", "Gray Undefined Undefined").unwrap().rgb,
            [0, 1, 2]
        );
        let alpha = found("auto", "Gray Undefined Undefined Alpha").unwrap();
        assert_eq!((alpha.rgb, alpha.alpha), ([0, 1, 2], Some(3)));
    }

    #[test]
    fn everything_else_must_be_named() {
        for words in [
            "Gray Undefined",
            "Gray Undefined Undefined Undefined",
            "NIR Red Green",
            "Red Red Blue",
            "Undefined Undefined Undefined Undefined Alpha",
            "Red Green Blue Red Green Blue",
        ] {
            let fault = found("auto", words).unwrap_err();
            assert!(
                matches!(fault, ImageFault::NeedsBands { .. }),
                "{words}: {fault}"
            );
            assert_eq!(found("2,1,1", words).unwrap().rgb, [1, 0, 0], "{words}");
        }
        let many = "Undefined ".repeat(13);
        let fault = found("auto", many.trim()).unwrap_err();
        assert_eq!(
            fault,
            ImageFault::NeedsBands {
                bands: 13,
                says: "nothing".into()
            }
        );
    }

    #[test]
    fn what_was_asked_for_must_be_there() {
        assert_eq!(found("4,3,2", "Red Green Blue Alpha").unwrap().alpha, None);
        assert_eq!(found("1", "Red Green Blue Alpha").unwrap().alpha, Some(3));
        for bands in ["14,3,2", "14"] {
            let fault = found(bands, "Red Green Blue").unwrap_err();
            assert_eq!(
                fault,
                ImageFault::Option("there is no band 14, it has 3".into())
            );
        }
        for text in [
            "0", "0,1,2", "1,2", "1,2,3,4", "a,b,c", "", "-1,2,3", "70000",
        ] {
            let error = text.parse::<Bands>().unwrap_err();
            assert!(
                matches!(error, Error::Argument { what: "bands", .. }),
                "{text}"
            );
        }
        for text in ["auto", "4,3,2", "1"] {
            assert_eq!(text.parse::<Bands>().unwrap().to_string(), text);
        }
    }
}
