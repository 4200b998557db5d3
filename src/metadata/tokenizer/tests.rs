use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::arbitrary::record;
use super::super::caption::poster;
use super::*;
use crate::metadata::Metadata;

const COUNTRIES: [&str; 4] = ["PER", "FRA", "USA", "KEN"];
const PLATFORMS: [&str; 3] = ["GEOEYE01", "WORLDVIEW02", "SENTINEL-2A"];

fn captions() -> impl Iterator<Item = String> {
    (0..40).map(|i| {
        let record = poster()
            .with_country_code(COUNTRIES[i % 4])
            .and_then(|m| m.with_sensor_platform(PLATFORMS[i % 3]))
            .unwrap();
        record.caption(FieldSet::ALL)
    })
}

static TOKENIZER: LazyLock<CaptionTokenizer> =
    LazyLock::new(|| CaptionTokenizer::train(captions(), 600).unwrap());

fn tokens(caption: &str) -> Vec<String> {
    let ids = TOKENIZER.encode(caption, 1000).unwrap();
    let name = |id: &i64| TOKENIZER.tokenizer.id_to_token(*id as u32).unwrap();
    ids.iter().map(|id| name(id).replace('Ġ', "_")).collect()
}

#[test]
fn tokens_of_a_caption() {
    let caption = "GSD: (11.45, 9.13); Timestamp: 2015-09-21; Location: (-73.3108, 3.7858); \
                   Country code: PER; Sensor platform: GEOEYE01";
    assert_eq!(
        tokens(caption).join(" "),
        "<|start|> GSD:_ ( 1 1 . 4 5 ,_ 9 . 1 3 ) ;_Timestamp:_ 2 0 1 5 - 0 9 - 2 1 \
         ;_Location:_ (- 7 3 . 3 1 0 8 ,_ 3 . 7 8 5 8 ) ;_Country_code:_ PER \
         ;_Sensor_platform:_ GEOEYE 0 1 <|end|>"
    );
    assert_eq!(tokens(""), ["<|start|>", "<|end|>"]);
}

#[test]
fn special_ids() {
    assert_eq!(TOKENIZER.encode("", 2).unwrap(), [1, 2]);
    assert_eq!(TOKENIZER.end_token(), 2);
    assert_eq!(TOKENIZER.tokenizer.token_to_id(PAD_TOKEN), Some(0));
    assert!(TOKENIZER.vocabulary() <= 600);
}

#[test]
fn special_tokens_in_a_text_are_text() {
    for text in ["<|end|>", "a<|pad|>b", "<|start|>", "<|end|><|end|>"] {
        let ids = TOKENIZER.encode(text, 100).unwrap();
        let inner = &ids[1..ids.len() - 1];
        assert!(inner.iter().all(|id| *id > 2), "{text}: {ids:?}");
    }
}

#[test]
fn labels_are_single_tokens_even_unseen() {
    let bare = CaptionTokenizer::train(std::iter::empty(), 4096).unwrap();
    for text in format::labels() {
        assert_eq!(bare.encode(&text, 3).unwrap().len(), 3, "{text}");
    }
    for text in format::PUNCTUATION {
        assert_eq!(bare.encode(text, 3).unwrap().len(), 3, "{text}");
    }
    assert_eq!(bare.vocabulary(), 416);
    let error = CaptionTokenizer::train(captions(), 415)
        .unwrap_err()
        .to_string();
    assert!(error.contains("too small"), "{error}");
}

#[test]
fn training_is_deterministic() {
    let again = CaptionTokenizer::train(captions(), 600).unwrap();
    assert_eq!(again.to_json(), TOKENIZER.to_json());
    let mut reversed: Vec<String> = captions().collect();
    reversed.reverse();
    let again = CaptionTokenizer::train(reversed.into_iter(), 600).unwrap();
    assert_eq!(again.to_json(), TOKENIZER.to_json());
}

