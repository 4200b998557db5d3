//! Files and folders that appear complete or not at all, and never over others unasked.
//!
//! Everything is written aside first, in the folder where it shall be, under a name of its own
//! (`NAME.tmp-PROCESS-NUMBER`); it is brought to the disk and then gets its name. Where it may not
//! replace anything, the name is taken by a link or a new file, so that nobody can come in between
//! a look and a rename.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced.
    Replace,
}

impl Existing {
    /// As `--overwrite` says.
    pub fn of(overwrite: bool) -> Self {
        match overwrite {
            true => Existing::Replace,
            false => Existing::Keep,
        }
    }

    /// Refuses a file that is there and must stay, before work is done for nothing.
    pub fn check(self, path: &Path) -> Result<()> {
        match self == Existing::Keep && path.symlink_metadata().is_ok() {
            true => Err(exists(path)),
            false => Ok(()),
        }
    }
}

/// What is written and has no name yet, of the whole process: for [`remove_all`].
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file or folder on its way, removed unless it was put in place.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    target: PathBuf,
    placed: bool,
}

impl Aside {
    /// A new file, open for writing, that shall become `target`.
    pub fn file(target: &Path) -> io::Result<(Self, File)> {
        Self::make(target, "", |path| File::create_new(path))
    }

    /// A new folder that shall become `target`; hidden, as whoever looks for folders of its kind must not
    /// find it.
    pub fn folder(target: &Path) -> io::Result<Self> {
        let (aside, ()) = Self::make(target, ".", |path| fs::create_dir(path))?;
        Ok(aside)
    }

    fn make<T>(
        target: &Path,
        prefix: &str,
        create: impl Fn(&Path) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "the path names no file",
            ));
        };
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let mut own = std::ffi::OsString::from(prefix);
            own.push(name);
            own.push(format!("{TEMPORARY}{}-{number}", std::process::id()));
            let path = target.with_file_name(own);
            // Held while it is made, so that none is made after `remove_all`.
            let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
            match create(&path) {
                // Of a process with this number that was killed.
                Err(taken) if taken.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(made) => {
                    all.push(path.clone());
                    let target = target.to_owned();
                    let placed = false;
                    let aside = Aside {
                        path,
                        target,
                        placed,
                    };
                    return Ok((aside, made));
                }
            }
        }
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that it shall get.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives a file its name. Whoever wrote it has brought it to the disk.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where a file has the name and must stay.
    pub fn place(mut self, existing: Existing) -> io::Result<()> {
        match existing {
            Existing::Replace => fs::rename(&self.path, &self.target)?,
            Existing::Keep => {
                let linked = fs::hard_link(&self.path, &self.target);
                match linked {
                    // The second name goes with `self`.
                    Ok(()) => return Ok(()),
                    Err(taken) if taken.kind() == ErrorKind::AlreadyExists => return Err(taken),
                    // A file system without links: an empty file takes the name first.
                    Err(_) => drop(File::create_new(&self.target)?),
                }
                fs::rename(&self.path, &self.target).inspect_err(|_| {
                    // The error to tell is the first one.
                    let _ = fs::remove_file(&self.target);
                })?;
            }
        }
        self.placed = true;
        Ok(())
    }

    /// As [`Aside::place`] of a folder, which can replace no other but an empty one.
    fn place_folder(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            // The disk may be full: what cannot be completed must not stay.
            remove(&self.path);
        }
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|path| *path != self.path);
    }
}

/// What stands between a file's name and the process that writes it.
const TEMPORARY: &str = ".tmp-";

/// The name that a temporary file shall get; none for the name of any other file.
pub fn target_of(name: &str) -> Option<&str> {
    let (target, of) = name.rsplit_once(TEMPORARY)?;
    let (process, number) = of.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(process) && digits(number)).then_some(target)
}

fn remove(path: &Path) {
    // Nothing can be done, and nobody told, where even this fails.
    let _ = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
}

/// Removes all that this process writes and has not put in place, just before the process ends: nothing can
/// be written aside after this.
pub fn remove_all() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().for_each(|path| remove(path));
    std::mem::forget(all);
}

/// Writes a file as a whole; what was there before stays until all of it is on the disk.
///
/// # Errors
/// [`Error::Output`] where it exists and must stay, or cannot be written.
pub fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<()> {
    existing.check(path)?;
    let (aside, mut file) = Aside::file(path).map_err(|e| failed(path, e))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| aside.place(existing))
        .and_then(|()| sync_folder(folder_of(path)))
        .map_err(|e| failed(path, e))
}

