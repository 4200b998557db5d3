//! Inputs and outputs of a graph, and what is passed through them.

use std::fmt;

use ndarray::{ArrayD, ArrayViewD};

use crate::error::{Error, Result};

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Type of its elements.
    pub element: Element,
    /// Its dimensions, outermost first.
    pub shape: Vec<Dimension>,
}

/// Type of a tensor's elements. These four are all that this crate's graphs take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 8-bit unsigned integer.
    U8,
    /// 32-bit float.
    F32,
    /// 64-bit signed integer.
    I64,
    /// Truth value.
    Bool,
}

/// A dimension of a [`Port`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// Exactly this size; 0 for an input that a model has no use for.
    Fixed(usize),
    /// Any size from 1; within one run, the same name is the same size.
    Named(String),
}

/// A tensor that is passed to a graph.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes, for example a picture.
    U8(ArrayViewD<'a, u8>),
    /// Floats.
    F32(ArrayViewD<'a, f32>),
    /// Integers, for example token ids.
    I64(ArrayViewD<'a, i64>),
    /// Truth values.
    Bool(ArrayViewD<'a, bool>),
}

impl Input<'_> {
    /// Type of the elements.
    pub fn element(&self) -> Element {
        match self {
            Input::U8(_) => Element::U8,
            Input::F32(_) => Element::F32,
            Input::I64(_) => Element::I64,
            Input::Bool(_) => Element::Bool,
        }
    }

    /// Sizes of the dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Input::U8(view) => view.shape(),
            Input::F32(view) => view.shape(),
            Input::I64(view) => view.shape(),
            Input::Bool(view) => view.shape(),
        }
    }
}

/// What a graph gave, by the names of its outputs.
#[derive(Debug, Clone, Default)]
pub struct Outputs(Vec<(String, ArrayD<f32>)>);

impl Outputs {
    pub(super) fn new(values: Vec<(String, ArrayD<f32>)>) -> Self {
        Outputs(values)
    }

    /// The output of this name.
    pub fn get(&self, name: &str) -> Option<&ArrayD<f32>> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The output of this name, taken out.
    pub fn take(&mut self, name: &str) -> Option<ArrayD<f32>> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// All outputs with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ArrayD<f32>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Checks what is about to be passed to a graph, so that every engine refuses the same inputs
/// with the same words, and returns them in the order of the ports.
pub(super) fn arrange<'i, 'a>(
    ports: &[Port],
    inputs: &'i [(&str, Input<'a>)],
    graph: &str,
) -> Result<Vec<&'i Input<'a>>> {
    let refuse = |reason: String| Error::Argument {
        what: "inputs",
        reason: format!("{reason} (graph `{graph}`)"),
    };
    if let Some((name, _)) = inputs
        .iter()
        .find(|(name, _)| !ports.iter().any(|port| port.name == *name))
    {
        return Err(refuse(format!("there is no input `{name}`")));
    }
    let mut sizes: Vec<(&str, usize)> = Vec::new();
    let mut arranged = Vec::with_capacity(ports.len());
    for port in ports {
        let mut given = inputs.iter().filter(|(name, _)| *name == port.name);
        let Some((_, input)) = given.next() else {
            return Err(refuse(format!("`{}` is missing", port.name)));
        };
        if given.next().is_some() {
            return Err(refuse(format!("`{}` is given twice", port.name)));
        }
        let found = || format!("`{}` is {} {:?}", port.name, input.element(), input.shape());
        if input.element() != port.element || input.shape().len() != port.shape.len() {
            return Err(refuse(format!("{}, expected {port}", found())));
        }
        for (size, dimension) in input.shape().iter().zip(&port.shape) {
            let fits = match dimension {
                Dimension::Fixed(fixed) => fixed == size,
                Dimension::Named(name) => match sizes.iter().find(|(n, _)| n == name) {
                    Some((_, other)) => other == size,
                    None => {
                        sizes.push((name, *size));
                        true
                    }
                },
            };
            if !fits {
                let known: Vec<String> = sizes.iter().map(|(n, s)| format!("{n} = {s}")).collect();
                let known = match known.is_empty() {
                    true => String::new(),
                    false => format!(" with {}", known.join(", ")),
                };
                return Err(refuse(format!("{}, expected {port}{known}", found())));
            }
            if *size == 0 && matches!(dimension, Dimension::Named(_)) {
                return Err(refuse(format!("{}, which is empty", found())));
            }
        }
        arranged.push(input);
    }
    Ok(arranged)
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Element::U8 => "u8",
            Element::F32 => "f32",
            Element::I64 => "i64",
            Element::Bool => "bool",
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dimension::Fixed(size) => write!(f, "{size}"),
            Dimension::Named(name) => f.write_str(name),
        }
    }
}

