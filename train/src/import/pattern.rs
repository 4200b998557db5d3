//! Names with wildcards, compared part by part between dots.

/// What the wildcards of a pattern stand for in a name; `*` under the key `*`.
pub(super) type Captures = Vec<(String, String)>;

/// A part of a pattern: text before a wildcard, its key, and text behind it.
fn wildcard(part: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = part.split_once('{')?;
    let (key, behind) = rest.split_once('}')?;
    Some((before, key, behind))
}

/// Refuses a pattern that has more than one `*`, or braces that are not one pair in a part.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let fault = |why: &str| Err(format!("the name `{pattern}` {why}"));
    let mut stars = 0;
    for part in pattern.split('.') {
        let rest = match wildcard(part) {
            Some((_, "", _)) => return fault("has a wildcard without a letter"),
            Some((before, key, behind)) => [before, key, behind].concat(),
            None => part.to_owned(),
        };
        if rest.contains(['{', '}']) {
            return fault("has braces that are not one pair in a part");
        }
        match part {
            "*" => stars += 1,
            _ if part.contains('*') => return fault("has a `*` that is not a part of its own"),
            _ => {}
        }
    }
    match stars {
        0 | 1 => Ok(()),
        _ => fault("has more than one `*`"),
    }
}

/// Refuses a target with wildcards that the pattern does not have.
pub(super) fn check_expansion(pattern: &str, target: &str) -> Result<(), String> {
    check(target)?;
    let keys = |name: &str| -> Vec<String> {
        let parts = name.split('.');
        let keys = parts.filter_map(|part| match part {
            "*" => Some("*".to_owned()),
            part => wildcard(part).map(|(_, key, _)| format!("{{{key}}}")),
        });
        keys.collect()
    };
    let known = keys(pattern);
    match keys(target).iter().find(|key| !known.contains(key)) {
        Some(key) => Err(format!("`{target}` has a `{key}` that `{pattern}` lacks")),
        None => Ok(()),
    }
}

/// What the wildcards stand for, where the name fits the pattern.
pub(super) fn fit(pattern: &str, name: &str) -> Option<Captures> {
    let patterns: Vec<&str> = pattern.split('.').collect();
    let parts: Vec<&str> = name.split('.').collect();
    let mut captures = Captures::new();
    let mut pair = |pattern: &str, part: &str| match wildcard(pattern) {
        None => pattern == part,
        Some((before, key, behind)) => {
            let inner = part.strip_prefix(before);
            let inner = inner.and_then(|part| part.strip_suffix(behind));
            let Some(inner) = inner.filter(|inner| !inner.is_empty()) else {
                return false;
            };
            let same = captures.iter().find(|(known, _)| known == key);
            let fits = same.is_none_or(|(_, value)| value == inner);
            captures.push((key.to_owned(), inner.to_owned()));
            fits
        }
    };
    let Some(star) = patterns.iter().position(|part| *part == "*") else {
        let fits =
            patterns.len() == parts.len() && patterns.iter().zip(&parts).all(|(p, n)| pair(p, n));
        return fits.then_some(captures);
    };
    let behind = patterns.len() - star - 1;
    let end = parts.len().checked_sub(behind).filter(|end| *end > star)?;
    let fits = patterns[..star].iter().zip(&parts).all(|(p, n)| pair(p, n))
        && patterns[star + 1..]
            .iter()
            .zip(&parts[end..])
            .all(|(p, n)| pair(p, n));
    captures.push(("*".to_owned(), parts[star..end].join(".")));
    fits.then_some(captures)
}

/// A name with its wildcards filled in.
pub(super) fn expand(template: &str, captures: &Captures) -> String {
    let value = |key: &str| {
        let found = captures.iter().find(|(known, _)| known == key);
        found.map_or("", |(_, value)| value.as_str())
    };
    let part = |part: &str| match (part, wildcard(part)) {
        ("*", _) => value("*").to_owned(),
        (_, Some((before, key, behind))) => [before, value(key), behind].concat(),
        (part, None) => part.to_owned(),
    };
    template.split('.').map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_by_hand() {
        for (pattern, name, target, expected) in [
            ("a.b", "a.b", "c", Some("c")),
            ("a.b", "a.b.c", "c", None),
            ("a.{n}.w", "a.12.w", "b.{n}.v", Some("b.12.v")),
            ("a.{n}.w", "a.1.2.w", "b.{n}.v", None),
            ("a.{n}.w", "a..w", "b.{n}.v", None),
            ("layer{s}.bn{b}.x", "layer3.bn1.x", "l{b}.{s}", Some("l1.3")),
            ("layer{s}.x", "layer.x", "{s}", None),
            ("*.w", "a.b.w", "x.*", Some("x.a.b")),
            ("a.*", "a.b.c", "*", Some("b.c")),
            ("a.*.c", "a.c", "*", None),
            ("a.*.{p}", "a.b.c.weight", "{p}.*", Some("weight.b.c")),
            ("{n}.{n}", "1.1", "{n}", Some("1")),
            ("{n}.{n}", "1.2", "{n}", None),
        ] {
            let found = fit(pattern, name).map(|captures| expand(target, &captures));
            assert_eq!(found.as_deref(), expected, "{pattern} {name}");
        }
    }
}
