//! Models that are part of the program, with the feature `builtin-model`.

#[cfg(feature = "builtin-model")]
use super::registry::means;
use crate::bundle::Bundle;
#[cfg(feature = "builtin-model")]
use crate::bundle::BundleManifest;
use crate::error::Result;

#[cfg(feature = "builtin-model")]
macro_rules! part {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/zoo/satmip-lite/",
            $name
        ))
    };
}

/// The model of commands that name none, which the feature `builtin-model` makes a part of the program.
pub const DEFAULT_MODEL: &str = "satmip-lite";

/// Names of the models that are part of this program.
pub(super) const NAMES: &[&str] = if cfg!(feature = "builtin-model") {
    &[DEFAULT_MODEL]
} else {
    &[]
};

/// Whether the model of this name (`id`, `id@version`) is part of this program.
#[cfg(feature = "builtin-model")]
pub(super) fn has(name: &str) -> bool {
    let manifest = BundleManifest::read(part!("bundle.json"));
    manifest.is_ok_and(|manifest| means(name, &manifest.id, &manifest.version))
}

/// Whether the model of this name is part of this program.
#[cfg(not(feature = "builtin-model"))]
pub(super) fn has(_name: &str) -> bool {
    false
}

/// The model of this name (`id`, `id@version`), where it is part of this program.
#[cfg(feature = "builtin-model")]
pub(super) fn open(name: &str) -> Option<Result<Bundle>> {
    if !has(name) {
        return None;
    }
    let files: [(&str, &'static [u8]); 3] = [
        ("image.onnx", part!("image.onnx")),
        ("metadata.onnx", part!("metadata.onnx")),
        ("tokenizer.json", part!("tokenizer.json")),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.into()));
    Some(Bundle::from_parts(
        DEFAULT_MODEL,
        part!("bundle.json"),
        files,
    ))
}

/// The model of this name, where it is part of this program.
#[cfg(not(feature = "builtin-model"))]
pub(super) fn open(_name: &str) -> Option<Result<Bundle>> {
    None
}
