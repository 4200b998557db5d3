//! The scenes: what colour is at a place, in pixels from the top left corner.

use super::texture::{
    Colour, hash, in_box, in_hull, lit, mix, noise, rgb, rough, scattered, step, turned,
};

const SOIL: Colour = rgb(0x8d7558);
const GRASS: Colour = rgb(0x6f8048);
const WOOD: Colour = rgb(0x2f4a2c);
const ASPHALT: Colour = rgb(0x5f6062);
const CONCRETE: Colour = rgb(0xa9a59c);
const SEA: Colour = rgb(0x1d3c4c);

/// Fields of crops between hedges, a road and a farm.
pub fn fields(x: f64, y: f64) -> Colour {
    const CROPS: [Colour; 7] = [
        rgb(0x5c7a3a),
        rgb(0x83934a),
        rgb(0xc4ac62),
        rgb(0xa98f5e),
        rgb(0x46662f),
        rgb(0x97844f),
        rgb(0xd0bf7c),
    ];
    let (u, v) = turned(x, y, (128.0, 128.0), 14.0);
    let road = (v - 18.0 - 6.0 * (u / 70.0).sin()).abs();
    if road < 2.2 {
        return lit(rgb(0xb9b2a4), 0.95 + 0.1 * noise(x / 3.0, y / 3.0, 2));
    }
    let below = v > 18.0;
    let column = ((u + if below { 300.0 } else { 318.0 }) / 58.0).floor() as i32;
    let depth = 34.0 + 40.0 * hash(column, i32::from(below), 3);
    let row = ((v + 300.0) / depth).floor() as i32;
    let pick = hash(column, row, 5);
    let crop = CROPS[(pick * 6.999) as usize];
    let across = if hash(column, row, 6) < 0.5 { u } else { v };
    let furrows = 1.0 + 0.05 * (across * 1.9).sin();
    let patches = 0.82 + 0.36 * rough(x / 26.0, y / 26.0, 7);
    let (fu, fv) = (
        (u + if below { 300.0 } else { 318.0 }).rem_euclid(58.0),
        (v + 300.0).rem_euclid(depth),
    );
    let border =
        fu.min(58.0 - fu).min(fv.min(depth - fv)) + 1.6 * (noise(x / 5.0, y / 5.0, 8) - 0.5);
    let hedge = 1.0 - step(0.6, 1.8, border);
    let ground = mix(
        lit(crop, furrows * patches),
        WOOD,
        hedge * if pick < 0.65 { 1.0 } else { 0.35 },
    );
    let (fx, fy) = turned(x, y, (176.0, 172.0), 14.0);
    if in_box(fx, fy, 17.0, 13.0) {
        let barn = in_box(fx + 7.0, fy + 4.0, 6.0, 3.2);
        let house = in_box(fx - 7.0, fy - 4.0, 4.0, 3.0);
        let silo = (fx - 8.0).hypot(fy + 6.0) < 2.6;
        return match (barn, house, silo) {
            (true, ..) => lit(rgb(0xb4b3ae), if fy + 4.0 < 0.0 { 1.0 } else { 0.82 }),
            (_, true, _) => lit(rgb(0x9a5540), if fy < 4.0 { 1.0 } else { 0.8 }),
            (.., true) => rgb(0xd9d9d4),
            _ => mix(SOIL, GRASS, rough(x / 7.0, y / 7.0, 9)),
        };
    }
    ground
}

