//! From the tabular view back to records.

use std::f64::consts::TAU;

use super::field::{Field, FieldSet};
use super::record::Metadata;
use super::tabular::{TabularBatch, argument};
use super::time::Timestamp;
use crate::arch::TabularColumns;
use crate::error::Result;

impl TabularColumns {
    /// The records of a batch: the inverse of [`encode`](TabularColumns::encode) where there is
    /// one, to the precision of f32.
    ///
    /// Categories outside the vocabulary are lost, as are wavelengths after the third and
    /// fractions of a second; a time to the minute comes back to the second. Where every record
    /// of the training data had the same hour, within minutes, a day comes back with that hour.
    pub fn decode(&self, batch: &TabularBatch, fields: FieldSet) -> Result<Vec<Metadata>> {
        self.quantities(fields)?;
        let rows = batch.present.nrows();
        let expected = [
            (batch.numbers.dim(), (rows, self.numbers.len())),
            (batch.categories.dim(), (rows, self.categories.len())),
            (batch.present.dim(), (rows, fields.len())),
        ];
        if let Some((is, should)) = expected.into_iter().find(|(is, should)| is != should) {
            let reason = format!("a part is of shape {is:?}, the columns need {should:?}");
            return Err(argument("batch", reason));
        }
        let decode = |row| {
            Row {
                columns: self,
                batch,
                row,
            }
            .record(fields)
        };
        (0..rows).map(decode).collect()
    }
}

/// One row of a batch.
struct Row<'a> {
    columns: &'a TabularColumns,
    batch: &'a TabularBatch,
    row: usize,
}

impl Row<'_> {
    fn record(&self, fields: FieldSet) -> Result<Metadata> {
        let mut record = Metadata::new();
        for (i, field) in fields.iter().enumerate() {
            if self.batch.present[[self.row, i]] {
                self.decode(&mut record, field)?;
            }
        }
        Ok(record)
    }

    /// Sets a field whose columns are there. Rounding to f32 may leave a range by a little, so
    /// values are brought back into it; a NaN stays one and is refused.
    fn decode(&self, m: &mut Metadata, field: Field) -> Result<()> {
        let name = field.name();
        let pair = |x, y| self.exp(x).zip(self.exp(y));
        let azimuth = || self.phase(name).map(|(angle, _)| angle.to_degrees());
        match field {
            Field::Gsd => pair("gsd.x", "gsd.y").map_or(Ok(()), |(x, y)| {
                m.set_gsd((x.clamp(1e-4, 1e4), y.clamp(1e-4, 1e4)))
            }),
            Field::MultispectralGsd => self
                .exp(name)
                .map_or(Ok(()), |v| m.set_multispectral_gsd(v.clamp(1e-4, 1e4))),
            Field::PixelSize => pair("pixel_size.x", "pixel_size.y").map_or(Ok(()), |(x, y)| {
                m.set_pixel_size((x.clamp(1e-10, 10.0), y.clamp(1e-10, 10.0)))
            }),
            Field::Timestamp => {
                if let Some(time) = self.time()? {
                    m.set_time(time);
                }
                Ok(())
            }
            Field::Location => {
                let place = self
                    .phase("location.longitude")
                    .zip(self.number("location.latitude"));
                place.map_or(Ok(()), |((lon, _), lat)| {
                    let lon = lon.to_degrees();
                    let lon = if lon > 180.0 { lon - 360.0 } else { lon };
                    m.set_location(lon, lat.clamp(-90.0, 90.0))
                })
            }
            Field::CloudCover => self
                .number(name)
                .map_or(Ok(()), |v| m.set_cloud_cover(v.clamp(0.0, 100.0))),
            Field::Wavelengths => match self.wavelengths() {
                values if values.is_empty() => Ok(()),
                values => m.set_wavelengths(&values),
            },
            Field::TargetAzimuthAngle => {
                azimuth().map_or(Ok(()), |v| m.set_target_azimuth_angle(v))
            }
            Field::SunAzimuthAngle => azimuth().map_or(Ok(()), |v| m.set_sun_azimuth_angle(v)),
            Field::SunElevationAngle => self
                .number(name)
                .map_or(Ok(()), |v| m.set_sun_elevation_angle(v.clamp(-90.0, 90.0))),
            Field::OffNadirAngle => self
                .number(name)
                .map_or(Ok(()), |v| m.set_off_nadir_angle(v.clamp(0.0, 90.0))),
            Field::UtmZone | Field::CountryCode | Field::ScanDirection | Field::SensorPlatform => {
                self.category(field)?
                    .map_or(Ok(()), |value| m.set_text(field, value))
            }
        }
    }

    /// The wavelengths up to the first 0, which stands for none; the shortest that is taken is
    /// 100, so half of it tells them apart.
    fn wavelengths(&self) -> Vec<f64> {
        ["wavelengths.0", "wavelengths.1", "wavelengths.2"]
            .iter()
            .map_while(|name| self.number(name))
            .take_while(|v| v.is_nan() || *v >= 50.0)
            .map(|v| v.clamp(100.0, 1e5))
            .collect()
    }

    /// A number before standardising; none where there is no such column.
    fn number(&self, name: &str) -> Option<f64> {
        let i = self.columns.numbers.iter().position(|c| c.name == name)?;
        let column = &self.columns.numbers[i];
        Some(f64::from(self.batch.numbers[[self.row, i]]) * column.std + column.mean)
    }

    fn exp(&self, name: &str) -> Option<f64> {
        self.number(name).map(f64::exp)
    }

    /// Angle, 0 to 2 pi, and length of the pair of columns `.sin` and `.cos`.
    fn phase(&self, name: &str) -> Option<(f64, f64)> {
        let sin = self.number(&format!("{name}.sin"))?;
        let cos = self.number(&format!("{name}.cos"))?;
        Some((sin.atan2(cos).rem_euclid(TAU), sin.hypot(cos)))
    }

    fn time(&self) -> Result<Option<Timestamp>> {
        /// An hour that is the mean of many lies inside the unit circle.
        const ON_CIRCLE: f64 = 0.9999;
        let year = self.number("timestamp.year");
        let (Some(year), Some((day, _))) = (year, self.phase("timestamp.day_of_year")) else {
            return Ok(None);
        };
        let first = Timestamp::from_date(year.round() as i16, 1, 1)?;
        let days = f64::from(first.days_in_year());
        let day = (day / TAU * days).round() as i64 % i64::from(first.days_in_year());
        let midnight = first.unix_seconds() as i64 + day * 86_400;
        Ok(Some(match self.phase("timestamp.hour") {
            Some((hour, length)) if length >= ON_CIRCLE => {
                Timestamp::from_unix_seconds(midnight + second_of_day(hour))?
            }
            _ => Timestamp::from_unix_seconds(midnight)?.to_day(),
        }))
    }

    fn category(&self, field: Field) -> Result<Option<&str>> {
        let Some(i) = self
            .columns
            .categories
            .iter()
            .position(|c| c.field == field)
        else {
            return Ok(None);
        };
        let vocabulary = &self.columns.categories[i].vocabulary;
        let index = self.batch.categories[[self.row, i]];
        match usize::try_from(index) {
            Ok(0) => Ok(None),
            Ok(index) if index <= vocabulary.len() => Ok(Some(&vocabulary[index - 1])),
            _ => {
                let reason = format!("category {index} of `{field}` is outside the vocabulary");
                Err(argument("batch", reason))
            }
        }
    }
}

