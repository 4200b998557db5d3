//! Reading a recipe, with changes; errors say the line or the change, the key, and what may have been meant.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::Recipe;
use super::check::Problem;
use super::places::{Places, is_below, line_of};
use satmip::{Error, Result};

/// Least likeness (Jaro and Winkler's, within 0 to 1) of a name that is suggested; our choice.
const ALIKE: f64 = 0.8;

impl Recipe {
    /// Reads and checks a recipe, and that the files which it names by itself (first weights, a
    /// tokenizer) exist.
    ///
    /// # Errors
    /// [`Error::Training`] with the line and the key, for an unknown key, a wrong type or a
    /// combination that is impossible.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with(path, &[])
    }

    /// As [`Recipe::read`], with changes such as `optimizer.learning_rate=3e-4`: keys with dots
    /// between tables, numbers for elements of arrays (`data.0.chips_per_epoch=500`), values as
    /// TOML, or as text where they are no TOML.
    ///
    /// # Errors
    /// As [`Recipe::read`]; what a change is to blame for names the change.
    pub fn read_with(path: &Path, changes: &[String]) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let named = |place: String, reason: String| Error::Training {
            reason: format!("recipe `{}`{place}: {reason}", path.display()),
            source: None,
        };
        let original = Places::of(&text);
        let blame = |problem: Problem| {
            let Problem { key, reason } = problem;
            let change = changes.iter().rev().find(|change| {
                let changed = change.split_once('=').map_or("", |c| c.0.trim());
                !key.is_empty() && (is_below(&key, changed) || is_below(changed, &key))
            });
            let place = match (change, original.line(&key)) {
                (Some(change), _) => format!(", `--set {change}`"),
                (None, Some(line)) => format!(", line {line}"),
                (None, None) => String::new(),
            };
            match key.as_str() {
                "" => named(place, reason),
                key => named(place, format!("`{key}` {reason}")),
            }
        };
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| {
            let line = e
                .span()
                .map(|s| format!(", line {}", line_of(&text, s.start)));
            named(line.unwrap_or_default(), e.message().to_owned())
        })?;
        for change in changes {
            apply(&mut table, change).map_err(|r| named(format!(", `--set {change}`"), r))?;
        }
        let changed = match changes {
            [] => text.clone(),
            _ => toml::to_string(&table).map_err(|e| named(String::new(), e.to_string()))?,
        };
        let recipe: Recipe =
            toml::from_str(&changed).map_err(|e| blame(explain(&e, &Places::of(&changed))))?;
        recipe
            .check()
            .and_then(|()| recipe.check_files())
            .map_err(blame)?;
        Ok(recipe)
    }

    /// Checks what can be checked before any data is read; no file is looked at.
    ///
    /// # Errors
    /// [`Error::Training`] names the first value that is impossible.
    pub fn validate(&self) -> Result<()> {
        self.check().map_err(|problem| Error::Training {
            reason: format!("recipe `{}`: `{}` {}", self.id, problem.key, problem.reason),
            source: None,
        })
    }
}

/// What a reader of TOML said, with the key that it is about.
fn explain(error: &toml::de::Error, places: &Places<'_>) -> Problem {
    let message = error.message();
    let around = error.span().and_then(|span| places.at(&span));
    let table = around.map_or("", |place| place.path.as_str());
    let mut names = message.split('`').skip(1).step_by(2);
    let problem = |key: &str, reason: String| Problem {
        key: key.to_owned(),
        reason,
    };
    if message.starts_with("unknown field") {
        let name = names.next().unwrap_or_default();
        // A table that is read twice has its own span and not that of the key inside it.
        let inside = places.below(table).find(|place| place.last() == name);
        let key = match around.filter(|place| place.last() == name).or(inside) {
            Some(place) => place.path.clone(),
            None => name.to_owned(),
        };
        return problem(&key, format!("is unknown{}", suggest(name, names)));
    }
    if message.starts_with("unknown variant") {
        let name = names.next().unwrap_or_default();
        let reason = format!("has an unknown value `{name}`{}", suggest(name, names));
        return problem(table, reason);
    }
    if message.starts_with("missing field") {
        let name = names.next().unwrap_or_default();
        // The outermost table has no place of its own.
        let key = match around.filter(|place| places.is_table(place)) {
            Some(table) => format!("{}.{name}", table.path),
            None => name.to_owned(),
        };
        return problem(&key, "is missing".into());
    }
    // `invalid type: string "a", expected usize`: the value inside the table is the one so written.
    let found = message
        .split_once(": ")
        .and_then(|(_, rest)| rest.split_once(", expected"))
        .map(|(found, _)| found.trim_start_matches(|c: char| c.is_alphabetic() || c == ' '))
        .map(|found| found.trim_matches(['`', '"']));
    let inside = found.and_then(|found| {
        let written = |place: &&_| places.written(place).trim_matches(['"', '\'']) == found;
        places.below(table).find(written)
    });
    let key = inside.map_or(table, |place| place.path.as_str());
    match key {
        "" => problem("", message.to_owned()),
        key => problem(key, format!("has a wrong value: {message}")),
    }
}

