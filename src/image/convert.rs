//! Samples to 8-bit RGB, and which pixels are there.

use std::sync::Arc;

use super::radiometry::byte;

/// A number of some type as it is stored.
pub(super) trait Sample: Copy + 'static {
    /// Bytes of one.
    const BYTES: usize;

    /// From as many bytes, in the machine's order.
    fn read(bytes: &[u8]) -> Self;

    fn number(self) -> f64;

    /// The nearest one to a number.
    fn of(number: f64) -> Self;

    /// As many bytes, in the machine's order.
    fn write(self, bytes: &mut [u8]);

    /// Whether it is the number that a file calls nodata.
    fn is(self, nodata: f64) -> bool {
        self.number() == nodata
    }

    /// Its place in a table of all values of its type; none for types of more than 16 bits.
    fn place(self) -> Option<u16> {
        None
    }

    /// The value of a place.
    fn at(_place: u16) -> Option<Self> {
        None
    }
}

macro_rules! samples {
    ($($type:ty $(as $bits:ty)?),*) => {$(
        impl Sample for $type {
            const BYTES: usize = size_of::<$type>();

            $(
                fn place(self) -> Option<u16> {
                    Some(u16::from(self as $bits))
                }

                fn at(place: u16) -> Option<Self> {
                    <$bits>::try_from(place).ok().map(|bits| bits as $type)
                }
            )?

            fn read(bytes: &[u8]) -> Self {
                // Chunks have the length of the type; a shorter one would read as 0.
                bytes.try_into().map(<$type>::from_ne_bytes).unwrap_or_default()
            }

            fn number(self) -> f64 {
                self as f64
            }

            fn of(number: f64) -> Self {
                number as $type
            }

            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }
        }
    )*};
}

samples!(
    u8 as u8, i8 as u8, u16 as u16, i16 as u16, u32, i32, u64, i64, f64
);

impl Sample for f32 {
    const BYTES: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        bytes.try_into().map(f32::from_ne_bytes).unwrap_or_default()
    }

    fn number(self) -> f64 {
        self.into()
    }

    fn of(number: f64) -> Self {
        number as f32
    }

    fn write(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.to_ne_bytes());
    }

    /// Files write nodata in decimal digits, of the double or of the single-precision number.
    fn is(self, nodata: f64) -> bool {
        self.number() == nodata || self == nodata as f32
    }
}

impl Sample for half::f16 {
    const BYTES: usize = 2;

    fn read(bytes: &[u8]) -> Self {
        let bytes = bytes.try_into();
        bytes.map(half::f16::from_ne_bytes).unwrap_or_default()
    }

    fn number(self) -> f64 {
        self.into()
    }

    fn of(number: f64) -> Self {
        half::f16::from_f64(number)
    }

    fn write(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.to_ne_bytes());
    }

    fn is(self, nodata: f64) -> bool {
        self.number() == nodata || self == half::f16::from_f64(nodata)
    }
}

/// How samples become a picture.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Bands of a pixel.
    pub(super) bands: usize,
    /// Those that are red, green and blue.
    pub(super) rgb: [usize; 3],
    /// The one that may say which pixels are there.
    pub(super) alpha: Option<usize>,
    /// Whether it says so by the format's definition, whatever its values are.
    pub(super) alpha_defined: bool,
    /// Samples that become 0 and 255; none for bytes that stay as they are.
    pub(super) range: Option<[(f64, f64); 3]>,
    /// Samples that mark what is missing.
    pub(super) nodata: Vec<f64>,
    /// Whether a pixel is missing only where red, green and blue all are.
    pub(super) missing_where_all: bool,
    /// What becomes of each sample, worked out beforehand.
    pub(super) table: Option<Arc<Table>>,
}

impl Rule {
    /// The bands that the picture is made of, in their order.
    pub(super) fn needed(&self) -> Vec<usize> {
        let mut bands: Vec<usize> = self.rgb.into_iter().chain(self.alpha).collect();
        bands.sort_unstable();
        bands.dedup();
        bands
    }

