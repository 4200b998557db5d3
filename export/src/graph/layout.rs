//! Operators that move elements and leave them as they are.

use super::node::{ANY, I64, int, ints};
use super::shape::{axis, broadcast, factors, show};
use super::{Dim, Graph, Value};
use crate::error::{Error, Result};
use crate::tensor::{DataType, Tensor};

/// One dimension of a reshaped value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The dimension at the same place in the input.
    Keep,
    /// A number above 0.
    Of(usize),
    /// Whatever is left over; at most once.
    Rest,
}

/// Where a slice ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceEnd {
    /// At a number.
    At(usize),
    /// At the dimension that a value `[1]` from [`Graph::shape_of`] holds. The caller answers for
    /// its being at most the input's dimension.
    Dim(Value),
}

impl Graph {
    /// The same elements in another shape.
    ///
    /// # Errors
    /// A shape of another number of elements, or one where that cannot be known.
    pub fn reshape(&mut self, x: Value, sizes: &[Size]) -> Result<Value> {
        const OP: &str = "Reshape";
        let (data_type, from) = self.take(OP, 0, x, ANY)?;
        let misfit = || Error::shape(OP, format!("{} cannot become {sizes:?}", show(&from)));
        let mut to = Vec::with_capacity(sizes.len());
        let mut rest = None;
        for (place, size) in sizes.iter().enumerate() {
            match size {
                Size::Keep => to.push(from.get(place).cloned().ok_or_else(misfit)?),
                Size::Of(0) => return Err(misfit()),
                Size::Of(n) => to.push(Dim::Known(*n)),
                Size::Rest if rest.is_none() => {
                    rest = Some(place);
                    to.push(Dim::Known(1));
                }
                Size::Rest => return Err(misfit()),
            }
        }
        let (have, have_names) = factors(OP, &from)?;
        let (want, want_names) = factors(OP, &to)?;
        let whole = want > 0 && have.is_multiple_of(want);
        if have_names != want_names || !whole || (rest.is_none() && have != want) {
            return Err(misfit());
        }
        if let Some(place) = rest {
            to[place] = Dim::Known(have / want);
        }
        let target = sizes
            .iter()
            .map(|size| match size {
                Size::Keep => 0,
                Size::Of(n) => *n as i64,
                Size::Rest => -1,
            })
            .collect();
        let target = self.constant(Tensor::indices(target))?;
        self.node(OP, &[x, target], Vec::new(), (data_type, to))
    }

