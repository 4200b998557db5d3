//! One split of a source, opened: names, labels and metadata in memory, pixels on demand.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::Index;
use super::tar;
use super::{ChipFiles, ChipSource};
use super::{archive, classes, fmow, folder, shards};
use satmip::arch::ResizeFilter;
use satmip::image::{self, Picture, ReadOptions, Region, RgbImage};
use satmip::metadata::Metadata;
use satmip::parts::guard::guarded;
use satmip::parts::tar::TarFile;
use satmip::parts::threads::{each, threads_for};
use satmip::{Error, ImageFault, Result};

/// One split of one source.
///
/// What is known of a chip stays in memory, about half a kilobyte each; its pixels are read and decoded
/// each time that they are asked for. A chip whose file or metadata turned out to be broken is among
/// the chips, without metadata, and its [`image`](ChipSet::image) is an error.
///
/// Methods that take the number of a chip panic, as a slice does, when there is no such chip.
pub struct ChipSet {
    source: String,
    items: Vec<Item>,
    labels: Vec<String>,
    archives: Vec<TarFile>,
    others: BTreeMap<String, usize>,
    reading: ReadOptions,
}

/// A chip.
struct Item {
    name: String,
    label: usize,
    metadata: Metadata,
    place: Place,
}

/// Where a chip's pixels are.
pub(super) enum Place {
    /// A file.
    File(PathBuf),
    /// A part of a file's picture, which must have this width and height.
    Part(PathBuf, (u32, u32), Region),
    /// A member of one of the set's archives.
    Member {
        archive: usize,
        offset: u64,
        size: u64,
    },
    /// Nowhere, and why.
    Fault(String),
}

impl ChipSet {
    /// Opens one split (`train`, `val`, `test`) of a source whose paths are relative to `folder`.
    /// Metadata are completed by [`Metadata::derive_missing`].
    ///
    /// # Errors
    /// Where an archive, folder or table cannot be read, a table lacks a column, has a bad value or
    /// names chips that an archive lacks, or the split has no chip.
    pub fn open(source: &ChipSource, folder: &Path, split: &str) -> Result<Self> {
        ChipSet::open_splits(source, folder, &[split])
    }

    /// As [`ChipSet::open`], of several splits in one set, in their order.
    ///
    /// # Errors
    /// As [`ChipSet::open`]; each split must have a chip.
    pub fn open_splits(source: &ChipSource, folder: &Path, splits: &[&str]) -> Result<Self> {
        source.check().map_err(|reason| Error::Data {
            reason: format!("`{}`: {reason}", source.name()),
            source: None,
        })?;
        let mut draft = Draft::default();
        for split in splits {
            let before = draft.items.len();
            draft.read(source, folder, split)?;
            if draft.items.len() == before {
                return Err(Error::EmptySplit {
                    origin: source.name(),
                    split: (*split).to_owned(),
                    others: draft.others.into_keys().collect(),
                });
            }
        }
        draft.finish(source)
    }

    /// Number of chips, at least 1.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no chip; a set that was opened has some.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What errors and logs call the source: its archive or folder.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What errors and logs call a chip: its path in the archive or folder.
    pub fn name(&self, chip: usize) -> &str {
        &self.items[chip].name
    }

    /// Why a chip can never be read, where that is known already: its file or metadata are broken.
    pub fn fault(&self, chip: usize) -> Option<&str> {
        match &self.items[chip].place {
            Place::Fault(reason) => Some(reason),
            _ => None,
        }
    }

    /// The set with pictures read in another way than its source says.
    ///
    /// # Errors
    /// That of `change`.
    pub fn with_reading(self, change: impl Fn(ReadOptions) -> Result<ReadOptions>) -> Result<Self> {
        Ok(Self {
            reading: change(self.reading)?,
            ..self
        })
    }

    /// How many rows of its table belong to splits other than the last that was opened, by their names (16 at
    /// most); empty without a table.
    pub fn other_splits(&self) -> &BTreeMap<String, usize> {
        &self.others
    }

    /// The label; empty where the source has none.
    pub fn label(&self, chip: usize) -> &str {
        &self.labels[self.items[chip].label]
    }

    /// What is known of the whole picture; for fMoW, of the crop around the box.
    pub fn metadata(&self, chip: usize) -> &Metadata {
        &self.items[chip].metadata
    }

    /// What is known of each chip, in order.
    pub fn records(&self) -> impl Iterator<Item = &Metadata> + Clone {
        self.items.iter().map(|item| &item.metadata)
    }

    /// Reads and decodes the picture; for fMoW, the crop around the box.
    ///
    /// # Errors
    /// [`Error::Image`] names the chip and what is wrong with it.
    pub fn image(&self, chip: usize) -> Result<Arc<RgbImage>> {
        let item = &self.items[chip];
        // Decoders of damaged pictures are the last place to trust.
        let image = guarded(|| self.load(item));
        let image = image
            .unwrap_or_else(|said| Err(fault(item, format!("the decoder panicked: {said}"))))?;
        Ok(Arc::new(image))
    }

