//! Files that are told by their content, and documents that are hostile.

use std::fs;
use std::io::Write;

use satmip::metadata::read::{self, MAX_DOCUMENT_BYTES};
use satmip::{Error, Metadata};
use serde_json::json;
use tempfile::TempDir;

use super::stac::item;
use super::{assert_source_error, data, document, written};

#[test]
fn files_are_told_by_their_content() {
    let folder = TempDir::new().unwrap();
    let collection = json!({"type": "FeatureCollection", "features": [document("stac_1.json"), document("stac_0.json")]});
    // The name says nothing, a byte order mark and blanks do no harm.
    let path = written(&folder, "x.csv", format!("\u{feff} \n{collection}"));
    let records = read::from_file(&path).unwrap();
    let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, ["S2B_01LAC", "LC80101172015002LGN00"]);
    assert_eq!(
        records[0].metadata,
        Metadata::from_stac(document("stac_1.json")).unwrap()
    );

    let records = read::from_file(data("fmow.json")).unwrap();
    assert_eq!((records.len(), records[0].key.as_str()), (1, "fmow.json"));
    assert_eq!(read::from_file(data("chips.csv")).unwrap().len(), 3);
}

#[test]
fn files_that_are_nothing_are_named() {
    let folder = TempDir::new().unwrap();
    let deep = "[".repeat(200_000);
    for (name, content, reason) in [
        ("empty", &b""[..], "is empty"),
        ("blank", b" \n ", "is empty"),
        ("cut.json", b"{\"type\": \"Feat", "not valid JSON"),
        ("latin.json", b"{\"id\": \"\xe9\"}", "not valid JSON"),
        ("deep.json", deep.as_bytes(), "not valid JSON"),
        (
            "other.json",
            b"{\"type\": \"Feature\", \"properties\": {}}",
            "neither a STAC item",
        ),
        (
            "collection.json",
            b"{\"type\": \"Collection\", \"stac_version\": \"1.0.0\", \"links\": []}",
            "it is a STAC collection",
        ),
        ("bytes", b"\x7fELF\0\0\0", "neither JSON"),
        ("text.jpg", b"just some words", "no column is the key"),
    ] {
        let path = written(&folder, name, content);
        let error = read::from_file(&path).unwrap_err();
        let line = (name == "text.jpg").then_some(1);
        assert_source_error(&error, name, line, reason);
    }
    let collection =
        json!({"type": "FeatureCollection", "features": [item(json!({"gsd": -1}), json!({}))]});
    let path = written(&folder, "items.json", collection.to_string());
    let error = read::from_file(&path).unwrap_err();
    assert_source_error(&error, "items.json: it", None, "gsd");

    let missing = read::from_file(folder.path().join("missing")).unwrap_err();
    assert!(matches!(missing, Error::Io { ref path, .. } if path.ends_with("missing")));
    assert!(matches!(
        read::from_file(folder.path()).unwrap_err(),
        Error::Io { .. }
    ));
}

#[test]
fn lines_of_items() {
    let folder = TempDir::new().unwrap();
    let one = item(json!({"gsd": 1}), json!({})).to_string();
    let bad = item(json!({"gsd": -1}), json!({})).to_string();
    let fmow = json!({"img_filename": "x.tif", "gsd": 2}).to_string();
    let both =
        json!({"type": "FeatureCollection", "features": [item(json!({"gsd": 3}), json!({}))]});
    let text = format!("\u{feff}{one}\n\n\u{1e}{fmow}\r\n{both}\n");
    let path = written(&folder, "items.txt", &text);
    let records = read::from_file(&path).unwrap();
    let keys: Vec<&str> = records.iter().map(|r| r.key.as_str()).collect();
    assert_eq!(keys, ["it", "line 3", "it"]);
    let gsd: Vec<f64> = records
        .iter()
        .map(|r| r.metadata.gsd().unwrap().x)
        .collect();
    assert_eq!(gsd, [1.0, 2.0, 3.0]);

    // A bad line is named, and costs no other.
    let text = format!("{{\"cut\": \n{bad}\n{one}\n[1]\n{one}");
    let path = written(&folder, "items.ndjson", &text);
    let records: Vec<_> = read::records(&path).unwrap().collect();
    assert_eq!(records.iter().filter(|r| r.is_ok()).count(), 2);
    for (i, reason) in [
        (0, "not valid JSON"),
        (1, "gsd"),
        (3, "neither a STAC item"),
    ] {
        let error = records[i].as_ref().unwrap_err();
        assert_source_error(error, "items.ndjson", Some(i as u64 + 1), reason);
    }
    assert!(read::from_file(&path).is_err());
    // A document over several lines, and one on a single line, are no lines.
    let pretty = serde_json::to_string_pretty(&item(json!({"gsd": 1}), json!({}))).unwrap();
    for text in [pretty, format!("{one}\n\n")] {
        let path = written(&folder, "one.json", text);
        assert_eq!(read::from_file(&path).unwrap().len(), 1);
    }
}

#[test]
fn documents_over_the_limit_are_not_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.json");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"{").unwrap();
    // A sparse file: nothing is written to the disk.
    file.set_len(MAX_DOCUMENT_BYTES * 1000).unwrap();
    assert_source_error(
        &read::from_file(&path).unwrap_err(),
        "large.json",
        None,
        "larger than",
    );
}

#[test]
fn random_changes_of_documents_never_panic() {
    let folder = TempDir::new().unwrap();
    let mut state = 7u64;
    for name in [
        "fmow.json",
        "stac_1.json",
        "stac_0.json",
        "chips.csv",
        "maxar.csv",
    ] {
        let original = fs::read(data(name)).unwrap();
        for _ in 0..300 {
            let mut changed = original.clone();
            for _ in 0..3 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % changed.len();
                changed[at] = b"0[]{}\",-9eN\xff\0\n"[(state >> 20) as usize % 14];
            }
            let path = written(&folder, "changed", changed);
            // Whether it still parses depends on the byte; that it returns is what is checked.
            if let Ok(records) = read::from_file(&path) {
                assert!(
                    records
                        .iter()
                        .all(|record| record.metadata.derived().is_empty())
                );
            }
        }
    }
}
