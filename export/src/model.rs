//! A finished model and how it is written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::check::check;
use crate::error::{Error, Result};
use crate::messages::{IN_SIDE_FILE, ModelProto, StringStringEntryProto, TensorProto};

/// Most bytes of one file: protobuf's limit of 2 GiB, less one.
pub const INLINE_LIMIT: u64 = (1 << 31) - 1;

/// Tensors below this many bytes stay in the model when others go to a side file: shapes and
/// indices must, because readers infer shapes from them.
const SMALLEST_MOVED: usize = 1024;

/// Where tensors begin in a side file, so that readers can map each one: the page size that the
/// format recommends.
const ALIGNMENT: usize = 4096;

/// Who made a model, and what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelInfo {
    /// The tool that writes the model.
    pub producer: String,
    /// The tool's version.
    pub producer_version: String,
    /// Text about the model.
    pub description: String,
    /// Named texts (`metadata_props`); keys are unique.
    pub properties: Vec<(String, String)>,
}

impl ModelInfo {
    /// With the producer's name alone.
    pub fn new(producer: &str) -> Self {
        ModelInfo {
            producer: producer.to_owned(),
            ..Default::default()
        }
    }
}

/// When weights go to a side file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum External {
    /// When the whole model is over this many bytes; [`INLINE_LIMIT`] is the format's own limit.
    Above(u64),
    /// Always.
    Always,
}

impl Default for External {
    fn default() -> Self {
        External::Above(INLINE_LIMIT)
    }
}

/// Files that [`Model::write`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The model.
    pub model: PathBuf,
    /// The side file of weights, where there is one.
    pub weights: Option<PathBuf>,
}

/// A finished model that passed [`check`](crate::check::check).
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    proto: ModelProto,
}

impl Model {
    /// Wraps a model after looking it over.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first rule that it breaks.
    pub fn new(proto: ModelProto) -> Result<Self> {
        check(&proto)?;
        Ok(Model { proto })
    }

    /// The message.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The message, to change it and wrap it again.
    pub fn into_proto(self) -> ModelProto {
        self.proto
    }

    /// Bytes of the whole model in one file.
    pub fn encoded_len(&self) -> u64 {
        self.proto.encoded_len() as u64
    }

    /// The whole model as one file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`INLINE_LIMIT`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = self.encoded_len();
        if bytes > INLINE_LIMIT {
            return Err(Error::TooLarge {
                bytes,
                limit: INLINE_LIMIT,
            });
        }
        Ok(self.proto.encode_to_vec())
    }

    /// The model and its side file, which must lie beside it under the name `side_file`.
    ///
    /// # Errors
    /// [`Error::Name`] when `side_file` is no plain file name, [`Error::TooLarge`] when even the
    /// rest is above [`INLINE_LIMIT`].
    pub fn to_parts(&self, side_file: &str) -> Result<(Vec<u8>, Vec<u8>)> {
        if !is_plain_file_name(side_file) {
            return Err(Error::Name {
                name: side_file.to_owned(),
                reason: "is no plain file name",
            });
        }
        let mut proto = self.proto.clone();
        let mut side = Vec::new();
        if let Some(graph) = &mut proto.graph {
            for tensor in &mut graph.initializer {
                move_out(tensor, side_file, &mut side);
            }
        }
        Ok((Model { proto }.to_bytes()?, side))
    }

    /// Writes the model to `path`, with a side file `path` + `.data` where `external` says so.
    /// Each file is written aside, synced and renamed, the model last: who finds it finds its
    /// weights too.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Model::to_parts`].
    pub fn write(&self, path: &Path, external: External) -> Result<Written> {
        let inline = match external {
            External::Above(limit) => self.encoded_len() <= limit.min(INLINE_LIMIT),
            External::Always => false,
        };
        let model = path.to_owned();
        if inline {
            write_whole(path, &self.to_bytes()?)?;
            return Ok(Written {
                model,
                weights: None,
            });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let side_file = format!("{name}.data");
        let (bytes, side) = self.to_parts(&side_file)?;
        let side_path = path.with_file_name(&side_file);
        write_whole(&side_path, &side)?;
        write_whole(path, &bytes)?;
        Ok(Written {
            model,
            weights: Some(side_path),
        })
    }
}

/// Whether a name stays in its folder on every system.
pub(crate) fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && !name
            .chars()
            .any(|c| c.is_control() || "/\\:*?\"<>|".contains(c))
}

fn move_out(tensor: &mut TensorProto, side_file: &str, side: &mut Vec<u8>) {
    let large = |data: &mut Vec<u8>| data.len() >= SMALLEST_MOVED;
    let Some(data) = tensor.raw_data.take_if(large) else {
        return;
    };
    side.resize(side.len().next_multiple_of(ALIGNMENT), 0);
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    tensor.external_data = vec![
        entry("location", side_file.to_owned()),
        entry("offset", side.len().to_string()),
        entry("length", data.len().to_string()),
    ];
    tensor.data_location = Some(IN_SIDE_FILE);
    side.extend_from_slice(&data);
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|source| {
        // The first error is the one that matters.
        let _ = fs::remove_file(&aside);
        io(source)
    })
}
