//! The arrows between the crates, as DESIGN.md draws them.

use std::collections::BTreeSet;
use std::fs;

mod fixture;

/// Each crate and the crates of the project that it may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("export", &[]),
    (".", &["satmip-export", "satmip-model-*"]),
    ("archive", &["satmip"]),
    ("eval", &["satmip"]),
    ("train", &["satmip", "satmip-eval"]),
    (
        "cli",
        &[
            "satmip",
            "satmip-archive",
            "satmip-eval",
            "satmip-train",
            "satmip-export",
        ],
    ),
];

#[test]
fn no_arrow_turns_back() {
    for (folder, may) in MAY_USE {
        let path = fixture::root().join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let Some(dependencies) = manifest["dependencies"].as_table() else {
            panic!("{} has no dependencies", path.display());
        };
        let ours: BTreeSet<&str> = dependencies
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("satmip"))
            .collect();
        let fits = |name: &str| {
            may.iter().any(|may| match may.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *may,
            })
        };
        for name in &ours {
            assert!(fits(name), "{folder} uses {name}");
        }
    }
}
