//! Which tensor of a file becomes which of ours, by the rules of a mapping.

use std::collections::{BTreeMap, BTreeSet};

use super::mapping::Mapping;
use super::piece::{Piece, made_shape};
use super::report::Unused;
use super::rules::Rule;
use super::source::WeightsFile;
use super::spelling::Speller;
use super::{pattern, some};
use satmip::Result;
use satmip::parts::ROOTS;

/// What wrappers put before each name.
const WRAPPERS: [&str; 3] = ["", "module.", "_orig_mod."];

/// Where each tensor of a file goes.
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) prefix: String,
    /// By our names.
    pub(super) pieces: BTreeMap<String, Piece>,
    pub(super) unused: Vec<Unused>,
    pub(super) ignored: Vec<Unused>,
    /// All names behind the prefix.
    names: BTreeSet<String>,
}

/// What stands before the names of a model.
#[derive(Debug, Clone)]
struct Prefix {
    /// The key of the dictionary that the model is in; what is beside it is no part of the model.
    root: String,
    /// All that stands before a name, the root included.
    whole: String,
}

/// The mapping that has a place or an opinion for most tensors of a file, with the prefix behind
/// which it has; of equals the one of which more rules are used.
///
/// # Errors
/// [`satmip::Error::Import`] where none finds any; [`satmip::Error::Weights`] as [`Matches::of`].
pub(super) fn best(
    source: &WeightsFile,
    mappings: Vec<Mapping>,
    prefix: Option<&str>,
) -> Result<(Mapping, Matches)> {
    let names = source.names();
    let mut best: Option<((usize, f64), Mapping, Prefix)> = None;
    for mapping in mappings {
        let prefixes = match prefix {
            Some(prefix) => vec![Prefix {
                root: prefix.to_owned(),
                whole: prefix.to_owned(),
            }],
            None => prefixes(&mapping),
        };
        for prefix in prefixes {
            let score = score(source, &names, &mapping, &prefix.whole);
            // The first of equals stays: the likelier come first.
            if score > best.as_ref().map_or((0, 1.0), |(score, ..)| *score) {
                best = Some((score, mapping.clone(), prefix));
            }
        }
    }
    let Some((_, mapping, prefix)) = best else {
        let reason = format!(
            "no name of its {} tensors is of a known convention: {}",
            names.len(),
            some(names.iter().map(String::as_str))
        );
        let hint = "name a `--prefix`, or write a mapping (`--mapping`)";
        return Err(source.refuse(reason, Some(hint)));
    };
    let matches = Matches::of(source, &mapping, &prefix)?;
    Ok((mapping, matches))
}

fn prefixes(mapping: &Mapping) -> Vec<Prefix> {
    let mut all = Vec::new();
    for root in ROOTS {
        for wrapper in WRAPPERS {
            all.extend(mapping.prefixes.iter().map(|own| Prefix {
                root: root.to_owned(),
                whole: [root, wrapper, own].concat(),
            }));
        }
    }
    all
}

/// How many names a mapping has a place or an opinion for, and the share of its rules that are used.
fn score(source: &WeightsFile, names: &[String], mapping: &Mapping, prefix: &str) -> (usize, f64) {
    let mut used = vec![false; mapping.rule.len()];
    let mut placed = 0;
    let speller = Speller::new(source, mapping, prefix);
    for name in names.iter().filter_map(|name| name.strip_prefix(prefix)) {
        let spelled = speller.spell(name);
        let fits = |from: &String| {
            spelled
                .as_deref()
                .and_then(|n| pattern::fit(from, n))
                .is_some()
        };
        let mut rules = mapping.rule.iter();
        let mut remarks = mapping.ignore.iter().chain(&mapping.refuse);
        if let Some(rule) = rules.position(|rule| rule.from.list().iter().any(fits)) {
            used[rule] = true;
            placed += 1;
        } else if remarks.any(|remark| pattern::fit(&remark.from, name).is_some()) {
            placed += 1;
        }
    }
    let used = used.iter().filter(|used| **used).count();
    match used {
        // Opinions alone make no model.
        0 => (0, 0.0),
        _ => (placed, used as f64 / mapping.rule.len() as f64),
    }
}

/// Tensors that one rule joins: for each of its names what was found.
struct Group<'a> {
    rule: &'a Rule,
    targets: Vec<String>,
    captures: pattern::Captures,
    parts: Vec<Option<(String, Vec<usize>)>>,
}

