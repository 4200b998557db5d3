//! Random but repeatable textures, and shapes with soft edges.

/// Red, green and blue, 0 to 1.
pub type Colour = [f64; 3];

/// A colour from its usual hexadecimal form.
pub const fn rgb(hex: u32) -> Colour {
    [
        ((hex >> 16) & 255) as f64 / 255.0,
        ((hex >> 8) & 255) as f64 / 255.0,
        (hex & 255) as f64 / 255.0,
    ]
}

/// `a` at 0, `b` at 1.
pub fn mix(a: Colour, b: Colour, share: f64) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// Brighter or darker by a factor.
pub fn lit(colour: Colour, factor: f64) -> Colour {
    colour.map(|v| v * factor)
}

/// 0 below `from`, 1 above `to`, smooth between them.
pub fn step(from: f64, to: f64, value: f64) -> f64 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A value in 0 to 1 for each cell of a grid.
pub fn hash(x: i32, y: i32, seed: u32) -> f64 {
    let mut h = (x as u32)
        .wrapping_mul(0x9e37_79b1)
        .wrapping_add((y as u32).wrapping_mul(0x85eb_ca77))
        .wrapping_add(seed.wrapping_mul(0xc2b2_ae3d));
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    f64::from(h ^ (h >> 15)) / f64::from(u32::MAX)
}

/// Smooth noise in 0 to 1 with features of about one unit.
pub fn noise(x: f64, y: f64, seed: u32) -> f64 {
    let (cx, cy) = (x.floor(), y.floor());
    let (tx, ty) = (step(0.0, 1.0, x - cx), step(0.0, 1.0, y - cy));
    let at = |i: i32, j: i32| hash(cx as i32 + i, cy as i32 + j, seed);
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * tx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * tx;
    top + (bottom - top) * ty
}

/// Noise with details of 4 sizes, the largest about one unit; about 0 to 1.
pub fn rough(x: f64, y: f64, seed: u32) -> f64 {
    let mut sum = 0.0;
    let (mut size, mut weight) = (1.0, 0.5333);
    for octave in 0..4 {
        sum += weight * noise(x * size, y * size, seed + octave);
        size *= 2.03;
        weight *= 0.5;
    }
    sum
}

/// Distance to the nearest of points scattered one to a cell, and that cell's random value.
pub fn scattered(x: f64, y: f64, seed: u32) -> (f64, f64) {
    let (cx, cy) = (x.floor() as i32, y.floor() as i32);
    let mut nearest = (f64::MAX, 0.0);
    for j in cy - 1..=cy + 1 {
        for i in cx - 1..=cx + 1 {
            let px = f64::from(i) + hash(i, j, seed);
            let py = f64::from(j) + hash(i, j, seed + 1);
            let distance = (x - px).hypot(y - py);
            if distance < nearest.0 {
                nearest = (distance, hash(i, j, seed + 2));
            }
        }
    }
    nearest
}

/// A place seen from a turned frame around a centre; degrees clockwise.
pub fn turned(x: f64, y: f64, centre: (f64, f64), degrees: f64) -> (f64, f64) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = (x - centre.0, y - centre.1);
    (x * cos + y * sin, y * cos - x * sin)
}

/// Whether a place is in a rectangle around (0, 0).
pub fn in_box(x: f64, y: f64, half_width: f64, half_height: f64) -> bool {
    x.abs() <= half_width && y.abs() <= half_height
}

/// Whether a place is in a ship's outline around (0, 0), its bow to the right.
pub fn in_hull(x: f64, y: f64, half_length: f64, half_width: f64) -> bool {
    let bow = 1.0 - step(0.45, 1.0, x / half_length);
    x.abs() <= half_length && y.abs() <= half_width * bow
}
