//! A data set, opened: chips with their labels and splits.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::near::{leakage, within};
use super::split::{Split, Unplaced, assign};
use super::{Description, LabelRule, SplitRule};
use crate::chips::ChipSet;
use satmip::image::{ReadOptions, RgbImage};
use satmip::metadata::{Location, Metadata};
use satmip::{Error, ImageFault, Result};

/// A data set that something can be evaluated on.
///
/// Every class has a chip in the training split, no chip is in two splits, and no label occurs only
/// once in all. Chips without a label, those of another split than the three, and those that no list of the
/// split names, are left out with a note.
#[derive(Debug)]
pub struct DataSet {
    name: String,
    split: String,
    /// Whether chips were given their splits by blocks.
    blocks: bool,
    sets: Vec<ChipSet>,
    chips: Vec<Chip>,
    classes: Vec<String>,
    multi_label: bool,
    notes: Vec<String>,
    /// Chips that can never be read, and why.
    faults: Vec<(String, String)>,
}

/// A chip of a set.
#[derive(Debug)]
struct Chip {
    set: usize,
    number: usize,
    split: Split,
    /// Places in the classes, ascending; one where there is one label for each chip, none where none is asked for.
    labels: Vec<usize>,
}

impl DataSet {
    /// Opens the chips of a description, whose paths are relative to `folder`.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::EmptySplit`] for a source or list that cannot be read, an empty
    /// training or test split, a chip that is in two splits, a class that the training split lacks and a
    /// label that occurs once.
    pub fn open(description: &Description, folder: &Path) -> Result<Self> {
        let mut found = Self::open_unlabelled(description, folder)?;
        if let (true, Some((name, reason))) = (found.is_empty(), found.faults.first()) {
            return Err(found.refuse(format!("no chip can be read, `{name}` first: {reason}")));
        }
        let bare = found.chips.iter().filter(|c| c.labels.is_empty()).count();
        if bare == found.len() {
            return Err(found.refuse("no chip has a label".into()));
        }
        if bare > 0 {
            let note = format!("{bare} chips without a label are left out");
            found.notes.push(note);
            found.chips.retain(|chip| !chip.labels.is_empty());
        }
        found.check()?;
        Ok(found)
    }

