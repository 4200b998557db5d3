//! What an input is: a folder, a list, an archive, a catalogue, a table, one picture, or an address.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use url::Url;

use super::list::List;
use super::name::has_image_extension;
use super::stream::Stoppable;
use super::{stac, table, unreadable};
use crate::location::Location;
use crate::plan;
use crate::stop::Stop;
use satmip::metadata::read::is_stac_table;
use satmip::parts::tar::TarFile;
use satmip::{Error, Result};

#[derive(Debug)]
pub(super) struct Root {
    pub(super) label: Vec<u8>,
    /// The folder that the entries' names are relative to, where they have a place.
    pub(super) place: Option<PathBuf>,
    pub(super) kind: Kind,
}

impl Root {
    pub(super) fn place(path: &Path, kind: &Kind) -> Option<PathBuf> {
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

pub(super) enum Kind {
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

/// What an address is of, by its scheme and ending.
pub(super) fn from_address(url: &Url) -> Kind {
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

/// What a file or folder of this machine is.
pub(super) fn from_path(path: &Path, stop: &Stop) -> Result<Kind> {
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
pub(super) fn from_stream(reader: Box<dyn Read + Send>, name: &str, stop: &Stop) -> Result<Kind> {
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
