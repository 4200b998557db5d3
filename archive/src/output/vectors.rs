//! The numbers of vectors as they are stored in Parquet.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Int8Array};
use arrow_schema::{ArrowError, DataType, Field};
use half::f16;
use serde::{Deserialize, Serialize};

use super::{ColumnSpec, ColumnValues};
use satmip::{Error, Result};

/// How the numbers of vectors are stored in Parquet; other formats have 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VectorType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats: half the size, a relative error of at most 2^-11.
    F16,
    /// Bytes from -127 to 127 with a number for each vector, the column `NAME_scale`: a quarter of the size. The vector
    /// is bytes times scale, which is its largest number without sign over 127 (our choice).
    Int8,
}

const ALL: [(VectorType, &str); 3] = [
    (VectorType::F32, "f32"),
    (VectorType::F16, "f16"),
    (VectorType::Int8, "int8"),
];

impl FromStr for VectorType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = ALL.iter().find(|(_, name)| *name == text);
        found.map(|(kind, _)| *kind).ok_or_else(|| Error::Argument {
            what: "vectors",
            reason: format!("`{text}` is none of f32, f16, int8"),
        })
    }
}

impl fmt::Display for VectorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = ALL.iter().find(|(kind, _)| kind == self);
        f.write_str(found.map_or("", |(_, name)| name))
    }
}

impl VectorType {
    /// As STAC's `data_type` has it.
    pub(crate) fn stac(self) -> &'static str {
        match self {
            VectorType::F32 => "float32",
            VectorType::F16 => "float16",
            VectorType::Int8 => "int8",
        }
    }

    fn element(self) -> Arc<Field> {
        let kind = match self {
            VectorType::F32 => DataType::Float32,
            VectorType::F16 => DataType::Float16,
            VectorType::Int8 => DataType::Int8,
        };
        Arc::new(Field::new("element", kind, false))
    }

    /// The fields of a column of vectors, of so many numbers each.
    pub(super) fn fields(self, column: &ColumnSpec, width: i32) -> Vec<Field> {
        let list = DataType::FixedSizeList(self.element(), width);
        let mut fields = vec![Field::new(column.name, list, column.nullable)];
        if self == VectorType::Int8 {
            let name = format!("{}_scale", column.name);
            fields.push(Field::new(name, DataType::Float32, column.nullable));
        }
        fields
    }

    /// The arrays of [`VectorType::fields`].
    pub(super) fn arrays(
        self,
        column: &ColumnSpec,
        width: i32,
        values: &ColumnValues,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let there = || column.nullable.then(|| values.present.clone().into());
        let list = |numbers: ArrayRef| -> Result<ArrayRef, ArrowError> {
            let list = FixedSizeListArray::try_new(self.element(), width, numbers, there())?;
            Ok(Arc::new(list))
        };
        Ok(match self {
            VectorType::F32 => vec![list(Arc::new(Float32Array::from(values.values.clone())))?],
            VectorType::F16 => {
                let numbers = values.values.iter().map(|number| f16::from_f32(*number));
                vec![list(Arc::new(Float16Array::from_iter_values(numbers)))?]
            }
            VectorType::Int8 => {
                let (mut bytes, mut scales) = (Vec::with_capacity(values.values.len()), Vec::new());
                for vector in values.values.chunks(column.dim.max(1)) {
                    let scale = scale(vector);
                    bytes.extend(vector.iter().map(|number| (number / scale).round() as i8));
                    scales.push(scale);
                }
                let scales = Float32Array::new(scales.into(), there());
                vec![list(Arc::new(Int8Array::from(bytes)))?, Arc::new(scales)]
            }
        })
    }
}

/// What a vector's bytes are multiplied by; 1 for one of zeros.
fn scale(vector: &[f32]) -> f32 {
    let largest = vector
        .iter()
        .fold(0.0_f32, |most, number| most.max(number.abs()));
    match largest > 0.0 && largest.is_finite() {
        true => largest / 127.0,
        false => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float16Type, Float32Type, Int8Type};

    use super::*;

    fn column() -> (ColumnSpec, ColumnValues) {
        let spec = ColumnSpec {
            name: "metadata_embedding",
            dim: 3,
            nullable: true,
        };
        let values = ColumnValues {
            values: vec![0.6, -0.8, 0.001, 0.0, 0.0, 0.0, 0.3, 0.3, -0.9],
            present: vec![true, false, true],
        };
        (spec, values)
    }

    #[test]
    fn smaller_numbers_are_near_the_larger_ones() {
        let (spec, values) = column();
        for kind in [VectorType::F16, VectorType::Int8] {
            let arrays = kind.arrays(&spec, 3, &values).unwrap();
            assert_eq!(arrays.len(), kind.fields(&spec, 3).len());
            let lists = arrays[0].as_fixed_size_list();
            assert!(lists.is_valid(0) && lists.is_null(1), "{kind}");
            for row in [0, 2] {
                let list = lists.value(row);
                let found: Vec<f32> = match kind {
                    VectorType::Int8 => {
                        let scale = arrays[1].as_primitive::<Float32Type>().value(row);
                        let bytes = list.as_primitive::<Int8Type>();
                        bytes
                            .values()
                            .iter()
                            .map(|byte| f32::from(*byte) * scale)
                            .collect()
                    }
                    _ => list
                        .as_primitive::<Float16Type>()
                        .values()
                        .iter()
                        .map(|n| n.to_f32())
                        .collect(),
                };
                for (found, expected) in found.iter().zip(&values.values[row * 3..]) {
                    assert!(
                        (found - expected).abs() < 0.9 / 250.0,
                        "{kind} {found} {expected}"
                    );
                }
            }
        }
        assert!("f64".parse::<VectorType>().is_err());
        assert_eq!("int8".parse::<VectorType>().unwrap().to_string(), "int8");
    }
}
