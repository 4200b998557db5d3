//! Shapes behind operators that move elements.

use super::node::View;
use super::operators::broadcast;
use super::shapes::Shape;

/// The shape of the one output of an operator that moves, picks or reduces elements.
pub(super) fn output(view: &View<'_, '_>) -> Option<Shape> {
    match view.op() {
        "Reshape" => reshape(view),
        "Transpose" => transpose(view),
        "Unsqueeze" => unsqueeze(view),
        "Squeeze" => squeeze(view),
        "Concat" => concat(view),
        "Slice" => slice(view),
        "Expand" => broadcast(view.shape(0)?, &sizes(view.contents(1)?)?),
        "ConstantOfShape" => sizes(view.contents(0)?),
        "Shape" => {
            let (from, to) = shape_range(view)?;
            Some(vec![(to - from) as u64])
        }
        "Size" => Some(vec![]),
        "Range" => range(view),
        "Gather" => gather(view),
        "GatherND" => gather_nd(view),
        "Flatten" => flatten(view),
        op if op.starts_with("Reduce") => reduce(view),
        "ArgMax" | "ArgMin" => {
            let mut shape = view.shape(0)?.clone();
            let axis = view.axis(view.int("axis", 0), shape.len())?;
            match view.int("keepdims", 1) {
                0 => drop(shape.remove(axis)),
                _ => shape[axis] = 1,
            }
            Some(shape)
        }
        _ => None,
    }
}

fn product(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1_u64, |p, dim| p.checked_mul(*dim))
}

fn sizes(contents: &[i64]) -> Option<Shape> {
    contents.iter().map(|n| u64::try_from(*n).ok()).collect()
}

fn reshape(view: &View<'_, '_>) -> Option<Shape> {
    let from = view.shape(0)?;
    let target = view.contents(1)?;
    let keep_zero = view.int("allowzero", 0) == 0;
    let mut rest = None;
    let mut to = Vec::with_capacity(target.len());
    for (place, size) in target.iter().enumerate() {
        to.push(match size {
            0 if keep_zero => *from.get(place)?,
            -1 if rest.is_none() => {
                rest = Some(place);
                1
            }
            size => u64::try_from(*size).ok()?,
        });
    }
    let (have, want) = (product(from)?, product(&to)?);
    match rest {
        Some(place) if want > 0 && have.is_multiple_of(want) => to[place] = have / want,
        None if have == want => {}
        _ => return None,
    }
    Some(to)
}

fn transpose(view: &View<'_, '_>) -> Option<Shape> {
    let shape = view.shape(0)?;
    let Some(order) = view.attribute("perm") else {
        return Some(shape.iter().rev().copied().collect());
    };
    (order.ints.len() == shape.len()).then_some(())?;
    let place = |i: &i64| shape.get(usize::try_from(*i).ok()?).copied();
    order.ints.iter().map(place).collect()
}

fn unsqueeze(view: &View<'_, '_>) -> Option<Shape> {
    let shape = view.shape(0)?;
    let count = view.ints("axes").or_else(|| view.contents(1))?.len();
    let rank = shape.len() + count;
    let added = view.axes(1, rank)??;
    let mut dims = shape.iter();
    let made = (0..rank).map(|i| match added.contains(&i) {
        true => Some(1),
        false => dims.next().copied(),
    });
    made.collect()
}

fn squeeze(view: &View<'_, '_>) -> Option<Shape> {
    let shape = view.shape(0)?;
    let gone = view.axes(1, shape.len())?;
    let stays = |(i, dim): (usize, &u64)| match &gone {
        Some(axes) => !axes.contains(&i),
        None => *dim != 1,
    };
    let kept = shape.iter().enumerate().filter(|dim| stays(*dim));
    Some(kept.map(|(_, dim)| *dim).collect())
}

fn concat(view: &View<'_, '_>) -> Option<Shape> {
    let mut shape = view.shape(0)?.clone();
    let axis = view.axis(view.int("axis", 0), shape.len())?;
    for place in 1..view.inputs() {
        let other = view.shape(place)?;
        let same = |i: usize| i == axis || other[i] == shape[i];
        (other.len() == shape.len() && (0..shape.len()).all(same)).then_some(())?;
        shape[axis] = shape[axis].checked_add(other[axis])?;
    }
    Some(shape)
}

/// The shapes of a `Split`'s outputs.
pub(super) fn split(view: &View<'_, '_>) -> Option<Vec<Option<Shape>>> {
    let shape = view.shape(0)?;
    let axis = view.axis(view.int("axis", 0), shape.len())?;
    let parts: Vec<u64> = match view.ints("split").or_else(|| view.contents(1)) {
        Some(parts) => sizes(parts)?,
        None if view.has(1) => return None,
        None => {
            let count = view.outputs() as u64;
            let part = shape[axis].div_ceil(count.max(1));
            let before = |i: u64| part.saturating_mul(i).min(shape[axis]);
            (0..count).map(|i| before(i + 1) - before(i)).collect()
        }
    };
    let of = |part: u64| {
        let mut shape = shape.clone();
        shape[axis] = part;
        Some(shape)
    };
    Some(parts.into_iter().map(of).collect())
}

