//! What a job is and what of it is done: `job.json` and `ledger.jsonl`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::output::{Format, VectorType, failed};
use super::tiling::Tiling;
use satmip::arch::Preprocessing;
use satmip::image::Reading;
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};

/// Name of the file that says what the job is.
pub(crate) const JOB: &str = "job.json";
/// Name of the file with a line for each complete part.
pub(crate) const LEDGER: &str = "ledger.jsonl";
/// Name of the file with a line for each item that was left out.
pub(crate) const ERRORS: &str = "errors.jsonl";

/// Everything that the output's bytes depend on. Workers are not among it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    /// Version of this layout.
    pub(crate) format: u32,
    /// Version of this crate.
    pub(crate) satmip: String,
    pub(crate) model: ModelRecord,
    /// The engine that runs the graphs.
    pub(crate) engine: String,
    pub(crate) preprocessing: Preprocessing,
    pub(crate) input: InputRecord,
    pub(crate) reading: ReadingRecord,
    pub(crate) metadata: Option<MetadataRecord>,
    pub(crate) output: OutputRecord,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelRecord {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) precision: String,
    /// Of the manifest, which names the sha256 of every file.
    pub(crate) bundle_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InputRecord {
    /// The inputs as they were given: for people, and not compared.
    pub(crate) given: Vec<String>,
    /// None for a stream, whose end is not known beforehand.
    pub(crate) items: Option<u64>,
    /// Of the items' names in order.
    pub(crate) sha256: Option<String>,
    /// How files are cut into windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) windows: Option<WindowsRecord>,
    /// The plan whose blocks the parts are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<PlanRecord>,
}

/// A plan, cut into blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanRecord {
    /// Of its file.
    pub(crate) sha256: String,
    pub(crate) blocks: u64,
}

/// How windows are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowsRecord {
    #[serde(flatten)]
    pub(crate) tiling: Tiling,
    /// Assets of items that were asked for; none are chosen by what items have.
    pub(crate) assets: Vec<String>,
    pub(crate) offset: String,
    /// Which copies of pictures are read; none are the pictures themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resolution: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cloud_asset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_cloud: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bbox: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intersects: Option<AreaRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datetime: Option<String>,
}

/// Polygons that windows must touch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AreaRecord {
    pub(crate) file: String,
    pub(crate) sha256: String,
}

/// How pictures are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReadingRecord {
    /// As asked for; `auto` is what each file says.
    pub(crate) bands: String,
    /// As asked for; `auto` is what each file states.
    pub(crate) scale: String,
    pub(crate) min_valid: f32,
    /// A sample that marks missing pixels, besides the files' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nodata: Option<f64>,
    /// What stands in their place.
    pub(crate) missing_pixels: String,
    /// What was decided for the first picture that could be read; none for a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<FirstRead>,
}

/// What was decided for a picture, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FirstRead {
    pub(crate) id: String,
    pub(crate) bands: [usize; 3],
    pub(crate) bands_why: String,
    pub(crate) samples: String,
    /// Samples that became 0 and 255, for red, green and blue; none for bytes as they are.
    pub(crate) range: Option<[(f64, f64); 3]>,
    pub(crate) range_why: String,
}

