//! What a job would go through, found from names and headers alone.

use serde::Serialize;

use super::JobConfig;
use super::input::{Contents, Inputs};
use super::job::scenes;
use super::skipped::{SkipKind, Skipped};
use super::stop::Stop;
use satmip::{Error, Result};

/// Most refusals that a survey keeps with their reasons.
const MOST_NAMED: usize = 20;

/// What was found. Pictures themselves are not read: some may prove damaged, or have too few valid pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
    /// Scenes of another time or place than was asked for.
    pub outside: u64,
    /// Files in folders and archives whose name is no image's.
    pub ignored: u64,
}

/// Goes through the inputs of a job without embedding anything.
///
/// # Errors
/// [`Error::Input`] when the inputs cannot be listed, [`Error::Argument`] for a stream, which can be read only once,
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
            Contents::Object(_) => {
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
    (found.outside, found.ignored) = (listing.outside, listing.ignored);
    Ok(found)
}
