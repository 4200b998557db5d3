//! Bad networks and bad servers: never a wrong file under a right name, and a message that says what.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use satmip::Error;
use satmip::zoo::{Event, Selection, Zoo};
use sha2::Digest;

use crate::fixture;
use crate::server::{Answer, Request, Server, read_all};
use crate::{hasty, named_files, packed};

const GRAPH: &str = "tiny/1.0.0/image.onnx";

/// A packed zoo on a server whose image graph is served as a test says.
struct Host {
    _dir: tempfile::TempDir,
    cache: PathBuf,
    server: Server,
    graph: Vec<u8>,
}

impl Host {
    fn new(fault: impl Fn(&Request, usize, &[u8]) -> Answer + Send + Sync + 'static) -> Host {
        let dir = fixture::folder();
        let out = dir.path().join("host");
        packed(&out);
        let files = read_all(&out, &out);
        let graph = files[GRAPH].clone();
        let server = Server::start(move |request, before| {
            let path = request.path.trim_start_matches('/');
            match files.get(path) {
                Some(body) if path == GRAPH => fault(request, before, body),
                Some(body) => Answer::good(request, body, "\"1\""),
                None => Answer::status("404 Not Found"),
            }
        });
        Host {
            cache: dir.path().join("cache"),
            _dir: dir,
            server,
            graph,
        }
    }

    fn zoo(&self) -> Zoo {
        hasty(&self.cache, &format!("{}/registry.toml", self.server.url)).build()
    }

    /// Pulls, and the bundle is the right one.
    fn succeeds(&self) -> Vec<Option<usize>> {
        let folder = self.zoo().pull("tiny", &Selection::Whole).unwrap();
        assert_eq!(
            fixture::contents(&folder),
            fixture::contents(fixture::model())
        );
        satmip::Bundle::open(&folder).unwrap();
        self.server.starts("image.onnx")
    }

