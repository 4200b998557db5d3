//! How a raster is to be turned so that it stands upright.

use ::image::metadata::Orientation;
use tiff_reader::Ifd;

use super::super::picture::Reading;
use super::by_tag;
use crate::error::ImageFault;
use crate::metadata::geotransform::GeoTransform;

/// The turn that puts north up where the raster has a place on the ground, else what the tag
/// Orientation says; and what to say of it.
pub(in crate::image) fn orientation(
    page: &Ifd,
) -> Result<(Orientation, Option<String>), ImageFault> {
    let numbers = |code| page.tag(code).and_then(|tag| tag.value.as_f64_vec());
    let (transformation, scale, tie) = (numbers(34264), numbers(33550), numbers(33922));
    // Half a pixel turns nothing; a map that is none is the metadata's reader's to refuse.
    let map = GeoTransform::from_tags(
        transformation.as_deref(),
        scale.as_deref(),
        tie.as_deref(),
        false,
    );
    let Ok(Some(map)) = map else {
        let orientation = by_tag(page);
        return Ok((
            orientation,
            Reading::turned("the tag Orientation", orientation),
        ));
    };
    north_up(&map)
}

/// The turn that puts north up, and what to say of it.
pub(in crate::image) fn north_up(
    map: &GeoTransform,
) -> Result<(Orientation, Option<String>), ImageFault> {
    match map.north_up() {
        Some(Orientation::NoTransforms) => Ok((Orientation::NoTransforms, None)),
        Some(turn) => Ok((turn, Some("so that north is up".into()))),
        None => Err(ImageFault::Unsupported(
            "a raster whose rows and columns run askew of north (warp it, for example with gdalwarp)".into(),
        )),
    }
}