impl FirstRead {
    pub(crate) fn of(id: String, reading: &Reading) -> Self {
        FirstRead {
            id,
            bands: reading.rgb,
            bands_why: reading.rgb_why.clone(),
            samples: reading.samples.clone(),
            range: reading.range,
            range_why: reading.range_why.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetadataRecord {
    /// The table as it was given: for people, and not compared.
    pub(crate) file: String,
    pub(crate) sha256: String,
    /// Columns that were mapped by hand.
    pub(crate) map: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutputRecord {
    pub(crate) format: Format,
    #[serde(default)]
    pub(crate) vectors: VectorType,
    pub(crate) columns: Vec<String>,
    pub(crate) batch_size: usize,
    pub(crate) rows_per_part: usize,
    pub(crate) max_pixels: u64,
}

impl JobRecord {
    /// The settings in which an earlier job differs, each as "`setting` was .., is now ..".
    pub(crate) fn differences(&self, earlier: &Value) -> Result<Vec<String>> {
        // Through text, as the earlier one went: numbers are then rounded alike.
        let now = serde_json::to_vec(self).and_then(|text| serde_json::from_slice(&text));
        let now = now.map_err(|e| unwritable(Path::new(JOB), e))?;
        let (mut old_flat, mut new_flat) = (BTreeMap::new(), BTreeMap::new());
        flatten("", earlier, &mut old_flat);
        flatten("", &now, &mut new_flat);
        let names: std::collections::BTreeSet<_> =
            old_flat.keys().chain(new_flat.keys()).cloned().collect();
        let text = |value: Option<&String>| value.map_or("absent", String::as_str).to_owned();
        Ok(names
            .into_iter()
            .filter(|name| !name.starts_with("input.given") && *name != "metadata.file")
            .filter(|name| old_flat.get(name) != new_flat.get(name))
            .map(|name| {
                let (old, new) = (text(old_flat.get(&name)), text(new_flat.get(&name)));
                format!("`{name}` was {old}, is now {new}")
            })
            .collect())
    }
}

fn flatten(name: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    let below = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| flatten(&below(k), v, flat)),
        other => {
            flat.insert(name.to_owned(), other.to_string());
        }
    }
}

/// A complete part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartLine {
    pub(crate) part: u64,
    /// First item and the one after the last.
    pub(crate) items: [u64; 2],
    /// First row and the one after the last, counted over all parts.
    pub(crate) rows: [u64; 2],
    /// Lines in `errors.jsonl` that are of this part.
    pub(crate) skipped: u64,
    /// Bytes of `errors.jsonl` up to the end of this part.
    pub(crate) errors_bytes: u64,
    /// Fingerprint of the input up to the end of this part.
    pub(crate) input_sha256: String,
    pub(crate) files: Vec<PartFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartFile {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// The ledger's last line: the job is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoneLine {
    pub(crate) done: bool,
    pub(crate) items: u64,
    pub(crate) rows: u64,
    pub(crate) skipped: u64,
    pub(crate) input_sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Part(PartLine),
    Done(DoneLine),
}

/// The ledger of a job's folder, locked against other processes while it is open.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    pub(crate) parts: Vec<PartLine>,
    pub(crate) done: Option<DoneLine>,
}

impl Ledger {
    /// Opens or creates a folder's ledger.
    #[cfg(test)]
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Self::read(folder, Self::lock(folder)?)
    }

    /// Reads a folder's ledger, which is locked. A last line that a kill cut short is taken off.
    pub(crate) fn read(folder: &Path, mut file: File) -> Result<Self> {
        let path = folder.join(LEDGER);
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut text))
            .map_err(|e| failed(&path, e))?;
        let complete = text.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        if complete < text.len() {
            file.set_len(complete as u64)
                .and_then(|()| file.seek(SeekFrom::End(0)))
                .map_err(|e| failed(&path, e))?;
        }
        let mut ledger = Ledger {
            path,
            file,
            parts: Vec::new(),
            done: None,
        };
        for line in text[..complete].split(|b| *b == b'\n') {
            if !line.is_empty() {
                ledger.read_line(line)?;
            }
        }
        Ok(ledger)
    }

    /// Opens or creates the file itself, as long as no other process has it.
    pub(crate) fn lock(folder: &Path) -> Result<File> {
        let path = folder.join(LEDGER);
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        // File systems without locks are used without.
        if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Output {
                path: folder.to_owned(),
                reason: "another process is writing it".into(),
                source: None,
            });
        }
        Ok(file)
    }

    /// Whether the job of a folder says that it is done; nothing is locked, and nothing else looked at.
    pub(crate) fn says_done(folder: &Path) -> bool {
        Ledger::done_line(folder).is_some()
    }

    /// What a folder says of its job that is done; none where it does not. Nothing is locked.
    pub(crate) fn done_line(folder: &Path) -> Option<DoneLine> {
        Ledger::done_in(&std::fs::read(folder.join(LEDGER)).unwrap_or_default())
    }

    /// What a ledger's text says of a job that is done.
    pub(crate) fn done_in(text: &[u8]) -> Option<DoneLine> {
        let mut lines = text.split(|b| *b == b'\n').rev();
        lines.find_map(|line| match serde_json::from_slice(line) {
            Ok(Line::Done(done)) => Some(done),
            _ => None,
        })
    }

    /// The parts that a ledger's text says.
    pub(crate) fn parts_in(text: &[u8]) -> Vec<PartLine> {
        let lines = text.split(|b| *b == b'\n');
        let parts = lines.filter_map(|line| match serde_json::from_slice(line) {
            Ok(Line::Part(part)) => Some(part),
            _ => None,
        });
        parts.collect()
    }

    fn read_line(&mut self, line: &[u8]) -> Result<()> {
        let number = self.parts.len() + usize::from(self.done.is_some()) + 1;
        let damaged = |reason: String| Error::Output {
            path: self.path.clone(),
            reason: format!("line {number} {reason}; `--overwrite` begins anew"),
            source: None,
        };
        let line = serde_json::from_slice(line)
            .map_err(|e| damaged(format!("is no line of a ledger ({e})")))?;
        let (items, rows) = match self.parts.last() {
            Some(part) => (part.items[1], part.rows[1]),
            None => (0, 0),
        };
        match line {
            Line::Part(part)
                if self.done.is_none()
                    && part.part == self.parts.len() as u64
                    && part.items[0] == items
                    && part.items[1] > items
                    && part.rows[0] == rows
                    && part.rows[1] >= rows =>
            {
                self.parts.push(part);
            }
            Line::Done(done) if self.done.is_none() && (done.items, done.rows) == (items, rows) => {
                self.done = Some(done);
            }
            _ => return Err(damaged("does not follow from the one before".into())),
        }
        Ok(())
    }

    /// Appends a complete part and brings it to the disk.
    pub(crate) fn add(&mut self, part: PartLine) -> Result<()> {
        self.append(&Line::Part(part.clone()))?;
        self.parts.push(part);
        Ok(())
    }

    /// Appends the last line.
    pub(crate) fn finish(&mut self, done: DoneLine) -> Result<()> {
        self.append(&Line::Done(done.clone()))?;
        self.done = Some(done);
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<()> {
        let mut text = json(&self.path, line)?;
        text.push(b'\n');
        self.file
            .write_all(&text)
            .and_then(|()| self.file.sync_all())
            .map_err(|e| failed(&self.path, e))
    }
}

