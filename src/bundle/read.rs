//! Opening a bundle.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::manifest::{BundleManifest, FileEntry, Graphs};
#[cfg(feature = "export")]
use super::write::complete;
use super::{IMAGE_GRAPH, MANIFEST};
use crate::error::{Cause, Error, Result};
use crate::parts::sha256;
#[cfg(feature = "serve")]
use crate::parts::sha256::CheckedFile;

/// Longest `bundle.json` that is read.
const LONGEST_MANIFEST: u64 = 16 << 20;

/// A model on disk, or one that is part of the program; checked.
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// let bundle = satmip::zoo::resolve("satmip-lite")?; // or Bundle::open("path/to/folder")
/// assert_eq!(bundle.precision(), "int8-weights");
/// # }
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Clone)]
pub struct Bundle {
    manifest: BundleManifest,
    path: PathBuf,
    files: Files,
    /// The precision that was asked for; none is that of `image.onnx`.
    precision: Option<String>,
}

#[derive(Clone)]
enum Files {
    Folder,
    Parts(BTreeMap<String, Cow<'static, [u8]>>),
}

impl Bundle {
    /// Opens the bundle in a folder, and checks that the manifest is possible and that every file
    /// is the one that it names. Every file is read once; none is kept in memory.
    ///
    /// # Errors
    /// [`Error::Io`] for what cannot be read, [`Error::Bundle`] for a manifest that is damaged,
    /// impossible or of an unknown format and for files that are missing, [`Error::Checksum`] for a
    /// file that is another one.
    pub fn open(dir: impl AsRef<Path>) -> Result<Bundle> {
        Bundle::open_folder(dir.as_ref(), |_| true)
    }

    /// As [`Bundle::open`], of a folder that has a part of the files that its manifest names.
    #[cfg(feature = "zoo")]
    pub(crate) fn open_present(dir: &Path) -> Result<Bundle> {
        Bundle::open_folder(dir, |path| path.exists())
    }

    fn open_folder(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Bundle> {
        let path = dir.join(MANIFEST);
        let file = File::open(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound if dir.is_dir() => {
                refuse(dir, format!("it has no `{MANIFEST}`"), None)
            }
            _ => Error::io(&path, source),
        })?;
        let mut json = Vec::new();
        file.take(LONGEST_MANIFEST + 1)
            .read_to_end(&mut json)
            .map_err(|source| Error::io(&path, source))?;
        let bundle = Bundle {
            manifest: manifest(&json, &path)?,
            path: dir.to_owned(),
            files: Files::Folder,
            precision: None,
        };
        for (name, entry) in &bundle.manifest.files {
            let path = dir.join(name);
            if !wanted(&path) {
                continue;
            }
            let file = open_file(&path, dir)?;
            // The size first: it costs nothing, and says more than a wrong checksum does.
            let size = file
                .metadata()
                .map_err(|source| Error::io(&path, source))?
                .len();
            compare(&path, entry, size, None)?;
            let (size, hash) =
                sha256::of_reader(file).map_err(|source| Error::io(&path, source))?;
            compare(&path, entry, size, Some(hash))?;
        }
        Ok(bundle)
    }

    /// A bundle from its files in memory, for a model that is part of the program. `label` stands
    /// for it in messages. Files that the model can do without, as the card, may be absent.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_parts(
        label: &str,
        json: &[u8],
        files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>,
    ) -> Result<Bundle> {
        let path = PathBuf::from(label);
        let manifest = manifest(json, &path)?;
        let files: BTreeMap<String, Cow<'static, [u8]>> = files.into_iter().collect();
        for (name, bytes) in &files {
            let entry = manifest.files.get(name).ok_or_else(|| {
                refuse(&path, format!("its manifest does not name `{name}`"), None)
            })?;
            check_bytes(&path.join(name), entry, bytes)?;
        }
        let required = manifest.required();
        if let Some(name) = required.iter().find(|name| !files.contains_key(**name)) {
            return Err(refuse(&path, format!("`{name}` is missing"), None));
        }
        Ok(Bundle {
            manifest,
            path,
            files: Files::Parts(files),
            precision: None,
        })
    }

    /// A bundle from its files in memory, whose sizes and checksums the manifest does not have yet.
    ///
    /// # Errors
    /// As [`write`](super::write()).
    #[cfg(feature = "export")]
    #[doc(hidden)]
    pub fn in_memory(
        label: &str,
        manifest: BundleManifest,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Bundle> {
        let path = PathBuf::from(label);
        let parts: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (&n[..], &b[..])).collect();
        let manifest = complete(&path, manifest, &parts)?;
        let owned = |(name, bytes)| (name, Cow::Owned(bytes));
        Ok(Bundle {
            manifest,
            path,
            files: Files::Parts(files.into_iter().map(owned).collect()),
            precision: None,
        })
    }

