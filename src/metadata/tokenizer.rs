//! Captions as the ids that a text tower reads.

mod format;
mod train;

use std::fmt;
use std::path::Path;

use ndarray::Array2;
use serde_json::Value;
use tokenizers::Tokenizer;

pub use format::{END_TOKEN, PAD_TOKEN, START_TOKEN};

use super::field::{Field, FieldSet};
use crate::error::{Error, Result};
use format::{Cut, END, PAD, SPECIAL, START, byte_character, document};

/// Largest file that is read, far above any vocabulary of captions.
const MOST_BYTES: u64 = 16 << 20;
/// Longest name of a platform that [`CaptionTokenizer::context_for`] counts with.
const PLATFORM: usize = 16;

/// A byte-level BPE over captions, as a `tokenizer.json` that Hugging Face's `tokenizers` reads
/// and that gives the same ids there.
///
/// Every digit is a token of its own, every label with the separator before it is one, and any
/// text has an encoding. The end token is always there: a caption that needs more tokens than
/// the model reads is refused, never cut. Two captions never have the same ids, because the ids
/// are checked to spell the caption.
pub struct CaptionTokenizer {
    tokenizer: Tokenizer,
    /// The file, in the one form in which it is written.
    json: String,
    /// What each token spells; nothing for the special ones.
    spelling: Vec<Vec<u8>>,
    longest: usize,
}

impl fmt::Debug for CaptionTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptionTokenizer")
            .field("vocabulary", &self.vocabulary())
            .finish_non_exhaustive()
    }
}

impl CaptionTokenizer {
    /// Learns a vocabulary of at most `vocabulary` tokens from captions; equal captions in any
    /// order give the same tokenizer.
    ///
    /// Bytes, labels and the special tokens take the first 416 tokens; fewer are refused.
    pub fn train(captions: impl Iterator<Item = String>, vocabulary: usize) -> Result<Self> {
        Self::from_bytes(train::learn(captions, vocabulary)?.as_bytes())
    }

