//! What a job embeds: images of folders, text lists, tar archives and single files, or windows of them, in one order.
//!
//! ```text
//! path or address --root--> folder, list, tar, stream, stac, table --> entries --scene--> items --read--> bytes
//! ```
//!
//! Nothing here holds the list of all items. [`Inputs::visit`] goes through them one after another
//! and can do so again (streams excepted), which is how a job counts and fingerprints its input
//! before it reads a single picture.

mod folder;
mod item;
mod known;
mod list;
mod name;
mod read;
mod root;
mod scene;
mod stac;
mod stream;
mod table;
mod tar;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::HashSet;
#[cfg(test)]
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use url::Url;

pub(crate) use self::item::{Chain, Contents, Item, Record};
pub(crate) use self::known::Known;
pub use self::name::EXTENSIONS;
pub(crate) use self::name::{bytes_path, path_bytes};
use self::name::{has_image_extension, is_hidden, readable};
pub(crate) use self::read::read;
pub(crate) use self::root::shown_input;
use self::root::{Kind, Root, from_address, from_path, from_stream};
use self::scene::Slice;
pub(crate) use self::scene::{Kept, OpenScene};
use self::waiting::Waiting;
use super::skipped::SkipKind;
use super::stop::Stop;
use crate::area::Area;
use crate::assets::SceneOptions;
use crate::location::{Location, shown};
use crate::plan;
use crate::remote::Remote;
use satmip::{Error, Result};

/// What going through the input found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Listing {
    /// Items, bad ones included.
    pub(crate) items: u64,
    /// Files left aside because their name is no image's.
    pub(crate) ignored: u64,
    /// Scenes of another time, or without a window on the ground that is wanted.
    pub(crate) outside: u64,
    /// Fingerprint of all items.
    pub(crate) chain: Chain,
}

/// The inputs of a job, opened and not gone through yet.
#[derive(Debug)]
pub(crate) struct Inputs {
    roots: Vec<Root>,
    /// What is read of servers and stores.
    remote: Remote,
    /// The scene that was read last, of blocks of a plan.
    kept: Arc<Kept>,
    /// Of a list that was begun before: scenes that were opened for it.
    known: Option<Known>,
    /// How scenes are cut into windows, and how they are read; none where each file is one picture.
    windows: Option<SceneOptions>,
}

/// A name and where its bytes are, as one folder, list or archive gives it.
struct Entry {
    name: Vec<u8>,
    source: Contents,
}

/// Receives entries; `ignored` counts what was left aside.
struct Sink<'a> {
    entry: &'a mut dyn FnMut(Entry) -> ControlFlow<()>,
    ignored: &'a mut u64,
}

impl Inputs {
    /// Opens inputs: folders, `.txt` lists, `.tar` archives, image files, and `-` for standard
    /// input (a list of paths, or an archive, told apart by its first bytes).
    ///
    /// Whoever reads from a pipe looks at `stop` while it waits.
    pub(crate) fn open_until(stop: &Stop, paths: &[PathBuf]) -> Result<Self> {
        if paths.is_empty() {
            return Err(Error::Argument {
                what: "inputs",
                reason: "none were given".into(),
            });
        }
        let stdin = Path::new("-");
        if paths.iter().filter(|p| *p == stdin).count() > 1 {
            return Err(Error::Argument {
                what: "inputs",
                reason: "`-` (standard input) can be read only once".into(),
            });
        }
        // One input needs no prefix: its own names are unique and nicer.
        let several = paths.len() > 1;
        let roots = paths.iter().map(|path| {
            let place =
                Location::given(path).map_err(|reason| refused(&shown_input(path), reason))?;
            let kind = match &place {
                Location::Remote(url) => from_address(url),
                Location::File(_) if path == stdin => {
                    from_stream(Box::new(std::io::stdin()), "-", stop)?
                }
                Location::File(path) => from_path(path, stop)?,
            };
            let mut label = Vec::new();
            if several && !matches!(kind, Kind::Single(_) | Kind::Object(_) | Kind::List(_)) {
                label = match &place {
                    Location::File(path) => path_bytes(path),
                    Location::Remote(url) => shown(url).into_bytes(),
                };
                while label.last() == Some(&b'/') {
                    label.pop();
                }
                label.push(b'/');
            }
            let place = Root::place(path, &kind);
            Ok(Root { label, place, kind })
        });
        Ok(Inputs {
            roots: roots.collect::<Result<_>>()?,
            remote: Remote::default(),
            kept: Arc::default(),
            known: None,
            windows: None,
        })
    }

