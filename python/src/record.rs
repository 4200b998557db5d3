//! Records of metadata as Python gives them, and as it gets them back.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use satmip::metadata::read::{flat, json_record, stac};
use satmip::{Error, Metadata};
use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use crate::error::{Fault, Result};

/// How deep lists and dictionaries may stand in each other.
const MOST_DEEP: usize = 64;

/// The records of a list, each with what is wrong with it.
pub(crate) fn records(given: &Bound<'_, PyAny>) -> Result<Vec<Result<Metadata>>> {
    let record = |(index, given): (usize, PyResult<Bound<'_, PyAny>>)| {
        let read = record(&given?);
        Ok(read.map_err(|error| Fault::of(format!("records[{index}]"), error)))
    };
    listed("records", given)?.enumerate().map(record).collect()
}

/// The items of a list, or of anything else that gives them one by one and is no item itself.
pub(crate) fn listed<'py>(
    what: &'static str,
    given: &Bound<'py, PyAny>,
) -> Result<impl Iterator<Item = PyResult<Bound<'py, PyAny>>>> {
    let single = given.is_instance_of::<PyString>()
        || given.is_instance_of::<PyBytes>()
        || given.is_instance_of::<PyDict>();
    match given.try_iter() {
        Ok(items) if !single => Ok(items),
        _ => Err(Fault::argument(
            what,
            format!("a list is wanted, not a {}", given.get_type().name()?),
        )),
    }
}

/// Reads a record: a STAC item, an fMoW record, or a dictionary with a key for each field.
///
/// # Errors
/// [`Error::MetadataSource`] names the key.
pub(crate) fn record(given: &Bound<'_, PyAny>) -> satmip::Result<Metadata> {
    let document = value(given, 0).map_err(|reason| Error::MetadataSource {
        origin: "record".into(),
        line: None,
        reason,
        source: None,
    })?;
    match document.get("type").and_then(Value::as_str) {
        Some("Feature") => stac::read(&document),
        _ => json_record(&document),
    }
}

/// A value of Python as JSON has it: moments as their text, bytes (well-known binary) as hexadecimal digits, numbers
/// that are not finite as words, which the readers of fields refuse by the field's name.
fn value(given: &Bound<'_, PyAny>, depth: usize) -> Result<Value, String> {
    let said = |error: PyErr| error.to_string();
    if depth > MOST_DEEP {
        return Err(format!(
            "lists and dictionaries stand in each other over {MOST_DEEP} deep"
        ));
    }
    if given.is_none() {
        return Ok(Value::Null);
    }
    if given.is_instance_of::<PyString>() {
        return given.extract().map(Value::String).map_err(said);
    }
    if let Ok(truth) = given.cast::<PyBool>() {
        return Ok(Value::Bool(truth.is_true()));
    }
    if given.is_instance_of::<PyInt>()
        && let Ok(number) = given.extract::<i64>()
    {
        return Ok(number.into());
    }
    if given.is_instance_of::<PyFloat>() || given.is_instance_of::<PyInt>() {
        let number: f64 = given.extract().map_err(said)?;
        let text = || Value::String(number.to_string());
        return Ok(Number::from_f64(number).map_or_else(text, Value::Number));
    }
    if let Ok(bytes) = given.cast::<PyBytes>() {
        let digits = bytes.as_bytes().iter().map(|byte| format!("{byte:02X}"));
        return Ok(Value::String(digits.collect()));
    }
    if let Ok(dictionary) = given.cast::<PyDict>() {
        let entry = |(key, given): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            let name = key.extract::<String>();
            let name = name.map_err(|_| format!("the key {key} is no text"))?;
            let value = value(&given, depth + 1).map_err(|reason| format!("`{name}`: {reason}"))?;
            Ok((name, value))
        };
        return dictionary
            .iter()
            .map(entry)
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object);
    }
    if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        let items = given.try_iter().map_err(said)?;
        let item = |item: PyResult<Bound<'_, PyAny>>| value(&item.map_err(said)?, depth + 1);
        return items
            .map(item)
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array);
    }
    plainer(given).and_then(|plain| value(&plain, depth + 1))
}

/// What other packages' objects are in Python's own types.
fn plainer<'py>(given: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, String> {
    let name = given.get_type().name().map_err(|error| error.to_string())?;
    let plain = match name.to_str().unwrap_or_default() {
        // NumPy counts moments; their text is what they mean.
        "datetime64" => given.str().map(Bound::into_any),
        // Moments and days.
        _ if has(given, "isoformat") => given.call_method0("isoformat"),
        // NumPy's numbers and arrays.
        _ if has(given, "tolist") => given.call_method0("tolist"),
        // Decimal numbers.
        _ if has(given, "__float__") => given.call_method0("__float__"),
        _ => return Err(format!("a {name} is no text, number, list or dictionary")),
    };
    plain.map_err(|error| error.to_string())
}

fn has(given: &Bound<'_, PyAny>, name: &str) -> bool {
    given.hasattr(name).unwrap_or(false)
}

/// What becomes JSON as objects of Python.
pub(crate) fn of_json<'py>(py: Python<'py>, value: impl Serialize) -> Result<Bound<'py, PyAny>> {
    let text = serde_json::to_string(&value);
    let text = text.map_err(|error| Fault::argument("JSON", error.to_string()))?;
    Ok(py.import("json")?.call_method1("loads", (text,))?)
}

/// Which of a table's columns hold metadata, by their names.
#[pyfunction]
pub(crate) fn metadata_columns(names: Vec<String>) -> Vec<String> {
    let empty: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), Value::Null))
        .collect();
    // A key that is read refuses a truth value, all others are left aside.
    let reads = |name: &String| {
        let mut record = empty.clone();
        record.insert(name.clone(), json!(true));
        flat::read(&Value::Object(record)).is_err()
    };
    names.iter().filter(|name| reads(name)).cloned().collect()
}
