//! A scene for people, from its header alone, and pictures as the model sees them.

use std::path::Path;

use serde::Serialize;

use super::super::caption::RecordJson;
use super::{InspectArgs, Output, reading_rows, record_rows};
use satmip::image::{self, Reading, Region, RgbImage};
use satmip::parts::aside::{Aside, Existing, failed};
use satmip::scene::Scene;
use satmip::{Error, Result};
use satmip_archive::{Edge, Tiling};

/// Longest side of a preview in pixels.
pub(super) const PREVIEW: u32 = 1024;

/// What is found of a scene.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
enum Found<'a> {
    Scene {
        width: u32,
        height: u32,
        /// Width and height of what is decoded at once.
        block: (u32, u32),
        /// Widths and heights of smaller copies.
        overviews: &'a [(u32, u32)],
        projection: Option<String>,
        /// Windows of the side that was asked for, the last ones moved back inside.
        windows: u64,
        reading: &'a Reading,
        record: RecordJson<'a>,
    },
}

/// Shows a scene and how many windows of `tile` pixels a side it has.
pub(super) fn show(args: &InspectArgs, tile: u32, out: &mut Output) -> Result<()> {
    let scene = Scene::open(&args.what, &args.reading.options()?)?;
    let (width, height) = (scene.width(), scene.height());
    let windows = Tiling::new(tile, tile, Edge::Shift)?.count(width, height);
    let whole = Region::whole(width, height);
    let record = match scene.record(whole) {
        Ok(record) => record.derive_missing(),
        Err(error) => {
            tracing::warn!("no metadata: {error}");
            satmip::Metadata::new()
        }
    };
    let name = args.what.display().to_string();
    if args.json {
        return out.json(&Found::Scene {
            width,
            height,
            block: scene.block(),
            overviews: &scene.overviews()[1..],
            projection: scene.projection(),
            windows,
            reading: scene.reading(),
            record: RecordJson::of(&name, &record),
        });
    }
    let mut rows = reading_rows(scene.reading());
    let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    let (across, down) = scene.block();
    row("read at once", format!("{across} x {down} pixels"));
    let smaller = scene.overviews()[1..]
        .iter()
        .map(|(width, height)| format!("{width} x {height}"));
    let smaller: Vec<_> = smaller.collect();
    if !smaller.is_empty() {
        row("smaller copies", smaller.join(", "));
    }
    row(
        "coordinate system",
        scene.projection().unwrap_or_else(|| "none".to_owned()),
    );
    row("windows", format!("{windows} of {tile} x {tile} pixels"));
    out.table(&["scene", &format!("{width} x {height} pixels")], &rows)?;
    if !record.is_empty() {
        out.line("")?;
        out.table(&["key", &name], &record_rows(&record))?;
    }
    Ok(())
}

/// Writes a picture as the model would see it as a whole, at most 1,024 pixels a side.
pub(super) fn preview(args: &InspectArgs, is_scene: bool, file: &Path) -> Result<()> {
    let mut options = args.reading.options()?;
    let small = match is_scene {
        true => {
            let scene = Scene::open(&args.what, &options)?;
            options.resolution = scene.resolution_for(PREVIEW);
            Scene::open(&args.what, &options)?.preview(PREVIEW)?
        }
        false => reduced(image::read(&args.what, &options)?.into_image())?,
    };
    write_preview(small, file, args.overwrite)
}

/// Writes a picture as PNG.
///
/// # Errors
/// [`Error::Argument`] for a name of another format; [`Error::Output`].
pub(super) fn write_preview(small: RgbImage, file: &Path, overwrite: bool) -> Result<()> {
    let ending = file.extension().and_then(|ending| ending.to_str());
    if !ending.is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        return Err(Error::Argument {
            what: "preview",
            reason: format!(
                "`{}`: the picture is a PNG, its name must end in .png",
                file.display()
            ),
        });
    }
    let picture = ::image::RgbImage::from_raw(small.width(), small.height(), small.into_pixels());
    let (aside, mut written) = Aside::file(file).map_err(|error| failed(file, error))?;
    let encoded = picture.map(|picture| picture.write_to(&mut written, ::image::ImageFormat::Png));
    if let Some(Err(error)) = encoded {
        return Err(Error::Output {
            path: file.to_owned(),
            reason: error.to_string(),
            source: Some(error.into()),
        });
    }
    written
        .sync_all()
        .and_then(|()| aside.place(Existing::of(overwrite)))
        .map_err(|error| failed(file, error))
}

/// A picture of at most so many pixels a side.
fn reduced(picture: RgbImage) -> Result<RgbImage> {
    let longest = picture.width().max(picture.height());
    if longest <= PREVIEW {
        return Ok(picture);
    }
    let side =
        |side: u32| (u64::from(side) * u64::from(PREVIEW) / u64::from(longest)).max(1) as u32;
    let (width, height) = (side(picture.width()), side(picture.height()));
    let whole = Region::whole(picture.width(), picture.height());
    image::resize(
        &picture,
        whole,
        width,
        height,
        satmip::arch::ResizeFilter::Bilinear,
    )
}
