//! What every evaluation has: data, model, and where its report goes.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

#[cfg(feature = "train")]
use super::imagenet;
use crate::Exit;
use crate::model::ModelArgs;
use crate::output::Output;
use crate::terminal::Terminal;
use satmip::bundle::{self, Bundle};
use satmip::embedder::Embedder;
use satmip::export::{Checkpoint, Precision};
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};
use satmip_eval::report::{confusion_svg, headings, rows, scores_svg};
use satmip_eval::{DESCRIPTIONS, DataSet, Description, Report, Split, SplitRule};

#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// Name of a known data set, or a description (TOML)
    #[arg(long, value_name = "DATA")]
    data: String,
    /// Folder that the description's paths are in [default: the description's, or here]
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Another split than the description's
    #[arg(long, value_enum, value_name = "RULE")]
    split: Option<SplitArg>,
    /// Seed of a split that is drawn
    #[arg(long, default_value_t = 0, value_name = "N", requires = "split")]
    split_seed: u64,
    /// Leave out chips of `val` and `test` that lie within so many kilometres of a training chip
    #[arg(long, value_name = "KM", value_parser = kilometres)]
    margin: Option<f64>,
    /// Split that figures are about: test or val, or train where nothing is learned from it
    #[arg(long, default_value = "test", value_name = "SPLIT")]
    pub(super) on: Split,
    /// Seed of random weights and draws
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    /// Replace figures that exist
    #[arg(long)]
    pub(super) overwrite: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

/// Figures of a report.
#[derive(Debug, Default)]
pub(super) struct Figures<'a> {
    pub(super) scores: Option<&'a Path>,
    pub(super) confusion: Option<&'a Path>,
    /// Replace files that exist.
    pub(super) overwrite: bool,
}

