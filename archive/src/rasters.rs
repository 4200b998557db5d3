//! Rasters by their paths or addresses, for programs that read windows themselves.

use std::path::Path;

use crate::location::Location;
use crate::remote::Remote;
use satmip::scene::RasterFile;
use satmip::{Error, ImageFault, Result};

/// Opens files of this machine, and objects of servers and stores (feature `remote`), for
/// [`Scene::open`](satmip::scene::Scene::open). Its clones share what it needs for that.
///
/// A process that was forked makes one anew: a fork copies connections, and not the threads that they work with.
///
/// ```no_run
/// use satmip::image::ReadOptions;
/// use satmip::scene::Scene;
/// use satmip_archive::Rasters;
///
/// let file = Rasters::default().open("s3://bucket/scene.tif".as_ref())?;
/// let scene = Scene::open(file, &ReadOptions::default())?;
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rasters(Remote);

impl Rasters {
    /// A file by its path, at which nobody looks yet; or an object by its address (https, http, s3, gs, az ..) as it is
    /// now, of which the first bytes are read. Of an object that changes later, reading fails.
    ///
    /// # Errors
    /// [`Error::Image`] for an address that is none or that nothing can be had from.
    pub fn open(&self, place: &Path) -> Result<RasterFile> {
        let failed = |reason| Error::Image {
            item: Rasters::shown(place),
            fault: ImageFault::Unreadable(reason),
        };
        match Location::given(place).map_err(failed)? {
            Location::File(path) => Ok(RasterFile::from(path)),
            Location::Remote(url) => {
                let object = self.0.anew(&url);
                let object = object.map_err(|fault| failed(fault.reason))?;
                Ok(RasterFile::of_ranges(object.name().to_owned(), object))
            }
        }
    }

    /// Whether a place is an address, and no path of this machine.
    pub fn is_address(place: &Path) -> bool {
        matches!(Location::given(place), Ok(Location::Remote(_)))
    }

    /// What is written of a place: of an address never what stands behind a `?` or before the host, which may be
    /// secret.
    pub fn shown(place: &Path) -> String {
        match Location::given(place) {
            Ok(location) => location.to_string(),
            Err(_) => {
                let text = place.display().to_string();
                let address = text.split(['?', '#']).next().unwrap_or_default();
                let without = address.rsplit_once('@').map(|(_, rest)| rest);
                without.unwrap_or(address).to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_a_path_or_refused_without_its_secrets() {
        let rasters = Rasters::default();
        for path in ["a.tif", "C:/x.tif", "file:///x.tif"] {
            assert!(!Rasters::is_address(path.as_ref()));
            assert!(rasters.open(path.as_ref()).is_ok());
        }
        assert!(Rasters::is_address("https://host/a.tif".as_ref()));
        for (place, shown) in [
            ("https://me:pass@host/a.tif?sig=abc", "https://host/a.tif"),
            ("ftp://me:pass@host/a.tif?sig=abc#x", "host/a.tif"),
            ("s3:///a.tif?sig=a@b", "s3:///a.tif"),
            ("a?b@c.tif", "a?b@c.tif"),
        ] {
            assert_eq!(Rasters::shown(place.as_ref()), shown);
        }
        for (place, reason) in [
            ("ftp://me:pass@host/a.tif?sig=abc", "none of https"),
            ("s3:///a.tif?sig=abc", "host or bucket"),
        ] {
            let told = rasters.open(place.as_ref()).unwrap_err().to_string();
            assert!(told.contains(reason), "{told}");
            assert!(!told.contains("abc") && !told.contains("pass"), "{told}");
        }
    }
}
