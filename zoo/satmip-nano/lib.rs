//! The model `satmip-nano`, version 0.2.3, of satmip's zoo: the files of its bundle, as data.
//!
//! `cargo add satmip --features model-nano` makes it part of a program: `Embedder::builder("satmip-nano")` then needs no
//! file and no network. The card (README.md) says what it is good for, and whose data it learned from.
#![no_std]

/// The bundle's manifest, which has the size and sha256 of each file.
pub const MANIFEST: &[u8] = include_bytes!("bundle.json");

/// The files by their names in the bundle.
pub const FILES: &[(&str, &[u8])] = &[
    ("image.onnx", include_bytes!("image.onnx")),
    ("metadata.onnx", include_bytes!("metadata.onnx")),
    ("tokenizer.json", include_bytes!("tokenizer.json")),
];