    /// Each file is a scene, of which windows are items.
    pub(crate) fn cut(mut self, scenes: Option<SceneOptions>) -> Self {
        self.windows = scenes;
        self
    }

    /// Scenes that are known are not opened, and others become known.
    pub(crate) fn knowing(mut self, known: Option<Known>) -> Self {
        self.known = known;
        self
    }

    /// What is known of scenes.
    pub(crate) fn known(self) -> Option<Known> {
        self.known
    }

    /// Inputs that nobody stops.
    #[cfg(test)]
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self> {
        Self::open_until(&Stop::default(), paths)
    }

    /// An archive that comes from a reader.
    #[cfg(test)]
    pub(super) fn of_stream(reader: Box<dyn Read + Send>, stop: &Stop) -> Result<Self> {
        let (label, kind) = (Vec::new(), from_stream(reader, "-", stop)?);
        Ok(Inputs {
            windows: None,
            remote: Remote::default(),
            kept: Arc::default(),
            known: None,
            roots: vec![Root {
                label,
                place: None,
                kind,
            }],
        })
    }

    /// Where windows are wanted, if that was said by polygons.
    pub(crate) fn area(&self) -> Option<&Area> {
        self.windows.as_ref()?.area.as_ref()
    }

    /// What is read of servers and stores.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The entries of a block of a plan.
    pub(crate) fn planned(entries: Vec<plan::Entry>, remote: Remote, kept: Arc<Kept>) -> Self {
        Inputs {
            roots: vec![Root {
                label: Vec::new(),
                place: None,
                kind: Kind::Planned(entries),
            }],
            remote,
            kept,
            known: None,
            windows: None,
        }
    }

    /// Whether nobody goes through the inputs beforehand: streams could not be read again, and plans know all that could
    /// be found.
    pub(crate) fn is_once(&self) -> bool {
        self.streamed()
            || self
                .roots
                .iter()
                .any(|root| matches!(root.kind, Kind::Planned(_)))
    }

    /// Whether an input is a stream, which cannot be gone through twice.
    pub(crate) fn streamed(&self) -> bool {
        self.roots.iter().any(|r| matches!(r.kind, Kind::Stream(_)))
    }

