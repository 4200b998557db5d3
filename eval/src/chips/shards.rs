//! Tar archives of samples, in WebDataset's way.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::PICTURES;
use super::index::{AMBIGUOUS, Found, Index};
use super::set::{Draft, Place};
use super::source::expand;
use super::tar::{self, Member};
use satmip::metadata::Metadata;
use satmip::metadata::read::{MAX_DOCUMENT_BYTES, json_record};
use satmip::parts::json_of_bytes;
use satmip::parts::tar::TarFile;
use satmip::parts::threads::{cores, each};
use satmip::{Error, Result};

/// Most bytes of a label's file.
const LONGEST_LABEL: u64 = 4096;
/// Most shards that stay open; more are opened for each read.
const MOST_OPEN: usize = 128;

/// A shard while it is read.
struct Shard {
    path: PathBuf,
    read: Option<Result<(TarFile, Vec<Sample>)>>,
}

/// The files of one key.
#[derive(Default)]
struct Sample {
    key: String,
    picture: Option<Member>,
    json: Option<Member>,
    label: Option<Member>,
    fault: Option<String>,
    /// From the files of the sample.
    text: String,
    metadata: Metadata,
}

/// Lists the shards; chips come in the order of shards and of samples within.
pub(super) fn open(
    draft: &mut Draft,
    folder: &Path,
    patterns: &[String],
    table: Option<&Path>,
    only: &str,
    split: &str,
) -> Result<()> {
    let in_names = patterns.iter().any(|pattern| pattern.contains("{split}"));
    let all = if in_names { split } else { only };
    let empty = || Error::EmptySplit {
        origin: patterns.join(", ").replace("{split}", split),
        split: split.to_owned(),
        others: Vec::new(),
    };
    if table.is_none() && all != split {
        return Err(empty());
    }
    let mut index = match table {
        Some(table) => Some(draft.index(table, split, Some(all))?),
        None => None,
    };
    let mut shards = Vec::new();
    for pattern in patterns {
        for name in expand(&pattern.replace("{split}", split))? {
            let path = folder.join(name);
            shards.push(Shard { path, read: None });
        }
    }
    if in_names && shards.iter().all(|shard| !shard.path.exists()) {
        return Err(empty());
    }
    let keep = shards.len() <= MOST_OPEN;
    each("reading the data", &mut shards, cores(), |shard| {
        shard.read = Some(read(&shard.path, keep, index.is_none()));
    })?;
    let last = shards.last().map(|shard| shard.path.clone());
    let mut opened = Vec::new();
    for shard in shards {
        opened.extend(shard.read.transpose()?);
    }
    if let Some(index) = &mut index {
        for sample in opened.iter().flat_map(|(_, samples)| samples) {
            if let Some(names) = sample.names() {
                index.note(&names);
            }
        }
    }
    for (file, samples) in opened {
        let number = draft.archives.len();
        for sample in samples {
            push(draft, number, file.path(), sample, index.as_mut());
        }
        draft.archives.push(file);
    }
    match index {
        Some(index) => index.all_taken(&last.unwrap_or_default(), Some("all shards were read")),
        None => Ok(()),
    }
}

fn push(
    draft: &mut Draft,
    archive: usize,
    shard: &Path,
    sample: Sample,
    index: Option<&mut Index>,
) {
    let shard = shard.file_name().unwrap_or_default().to_string_lossy();
    let Some(picture) = &sample.picture else {
        let reason = sample.fault.or_else(|| {
            let more = sample.json.is_some() || sample.label.is_some();
            let endings = PICTURES.join(", ");
            more.then(|| format!("the sample has no picture ({endings})"))
        });
        if let Some(reason) = reason {
            draft.push_fault(format!("{shard}/{}", sample.key), reason);
        }
        return;
    };
    let name = format!("{shard}/{}", picture.name);
    let (offset, size) = (picture.offset, picture.size);
    let found = index.zip(sample.names());
    let found = found.map(|(index, names)| index.take(&names));
    let (mut label, mut metadata) = (sample.text, sample.metadata);
    let mut fault = sample.fault;
    if let Some(found) = found {
        match found {
            Found::Row(row) => {
                if !row.label.is_empty() {
                    label = row.label;
                }
                metadata = row.metadata;
            }
            Found::OtherSplit => return,
            Found::Taken => fault = Some("an earlier sample has its row of the table".into()),
            Found::Ambiguous => fault = Some(AMBIGUOUS.into()),
            Found::Nothing => fault = Some("the table has no row for it".into()),
        }
    }
    match fault {
        Some(reason) => draft.push_fault(name, reason),
        None => {
            let place = Place::Member {
                archive,
                offset,
                size,
            };
            draft.push(name, &label, metadata, place);
        }
    }
}

