//! Windows of scenes.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use super::Contents;
use super::known::{self, Known};
use crate::assets::{Chosen, ItemFacts, SceneOptions};
use crate::location::{Location, shown};
use crate::remote::Remote;
use crate::skipped::SkipKind;
use satmip::image::Region;
use satmip::parts::guard::guarded;
use satmip::scene::{RangeReader, RasterFile, Scene};
use satmip::{Error, ImageFault, Metadata, Timestamp};

/// A scene of which windows are read.
#[derive(Debug)]
pub(crate) struct OpenScene {
    pub(crate) scene: Scene,
    /// Where it is, as the input has it.
    pub(crate) source: String,
    bytes: u64,
    /// What servers call the state of its files; empty where all are of this machine.
    pub(super) versions: String,
    /// How long those of this machine are, and when they were changed.
    modified: String,
    /// The item that it is of.
    pub(crate) item: Option<Arc<ItemFacts>>,
    /// Its file, where it is of no item.
    pub(crate) place: Option<Location>,
}

/// Which windows of a scene are sent, of those that are wanted.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) windows: Range<u64>,
    /// What its files were when somebody chose; empty where nobody did.
    pub(super) state: String,
    /// Of a plan: the scene that was read last, and what tells this one from others.
    pub(super) kept: Option<(Arc<Kept>, String)>,
}

/// The scene that was read last, for the next block of a plan, which may begin in it: its blocks are decoded already.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<(String, Arc<OpenScene>)>>);

impl Kept {
    /// The scene of a key: the one that was read last, else what `open` gives.
    fn get(
        &self,
        key: String,
        open: impl FnOnce() -> Result<Arc<OpenScene>, Contents>,
    ) -> Result<Arc<OpenScene>, Contents> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, scene)) = kept.as_ref().filter(|(own, _)| *own == key) {
            return Ok(Arc::clone(scene));
        }
        // The last one goes before the next one comes.
        *kept = None;
        let scene = open()?;
        *kept = Some((key, Arc::clone(&scene)));
        Ok(scene)
    }
}

impl Default for Slice {
    /// All of them.
    fn default() -> Self {
        Slice {
            windows: 0..u64::MAX,
            state: String::new(),
            kept: None,
        }
    }
}

impl OpenScene {
    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What tells this state of its files from another.
    pub(crate) fn state(&self) -> String {
        format!("{} bytes\n{}{}", self.bytes, self.versions, self.modified)
    }

    /// What a later listing need not open it for, but for its windows.
    fn learned(&self, key: u128) -> known::Learned {
        known::Learned {
            key: format!("{key:032x}"),
            state: self.state(),
            versions: self.versions.clone(),
            modified: self.modified.clone(),
            size: (self.scene.width(), self.scene.height()),
            wanted: Vec::new(),
        }
    }

    /// Whether servers or stores have its files.
    pub(crate) fn is_far(&self) -> bool {
        !self.versions.is_empty()
    }

    /// What its item says.
    pub(crate) fn metadata(&self) -> Option<Result<&Metadata, &str>> {
        let item = self.item.as_ref()?;
        Some(item.metadata.as_ref().map_err(String::as_str))
    }
}

/// How scenes are opened, and what is known of those that were.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) options: &'a SceneOptions,
    pub(super) remote: &'a Remote,
    pub(super) known: Option<&'a Known>,
}