/// Quays with ships, a yard of containers and a breakwater.
pub fn harbour(x: f64, y: f64) -> Colour {
    const BOXES: [Colour; 5] = [
        rgb(0xa8452f),
        rgb(0x2f5d8c),
        rgb(0xc8882f),
        rgb(0x4c7a56),
        rgb(0xd8d5cd),
    ];
    for (cx, cy, degrees, length, hull) in [
        (44.0, 78.5, 90.0, 24.0, rgb(0x6d3730)),
        (63.5, 86.0, 270.0, 18.0, rgb(0x31475c)),
        (103.0, 76.0, 90.0, 27.0, rgb(0x39424a)),
        (124.0, 30.0, 158.0, 13.0, rgb(0x7d3a30)),
        (128.0, 96.0, 270.0, 8.0, rgb(0xd9dadb)),
    ] {
        let (u, v) = turned(x, y, (cx, cy), degrees);
        if in_hull(u, v, length, length * 0.17) {
            let bridge = in_box(u + length * 0.78, v, length * 0.1, length * 0.13);
            if bridge {
                return rgb(0xe9e9e6);
            }
            if in_box(u + length * 0.05, v, length * 0.56, length * 0.12) {
                return BOXES[(hash((u / 3.2).floor() as i32, (v / 1.8).floor() as i32, 11) * 4.999)
                    as usize];
            }
            return hull;
        }
    }
    let shore = 116.0 + 1.2 * noise(x / 20.0, 0.0, 12);
    let pier = y > 48.0 && ((x - 54.0).abs() < 5.0 || (x - 113.5).abs() < 5.0);
    if y > shore || pier {
        let yard = y > 126.0 && y < 152.0 && x > 12.0 && x < 148.0;
        let (bx, by) = ((x - 12.0) / 5.4, (y - 126.0) / 3.1);
        let lane = (bx / 6.0).fract() > 0.86 || (by / 3.0).fract() > 0.74;
        if yard && !lane && hash(bx as i32, by as i32, 13) > 0.16 {
            return lit(
                BOXES[(hash(bx as i32, by as i32, 14) * 4.999) as usize],
                0.9,
            );
        }
        let crane = pier && ((y - 66.0).abs() < 1.3 || (y - 92.0).abs() < 1.3);
        if crane {
            return rgb(0xd0a03a);
        }
        return lit(CONCRETE, 0.82 + 0.3 * rough(x / 12.0, y / 12.0, 15));
    }
    let (cx, cy) = (x - 30.0, y - 46.0);
    let ring = (cx.hypot(cy) - 38.0).abs();
    if ring < 2.6 && cy < -8.0 && cx > -34.0 {
        return lit(rgb(0x8d877c), 0.7 + 0.6 * scattered(x / 2.2, y / 2.2, 16).0);
    }
    let wake = {
        let (u, v) = turned(x, y, (124.0, 30.0), 158.0);
        if u < -12.0 && v.abs() < 1.2 - u / 16.0 {
            0.5 * step(-60.0, -12.0, u)
        } else {
            0.0
        }
    };
    let ripple = 0.9 + 0.2 * rough(x / 9.0, y / 5.0, 17);
    mix(lit(SEA, ripple), rgb(0xc4d2d4), wake * noise(x, y, 18))
}

/// A runway with its taxiway, an apron and parked aeroplanes.
pub fn runway(x: f64, y: f64) -> Colour {
    let (u, v) = turned(x, y, (128.0, 56.0), -9.0);
    let grass = mix(GRASS, rgb(0x9a9a62), rough(x / 30.0, y / 30.0, 21));
    let grass = lit(grass, 0.9 + 0.2 * noise(x / 3.0, y / 3.0, 22));
    if in_box(u, v, 118.0, 10.0) {
        let end = 118.0 - u.abs();
        let keys =
            (4.0..14.0).contains(&end) && (v.abs() / 1.7).rem_euclid(2.0) < 1.0 && v.abs() < 8.5;
        let centre = v.abs() < 0.7 && end > 20.0 && u.rem_euclid(10.0) < 6.0;
        let touchdown = (26.0..34.0).contains(&end) && (3.0..5.0).contains(&v.abs());
        let edge = (v.abs() - 9.2).abs() < 0.45;
        let rubber = (1.0 - step(0.0, 5.0, v.abs())) * step(70.0, 96.0, u.abs()) * 0.35;
        let tar = lit(
            ASPHALT,
            (0.92 + 0.16 * noise(u / 14.0, v / 2.0, 23)) * (1.0 - rubber),
        );
        return if keys || centre || touchdown || edge {
            rgb(0xe6e5e0)
        } else {
            tar
        };
    }
    let taxi = (v - 34.0).abs() < 4.2 && u.abs() < 112.0
        || (u.abs() - 104.0).abs() < 4.0 && (8.0..36.0).contains(&v)
        || (u - 18.0).abs() < 4.0 && (8.0..60.0).contains(&v);
    let apron = in_box(u - 26.0, v - 64.0, 62.0, 16.0);
    for (i, pu) in [-18.0, 2.0, 26.0, 50.0, 70.0].into_iter().enumerate() {
        let (a, b) = (u - pu, v - 61.0);
        let body = in_box(a, b, 0.9, 7.5);
        let wing = (b - a.abs() * 0.45).abs() < 1.2 && a.abs() < 7.0;
        let tail = (b + 6.2 - a.abs() * 0.4).abs() < 0.7 && a.abs() < 2.8;
        if i != 1 && (body || wing || tail) {
            return rgb(0xf0f0ee);
        }
        let (a, b) = (a + 1.2, b + 1.2);
        if i != 1 && (in_box(a, b, 0.9, 7.5) || (b - a.abs() * 0.45).abs() < 1.2 && a.abs() < 7.0) {
            return lit(CONCRETE, 0.6);
        }
    }
    if taxi {
        let line = (v - 34.0).abs() < 0.4;
        return if line {
            rgb(0xc9b14a)
        } else {
            lit(ASPHALT, 1.1)
        };
    }
    if apron {
        let joint = u.rem_euclid(8.0) < 0.5 || v.rem_euclid(8.0) < 0.5;
        return lit(
            CONCRETE,
            if joint { 0.9 } else { 1.0 } * (0.95 + 0.1 * noise(x / 6.0, y / 6.0, 24)),
        );
    }
    if in_box(u - 26.0, v - 88.0, 56.0, 6.0) {
        return lit(
            rgb(0xdcdad4),
            if u.rem_euclid(14.0) < 1.0 { 0.75 } else { 1.0 },
        );
    }
    grass
}

