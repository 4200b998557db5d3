//! The file of a plan: Parquet, a row for each file or scene of a block, and what holds for all of them in the footer.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::Head;
use crate::assets::ItemFacts;
use crate::input::{Contents, Item, Record, bytes_path, path_bytes};
use crate::location::Location;
use crate::output::{failed, failed_within};
use crate::skipped::SkipKind;
use satmip::Metadata;
use satmip::parts::aside::{Aside, Existing};
use satmip::parts::sha256;
use satmip::parts::tar::TarFile;
use satmip::{Error, Result};

/// Rows that are held before they are written, and of a row group.
const ROWS: usize = 8192;
/// The version of the layout.
pub(super) const FORMAT: u32 = 3;
/// Most blocks of a plan (our choice).
const MOST_BLOCKS: u64 = 100_000_000;
const HEAD: &str = "satmip.plan";
const ITEMS: &str = "satmip.items";
const CHAIN: &str = "satmip.input_sha256";

/// Where the bytes of an entry are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    Object(Url),
    Member {
        archive: PathBuf,
        offset: u64,
        size: u64,
    },
    Item(Arc<ItemFacts>),
    Fault(SkipKind, String),
}

impl From<Location> for Source {
    fn from(place: Location) -> Self {
        match place {
            Location::File(path) => Source::File(path),
            Location::Remote(url) => Source::Object(url),
        }
    }
}

/// A file, or some windows of a scene, of one block.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(super) block: u64,
    pub(crate) name: String,
    pub(crate) source: Source,
    /// What its files were when they were planned; empty where nobody looked at them.
    pub(crate) state: String,
    /// Of a scene's windows, those before the first one here; and how many are here.
    pub(crate) skip: u64,
    pub(crate) take: u64,
    /// What a table says of it.
    pub(crate) record: Option<Arc<Record>>,
    /// The fingerprint of the input after it, where a block ends.
    pub(super) chain: Option<String>,
}

impl Entry {
    /// That of the first item of it in a block.
    pub(super) fn of(item: &Item, block: u64, record: Option<&Record>) -> Result<Self> {
        let state = match &item.source {
            Contents::Window { scene, .. } => scene.state(),
            Contents::Listed { scene, .. } => scene.state.clone(),
            _ => String::new(),
        };
        Ok(Entry {
            block,
            name: item.name().to_owned(),
            source: Source::of(&item.source)?,
            state,
            skip: 0,
            take: 1,
            record: record.cloned().map(Arc::new),
            chain: None,
        })
    }

    /// Whether another window of the same scene.
    pub(super) fn goes_on(&self, item: &Item) -> bool {
        !item.is_first()
            && matches!(
                item.source,
                Contents::Window { .. } | Contents::Listed { .. }
            )
            && self.name == item.name()
    }

    /// What tells it from other entries, but for which of its windows are meant.
    pub(crate) fn key(&self) -> String {
        let (kind, place, details) = cells(&self.source);
        let details = details.unwrap_or_default();
        [kind, &self.name, &place, &details, &self.state].join("\n")
    }

    /// With the windows of the same scene that an earlier block has.
    pub(super) fn after(mut self, before: Option<&Entry>) -> Self {
        if let Some(before) =
            before.filter(|before| before.block != self.block && before.name == self.name)
        {
            self.skip = before.skip + before.take;
        }
        self
    }

    /// What is read of it.
    ///
    /// # Errors
    /// Where an archive cannot be opened.
    pub(crate) fn contents(&self) -> Result<Contents, (SkipKind, String)> {
        Ok(match &self.source {
            Source::File(path) => Contents::File(path.clone()),
            Source::Object(url) => Contents::Object(url.clone()),
            Source::Item(item) => Contents::Item(Arc::clone(item)),
            Source::Fault(kind, reason) => Contents::Fault(*kind, reason.clone()),
            Source::Member {
                archive,
                offset,
                size,
            } => {
                let opened = TarFile::open(archive.clone(), true);
                let opened = opened.map_err(|error| (SkipKind::Unreadable, error.to_string()))?;
                Contents::Member {
                    archive: Arc::new(opened),
                    offset: *offset,
                    size: *size,
                }
            }
        })
    }
}