/// Sends the windows of a file or of an item, or what is wrong with it.
///
/// The header alone is read; windows of one visit share the scene, which is closed after the last of them.
pub(super) fn visit(
    id: String,
    source: Contents,
    opening: Opening<'_>,
    slice: Slice,
    outside: &mut u64,
    send: &mut dyn FnMut(String, Contents) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Opening {
        options,
        remote,
        known,
    } = opening;
    if let Some(span) = &options.time {
        match taken(&source) {
            Some(Ok((from, to))) if span.touches(from, to) => {}
            Some(Ok(_)) => {
                *outside += 1;
                return ControlFlow::Continue(());
            }
            Some(Err(reason)) => return send(id, Contents::Fault(SkipKind::Option, reason)),
            None => {}
        }
    }
    if options.classes.is_some() && matches!(source, Contents::File(_) | Contents::Object(_)) {
        let reason = "an asset that tells clouds was asked for, which only STAC items have";
        return send(id, Contents::Fault(SkipKind::Option, reason.into()));
    }
    if let Some(found) = known.and_then(|known| known.get(&source, options)) {
        return known::visit(&id, source, found, options, outside, send);
    }
    let key = known.and_then(|_| known::key(&source));
    let open = || opened(&id, source, options, remote).map(Arc::new);
    let scene = match slice.kept {
        Some((kept, key)) => kept.get(key, open),
        None => open(),
    };
    let scene = match scene {
        Ok(scene) => scene,
        Err(contents) => return send(id, contents),
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
    let changed = !slice.state.is_empty() && slice.state != scene.state();
    let (mut first, mut number) = (true, 0_u64);
    let mut learned = key.map(|key| scene.learned(key));
    for (at, window) in (0..).zip(tiling.windows(width, height)) {
        if options.has_ground() {
            let Some(place) = scene.scene.footprint(window) else {
                if scene.scene.projection().is_some() {
                    continue;
                }
                let fault = match scene.scene.misplaced() {
                    Some(reason) => {
                        format!("a place was asked for, and its own cannot be read: {reason}")
                    }
                    None => "a place was asked for, and it has none on the ground".to_owned(),
                };
                return refuse(id, ImageFault::Option(fault), send);
            };
            if !options.wants(&place) {
                continue;
            }
        }
        if let Some(learned) = &mut learned {
            learned.add(at);
        }
        number += 1;
        if number <= slice.windows.start {
            continue;
        }
        if number > slice.windows.end {
            break;
        }
        let source = match changed {
            true => {
                let reason = "its files changed since the plan was made";
                Contents::Fault(SkipKind::Other, reason.into())
            }
            false => Contents::Window {
                scene: Arc::clone(&scene),
                window,
                first,
                leads: number == 1,
            },
        };
        first = false;
        send(window_name(&id, window), source)?;
    }
    if let (Some(known), Some(learned)) = (known, learned) {
        known.add(learned);
    }
    *outside += u64::from(first);
    ControlFlow::Continue(())
}

/// Opens the scene of an entry.
///
/// # Errors
/// What is sent instead.
fn opened(
    id: &str,
    source: Contents,
    options: &SceneOptions,
    remote: &Remote,
) -> Result<OpenScene, Contents> {
    match source {
        Contents::File(path) => open(&Location::File(path), remote, id.to_owned(), options),
        Contents::Object(url) => {
            let name = shown(&url);
            open(&Location::Remote(url), remote, name, options)
        }
        Contents::Item(item) => {
            let files = item.files(options);
            let files = files.and_then(|files| Ok((files, item.classes(options)?)));
            let (chosen, classes) =
                files.map_err(|reason| Contents::Fault(SkipKind::Option, reason))?;
            open_item(&item, &chosen, classes.as_ref(), remote, options)
        }
        fault @ Contents::Fault(..) => Err(fault),
        _ => {
            let fault = "a scene inside of an archive, of which windows are to be read (unpack the archive),";
            Err(refused(id, ImageFault::Unsupported(fault.into())))
        }
    }
}

/// From when to when a scene was taken, or why that cannot be said; none for what is no scene.
fn taken(source: &Contents) -> Option<Result<(Timestamp, Timestamp), String>> {
    let item = match source {
        Contents::Item(item) => item,
        Contents::Fault(..) | Contents::Refused(_) => return None,
        _ => {
            let reason = "a time was asked for, which only STAC items state";
            return Some(Err(reason.to_owned()));
        }
    };
    Some(match &item.metadata {
        Ok(metadata) => {
            let moment = metadata.timestamp().map(|time| (time, time));
            // A composite is of a span.
            let bound = |key: &str| {
                let text = item.item.get("properties")?.get(key)?.as_str()?;
                text.parse::<Timestamp>().ok()
            };
            let span = || Some((bound("start_datetime")?, bound("end_datetime")?));
            let found = moment.or_else(span);
            found.ok_or_else(|| "a time was asked for, and the item states none".to_owned())
        }
        Err(reason) => Err(reason.clone()),
    })
}

/// Where the pixels of an item are.
enum Rasters {
    One(RasterFile),
    Bands(Box<[RasterFile; 3]>),
}

/// How long a file is and when it was changed, as a line; empty where it is not there.
pub(super) fn modified(path: &Path) -> String {
    let Ok(facts) = std::fs::metadata(path) else {
        return String::new();
    };
    let since = facts.modified().ok();
    let since = since.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!(
        "{} {}\n",
        facts.len(),
        since.map_or(0, |since| since.as_nanos())
    )
}

/// What an item of a window is called.
pub(super) fn window_name(id: &str, window: Region) -> String {
    let (left, top, tile) = (window.left, window.top, window.width);
    format!("{id}#{left},{top},{tile},{tile}")
}

/// The files of a scene, as they are opened.
struct Files<'a> {
    remote: &'a Remote,
    bytes: u64,
    versions: String,
    modified: String,
}

impl<'a> Files<'a> {
    fn of(remote: &'a Remote) -> Self {
        Files {
            remote,
            bytes: 0,
            versions: String::new(),
            modified: String::new(),
        }
    }