    /// The same bundle, of which the graphs of this precision are used.
    ///
    /// # Errors
    /// [`Error::Bundle`] where the bundle does not have it, with those that it has.
    pub fn in_precision(mut self, precision: &str) -> Result<Bundle> {
        let graphs = self.manifest.graphs_in(precision);
        graphs.map_err(|reason| refuse(&self.path, reason, None))?;
        self.precision = Some(precision.to_owned());
        Ok(self)
    }

    /// The precision of the graphs that are used.
    pub fn precision(&self) -> &str {
        self.precision
            .as_deref()
            .unwrap_or(&self.manifest.precision)
    }

    /// The files of the graphs that are used.
    pub fn graphs(&self) -> Graphs {
        let graphs = self.manifest.graphs(self.precision());
        // `in_precision` takes no other.
        graphs.unwrap_or_else(|| Graphs {
            image: IMAGE_GRAPH.to_owned(),
            metadata: None,
        })
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// The folder, or the label of a bundle in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a bundle in memory has this file; a folder has what was there when it was opened.
    #[cfg(feature = "zoo")]
    pub(crate) fn holds(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder => self.path.join(name).is_file(),
            Files::Parts(parts) => parts.contains_key(name),
        }
    }

    /// A file of the bundle, where it is one of this machine.
    #[cfg(feature = "serve")]
    pub(crate) fn file(&self, name: &str) -> Option<CheckedFile> {
        let entry = self.manifest.files.get(name)?;
        match &self.files {
            Files::Parts(_) => None,
            Files::Folder => Some(CheckedFile {
                path: self.path.join(name),
                sha256: entry.sha256.clone(),
            }),
        }
    }

    /// A file of the bundle, checked against the manifest once more: it may have changed since the
    /// bundle was opened.
    ///
    /// # Errors
    /// [`Error::Bundle`] for a name that the manifest does not have and for a missing file,
    /// [`Error::Checksum`] for a file that changed, [`Error::Io`] for one that cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let Some(entry) = self.manifest.files.get(name) else {
            return Err(refuse(&self.path, format!("it has no file `{name}`"), None));
        };
        if let Files::Parts(parts) = &self.files {
            return match parts.get(name) {
                Some(bytes) => Ok(Cow::Borrowed(bytes)),
                None => Err(refuse(
                    &self.path,
                    format!("`{name}` is not part of the program"),
                    None,
                )),
            };
        }
        let path = self.path.join(name);
        let file = open_file(&path, &self.path)?;
        let mut bytes = Vec::new();
        file.take(entry.size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| Error::io(&path, source))?;
        check_bytes(&path, entry, &bytes)?;
        Ok(Cow::Owned(bytes))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("id", &self.manifest.id)
            .field("version", &self.manifest.version)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn manifest(json: &[u8], path: &Path) -> Result<BundleManifest> {
    if json.len() as u64 > LONGEST_MANIFEST {
        let reason = format!("`{MANIFEST}` is over {LONGEST_MANIFEST} bytes long");
        return Err(refuse(path, reason, None));
    }
    let manifest = BundleManifest::parse(json).map_err(|reason| refuse(path, reason, None))?;
    manifest
        .check()
        .map_err(|reason| refuse(path, reason, None))?;
    Ok(manifest)
}

fn open_file(path: &Path, dir: &Path) -> Result<File> {
    let missing = |reason: String, source| Err(refuse(dir, reason, source));
    let name = path.file_name().unwrap_or_default().display();
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => missing(format!("`{name}` is no file"), None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            missing(format!("`{name}` is missing"), None)
        }
        _ => File::open(path).map_err(|source| Error::io(path, source)),
    }
}

/// Holds a file's contents against its entry.
///
/// # Errors
/// [`Error::Checksum`].
pub(crate) fn check_bytes(path: &Path, entry: &FileEntry, bytes: &[u8]) -> Result<()> {
    compare(path, entry, bytes.len() as u64, None)?;
    compare(
        path,
        entry,
        bytes.len() as u64,
        Some(sha256::of_bytes(bytes)),
    )
}

fn compare(path: &Path, entry: &FileEntry, size: u64, hash: Option<String>) -> Result<()> {
    let differs = |what, expected: String, actual: String| Error::Checksum {
        path: path.to_owned(),
        what,
        expected,
        actual,
    };
    if size != entry.size {
        return Err(differs("size", entry.size.to_string(), size.to_string()));
    }
    match hash {
        Some(hash) if !hash.eq_ignore_ascii_case(&entry.sha256) => {
            Err(differs("sha256", entry.sha256.clone(), hash))
        }
        _ => Ok(()),
    }
}

fn refuse(path: &Path, reason: String, source: Option<Cause>) -> Error {
    Error::Bundle {
        path: path.to_owned(),
        reason,
        source,
    }
}
