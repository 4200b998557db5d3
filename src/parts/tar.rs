//! Tar archives: listed once by their headers, then read in place.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ::tar::{Archive, Entries, Entry, EntryType};

/// An archive in a file.
#[derive(Debug)]
pub struct TarFile {
    path: PathBuf,
    /// Kept open where files can be read at a place without moving a common cursor.
    handle: Option<File>,
}

/// A member by its header.
#[derive(Debug)]
pub struct Member {
    /// Path in the archive, a leading `./` aside.
    pub name: Vec<u8>,
    /// Where its bytes begin.
    pub offset: u64,
    /// Their number.
    pub size: u64,
    /// What it is.
    pub kind: MemberKind,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A plain file.
    File,
    /// A link to another member.
    Link,
    /// A device, a sparse file, something else.
    Special,
}

impl TarFile {
    /// Opens an archive; with `keep` the file stays open.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(path: PathBuf, keep: bool) -> io::Result<Self> {
        let file = File::open(&path)?;
        let handle = (keep && cfg!(unix)).then_some(file);
        Ok(TarFile { path, handle })
    }

    /// The archive's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `receive` for each member that is no folder, in order, until it has enough. Where the archive is damaged
    /// the members before are given, and the damage is returned.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn members(
        &self,
        mut receive: impl FnMut(Member) -> ControlFlow<()>,
    ) -> io::Result<Option<io::Error>> {
        let mut archive = Archive::new(BufReader::new(File::open(&self.path)?));
        let entries = archive.entries_with_seek()?;
        Ok(walk(entries, |_, member| receive(member)))
    }

    /// The bytes of a member.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where the archive ends before them; a failure to read.
    pub fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let opened;
        let file = match &self.handle {
            Some(file) => file,
            None => {
                opened = File::open(&self.path)?;
                &opened
            }
        };
        let end = file.metadata()?.len();
        // Checked first, so that a header's lie about the size allocates nothing.
        if offset.checked_add(size).is_none_or(|last| last > end) {
            let said = "the archive ends inside this member";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, said));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        read_at(file, &mut bytes, offset)?;
        Ok(bytes)
    }
}

/// As [`TarFile::members`] for an archive that comes through a pipe: `receive` also gets the entry, to read it. The
/// error that ended it, if one did.
///
/// # Errors
/// Where the stream cannot be read at all.
pub fn stream<R: Read>(
    reader: R,
    receive: impl FnMut(&mut dyn Read, Member) -> ControlFlow<()>,
) -> io::Result<Option<io::Error>> {
    let mut archive = Archive::new(BufReader::new(reader));
    Ok(walk(archive.entries()?, receive))
}

fn walk<'a, R: Read + 'a>(
    entries: Entries<'a, R>,
    mut receive: impl FnMut(&mut dyn Read, Member) -> ControlFlow<()>,
) -> Option<io::Error> {
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            // What follows cannot be found any more; what came before is not lost.
            Err(error) => return Some(error),
        };
        let kind = match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous => MemberKind::File,
            EntryType::Symlink | EntryType::Link => MemberKind::Link,
            _ => MemberKind::Special,
        };
        let member = Member {
            name: name(&entry),
            offset: entry.raw_file_position(),
            size: entry.size(),
            kind,
        };
        if let ControlFlow::Break(()) = receive(&mut entry, member) {
            break;
        }
    }
    None
}

fn name<R: Read>(entry: &Entry<'_, R>) -> Vec<u8> {
    let path = entry.path_bytes();
    path.strip_prefix(b"./").unwrap_or(&path).to_vec()
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Files are not kept open here, so that this cursor is nobody else's.
#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
