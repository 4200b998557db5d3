//! How batches are drawn, and what they are.

use std::ops::Range;

use serde::Serialize;

use super::ViewConfig;
use super::views::numbers;
use satmip::arch::Preprocessing;
use satmip::metadata::{Field, FieldSet, Metadata};
use satmip::{Error, Result};
use satmip_eval::chips::ChipSet;

/// How batches are drawn.
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// Chips of a batch.
    pub batch_size: usize,
    /// Steps to draw batches for. A run that is resumed begins at `steps.start`; the batch of a step
    /// is the same wherever that is.
    pub steps: Range<usize>,
    /// One for each view of a chip.
    pub views: Vec<ViewConfig>,
    /// The view that the metadata go with.
    pub metadata_view: usize,
    /// Input size and normalisation.
    pub preprocessing: Preprocessing,
    /// Fields that the metadata tower reads; without any, metadata are left empty.
    pub fields: FieldSet,
    /// Whether metadata follow the view's crop, flips and turns; else they are those of the chip as
    /// [`centre_view`](super::centre_view) shows it.
    pub metadata_follow_views: bool,
    /// Probability that a present field is left out of a record; at least one field stays.
    pub field_dropout: f64,
    /// Chips that an epoch draws of each set; at most all of them are.
    pub per_epoch: Vec<usize>,
    /// Threads, at least one; their number changes nothing in the batches.
    pub workers: usize,
    /// Decoded chips are kept while they fit into this many bytes.
    pub cache_bytes: usize,
    /// Most distinct chips that may turn out bad; each is named and replaced by another.
    pub max_bad_items: usize,
}

/// One step's input.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The step, from 0.
    pub step: usize,
    /// For each view, normalised pixels `[batch, 3, size, size]`.
    pub views: Vec<Vec<f32>>,
    /// Metadata that go with the view [`LoaderConfig::metadata_view`].
    pub metadata: Vec<Metadata>,
    /// Each chip by its set and its number there, replacements included.
    pub items: Vec<(usize, usize)>,
}

/// A chip that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadItem {
    /// Its source, then its name there.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How often views lost a field that could not follow their pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DroppedField {
    /// The field.
    pub field: Field,
    /// Why it was dropped.
    pub reason: &'static str,
    /// Number of chips.
    pub chips: u64,
}

impl LoaderConfig {
    /// Chips of an epoch.
    ///
    /// # Errors
    /// [`Error::Training`] where something is impossible.
    pub(super) fn check(&self, sets: &[ChipSet]) -> Result<usize> {
        let refuse = |reason: String| {
            Err(Error::Training {
                reason,
                source: None,
            })
        };
        numbers(&self.preprocessing)?;
        if self.per_epoch.len() != sets.len() {
            return refuse(format!(
                "`per_epoch` has {} numbers for {} sets of chips",
                self.per_epoch.len(),
                sets.len()
            ));
        }
        for (number, view) in self.views.iter().enumerate() {
            if let Err((name, reason)) = view.check() {
                return refuse(format!("view {number}: `{name}` {reason}"));
            }
        }
        if self.metadata_view >= self.views.len() {
            return refuse(format!(
                "view {} is to go with the metadata, of {}",
                self.metadata_view,
                self.views.len()
            ));
        }
        if !(0.0..=1.0).contains(&self.field_dropout) {
            return refuse(format!(
                "`field_dropout` is {}, outside 0 to 1",
                self.field_dropout
            ));
        }
        let epoch = sets.iter().zip(&self.per_epoch);
        let epoch = epoch.map(|(set, take)| set.len().min(*take)).sum();
        if self.batch_size == 0 || epoch < self.batch_size {
            return refuse(format!(
                "an epoch of {epoch} chips has no batch of {}",
                self.batch_size
            ));
        }
        Ok(epoch)
    }
}
