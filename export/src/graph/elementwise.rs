//! Operators on one element, or on two elements at one place, with broadcasting.

use super::node::{ANY, BOOL, FLOATS, INTEGERS, NUMBERS, int, text};
use super::shape::broadcast;
use super::{Graph, Value};
use crate::error::{Error, Result};
use crate::tensor::{DataType, Tensor};

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident, $op:literal, $types:expr, $result:expr;)*) => {
        impl Graph {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Types that differ or that the operator does not take; shapes that do not
                /// broadcast.
                pub fn $name(&mut self, a: Value, b: Value) -> Result<Value> {
                    self.binary($op, a, b, $types, $result)
                }
            )*
        }
    };
}

binary! {
    /// `a + b`.
    add, "Add", NUMBERS, None;
    /// `a - b`.
    sub, "Sub", NUMBERS, None;
    /// `a * b`.
    mul, "Mul", NUMBERS, None;
    /// `a / b`.
    div, "Div", NUMBERS, None;
    /// The greater of `a` and `b`.
    max, "Max", NUMBERS, None;
    /// The lesser of `a` and `b`.
    min, "Min", NUMBERS, None;
    /// Whether `a` equals `b`.
    equal, "Equal", NUMBERS, Some(DataType::Bool);
    /// Whether `a <= b`.
    less_or_equal, "LessOrEqual", NUMBERS, Some(DataType::Bool);
    /// Whether `a >= b`.
    greater_or_equal, "GreaterOrEqual", NUMBERS, Some(DataType::Bool);
    /// Whether both hold.
    and, "And", BOOL, None;
}

impl Graph {
    fn binary(
        &mut self,
        op: &'static str,
        a: Value,
        b: Value,
        types: &[DataType],
        result: Option<DataType>,
    ) -> Result<Value> {
        let (data_type, left) = self.take(op, 0, a, types)?;
        let (_, right) = self.take(op, 1, b, &[data_type])?;
        let shape = broadcast(op, &left, &right)?;
        let made = (result.unwrap_or(data_type), shape);
        self.node(op, &[a, b], Vec::new(), made)
    }

    /// `a` where `condition` holds, else `b`.
    ///
    /// # Errors
    /// A condition that is not bool; types that differ; shapes that do not broadcast.
    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Result<Value> {
        const OP: &str = "Where";
        let (_, mask) = self.take(OP, 0, condition, BOOL)?;
        let (data_type, left) = self.take(OP, 1, a, ANY)?;
        let (_, right) = self.take(OP, 2, b, &[data_type])?;
        let shape = broadcast(OP, &broadcast(OP, &mask, &left)?, &right)?;
        self.node(OP, &[condition, a, b], Vec::new(), (data_type, shape))
    }

    /// The same numbers in another type.
    ///
    /// # Errors
    /// [`Error::ForeignValue`].
    pub fn cast(&mut self, x: Value, to: DataType) -> Result<Value> {
        let (from, shape) = self.take("Cast", 0, x, ANY)?;
        if from == to {
            return Ok(x);
        }
        let to_type = int("to", to.element_type() as i64);
        self.node("Cast", &[x], vec![to_type], (to, shape))
    }

    /// `max(x, 0)`.
    ///
    /// # Errors
    /// A type that is not a float.
    pub fn relu(&mut self, x: Value) -> Result<Value> {
        let made = self.take("Relu", 0, x, FLOATS)?;
        self.node("Relu", &[x], Vec::new(), made)
    }

    /// `min(max(x, low), high)`.
    ///
    /// # Errors
    /// A type that is not a float; bounds that are no numbers, or the wrong way round.
    pub fn clip(&mut self, x: Value, low: f32, high: f32) -> Result<Value> {
        const OP: &str = "Clip";
        let made = self.take(OP, 0, x, FLOATS)?;
        if low.is_nan() || high.is_nan() || low > high {
            return Err(Error::attribute(OP, format!("bounds {low} and {high}")));
        }
        let mut bound = |value: f32| {
            let bound = Tensor::f32(Vec::new(), vec![value])?;
            let halved = (made.0 == DataType::F16).then(|| bound.to_f16()).flatten();
            self.constant(halved.unwrap_or(bound))
        };
        let (low, high) = (bound(low)?, bound(high)?);
        self.node(OP, &[x, low, high], Vec::new(), made)
    }

    /// `x * Phi(x)` with the exact normal distribution function, not an approximation.
    ///
    /// # Errors
    /// A type that is not a float; an operator set before 20.
    pub fn gelu(&mut self, x: Value) -> Result<Value> {
        self.needs("Gelu", 20)?;
        let made = self.take("Gelu", 0, x, FLOATS)?;
        self.node("Gelu", &[x], vec![text("approximate", "none")], made)
    }

    /// The sine of an angle in radians.
    ///
    /// # Errors
    /// A type that is not a float.
    pub fn sin(&mut self, x: Value) -> Result<Value> {
        let made = self.take("Sin", 0, x, FLOATS)?;
        self.node("Sin", &[x], Vec::new(), made)
    }

    /// `0, 1, ..` up to and without the number that `limit` holds, a scalar that is known to be a
    /// dimension ([`Graph::dim_of`]).
    ///
    /// # Errors
    /// A limit of another type or shape, or one of which nothing is known.
    pub fn range(&mut self, limit: Value) -> Result<Value> {
        const OP: &str = "Range";
        let (data_type, shape) = self.take(OP, 1, limit, INTEGERS)?;
        let contents = self.contents(OP, 1, limit)?;
        if data_type != DataType::I64 || !shape.is_empty() {
            return Err(Error::shape(OP, "the limit must be an i64 scalar"));
        }
        let zero = self.constant(crate::Tensor::scalar_i64(0))?;
        let one = self.constant(crate::Tensor::scalar_i64(1))?;
        self.node(OP, &[zero, limit, one], Vec::new(), (data_type, contents))
    }
}
