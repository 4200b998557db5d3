//! Weights to and from safetensors, under the names of [`crate::arch::names`].

use std::path::Path;

use burn::store::{
    ApplyResult, BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter, PytorchStore,
    SafetensorsStore,
};

use super::{ImageEncoder, SatMip};
use crate::error::{Error, Result};

/// What a file of weights gave to a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct LoadReport {
    /// Tensors that were taken over.
    pub applied: Vec<String>,
    /// Tensors of the model that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the model has no place for.
    pub unused: Vec<String>,
}

/// Where torchvision's names are not this crate's field names: ours, theirs.
const STAGES: usize = 8;

/// Patterns from this crate's field names to the stored names.
fn to_stored() -> Vec<(String, String)> {
    let mut patterns: Vec<(String, String)> = (0..STAGES)
        .map(|i| {
            (
                format!(r"^((?:image\.)?)layers\.{i}\.(\d+\.)"),
                format!("${{1}}layer{}.$2", i + 1),
            )
        })
        .collect();
    patterns.push((r"downsample\.conv\.".into(), "downsample.0.".into()));
    patterns.push((r"downsample\.norm\.".into(), "downsample.1.".into()));
    patterns
}

/// Patterns from the stored names to this crate's field names.
fn from_stored() -> Vec<(String, String)> {
    let mut patterns: Vec<(String, String)> = (0..STAGES)
        .map(|i| {
            (
                format!(r"^((?:image\.)?)layer{}\.", i + 1),
                format!("${{1}}layers.{i}."),
            )
        })
        .collect();
    patterns.push((r"downsample\.0\.".into(), "downsample.conv.".into()));
    patterns.push((r"downsample\.1\.".into(), "downsample.norm.".into()));
    patterns
}

/// Writes a model's weights to a safetensors file, replacing it. Equal weights give equal bytes.
///
/// # Errors
/// Where the file cannot be written.
pub fn save_weights(model: &SatMip, path: &Path) -> Result<()> {
    // One entry of metadata, so that equal weights are equal files.
    let mut store = SafetensorsStore::from_file(path)
        .clear_metadata()
        .metadata("format", "pt")
        .overwrite(true)
        .skip_enum_variants(true)
        .with_to_adapter(BurnToPyTorchAdapter);
    for (ours, theirs) in to_stored() {
        store = store.with_key_remapping(ours, theirs);
    }
    model
        .save_into(&mut store)
        .map_err(|e| Error::io(path, std::io::Error::other(e.to_string())))
}

/// Loads a safetensors file that [`save_weights`] wrote.
///
/// # Errors
/// [`Error::Weights`] for a file that cannot be read, and for a missing or mis-shaped tensor.
pub fn load_weights(model: &mut SatMip, path: &Path) -> Result<LoadReport> {
    let mut store = SafetensorsStore::from_file(path)
        .skip_enum_variants(true)
        .with_from_adapter(PyTorchToBurnAdapter)
        .allow_partial(true);
    for (theirs, ours) in from_stored() {
        store = store.with_key_remapping(theirs, ours);
    }
    let applied = model
        .load_from(&mut store)
        .map_err(|e| weights_error(path, "", e.to_string()))?;
    complete(path, applied)
}

/// Loads a foreign image tower: timm's names for a ViT, torchvision's for a ResNet, from safetensors
/// or a PyTorch checkpoint (`.pt`, `.pth`, `.bin`; at the top, under `state_dict` or `model`), with
/// any prefix of the names.
///
/// A classifier (`head.*`, `fc.*`) is reported as unused.
///
/// # Errors
/// [`Error::Weights`] for a file that cannot be read, and for a missing or mis-shaped tensor.
pub fn load_image_tower(model: &mut SatMip, path: &Path, prefix: &str) -> Result<LoadReport> {
    let strip = format!("^{}", regex_escape(prefix));
    let torch = path
        .extension()
        .is_some_and(|e| e == "pt" || e == "pth" || e == "bin");
    let fail = |e: String| weights_error(path, "", e);
    let applied = if torch {
        // Checkpoints keep the weights at the top or under one of these keys.
        let mut outcome = Err(fail("holds no weights".into()));
        for key in [None, Some("state_dict"), Some("model")] {
            let mut store = PytorchStore::from_file(path).allow_partial(true);
            if let Some(key) = key {
                store = store.with_top_level_key(key);
            }
            store = store.with_key_remapping(strip.as_str(), "");
            for (theirs, ours) in from_stored() {
                store = store.with_key_remapping(theirs, ours);
            }
            let applied = match &mut model.image {
                ImageEncoder::Vit(m) => m.load_from(&mut store),
                ImageEncoder::ResNet(m) => m.load_from(&mut store),
            };
            outcome = applied.map_err(|e| fail(e.to_string()));
            if outcome.as_ref().is_ok_and(|a| !a.applied.is_empty()) {
                break;
            }
        }
        outcome?
    } else {
        let mut store = SafetensorsStore::from_file(path)
            .with_from_adapter(PyTorchToBurnAdapter)
            .allow_partial(true)
            .with_key_remapping(strip, "");
        for (theirs, ours) in from_stored() {
            store = store.with_key_remapping(theirs, ours);
        }
        match &mut model.image {
            ImageEncoder::Vit(m) => m.load_from(&mut store).map_err(|e| fail(e.to_string()))?,
            ImageEncoder::ResNet(m) => m.load_from(&mut store).map_err(|e| fail(e.to_string()))?,
        }
    };
    complete(path, applied)
}

/// The report, or an error for the first tensor that is missing or does not fit.
fn complete(path: &Path, result: ApplyResult) -> Result<LoadReport> {
    if let Some(error) = result.errors.first() {
        return Err(weights_error(path, "", error.to_string()));
    }
    // Batch norm's `training` flag is a parameter to burn and no weight.
    let missing: Vec<String> = result
        .missing
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.ends_with(".training"))
        .collect();
    if let Some(name) = missing.first() {
        return Err(weights_error(path, name, "is missing".into()));
    }
    Ok(LoadReport {
        applied: result.applied,
        missing,
        unused: result.unused,
    })
}

fn weights_error(path: &Path, tensor: &str, reason: String) -> Error {
    Error::Weights {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        reason,
    }
}

fn regex_escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c.is_ascii_alphanumeric() || c == '_' {
            true => vec![c],
            false => vec!['\\', c],
        })
        .collect()
}
