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

/// The model of this name, where it is part of this program.
#[cfg(feature = "builtin-model")]
pub(super) fn open(id: &str) -> Option<Result<Bundle>> {
    let files: [(&str, &'static [u8]); 3] = [
        ("image.onnx", nano!("image.onnx")),
        ("metadata.onnx", nano!("metadata.onnx")),
        ("tokenizer.json", nano!("tokenizer.json")),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.into()));
    (id == "satmip-nano").then(|| Bundle::from_parts(id, nano!("bundle.json"), files))
}

/// The model of this name, where it is part of this program.
#[cfg(not(feature = "builtin-model"))]
pub(super) fn open(_id: &str) -> Option<Result<Bundle>> {
    None
}
