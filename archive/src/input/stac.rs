//! Scenes that a catalogue lists: STAC items in JSON, collections of items page by page, lines of items, and static
//! catalogues, whose links are followed; of this machine or of servers.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};
use serde_json::Value;

use super::{Contents, Entry, Sink, short_hash};
use crate::assets::{ItemFacts, shown_href};
use crate::location::Location;
use crate::remote::{Object, Remote};
use crate::skipped::SkipKind;
use satmip::metadata::read;
use satmip::scene::RangeReader;
use satmip::{Error, Metadata, Result};

/// Catalogues inside of catalogues that are followed (our choice).
const DEEPEST: usize = 16;
/// Pages without an item in a row (our choice).
const MOST_EMPTY: u32 = 100;
/// Servers that one catalogue may lead to (our choice).
const MOST_HOSTS: usize = 16;
/// Why a document is not read.
const OUTSIDE: &str = "a link out of the catalogue's folder";
/// Documents of one catalogue, 16 bytes each in memory (our choice).
const MOST_DOCUMENTS: usize = 10_000_000;

/// Whether a file's name is one of a catalogue.
pub(super) fn is_one(name: &str) -> bool {
    [
        ".json",
        ".geojson",
        ".ndjson",
        ".jsonl",
        ".geojsonl",
        ".geojsons",
        ".parquet",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}

/// Goes through the items of a file, or of an interface.
pub(super) fn visit(place: &Location, remote: &Remote, sink: &mut Sink<'_>) -> Result<()> {
    let refused = |reason: String| Error::Input {
        input: place.to_string(),
        reason,
        source: None,
    };
    if let Some(documents) = lines(place, remote).map_err(refused)? {
        let file = place.file_name();
        for (number, document) in documents {
            let name = format!("{file}#{number}");
            let flow = match document {
                Ok(document) => item(&document, place, &name, sink),
                Err(error) => fault(name, &error.to_string(), sink),
            };
            if flow.is_break() {
                break;
            }
        }
        return Ok(());
    }
    let mut walk = Walk {
        root: folder_of(place),
        remote,
        seen: HashSet::new(),
        hosts: HashSet::new(),
    };
    let place = plain(place);
    let first = Link::to(place.clone());
    let document = walk.fetch(&first).map_err(refused)?;
    if kind_of(&document).is_none() {
        return Err(refused(
            "the JSON is no STAC item, collection or catalogue".into(),
        ));
    }
    walk.is_new(&first).map_err(refused)?;
    let _ = walk.document(&place, document, 0, sink);
    Ok(())
}

/// Documents with the numbers of their lines or rows.
type Numbered = Box<dyn Iterator<Item = (u64, satmip::Result<Value>)>>;

/// The documents of a file of lines, or of a table; none where it is one document.
fn lines(place: &Location, remote: &Remote) -> Result<Option<Numbered>, String> {
    let said = |error: Error| error.to_string();
    let is_table = place.file_name().ends_with(".parquet");
    match place {
        Location::File(path) if is_table => {
            let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
            let items = read::stac_table(file, &place.to_string()).map_err(said)?;
            Ok(Some(Box::new(items)))
        }
        Location::File(path) => {
            let lines = read::json_lines(path).map_err(said)?;
            Ok(lines.map(|lines| Box::new(lines) as Numbered))
        }
        Location::Remote(url) if is_table => {
            let object = remote.object(url).map_err(|fault| fault.reason)?;
            let items = read::stac_table(Chunks(object), &place.to_string()).map_err(said)?;
            Ok(Some(Box::new(items)))
        }
        Location::Remote(url) => {
            if !read::is_named_lines(place.file_name()) {
                return Ok(None);
            }
            let object = remote.object(url).map_err(|fault| fault.reason)?;
            let reader = Sequential { object, at: 0 };
            let lines = read::json_lines_of(place.to_string(), Box::new(reader));
            Ok(Some(Box::new(lines)))
        }
    }
}

/// An object as the reader of Parquet wants it.
struct Chunks(Arc<Object>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Sequential>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let object: Arc<dyn RangeReader> = Arc::clone(&self.0) as _;
        Ok(BufReader::with_capacity(
            1 << 20,
            Sequential { object, at: start },
        ))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let read = self.0.read(start, length);
        read.map(Bytes::from).map_err(Into::into)
    }
}

/// An object from one of its bytes to its last.
struct Sequential {
    object: Arc<dyn RangeReader>,
    at: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.object.size() - self.at).unwrap_or(usize::MAX);
        let bytes = self.object.read(self.at, buffer.len().min(left))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// The folder of a document, with whose address those of the documents in it begin.
fn folder_of(place: &Location) -> Location {
    match place {
        Location::File(path) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            Location::File(plain_path(folder))
        }
        Location::Remote(url) => {
            let folder = url.join(".").unwrap_or_else(|_| url.clone());
            Location::Remote(folder)
        }
    }
}

