//! Pairs of picture and metadata that do not fit.

use std::borrow::Borrow;

use serde::Serialize;

use super::{Embedder, Embeddings, Pairs, Wanted};
use crate::error::Result;
use crate::metadata::{Field, FieldSet, Metadata};

/// How well a picture and its metadata fit; see [`Embedder::audit`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditRow {
    /// Position of the pair among all pairs.
    pub index: usize,
    /// Cosine of the picture and its metadata, -1 to 1.
    pub similarity: f32,
    /// 1 when no record of the set fits the picture better than its own; else 1 more than the
    /// number of records that do.
    pub rank: usize,
    /// Records in the set; pairs without one are none of them.
    pub records: usize,
    /// The fields that the record has and the model reads, the one that fits worst first.
    pub fields: Vec<FieldFit>,
}

/// What a field of a record does to the fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldFit {
    /// The field.
    pub field: Field,
    /// What the cosine would gain were the field left out. Above 0 the field stands against the
    /// picture, below 0 it speaks for the pair.
    pub gain_without: f32,
}

impl Embedder {
    /// How well each picture fits its own metadata: a row for each pair that has a record which the model reads, in the
    /// order of the pairs.
    ///
    /// With the cosine `c(i, j)` of picture `i` and record `j`, both of those pairs: `similarity` is `c(i, i)`, `rank` is
    /// 1 plus the number of `j` with `c(i, j) > c(i, i)`, and `gain_without` of field `f` is
    /// `c(i, i without f) - c(i, i)`. A low similarity or a high rank marks a pair to look at; which
    /// value is low depends on the model, so compare within the set (our choice; the paper does not
    /// audit).
    ///
    /// Fields are left out one at a time of the record as the model saw it
    /// ([`Pairs::records`]: its gsd is that of the model's input pixels). That makes one run of the metadata tower for
    /// each field of each record.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when the pairs are of another space; else as
    /// [`Embedder::embed_metadata`].
    pub fn audit(&self, pairs: &Pairs) -> Result<Vec<AuditRow>> {
        self.metadata_tower("audit")?;
        self.check_space("pairs", pairs.images())?;
        let (images, records) = (pairs.known_images(), pairs.known_records());
        let mut rows: Vec<AuditRow> = images
            .paired(pairs.metadata())
            .into_iter()
            .zip(pairs.rows())
            .map(|((similarity, better), index)| AuditRow {
                index: *index,
                similarity,
                rank: better + 1,
                records: records.len(),
                fields: Vec::new(),
            })
            .collect();
        for field in self.fields().iter() {
            for (i, cosine) in self.cosines_without(&images, &records, field)? {
                let row = &mut rows[i];
                row.fields.push(FieldFit {
                    field,
                    gain_without: cosine - row.similarity,
                });
            }
        }
        for row in &mut rows {
            row.fields
                .sort_by(|a, b| b.gain_without.total_cmp(&a.gain_without));
        }
        Ok(rows)
    }

    /// The rows of records as they are: nothing is derived, as [`Embedder::prepare_metadata`] has done that.
    #[doc(hidden)]
    pub fn embed_prepared_metadata(&self, records: &[Metadata]) -> Result<Embeddings> {
        self.run_metadata(records, Wanted::Embeds)
    }

    /// Of the prepared records that have the field, their place, and the cosine of the picture there with the
    /// record without the field.
    #[doc(hidden)]
    pub fn cosines_without(
        &self,
        images: &Embeddings,
        records: &[impl Borrow<Metadata>],
        field: Field,
    ) -> Result<Vec<(usize, f32)>> {
        let having: Vec<usize> = (0..records.len())
            .filter(|i| records[*i].borrow().has(field))
            .collect();
        let others = self.fields().difference(FieldSet::of(&[field]));
        let without: Vec<Metadata> = having
            .iter()
            .map(|i| records[*i].borrow().only(others))
            .collect();
        let without = self.run_metadata(&without, Wanted::Embeds)?;
        let cosines = images.select(&having).pair_cosines(&without);
        Ok(having.into_iter().zip(cosines).collect())
    }
}
