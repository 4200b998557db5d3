//! Scenes that a catalogue, a table or an address names, from their headers alone.

use super::{InspectArgs, Output, reading_rows};
use crate::Exit;
use crate::output::one_line;
use satmip::Result;
use satmip_archive::{Destination, Edge, JobConfig, SceneFacts, Tiling, preview, survey};

/// Whether what was given is no file of a picture of this machine.
pub(super) fn is_one(args: &InspectArgs) -> bool {
    const ENDINGS: [&str; 8] = [
        ".json",
        ".geojson",
        ".ndjson",
        ".jsonl",
        ".geojsonl",
        ".parquet",
        ".csv",
        ".tsv",
    ];
    let name = args.what.to_string_lossy().to_ascii_lowercase();
    name.contains("://") || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Shows scenes and how many windows of `tile` pixels a side they have.
pub(super) fn show(args: &InspectArgs, tile: u32, out: &mut Output) -> Result<Exit> {
    let mut config = JobConfig::new([&args.what], Destination::Stdout);
    config.windows = Some(Tiling::new(tile, tile, Edge::Shift)?);
    config.reading = args.reading.options()?;
    config.assets = args.assets.clone();
    config.offset = args.offset.parse()?;
    let found = survey(&config)?;
    if let Some(file) = &args.preview {
        super::scene::write_preview(
            preview(&config, super::scene::PREVIEW)?,
            file,
            args.overwrite,
        )?;
    }
    let exit = Exit::of(found.refused);
    if args.json {
        out.json(&found)?;
        return Ok(exit);
    }
    for scene in &found.first_scenes {
        let mut rows = vec![vec!["source".to_owned(), scene.source.clone()]];
        rows.extend(scene_rows(scene, tile));
        out.table(&["scene", &scene.id], &rows)?;
        out.line("")?;
    }
    let more = found.scenes - found.first_scenes.len() as u64;
    out.line(&format!(
        "{} windows of {tile} x {tile} pixels, of {} scenes{} ({:.1} MB)",
        found.items,
        found.scenes,
        if more > 0 {
            format!(", of which {more} are not shown")
        } else {
            String::new()
        },
        found.bytes as f64 / 1e6
    ))?;
    for refused in &found.first_refused {
        let reason = format!("left out: {}: {}", refused.id, refused.reason);
        out.line(&one_line(&reason))?;
    }
    Ok(exit)
}

/// What is said of a scene.
fn scene_rows(scene: &SceneFacts, tile: u32) -> Vec<Vec<String>> {
    let size = |(width, height): &(u32, u32)| format!("{width} x {height}");
    let mut rows = vec![vec![
        "size".to_owned(),
        format!("{} pixels", size(&scene.size)),
    ]];
    rows.extend(reading_rows(&scene.reading));
    let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    row("read at once", format!("{} pixels", size(&scene.block)));
    let smaller: Vec<_> = scene.overviews.iter().skip(1).map(size).collect();
    if !smaller.is_empty() {
        row("smaller copies", smaller.join(", "));
    }
    let projection = scene.projection.clone();
    row(
        "coordinate system",
        projection.unwrap_or_else(|| "none".to_owned()),
    );
    row(
        "windows",
        format!("{} of {tile} x {tile} pixels", scene.windows),
    );
    rows
}