/// Kind, place and details of a source as texts.
fn cells(source: &Source) -> (&'static str, String, Option<String>) {
    match source {
        Source::File(path) => ("file", file(path), None),
        Source::Object(url) => ("object", url.to_string(), None),
        Source::Member {
            archive,
            offset,
            size,
        } => (
            "member",
            file(archive),
            Some(json!([offset, size]).to_string()),
        ),
        Source::Item(item) => {
            let located = |place: &Location| match place {
                Location::File(path) => file(path),
                Location::Remote(url) => url.to_string(),
            };
            match &item.file {
                None => ("item", located(&item.place), Some(item.item.to_string())),
                Some(place) => {
                    let row = Row {
                        id: item.id.clone(),
                        metadata: item.metadata.clone(),
                    };
                    ("row", located(place), Some(json!(row).to_string()))
                }
            }
        }
        Source::Fault(kind, reason) => ("fault", json!(kind).to_string(), Some(reason.clone())),
    }
}

/// A scene that a table lists.
#[derive(Serialize, Deserialize)]
struct Row {
    id: String,
    metadata: Record,
}

/// A path as text from which it comes back: an absolute one, escaped where it is no UTF-8.
fn file(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match String::from_utf8(path_bytes(&path)) {
        Ok(text) => text,
        Err(error) => {
            let bytes = error.as_bytes();
            format!("\0{}", sha256::hex(bytes))
        }
    }
}

fn path_of(text: &str) -> Option<PathBuf> {
    let Some(digits) = text.strip_prefix('\0') else {
        return Some(PathBuf::from(text));
    };
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    Some(bytes_path(&bytes?))
}

/// A source of its cells again.
fn source(kind: &str, place: &str, more: Option<&str>) -> Option<Source> {
    let located = |text: &str| match text.contains("://") {
        true => Some(Location::Remote(Url::parse(text).ok()?)),
        false => Some(Location::File(path_of(text)?)),
    };
    Some(match kind {
        "file" => Source::File(path_of(place)?),
        "object" => Source::Object(Url::parse(place).ok()?),
        "member" => {
            let [offset, size]: [u64; 2] = serde_json::from_str(more?).ok()?;
            Source::Member {
                archive: path_of(place)?,
                offset,
                size,
            }
        }
        "item" => {
            let item: Value = serde_json::from_str(more?).ok()?;
            let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
            Source::Item(Arc::new(ItemFacts {
                id: text("id")?,
                collection: text("collection"),
                metadata: Metadata::from_stac(&item).map_err(|error| error.to_string()),
                place: located(place)?,
                file: None,
                item,
            }))
        }
        "row" => {
            let row: Row = serde_json::from_str(more?).ok()?;
            let place = located(place)?;
            Source::Item(Arc::new(ItemFacts {
                id: row.id,
                collection: None,
                metadata: row.metadata,
                item: Value::Null,
                file: Some(place.clone()),
                place,
            }))
        }
        "fault" => Source::Fault(serde_json::from_str(place).ok()?, more?.to_owned()),
        _ => return None,
    })
}

fn schema() -> SchemaRef {
    let text = |name: &str, nullable: bool| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str| Field::new(name, DataType::UInt64, false);
    SchemaRef::new(Schema::new(vec![
        number("block"),
        text("name", false),
        text("kind", false),
        text("place", false),
        text("details", true),
        text("state", false),
        number("skip"),
        number("take"),
        text("record", true),
        text("input_sha256", true),
    ]))
}

/// Writes a plan.
pub(super) struct Writer {
    aside: Aside,
    existing: Existing,
    writer: ArrowWriter<File>,
    rows: Vec<Entry>,
}

