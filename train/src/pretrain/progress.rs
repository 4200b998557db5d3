//! What a run tells while it goes on, and what it came to.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::curves::read_metrics;
use super::reason;
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The loss of this step.
    pub loss: f64,
    /// SimCLR's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simclr: Option<f64>,
    /// SatMIP's part, before lambda.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satmip: Option<f64>,
    /// How far features have gone from those of the first weights, before its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<f64>,
    /// `1 / tau` of SatMIP.
    pub logit_scale: f64,
    /// Norm of all gradients before clipping.
    pub gradient_norm: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Seconds of training so far, over all resumptions.
    pub seconds: f64,
    /// Seconds of them in which this step waited for its batch.
    #[serde(default)]
    pub waited: f64,
    /// Items so far that could not be read and were replaced.
    #[serde(default)]
    pub bad_items: usize,
    /// kNN accuracy on the validation split in percent, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<f64>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Steps done.
    pub steps: usize,
    /// Whether the run was interrupted before its last step; it can be resumed.
    pub interrupted: bool,
    /// Chips in the training split.
    pub chips: usize,
    /// Weights that were trained.
    pub parameters: usize,
    /// Seconds of training, over all resumptions.
    pub seconds: f64,
    /// Loss of the last step.
    pub loss: f64,
    /// Last kNN accuracy in percent.
    pub knn: Option<f64>,
    /// Best kNN accuracy in percent; its weights are in `checkpoints/best`.
    pub best_knn: Option<f64>,
    /// Items that could not be read; `bad_items.jsonl` names them.
    pub bad_items: usize,
}

/// `metrics.jsonl`, one line a step.
#[derive(Debug)]
pub(super) struct Metrics {
    file: File,
    path: PathBuf,
}

impl Metrics {
    /// Opens the file to go on after a step: later lines, of steps whose weights were lost with a killed
    /// process, are taken out.
    pub(super) fn open(path: PathBuf, after: usize) -> Result<(Self, Vec<Progress>)> {
        let mut lines = match path.exists() {
            true => read_metrics(&path)?,
            false => Vec::new(),
        };
        lines.retain(|line| line.step <= after);
        let mut text = String::new();
        for line in &lines {
            text += &to_line(line)?;
        }
        aside::write(&path, text.as_bytes(), Existing::Replace)?;
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.map_err(|e| Error::io(&path, e))?;
        Ok((Self { file, path }, lines))
    }

    pub(super) fn write(&mut self, line: &Progress) -> Result<()> {
        let text = to_line(line)?;
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| Error::io(&self.path, e))
    }
}

fn to_line(line: &Progress) -> Result<String> {
    let json = serde_json::to_string(line).map_err(|e| reason(e.to_string()))?;
    Ok(json + "\n")
}
