//! Records made false: the value of a field, or all of them, of another chip.

use std::collections::BTreeMap;
use std::fmt;

use rand::Rng;

use crate::probe::{Purpose, stream};
use satmip::Result;
use satmip::metadata::{Field, FieldSet, Metadata};

/// What of a record is another chip's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swapped {
    /// A field and what follows from it.
    Field(Field),
    /// The whole record.
    All,
}

impl fmt::Display for Swapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Swapped::Field(field) => f.pad(field.name()),
            Swapped::All => f.pad("all fields"),
        }
    }
}

impl Swapped {
    /// What is compared of a record, as text; none where it lacks that. `fields` are those of the model.
    fn value(self, record: &Metadata, fields: FieldSet) -> Option<String> {
        match self {
            Swapped::Field(field) => record.text(field),
            Swapped::All if record.only(fields).is_empty() => None,
            Swapped::All => {
                let text = |field| record.text(field).unwrap_or_default();
                let texts: Vec<String> = fields.iter().map(text).collect();
                Some(texts.join("\n"))
            }
        }
    }

    /// The record with this of the donor's. Both have what they imply ([`Metadata::derive_missing`]).
    ///
    /// Fields that were derived are derived again. A location takes its zone and its country with it, also where
    /// they were given: a record that contradicts itself would be found without any picture.
    fn made(self, record: &Metadata, donor: &Metadata) -> Result<Metadata> {
        let Swapped::Field(field) = self else {
            return Ok(donor.clone());
        };
        let mut made = record.clone();
        for derived in record.derived().iter() {
            made.remove(derived);
        }
        if field == Field::Location {
            made.remove(Field::UtmZone);
            made.remove(Field::CountryCode);
        }
        if let Some(value) = donor.text(field) {
            made.set_text(field, &value)?;
        }
        Ok(made.derive_missing())
    }
}

/// The chips that can be asked about, and for each the records that are false.
pub(super) struct Swaps {
    /// Places of the records that have the field; ascending.
    pub(super) places: Vec<usize>,
    /// For each draw, the place in `places` of the record that each of them gets its value from.
    pub(super) donors: Vec<Vec<usize>>,
    of: Swapped,
}

