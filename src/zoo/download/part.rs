//! A file on its way.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::cache::{Cache, refused};
use super::super::events::{Event, Observer};
use super::Fault;
use crate::bundle::FileEntry;
use crate::error::Result;
use crate::parts::sha256;

/// What a server said of the file whose first bytes are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) url: String,
    /// A strong one; weak ones say nothing of bytes.
    pub(super) etag: Option<String>,
}

/// A file on its way, hashed as far as it is there.
pub(super) struct Part<'a> {
    path: PathBuf,
    /// Where the origin is kept.
    beside: PathBuf,
    file: File,
    hasher: Sha256,
    length: u64,
    entry: &'a FileEntry,
    origin: Option<Origin>,
    slow: bool,
}

impl<'a> Part<'a> {
    /// What an earlier process left, or nothing yet. The caller has the file's lock.
    pub(super) fn open(cache: &Cache, entry: &'a FileEntry) -> Result<Part<'a>> {
        let (path, beside) = cache.part(&entry.sha256);
        let open = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path);
        let file = open.map_err(|source| refused(&path, source))?;
        let origin = fs::read(&beside)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        let mut part = Part {
            path,
            beside,
            file,
            hasher: Sha256::new(),
            length: 0,
            entry,
            origin,
            slow: false,
        };
        part.hash_what_is_there()?;
        Ok(part)
    }

    fn hash_what_is_there(&mut self) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    self.hasher.update(&buffer[..read]);
                    self.length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(refused(&self.path, source)),
            }
            if self.length > self.entry.size {
                return self.restart();
            }
        }
        Ok(())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn expected(&self) -> u64 {
        self.entry.size
    }

    pub(super) fn is_complete(&self) -> bool {
        self.length == self.entry.size
    }

    /// Where its bytes are from, if they are from this URL.
    pub(super) fn etag_of(&self, url: &str) -> Option<&str> {
        let origin = self.origin.as_ref().filter(|origin| origin.url == url)?;
        origin.etag.as_deref()
    }

    /// Whether the last piece came below the least speed.
    pub(super) fn is_slow(&self) -> bool {
        self.slow
    }

    pub(super) fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    /// Forgets what is there.
    pub(super) fn restart(&mut self) -> Result<()> {
        let emptied = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)).map(drop));
        emptied.map_err(|source| refused(&self.path, source))?;
        self.hasher = Sha256::new();
        self.length = 0;
        self.origin = None;
        Ok(())
    }

    /// Notes where the bytes that follow are from, for whoever goes on.
    pub(super) fn is_from(&mut self, origin: Origin) -> Result<()> {
        if self.origin.as_ref() != Some(&origin) {
            let json = serde_json::to_vec(&origin).unwrap_or_default();
            fs::write(&self.beside, json).map_err(|source| refused(&self.beside, source))?;
            self.origin = Some(origin);
        }
        Ok(())
    }

    /// Adds bytes; more than the file has are refused.
    pub(super) fn append(&mut self, bytes: &[u8], observer: &Observer) -> Result<(), Fault> {
        if bytes.len() as u64 > self.entry.size - self.length {
            let reason = format!(
                "it sends more than the {} bytes of the file",
                self.entry.size
            );
            self.restart().map_err(Fault::Cache)?;
            return Err(Fault::Lasting(reason));
        }
        let written = self.file.write_all(bytes);
        if let Err(source) = written {
            // What was written of it is cut off, so that hash and file agree.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(Fault::Cache(refused(&self.path, source)));
        }
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        observer.tell(Event::Bytes {
            of_file: self.length,
            of: self.entry.size,
        });
        Ok(())
    }

    /// Holds the whole against its sha256.
    pub(super) fn check(&mut self) -> Result<(), Fault> {
        let actual = sha256::hex(&self.hasher.clone().finalize());
        match actual == self.entry.sha256 {
            true => Ok(()),
            false => Err(Fault::Other { actual }),
        }
    }

    /// Gives the checked file its name.
    pub(super) fn keep_as(self, blob: &Path) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|source| refused(&self.path, source))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Whoever writes into a bundle's folder would write into the blob.
            let read_only = self.file.set_permissions(fs::Permissions::from_mode(0o444));
            read_only.map_err(|source| refused(&self.path, source))?;
        }
        fs::rename(&self.path, blob).map_err(|source| refused(blob, source))?;
        let _ = fs::remove_file(&self.beside);
        // The rename itself is safe on disk when the folder is; not every system can.
        if let Some(folder) = blob.parent().and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}