impl Writer {
    pub(super) fn create(path: &Path, head: &Head, overwrite: bool) -> Result<Self> {
        let existing = Existing::of(overwrite);
        existing.check(path)?;
        let zstd = ZstdLevel::try_new(3).map_err(|error| failed_within(path, error.into()))?;
        let text =
            serde_json::to_string(head).map_err(|error| failed_within(path, error.into()))?;
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(ROWS))
            .set_compression(Compression::ZSTD(zstd))
            .set_key_value_metadata(Some(vec![KeyValue::new(HEAD.to_owned(), text)]))
            .build();
        let (aside, file) = Aside::file(path).map_err(|error| failed(path, error))?;
        let writer = ArrowWriter::try_new(file, schema(), Some(properties));
        let writer = writer.map_err(|error| failed_within(path, error.into()))?;
        Ok(Writer {
            aside,
            existing,
            writer,
            rows: Vec::with_capacity(ROWS),
        })
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<()> {
        self.rows.push(entry);
        match self.rows.len() < ROWS {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let numbers = |of: fn(&Entry) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(of)))
        };
        let cells: Vec<_> = rows.iter().map(|row| cells(&row.source)).collect();
        let texts = |all: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(all)) };
        let records: Vec<Option<String>> = rows
            .iter()
            .map(|row| {
                row.record
                    .as_deref()
                    .map(|record| json!(record).to_string())
            })
            .collect();
        let columns = vec![
            numbers(|row| row.block),
            texts(rows.iter().map(|row| Some(row.name.as_str())).collect()),
            texts(cells.iter().map(|cells| Some(cells.0)).collect()),
            texts(cells.iter().map(|cells| Some(cells.1.as_str())).collect()),
            texts(cells.iter().map(|cells| cells.2.as_deref()).collect()),
            texts(rows.iter().map(|row| Some(row.state.as_str())).collect()),
            numbers(|row| row.skip),
            numbers(|row| row.take),
            texts(records.iter().map(Option::as_deref).collect()),
            texts(rows.iter().map(|row| row.chain.as_deref()).collect()),
        ];
        let path = self.aside.target();
        let batch = RecordBatch::try_new(schema(), columns)
            .map_err(|error| failed_within(path, error.into()))?;
        self.writer
            .write(&batch)
            .map_err(|error| failed_within(path, error.into()))
    }

    pub(super) fn finish(mut self, items: u64, chain: &str) -> Result<()> {
        self.flush()?;
        let path = self.aside.target().to_owned();
        for (key, value) in [(ITEMS, items.to_string()), (CHAIN, chain.to_owned())] {
            self.writer
                .append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer
            .finish()
            .map_err(|error| failed_within(&path, error.into()))?;
        self.writer
            .inner()
            .sync_all()
            .and_then(|()| self.aside.place(self.existing))
            .map_err(|error| failed(&path, error))
    }
}

/// A plan that was opened.
#[derive(Debug)]
pub(crate) struct Plan {
    path: PathBuf,
    pub(super) head: Head,
    pub(super) items: u64,
    /// The fingerprint of all items.
    pub(super) chain: String,
    /// Of the file.
    pub(super) sha256: String,
    /// The blocks that each row group has entries of.
    groups: Vec<Range<u64>>,
}

