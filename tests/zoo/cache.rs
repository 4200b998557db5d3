//! The cache: what it keeps, what it finds out, who may use it at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use satmip::zoo::{Selection, State, Tower, Zoo};
use satmip::{Embedder, Error};

use crate::fixture;
use crate::server::{Server, read_all};
use crate::{hasty, named_files, packed};

struct Home {
    dir: tempfile::TempDir,
    server: Server,
}

fn home() -> Home {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    packed(&out);
    let server = Server::of_folder(&out);
    Home { dir, server }
}

impl Home {
    fn cache(&self) -> std::path::PathBuf {
        self.dir.path().join("cache")
    }

    fn zoo(&self) -> Zoo {
        hasty(&self.cache(), &format!("{}/registry.toml", self.server.url)).build()
    }

    fn offline(&self) -> Zoo {
        let registry = format!("{}/registry.toml", self.server.url);
        hasty(&self.cache(), &registry).offline(true).build()
    }
}

#[test]
fn an_embedder_pulls_its_model_once_and_then_needs_no_network() {
    let home = home();
    let chip = home.dir.path().join("chip.png");
    fixture::chip(&chip, 16, 3);
    let embed = |zoo: Zoo| {
        let model = Embedder::builder("tiny").zoo(zoo).load()?;
        model.embed_images(&[&chip])
    };
    assert!(embed(home.offline()).is_err());
    let first = embed(home.zoo()).unwrap();
    let requests = home.server.log().len();
    let second = embed(home.offline()).unwrap();
    assert_eq!(first.view(), second.view());
    assert_eq!(home.server.log().len(), requests);
    let tag = fs::read_to_string(home.cache().join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
}

#[test]
fn a_tower_alone_is_fetched_alone() {
    let home = home();
    let zoo = home.zoo();
    let selection = |precision: Option<&str>, tower| Selection::Part {
        precision: precision.map(str::to_owned),
        tower,
    };
    let folder = zoo
        .pull("tiny", &selection(None, Some(Tower::Image)))
        .unwrap();
    let names = |folder: &Path| fixture::contents(folder).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&folder), ["bundle.json", "image.onnx"]);
    assert_eq!(zoo.state(zoo.find("tiny").unwrap()), State::Partial);
    match home.offline().open("tiny", None) {
        Err(Error::NotCached { model, file }) => {
            assert_eq!(
                (model.as_str(), file.as_str()),
                ("tiny@1.0.0", "metadata.onnx")
            );
        }
        other => panic!("{other:?}"),
    }
    zoo.pull("tiny", &selection(Some("f32"), Some(Tower::Metadata)))
        .unwrap();
    assert_eq!(
        names(&folder),
        [
            "bundle.json",
            "image.onnx",
            "metadata.onnx",
            "tokenizer.json"
        ]
    );
    assert_eq!(home.server.starts("image.onnx").len(), 1);
    home.offline().open("tiny", None).unwrap();
    let error = zoo
        .pull("tiny", &selection(Some("int8"), None))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not there in `int8`, only in f32"),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_is_found_and_mended() {
    let home = home();
    let zoo = home.zoo();
    let folder = zoo.pull("tiny", &Selection::Whole).unwrap();
    for name in ["image.onnx", "bundle.json"] {
        let path = folder.join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, bytes).unwrap();
        let bad: Vec<_> = zoo
            .verify(Some("tiny"))
            .unwrap()
            .into_iter()
            .filter(|c| c.fault.is_some())
            .collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert_eq!(bad[0].path, path);
        assert!(matches!(
            zoo.open("tiny", None),
            Err(Error::Checksum { .. })
        ));
        zoo.pull("tiny", &Selection::Whole).unwrap();
        assert!(
            zoo.verify(Some("tiny"))
                .unwrap()
                .iter()
                .all(|c| c.fault.is_none())
        );
        zoo.open("tiny", None).unwrap();
    }
    // A bundle is read-only: who writes into it would write into the blob.
    let mode = fs::metadata(folder.join("image.onnx"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o222, 0);
}

