//! The file `tokenizer.json`: how a caption is cut into words, and what surrounds the tokens.

use serde_json::{Value, json};

use crate::metadata::Field;

/// Pads the shorter captions of a batch; id 0.
pub const PAD_TOKEN: &str = "<|pad|>";
/// In front of every caption; id 1.
pub const START_TOKEN: &str = "<|start|>";
/// After every caption, where the text tower pools; id 2.
pub const END_TOKEN: &str = "<|end|>";

/// The special tokens in the order of their ids.
pub(super) const SPECIAL: [&str; 3] = [PAD_TOKEN, START_TOKEN, END_TOKEN];
pub(super) const PAD: i64 = 0;
pub(super) const START: i64 = 1;
pub(super) const END: i64 = 2;

/// The labels as they begin a caption and as they go on with it; each is one word.
pub(super) fn labels() -> impl Iterator<Item = String> {
    Field::ALL
        .into_iter()
        .flat_map(|f| [format!("{}: ", f.label()), format!("; {}: ", f.label())])
}

/// Words of punctuation that numbers are written with; each becomes one token.
pub(super) const PUNCTUATION: [&str; 5] = [", ", ", -", "(-", "e-", "e+"];

/// Cuts a caption into words, within which pairs are merged: a label with the separator before
/// it, a digit, an exponent, letters, other characters.
///
/// Simple enough to mean the same to every engine of regular expressions.
fn words() -> String {
    let labels: Vec<&str> = Field::ALL.into_iter().map(Field::label).collect();
    let labels = labels.join("|");
    format!("(?:; )?(?:{labels}): |[0-9]|e[+-]|[A-Za-z]+|[^A-Za-z0-9;]+|;")
}

/// How a caption is cut into words, within which pairs are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Labels, digits, letters and other characters are words, as [`train`](super::train) learns
    /// them.
    Labels,
    /// Every digit is a word, and so is all text between digits: the cut of `satmip-nano` 0.1.
    Digits,
}

impl Cut {
    pub(super) const ALL: [Cut; 2] = [Cut::Labels, Cut::Digits];

    fn pretokenizer(self) -> Value {
        match self {
            Cut::Labels => json!({
                "type": "Split",
                "pattern": {"Regex": words()},
                "behavior": "Isolated",
                "invert": false,
            }),
            Cut::Digits => json!({"type": "Digits", "individual_digits": true}),
        }
    }
}

/// The whole file around a vocabulary and its merges.
///
/// The special tokens are no `added_tokens`: the library would find those in a caption's text,
/// and `<|end|>` in a name would be the end. As entries of the vocabulary that no merge makes
/// they come from the template alone.
pub(super) fn document(cut: Cut, vocab: Value, merges: Value) -> Value {
    let special = |token: &str, id: i64| json!({"id": token, "ids": [id], "tokens": [token]});
    let piece = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": {
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": null,
            "pad_id": PAD,
            "pad_type_id": 0,
            "pad_token": PAD_TOKEN,
        },
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [cut.pretokenizer(), byte_level.clone()],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece(START_TOKEN), sequence("A"), piece(END_TOKEN)],
            "pair": [piece(START_TOKEN), sequence("A"), sequence("B"), piece(END_TOKEN)],
            "special_tokens": {
                START_TOKEN: special(START_TOKEN, START),
                END_TOKEN: special(END_TOKEN, END),
            },
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": merges,
        },
    })
}

/// The printable character that stands for a byte in a byte-level vocabulary, as GPT-2's.
pub(super) fn byte_character(byte: u8) -> char {
    let itself = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match itself(byte) {
        true => byte.into(),
        false => {
            let before = (0..byte).filter(|b| !itself(*b)).count() as u32;
            char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_characters() {
        let all: std::collections::BTreeSet<char> = (0..=255).map(byte_character).collect();
        assert_eq!(all.len(), 256);
        assert_eq!(byte_character(b'A'), 'A');
        // GPT-2's marks of a blank and of a line's end.
        assert_eq!((byte_character(b' '), byte_character(b'\n')), ('Ġ', 'Ċ'));
        assert_eq!(byte_character(0xad), 'Ń');
    }

    #[test]
    fn words_are_what_the_template_says() {
        assert!(words().starts_with("(?:; )?(?:GSD|Multispectral GSD|Pixel size|"));
        assert_eq!(labels().count(), 30);
    }
}
