//! Weights to and from files, under the names of [`crate::arch::names`].

mod checkpoint;
mod positions;

use std::collections::BTreeSet;
use std::path::Path;

use burn::module::Module;
use burn::store::{
    BurnToPyTorchAdapter, KeyRemapper, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore,
    bridge,
};
use burn::tensor::TensorData;
use serde::Serialize;

use super::{ImageEncoder, SatMip};
use crate::error::{Error, Result};
pub(crate) use checkpoint::Checkpoint;

/// What a file of weights gave to a model, by the names of [`crate::arch::names`] without the
/// tower's prefix where the file holds a tower alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Tensors that were taken over.
    pub applied: Vec<String>,
    /// Those of them that were resampled to the model's input size.
    pub resampled: Vec<String>,
    /// Tensors of the model that the file lacks; none, because they are an error.
    pub missing: Vec<String>,
    /// Tensors of the file that the model has no place for, by the file's names. torchvision's
    /// counters `num_batches_tracked` are not listed.
    pub unused: Vec<String>,
}

/// Most names in an error.
const MOST_NAMED: usize = 5;

/// Patterns from this crate's field names to the stored names, where these are not the same: the
/// stages and shortcuts of a ResNet are torchvision's.
fn to_stored() -> Vec<(String, String)> {
    const STAGES: usize = 8;
    let stage = |i: usize| {
        (
            format!(r"^((?:image\.)?)layers\.{i}\.(\d+\.)"),
            format!("${{1}}layer{}.$2", i + 1),
        )
    };
    let shortcut = |ours: &str, theirs: &str| {
        (
            format!(r"downsample\.{ours}\."),
            format!("downsample.{theirs}."),
        )
    };
    let shortcuts = [shortcut("conv", "0"), shortcut("norm", "1")];
    (0..STAGES).map(stage).chain(shortcuts).collect()
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
    // A training model's batch norms take over their last step only when they are read so.
    model
        .valid()
        .save_into(&mut store)
        .map_err(|e| Error::io(path, std::io::Error::other(e.to_string())))
}

/// Loads a safetensors file that [`save_weights`] wrote. On an error the model is as it was.
///
/// # Errors
/// [`Error::Io`] and [`Error::Weights`] for a file that cannot be read, and for missing tensors or
/// one of another shape or type.
pub fn load_weights(model: &mut SatMip, path: &Path) -> Result<LoadReport> {
    load(model, &Checkpoint::safetensors(path)?, "", None)
}

/// Loads a foreign image tower: timm's names for a ViT, torchvision's for a ResNet, from safetensors
/// or a PyTorch checkpoint (`.pt`, `.pth`, `.bin`), with any prefix of the names. The weights may
/// stand at the top or under `state_dict`, `model_state_dict`, `model`, `teacher` or `student`.
///
/// A ViT's position embeddings are resampled to the model's grid of patches as timm does: bicubic
/// (a = -0.5) with antialiasing, the class token left as it is. A classifier (`head.*`, `fc.*`) and
/// everything without the prefix is reported as unused. On an error the model is as it was.
///
/// # Errors
/// [`Error::Io`] and [`Error::Weights`] for a file that cannot be read, for missing tensors, for one
/// of another shape (such as patches of another size) and for one that is not f32, f16 or bf16.
pub fn load_image_tower(model: &mut SatMip, path: &Path, prefix: &str) -> Result<LoadReport> {
    let vit = match &model.image {
        ImageEncoder::Vit(_) => Some(positions::NAME),
        ImageEncoder::ResNet(_) => None,
    };
    load(&mut model.image, &Checkpoint::open(path)?, prefix, vit)
}

/// A tensor that a module wants.
struct Place {
    /// By the module's fields.
    field: String,
    /// By the stored names.
    name: String,
    /// In PyTorch's layout.
    shape: Vec<usize>,
}

/// The tensors of a module in PyTorch's layout.
fn places(module: &impl ModuleSnapshot) -> Result<Vec<Place>> {
    let collect = || module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    let names = KeyRemapper::from_patterns(to_stored()).map_err(|e| Error::Training {
        reason: "the names of weights cannot be mapped".into(),
        source: Some(e.into()),
    })?;
    let (stored, _) = names.remap(collect());
    let fields = collect().into_iter().map(|tensor| tensor.name);
    Ok(fields
        .zip(stored)
        .map(|(field, tensor)| Place {
            field,
            name: tensor.name,
            shape: tensor.shape.to_vec(),
        })
        .collect())
}

/// Takes all tensors of a module from a file, in which `prefix` stands before the stored names.
/// Tensors of the name `resampled` may have another grid of patches.
fn load(
    module: &mut impl ModuleSnapshot,
    file: &Checkpoint,
    prefix: &str,
    resampled: Option<&str>,
) -> Result<LoadReport> {
    let places = places(module)?;
    let prefix = file.origin(prefix, &places)?;
    let stored = |place: &Place| format!("{prefix}{}", place.name);
    let missing: Vec<&Place> = places
        .iter()
        .filter(|place| file.shape(&stored(place)).is_none())
        .collect();
    if let Some(first) = missing.first() {
        let reason = match missing.len() {
            1 => "is missing".into(),
            count => format!(
                "is missing, with {} others: {}",
                count - 1,
                some(missing[1..].iter().map(|place| stored(place)))
            ),
        };
        return Err(file.fault(&stored(first), reason));
    }

    let mut report = LoadReport::default();
    let mut tensors = Vec::with_capacity(places.len());
    for place in &places {
        let name = stored(place);
        let shape = file.shape(&name).unwrap_or_default();
        let numbers = if shape == place.shape {
            file.numbers(&name, &place.shape)?
        } else if resampled == Some(place.name.as_str()) {
            let fail = |reason| file.fault(&name, reason);
            let grids = positions::Grids::new(&shape, &place.shape).map_err(fail)?;
            report.resampled.push(place.name.clone());
            grids.resample(&file.numbers(&name, &shape)?)
        } else {
            return Err(file.fault(&name, other_shape(&place.name, &shape, &place.shape)));
        };
        let data = TensorData::new(numbers, place.shape.clone());
        tensors.push(bridge::from_data(data, place.field.clone(), None));
        report.applied.push(place.name.clone());
    }
    let used: BTreeSet<String> = places.iter().map(stored).collect();
    report.unused = file
        .names()
        .into_iter()
        .filter(|name| !used.contains(name) && !name.ends_with(".num_batches_tracked"))
        .collect();

    let result = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
    match result.errors.first() {
        Some(error) => Err(file.fault("", error.to_string())),
        None => Ok(report),
    }
}

fn other_shape(name: &str, found: &[usize], wanted: &[usize]) -> String {
    match (name, found, wanted) {
        ("patch_embed.proj.weight", [_, _, height, width], [_, _, patch, _])
            if (height, width) != (patch, patch) =>
        {
            format!("has patches of {height} x {width} pixels, the model's are {patch} x {patch}")
        }
        _ => format!("has shape {found:?}, expected {wanted:?}"),
    }
}

/// The first names, and how many more there are.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let mut text = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// A reader's result, or what it panicked with.
fn caught<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    crate::guard::guarded(action).map_err(|said| format!("the reader gave up: {said}"))
}
