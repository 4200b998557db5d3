//! Pictures with what is known of them: both sides at once, the metadata following what the fit does to the picture.

use std::borrow::Borrow;
use std::sync::{Mutex, PoisonError};

use super::picture::PictureInput;
use super::{Embedder, Embeddings, Wanted};
use crate::error::{Error, Result};
use crate::image::Geometry;
#[cfg(doc)]
use crate::image::RgbImage;
use crate::metadata::Metadata;

/// Pictures and their records, embedded; see [`Embedder::embed_pairs`].
///
/// Pair `i` is row `i` of [`Pairs::images`] and element `i` of [`Pairs::records`]. A pair of which nothing is known
/// that the model reads has no row in [`Pairs::metadata`]: all such records would share one vector, which says nothing.
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// use satmip::image::RgbImage;
/// use satmip::{Embedder, Metadata};
/// let model = Embedder::builder("satmip-lite").load()?;
/// let picture = RgbImage::new(2, 2, vec![90; 12])?;
/// let pairs = model.embed_pairs(&[(&picture, Metadata::new()), (&picture, Metadata::new().with_gsd(10.0)?)])?;
/// assert_eq!((pairs.len(), pairs.rows()), (2, &[1][..]));
/// assert!(pairs.similarities()[0].is_none() && pairs.similarities()[1].is_some());
/// # }
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    images: Embeddings,
    metadata: Embeddings,
    records: Vec<Option<Metadata>>,
    rows: Vec<usize>,
}

impl Pairs {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The pictures: `[len, dim]`, unit rows, in the order given.
    pub fn images(&self) -> &Embeddings {
        &self.images
    }

    /// The records that have a field which the model reads: `[rows, dim]`, unit rows, in the order given;
    /// [`Pairs::rows`] says whose they are.
    pub fn metadata(&self) -> &Embeddings {
        &self.metadata
    }

    /// For each row of [`Pairs::metadata`] the pair that it belongs to, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The records as the model saw them, one for each pair: with what their fields imply, of its input pixels, and of
    /// its fields alone. None where nothing is known that it reads.
    pub fn records(&self) -> &[Option<Metadata>] {
        &self.records
    }

    /// The cosine of each picture with its own record, -1 to 1; none where it has no record.
    pub fn similarities(&self) -> Vec<Option<f32>> {
        let mut similarities = vec![None; self.len()];
        let cosines = self.known_images().pair_cosines(&self.metadata);
        for (row, cosine) in self.rows.iter().zip(cosines) {
            similarities[*row] = Some(cosine);
        }
        similarities
    }

    /// The pictures that have a record: the rows of [`Pairs::metadata`].
    pub(super) fn known_images(&self) -> Embeddings {
        self.images.select(&self.rows)
    }

    /// The records that have a row in [`Pairs::metadata`].
    pub(super) fn known_records(&self) -> Vec<&Metadata> {
        self.records.iter().flatten().collect()
    }
}

impl Embedder {
    /// Embeds pictures together with what is known of them.
    ///
    /// A record is that of the picture's file: its gsd is that of the file's pixels, its location the centre of the file's
    /// picture. Here it follows what the fit does to the picture, so that it holds for the pixels that the model sees, as
    /// in training (a picture of 512 pixels of 0.5 m has a gsd of 4 m at 64). Pictures are paths, bytes of files or [`RgbImage`]s
    /// ([`PictureInput`]), of any sizes; records are `Metadata` or `&Metadata`, and [`Metadata::new`] stands for a picture of which nothing is
    /// known. A record without any field that the model reads counts as none: it gets no vector.
    ///
    /// ```no_run
    /// # fn main() -> satmip::Result<()> {
    /// use satmip::{Embedder, Metadata};
    /// let model = Embedder::builder("satmip-lite").load()?;
    /// let here = Metadata::new().with_gsd(0.5)?.with_location(2.35, 48.85)?;
    /// let pairs = model.embed_pairs(&[("a.jpg", here), ("b.tif", Metadata::new())])?;
    /// assert_eq!((pairs.images().len(), pairs.metadata().len()), (2, 1));
    /// let fit = pairs.similarities()[0]; // the cosine of the first
    /// let audit = model.audit(&pairs)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model of images alone. Pictures come before records: [`Error::Image`] names the first
    /// that cannot be read, and [`Error::Argument`] is a picture too long and thin to be resized; then
    /// [`Error::CaptionTooLong`] for a record. [`Error::Engine`].
    pub fn embed_pairs<P: PictureInput, M: Borrow<Metadata> + Sync>(
        &self,
        pairs: &[(P, M)],
    ) -> Result<Pairs> {
        self.metadata_tower("embed metadata")?;
        let geometries = Mutex::new(vec![None; pairs.len()]);
        let images = self.run_images(pairs.len(), Wanted::Embeds, |i| {
            let (pixels, geometry) = pairs[i].0.fitted(self)?;
            geometries.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(geometry);
            Ok(pixels)
        })?;
        let geometries = geometries
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let fields = self.fields();
        let seen = |(geometry, (_, record)): (&Option<Geometry>, &(P, M))| {
            let record = geometry.as_ref()?.record_for(record.borrow(), fields);
            (!record.is_empty()).then_some(record)
        };
        self.pairs_seen(images, geometries.iter().zip(pairs).map(seen).collect())
    }

    /// Pairs of pictures that are embedded already and of records as the model sees them. A record without any field
    /// that it reads counts as none.
    ///
    /// For vectors that a job has written, say. Records of files are brought there by [`Embedder::fitted_metadata`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model of images alone; [`Error::Argument`] when there are not as many records as
    /// pictures, or the embeddings are of another space; else as [`Embedder::embed_metadata`].
    pub fn pairs_of(&self, images: Embeddings, records: &[Option<Metadata>]) -> Result<Pairs> {
        let fields = self.fields();
        let prepare = |record: &Option<Metadata>| {
            let record = record.as_ref()?.derive_missing().only(fields);
            (!record.is_empty()).then_some(record)
        };
        self.pairs_seen(images, records.iter().map(prepare).collect())
    }

    /// As [`Embedder::pairs_of`], of records in which nothing is to be filled in or left out.
    #[doc(hidden)]
    pub fn pairs_seen(&self, images: Embeddings, records: Vec<Option<Metadata>>) -> Result<Pairs> {
        self.metadata_tower("embed metadata")?;
        self.check_space("images", &images)?;
        if images.len() != records.len() {
            return Err(Error::Argument {
                what: "records",
                reason: format!("{} for {} pictures", records.len(), images.len()),
            });
        }
        let rows: Vec<usize> = (0..records.len())
            .filter(|i| records[*i].is_some())
            .collect();
        let known: Vec<Metadata> = records.iter().flatten().cloned().collect();
        Ok(Pairs {
            metadata: self.run_metadata(&known, Wanted::Embeds)?,
            images,
            records,
            rows,
        })
    }
}
