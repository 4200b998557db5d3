//! From pictures and metadata to vectors of one space.

mod audit;
mod batches;
mod builder;
mod each;
mod embeddings;
mod pairs;
mod picture;
mod query;
mod tower;

use ndarray::{Array2, Array4, ArrayView4, Axis, s};

pub use audit::{AuditRow, FieldFit};
pub use builder::EmbedderBuilder;
pub use each::EmbedEach;
pub use embeddings::{Embeddings, Neighbours, Rows};
pub use pairs::Pairs;
pub use picture::{Encoded, PictureInput};
pub use query::Query;
pub use tower::TowerOutput;

use crate::bundle::{Bundle, BundleManifest};
use crate::engine::{Device, EngineOptions};
use crate::error::{Error, Result};
#[cfg(doc)]
use crate::image::Geometry;
#[cfg(doc)]
use crate::image::RgbImage;
use crate::image::{self, ReadOptions};
use crate::metadata::{FieldSet, Metadata};
use batches::Batches;
use tower::{ImageTower, MetadataTower};

/// Embeds pictures and metadata with one model.
///
/// # What gsd means
/// A model sees pictures of [`Embedder::input_size`] pixels, and `gsd`, `multispectral_gsd`, `pixel_size` and `location`
/// of a record are those of that input, as in training: a picture of 512 pixels of 0.5 m, brought to 64, has a gsd of 4 m.
/// [`Embedder::embed_pairs`] takes pictures with the records of their files and follows what the fit does;
/// [`Embedder::embed_metadata`] and [`Embedder::query`] know of no picture and take values as they are, and
/// [`Embedder::fitted_metadata`] brings a file's record there.
///
/// Every method takes `&self`, and one embedder serves any number of threads. What it gives does
/// not depend on the number of sessions or threads: inputs are cut into batches by their position
/// alone, and each batch is run by one thread.
///
/// ```no_run
/// # fn main() -> satmip::Result<()> {
/// use satmip::{Device, Embedder, Field};
/// let model = Embedder::builder("satmip-lite").device(Device::Auto).load()?;
/// let images = model.embed_images(&["a.jpg", "b.tif"])?;
/// let guess = model.query(&images, Field::CountryCode, ["PER", "FRA", "KEN"])?;
/// println!("{}", guess.best(0).map_or("", |(value, _)| value));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Embedder {
    manifest: BundleManifest,
    precision: String,
    image: ImageTower,
    metadata: Option<MetadataTower>,
    /// Of pictures.
    batches: Batches,
    /// Of records.
    records: Batches,
    reading: ReadOptions,
}

/// Which of a tower's two outputs is wanted.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Features,
    Embeds,
}

impl Wanted {
    fn of(self, output: TowerOutput) -> Array2<f32> {
        match self {
            Wanted::Features => output.features,
            Wanted::Embeds => output.embeds,
        }
    }
}

impl Embedder {
    /// Starts with the name of a model: the path of a bundle's folder or the id of a known model.
    pub fn builder(model: impl Into<String>) -> EmbedderBuilder {
        EmbedderBuilder::named(model.into())
    }

    /// Makes a bundle ready to embed, with the default batch size and way to read pictures.
    ///
    /// # Errors
    /// As [`EmbedderBuilder::load`].
    pub fn from_bundle(bundle: Bundle, options: EngineOptions) -> Result<Self> {
        EmbedderBuilder::from(bundle).engine(options).load()
    }

    /// What the model's bundle says of itself.
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// The precision of the graphs that run, one of [`PRECISIONS`](crate::bundle::PRECISIONS).
    pub fn precision(&self) -> &str {
        &self.precision
    }

    /// Fields that the model reads; others are ignored. None for a model of images alone.
    pub fn fields(&self) -> FieldSet {
        let side = self.manifest.arch.metadata.as_ref();
        side.map_or(FieldSet::NONE, |side| side.fields)
    }

    /// Height and width in pixels of the pictures that the model takes.
    pub fn input_size(&self) -> usize {
        self.manifest.arch.preprocessing.size
    }

    /// Width of the vectors of [`Embedder::embed_images`] and [`Embedder::embed_metadata`].
    pub fn dim(&self) -> usize {
        self.manifest.arch.embed_dim
    }

    /// Where the model runs; never [`Device::Auto`].
    pub fn device(&self) -> Device {
        self.image.engine().device()
    }

