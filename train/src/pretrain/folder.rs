//! The folder of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::checkpoint::Checkpoints;
use super::curves::curves_svg;
use super::inputs::MetadataInput;
use super::run::RunOptions;
use super::training::Training;
use super::{Progress, Recipe, Summary};
use crate::data::Loader;
use crate::model::save_weights;
use satmip::arch::Arch;
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};

/// The folder of a run, and what is written to it beside the metrics.
pub(super) struct RunFolder {
    pub(super) out: PathBuf,
    pub(super) checkpoints: Checkpoints,
}

impl RunFolder {
    /// Begins a folder, or opens one to resume, whose recipe and architecture must be the same.
    pub(super) fn open(
        recipe: &Recipe,
        arch: &Arch,
        input: Option<&MetadataInput>,
        options: &RunOptions,
    ) -> Result<Self> {
        let out = &options.out;
        let mut about = vec![
            ("recipe.toml", toml::to_string(recipe).map_err(to_error)?),
            (
                "arch.json",
                serde_json::to_string_pretty(arch).map_err(to_error)?,
            ),
        ];
        if let Some(json) = input.and_then(MetadataInput::tokenizer_json) {
            about.push(("tokenizer.json", json));
        }
        let known = out.join("recipe.toml").exists();
        if known && options.resume {
            same_run(out, recipe)?;
        } else if !(options.resume && is_empty_folder(out)) {
            fs::create_dir(out).map_err(|e| Error::Output {
                path: out.clone(),
                reason:
                    "cannot be created as a new folder (resume a run that is there with `--resume`)"
                        .into(),
                source: Some(e.into()),
            })?;
        }
        for (name, text) in &about {
            replace(&out.join(name), text)?;
        }
        let card = card(recipe, None);
        about.push(("card.json", card));
        Ok(Self {
            out: out.clone(),
            checkpoints: Checkpoints::open(out, about, recipe.checkpoint.keep)?,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    pub(super) fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let path = self.path(name);
        let text = serde_json::to_string_pretty(value).map_err(to_error)?;
        replace(&path, &text)
    }

    /// Names the items that could not be read, after those of the processes before, and the fields that
    /// could not follow their pixels.
    pub(super) fn write_bad_items(&self, loader: &Loader) -> Result<()> {
        let path = self.path("bad_items.jsonl");
        let mut text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|e| Error::io(&path, e))?,
        };
        for item in loader.bad_items() {
            let line = serde_json::to_string(&item).map_err(to_error)?;
            if !text.lines().any(|known| known == line) {
                text += &line;
                text.push('\n');
            }
        }
        replace(&path, &text)?;
        match loader.dropped_fields() {
            dropped if dropped.is_empty() => Ok(()),
            dropped => self.write_json("dropped_fields.json", &dropped),
        }
    }

    /// Writes what `satmip export` reads, the summary and the curves.
    pub(super) fn finish(
        &self,
        recipe: &Recipe,
        training: &Training,
        summary: &Summary,
        lines: &[Progress],
    ) -> Result<()> {
        save_weights(training.exported(), &self.path("weights.safetensors"))?;
        let write = |name: &str, text: String| replace(&self.path(name), &text);
        write("card.json", card(recipe, Some(summary)))?;
        write("curves.svg", curves_svg(lines)?)?;
        self.write_json("summary.json", summary)
    }
}

/// Writes a file of the run anew: a process that is killed meanwhile leaves the old one.
fn replace(path: &Path, text: &str) -> Result<()> {
    aside::write(path, text.as_bytes(), Existing::Replace)
}

/// Whether a process that was killed at its very start left this.
fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut found| {
        found.all(|entry| {
            let name = entry.map(|entry| entry.file_name());
            name.is_ok_and(|name| aside::target_of(&name.to_string_lossy()).is_some())
        })
    })
}

/// What a bundle says of its training.
fn card(recipe: &Recipe, summary: Option<&Summary>) -> String {
    let card = serde_json::json!({
        "id": recipe.id,
        "version": recipe.version,
        "licence": recipe.licence,
        "training": { "recipe": recipe, "summary": summary },
    });
    format!("{card:#}")
}

/// Refuses to resume a run of another recipe, with the first value that differs.
fn same_run(out: &Path, recipe: &Recipe) -> Result<()> {
    let path = out.join("recipe.toml");
    let before = Recipe::read(&path)?;
    let values = |recipe: &Recipe| serde_json::to_value(recipe).map_err(to_error);
    let (before, now) = (values(&before)?, values(recipe)?);
    match difference(&before, &now, String::new()) {
        None => Ok(()),
        Some(difference) => Err(Error::Output {
            path: out.to_owned(),
            reason: format!("it is a run of another recipe: {difference}"),
            source: None,
        }),
    }
}

/// The first value in which two documents differ.
fn difference(before: &Value, now: &Value, at: String) -> Option<String> {
    match (before, now) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().find_map(|key| {
                let null = Value::Null;
                let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
                let dot = if at.is_empty() { "" } else { "." };
                difference(a, b, format!("{at}{dot}{key}"))
            })
        }
        _ if before == now => None,
        _ => Some(format!("`{at}` was {before} and is {now}")),
    }
}

fn to_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Training {
        reason: "the run's description cannot be written".into(),
        source: Some(Box::new(error)),
    }
}
