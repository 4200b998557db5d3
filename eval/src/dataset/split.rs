//! Which split a chip belongs to.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::SplitRule;
use satmip::metadata::Location;
use satmip::{Error, Result};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// What classifiers learn from.
    Train,
    /// What settings are chosen on.
    Val,
    /// What figures are about.
    Test,
}

impl Split {
    /// All three, in their order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

impl std::str::FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Split::ALL.into_iter().find(|split| split.name() == text);
        found.ok_or_else(|| Error::Argument {
            what: "split",
            reason: format!("`{text}` is none of train, val and test"),
        })
    }
}

/// A chip that is to be given a split.
pub(super) struct Unplaced<'a> {
    pub(super) name: &'a str,
    pub(super) location: Option<Location>,
    /// What the source says, where its splits are taken.
    pub(super) given: Split,
}

/// The split of each chip, none for those that no list names. `folder` is where lists are.
pub(super) fn assign(
    rule: &SplitRule,
    chips: &[Unplaced<'_>],
    folder: &Path,
) -> Result<Vec<Option<Split>>> {
    match rule {
        SplitRule::Given { .. } => Ok(chips.iter().map(|chip| Some(chip.given)).collect()),
        SplitRule::Random {
            seed, val, test, ..
        } => {
            // By name, so that the order of the files changes nothing.
            let groups = chips.iter().map(|chip| chip.name.to_owned());
            Ok(draw(groups, *seed, *val, *test))
        }
        SplitRule::Blocks {
            degrees,
            seed,
            val,
            test,
            ..
        } => {
            let groups: Result<Vec<_>> = chips
                .iter()
                .map(|chip| match chip.location {
                    Some(place) => Ok(cell(place, *degrees)),
                    None => Err(Error::Data {
                        reason: format!(
                            "`{}` has no location, so that it belongs to no block",
                            chip.name
                        ),
                        source: None,
                    }),
                })
                .collect();
            Ok(draw(groups?.into_iter(), *seed, *val, *test))
        }
        SplitRule::Lists { train, val, test } => {
            let mut named: HashMap<String, Split> = HashMap::new();
            let lists = [
                (Split::Train, Some(train)),
                (Split::Val, val.as_ref()),
                (Split::Test, Some(test)),
            ];
            for (split, list) in lists.into_iter().filter_map(|(s, l)| Some((s, l?))) {
                read_list(&folder.join(list), split, &mut named)?;
            }
            let of = |chip: &Unplaced<'_>| {
                let last = chip.name.rsplit('/').next().unwrap_or_default();
                named.get(chip.name).or_else(|| named.get(last)).copied()
            };
            Ok(chips.iter().map(of).collect())
        }
    }
}

fn read_list(path: &Path, split: Split, named: &mut HashMap<String, Split>) -> Result<()> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    for (i, line) in text.lines().enumerate() {
        let name = line.trim();
        if name.is_empty() {
            continue;
        }
        if let Some(before) = named.insert(name.to_owned(), split) {
            return Err(Error::Data {
                reason: format!(
                    "`{}`, line {}: `{name}` is listed before, for `{}`",
                    path.display(),
                    i + 1,
                    before.name()
                ),
                source: None,
            });
        }
    }
    Ok(())
}

/// Draws whole groups until the test split, then the validation split, has its share of the chips.
fn draw<G: Ord + Clone>(
    groups: impl Iterator<Item = G>,
    seed: u64,
    val: f64,
    test: f64,
) -> Vec<Option<Split>> {
    let groups: Vec<G> = groups.collect();
    let mut members: BTreeMap<G, Vec<usize>> = BTreeMap::new();
    for (i, group) in groups.iter().enumerate() {
        members.entry(group.clone()).or_default().push(i);
    }
    let mut order: Vec<Vec<usize>> = members.into_values().collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let share = |part: f64| (groups.len() as f64 * part).round() as usize;
    let (tests, both) = (share(test), share(test + val));
    let mut splits = vec![Some(Split::Train); groups.len()];
    let mut drawn = 0;
    for chips in order {
        let split = match drawn {
            drawn if drawn < tests => Split::Test,
            drawn if drawn < both => Split::Val,
            _ => break,
        };
        drawn += chips.len();
        for chip in chips {
            splits[chip] = Some(split);
        }
    }
    splits
}

