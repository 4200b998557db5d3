//! What an import took from where.

use serde::Serialize;

/// What a file gives to a model, and what it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// The convention of names.
    pub convention: String,
    /// Whether the convention was found and not given.
    pub found: bool,
    /// What stands before the names.
    pub prefix: String,
    /// Weights of the model that come from the file.
    pub applied: Vec<Applied>,
    /// Weights of the model that the file need not have, and what they are made of.
    pub made: Vec<Made>,
    /// Weights of the model that nothing gives; with any of these there is no model.
    pub missing: Vec<Tensor>,
    /// Tensors of the file that the model has no place for; with any of these there is no model.
    pub unused: Vec<Unused>,
    /// Tensors of the file that may be left out.
    pub ignored: Vec<Unused>,
    /// What the weights do not tell and was taken to be so.
    pub assumed: Vec<String>,
    /// Assumptions that somebody must confirm, by id, with what they say.
    pub asked: Vec<(String, String)>,
}

/// A weight of the model from the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// The model's name.
    pub name: String,
    /// The file's names.
    pub from: Vec<String>,
    /// The model's shape.
    pub shape: Vec<usize>,
    /// What was done on the way: `transposed`, `joined`, `cut`.
    pub how: Vec<&'static str>,
}

/// A weight of the model that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Made {
    /// The model's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// `zeros` or `identity`.
    pub what: &'static str,
    /// Why that is right.
    pub reason: String,
}

/// A weight of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tensor {
    /// The model's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unused {
    /// The file's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Why it is not used.
    pub reason: String,
}

impl ImportReport {
    /// Whether the file makes a whole model.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.asked.is_empty()
    }
}