/// What a document is.
enum Kind {
    Item,
    Items,
    Catalogue,
}

fn kind_of(document: &Value) -> Option<Kind> {
    let has = |key: &str| document.get(key).is_some();
    match document.get("type").and_then(Value::as_str) {
        Some("Feature") => Some(Kind::Item),
        Some("FeatureCollection") => Some(Kind::Items),
        Some("Catalog" | "Collection") => Some(Kind::Catalogue),
        // Version 0.x has no `type` there.
        None if has("links") && has("stac_version") => Some(Kind::Catalogue),
        _ => None,
    }
}

/// A document that another one names.
struct Link {
    place: Location,
    /// What is sent for it, where it is asked for by more than its address.
    body: Option<Value>,
}

impl Link {
    fn to(place: Location) -> Self {
        Link { place, body: None }
    }
}

/// A catalogue on its way.
struct Walk<'a> {
    /// Of files, none outside of it is read.
    root: Location,
    remote: &'a Remote,
    /// What was read, by hashes.
    seen: HashSet<u128>,
    hosts: HashSet<String>,
}

impl Walk<'_> {
    /// Reads a document.
    ///
    /// # Errors
    /// The reason.
    fn fetch(&self, link: &Link) -> Result<Value, String> {
        match &link.place {
            Location::File(path) => {
                // A pipe would be waited for.
                let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
                match facts.is_file() {
                    true => read::json_document(path).map_err(|error| error.to_string()),
                    false => Err("not a regular file".into()),
                }
            }
            Location::Remote(url) => {
                let most = read::MAX_DOCUMENT_BYTES;
                let bytes = match &link.body {
                    Some(body) => self.remote.post(url, body.to_string(), most),
                    None => self.remote.whole(url, most),
                };
                let bytes = bytes.map_err(|fault| fault.reason)?;
                read::json_of_bytes(&bytes, &link.place).map_err(|error| error.to_string())
            }
        }
    }

    /// Whether a document was not read before.
    ///
    /// # Errors
    /// Where there are too many of them, or of their hosts.
    fn is_new(&mut self, link: &Link) -> Result<bool, String> {
        if let Location::Remote(url) = &link.place {
            self.hosts
                .insert(url.host_str().unwrap_or_default().to_owned());
            if self.hosts.len() > MOST_HOSTS {
                return Err(format!("links to over {MOST_HOSTS} servers"));
            }
        }
        if self.seen.len() >= MOST_DOCUMENTS {
            return Err(format!("over {MOST_DOCUMENTS} documents"));
        }
        let body = link.body.as_ref().map(Value::to_string);
        let address = match &link.place {
            Location::File(path) => path.display().to_string(),
            Location::Remote(url) => url.to_string(),
        };
        let key = format!("{address} {}", body.unwrap_or_default());
        Ok(self.seen.insert(short_hash(&key)))
    }

    fn document(
        &mut self,
        place: &Location,
        document: Value,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> ControlFlow<()> {
        match kind_of(&document) {
            Some(Kind::Item) => item(&document, place, &self.name(place), sink),
            Some(Kind::Items) => self.pages(place, document, sink),
            Some(Kind::Catalogue) => self.catalogue(place, &document, depth, sink),
            None => fault(
                self.name(place),
                "the JSON is no STAC item, collection or catalogue",
                sink,
            ),
        }
    }

    /// A collection of items, and the pages of it that follow.
    fn pages(&mut self, place: &Location, document: Value, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let (mut place, mut document) = (place.clone(), document);
        let mut empty = 0;
        loop {
            let features = document.get("features").and_then(Value::as_array);
            let Some(features) = features else {
                return fault(self.name(&place), "it has no `features`", sink);
            };
            for (at, feature) in features.iter().enumerate() {
                let name = format!("{}#{}", self.name(&place), at + 1);
                item(feature, &place, &name, sink)?;
            }
            empty = if features.is_empty() { empty + 1 } else { 0 };
            if empty > MOST_EMPTY {
                let reason =
                    format!("over {MOST_EMPTY} pages without an item, one after the other");
                return fault(self.name(&place), &reason, sink);
            }
            let next = match self.next(&place, &document) {
                Ok(Some(link)) => link,
                Ok(None) => return ControlFlow::Continue(()),
                Err(reason) => {
                    return fault(format!("{}: next", self.name(&place)), &reason, sink);
                }
            };
            let found = self.is_new(&next).and_then(|new| match new {
                true => self.inside(&next.place).and_then(|()| self.fetch(&next)),
                false => Err("it names itself as the next page".into()),
            });
            match found {
                Ok(found) => (place, document) = (next.place, found),
                Err(reason) => return fault(self.name(&next.place), &reason, sink),
            }
        }
    }

    /// The page that follows.
    ///
    /// # Errors
    /// Where it cannot be asked for.
    fn next(&self, place: &Location, document: &Value) -> Result<Option<Link>, String> {
        let links = document.get("links").and_then(Value::as_array);
        let is_next = |link: &&Value| link.get("rel").and_then(Value::as_str) == Some("next");
        let Some(link) = links.into_iter().flatten().find(is_next) else {
            return Ok(None);
        };
        let text = |key: &str| link.get(key).and_then(Value::as_str).unwrap_or_default();
        let place = self.linked(place, text("href"))?;
        let body = match text("method").to_ascii_uppercase().as_str() {
            "" | "GET" => None,
            "POST" if link.get("merge") == Some(&Value::Bool(true)) => {
                return Err(
                    "the next page is asked for by what was sent for this one, which is not known (ask by GET)".into(),
                );
            }
            "POST" => Some(link.get("body").cloned().unwrap_or(Value::Null)),
            other => return Err(format!("the next page is asked for by `{other}`")),
        };
        Ok(Some(Link { place, body }))
    }

    fn catalogue(
        &mut self,
        place: &Location,
        document: &Value,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> ControlFlow<()> {
        let links = document.get("links").and_then(Value::as_array);
        for link in links.into_iter().flatten() {
            let text = |key: &str| link.get(key).and_then(Value::as_str).unwrap_or_default();
            if !matches!(text("rel"), "item" | "items" | "child") {
                continue;
            }
            let href = text("href");
            let link = match self.linked(place, href) {
                Ok(target) => Link::to(target),
                Err(reason) => {
                    let name = format!("{}: {}", self.name(place), shown_href(href));
                    fault(name, &reason, sink)?;
                    continue;
                }
            };
            let target = &link.place;
            if depth >= DEEPEST {
                let reason = format!("over {DEEPEST} catalogues inside each other");
                fault(self.name(target), &reason, sink)?;
                continue;
            }
            match self.is_new(&link) {
                Ok(true) => {}
                // A link back to where one was.
                Ok(false) => continue,
                Err(reason) => return fault(self.name(target), &reason, sink),
            }
            match self.inside(target).and_then(|()| self.fetch(&link)) {
                Ok(found) => self.document(target, found, depth + 1, sink)?,
                Err(reason) => fault(self.name(target), &reason, sink)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// A document's name in the output, the same on all machines.
    fn name(&self, place: &Location) -> String {
        match (&self.root, place) {
            (Location::File(root), Location::File(path)) => {
                let path = path.strip_prefix(root).unwrap_or(path);
                path.display().to_string()
            }
            (root, place) => {
                let (root, place) = (root.to_string(), place.to_string());
                let below = place.strip_prefix(&root).filter(|name| !name.is_empty());
                below.unwrap_or(&place).to_owned()
            }
        }
    }

    /// Whether a file is in the folder of the catalogue that was given, whatever links of the file system say.
    ///
    /// # Errors
    /// Where it is not.
    fn inside(&self, place: &Location) -> Result<(), String> {
        let (Location::File(path), Location::File(root)) = (place, &self.root) else {
            return Ok(());
        };
        let real = |path: &Path| std::fs::canonicalize(path).map_err(|error| error.to_string());
        let root = match root.as_os_str().is_empty() {
            true => real(Path::new("."))?,
            false => real(root)?,
        };
        match real(path)?.starts_with(root) {
            true => Ok(()),
            false => Err(OUTSIDE.into()),
        }
    }

    /// Where a link leads: of files not out of the folder of the catalogue that was given.
    fn linked(&self, place: &Location, href: &str) -> Result<Location, String> {
        if href.is_empty() {
            return Err("a link without an address".into());
        }
        let target = plain(&place.join(href)?);
        match (&target, &self.root) {
            (Location::File(path), Location::File(root))
                if !path.starts_with(root) || path.starts_with("..") =>
            {
                Err(OUTSIDE.into())
            }
            _ => Ok(target),
        }
    }
}

fn plain(place: &Location) -> Location {
    match place {
        Location::File(path) => Location::File(plain_path(path)),
        remote => remote.clone(),
    }
}

/// A path without `.` and with `..` taken off, as far as names go.
fn plain_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// An item of a document at a place: its scene, or what is wrong with it.
fn item(item: &Value, place: &Location, name: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
    let Some(id) = read::stac::id(item).filter(|id| !id.is_empty()) else {
        return fault(name.to_owned(), "the item has no `id`", sink);
    };
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let facts = ItemFacts {
        id: id.to_owned(),
        collection: text("collection"),
        metadata: Metadata::from_stac(item).map_err(|error| error.to_string()),
        item: item.clone(),
        file: None,
        place: place.clone(),
    };
    (sink.entry)(Entry {
        name: id.as_bytes().to_vec(),
        source: Contents::Item(Arc::new(facts)),
    })
}

fn fault(name: String, reason: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
    (sink.entry)(Entry {
        name: name.into_bytes(),
        source: Contents::Fault(SkipKind::Other, reason.to_owned()),
    })
}
