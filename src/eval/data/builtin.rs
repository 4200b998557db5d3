//! Descriptions that come with the program.

/// Name and text of each description of `zoo/datasets`.
pub const DESCRIPTIONS: [(&str, &str); 12] = [
    (
        "eurosat",
        include_str!("../../../zoo/datasets/eurosat.toml"),
    ),
    (
        "eurosat-rgb",
        include_str!("../../../zoo/datasets/eurosat-rgb.toml"),
    ),
    ("fgsc23", include_str!("../../../zoo/datasets/fgsc23.toml")),
    ("fmow", include_str!("../../../zoo/datasets/fmow.toml")),
    (
        "nrt-romania-s2",
        include_str!("../../../zoo/datasets/nrt-romania-s2.toml"),
    ),
    (
        "optimal31",
        include_str!("../../../zoo/datasets/optimal31.toml"),
    ),
    (
        "planesnet",
        include_str!("../../../zoo/datasets/planesnet.toml"),
    ),
    (
        "resisc45",
        include_str!("../../../zoo/datasets/resisc45.toml"),
    ),
    (
        "sen2ports",
        include_str!("../../../zoo/datasets/sen2ports.toml"),
    ),
    (
        "shipsnet",
        include_str!("../../../zoo/datasets/shipsnet.toml"),
    ),
    ("so2sat", include_str!("../../../zoo/datasets/so2sat.toml")),
    (
        "uc-merced",
        include_str!("../../../zoo/datasets/uc-merced.toml"),
    ),
];
