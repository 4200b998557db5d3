//! What was learned of scenes when they were opened, kept in a file: whoever lists them again need not open them.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Error as IoError, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::scene::modified;
use super::{Contents, path_bytes};
use crate::assets::SceneOptions;
use crate::location::Location;
use satmip::parts::{nothing_beside, sha256};
use satmip::{Error, Result};

/// A file of lines: the first says whose it is, the others one scene each.
#[derive(Debug)]
pub(crate) struct Known {
    path: PathBuf,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    file: File,
    /// Where the line of a scene begins.
    at: HashMap<u128, u64>,
    end: u64,
    /// Whether a line could not be written.
    failed: bool,
    /// Whether nobody will ask again.
    done: bool,
}

/// What a line says of a scene.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Learned {
    pub(super) key: String,
    /// What tells this state of its files from others, all of them and those of servers.
    pub(super) state: String,
    pub(super) versions: String,
    /// How long those of this machine are, and when they were changed.
    pub(super) modified: String,
    pub(super) size: (u32, u32),
    /// Of all windows those that are wanted: the first one of a run, and the one behind its last.
    pub(super) wanted: Vec<(u64, u64)>,
}

impl Learned {
    fn key(&self) -> Option<u128> {
        u128::from_str_radix(&self.key, 16).ok()
    }

    /// The next window that is wanted, by its place among all.
    pub(super) fn add(&mut self, at: u64) {
        match self.wanted.last_mut() {
            Some((_, end)) if *end == at => *end += 1,
            _ => self.wanted.push((at, at + 1)),
        }
    }
}

/// A scene that was not opened again, of which windows are listed.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Its file, or the item that it is of.
    pub(crate) source: Contents,
    pub(crate) state: String,
    pub(super) versions: String,
}

