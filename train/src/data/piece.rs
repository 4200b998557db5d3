//! The part of a batch that one worker draws at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;

use super::cache::Cache;
use super::views::{draw_into, numbers};
use super::{LoaderConfig, Stream, rng_for};
use satmip::image::{RgbImage, fitted_geometry};
use satmip::metadata::{Field, Metadata};
use satmip::{Error, Result};

/// Chips that are tried in place of a bad one.
const MOST_TRIES: usize = 100;

/// A chip by its set and its number there.
pub(super) type Chip = (usize, usize);

/// Some chips of a batch, drawn.
#[derive(Default)]
pub(super) struct Piece {
    /// For each view, `[chips, 3, size, size]`.
    pub(super) views: Vec<Vec<f32>>,
    pub(super) metadata: Vec<Metadata>,
    pub(super) items: Vec<Chip>,
    /// Bad chips in the order in which they were met, with reasons.
    pub(super) bad: Vec<(Chip, String)>,
    /// Fields that the views lost, and how often.
    pub(super) dropped: BTreeMap<(Field, &'static str), u64>,
    /// Why nothing could be drawn.
    pub(super) failure: Option<Error>,
}

impl Piece {
    /// Draws the chips `chosen`, which begin at `first` in the batch of `step`.
    pub(super) fn draw(
        cache: &Cache,
        config: &LoaderConfig,
        step: usize,
        first: usize,
        chosen: &[Chip],
        scratch: &mut Vec<f32>,
    ) -> Self {
        let mut piece = Piece::default();
        if let Err(error) = piece.fill(cache, config, step as u64, first, chosen, scratch) {
            piece.failure = Some(error);
        }
        piece
    }

    fn fill(
        &mut self,
        cache: &Cache,
        config: &LoaderConfig,
        step: u64,
        first: usize,
        chosen: &[Chip],
        scratch: &mut Vec<f32>,
    ) -> Result<()> {
        let length = numbers(&config.preprocessing)?;
        self.views = vec![vec![0.0; chosen.len() * length]; config.views.len()];
        for (place, wanted) in chosen.iter().enumerate() {
            let index = (first + place) as u64;
            let mut replacements = rng_for(config.seed, Stream::Replacements, step, index);
            let ((set, chip), image) = self.usable(cache, *wanted, &mut replacements)?;
            for (number, view) in config.views.iter().enumerate() {
                let stream = Stream::View(number as u32);
                let mut rng = rng_for(config.seed, stream, step, index);
                let pixels = &mut self.views[number][place * length..][..length];
                let preprocessing = &config.preprocessing;
                let geometry = draw_into(&image, view, preprocessing, &mut rng, scratch, pixels)?;
                if number == config.metadata_view {
                    let mut record = Metadata::new();
                    if !config.fields.is_empty() {
                        let source = cache.sets()[set].metadata(chip);
                        let geometry = match config.metadata_follow_views {
                            true => geometry,
                            false => fitted_geometry(image.width(), image.height(), preprocessing)?,
                        };
                        let (followed, dropped) = geometry.apply_with_reasons(source);
                        for key in dropped {
                            if config.fields.contains(key.0) {
                                *self.dropped.entry(key).or_default() += 1;
                            }
                        }
                        let mut rng = rng_for(config.seed, Stream::Fields, step, index);
                        record = followed.only(config.fields);
                        record = drop_fields(record, config.field_dropout, &mut rng);
                    }
                    self.metadata.push(record);
                }
            }
            self.items.push((set, chip));
        }
        Ok(())
    }

    /// The chip that is wanted, or else one that is drawn from its set.
    fn usable(
        &mut self,
        cache: &Cache,
        wanted: Chip,
        rng: &mut impl Rng,
    ) -> Result<(Chip, Arc<RgbImage>)> {
        let (set, mut chip) = wanted;
        for _ in 0..MOST_TRIES {
            match cache.image(set, chip) {
                Ok(image) => return Ok(((set, chip), image)),
                Err(error) => {
                    self.bad.push(((set, chip), reason(&error)));
                    chip = rng.random_range(0..cache.sets()[set].len());
                }
            }
        }
        let source = cache.sets()[set].source();
        Err(Error::Training {
            reason: format!("`{source}`: {MOST_TRIES} chips after another are bad"),
            source: None,
        })
    }
}

/// What is wrong with a chip, without its name.
fn reason(error: &Error) -> String {
    match error {
        Error::Image { fault, .. } => fault.to_string(),
        other => other.to_string(),
    }
}

/// Leaves out each present field with this probability; one drawn field always stays.
fn drop_fields(record: Metadata, probability: f64, rng: &mut impl Rng) -> Metadata {
    let present: Vec<_> = record.fields().iter().collect();
    if present.is_empty() || probability == 0.0 {
        return record;
    }
    let keep = present[rng.random_range(0..present.len())];
    let kept = present
        .into_iter()
        .filter(|field| *field == keep || rng.random::<f64>() >= probability)
        .collect();
    record.only(kept)
}
