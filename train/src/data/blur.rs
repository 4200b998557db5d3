//! Gaussian blur.

/// Blurs planes of `size` times `size` with a Gaussian of this standard deviation in pixels.
///
/// The kernel reaches three standard deviations to each side, and the border repeats its pixels as in
/// Pillow (our choices). `scratch` is kept between calls.
pub(super) fn blur(planes: &mut [f32], size: usize, sigma: f64, scratch: &mut Vec<f32>) {
    let weights = half_kernel(sigma);
    let radius = weights.len() - 1;
    if radius == 0 || size == 0 {
        return;
    }
    scratch.clear();
    scratch.resize(size * size + size + 2 * radius, 0.0);
    let (rows, padded) = scratch.split_at_mut(size * size);
    for plane in planes.chunks_exact_mut(size * size) {
        for (row, out) in plane.chunks_exact(size).zip(rows.chunks_exact_mut(size)) {
            along_row(row, out, &weights, padded);
        }
        for (y, out) in plane.chunks_exact_mut(size).enumerate() {
            let row = |y: usize| &rows[y.min(size - 1) * size..][..size];
            for (value, centre) in out.iter_mut().zip(row(y)) {
                *value = weights[0] * centre;
            }
            for (distance, weight) in weights.iter().enumerate().skip(1) {
                let (above, below) = (row(y.saturating_sub(distance)), row(y + distance));
                add_pairs(out, above, below, *weight);
            }
        }
    }
}

/// One row, with its ends repeated into `padded`.
fn along_row(row: &[f32], out: &mut [f32], weights: &[f32], padded: &mut [f32]) {
    let (size, radius) = (row.len(), weights.len() - 1);
    padded[..radius].fill(row[0]);
    padded[radius..radius + size].copy_from_slice(row);
    padded[radius + size..].fill(row[size - 1]);
    for (value, centre) in out.iter_mut().zip(row) {
        *value = weights[0] * centre;
    }
    for (distance, weight) in weights.iter().enumerate().skip(1) {
        let left = &padded[radius - distance..];
        let right = &padded[radius + distance..];
        add_pairs(out, &left[..size], &right[..size], *weight);
    }
}

/// Adds the weighted sums of two rows.
fn add_pairs(out: &mut [f32], one: &[f32], other: &[f32], weight: f32) {
    for ((value, a), b) in out.iter_mut().zip(one).zip(other) {
        *value += weight * (a + b);
    }
}

/// Weights of the middle and of each distance from it; with both sides they add up to 1.
fn half_kernel(sigma: f64) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as usize;
    let weight = |distance: usize| (-0.5 * (distance as f64 / sigma).powi(2)).exp();
    let sides: f64 = (1..=radius).map(weight).sum();
    let sum = 1.0 + 2.0 * sides;
    let middle = std::iter::once(1.0);
    middle
        .chain((1..=radius).map(weight))
        .map(|weight| (weight / sum) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, as slow as it is.
    fn direct(plane: &[f32], size: usize, sigma: f64) -> Vec<f32> {
        let reach = (3.0 * sigma).ceil() as i64;
        let at = |x: i64, y: i64| {
            let inside = |v: i64| v.clamp(0, size as i64 - 1) as usize;
            f64::from(plane[inside(y) * size + inside(x)])
        };
        let mut out = Vec::new();
        for y in 0..size as i64 {
            for x in 0..size as i64 {
                let (mut sum, mut weights) = (0.0, 0.0);
                for dy in -reach..=reach {
                    for dx in -reach..=reach {
                        let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp();
                        sum += weight * at(x + dx, y + dy);
                        weights += weight;
                    }
                }
                out.push((sum / weights) as f32);
            }
        }
        out
    }

    #[test]
    fn it_is_the_separable_gaussian() {
        let size = 9;
        let planes: Vec<f32> = (0..3 * size * size)
            .map(|i| ((i * 37) % 101) as f32 / 100.0)
            .collect();
        let mut scratch = Vec::new();
        for sigma in [0.1, 0.7, 2.0, 5.0] {
            let mut blurred = planes.clone();
            blur(&mut blurred, size, sigma, &mut scratch);
            for (plane, blurred) in planes.chunks(size * size).zip(blurred.chunks(size * size)) {
                for (a, b) in direct(plane, size, sigma).iter().zip(blurred) {
                    assert!((a - b).abs() < 1e-5, "sigma {sigma}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn one_colour_stays() {
        let mut plane = vec![0.25; 16];
        blur(&mut plane, 4, 1.5, &mut Vec::new());
        assert!(plane.iter().all(|v| (v - 0.25).abs() < 1e-6));
    }
}
