//! Names that are spelled anew before rules apply.

use std::borrow::Cow;

use super::mapping::Mapping;
use super::rules::Spelling;
use super::source::WeightsFile;
use crate::flat_names::FlatNames;

/// Spells names behind a prefix as the rules of a mapping have them; what they ignore or refuse they name as the
/// file does.
pub(super) struct Speller(Option<FlatNames>);

impl Speller {
    pub(super) fn new(source: &WeightsFile, mapping: &Mapping, prefix: &str) -> Self {
        let shape = |name: &str| source.shape_of(&format!("{prefix}{name}"));
        Speller(mapping.spelling.map(|spelling| match spelling {
            Spelling::FlatBlocks => FlatNames::of_shapes(shape),
        }))
    }

    /// None for a name that the spelling has not.
    pub(super) fn spell<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        match &self.0 {
            None => Some(Cow::Borrowed(name)),
            Some(flat) => flat.to_timm(name).map(Cow::Owned),
        }
    }
}