fn cell(place: Location, degrees: f64) -> (i64, i64) {
    let number = |x: f64| (x / degrees).floor() as i64;
    (number(place.lon()), number(place.lat()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::near::leakage;
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("{i:04}.png")).collect()
    }

    fn chips(names: &[String]) -> Vec<Unplaced<'_>> {
        let place = |i: usize| Location::new(0.1 * i as f64 % 30.0, 45.0).ok();
        let chip = |(i, name): (usize, &'_ String)| Unplaced {
            name: Box::leak(name.clone().into_boxed_str()),
            location: place(i),
            given: Split::Train,
        };
        names.iter().enumerate().map(chip).collect()
    }

    fn count(splits: &[Option<Split>], wanted: Split) -> usize {
        splits.iter().filter(|s| **s == Some(wanted)).count()
    }

    #[test]
    fn a_random_split_has_its_shares_and_depends_on_names_alone() {
        let names = names(1000);
        let rule = |seed| SplitRule::Random {
            seed,
            val: 0.1,
            test: 0.2,
            of: vec!["train".into()],
        };
        let here = Path::new(".");
        let all = chips(&names);
        let found = assign(&rule(1), &all, here).unwrap();
        let counts = Split::ALL.map(|split| count(&found, split));
        assert_eq!(counts, [700, 100, 200]);
        assert_ne!(found, assign(&rule(2), &all, here).unwrap());
        let mut turned = chips(&names);
        turned.reverse();
        let mut back = assign(&rule(1), &turned, here).unwrap();
        back.reverse();
        assert_eq!(found, back);
    }

    #[test]
    fn blocks_keep_places_apart_and_random_does_not() {
        let names = names(1000);
        let all = chips(&names);
        let here = Path::new(".");
        let places = |splits: Vec<Option<Split>>| -> Vec<_> {
            let placed = splits.iter().zip(&all);
            placed
                .map(|(s, chip)| (s.unwrap(), chip.location))
                .collect()
        };
        let blocks = SplitRule::Blocks {
            degrees: 1.0,
            seed: 0,
            val: 0.15,
            test: 0.15,
            of: vec!["train".into()],
        };
        let apart = places(assign(&blocks, &all, here).unwrap());
        // Chips 8 km apart on one line: those at the border of a block are no nearer.
        assert_eq!(leakage(&apart, Split::Test, true), None);
        let by: HashMap<_, HashSet<_>> = apart.iter().fold(HashMap::new(), |mut by, (s, p)| {
            by.entry(cell(p.unwrap(), 1.0))
                .or_insert_with(HashSet::new)
                .insert(*s);
            by
        });
        assert!(by.values().all(|splits| splits.len() == 1));
        let random = SplitRule::Random {
            seed: 0,
            val: 0.15,
            test: 0.15,
            of: vec!["train".into()],
        };
        let mixed = places(assign(&random, &all, here).unwrap());
        assert_eq!(leakage(&mixed, Split::Train, false), None);
        let note = leakage(&mixed, Split::Test, false).unwrap();
        assert!(
            note.contains("leaks") && note.contains("--split blocks"),
            "{note}"
        );
    }

    #[test]
    fn a_chip_without_a_place_belongs_to_no_block() {
        let chip = Unplaced {
            name: "a.png",
            location: None,
            given: Split::Train,
        };
        let rule = SplitRule::Blocks {
            degrees: 1.0,
            seed: 0,
            val: 0.1,
            test: 0.1,
            of: vec!["train".into()],
        };
        let error = assign(&rule, &[chip], Path::new(".")).unwrap_err();
        assert!(error.to_string().contains("a.png"), "{error}");
    }

    #[test]
    fn lists_name_paths_or_files_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("train.txt", "c/0000.png\n\n0001.png\n");
        write("test.txt", "0002.png\n");
        let rule = SplitRule::Lists {
            train: "train.txt".into(),
            val: None,
            test: "test.txt".into(),
        };
        let names: Vec<String> = (0..4).map(|i| format!("c/{i:04}.png")).collect();
        let found = assign(&rule, &chips(&names), dir.path()).unwrap();
        let expected = [
            Some(Split::Train),
            Some(Split::Train),
            Some(Split::Test),
            None,
        ];
        assert_eq!(found, expected);
        write("test.txt", "0001.png\n");
        let error = assign(&rule, &chips(&names), dir.path()).unwrap_err();
        assert!(error.to_string().contains("test.txt`, line 1"), "{error}");
    }
}
