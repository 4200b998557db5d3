//! Looking entries up by index.

use super::node::{ANY, I64, int};
use super::shape::{axis, show};
use super::{Graph, Value};
use crate::error::{Error, Result};

impl Graph {
    /// The entries of an axis of `x` that `indices` (i64, any shape) names; the axis is replaced
    /// by the shape of `indices`.
    ///
    /// # Errors
    /// An axis that is not there, indices that are not i64.
    pub fn gather(&mut self, x: Value, indices: Value, along: isize) -> Result<Value> {
        const OP: &str = "Gather";
        let (data_type, mut shape) = self.take(OP, 0, x, ANY)?;
        let (_, places) = self.take(OP, 1, indices, I64)?;
        let place = axis(OP, along, shape.len())?;
        shape.splice(place..=place, places);
        let attributes = vec![int("axis", place as i64)];
        self.node(OP, &[x, indices], attributes, (data_type, shape))
    }

    /// From each row of `x` `[n, l, ..]` the entry that `places` `[n]` names: `[n, ..]`
    /// (`GatherND` with one batch dimension).
    ///
    /// # Errors
    /// Places that are not i64, or not one for each row.
    pub fn pick(&mut self, x: Value, places: Value) -> Result<Value> {
        const OP: &str = "GatherND";
        let (data_type, shape) = self.take(OP, 0, x, ANY)?;
        let (_, rows) = self.take(OP, 1, places, I64)?;
        if shape.len() < 2 || rows != shape[..1] {
            return Err(Error::shape(
                OP,
                format!("{} does not name places in {}", show(&rows), show(&shape)),
            ));
        }
        let tuples = self.unsqueeze(places, &[-1])?;
        let picked = shape[..1].iter().chain(&shape[2..]).cloned().collect();
        let batch = int("batch_dims", 1);
        self.node(OP, &[x, tuples], vec![batch], (data_type, picked))
    }
}