    /// The rule for pixels of these bands alone.
    pub(super) fn of_bands(&self, bands: &[usize]) -> Rule {
        let place = |band: usize| bands.iter().position(|own| *own == band);
        Rule {
            bands: bands.len(),
            rgb: self.rgb.map(|band| place(band).unwrap_or(0)),
            alpha: self.alpha.and_then(place),
            ..self.clone()
        }
    }

    /// The table of this rule for a type of samples; none for those of more than 16 bits.
    #[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
    pub(super) fn table<T: Sample>(&self) -> Option<Table> {
        T::at(0)?;
        let channel = |channel: usize| {
            let values = (0..=u16::MAX).map_while(T::at);
            let entry = |sample: T| match self.is_missing(sample) {
                true => Table::MISSING,
                false => u16::from(self.byte(sample, channel)),
            };
            values.map(entry).collect::<Arc<[u16]>>()
        };
        let red = channel(0);
        // Most often all three are the same: one table is read faster than three.
        let same = |other: usize| {
            let range = self.range.as_ref();
            range.is_none_or(|range| range[0] == range[other])
        };
        let other = |at: usize| match same(at) {
            true => Arc::clone(&red),
            false => channel(at),
        };
        Some(Table([Arc::clone(&red), other(1), other(2)]))
    }

    /// Red, green and blue of a pixel, and which of its samples are missing.
    fn pixel<T: Sample>(&self, samples: [T; 3]) -> ([u8; 3], [bool; 3]) {
        if let Some(table) = &self.table {
            let entries = [0, 1, 2].map(|i| table.entry(samples[i], i).unwrap_or(Table::MISSING));
            return (
                entries.map(|entry| entry as u8),
                entries.map(|entry| entry == Table::MISSING),
            );
        }
        let missing = samples.map(|sample| self.is_missing(sample));
        ([0, 1, 2].map(|i| self.byte(samples[i], i)), missing)
    }

    fn is_missing<T: Sample>(&self, sample: T) -> bool {
        !sample.number().is_finite() || self.nodata.iter().any(|nodata| sample.is(*nodata))
    }

    fn byte<T: Sample>(&self, sample: T, channel: usize) -> u8 {
        match &self.range {
            None => sample.number() as u8,
            Some(range) => byte(sample.number(), range[channel]),
        }
    }
}

/// For red, green and blue and each value of a sample: its byte, or that it is missing.
#[derive(Debug, Clone)]
pub(super) struct Table([Arc<[u16]>; 3]);

impl Table {
    const MISSING: u16 = 256;

    /// Of samples of 16 bits, each of which becomes the same byte in all channels.
    #[cfg_attr(not(feature = "geotiff"), allow(dead_code, reason = "for scenes"))]
    pub(super) fn of(byte: impl Fn(u16) -> u16) -> Table {
        let all: Arc<[u16]> = (0..=u16::MAX).map(byte).collect();
        Table([0, 1, 2].map(|_| Arc::clone(&all)))
    }

    fn entry<T: Sample>(&self, sample: T, channel: usize) -> Option<u16> {
        self.0[channel].get(usize::from(sample.place()?)).copied()
    }
}

/// Pixels while they are converted, from the first row to the last.
#[derive(Debug)]
pub(super) struct Pixels<'a> {
    rule: &'a Rule,
    pub(super) rgb: Vec<u8>,
    /// Which pixels are there; none as long as all are.
    valid: Option<Vec<bool>>,
    /// Which pixels the alpha band shows.
    shown: Option<Shown>,
}

/// The values of an alpha band: where it is not 0, and how often it has its largest value.
#[derive(Debug, Default)]
struct Shown {
    pixels: Vec<bool>,
    seen: usize,
    largest: f64,
    full: usize,
}

impl Shown {
    fn push(&mut self, alpha: f64) {
        self.pixels.push(alpha != 0.0);
        if alpha == 0.0 {
            return;
        }
        self.seen += 1;
        if alpha == self.largest {
            self.full += 1;
        } else if alpha > self.largest {
            (self.largest, self.full) = (alpha, 1);
        }
    }