/// `; did you mean ..?`, or all that could be meant.
fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let likeness = |other: &str| {
        let name = name.replace('-', "_").to_lowercase();
        strsim::jaro_winkler(&name, &other.replace('-', "_"))
    };
    let best = known
        .iter()
        .map(|other| (likeness(other), *other))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((alike, other)) if alike >= ALIKE => format!("; did you mean `{other}`?"),
        Some(_) => format!("; possible are `{}`", known.join("`, `")),
        None => String::new(),
    }
}

/// Sets one value of a recipe's table. Tables on the way are made where they lack, so that all
/// wrong keys are told in one way.
fn apply(table: &mut Table, change: &str) -> Result<(), String> {
    let (key, value) = change.split_once('=').ok_or("is no KEY=VALUE")?;
    let (key, value) = (key.trim(), value.trim());
    if key.split('.').any(str::is_empty) {
        return Err(format!("`{key}` has a part without a name"));
    }
    let value = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .filter(|parsed| parsed.len() == 1)
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let (path, last) = match key.rsplit_once('.') {
        Some((path, last)) => (path.split('.').collect(), last),
        None => (Vec::new(), key),
    };
    // The path's first part is a key of the outermost table, the others of what it holds.
    let Some((first, rest)) = path.split_first() else {
        table.insert(last.to_owned(), value);
        return Ok(());
    };
    let mut inner = table
        .entry(*first)
        .or_insert_with(|| Value::Table(Table::new()));
    for name in rest {
        inner = step(inner, name, Value::Table(Table::new()))?;
    }
    let place = step(inner, last, value.clone())?;
    *place = value;
    Ok(())
}

/// The value below `name`; `new` is put into a table that lacks it.
fn step<'a>(value: &'a mut Value, name: &str, new: Value) -> Result<&'a mut Value, String> {
    match value {
        Value::Table(table) => Ok(table.entry(name).or_insert(new)),
        Value::Array(array) => {
            let count = array.len();
            let index = name.parse::<usize>().ok();
            index
                .and_then(|index| array.get_mut(index))
                .ok_or_else(|| format!("`{name}` is no element of an array of {count}, from 0"))
        }
        _ => Err(format!("`{name}` stands below a value that is no table")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_reach_tables_arrays_and_what_lacks() {
        let mut table: Table = "a = 1\nb = [{ c = 2 }]\n".parse().unwrap();
        for change in ["a=text", "b.0.c = [1, 2]", "d.e=2.5", "f=1e-3", "g='x'"] {
            apply(&mut table, change).unwrap();
        }
        let expected = "a = 'text'\nb = [{ c = [1, 2] }]\nd = { e = 2.5 }\nf = 1e-3\ng = 'x'\n";
        assert_eq!(table, expected.parse().unwrap());
        for change in ["a", "b.1.c=2", "a.x=1", ".a=1", "b.x.y=1"] {
            let before = table.clone();
            apply(&mut table, change).unwrap_err();
            assert_eq!(table, before);
        }
    }

    #[test]
    fn suggestions_are_close() {
        let known = || ["learning_rate", "steps", "f32"].into_iter();
        assert_eq!(
            suggest("learning-rte", known()),
            "; did you mean `learning_rate`?"
        );
        assert_eq!(
            suggest("zzz", known()),
            "; possible are `learning_rate`, `steps`, `f32`"
        );
    }
}
