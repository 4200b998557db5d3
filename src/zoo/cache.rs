//! Fetched files on disk.
//!
//! ```text
//! CACHE/CACHEDIR.TAG
//! CACHE/zoo-1/blobs/ab/abcdef..          a file under its sha256, complete and checked
//! CACHE/zoo-1/parts/abcdef..             one on its way; abcdef...json: where from
//! CACHE/zoo-1/locks/                     locks of processes
//! CACHE/zoo-1/models/ID/VERSION-HASH/    a bundle: links to blobs, HASH of bundle.json
//! CACHE/zoo-1/registries/                the last copies of servers' registries
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::bundle::{FileEntry, MANIFEST};
use crate::error::{Error, Result};
use crate::parts::sha256;

use super::registry::Model;

/// <https://bford.info/cachedir/>: backups leave the folder out.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Models that satmip fetched; they can be fetched again.\n";

/// The layout's version. A later one has a folder of its own.
const LAYOUT: &str = "zoo-1";

/// A folder of fetched files. Nothing is written before something is fetched.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
    root: PathBuf,
}

/// A lock of a file, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// A model's folder in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) version: String,
    /// The first digits of the sha256 of its `bundle.json`.
    pub(super) hash: String,
    pub(super) folder: PathBuf,
}

impl Cache {
    pub(super) fn at(folder: PathBuf) -> Cache {
        Cache {
            root: folder.join(LAYOUT),
            folder,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder that a model has, or would have.
    pub(super) fn model(&self, model: &Model) -> PathBuf {
        let hash = model
            .files
            .get(MANIFEST)
            .map_or("", |entry| &entry.sha256[..16]);
        let name = format!("{}-{hash}", model.version);
        self.root.join("models").join(&model.id).join(name)
    }

    /// Every model with a folder, by id and version.
    pub(super) fn kept(&self) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for id in names(&self.root.join("models"))? {
            let models = self.root.join("models").join(&id);
            for name in names(&models)? {
                if let Some((version, hash)) = name.rsplit_once('-') {
                    kept.push(Kept {
                        id: id.clone(),
                        version: version.to_owned(),
                        hash: hash.to_owned(),
                        folder: models.join(&name),
                    });
                }
            }
        }
        kept.sort_by(|a, b| (&a.id, &a.version).cmp(&(&b.id, &b.version)));
        Ok(kept)
    }

    pub(super) fn blob(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs").join(&sha256[..2]).join(sha256)
    }

    /// A file on its way, and what is known of where it comes from.
    pub(super) fn part(&self, sha256: &str) -> (PathBuf, PathBuf) {
        let parts = self.root.join("parts");
        (parts.join(sha256), parts.join(format!("{sha256}.json")))
    }

    /// Makes the folders, so that files can be written.
    pub(super) fn prepare(&self) -> Result<()> {
        for name in ["blobs", "parts", "locks", "models"] {
            let folder = self.root.join(name);
            fs::create_dir_all(&folder).map_err(|source| refused(&folder, source))?;
        }
        let tag = self.folder.join("CACHEDIR.TAG");
        match File::create_new(&tag).and_then(|mut file| file.write_all(TAG.as_bytes())) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(refused(&tag, source))
            }
            _ => Ok(()),
        }
    }

    /// Waits until no other process has the lock of this name; `waits` is called before.
    pub(super) fn lock(&self, name: &str, shared: bool, waits: impl FnOnce()) -> Result<Lock> {
        let path = self.root.join("locks").join(name);
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(&path);
        let file = open.map_err(|source| refused(&path, source))?;
        let at_once = match shared {
            true => file.try_lock_shared(),
            false => file.try_lock(),
        };
        match at_once {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waits();
                let later = match shared {
                    true => file.lock_shared(),
                    false => file.lock(),
                };
                later.map_err(|source| refused(&path, source))?;
            }
            Err(TryLockError::Error(source)) => return Err(refused(&path, source)),
        }
        Ok(Lock { _file: file })
    }

    /// Puts a blob into a model's folder under a file's name.
    pub(super) fn link(&self, folder: &Path, name: &str, entry: &FileEntry) -> Result<()> {
        fs::create_dir_all(folder).map_err(|source| refused(folder, source))?;
        let (blob, path) = (self.blob(&entry.sha256), folder.join(name));
        let aside = tempfile::Builder::new().make_in(folder, |aside| link_or_copy(&blob, aside));
        // Renaming a link to the file that is there already leaves both, by POSIX; `aside` goes then.
        aside
            .and_then(|aside| fs::rename(aside.path(), &path))
            .map_err(|source| refused(&path, source))
    }

    /// Takes a file away that is not what it should be.
    pub(super) fn discard(&self, folder: &Path, name: &str, entry: &FileEntry) -> Result<()> {
        for path in [folder.join(name), self.blob(&entry.sha256)] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(refused(&path, source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes blobs and parts away that no model's folder names; bytes that are free then.
    pub(super) fn collect(&self, named: impl Fn(&str) -> bool) -> Result<u64> {
        let mut freed = 0;
        let mut take = |path: &Path| -> Result<()> {
            let size = fs::symlink_metadata(path).map_or(0, |m| m.len());
            fs::remove_file(path).map_err(|source| refused(path, source))?;
            freed += size;
            Ok(())
        };
        let blobs = self.root.join("blobs");
        for folder in names(&blobs)? {
            let folder = blobs.join(folder);
            for name in names(&folder)?.into_iter().filter(|name| !named(name)) {
                take(&folder.join(name))?;
            }
        }
        let parts = self.root.join("parts");
        for name in names(&parts)? {
            take(&parts.join(name))?;
        }
        Ok(freed)
    }

    pub(super) fn kept_registry(&self, place: &str) -> Option<Vec<u8>> {
        fs::read(self.registry(place)).ok()
    }

    pub(super) fn keep_registry(&self, place: &str, bytes: &[u8]) -> Result<()> {
        let path = self.registry(place);
        let folder = path.parent().unwrap_or(&self.root);
        let write = || {
            fs::create_dir_all(folder)?;
            let mut aside =
                tempfile::Builder::new().make_in(folder, |aside| File::create_new(aside))?;
            aside.write_all(bytes)?;
            fs::rename(aside.path(), &path)
        };
        write().map_err(|source| refused(&path, source))
    }

    fn registry(&self, place: &str) -> PathBuf {
        let name = format!("{}.toml", sha256::of_bytes(place.as_bytes()));
        self.root.join("registries").join(name)
    }
}

/// A second name for a file, or a copy of it where the file system has no links; never over a file.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Err(taken),
        Err(_) => io::copy(&mut File::open(from)?, &mut File::create_new(to)?).map(drop),
        Ok(()) => Ok(()),
    }
}

/// Names in a folder that are UTF-8 and not hidden, sorted; none where there is no folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io(folder, source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| Error::io(folder, source))?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Why the cache cannot be written.
pub(super) fn refused(path: &Path, source: io::Error) -> Error {
    use io::ErrorKind as Kind;
    let reason = match source.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => "the disk is full",
        Kind::ReadOnlyFilesystem | Kind::PermissionDenied => "it cannot be written",
        _ => "it cannot be used",
    };
    Error::Cache {
        path: path.to_owned(),
        reason: reason.into(),
        source: Some(Box::new(source)),
    }
}
