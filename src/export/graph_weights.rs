//! The weights of a bundle, read back from its graphs.
//!
//! A bundle that was downloaded has graphs and no `weights.safetensors`. Its graphs name their weights as
//! [`crate::arch::names`] does, but for what an exporter changes: matrices are transposed, batch norms are
//! folded into the convolution before them, queries, keys and values are three matrices in place of one, and
//! columns that share a token are one sparse matrix.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use satmip_export::check::{Limits, read};

use super::{Precision, Weights};
use crate::arch::names::{IMAGE, LOGIT_SCALE, METADATA};
use crate::arch::{Arch, ImageTower, MetadataTower, TabularConfig, weight_shapes};
use crate::bundle::Bundle;
use crate::error::{Error, Result};

/// Precisions of which the weights can be read, the better first.
const READABLE: [Precision; 2] = [Precision::F32, Precision::F16Weights];

impl Weights {
    /// The weights of a bundle's graphs, of those in f32 if it has them, else in 16-bit weights. A batch norm,
    /// of which a graph only has what it does to its convolution, becomes one that shifts and nothing else: the
    /// model computes the same, and is not to be trained further.
    ///
    /// # Errors
    /// [`Error::Weights`] for a bundle with neither, and for a weight that is missing or has another size;
    /// [`Error::Bundle`] and [`Error::Checksum`] for files that cannot be read, [`Error::Export`] for graphs that
    /// are none.
    pub fn of_bundle(bundle: &Bundle) -> Result<Self> {
        let manifest = bundle.manifest();
        let graphs = READABLE.iter().find_map(|p| manifest.graphs(p.name()));
        let Some(graphs) = graphs else {
            let has = manifest.precisions().join(", ");
            let reason = format!("weights are read from f32 and f16-weights, the bundle has {has}");
            return Err(fault(bundle.path(), "(graphs)", reason));
        };
        let mut constants = Constants {
            path: bundle.path(),
            tensors: HashMap::new(),
        };
        for graph in [Some(graphs.image), graphs.metadata].into_iter().flatten() {
            constants.take(&graph, &bundle.bytes(&graph)?)?;
        }
        let arch = &manifest.arch;
        let mut tensors = BTreeMap::new();
        for (name, shape) in weight_shapes(arch) {
            let numbers = match name.as_str() {
                LOGIT_SCALE => vec![manifest.logit_scale.ln() as f32],
                _ => constants.weight(arch, &name, &shape)?,
            };
            tensors.insert(name, (shape, numbers));
        }
        Weights::in_memory(&tensors, bundle.path())
    }
}

/// The floats of the graphs by name, with their dimensions.
struct Constants<'a> {
    path: &'a Path,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Constants<'_> {
    fn take(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let model = read(bytes, &Limits::default()).map_err(|e| Error::Export {
            what: format!("`{}`", self.path.join(name).display()),
            reason: e.to_string(),
            source: Some(e.into()),
        })?;
        for tensor in model.graph.into_iter().flat_map(|graph| graph.initializer) {
            if let Some(numbers) = tensor.floats() {
                let dims = tensor.dims.iter();
                let dims = dims.map(|d| usize::try_from(*d).unwrap_or(0)).collect();
                self.tensors.insert(tensor.name, (dims, numbers));
            }
        }
        Ok(())
    }

    /// A weight in PyTorch's layout.
    fn weight(&self, arch: &Arch, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        if let Some((convolution, part)) = folded_norm(arch, name) {
            return match part {
                "bias" => self.plain(&format!("{convolution}.bias"), shape),
                "weight" => Ok(vec![1.0; shape[0]]),
                "running_mean" => Ok(vec![0.0; shape[0]]),
                // With epsilon it is 1.
                _ => {
                    let eps = arch.image.batch_norm_eps().unwrap_or(0.0);
                    Ok(vec![(1.0 - eps) as f32; shape[0]])
                }
            };
        }
        // Earlier graphs have one matrix for all three.
        if let Some((block, part)) = name.split_once(".attn.qkv.")
            && !self.tensors.contains_key(name)
        {
            let mut third = shape.to_vec();
            third[0] /= 3;
            let part_of = |which| self.layer(&format!("{block}.attn.{which}.{part}"), &third);
            return Ok([part_of("q")?, part_of("k")?, part_of("v")?].concat());
        }
        if is_linear(name) {
            return self.layer(name, shape);
        }
        match (tabular(arch), shape) {
            (Some(config), &[columns, width]) if name == format!("{METADATA}.numbers.weight") => {
                self.columns(config, name, [columns, width])
            }
            _ => self.plain(name, shape),
        }
    }

    /// The weight or bias of a linear layer.
    fn layer(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let &[output, input] = shape else {
            return self.plain(name, shape);
        };
        let stored = self.plain(name, &[input, output])?;
        let transposed = (0..output).flat_map(|o| (0..input).map(move |i| i * output + o));
        Ok(transposed.map(|place| stored[place]).collect())
    }

    /// The rows of columns that enter tokens: `[columns, width]`, of which the graph has each in the place of
    /// its token in `[columns, tokens * width]`.
    fn columns(
        &self,
        config: &TabularConfig,
        name: &str,
        [columns, width]: [usize; 2],
    ) -> Result<Vec<f32>> {
        let tokens = config.number_tokens().len();
        let wide = match self.tensors.get(name) {
            Some((dims, _)) if dims[..] == [columns, width] => return self.plain(name, dims),
            _ => self.plain(name, &[columns, tokens * width])?,
        };
        let places = config.token_of_number().into_iter().enumerate();
        let rows =
            places.map(|(column, token)| &wide[(column * tokens + token) * width..][..width]);
        Ok(rows.collect::<Vec<_>>().concat())
    }

    fn plain(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.tensors.get(name) {
            None => Err(fault(self.path, name, "is not in the graphs".into())),
            Some((dims, _)) if dims != shape => {
                let reason = format!("has shape {dims:?} in the graph, expected {shape:?}");
                Err(fault(self.path, name, reason))
            }
            Some((_, numbers)) => Ok(numbers.clone()),
        }
    }
}

/// The convolution that a batch norm was folded into, and the norm's part; none for other weights.
fn folded_norm<'a>(arch: &Arch, name: &'a str) -> Option<(String, &'a str)> {
    let (owner, part) = name.rsplit_once('.')?;
    if let ImageTower::EfficientNetLite(config) = &arch.image {
        let own = owner.strip_prefix(IMAGE)?.strip_prefix('.')?;
        let mut convs = config.convs().into_iter();
        let (convolution, ..) = convs.find(|(_, norm, _)| norm == own)?;
        return Some((format!("{IMAGE}.{convolution}"), part));
    }
    let (block, layer) = owner.rsplit_once('.')?;
    let convolution = match layer.strip_prefix("bn") {
        Some(number) => format!("{block}.conv{number}"),
        None if owner.ends_with("downsample.1") => format!("{block}.0"),
        None => return None,
    };
    Some((convolution, part))
}

/// Whether this is the matrix or bias of a linear layer.
fn is_linear(name: &str) -> bool {
    [".attn.", ".mlp.", "_projector.layers."]
        .iter()
        .any(|part| name.contains(part))
}

fn tabular(arch: &Arch) -> Option<&TabularConfig> {
    match arch.metadata.as_ref().map(|side| &side.tower) {
        Some(MetadataTower::Tabular(config)) => Some(config),
        _ => None,
    }
}

fn fault(path: &Path, tensor: &str, reason: String) -> Error {
    Error::Weights {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        reason,
    }
}
