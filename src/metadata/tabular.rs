//! The tabular view: records as columns of numbers and categories.

use ndarray::Array2;

use super::field::{Field, FieldSet};
use super::quantity::{QUANTITIES, Quantity, is_category};
use super::record::Metadata;
use crate::arch::{CategoryColumn, NumberColumn, TabularColumns};
use crate::error::{Error, Result};

/// A deviation below this share of the quantity's spread counts as none.
const CONSTANT: f64 = 1e-6;

/// Records as the inputs of a tabular metadata tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TabularBatch {
    /// `[batch, n]`: standardised numbers, 0 where missing.
    pub numbers: Array2<f32>,
    /// `[batch, m]`: place in the column's vocabulary from 1, 0 where missing or unknown.
    pub categories: Array2<i64>,
    /// `[batch, fields]`: whether the field is known, fields in canonical order.
    pub present: Array2<bool>,
}

/// The columns of the tabular view. Cyclic quantities are two columns, sine and cosine; which
/// columns there are is our choice, not the paper's.
///
/// | field | columns of numbers |
/// |---|---|
/// | `gsd`, `pixel_size` | `.x`, `.y`: natural logarithm |
/// | `multispectral_gsd` | natural logarithm |
/// | `timestamp` | `.year`, `.day_of_year.{sin,cos}`, `.hour.{sin,cos}` |
/// | `location` | `.longitude.{sin,cos}`, `.latitude` in degrees; `.{longitude,latitude}.K.{sin,cos}` of K = 2, 4, .. 64 times the angle |
/// | `cloud_cover`, `sun_elevation_angle`, `off_nadir_angle` | as they are |
/// | `wavelengths` | `.0`, `.1`, `.2`: the first three, nanometres; 0 where there are fewer |
/// | `target_azimuth_angle`, `sun_azimuth_angle` | `.{sin,cos}` |
///
/// `utm_zone`, `country_code`, `scan_direction` and `sensor_platform` are columns of categories.
impl TabularColumns {
    /// The columns of the fields, with the statistics and vocabularies of the records.
    ///
    /// Mean and standard deviation are over the records that have the value. A column that is
    /// constant, or that no record has, gets a typical spread of its quantity instead.
    pub fn fit(records: &[Metadata], fields: FieldSet) -> Result<Self> {
        if fields.is_empty() {
            return Err(argument("fields", "needs at least one field".into()));
        }
        let numbers = QUANTITIES.iter().filter(|q| fields.contains(q.field));
        let categories = fields.iter().filter(|field| is_category(*field));
        Ok(TabularColumns {
            numbers: numbers.map(|q| number_column(q, records)).collect(),
            categories: categories.map(|f| category_column(f, records)).collect(),
        })
    }

    /// Records as a batch; `fields` are the model's, and every column belongs to one of them.
    ///
    /// The hour of a timestamp that is a day alone is 0 after standardising, that is the mean.
    pub fn encode(&self, records: &[Metadata], fields: FieldSet) -> Result<TabularBatch> {
        let quantities = self.quantities(fields)?;
        let rows = records.len();
        let mut batch = TabularBatch {
            numbers: Array2::zeros((rows, self.numbers.len())),
            categories: Array2::zeros((rows, self.categories.len())),
            present: Array2::from_elem((rows, fields.len()), false),
        };
        for (row, record) in records.iter().enumerate() {
            for (i, (quantity, column)) in quantities.iter().zip(&self.numbers).enumerate() {
                if let Some(value) = (quantity.value)(record) {
                    batch.numbers[[row, i]] = ((value - column.mean) / column.std) as f32;
                }
            }
            for (i, column) in self.categories.iter().enumerate() {
                let value = record.text(column.field);
                let place = value.and_then(|v| column.vocabulary.binary_search(&v).ok());
                batch.categories[[row, i]] = place.map_or(0, |p| p as i64 + 1);
            }
            for (i, field) in fields.iter().enumerate() {
                batch.present[[row, i]] = record.has(field);
            }
        }
        Ok(batch)
    }

    /// The quantity of each column of numbers, after a check of all columns.
    pub(super) fn quantities(&self, fields: FieldSet) -> Result<Vec<&'static Quantity>> {
        let column = |name: &str| format!("metadata.columns.{name}");
        for c in &self.categories {
            if !is_category(c.field) || !fields.contains(c.field) {
                return Err(Error::arch(column(&c.name), "is no category of the fields"));
            }
            if !c.vocabulary.is_sorted_by(|a, b| a < b) {
                return Err(Error::arch(column(&c.name), "the vocabulary is not sorted"));
            }
        }
        let quantity = |c: &NumberColumn| {
            QUANTITIES
                .iter()
                .find(|q| q.name == c.name && q.field == c.field && fields.contains(q.field))
                .ok_or_else(|| Error::arch(column(&c.name), "is no number of the fields"))
        };
        self.numbers.iter().map(quantity).collect()
    }
}

pub(super) fn argument(what: &'static str, reason: String) -> Error {
    Error::Argument { what, reason }
}

fn number_column(quantity: &Quantity, records: &[Metadata]) -> NumberColumn {
    let values: Vec<f64> = records.iter().filter_map(quantity.value).collect();
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let std = match variance.sqrt() {
        std if std > CONSTANT * quantity.spread => std,
        _ => quantity.spread,
    };
    NumberColumn {
        name: quantity.name.into(),
        field: quantity.field,
        mean,
        std,
    }
}

