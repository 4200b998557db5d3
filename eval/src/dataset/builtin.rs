//! Descriptions that come with the program.

/// Name and text of each description of `eval/datasets`.
pub const DESCRIPTIONS: [(&str, &str); 12] = [
    ("eurosat", include_str!("../../datasets/eurosat.toml")),
    (
        "eurosat-rgb",
        include_str!("../../datasets/eurosat-rgb.toml"),
    ),
    ("fgsc23", include_str!("../../datasets/fgsc23.toml")),
    ("fmow", include_str!("../../datasets/fmow.toml")),
    (
        "nrt-romania-s2",
        include_str!("../../datasets/nrt-romania-s2.toml"),
    ),
    ("optimal31", include_str!("../../datasets/optimal31.toml")),
    ("planesnet", include_str!("../../datasets/planesnet.toml")),
    ("resisc45", include_str!("../../datasets/resisc45.toml")),
    ("sen2ports", include_str!("../../datasets/sen2ports.toml")),
    ("shipsnet", include_str!("../../datasets/shipsnet.toml")),
    ("so2sat", include_str!("../../datasets/so2sat.toml")),
    ("uc-merced", include_str!("../../datasets/uc-merced.toml")),
];