#[test]
fn what_is_removed_is_gone_and_what_others_need_stays() {
    let home = home();
    let other = home.dir.path().join("other");
    fixture::write_bundle(&other, 2, false);
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(other.join("bundle.json")).unwrap()).unwrap();
    manifest["id"] = "lone".into();
    fs::write(other.join("bundle.json"), manifest.to_string()).unwrap();
    let out = home.dir.path().join("second");
    let registry = satmip::zoo::pack(&other, &out, Default::default(), None).unwrap();
    let place = format!("{}/registry.toml", home.server.url);
    let zoo = hasty(&home.cache(), &place)
        .registry(registry.to_str().unwrap())
        .build();
    zoo.pull("tiny", &Selection::Whole).unwrap();
    zoo.pull("lone", &Selection::Whole).unwrap();
    let freed = zoo.remove("tiny").unwrap();
    assert_eq!(freed, zoo.find("tiny").unwrap().size());
    assert_eq!(
        named_files(&home.cache()).len(),
        4,
        "{:?}",
        named_files(&home.cache())
    );
    zoo.open("lone", None).unwrap();
    assert!(matches!(zoo.path("tiny"), Err(Error::NotCached { .. })));
    assert!(matches!(zoo.remove("tiny"), Err(Error::NotCached { .. })));
    assert!(matches!(
        zoo.remove("unheard-of"),
        Err(Error::UnknownModel { .. })
    ));
}

#[test]
fn threads_at_once_pull_each_file_once() {
    let home = Arc::new(home());
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (home, start) = (Arc::clone(&home), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                home.zoo().pull("tiny", &Selection::Whole).unwrap()
            })
        })
        .collect();
    let folders: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    for folder in folders {
        assert_eq!(
            fixture::contents(&folder),
            fixture::contents(fixture::model())
        );
    }
    assert_eq!(home.server.starts("image.onnx").len(), 1);
}

#[test]
fn a_cache_that_cannot_be_written_still_serves_and_says_so_when_it_must_grow() {
    let home = home();
    let selection = Selection::Part {
        precision: None,
        tower: Some(Tower::Image),
    };
    let folder = home.zoo().pull("tiny", &selection).unwrap();
    // Root may write everywhere: a file in place of a folder stands in for a medium that is read-only.
    let locks = home.cache().join("zoo-1/locks");
    fs::remove_dir_all(&locks).unwrap();
    fs::write(&locks, "").unwrap();
    assert_eq!(home.zoo().pull("tiny", &selection).unwrap(), folder);
    let error = home.zoo().pull("tiny", &Selection::Whole).unwrap_err();
    assert!(matches!(&error, Error::Cache { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--cache-dir"));
}

/// A client of servers has an async runtime inside, and a runtime in a runtime panics.
#[test]
fn a_caller_may_be_async() {
    let home = home();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        home.zoo().pull("tiny", &Selection::Whole).unwrap();
    });
}

#[test]
fn a_mirror_can_be_a_folder_of_this_machine() {
    let dir = fixture::folder();
    let file = packed(&dir.path().join("host"));
    let graph = dir.path().join("host/tiny/1.0.0/image.onnx");
    let zoo = hasty(&dir.path().join("cache"), file.to_str().unwrap()).build();
    let whole = fs::read(&graph).unwrap();
    for (bytes, expected) in [
        (vec![0; whole.len()], "another file"),
        (whole[1..].to_vec(), "bytes, expected"),
    ] {
        fs::write(&graph, bytes).unwrap();
        let error = zoo.pull("tiny", &Selection::Whole).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    fs::write(&graph, whole).unwrap();
    zoo.pull("tiny", &Selection::Whole).unwrap();
    assert!(read_all(&dir.path().join("cache"), &dir.path().join("cache")).len() > 4);
}

#[test]
fn a_slow_server_is_waited_for_while_it_sends() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    packed(&out);
    let server = Server::dripping(&out, 4000, Duration::from_millis(60));
    let registry = format!("{}/registry.toml", server.url);
    hasty(&dir.path().join("cache"), &registry)
        .build()
        .pull("tiny", &Selection::Whole)
        .unwrap();
    assert_eq!(server.starts("image.onnx"), [None]);
}
