//! Matrix products, norms, softmax and reductions.

use super::node::{FLOATS, NUMBERS, float, int};
use super::shape::{axis, broadcast, show};
use super::{Dim, Graph, Value};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Graph {
    /// The matrix product over the last two dimensions, the others broadcast.
    ///
    /// # Errors
    /// Fewer than two dimensions, inner dimensions that differ, types that are not the same
    /// float type.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        const OP: &str = "MatMul";
        let (data_type, left) = self.take(OP, 0, a, FLOATS)?;
        let (_, right) = self.take(OP, 1, b, &[data_type])?;
        let misfit = || {
            Error::shape(
                OP,
                format!("{} cannot multiply {}", show(&left), show(&right)),
            )
        };
        let ([many_left @ .., rows, inner], [many_right @ .., other, columns]) =
            (left.as_slice(), right.as_slice())
        else {
            return Err(misfit());
        };
        if inner != other {
            return Err(misfit());
        }
        let mut shape = broadcast(OP, many_left, many_right)?;
        shape.extend([rows.clone(), columns.clone()]);
        self.node(OP, &[a, b], Vec::new(), (data_type, shape))
    }

    /// `exp(x) / sum(exp(x))` over one axis.
    ///
    /// # Errors
    /// An axis that is not there, a type that is not a float.
    pub fn softmax(&mut self, x: Value, over: isize) -> Result<Value> {
        let made = self.take("Softmax", 0, x, FLOATS)?;
        axis("Softmax", over, made.1.len())?;
        self.node("Softmax", &[x], vec![int("axis", over as i64)], made)
    }

    /// Normalises over the last dimension, then scales and shifts: `scale` and `bias` are as long
    /// as it.
    ///
    /// # Errors
    /// A scale or bias of another length, an epsilon that is not above 0.
    pub fn layer_norm(
        &mut self,
        x: Value,
        scale: Value,
        bias: Value,
        epsilon: f32,
    ) -> Result<Value> {
        const OP: &str = "LayerNormalization";
        self.needs(OP, 17)?;
        let (data_type, shape) = self.take(OP, 0, x, FLOATS)?;
        for (position, value) in [(1, scale), (2, bias)] {
            let (_, dims) = self.take(OP, position, value, &[data_type])?;
            if shape.is_empty() || dims != shape[shape.len() - 1..] {
                return Err(Error::shape(
                    OP,
                    format!("{} does not fit {}", show(&dims), show(&shape)),
                ));
            }
        }
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(Error::attribute(
                OP,
                format!("epsilon {epsilon} is not above 0"),
            ));
        }
        let attributes = vec![int("axis", -1), float("epsilon", epsilon)];
        self.node(OP, &[x, scale, bias], attributes, (data_type, shape))
    }

    /// The mean over some axes.
    ///
    /// # Errors
    /// An axis that is not there or named twice; an operator set before 18.
    pub fn reduce_mean(&mut self, x: Value, axes: &[isize], keep: bool) -> Result<Value> {
        self.reduce("ReduceMean", x, axes, keep)
    }

    /// The root of the sum of squares over some axes.
    ///
    /// # Errors
    /// As [`Graph::reduce_mean`].
    pub fn reduce_l2(&mut self, x: Value, axes: &[isize], keep: bool) -> Result<Value> {
        self.reduce("ReduceL2", x, axes, keep)
    }

    /// The least element over some axes.
    ///
    /// # Errors
    /// As [`Graph::reduce_mean`].
    pub fn reduce_min(&mut self, x: Value, axes: &[isize], keep: bool) -> Result<Value> {
        self.reduce("ReduceMin", x, axes, keep)
    }

    fn reduce(&mut self, op: &'static str, x: Value, axes: &[isize], keep: bool) -> Result<Value> {
        // Before 18 the axes are an attribute.
        self.needs(op, 18)?;
        let types = if op == "ReduceMin" { NUMBERS } else { FLOATS };
        let (data_type, shape) = self.take(op, 0, x, types)?;
        let gone = axes
            .iter()
            .map(|a| axis(op, *a, shape.len()))
            .collect::<Result<Vec<_>>>()?;
        let repeated = gone.iter().enumerate().any(|(i, a)| gone[..i].contains(a));
        if gone.is_empty() || repeated {
            return Err(Error::attribute(
                op,
                format!("axes {axes:?} must be named once each"),
            ));
        }
        let reduced = shape
            .into_iter()
            .enumerate()
            .filter_map(|(i, dim)| match gone.contains(&i) {
                true => keep.then_some(Dim::Known(1)),
                false => Some(dim),
            })
            .collect();
        let list = self.constant(Tensor::indices(gone.iter().map(|a| *a as i64).collect()))?;
        let keep = int("keepdims", i64::from(keep));
        self.node(op, &[x, list], vec![keep], (data_type, reduced))
    }
}