impl Swaps {
    /// Draws donors: for each record and draw one of the records with another value, each as likely. `records` have
    /// what they imply. The reason where there are no two values.
    pub(super) fn draw(
        of: Swapped,
        records: &[Metadata],
        fields: FieldSet,
        draws: usize,
        seed: u64,
    ) -> Result<Self, &'static str> {
        // Records by value, so that those with another one are what lies before and behind.
        let mut values: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, record) in records.iter().enumerate() {
            if let Some(value) = of.value(record, fields) {
                values.entry(value).or_default().push(place);
            }
        }
        match values.len() {
            0 => return Err("no chip has it"),
            1 => return Err("all chips have the same"),
            _ => {}
        }
        let mut ordered: Vec<usize> = Vec::with_capacity(records.len());
        let mut groups = BTreeMap::new();
        for members in values.values() {
            let group = (ordered.len(), members.len());
            groups.extend(members.iter().map(|place| (*place, group)));
            ordered.extend(members);
        }
        let places: Vec<usize> = groups.keys().copied().collect();
        let mut among = vec![0; records.len()];
        for (i, place) in places.iter().enumerate() {
            among[*place] = i;
        }
        let donors = (0..draws).map(|draw| {
            let mut random = stream(seed, Purpose::Swap, draw as u64);
            let drawn = groups.values().map(|(first, size)| {
                let others = ordered.len() - size;
                let at = random.random_range(0..others as u64) as usize;
                among[ordered[if at < *first { at } else { at + size }]]
            });
            drawn.collect()
        });
        Ok(Self {
            donors: donors.collect(),
            places,
            of,
        })
    }

    /// The false records of a draw, one for each of `places`.
    ///
    /// # Errors
    /// [`Error::InvalidField`](satmip::Error::InvalidField) for a value that cannot be set again.
    pub(super) fn made(&self, draw: usize, records: &[Metadata]) -> Result<Vec<Metadata>> {
        let pairs = self.places.iter().zip(&self.donors[draw]);
        let made = |(place, donor): (&usize, &usize)| {
            self.of
                .made(&records[*place], &records[self.places[*donor]])
        };
        pairs.map(made).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: FieldSet = FieldSet::of(&[
        Field::Gsd,
        Field::Location,
        Field::UtmZone,
        Field::CountryCode,
        Field::SensorPlatform,
    ]);

    fn record(lon: f64, lat: f64, gsd: f64) -> Metadata {
        let record = Metadata::new().with_location(lon, lat).unwrap();
        record.with_gsd(gsd).unwrap()
    }

    fn text(record: &Metadata, field: Field) -> String {
        record.text(field).unwrap_or_default()
    }

    #[test]
    fn a_location_takes_zone_country_and_sun_with_it() {
        let paris = record(2.35, 48.86, 10.0)
            .with_timestamp("2020-06-21T11:40Z")
            .unwrap();
        let nairobi = record(36.82, -1.29, 3.0);
        let (paris, nairobi) = (paris.derive_missing(), nairobi.derive_missing());
        let made = Swapped::Field(Field::Location)
            .made(&paris, &nairobi)
            .unwrap();
        assert_eq!(text(&made, Field::Location), "36.82,-1.29");
        assert_eq!(text(&made, Field::CountryCode), "KEN");
        assert_eq!(text(&made, Field::UtmZone), "37M");
        assert_eq!(made.gsd(), paris.gsd());
        assert_eq!(made.timestamp(), paris.timestamp());
        assert_ne!(made.sun_elevation_angle(), paris.sun_elevation_angle());
        assert_eq!(made.fields(), paris.fields());
        // Zone and country that were given follow as well.
        let given = record(2.35, 48.86, 10.0).with_country_code("FRA").unwrap();
        let made = Swapped::Field(Field::Location)
            .made(&given, &nairobi)
            .unwrap();
        assert_eq!(text(&made, Field::CountryCode), "KEN");
    }

    #[test]
    fn a_derived_field_is_swapped_alone() {
        let (paris, nairobi) = (record(2.35, 48.86, 10.0), record(36.82, -1.29, 3.0));
        let (paris, nairobi) = (paris.derive_missing(), nairobi.derive_missing());
        let made = Swapped::Field(Field::CountryCode)
            .made(&paris, &nairobi)
            .unwrap();
        assert_eq!(text(&made, Field::CountryCode), "KEN");
        for same in [
            Field::Location,
            Field::UtmZone,
            Field::Gsd,
            Field::PixelSize,
        ] {
            assert_eq!(made.text(same), paris.text(same), "{same}");
        }
        // A gsd takes the size of a pixel with it, which follows from it.
        let made = Swapped::Field(Field::Gsd).made(&paris, &nairobi).unwrap();
        assert_eq!(made.gsd(), nairobi.gsd());
        assert_ne!(made.pixel_size(), paris.pixel_size());
        assert_eq!(made.location(), paris.location());
        assert_eq!(Swapped::All.made(&paris, &nairobi).unwrap(), nairobi);
    }

    #[test]
    fn donors_have_another_value_and_all_of_these_are_drawn() {
        let mut records: Vec<Metadata> = (0..30)
            .map(|i| record(f64::from(i), 10.0, [3.0, 10.0, 10.0][i as usize % 3]))
            .collect();
        records.push(Metadata::new());
        let of = Swapped::Field(Field::Gsd);
        let draw = |seed| Swaps::draw(of, &records, FIELDS, 3, seed).ok().unwrap();
        let swaps = draw(0);
        assert_eq!(swaps.places, (0..30).collect::<Vec<_>>());
        for draw in 0..3 {
            for (place, made) in swaps.places.iter().zip(swaps.made(draw, &records).unwrap()) {
                assert_ne!(made.gsd(), records[*place].gsd());
                assert_eq!(made.location(), records[*place].location());
            }
        }
        assert_eq!(swaps.donors, draw(0).donors);
        let of = Swapped::Field(Field::Location);
        let draw = |seed| Swaps::draw(of, &records, FIELDS, 40, seed).ok().unwrap();
        assert_ne!(draw(0).donors, draw(1).donors);
        let first: std::collections::BTreeSet<String> = (0..40)
            .map(|i| text(&draw(0).made(i, &records).unwrap()[0], Field::Location))
            .collect();
        assert!(first.len() > 15 && !first.contains("0,10"), "{first:?}");
        let refused = |of| Swaps::draw(of, &records, FIELDS, 1, 0).err();
        assert_eq!(
            refused(Swapped::Field(Field::SensorPlatform)),
            Some("no chip has it")
        );
        let same = vec![record(1.0, 1.0, 3.0); 4];
        let refused = Swaps::draw(Swapped::All, &same, FIELDS, 1, 0).err();
        assert_eq!(refused, Some("all chips have the same"));
    }
}