/// For each axis that a `Slice` cuts: the axis, where it begins, and how far each step goes.
pub(super) fn cuts(view: &View<'_, '_>, shape: &[u64]) -> Option<Vec<(usize, i64, i64, i64)>> {
    let (starts, ends) = match (view.ints("starts"), view.ints("ends")) {
        (Some(starts), Some(ends)) => (starts, ends),
        _ => (view.contents(1)?, view.contents(2)?),
    };
    let axes = match view.axes(3, shape.len())? {
        Some(axes) => axes,
        None => (0..starts.len()).collect(),
    };
    let steps = match view.has(4) {
        true => view.contents(4)?.to_vec(),
        false => vec![1; starts.len()],
    };
    let same = [ends.len(), axes.len(), steps.len()] == [starts.len(); 3];
    same.then_some(())?;
    let cut = |i: usize| {
        let (axis, step) = (axes[i], steps[i]);
        let size = i64::try_from(*shape.get(axis)?).ok()?;
        let place = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
        let (start, end) = match step {
            0 => return None,
            _ if size == 0 => (0, 0),
            1.. => (
                place(starts[i]).clamp(0, size),
                place(ends[i]).clamp(0, size),
            ),
            _ => (
                place(starts[i]).clamp(0, size - 1),
                place(ends[i]).clamp(-1, size - 1),
            ),
        };
        // In 128 bits, where no difference of two numbers overflows.
        let way = (i128::from(end) - i128::from(start)) * i128::from(step.signum());
        let count = way.max(0) + i128::from(step.unsigned_abs()) - 1;
        let count = i64::try_from(count / i128::from(step.unsigned_abs())).ok()?;
        Some((axis, start, step, count))
    };
    (0..starts.len()).map(cut).collect()
}

fn slice(view: &View<'_, '_>) -> Option<Shape> {
    let mut shape = view.shape(0)?.clone();
    for (axis, _, _, count) in cuts(view, &shape)? {
        shape[axis] = u64::try_from(count).ok()?;
    }
    Some(shape)
}

/// The dimensions that a `Shape` node gives.
pub(super) fn shape_range(view: &View<'_, '_>) -> Option<(usize, usize)> {
    let rank = view.shape(0)?.len() as i64;
    let place = |n: i64| if n < 0 { n.saturating_add(rank) } else { n }.clamp(0, rank);
    let (from, to) = (place(view.int("start", 0)), place(view.int("end", rank)));
    Some((from as usize, to.max(from) as usize))
}

fn range(view: &View<'_, '_>) -> Option<Shape> {
    let number = |place: usize| match view.contents(place)? {
        [n] => Some(i128::from(*n)),
        _ => None,
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    (step != 0).then_some(())?;
    let way = (end - start) * step.signum();
    let count = (way.max(0) + step.abs() - 1) / step.abs();
    Some(vec![u64::try_from(count).ok()?])
}

fn gather(view: &View<'_, '_>) -> Option<Shape> {
    let mut shape = view.shape(0)?.clone();
    let axis = view.axis(view.int("axis", 0), shape.len())?;
    shape.splice(axis..=axis, view.shape(1)?.iter().copied());
    Some(shape)
}

fn gather_nd(view: &View<'_, '_>) -> Option<Shape> {
    let (shape, places) = (view.shape(0)?, view.shape(1)?);
    let batch = usize::try_from(view.int("batch_dims", 0)).ok()?;
    let (depth, outer) = places.split_last()?;
    let rest = shape.get(batch.checked_add(usize::try_from(*depth).ok()?)?..)?;
    Some([outer, rest].concat())
}

fn flatten(view: &View<'_, '_>) -> Option<Shape> {
    let shape = view.shape(0)?;
    let rank = shape.len();
    let axis = match view.int("axis", 1) {
        axis if usize::try_from(axis) == Ok(rank) => rank,
        axis => view.axis(axis, rank)?,
    };
    Some(vec![product(&shape[..axis])?, product(&shape[axis..])?])
}

fn reduce(view: &View<'_, '_>) -> Option<Shape> {
    let shape = view.shape(0)?;
    let axes = match view.axes(1, shape.len())? {
        Some(axes) => axes,
        None if view.int("noop_with_empty_axes", 0) != 0 => return Some(shape.clone()),
        None => (0..shape.len()).collect(),
    };
    let keep = view.int("keepdims", 1) != 0;
    let dims = shape.iter().enumerate();
    let dims = dims.filter_map(|(i, dim)| match axes.contains(&i) {
        true => keep.then_some(1),
        false => Some(*dim),
    });
    Some(dims.collect())
}
