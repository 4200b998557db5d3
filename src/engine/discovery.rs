//! Finding an ONNX Runtime library on this machine.
//!
//! Looked at in this order, and the first that can be used is taken for the whole process:
//!
//! 1. the path given by the caller (then nothing else is looked at),
//! 2. the environment variables `ORT_DYLIB_PATH` and `SATMIP_ORT_DYLIB`,
//! 3. an installed Python package `onnxruntime`: in `VIRTUAL_ENV`, in `CONDA_PREFIX`, then, if
//!    [`EngineOptions::ask_python`](super::EngineOptions::ask_python) allows it, where `python3` says that its
//!    packages are,
//! 4. the system's library folders.
//!
//! No program is run unless the caller asks for it: `python3` is whatever comes first in `PATH`.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::onnxruntime::Runtime;
use super::{Device, EngineOptions};
use crate::error::Error;

/// The environment variable that names an ONNX Runtime library, as the crate `ort` has it.
pub const ORT_DYLIB_PATH: &str = "ORT_DYLIB_PATH";
/// The environment variable that names an ONNX Runtime library for this crate alone.
pub const SATMIP_ORT_DYLIB: &str = "SATMIP_ORT_DYLIB";

/// Python packages before 1.20 (of those tried, 1.16 to 1.18) have it linked into another file.
const NO_LIBRARY: &str = "this Python package has no library of its own, 1.20 and newer have one";

/// How long `python3` may take to say where its packages are.
const PYTHON_PATIENCE: Duration = Duration::from_secs(3);

