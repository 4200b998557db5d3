//! Shapes behind convolutions and poolings.

use super::node::View;
use super::shapes::Shape;

/// The shape behind a window of these sides that passes over the picture: [batch, channels, ..].
pub(super) fn slide(view: &View<'_, '_>, channels: u64, sides: &[u64]) -> Option<Shape> {
    let [batch, _, picture @ ..] = view.shape(0)?.as_slice() else {
        return None;
    };
    let axes = picture.len();
    (axes == sides.len()).then_some(())?;
    let list = |name: &str, count: usize, default: u64| -> Option<Vec<u64>> {
        match view.ints(name) {
            Some(list) if list.len() == count => {
                list.iter().map(|n| u64::try_from(*n).ok()).collect()
            }
            Some(_) => None,
            None => Some(vec![default; count]),
        }
    };
    let strides = list("strides", axes, 1)?;
    let dilations = list("dilations", axes, 1)?;
    let pads = list("pads", 2 * axes, 0)?;
    let padding = view.text("auto_pad").unwrap_or("NOTSET");
    let round_up = view.int("ceil_mode", 0) != 0;
    let mut shape = vec![*batch, channels];
    for i in 0..axes {
        let steps = match padding {
            "NOTSET" | "" | "VALID" => {
                let added = match padding {
                    "VALID" => 0,
                    _ => pads[i].checked_add(pads[axes + i])?,
                };
                let reach = sides[i].checked_sub(1)?.checked_mul(dilations[i])?;
                let free = picture[i].checked_add(added)?.checked_sub(reach)?;
                // A window that would begin in the padding behind the picture is left to engines.
                (free > 0 && !round_up).then_some(())?;
                (free - 1).checked_div(strides[i])?.checked_add(1)?
            }
            "SAME_UPPER" | "SAME_LOWER" if strides[i] > 0 => picture[i].div_ceil(strides[i]),
            _ => return None,
        };
        shape.push(steps);
    }
    Some(shape)
}

/// The shape behind a pooling.
pub(super) fn pool(view: &View<'_, '_>) -> Option<Shape> {
    let sides = view.ints("kernel_shape")?;
    let sides: Option<Shape> = sides.iter().map(|n| u64::try_from(*n).ok()).collect();
    let channels = *view.shape(0)?.get(1)?;
    slide(view, channels, &sides?)
}
