//! JSON that this crate keeps, and has no say in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// Any JSON value; null by default.
///
/// ```
/// use satmip::Json;
/// let training = Json::of([("steps", 1200)])?;
/// assert_eq!(training.to_string(), r#"[["steps",1200]]"#);
/// assert_eq!("null".parse::<Json>()?, Json::default());
/// # Ok::<(), satmip::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Value);

impl Json {
    /// Takes what becomes JSON, a value of serde_json for one.
    ///
    /// # Errors
    /// [`Error::Argument`] for what does not, a map whose keys are no texts for one.
    pub fn of(value: impl Serialize) -> Result<Self> {
        serde_json::to_value(value).map(Json).map_err(wrong)
    }

    /// The value; for satmip's own crates.
    #[doc(hidden)]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The value; for satmip's own crates.
    #[doc(hidden)]
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

/// Without blanks and line breaks.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Json {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Json).map_err(wrong)
    }
}

fn wrong(error: serde_json::Error) -> Error {
    Error::Argument {
        what: "JSON",
        reason: error.to_string(),
    }
}