#[test]
fn the_file_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, TOKENIZER.to_json()).unwrap();
    let read = CaptionTokenizer::from_file(&path).unwrap();
    assert_eq!(read.to_json(), TOKENIZER.to_json());
    let caption = poster().caption(FieldSet::ALL);
    assert_eq!(
        read.encode(&caption, 200).unwrap(),
        TOKENIZER.encode(&caption, 200).unwrap()
    );
    let missing = CaptionTokenizer::from_file(folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }));
    std::fs::write(&path, "{}").unwrap();
    let foreign = CaptionTokenizer::from_file(&path).unwrap_err().to_string();
    assert!(foreign.contains("tokenizer.json`: "), "{foreign}");
}

#[test]
fn overflow_is_an_error_and_the_end_is_kept() {
    let caption = poster().caption(FieldSet::ALL);
    let needed = TOKENIZER.encode(&caption, 1000).unwrap().len();
    assert_eq!(TOKENIZER.encode(&caption, needed).unwrap().last(), Some(&2));
    let error = TOKENIZER.encode(&caption, needed - 1).unwrap_err();
    match error {
        Error::CaptionTooLong { tokens, limit } => {
            assert_eq!((tokens, limit), (needed, needed - 1))
        }
        other => panic!("{other}"),
    }
    let huge = "9".repeat(50_000_000);
    assert!(matches!(
        TOKENIZER.encode(&huge, 200),
        Err(Error::CaptionTooLong { .. })
    ));
    assert!(matches!(
        TOKENIZER.encode("", 1),
        Err(Error::CaptionTooLong { .. })
    ));
}

#[test]
fn batches_are_padded_to_the_longest() {
    let captions = ["GSD: (1.00, 1.00)".to_owned(), String::new()];
    let ids = TOKENIZER.encode_batch(&captions, 50).unwrap();
    let long = TOKENIZER.encode(&captions[0], 50).unwrap();
    assert_eq!(ids.row(0).to_vec(), long);
    let mut short = vec![0; long.len()];
    short[..2].copy_from_slice(&[1, 2]);
    assert_eq!(ids.row(1).to_vec(), short);
    assert_eq!(TOKENIZER.encode_batch(&[], 50).unwrap().dim(), (0, 0));
    assert!(TOKENIZER.encode_batch(&captions, 5).is_err());
}

#[test]
fn context_of_fields() {
    assert_eq!(TOKENIZER.context_for(FieldSet::NONE), 2);
    // Label, two numbers of 8 characters, bracket, comma, bracket.
    assert_eq!(TOKENIZER.context_for(FieldSet::GSD), 2 + 1 + 16 + 3);
    assert_eq!(TOKENIZER.context_for(FieldSet::TIME), 2 + 1 + 20);
    let all = TOKENIZER.context_for(FieldSet::ALL);
    let poster = TOKENIZER
        .encode(&poster().caption(FieldSet::ALL), all)
        .unwrap();
    assert!(poster.len() < all && all < 199, "{} of {all}", poster.len());
}

#[test]
fn foreign_and_damaged_files_are_refused() {
    let good: Value = serde_json::from_str(&TOKENIZER.to_json()).unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        let error = CaptionTokenizer::from_bytes(value.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Tokenizer { .. }));
        error.to_string()
    };
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 10] = [
        (
            |v| v["normalizer"] = serde_json::json!({"type": "Lowercase"}),
            "`normalizer`",
        ),
        (
            |v| v["truncation"] = serde_json::json!({"max_length": 5}),
            "`truncation`",
        ),
        (
            |v| v["added_tokens"] = serde_json::json!([{"id": 2}]),
            "`added_tokens`",
        ),
        (|v| v["model"]["dropout"] = 0.5.into(), "`model.dropout`"),
        (
            |v| v["pre_tokenizer"]["pretokenizers"] = Value::Null,
            "`pre_tokenizer.pretokenizers`",
        ),
        (|v| v["extra"] = Value::Null, "`extra`"),
        (|v| v["model"]["vocab"] = serde_json::json!({}), "empty"),
        (|v| v["model"]["vocab"]["A"] = 1_000_000.into(), "outside"),
        (
            |v| v["model"]["vocab"]["A"] = 300.into(),
            "no token has the id",
        ),
        (
            |v| v["model"]["merges"] = serde_json::json!([["A", "nothing"]]),
            "tokenizer",
        ),
    ];
    for (change, part) in cases {
        let error = changed(change);
        assert!(error.contains(part), "{part}: {error}");
    }
    for bytes in ["", "{}", "[]", "null", "{\"model\": 3}"] {
        assert!(
            CaptionTokenizer::from_bytes(bytes.as_bytes()).is_err(),
            "{bytes}"
        );
    }
    let mut cut = TOKENIZER.to_json();
    cut.truncate(cut.len() / 2);
    assert!(CaptionTokenizer::from_bytes(cut.as_bytes()).is_err());
}

