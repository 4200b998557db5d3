//! Models that are part of the program, each with a feature `model-NAME`.

use super::registry::means;
use crate::bundle::{Bundle, BundleManifest};
use crate::error::Result;

/// The model of commands that name none, which the feature `builtin-model` makes a part of the program.
pub const DEFAULT_MODEL: &str = "satmip-lite";

/// A model's files, as its crate has them.
struct Embedded {
    id: &'static str,
    manifest: &'static [u8],
    files: &'static [(&'static str, &'static [u8])],
}

macro_rules! embedded {
    ($($feature:literal $id:literal $package:ident)*) => {
        const MODELS: &[Embedded] = &[$(
            #[cfg(feature = $feature)]
            Embedded { id: $id, manifest: $package::MANIFEST, files: $package::FILES },
        )*];
        /// Names of the models that are part of this program.
        pub(super) const NAMES: &[&str] = &[$(
            #[cfg(feature = $feature)]
            $id,
        )*];
    };
}

embedded! {
    "model-lite" "satmip-lite" satmip_model_lite
    "model-lite-128" "satmip-lite-128" satmip_model_lite_128
    "model-nano" "satmip-nano" satmip_model_nano
    "model-nano-simclr" "satmip-nano-simclr" satmip_model_nano_simclr
    "model-nano-tabular" "satmip-nano-tabular" satmip_model_nano_tabular
    "model-tiny" "satmip-tiny" satmip_model_tiny
}

/// The model of this name (`id`, `id@version`), where it is part of this program.
fn find(name: &str) -> Option<&'static Embedded> {
    MODELS.iter().find(|model| {
        let manifest = BundleManifest::read(model.manifest);
        manifest.is_ok_and(|manifest| means(name, &manifest.id, &manifest.version))
    })
}

/// Whether the model of this name is part of this program.
pub(super) fn has(name: &str) -> bool {
    find(name).is_some()
}

/// The model of this name, where it is part of this program.
pub(super) fn open(name: &str) -> Option<Result<Bundle>> {
    let model = find(name)?;
    let files = model.files.iter();
    let files = files.map(|(name, bytes)| ((*name).to_owned(), (*bytes).into()));
    Some(Bundle::from_parts(model.id, model.manifest, files))
}
