//! The messages of [onnx.proto](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) that a
//! model of tensors needs, as prost types written by hand. Names are those of the format.
//!
//! The schema is proto2: a field that is optional there and may rightly be zero is an `Option`
//! here, else a zero would not be written.

use half::f16;

/// A whole model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelProto {
    /// Version of the file format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The tool that wrote the model.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// The tool's version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// Name space of the model, a reversed domain name.
    #[prost(string, tag = "4")]
    pub domain: String,
    /// Version of the model itself.
    #[prost(int64, tag = "5")]
    pub model_version: i64,
    /// Text about the model.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The graph that runs.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Versions of the operator sets that the graph uses.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Named texts.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Functions of the model's own; only their presence is of interest here.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
}

/// A function of the model's own, by name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FunctionProto {
    /// The function's name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// An operator set and its version.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OperatorSetIdProto {
    /// Empty for ONNX's own set.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key and its value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes in topological order, with their constants, inputs and outputs.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GraphProto {
    /// The operators.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// The graph's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants, weights among them.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Text about the graph.
    #[prost(string, tag = "10")]
    pub doc_string: String,
    /// What the caller gives.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What the caller gets.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types and shapes of inner values.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    /// Sparse constants; only their presence is of interest here.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensorProto>,
}

/// A sparse constant, of which nothing is read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SparseTensorProto {}

/// One operator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeProto {
    /// Names of the values that it reads; empty for an optional input that is left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values that it makes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Text about the node.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The operator set; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A setting of an operator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeProto {
    /// The setting's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A text as bytes.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// A graph inside the graph (`If`, `Loop`).
    #[prost(message, optional, boxed, tag = "6")]
    pub g: Option<Box<GraphProto>>,
    /// Floats.
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Texts.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// Graphs inside the graph.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    /// Which of the fields holds the value.
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
}

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum AttributeType {
    /// Not stated.
    Undefined = 0,
    /// One float.
    Float = 1,
    /// One integer.
    Int = 2,
    /// One text.
    String = 3,
    /// One tensor.
    Tensor = 4,
    /// One graph.
    Graph = 5,
    /// Floats.
    Floats = 6,
    /// Integers.
    Ints = 7,
    /// Texts.
    Strings = 8,
}

/// Element types by their numbers in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ElementType {
    /// Not stated.
    Undefined = 0,
    /// IEEE single.
    Float = 1,
    /// Unsigned byte.
    Uint8 = 2,
    /// Signed byte.
    Int8 = 3,
    /// Unsigned 16 bit.
    Uint16 = 4,
    /// Signed 16 bit.
    Int16 = 5,
    /// Signed 32 bit.
    Int32 = 6,
    /// Signed 64 bit.
    Int64 = 7,
    /// Text.
    String = 8,
    /// One byte, 0 or 1.
    Bool = 9,
    /// IEEE half.
    Float16 = 10,
    /// IEEE double.
    Double = 11,
    /// Unsigned 32 bit.
    Uint32 = 12,
    /// Unsigned 64 bit.
    Uint64 = 13,
    /// The upper half of a single.
    Bfloat16 = 16,
}

/// A constant.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
    /// The shape; empty for a scalar.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Element type, a number of [`ElementType`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Elements where the type is a float and `raw_data` is absent.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements where the type is a small integer, bool or half and `raw_data` is absent.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements where the type is text.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements where the type is a 64-bit integer and `raw_data` is absent.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// The constant's name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Elements in row-major order, little endian.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Elements where the type is a double and `raw_data` is absent.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements where the type is an unsigned 32- or 64-bit integer and `raw_data` is absent.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// `location`, `offset` and `length` of elements in a side file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// [`IN_SIDE_FILE`] for elements in a side file.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

impl TensorProto {
    /// The elements of a constant of f32 or f16, as f32; none for another type, for halves outside
    /// `raw_data`, and for elements in a side file. A model that [`check`](crate::check::check) took
    /// has as many as its shape says.
    pub fn floats(&self) -> Option<Vec<f32>> {
        if self.data_location == Some(IN_SIDE_FILE) {
            return None;
        }
        match (ElementType::try_from(self.data_type).ok()?, &self.raw_data) {
            (ElementType::Float, Some(raw)) => {
                let numbers = raw.as_chunks::<4>().0.iter();
                Some(numbers.map(|b| f32::from_le_bytes(*b)).collect())
            }
            (ElementType::Float, None) => Some(self.float_data.clone()),
            (ElementType::Float16, Some(raw)) => {
                let numbers = raw.as_chunks::<2>().0.iter();
                Some(numbers.map(|b| f16::from_le_bytes(*b).to_f32()).collect())
            }
            _ => None,
        }
    }
}

/// [`TensorProto::data_location`] of elements in a side file.
pub const IN_SIDE_FILE: i32 = 1;

/// A value's name and type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfoProto {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A value's type; none for kinds that are not tensors.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TypeProto {
    /// Element type and shape of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// Element type and shape of a tensor (`TypeProto.Tensor`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorTypeProto {
    /// A number of [`ElementType`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// The shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorShapeProto {
    /// The dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// A dimension (`TensorShapeProto.Dimension`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct DimensionProto {
    /// A number or a name; none where nothing is known.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
}

/// A dimension's number or name.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum DimensionValue {
    /// A number.
    #[prost(int64, tag = "1")]
    DimValue(i64),
    /// The name of a dimension that may vary.
    #[prost(string, tag = "2")]
    DimParam(String),
}