    /// Whether half of what is not 0, or more, has the largest value: what lies between is a soft edge. Near
    /// infrared has hardly two pixels in one hundred alike.
    fn is_mask(&self) -> bool {
        2 * self.full >= self.seen
    }
}

impl<'a> Pixels<'a> {
    /// `rgb` is where the picture goes, empty and with room.
    pub(super) fn new(rule: &'a Rule, rgb: Vec<u8>) -> Self {
        Pixels {
            rule,
            rgb,
            valid: None,
            shown: rule.alpha.map(|_| Shown::default()),
        }
    }

    /// Appends pixels of interleaved samples as they are stored. `there` has what a mask says of them, where
    /// there is one.
    pub(super) fn push<T: Sample>(&mut self, bytes: &[u8], there: Option<&[bool]>) {
        let rule = self.rule;
        let pixel = rule.bands * T::BYTES;
        let before = self.rgb.len() / 3;
        self.rgb.resize((before + bytes.len() / pixel) * 3, 0);
        let colors = self.rgb[before * 3..].chunks_exact_mut(3);
        for (i, (pixel, color)) in bytes.chunks_exact(pixel).zip(colors).enumerate() {
            let masked = there.is_some_and(|there| there.get(i) != Some(&true));
            let sample = |band: usize| T::read(&pixel[band * T::BYTES..(band + 1) * T::BYTES]);
            let (shown, missing) = rule.pixel(rule.rgb.map(sample));
            let is_missing = masked
                || match rule.missing_where_all {
                    true => missing == [true; 3],
                    false => missing != [false; 3],
                };
            match &mut self.valid {
                Some(valid) => valid.push(!is_missing),
                None if is_missing => {
                    let mut valid = vec![true; before + i];
                    valid.push(false);
                    self.valid = Some(valid);
                }
                None => {}
            }
            if !is_missing {
                color.copy_from_slice(&shown);
            }
            if let (Some(band), Some(shown)) = (rule.alpha, &mut self.shown) {
                shown.push(sample(band).number());
            }
        }
    }

    /// The picture, which pixels are there (none where all are), and what became of the alpha band.
    pub(super) fn finish(self) -> Converted {
        let alpha = match &self.shown {
            None => Alpha::None,
            Some(shown) if self.rule.alpha_defined || shown.is_mask() => Alpha::Mask,
            Some(_) => Alpha::Data,
        };
        let shown = self.shown.filter(|_| alpha == Alpha::Mask);
        let hidden = shown
            .map(|shown| shown.pixels)
            .filter(|pixels| pixels.contains(&false));
        let valid = match (self.valid, hidden) {
            (Some(mut valid), Some(shown)) => {
                for (valid, shown) in valid.iter_mut().zip(shown) {
                    *valid &= shown;
                }
                Some(valid)
            }
            (valid, shown) => valid.or(shown),
        };
        (self.rgb, valid, alpha)
    }
}

/// A picture, which of its pixels are there (none where all are), and what became of the alpha band.
pub(super) type Converted = (Vec<u8>, Option<Vec<bool>>, Alpha);

