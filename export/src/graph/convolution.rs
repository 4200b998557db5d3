//! Convolutions and poolings over pictures [batch, channels, height, width].

use super::node::{FLOATS, int, ints};
use super::shape::show;
use super::{Dim, Graph, Value};
use crate::error::{Error, Result};

/// Kernel side, stride and padding, the same on both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step in pixels.
    pub stride: usize,
    /// Pixels added before the picture (above, on the left) and behind it.
    pub padding: (usize, usize),
}

impl Window {
    /// Height or width after the window passed over it; none where it does not fit once.
    fn over(self, side: usize) -> Option<usize> {
        let (before, behind) = self.padding;
        let padded = side.checked_add(before)?.checked_add(behind)?;
        let steps = padded.checked_sub(self.kernel)?.checked_div(self.stride)?;
        (self.kernel > 0).then_some(steps + 1)
    }
}

impl Graph {
    /// A convolution: `weight` [out, channels / groups, kernel, kernel], `bias` `[out]`.
    ///
    /// # Errors
    /// Channels that do not fit, a kernel of another side, a picture smaller than the kernel or
    /// of a side that is not a number.
    pub fn conv(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        window: Window,
        groups: usize,
    ) -> Result<Value> {
        const OP: &str = "Conv";
        let (data_type, shape) = self.take(OP, 0, x, FLOATS)?;
        let (_, kernel) = self.take(OP, 1, weight, &[data_type])?;
        let misfit = || {
            Error::shape(
                OP,
                format!(
                    "kernel {} with {groups} groups does not fit {}",
                    show(&kernel),
                    show(&shape)
                ),
            )
        };
        let (Some(channels), [out, per_group, tall, wide]) =
            (shape.get(1).and_then(Dim::known), kernel.as_slice())
        else {
            return Err(misfit());
        };
        let (Some(filters), Some(per_group)) = (out.known(), per_group.known()) else {
            return Err(misfit());
        };
        let side = Dim::Known(window.kernel);
        let whole = groups > 0 && filters.is_multiple_of(groups);
        if *tall != side
            || *wide != side
            || !whole
            || per_group.checked_mul(groups) != Some(channels)
        {
            return Err(misfit());
        }
        if let Some(bias) = bias {
            let (_, length) = self.take(OP, 2, bias, &[data_type])?;
            if length != kernel[..1] {
                return Err(Error::shape(
                    OP,
                    format!("bias {} for kernel {}", show(&length), show(&kernel)),
                ));
            }
        }
        let made = slide(OP, &shape, window, out.clone())?;
        let mut attributes = window_attributes(window);
        attributes.push(int("group", groups as i64));
        let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
        self.node(OP, &inputs, attributes, (data_type, made))
    }

    /// The greatest of each window; padding never wins.
    ///
    /// # Errors
    /// A picture smaller than the window or of a side that is not a number; padding of more than
    /// half of the kernel on a side.
    pub fn max_pool(&mut self, x: Value, window: Window) -> Result<Value> {
        const OP: &str = "MaxPool";
        let (data_type, shape) = self.take(OP, 0, x, FLOATS)?;
        let (before, behind) = window.padding;
        if before.max(behind) > window.kernel / 2 {
            return Err(Error::attribute(OP, format!("padding of {window:?}")));
        }
        let channels = shape.get(1).cloned().unwrap_or(Dim::Known(0));
        let made = slide(OP, &shape, window, channels)?;
        self.node(OP, &[x], window_attributes(window), (data_type, made))
    }

    /// The mean of each channel: [batch, channels, 1, 1].
    ///
    /// # Errors
    /// A value that is not a batch of pictures.
    pub fn global_average_pool(&mut self, x: Value) -> Result<Value> {
        const OP: &str = "GlobalAveragePool";
        let (data_type, mut shape) = self.take(OP, 0, x, FLOATS)?;
        if shape.len() != 4 {
            return Err(not_pictures(OP, &shape));
        }
        shape[2..].fill(Dim::Known(1));
        self.node(OP, &[x], Vec::new(), (data_type, shape))
    }
}

fn slide(op: &'static str, shape: &[Dim], window: Window, channels: Dim) -> Result<Vec<Dim>> {
    let [batch, _, height, width] = shape else {
        return Err(not_pictures(op, shape));
    };
    let side = |dim: &Dim| dim.known().and_then(|n| window.over(n)).map(Dim::Known);
    match (side(height), side(width)) {
        (Some(height), Some(width)) => Ok(vec![batch.clone(), channels, height, width]),
        _ => Err(Error::shape(
            op,
            format!("{window:?} does not fit into {}", show(shape)),
        )),
    }
}

fn not_pictures(op: &'static str, shape: &[Dim]) -> Error {
    Error::shape(
        op,
        format!("{} is not [batch, channels, height, width]", show(shape)),
    )
}

fn window_attributes(window: Window) -> Vec<crate::messages::AttributeProto> {
    let (before, behind) = window.padding;
    vec![
        ints("kernel_shape", [window.kernel; 2]),
        ints("strides", [window.stride; 2]),
        ints("pads", [before, before, behind, behind]),
    ]
}