    /// Dimensions in another order: dimension `i` of the result is dimension `order[i]` of `x`.
    ///
    /// # Errors
    /// An order that does not name each dimension once.
    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Result<Value> {
        const OP: &str = "Transpose";
        let (data_type, shape) = self.take(OP, 0, x, ANY)?;
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..shape.len()) {
            return Err(Error::attribute(
                OP,
                format!("{order:?} is no order of {}", show(&shape)),
            ));
        }
        let moved = order.iter().map(|i| shape[*i].clone()).collect();
        let perm = ints("perm", order.iter().copied());
        self.node(OP, &[x], vec![perm], (data_type, moved))
    }

    /// Adds dimensions of 1 at these places of the result.
    ///
    /// # Errors
    /// A place that is not there or named twice.
    pub fn unsqueeze(&mut self, x: Value, places: &[isize]) -> Result<Value> {
        const OP: &str = "Unsqueeze";
        let (data_type, shape) = self.take(OP, 0, x, ANY)?;
        let rank = shape.len() + places.len();
        let mut added = places
            .iter()
            .map(|p| axis(OP, *p, rank))
            .collect::<Result<Vec<_>>>()?;
        added.sort_unstable();
        if added.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::attribute(OP, format!("{places:?} repeats a place")));
        }
        let mut dims = shape.into_iter();
        let made = (0..rank)
            .filter_map(|i| match added.contains(&i) {
                true => Some(Dim::Known(1)),
                false => dims.next(),
            })
            .collect();
        let list = Tensor::indices(added.iter().map(|p| *p as i64).collect());
        let list = self.constant(list)?;
        self.node(OP, &[x, list], Vec::new(), (data_type, made))
    }

    /// Values one after the other along an axis; all other dimensions are the same.
    ///
    /// # Errors
    /// No value, types that differ, dimensions that do not fit, or a sum of dimensions that are
    /// not all numbers.
    pub fn concat(&mut self, values: &[Value], along: isize) -> Result<Value> {
        const OP: &str = "Concat";
        let Some((first, others)) = values.split_first() else {
            return Err(Error::attribute(OP, "needs at least one value"));
        };
        if others.is_empty() {
            return Ok(*first);
        }
        let (data_type, mut shape) = self.take(OP, 0, *first, ANY)?;
        let place = axis(OP, along, shape.len())?;
        for (i, value) in others.iter().enumerate() {
            let (_, dims) = self.take(OP, i + 1, *value, &[data_type])?;
            let same = dims.len() == shape.len()
                && (0..dims.len()).all(|k| k == place || dims[k] == shape[k]);
            let sum = match (same, shape.get(place), dims.get(place)) {
                (true, Some(Dim::Known(a)), Some(Dim::Known(b))) => a.checked_add(*b),
                _ => None,
            };
            shape[place] = sum.map(Dim::Known).ok_or_else(|| {
                Error::shape(
                    OP,
                    format!("{} and {} along axis {along}", show(&shape), show(&dims)),
                )
            })?;
        }
        let contents: Option<Vec<Dim>> = values
            .iter()
            .map(|v| self.values[v.index].contents.clone())
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.concat());
        let attributes = vec![int("axis", place as i64)];
        let joined = self.node(OP, values, attributes, (data_type, shape))?;
        if let Some(contents) = contents {
            self.set_contents(joined, contents);
        }
        Ok(joined)
    }

    /// Cuts an axis into equal parts.
    ///
    /// # Errors
    /// An axis that is not a multiple of `parts`; an operator set before 18.
    pub fn split(&mut self, x: Value, along: isize, parts: usize) -> Result<Vec<Value>> {
        const OP: &str = "Split";
        self.needs(OP, 18)?;
        let (data_type, mut shape) = self.take(OP, 0, x, ANY)?;
        let place = axis(OP, along, shape.len())?;
        let part = shape[place]
            .known()
            .filter(|n| parts > 0 && n.is_multiple_of(parts));
        let Some(part) = part.map(|n| n / parts) else {
            return Err(Error::shape(
                OP,
                format!("{} along axis {along} into {parts} parts", show(&shape)),
            ));
        };
        shape[place] = Dim::Known(part);
        let attributes = vec![int("axis", place as i64), int("num_outputs", parts as i64)];
        self.node_of_many(OP, &[x], attributes, vec![(data_type, shape); parts])
    }

    /// The entries `start..end` of an axis.
    ///
    /// # Errors
    /// Bounds outside of the axis; a start other than 0 where the end is dynamic.
    pub fn slice(&mut self, x: Value, along: isize, start: usize, end: SliceEnd) -> Result<Value> {
        const OP: &str = "Slice";
        let (data_type, mut shape) = self.take(OP, 0, x, ANY)?;
        let place = axis(OP, along, shape.len())?;
        let (cut, end) = match end {
            SliceEnd::At(end) => {
                let inside = shape[place].known().is_none_or(|n| end <= n) && start <= end;
                // A dynamic axis may be shorter than any number.
                let cut =
                    (inside && shape[place].known().is_some()).then(|| Dim::Known(end - start));
                (cut, self.constant(Tensor::indices(vec![end as i64]))?)
            }
            SliceEnd::Dim(end) => {
                self.take(OP, 2, end, I64)?;
                let contents = self.contents(OP, 2, end)?;
                let cut = (start == 0 && contents.len() == 1).then(|| contents[0].clone());
                (cut, end)
            }
        };
        shape[place] = cut.ok_or_else(|| {
            Error::shape(
                OP,
                format!("{} along axis {along} from {start}", show(&shape)),
            )
        })?;
        let start = self.constant(Tensor::indices(vec![start as i64]))?;
        let axes = self.constant(Tensor::indices(vec![place as i64]))?;
        self.node(OP, &[x, start, end, axes], Vec::new(), (data_type, shape))
    }

    /// Repeats dimensions of 1 so that the value gets the shape that `shape` holds, a value from
    /// [`Graph::shape_of`] or [`Graph::concat`] of such values and constants.
    ///
    /// # Errors
    /// A shape of which not all is known, or that the value does not broadcast to.
    pub fn expand(&mut self, x: Value, shape: Value) -> Result<Value> {
        const OP: &str = "Expand";
        let (data_type, from) = self.take(OP, 0, x, ANY)?;
        self.take(OP, 1, shape, I64)?;
        let to = self.contents(OP, 1, shape)?;
        let made = broadcast(OP, &from, &to)?;
        if made != to {
            return Err(Error::shape(
                OP,
                format!("{} cannot become {}", show(&from), show(&to)),
            ));
        }
        self.node(OP, &[x, shape], Vec::new(), (data_type, made))
    }

    /// Dimensions `start..end` of a value, as an i64 value [end - start] whose contents are known
    /// by name.
    ///
    /// # Errors
    /// Dimensions that are not there.
    pub fn shape_of(&mut self, x: Value, start: usize, end: usize) -> Result<Value> {
        const OP: &str = "Shape";
        let (_, shape) = self.take(OP, 0, x, ANY)?;
        if start >= end || end > shape.len() {
            return Err(Error::attribute(
                OP,
                format!("dimensions {start}..{end} of {}", show(&shape)),
            ));
        }
        let attributes = vec![int("start", start as i64), int("end", end as i64)];
        let made = (DataType::I64, vec![Dim::Known(end - start)]);
        let value = self.node(OP, &[x], attributes, made)?;
        self.set_contents(value, shape[start..end].to_vec());
        Ok(value)
    }

    /// One dimension of a value, as an i64 scalar.
    ///
    /// # Errors
    /// A dimension that is not there.
    pub fn dim_of(&mut self, x: Value, place: usize) -> Result<Value> {
        let row = self.shape_of(x, place, place + 1)?;
        let contents = self.contents("Squeeze", 0, row)?;
        let axes = self.constant(Tensor::indices(vec![0]))?;
        let made = (DataType::I64, Vec::new());
        let scalar = self.node("Squeeze", &[row, axes], Vec::new(), made)?;
        self.set_contents(scalar, contents);
        Ok(scalar)
    }
}
