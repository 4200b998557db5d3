//! A node with what is known of its inputs.

use super::shapes::{Known, Shape};
use crate::messages::{AttributeProto, NodeProto};

/// Names of ONNX's own operator set.
pub(super) const OWN: [&str; 2] = ["", "ai.onnx"];
/// The operator set of ONNX Runtime.
pub(super) const MICROSOFT: &str = "com.microsoft";

pub(super) struct View<'a, 'k> {
    node: &'a NodeProto,
    known: &'k Known<'a>,
}

impl<'a, 'k> View<'a, 'k> {
    pub(super) fn new(node: &'a NodeProto, known: &'k Known<'a>) -> Self {
        View { node, known }
    }

    pub(super) fn op(&self) -> &'a str {
        &self.node.op_type
    }

    pub(super) fn is_own(&self) -> bool {
        OWN.contains(&self.node.domain.as_str())
    }

    /// Whether it is of ONNX's own set or of ONNX Runtime's, which uses names in the same sense.
    pub(super) fn is_known_domain(&self) -> bool {
        self.is_own() || self.node.domain == MICROSOFT
    }

    pub(super) fn inputs(&self) -> usize {
        self.node.input.len()
    }

    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    /// Whether an optional input is given.
    pub(super) fn has(&self, place: usize) -> bool {
        self.node
            .input
            .get(place)
            .is_some_and(|name| !name.is_empty())
    }

    pub(super) fn shape(&self, place: usize) -> Option<&'k Shape> {
        self.known.shapes.get(self.node.input.get(place)?.as_str())
    }

    pub(super) fn contents(&self, place: usize) -> Option<&'k [i64]> {
        let name = self.node.input.get(place)?.as_str();
        self.known.contents.get(name).map(Vec::as_slice)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|a| a.i).unwrap_or(default)
    }

    /// A list of integers; none where it is not stated or not as long as no shape is.
    pub(super) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        let list = &self.attribute(name)?.ints;
        (list.len() <= 2 * super::MOST_RANK).then_some(list)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(name)?.s.as_deref()?).ok()
    }

    /// An axis of a value of this rank, counted from the front or, when negative, from the back.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Option<usize> {
        let rank = i64::try_from(rank).ok()?;
        let place = if axis < 0 {
            axis.checked_add(rank)?
        } else {
            axis
        };
        (0..rank).contains(&place).then_some(place as usize)
    }

    /// Axes as an attribute (older operator sets) or as an input (newer ones); `Some(None)` where
    /// neither is given.
    pub(super) fn axes(&self, place: usize, rank: usize) -> Option<Option<Vec<usize>>> {
        let list = match (self.ints("axes"), self.has(place)) {
            (Some(list), _) => list,
            (None, true) => self.contents(place)?,
            (None, false) => return Some(None),
        };
        let axes = list.iter().map(|axis| self.axis(*axis, rank));
        Some(Some(axes.collect::<Option<_>>()?))
    }
}
