//! A checkpoint from a plan: as a folder, or in memory.

use std::fs::File;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Plan;
use super::rules::Content;
use satmip::arch::weight_shapes;
use satmip::export::{Checkpoint, Weights};
use satmip::parts::aside;
use satmip::{Error, Result};

impl Plan {
    /// What the model says of itself, for `card.json`: what is given, and under `training` which file
    /// it comes from and what was taken to be so.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read again.
    pub fn card(
        &self,
        id: Option<&str>,
        version: Option<&str>,
        licence: Option<&str>,
    ) -> Result<Value> {
        let path = self.source.path();
        let mut hash = Sha256::new();
        File::open(path)
            .and_then(|mut file| std::io::copy(&mut file, &mut hash))
            .map_err(|e| Error::io(path, e))?;
        let report = self.report();
        Ok(json!({
            "id": id,
            "version": version,
            "licence": licence,
            "training": { "imported": {
                "file": path.file_name().unwrap_or_default().to_string_lossy(),
                "sha256": format!("{:x}", hash.finalize()),
                "convention": report.convention,
                "assumed": report.assumed,
            } },
        }))
    }

    /// Reads the numbers and writes `arch.json`, `weights.safetensors`, for a text tower
    /// `tokenizer.json`, and `card`, what the model says of itself, as `card.json`. The folder must
    /// not exist; it appears complete or not at all.
    ///
    /// # Errors
    /// [`Plan::refusal`]'s; [`Error::Weights`] for a tensor that cannot be read, is not of floats or
    /// has a number that is not finite; [`Error::Output`].
    pub fn write(&self, folder: &Path, card: &Value) -> Result<()> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let fault = |reason: &str, source: Option<std::io::Error>| Error::Output {
            path: folder.to_owned(),
            reason: reason.to_owned(),
            source: source.map(Into::into),
        };
        aside::absent(folder)?;
        if folder.file_name().is_none() {
            return Err(fault("it names no folder", None));
        }
        let weights = self.weights()?;
        let json = |value: serde_json::Result<Vec<u8>>| {
            value.map_err(|e| fault("it cannot be written", Some(e.into())))
        };
        let mut files = vec![
            ("arch.json", json(serde_json::to_vec_pretty(self.arch()))?),
            ("weights.safetensors", weights),
            ("card.json", json(serde_json::to_vec_pretty(card))?),
        ];
        if let (Some(_), Some(tokenizer)) = (&self.arch.metadata, &self.tokenizer) {
            files.push(("tokenizer.json", tokenizer.to_json().into_bytes()));
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, b)| (*name, &b[..])).collect();
        aside::write_folder(folder, &files)
    }

    /// Reads the numbers, and makes what [`write`](Self::write) writes and [`Checkpoint::open`] reads without
    /// a folder in between.
    ///
    /// # Errors
    /// [`Plan::refusal`]'s; [`Error::Weights`] as [`write`](Self::write), and [`Error::Export`] for a `card`
    /// that is none.
    pub fn checkpoint(&self, card: Value) -> Result<Checkpoint> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let card = serde_json::from_value(card).map_err(|e| Error::Export {
            what: "the card".into(),
            reason: e.to_string(),
            source: Some(e.into()),
        })?;
        let tokenizer = match (&self.arch.metadata, &self.tokenizer) {
            (Some(_), Some(tokenizer)) => Some(tokenizer.to_json().into_bytes()),
            _ => None,
        };
        let weights = Weights::from_bytes(self.weights()?, self.source.path())?;
        Ok(Checkpoint::of_parts(self.arch.clone(), weights, tokenizer).with_card(card))
    }

    /// All weights under our names, as a safetensors file of f32.
    fn weights(&self) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        for (name, shape) in weight_shapes(&self.arch) {
            let count: usize = shape.iter().product();
            let numbers = match (self.matches.pieces.get(&name), self.made.get(&name)) {
                (Some(piece), _) => piece.numbers(&self.source)?,
                (None, Some(Content::Identity)) => {
                    let side = shape.last().copied().unwrap_or(0);
                    let one = |i: usize| if i / side == i % side { 1.0 } else { 0.0 };
                    (0..count).map(one).collect()
                }
                (None, _) => vec![0.0; count],
            };
            let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((name, shape, bytes));
        }
        let fault = |e: safetensors::SafeTensorError| self.source.fault("(all)", e.to_string());
        let mut views = Vec::new();
        for (name, shape, bytes) in &tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fault)?;
            views.push((name, view));
        }
        serialize(views, None).map_err(fault)
    }
}
