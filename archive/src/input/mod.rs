//! What a job embeds: images of folders, text lists, tar archives and single files, or windows of them, in one order.
//!
//! Nothing here holds the list of all items. [`Inputs::visit`] goes through them one after another
//! and can do so again (streams excepted), which is how a job counts and fingerprints its input
//! before it reads a single picture.

mod folder;
mod list;
mod name;
mod scene;
mod stac;
mod stream;
mod table;
mod tar;

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use url::Url;

use self::list::List;
pub use self::name::EXTENSIONS;
pub(crate) use self::name::{bytes_path, path_bytes};
use self::name::{has_image_extension, is_hidden, readable};
pub(crate) use self::scene::OpenScene;
use self::scene::Slice;
use self::stream::Stoppable;
use super::skipped::{SkipKind, Skipped};
use super::stop::Stop;
use crate::area::Area;
use crate::assets::{ItemFacts, SceneOptions};
use crate::location::{Location, shown};
use crate::plan;
use crate::remote::Remote;
use satmip::image::Region;
use satmip::metadata::read::is_stac_table;
use satmip::parts::sha256;
use satmip::parts::tar::TarFile;
use satmip::{Error, Result};

/// One picture to embed, found and not read yet.
#[derive(Debug)]
pub(crate) struct Item {
    /// Place in the input, from 0.
    pub(crate) index: u64,
    /// Name in the output: UTF-8, with `/` between its parts; of a window its scene's with the window behind it.
    pub(crate) id: String,
    /// How much of the id is the name of the file.
    name: usize,
    /// Whether the real name is no UTF-8 and `id` has escapes for the bytes that are not.
    pub(crate) escaped: bool,
    /// Where the picture's bytes are.
    pub(crate) source: Contents,
    /// Its whole path on this machine, where it has one: tables are made for other folders than those that are given.
    pub(crate) place: Option<String>,
    /// Fingerprint of the input up to and including this item.
    pub(crate) chain: Chain,
}

/// Where a picture's bytes are.
#[derive(Debug)]
pub(crate) enum Contents {
    /// A file, by its real name.
    File(PathBuf),
    /// An object of a server or store.
    Object(Url),
    /// A member of an archive.
    Member {
        archive: Arc<TarFile>,
        offset: u64,
        size: u64,
    },
    /// Bytes that came through a pipe.
    Bytes(Vec<u8>),
    /// A scene that a catalogue lists.
    Item(Arc<ItemFacts>),
    /// A part of a scene.
    Window {
        scene: Arc<OpenScene>,
        window: Region,
        /// Whether it is the first one of its scene.
        first: bool,
    },
    /// Some windows of a scene, or one file, as a plan has it.
    Planned(Box<plan::Entry>),
    /// A scene of which no window can be read.
    Refused(Box<Error>),
    /// Something that cannot be read, known before anybody tried.
    Fault(SkipKind, String),
}

/// A chained SHA-256 over the items' names: equal chains mean equal input up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chain([u8; 32]);

impl Chain {
    fn next(self, id: &str, source: &Contents) -> Chain {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((id.len() as u64).to_le_bytes());
        hash.update(id.as_bytes());
        match source {
            // Sizes of members cost nothing to know, and so tell one archive from another.
            Contents::Member { size, .. } => hash.update(size.to_le_bytes()),
            Contents::Bytes(bytes) => hash.update((bytes.len() as u64).to_le_bytes()),
            // A window is in its id; of what servers have, the state is known.
            Contents::Window { scene, .. } => hash.update(scene.versions.as_bytes()),
            Contents::File(_)
            | Contents::Object(_)
            | Contents::Item(_)
            | Contents::Planned(_)
            | Contents::Fault(..)
            | Contents::Refused(_) => {}
        }
        Chain(hash.finalize().into())
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        sha256::hex(&self.0)
    }

    /// What [`Chain::hex`] wrote.
    fn of_hex(text: &str) -> Option<Chain> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Chain(bytes))
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Chain::of_hex(&text).ok_or_else(|| serde::de::Error::custom("no sha256"))
    }
}

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
    /// How scenes are cut into windows, and how they are read; none where each file is one picture.
    windows: Option<SceneOptions>,
}

impl Item {
    /// The name of its file: its id, of a window without what says which it is.
    pub(crate) fn name(&self) -> &str {
        &self.id[..self.name]
    }

    /// Whether it is the first one of its file.
    pub(crate) fn is_first(&self) -> bool {
        match &self.source {
            Contents::Window { first, .. } => *first,
            _ => true,
        }
    }
}

