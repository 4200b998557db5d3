//! Where chips come from, as a recipe names it.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use satmip::image::ReadOptions;
use satmip::{Error, Result};

/// Width of an fMoW crop over the longer side of its box (our choice; fMoW's own baseline adds 0.15 to
/// 0.4 of a side).
pub const FMOW_CONTEXT: f64 = 1.25;

/// The most files that one pattern of shards may stand for.
const MOST_SHARDS: usize = 100_000;

/// Where chips come from: a table of a recipe's `data`, whose kind its keys tell.
///
/// Paths are relative to the data folder. `chips_per_epoch` is the most chips of the source that an
/// epoch draws, all of them without it. `bands`, `scale` and `min_valid` say how pictures are read, as the
/// options of the command line do ([`ReadOptions`]).
///
/// ```toml
/// [[data]]
/// archive = "eurosat_rgb.tar"
/// index = "eurosat_rgb.csv"
///
/// [[data]]
/// shards = "{split}-{0000..0012}.tar"
///
/// [[data]]
/// folder = "pictures"
/// table = "pictures.parquet"
/// chips_per_epoch = 5000
/// bands = "4,3,2"
/// scale = "s2"
///
/// [[data]]
/// classes = "UCMerced_LandUse/Images"
///
/// [[data]]
/// fmow = "fmow-rgb"
/// context = 1.5
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
#[non_exhaustive]
pub struct ChipSource {
    /// Where the pictures and what is known of them are.
    pub files: ChipFiles,
    /// Most chips of an epoch; none means all.
    pub chips_per_epoch: Option<usize>,
    /// How the pictures are read.
    pub reading: ReadOptions,
}

/// The kinds of a [`ChipSource`].
#[derive(Debug, Clone, PartialEq)]
pub enum ChipFiles {
    /// A tar archive of pictures and a table of them.
    Archive {
        /// Tar archive of pictures.
        archive: PathBuf,
        /// CSV or Parquet with the columns `file` (the path in the archive), `label` and `split`, and
        /// any of those that [`ColumnMap`](satmip::metadata::read::ColumnMap) knows.
        index: PathBuf,
    },
    /// Tar archives of samples (WebDataset): files in a row whose names agree up to the first dot of
    /// the last part are one sample. `KEY.jpg`, `.jpeg`, `.png`, `.webp`, `.tif` or `.tiff` is the
    /// picture, `KEY.json` its metadata (a STAC item, an fMoW record or a flat object, see
    /// [`json_record`](satmip::metadata::read::json_record)), `KEY.cls` or `KEY.txt` the label.
    Shards {
        /// Names with `{0000..0012}` for numbers, `{a,b}` for choices and `{split}` for the split that
        /// is opened.
        shards: Vec<String>,
        /// Table joined by the sample's key, or the picture's name in the shard, as `file`: the
        /// metadata then come from it, and label and split where it has such columns.
        table: Option<PathBuf>,
        /// The split that all samples belong to, `train` by default, where neither the names nor the
        /// table tell.
        split: String,
    },
    /// A folder of pictures and a table of them.
    Folder {
        /// Folder of pictures.
        folder: PathBuf,
        /// As the `index` of an archive, `file` being the path in the folder. Without a column `label`
        /// labels are empty, without `split` all chips are `train`.
        table: PathBuf,
    },
    /// A folder with a folder of pictures for each class.
    Classes {
        /// The folder, with `{split}` for the split that is opened where each split has its own.
        classes: String,
        /// Table joined by `CLASS/PICTURE` or the picture's name as `file`: the metadata come from
        /// it, and the split where it has such a column.
        table: Option<PathBuf>,
        /// The split that all pictures belong to, `train` by default, where neither the folder's name
        /// nor the table tell.
        split: String,
    },
    /// The layout of fMoW-RGB: `ROOT/SPLIT/CLASS/CLASS_N/CLASS_N_M_rgb.jpg` and its `.json`. Each
    /// bounding box is one chip, whose metadata are of the crop.
    Fmow {
        /// ROOT.
        fmow: PathBuf,
        /// Side of the square around a box over the box's longer side; the part of the square that
        /// lies within the picture is the chip.
        context: f64,
    },
}

/// The keys of all kinds, so that an unknown one is named whatever the kind.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fmow: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chips_per_epoch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bands: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_valid: Option<f32>,
}

impl Keys {
    /// How pictures are read.
    fn reading(&mut self) -> Result<ReadOptions, String> {
        let mut options = ReadOptions::default();
        if let Some(bands) = self.bands.take() {
            options.bands = bands.parse().map_err(|e: Error| e.to_string())?;
        }
        if let Some(scale) = self.scale.take() {
            options.scale = scale.parse().map_err(|e: Error| e.to_string())?;
        }
        let least = self.min_valid.take().unwrap_or(options.min_valid);
        options.with_min_valid(least).map_err(|e| e.to_string())
    }
}