    /// Calls `receive` for every item in order until it breaks off. The same files give the same
    /// items in the same order every time. The second item of a name is a fault.
    pub(crate) fn visit(
        &self,
        receive: &mut dyn FnMut(Item) -> ControlFlow<()>,
    ) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut stopped = false;
        // A folder by itself cannot hold a name twice, save through escapes.
        let unique = matches!(self.roots.as_slice(), [one] if matches!(one.kind, Kind::Folder(_)));
        let mut seen: HashSet<u128> = HashSet::new();
        for root in &self.roots {
            let (mut ignored, mut outside) = (0, 0);
            let mut entry = |entry: Entry| {
                let mut source = entry.source;
                let (label, _) = readable(&root.label);
                let (name, escaped) = readable(&entry.name);
                let mut id = label + &name;
                // Ids of items are their collection's.
                if let Contents::Item(item) = &source
                    && let Some(collection) = &item.collection
                    && seen.contains(&short_hash(&id))
                {
                    id = format!("{collection}/{id}");
                }
                if (!unique || id.contains("\\x")) && !seen.insert(short_hash(&id)) {
                    source = Contents::Fault(
                        SkipKind::Duplicate,
                        "an earlier item has the same name".into(),
                    );
                }
                let place = root.place.as_ref().map(|place| {
                    let place = place.join(bytes_path(&entry.name));
                    readable(&path_bytes(&place)).0
                });
                let name = id.len();
                let (mut slice, mut record) = (None, None);
                if let Contents::Planned(planned) = source {
                    record.clone_from(&planned.record);
                    source = planned
                        .contents()
                        .unwrap_or_else(|(kind, reason)| Contents::Fault(kind, reason));
                    slice = Some(Slice {
                        kept: Some((Arc::clone(&self.kept), planned.key())),
                        windows: planned.skip..planned.skip + planned.take,
                        state: planned.state,
                    });
                }
                let mut send = |id: String, source: Contents| {
                    let chain = listing.chain.next(&id, &source);
                    let item = Item {
                        index: listing.items,
                        name,
                        id,
                        escaped,
                        source,
                        place: place.clone(),
                        record: record.clone(),
                        chain,
                    };
                    listing.items += 1;
                    listing.chain = chain;
                    let flow = receive(item);
                    stopped = flow.is_break();
                    flow
                };
                match &self.windows {
                    Some(options) => {
                        let slice = slice.unwrap_or_default();
                        let opening = scene::Opening {
                            options,
                            remote: &self.remote,
                            known: self.known.as_ref(),
                        };
                        scene::visit(id, source, opening, slice, &mut outside, &mut send)
                    }
                    None => send(id, source),
                }
            };
            let mut waiting =
                Waiting::of(&self.remote, self.known.as_ref(), self.windows.is_some());
            let mut later = |found: Entry| waiting.push(found, &mut entry);
            let mut sink = Sink {
                entry: &mut later,
                ignored: &mut ignored,
            };
            match &root.kind {
                Kind::Folder(path) => folder::visit(path, &mut sink)?,
                Kind::Single(path) => {
                    let _ = (sink.entry)(Entry {
                        name: path_bytes(path),
                        source: Contents::File(path.clone()),
                    });
                }
                Kind::List(list) => list.visit(&mut sink)?,
                Kind::Archive(archive) => tar::visit_file(archive, &mut sink)?,
                Kind::Catalogue(place) => stac::visit(place, &self.remote, &mut sink)?,
                Kind::Planned(entries) => {
                    let _ = entries.iter().try_for_each(|entry| {
                        (sink.entry)(Entry {
                            name: entry.name.clone().into_bytes(),
                            source: Contents::Planned(Box::new(entry.clone())),
                        })
                    });
                }
                Kind::Table(path) => table::visit(path, &mut sink)?,
                Kind::Object(url) => {
                    let _ = (sink.entry)(Entry {
                        name: shown(url).into_bytes(),
                        source: Contents::Object(url.clone()),
                    });
                }
                Kind::Below(url) => below(url, &self.remote, &mut sink)?,
                Kind::Stream(reader) => {
                    let reader = reader.lock().ok().and_then(|mut r| r.take());
                    let reader = reader.ok_or_else(|| Error::Input {
                        input: "-".into(),
                        reason: "a stream can be read only once".into(),
                        source: None,
                    })?;
                    tar::visit_stream(reader, &mut sink)?;
                }
            }
            let _ = waiting.finish(&mut entry);
            listing.ignored += ignored;
            listing.outside += outside;
            if stopped {
                break;
            }
        }
        Ok(listing)
    }
}

/// The images of a store below an address.
fn below(url: &Url, remote: &Remote, sink: &mut Sink<'_>) -> Result<()> {
    let listed = remote.list(url, &mut |name, url| {
        let name = name.as_bytes();
        if is_hidden(name) || !has_image_extension(name) {
            *sink.ignored += 1;
            return ControlFlow::Continue(());
        }
        (sink.entry)(Entry {
            name: name.to_vec(),
            source: Contents::Object(url),
        })
    });
    listed.map_err(|fault| refused(&shown(url), fault.reason))
}

fn refused(input: &str, reason: String) -> Error {
    Error::Input {
        input: input.to_owned(),
        reason,
        source: None,
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Input {
        input: path.display().to_string(),
        reason: "cannot be read".into(),
        source: Some(source.into()),
    }
}

fn short_hash(id: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    digest[..16]
        .iter()
        .fold(0, |n, b| (n << 8) | u128::from(*b))
}