/// A closed canopy with a track and a clearing.
pub fn forest(x: f64, y: f64) -> Colour {
    let track = (y - 78.0 - 13.0 * (x / 31.0).sin() - 3.0 * noise(x / 9.0, 1.0, 31)).abs();
    let (cx, cy) = turned(x, y, (82.0, 34.0), 20.0);
    let clearing = in_box(cx + 2.0 * noise(x / 4.0, y / 4.0, 32), cy, 17.0, 13.0);
    let bare = mix(SOIL, rgb(0x86804f), rough(x / 8.0, y / 8.0, 33));
    if track < 1.3 {
        return lit(bare, 1.1);
    }
    if clearing {
        let (stump, kind) = scattered(x / 7.0, y / 7.0, 34);
        return if stump < 0.22 && kind > 0.5 {
            WOOD
        } else {
            bare
        };
    }
    let (near, tree) = scattered(x / 4.6, y / 4.6, 35);
    let crown = lit(
        mix(rgb(0x27432a), rgb(0x55713a), tree * tree),
        1.25 - 0.95 * near,
    );
    // Lit from the north-east, as the metadata's season and side of the equator have it.
    let sun = scattered(x / 4.6 + 0.22, y / 4.6 - 0.22, 35).0 - near;
    lit(
        crown,
        1.0 + 0.55 * sun + 0.35 * (rough(x / 40.0, y / 40.0, 36) - 0.5),
    )
}

