//! A data set as a small TOML file describes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Split;
use crate::chips::ChipSource;
use satmip::{Error, Result};

/// A data set to evaluate on: where its chips are, which split each belongs to, what its labels mean.
///
/// ```toml
/// name = "eurosat-rgb"
/// about = "EuroSAT RGB (Helber et al. 2019), with coordinates"
/// licence = "MIT"
///
/// [source]
/// archive = "eurosat_rgb.tar"
/// index = "eurosat_rgb.csv"
///
/// [split]
/// kind = "given"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Name in reports.
    pub name: String,
    /// What it is and where it comes from.
    #[serde(default)]
    pub about: String,
    /// Licence of the pictures and labels.
    #[serde(default)]
    pub licence: String,
    /// The chips.
    pub source: ChipSource,
    /// Which split each chip belongs to.
    #[serde(default)]
    pub split: SplitRule,
    /// What the labels mean.
    #[serde(default)]
    pub labels: LabelRule,
}

/// How the chips are divided into `train`, `val` and `test`.
///
/// The shares of a drawn split are 0.15 each for `val` and `test` where they are not given (our choice).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SplitRule {
    /// As the source says, by a column, folder or shard.
    Given {
        /// What the source calls the training split.
        #[serde(default = "train")]
        train: String,
        /// What it calls the validation split; empty where it has none.
        #[serde(default = "val")]
        val: String,
        /// What it calls the test split.
        #[serde(default = "test")]
        test: String,
    },
    /// By chance, chip by chip. Where chips have neighbours, this leaks.
    Random {
        /// Seed of the draw.
        #[serde(default)]
        seed: u64,
        /// Share of the validation split.
        #[serde(default = "share")]
        val: f64,
        /// Share of the test split.
        #[serde(default = "share")]
        test: f64,
        /// What the source calls its splits; the chips of all of them are drawn from.
        #[serde(default = "splits")]
        of: Vec<String>,
    },
    /// By chance, block by block of a grid of longitude and latitude.
    Blocks {
        /// Side of a block in degrees.
        #[serde(default = "one")]
        degrees: f64,
        /// Seed of the draw.
        #[serde(default)]
        seed: u64,
        /// Share of the validation split.
        #[serde(default = "share")]
        val: f64,
        /// Share of the test split.
        #[serde(default = "share")]
        test: f64,
        /// What the source calls its splits; the chips of all of them are drawn from.
        #[serde(default = "splits")]
        of: Vec<String>,
    },
    /// By lists of names, one a line: a chip's path or the last part of it.
    Lists {
        /// List of the training split.
        train: PathBuf,
        /// List of the validation split.
        #[serde(default)]
        val: Option<PathBuf>,
        /// List of the test split.
        test: PathBuf,
    },
}

/// What the labels mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelRule {
    /// What stands between the labels of a chip that has several; without it each chip has one.
    pub separator: Option<String>,
    /// Names of classes in place of the labels of the source, for example of numbers.
    pub names: BTreeMap<String, String>,
}

impl Default for SplitRule {
    fn default() -> Self {
        SplitRule::Given {
            train: train(),
            val: val(),
            test: test(),
        }
    }
}

fn train() -> String {
    "train".into()
}

fn val() -> String {
    "val".into()
}

fn test() -> String {
    "test".into()
}

fn splits() -> Vec<String> {
    [train(), val(), test()].into()
}

fn share() -> f64 {
    0.15
}

fn one() -> f64 {
    1.0
}

impl SplitRule {
    /// Chip by chip, with the default shares.
    pub fn random(seed: u64) -> Self {
        SplitRule::Random {
            seed,
            val: share(),
            test: share(),
            of: splits(),
        }
    }

    /// Blocks of 1 degree, with the default shares.
    pub fn blocks(seed: u64) -> Self {
        SplitRule::Blocks {
            degrees: one(),
            seed,
            val: share(),
            test: share(),
            of: splits(),
        }
    }

    /// The same rule for a source whose splits have the names that `other` knows.
    pub fn with_names_of(mut self, other: &SplitRule) -> Self {
        if let SplitRule::Random { of, .. } | SplitRule::Blocks { of, .. } = &mut self {
            *of = other.names().into_iter().map(str::to_owned).collect();
        }
        self
    }

