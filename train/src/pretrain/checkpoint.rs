//! The state of a run on disk: complete or not there, and checked before it is used.
//!
//! `RUN/checkpoints/step-00000500/` holds everything that going on needs:
//!
//! | file | what |
//! |---|---|
//! | `state.json` | format, step, ids of the parameters, best kNN, sha256 of the other files |
//! | `weights.safetensors` | the weights to export: the average, where there is one |
//! | `training.safetensors` | the weights that are trained, where an average is exported |
//! | `optimizer.bpk` | AdamW's moments (burn's format) |
//! | `recipe.toml`, `arch.json`, `tokenizer.json`, `card.json` | as in the run's folder |
//!
//! `RUN/checkpoints/best/` has the same without the optimizer. The random streams need no state: they
//! follow from the recipe's seed and the step.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::prelude::Tensor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::average::Average;
use super::reason;
use crate::model::{SatMip, load_weights, save_weights};
use satmip::{Error, Result};

/// Version of the folder's format.
const FORMAT: u32 = 1;
const FOLDER: &str = "checkpoints";
const BEST: &str = "best";
const OLD: &str = ".old-";
const STATE: &str = "state.json";
const WEIGHTS: &str = "weights.safetensors";
const TRAINING: &str = "training.safetensors";
const OPTIMIZER: &str = "optimizer.bpk";

/// `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: u32,
    /// Steps done.
    pub(super) step: usize,
    /// Seconds of training so far.
    pub(super) seconds: f64,
    /// Best kNN accuracy so far in percent.
    pub(super) best: Option<f64>,
    /// burn's ids of the parameters, in the model's order: the optimizer's moments go by them.
    parameters: Vec<u64>,
    /// sha256 of each file.
    files: BTreeMap<String, String>,
}

/// What is trained.
pub(super) struct Trained<'a> {
    pub(super) model: &'a SatMip,
    pub(super) average: Option<&'a Average>,
    pub(super) optimizer: &'a ModuleOptimizer,
    pub(super) step: usize,
    pub(super) seconds: f64,
    pub(super) best: Option<f64>,
}

/// The checkpoints of a run.
#[derive(Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Small files that every checkpoint repeats, so that it can be exported: name and text.
    about: Vec<(&'static str, String)>,
    keep: usize,
}

