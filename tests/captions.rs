//! The captions that documents and examples show are those that the program writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use satmip::{Field, FieldSet, Metadata};

/// Endings of files that are read as documents.
const DOCUMENTS: [&str; 9] = [
    "md", "py", "js", "mjs", "html", "hpp", "cpp", "toml", "jsonl",
];
/// Rust is read whole in these folders, and elsewhere its documentation alone: tests hold bad captions on purpose.
const EXAMPLES: [&str; 2] = ["examples", "export"];
/// Folders of what is built, fetched or kept aside.
const SKIPPED: [&str; 6] = ["target", "node_modules", ".git", "shared", "tests", "data"];

/// Text in quotes that begins with a field's label and something that could be its value: no value begins with a
/// small letter.
fn captions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for field in Field::ALL {
        let label = format!("{}: ", field.label());
        for (start, _) in text.match_indices(&label) {
            let Some(quote) = text[..start].chars().next_back() else {
                continue;
            };
            let end = match quote {
                '"' | '\'' | '`' => quote,
                '“' => '”',
                '>' => '<',
                _ => continue,
            };
            let rest = &text[start..];
            let whole = rest.split([end, '\n']).next().unwrap_or(rest);
            let value = whole[label.len()..].chars().next();
            if value.is_some_and(|c| {
                c.is_ascii_uppercase() || c.is_ascii_digit() || "([-+.".contains(c)
            }) {
                found.push(whole);
            }
        }
    }
    found
}

/// A value of a field with brackets or digits behind a label that no quote precedes: it would not be looked at. Inside
/// of a caption the label follows `; `.
fn bare(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for field in [Field::Gsd, Field::PixelSize, Field::Location] {
        let label = format!("{}: (", field.label());
        for (start, _) in text.match_indices(&label) {
            let before = &text[..start];
            let quoted = before.ends_with(['"', '\'', '`', '“', '>']);
            if !quoted && !before.ends_with("; ") && !before.ends_with("Multispectral ") {
                found.push(text[start..].lines().next().unwrap_or_default());
            }
        }
    }
    found
}

fn is_the_programs(caption: &str) -> bool {
    Metadata::from_caption(caption).is_ok_and(|record| record.caption(FieldSet::ALL) == caption)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !SKIPPED.contains(&name.as_str()) {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|ending| {
            ending == "rs" || DOCUMENTS.iter().any(|document| ending == *document)
        }) {
            found.push(path);
        }
    }
}

/// What of a file is a document.
fn document(path: &Path, below: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let example = EXAMPLES.iter().any(|folder| below.starts_with(folder));
    if path.extension().is_some_and(|ending| ending == "rs") && !example {
        let documented = |line: &&str| {
            let line = line.trim_start();
            line.starts_with("///") || line.starts_with("//!")
        };
        return text
            .lines()
            .filter(documented)
            .collect::<Vec<_>>()
            .join("\n");
    }
    text
}

#[test]
fn captions_of_documents_are_the_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(root, &mut paths);
    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in paths {
        let below = path.strip_prefix(root).unwrap();
        let text = document(&path, below);
        let found = captions(&text);
        counts.insert(below.to_owned(), found.len());
        for caption in found.into_iter().filter(|c| !is_the_programs(c)) {
            let rendered = Metadata::from_caption(caption)
                .map_or_else(|e| e.to_string(), |r| r.caption(FieldSet::ALL));
            wrong.push(format!("{}: `{caption}`: {rendered}", below.display()));
        }
        // The guide shows output as it is, some of it cut; .ci/guide.py holds that against the program.
        let shown = below != Path::new("GUIDE.md");
        for caption in bare(&text).into_iter().filter(|_| shown) {
            let below = below.display();
            wrong.push(format!("{below}: `{caption}`: is not in quotes"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is known to show captions was looked at.
    for shown in [
        "zoo/satmip-nano/README.md",
        "zoo/satmip-tiny/README.md",
        "export/consumers/node/embed.mjs",
        "export/consumers/python/embed.py",
        "src/metadata/caption_parse.rs",
    ] {
        let count = counts.get(Path::new(shown)).copied();
        assert!(count.is_some_and(|n| n > 0), "{shown}: {count:?}");
    }
}

/// The golden file's captions come from the program too; its `texts` are for the tokenizer alone.
#[test]
fn captions_of_the_golden_file_are_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("export/consumers/golden/golden.json");
    let golden: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for list in ["chips", "values", "records"] {
        let entries = golden[list].as_array().unwrap();
        assert!(!entries.is_empty(), "{list}");
        for entry in entries {
            let caption = entry["caption"].as_str().unwrap();
            assert!(is_the_programs(caption), "{list}: {caption}");
        }
    }
}

#[test]
fn other_renderings_are_found() {
    let text = "For example `GSD: (10.0, 10.0); Location: (2.35, 48.85)` or \"Cloud cover: 14.0\",\n\
                and <b>GSD: (3.00, 3.00)</b> GSD: (1.0, 1.0)\n`GSD: what it is`, `${label}: 1`";
    let found = captions(text);
    assert_eq!(
        found,
        [
            "GSD: (10.0, 10.0); Location: (2.35, 48.85)",
            "GSD: (3.00, 3.00)",
            "Cloud cover: 14.0",
        ]
    );
    let good: Vec<bool> = found.iter().map(|c| is_the_programs(c)).collect();
    assert_eq!(good, [false, true, false]);
    assert_eq!(bare(text), ["GSD: (1.0, 1.0)"]);
}
