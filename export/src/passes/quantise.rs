//! Numbers to 8 bit.

use crate::error::{Error, Result};
use crate::messages::{ElementType, TensorProto};

/// Integers and what each channel's are multiplied with.
pub(super) struct Quantised {
    pub(super) integers: Vec<i8>,
    pub(super) scales: Vec<f32>,
}

/// The elements of a constant of f32; none for other types and for those in a side file.
pub(super) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    let is_f32 = tensor.data_type == ElementType::Float as i32;
    is_f32.then(|| tensor.floats()).flatten()
}

/// Symmetric integers of at most `limit`, with a scale for each index of dimension `axis`: the
/// largest magnitude there over `limit`, 1 where all are zero.
///
/// # Errors
/// [`Error::Invalid`] for numbers that are not finite.
pub(super) fn per_channel(
    name: &str,
    values: &[f32],
    dims: &[usize],
    axis: usize,
    limit: i8,
) -> Result<Quantised> {
    let inner: usize = dims[axis + 1..].iter().product();
    let channel = |i: usize| i / inner % dims[axis];
    let mut scales = vec![0.0_f32; dims[axis]];
    for (i, value) in values.iter().enumerate() {
        if !value.is_finite() {
            return Err(Error::invalid(name, "has numbers that are not finite"));
        }
        let largest = &mut scales[channel(i)];
        *largest = largest.max(value.abs());
    }
    for scale in &mut scales {
        *scale /= f32::from(limit);
        // Also where the quotient is too small to be told from zero.
        if *scale < f32::MIN_POSITIVE {
            *scale = 1.0;
        }
    }
    let limit = f32::from(limit);
    let integer = |(i, v): (usize, &f32)| (v / scales[channel(i)]).round().clamp(-limit, limit);
    let integers = values.iter().enumerate().map(integer);
    Ok(Quantised {
        integers: integers.map(|v| v as i8).collect(),
        scales,
    })
}

/// The dimensions of a constant.
pub(super) fn dims(tensor: &TensorProto) -> Vec<usize> {
    tensor
        .dims
        .iter()
        .map(|d| usize::try_from(*d).unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_uses_its_whole_range() {
        // Columns of largest magnitude 2, 0 and 0.5.
        let values = [2.0, 0.0, -0.5, -1.0, 0.0, 0.25];
        let q = per_channel("w", &values, &[2, 3], 1, 127).unwrap();
        assert_eq!(q.integers, [127, 0, -127, -64, 0, 64]);
        assert_eq!(q.scales, [2.0 / 127.0, 1.0, 0.5 / 127.0]);
        let rows = per_channel("w", &values, &[2, 3], 0, 63).unwrap();
        assert_eq!(rows.integers, [63, 0, -16, -63, 0, 16]);
    }

    #[test]
    fn what_is_not_finite_is_refused_and_the_smallest_numbers_are_not_divided_by() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(per_channel("w", &[bad], &[1, 1], 1, 127).is_err());
        }
        let q = per_channel("w", &[f32::from_bits(1)], &[1, 1], 1, 127).unwrap();
        assert_eq!((q.integers[0], q.scales[0]), (0, 1.0));
    }
}
