//! Running ONNX graphs.
//!
//! Two runtimes stand behind one trait: ONNX Runtime, loaded at run time where an installed library
//! is found ([`discovery`]), and rten, which is built in. [`open`] picks one after
//! [`EngineOptions::device`]. Files are checked before a runtime sees them, and inputs are checked
//! against the graph's [`Port`]s, so that both refuse the same things in the same words.
//!
//! On the CPU each session has one thread, and [`Engine::run`] may be called from as many threads as
//! there are sessions: parallel sessions with a thread each do more work than one wide session, and
//! their results do not depend on the number of threads.

mod device;
pub mod discovery;
pub mod doctor;
mod graph;
mod onnxruntime;
mod pool;
mod port;
mod rten;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

pub use device::Device;
pub use port::{Dimension, Element, Input, Outputs, Port};

use crate::error::{Error, Result};
use crate::parts::sha256::CheckedFile;
use graph::Graph;

/// Most sessions of one engine.
const MOST_SESSIONS: usize = 512;

/// How a graph is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Where it runs.
    pub device: Device,
    /// Sessions that may run at the same time, each with one thread; at least 1. They are made
    /// when they are first needed. A GPU has one session, whatever this says.
    pub sessions: usize,
    /// The ONNX Runtime library to use. With it no other is looked for, and that it cannot be used
    /// is an error even for [`Device::Auto`].
    pub library: Option<PathBuf>,
    /// Whether `python3` (on Windows `python`), whatever that is in `PATH`, may be run to ask where its packages are, among
    /// which there may be ONNX Runtime. Without it no program is run: where a library is looked for then is
    /// in [`discovery`].
    pub ask_python: bool,
}

impl Default for EngineOptions {
    /// [`Device::Auto`] with a session for each CPU core; no program is run.
    fn default() -> Self {
        EngineOptions {
            device: Device::Auto,
            sessions: std::thread::available_parallelism().map_or(1, |n| n.get()),
            library: None,
            ask_python: false,
        }
    }
}

/// A graph that is ready to run.
pub trait Engine: Send + Sync + Debug {
    /// The runtime, `onnxruntime` or `rten`.
    fn name(&self) -> &'static str;

    /// Where the graph runs; never [`Device::Auto`].
    fn device(&self) -> Device;

    /// The graph's inputs.
    fn inputs(&self) -> &[Port];

    /// The graph's outputs, all of them [`Element::F32`].
    fn outputs(&self) -> &[Port];

    /// Runs the graph on a free session, and waits for one if there is none.
    ///
    /// Every input must be given, in any order.
    ///
    /// # Errors
    /// [`Error::Argument`] for inputs that do not fit the ports, [`Error::Engine`] when the
    /// runtime fails; the engine can be used again after either.
    fn run(&self, inputs: &[(&str, Input<'_>)]) -> Result<Outputs>;
}

/// Makes a graph ready to run. `name` stands for the graph in messages.
///
/// # Errors
/// [`Error::Graph`] for a file that is no usable graph, [`Error::Device`] for a device that is not
/// there, [`Error::Engine`] when the runtime refuses the graph.
pub fn open(graph: &[u8], name: &str, options: &EngineOptions) -> Result<Box<dyn Engine>> {
    open_owned(graph.to_vec(), None, name, options)
}

/// Where each session of a graph takes it from.
#[derive(Debug, Clone)]
enum Source {
    Bytes(Arc<Vec<u8>>),
    File(CheckedFile),
}

/// As [`open`], of bytes that are not copied. Those of a file need not stay in memory beside the sessions.
pub(crate) fn open_owned(
    graph: Vec<u8>,
    file: Option<CheckedFile>,
    name: &str,
    options: &EngineOptions,
) -> Result<Box<dyn Engine>> {
    let ports = Graph::read(&graph, name)?;
    let sessions = options.sessions.clamp(1, MOST_SESSIONS);
    let (runtime, device) = match options.device {
        Device::Rten => {
            return Ok(Box::new(rten::Rten::open(graph, name, ports, sessions)?));
        }
        Device::Auto if options.library.is_none() => match discovery::runtime(options) {
            Ok(runtime) => (runtime, Device::OnnxRuntime),
            Err(missing) => {
                tracing::info!("the built-in rten runs `{name}`: {missing}");
                return Ok(Box::new(rten::Rten::open(graph, name, ports, sessions)?));
            }
        },
        device => {
            let runtime =
                discovery::runtime(options).map_err(|missing| missing.to_error(device))?;
            match device {
                Device::Auto => (runtime, Device::OnnxRuntime),
                device => (runtime, device),
            }
        }
    };
    let source = match file {
        Some(file) => {
            drop(graph);
            Source::File(file)
        }
        None => Source::Bytes(graph.into()),
    };
    let engine = onnxruntime::OnnxRuntime::open(&runtime, source, name, ports, sessions, device);
    Ok(Box::new(engine?))
}

/// Runs `work`, which calls into a runtime, and turns a panic in it into an error. Tens of
/// thousands of damaged graphs (`tests/engine/hostile.rs`) found none, but both runtimes have assertions
/// inside, and a hostile file that trips one must not take the caller along.
fn guarded<R>(
    engine: &'static str,
    graph: &str,
    work: impl FnOnce() -> std::result::Result<R, String>,
) -> Result<R> {
    let refuse = |reason: String| Error::Engine {
        engine,
        graph: graph.to_owned(),
        reason,
    };
    match crate::parts::guard::guarded(work) {
        Ok(result) => result.map_err(refuse),
        Err(said) => Err(refuse(format!("it gave up: {said}"))),
    }
}

/// Where this crate keeps what it can make again: `$SATMIP_CACHE_DIR`, else `satmip` in the user's
/// cache folder. None when the system names no such folder.
pub fn cache_dir() -> Option<PathBuf> {
    let folder = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    if let Some(path) = std::env::var_os("SATMIP_CACHE_DIR").filter(|value| !value.is_empty()) {
        return Some(path.into());
    }
    let cache = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library").join("Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    cache.map(|cache| cache.join("satmip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_runtime_is_an_error_that_names_the_graph() {
        let formatted = guarded::<()>("rten", "a.onnx", || panic!("index {}", 3));
        let plain = guarded::<()>("rten", "a.onnx", || panic!("plain"));
        for (result, words) in [(formatted, "index 3"), (plain, "plain")] {
            match result.unwrap_err() {
                Error::Engine { graph, reason, .. } => {
                    assert_eq!(graph, "a.onnx");
                    assert!(reason.contains(words), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(guarded("rten", "a.onnx", || Ok(7)).unwrap(), 7);
    }
}
