//! Every environment variable that the program reads.

pub use satmip::engine::discovery::{ORT_DYLIB_PATH, SATMIP_ORT_DYLIB};

/// Filter of log messages in `tracing`'s syntax, for example `satmip=debug`; comes before `-v`
/// and `-q`.
pub const SATMIP_LOG: &str = "SATMIP_LOG";

/// Folder for what can be made again, in place of the system's cache folder.
pub const SATMIP_CACHE_DIR: &str = "SATMIP_CACHE_DIR";

pub use satmip::zoo::{SATMIP_OFFLINE, SATMIP_REGISTRY};

/// No colours, when it is set and not empty (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";

/// The variables with what they do, for `satmip --help`.
pub const ALL: [(&str, &str); 7] = [
    (
        SATMIP_ORT_DYLIB,
        "library of ONNX Runtime (libonnxruntime.so, .dylib, onnxruntime.dll)",
    ),
    (ORT_DYLIB_PATH, "the same; comes before SATMIP_ORT_DYLIB"),
    (
        SATMIP_CACHE_DIR,
        "folder for downloaded models and what can be made again",
    ),
    (SATMIP_OFFLINE, "no downloads, when set"),
    (
        SATMIP_REGISTRY,
        "registries of models beside the program's own, with commas between",
    ),
    (
        SATMIP_LOG,
        "filter of log messages, for example `satmip=debug`",
    ),
    (NO_COLOR, "no colours, when set"),
];
