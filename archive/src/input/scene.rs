//! Windows of scenes.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Contents;
use crate::assets::{ItemFacts, SceneOptions};
use crate::skipped::SkipKind;
use satmip::parts::guard::guarded;
use satmip::scene::Scene;
use satmip::{Error, ImageFault, Metadata, Timestamp};

/// A scene of which windows are read.
#[derive(Debug)]
pub(crate) struct OpenScene {
    pub(crate) scene: Scene,
    /// Where it is, as the input has it.
    pub(crate) source: String,
    bytes: u64,
    /// The item that it is of.
    pub(crate) item: Option<Arc<ItemFacts>>,
}

impl OpenScene {
    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What its item says.
    pub(crate) fn metadata(&self) -> Option<Result<&Metadata, &str>> {
        let item = self.item.as_ref()?;
        Some(item.metadata.as_ref().map_err(String::as_str))
    }
}

/// Sends the windows of a file or of an item, or what is wrong with it.
///
/// The header alone is read; windows of one visit share the scene, which is closed after the last of them.
pub(super) fn visit(
    id: String,
    source: Contents,
    options: &SceneOptions,
    outside: &mut u64,
    send: &mut dyn FnMut(String, Contents) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if let Some(span) = &options.time {
        match taken(&source) {
            Some(Ok(time)) if span.holds(time) => {}
            Some(Ok(_)) => {
                *outside += 1;
                return ControlFlow::Continue(());
            }
            Some(Err(reason)) => return send(id, Contents::Fault(SkipKind::Option, reason)),
            None => {}
        }
    }
    let opened = match source {
        Contents::File(path) => guarded(|| {
            Ok(OpenScene {
                scene: Scene::open(&path, &options.reading)?,
                source: id.clone(),
                bytes: bytes_of(std::slice::from_ref(&path)),
                item: None,
            })
        }),
        Contents::Item(item) => match item
            .files(options)
            .and_then(|files| Ok((files, item.classes(options)?)))
        {
            Ok((chosen, classes)) => guarded(|| {
                let mut reading = options.reading;
                reading.scale = chosen.scale;
                let mut scene = match chosen.paths.as_slice() {
                    [red, green, blue] => {
                        let names = [0, 1, 2].map(|at| chosen.names[at].as_str());
                        let paths: [&Path; 3] = [red, green, blue];
                        Scene::of_bands(paths, names, &reading)?
                    }
                    _ => Scene::open(chosen.first(), &reading)?,
                };
                if let Some(classes) = &classes {
                    scene = scene.with_classes(classes)?;
                }
                if let Some(why) = &chosen.why {
                    scene.explain(why);
                }
                Ok(OpenScene {
                    scene,
                    source: chosen.hrefs.join(" "),
                    bytes: bytes_of(&chosen.paths),
                    item: Some(Arc::clone(&item)),
                })
            }),
            Err(reason) => return send(id, Contents::Fault(SkipKind::Option, reason)),
        },
        fault @ Contents::Fault(..) => return send(id, fault),
        _ => {
            let fault = "a scene inside of an archive, of which windows are to be read (unpack the archive),";
            return refuse(id, ImageFault::Unsupported(fault.into()), send);
        }
    };
    let scene = match opened {
        Ok(Ok(scene)) => Arc::new(scene),
        Ok(Err(error)) => return send(id, Contents::Refused(Box::new(error))),
        Err(said) => return refuse(id, ImageFault::DecoderPanicked(said), send),
    };
    let (width, height) = (scene.scene.width(), scene.scene.height());
    let tiling = &options.tiling;
    if tiling.count(width, height) == 0 {
        let fault = format!(
            "{width} x {height} pixels hold no window of {0} x {0} (an edge of `shift` or `pad` fills it up)",
            tiling.tile
        );
        return refuse(id, ImageFault::Option(fault), send);
    }
    let mut first = true;
    for window in tiling.windows(width, height) {
        if let Some(wanted) = &options.bbox {
            let Some(place) = scene.scene.footprint(window) else {
                if scene.scene.projection().is_some() {
                    continue;
                }
                let fault = match scene.scene.misplaced() {
                    Some(reason) => {
                        format!("a box was asked for, and its place cannot be read: {reason}")
                    }
                    None => "a box was asked for, and it has no place on the ground".to_owned(),
                };
                return refuse(id, ImageFault::Option(fault), send);
            };
            if !wanted.touches(&place) {
                continue;
            }
        }
        let (left, top, tile) = (window.left, window.top, window.width);
        let source = Contents::Window {
            scene: Arc::clone(&scene),
            window,
            first,
        };
        first = false;
        send(format!("{id}#{left},{top},{tile},{tile}"), source)?;
    }
    *outside += u64::from(first);
    ControlFlow::Continue(())
}

/// When a scene was taken, or why that cannot be said; none for what is no scene.
fn taken(source: &Contents) -> Option<Result<Timestamp, String>> {
    let item = match source {
        Contents::Item(item) => item,
        Contents::Fault(..) | Contents::Refused(_) => return None,
        _ => {
            let reason = "a time was asked for, which only STAC items state";
            return Some(Err(reason.to_owned()));
        }
    };
    Some(match &item.metadata {
        Ok(metadata) => metadata
            .timestamp()
            .ok_or_else(|| "a time was asked for, and the item states none".to_owned()),
        Err(reason) => Err(reason.clone()),
    })
}

fn bytes_of(paths: &[PathBuf]) -> u64 {
    paths
        .iter()
        .map(|path| std::fs::metadata(path).map_or(0, |facts| facts.len()))
        .sum()
}

fn refuse(
    id: String,
    fault: ImageFault,
    send: &mut dyn FnMut(String, Contents) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let error = Error::Image {
        item: id.clone(),
        fault,
    };
    send(id, Contents::Refused(Box::new(error)))
}
