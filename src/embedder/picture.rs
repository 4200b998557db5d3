//! What can be given to an [`Embedder`] as a picture.

use std::path::Path;

use super::Embedder;
use crate::error::Result;
use crate::image::{self, Geometry, RgbImage};

/// A picture that an [`Embedder`] takes: the path of a file, the bytes of one ([`Encoded`]), or decoded pixels.
///
/// It is implemented for everything that is a path (`&str`, `String`, `PathBuf`, `&Path`), for [`Encoded`], for
/// [`RgbImage`] and for `&RgbImage`, and cannot be implemented elsewhere. Pixels of other crates become an
/// [`RgbImage`] first: those of ndarray and, with the feature `dynamic-image`, those of the crate `image`.
pub trait PictureInput: sealed::Fitted + Sync {}

mod sealed {
    use super::{Embedder, Geometry, Result};

    /// Gives what the model takes.
    pub trait Fitted {
        /// The picture fitted to the model, and what that did to it.
        fn fitted(&self, embedder: &Embedder) -> Result<(Vec<u8>, Geometry)>;
    }
}

/// The bytes of an image file, with the name that stands for it in errors.
///
/// ```no_run
/// # fn main() -> satmip::Result<()> {
/// use satmip::{Embedder, Encoded};
/// let model = Embedder::builder("satmip-lite").load()?;
/// let bytes: Vec<u8> = vec![]; // from a server, an archive, a database
/// let images = model.embed_images(&[Encoded::new("scenes/17.png", &bytes)])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Takes the contents of a file of any format that [`image::decode`] reads.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Encoded { name, bytes }
    }
}

impl std::fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded")
            .field("name", &self.name)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

impl<P: AsRef<Path> + Sync> PictureInput for P {}

impl<P: AsRef<Path>> sealed::Fitted for P {
    fn fitted(&self, embedder: &Embedder) -> Result<(Vec<u8>, Geometry)> {
        let path = self.as_ref();
        let picture = image::read(path, &embedder.reading)?;
        let name = path.display().to_string();
        let preprocessing = &embedder.manifest.arch.preprocessing;
        let prepared = image::prepare_picture(picture, &name, &embedder.reading, preprocessing)?;
        Ok((prepared.pixels, prepared.geometry))
    }
}

impl PictureInput for Encoded<'_> {}

impl sealed::Fitted for Encoded<'_> {
    fn fitted(&self, embedder: &Embedder) -> Result<(Vec<u8>, Geometry)> {
        let preprocessing = &embedder.manifest.arch.preprocessing;
        let prepared = image::prepare(self.bytes, self.name, &embedder.reading, preprocessing)?;
        Ok((prepared.pixels, prepared.geometry))
    }
}

impl PictureInput for RgbImage {}

impl sealed::Fitted for RgbImage {
    fn fitted(&self, embedder: &Embedder) -> Result<(Vec<u8>, Geometry)> {
        image::fit_with_geometry(self, &embedder.manifest.arch.preprocessing)
    }
}

impl PictureInput for &RgbImage {}

impl sealed::Fitted for &RgbImage {
    fn fitted(&self, embedder: &Embedder) -> Result<(Vec<u8>, Geometry)> {
        (**self).fitted(embedder)
    }
}
