//! Learning a vocabulary from captions by byte-pair encoding.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
};

use super::format::{Cut, PUNCTUATION, SPECIAL, byte_character, document, labels};
use super::{failed, fault};
use crate::error::Result;

/// Different words that are learnt from; the most frequent ones of more.
const MOST_WORDS: usize = 10_000;

type Pair = (u32, u32);

/// A word as the tokens that it consists of so far.
struct Word {
    tokens: Vec<u32>,
    count: u64,
}

/// The tokens and merges learnt so far. Token i is `tokens[i]`.
struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<Pair>,
}

/// The file of a tokenizer learnt from captions, of at most `size` tokens.
///
/// Byte-pair encoding (Sennrich et al. 2016) in two rounds: first the labels and the numbers'
/// punctuation until each is one token, whatever the captions say; then the captions' words by
/// their frequency. Ties are broken by the tokens' text, so equal captions give equal files.
pub(super) fn learn(captions: impl Iterator<Item = String>, size: usize) -> Result<String> {
    let bytes = (0..=255).map(|b| byte_character(b).to_string());
    let mut vocabulary = Vocabulary {
        tokens: SPECIAL.iter().map(|s| s.to_string()).chain(bytes).collect(),
        merges: Vec::new(),
    };
    let splitter = Splitter::new()?;
    let mut fixed = Vec::new();
    for word in labels().chain(PUNCTUATION.map(str::to_owned)) {
        fixed.extend(splitter.words(&word)?);
    }
    let mut fixed: Vec<Word> = fixed.iter().map(|w| vocabulary.word(w, 1)).collect();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for caption in captions {
        for word in splitter.words(&caption)? {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(MOST_WORDS);
    let mut seen: Vec<Word> = counts.iter().map(|(w, n)| vocabulary.word(w, *n)).collect();

    while let Some(pair) = vocabulary.most_frequent(&fixed, 1) {
        let merged = vocabulary.merge(pair);
        apply(&mut fixed, pair, merged);
        apply(&mut seen, pair, merged);
    }
    if vocabulary.tokens.len() > size {
        let least = vocabulary.tokens.len();
        return Err(fault(format!(
            "a vocabulary of {size} is too small, bytes and labels need {least}"
        )));
    }
    while vocabulary.tokens.len() < size {
        let Some(pair) = vocabulary.most_frequent(&seen, 2) else {
            break;
        };
        let merged = vocabulary.merge(pair);
        apply(&mut seen, pair, merged);
    }
    Ok(vocabulary.file())
}

impl Vocabulary {
    /// A word of byte-level characters as single-byte tokens.
    fn word(&self, word: &str, count: u64) -> Word {
        let id = |c: char| {
            let byte = (0..=255).find(|b| byte_character(*b) == c).unwrap_or(0);
            SPECIAL.len() as u32 + u32::from(byte)
        };
        Word {
            tokens: word.chars().map(id).collect(),
            count,
        }
    }

    /// The pair of neighbours with the highest count, at least `least`; of equals the one whose
    /// text comes first.
    fn most_frequent(&self, words: &[Word], least: u64) -> Option<Pair> {
        let mut counts: BTreeMap<Pair, u64> = BTreeMap::new();
        for word in words {
            for pair in word.tokens.windows(2) {
                *counts.entry((pair[0], pair[1])).or_default() += word.count;
            }
        }
        let text = |p: &Pair| (&self.tokens[p.0 as usize], &self.tokens[p.1 as usize]);
        counts
            .into_iter()
            .filter(|(_, count)| *count >= least)
            .max_by(|(a, m), (b, n)| m.cmp(n).then_with(|| text(b).cmp(&text(a))))
            .map(|(pair, _)| pair)
    }

    /// Records a merge and gives the token that it makes, which may be there already.
    fn merge(&mut self, pair: Pair) -> u32 {
        let text = format!(
            "{}{}",
            self.tokens[pair.0 as usize], self.tokens[pair.1 as usize]
        );
        self.merges.push(pair);
        let known = self.tokens.iter().position(|t| *t == text);
        known.unwrap_or_else(|| {
            self.tokens.push(text);
            self.tokens.len() - 1
        }) as u32
    }

    fn file(&self) -> String {
        let ids = self
            .tokens
            .iter()
            .enumerate()
            .map(|(i, t)| (t.clone(), i.into()));
        let text = |id: u32| &self.tokens[id as usize];
        let merges: Vec<Value> = self
            .merges
            .iter()
            .map(|p| json!([text(p.0), text(p.1)]))
            .collect();
        let vocab = Value::Object(ids.collect::<Map<String, Value>>());
        document(Cut::Labels, vocab, merges.into()).to_string()
    }
}

/// Replaces the pair by the merged token in every word.
fn apply(words: &mut [Word], pair: Pair, merged: u32) {
    for word in words {
        let mut i = 0;
        while i + 1 < word.tokens.len() {
            if (word.tokens[i], word.tokens[i + 1]) == pair {
                word.tokens[i] = merged;
                word.tokens.remove(i + 1);
            }
            i += 1;
        }
    }
}

/// The words of a caption exactly as the tokenizer cuts them.
struct Splitter(PreTokenizerWrapper);

impl Splitter {
    fn new() -> Result<Self> {
        let mut document = document(Cut::Labels, json!({}), json!([]));
        let part = document["pre_tokenizer"].take();
        serde_json::from_value(part).map(Splitter).map_err(failed)
    }

    fn words(&self, caption: &str) -> Result<Vec<String>> {
        let mut text = PreTokenizedString::from(caption);
        self.0.pre_tokenize(&mut text).map_err(failed)?;
        let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        Ok(splits
            .into_iter()
            .map(|(word, ..)| word.to_owned())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(caption: &str) -> Vec<String> {
        let words = Splitter::new().unwrap().words(caption).unwrap();
        words.into_iter().map(|w| w.replace('Ġ', "_")).collect()
    }

    #[test]
    fn words_of_a_caption() {
        assert_eq!(
            cut("GSD: (11.45, 9.13); Country code: PER; Sun elevation angle: -0.50").join(" "),
            "GSD:_ ( 1 1 . 4 5 ,_ 9 . 1 3 ) ;_Country_code:_ PER ;_Sun_elevation_angle:_ - 0 . 5 0"
        );
        assert_eq!(
            cut("Pixel size: (1.03e-04, 8.23e+00); Location: (-73.3, -3.7)").join(" "),
            "Pixel_size:_ ( 1 . 0 3 e- 0 4 ,_ 8 . 2 3 e+ 0 0 ) ;_Location:_ (- 7 3 . 3 ,_- 3 . 7 )"
        );
        assert_eq!(
            cut("2015-09-21T15:30Z").join(" "),
            "2 0 1 5 - 0 9 - 2 1 T 1 5 : 3 0 Z"
        );
        assert_eq!(cut("é; GSD; 1;;").join(" "), "Ã© ; _ GSD ; _ 1 ; ;");
    }

    #[test]
    fn merging_by_hand() {
        let mut words = vec![Word {
            tokens: vec![1, 1, 1, 2],
            count: 1,
        }];
        apply(&mut words, (1, 1), 9);
        assert_eq!(words[0].tokens, [9, 1, 2]);
        apply(&mut words, (1, 2), 8);
        assert_eq!(words[0].tokens, [9, 8]);
    }
}
