//! Where the parts of a plan are: a folder that all machines see, or a place in a store.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use url::Url;

use crate::location::{Location, shown};
use crate::output::failed;
use crate::remote::{Fault, Remote};
use crate::store::errors_beside;
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};

/// Small files that are read from a store at a time (our choice).
const AT_ONCE: usize = 16;
/// The largest small file: a line of a ledger, or what a job is.
const SMALL: u64 = 64 << 20;

#[derive(Debug)]
pub(super) enum Out {
    Folder(PathBuf),
    Store {
        url: Url,
        remote: Remote,
        /// Where parts are written before they are sent.
        scratch: TempDir,
    },
}

impl Out {
    /// Nothing is made or looked at.
    ///
    /// # Errors
    /// [`Error::Output`] for an address of a server, which takes no files.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::Output {
            path: path.to_owned(),
            reason,
            source: None,
        };
        match Location::given(path).map_err(refuse)? {
            Location::File(path) => Ok(Out::Folder(path)),
            Location::Remote(url) if url.scheme().starts_with("http") => Err(refuse(
                "a server takes no parts (a store does: `s3://BUCKET/OUT`)".into(),
            )),
            Location::Remote(mut url) => {
                let folder = format!("{}/", url.path().trim_end_matches('/'));
                url.set_path(&folder);
                let scratch =
                    TempDir::with_prefix("satmip-").map_err(|error| failed(path, error))?;
                Ok(Out::Store {
                    url,
                    remote: Remote::default(),
                    scratch,
                })
            }
        }
    }

    /// What errors call it.
    pub(super) fn name(&self) -> PathBuf {
        match self {
            Out::Folder(folder) => folder.clone(),
            Out::Store { url, .. } => PathBuf::from(shown(url)),
        }
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::Output {
            path: self.name(),
            reason: reason.into(),
            source: None,
        }
    }

    fn fault(&self, fault: &Fault) -> Error {
        self.refuse(fault.reason.clone())
    }

    /// The part of a block on this machine, without an ending.
    pub(super) fn base(&self, block: u64) -> PathBuf {
        let folder = match self {
            Out::Folder(folder) => folder,
            Out::Store { scratch, .. } => scratch.path(),
        };
        folder.join(format!("part-{block:05}"))
    }

    /// Names of all that is there; nothing where nobody began.
    pub(super) fn names(&self) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        match self {
            Out::Folder(folder) => {
                let entries = match std::fs::read_dir(folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
                    Err(error) => return Err(failed(folder, error)),
                };
                for entry in entries {
                    let entry = entry.map_err(|error| failed(folder, error))?;
                    names.extend(entry.file_name().into_string().ok());
                }
            }
            Out::Store { url, remote, .. } => {
                let listed = remote.list(url, &mut |name, _| {
                    names.insert(name.to_owned());
                    ControlFlow::Continue(())
                });
                listed.map_err(|fault| self.fault(&fault))?;
            }
        }
        Ok(names)
    }

    fn address(url: &Url, name: &str) -> Url {
        let mut url = url.clone();
        url.set_path(&format!("{}{name}", url.path()));
        url
    }

    /// A small file.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        match self {
            Out::Folder(folder) => {
                let path = folder.join(name);
                std::fs::read(&path).map_err(|error| failed(&path, error))
            }
            Out::Store { url, remote, .. } => {
                let read = remote.whole(&Out::address(url, name), SMALL);
                read.map_err(|fault| self.fault(&fault))
            }
        }
    }

    /// Small files in the order of their names here; of a store several at a time.
    pub(super) fn read_all(&self, names: &[String]) -> Result<Vec<Vec<u8>>> {
        let threads = match self {
            Out::Folder(_) => 1,
            Out::Store { .. } => AT_ONCE,
        };
        let each = names.len().div_ceil(threads).max(1);
        let read = |names: &[String]| {
            names
                .iter()
                .map(|name| self.read(name))
                .collect::<Result<Vec<_>>>()
        };
        let found: Result<Vec<Vec<Vec<u8>>>> = std::thread::scope(|scope| {
            let running: Vec<_> = names
                .chunks(each)
                .map(|names| scope.spawn(move || read(names)))
                .collect();
            let joined = running.into_iter().map(|thread| match thread.join() {
                Ok(found) => found,
                Err(_) => Err(self.refuse("a thread that read it panicked")),
            });
            joined.collect()
        });
        Ok(found?.into_iter().flatten().collect())
    }

    /// Writes a small file that must not be there yet; whether it was not.
    pub(super) fn place(&self, name: &str, bytes: Vec<u8>) -> Result<bool> {
        match self {
            Out::Folder(folder) => {
                let path = folder.join(name);
                match aside::write(&path, &bytes, Existing::Keep) {
                    Ok(()) => Ok(true),
                    Err(Error::Output { .. }) if path.is_file() => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Out::Store { url, remote, .. } => {
                let put = remote.put(&Out::address(url, name), bytes, true);
                put.map_err(|fault| self.fault(&fault))
            }
        }
    }

    /// Writes a small file, in place of one that is there.
    pub(super) fn replace(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Out::Folder(folder) => aside::write(&folder.join(name), &bytes, Existing::Replace),
            Out::Store { url, remote, .. } => {
                let put = remote.put(&Out::address(url, name), bytes, false);
                put.map(|_| ()).map_err(|fault| self.fault(&fault))
            }
        }
    }

    /// Sends the part of a block that was written on this machine, and its errors before it; whether nobody else did
    /// before. In a folder it is there already.
    pub(super) fn send(&self, block: u64) -> Result<bool> {
        let Out::Store { url, remote, .. } = self else {
            return Ok(true);
        };
        let (part, errors) = (
            self.base(block).with_extension("parquet"),
            errors_beside(&self.base(block)),
        );
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        if errors.is_file() {
            let text = std::fs::read(&errors).map_err(|error| Error::io(&errors, error))?;
            self.replace(&name(&errors), text)?;
        }
        let bytes = std::fs::read(&part).map_err(|error| Error::io(&part, error))?;
        let put = remote.put(&Out::address(url, &name(&part)), bytes, true);
        put.map_err(|fault| self.fault(&fault))
    }

    /// Forgets what was written on this machine of a block; in a folder it is the part itself.
    pub(super) fn forget(&self, block: u64) {
        if let Out::Store { .. } = self {
            for path in [
                self.base(block).with_extension("parquet"),
                errors_beside(&self.base(block)),
            ] {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The part of a block as a file of this machine.
    pub(super) fn fetch(&self, block: u64) -> Result<PathBuf> {
        let path = self.base(block).with_extension("parquet");
        if let Out::Store { url, remote, .. } = self {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let bytes = remote.whole(&Out::address(url, &name), u64::MAX);
            let bytes = bytes.map_err(|fault| self.fault(&fault))?;
            std::fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
        }
        Ok(path)
    }

    /// Removes files of a folder; those of a store stay, where a ledger says that they are of no more use.
    pub(super) fn remove(&self, names: impl Iterator<Item = String>) {
        if let Out::Folder(folder) = self {
            names.for_each(|name| drop(std::fs::remove_file(folder.join(name))));
        }
    }
}
