//! Items of Python through a model's towers, each with what is wrong with it.
//!
//! Where bad items are tolerated, what is wrong with them is handed on beside the others; else the first of them is
//! the error of the call.

use numpy::ndarray::Array2;
use pyo3::prelude::*;
use satmip::Metadata;

use crate::error::{Fault, Result};
use crate::picture::{Held, Picture};
use crate::record::{listed, records};
use crate::run::{Rows, Seen, Towers, Wanted, Watch};

/// Pictures and their records.
pub(crate) struct Both {
    /// A row for each picture; zeros where it is bad.
    pub(crate) images: Array2<f32>,
    /// Which pictures have a row.
    pub(crate) there: Vec<bool>,
    /// The records as the model sees them, none where nothing is known that it reads; or what is wrong with the
    /// picture or the record.
    pub(crate) records: Vec<Result<Option<Metadata>>>,
}

/// Records, embedded.
pub(crate) struct Described {
    /// A row for each record; zeros where there is none.
    pub(crate) vectors: Array2<f32>,
    /// Which records have a row.
    pub(crate) there: Vec<bool>,
    /// What is wrong with each.
    pub(crate) faults: Vec<Option<Fault>>,
}

impl Towers {
    /// Embeds the pictures of a list.
    pub(crate) fn pictures(
        &self,
        given: &Bound<'_, PyAny>,
        wanted: Wanted,
        tolerant: bool,
    ) -> Result<Rows<Seen>> {
        self.held(given.py(), &held(given)?, wanted, tolerant)
    }

    /// Embeds the pictures of a list and brings their records to what the model sees of them.
    pub(crate) fn both(
        &self,
        pictures: &Bound<'_, PyAny>,
        stated: Option<&Bound<'_, PyAny>>,
        tolerant: bool,
    ) -> Result<Both> {
        let held = held(pictures)?;
        let stated = stated.map(records).transpose()?;
        if let Some(stated) = stated.as_ref().filter(|stated| stated.len() != held.len()) {
            let reason = format!("{} for {} images", stated.len(), held.len());
            return Err(Fault::argument("records", reason));
        }
        let stated = checked(stated.unwrap_or_default(), tolerant)?;
        let rows = self.held(pictures.py(), &held, Wanted::Embeds, tolerant)?;
        let there = rows.items.iter().map(|item| item.is_ok()).collect();
        let mut stated = stated.into_iter();
        let seen = rows.items.into_iter().enumerate().map(|(at, picture)| {
            let stated = stated.next().transpose();
            let (picture, stated) = (picture?, stated?);
            let seen = self.seen(picture, stated.as_ref());
            seen.map_err(|error| Fault::of(format!("images[{at}]"), error))
        });
        Ok(Both {
            images: rows.vectors,
            there,
            records: checked(seen.collect(), tolerant)?,
        })
    }

    fn held(
        &self,
        py: Python<'_>,
        held: &[Held<'_>],
        wanted: Wanted,
        tolerant: bool,
    ) -> Result<Rows<Seen>> {
        let pictures = held.iter().enumerate();
        let pictures: Vec<Picture<'_>> = pictures.map(|(at, held)| held.picture(at)).collect();
        self.scenes.begin();
        Watch::over(py, |watch| self.images(&pictures, wanted, tolerant, watch))
    }

    /// Embeds the records that are there.
    pub(crate) fn described(
        &self,
        py: Python<'_>,
        seen: Vec<Result<Option<Metadata>>>,
        wanted: Wanted,
        tolerant: bool,
    ) -> Result<Described> {
        let (mut places, mut known, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (at, record) in checked(seen, tolerant)?.into_iter().enumerate() {
            match record {
                Ok(Some(record)) => {
                    places.push(at);
                    known.push(record);
                    faults.push(None);
                }
                Ok(None) => faults.push(None),
                Err(fault) => faults.push(Some(fault)),
            }
        }
        let rows = Watch::over(py, |watch| self.metadata(&known, wanted, watch))?;
        let mut found = Described {
            vectors: Array2::zeros((faults.len(), rows.vectors.ncols())),
            there: vec![false; faults.len()],
            faults,
        };
        for ((at, item), row) in places
            .into_iter()
            .zip(rows.items)
            .zip(rows.vectors.outer_iter())
        {
            match item {
                Ok(()) => {
                    found.vectors.row_mut(at).assign(&row);
                    found.there[at] = true;
                }
                Err(error) => {
                    let fault = Fault::of(format!("records[{at}]"), error);
                    match tolerant {
                        true => found.faults[at] = Some(fault),
                        false => return Err(fault),
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Takes hold of the pictures of a list.
fn held<'py>(given: &Bound<'py, PyAny>) -> Result<Vec<Held<'py>>> {
    let pictures = listed("images", given)?;
    Ok(pictures
        .map(|picture| Ok(Held::of(&picture?)))
        .collect::<PyResult<_>>()?)
}

/// The items as they are, or the first fault where none is tolerated.
fn checked<T>(items: Vec<Result<T>>, tolerant: bool) -> Result<Vec<Result<T>>> {
    match tolerant {
        true => Ok(items),
        false => items.into_iter().map(|item| item.map(Ok)).collect(),
    }
}