fn category_column(field: Field, records: &[Metadata]) -> CategoryColumn {
    let mut vocabulary: Vec<String> = records.iter().filter_map(|r| r.text(field)).collect();
    vocabulary.sort_unstable();
    vocabulary.dedup();
    CategoryColumn {
        name: field.name().into(),
        field,
        vocabulary,
    }
}

#[cfg(test)]
mod tests {
    use super::super::caption::poster;
    use super::*;

    fn other() -> Metadata {
        poster()
            .with_gsd(0.5)
            .and_then(|m| m.with_timestamp("2017-03-01"))
            .and_then(|m| m.with_location(10.0, 50.0))
            .and_then(|m| m.with_country_code("FRA"))
            .and_then(|m| m.with_cloud_cover(34.0))
            .and_then(|m| m.with_wavelengths(&[500.0]))
            .unwrap()
    }

    fn column(columns: &TabularColumns, name: &str) -> usize {
        columns.numbers.iter().position(|c| c.name == name).unwrap()
    }

    #[test]
    fn names_belong_to_their_fields() {
        for q in &QUANTITIES {
            assert!(q.name.starts_with(q.field.name()), "{}", q.name);
        }
        assert!(QUANTITIES.is_sorted_by_key(|q| q.field));
        let covered: FieldSet = QUANTITIES.iter().map(|q| q.field).collect();
        let categories: FieldSet = Field::ALL.into_iter().filter(|f| is_category(*f)).collect();
        assert_eq!(covered.union(categories), FieldSet::ALL);
        assert!(covered.intersection(categories).is_empty());
    }

    #[test]
    fn statistics_by_hand() {
        let records = [poster(), other(), Metadata::new()];
        let columns = TabularColumns::fit(&records, FieldSet::ALL).unwrap();
        assert_eq!((columns.numbers.len(), columns.categories.len()), (47, 4));
        let of = |name| &columns.numbers[column(&columns, name)];
        assert_eq!(
            (of("cloud_cover").mean, of("cloud_cover").std),
            (24.0, 10.0)
        );
        assert_eq!(
            (of("timestamp.year").mean, of("timestamp.year").std),
            (2016.0, 1.0)
        );
        assert_eq!(
            (of("wavelengths.1").mean, of("wavelengths.1").std),
            (272.5, 272.5)
        );
        // Constant: the quantity's spread. The hour is known of one record alone.
        assert_eq!(
            (of("off_nadir_angle").mean, of("off_nadir_angle").std),
            (27.7, 15.0)
        );
        assert_eq!(of("timestamp.hour.sin").std, 1.0);
        assert_eq!(columns.categories[1].vocabulary, ["FRA", "PER"]);

        let batch = columns.encode(&records, FieldSet::ALL).unwrap();
        let clouds = column(&columns, "cloud_cover");
        assert_eq!(batch.numbers.column(clouds).to_vec(), [-1.0, 1.0, 0.0]);
        assert_eq!(
            batch.numbers[[1, column(&columns, "timestamp.hour.sin")]],
            0.0
        );
        assert_eq!(batch.categories.column(1).to_vec(), [2, 1, 0]);
        assert!(batch.present.row(0).iter().all(|p| *p));
        assert!(batch.present.row(2).iter().all(|p| !*p));
        assert!(batch.numbers.row(2).iter().all(|v| *v == 0.0));
    }

    #[test]
    fn unknown_values_are_category_0() {
        let fields = FieldSet::of(&[Field::CountryCode]);
        let columns = TabularColumns::fit(&[poster()], fields).unwrap();
        let batch = columns.encode(&[other()], fields).unwrap();
        assert_eq!((batch.categories[[0, 0]], batch.present[[0, 0]]), (0, true));
        assert_eq!(batch.numbers.dim(), (1, 0));
    }

    #[test]
    fn no_records_and_no_fields() {
        let columns = TabularColumns::fit(&[], FieldSet::ALL).unwrap();
        assert!(columns.numbers.iter().all(|c| c.mean == 0.0 && c.std > 0.0));
        let batch = columns.encode(&[poster()], FieldSet::ALL).unwrap();
        assert!(batch.numbers.iter().all(|v| v.is_finite()));
        assert!(TabularColumns::fit(&[poster()], FieldSet::NONE).is_err());
        assert_eq!(
            columns.encode(&[], FieldSet::ALL).unwrap().numbers.dim(),
            (0, 47)
        );
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let columns = TabularColumns::fit(&[poster()], FieldSet::ALL).unwrap();
        assert!(columns.encode(&[poster()], FieldSet::GSD).is_err());
        let mut renamed = columns.clone();
        renamed.numbers[0].name = "gsd.z".into();
        let error = renamed.encode(&[poster()], FieldSet::ALL).unwrap_err();
        assert!(error.to_string().contains("gsd.z"), "{error}");
        let mut unsorted = columns.clone();
        unsorted.categories[1].vocabulary = vec!["PER".into(), "FRA".into()];
        assert!(unsorted.encode(&[poster()], FieldSet::ALL).is_err());
    }
}