impl Checkpoints {
    /// The checkpoints of the run in `run`, whose folder exists. What a killed process left unfinished is
    /// removed.
    pub(super) fn open(
        run: &Path,
        about: Vec<(&'static str, String)>,
        keep: usize,
    ) -> Result<Self> {
        let folder = run.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let found = fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))?;
        for entry in found.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            match name.strip_prefix(OLD).map(|name| folder.join(name)) {
                // Killed between putting the old one aside and the new one in its place.
                Some(place) if !place.exists() => {
                    fs::rename(&path, &place).map_err(|e| Error::io(&path, e))?;
                }
                _ if name.starts_with('.') => {
                    fs::remove_dir_all(&path).map_err(|e| Error::io(&path, e))?;
                }
                _ => {}
            }
        }
        Ok(Self {
            folder,
            about,
            keep,
        })
    }

    /// Saves a checkpoint to go on from, then removes the oldest beyond those to keep. A failure, such as
    /// a full disk, leaves the earlier checkpoints as they are.
    pub(super) fn save(&self, trained: &Trained<'_>) -> Result<()> {
        let name = format!("step-{:08}", trained.step);
        self.write(&name, trained, true)?;
        let steps = self.steps()?;
        for (_, old) in steps.iter().rev().skip(self.keep) {
            fs::remove_dir_all(old).map_err(|e| Error::io(old, e))?;
        }
        Ok(())
    }

    /// Saves the weights with the best kNN so far.
    pub(super) fn save_best(&self, trained: &Trained<'_>) -> Result<()> {
        self.write(BEST, trained, false)
    }

    fn write(&self, name: &str, trained: &Trained<'_>, resumable: bool) -> Result<()> {
        let aside = self.folder.join(format!(".{name}"));
        let written = self.write_aside(&aside, trained, resumable);
        if written.is_err() {
            // The error to tell is the first one.
            let _ = fs::remove_dir_all(&aside);
            return written;
        }
        let target = self.folder.join(name);
        if target.exists() {
            // A folder cannot replace another in one step: the old one goes aside first.
            let old = self.folder.join(format!("{OLD}{name}"));
            fs::rename(&target, &old).map_err(|e| Error::io(&target, e))?;
            fs::rename(&aside, &target).map_err(|e| Error::io(&target, e))?;
            fs::remove_dir_all(&old).map_err(|e| Error::io(&old, e))?;
        } else {
            fs::rename(&aside, &target).map_err(|e| Error::io(&target, e))?;
        }
        sync(&self.folder)
    }

    fn write_aside(&self, aside: &Path, trained: &Trained<'_>, resumable: bool) -> Result<()> {
        fs::create_dir(aside).map_err(|e| Error::io(aside, e))?;
        match trained.average {
            Some(average) => {
                save_weights(average.model(), &aside.join(WEIGHTS))?;
                if resumable {
                    save_weights(trained.model, &aside.join(TRAINING))?;
                }
            }
            None => save_weights(trained.model, &aside.join(WEIGHTS))?,
        }
        if resumable {
            let path = aside.join(OPTIMIZER);
            let record = trained.optimizer.to_record();
            record
                .save(&path)
                .map_err(|e| Error::io(&path, std::io::Error::other(e.to_string())))?;
        }
        for (name, text) in &self.about {
            let path = aside.join(name);
            fs::write(&path, text).map_err(|e| Error::io(&path, e))?;
        }
        let state = State {
            format: FORMAT,
            step: trained.step,
            seconds: trained.seconds,
            best: trained.best,
            parameters: parameter_ids(trained.model),
            files: hash_folder(aside)?,
        };
        let path = aside.join(STATE);
        let text = serde_json::to_vec_pretty(&state).map_err(|e| reason(e.to_string()))?;
        let mut file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        file.write_all(&text).map_err(|e| Error::io(&path, e))?;
        for name in state.files.keys() {
            sync(&aside.join(name))?;
        }
        file.sync_all().map_err(|e| Error::io(&path, e))?;
        sync(aside)
    }

    /// Restores the newest checkpoint, if there is one.
    ///
    /// # Errors
    /// [`Error::Training`] names a file that is damaged, of another version or of another architecture,
    /// and what to do.
    pub(super) fn restore(
        &self,
        model: &mut SatMip,
        average: Option<&mut Average>,
        optimizer: ModuleOptimizer,
    ) -> Result<(Option<State>, ModuleOptimizer)> {
        let Some((_, folder)) = self.steps()?.pop() else {
            return Ok((None, optimizer));
        };
        let refuse = |why: String| {
            reason(format!(
                "checkpoint `{}`: {why}; remove that folder to go on from the one before, or begin anew",
                folder.display()
            ))
        };
        let path = folder.join(STATE);
        let text = fs::read(&path).map_err(|e| refuse(format!("`{STATE}`: {e}")))?;
        let state: State =
            serde_json::from_slice(&text).map_err(|e| refuse(format!("`{STATE}`: {e}")))?;
        if state.format != FORMAT {
            let format = state.format;
            return Err(refuse(format!(
                "it has format {format}, this program reads {FORMAT}"
            )));
        }
        let found = hash_folder(&folder)?;
        for (name, hash) in &state.files {
            if found.get(name) != Some(hash) {
                return Err(refuse(format!("`{name}` is missing or damaged")));
            }
        }
        for (name, text) in &self.about {
            let stored = fs::read_to_string(folder.join(name)).unwrap_or_default();
            if stored != *text {
                return Err(refuse(format!("its `{name}` is not this run's")));
            }
        }
        let trained = match average.is_some() {
            true => TRAINING,
            false => WEIGHTS,
        };
        load_weights(model, &folder.join(trained))?;
        if state.parameters.len() != parameter_ids(model).len() {
            return Err(refuse("it has another number of parameters".into()));
        }
        let ids = state.parameters.iter();
        *model = model.clone().map(&mut GiveIds(ids.clone()));
        if let Some(average) = average {
            let averaged = average.model_mut();
            load_weights(averaged, &folder.join(WEIGHTS))?;
            // The average finds the weights that it follows by their ids.
            *averaged = averaged.clone().map(&mut GiveIds(ids));
        }
        let path = folder.join(OPTIMIZER);
        let record =
            OptimizerRecord::load(&path).map_err(|e| refuse(format!("`{OPTIMIZER}`: {e}")))?;
        Ok((Some(state), optimizer.load_record(record)))
    }

    /// Complete checkpoints to go on from, oldest first.
    fn steps(&self) -> Result<Vec<(usize, PathBuf)>> {
        let found = fs::read_dir(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        let mut steps: Vec<_> = found
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let step = name.to_str()?.strip_prefix("step-")?.parse().ok()?;
                Some((step, entry.path()))
            })
            .collect();
        steps.sort();
        Ok(steps)
    }
}

/// sha256 of all files of a folder but the state.
fn hash_folder(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    let found = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    for entry in found.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == STATE {
            continue;
        }
        let path = entry.path();
        let mut file = File::open(&path).map_err(|e| Error::io(&path, e))?;
        let mut hash = Sha256::new();
        std::io::copy(&mut file, &mut hash).map_err(|e| Error::io(&path, e))?;
        hashes.insert(name, format!("{:x}", hash.finalize()));
    }
    Ok(hashes)
}

/// Brings a file or folder to the disk.
fn sync(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    file.sync_all().map_err(|e| Error::io(path, e))
}

/// The ids of all float parameters and statistics, in the model's order.
fn parameter_ids(model: &SatMip) -> Vec<u64> {
    let mut ids = TakeIds(Vec::new());
    model.visit(&mut ids);
    ids.0
}

struct TakeIds(Vec<u64>);

impl ModuleVisitor for TakeIds {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.id.val());
    }
}

struct GiveIds<'a>(std::slice::Iter<'a, u64>);

impl ModuleMapper for GiveIds<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(id) = self.0.next() else {
            return param;
        };
        let (_, weights, mapper) = param.consume();
        Param::from_mapped_value(ParamId::from(*id), weights, mapper)
    }
}