#[derive(Debug)]
struct Root {
    label: Vec<u8>,
    /// The folder that the entries' names are relative to, where they have a place.
    place: Option<PathBuf>,
    kind: Kind,
}

impl Root {
    fn place(path: &Path, kind: &Kind) -> Option<PathBuf> {
        let whole = |path: &Path| match path.components().any(|c| c == Component::ParentDir) {
            true => std::fs::canonicalize(path).ok(),
            false => std::path::absolute(path).ok(),
        };
        match kind {
            Kind::Folder(_) => whole(path),
            // A folder's archive has the folder's name.
            Kind::Archive(_) => whole(path).map(|path| path.with_extension("")),
            Kind::Single(_) | Kind::List(_) | Kind::Catalogue(_) | Kind::Table(_) => {
                std::env::current_dir().ok()
            }
            Kind::Object(_) | Kind::Below(_) | Kind::Planned(_) | Kind::Stream(_) => None,
        }
    }
}

enum Kind {
    Folder(PathBuf),
    Single(PathBuf),
    List(List),
    Archive(Arc<TarFile>),
    /// STAC items.
    Catalogue(Location),
    /// Scenes on the rows of a table.
    Table(PathBuf),
    /// An object of a server or store.
    Object(Url),
    /// All images of a store below an address.
    Below(Url),
    /// Entries of a plan.
    Planned(Vec<plan::Entry>),
    /// An archive that comes through a pipe: gone once it is read.
    Stream(Mutex<Option<Box<dyn Read + Send>>>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Folder(_) => "Folder",
            Kind::Single(_) => "Single",
            Kind::List(_) => "List",
            Kind::Archive(_) => "Archive",
            Kind::Catalogue(_) => "Catalogue",
            Kind::Table(_) => "Table",
            Kind::Object(_) => "Object",
            Kind::Planned(_) => "Planned",
            Kind::Below(_) => "Below",
            Kind::Stream(_) => "Stream",
        })
    }
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
            windows: None,
        })
    }

    /// Each file is a scene, of which windows are items.
    pub(crate) fn cut(mut self, scenes: Option<SceneOptions>) -> Self {
        self.windows = scenes;
        self
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
    pub(crate) fn planned(entries: Vec<plan::Entry>, remote: Remote) -> Self {
        Inputs {
            roots: vec![Root {
                label: Vec::new(),
                place: None,
                kind: Kind::Planned(entries),
            }],
            remote,
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
                let id = label + &name;
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
                let mut slice = None;
                if let Contents::Planned(planned) = source {
                    source = planned
                        .contents()
                        .unwrap_or_else(|(kind, reason)| Contents::Fault(kind, reason));
                    slice = Some(Slice {
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
                        scene::visit(
                            id,
                            source,
                            options,
                            &self.remote,
                            slice,
                            &mut outside,
                            &mut send,
                        )
                    }
                    None => send(id, source),
                }
            };
            let mut waiting = Waiting::of(&self.remote, self.windows.is_some());
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

/// Entries that are held back while what servers have of them is being opened; each goes on in its turn.
struct Waiting<'a> {
    remote: &'a Remote,
    scenes: bool,
    entries: VecDeque<Entry>,
}

impl<'a> Waiting<'a> {
    /// Most that are held back (our choice).
    const MOST: usize = 8;

    fn of(remote: &'a Remote, scenes: bool) -> Self {
        Waiting {
            remote,
            scenes,
            entries: VecDeque::new(),
        }
    }

    fn push(
        &mut self,
        found: Entry,
        next: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match &found.source {
            Contents::Object(url) if self.scenes => self.remote.announce(url),
            Contents::Planned(entry) if self.scenes => match &entry.source {
                plan::Source::Object(url) => self.remote.announce(url),
                _ if self.entries.is_empty() => return next(found),
                _ => {}
            },
            _ if self.entries.is_empty() => return next(found),
            _ => {}
        }
        self.entries.push_back(found);
        match self.entries.len() > Waiting::MOST {
            true => self
                .entries
                .pop_front()
                .map_or(ControlFlow::Continue(()), next),
            false => ControlFlow::Continue(()),
        }
    }

    /// Hands on what is left. After a break nothing is wanted any more, and whoever receives breaks off again.
    fn finish(&mut self, next: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> ControlFlow<()> {
        self.entries.drain(..).try_for_each(next)
    }
}

/// Reads an item's bytes, at most `limit` of them.
pub(crate) fn read(item: Item, remote: &Remote, limit: u64) -> Result<Vec<u8>, Skipped> {
    let id = item.id;
    read_source(item.source, remote, limit).map_err(|(kind, reason)| Skipped {
        id,
        kind,
        reason,
        hint: None,
    })
}

fn read_source(
    source: Contents,
    remote: &Remote,
    limit: u64,
) -> Result<Vec<u8>, (SkipKind, String)> {
    match source {
        Contents::Fault(kind, reason) => Err((kind, reason)),
        Contents::Refused(error) => Err(SkipKind::of(&error)),
        Contents::Planned(_) => Err((
            SkipKind::Other,
            "an entry of a plan has no bytes of its own".into(),
        )),
        Contents::Item(_) => {
            let reason = "a STAC item is of a scene: say how large its windows are (`--tile 64`)";
            Err((SkipKind::Option, reason.into()))
        }
        Contents::Window { .. } => {
            Err((SkipKind::Other, "a window has no bytes of its own".into()))
        }
        Contents::Bytes(bytes) => Ok(bytes),
        Contents::Object(url) => {
            let read = remote.whole(&url, limit);
            read.map_err(|fault| (fault.kind, fault.reason))
        }
        Contents::Member {
            archive,
            offset,
            size,
        } => {
            within(size, limit)?;
            archive
                .read(offset, size)
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => (SkipKind::Damaged, error.to_string()),
                    _ => fault_of(&error),
                })
        }
        Contents::File(path) => {
            let facts = std::fs::metadata(&path).map_err(|e| fault_of(&e))?;
            if !facts.is_file() {
                return Err((SkipKind::Unreadable, "not a regular file".into()));
            }
            within(facts.len(), limit)?;
            let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0));
            let file = File::open(&path).map_err(|e| fault_of(&e))?;
            // A file can grow after it was measured.
            file.take(limit)
                .read_to_end(&mut bytes)
                .map_err(|e| fault_of(&e))?;
            Ok(bytes)
        }
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

/// What an address is of, by its scheme and ending.
fn from_address(url: &Url) -> Kind {
    let place = Location::Remote(url.clone());
    let name = place.file_name();
    if stac::is_one(&name) {
        return Kind::Catalogue(place);
    }
    if has_image_extension(name.as_bytes()) {
        return Kind::Object(url.clone());
    }
    match url.scheme() {
        // A page of an interface, as `/search` and `/items` are.
        "http" | "https" => Kind::Catalogue(place),
        _ => Kind::Below(url.clone()),
    }
}

/// An input as it is written, without secrets.
pub(crate) fn shown_input(path: &Path) -> String {
    match Location::given(path) {
        Ok(place) => place.to_string(),
        // Nobody knows what is secret in it.
        Err(_) => {
            let text = path.to_string_lossy();
            let plain = text.split(['?', '#']).next().unwrap_or_default();
            match plain.split_once("://").zip(plain.rsplit_once('@')) {
                Some(((scheme, _), (_, rest))) => format!("{scheme}://{rest}"),
                None => plain.to_owned(),
            }
        }
    }
}

fn refused(input: &str, reason: String) -> Error {
    Error::Input {
        input: input.to_owned(),
        reason,
        source: None,
    }
}

fn within(size: u64, limit: u64) -> Result<(), (SkipKind, String)> {
    if size > limit {
        let reason = format!(
            "{size} bytes are more than an image within the pixel limit can need ({limit})"
        );
        return Err((SkipKind::TooLarge, reason));
    }
    Ok(())
}

fn fault_of(error: &std::io::Error) -> (SkipKind, String) {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => SkipKind::Missing,
        _ => SkipKind::Unreadable,
    };
    (kind, error.to_string())
}