    /// Pulls in vain; what was said of it. The graph has a name nowhere.
    fn fails(&self) -> String {
        let error = self.zoo().pull("tiny", &Selection::Whole).unwrap_err();
        assert!(error.hint().is_some());
        let Error::Fetch {
            model,
            file,
            reason,
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(
            (model.as_str(), file.as_str()),
            ("tiny@1.0.0", "image.onnx")
        );
        assert!(reason.contains(&self.server.url), "{reason}");
        let hash = sha2::Sha256::digest(&self.graph);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        for name in named_files(&self.cache) {
            assert!(
                !name.ends_with("image.onnx") && !name.ends_with(&hash),
                "{name}"
            );
        }
        println!("{error}");
        error.to_string()
    }

    fn parts(&self) -> Vec<Vec<u8>> {
        let folder = self.cache.join("zoo-1/parts");
        let parts = read_all(&folder, &folder).into_iter();
        parts
            .filter(|(name, _)| !name.ends_with(".json"))
            .map(|(_, bytes)| bytes)
            .collect()
    }
}

#[test]
fn a_connection_cut_at_every_tenth_goes_on_where_it_stopped() {
    let host = Host::new(|request, before, body| {
        let answer = Answer::good(request, body, "\"1\"");
        match before {
            0..9 => answer.cut(body.len() / 10),
            _ => answer,
        }
    });
    let tenth = host.graph.len() / 10;
    let expected: Vec<_> = (0..10).map(|i| (i > 0).then_some(i * tenth)).collect();
    assert_eq!(host.succeeds(), expected);
    let asked: Vec<_> = host
        .server
        .log()
        .into_iter()
        .filter(|r| r.path.ends_with("image.onnx"))
        .collect();
    assert!(
        asked[1..]
            .iter()
            .all(|r| r.if_range.as_deref() == Some("\"1\"")),
        "{asked:?}"
    );
}

#[test]
fn a_later_process_goes_on_as_well() {
    let host = Host::new(|request, before, body| {
        let answer = Answer::good(request, body, "\"1\"");
        match before {
            0 => answer.cut(body.len() / 2),
            1..3 => Answer::status("503 Service Unavailable"),
            _ => answer,
        }
    });
    host.fails();
    assert_eq!(host.parts(), [&host.graph[..host.graph.len() / 2]]);
    assert_eq!(host.succeeds().last().unwrap(), &Some(host.graph.len() / 2));
    assert!(host.parts().is_empty());
}

#[test]
fn a_server_that_ignores_ranges_begins_anew() {
    let host = Host::new(|_, before, body| match before {
        0 => Answer::whole(body).cut(body.len() / 2),
        _ => Answer::whole(body),
    });
    assert_eq!(host.succeeds(), [None, Some(host.graph.len() / 2)]);
}

#[test]
fn a_server_that_sends_another_range_is_begun_anew() {
    let host = Host::new(|request, before, body| match (before, request.from) {
        (0, _) => Answer::whole(body).cut(body.len() / 2),
        (_, Some(_)) => Answer {
            body: body.to_vec(),
            ..Answer::status("206 Partial Content").with(
                "Content-Range",
                format!("bytes 0-{}/{}", body.len() - 1, body.len()),
            )
        },
        _ => Answer::whole(body),
    });
    assert_eq!(host.succeeds(), [None, Some(host.graph.len() / 2), None]);
}

#[test]
fn more_or_fewer_bytes_than_the_file_has_are_refused() {
    let more = Host::new(|_, _, body| Answer::whole(&[body, b"more"].concat()));
    assert!(more.fails().contains("bytes, expected"));
    let unsaid = Host::new(|request, _, body| match request.from {
        // A part that is longer than what is missing.
        Some(from) => Answer {
            body: [&body[from..], b"more"].concat(),
            ..Answer::status("206 Partial Content").with(
                "Content-Range",
                format!("bytes {from}-{}/*", body.len() + 3),
            )
        },
        None => Answer::whole(body).cut(body.len() / 2),
    });
    assert!(unsaid.fails().contains("more than the"));
    let fewer = Host::new(|_, _, body| Answer::whole(&body[..body.len() - 1]));
    assert!(fewer.fails().contains("bytes, expected"));
    let broken = Host::new(|_, _, body| Answer::whole(body).cut(0));
    assert!(broken.fails().contains("after 0 of"));
    assert_eq!(broken.server.starts("image.onnx").len(), 3);
}

#[test]
fn an_etag_that_changes_begins_anew() {
    // A good server answers with the whole file, a careless one with the rest of another file.
    for careless in [false, true] {
        let host = Host::new(move |request, before, body| {
            let other = vec![7; body.len()];
            match before {
                0 => Answer::good(request, &other, "\"old\"").cut(body.len() / 2),
                1 if careless => {
                    let honest = Request {
                        if_range: None,
                        ..request.clone()
                    };
                    Answer::good(&honest, body, "\"new\"")
                }
                _ => Answer::good(request, body, "\"new\""),
            }
        });
        let starts = host.succeeds();
        assert_eq!(starts.len(), 2 + usize::from(careless), "{starts:?}");
    }
}

#[test]
fn a_wrong_file_is_never_kept() {
    let host = Host::new(|_, _, body| Answer::whole(&vec![7; body.len()]));
    assert!(host.fails().contains("another file: its sha256 is"));
    assert_eq!(host.parts(), [Vec::<u8>::new()]);
    assert_eq!(host.server.starts("image.onnx").len(), 1);
    // Bytes that an earlier process left may be the wrong ones: then they are fetched anew, once.
    let half = Host::new(|request, before, body| match before {
        0 => Answer::whole(&vec![7; body.len()]).cut(body.len() / 2),
        1..3 => Answer::status("500 Internal Server Error"),
        _ => Answer::good(request, body, "\"1\""),
    });
    half.fails();
    let n = half.graph.len() / 2;
    assert_eq!(half.succeeds(), [None, Some(n), Some(n), Some(n), None]);
}

#[test]
fn a_second_mirror_is_asked_when_the_first_one_fails() {
    let good = Host::new(|request, _, body| Answer::good(request, body, "\"1\""));
    let bad = Server::start(|_, _| Answer::whole(b"a page that says hello"));
    let text = fs::read_to_string(good._dir.path().join("host/registry.toml")).unwrap();
    let mirrors = format!(
        "mirrors = [\"{}/{{file}}\", \"{}/tiny/1.0.0/{{file}}\"]",
        bad.url, good.server.url
    );
    let line = text
        .lines()
        .find(|line| line.starts_with("mirrors"))
        .unwrap();
    let path = good._dir.path().join("two.toml");
    fs::write(&path, text.replace(line, &mirrors)).unwrap();
    let zoo = hasty(&good.cache, path.to_str().unwrap()).build();
    zoo.pull("tiny", &Selection::Whole).unwrap();
    assert_eq!(bad.log().len(), 4);
}

#[test]
fn answers_without_a_file_are_passing_or_lasting() {
    let missing = Host::new(|_, _, _| Answer::status("404 Not Found"));
    assert!(missing.fails().contains("404 Not Found"));
    assert_eq!(missing.server.starts("image.onnx").len(), 1);
    for status in [
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ] {
        let host = Host::new(move |request, before, body| match before {
            0..2 => Answer::status(status).with("Retry-After", "0"),
            _ => Answer::good(request, body, "\"1\""),
        });
        assert_eq!(host.succeeds().len(), 3, "{status}");
        let host = Host::new(move |_, _, _| Answer::status(status));
        assert!(host.fails().contains(status));
        assert_eq!(host.server.starts("image.onnx").len(), 3, "{status}");
    }
}

#[test]
fn a_server_may_ask_to_wait_but_not_for_long() {
    let host = Host::new(|request, before, body| match before {
        0 => Answer::status("429 Too Many Requests").with("Retry-After", "1"),
        _ => Answer::good(request, body, "\"1\""),
    });
    let began = Instant::now();
    host.succeeds();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let host =
        Host::new(|_, _, _| Answer::status("429 Too Many Requests").with("Retry-After", "86400"));
    assert!(host.fails().contains("asks to wait 86400 s"));
    assert_eq!(host.server.starts("image.onnx").len(), 1);
}

#[test]
fn redirects_stay_encrypted_and_end() {
    let to = |place: String| {
        Host::new(
            move |request, _, body| match request.path.contains("moved") {
                true => Answer::good(request, body, "\"1\""),
                false => Answer::status("302 Found").with("Location", place.clone()),
            },
        )
    };
    assert!(
        to("http://example.org/image.onnx".into())
            .fails()
            .contains("not encrypted")
    );
    assert!(
        to("file:///etc/passwd".into())
            .fails()
            .contains("refused: file:///etc/passwd")
    );
    assert!(
        to(format!("/{GRAPH}"))
            .fails()
            .contains("over 10 redirects")
    );
    // One that is allowed is followed, and a cut file goes on through it.
    let elsewhere = Host::new(|request, before, body| {
        let answer = Answer::good(request, body, "\"1\"");
        if before == 0 { answer.cut(100) } else { answer }
    });
    let url = format!("{}/{GRAPH}", elsewhere.server.url);
    let host = to(url);
    assert_eq!(host.succeeds().len(), 2);
    assert_eq!(elsewhere.server.starts("image.onnx"), [None, Some(100)]);
}

#[test]
fn silence_and_drips_are_given_up() {
    let drip = Host::new(|_, _, body| Answer::whole(body).dripping(1, Duration::from_millis(20)));
    let began = Instant::now();
    assert!(drip.fails().contains("fewer than 10000 bytes a second"));
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(drip.server.starts("image.onnx").len(), 3);
    let silent = Host::new(|_, _, body| Answer::whole(body).dripping(100, Duration::from_secs(60)));
    assert!(silent.fails().contains("timed out"));
}

#[test]
fn nobody_listens() {
    let host = Host::new(|request, _, body| Answer::good(request, body, "\"1\""));
    let text = fs::read_to_string(host._dir.path().join("host/registry.toml")).unwrap();
    let path = host._dir.path().join("nobody.toml");
    // Port 9 is discard's; whoever has it sends nothing.
    fs::write(
        &path,
        text.replace("\"tiny/1.0.0", "\"http://127.0.0.1:9/tiny"),
    )
    .unwrap();
    let zoo = hasty(&host.cache, path.to_str().unwrap()).build();
    let error = zoo.pull("tiny", &Selection::Whole).unwrap_err();
    assert!(matches!(error, Error::Fetch { .. }), "{error:?}");
    assert!(named_files(&host.cache).is_empty());
}

#[test]
fn a_registry_that_lies_about_a_bundle_is_found_out() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    let path = packed(&out);
    let text = fs::read_to_string(&path).unwrap();
    let pull = |name: &str, text: String| {
        fs::write(&path, text).unwrap();
        let zoo = hasty(&dir.path().join("cache"), path.to_str().unwrap()).build();
        zoo.pull(name, &Selection::Whole).unwrap_err().to_string()
    };
    let renamed = pull("famous", text.replace("id = \"tiny\"", "id = \"famous\""));
    assert!(renamed.contains("is of tiny@1.0.0"), "{renamed}");
    let size = fs::metadata(out.join(GRAPH)).unwrap().len();
    let longer = pull(
        "tiny",
        text.replace(&format!("size = {size}"), &format!("size = {}", size + 1)),
    );
    assert!(
        longer.contains("is not the file that its `bundle.json` names"),
        "{longer}"
    );
}

