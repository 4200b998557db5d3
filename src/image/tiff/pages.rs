//! The pages of a TIFF: the picture, its mask, and copies of it that are smaller.

use tiff_reader::{Ifd, TiffFile};

use super::super::Region;
use super::fault;
use crate::error::ImageFault;

const NEW_SUBFILE_TYPE: u16 = 254;
const SUBFILE_TYPE: u16 = 255;
const SUB_IFDS: u16 = 330;

/// The page that is read, and the page that says which of its pixels are there.
pub(super) struct Pages<'a> {
    pub(super) picture: &'a Ifd,
    pub(super) mask: Option<&'a Ifd>,
}

/// What a page is of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Picture,
    Mask,
    /// A smaller copy, of the picture or of the mask.
    Reduced,
}

impl<'a> Pages<'a> {
    pub(super) fn of(file: &'a TiffFile) -> Result<Self, ImageFault> {
        let picture = file.ifd(0).map_err(fault)?;
        let size = |page: &Ifd| (page.width(), page.height());
        let area = |page: &Ifd| u64::from(page.width()) * u64::from(page.height());
        let others = &file.ifds()[1..];
        let is_full = |page: &&Ifd| kind(page) == Kind::Picture && area(page) >= area(picture);
        if kind(picture) == Kind::Reduced
            && (picture.tag(SUB_IFDS).is_some() || others.iter().any(|page| is_full(&page)))
        {
            return Err(ImageFault::Unsupported(
                "a TIFF whose first page is a smaller copy of another (take the other out: \
                 `gdal_translate GTIFF_DIR:2:IN.tif OUT.tif`)"
                    .into(),
            ));
        }
        // A smaller page that does not say so is a copy as well; one of the same size is another picture or band.
        match others.iter().filter(is_full).count() {
            0 => {}
            more => {
                return Err(ImageFault::Unsupported(format!(
                    "a TIFF of {} pictures (take one out: `gdal_translate GTIFF_DIR:1:IN.tif OUT.tif`)",
                    more + 1
                )));
            }
        }
        let mut masks = others.iter().filter(|page| kind(page) == Kind::Mask);
        let mask = masks.next();
        if mask.is_some_and(|mask| size(mask) != size(picture)) || masks.next().is_some() {
            return Err(ImageFault::Unsupported(
                "a TIFF with several masks, or one of another size than the picture".into(),
            ));
        }
        Ok(Pages { picture, mask })
    }

    /// Which pixels of a region are there by the mask: those where it is not 0.
    pub(super) fn there(
        &self,
        file: &TiffFile,
        region: &Region,
    ) -> Result<Option<Vec<bool>>, ImageFault> {
        let Some(mask) = self.mask else {
            return Ok(None);
        };
        let layout = mask.raster_layout().map_err(fault)?;
        if (layout.samples_per_pixel, layout.sample_format) != (1, 1) || layout.bits_per_sample > 8
        {
            return Err(ImageFault::Unsupported(
                "a TIFF whose mask has several bands or numbers".into(),
            ));
        }
        let [left, top, width, height] =
            [region.left, region.top, region.width, region.height].map(|side| side as usize);
        let stored = file.read_window_bytes_from_ifd(mask, top, left, height, width);
        let stored = stored.map_err(fault)?;
        Ok(Some(stored.into_iter().map(|value| value != 0).collect()))
    }
}

fn kind(page: &Ifd) -> Kind {
    const REDUCED: u32 = 1;
    const MASK: u32 = 4;
    const PHOTOMETRIC_MASK: u16 = 4;
    let number = |code| page.tag(code).and_then(|tag| tag.value.as_u32());
    let says = number(NEW_SUBFILE_TYPE).unwrap_or(0);
    if says & REDUCED != 0 || number(SUBFILE_TYPE) == Some(2) {
        return Kind::Reduced;
    }
    match says & MASK != 0 || page.photometric_interpretation() == Some(PHOTOMETRIC_MASK) {
        true => Kind::Mask,
        false => Kind::Picture,
    }
}
