//! The parts of a mapping.

use serde::Deserialize;

use satmip::arch::Pool;

/// A spelling of names that rules alone cannot turn into ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Spelling {
    /// Blocks with one number through all stages become timm's `blocks.STAGE.BLOCK`
    /// ([`satmip::arch::flat_names`]).
    FlatBlocks,
}

/// Settings of the image tower.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageSettings {
    /// They hold where the file has this tensor; always, if none is named.
    pub(super) beside: Option<String>,
    pub(super) head_width: Option<usize>,
    pub(super) norm_eps: Option<f64>,
    pub(super) pool: Option<Pool>,
    /// Input size of towers that do not fix it.
    pub(super) size: Option<usize>,
    pub(super) stem_stride: Option<usize>,
    pub(super) max_pool: Option<bool>,
    /// Strides of the stages of a tower whose weights do not tell them.
    pub(super) strides: Option<Vec<usize>>,
    pub(super) mean: Option<[f64; 3]>,
    pub(super) std: Option<[f64; 3]>,
}

/// Settings of the text tower.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextSettings {
    pub(super) head_width: Option<usize>,
    pub(super) norm_eps: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) from: Names,
    pub(super) to: Names,
    #[serde(default)]
    pub(super) transpose: bool,
}

/// A name, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn list(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Many(names) => names,
        }
    }
}

/// A tensor that is made where the file has none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Make {
    pub(super) to: String,
    pub(super) what: Content,
    /// Only where the file has this tensor.
    pub(super) beside: Option<String>,
    pub(super) reason: String,
}

/// What is in a tensor that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Content {
    Zeros,
    Identity,
}

/// Tensors of the file without a place in ours, and why that is well or not.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remark {
    pub(super) from: String,
    pub(super) reason: String,
}

/// Something that the weights do not tell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assumption {
    pub(super) id: String,
    pub(super) text: String,
    /// It holds where the file has this tensor; always, if none is named.
    pub(super) beside: Option<String>,
    /// Whether somebody must say that it is so.
    #[serde(default)]
    pub(super) ask: bool,
}