/// A file that may be an ONNX Runtime library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The file.
    pub path: PathBuf,
    /// What led to it, for example `SATMIP_ORT_DYLIB` or `python3`.
    pub origin: String,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What became of a [`Candidate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "reason")]
#[non_exhaustive]
pub enum Verdict {
    /// It is loaded and used.
    Used,
    /// It was not looked at, because one before it is used.
    NotTried,
    /// It cannot be used, and why.
    Unusable(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Used => f.write_str("used"),
            Verdict::NotTried => f.write_str("not tried: an earlier one is used"),
            Verdict::Unusable(reason) => write!(f, "unusable: {reason}"),
        }
    }
}

/// Why there is no ONNX Runtime.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) candidates: Vec<Candidate>,
    reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Missing {
    pub(super) fn to_error(&self, device: Device) -> Error {
        Error::Device {
            device: device.to_string(),
            reason: self.reason.clone(),
            hint: format!(
                "install it (`pip install {}`) or name the library in `{SATMIP_ORT_DYLIB}`; \
                 `satmip doctor` shows where it was looked for",
                if device.is_gpu() {
                    "onnxruntime-gpu"
                } else {
                    "onnxruntime"
                }
            ),
        }
    }
}

/// The library of this process. A process can load one only, so the first that can be used stays.
static LOADED: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

/// The ONNX Runtime to use, loaded when it is first asked for.
pub(super) fn runtime(options: &EngineOptions) -> Result<Arc<Runtime>, Missing> {
    let library = options.library.as_deref();
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = loaded.as_ref() {
        return match library {
            Some(path) if !same_file(path, &runtime.path) => Err(Missing {
                candidates: Vec::new(),
                reason: format!(
                    "`{}` cannot be loaded, `{}` is loaded already and a process can have one only",
                    path.display(),
                    runtime.path.display()
                ),
            }),
            _ => Ok(runtime.clone()),
        };
    }
    let mut candidates = candidates(options);
    for i in 0..candidates.len() {
        let candidate = &mut candidates[i];
        if matches!(candidate.verdict, Verdict::Unusable(_)) {
            continue;
        }
        match Runtime::load(&candidate.path) {
            Ok(mut runtime) => {
                candidate.verdict = Verdict::Used;
                runtime.candidates = candidates;
                let runtime = Arc::new(runtime);
                tracing::info!("ONNX Runtime is `{}`", runtime.path.display());
                return Ok(loaded.insert(runtime).clone());
            }
            Err(reason) => {
                let named = [ORT_DYLIB_PATH, SATMIP_ORT_DYLIB].contains(&&*candidate.origin);
                if named {
                    tracing::warn!(
                        "`{}` of {} cannot be used: {reason}",
                        candidate.path.display(),
                        candidate.origin
                    );
                }
                candidate.verdict = Verdict::Unusable(reason);
            }
        }
    }
    let reason = match candidates.as_slice() {
        [] => "no ONNX Runtime library was found".to_owned(),
        [one] => format!("`{}` is {}", one.path.display(), one.verdict),
        [first, ..] => format!(
            "none of {} ONNX Runtime libraries can be used; `{}` is {}",
            candidates.len(),
            first.path.display(),
            first.verdict
        ),
    };
    Err(Missing { candidates, reason })
}

/// Where a library may be, best first, each file once.
fn candidates(options: &EngineOptions) -> Vec<Candidate> {
    let mut found = Found::default();
    if let Some(path) = &options.library {
        found.add(path.clone(), "given path");
        return found.0;
    }
    for name in [ORT_DYLIB_PATH, SATMIP_ORT_DYLIB] {
        if let Some(path) = env::var_os(name).filter(|path| !path.is_empty()) {
            found.add(path.into(), name);
        }
    }
    for name in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        if let Some(root) = env::var_os(name).filter(|root| !root.is_empty()) {
            for packages in site_packages(Path::new(&root)) {
                found.add_python(&packages, name);
            }
        }
    }
    if options.ask_python {
        for packages in python_packages() {
            found.add_python(packages, "python3");
        }
    }
    for folder in system_folders() {
        for path in libraries_in(&folder) {
            found.add(path, "system folder");
        }
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Candidate>);

impl Found {
    fn add(&mut self, path: PathBuf, origin: &str) {
        if !self.0.iter().any(|known| same_file(&known.path, &path)) {
            self.0.push(Candidate {
                path,
                origin: origin.to_owned(),
                verdict: Verdict::NotTried,
            });
        }
    }

    fn add_python(&mut self, packages: &Path, origin: &str) {
        let folder = packages.join("onnxruntime").join("capi");
        let libraries = libraries_in(&folder);
        if libraries.is_empty() && folder.is_dir() {
            self.0.push(Candidate {
                path: folder,
                origin: origin.to_owned(),
                verdict: Verdict::Unusable(NO_LIBRARY.to_owned()),
            });
        }
        for path in libraries {
            self.add(path, origin);
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// The folders of packages in a Python environment.
fn site_packages(root: &Path) -> Vec<PathBuf> {
    if cfg!(windows) {
        return vec![root.join("Lib").join("site-packages")];
    }
    let Ok(entries) = root.join("lib").read_dir() else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.path());
    let mut pythons: Vec<PathBuf> = names
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("python3"))
        })
        .map(|path| path.join("site-packages"))
        .collect();
    pythons.sort();
    pythons.reverse();
    pythons
}

/// ONNX Runtime libraries in a folder, the newest version first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = library_version(entry.file_name().to_str()?)?;
            Some((version, entry.path()))
        })
        .collect();
    found.sort();
    found.reverse();
    found.into_iter().map(|(_, path)| path).collect()
}

/// The version in the name of an ONNX Runtime library, empty where there is none; nothing for the
/// name of any other file.
pub(super) fn library_version(name: &str) -> Option<Vec<u32>> {
    let version = if cfg!(windows) {
        name.eq_ignore_ascii_case("onnxruntime.dll").then_some("")?
    } else if cfg!(target_os = "macos") {
        let middle = name.strip_prefix("libonnxruntime")?;
        middle.strip_suffix(".dylib")?.trim_start_matches('.')
    } else {
        name.strip_prefix("libonnxruntime.so")?
            .trim_start_matches('.')
    };
    let parts = version.split('.').filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

/// What `python3` says of its packages, asked once in a process.
fn python_packages() -> &'static [PathBuf] {
    static PACKAGES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PACKAGES.get_or_init(|| ask_python(if cfg!(windows) { "python" } else { "python3" }))
}

fn ask_python(program: &str) -> Vec<PathBuf> {
    const QUESTION: &str =
        "import site; print(*site.getsitepackages(), site.getusersitepackages(), sep='\\n')";
    // Isolated (`-I`), so that neither the working directory nor PYTHON* variables have a say.
    let child = Command::new(program)
        .args(["-I", "-c", QUESTION])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Vec::new();
    };
    let start = Instant::now();
    let done = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if start.elapsed() < PYTHON_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => break false,
        }
    };
    if !done {
        let _ = child.kill();
        let _ = child.wait();
        return Vec::new();
    }
    let Ok(output) = child.wait_with_output() else {
        return Vec::new();
    };
    let lines = String::from_utf8_lossy(&output.stdout);
    let paths = lines.lines().map(PathBuf::from);
    paths.filter(|path| path.is_absolute()).collect()
}

/// Where the system keeps libraries.
fn system_folders() -> Vec<PathBuf> {
    let (search, fixed): (&str, &[&str]) = if cfg!(windows) {
        ("PATH", &[])
    } else if cfg!(target_os = "macos") {
        (
            "DYLD_LIBRARY_PATH",
            &["/opt/homebrew/lib", "/usr/local/lib"],
        )
    } else {
        (
            "LD_LIBRARY_PATH",
            &[
                "/usr/local/lib",
                "/usr/local/lib64",
                "/usr/lib64",
                "/usr/lib/x86_64-linux-gnu",
                "/usr/lib/aarch64-linux-gnu",
                "/usr/lib",
                "/opt/onnxruntime/lib",
            ],
        )
    };
    let searched = env::var_os(search).unwrap_or_default();
    let searched = env::split_paths(&searched).filter(|path| path.is_absolute());
    searched.chain(fixed.iter().map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_names_of_the_library_itself_count() {
        assert_eq!(library_version("libonnxruntime.so"), Some(vec![]));
        assert_eq!(
            library_version("libonnxruntime.so.1.32.0"),
            Some(vec![1, 32, 0])
        );
        for other in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.txt",
            "onnxruntime_pybind11_state.so",
            "",
        ] {
            assert_eq!(library_version(other), None, "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_python_environment_is_searched_newest_first() {
        let root = tempfile::tempdir().unwrap();
        let capi = |python: &str| {
            let folder = root
                .path()
                .join("lib")
                .join(python)
                .join("site-packages/onnxruntime/capi");
            std::fs::create_dir_all(&folder).unwrap();
            folder
        };
        let (old, new) = (capi("python3.11"), capi("python3.12"));
        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.32.0"] {
            std::fs::write(old.join(name), "").unwrap();
        }
        std::fs::write(new.join("libonnxruntime.so.1.20.1"), "").unwrap();
        std::fs::write(new.join("libonnxruntime_providers_shared.so"), "").unwrap();

        let mut found = Found::default();
        for packages in site_packages(root.path()) {
            found.add_python(&packages, "VIRTUAL_ENV");
        }
        let names: Vec<_> = found
            .0
            .iter()
            .map(|c| c.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "libonnxruntime.so.1.20.1",
                "libonnxruntime.so.1.32.0",
                "libonnxruntime.so.1.9.0"
            ]
        );
    }

    #[test]
    fn a_python_package_without_a_library_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("onnxruntime/capi")).unwrap();
        let mut found = Found::default();
        found.add_python(root.path(), "python3");
        assert_eq!(found.0.len(), 1);
        let text = found.0[0].verdict.to_string();
        assert!(text.contains("1.20"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_behind_two_names_is_one_candidate() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().join("libonnxruntime.so.1.32.0");
        let link = root.path().join("libonnxruntime.so");
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut found = Found::default();
        found.add(real, "one");
        found.add(link, "two");
        assert_eq!(found.0.len(), 1);
    }

    #[test]
    fn a_python_that_is_not_there_is_no_error() {
        assert!(ask_python("satmip-no-such-python").is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_no_library_is_refused_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("libonnxruntime.so");
        std::fs::write(&path, "not a library").unwrap();
        let reason = Runtime::load(&path).err().unwrap();
        assert!(reason.contains("libonnxruntime.so"), "{reason}");
        let missing = Runtime::load(&root.path().join("missing.so"))
            .err()
            .unwrap();
        assert!(missing.contains("no such file"), "{missing}");
    }
}