/// Lists a shard and reads labels, and metadata where they are wanted.
fn read(path: &Path, keep: bool, metadata: bool) -> Result<(TarFile, Vec<Sample>)> {
    let file = tar::open(path.to_owned(), keep)?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let damage = tar::members(&file, &mut |member| {
        if let Some((key, ending)) = split_name(&member.name) {
            let place = *places.entry(key.to_owned()).or_insert(samples.len());
            if place == samples.len() {
                samples.push(Sample {
                    key: key.to_owned(),
                    ..Sample::default()
                });
            }
            if let Some(sample) = samples.get_mut(place) {
                sample.take(&ending, member);
            }
        }
    })?;
    for sample in &mut samples {
        let complete = sample.complete(&file, metadata);
        if let Err(reason) = complete {
            sample.fault.get_or_insert(reason);
        }
    }
    if let Some(damage) = damage {
        samples.push(Sample {
            key: "(the rest)".into(),
            fault: Some(format!("the shard is {damage}")),
            ..Sample::default()
        });
    }
    Ok((file, samples))
}

/// The key and what follows the first dot of the last part, in lower case; none for hidden files and
/// names without a dot.
fn split_name(name: &str) -> Option<(&str, String)> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + name[start..].find('.').filter(|dot| *dot > 0)?;
    Some((&name[..dot], name[dot + 1..].to_ascii_lowercase()))
}

impl Sample {
    /// What a table may call it: the picture's name, and the key.
    fn names(&self) -> Option<[&str; 2]> {
        let picture = self.picture.as_ref()?;
        Some([&picture.name, &self.key])
    }

    fn take(&mut self, ending: &str, member: Member) {
        let picture = PICTURES.contains(&ending);
        let slot = match ending {
            _ if picture => &mut self.picture,
            "json" => &mut self.json,
            "cls" | "txt" => &mut self.label,
            _ => return,
        };
        if !member.plain {
            self.fault = Some(format!("`{}` is a link or special file", member.name));
        } else if let Some(first) = slot {
            // `.cls` is a label for certain, `.txt` may be one.
            match ending {
                "cls" => *slot = Some(member),
                "txt" => {}
                _ => self.fault = Some(format!("`{}` stands beside `{}`", member.name, first.name)),
            }
        } else {
            *slot = Some(member);
        }
    }

    /// Reads what stands beside the picture.
    fn complete(&mut self, file: &TarFile, metadata: bool) -> Result<(), String> {
        if let Some(label) = &self.label {
            let bytes = tar::read(file, label.offset, label.size, LONGEST_LABEL)
                .map_err(|reason| format!("its label: {reason}"))?;
            let text = String::from_utf8(bytes).map_err(|_| "its label is not UTF-8")?;
            self.text = text.trim().to_owned();
        }
        if let Some(json) = self.json.as_ref().filter(|_| metadata) {
            let bytes = tar::read(file, json.offset, json.size, MAX_DOCUMENT_BYTES)
                .map_err(|reason| format!("its JSON: {reason}"))?;
            self.metadata = json_of_bytes(&bytes, &json.name)
                .and_then(|document| json_record(&document))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::split_name;

    #[test]
    fn names_split_at_the_first_dot_of_the_last_part() {
        let split = |name| split_name(name).map(|(key, ending)| (key.to_owned(), ending));
        let some = |key: &str, ending: &str| Some((key.to_owned(), ending.to_owned()));
        assert_eq!(split("a.jpg"), some("a", "jpg"));
        assert_eq!(split("v1.2/a.JPG"), some("v1.2/a", "jpg"));
        assert_eq!(split("a.seg.png"), some("a", "seg.png"));
        assert_eq!(split("d/._a.jpg"), None);
        assert_eq!(split("readme"), None);
    }
}
