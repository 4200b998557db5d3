//! Tar archives: listed once by their headers, then read in place.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ::tar::EntryType;

use crate::error::{Error, Result};

/// An archive in a file.
#[derive(Debug)]
pub(super) struct TarFile {
    path: PathBuf,
    /// Kept open where files can be read at a place without moving a common cursor.
    handle: Option<File>,
}

/// A member by its header.
pub(super) struct Member {
    /// Path in the archive, a leading `./` aside; bytes that are no UTF-8 are replaced.
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) offset: u64,
    /// Their number.
    pub(super) size: u64,
    /// Whether it is a plain file and no link, device or sparse file.
    pub(super) plain: bool,
}

impl TarFile {
    /// Opens an archive; with `keep` the file stays open.
    pub(super) fn open(path: PathBuf, keep: bool) -> Result<Self> {
        let file = File::open(&path).map_err(|e| Error::io(&path, e))?;
        let handle = (keep && cfg!(unix)).then_some(file);
        Ok(TarFile { path, handle })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `receive` for each member that is no folder, in order. Where the archive is damaged the
    /// members before are given, and the damage is returned.
    ///
    /// # Errors
    /// Where the file cannot be read or its very beginning is no archive's.
    pub(super) fn members(&self, receive: &mut dyn FnMut(Member)) -> Result<Option<String>> {
        let file = File::open(&self.path).map_err(|e| Error::io(&self.path, e))?;
        let mut archive = ::tar::Archive::new(BufReader::new(file));
        let entries = archive
            .entries_with_seek()
            .map_err(|e| Error::io(&self.path, e))?;
        let mut last: Option<String> = None;
        for entry in entries {
            let entry = match (entry, &last) {
                (Ok(entry), _) => entry,
                (Err(error), Some(last)) => {
                    return Ok(Some(format!("damaged after `{last}`: {error}")));
                }
                (Err(error), None) => {
                    return Err(Error::Data {
                        reason: format!("`{}` is no tar archive", self.path.display()),
                        source: Some(error.into()),
                    });
                }
            };
            let kind = entry.header().entry_type();
            if kind == EntryType::Directory || kind.is_pax_global_extensions() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            last = Some(name.clone());
            receive(Member {
                name,
                offset: entry.raw_file_position(),
                size: entry.size(),
                plain: matches!(kind, EntryType::Regular | EntryType::Continuous),
            });
        }
        Ok(None)
    }

    /// The bytes of a member, at most `limit` of them.
    ///
    /// # Errors
    /// What is wrong: too many bytes, an archive that ends before them, or a failure to read.
    pub(super) fn read(&self, offset: u64, size: u64, limit: u64) -> Result<Vec<u8>, String> {
        if size > limit {
            return Err(format!("{size} bytes are over the limit of {limit}"));
        }
        let opened;
        let file = match &self.handle {
            Some(file) => file,
            None => {
                opened = File::open(&self.path).map_err(|e| e.to_string())?;
                &opened
            }
        };
        let end = file.metadata().map_err(|e| e.to_string())?.len();
        // Checked first, so that a header's lie about the size allocates nothing.
        if offset.checked_add(size).is_none_or(|last| last > end) {
            return Err("the archive ends inside this member".into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|e| e.to_string())?];
        read_at(file, &mut bytes, offset).map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Files are not kept open here, so that this cursor is nobody else's.
#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
