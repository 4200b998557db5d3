//! What must be known of a tensor whose data are passed over.

use prost::Message;

use crate::error::{Error, Result};
use crate::messages::TensorProto;
use crate::summary::MOST_RANK;
use crate::summary::element::bits;

/// What was seen of a tensor.
#[derive(Default)]
pub(super) struct TensorData {
    dims: Vec<u64>,
    element_type: u64,
    external: bool,
    raw: Option<u64>,
    /// Elements outside of `raw`.
    pub(super) elements: u64,
}

impl TensorData {
    pub(super) fn see(&mut self, tag: u64, value: u64) {
        match tag {
            1 if self.dims.len() <= MOST_RANK => self.dims.push(value),
            2 => self.element_type = value,
            14 => self.external = value != 0,
            _ => {}
        }
    }

    /// Dimensions in one field, behind its key and length.
    pub(super) fn see_packed(&mut self, field: &[u8]) {
        let mut values = Vec::new();
        let (mut value, mut shift) = (0_u64, 0);
        for byte in field {
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                values.push(value);
                (value, shift) = (0, 0);
            }
            if values.len() > MOST_RANK + 3 {
                break;
            }
        }
        // The key is of one byte, so the first two numbers are key and length.
        self.dims.extend(values.into_iter().skip(2));
    }

    pub(super) fn stored(&mut self, tag: u64, elements: u64) {
        if tag != 9 {
            self.elements = self.elements.saturating_add(elements);
        }
    }

    pub(super) fn stored_packed(&mut self, tag: u64, length: u64, ends: u64) {
        match tag {
            9 => self.raw = Some(length),
            4 => self.stored(tag, length / 4),
            10 => self.stored(tag, length / 8),
            6 => self.stored(tag, 1),
            _ => self.stored(tag, ends),
        }
    }

    /// Sees to it that shape and data agree.
    pub(super) fn check(&self, kept: &[u8]) -> Result<()> {
        let name = || {
            let tensor = TensorProto::decode(kept).unwrap_or_default();
            tensor.name.chars().take(80).collect::<String>()
        };
        let fault = |reason: String| Err(Error::invalid(format!("tensor `{}`", name()), reason));
        if self.dims.len() > MOST_RANK {
            return fault(format!("has over {} dimensions", MOST_RANK));
        }
        let mut product = Some(1_u64);
        for dim in &self.dims {
            let dim = i64::try_from(*dim).ok().map(|dim| dim as u64);
            product = product.and_then(|p| p.checked_mul(dim?));
        }
        let Some(elements) = product else {
            return fault(format!("cannot have the shape {:?}", self.dims));
        };
        if self.external {
            return Ok(());
        }
        let size = i32::try_from(self.element_type).ok().and_then(bits);
        match (self.raw, size) {
            (Some(raw), Some(bits)) => {
                let expected = (u128::from(elements) * u128::from(bits)).div_ceil(8);
                if u128::from(raw) != expected {
                    return fault(format!(
                        "of shape {:?} has {raw} bytes, expected {expected}",
                        self.dims
                    ));
                }
            }
            (Some(_), None) => return fault(format!("has element type {}", self.element_type)),
            (None, bits) => {
                // Two elements of 4 bits share a number, a complex one takes two.
                let expected = match (self.element_type, bits) {
                    (14 | 15, _) => elements.saturating_mul(2),
                    (_, Some(bits)) if bits < 8 => elements.div_ceil(u64::from(8 / bits)),
                    _ => elements,
                };
                if self.elements != expected {
                    return fault(format!(
                        "of shape {:?} has {} elements, expected {expected}",
                        self.dims, self.elements
                    ));
                }
            }
        }
        Ok(())
    }
}
