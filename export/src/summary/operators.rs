//! Shapes of a node's outputs from those of its inputs.

use super::layout;
use super::node::View;
use super::shapes::{MOST_CONTENTS, Shape, dims, integers};

/// Operators whose first output has the shape of their first input.
const ALIKE: [&str; 40] = [
    "Abs",
    "BatchNormalization",
    "BiasGelu",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Cos",
    "DequantizeLinear",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "FastGelu",
    "Floor",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "IsNaN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "Neg",
    "Not",
    "QuantizeLinear",
    "QuickGelu",
    "Reciprocal",
    "Relu",
    "Round",
    "Sigmoid",
    "Sin",
    "SkipLayerNormalization",
    "Softmax",
    "Sqrt",
    "Tanh",
];

/// Operators whose output has the shape that their inputs broadcast to.
const BROADCAST: [&str; 18] = [
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Sum",
    "Where",
];

/// Shapes of a node's outputs, in order; what is left out is not known.
pub(super) fn outputs(view: &View<'_, '_>) -> Vec<Option<Shape>> {
    let op = view.op();
    if !view.is_known_domain() {
        return Vec::new();
    }
    if ALIKE.contains(&op) {
        return vec![view.shape(0).cloned()];
    }
    if BROADCAST.contains(&op) {
        return vec![broadcast_all(view)];
    }
    let one = match op {
        "Split" => return layout::split(view).unwrap_or_default(),
        "DynamicQuantizeLinear" => {
            return vec![view.shape(0).cloned(), Some(vec![]), Some(vec![])];
        }
        "MatMul" | "MatMulInteger" => matmul(view.shape(0), view.shape(1)),
        "Gemm" => gemm(view).map(|[m, _, n]| vec![m, n]),
        "Conv" | "ConvInteger" => view.shape(1).and_then(|kernel| {
            let filters = *kernel.first()?;
            super::window::slide(view, filters, kernel.get(2..)?)
        }),
        "MaxPool" | "AveragePool" => super::window::pool(view),
        "GlobalAveragePool" | "GlobalMaxPool" => view.shape(0).and_then(|shape| {
            let mut shape = shape.clone();
            shape.get_mut(2..)?.fill(1);
            Some(shape)
        }),
        "MultiHeadAttention" => super::products::attention(view).map(|a| a.output()),
        _ => layout::output(view),
    };
    vec![one]
}

fn broadcast_all(view: &View<'_, '_>) -> Option<Shape> {
    (0..view.inputs()).try_fold(Vec::new(), |shape, place| {
        broadcast(&shape, view.shape(place)?)
    })
}

/// The shape that two shapes broadcast to (numpy's rule).
pub(super) fn broadcast(a: &[u64], b: &[u64]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let at = |shape: &[u64], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(k) => shape[k],
        None => 1,
    };
    let combine = |i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Some(x),
        (1, y) => Some(y),
        (x, 1) => Some(x),
        _ => None,
    };
    (0..rank).map(combine).collect()
}

/// The shape of a matrix product; a row on the left or a column on the right is dropped again.
fn matmul(a: Option<&Shape>, b: Option<&Shape>) -> Option<Shape> {
    let (many, [m, _, n]) = matmul_sizes(a?, b?)?;
    let mut shape = many;
    if a?.len() > 1 {
        shape.push(m);
    }
    if b?.len() > 1 {
        shape.push(n);
    }
    Some(shape)
}

/// Outer shape, and rows, inner size and columns of a matrix product.
pub(super) fn matmul_sizes(a: &[u64], b: &[u64]) -> Option<(Shape, [u64; 3])> {
    let (many_a, m, k) = match a {
        [] => return None,
        [k] => (&[][..], 1, *k),
        [many @ .., m, k] => (many, *m, *k),
    };
    let (many_b, inner, n) = match b {
        [] => return None,
        [k] => (&[][..], *k, 1),
        [many @ .., k, n] => (many, *k, *n),
    };
    (k == inner).then_some(())?;
    Some((broadcast(many_a, many_b)?, [m, k, n]))
}

/// Rows, inner size and columns of a `Gemm`.
pub(super) fn gemm(view: &View<'_, '_>) -> Option<[u64; 3]> {
    let side = |place: usize, flag: &str| match (view.shape(place)?.as_slice(), view.int(flag, 0)) {
        ([rows, columns], 0) => Some((*rows, *columns)),
        ([rows, columns], _) => Some((*columns, *rows)),
        _ => None,
    };
    let ((m, k), (inner, n)) = (side(0, "transA")?, side(1, "transB")?);
    (k == inner).then_some([m, k, n])
}

type Made = (Vec<Option<Shape>>, Option<Vec<i64>>);

/// A `Constant` node.
pub(super) fn constant(view: &View<'_, '_>) -> Made {
    let of_list = |values: Vec<i64>, shape: Shape| {
        let small = values.len() <= MOST_CONTENTS;
        (vec![Some(shape)], small.then_some(values))
    };
    if let Some(tensor) = view.attribute("value").and_then(|a| a.t.as_ref()) {
        return (vec![dims(tensor)], integers(tensor));
    }
    if let Some(value) = view.attribute("value_int").and_then(|a| a.i) {
        return of_list(vec![value], vec![]);
    }
    if let Some(list) = view.attribute("value_ints") {
        return of_list(list.ints.clone(), vec![list.ints.len() as u64]);
    }
    if let Some(list) = view.attribute("value_floats") {
        return (vec![Some(vec![list.floats.len() as u64])], None);
    }
    let scalar = view.attribute("value_float").map(|_| vec![]);
    (vec![scalar], None)
}
