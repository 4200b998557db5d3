//! Lenient look-ups in JSON: what producers write where a number or a text belongs.

use serde_json::{Map, Value};

use super::normalise::is_missing;
use crate::metadata::crs::Crs;

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

/// The text under a key; words for "not known" are absent, as is everything that is no text.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object
        .get(key)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !is_missing(text))
}

/// The text under a key; what is neither text nor null is given back.
pub(super) fn only_text<'a>(object: &'a Object, key: &str) -> Result<Option<&'a str>, &'a Value> {
    match object.get(key) {
        None | Some(Value::Null | Value::String(_)) => Ok(text(object, key)),
        Some(other) => Err(other),
    }
}

/// The numbers of a list, all of them; none where the value is no list of numbers.
pub(super) fn numbers(value: &Value) -> Option<Vec<f64>> {
    /// More than any list that is read here has.
    const MOST: usize = 64;
    let items = value.as_array().filter(|items| items.len() <= MOST)?;
    items.iter().map(finite).collect()
}

/// The EPSG code of an object's `proj:epsg`, `proj:code` or `proj:projjson`.
pub(super) fn epsg(object: &Object) -> Option<u32> {
    if let Entry::Number(code) = entry(object, "proj:epsg") {
        return (code.fract() == 0.0 && (1.0..=1e6).contains(&code)).then_some(code as u32);
    }
    let code = text(object, "proj:code").and_then(Crs::code_of);
    code.or_else(|| object.get("proj:projjson").and_then(code_of_projjson))
}

/// The EPSG code of a PROJJSON document.
pub(super) fn code_of_projjson(crs: &Value) -> Option<u32> {
    let id = crs.get("id")?;
    if id.get("authority")?.as_str()? != "EPSG" {
        return None;
    }
    match id.get("code")? {
        Value::Number(code) => u32::try_from(code.as_u64()?).ok(),
        Value::String(code) => Crs::code_of(&format!("EPSG:{code}")),
        _ => None,
    }
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
