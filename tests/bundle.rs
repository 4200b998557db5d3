//! Bundles: what is written opens, and what is damaged, incomplete or hostile does not.

use std::fs;
use std::path::{Path, PathBuf};

use satmip::arch::{
    Arch, Fit, ImageTower, MetadataSide, MetadataTower, Pool, Preprocessing, Projector,
    ResizeFilter, TextConfig, VitConfig,
};
use satmip::bundle::{self, Bundle, BundleManifest, FORMAT};
use satmip::{Error, FieldSet, zoo};
use tempfile::TempDir;

fn manifest() -> BundleManifest {
    BundleManifest {
        format: FORMAT,
        id: "test-model".into(),
        version: "1".into(),
        arch: Arch {
            preprocessing: Preprocessing {
                size: 8,
                fit: Fit::Crop,
                filter: ResizeFilter::Bicubic,
                mean: [0.5; 3],
                std: [0.25; 3],
            },
            image: ImageTower::Vit(VitConfig {
                patch: 4,
                dim: 8,
                depth: 1,
                heads: 2,
                mlp_ratio: 2,
                pool: Pool::Cls,
                norm_eps: 1e-6,
            }),
            image_projector: Projector::Linear,
            metadata: Some(MetadataSide {
                fields: FieldSet::ALL,
                tower: MetadataTower::Text(TextConfig {
                    vocabulary: 60,
                    context: 30,
                    end_token: 2,
                    dim: 8,
                    depth: 1,
                    heads: 2,
                    norm_eps: 1e-5,
                }),
                projector: Projector::Linear,
            }),
            embed_dim: 4,
        },
        logit_scale: 14.3,
        licence: "MIT".into(),
        precision: "f32".into(),
        variants: Default::default(),
        parity: Default::default(),
        training: r#"{"data": "none"}"#.parse().unwrap(),
        metrics: satmip::Json::default(),
        audit: Default::default(),
        files: Default::default(),
    }
}

/// Opening a bundle looks at no graph: any bytes will do.
const FILES: [(&str, &[u8]); 4] = [
    ("image.onnx", b"image graph"),
    ("metadata.onnx", b"metadata graph"),
    ("tokenizer.json", b"{}"),
    ("README.md", b"# A card\n"),
];

fn written() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("models").join("test-model");
    bundle::write(&dir, manifest(), &FILES).unwrap();
    (root, dir)
}