impl Plan {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (_, sha256) = sha256::of_file(path).map_err(|error| Error::io(path, error))?;
        let reader = reader(path)?;
        let footer = reader.metadata().file_metadata();
        let pairs = footer.key_value_metadata();
        let value = |key: &str| {
            let pair = pairs.into_iter().flatten().find(|pair| pair.key == key);
            pair.and_then(|pair| pair.value.clone())
        };
        let head: Option<Head> = value(HEAD).and_then(|text| serde_json::from_str(&text).ok());
        let items: Option<u64> = value(ITEMS).and_then(|text| text.parse().ok());
        let (Some(head), Some(items), Some(chain)) = (head, items, value(CHAIN)) else {
            return Err(damaged(path, "it is no plan of this version of satmip"));
        };
        if head.format != FORMAT {
            return Err(damaged(path, "it is no plan of this version of satmip"));
        }
        // Blocks beyond what anybody plans would be gone through one by one.
        let blocks = items.checked_div(head.options.block_items);
        if blocks.is_none_or(|blocks| blocks > MOST_BLOCKS) {
            return Err(damaged(path, "it says absurd numbers of items and blocks"));
        }
        let groups =
            reader
                .metadata()
                .row_groups()
                .iter()
                .map(|group| match group.column(0).statistics() {
                    Some(Statistics::Int64(found)) => {
                        let (least, most) = (found.min_opt()?, found.max_opt()?);
                        Some(*least as u64..(*most as u64).saturating_add(1))
                    }
                    _ => None,
                });
        let groups: Option<Vec<_>> = groups.collect();
        let groups = groups.ok_or_else(|| damaged(path, "its blocks cannot be found"))?;
        Ok(Plan {
            path: path.to_owned(),
            head,
            items,
            chain,
            sha256,
            groups,
        })
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> u64 {
        self.items.div_ceil(self.head.options.block_items)
    }

    /// The items of a block.
    pub(super) fn items_of(&self, block: u64) -> u64 {
        let start = block * self.head.options.block_items;
        self.items
            .saturating_sub(start)
            .min(self.head.options.block_items)
    }

    /// The entries of a block in their order.
    pub(super) fn entries(&self, block: u64) -> Result<Vec<Entry>> {
        let groups = self.groups.iter().enumerate();
        let groups: Vec<usize> = groups
            .filter(|(_, blocks)| blocks.contains(&block))
            .map(|(at, _)| at)
            .collect();
        let failed = |error: &dyn std::fmt::Display| damaged(&self.path, &error.to_string());
        let rows = reader(&self.path)?.with_row_groups(groups).build();
        let rows = rows.map_err(|error| failed(&error))?;
        let mut entries = Vec::new();
        for batch in rows {
            let batch = batch.map_err(|error| failed(&error))?;
            let found = of_batch(&batch, block);
            entries.extend(found.ok_or_else(|| damaged(&self.path, "a row of it cannot be read"))?);
        }
        let items = entries.iter().try_fold(0_u64, |sum, entry| {
            entry.skip.checked_add(entry.take)?;
            sum.checked_add(entry.take)
        });
        match items == Some(self.items_of(block)) {
            true => Ok(entries),
            false => Err(damaged(
                &self.path,
                &format!(
                    "block {block} has {items:?} items, and {} are said",
                    self.items_of(block)
                ),
            )),
        }
    }
}

fn of_batch(batch: &RecordBatch, block: u64) -> Option<Vec<Entry>> {
    let number = |at: usize| batch.column(at).as_primitive_opt::<UInt64Type>();
    let text = |at: usize| batch.column(at).as_string_opt::<i32>();
    let (blocks, skip, take) = (number(0)?, number(6)?, number(7)?);
    let [names, kinds, places, details, states] =
        [text(1)?, text(2)?, text(3)?, text(4)?, text(5)?];
    let [records, chains] = [text(8)?, text(9)?];
    let or_none = |column: &StringArray, row: usize| {
        use arrow_array::Array;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    (0..batch.num_rows())
        .filter(|row| blocks.value(*row) == block)
        .map(|row| {
            Some(Entry {
                block,
                name: names.value(row).to_owned(),
                source: source(
                    kinds.value(row),
                    places.value(row),
                    or_none(details, row).as_deref(),
                )?,
                state: states.value(row).to_owned(),
                skip: skip.value(row),
                take: take.value(row),
                record: match or_none(records, row) {
                    Some(text) => Some(Arc::new(serde_json::from_str(&text).ok()?)),
                    None => None,
                },
                chain: or_none(chains, row),
            })
        })
        .collect()
}

fn reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| damaged(path, &error.to_string()))
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Input {
        input: path.display().to_string(),
        reason: reason.to_owned(),
        source: None,
    }
}
