//! Which fields the data have.

use serde::Serialize;

use satmip::metadata::{Field, FieldSet, Metadata};
use satmip::{Error, Result};

/// How many of some records have each field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FieldCounts {
    /// Records counted.
    pub records: usize,
    /// Records that have the field, stated or derived, for each field in canonical order.
    pub present: Vec<(Field, usize)>,
}

impl FieldCounts {
    /// Counts these fields in records.
    pub fn of<'a>(fields: FieldSet, records: impl IntoIterator<Item = &'a Metadata>) -> Self {
        let mut counts = Self {
            records: 0,
            present: fields.iter().map(|field| (field, 0)).collect(),
        };
        for record in records {
            counts.records += 1;
            for (field, count) in &mut counts.present {
                *count += usize::from(record.has(*field));
            }
        }
        counts
    }

    /// Fields that no record has.
    pub fn absent(&self) -> FieldSet {
        let absent = self.present.iter().filter(|(_, count)| *count == 0);
        absent.map(|(field, _)| *field).collect()
    }
}

/// Those of these fields that no record has.
pub(super) fn absent_fields<'a>(
    fields: FieldSet,
    records: impl IntoIterator<Item = &'a Metadata>,
) -> FieldSet {
    let mut left = fields;
    for record in records {
        left = left.difference(record.fields());
        if left.is_empty() {
            break;
        }
    }
    left
}

/// Refuses fields of a recipe that no record has: the metadata tower would never read them.
///
/// # Errors
/// [`Error::Training`] with the fields, and those that the records have.
pub(super) fn check_fields<'a>(
    fields: FieldSet,
    records: impl IntoIterator<Item = &'a Metadata> + Clone,
) -> Result<()> {
    let absent = absent_fields(fields, records.clone());
    if absent.is_empty() {
        return Ok(());
    }
    let found = FieldSet::ALL.difference(absent_fields(FieldSet::ALL, records));
    Err(Error::Training {
        reason: format!(
            "`fields` asks for {}, which no chip of the data has; the chips have {}",
            names(absent),
            names(found)
        ),
        source: None,
    })
}

fn names(fields: FieldSet) -> String {
    match fields.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>() {
        names if names.is_empty() => "none".into(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_nothing_has_are_named() {
        let mut records = vec![Metadata::new(); 3];
        records[0].set_gsd(10.0).unwrap();
        records[2].set_gsd(5.0).unwrap();
        records[1].set_cloud_cover(3.0).unwrap();
        let asked = FieldSet::of(&[Field::Gsd, Field::CloudCover]);
        check_fields(asked, &records).unwrap();
        let counts = FieldCounts::of(FieldSet::ANGLES.union(asked), &records);
        assert_eq!(counts.records, 3);
        assert_eq!(counts.present[0], (Field::Gsd, 2));
        assert_eq!(counts.absent(), FieldSet::ANGLES);
        assert_eq!(
            absent_fields(FieldSet::ANGLES.union(asked), &records),
            counts.absent()
        );
        let error = check_fields(FieldSet::TIME.union(asked), &records).unwrap_err();
        assert_eq!(
            error.to_string(),
            "training: `fields` asks for `timestamp`, which no chip of the data has; \
             the chips have `gsd`, `cloud_cover`"
        );
        let error = check_fields(FieldSet::TIME, &records[..0]).unwrap_err();
        assert!(error.to_string().ends_with("have none"), "{error}");
    }
}
