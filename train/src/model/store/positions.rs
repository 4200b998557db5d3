//! Position embeddings of a ViT for another grid of patches.

/// Name of the position embeddings after the tower's prefix.
pub(super) const NAME: &str = "pos_embed";

/// From a square grid of patches to another, behind a class token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grids {
    /// Side of the grid in patches.
    from: usize,
    to: usize,
    /// Width of a token.
    dim: usize,
}

impl Grids {
    /// From the shape of the embeddings in a file, `[1, 1 + from^2, dim]`, to the model's.
    ///
    /// # Errors
    /// The reason, where a shape is of no square grid with a class token or the widths differ.
    pub(super) fn new(found: &[usize], wanted: &[usize]) -> Result<Self, String> {
        let side = |shape: &[usize]| match shape {
            [1, tokens, dim] => {
                let patches = tokens.saturating_sub(1);
                let side = patches.isqrt();
                (side > 0 && side * side == patches).then_some((side, *dim))
            }
            _ => None,
        };
        match (side(found), side(wanted)) {
            (Some((from, width)), Some((to, dim))) if width == dim => Ok(Self { from, to, dim }),
            (Some((_, width)), Some((_, dim))) => {
                Err(format!("is {width} wide, the model's is {dim} wide"))
            }
            _ => Err(format!(
                "has shape {found:?}, expected {wanted:?} or another square grid of patches \
                 behind one class token"
            )),
        }
    }

    /// Bicubic with antialiasing, as timm's `resample_abs_pos_embed`: along the rows of patches
    /// first, then across them.
    pub(super) fn resample(&self, numbers: &[f32]) -> Vec<f32> {
        let Self { from, to, dim } = *self;
        let axis = axis(from, to);
        let (class_token, grid) = numbers.split_at(dim);
        let mut output = class_token.to_vec();
        let rows: Vec<f32> = grid
            .chunks_exact(from * dim)
            .flat_map(|row| mix(row, dim, &axis))
            .collect();
        output.extend(mix(&rows, to * dim, &axis));
        output
    }
}

/// For each output place weighted sums of the vectors of `width` numbers in `input`.
fn mix(input: &[f32], width: usize, axis: &[(usize, Vec<f32>)]) -> Vec<f32> {
    let mut output = vec![0.0; axis.len() * width];
    for (sums, (first, weights)) in output.chunks_exact_mut(width).zip(axis) {
        for (vector, weight) in input.chunks_exact(width).skip(*first).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(vector) {
                *sum += weight * value;
            }
        }
    }
    output
}

/// For each output place the first input place that it sees, and the weights from there on, which
/// add up to 1: the filter at the distance between centres, widened by the scale when the grid shrinks.
fn axis(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let support = 2.0 * widened;
    (0..to)
        .map(|place| {
            let centre = (place as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let weight = |i: usize| cubic((i as f64 - centre + 0.5) / widened);
            let sum: f64 = (first..end).map(weight).sum();
            let weights = (first..end).map(|i| (weight(i) / sum) as f32);
            (first, weights.collect())
        })
        .collect()
}

/// Keys' cubic convolution (1981) with a = -0.5, which PyTorch and Pillow use with antialiasing.
fn cubic(distance: f64) -> f64 {
    let x = distance.abs();
    match x {
        _ if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_and_the_class_token_stay() {
        for (from, to) in [(1, 3), (3, 1), (4, 7), (7, 4), (14, 4)] {
            let shape = |side: usize| [1, 1 + side * side, 2];
            let grids = Grids::new(&shape(from), &shape(to)).unwrap();
            let mut numbers = vec![9.0, -9.0];
            numbers.extend([0.25, -3.0].repeat(from * from));
            let output = grids.resample(&numbers);
            assert_eq!(output.len(), 2 * (1 + to * to));
            assert_eq!(output[..2], [9.0, -9.0]);
            for pair in output[2..].chunks_exact(2) {
                assert!((pair[0] - 0.25).abs() < 1e-6 && (pair[1] + 3.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_grid_of_the_same_size_stays() {
        let numbers: Vec<f32> = (0..3 * 10).map(|v| v as f32).collect();
        let grids = Grids::new(&[1, 10, 3], &[1, 10, 3]).unwrap();
        assert_eq!(grids.resample(&numbers), numbers);
    }

    #[test]
    fn two_places_from_four_by_hand() {
        // Centre 1, widened twice: distances 1/4, 1/4, 3/4 and 5/4 of the widened filter.
        let weights = [0.8671875, 0.8671875, 0.2265625, -0.0703125];
        let sum: f32 = weights.iter().sum();
        let (first, found) = axis(4, 2).swap_remove(0);
        assert_eq!((first, found.len()), (0, 4));
        for (found, weight) in found.iter().zip(weights) {
            assert!((found - weight / sum).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let wanted = [1, 17, 8];
        for (found, part) in [
            (&[1, 17, 4][..], "4 wide"),
            (&[1, 16, 8], "square grid"),
            (&[1, 1, 8], "square grid"),
            (&[2, 17, 8], "square grid"),
            (&[17, 8], "square grid"),
            (&[], "square grid"),
        ] {
            let reason = Grids::new(found, &wanted).unwrap_err();
            assert!(reason.contains(part), "{found:?}: {reason}");
        }
        assert!(Grids::new(&[1, 5, 8], &wanted).is_ok());
    }
}