/// Element type and shape, for example `u8 [batch, 64, 64, 3]`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [", self.element)?;
        for (i, dimension) in self.shape.iter().enumerate() {
            write!(f, "{}{dimension}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array4};

    use super::*;

    fn named(name: &str) -> Dimension {
        Dimension::Named(name.into())
    }

    fn ports() -> Vec<Port> {
        vec![
            Port {
                name: "numbers".into(),
                element: Element::F32,
                shape: vec![named("batch"), Dimension::Fixed(3)],
            },
            Port {
                name: "present".into(),
                element: Element::Bool,
                shape: vec![named("batch"), Dimension::Fixed(2)],
            },
        ]
    }

    fn refusal(inputs: &[(&str, Input<'_>)]) -> String {
        arrange(&ports(), inputs, "test.onnx")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn inputs_are_put_in_the_order_of_the_ports() {
        let (numbers, present) = (
            Array2::<f32>::zeros((4, 3)),
            Array2::from_elem((4, 2), true),
        );
        let inputs = [
            ("present", Input::Bool(present.view().into_dyn())),
            ("numbers", Input::F32(numbers.view().into_dyn())),
        ];
        let ports = ports();
        let arranged = arrange(&ports, &inputs, "test.onnx").unwrap();
        assert_eq!(arranged[0].element(), Element::F32);
        assert_eq!(arranged[1].element(), Element::Bool);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (numbers, present) = (
            Array2::<f32>::zeros((4, 3)),
            Array2::from_elem((4, 2), true),
        );
        let numbers = || ("numbers", Input::F32(numbers.view().into_dyn()));
        let present = || ("present", Input::Bool(present.view().into_dyn()));
        assert!(refusal(&[numbers()]).contains("`present` is missing"));
        assert!(refusal(&[numbers(), numbers(), present()]).contains("`numbers` is given twice"));

        let other = Array4::<u8>::zeros((1, 2, 2, 3));
        let other = ("image", Input::U8(other.view().into_dyn()));
        assert!(refusal(&[numbers(), present(), other]).contains("no input `image`"));

        let wide = Array2::<f32>::zeros((4, 5));
        let wide = ("numbers", Input::F32(wide.view().into_dyn()));
        let text = refusal(&[wide, present()]);
        assert!(
            text.contains("f32 [4, 5], expected f32 [batch, 3]"),
            "{text}"
        );

        let ints = Array2::<i64>::zeros((4, 3));
        let ints = ("numbers", Input::I64(ints.view().into_dyn()));
        assert!(refusal(&[ints, present()]).contains("is i64 [4, 3]"));

        let more = Array2::from_elem((5, 2), true);
        let more = ("present", Input::Bool(more.view().into_dyn()));
        assert!(refusal(&[numbers(), more]).contains("with batch = 4"));

        let none = Array2::<f32>::zeros((0, 3));
        let none = ("numbers", Input::F32(none.view().into_dyn()));
        assert!(refusal(&[none, present()]).contains("empty"));
    }
}
