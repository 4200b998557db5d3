//! Which copy of its picture is read of a file.

use crate::error::ImageFault;
use crate::image::{Placing, Raster, RasterFile, ReadOptions, Resolution, Role};
use crate::metadata::read::geotiff::Georeference;

/// How many times larger or smaller pixels may be than was asked for: overviews halve, so that the nearest one is never
/// further away.
const FAR: f64 = 1.42;

/// A file, and where the pixels that are read of it lie; or why that cannot be said.
pub(super) type Placed = (Raster, Result<Option<Georeference>, String>);

/// Opens a file at a resolution. Where a file is coarser than was asked for it is read as it is: it may be one of
/// several, of which another is finer ([`reached`] tells).
pub(super) fn open(
    file: &RasterFile,
    options: &ReadOptions,
    role: Role,
) -> Result<Placed, ImageFault> {
    let mut place = Ok(None);
    let raster = Raster::open(file, options, role, |placing, sizes| {
        place = match placing {
            Placing::Tags(page) => Georeference::of(page),
            #[cfg(feature = "jpeg2000")]
            Placing::Grid(grid) => grid
                .map_err(str::to_owned)
                .and_then(|grid| Georeference::on(grid).map(Some)),
            #[cfg(feature = "jpeg2000")]
            Placing::None => Ok(None),
        };
        let chosen = match options.resolution {
            Resolution::Full => 0,
            Resolution::Overview(number) => number,
            Resolution::Gsd(wanted) => nearest(sizes, &place, wanted)?,
        };
        if let (Ok(Some(found)), Some((width, height))) = (&place, sizes.get(chosen)) {
            let times = |whole: u32, part: u32| f64::from(whole) / f64::from(part);
            let (across, down) = (times(sizes[0].0, *width), times(sizes[0].1, *height));
            place = Ok(Some(found.clone().coarser(across, down)));
        }
        Ok(chosen)
    })?;
    Ok((raster, place))
}

/// The copy whose pixels are nearest to so many metres.
fn nearest(
    sizes: &[(u32, u32)],
    place: &Result<Option<Georeference>, String>,
    wanted: f64,
) -> Result<usize, ImageFault> {
    let full = place.as_ref().ok().and_then(Option::as_ref);
    let full = full.and_then(|place| metres(place, sizes[0]));
    let Some(full) = full else {
        let reason = match place {
            Err(reason) => format!("how large its pixels are cannot be told: {reason}"),
            Ok(_) => {
                "how large its pixels are cannot be told: it has no place on the ground".into()
            }
        };
        return Err(ImageFault::Option(reason));
    };
    let all: Vec<f64> = sizes
        .iter()
        .map(|(width, _)| full * f64::from(sizes[0].0) / f64::from(*width))
        .collect();
    let far = |metres: f64| (metres / wanted).ln().abs();
    let chosen = (0..all.len())
        .min_by(|a, b| far(all[*a]).total_cmp(&far(all[*b])))
        .unwrap_or(0);
    match chosen > 0 && far(all[chosen]) > FAR.ln() || all[chosen] * FAR < wanted {
        false => Ok(chosen),
        true => Err(ImageFault::Option(format!(
            "it has pixels of {} m, none near {wanted} m (`gdaladdo` adds smaller copies)",
            words(&all)
        ))),
    }
}

/// Whether a scene has pixels of the size that was asked for.
///
/// # Errors
/// Where it has not.
pub(super) fn reached(
    options: &ReadOptions,
    place: Option<&Georeference>,
    size: (u32, u32),
) -> Result<(), ImageFault> {
    let Resolution::Gsd(wanted) = options.resolution else {
        return Ok(());
    };
    match place.and_then(|place| metres(place, size)) {
        Some(found) if found > wanted * FAR => Err(ImageFault::Option(format!(
            "its pixels of {} m are too large for {wanted} m",
            words(&[found])
        ))),
        _ => Ok(()),
    }
}

/// The side of a pixel on the ground in the middle of a raster, in metres.
pub(super) fn metres(place: &Georeference, (width, height): (u32, u32)) -> Option<f64> {
    let centre = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let record = place.record(centre).ok()?;
    let gsd = record.gsd().or_else(|| record.derive_missing().gsd())?;
    Some((gsd.x * gsd.y).sqrt())
}

fn words(metres: &[f64]) -> String {
    let words: Vec<String> = metres
        .iter()
        .map(|metres| {
            format!("{:.3}", metres)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        })
        .collect();
    words.join(", ")
}