/// Writes `bundle.json` anew after a change of its JSON.
fn edit(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("bundle.json");
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

/// The reason of an [`Error::Bundle`], with the path it names.
fn reason(dir: &Path) -> String {
    match Bundle::open(dir).unwrap_err() {
        Error::Bundle { path, reason, .. } => {
            assert!(path.starts_with(dir), "{path:?}");
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_opens() {
    let (_root, dir) = written();
    let bundle = Bundle::open(&dir).unwrap();
    let read = bundle.manifest();
    assert_eq!(read.files.len(), FILES.len());
    assert_eq!(read.files["README.md"].size, 9);
    for (name, bytes) in FILES {
        assert_eq!(&*bundle.bytes(name).unwrap(), bytes);
    }
    let expected = BundleManifest {
        files: read.files.clone(),
        ..manifest()
    };
    assert_eq!(read, &expected);
    assert_eq!(bundle.path(), dir);
    // Nothing else is left beside it.
    let names: Vec<_> = fs::read_dir(dir.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn the_same_bundle_has_the_same_bytes() {
    let (_a, first) = written();
    let (_b, second) = written();
    let read = |dir: &Path| fs::read(dir.join("bundle.json")).unwrap();
    assert_eq!(read(&first), read(&second));
}

#[test]
fn an_existing_folder_is_left_alone() {
    let (_root, dir) = written();
    let before = fs::read(dir.join("bundle.json")).unwrap();
    let other = BundleManifest {
        version: "2".into(),
        ..manifest()
    };
    let error = bundle::write(&dir, other, &FILES).unwrap_err();
    assert!(matches!(error, Error::Output { .. }), "{error:?}");
    assert_eq!(fs::read(dir.join("bundle.json")).unwrap(), before);
}

#[test]
fn a_bundle_that_would_not_open_is_not_written() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    let refuse = |manifest: BundleManifest, files: &[(&str, &[u8])], part: &str| {
        let error = bundle::write(&dir, manifest, files).unwrap_err();
        assert!(matches!(error, Error::Bundle { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
    };
    refuse(manifest(), &FILES[1..], "`image.onnx`");
    refuse(manifest(), &FILES[..2], "`tokenizer.json`");
    for name in [
        "../evil",
        "a/b",
        "a\\b",
        "",
        ".",
        "..",
        ".hidden",
        "C:x",
        "bundle.json",
    ] {
        let files: Vec<_> = FILES.into_iter().chain([(name, &b"x"[..])]).collect();
        refuse(manifest(), &files, "`");
    }
    let twice: Vec<_> = FILES.into_iter().chain([FILES[0]]).collect();
    refuse(manifest(), &twice, "twice");
    for logit_scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let bad = BundleManifest {
            logit_scale,
            ..manifest()
        };
        refuse(bad, &FILES, "logit scale");
    }
    for id in ["", "Has Space", "../up", "a/b"] {
        let bad = BundleManifest {
            id: id.into(),
            ..manifest()
        };
        refuse(bad, &FILES, "id");
    }
    let bad = BundleManifest {
        precision: "f64".into(),
        ..manifest()
    };
    refuse(bad, &FILES, "precision");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = bundle::write(&file.join("model"), manifest(), &FILES).unwrap_err();
    assert!(matches!(error, Error::Output { .. }), "{error:?}");
}

#[test]
fn another_size_or_checksum_names_the_file() {
    let (_root, dir) = written();
    let bundle = Bundle::open(&dir).unwrap();
    let path = dir.join("image.onnx");
    for (bytes, expected) in [(&b"imago graph"[..], "sha256"), (b"image graph+", "size")] {
        fs::write(&path, bytes).unwrap();
        for error in [
            Bundle::open(&dir).unwrap_err(),
            // It has changed since it was opened.
            bundle.bytes("image.onnx").unwrap_err(),
        ] {
            match &error {
                Error::Checksum {
                    path: named, what, ..
                } => {
                    assert_eq!((named, *what), (&path, expected));
                }
                other => panic!("{other:?}"),
            }
            assert!(error.hint().is_some());
        }
    }
}

#[test]
fn missing_files_are_named() {
    for name in ["image.onnx", "README.md"] {
        let (_root, dir) = written();
        fs::remove_file(dir.join(name)).unwrap();
        assert_eq!(reason(&dir), format!("`{name}` is missing"));
    }
    let (_root, dir) = written();
    fs::remove_file(dir.join("image.onnx")).unwrap();
    fs::create_dir(dir.join("image.onnx")).unwrap();
    assert_eq!(reason(&dir), "`image.onnx` is no file");

    let (_root, dir) = written();
    fs::remove_file(dir.join("bundle.json")).unwrap();
    assert_eq!(reason(&dir), "it has no `bundle.json`");
    let nowhere = dir.join("nowhere");
    assert!(matches!(Bundle::open(&nowhere), Err(Error::Io { .. })));
}

#[test]
fn a_file_that_the_manifest_does_not_name_is_not_read() {
    let (_root, dir) = written();
    fs::write(dir.join("other.bin"), "x").unwrap();
    let bundle = Bundle::open(&dir).unwrap();
    for name in ["other.bin", "../model", "bundle.json"] {
        assert!(matches!(bundle.bytes(name), Err(Error::Bundle { .. })));
    }
}

#[test]
fn damaged_and_impossible_manifests_are_refused() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change, &str); 14] = [
        ("later", |j| j["format"] = 2.into(), "format 2"),
        (
            "no format",
            |j| drop(j.as_object_mut().unwrap().remove("format")),
            "format",
        ),
        (
            "no arch",
            |j| drop(j.as_object_mut().unwrap().remove("arch")),
            "arch",
        ),
        (
            "impossible",
            |j| j["arch"]["image"]["heads"] = 3.into(),
            "image.heads",
        ),
        (
            "huge",
            |j| j["arch"]["embed_dim"] = (1_u64 << 60).into(),
            "embed_dim",
        ),
        ("negative", |j| j["arch"]["embed_dim"] = (-4).into(), "-4"),
        ("unknown key", |j| j["arch"]["colour"] = 1.into(), "colour"),
        (
            "unknown field",
            |j| j["arch"]["metadata"]["fields"][0] = "mood".into(),
            "mood",
        ),
        ("scale", |j| j["logit_scale"] = (-3).into(), "logit scale"),
        (
            "audit",
            |j| {
                let figures = r#"[{"data": "a", "chips": 1, "auc": 0.7, "low": 0.8, "high": 0.9}]"#;
                j["audit"]["gsd"] = serde_json::from_str(figures).unwrap();
            },
            "an AUC of 0.7 with 0.8 to 0.9 is impossible",
        ),
        (
            "hash",
            |j| j["files"]["README.md"]["sha256"] = "abc".into(),
            "sha256",
        ),
        (
            "path",
            |j| j["files"]["../../etc/passwd"] = j["files"]["README.md"].clone(),
            "plain file name",
        ),
        (
            "absolute path",
            |j| j["files"]["/etc/passwd"] = j["files"]["README.md"].clone(),
            "plain file name",
        ),
        (
            "unlisted",
            |j| drop(j["files"].as_object_mut().unwrap().remove("metadata.onnx")),
            "`metadata.onnx`",
        ),
    ];
    for (label, change, part) in cases {
        let (_root, dir) = written();
        edit(&dir, change);
        let reason = reason(&dir);
        assert!(reason.contains(part), "{label}: {reason}");
    }
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        &[b'['; 100_000],
    ] {
        let (_root, dir) = written();
        fs::write(dir.join("bundle.json"), bytes).unwrap();
        assert!(!reason(&dir).is_empty());
    }
}

#[test]
fn many_files_are_refused() {
    let (_root, dir) = written();
    edit(&dir, |json| {
        for i in 0..100 {
            let entry = json["files"]["README.md"].clone();
            json["files"][format!("file{i}")] = entry;
        }
    });
    assert!(reason(&dir).contains("files"));
}

#[test]
fn a_bundle_in_memory_is_checked_like_one_on_disk() {
    let (_root, dir) = written();
    let json = fs::read(dir.join("bundle.json")).unwrap();
    let files = |from: usize| {
        let files = FILES[from..3].iter();
        files.map(|(name, bytes)| ((*name).to_owned(), (*bytes).into()))
    };
    // The card is left out: a program can do without it.
    let bundle = Bundle::from_parts("built in", &json, files(0)).unwrap();
    assert_eq!(&*bundle.bytes("image.onnx").unwrap(), b"image graph");
    assert!(matches!(
        bundle.bytes("README.md"),
        Err(Error::Bundle { .. })
    ));

    let error = Bundle::from_parts("built in", &json, files(1)).unwrap_err();
    assert!(error.to_string().contains("`image.onnx`"), "{error}");
    let wrong = files(0).map(|(name, _)| (name, b"image graqh"[..].into()));
    let error = Bundle::from_parts("built in", &json, wrong).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error:?}");
    let extra = files(0).chain([("other".to_owned(), b"x"[..].into())]);
    let error = Bundle::from_parts("built in", &json, extra).unwrap_err();
    assert!(error.to_string().contains("`other`"), "{error}");
}

#[test]
fn names_resolve_to_folders_and_known_models() {
    let (_root, dir) = written();
    let bundle = zoo::resolve(dir.to_str().unwrap()).unwrap();
    assert_eq!(bundle.manifest().id, "test-model");

    let error = zoo::resolve("satmip-enormous").unwrap_err();
    match &error {
        Error::UnknownModel { id, known } => {
            assert_eq!(id, "satmip-enormous");
            for name in zoo::known() {
                assert!(known.iter().any(|id| id == name), "{name} in {known:?}");
            }
            assert!(known.is_sorted());
        }
        other => panic!("{other:?}"),
    }
    assert!(error.hint().is_some());

    let empty = dir.join("empty");
    fs::create_dir(&empty).unwrap();
    let error = zoo::resolve(empty.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Bundle { .. }), "{error:?}");
}
