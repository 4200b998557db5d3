//! What a registry may say.

use std::fs;

use satmip::Error;
use satmip::zoo::{Layout, Selection, State, Zoo, pack};

use crate::fixture;
use crate::server::{Answer, Server};
use crate::{hasty, packed};

const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A registry of one model whose parts are as given.
fn registry(id: &str, version: &str, file: &str, size: &str, mirror: &str) -> String {
    format!(
        "format = 1\n[[model]]\nid = {id:?}\nversion = {version:?}\nabout = \"\"\narch = \"\"\nlicence = \"MIT\"\n\
         mirrors = [{mirror:?}]\n[model.files]\n\"bundle.json\" = {{ size = 3, sha256 = {SHA:?} }}\n\
         {file:?} = {{ size = {size}, sha256 = {SHA:?} }}\n"
    )
}

fn reason(text: &str) -> String {
    let dir = fixture::folder();
    let path = dir.path().join("registry.toml");
    fs::write(&path, text).unwrap();
    let zoo = hasty(dir.path(), path.to_str().unwrap()).build();
    match zoo.models() {
        Ok(models) => panic!("accepted: {models:?}"),
        Err(Error::Registry { origin, reason, .. }) => {
            assert_eq!(origin, path.display().to_string());
            reason
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn hostile_registries_are_refused_with_the_reason() {
    let mirror = "m/{file}";
    let cases = [
        (registry("../up", "1.0.0", "a", "3", mirror), "no valid id"),
        (registry("..", "1.0.0", "a", "3", mirror), "no valid id"),
        (registry("a/b", "1.0.0", "a", "3", mirror), "no valid id"),
        (registry("a", "1", "a", "3", mirror), "version"),
        (
            registry("a", "1.0.0", "../a", "3", mirror),
            "no plain file name",
        ),
        (
            registry("a", "1.0.0", "/etc/passwd", "3", mirror),
            "no plain file name",
        ),
        (
            registry("a", "1.0.0", "a\\b", "3", mirror),
            "no plain file name",
        ),
        (
            registry("a", "1.0.0", ".hidden", "3", mirror),
            "no plain file name",
        ),
        (
            registry("a", "1.0.0", "a", "9223372036854775807", mirror),
            "over 17179869184",
        ),
        (registry("a", "1.0.0", "a", "-1", mirror), "invalid value"),
        (registry("a", "1.0.0", "a", "3", "m/one"), "no `{file}`"),
        (
            registry("a", "1.0.0", "a", "3", "http://example.org/{file}"),
            "not encrypted",
        ),
        (
            registry("a", "1.0.0", "a", "3", "ftp://example.org/{file}"),
            "no scheme",
        ),
        (
            registry("a", "1.0.0", "a", "3", "../{file}"),
            "no plain relative path",
        ),
        (
            registry("a", "1.0.0", "a", "3", mirror).replace("ba78", "BA78"),
            "lower-case",
        ),
        (
            registry("a", "1.0.0", "a", "3", mirror).replace("bundle.json", "other"),
            "no `bundle.json`",
        ),
        (
            registry("a", "1.0.0", "a", "3", mirror).replace("format = 1", "format = 2"),
            "format 2",
        ),
        (
            registry("a", "1.0.0", "a", "3", mirror) + "[[model]]\nid = 1\n",
            "invalid type",
        ),
        (String::new(), "format"),
        ("format = 1\nmodel = 3\n".into(), "invalid type"),
        (
            format!("format = 1\n#{}", "x".repeat(5 << 20)),
            "bytes long",
        ),
    ];
    for (text, expected) in cases {
        let reason = reason(&text);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    let one = registry("a", "1.0.0", "a", "3", mirror);
    let twice = one.clone() + one.strip_prefix("format = 1\n").unwrap();
    assert!(reason(&twice).contains("there twice"));
}

#[test]
fn an_id_belongs_to_one_registry() {
    let dir = fixture::folder();
    for name in ["a.toml", "b.toml"] {
        fs::write(
            dir.path().join(name),
            registry("a", "1.0.0", "f", "3", "m/{file}"),
        )
        .unwrap();
    }
    let at = |name: &str| dir.path().join(name).display().to_string();
    let zoo = hasty(dir.path(), &at("a.toml"))
        .registry(at("b.toml"))
        .build();
    let error = zoo.models().unwrap_err().to_string();
    assert!(
        error.contains("b.toml") && error.contains("a.toml"),
        "{error}"
    );
    // The first one that has it is believed.
    assert_eq!(zoo.find("a").unwrap().name(), "a@1.0.0");
    match zoo.find("b") {
        Err(Error::UnknownModel { known, .. }) => {
            assert!(known.contains(&"a".to_owned()), "{known:?}")
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        zoo.find("a@2.0.0"),
        Err(Error::UnknownModel { .. })
    ));
}

#[test]
fn the_newest_version_is_taken() {
    let dir = fixture::folder();
    let mut text = registry("a", "0.9.0", "f", "3", "m/{file}");
    for version in ["0.10.0", "0.10.0-rc.1"] {
        let one = registry("a", version, "f", "3", "m/{file}");
        text += one.strip_prefix("format = 1\n").unwrap();
    }
    let path = dir.path().join("r.toml");
    fs::write(&path, text).unwrap();
    let zoo = hasty(dir.path(), path.to_str().unwrap()).build();
    assert_eq!(zoo.find("a").unwrap().name(), "a@0.10.0");
    assert_eq!(zoo.find("a@0.9.0").unwrap().name(), "a@0.9.0");
}

#[test]
fn a_packed_zoo_is_pulled_from_a_server_and_from_a_folder() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    let file = packed(&out);
    let server = Server::of_folder(&out);
    for (place, cache) in [
        (format!("{}/registry.toml", server.url), "a"),
        (file.display().to_string(), "b"),
    ] {
        let zoo = hasty(&dir.path().join(cache), &place).build();
        let model = zoo.find("tiny").unwrap().clone();
        assert_eq!(zoo.state(&model), State::Remote);
        let folder = zoo.pull("tiny", &Selection::Whole).unwrap();
        assert_eq!(zoo.state(&model), State::Cached);
        assert_eq!(
            fixture::contents(&folder),
            fixture::contents(fixture::model())
        );
        assert_eq!(zoo.path("tiny@1.0.0").unwrap(), folder);
        assert!(
            zoo.verify(None)
                .unwrap()
                .iter()
                .all(|checked| checked.fault.is_none())
        );
    }
}

#[test]
fn names_of_a_release_are_flat_and_have_their_base_first() {
    let dir = fixture::folder();
    let base = "https://example.org/releases/download/zoo-1/";
    let file = pack(fixture::model(), dir.path(), Layout::Flat, Some(base)).unwrap();
    assert!(dir.path().join("tiny-1.0.0-image.onnx").is_file());
    let text = fs::read_to_string(&file).unwrap();
    let first = "https://example.org/releases/download/zoo-1/tiny-1.0.0-{file}";
    assert!(
        text.contains(&format!("mirrors = [\"{first}\", \"tiny-1.0.0-{{file}}\"]")),
        "{text}"
    );
    // The same again changes nothing; another model of the same name is refused.
    pack(fixture::model(), dir.path(), Layout::Flat, Some(base)).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let other = dir.path().join("other");
    fixture::write_bundle(&other, 2, true);
    let error = pack(&other, dir.path(), Layout::Flat, None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a changed model needs a new version"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_servers_registry_is_remembered_for_times_without_a_network() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    packed(&out);
    let text = fs::read(out.join("registry.toml")).unwrap();
    let server = Server::start(move |_, before| match before {
        0 => Answer::whole(&text),
        _ => Answer::status("500 Internal Server Error"),
    });
    let place = format!("{}/registry.toml", server.url);
    let cache = dir.path().join("cache");
    assert!(
        hasty(&cache, &place)
            .offline(true)
            .build()
            .find("tiny")
            .is_err()
    );
    hasty(&cache, &place).build().find("tiny").unwrap();
    hasty(&cache, &place)
        .offline(true)
        .build()
        .find("tiny")
        .unwrap();
    hasty(&cache, &place).build().find("tiny").unwrap();
    assert_eq!(server.log().len(), 2);
}

/// Bundles in `zoo/` and the registry of the program are one and the same.
#[test]
fn the_programs_registry_names_the_bundles_of_this_repository() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo");
    let zoo = Zoo::builder().build();
    let mut seen = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("bundle.json").is_file() {
            continue;
        }
        let bundle = satmip::Bundle::open(&folder).unwrap();
        let manifest = bundle.manifest();
        let name = format!("{}@{}", manifest.id, manifest.version);
        let model = zoo.find(&name).unwrap();
        let mut files = model.files.clone();
        files.remove("bundle.json").unwrap();
        assert_eq!(files, manifest.files, "{name}");
        assert_eq!(model.licence, manifest.licence);
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn a_folder_of_bundles_is_asked_before_registries() {
    let dir = fixture::folder();
    let registry = packed(&dir.path().join("site"));
    let shelf = dir.path().join("shelf");
    fixture::write_bundle(&shelf.join("tiny"), 1, true);
    // A folder that has not the name of its model hides nothing.
    fixture::write_bundle(&shelf.join("other"), 2, true);
    let zoo = hasty(&dir.path().join("cache"), registry.to_str().unwrap())
        .folder(&shelf)
        .offline(true)
        .build();
    for name in ["tiny", "tiny@1.0.0"] {
        let bundle = zoo.open(name, None).unwrap();
        assert_eq!(bundle.path(), shelf.join("tiny"));
        assert_eq!(zoo.path(name).unwrap(), shelf.join("tiny"));
        assert_eq!(zoo.state(zoo.find(name).unwrap()), State::Folder);
    }
    assert!(
        zoo.verify(Some("tiny"))
            .unwrap()
            .iter()
            .all(|checked| checked.fault.is_none())
    );
    fs::write(shelf.join("tiny/image.onnx"), b"another").unwrap();
    let checked = zoo.verify(Some("tiny")).unwrap();
    assert_eq!(
        checked
            .iter()
            .filter(|checked| checked.fault.is_some())
            .count(),
        1
    );
    assert!(matches!(zoo.remove("tiny"), Err(Error::NotCached { .. })));
    for name in ["other", "tiny@1.0.1", "../shelf/tiny"] {
        let error = zoo.open(name, None).unwrap_err();
        assert!(
            matches!(error, Error::UnknownModel { .. }),
            "{name}: {error:?}"
        );
    }
    fs::write(shelf.join("tiny/bundle.json"), b"{}").unwrap();
    assert!(matches!(zoo.open("tiny", None), Err(Error::Bundle { .. })));
}

#[test]
fn a_name_of_the_programs_registry_means_its_bytes_in_a_folder_too() {
    let dir = fixture::folder();
    let shelf = dir.path().join("shelf");
    fixture::write_bundle(&shelf.join("satmip-nano"), 1, true);
    let path = shelf.join("satmip-nano/bundle.json");
    let zoo = Zoo::builder()
        .cache_dir(dir.path())
        .folder(&shelf)
        .offline(true)
        .build();
    let model = zoo.find("satmip-nano").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("\"tiny\"", "\"satmip-nano\"");
    fs::write(&path, text.replace("1.0.0", &model.version.to_string())).unwrap();
    let error = zoo.open("satmip-nano", None).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error:?}");
}