/// Streets at right angles, houses with shadows, a park.
pub fn town(x: f64, y: f64) -> Colour {
    const ROOFS: [Colour; 6] = [
        rgb(0x9b5a45),
        rgb(0xb9b6b0),
        rgb(0x77706a),
        rgb(0xcfc9bd),
        rgb(0x8a6a55),
        rgb(0x5c6168),
    ];
    let (u, v) = turned(x, y, (64.0, 64.0), 8.0);
    let (u, v) = (u + 400.0, v + 400.0);
    let (bw, bh) = (42.0, 30.0);
    let (block_x, block_y) = ((u / bw).floor() as i32, (v / bh).floor() as i32);
    let (a, b) = (u.rem_euclid(bw), v.rem_euclid(bh));
    if a < 5.0 || b < 4.2 {
        let line = (a - 2.5).abs() < 0.3 && b > 6.0 && v.rem_euclid(4.0) < 2.0;
        let car = hash((u / 3.0) as i32, (v / 4.0) as i32, 41) > 0.93 && (3.2..4.6).contains(&a);
        return match (car, line) {
            (true, _) => rgb(0xd8d8da),
            (_, true) => rgb(0xc9c5b8),
            _ => lit(ASPHALT, 1.05 + 0.1 * noise(x / 5.0, y / 5.0, 42)),
        };
    }
    let tree = |density: f64| {
        let (near, kind) = scattered(x / 5.0, y / 5.0, 43);
        (kind < density && near < 0.42).then(|| lit(WOOD, 1.45 - near * 1.4))
    };
    let lawn = lit(mix(GRASS, rgb(0x8b8a5a), rough(x / 9.0, y / 9.0, 44)), 0.95);
    if hash(block_x, block_y, 45) < 0.17 {
        let pond = (a - 25.0).hypot((b - 17.0) * 1.4) < 6.0;
        let path = (a - 5.0 - (b - 4.0) * 1.42).abs() < 1.0;
        return match (pond, path) {
            (true, _) => rgb(0x3b5a5e),
            (_, true) => rgb(0xbfb49c),
            _ => tree(0.6).unwrap_or(lawn),
        };
    }
    // Two rows of lots on each block; the sun in the south-south-east, shadows up and left.
    let lot = |a: f64, b: f64| {
        let (i, j) = (((a - 5.0) / 9.25).floor(), ((b - 4.2) / 12.9).floor());
        let (cell_x, cell_y) = (block_x * 4 + i as i32, block_y * 2 + j as i32);
        let (dx, dy) = (a - 5.0 - (i + 0.5) * 9.25, b - 4.2 - (j + 0.5) * 12.9);
        let w = 2.4 + 1.5 * hash(cell_x, cell_y, 46);
        let h = 2.6 + 2.0 * hash(cell_x, cell_y, 47);
        (in_box(dx, dy, w, h), dy, hash(cell_x, cell_y, 48))
    };
    let (house, dy, kind) = lot(a, b);
    if house {
        let flat = kind > 0.6;
        let slope = if flat || dy > 0.0 { 1.0 } else { 0.8 };
        return lit(ROOFS[(kind * 5.999) as usize], slope);
    }
    if lot(a + 0.7, b + 1.5).0 {
        return lit(lawn, 0.42);
    }
    tree(0.38).unwrap_or(lawn)
}

/// A meandering river with sandbanks and an old arm, in lowland forest.
pub fn river(x: f64, y: f64) -> Colour {
    let bed = |y: f64| 112.0 + 52.0 * (y / 34.0).sin() + 14.0 * (y / 15.0 + 1.0).sin();
    let slope = (bed(y + 1.0) - bed(y - 1.0)) / 2.0;
    let edge = 5.0 * (rough(x / 16.0, y / 16.0, 51) - 0.5);
    let across = (x - bed(y)) / (1.0 + slope * slope).sqrt() + edge;
    let arm = {
        let (u, v) = turned(x, y, (178.0, 62.0), 30.0);
        let ring = (u.hypot(v * 1.25) - 26.0).abs();
        if u > -9.0 {
            ring + edge.abs() * 0.4
        } else {
            f64::MAX
        }
    };
    let (near, tree) = scattered(x / 3.0, y / 3.0, 52);
    let canopy = lit(mix(rgb(0x2c4a2b), rgb(0x4c6a38), tree), 1.15 - 0.5 * near);
    let canopy = lit(canopy, 0.75 + 0.5 * rough(x / 45.0, y / 45.0, 53));
    let meadow = mix(
        canopy,
        rgb(0x86905a),
        step(0.56, 0.64, rough(x / 32.0, y / 32.0, 54)),
    );
    if arm < 4.0 {
        return mix(rgb(0x3d4f40), meadow, step(2.6, 4.0, arm));
    }
    // Sand lies where the bend turns towards it.
    let bend = bed(y + 8.0) + bed(y - 8.0) - 2.0 * bed(y);
    let bank = 9.0 + 7.0 * step(2.0, 7.0, bend * across.signum());
    let water = lit(
        mix(rgb(0x9a8159), rgb(0x7c6f52), (across / 10.0).abs()),
        0.95 + 0.1 * rough(x / 7.0, y / 22.0, 55),
    );
    let sand = lit(rgb(0xd6c49a), 0.9 + 0.2 * noise(x / 4.0, y / 4.0, 56));
    let shore = across.abs();
    mix(
        mix(water, sand, step(8.6, 9.8, shore)),
        meadow,
        step(bank, bank + 1.4, shore),
    )
}