impl Known {
    /// The file at `path`, empty where there is none or where it is of something else than `whose`.
    ///
    /// # Errors
    /// [`Error::Output`] where it cannot be written, another process is writing it, or it is no such file.
    pub(crate) fn open(path: &Path, whose: &str) -> Result<Self> {
        let failed = |error: IoError| crate::output::failed(path, error);
        let foreign = || {
            Error::Output {
            path: path.to_owned(),
            reason: "it is no list of scenes that a plan left behind (move it away, or choose another name)".into(),
            source: None,
        }
        };
        // A link, a folder or a pipe is somebody else's.
        match path.symlink_metadata() {
            Ok(facts) if !facts.is_file() => return Err(foreign()),
            Ok(_) | Err(_) => {}
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(failed)?;
        // Where a file system has no locks, two processes are the user's to keep apart.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Output {
                path: path.to_owned(),
                reason: "another process is writing it".into(),
                source: None,
            });
        }
        let mut lines = Lines {
            file,
            at: HashMap::new(),
            end: 0,
            failed: false,
            done: false,
        };
        let found = lines.read(whose).map_err(failed)?;
        if found == Found::Foreign {
            return Err(foreign());
        }
        if found == Found::Others {
            lines.file.set_len(0).map_err(failed)?;
            lines.at.clear();
            lines.end = 0;
            lines.push(whose.as_bytes()).map_err(failed)?;
        }
        // What a process wrote when it was killed.
        lines.file.set_len(lines.end).map_err(failed)?;
        Ok(Known {
            path: path.to_owned(),
            lines: Mutex::new(lines),
        })
    }

    /// Removes the file: nobody will ask again.
    pub(crate) fn remove(self) {
        self.with(|lines| lines.done = true);
    }

    fn with<T>(&self, with: impl FnOnce(&mut Lines) -> T) -> T {
        with(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a file need not be opened.
    pub(super) fn has(&self, source: &Contents) -> bool {
        key(source).is_some_and(|key| self.with(|lines| lines.at.contains_key(&key)))
    }

    /// What is known of a scene, where its files on this machine are what they were. Servers are not asked: what is
    /// another one there by now is found when its windows are read.
    pub(super) fn get(&self, source: &Contents, options: &SceneOptions) -> Option<Learned> {
        let key = key(source)?;
        let scene = self.with(|lines| lines.scene(key))?;
        let places = places(source, options)?;
        let here = places.iter().filter_map(|place| match place {
            Location::File(path) => Some(path),
            Location::Remote(_) => None,
        });
        let same = here.clone().map(|path| modified(path)).collect::<String>() == scene.modified;
        let alone = here.clone().all(|path| nothing_beside(path).is_ok());
        (same && alone).then_some(scene)
    }

    /// Keeps what was learned of a scene. Where that fails it is learned again.
    pub(super) fn add(&self, scene: Learned) {
        let Some(key) = scene.key() else {
            return;
        };
        let line = json!(scene).to_string();
        self.with(|lines| {
            if lines.failed {
                return;
            }
            let at = lines.end;
            match lines.push(line.as_bytes()) {
                Ok(()) => {
                    lines.at.insert(key, at);
                }
                Err(error) => {
                    lines.failed = true;
                    let path = self.path.display();
                    tracing::warn!(
                        "`{path}` cannot be written, scenes will be opened again: {error}"
                    );
                }
            }
        });
    }
}

impl Drop for Known {
    /// A file of no scene helps nobody.
    fn drop(&mut self) {
        if self.with(|lines| lines.done || lines.at.is_empty()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Lines {
    /// Finds the lines, up to one that is not as it was written.
    fn read(&mut self, whose: &str) -> Result<Found, IoError> {
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        // A hostile file has one endless line.
        const MOST: u64 = 1 << 26;
        loop {
            line.clear();
            let read = (&mut reader).take(MOST).read_until(b'\n', &mut line)?;
            match (self.end, unsealed(&line)) {
                // Nothing, or the first write of a process that was killed.
                (0, None) if begins_sealed(&line) => return Ok(Found::Others),
                (0, None) => return Ok(Found::Foreign),
                (0, Some(text)) if text != whose.as_bytes() => return Ok(Found::Others),
                (0, Some(_)) => {}
                (_, None) => return Ok(Found::Own),
                (_, Some(text)) => {
                    let scene = serde_json::from_slice::<Learned>(text).ok();
                    let Some(key) = scene.and_then(|scene| scene.key()) else {
                        return Ok(Found::Own);
                    };
                    self.at.insert(key, self.end);
                }
            }
            self.end += read as u64;
        }
    }

    fn push(&mut self, line: &[u8]) -> Result<(), IoError> {
        let bytes = sealed(line);
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn scene(&mut self, key: u128) -> Option<Learned> {
        let at = *self.at.get(&key)?;
        self.file.seek(SeekFrom::Start(at)).ok()?;
        let mut line = Vec::new();
        BufReader::new(&self.file)
            .read_until(b'\n', &mut line)
            .ok()?;
        serde_json::from_slice(unsealed(&line)?).ok()
    }
}

/// What a file is that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Of the same plan.
    Own,
    /// Of another plan, or empty.
    Others,
    /// No such file at all.
    Foreign,
}

/// A line with its fingerprint before it: `SHA256 TEXT`. What is edited, or cut, is no line.
fn sealed(text: &[u8]) -> Vec<u8> {
    let mut line = sha256::of_bytes(text).into_bytes();
    line.push(b' ');
    line.extend_from_slice(text);
    line.push(b'\n');
    line
}

/// Whether a line begins as a sealed one does, as far as it goes.
fn begins_sealed(line: &[u8]) -> bool {
    let (digest, rest) = line.split_at(line.len().min(64));
    digest.iter().all(u8::is_ascii_hexdigit) && rest.first().is_none_or(|byte| *byte == b' ')
}

fn unsealed(line: &[u8]) -> Option<&[u8]> {
    let (digest, text) = line.strip_suffix(b"\n")?.split_at_checked(65)?;
    (digest.strip_suffix(b" ")? == sha256::of_bytes(text).as_bytes()).then_some(text)
}

/// What tells a scene from others; none for what is none.
pub(super) fn key(source: &Contents) -> Option<u128> {
    let bytes = |place: &Location| match place {
        Location::File(path) => path_bytes(path),
        Location::Remote(url) => url.as_str().as_bytes().to_vec(),
    };
    let parts = match source {
        Contents::File(path) => vec![path_bytes(path)],
        Contents::Object(url) => vec![url.as_str().as_bytes().to_vec()],
        Contents::Item(item) => {
            let document = item.item.to_string().into_bytes();
            let file = item.file.as_ref().map(bytes);
            let parts = [bytes(&item.place), document];
            parts.into_iter().chain(file).collect()
        }
        _ => return None,
    };
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().map(u128::from_be_bytes)
}

/// Where the files of a scene are, in the order in which they are opened.
fn places(source: &Contents, options: &SceneOptions) -> Option<Vec<Location>> {
    Some(match source {
        Contents::File(path) => vec![Location::File(path.clone())],
        Contents::Object(url) => vec![Location::Remote(url.clone())],
        Contents::Item(item) => {
            let chosen = item.files(options).ok()?;
            let classes = item.classes(options).ok()?;
            chosen.files.into_iter().chain(classes).collect()
        }
        _ => return None,
    })
}

/// Sends the windows of a scene that is known.
pub(super) fn visit(
    id: &str,
    source: Contents,
    scene: Learned,
    options: &SceneOptions,
    outside: &mut u64,
    send: &mut dyn FnMut(String, Contents) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let listed = Arc::new(Listed {
        source,
        state: scene.state,
        versions: scene.versions,
    });
    let mut runs = scene.wanted.iter().peekable();
    let mut first = true;
    let windows = options.tiling.windows(scene.size.0, scene.size.1);
    for (number, window) in (0_u64..).zip(windows) {
        while runs.next_if(|(_, end)| *end <= number).is_some() {}
        match runs.peek() {
            Some((from, _)) if *from <= number => {}
            Some(_) => continue,
            None => break,
        }
        let (scene, name) = (Arc::clone(&listed), super::scene::window_name(id, window));
        send(name, Contents::Listed { scene, first })?;
        first = false;
    }
    *outside += u64::from(first);
    ControlFlow::Continue(())
}
