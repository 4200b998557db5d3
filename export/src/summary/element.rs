//! Element types of the format, those included that the builder does not write.

/// Name of an element type by its number (`TensorProto.DataType`).
pub fn name(element_type: i32) -> String {
    let name = match element_type {
        1 => "f32",
        2 => "u8",
        3 => "i8",
        4 => "u16",
        5 => "i16",
        6 => "i32",
        7 => "i64",
        8 => "text",
        9 => "bool",
        10 => "f16",
        11 => "f64",
        12 => "u32",
        13 => "u64",
        14 => "complex64",
        15 => "complex128",
        16 => "bf16",
        17 => "f8e4m3fn",
        18 => "f8e4m3fnuz",
        19 => "f8e5m2",
        20 => "f8e5m2fnuz",
        21 => "u4",
        22 => "i4",
        23 => "f4e2m1",
        24 => "f8e8m0",
        25 => "u2",
        26 => "i2",
        other => return format!("type {other}"),
    };
    name.to_owned()
}

/// Bits of an element; none for texts and what is not known.
pub(super) fn bits(element_type: i32) -> Option<u32> {
    match element_type {
        25 | 26 => Some(2),
        21..=23 => Some(4),
        2 | 3 | 9 | 17..=20 | 24 => Some(8),
        4 | 5 | 10 | 16 => Some(16),
        1 | 6 | 12 => Some(32),
        7 | 11 | 13 | 14 => Some(64),
        15 => Some(128),
        _ => None,
    }
}

/// Whether numbers of this type are weights, and not places, shapes or truth values.
pub(super) fn is_weight(element_type: i32) -> bool {
    matches!(element_type, 1 | 2 | 3 | 10 | 11 | 14..=26)
}