/// One pattern or several.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a name or a list of names")]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Keys> for ChipSource {
    type Error = String;

    fn try_from(mut keys: Keys) -> Result<Self, String> {
        let chips_per_epoch = keys.chips_per_epoch.take();
        let reading = keys.reading()?;
        let kinds = [
            ("archive", keys.archive.is_some()),
            ("shards", keys.shards.is_some()),
            ("folder", keys.folder.is_some()),
            ("classes", keys.classes.is_some()),
            ("fmow", keys.fmow.is_some()),
        ];
        let named: Vec<&str> = kinds.iter().filter(|k| k.1).map(|k| k.0).collect();
        let [kind] = named[..] else {
            return Err(match named[..] {
                [] => "a source needs one of `archive`, `shards`, `folder`, `classes` and `fmow`"
                    .into(),
                [a, b, ..] => format!("`{a}` and `{b}` are two kinds of source"),
                [_] => String::new(),
            });
        };
        let need = |key: &str| format!("`{kind}` needs `{key}` beside it");
        let files = if let Some(archive) = keys.archive.take() {
            ChipFiles::Archive {
                archive,
                index: keys.index.take().ok_or_else(|| need("index"))?,
            }
        } else if let Some(shards) = keys.shards.take() {
            ChipFiles::Shards {
                shards: match shards {
                    Patterns::One(pattern) => vec![pattern],
                    Patterns::Many(patterns) => patterns,
                },
                table: keys.table.take(),
                split: keys.split.take().unwrap_or_else(|| "train".into()),
            }
        } else if let Some(folder) = keys.folder.take() {
            ChipFiles::Folder {
                folder,
                table: keys.table.take().ok_or_else(|| need("table"))?,
            }
        } else if let Some(classes) = keys.classes.take() {
            ChipFiles::Classes {
                classes,
                table: keys.table.take(),
                split: keys.split.take().unwrap_or_else(|| "train".into()),
            }
        } else {
            ChipFiles::Fmow {
                fmow: keys.fmow.take().ok_or_else(|| need("fmow"))?,
                context: keys.context.take().unwrap_or(FMOW_CONTEXT),
            }
        };
        let left = [
            ("index", keys.index.is_some()),
            ("table", keys.table.is_some()),
            ("split", keys.split.is_some()),
            ("context", keys.context.is_some()),
        ];
        if let Some((key, _)) = left.iter().find(|(_, there)| *there) {
            return Err(format!("`{key}` means nothing beside `{kind}`"));
        }
        Ok(ChipSource {
            files,
            chips_per_epoch,
            reading,
        })
    }
}

impl From<ChipSource> for Keys {
    fn from(source: ChipSource) -> Self {
        let (reading, usual) = (source.reading, ReadOptions::default());
        let mut keys = Keys {
            chips_per_epoch: source.chips_per_epoch,
            bands: (reading.bands != usual.bands).then(|| reading.bands.to_string()),
            scale: (reading.scale != usual.scale).then(|| reading.scale.to_string()),
            min_valid: (reading.min_valid != usual.min_valid).then_some(reading.min_valid),
            ..Keys::default()
        };
        match source.files {
            ChipFiles::Archive { archive, index } => {
                (keys.archive, keys.index) = (Some(archive), Some(index));
            }
            ChipFiles::Shards {
                shards,
                table,
                split,
            } => {
                keys.shards = Some(Patterns::Many(shards));
                (keys.table, keys.split) = (table, Some(split));
            }
            ChipFiles::Folder { folder, table } => {
                (keys.folder, keys.table) = (Some(folder), Some(table));
            }
            ChipFiles::Classes {
                classes,
                table,
                split,
            } => {
                (keys.classes, keys.table, keys.split) = (Some(classes), table, Some(split));
            }
            ChipFiles::Fmow { fmow, context } => {
                (keys.fmow, keys.context) = (Some(fmow), Some(context));
            }
        }
        keys
    }
}

impl ChipSource {
    /// All chips of these files, read as the files say.
    pub fn new(files: ChipFiles) -> Self {
        ChipSource {
            files,
            chips_per_epoch: None,
            reading: ReadOptions::default(),
        }
    }

    /// Chips of this source that an epoch draws, when there are so many.
    pub fn of_epoch(&self, chips: usize) -> usize {
        self.chips_per_epoch.map_or(chips, |most| most.min(chips))
    }

    /// What errors and logs call the source: its archive, folder or first shard.
    pub fn name(&self) -> String {
        match &self.files {
            ChipFiles::Archive { archive, .. } => archive.display().to_string(),
            ChipFiles::Shards { shards, .. } => shards.first().cloned().unwrap_or_default(),
            ChipFiles::Folder { folder, .. } => folder.display().to_string(),
            ChipFiles::Classes { classes, .. } => classes.clone(),
            ChipFiles::Fmow { fmow, .. } => fmow.display().to_string(),
        }
    }

    /// What serde cannot check: a recipe does, and a set when it is opened.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), String> {
        if self.chips_per_epoch == Some(0) {
            return Err("`chips_per_epoch` must be above 0".into());
        }
        match &self.files {
            ChipFiles::Fmow { context, .. } if !(1.0..=100.0).contains(context) => {
                Err(format!("`context` is {context}, outside 1 to 100"))
            }
            ChipFiles::Shards { shards, .. } if shards.is_empty() => {
                Err("`shards` names no file".into())
            }
            _ => Ok(()),
        }
    }
}