impl Figures<'_> {
    /// Refuses a figure that exists and must stay, before anything is measured.
    pub(super) fn check(&self) -> Result<()> {
        let existing = Existing::of(self.overwrite);
        let paths = [self.scores, self.confusion];
        paths
            .into_iter()
            .flatten()
            .try_for_each(|path| existing.check(path))
    }

    fn write(&self, report: &Report) -> Result<()> {
        let write =
            |path, svg: String| aside::write(path, svg.as_bytes(), Existing::of(self.overwrite));
        if let Some(path) = self.scores {
            write(path, scores_svg(std::slice::from_ref(report))?)?;
        }
        if let Some(path) = self.confusion {
            write(path, confusion_svg(report)?)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EncoderArg {
    /// The model as it is
    Trained,
    /// The same towers with random weights
    Untrained,
    /// No model: colour means of pictures, metadata as they are
    Raw,
    /// A free network, at the model's input size: EfficientNet-Lite0 with the ImageNet weights that
    /// `python zoo/first_weights.py` fetches into `first-weights`
    #[cfg(feature = "train")]
    ImagenetLite0,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitArg {
    /// As the source says
    Given,
    /// Chip by chip; leaks where chips have neighbours
    Random,
    /// Blocks of 1 degree
    Blocks,
}

/// The description of a data set, known by name or read from a file, and the folder that its paths
/// are in where nothing else is said.
pub(crate) fn describe(data: &str) -> Result<(Description, PathBuf)> {
    let path = Path::new(data);
    if path.is_file() {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok((Description::read(path)?, folder));
    }
    match DESCRIPTIONS.iter().find(|(name, _)| *name == data) {
        Some((name, text)) => Ok((Description::parse(text, name)?, PathBuf::new())),
        None => {
            let names: Vec<&str> = DESCRIPTIONS.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            Err(Error::Argument {
                what: "data",
                reason: format!("`{data}` is no file, and none of {names}"),
            })
        }
    }
}

/// A distance on the Earth.
fn kilometres(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(distance) if (0.0..=20_038.0).contains(&distance) => Ok(distance),
        _ => Err("must be 0 to 20038 km".into()),
    }
}

impl CommonArgs {
    pub(super) fn workers(&self) -> usize {
        self.model.workers()
    }

    /// The data set, which has the split that is asked about; `open` is [`DataSet::open`] or
    /// [`DataSet::open_unlabelled`].
    pub(super) fn open(
        &self,
        open: impl Fn(&Description, &Path) -> Result<DataSet>,
    ) -> Result<DataSet> {
        let (description, folder) = self.describe()?;
        let data = open(&description, &folder)?;
        let data = match self.margin {
            Some(kilometres) => data.with_margin(1000.0 * kilometres),
            None => data,
        };
        match data.rows(self.on).is_empty() {
            true => Err(data.lacks(self.on)),
            false => data.with_reading(|reading| self.model.reading_over(reading)),
        }
    }

    fn describe(&self) -> Result<(Description, PathBuf)> {
        let (mut description, folder) = describe(&self.data)?;
        let seed = self.split_seed;
        match self.split {
            None => {}
            Some(SplitArg::Given) => match description.split {
                SplitRule::Given { .. } => {}
                _ => description.split = SplitRule::default(),
            },
            Some(SplitArg::Random) => {
                description.split = SplitRule::random(seed).with_names_of(&description.split);
            }
            Some(SplitArg::Blocks) => {
                description.split = SplitRule::blocks(seed).with_names_of(&description.split);
            }
        }
        Ok((description, self.root.clone().unwrap_or(folder)))
    }

    /// The model, or what stands for it.
    pub(super) fn load(&self, encoder: EncoderArg, terminal: &Terminal) -> Result<Embedder> {
        let bundle = self.bundle(terminal)?;
        let bundle = match encoder {
            EncoderArg::Untrained => {
                let untrained = Checkpoint::untrained(&bundle, self.seed)?;
                untrained.export(Precision::F32)?.in_memory("untrained")?
            }
            #[cfg(feature = "train")]
            EncoderArg::ImagenetLite0 => {
                imagenet::lite0(bundle.manifest().arch.preprocessing.size)?
            }
            EncoderArg::Trained | EncoderArg::Raw => bundle,
        };
        self.model.load_bundle(bundle)
    }

    /// The model that is asked about: a bundle, or a checkpoint that is exported in memory.
    fn bundle(&self, terminal: &Terminal) -> Result<Bundle> {
        let path = Path::new(&self.model.model);
        if Checkpoint::is_at(path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let files = Checkpoint::open(path)?
                .named(&name)
                .export(Precision::F32)?;
            return files.in_memory(&self.model.model);
        }
        let zoo = self.model.zoo.open(terminal);
        zoo.open(&self.model.model, self.model.precision.as_deref())
    }

    /// The folder of the bundle that is asked about; none where the model is no folder that has one.
    pub(super) fn bundle_folder(&self) -> Option<&Path> {
        let path = Path::new(&self.model.model);
        path.join(bundle::MANIFEST).is_file().then_some(path)
    }

    /// The name of the model that is asked about, as it was given.
    pub(super) fn model_name(&self) -> &str {
        &self.model.model
    }

    /// Prints the report, then draws its figures.
    pub(super) fn show(
        &self,
        report: Report,
        figures: &Figures<'_>,
        bad: usize,
        terminal: &Terminal,
    ) -> Result<Exit> {
        let mut out = Output::open();
        if self.json {
            out.json(&report)?;
        } else {
            let (data, features) = (&report.data, &report.features);
            let [train, val, test] = data.chips;
            let classes = match data.classes.len() {
                0 => String::new(),
                classes => format!(" {classes} classes;"),
            };
            terminal.say(&format!(
                "{} ({}): {train} train, {val} val, {test} test;{classes} {} of {} {}, {} wide",
                data.name,
                data.split,
                features.encoder,
                features.kind,
                features.model,
                features.dim
            ));
            out.table(&headings(&report), &rows(&report))?;
        }
        out.finish()?;
        for note in &report.notes {
            terminal.say(&format!("note: {note}"));
        }
        figures.write(&report)?;
        Ok(Exit::of(bad as u64))
    }
}
