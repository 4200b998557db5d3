//! The pages of a TIFF: the picture, its mask, and copies of it that are smaller.

#[cfg(feature = "geotiff")]
use tiff_reader::ByteOrder;
#[cfg(feature = "geotiff")]
use tiff_reader::source::TiffSource;
use tiff_reader::{Ifd, TiffFile};

use super::super::Region;
use super::fault;
use crate::error::ImageFault;

const NEW_SUBFILE_TYPE: u16 = 254;
const SUBFILE_TYPE: u16 = 255;
const SUB_IFDS: u16 = 330;

/// The page that is read, and the page that says which of its pixels are there.
pub(super) struct Pages {
    pub(super) picture: Ifd,
    pub(super) mask: Option<Ifd>,
}

/// What a page is of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Picture,
    Mask,
    /// A smaller copy of the picture.
    Reduced,
    /// A smaller copy of the mask.
    ReducedMask,
}

impl Pages {
    pub(super) fn of(file: &TiffFile) -> Result<Self, ImageFault> {
        let picture = file.ifd(0).map_err(fault)?;
        let size = |page: &Ifd| (page.width(), page.height());
        let area = |page: &Ifd| u64::from(page.width()) * u64::from(page.height());
        let others = &file.ifds()[1..];
        let is_full = |page: &&Ifd| kind(page) == Kind::Picture && area(page) >= area(picture);
        if matches!(kind(picture), Kind::Reduced | Kind::ReducedMask)
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
        Ok(Pages {
            picture: picture.clone(),
            mask: mask.cloned(),
        })
    }

    /// The smaller copies of the picture, the largest first, each with its own mask.
    #[cfg(feature = "geotiff")]
    pub(super) fn copies(
        &self,
        file: &TiffFile,
        source: &dyn TiffSource,
    ) -> Result<Vec<Pages>, ImageFault> {
        let mut others: Vec<Ifd> = file.ifds()[1..].to_vec();
        for offset in sub_ifds(&self.picture, file, source)? {
            others.push(file.read_ifd_at_offset(offset).map_err(fault)?);
        }
        let size = |page: &Ifd| (page.width(), page.height());
        // As large as the picture divided by a whole number, rounded up or down.
        let (width, height) = size(&self.picture);
        let halved = |page: &Ifd| {
            let times = (f64::from(width) / f64::from(page.width().max(1)))
                .round()
                .max(1.0);
            let fits =
                |whole: u32, part: u32| (f64::from(whole) / times - f64::from(part)).abs() < 1.0;
            times > 1.0 && fits(width, page.width()) && fits(height, page.height())
        };
        let is_copy =
            |page: &&Ifd| matches!(kind(page), Kind::Reduced | Kind::Picture) && halved(page);
        let mask_of = |page: &Ifd| {
            let mask = |other: &&Ifd| kind(other) == Kind::ReducedMask && size(other) == size(page);
            others.iter().find(mask).cloned()
        };
        let mut copies: Vec<Pages> = others
            .iter()
            .filter(is_copy)
            .map(|page| Pages {
                picture: page.clone(),
                mask: mask_of(page),
            })
            .collect();
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.picture.width()));
        // A picture with a mask has copies with one; else what is missing would be taken for data.
        copies.retain(|copy| copy.mask.is_some() == self.mask.is_some());
        Ok(copies)
    }

    /// Which pixels of a region are there by the mask: those where it is not 0.
    pub(super) fn there(
        &self,
        file: &TiffFile,
        region: &Region,
    ) -> Result<Option<Vec<bool>>, ImageFault> {
        let Some(mask) = &self.mask else {
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

/// Where the pages are that a page holds. The reader knows no fields of the type IFD, which is theirs: it takes them for
/// bytes.
#[cfg(feature = "geotiff")]
fn sub_ifds(page: &Ifd, file: &TiffFile, source: &dyn TiffSource) -> Result<Vec<u64>, ImageFault> {
    /// More than a picture of 2^31 pixels a side can be halved.
    const MOST: u64 = 64;
    const IFD: u16 = 13;
    const IFD8: u16 = 18;
    let Some(tag) = page.tag(SUB_IFDS) else {
        return Ok(Vec::new());
    };
    let code = tag.tag_type.to_code();
    if code != IFD && code != IFD8 {
        let mut offsets = page.sub_ifd_offsets().unwrap_or_default();
        offsets.truncate(MOST as usize);
        return Ok(offsets);
    }
    let big = file.is_bigtiff();
    let number = |at: u64, length: usize| -> Result<u64, ImageFault> {
        let bytes = source.read_exact_at(at, length).map_err(fault)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Ok(match file.byte_order() {
            ByteOrder::BigEndian => bytes.iter().fold(0, add),
            ByteOrder::LittleEndian => bytes.iter().rev().fold(0, add),
        })
    };
    // Of the count of fields, a field, the count in it, and an offset.
    let (fields, field, count_at_most, place) = if big { (8, 20, 8, 8) } else { (2, 12, 4, 4) };
    for index in 0..number(page.offset(), fields)? {
        let at = page.offset() + fields as u64 + index * field;
        if number(at, 2)? != u64::from(SUB_IFDS) {
            continue;
        }
        let size = if code == IFD8 { 8 } else { 4 };
        let count = number(at + 4, count_at_most)?.min(MOST);
        let value = at + 4 + count_at_most as u64;
        let start = match count * size <= place as u64 {
            true => value,
            false => number(value, place)?,
        };
        let offset = |index: u64| number(start + index * size, size as usize);
        return (0..count).map(offset).collect();
    }
    Ok(Vec::new())
}

fn kind(page: &Ifd) -> Kind {
    const REDUCED: u32 = 1;
    const MASK: u32 = 4;
    const PHOTOMETRIC_MASK: u16 = 4;
    let number = |code| page.tag(code).and_then(|tag| tag.value.as_u32());
    let says = number(NEW_SUBFILE_TYPE).unwrap_or(0);
    let reduced = says & REDUCED != 0 || number(SUBFILE_TYPE) == Some(2);
    let mask = says & MASK != 0 || page.photometric_interpretation() == Some(PHOTOMETRIC_MASK);
    match (mask, reduced) {
        (true, true) => Kind::ReducedMask,
        (true, false) => Kind::Mask,
        (false, true) => Kind::Reduced,
        (false, false) => Kind::Picture,
    }
}