    /// As [`DataSet::open`] for what asks about no label, as retrieval does: chips without one stay, and labels and
    /// splits are as they are.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::EmptySplit`] for a source or list that cannot be read, a source without a chip
    /// of any split, and a chip that is in two splits.
    pub fn open_unlabelled(description: &Description, folder: &Path) -> Result<Self> {
        let mut sets: Vec<(&str, ChipSet)> = Vec::new();
        let mut first = None;
        let names = description.split.names();
        for name in &names {
            match ChipSet::open(&description.source, folder, name) {
                Ok(set) => sets.push((name, set)),
                Err(error @ Error::EmptySplit { .. }) => first = first.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        if let (true, Some(error)) = (sets.is_empty(), first) {
            return Err(error);
        }
        let (mut all, mut faults) = (Vec::new(), BTreeMap::new());
        for (number, (_, set)) in sets.iter().enumerate() {
            for chip in 0..set.len() {
                match set.fault(chip) {
                    // A broken chip is in every split that is opened.
                    Some(reason) => {
                        faults.insert(set.name(chip).to_owned(), reason.to_owned());
                    }
                    None => all.push((number, chip)),
                }
            }
        }
        distinct(all.iter().map(|(set, chip)| {
            let (split, set) = &sets[*set];
            (set.name(*chip), *split)
        }))?;
        let unplaced: Vec<Unplaced<'_>> = all
            .iter()
            .map(|(set, chip)| Unplaced {
                name: sets[*set].1.name(*chip),
                location: sets[*set].1.metadata(*chip).location(),
                given: description.split.given(sets[*set].0),
            })
            .collect();
        let splits = assign(&description.split, &unplaced, folder)?;
        let mut found = Self {
            name: description.name.clone(),
            split: description.split.text(),
            blocks: matches!(description.split, SplitRule::Blocks { .. }),
            sets: sets.into_iter().map(|(_, set)| set).collect(),
            chips: Vec::new(),
            classes: Vec::new(),
            multi_label: description.labels.separator.is_some(),
            notes: Vec::new(),
            faults: faults.into_iter().collect(),
        };
        found.label(&description.labels, &all, &splits);
        found.note_others(&names);
        Ok(found)
    }

    /// Says which rows of a table belong to none of these splits.
    fn note_others(&mut self, names: &[&str]) {
        let Some(set) = self.sets.first() else { return };
        let others = set.other_splits().iter();
        for (name, rows) in others.filter(|(name, _)| !names.contains(&name.as_str())) {
            let note = format!("{rows} chips of the split `{name}` are left out");
            self.notes.push(note);
        }
    }

    /// Gives each chip with a split its labels.
    fn label(&mut self, rule: &LabelRule, all: &[(usize, usize)], splits: &[Option<Split>]) {
        let mut labelled = Vec::new();
        let mut unlisted = 0usize;
        for ((set, chip), split) in all.iter().zip(splits) {
            let Some(split) = split else {
                unlisted += 1;
                continue;
            };
            let names = names(rule, self.sets[*set].label(*chip));
            labelled.push((*set, *chip, *split, names));
        }
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for (.., names) in &labelled {
            classes.extend(names.iter().map(|name| (name.as_str(), 0)));
        }
        for (place, number) in classes.values_mut().enumerate() {
            *number = place;
        }
        self.chips = labelled
            .iter()
            .map(|(set, number, split, names)| {
                let mut labels: Vec<usize> = names.iter().map(|n| classes[n.as_str()]).collect();
                labels.sort_unstable();
                labels.dedup();
                Chip {
                    set: *set,
                    number: *number,
                    split: *split,
                    labels,
                }
            })
            .collect();
        self.classes = classes.into_keys().map(str::to_owned).collect();
        if unlisted > 0 {
            let note = format!("{unlisted} chips that no list names are left out");
            self.notes.push(note);
        }
    }

    fn check(&self) -> Result<()> {
        for split in [Split::Train, Split::Test] {
            if self.rows(split).is_empty() {
                return Err(self.lacks(split));
            }
        }
        if let [class] = &self.classes[..] {
            return Err(self.refuse(format!("all chips are of the class `{class}`")));
        }
        let mut counts = vec![(0usize, 0usize, 0usize); self.classes.len()];
        for (row, chip) in self.chips.iter().enumerate() {
            for label in &chip.labels {
                let (all, train, last) = &mut counts[*label];
                *all += 1;
                *train += usize::from(chip.split == Split::Train);
                *last = row;
            }
        }
        for (class, (all, train, last)) in self.classes.iter().zip(counts) {
            let chip = self.id(last);
            let reason = match (all, train) {
                (1, _) => format!("the label `{class}` occurs once, at `{chip}`"),
                (_, 0) => format!(
                    "the class `{class}` (`{chip}` for one) has no chip in the split `train`"
                ),
                _ => continue,
            };
            return Err(self.refuse(reason));
        }
        Ok(())
    }

    /// The error for a split without a chip.
    pub fn lacks(&self, split: Split) -> Error {
        let there = |split: &Split| !self.rows(*split).is_empty();
        let others = Split::ALL.into_iter().filter(there);
        Error::EmptySplit {
            origin: self.name.clone(),
            split: split.name().into(),
            others: others.map(|split| split.name().into()).collect(),
        }
    }

    fn refuse(&self, reason: String) -> Error {
        Error::Data {
            reason: format!("`{}`: {reason}", self.name),
            source: None,
        }
    }

    /// Name of the description.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the splits came about.
    pub fn split_rule(&self) -> &str {
        &self.split
    }

    /// Number of chips.
    pub fn len(&self) -> usize {
        self.chips.len()
    }

    /// Whether there is no chip; an opened set has some.
    pub fn is_empty(&self) -> bool {
        self.chips.is_empty()
    }

    /// The classes in alphabetical order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Whether a chip may have several labels.
    pub fn is_multi_label(&self) -> bool {
        self.multi_label
    }

    /// The set without the chips of `val` and `test` that lie within so many metres of a training chip; a note counts
    /// them, and the rule of the split names the distance. Chips without a place stay.
    pub fn with_margin(mut self, metres: f64) -> Self {
        let mut near = within(&self.places(), metres).into_iter();
        let before = self.len();
        self.chips.retain(|_| !near.next().unwrap_or(false));
        let note = format!(
            "{} chips within {} km of a training chip are left out",
            before - self.len(),
            metres / 1000.0
        );
        self.notes.push(note);
        self.split = format!("{}, {} km from training", self.split, metres / 1000.0);
        self
    }

    /// Split and place of each chip.
    fn places(&self) -> Vec<(Split, Option<Location>)> {
        let of = |row: usize| (self.split(row), self.metadata(row).location());
        (0..self.len()).map(of).collect()
    }

    /// The set with pictures read in another way than its description says.
    ///
    /// # Errors
    /// That of `change`.
    pub fn with_reading(
        mut self,
        change: impl Fn(ReadOptions) -> Result<ReadOptions>,
    ) -> Result<Self> {
        let sets = self.sets.into_iter();
        let read = sets.map(|set| set.with_reading(&change));
        self.sets = read.collect::<Result<_>>()?;
        Ok(self)
    }

    /// Chips that can never be read, as their file or metadata are broken, and what is wrong with each. They belong
    /// to no split.
    pub fn faults(&self) -> impl Iterator<Item = (String, Error)> + '_ {
        self.faults.iter().map(|(name, reason)| {
            let fault = ImageFault::Unreadable(reason.clone());
            let item = name.clone();
            (name.clone(), Error::Image { item, fault })
        })
    }

    /// A chip's path in its archive or folder.
    pub fn id(&self, row: usize) -> &str {
        let chip = &self.chips[row];
        self.sets[chip.set].name(chip.number)
    }

    /// What is known of a chip.
    pub fn metadata(&self, row: usize) -> &Metadata {
        let chip = &self.chips[row];
        self.sets[chip.set].metadata(chip.number)
    }

    /// A chip's pixels.
    ///
    /// # Errors
    /// [`Error::Image`] names the chip and what is wrong with it.
    pub fn image(&self, row: usize) -> Result<Arc<RgbImage>> {
        let chip = &self.chips[row];
        self.sets[chip.set].image(chip.number)
    }

    /// A chip's split.
    pub fn split(&self, row: usize) -> Split {
        self.chips[row].split
    }

    /// A chip's classes; at least one unless the set was opened without regard to labels.
    pub fn labels(&self, row: usize) -> &[usize] {
        &self.chips[row].labels
    }

    /// The chips of a split.
    pub fn rows(&self, split: Split) -> Vec<usize> {
        (0..self.len())
            .filter(|row| self.split(*row) == split)
            .collect()
    }

    /// What a reader of figures about this split must know: chips left out, leakage.
    pub fn notes(&self, asked: Split) -> Vec<String> {
        let leak = leakage(&self.places(), asked, self.blocks);
        self.notes.iter().cloned().chain(leak).collect()
    }
}

/// The names of a label's classes.
fn names(rule: &LabelRule, label: &str) -> Vec<String> {
    let parts: Vec<&str> = match &rule.separator {
        Some(separator) => label.split(separator.as_str()).collect(),
        None => vec![label],
    };
    let trimmed = parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let named = trimmed.map(|part| rule.names.get(part).map_or(part, String::as_str));
    named.map(str::to_owned).collect()
}

/// Refuses chips of one name in two of the source's splits.
fn distinct<'a>(chips: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let mut seen: HashMap<&str, &str> = HashMap::with_capacity(chips.len());
    for (name, split) in chips {
        if let Some(before) = seen.insert(name, split) {
            return Err(Error::Data {
                reason: format!(
                    "the chip `{name}` is in the split `{before}` and again in `{split}`: that would leak"
                ),
                source: None,
            });
        }
    }
    Ok(())
}