#[test]
fn what_happens_is_told() {
    let host = Host::new(|request, before, body| {
        let answer = Answer::good(request, body, "\"1\"");
        if before == 0 { answer.cut(10) } else { answer }
    });
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let into = told.clone();
    let registry = format!("{}/registry.toml", host.server.url);
    let zoo = hasty(&host.cache, &registry).on_event(move |event| {
        let line = match event {
            Event::Model { model, bytes } => {
                format!("model {} {bytes} {}", model.name(), model.licence)
            }
            Event::File { file, size } => format!("file {file} {size}"),
            Event::Retry { reason, .. } => format!("retry {reason}"),
            _ => return,
        };
        into.lock().unwrap().push(line);
    });
    zoo.build().pull("tiny", &Selection::Whole).unwrap();
    let told = told.lock().unwrap().join("\n");
    let size = |name: &str| fs::metadata(fixture::model().join(name)).unwrap().len();
    let all: u64 = ["image.onnx", "metadata.onnx", "tokenizer.json"]
        .map(size)
        .iter()
        .sum();
    assert!(
        told.contains(&format!("model tiny@1.0.0 {all} MIT")),
        "{told}"
    );
    assert!(
        told.contains(&format!("file image.onnx {}", size("image.onnx"))),
        "{told}"
    );
    assert!(told.contains("retry after 10 of"), "{told}");
}

/// The cache of a zoo whose parts were tampered with.
#[test]
fn a_part_that_is_longer_than_its_file_is_forgotten() {
    let host = Host::new(|request, before, body| match before {
        0 => Answer::good(request, body, "\"1\"").cut(50),
        1..3 => Answer::status("503 Service Unavailable"),
        _ => Answer::good(request, body, "\"1\""),
    });
    host.fails();
    let folder: &Path = &host.cache.join("zoo-1/parts");
    let part = read_all(folder, folder)
        .into_keys()
        .find(|name| !name.ends_with(".json"))
        .unwrap();
    fs::write(folder.join(part), vec![1; host.graph.len() + 1]).unwrap();
    assert_eq!(host.succeeds().last().unwrap(), &None);
}
