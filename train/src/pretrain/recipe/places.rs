//! Where the keys of a TOML text stand.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key or an element of an array, by its dotted path: `image.heads`, `data.0.archive`.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: String,
    /// Bytes of the key; of the value for an element of an array.
    name: Range<usize>,
    /// Bytes of the value; of the header for a table with one.
    value: Range<usize>,
}

impl Place {
    /// The path's last part.
    pub(super) fn last(&self) -> &str {
        self.path
            .rsplit_once('.')
            .map_or(self.path.as_str(), |p| p.1)
    }

    /// Whether this key, or what stands below it, is inside the table at `path`; all are inside
    /// the empty path's.
    pub(super) fn is_below(&self, path: &str) -> bool {
        is_below(&self.path, path)
    }
}

/// Whether `inner` is `path` or below it.
pub(super) fn is_below(inner: &str, path: &str) -> bool {
    path.is_empty()
        || inner
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// All places of a text.
#[derive(Debug)]
pub(super) struct Places<'a> {
    text: &'a str,
    places: Vec<Place>,
}

impl<'a> Places<'a> {
    /// Finds them; none in a text that is no TOML.
    pub(super) fn of(text: &'a str) -> Self {
        let mut places = Vec::new();
        if let Ok(table) = DeTable::parse(text) {
            visit_table("", table.get_ref(), &mut places);
        }
        Self { text, places }
    }

    /// The line, from 1, of a key; of the table around it where it is left out.
    pub(super) fn line(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.iter().find(|p| p.path == path) {
                return Some(line_of(self.text, place.name.start));
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    /// The innermost place that covers these bytes.
    pub(super) fn at(&self, span: &Range<usize>) -> Option<&Place> {
        let covers = |range: &Range<usize>| range.start <= span.start && span.end <= range.end;
        let size = |place: &Place| match covers(&place.name) {
            true => place.name.len(),
            false => place.value.len(),
        };
        let covering = self
            .places
            .iter()
            .filter(|p| covers(&p.name) || covers(&p.value));
        // Of two that cover as much, the deeper one.
        covering.min_by_key(|p| (size(p), usize::MAX - p.path.len()))
    }

    /// The places below a path.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = &Place> {
        let path = path.to_owned();
        self.places
            .iter()
            .filter(move |p| p.is_below(&path) && p.path != path)
    }

    /// Whether the place holds a table.
    pub(super) fn is_table(&self, place: &Place) -> bool {
        self.written(place).starts_with(['{', '[']) || self.below(&place.path).next().is_some()
    }

    /// A value as it is written.
    pub(super) fn written(&self, place: &Place) -> &str {
        self.text.get(place.value.clone()).unwrap_or_default()
    }
}

/// The line, from 1, of a byte.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    1 + before.filter(|b| **b == b'\n').count()
}

fn visit_table(path: &str, table: &DeTable<'_>, places: &mut Vec<Place>) {
    for (key, value) in table {
        let path = match path {
            "" => key.get_ref().to_string(),
            path => format!("{path}.{}", key.get_ref()),
        };
        visit(path, key.span(), value, places);
    }
}

fn visit(path: String, name: Range<usize>, value: &Spanned<DeValue<'_>>, places: &mut Vec<Place>) {
    places.push(Place {
        path: path.clone(),
        name,
        value: value.span(),
    });
    match value.get_ref() {
        DeValue::Table(table) => visit_table(&path, table, places),
        DeValue::Array(array) => {
            for (i, value) in array.iter().enumerate() {
                visit(format!("{path}.{i}"), value.span(), value, places);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "id = 'x'\n[image]\nkind = 'vit'\n\n[[data]]\na = 1\n[[data]]\nb = { c = 2 }\n";

    #[test]
    fn keys_are_found_by_path_and_by_byte() {
        let places = Places::of(TEXT);
        let lines = ["id", "image", "image.kind", "data.0.a", "data.1.b.c"];
        let lines = lines.map(|path| places.line(path));
        assert_eq!(lines, [Some(1), Some(2), Some(3), Some(6), Some(8)]);
        assert_eq!(places.line("image.heads"), Some(2), "the table's line");
        assert_eq!(places.line("optimizer.rate"), None);
        let at = |needle: &str| {
            let start = TEXT.find(needle).unwrap();
            let place = places.at(&(start..start + needle.len())).unwrap();
            place.path.as_str()
        };
        assert_eq!(at("'vit'"), "image.kind");
        assert_eq!(at("[image]"), "image");
        assert_eq!(at("2"), "data.1.b.c");
        assert!(places.at(&(0..TEXT.len())).is_none());
        assert!(!is_below("images", "image") && is_below("image.x", "image"));
    }
}
