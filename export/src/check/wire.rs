//! A walk over the bytes of a model that allocates nothing, before prost does.
//!
//! An empty message is two bytes in a file and a hundred and more in memory. So the walk counts
//! them first. It follows the fields that hold messages or texts by their tags, as
//! [`crate::messages`] declares them, and passes over all others.
//! See <https://protobuf.dev/programming-guides/encoding/>.

use crate::error::{Error, Result};

/// How deep messages may be nested; a model of tensors needs 7.
const DEEPEST: u32 = 32;

#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// A text, or a message that holds no others.
    Leaf,
}

/// Refuses bytes with more than `limit` messages and texts.
pub(super) fn count_parts(bytes: &[u8], limit: u64) -> Result<()> {
    let mut count = Counter { left: limit, limit };
    count.message(Kind::Model, bytes, 0)
}

struct Counter {
    left: u64,
    limit: u64,
}

impl Counter {
    fn message(&mut self, kind: Kind, mut bytes: &[u8], depth: u32) -> Result<()> {
        if depth > DEEPEST {
            return Err(damaged("messages are nested too deep"));
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            match key & 7 {
                // Numbers of a list may grow from two bytes to eight in memory, not more.
                0 => {
                    varint(&mut bytes)?;
                }
                1 => skip(&mut bytes, 8)?,
                5 => skip(&mut bytes, 4)?,
                2 => {
                    let length = varint(&mut bytes)?;
                    let length = usize::try_from(length).map_err(|_| damaged("truncated"))?;
                    let inner = bytes.get(..length).ok_or_else(|| damaged("truncated"))?;
                    bytes = &bytes[length..];
                    self.one()?;
                    if let Some(kind) = inner_kind(kind, key >> 3) {
                        self.message(kind, inner, depth + 1)?;
                    }
                }
                _ => return Err(damaged("an unknown wire type")),
            }
        }
        Ok(())
    }

    fn one(&mut self) -> Result<()> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::invalid(
                "file",
                format!("has more than {} messages and texts", self.limit),
            )),
        }
    }
}

/// What a length-delimited field holds; none for bytes and packed numbers.
fn inner_kind(kind: Kind, tag: u64) -> Option<Kind> {
    Some(match (kind, tag) {
        (Kind::Model, 7) => Kind::Graph,
        (Kind::Graph, 1) => Kind::Node,
        (Kind::Graph, 5) => Kind::Tensor,
        (Kind::Graph, 11..=13) => Kind::ValueInfo,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::Attribute, 5) => Kind::Tensor,
        (Kind::Attribute, 6 | 11) => Kind::Graph,
        (Kind::Tensor, 13) | (Kind::Model, 8 | 14 | 25) => Kind::Leaf,
        (Kind::ValueInfo, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Shape, 1) => Kind::Leaf,
        _ => return None,
    })
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or_else(|| damaged("truncated"))?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(damaged("a number of more than ten bytes"))
}

fn skip(bytes: &mut &[u8], length: usize) -> Result<()> {
    *bytes = bytes.get(length..).ok_or_else(|| damaged("truncated"))?;
    Ok(())
}

fn damaged(reason: &str) -> Error {
    Error::invalid("file", reason)
}
