//! What became of items that could not be embedded: one row each in `errors.jsonl`.

use serde::{Deserialize, Serialize};

use satmip::{Error, ImageFault};

/// Why an item, or its metadata, was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipKind {
    /// The file is not there.
    Missing,
    /// The file or folder cannot be opened or read, or is no regular file.
    Unreadable,
    /// The file has no bytes.
    Empty,
    /// The bytes are of no known image format.
    UnknownFormat,
    /// A variant of a format that is recognised and not read.
    Unsupported,
    /// More pixels or bytes than the limit.
    TooLarge,
    /// Truncated or damaged data.
    Damaged,
    /// The decoder panicked: damaged data, or a fault of the decoder.
    DecoderPanicked,
    /// Samples of which nothing says what they mean: `--scale`.
    NeedsScale,
    /// Bands of which nothing says which are red, green and blue: `--bands`.
    NeedsBands,
    /// An option, or what the file states, does not fit its bands or samples.
    Option,
    /// Fewer valid pixels than asked for: `--min-valid`.
    TooFewValid,
    /// More clouds than asked for: `--max-cloud`.
    TooCloudy,
    /// An earlier item has the same name.
    Duplicate,
    /// The metadata of this item are invalid; **its image was embedded** without them. Of a scene: those of all its
    /// windows, said once.
    Metadata,
    /// The model failed on this item alone, for example by an overflow.
    Model,
    /// Anything else; the reason says what.
    Other,
}

/// One row of `errors.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Skipped {
    /// The item's name, as the output would have it; a scene's where all of its windows are meant.
    pub id: String,
    /// What kind of fault it is.
    pub kind: SkipKind,
    /// What is wrong, for people.
    pub reason: String,
    /// What would help, where something would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Skipped {
    /// An item that an error left out.
    pub(crate) fn of(id: String, error: &Error) -> Self {
        let (kind, reason) = SkipKind::of(error);
        Skipped {
            id,
            kind,
            reason,
            hint: error.hint(),
        }
    }
}

impl SkipKind {
    /// The kind of fault that an image's error is, and what it says.
    pub(crate) fn of(error: &Error) -> (SkipKind, String) {
        let Error::Image { fault, .. } = error else {
            return (SkipKind::Other, error.to_string());
        };
        let kind = match fault {
            ImageFault::Empty => SkipKind::Empty,
            ImageFault::UnknownFormat => SkipKind::UnknownFormat,
            ImageFault::Unsupported(_) => SkipKind::Unsupported,
            ImageFault::TooLarge { .. } => SkipKind::TooLarge,
            ImageFault::Damaged(_) => SkipKind::Damaged,
            ImageFault::DecoderPanicked(_) => SkipKind::DecoderPanicked,
            ImageFault::NeedsScale { .. } => SkipKind::NeedsScale,
            ImageFault::NeedsBands { .. } => SkipKind::NeedsBands,
            ImageFault::Option(_) => SkipKind::Option,
            ImageFault::TooFewValid { .. } => SkipKind::TooFewValid,
            ImageFault::Unreadable(_) => SkipKind::Unreadable,
            _ => SkipKind::Other,
        };
        (kind, fault.to_string())
    }
}