    /// The runtime that the model runs on, `onnxruntime` or `rten`.
    pub fn engine(&self) -> &'static str {
        self.image.engine().name()
    }

    /// Pictures that are run at a time.
    pub fn batch_size(&self) -> usize {
        self.batches.size
    }

    /// How pictures are read.
    pub fn reading(&self) -> &ReadOptions {
        &self.reading
    }

    /// Embeds pictures of any sizes: `pictures x dim`, unit rows. They are paths of files, bytes of files
    /// ([`Encoded`]) or decoded ([`RgbImage`]); [`Embedder::embed_each`] takes any number and gives each its own result.
    ///
    /// ```no_run
    /// # fn main() -> satmip::Result<()> {
    /// use satmip::Embedder;
    /// let model = Embedder::builder("satmip-lite").load()?;
    /// let images = model.embed_images(&["a.jpg", "b.tif"])?;
    /// assert_eq!((images.len(), images.dim()), (2, model.dim()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Image`] names the first picture that cannot be used; [`Error::Engine`].
    pub fn embed_images<P: PictureInput>(&self, pictures: &[P]) -> Result<Embeddings> {
        self.fitted_images(pictures, Wanted::Embeds)
    }

    /// What the image tower sees in pictures, before the projector: the representation that probes and classifiers
    /// use. Rows are not of unit length.
    ///
    /// # Errors
    /// As [`Embedder::embed_images`].
    pub fn image_features<P: PictureInput>(&self, pictures: &[P]) -> Result<Embeddings> {
        self.fitted_images(pictures, Wanted::Features)
    }

    /// Both outputs of the image tower for pictures that [`image::fit`] has brought to the input
    /// size: `[n, size, size, 3]`, RGB. Runs in the calling thread.
    ///
    /// # Errors
    /// [`Error::Argument`] for another shape, [`Error::Engine`].
    pub fn embed_prepared(&self, pictures: ArrayView4<'_, u8>) -> Result<TowerOutput> {
        let size = self.input_size();
        if pictures.shape()[1..] != [size, size, 3] {
            return Err(Error::Argument {
                what: "pictures",
                reason: format!(
                    "they are {:?}, the model takes [n, {size}, {size}, 3]",
                    pictures.shape()
                ),
            });
        }
        let arch = &self.manifest.arch;
        let mut output =
            TowerOutput::zeros(pictures.shape()[0], arch.image.features(), arch.embed_dim);
        for (i, batch) in pictures
            .axis_chunks_iter(Axis(0), self.batches.size)
            .enumerate()
        {
            let run = self.image.run(batch)?;
            let rows = i * self.batches.size..i * self.batches.size + batch.shape()[0];
            output
                .features
                .slice_mut(s![rows.clone(), ..])
                .assign(&run.features);
            output.embeds.slice_mut(s![rows, ..]).assign(&run.embeds);
        }
        Ok(output)
    }

    /// Embeds metadata: `records x dim`, unit rows. Missing fields are missing, fields that the
    /// model does not read are ignored, and a record without any field has a vector as well.
    ///
    /// Values are those of the model's input pixels ([`Embedder`] says what that means):
    /// [`Embedder::fitted_metadata`] brings the record of a larger picture there, and [`Embedder::embed_pairs`] does so
    /// for pictures with their records.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model of images alone, [`Error::CaptionTooLong`],
    /// [`Error::Engine`].
    pub fn embed_metadata(&self, records: &[Metadata]) -> Result<Embeddings> {
        self.run_metadata(&self.prepare_metadata(records), Wanted::Embeds)
    }

    /// What the metadata tower makes of the records, before the projector.
    ///
    /// # Errors
    /// As [`Embedder::embed_metadata`].
    pub fn metadata_features(&self, records: &[Metadata]) -> Result<Embeddings> {
        self.run_metadata(&self.prepare_metadata(records), Wanted::Features)
    }

    /// Both outputs of the metadata tower. Runs in the calling thread.
    ///
    /// # Errors
    /// As [`Embedder::embed_metadata`].
    pub fn metadata_output(&self, records: &[Metadata]) -> Result<TowerOutput> {
        self.seen_output(&self.prepare_metadata(records))
    }

    /// As [`Embedder::metadata_output`], of records as the model sees them: nothing is filled in or left out.
    #[doc(hidden)]
    pub fn seen_output(&self, records: &[Metadata]) -> Result<TowerOutput> {
        let tower = self.metadata_tower("embed metadata")?;
        let mut output = TowerOutput::zeros(records.len(), tower.features(), self.dim());
        for (i, batch) in records.chunks(self.records.size).enumerate() {
            let run = tower.run(batch)?;
            let rows = i * self.records.size..i * self.records.size + batch.len();
            output
                .features
                .slice_mut(s![rows.clone(), ..])
                .assign(&run.features);
            output.embeds.slice_mut(s![rows, ..]).assign(&run.embeds);
        }
        Ok(output)
    }

    /// Records as the model sees them, when their values are those of its input pixels: what other fields imply is
    /// filled in, as it was in training, and fields that the model does not read are left out.
    pub fn prepare_metadata(&self, records: &[Metadata]) -> Vec<Metadata> {
        let fields = self.fields();
        let prepare = |record: &Metadata| record.derive_missing().only(fields);
        records.iter().map(prepare).collect()
    }

    /// The record of a file of `width` x `height` pixels, upright, as the model sees it: what other fields imply is
    /// filled in, all of it follows what the fit does to such a picture ([`Geometry::apply_to`]), and fields that the
    /// model does not read are left out.
    ///
    /// ```no_run
    /// # fn main() -> satmip::Result<()> {
    /// use satmip::{Embedder, Metadata};
    /// let model = Embedder::builder("satmip-lite").load()?; // 64 x 64 pixels
    /// let seen = model.fitted_metadata(&Metadata::new().with_gsd(0.5)?, 512, 512)?;
    /// assert_eq!(seen, Metadata::new().with_gsd(4.0)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] when the picture has no pixel.
    pub fn fitted_metadata(&self, record: &Metadata, width: u32, height: u32) -> Result<Metadata> {
        let preprocessing = &self.manifest.arch.preprocessing;
        let geometry = image::fitted_geometry(width, height, preprocessing)?;
        Ok(geometry.record_for(record, self.fields()))
    }

    fn fitted_images<P: PictureInput>(&self, pictures: &[P], wanted: Wanted) -> Result<Embeddings> {
        self.run_images(pictures.len(), wanted, |i| Ok(pictures[i].fitted(self)?.0))
    }

    fn run_images(
        &self,
        count: usize,
        wanted: Wanted,
        prepared: impl Fn(usize) -> Result<Vec<u8>> + Sync,
    ) -> Result<Embeddings> {
        Ok(Embeddings::from_tower(
            self.run_rows(count, wanted, prepared)?,
        ))
    }

    fn run_rows(
        &self,
        count: usize,
        wanted: Wanted,
        prepared: impl Fn(usize) -> Result<Vec<u8>> + Sync,
    ) -> Result<Array2<f32>> {
        let (size, arch) = (self.input_size(), &self.manifest.arch);
        let width = match wanted {
            Wanted::Features => arch.image.features(),
            Wanted::Embeds => arch.embed_dim,
        };
        self.batches.run(count, width, |rows| {
            let mut pixels = Vec::with_capacity(rows.len() * size * size * 3);
            let shape = (rows.len(), size, size, 3);
            for i in rows {
                pixels.extend_from_slice(&prepared(i)?);
            }
            let batch = Array4::from_shape_vec(shape, pixels).map_err(|error| Error::Argument {
                what: "pictures",
                reason: error.to_string(),
            })?;
            Ok(wanted.of(self.image.run(batch.view())?))
        })
    }

    /// Runs records as they are, without what other fields imply.
    fn run_metadata(&self, records: &[Metadata], wanted: Wanted) -> Result<Embeddings> {
        let tower = self.metadata_tower("embed metadata")?;
        let width = match wanted {
            Wanted::Features => tower.features(),
            Wanted::Embeds => self.dim(),
        };
        let rows = self.records.run(records.len(), width, |rows| {
            Ok(wanted.of(tower.run(&records[rows])?))
        })?;
        Ok(Embeddings::from_tower(rows))
    }

    fn metadata_tower(&self, task: &str) -> Result<&MetadataTower> {
        self.metadata.as_ref().ok_or_else(|| Error::Unsupported {
            model: self.manifest.id.clone(),
            what: format!("{task}: it has no metadata tower"),
        })
    }

    /// Checks that embeddings are of this model's space.
    fn check_space(&self, what: &'static str, embeddings: &Embeddings) -> Result<()> {
        if embeddings.dim() != self.dim() {
            return Err(Error::Argument {
                what,
                reason: format!(
                    "rows have {} numbers, the model's have {}",
                    embeddings.dim(),
                    self.dim()
                ),
            });
        }
        Ok(())
    }
}
