//! Well-known binary (OGC 06-103r4, ISO 13249-3) and PostGIS's extension of it: the bounds of a
//! geometry of any type.
//!
//! Either order of bytes, Z and M in both spellings, and the SRID of EWKB. What the bytes claim to
//! hold is never believed: counts cost nothing until their vertices are there.

use super::footprint::Bounds;

/// The most geometries within geometries that are read; each takes 5 bytes at least.
const MOST_PARTS: usize = 1_000_000;

/// Bounds of a geometry, and the EPSG code that EWKB names for its coordinates.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) bounds: Bounds,
    pub(super) srid: Option<u32>,
}

/// Reads the bounds of a geometry; one without vertices has empty ones.
pub(super) fn outline(bytes: &[u8]) -> Result<Outline, String> {
    let mut reader = Reader {
        rest: bytes,
        little: true,
    };
    let mut outline = Outline {
        bounds: Bounds::default(),
        srid: None,
    };
    // Geometries that are still to come at each level; an explicit stack, as the nesting is
    // whatever the bytes say.
    let mut pending = vec![1u32];
    let mut parts = 0;
    while let Some(left) = pending.last_mut() {
        if *left == 0 {
            pending.pop();
            continue;
        }
        *left -= 1;
        parts += 1;
        if parts > MOST_PARTS {
            return Err(format!("the geometry has more than {MOST_PARTS} parts"));
        }
        let head = reader.head()?;
        if let Some(srid) = head.srid {
            outline.srid.get_or_insert(srid);
        }
        match head.kind {
            // Point
            1 => reader.vertices(1, head.numbers, &mut outline.bounds)?,
            // LineString, CircularString
            2 | 8 => {
                let count = reader.count()?;
                reader.vertices(count, head.numbers, &mut outline.bounds)?;
            }
            // Polygon, Triangle
            3 | 17 => {
                for _ in 0..reader.count()? {
                    let count = reader.count()?;
                    reader.vertices(count, head.numbers, &mut outline.bounds)?;
                }
            }
            // Collections: MultiPoint, -LineString, -Polygon, GeometryCollection, CompoundCurve,
            // CurvePolygon, MultiCurve, MultiSurface, PolyhedralSurface, TIN
            4..=7 | 9..=12 | 15 | 16 => {
                let count = reader.count()?;
                pending.push(count);
            }
            other => return Err(format!("{other} is no type of geometry")),
        }
    }
    match reader.rest.is_empty() {
        true => Ok(outline),
        false => Err("there are bytes after the geometry".to_owned()),
    }
}

/// What a geometry begins with.
struct Head {
    kind: u32,
    /// Numbers of a vertex: 2 to 4.
    numbers: usize,
    srid: Option<u32>,
}

struct Reader<'a> {
    rest: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or("the geometry ends too early")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn count(&mut self) -> Result<u32, String> {
        let bytes = self.take()?;
        Ok(match self.little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        })
    }

    fn number(&mut self) -> Result<f64, String> {
        let bytes = self.take()?;
        Ok(match self.little {
            true => f64::from_le_bytes(bytes),
            false => f64::from_be_bytes(bytes),
        })
    }

    fn head(&mut self) -> Result<Head, String> {
        self.little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            [other] => return Err(format!("{other} is no order of bytes")),
        };
        let word = self.count()?;
        let srid = match word & 0x2000_0000 {
            0 => None,
            _ => Some(self.count()?),
        };
        let code = word & 0x1FFF_FFFF;
        // ISO adds thousands for Z, M and both, EWKB sets bits.
        let (kind, iso) = (code % 1000, code / 1000);
        let (z, m) = match iso {
            0 => (word & 0x8000_0000 != 0, word & 0x4000_0000 != 0),
            1 => (true, false),
            2 => (false, true),
            3 => (true, true),
            _ => return Err(format!("{code} is no type of geometry")),
        };
        Ok(Head {
            kind,
            numbers: 2 + usize::from(z) + usize::from(m),
            srid,
        })
    }

    fn vertices(&mut self, count: u32, numbers: usize, bounds: &mut Bounds) -> Result<(), String> {
        for _ in 0..count {
            let (x, y) = (self.number()?, self.number()?);
            for _ in 2..numbers {
                self.number()?;
            }
            // An empty point is one of NaN.
            if !(x.is_nan() && y.is_nan()) {
                bounds
                    .add(x, y)
                    .ok_or("a vertex is not finite, or one too many")?;
            }
        }
        Ok(())
    }
}