    /// A file to be read in ranges.
    ///
    /// # Errors
    /// What is sent where it cannot be had.
    fn raster(&mut self, place: &Location) -> Result<RasterFile, Contents> {
        match place {
            Location::File(path) => {
                self.bytes += std::fs::metadata(path).map_or(0, |facts| facts.len());
                self.modified.push_str(&modified(path));
                Ok(RasterFile::from(path))
            }
            Location::Remote(url) => {
                let object = self.remote.object(url);
                let named = |reason: String| format!("`{}`: {reason}", shown(url));
                let object =
                    object.map_err(|fault| Contents::Fault(fault.kind, named(fault.reason)))?;
                self.bytes += object.size();
                self.versions.push_str(object.version());
                self.versions.push('\n');
                Ok(RasterFile::of_ranges(object.name().to_owned(), object))
            }
        }
    }
}

/// Opens a scene of one file.
///
/// # Errors
/// What is sent instead.
fn open(
    place: &Location,
    remote: &Remote,
    source: String,
    options: &SceneOptions,
) -> Result<OpenScene, Contents> {
    let mut files = Files::of(remote);
    let file = files.raster(place)?;
    let scene = safely(&source, || Scene::open(file, &options.reading))?;
    Ok(OpenScene {
        scene,
        source,
        bytes: files.bytes,
        versions: files.versions,
        modified: files.modified,
        item: None,
        place: Some(place.clone()),
    })
}

/// Opens an item's files.
///
/// # Errors
/// What is sent instead.
fn open_item(
    item: &Arc<ItemFacts>,
    chosen: &Chosen,
    classes: Option<&Location>,
    remote: &Remote,
    options: &SceneOptions,
) -> Result<OpenScene, Contents> {
    chosen.files.iter().chain(classes).for_each(|place| {
        if let Location::Remote(url) = place {
            remote.announce(url);
        }
    });
    let mut files = Files::of(remote);
    let rasters = match chosen.files.as_slice() {
        [red, green, blue] => {
            let bands = [
                files.raster(red)?,
                files.raster(green)?,
                files.raster(blue)?,
            ];
            Rasters::Bands(Box::new(bands))
        }
        [one] => Rasters::One(files.raster(one)?),
        other => {
            let reason = format!("{} assets, where one or three are wanted", other.len());
            return Err(Contents::Fault(SkipKind::Option, reason));
        }
    };
    let bytes = files.bytes;
    let classes = classes.map(|place| files.raster(place)).transpose()?;
    let mut reading = options.reading;
    reading.scale = chosen.scale;
    reading.bands = chosen.bands;
    let scene = safely(&item.id, || {
        let mut scene = match rasters {
            Rasters::One(file) => Scene::open(file, &reading)?,
            Rasters::Bands(files) => {
                let names = [0, 1, 2].map(|at| chosen.names[at].as_str());
                Scene::of_bands(*files, names, &reading)?
            }
        };
        if let Some(classes) = classes {
            scene = scene.with_classes(classes)?;
        }
        if let Some(why) = &chosen.why {
            scene.explain(why);
        }
        Ok(scene)
    })?;
    Ok(OpenScene {
        scene,
        source: chosen.hrefs.join(" "),
        bytes,
        versions: files.versions,
        modified: files.modified,
        item: Some(Arc::clone(item)),
        place: None,
    })
}

/// What `open` gives; a panic of the decoder on a hostile file is a fault of this scene.
fn safely(id: &str, open: impl FnOnce() -> satmip::Result<Scene>) -> Result<Scene, Contents> {
    let refused = |error: Error| match error {
        // Of the files of an item the one that is meant.
        Error::Image {
            item,
            fault: fault @ ImageFault::Unreadable(_),
        } if item != id => {
            let (kind, reason) = SkipKind::of(&Error::Image {
                item: item.clone(),
                fault,
            });
            Contents::Fault(kind, format!("`{item}`: {reason}"))
        }
        error => Contents::Refused(Box::new(error)),
    };
    match guarded(open) {
        Ok(opened) => opened.map_err(refused),
        Err(said) => Err(refused(Error::Image {
            item: id.to_owned(),
            fault: ImageFault::DecoderPanicked(said),
        })),
    }
}

fn refuse(
    id: String,
    fault: ImageFault,
    send: &mut dyn FnMut(String, Contents) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let refused = refused(&id, fault);
    send(id, refused)
}

/// What stands for a scene with a fault.
fn refused(id: &str, fault: ImageFault) -> Contents {
    Contents::Refused(Box::new(Error::Image {
        item: id.to_owned(),
        fault,
    }))
}
