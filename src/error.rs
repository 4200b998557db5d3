//! The crate's one error type.

use std::path::{Path, PathBuf};

/// A boxed cause of an [`Error`].
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, each variant naming the thing that it went wrong with.
///
/// Variants carry the path, field, item or device concerned and, where there is one, the cause
/// ([`std::error::Error::source`]). [`Error::hint`] says what a person can do about it.
///
/// ```
/// let error = satmip::Embedder::builder("satmip-enormous").load().unwrap_err();
/// assert!(matches!(error, satmip::Error::UnknownModel { .. }));
/// println!("{error}\nhint: {}", error.hint().unwrap_or_default());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing a file or folder failed.
    #[error("cannot access `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A metadata field was given a value that it cannot have.
    #[error("`{value}` is no valid `{field}`: {reason}")]
    InvalidField {
        /// The field's name, as in [`crate::Field::name`].
        field: &'static str,
        /// The value as it was given, shortened.
        value: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },

    /// A file or document of metadata (STAC item, fMoW record, GeoTIFF, table) cannot be read.
    #[error("cannot read metadata of `{origin}`{}: {reason}", at_line(*line))]
    MetadataSource {
        /// The file, item id or row that was read.
        origin: String,
        /// The line, counted from 1, where that is known.
        line: Option<u64>,
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// An image cannot be used.
    #[error("cannot read image `{item}`: {fault}")]
    Image {
        /// The file, archive member or caller's label.
        item: String,
        /// What is wrong with it.
        fault: ImageFault,
    },

    /// A caption needs more tokens than the model reads; nothing was cut off.
    #[error("the caption needs {tokens} tokens, the model reads at most {limit}")]
    CaptionTooLong {
        /// Tokens that the whole caption needs, start and end token included.
        tokens: usize,
        /// The model's context length.
        limit: usize,
    },

    /// A tokenizer file cannot be used, or a caption cannot be told from another by it.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// What is wrong.
        reason: String,
    },

    /// An architecture that cannot be built.
    #[error("impossible architecture: `{part}`: {reason}")]
    Arch {
        /// The part and setting, for example `image.heads`.
        part: String,
        /// Why it is impossible.
        reason: String,
    },

    /// A bundle (a model on disk) is incomplete, damaged or of an unknown version.
    #[error("bundle `{}`: {reason}", path.display())]
    Bundle {
        /// The bundle's folder, or the file in it.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// A file's contents are not the ones that its bundle names.
    #[error("`{}` is not the file that its bundle names: {what} is {actual}, expected {expected}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// `size` or `sha256`.
        what: &'static str,
        /// What the bundle says.
        expected: String,
        /// What the file has.
        actual: String,
    },

    /// A file of weights lacks a tensor or has one of another shape.
    #[error("weights `{}`, tensor `{tensor}`: {reason}", path.display())]
    Weights {
        /// The safetensors file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },

    /// A graph cannot be written.
    #[error("cannot export {what}: {reason}")]
    Export {
        /// The graph or part of it.
        what: String,
        /// Why not.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// A foreign checkpoint does not become a model of ours, or a file that says how cannot be used.
    #[error("cannot import `{}`: {reason}", path.display())]
    Import {
        /// The checkpoint, mapping or architecture.
        path: PathBuf,
        /// Why not.
        reason: String,
        /// What would help, where something would.
        hint: Option<String>,
    },

    /// A file is no ONNX graph that can be run here; no engine was shown it.
    #[error("`{graph}` is no usable ONNX graph: {reason}")]
    Graph {
        /// The graph's file or name.
        graph: String,
        /// What is wrong with it.
        reason: String,
    },

    /// An engine refused a graph or failed while it ran one.
    #[error("{engine} cannot run `{graph}`: {reason}")]
    Engine {
        /// The engine, for example `rten`.
        engine: &'static str,
        /// The graph's file or name.
        graph: String,
        /// What the engine said.
        reason: String,
    },

    /// The device that was asked for is not there. It is never replaced by another in silence.
    #[error("device `{device}` is not available: {reason}")]
    Device {
        /// The device as it was asked for.
        device: String,
        /// Why it is not available.
        reason: String,
        /// What would make it available.
        hint: String,
    },

    /// No model of this name is known and no folder has this path.
    #[error("no model `{id}`")]
    UnknownModel {
        /// The name or path as it was given.
        id: String,
        /// Names that are known.
        known: Vec<String>,
    },

    /// Something that a caller passed does not fit (lengths, dimensions, an empty list).
    #[error("{what}: {reason}")]
    Argument {
        /// The argument.
        what: &'static str,
        /// Why it does not fit.
        reason: String,
    },

    /// The model cannot do what was asked, for example embed metadata without a metadata tower.
    #[error("model `{model}` cannot {what}")]
    Unsupported {
        /// The model's id.
        model: String,
        /// What was asked.
        what: String,
    },

    /// The inputs of a batch job cannot be listed or joined.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The file, folder, archive or table.
        input: String,
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// The output of a job exists already, is of another job, or cannot be written.
    #[error("output `{}`: {reason}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// A data set cannot be read as it is described.
    #[error("data: {reason}")]
    Data {
        /// What is wrong, with the name of the source, file or table.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// A source of chips has none of the split that was asked for.
    #[error("`{origin}` has no chip of the split `{split}`{}", only_of(.others))]
    EmptySplit {
        /// The archive, folder or table.
        origin: String,
        /// The split, for example `val`.
        split: String,
        /// The splits that it has chips of, where that is known.
        others: Vec<String>,
    },

    /// Features cannot be evaluated.
    #[error("evaluation: {reason}")]
    Evaluation {
        /// What is wrong, with the name of the class, chip or file.
        reason: String,
    },

    /// A recipe or its data cannot be trained with.
    #[error("training: {reason}")]
    Training {
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// A registry of models cannot be read, or names something impossible.
    #[error("registry `{origin}`: {reason}")]
    Registry {
        /// The registry's path or URL, or the model in it.
        origin: String,
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// No place gave a file of a model. What arrived is kept, and is no file of the model yet.
    #[error("cannot fetch `{file}` of `{model}`: {reason}")]
    Fetch {
        /// The model, `id@version`.
        model: String,
        /// The file.
        file: String,
        /// What each place said.
        reason: String,
    },

    /// A file of a model was not fetched before, and downloads are not allowed.
    #[error("`{file}` of `{model}` is not in the cache")]
    NotCached {
        /// The model, `id@version`.
        model: String,
        /// The first file that is missing.
        file: String,
    },

    /// The folder of fetched files cannot be used.
    #[error("cache `{}`: {reason}", path.display())]
    Cache {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The cause, where another error was it.
        source: Option<Cause>,
    },

    /// A part of the program panicked: a fault of this crate, or of one that it uses.
    #[error("{what} panicked: {said}")]
    Panic {
        /// What was being done, with the name of the item.
        what: String,
        /// What the panic said.
        said: String,
    },

    /// Work was cancelled from outside.
    #[error("interrupted")]
    Interrupted,
}

/// What is wrong with an image.
///
/// ```
/// use satmip::image::{ReadOptions, decode};
/// let error = decode(b"no picture", "a.png", &ReadOptions::default()).unwrap_err();
/// let satmip::Error::Image { item, fault } = error else { panic!("{error}") };
/// assert_eq!((item.as_str(), fault), ("a.png", satmip::ImageFault::UnknownFormat));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageFault {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are of no image format that is known.
    #[error("not an image of a known format (JPEG, PNG, WebP, TIFF, JPEG 2000)")]
    UnknownFormat,
    /// A format or variant that is recognised and not read.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// More pixels than the limit; nothing was decoded.
    #[error("{width} x {height} pixels are over the limit of {limit} pixels")]
    TooLarge {
        /// Width in pixels as the header says.
        width: u32,
        /// Height in pixels as the header says.
        height: u32,
        /// The limit on width times height.
        limit: u64,
    },
    /// Truncated or damaged data.
    #[error("damaged or truncated: {0}")]
    Damaged(String),
    /// Samples that are no picture by themselves, and nothing says what they mean.
    #[error("{samples} samples, and neither the file nor an option says what they mean")]
    NeedsScale {
        /// The samples' type, for example `uint16`.
        samples: String,
    },
    /// Bands of which nothing says which are red, green and blue.
    #[error(
        "{bands} bands, and neither the file nor an option says which are red, green and blue (the file says: {says})"
    )]
    NeedsBands {
        /// How many there are.
        bands: usize,
        /// What the file says of each.
        says: String,
    },
    /// An option, or what the file states, does not fit the file's bands or samples.
    #[error("{0}")]
    Option(String),
    /// Fewer valid pixels than asked for.
    #[error("{}", too_few(*valid, *least))]
    TooFewValid {
        /// The share of valid pixels of what the model would see, 0 to 1.
        valid: f32,
        /// The least share that is asked for, 0 to 1.
        least: f32,
    },
    /// The decoder panicked: damaged data, or a fault of the decoder.
    #[error("the decoder panicked: {0}")]
    DecoderPanicked(String),
    /// The file cannot be opened or read.
    #[error("{0}")]
    Unreadable(String),
}

impl ImageFault {
    /// What a person can do about it, where there is something; a sentence without full stop.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ImageFault::TooLarge { .. } => {
                "raise the limit (`--max-pixels`) or cut the image into tiles"
            }
            ImageFault::NeedsScale { .. } => {
                "say what the samples mean: `--scale s2` (or s2-offset, s2-l1c, landsat-c2, planet-sr, full), or `--scale LO,HI` with \
                 the sample values that become black and white, as `--scale 0,3000`"
            }
            ImageFault::NeedsBands { .. } => {
                "name the bands of red, green and blue, counted from 1: `--bands 4,3,2`"
            }
            ImageFault::TooFewValid { valid: 0.0, .. } => "leave the image out",
            ImageFault::TooFewValid { valid, .. } => {
                // To whole percents, and not above what is there.
                let share = (f64::from(*valid) * 100.0).floor() / 100.0;
                return Some(match share > 0.0 {
                    true => {
                        format!("ask for fewer (`--min-valid {share}`), or leave the image out")
                    }
                    false => "ask for fewer (`--min-valid 0`), or leave the image out".into(),
                });
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn too_few(valid: f32, least: f32) -> String {
    match valid {
        0.0 => "no pixel is valid: all are nodata, NaN or masked".into(),
        valid => format!(
            "{:.1} % of the pixels are valid, at least {:.1} % are asked for",
            100.0 * valid,
            100.0 * least
        ),
    }
}

/// The end of a sentence about a split that is not there.
fn only_of(others: &[String]) -> String {
    match others {
        [] => String::new(),
        others => format!(", only of `{}`", others.join("`, `")),
    }
}

impl Error {
    /// What a person can do about it, where there is something; a sentence without full stop.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Device { hint, .. } => Some(hint.clone()),
            Error::Import { hint, .. } => hint.clone(),
            Error::UnknownModel { known, .. } if !known.is_empty() => Some(format!(
                "known models: {}; or give the path of a bundle folder",
                known.join(", ")
            )),
            Error::UnknownModel { .. } => Some(
                "give the path of a bundle folder, or build with the feature `builtin-model`"
                    .into(),
            ),
            Error::Image { fault, .. } => fault.hint(),
            Error::EmptySplit { .. } => Some(
                "put `{split}` into the names of its files or a column `split` into its table, or draw a split (`--split random`, \
                 `--split blocks`)"
                    .into(),
            ),
            Error::Checksum { .. } => Some(
                "get the bundle again from where it came (`satmip zoo pull`, if it was fetched)"
                    .into(),
            ),
            Error::Fetch { .. } => Some(
                "try again, what arrived is kept; if it stays so, tell whoever keeps the registry. Behind a proxy set HTTPS_PROXY, with an \
                 authority of your own SSL_CERT_FILE"
                    .into(),
            ),
            Error::Registry { .. } => {
                Some("tell whoever keeps the registry, or leave it out (`--registry`, SATMIP_REGISTRY)".into())
            }
            Error::NotCached { model, .. } => {
                Some(format!("fetch it where there is a network: `satmip zoo pull {model}`"))
            }
            Error::Cache { .. } => Some(
                "free space there, or name another folder (`--cache-dir`, SATMIP_CACHE_DIR)".into(),
            ),
            Error::Panic { .. } => Some(
                "this is a fault of the program: please report it, with the input that leads to it".into(),
            ),
            Error::CaptionTooLong { .. } => {
                Some("leave out fields, or use a model with a longer context".into())
            }
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    #[doc(hidden)]
    pub fn field(field: &'static str, value: impl ToString, reason: impl Into<String>) -> Self {
        Error::InvalidField {
            field,
            value: shorten(&value.to_string()),
            reason: reason.into(),
        }
    }

    #[doc(hidden)]
    pub fn arch(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Arch {
            part: part.into(),
            reason: reason.into(),
        }
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map(|l| format!(", line {l}")).unwrap_or_default()
}

/// At most 80 characters of a value, for messages about hostile input.
fn shorten(value: &str) -> String {
    const MOST: usize = 80;
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    value.chars().take(MOST).chain("...".chars()).collect()
}