/// The second of the day of an hour's angle, 0 to 86,399. What f32 leaves of midnight may lie a little before it.
fn second_of_day(angle: f64) -> i64 {
    const NEARLY_MIDNIGHT: f64 = 86_399.99;
    match angle / TAU * 86_400.0 {
        seconds if seconds >= NEARLY_MIDNIGHT => 0,
        seconds => (seconds.round() as i64).min(86_399),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::arbitrary::record;
    use super::super::caption::poster;
    use super::super::time::TimePrecision;
    use super::*;

    /// Degrees between two directions.
    fn apart(a: f64, b: f64) -> f64 {
        ((a - b + 540.0).rem_euclid(360.0) - 180.0).abs()
    }

    fn ratio(a: f64, b: f64) -> f64 {
        (a / b).ln().abs()
    }

    fn seconds(m: &Metadata) -> Option<f64> {
        Some(m.timestamp()?.to_whole_seconds().unix_seconds())
    }

    #[test]
    fn midnight_stays_on_its_day() {
        let angle = |seconds: f64| seconds / 86_400.0 * TAU;
        for (seconds, whole) in [
            (0.0, 0),
            (86_399.995, 0),
            (86_399.7, 86_399),
            (86_399.2, 86_399),
            (43_200.4, 43_200),
        ] {
            assert_eq!(second_of_day(angle(seconds)), whole, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn columns_are_inverted(records in vec(record(), 1..12)) {
            let fields = FieldSet::ALL;
            let columns = TabularColumns::fit(&records, fields).unwrap();
            let batch = columns.encode(&records, fields).unwrap();
            let decoded = columns.decode(&batch, fields).unwrap();
            for (a, b) in records.iter().zip(&decoded) {
                prop_assert_eq!(a.fields(), b.fields());
                if let (Some(a), Some(b)) = (a.gsd(), b.gsd()) {
                    prop_assert!(ratio(a.x, b.x) < 1e-5 && ratio(a.y, b.y) < 1e-5);
                }
                if let (Some(a), Some(b)) = (a.pixel_size(), b.pixel_size()) {
                    prop_assert!(ratio(a.x, b.x) < 1e-5 && ratio(a.y, b.y) < 1e-5);
                }
                if let (Some(a), Some(b)) = (a.multispectral_gsd(), b.multispectral_gsd()) {
                    prop_assert!(ratio(a, b) < 1e-5);
                }
                if let (Some(a), Some(b)) = (a.location(), b.location()) {
                    prop_assert!(apart(a.lon(), b.lon()) < 1e-4 && (a.lat() - b.lat()).abs() < 1e-4);
                }
                if let (Some(a), Some(b)) = (a.sun_azimuth_angle(), b.sun_azimuth_angle()) {
                    prop_assert!(apart(a, b) < 1e-4);
                }
                if let (Some(a), Some(b)) = (a.target_azimuth_angle(), b.target_azimuth_angle()) {
                    prop_assert!(apart(a, b) < 1e-4);
                }
                if let (Some(a), Some(b)) = (a.sun_elevation_angle(), b.sun_elevation_angle()) {
                    prop_assert!((a - b).abs() < 1e-4);
                }
                if let (Some(a), Some(b)) = (a.off_nadir_angle(), b.off_nadir_angle()) {
                    prop_assert!((a - b).abs() < 1e-4);
                }
                if let (Some(a), Some(b)) = (a.cloud_cover(), b.cloud_cover()) {
                    prop_assert!((a - b).abs() < 1e-4);
                }
                if let (Some(a), Some(b)) = (a.wavelengths(), b.wavelengths()) {
                    prop_assert_eq!(a.len().min(3), b.len());
                    prop_assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.1));
                }
                for field in [Field::UtmZone, Field::CountryCode, Field::ScanDirection, Field::SensorPlatform] {
                    prop_assert_eq!(a.text(field), b.text(field));
                }
                if let (Some(at), Some(bt)) = (a.timestamp(), b.timestamp()) {
                    let timed = records.iter().filter_map(|r| r.timestamp()?.hour_of_day());
                    let timed: Vec<f64> = timed.map(|hour| hour / 24.0 * TAU).collect();
                    let mean = |part: fn(f64) -> f64| {
                        timed.iter().map(|a| part(*a)).sum::<f64>() / timed.len() as f64
                    };
                    // Hours within minutes of one another have a mean on the circle, nearly.
                    let one_hour = mean(f64::sin).hypot(mean(f64::cos)) > 0.9998;
                    if at.precision() != TimePrecision::Day {
                        prop_assert!((seconds(a).unwrap() - seconds(b).unwrap()).abs() <= 1.0);
                    } else if !one_hour {
                        prop_assert_eq!(at, bt);
                    } else {
                        prop_assert_eq!(at, bt.to_day());
                    }
                }
            }
        }
    }

    #[test]
    fn unknown_categories_are_lost() {
        let fields = FieldSet::of(&[Field::CountryCode, Field::CloudCover]);
        let columns = TabularColumns::fit(&[poster()], fields).unwrap();
        let french = poster().with_country_code("FRA").unwrap();
        let batch = columns.encode(&[french], fields).unwrap();
        let decoded = columns.decode(&batch, fields).unwrap();
        assert_eq!(decoded, [Metadata::new().with_cloud_cover(14.0).unwrap()]);
    }

    #[test]
    fn bad_batches_are_refused() {
        let columns = TabularColumns::fit(&[poster()], FieldSet::ALL).unwrap();
        let good = columns.encode(&[poster()], FieldSet::ALL).unwrap();
        let mut category = good.clone();
        category.categories[[0, 0]] = 2;
        assert!(columns.decode(&category, FieldSet::ALL).is_err());
        category.categories[[0, 0]] = -1;
        assert!(columns.decode(&category, FieldSet::ALL).is_err());
        let mut nan = good.clone();
        nan.numbers.fill(f32::NAN);
        assert!(columns.decode(&nan, FieldSet::ALL).is_err());
        let mut short = good.clone();
        short.numbers = ndarray::Array2::zeros((1, 3));
        assert!(columns.decode(&short, FieldSet::ALL).is_err());
        assert!(columns.decode(&good, FieldSet::GSD).is_err());
    }
}