/// Writes `job.json`: aside, to the disk, then under its name.
pub(crate) fn write_job(folder: &Path, record: &JobRecord) -> Result<()> {
    let path = folder.join(JOB);
    aside::write(&path, &pretty(&path, record)?, Existing::Keep)
}

/// What a job is, as people read it.
pub(crate) fn pretty(path: &Path, record: &JobRecord) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(record).map_err(|e| unwritable(path, e))?;
    text.push(b'\n');
    Ok(text)
}

/// A value as one line of JSON.
pub(crate) fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| unwritable(path, e))
}

fn unwritable(path: &Path, error: serde_json::Error) -> Error {
    Error::Output {
        path: path.to_owned(),
        reason: "cannot be put into JSON".into(),
        source: Some(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(n: u64) -> PartLine {
        PartLine {
            part: n,
            items: [n * 10, n * 10 + 10],
            rows: [n * 9, n * 9 + 9],
            skipped: 1,
            errors_bytes: 100 * (n + 1),
            input_sha256: "aa".into(),
            files: Vec::new(),
        }
    }

    #[test]
    fn a_line_cut_short_is_taken_off_and_the_rest_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.add(part(0)).unwrap();
        ledger.add(part(1)).unwrap();
        drop(ledger);
        let path = dir.path().join(LEDGER);
        let whole = std::fs::read(&path).unwrap();
        for cut in [1, 20, whole.len() / 2 - 1] {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let mut ledger = Ledger::open(dir.path()).unwrap();
            assert_eq!(ledger.parts, [part(0)], "cut {cut}");
            ledger.add(part(1)).unwrap();
            drop(ledger);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn lines_that_do_not_follow_are_refused() {
        let line = |part: &PartLine| serde_json::to_string(part).unwrap() + "\n";
        let texts = [
            line(&part(1)),
            line(&part(0)) + &line(&part(0)),
            line(&part(0)) + &line(&part(2)),
            "rubbish\n".to_owned() + &line(&part(0)),
            "{}\n".to_owned(),
        ];
        for text in texts {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(LEDGER), &text).unwrap();
            let error = Ledger::open(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Output { .. }), "{text}");
            assert!(error.to_string().contains("line "), "{error}");
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ledger::open(dir.path()).unwrap();
        let error = Ledger::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        drop(first);
        Ledger::open(dir.path()).unwrap();
    }
}