fn from_path(path: &Path, stop: &Stop) -> Result<Kind> {
    let input = || path.display().to_string();
    let facts = std::fs::metadata(path).map_err(|source| Error::Input {
        input: input(),
        reason: match source.kind() {
            std::io::ErrorKind::NotFound => "there is no such file or folder".into(),
            _ => "cannot be opened".into(),
        },
        source: Some(source.into()),
    })?;
    if facts.is_dir() {
        return Ok(Kind::Folder(path.to_owned()));
    }
    let name = input().to_ascii_lowercase();
    let packed = [".tgz", ".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip"];
    if packed.iter().any(|ending| name.ends_with(ending)) {
        return Err(Error::Input {
            input: input(),
            reason: "compressed archives are not read; unpack it, or pipe it through, for example \
                     `gzip -dc FILE.tar.gz | satmip embed -`"
                .into(),
            source: None,
        });
    }
    if !facts.is_file() {
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        return from_stream(Box::new(file), &input(), stop);
    }
    if name.ends_with(".tar") {
        return Ok(Kind::Archive(Arc::new(
            TarFile::open(path.to_owned(), true).map_err(|e| unreadable(path, e))?,
        )));
    }
    if table::is_one(&name) || (name.ends_with(".parquet") && !is_stac_table(path)?) {
        return Ok(Kind::Table(path.to_owned()));
    }
    if stac::is_one(&name) {
        return Ok(Kind::Catalogue(Location::File(path.to_owned())));
    }
    if name.ends_with(".txt") {
        return Ok(Kind::List(List::file(path)?));
    }
    Ok(Kind::Single(path.to_owned()))
}