    /// The pixels of a picture that has enough valid ones: of all of it, because views are cut anywhere.
    fn enough(&self, item: &Item, picture: Picture) -> Result<RgbImage> {
        let whole = Region::whole(picture.image().width(), picture.image().height());
        match picture.enough_valid(whole, self.reading.min_valid) {
            Ok(_) => Ok(picture.into_image()),
            Err(fault) => Err(Error::Image {
                item: item.name.clone(),
                fault,
            }),
        }
    }

    fn load(&self, item: &Item) -> Result<RgbImage> {
        match &item.place {
            Place::Fault(reason) => Err(fault(item, reason.clone())),
            Place::File(path) => {
                named(item, image::read(path, &self.reading)).and_then(|p| self.enough(item, p))
            }
            Place::Member {
                archive,
                offset,
                size,
            } => {
                let most = self.reading.limits.max_bytes();
                let bytes = tar::read(&self.archives[*archive], *offset, *size, most)
                    .map_err(|reason| fault(item, reason))?;
                self.enough(item, image::decode(&bytes, &item.name, &self.reading)?)
            }
            Place::Part(path, (width, height), region) => {
                let whole = named(item, image::read(path, &self.reading))?;
                let whole = self.enough(item, whole)?;
                if (whole.width(), whole.height()) != (*width, *height) {
                    let (w, h) = (whole.width(), whole.height());
                    let reason =
                        format!("the JSON says {width} x {height} pixels, it has {w} x {h}");
                    return Err(fault(item, reason));
                }
                // The same size: the filter has nothing to do.
                let (width, height) = (region.width, region.height);
                image::resize(&whole, *region, width, height, ResizeFilter::Bilinear)
            }
        }
    }
}

impl fmt::Debug for ChipSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChipSet")
            .field("chips", &self.items.len())
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

fn fault(item: &Item, reason: String) -> Error {
    Error::Image {
        item: item.name.clone(),
        fault: ImageFault::Unreadable(reason),
    }
}

/// The chip's name in place of its file's, so that every error of a chip calls it the same.
fn named<T>(item: &Item, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error {
        Error::Image { fault, .. } => Error::Image {
            item: item.name.clone(),
            fault,
        },
        other => other,
    })
}

/// A set while its source is read.
#[derive(Default)]
pub(super) struct Draft {
    items: Vec<Item>,
    labels: Vec<String>,
    numbers: HashMap<String, usize>,
    pub(super) archives: Vec<TarFile>,
    /// Rows of the table that belong to other splits than the last that was read.
    pub(super) others: BTreeMap<String, usize>,
}

impl Draft {
    fn read(&mut self, source: &ChipSource, folder: &Path, split: &str) -> Result<()> {
        match &source.files {
            ChipFiles::Archive { archive, index } => {
                archive::open(self, &folder.join(archive), &folder.join(index), split)?;
            }
            ChipFiles::Shards {
                shards,
                table,
                split: only,
            } => {
                let table = table.as_ref().map(|table| folder.join(table));
                shards::open(self, folder, shards, table.as_deref(), only, split)?;
            }
            ChipFiles::Folder {
                folder: pictures,
                table,
            } => folder::open(self, &folder.join(pictures), &folder.join(table), split)?,
            ChipFiles::Classes {
                classes: root,
                table,
                split: only,
            } => {
                let table = table.as_ref().map(|table| folder.join(table));
                classes::open(self, folder, root, table.as_deref(), only, split)?;
            }
            ChipFiles::Fmow { fmow, context } => {
                fmow::open(self, &folder.join(fmow), *context, split)?;
            }
        }
        Ok(())
    }

    /// Reads the source's table, and keeps what it says of other splits.
    pub(super) fn index(&mut self, table: &Path, split: &str, all: Option<&str>) -> Result<Index> {
        let mut index = Index::read(table, split, all)?;
        self.others = std::mem::take(&mut index.others);
        Ok(index)
    }

    /// Adds a chip.
    pub(super) fn push(&mut self, name: String, label: &str, metadata: Metadata, place: Place) {
        let label = match self.numbers.get(label) {
            Some(number) => *number,
            None => {
                let number = self.labels.len();
                self.labels.push(label.to_owned());
                self.numbers.insert(label.to_owned(), number);
                number
            }
        };
        self.items.push(Item {
            name,
            label,
            metadata,
            place,
        });
    }

    /// Adds a chip that cannot be used.
    pub(super) fn push_fault(&mut self, name: String, reason: String) {
        self.push(name, "", Metadata::new(), Place::Fault(reason));
    }

    fn finish(mut self, source: &ChipSource) -> Result<ChipSet> {
        let threads = threads_for(self.items.len());
        each("reading the data", &mut self.items, threads, |item| {
            item.metadata = item.metadata.derive_missing();
        })?;
        Ok(ChipSet {
            source: source.name(),
            items: self.items,
            labels: self.labels,
            archives: self.archives,
            others: self.others,
            reading: source.reading,
        })
    }
}