/// Deep water, shoal, surf, beach and scrub.
pub fn coast(x: f64, y: f64) -> Colour {
    let line = 52.0 + y * 0.22 + 7.0 * (y / 24.0).sin() + 5.0 * rough(0.0, y / 22.0, 61);
    let inland = x - line;
    let depth = -inland + 9.0 * (rough(x / 19.0, y / 19.0, 62) - 0.5);
    let deep = mix(rgb(0x62b0a8), rgb(0x14466a), step(0.0, 38.0, depth));
    let reef = step(0.57, 0.66, rough(x / 13.0, y / 13.0, 63)) * step(4.0, 12.0, depth) * 0.45;
    let sea = lit(
        mix(deep, rgb(0x274a45), reef),
        0.97 + 0.06 * noise(x / 2.0, y / 3.0, 64),
    );
    let foam = |at: f64, width: f64| {
        let wave = inland + at + 2.2 * (y / 11.0).sin() + 3.0 * (noise(y / 6.0, at, 65) - 0.5);
        (1.0 - step(0.0, width, wave.abs())) * step(0.3, 0.6, noise(y / 8.0, at, 66))
    };
    let sea = mix(
        sea,
        rgb(0xf2f4f1),
        foam(1.5, 1.6)
            .max(foam(8.0, 1.0))
            .max(foam(15.0, 0.8) * 0.7),
    );
    let wet = mix(sea, rgb(0xb79f78), step(-0.8, 0.6, inland));
    let beach = mix(wet, rgb(0xe3d3ab), step(0.6, 4.5, inland));
    let (near, bush) = scattered(x / 4.0, y / 4.0, 67);
    let dune = lit(rgb(0xcdbb90), 0.88 + 0.24 * noise(x / 6.0, y / 6.0, 68));
    let scrub = if near < 0.3 + 0.25 * bush {
        lit(rgb(0x5d6b3f), 1.1 - 0.6 * near)
    } else {
        dune
    };
    let land = mix(
        beach,
        scrub,
        step(13.0, 17.0, inland + 4.0 * noise(y / 9.0, 3.0, 69)),
    );
    let road = (inland - 46.0).abs();
    if road < 1.3 { lit(ASPHALT, 1.15) } else { land }
}

/// Dunes in long rows, lit from one side.
pub fn dunes(x: f64, y: f64) -> Colour {
    let height = |x: f64, y: f64| {
        let bend = 5.0 * rough(x / 22.0, y / 22.0, 71);
        let phase = (x * 0.8 + y * 0.45 + 3.0 * bend) / 9.0;
        // A gentle windward and a steep lee side.
        let t = phase.rem_euclid(1.0);
        4.5 * if t < 0.72 { t / 0.72 } else { (1.0 - t) / 0.28 } + 1.2 * rough(x / 5.0, y / 5.0, 75)
    };
    let e = 0.5;
    let (gx, gy) = (
        (height(x + e, y) - height(x - e, y)) / (2.0 * e),
        (height(x, y + e) - height(x, y - e)) / (2.0 * e),
    );
    let light = (1.0 - 0.62 * gx + 0.5 * gy) / (1.0 + gx * gx + gy * gy).sqrt();
    let sand = mix(rgb(0xc98a55), rgb(0xdca56b), rough(x / 30.0, y / 30.0, 77));
    lit(sand, (0.42 + 0.58 * light).clamp(0.25, 1.25))
}