/// The bytes of hexadecimal digits, as databases print geometries; none where they are not the
/// beginning of one.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.starts_with("00") && !text.starts_with("01") {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A geometry in one of the orders of bytes.
    struct Writer {
        bytes: Vec<u8>,
        little: bool,
    }

    impl Writer {
        fn new(little: bool) -> Self {
            Writer {
                bytes: Vec::new(),
                little,
            }
        }

        fn head(mut self, word: u32) -> Self {
            self.bytes.push(u8::from(self.little));
            self.word(word)
        }

        fn word(mut self, word: u32) -> Self {
            let bytes = if self.little {
                word.to_le_bytes()
            } else {
                word.to_be_bytes()
            };
            self.bytes.extend(bytes);
            self
        }

        fn numbers(mut self, numbers: &[f64]) -> Self {
            for number in numbers {
                let bytes = if self.little {
                    number.to_le_bytes()
                } else {
                    number.to_be_bytes()
                };
                self.bytes.extend(bytes);
            }
            self
        }
    }

    fn centre(writer: &Writer) -> Option<(f64, f64)> {
        outline(&writer.bytes).unwrap().bounds.centre()
    }

    #[test]
    fn types_orders_and_dimensions() {
        for little in [true, false] {
            let new = || Writer::new(little);
            assert_eq!(
                centre(&new().head(1).numbers(&[8.0, 47.0])),
                Some((8.0, 47.0))
            );
            let ring = [10.0, 20.0, 12.0, 20.0, 12.0, 24.0, 10.0, 20.0];
            let polygon = new().head(3).word(1).word(4).numbers(&ring);
            assert_eq!(centre(&polygon), Some((11.0, 22.0)));
            // Z, M and both, as ISO and EWKB write them.
            for (word, more) in [
                (1001, 1),
                (2001, 1),
                (3001, 2),
                (0x8000_0001, 1),
                (0x4000_0001, 1),
                (0xC000_0001, 2),
            ] {
                let point = new()
                    .head(word)
                    .numbers(&[8.0, 47.0])
                    .numbers(&[9.0; 2][..more]);
                assert_eq!(centre(&point), Some((8.0, 47.0)), "{word:x}");
            }
            let place = new().head(0x2000_0001).word(32631).numbers(&[5e5, 5e6]);
            assert_eq!(outline(&place.bytes).unwrap().srid, Some(32631));
            // A collection of a line and of a collection of a point.
            let nested = new()
                .head(7)
                .word(2)
                .head(2)
                .word(2)
                .numbers(&[0.0, 0.0, 4.0, 2.0])
                .head(7)
                .word(1)
                .head(1)
                .numbers(&[8.0, 1.0]);
            assert_eq!(centre(&nested), Some((4.0, 1.0)));
            // Across the antimeridian.
            let cut = new()
                .head(6)
                .word(2)
                .head(3)
                .word(1)
                .word(3)
                .numbers(&[179.0, 0.0, 180.0, 0.0, 180.0, 2.0])
                .head(3)
                .word(1)
                .word(3)
                .numbers(&[-180.0, 0.0, -177.0, 0.0, -177.0, 2.0]);
            assert_eq!(centre(&cut), Some((-179.0, 1.0)));
            let empty = new().head(1).numbers(&[f64::NAN, f64::NAN]);
            assert_eq!(centre(&empty), None);
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let new = || Writer::new(true);
        for (writer, part) in [
            (new(), "too early"),
            (new().head(3).word(u32::MAX), "too early"),
            (new().head(3).word(1).word(u32::MAX), "too early"),
            (
                new().head(2).word(u32::MAX).numbers(&[1.0; 64]),
                "too early",
            ),
            (new().head(7).word(u32::MAX), "too early"),
            (new().head(1).numbers(&[1.0]), "too early"),
            (new().head(1).numbers(&[1.0, f64::INFINITY]), "not finite"),
            (new().head(1).numbers(&[1.0, 2.0, 3.0]), "after"),
            (new().head(4001), "no type"),
            (new().head(99), "no type"),
            (
                Writer {
                    bytes: vec![2, 0, 0],
                    little: true,
                },
                "order",
            ),
        ] {
            let reason = outline(&writer.bytes).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        // Collections in collections, deeper than any stack.
        let mut deep = Vec::new();
        for _ in 0..MOST_PARTS + 10 {
            deep.extend([1, 7, 0, 0, 0, 1, 0, 0, 0]);
        }
        assert!(outline(&deep).unwrap_err().contains("parts"));
    }

    #[test]
    fn any_change_of_bytes_returns() {
        let ring = [10.0, 20.0, 12.0, 20.0, 12.0, 24.0, 10.0, 20.0];
        let polygon = Writer::new(true)
            .head(6)
            .word(1)
            .head(3)
            .word(1)
            .word(4)
            .numbers(&ring);
        for at in 0..polygon.bytes.len() {
            for bit in 0..8 {
                let mut changed = polygon.bytes.clone();
                changed[at] ^= 1 << bit;
                let _ = outline(&changed);
            }
            assert!(outline(&polygon.bytes[..at]).is_err());
        }
    }

    #[test]
    fn hexadecimal_digits() {
        assert_eq!(from_hex("01aF"), Some(vec![1, 175]));
        for broken in ["0", "01g", "01é", "12"] {
            assert_eq!(from_hex(broken), None);
        }
    }
}
