//! Folders, walked down with the names of one level at a time in memory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::read::fault_of;
use super::{Contents, Entry, Sink, bytes_path, has_image_extension, is_hidden, unreadable};
use satmip::Result;

/// The names of one folder in one block of memory, in byte order.
struct Level {
    /// Path below the root, empty or with `/` at its end.
    path: Vec<u8>,
    /// Each name with a `/` when it is a folder, and a NUL (which no name can have).
    names: Vec<u8>,
    /// Where names start, from the last to the first.
    starts: Vec<usize>,
}

impl Level {
    fn next(&mut self) -> Option<Vec<u8>> {
        let start = self.starts.pop()?;
        Some(name_at(&self.names, start).to_vec())
    }
}

fn name_at(names: &[u8], start: usize) -> &[u8] {
    let rest = &names[start..];
    &rest[..rest.iter().position(|b| *b == 0).unwrap_or(rest.len())]
}

/// Visits the images below a folder in the byte order of their paths. Hidden files and folders and
/// files without an image's ending are left aside; links to files are followed, links to folders
/// are not, so that no walk goes in circles. A folder below that cannot be read is one fault.
pub(super) fn visit(root: &Path, sink: &mut Sink<'_>) -> Result<()> {
    let top = read(root, Vec::new(), sink).map_err(|e| unreadable(root, e))?;
    let mut levels = vec![top];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.next() else {
            levels.pop();
            continue;
        };
        let mut path = level.path.clone();
        path.extend_from_slice(&name);
        let full = below(root, &path);
        let source = if name.ends_with(b"/") {
            match read(&full, path.clone(), sink) {
                Ok(level) => {
                    levels.push(level);
                    continue;
                }
                Err(error) => {
                    let (kind, reason) = fault_of(&error);
                    Contents::Fault(kind, format!("the folder cannot be read: {reason}"))
                }
            }
        } else {
            Contents::File(full)
        };
        let entry = Entry { name: path, source };
        if let ControlFlow::Break(()) = (sink.entry)(entry) {
            return Ok(());
        }
    }
    Ok(())
}

fn read(folder: &Path, path: Vec<u8>, sink: &mut Sink<'_>) -> std::io::Result<Level> {
    let (mut names, mut starts) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = super::path_bytes(Path::new(&entry.file_name()));
        let kind = entry.file_type()?;
        if is_hidden(&name) || (!kind.is_dir() && !has_image_extension(&name)) {
            *sink.ignored += u64::from(!kind.is_dir());
            continue;
        }
        if kind.is_symlink() && std::fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()) {
            *sink.ignored += 1;
            continue;
        }
        starts.push(names.len());
        names.extend_from_slice(&name);
        // With its `/` a folder sorts where the paths below it belong.
        if kind.is_dir() {
            names.push(b'/');
        }
        names.push(0);
    }
    starts.sort_unstable_by(|a, b| name_at(&names, *b).cmp(name_at(&names, *a)));
    names.shrink_to_fit();
    Ok(Level {
        path,
        names,
        starts,
    })
}

fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(bytes_path(path))
}
