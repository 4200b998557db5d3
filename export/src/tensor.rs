//! Typed constant data.

use std::fmt;

use half::f16;

use crate::error::{Error, Result};
use crate::messages::{ElementType, TensorProto};

/// Element types that the builder writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// Signed 64 bit; indices and shapes.
    I64,
    /// Signed 32 bit.
    I32,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// Truth value, one byte.
    Bool,
}

impl DataType {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            DataType::I64 => 8,
            DataType::F32 | DataType::I32 => 4,
            DataType::F16 => 2,
            DataType::U8 | DataType::I8 | DataType::Bool => 1,
        }
    }

    /// Whether it is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self, DataType::F32 | DataType::F16)
    }

    /// The type's number in the format.
    pub fn element_type(self) -> ElementType {
        match self {
            DataType::F32 => ElementType::Float,
            DataType::F16 => ElementType::Float16,
            DataType::I64 => ElementType::Int64,
            DataType::I32 => ElementType::Int32,
            DataType::U8 => ElementType::Uint8,
            DataType::I8 => ElementType::Int8,
            DataType::Bool => ElementType::Bool,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DataType::F32 => "f32",
            DataType::F16 => "f16",
            DataType::I64 => "i64",
            DataType::I32 => "i32",
            DataType::U8 => "u8",
            DataType::I8 => "i8",
            DataType::Bool => "bool",
        })
    }
}

/// A constant in row-major order.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dims: Vec<usize>,
    data: Data,
}

#[derive(Clone, PartialEq)]
enum Data {
    F32(Vec<f32>),
    F16(Vec<f16>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    Bool(Vec<bool>),
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident, $variant:ident, $element:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`Error::Tensor`] when the number of elements is not the product of `dims`.
            pub fn $name(dims: Vec<usize>, data: Vec<$element>) -> Result<Self> {
                check_length(&dims, data.len())?;
                Ok(Tensor { dims, data: Data::$variant(data) })
            }
        )*
    };
}

impl Tensor {
    constructors! {
        /// Of singles.
        f32, F32, f32;
        /// Of halves.
        f16, F16, f16;
        /// Of 64-bit integers.
        i64, I64, i64;
        /// Of 32-bit integers.
        i32, I32, i32;
        /// Of unsigned bytes.
        u8, U8, u8;
        /// Of signed bytes.
        i8, I8, i8;
        /// Of truth values.
        bool, Bool, bool;
    }

    /// A single without dimensions.
    pub fn scalar(value: f32) -> Self {
        Tensor {
            dims: Vec::new(),
            data: Data::F32(vec![value]),
        }
    }

    /// An integer without dimensions.
    pub fn scalar_i64(value: i64) -> Self {
        Tensor {
            dims: Vec::new(),
            data: Data::I64(vec![value]),
        }
    }

    /// A row of integers.
    pub fn indices(values: Vec<i64>) -> Self {
        Tensor {
            dims: vec![values.len()],
            data: Data::I64(values),
        }
    }

    /// The shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn data_type(&self) -> DataType {
        match self.data {
            Data::F32(_) => DataType::F32,
            Data::F16(_) => DataType::F16,
            Data::I64(_) => DataType::I64,
            Data::I32(_) => DataType::I32,
            Data::U8(_) => DataType::U8,
            Data::I8(_) => DataType::I8,
            Data::Bool(_) => DataType::Bool,
        }
    }

    /// The singles, where it is of singles.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(data) => Some(data),
            _ => None,
        }
    }

    /// The 64-bit integers, where it is of them.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(data) => Some(data),
            _ => None,
        }
    }

    /// The same numbers as halves, rounded to the nearest; none where it is not of singles, or
    /// where a number is too large for a half.
    pub fn to_f16(&self) -> Option<Tensor> {
        let data: Vec<f16> = self.as_f32()?.iter().map(|v| f16::from_f32(*v)).collect();
        let fits = data.iter().all(|v| v.is_finite());
        fits.then(|| Tensor {
            dims: self.dims.clone(),
            data: Data::F16(data),
        })
    }

    /// The transpose of a matrix of singles.
    ///
    /// # Errors
    /// [`Error::Tensor`] for any other tensor.
    pub fn transposed(&self) -> Result<Tensor> {
        let (Some(data), &[rows, columns]) = (self.as_f32(), self.dims.as_slice()) else {
            return Err(Error::Tensor {
                dims: self.dims.clone(),
                reason: format!("expected a matrix of f32, got {}", self.data_type()),
            });
        };
        let mut out = Vec::with_capacity(data.len());
        for column in 0..columns {
            out.extend((0..rows).map(|row| data[row * columns + column]));
        }
        Tensor::f32(vec![columns, rows], out)
    }

    /// Equal parts along the first dimension of a tensor of singles, in their order.
    ///
    /// # Errors
    /// [`Error::Tensor`] for any other tensor, and for a dimension that `N` does not divide.
    pub(crate) fn parts<const N: usize>(&self) -> Result<[Tensor; N]> {
        let rows = self.dims.first().copied().filter(|n| n.is_multiple_of(N));
        let (Some(data), Some(rows)) = (self.as_f32(), rows) else {
            return Err(Error::Tensor {
                dims: self.dims.clone(),
                reason: format!("expected f32 in {N} equal parts, got {}", self.data_type()),
            });
        };
        let mut dims = self.dims.clone();
        dims[0] = rows / N;
        let size = data.len() / N;
        Ok(std::array::from_fn(|i| Tensor {
            dims: dims.clone(),
            data: Data::F32(data[i * size..(i + 1) * size].to_vec()),
        }))
    }

    /// The elements as the format's raw bytes, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.data {
            Data::F32(d) => d.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::F16(d) => d.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::I64(d) => d.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::I32(d) => d.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::U8(d) => d.clone(),
            Data::I8(d) => d.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::Bool(d) => d.iter().map(|v| u8::from(*v)).collect(),
        }
    }

    pub(crate) fn to_proto(&self, name: &str) -> TensorProto {
        TensorProto {
            name: name.to_owned(),
            data_type: self.data_type().element_type() as i32,
            dims: self.dims.iter().map(|d| *d as i64).collect(),
            raw_data: Some(self.to_bytes()),
            ..Default::default()
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?})", self.data_type(), self.dims)
    }
}

fn check_length(dims: &[usize], length: usize) -> Result<()> {
    let product = dims.iter().try_fold(1_usize, |p, d| p.checked_mul(*d));
    if product == Some(length) {
        return Ok(());
    }
    Err(Error::Tensor {
        dims: dims.to_vec(),
        reason: format!("{length} elements do not fill it"),
    })
}
