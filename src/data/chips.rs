//! Chips from a tar archive with a CSV index.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::{DecodeLimits, RgbImage, decode};
use crate::metadata::{Field, Metadata};

/// Where chips come from: an archive and its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChipSource {
    /// Tar archive of images, relative to the data folder.
    pub archive: PathBuf,
    /// CSV with the columns `file`, `label`, `split` and any of `lon`, `lat`, `timestamp`, `gsd`,
    /// `sensor_platform`; relative to the data folder.
    pub index: PathBuf,
    /// Most chips of this source that an epoch draws; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chips_per_epoch: Option<usize>,
}

/// A decoded chip with its metadata and label.
#[derive(Debug, Clone)]
pub struct Chip {
    /// Path inside the archive.
    pub file: String,
    /// The pixels.
    pub image: RgbImage,
    /// What the index states and what follows from it.
    pub metadata: Metadata,
    /// The index's label.
    pub label: String,
}

/// A row of the index.
struct Row {
    metadata: Metadata,
    label: String,
}

/// Reads the chips of one split (`train`, `val`, `test`), in the archive's order.
///
/// # Errors
/// Where a file cannot be read, the index lacks a column or has a bad value, the archive lacks a
/// chip of the index, or an image is damaged.
pub fn read_chips(source: &ChipSource, folder: &Path, split: &str) -> Result<Vec<Chip>> {
    let mut rows = read_index(&folder.join(&source.index), split)?;
    let path = folder.join(&source.archive);
    let file = File::open(&path).map_err(|e| Error::io(&path, e))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let mut chips = Vec::with_capacity(rows.len());
    for entry in archive.entries().map_err(|e| Error::io(&path, e))? {
        let mut entry = entry.map_err(|e| Error::io(&path, e))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(row) = rows.remove(&name) else {
            continue;
        };
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(&path, e))?;
        chips.push(Chip {
            image: decode(&bytes, &name, &DecodeLimits::default())?,
            file: name,
            metadata: row.metadata.derive_missing(),
            label: row.label,
        });
    }
    if let Some(name) = rows.keys().min() {
        return Err(Error::Training {
            reason: format!(
                "`{}` lacks {} chips of its index, `{name}` first",
                path.display(),
                rows.len()
            ),
            source: None,
        });
    }
    Ok(chips)
}

/// Rows of one split by file name.
fn read_index(path: &Path, split: &str) -> Result<HashMap<String, Row>> {
    let fail = |line: Option<u64>, reason: String| Error::MetadataSource {
        origin: path.display().to_string(),
        line,
        reason,
        source: None,
    };
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut reader = csv::Reader::from_reader(BufReader::new(file));
    let headers = reader
        .headers()
        .map_err(|e| fail(Some(1), e.to_string()))?
        .clone();
    let find = |name: &str| headers.iter().position(|h| h == name);
    let need = |name: &str| find(name).ok_or_else(|| fail(Some(1), format!("no column `{name}`")));
    let (file, label, part) = (need("file")?, need("label")?, need("split")?);
    let (lon, lat) = (find("lon"), find("lat"));
    let plain = [Field::Timestamp, Field::Gsd, Field::SensorPlatform];
    let plain = plain.map(|field| (field, find(field.name())));

    let mut rows = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|e| fail(None, e.to_string()))?;
        let line = record.position().map(csv::Position::line);
        let cell = |i: usize| record.get(i).unwrap_or_default().trim();
        if cell(part) != split {
            continue;
        }
        let mut metadata = Metadata::new();
        let mut set = |field: Field, text: &str| -> Result<()> {
            metadata
                .set_text(field, text)
                .map_err(|e| fail(line, e.to_string()))
        };
        for (field, column) in plain {
            if let Some(text) = column.map(cell).filter(|t| !t.is_empty()) {
                set(field, text)?;
            }
        }
        if let (Some(lon), Some(lat)) = (lon.map(cell), lat.map(cell))
            && !lon.is_empty()
            && !lat.is_empty()
        {
            set(Field::Location, &format!("{lon},{lat}"))?;
        }
        let row = Row {
            metadata,
            label: cell(label).to_owned(),
        };
        if rows.insert(cell(file).to_owned(), row).is_some() {
            return Err(fail(line, format!("file `{}` occurs twice", cell(file))));
        }
    }
    if rows.is_empty() {
        return Err(fail(None, format!("no row has the split `{split}`")));
    }
    Ok(rows)
}

/// temporary
#[derive(Debug)]
pub struct ChipSet {
    chips: Vec<Chip>,
    images: Vec<std::sync::Arc<RgbImage>>,
}
impl ChipSet {
    /// t
    pub fn open(source: &ChipSource, folder: &Path, split: &str) -> Result<Self> {
        let chips = read_chips(source, folder, split)?;
        let images = chips
            .iter()
            .map(|c| std::sync::Arc::new(c.image.clone()))
            .collect();
        Ok(Self { chips, images })
    }
    /// t
    pub fn len(&self) -> usize {
        self.chips.len()
    }
    /// t
    pub fn is_empty(&self) -> bool {
        self.chips.is_empty()
    }
    /// t
    pub fn name(&self, i: usize) -> &str {
        &self.chips[i].file
    }
    /// t
    pub fn label(&self, i: usize) -> &str {
        &self.chips[i].label
    }
    /// t
    pub fn metadata(&self, i: usize) -> &Metadata {
        &self.chips[i].metadata
    }
    /// t
    pub fn image(&self, i: usize) -> Result<std::sync::Arc<RgbImage>> {
        Ok(self.images[i].clone())
    }
    /// t
    pub fn records(&self) -> impl Iterator<Item = &Metadata> + Clone {
        self.chips.iter().map(|c| &c.metadata)
    }
    pub(super) fn chip(&self, i: usize) -> &Chip {
        &self.chips[i]
    }
}
impl ChipSource {
    /// t
    pub fn name(&self) -> String {
        self.archive.display().to_string()
    }
    /// t
    pub fn chips_per_epoch(&self) -> Option<usize> {
        self.chips_per_epoch
    }
}
/// t
#[derive(Debug, Clone, serde::Serialize)]
pub struct BadItem {
    /// t
    pub name: String,
    /// t
    pub reason: String,
}