/// A pipe holds an archive or a list; the first block tells.
fn from_stream(reader: Box<dyn Read + Send>, name: &str, stop: &Stop) -> Result<Kind> {
    let mut reader =
        Stoppable::new(reader, stop.clone()).map_err(|e| unreadable(Path::new(name), e))?;
    let mut head = Vec::new();
    (&mut reader)
        .take(512)
        .read_to_end(&mut head)
        .map_err(|e| unreadable(Path::new(name), e))?;
    if head.get(257..262) == Some(b"ustar") {
        let whole = std::io::Cursor::new(head).chain(reader);
        return Ok(Kind::Stream(Mutex::new(Some(Box::new(whole)))));
    }
    reader
        .read_to_end(&mut head)
        .map_err(|e| unreadable(Path::new(name), e))?;
    Ok(Kind::List(List::memory(name, head)))
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn ids(inputs: &Inputs) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        inputs
            .visit(&mut |item| {
                let bad = matches!(item.source, Contents::Fault(..));
                found.push((item.id, bad));
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    #[test]
    fn folders_come_in_the_byte_order_of_whole_paths() {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            "b.jpg",
            "a/z.PNG",
            "a-b.jpg",
            "a.jpg",
            "a/b/c.tif",
            ".hidden.jpg",
            "notes.md",
        ];
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        let inputs = Inputs::open(&[dir.path().to_owned()]).unwrap();
        let ids: Vec<_> = ids(&inputs).into_iter().map(|(id, _)| id).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
        assert_eq!(ids, ["a-b.jpg", "a.jpg", "a/b/c.tif", "a/z.PNG", "b.jpg"]);
        let listing = inputs.visit(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((listing.items, listing.ignored), (5, 2));
    }

    #[test]
    fn the_fingerprint_follows_names_and_order() {
        let list = |text: &str| Inputs {
            windows: None,
            remote: Remote::default(),
            roots: vec![Root {
                label: Vec::new(),
                place: None,
                kind: Kind::List(List::memory("-", text.as_bytes().to_vec())),
            }],
        };
        let chain = |text: &str| {
            let all = list(text)
                .visit(&mut |_| ControlFlow::Continue(()))
                .unwrap();
            all.chain
        };
        assert_eq!(chain("a.jpg\nb.jpg\n"), chain("a.jpg\r\nb.jpg"));
        assert_eq!(chain("a.jpg\nb.jpg"), chain("a.jpg\0b.jpg\0"));
        assert_ne!(chain("a.jpg\nb.jpg"), chain("b.jpg\na.jpg"));
        assert_ne!(chain("a.jpg\nb.jpg"), chain("a.jpg\nb.jpg\nc.jpg"));
        assert_eq!(
            ids(&list("a.jpg\n\nb.jpg\na.jpg\n")),
            [
                ("a.jpg".to_owned(), false),
                ("b.jpg".to_owned(), false),
                ("a.jpg".to_owned(), true)
            ]
        );
    }

    #[test]
    fn several_folders_keep_their_names_apart() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one/x.jpg", "two/x.jpg"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        let roots = [dir.path().join("one/"), dir.path().join("two")];
        let inputs = Inputs::open(&roots).unwrap();
        let mut names = Vec::new();
        inputs
            .visit(&mut |item| {
                names.push(item.id);
                ControlFlow::Continue(())
            })
            .unwrap();
        let ends = |i: usize, end: &str| names[i].ends_with(end);
        assert!(names.len() == 2 && ends(0, "/one/x.jpg") && ends(1, "/two/x.jpg"));
        assert!(ids(&inputs).iter().all(|(_, bad)| !bad));
    }

    #[test]
    fn what_does_not_exist_or_is_compressed_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("nothing");
        let error = Inputs::open(&[missing]).unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error}");
        let packed = dir.path().join("a.tar.gz");
        std::fs::write(&packed, b"x").unwrap();
        let error = Inputs::open(&[packed]).unwrap_err();
        assert!(error.to_string().contains("gzip -dc"), "{error}");
        assert!(Inputs::open(&[]).is_err());
        assert!(Inputs::open(&["-".into(), "-".into()]).is_err());
    }
}
