//! What a job would go through, found from names and headers alone.

use std::ops::ControlFlow;

use serde::Serialize;

use super::JobConfig;
use super::input::{Contents, Inputs, OpenScene};
use super::job::{empty, scenes};
use super::skipped::{SkipKind, Skipped};
use super::stop::Stop;
use satmip::image::{Reading, Resolution, RgbImage};
use satmip::{Error, Result};

/// Most refusals that a survey keeps with their reasons.
const MOST_NAMED: usize = 20;

/// Most scenes that a survey describes.
const MOST_SCENES: usize = 20;

/// A scene as its header and its item have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SceneFacts {
    /// Its name in the output.
    pub id: String,
    /// Its file, or those of its bands.
    pub source: String,
    /// Width and height in pixels, of the copy that is read.
    pub size: (u32, u32),
    /// Width and height of what is decoded at once.
    pub block: (u32, u32),
    /// Widths and heights of the whole picture and of its smaller copies.
    pub overviews: Vec<(u32, u32)>,
    /// The code of its coordinate system, as `EPSG:32633`.
    pub projection: Option<String>,
    /// How its samples become a picture, and why.
    pub reading: Reading,
    /// Bytes of its files.
    pub bytes: u64,
    /// Windows that are wanted.
    pub windows: u64,
}

/// What was found. Pictures themselves are not read: some may prove damaged, or have too few valid pixels.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// Scenes that are cut into windows.
    pub scenes: u64,
    /// Windows, or pictures where nothing is cut.
    pub items: u64,
    /// Bytes of the pictures' or scenes' files, as far as they have any; of pictures of servers and stores, which would
    /// have to be asked for one by one, none.
    pub bytes: u64,
    /// Items that would be left out, by what can be told now.
    pub refused: u64,
    /// The first of them.
    pub first_refused: Vec<Skipped>,
    /// The first scenes.
    pub first_scenes: Vec<SceneFacts>,
    /// Scenes of another time or place than was asked for.
    pub outside: u64,
    /// Files in folders and archives whose name is no image's.
    pub ignored: u64,
}

/// Goes through the inputs of a job without embedding anything.
///
/// # Errors
/// [`Error::Input`] when the inputs cannot be listed or hold nothing, [`Error::Argument`] for a stream, which can be read only once,
/// [`Error::Interrupted`] when the job is stopped.
pub fn survey(config: &JobConfig) -> Result<Survey> {
    let stop = Stop::new(&config.stop);
    let inputs = Inputs::open_until(&stop, &config.inputs)?.cut(scenes(config)?);
    if inputs.streamed() {
        return Err(Error::Argument {
            what: "inputs",
            reason: "a stream can be read only once".into(),
        });
    }
    let mut found = Survey::default();
    let listing = inputs.visit(&mut |item| {
        let first = item.is_first();
        let refused = match &item.source {
            Contents::Window { scene, .. } => {
                found.items += 1;
                if first {
                    found.scenes += 1;
                    found.bytes += scene.bytes();
                    if found.first_scenes.len() < MOST_SCENES {
                        found.first_scenes.push(facts(item.name(), scene));
                    }
                }
                if let (Some(last), true) = (
                    found.first_scenes.last_mut(),
                    found.scenes <= MOST_SCENES as u64,
                ) {
                    last.windows += 1;
                }
                None
            }
            Contents::Refused(error) => Some(Skipped::of(item.id, error)),
            Contents::Fault(kind, reason) => {
                Some((*kind, reason.clone())).map(|(kind, reason)| Skipped {
                    id: item.id,
                    kind,
                    reason,
                    hint: None,
                })
            }
            Contents::Item(_) => Some(Skipped {
                id: item.id,
                kind: SkipKind::Option,
                reason: "a STAC item is of a scene: say how large its windows are".into(),
                hint: None,
            }),
            Contents::File(path) => {
                found.items += 1;
                found.bytes += std::fs::metadata(path).map_or(0, |facts| facts.len());
                None
            }
            Contents::Object(_) | Contents::Planned(_) | Contents::Listed { .. } => {
                found.items += 1;
                None
            }
            Contents::Member { size, .. } => {
                found.items += 1;
                found.bytes += size;
                None
            }
            Contents::Bytes(bytes) => {
                found.items += 1;
                found.bytes += bytes.len() as u64;
                None
            }
        };
        if let Some(refused) = refused {
            found.refused += 1;
            if found.first_refused.len() < MOST_NAMED {
                found.first_refused.push(refused);
            }
        }
        stop.flow()
    })?;
    if stop.is_raised() {
        return Err(Error::Interrupted);
    }
    if listing.items == 0 {
        return Err(empty(config, &listing));
    }
    (found.outside, found.ignored) = (listing.outside, listing.ignored);
    Ok(found)
}

fn facts(id: &str, open: &OpenScene) -> SceneFacts {
    let scene = &open.scene;
    SceneFacts {
        id: id.to_owned(),
        source: open.source.clone(),
        size: (scene.width(), scene.height()),
        block: scene.block(),
        overviews: scene.overviews().to_vec(),
        projection: scene.projection(),
        reading: scene.reading().clone(),
        bytes: open.bytes(),
        windows: 0,
    }
}

/// The first scene of a job's inputs as a picture of at most so many pixels a side, as the model would see it.
///
/// # Errors
/// As [`survey`]; also where no scene can be opened, or its data cannot be decoded.
pub fn preview(config: &JobConfig, side: u32) -> Result<RgbImage> {
    let stop = Stop::new(&config.stop);
    let inputs = Inputs::open_until(&stop, &config.inputs)?.cut(scenes(config)?);
    let (mut seen, mut refused) = (None, None);
    let (mut smaller, is_full) = (None, config.reading.resolution == Resolution::Full);
    inputs.visit(&mut |item| {
        match item.source {
            Contents::Window { scene, .. } => {
                match scene.scene.resolution_for(side) {
                    Resolution::Overview(number) if is_full => smaller = Some(number),
                    _ => seen = Some(scene.scene.preview(side)),
                }
                return ControlFlow::Break(());
            }
            Contents::Refused(error) => {
                refused.get_or_insert(*error);
            }
            Contents::Fault(_, reason) => {
                refused.get_or_insert(Error::Input {
                    input: item.id,
                    reason,
                    source: None,
                });
            }
            _ => {}
        }
        stop.flow()
    })?;
    if let Some(number) = smaller {
        let mut config = config.clone();
        config.reading.resolution = Resolution::Overview(number);
        return preview(&config, side);
    }
    match (seen, refused) {
        (Some(picture), _) => picture,
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::Input {
            input: "the inputs".into(),
            reason: "no scene there".into(),
            source: None,
        }),
    }
}