/// The files that a pattern of shards stands for, in its order: `{2..4}` and `{a,b}` are filled in as
/// in a shell, with the zeros in front of numbers kept.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>> {
    let refuse = |reason: String| Error::Data {
        reason: format!("shards `{pattern}`: {reason}"),
        source: None,
    };
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after
            .split_once('}')
            .ok_or_else(|| refuse("a brace is not closed".into()))?;
        let choices = choices(inner).map_err(refuse)?;
        if names.len().saturating_mul(choices.len()) > MOST_SHARDS {
            return Err(refuse(format!("more than {MOST_SHARDS} files")));
        }
        names = names
            .iter()
            .flat_map(|name| choices.iter().map(move |c| format!("{name}{before}{c}")))
            .collect();
        rest = after;
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// What stands in one pair of braces.
fn choices(inner: &str) -> Result<Vec<String>, String> {
    let Some((first, last)) = inner.split_once("..") else {
        return Ok(inner.split(',').map(str::to_owned).collect());
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|_| digits);
        number.ok_or_else(|| format!("`{text}` is no number"))
    };
    let (low, high) = (number(first)?, number(last)?);
    if low > high || high - low >= MOST_SHARDS as u64 {
        return Err(format!(
            "`{inner}` is no range of 1 to {MOST_SHARDS} numbers"
        ));
    }
    let padded = first.starts_with('0') || last.starts_with('0');
    let width = if padded {
        first.len().max(last.len())
    } else {
        0
    };
    Ok((low..=high).map(|n| format!("{n:0width$}")).collect())
}

/// Whether a path of a table stays within its folder.
pub(super) fn stays_within(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_expand_as_in_a_shell() {
        assert_eq!(expand("a.tar").unwrap(), ["a.tar"]);
        assert_eq!(
            expand("t-{08..11}.tar").unwrap(),
            ["t-08.tar", "t-09.tar", "t-10.tar", "t-11.tar"]
        );
        assert_eq!(expand("{a,b}{1..2}").unwrap(), ["a1", "a2", "b1", "b2"]);
        assert_eq!(expand("{8..10}").unwrap(), ["8", "9", "10"]);
        for bad in [
            "{1..",
            "{3..1}",
            "{1..x}",
            "{0..99999999999}",
            "{-1..2}",
            "{1..}",
        ] {
            assert!(expand(bad).is_err(), "{bad}");
        }
        assert!(expand("{1..1000}{1..1000}").is_err());
    }

    #[test]
    fn keys_tell_the_kind_and_come_back() {
        for text in [
            "archive = \"a.tar\"\nindex = \"a.csv\"\nchips_per_epoch = 3\n",
            "shards = [\"{split}-{0..9}.tar\"]\nsplit = \"train\"\n",
            "folder = \"f\"\ntable = \"f.csv\"\n",
            "split = \"train\"\nclasses = \"f\"\n",
            "fmow = \"f\"\ncontext = 1.5\n",
            "folder = \"f\"\ntable = \"f.csv\"\nbands = \"4,3,2\"\nscale = \"s2\"\nmin_valid = 0.25\n",
        ] {
            let source: ChipSource = toml::from_str(text).unwrap();
            assert_eq!(toml::to_string(&source).unwrap(), text);
        }
        let one: ChipSource = toml::from_str("shards = \"a.tar\"").unwrap();
        assert!(matches!(one.files, ChipFiles::Shards { shards, .. } if shards == ["a.tar"]));
    }

    #[test]
    fn keys_that_do_not_fit_are_named() {
        for (text, part) in [
            ("archiv = \"a\"", "unknown field `archiv`"),
            ("index = \"a\"", "one of `archive`"),
            ("archive = \"a\"", "needs `index`"),
            ("archive = \"a\"\nindex = \"b\"\nfmow = \"c\"", "two kinds"),
            ("archive = \"a\"\nindex = \"b\"\ntable = \"c\"", "`table`"),
            ("fmow = \"c\"\ncontext = nan", "`context`"),
            ("fmow = \"c\"\ncontext = 0.5", "`context`"),
            ("fmow = \"c\"\nchips_per_epoch = 0", "`chips_per_epoch`"),
            ("shards = []", "no file"),
            ("fmow = \"c\"\nbands = \"4,3\"", "2 bands"),
            ("fmow = \"c\"\nscale = \"s3\"", "`s3`"),
            ("fmow = \"c\"\nmin_valid = 2.0", "2 is no share"),
            ("shards = 3", "a name or a list"),
        ] {
            let read = toml::from_str::<ChipSource>(text).map_err(|e| e.to_string());
            let error = read.and_then(|source| source.check()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn paths_of_tables_stay_within() {
        for good in ["a.jpg", "./a/b.jpg", "a..b/c"] {
            assert!(stays_within(good), "{good}");
        }
        for bad in ["", "..", "../a", "a/../../b", "/etc/passwd"] {
            assert!(!stays_within(bad), "{bad}");
        }
    }
}
