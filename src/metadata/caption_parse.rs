//! From a caption back to a record.

use super::caption::{COLON, SEPARATOR};
use super::field::Field;
use super::record::Metadata;
use crate::error::{Error, Result};

impl Metadata {
    /// The record that a caption names: the inverse of [`Metadata::caption`] up to its rounding.
    ///
    /// The fields may come in any order, each at most once; every value is checked. An empty
    /// caption is an empty record.
    ///
    /// ```
    /// use satmip::{FieldSet, Metadata};
    ///
    /// let text = "GSD: (0.50, 0.50); Country code: PER";
    /// assert_eq!(Metadata::from_caption(text)?.caption(FieldSet::ALL), text);
    /// # Ok::<(), satmip::Error>(())
    /// ```
    pub fn from_caption(caption: &str) -> Result<Self> {
        let mut record = Metadata::new();
        if caption.is_empty() {
            return Ok(record);
        }
        for part in caption.split(SEPARATOR) {
            let (label, value) = part
                .split_once(COLON)
                .ok_or_else(|| Error::field("caption", part, "expected `Label: value`"))?;
            let field = Field::ALL
                .into_iter()
                .find(|field| field.label() == label)
                .ok_or_else(|| Error::field("caption", label, "no field has this label"))?;
            if record.has(field) {
                return Err(Error::field(field.name(), value, "is given twice"));
            }
            record.set_text(field, value)?;
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::record;
    use super::super::caption::poster;
    use super::*;
    use crate::metadata::FieldSet;

    #[test]
    fn the_poster_comes_back() {
        let parsed = Metadata::from_caption(&poster().caption(FieldSet::ALL)).unwrap();
        let mut expected = poster();
        expected.set_gsd((11.45, 9.13)).unwrap();
        expected.set_multispectral_gsd(41.19).unwrap();
        expected.set_location(-73.3108, -3.7858).unwrap();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn order_is_free_and_nothing_is_empty() {
        let a = Metadata::from_caption("Country code: PER; GSD: (1.00, 2.00)").unwrap();
        let b = Metadata::from_caption("GSD: (1.00, 2.00); Country code: PER").unwrap();
        assert_eq!(a, b);
        assert!(Metadata::from_caption("").unwrap().is_empty());
    }

    #[test]
    fn bad_captions_are_refused() {
        for (caption, part) in [
            ("GSD", "Label: value"),
            ("gsd: 1", "no field"),
            ("GSD: ", "is empty"),
            ("GSD: (1.00, 1.00); ", "Label: value"),
            ("GSD: (1.00, 1.00); GSD: (1.00, 1.00)", "twice"),
            ("GSD: (1.00, 1.00, 1.00)", "x,y"),
            ("Cloud cover: 101", "0 to 100"),
            ("Location: (-3.7858, -173.3108)", "swapped"),
            ("Sensor platform: <|end|>", "has one of"),
        ] {
            let error = Metadata::from_caption(caption).unwrap_err().to_string();
            assert!(error.contains(part), "{caption}: {error}");
        }
    }

    fn close(a: f64, b: f64, step: f64) -> bool {
        (a - b).abs() <= step / 2.0 + 1e-9 * a.abs()
    }

    /// Nearest on the circle.
    fn close_azimuth(a: f64, b: f64) -> bool {
        close(a, b, 0.01) || close(a, b + 360.0, 0.01)
    }

    /// Within half a unit of the third significant digit, or half a centimetre of metres.
    fn close_metres(a: f64, b: f64) -> bool {
        close(
            a,
            b,
            10f64.powf((a.log10().floor() - 2.0).min(-2.0)).min(0.01),
        )
    }

    proptest! {
        #[test]
        fn caption_is_inverted(record in record()) {
            let caption = record.caption(FieldSet::ALL);
            let parsed = Metadata::from_caption(&caption).unwrap();
            prop_assert_eq!(parsed.caption(FieldSet::ALL), caption);
            prop_assert_eq!(parsed.fields(), record.fields());
            if let (Some(a), Some(b)) = (record.gsd(), parsed.gsd()) {
                prop_assert!(close_metres(a.x, b.x) && close_metres(a.y, b.y), "{a:?} {b:?}");
            }
            if let (Some(a), Some(b)) = (record.multispectral_gsd(), parsed.multispectral_gsd()) {
                prop_assert!(close_metres(a, b), "{a} {b}");
            }
            if let (Some(a), Some(b)) = (record.pixel_size(), parsed.pixel_size()) {
                prop_assert!((a.x / b.x - 1.0).abs() < 0.00501 && (a.y / b.y - 1.0).abs() < 0.00501);
            }
            if let (Some(a), Some(b)) = (record.location(), parsed.location()) {
                prop_assert!(close(a.lon(), b.lon(), 1e-4) && close(a.lat(), b.lat(), 1e-4));
            }
            if let (Some(a), Some(b)) = (record.wavelengths(), parsed.wavelengths()) {
                prop_assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(*a, *b, 1.0)));
            }
            if let (Some(a), Some(b)) = (record.cloud_cover(), parsed.cloud_cover()) {
                prop_assert!(close(a, b, 1.0));
            }
            if let (Some(a), Some(b)) = (record.sun_azimuth_angle(), parsed.sun_azimuth_angle()) {
                prop_assert!(close_azimuth(a, b));
            }
            if let (Some(a), Some(b)) = (record.target_azimuth_angle(), parsed.target_azimuth_angle()) {
                prop_assert!(close_azimuth(a, b));
            }
            if let (Some(a), Some(b)) = (record.sun_elevation_angle(), parsed.sun_elevation_angle()) {
                prop_assert!(close(a, b, 0.01));
            }
            if let (Some(a), Some(b)) = (record.off_nadir_angle(), parsed.off_nadir_angle()) {
                prop_assert!(close(a, b, 0.01));
            }
            prop_assert_eq!(parsed.timestamp(), record.timestamp().map(|t| t.to_whole_seconds()));
            prop_assert_eq!(parsed.utm_zone(), record.utm_zone());
            prop_assert_eq!(parsed.country_code(), record.country_code());
            prop_assert_eq!(parsed.scan_direction(), record.scan_direction());
            prop_assert_eq!(parsed.sensor_platform(), record.sensor_platform());
        }

        #[test]
        fn text_and_json_are_inverted(record in record()) {
            let mut again = Metadata::new();
            for field in record.fields().iter() {
                again.set_text(field, &record.text(field).unwrap()).unwrap();
            }
            prop_assert_eq!(&again, &record);
            // serde_json may be wrong in the 17th digit when it reads, so fewer are given here.
            let rounded = Metadata::from_caption(&record.caption(FieldSet::ALL)).unwrap();
            let json = serde_json::to_string(&rounded).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Metadata>(&json).unwrap(), &rounded);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = Metadata::from_caption(&text);
            for field in Field::ALL {
                let _ = Metadata::new().set_text(field, &text);
                let _ = Metadata::from_caption(&format!("{}: {text}", field.label()));
            }
        }
    }
}
