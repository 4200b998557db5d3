//! Models that are part of the program, with the feature `builtin-model`.

use crate::bundle::Bundle;
use crate::error::Result;

#[cfg(feature = "builtin-model")]
macro_rules! nano {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/zoo/satmip-nano/",
            $name
        ))
    };
}

/// Names of the models that are part of this program.
pub(super) const NAMES: &[&str] = if cfg!(feature = "builtin-model") {
    &["satmip-nano"]
} else {
    &[]
};

/// The version of the model that is part of this program.
pub(super) fn version() -> Option<String> {
    let bundle = NAMES.first().and_then(|id| open(id))?.ok()?;
    Some(bundle.manifest().version.clone())
}

/// The model of this name (`id`, `id@version`), where it is part of this program.
#[cfg(feature = "builtin-model")]
pub(super) fn open(name: &str) -> Option<Result<Bundle>> {
    let (id, version) = match name.split_once('@') {
        Some((id, version)) => (id, Some(version)),
        None => (name, None),
    };
    if !NAMES.contains(&id) {
        return None;
    }
    let files: [(&str, &'static [u8]); 3] = [
        ("image.onnx", nano!("image.onnx")),
        ("metadata.onnx", nano!("metadata.onnx")),
        ("tokenizer.json", nano!("tokenizer.json")),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.into()));
    let bundle = Bundle::from_parts(id, nano!("bundle.json"), files);
    match (&bundle, version) {
        (Ok(bundle), Some(version)) if bundle.manifest().version != version => None,
        _ => Some(bundle),
    }
}

/// The model of this name, where it is part of this program.
#[cfg(not(feature = "builtin-model"))]
pub(super) fn open(_name: &str) -> Option<Result<Bundle>> {
    None
}
