//! Precisions.

use std::fmt;
use std::str::FromStr;

use satmip_export::passes::{dynamic_int8, half, kernel_weights, weights_int8};
use satmip_export::{Model, WeightStorage};

use crate::error::{Error, Result};

/// How a graph stores its weights, and what it computes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32, both.
    #[default]
    F32,
    /// f16, both; norms, softmax, means, the preparation of inputs and the last normalisation in
    /// f32. For GPUs: on a CPU it is slower than f32.
    F16,
    /// Matrices and kernels as f16 in the file, half the size; everything is computed in f32.
    F16Weights,
    /// 8-bit weights; linear layers are products of integers, of activations that are quantised as
    /// they come (a scale for each run, so that rows of a batch influence each other a little).
    /// Kernels and tables are 8 bit in the file and computed in f32, except for the patch
    /// embedding, which stays in f32.
    Int8,
    /// Matrices, kernels and tables as 8 bit in the file, a quarter of the size; everything is
    /// computed in f32.
    Int8Weights,
}

/// Weights that read pixels.
const PATCHES: &str = "image.patch_embed.proj.weight";

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 5] = [
        Precision::F32,
        Precision::F16,
        Precision::F16Weights,
        Precision::Int8,
        Precision::Int8Weights,
    ];

    /// The name in bundles and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::F16Weights => "f16-weights",
            Precision::Int8 => "int8",
            Precision::Int8Weights => "int8-weights",
        }
    }

    /// How the graph is built, before it is rewritten.
    pub(super) fn storage(self) -> WeightStorage {
        match self {
            Precision::F16Weights => WeightStorage::F16,
            _ => WeightStorage::F32,
        }
    }

    /// The graph in this precision, from one that was built with [`storage`](Self::storage). Int8 leaves all that
    /// `keep` names in f32, 8-bit weights the kernels among them: matrices cost these little.
    pub(super) fn rewrite(self, model: Model, keep: &[String]) -> satmip_export::Result<Model> {
        match self {
            Precision::F32 | Precision::F16Weights => Ok(model),
            Precision::F16 => half(model),
            Precision::Int8 => {
                let mut rest = keep.to_vec();
                rest.push(PATCHES.to_owned());
                weights_int8(dynamic_int8(model, keep)?, &rest)
            }
            Precision::Int8Weights => {
                let kernels = kernel_weights(&model).into_iter().map(|(name, _)| name);
                let kernels: Vec<String> = kernels.filter(|name| keep.contains(name)).collect();
                weights_int8(model, &kernels)
            }
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Precision::ALL.into_iter().find(|p| p.name() == text);
        known.ok_or_else(|| {
            let names = Precision::ALL.map(Precision::name).join(", ");
            Error::Argument {
                what: "precision",
                reason: format!("`{text}` is none of {names}"),
            }
        })
    }
}
