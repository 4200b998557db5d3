//! Elements of small integer values, which may stand for shapes.

use super::layout::{cuts, shape_range};
use super::node::View;
use super::shapes::MOST_CONTENTS;

/// The elements of a node's first output, where they are few integers that are known.
pub(super) fn contents(view: &View<'_, '_>) -> Option<Vec<i64>> {
    if !view.is_own() {
        return None;
    }
    let one = |place: usize| view.contents(place);
    let each = |combine: fn(i64, i64) -> Option<i64>| {
        let (a, b) = (one(0)?, one(1)?);
        let count = a.len().max(b.len());
        let fits = |list: &[i64]| list.len() == count || list.len() == 1;
        (fits(a) && fits(b)).then_some(())?;
        let pairs = (0..count).map(|i| combine(a[i % a.len()], b[i % b.len()]));
        pairs.collect::<Option<Vec<i64>>>()
    };
    let made = match view.op() {
        "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => one(0)?.to_vec(),
        "Shape" => {
            let (from, to) = shape_range(view)?;
            let dims = view.shape(0)?.get(from..to)?.iter();
            dims.map(|dim| i64::try_from(*dim).ok())
                .collect::<Option<_>>()?
        }
        "Concat" => {
            let mut joined = Vec::new();
            for place in 0..view.inputs() {
                joined.extend(one(place)?);
                (joined.len() <= MOST_CONTENTS).then_some(())?;
            }
            joined
        }
        "Gather" if view.shape(0)?.len() == 1 => {
            let list = one(0)?;
            let pick = |place: &i64| list.get(view.axis(*place, list.len())?).copied();
            one(1)?.iter().map(pick).collect::<Option<_>>()?
        }
        "Slice" if view.shape(0)?.len() == 1 => {
            let list = one(0)?;
            let [(_, start, step, count)] = cuts(view, &[list.len() as u64])?[..] else {
                return None;
            };
            let pick = |i: i64| list.get(usize::try_from(start + i * step).ok()?).copied();
            (0..count).map(pick).collect::<Option<_>>()?
        }
        "Add" => each(i64::checked_add)?,
        "Sub" => each(i64::checked_sub)?,
        "Mul" => each(i64::checked_mul)?,
        "Div" => each(i64::checked_div)?,
        _ => return None,
    };
    (made.len() <= MOST_CONTENTS).then_some(made)
}