impl Matches {
    /// Applies the rules to all names of a file.
    ///
    /// # Errors
    /// [`satmip::Error::Weights`] for a tensor that comes from two places, one that lacks another to
    /// be joined with, and one that cannot be transposed, joined or cut.
    fn of(source: &WeightsFile, mapping: &Mapping, prefix: &Prefix) -> Result<Self> {
        let mut found = Matches {
            prefix: prefix.whole.clone(),
            ..Matches::default()
        };
        let mut groups: BTreeMap<(usize, Vec<String>), Group<'_>> = BTreeMap::new();
        let speller = Speller::new(source, mapping, &prefix.whole);
        for whole in source.names() {
            let shape = source.shape(&whole);
            let unused = |reason: &str| Unused {
                name: whole.clone(),
                shape: shape.clone(),
                reason: reason.to_owned(),
            };
            let Some(name) = whole.strip_prefix(&prefix.whole) else {
                let (list, before) = match whole.starts_with(&prefix.root) {
                    true => (&mut found.unused, &prefix.whole),
                    false => (&mut found.ignored, &prefix.root),
                };
                list.push(unused(&format!("it is not behind the prefix `{before}`")));
                continue;
            };
            found.names.insert(name.to_owned());
            let fits = |from: &str| pattern::fit(from, name);
            if let Some(remark) = mapping.refuse.iter().find(|r| fits(&r.from).is_some()) {
                found.unused.push(unused(&remark.reason));
                continue;
            }
            if let Some(remark) = mapping.ignore.iter().find(|r| fits(&r.from).is_some()) {
                found.ignored.push(unused(&remark.reason));
                continue;
            }
            let spelled = speller.spell(name);
            let fits = |from: &str| pattern::fit(from, spelled.as_deref()?);
            let rules = mapping.rule.iter().enumerate();
            let hit = rules.into_iter().find_map(|(i, rule)| {
                let mut parts = rule.from.list().iter().enumerate();
                parts.find_map(|(k, from)| fits(from).map(|captures| (i, rule, k, captures)))
            });
            let Some((i, rule, part, captures)) = hit else {
                found
                    .unused
                    .push(unused("no rule of the mapping has its name"));
                continue;
            };
            let to = rule.to.list().iter();
            let targets: Vec<String> = to.map(|to| pattern::expand(to, &captures)).collect();
            let group = groups.entry((i, targets.clone())).or_insert_with(|| Group {
                rule,
                targets,
                captures,
                parts: vec![None; rule.from.list().len()],
            });
            if let Some((other, _)) = &group.parts[part] {
                let reason = format!(
                    "becomes `{}`, as `{other}` does",
                    group.targets.join("`, `")
                );
                return Err(source.fault(&whole, reason));
            }
            group.parts[part] = Some((whole, shape));
        }
        for group in groups.into_values() {
            found.place(source, group)?;
        }
        Ok(found)
    }

    fn place(&mut self, source: &WeightsFile, group: Group<'_>) -> Result<()> {
        let mut sources = Vec::new();
        for (part, from) in group.parts.into_iter().zip(group.rule.from.list()) {
            let whole = format!("{}{}", self.prefix, pattern::expand(from, &group.captures));
            sources.push(part.ok_or_else(|| {
                let reason = format!("is missing, as a part of `{}`", group.targets.join("`, `"));
                source.fault(&whole, reason)
            })?);
        }
        let count = group.targets.len();
        let (first, transpose) = (sources[0].0.clone(), group.rule.transpose);
        let shape = made_shape(&sources, transpose, count);
        let shape = shape.map_err(|reason| source.fault(&first, reason))?;
        for (i, target) in group.targets.into_iter().enumerate() {
            let piece = Piece {
                sources: sources.clone(),
                transpose,
                cut: (count > 1).then_some((i, count)),
                shape: shape.clone(),
            };
            if let Some(other) = self.pieces.insert(target.clone(), piece) {
                let reason = format!("becomes `{target}`, as `{}` does", other.sources[0].0);
                return Err(source.fault(&first, reason));
            }
        }
        Ok(())
    }

    /// Whether the file has a tensor of this name behind the prefix.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Shapes by our names.
    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let pieces = self.pieces.iter();
        pieces
            .map(|(name, piece)| (name.clone(), piece.shape.clone()))
            .collect()
    }
}