    /// What the source calls its splits.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = match self {
            SplitRule::Given { train, val, test } => vec![train, val, test],
            SplitRule::Random { of, .. } | SplitRule::Blocks { of, .. } => {
                of.iter().map(String::as_str).collect()
            }
            SplitRule::Lists { .. } => Split::ALL.map(Split::name).into(),
        };
        names.retain(|name| !name.is_empty());
        names
    }

    /// The split that the source's split of this name is; of a rule that does not ask the source, any.
    pub(super) fn given(&self, name: &str) -> Split {
        match self {
            SplitRule::Given { val, .. } if val == name => Split::Val,
            SplitRule::Given { test, .. } if test == name => Split::Test,
            _ => Split::Train,
        }
    }

    /// As reports say it.
    pub fn text(&self) -> String {
        match self {
            SplitRule::Given { .. } => "given".into(),
            SplitRule::Random { seed, .. } => format!("random, seed {seed}"),
            SplitRule::Blocks { degrees, seed, .. } => {
                format!("blocks of {degrees} degrees, seed {seed}")
            }
            SplitRule::Lists { .. } => "lists".into(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.names().is_empty() {
            return Err("it names no split of the source".into());
        }
        let (val, test) = match self {
            SplitRule::Random { val, test, .. } | SplitRule::Blocks { val, test, .. } => {
                (*val, *test)
            }
            SplitRule::Given { .. } | SplitRule::Lists { .. } => return Ok(()),
        };
        if !(val >= 0.0 && test > 0.0 && val + test < 1.0) {
            return Err(format!(
                "`val` is {val} and `test` is {test}: they need val >= 0, test > 0 and a sum below 1"
            ));
        }
        match self {
            SplitRule::Blocks { degrees, .. } if !(1e-3..=90.0).contains(degrees) => {
                Err(format!("`degrees` is {degrees}, outside 0.001 to 90"))
            }
            _ => Ok(()),
        }
    }
}

impl Description {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] with the file, line and key of what is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// As [`Description::read`], of a text; `origin` stands for the file in messages.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let refuse = |place: String, reason: String| Error::Data {
            reason: format!("description `{origin}`{place}: {reason}"),
            source: None,
        };
        let description: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = text.get(..span.start).unwrap_or_default();
                format!(", line {}", before.matches('\n').count() + 1)
            });
            refuse(line.unwrap_or_default(), error.message().to_owned())
        })?;
        if description.name.trim().is_empty() {
            return Err(refuse(String::new(), "`name` is empty".into()));
        }
        if description.labels.separator.as_deref() == Some("") {
            return Err(refuse(String::new(), "`labels.separator` is empty".into()));
        }
        let checked = description.source.check();
        checked.map_err(|reason| refuse(", `source`".into(), reason))?;
        let checked = description.split.check();
        checked.map_err(|reason| refuse(", `split`".into(), reason))?;
        Ok(description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Description, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        fs::write(&path, text).unwrap();
        Description::read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn a_description_has_defaults() {
        let found = read("name = \"a\"\n[source]\nclasses = \"b\"\n").unwrap();
        assert_eq!(
            (found.split.text(), found.labels.separator),
            ("given".into(), None)
        );
        let found =
            read("name = \"a\"\nsource = { classes = \"b\" }\nsplit = { kind = \"blocks\" }\n");
        assert_eq!(found.unwrap().split.text(), "blocks of 1 degrees, seed 0");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let source = "source = { classes = \"b\" }";
        for (text, part) in [
            (String::new(), "missing field"),
            (format!("name = \" \"\n{source}"), "`name` is empty"),
            (
                format!("name = \"a\"\n{source}\nlable = 1"),
                "line 3: unknown field `lable`",
            ),
            (
                "name = \"a\"\nsource = { archive = \"b\" }".into(),
                "`index`",
            ),
            (
                format!("name = \"a\"\n{source}\n[split]\nkind = \"spatial\""),
                "unknown variant `spatial`",
            ),
            (
                format!(
                    "name = \"a\"\n{source}\n[split]\nkind = \"random\"\ntest = 0.9\nval = 0.2"
                ),
                "sum below 1",
            ),
            (
                format!("name = \"a\"\n{source}\n[split]\nkind = \"random\"\ntest = nan"),
                "test > 0",
            ),
            (
                format!("name = \"a\"\n{source}\n[split]\nkind = \"blocks\"\ndegrees = 0"),
                "`degrees`",
            ),
            (
                format!("name = \"a\"\n{source}\n[labels]\nseparator = \"\""),
                "`labels.separator`",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(
                error.contains(part) && error.contains("a.toml"),
                "{text}: {error}"
            );
        }
    }
}