/// What a band called alpha turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    /// There is none.
    None,
    /// It says which pixels are there: those where it is not 0.
    Mask,
    /// Most of its values lie between none and full, as those of near infrared do: it hides nothing.
    Data,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(bands: usize) -> Rule {
        Rule {
            bands,
            rgb: [0, 1, 2],
            alpha: None,
            alpha_defined: false,
            range: None,
            nodata: Vec::new(),
            missing_where_all: false,
            table: None,
        }
    }

    fn converted<T: Sample>(rule: &Rule, samples: &[u8]) -> (Vec<u8>, Option<Vec<bool>>, Alpha) {
        let mut pixels = Pixels::new(rule, Vec::new());
        pixels.push::<T>(samples, None);
        pixels.finish()
    }

    #[test]
    fn bytes_stay_and_bands_are_picked() {
        let samples = [1, 2, 3, 4, 5, 6, 7, 8];
        let bgr = Rule {
            rgb: [2, 1, 0],
            ..rule(4)
        };
        let (rgb, valid, alpha) = converted::<u8>(&bgr, &samples);
        assert_eq!(
            (rgb, valid, alpha),
            (vec![3, 2, 1, 7, 6, 5], None, Alpha::None)
        );
    }

    #[test]
    fn nodata_and_what_is_not_finite_are_missing() {
        let floats = [
            1.0f32,
            1.0,
            1.0,
            f32::NAN,
            1.0,
            1.0,
            1.0,
            f32::INFINITY,
            1.0,
            -9999.0,
            1.0,
            1.0,
        ];
        let bytes: Vec<u8> = floats.iter().flat_map(|f| f.to_ne_bytes()).collect();
        let rule = Rule {
            range: Some([(0.0, 1.0); 3]),
            nodata: vec![-9999.0],
            ..rule(3)
        };
        let (rgb, valid, _) = converted::<f32>(&rule, &bytes);
        assert_eq!(valid, Some(vec![true, false, false, false]));
        assert_eq!(rgb, [255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(f32::MIN.is(-3.402_823_466_385_288_6e38) && f32::MIN.is(-3.402_823_4e38));
    }

    #[test]
    fn a_mask_hides_whatever_the_samples_are() {
        let rule = rule(3);
        let mut pixels = Pixels::new(&rule, Vec::new());
        pixels.push::<u8>(&[1, 2, 3, 4, 5, 6], Some(&[false, true]));
        assert_eq!(pixels.finish().1, Some(vec![false, true]));
    }

    #[test]
    fn of_bytes_a_pixel_is_missing_where_all_three_are() {
        let samples = [0, 0, 9, 0, 0, 0];
        let all = Rule {
            nodata: vec![0.0],
            missing_where_all: true,
            ..rule(3)
        };
        assert_eq!(converted::<u8>(&all, &samples).1, Some(vec![true, false]));
        let any = Rule {
            missing_where_all: false,
            ..all
        };
        assert_eq!(converted::<u8>(&any, &samples).1, Some(vec![false, false]));
    }

    #[test]
    fn an_alpha_hides_unless_most_of_it_lies_between() {
        let alpha = Rule {
            alpha: Some(3),
            ..rule(4)
        };
        let (rgb, valid, kind) = converted::<u8>(&alpha, &[1, 2, 3, 255, 4, 5, 6, 0]);
        assert_eq!(
            (rgb.len(), valid, kind),
            (6, Some(vec![true, false]), Alpha::Mask)
        );
        let near_infrared = [1, 2, 3, 255, 4, 5, 6, 0, 7, 8, 9, 17, 7, 8, 9, 18];
        let (_, valid, kind) = converted::<u8>(&alpha, &near_infrared);
        assert_eq!((valid, kind), (None, Alpha::Data));
        let soft = [1, 2, 3, 255, 4, 5, 6, 0, 7, 8, 9, 255, 7, 8, 9, 18];
        let hidden = Some(vec![true, false, true, true]);
        let (_, valid, kind) = converted::<u8>(&alpha, &soft);
        assert_eq!((valid, kind), (hidden.clone(), Alpha::Mask));
        let defined = Rule {
            alpha_defined: true,
            ..alpha.clone()
        };
        let (_, valid, kind) = converted::<u8>(&defined, &near_infrared);
        assert_eq!((valid, kind), (hidden, Alpha::Mask));
        // 1 is full where nothing is more.
        let ones = converted::<u8>(&alpha, &[1, 2, 3, 1, 4, 5, 6, 0]);
        assert_eq!((ones.1, ones.2), (Some(vec![true, false]), Alpha::Mask));
        let opaque = converted::<u8>(&alpha, &[1, 2, 3, 255]);
        assert_eq!((opaque.1, opaque.2), (None, Alpha::Mask));
    }
}