/// Rows of panels in blocks, tracks between them.
pub fn solar_farm(x: f64, y: f64) -> Colour {
    let (u, v) = turned(x, y, (48.0, 48.0), 3.0);
    let ground = lit(
        mix(rgb(0xb09a70), rgb(0x8f8a58), rough(x / 18.0, y / 18.0, 81)),
        0.95,
    );
    let (a, b) = ((u + 37.0).rem_euclid(37.0), (v + 37.0).rem_euclid(37.0));
    let fence = (u.abs().max(v.abs()) - 43.0).abs() < 0.5;
    if u.abs().max(v.abs()) > 42.0 {
        return if fence { lit(ground, 0.8) } else { ground };
    }
    if a < 3.6 || b < 3.6 {
        let hut = (a - 1.8).abs() < 1.4 && (b - 8.0).abs() < 1.8;
        return if hut {
            rgb(0xe4e2dc)
        } else {
            lit(rgb(0xcbb992), 0.95 + 0.1 * noise(x / 3.0, y / 3.0, 82))
        };
    }
    let row = (b - 3.6).rem_euclid(4.17);
    let gap = a.rem_euclid(8.4) < 0.35;
    match row {
        r if r < 2.6 && !gap => {
            let seam = if (r - 1.3).abs() < 0.14 { 1.35 } else { 1.0 };
            lit(
                mix(rgb(0x1e2f52), rgb(0x2d4470), noise(x / 11.0, y / 11.0, 83)),
                seam,
            )
        }
        r if r < 3.2 => lit(ground, 0.62),
        _ => ground,
    }
}

/// Round fields watered from their middle, in a desert.
pub fn pivots(x: f64, y: f64) -> Colour {
    const CROPS: [Colour; 6] = [
        rgb(0x3f6b33),
        rgb(0x5f8440),
        rgb(0x2f5a31),
        rgb(0x9b9657),
        rgb(0xb59a68),
        rgb(0x77703f),
    ];
    let desert = lit(
        mix(rgb(0xc9a579), rgb(0xb58f66), rough(x / 50.0, y / 50.0, 91)),
        0.93 + 0.14 * rough(x / 8.0, y / 8.0, 92),
    );
    let wadi = (x - 236.0 - 22.0 * (y / 60.0).sin() - 9.0 * rough(1.0, y / 22.0, 93)).abs();
    let desert = mix(desert, rgb(0xdcc59b), (1.0 - step(2.0, 7.0, wadi)) * 0.8);
    let (i, j) = (
        (x / 52.0).floor() as i32,
        ((y + 14.0) / 52.0).floor() as i32,
    );
    let (cx, cy) = (f64::from(i) * 52.0 + 26.0, f64::from(j) * 52.0 + 12.0);
    let (dx, dy) = (x - cx, y - cy);
    let radius = dx.hypot(dy);
    let pick = hash(i, j, 94);
    let road = (x - 208.0).abs() < 1.1 || (y - 64.0).abs() < 0.9;
    if pick < 0.14 || i > 3 || radius > 24.0 {
        return if road { rgb(0x8f8577) } else { desert };
    }
    let turn = dy.atan2(dx).to_degrees();
    let start = hash(i, j, 95) * 360.0 - 180.0;
    let half = hash(i, j, 96) < 0.4 && (turn - start).rem_euclid(360.0) < 140.0;
    let crop = CROPS[(hash(i, j, if half { 98 } else { 97 }) * 5.999) as usize];
    let rings = 1.0 + 0.035 * (radius * 2.6).sin();
    let arm = (turn - start).rem_euclid(360.0) < 60.0 / radius.max(1.0) && radius < 23.5;
    let field = lit(crop, rings * (0.88 + 0.24 * rough(x / 14.0, y / 14.0, 99)));
    if arm {
        mix(field, rgb(0xe0ddd2), 0.55)
    } else {
        field
    }
}

/// Mountains with snow, rock and forest in the valley.
pub fn snow(x: f64, y: f64) -> Colour {
    let height = |x: f64, y: f64| {
        let ridge = |s: f64, seed: u32| 1.0 - (2.0 * rough(x / s, y / s, seed) - 1.0).abs();
        34.0 * ridge(92.0, 101) + 13.0 * ridge(37.0, 105) + 4.0 * rough(x / 9.0, y / 9.0, 109)
    };
    let h = height(x, y);
    let e = 0.7;
    let (gx, gy) = (
        (height(x + e, y) - height(x - e, y)) / (2.0 * e),
        (height(x, y + e) - height(x, y - e)) / (2.0 * e),
    );
    // A low sun in the south-south-east.
    let light = ((0.45 - 0.3 * gx - 0.95 * gy) / (1.0 + gx * gx + gy * gy).sqrt()).clamp(0.0, 1.2);
    let steep = gx.hypot(gy);
    let white = mix(rgb(0x8fa6c8), rgb(0xf7f7f4), step(0.05, 0.75, light));
    let rock = mix(rgb(0x3d4048), rgb(0x8d857c), light);
    let (near, _) = scattered(x / 2.4, y / 2.4, 113);
    let trees = lit(mix(rgb(0x1f2d26), rgb(0x55624f), light), 1.1 - 0.5 * near);
    let cover = mix(
        white,
        rock,
        step(1.0, 1.5, steep + 0.5 * rough(x / 6.0, y / 6.0, 114)),
    );
    mix(
        trees,
        cover,
        step(31.0, 34.5, h + 3.0 * (rough(x / 12.0, y / 12.0, 115) - 0.5)),
    )
}