/// Writes files into a new folder, which appears complete or not at all.
///
/// # Errors
/// [`Error::Output`] where it exists, or cannot be written.
pub fn write_folder(folder: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    let output = |reason: &str, source: io::Error| Error::Output {
        path: folder.to_owned(),
        reason: reason.to_owned(),
        source: Some(Box::new(source)),
    };
    absent(folder)?;
    fs::create_dir_all(folder_of(folder)).map_err(|e| output("its folder cannot be made", e))?;
    let aside = Aside::folder(folder).map_err(|e| output("it cannot be written", e))?;
    for (name, bytes) in files {
        File::create_new(aside.path().join(name))
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|e| output(&format!("`{name}` cannot be written"), e))?;
    }
    sync_folder(aside.path())
        .and_then(|()| aside.place_folder())
        .map_err(|e| output("it cannot be put in place", e))?;
    // The rename itself is safe on disk when the folder that holds it is; not every system can.
    let _ = sync_folder(folder_of(folder));
    Ok(())
}

/// Refuses a folder that exists.
pub fn absent(folder: &Path) -> Result<()> {
    match folder.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Error::Output {
            path: folder.to_owned(),
            reason: "it exists already; choose another name, or move it away".into(),
            source: None,
        }),
    }
}

/// The error of a file that exists and must stay.
pub fn exists(path: &Path) -> Error {
    Error::Output {
        path: path.to_owned(),
        reason: "exists already; choose another name, or `--overwrite` to replace it".into(),
        source: None,
    }
}

/// The error of a failed write.
pub fn failed(path: &Path, source: io::Error) -> Error {
    if source.kind() == ErrorKind::AlreadyExists {
        return exists(path);
    }
    let reason = reason_of(&source);
    Error::Output {
        path: path.to_owned(),
        reason: reason.into(),
        source: Some(source.into()),
    }
}

/// Why a write failed, in words.
pub fn reason_of(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full",
        ErrorKind::FileTooLarge => "the file would be larger than the system allows",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "no permission to write there"
        }
        ErrorKind::BrokenPipe => "the reader went away",
        _ => "cannot be written",
    }
}

/// The folder that a file is in, or would be.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Brings a folder's entries to the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_there_stays_unless_it_may_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.md");
        write(&path, b"old", Existing::Keep).unwrap();
        let error = write(&path, b"new", Existing::Keep)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("card.md") && error.contains("--overwrite"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, b"new", Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // A folder cannot be replaced, and nothing is left beside it.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        for existing in [Existing::Keep, Existing::Replace] {
            let error = write(&taken, b"text", existing).unwrap_err().to_string();
            assert!(error.contains("taken"), "{error}");
        }
        assert_eq!(names(folder.path()), ["card.md", "taken"]);
    }

    #[test]
    fn a_file_that_comes_after_the_look_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (aside, _) = Aside::file(&path).unwrap();
        fs::write(&path, b"another's").unwrap();
        let error = aside.place(Existing::Keep).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"another's");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn many_writers_of_one_name_are_one_winner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let write = |i: u8| write(&path, &[i; 1000], Existing::Keep).is_ok();
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || write(i))).collect();
            let ended = threads.into_iter().map(|thread| thread.join().unwrap());
            ended.filter(|won| *won).count()
        });
        assert_eq!(won, 1);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() == 1000 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_folder_appears_complete_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/bundle");
        let bad: [(&str, &[u8]); 2] = [("a", b"1"), ("no/such", b"2")];
        write_folder(&path, &bad).unwrap_err();
        assert!(names(&folder.path().join("new")).is_empty());
        write_folder(&path, &bad[..1]).unwrap();
        assert_eq!(names(&path), ["a"]);
        let error = write_folder(&path, &[]).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
    }

    #[test]
    fn temporary_names_are_told_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let (aside, _) = Aside::file(&folder.path().join("x.tmp-1")).unwrap();
        let name = aside
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let target = aside.target().file_name().unwrap().to_str().unwrap();
        assert_eq!(target_of(&name), Some(target));
        for other in ["x", "x.tmp", "x.tmp-", "x.tmp-1", "x.tmp-1-", "x.tmp-a-1"] {
            assert_eq!(target_of(other), None, "{other}");
        }
    }
}