    /// Reads a `tokenizer.json` that [`to_json`](CaptionTokenizer::to_json) wrote.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |e| Error::io(path, e);
        let named = |e: Error| match e {
            Error::Tokenizer { reason } => fault(format!("`{}`: {reason}", path.display())),
            other => other,
        };
        if std::fs::metadata(path).map_err(io)?.len() > MOST_BYTES {
            return Err(named(fault("is larger than 16 MiB")));
        }
        Self::from_bytes(&std::fs::read(path).map_err(io)?).map_err(named)
    }

    /// Reads the bytes of a `tokenizer.json` that [`to_json`](CaptionTokenizer::to_json) wrote.
    ///
    /// Files of other making are refused: vocabulary and merges may differ, the rest may not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(fault("is larger than 16 MiB"));
        }
        let found: Value = serde_json::from_slice(bytes).map_err(failed)?;
        let model = &found["model"];
        let differs = |cut: Cut| {
            let expected = document(cut, model["vocab"].clone(), model["merges"].clone());
            differing(&expected, &found)
        };
        if let [Some(part), Some(_)] = Cut::ALL.map(differs) {
            return Err(fault(format!("`{part}` is not as in satmip's tokenizers")));
        }
        let spelling = spelling(&model["vocab"])?;
        let tokenizer = Tokenizer::from_bytes(bytes).map_err(failed)?;
        let json = tokenizer.to_string(true).map_err(failed)?;
        let longest = spelling.iter().map(Vec::len).max().unwrap_or(1).max(1);
        Ok(CaptionTokenizer {
            tokenizer,
            json,
            spelling,
            longest,
        })
    }

    /// The `tokenizer.json`; equal tokenizers give equal bytes.
    pub fn to_json(&self) -> String {
        self.json.clone()
    }

    /// Number of tokens, the special ones included.
    pub fn vocabulary(&self) -> usize {
        self.spelling.len()
    }

    /// Id of the end token.
    pub fn end_token(&self) -> i64 {
        END
    }

    /// The ids of a caption with start and end token, at most `context` of them, or
    /// [`Error::CaptionTooLong`].
    pub fn encode(&self, caption: &str, context: usize) -> Result<Vec<i64>> {
        // No token spells more than `longest` bytes: a huge text is refused before it is cut.
        let least = caption.len().div_ceil(self.longest) + 2;
        if least > context {
            return Err(self.too_long(least, context));
        }
        let encoding = self.tokenizer.encode_fast(caption, true).map_err(failed)?;
        let ids = encoding.get_ids();
        if ids.len() > context {
            return Err(self.too_long(ids.len(), context));
        }
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        match self.spells(&ids, caption) {
            true => Ok(ids),
            false => Err(fault(format!(
                "its tokens do not spell the caption `{caption}`"
            ))),
        }
    }

    fn too_long(&self, tokens: usize, limit: usize) -> Error {
        Error::CaptionTooLong { tokens, limit }
    }

    /// Whether the ids are the start token, tokens that spell the caption, and the end token.
    fn spells(&self, ids: &[i64], caption: &str) -> bool {
        let [START, inner @ .., END] = ids else {
            return false;
        };
        let mut rest = caption.as_bytes();
        for id in inner {
            let part = usize::try_from(*id)
                .ok()
                .and_then(|id| self.spelling.get(id));
            match part
                .filter(|p| !p.is_empty())
                .and_then(|p| rest.strip_prefix(p.as_slice()))
            {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }

    /// The ids of captions, `[captions, longest]`, padded with 0 after the end token to the
    /// longest of them.
    pub fn encode_batch(&self, captions: &[String], context: usize) -> Result<Array2<i64>> {
        let encode = |caption: &String| self.encode(caption, context);
        let rows = captions.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Array2::from_elem((rows.len(), length), PAD);
        for (i, row) in rows.iter().enumerate() {
            for (j, id) in row.iter().enumerate() {
                ids[[i, j]] = *id;
            }
        }
        Ok(ids)
    }

    /// Tokens that a caption of these fields needs at most, start and end token included.
    ///
    /// Counted with 3 wavelengths and a platform's name of 16 characters (our choice); captions
    /// with more may be refused as too long.
    pub fn context_for(&self, fields: FieldSet) -> usize {
        let tokens = |text: &str| match self.encode(text, usize::MAX) {
            Ok(ids) => ids.len() - 2,
            Err(_) => text.len(),
        };
        let field = |field: Field| {
            let label = field.label();
            let first = tokens(&format!("{label}: "));
            let value = longest_values(field).iter().map(|v| tokens(v)).max();
            first.max(tokens(&format!("; {label}: "))) + value.unwrap_or(0)
        };
        2 + fields.iter().map(field).sum::<usize>()
    }
}

/// Renderings of a field among which one needs the most tokens: digits are a token each, so
/// only their number and what stands between them counts.
fn longest_values(field: Field) -> Vec<String> {
    let texts: &[&str] = match field {
        Field::Gsd => &["(10000.00, 10000.00)", "(0.000123, 0.000123)"],
        Field::MultispectralGsd => &["10000.00", "0.000123"],
        Field::PixelSize => &["(1.23e-04, 1.23e-04)", "(1.00e+00, 1.00e+00)"],
        Field::Timestamp => &["2015-09-21T15:30:08Z"],
        Field::Location => &[
            "(-123.1234, -12.1234)",
            "(123.1234, 12.1234)",
            "(-123.1234, 12.1234)",
            "(123.1234, -12.1234)",
        ],
        Field::UtmZone => &["18M"],
        // Three letters, were each a token of its own.
        Field::CountryCode => &["000"],
        Field::CloudCover => &["100"],
        Field::ScanDirection => &["Forward", "Reverse"],
        Field::Wavelengths => &["[100000, 100000, 100000]"],
        Field::TargetAzimuthAngle | Field::SunAzimuthAngle => &["123.12"],
        Field::SunElevationAngle => &["-12.12", "12.12"],
        Field::OffNadirAngle => &["12.12"],
        Field::SensorPlatform => return vec!["0".repeat(PLATFORM)],
    };
    texts.iter().map(|text| text.to_string()).collect()
}

/// The bytes that each token spells, after a check that the ids are 0, 1, 2, ...
fn spelling(vocab: &Value) -> Result<Vec<Vec<u8>>> {
    let vocab = vocab
        .as_object()
        .ok_or_else(|| fault("has no vocabulary"))?;
    let mut tokens = vec![None; vocab.len()];
    for (token, id) in vocab {
        let slot = id
            .as_u64()
            .and_then(|id| tokens.get_mut(usize::try_from(id).ok()?));
        *slot.ok_or_else(|| fault(format!("the id of `{token}` is outside the vocabulary")))? =
            Some(token);
    }
    let characters: Vec<char> = (0..=255).map(byte_character).collect();
    let byte = |c: char| characters.iter().position(|known| *known == c);
    let mut spelling = Vec::with_capacity(tokens.len());
    for (id, token) in tokens.into_iter().enumerate() {
        let token = token.ok_or_else(|| fault(format!("no token has the id {id}")))?;
        if SPECIAL.get(id).is_some_and(|special| special != token) {
            return Err(fault(format!(
                "token {id} is `{token}`, not `{}`",
                SPECIAL[id]
            )));
        }
        let bytes = token.chars().map(|c| byte(c).map(|b| b as u8));
        spelling.push(match id < SPECIAL.len() {
            true => Vec::new(),
            false => bytes
                .collect::<Option<Vec<u8>>>()
                .ok_or_else(|| fault(format!("token {id} is not of byte-level characters")))?,
        });
    }
    match spelling.len() > SPECIAL.len() {
        true => Ok(spelling),
        false => Err(fault("the vocabulary is empty")),
    }
}

/// The path of the first part in which two documents differ.
fn differing(expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys());
            names
                .into_iter()
                .find_map(|name| match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differing(a, b).map(|rest| match rest.as_str() {
                        "" => name.clone(),
                        rest => format!("{name}.{rest}"),
                    }),
                    _ => Some(name.clone()),
                })
        }
        (a, b) => (a != b).then(String::new),
    }
}

fn fault(reason: impl Into<String>) -> Error {
    let reason = reason.into();
    Error::Tokenizer { reason }
}

fn failed(error: impl fmt::Display) -> Error {
    fault(error.to_string())
}

#[cfg(test)]
mod tests;