/// White storage tanks with shadows, pipes and a hall.
pub fn tanks(x: f64, y: f64) -> Colour {
    let ground = lit(
        mix(CONCRETE, rgb(0x8c7f68), rough(x / 16.0, y / 16.0, 121)),
        0.85,
    );
    let all = [
        (20.0, 22.0, 12.5),
        (50.0, 22.0, 12.5),
        (80.0, 20.0, 9.5),
        (20.0, 52.0, 12.5),
        (47.0, 50.0, 9.0),
        (84.0, 43.0, 5.0),
        (72.0, 43.0, 5.0),
    ];
    for (cx, cy, r) in all {
        let (dx, dy) = (x - cx, y - cy);
        let distance = dx.hypot(dy);
        if distance < r {
            let rim = if distance > r - 0.8 { 0.82 } else { 1.0 };
            let stair = (dy.atan2(dx) - 0.6).abs() < 0.16 && distance > r * 0.55;
            let shade = 1.0 - 0.09 * step(-r, r, dx + dy);
            return lit(
                if stair { rgb(0x9a9a98) } else { rgb(0xeeeeea) },
                rim * shade,
            );
        }
    }
    for (cx, cy, r) in all {
        // The sun in the south-east: the shadow's length goes with the tank's height.
        let shift = r * 0.4;
        let behind = (0..=4).any(|i| {
            let t = shift * f64::from(i) / 4.0;
            (x - cx + t).hypot(y - cy + t) < r
        });
        if behind {
            return lit(ground, 0.42);
        }
        if ((x - cx).hypot(y - cy) - r - 3.4).abs() < 0.7 {
            return lit(rgb(0x9c8a68), 0.95);
        }
    }
    if in_box(x - 72.0, y - 74.0, 18.0, 11.0) {
        let slope = if (y - 74.0) % 5.5 < 0.0 { 0.9 } else { 1.0 };
        return lit(
            rgb(0x9fb0ba),
            slope
                * if (x - 54.0).rem_euclid(6.0) < 0.6 {
                    0.82
                } else {
                    1.0
                },
        );
    }
    if in_box(x - 70.5, y - 72.0, 18.0, 11.0) {
        return lit(ground, 0.45);
    }
    let pipe = (y - 37.0).abs() < 1.2 && x > 8.0 || (x - 35.0).abs() < 1.2 && y > 12.0 && y < 80.0;
    if pipe {
        let phase = if (y - 37.0).abs() < 1.2 { y } else { x };
        return lit(rgb(0xc9c6bc), 0.75 + 0.3 * (phase * 5.0).sin().abs());
    }
    if y > 89.0 {
        let line = (y - 92.5).abs() < 0.35 && x.rem_euclid(8.0) < 4.0;
        return if line { rgb(0xdad7cc) } else { ASPHALT };
    }
    ground
}

/// A dark lake with islands among wooded hills.
pub fn lake(x: f64, y: f64) -> Colour {
    let h = rough(x / 27.0, y / 20.0, 131);
    let (near, tree) = scattered(x / 2.6, y / 2.6, 135);
    let wood = lit([0.36; 3], (1.2 - 0.6 * near) * (0.8 + 0.4 * tree));
    let bog = lit([0.52; 3], 0.9 + 0.2 * noise(x / 4.0, y / 4.0, 136));
    let land = mix(wood, bog, step(0.62, 0.67, rough(x / 15.0, y / 15.0, 137)));
    let water = lit([0.1; 3], 0.9 + 0.3 * noise(x / 6.0, y / 6.0, 141));
    mix(water, land, step(0.485, 0.5, h))
}
