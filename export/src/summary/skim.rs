//! Reads a model without its weights: a walk over the file that keeps what is small.
//!
//! Data of tensors beyond a few bytes are passed over, so the memory that is needed depends on the
//! number of nodes and not on the size of the weights. That a tensor has as many bytes as its shape
//! says is seen to on the way, because nothing is left to see it by afterwards.

use std::io::{BufReader, Read, Seek};

use prost::Message;
use prost::encoding::encode_varint;

use crate::check::Limits;
use crate::error::{Error, Result};
use crate::messages::ModelProto;

use tensor::TensorData;

mod tensor;

/// How deep messages may be nested; a model of tensors needs 7, a loop in a branch 13.
const DEEPEST: u32 = 32;
/// Most bytes of a tensor's data that are kept; shapes and indices are smaller.
const MOST_DATA: u64 = 1024;
/// Most bytes that are kept in all.
const MOST_KEPT: u64 = 32 << 20;

/// Reads a model of unknown origin from a file of `length` bytes, without data of tensors beyond
/// 1024 bytes. The model is not looked over by [`crate::check`]: it may have functions, graphs
/// inside graphs and operators of any kind.
///
/// # Errors
/// [`Error::TooLarge`] for a file over `limits.bytes`, [`Error::Invalid`] for one that is damaged,
/// cut off, nested too deep, with more than `limits.parts` messages and texts, or with a tensor of
/// another size than its shape says, [`Error::Decode`] for what is no ONNX model.
pub fn skim(file: impl Read + Seek, length: u64, limits: &Limits) -> Result<ModelProto> {
    if length == 0 {
        return Err(damaged("is empty"));
    }
    if length > limits.bytes {
        return Err(Error::TooLarge {
            bytes: length,
            limit: limits.bytes,
        });
    }
    let mut walk = Walk {
        file: BufReader::new(file),
        parts: limits.parts,
        limit: limits.parts,
        kept: MOST_KEPT,
    };
    let bytes = walk.message(Kind::Model, length, 0)?;
    ModelProto::decode(bytes.as_slice()).map_err(|source| Error::Decode { source })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

/// What is done with a field.
enum Field {
    Keep,
    Enter(Kind),
    /// Data of a tensor.
    Data,
    Pass,
}

/// The fields that [`crate::messages`] declares; all others are passed over.
fn field(kind: Kind, tag: u64) -> Field {
    use Field::{Data, Enter, Keep, Pass};
    match (kind, tag) {
        (Kind::Model, 7) => Enter(Kind::Graph),
        (Kind::Model, 8 | 14) | (Kind::Tensor, 13) | (Kind::Shape, 1) => Enter(Kind::Leaf),
        (Kind::Model, 25) => Enter(Kind::Function),
        (Kind::Graph, 1) => Enter(Kind::Node),
        (Kind::Graph, 5) => Enter(Kind::Tensor),
        (Kind::Graph, 11..=13) => Enter(Kind::ValueInfo),
        (Kind::Graph, 15) => Enter(Kind::Sparse),
        (Kind::Node, 5) => Enter(Kind::Attribute),
        (Kind::Attribute, 5) => Enter(Kind::Tensor),
        (Kind::Attribute, 6 | 11) => Enter(Kind::Graph),
        (Kind::ValueInfo, 2) => Enter(Kind::Type),
        (Kind::Type, 1) => Enter(Kind::TensorType),
        (Kind::TensorType, 2) => Enter(Kind::Shape),
        (Kind::Tensor, 4..=7 | 9..=11) => Data,
        (Kind::Model, 1..=6)
        | (Kind::Function | Kind::ValueInfo | Kind::TensorType, 1)
        | (Kind::Graph, 2)
        | (Kind::Node, 1..=4 | 7)
        | (Kind::Attribute, 1..=4 | 7..=9 | 20)
        | (Kind::Tensor, 1 | 2 | 8 | 14)
        | (Kind::Leaf, _) => Keep,
        _ => Pass,
    }
}

struct Walk<R> {
    file: BufReader<R>,
    /// Messages and texts that may still come.
    parts: u64,
    limit: u64,
    /// Bytes that may still be kept.
    kept: u64,
}

impl<R: Read + Seek> Walk<R> {
    /// The message in the next `left` bytes, as it is kept.
    fn message(&mut self, kind: Kind, mut left: u64, depth: u32) -> Result<Vec<u8>> {
        if depth > DEEPEST {
            return Err(damaged("has messages that are nested too deep"));
        }
        let mut kept = Vec::new();
        let mut tensor = TensorData::default();
        while left > 0 {
            let key = self.varint(&mut left)?;
            let (tag, wire) = (key >> 3, key & 7);
            if tag == 0 {
                return Err(damaged("is no ONNX file"));
            }
            let field = field(kind, tag);
            let length = match wire {
                0 => {
                    let value = self.varint(&mut left)?;
                    if kind == Kind::Tensor {
                        tensor.see(tag, value);
                    }
                    if self.wanted(&field, &mut tensor, tag, 1)? {
                        encode_varint(key, &mut kept);
                        encode_varint(value, &mut kept);
                    }
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => self.varint(&mut left)?,
                _ => return Err(damaged("is damaged, or no ONNX file")),
            };
            left = left
                .checked_sub(length)
                .ok_or_else(|| damaged("is cut off, or no ONNX file"))?;
            if wire != 2 {
                let wanted = self.wanted(&field, &mut tensor, tag, 1)?;
                self.bytes(wanted, key, None, length, &mut kept)?;
                continue;
            }
            self.count()?;
            match field {
                Field::Enter(inner) => {
                    let body = self.message(inner, length, depth + 1)?;
                    encode_varint(key, &mut kept);
                    encode_varint(body.len() as u64, &mut kept);
                    kept.extend_from_slice(&body);
                }
                Field::Data => self.data(&mut tensor, key, length, &mut kept)?,
                Field::Keep => {
                    self.keep(length)?;
                    let before = kept.len();
                    self.bytes(true, key, Some(length), length, &mut kept)?;
                    if kind == Kind::Tensor && tag == 1 {
                        tensor.see_packed(&kept[before..]);
                    }
                }
                Field::Pass => self.bytes(false, key, None, length, &mut kept)?,
            }
        }
        if kind == Kind::Tensor {
            tensor.check(&kept)?;
        }
        Ok(kept)
    }

    /// Whether a number of a field is kept; counts it where it is data of a tensor.
    fn wanted(&mut self, field: &Field, tensor: &mut TensorData, tag: u64, n: u64) -> Result<bool> {
        match field {
            Field::Pass | Field::Enter(_) => Ok(false),
            Field::Data => {
                tensor.stored(tag, n);
                Ok(tensor.elements <= MOST_DATA / 8)
            }
            Field::Keep => self.keep(10).map(|()| true),
        }
    }

    /// The data of a tensor in one piece: raw bytes, a text, or packed numbers.
    fn data(
        &mut self,
        tensor: &mut TensorData,
        key: u64,
        length: u64,
        kept: &mut Vec<u8>,
    ) -> Result<()> {
        let tag = key >> 3;
        if length <= MOST_DATA {
            self.keep(length)?;
            let before = kept.len();
            self.bytes(true, key, Some(length), length, kept)?;
            let body = &kept[kept.len() - length as usize..];
            let ends = body.iter().filter(|byte| **byte < 0x80).count() as u64;
            tensor.stored_packed(tag, length, ends);
            if tensor.elements > MOST_DATA {
                // Many small pieces are a large tensor as well.
                kept.truncate(before);
            }
            return Ok(());
        }
        let mut ends = 0;
        if matches!(tag, 5 | 7 | 11) {
            let mut block = [0; 4096];
            let mut left = length;
            while left > 0 {
                let count = left.min(block.len() as u64) as usize;
                self.file.read_exact(&mut block[..count]).map_err(reading)?;
                ends += block[..count].iter().filter(|byte| **byte < 0x80).count() as u64;
                left -= count as u64;
            }
        } else {
            self.bytes(false, key, None, length, kept)?;
        }
        tensor.stored_packed(tag, length, ends);
        Ok(())
    }

    /// Copies the next bytes behind their key, or passes over them.
    fn bytes(
        &mut self,
        keep: bool,
        key: u64,
        prefix: Option<u64>,
        length: u64,
        kept: &mut Vec<u8>,
    ) -> Result<()> {
        if !keep {
            let ahead = i64::try_from(length).map_err(|_| damaged("is damaged"))?;
            return self.file.seek_relative(ahead).map_err(reading);
        }
        encode_varint(key, kept);
        if let Some(prefix) = prefix {
            encode_varint(prefix, kept);
        }
        let start = kept.len();
        kept.resize(start + length as usize, 0);
        self.file.read_exact(&mut kept[start..]).map_err(reading)
    }

    fn varint(&mut self, left: &mut u64) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| damaged("is cut off, or no ONNX file"))?;
            let mut byte = [0];
            self.file.read_exact(&mut byte).map_err(reading)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged("is damaged, or no ONNX file"))
    }

    fn count(&mut self) -> Result<()> {
        let limit = self.limit;
        self.parts = self.parts.checked_sub(1).ok_or_else(|| {
            Error::invalid("file", format!("has more than {limit} messages and texts"))
        })?;
        Ok(())
    }

    fn keep(&mut self, length: u64) -> Result<()> {
        self.kept = self.kept.checked_sub(length).ok_or_else(|| {
            let reason = format!("has more than {MOST_KEPT} bytes beside its weights");
            Error::invalid("file", reason)
        })?;
        Ok(())
    }
}

fn damaged(reason: &str) -> Error {
    Error::invalid("file", reason)
}

fn reading(error: std::io::Error) -> Error {
    Error::invalid("file", format!("cannot be read: {error}"))
}
