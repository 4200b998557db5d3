//! Lenient look-ups in JSON: what producers write where a number or a text belongs.

use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// What stands where a number should.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Entry<'a> {
    /// No key, null, or a word for "not known".
    Absent,
    /// A finite number, or its text form.
    Number(f64),
    /// Anything else.
    Junk(&'a Value),
}

/// Words that stand for "not known" in the sources that are read here.
pub(super) fn is_missing(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["na", "n/a", "none", "null", "unknown", "-"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

pub(super) fn entry<'a>(object: &'a Object, key: &str) -> Entry<'a> {
    match object.get(key) {
        None | Some(Value::Null) => Entry::Absent,
        Some(Value::String(text)) if is_missing(text) => Entry::Absent,
        Some(value) => match finite(value) {
            Some(number) => Entry::Number(number),
            None => Entry::Junk(value),
        },
    }
}

/// The number that a value is or spells out.
pub(super) fn finite(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|n| n.is_finite())
}

/// The number under a key; everything that is none is absent.
pub(super) fn number(object: &Object, key: &str) -> Option<f64> {
    match entry(object, key) {
        Entry::Number(number) => Some(number),
        Entry::Absent | Entry::Junk(_) => None,
    }
}

/// The text under a key; words for "not known" are absent.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object
        .get(key)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !is_missing(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_texts_and_words_for_unknown() {
        let value =
            json!({"a": 1, "b": "2.5", "c": "NA", "d": null, "e": "x", "f": [1], "g": "NaN"});
        let object = value.as_object().unwrap();
        assert_eq!(entry(object, "a"), Entry::Number(1.0));
        assert_eq!(entry(object, "b"), Entry::Number(2.5));
        assert_eq!(entry(object, "c"), Entry::Absent);
        assert_eq!(entry(object, "d"), Entry::Absent);
        assert_eq!(entry(object, "missing"), Entry::Absent);
        assert!(matches!(entry(object, "e"), Entry::Junk(_)));
        assert!(matches!(entry(object, "f"), Entry::Junk(_)));
        assert!(matches!(entry(object, "g"), Entry::Junk(_)));
        assert_eq!(text(object, "e"), Some("x"));
        assert_eq!(text(object, "c"), None);
        assert_eq!(number(object, "e"), None);
    }
}