#[test]
fn a_vocabulary_without_a_byte_refuses_what_it_cannot_spell() {
    let mut value: Value = serde_json::from_str(&TOKENIZER.to_json()).unwrap();
    let merges = serde_json::json!([]);
    value["model"]["vocab"] =
        serde_json::json!({PAD_TOKEN: 0, START_TOKEN: 1, END_TOKEN: 2, "A": 3});
    value["model"]["merges"] = merges;
    let small = CaptionTokenizer::from_bytes(value.to_string().as_bytes()).unwrap();
    assert_eq!(small.encode("AA", 10).unwrap(), [1, 3, 3, 2]);
    assert!(matches!(
        small.encode("AB", 10),
        Err(Error::Tokenizer { .. })
    ));
}

fn encode(record: &Metadata) -> Vec<i64> {
    TOKENIZER
        .encode(&record.caption(FieldSet::ALL), 10_000)
        .unwrap()
}

proptest! {
    #[test]
    fn captions_and_ids_differ_together(a in record(), b in record()) {
        let (x, y) = (a.caption(FieldSet::ALL), b.caption(FieldSet::ALL));
        prop_assert_eq!(x == y, encode(&a) == encode(&b));
        prop_assert_eq!(encode(&a).last().copied(), Some(2));
    }

    #[test]
    fn one_field_changed_changes_the_ids(a in record(), b in record(), i in 0..15_usize) {
        let field = Field::ALL[i];
        let mut changed = a.clone();
        changed.remove(field);
        if let Some(text) = b.text(field) {
            changed.set_text(field, &text).unwrap();
        }
        let same = a.caption(FieldSet::ALL) == changed.caption(FieldSet::ALL);
        prop_assert_eq!(same, encode(&a) == encode(&changed));
    }

    #[test]
    fn any_texts_differ_in_their_ids(a in "(<\\|end\\|>|\\PC|; GSD: |\n){0,12}", b in "(<\\|end\\|>|\\PC){0,3}") {
        let encode = |text: &str| TOKENIZER.encode(text, 10_000).unwrap();
        prop_assert_eq!(a == b, encode(&a) == encode(&b));
        prop_assert_ne!(encode(&a), encode(&format!("{a}{END_TOKEN}")));
    }

    #[test]
    fn the_context_is_enough(record in record(), bits in 0..1_u32 << 15) {
        let fields: FieldSet = Field::ALL.into_iter().filter(|f| bits & 1 << *f as u32 != 0).collect();
        let mut record = record.only(fields);
        if record.wavelengths().is_some_and(|w| w.len() > 3) {
            record.set_wavelengths(&[100.0, 1e5, 1e5]).unwrap();
        }
        if let Some(name) = record.sensor_platform().map(|p| p.chars().take(16).collect::<String>()) {
            record.set_sensor_platform(&name).unwrap();
        }
        let caption = record.caption(FieldSet::ALL);
        prop_assert!(TOKENIZER.encode(&caption, TOKENIZER.context_for(fields)).is_ok());
    }
}
