//! Scenes and catalogues of servers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::scenes::{cut, errors, raster, rows};
use super::server::{Answer, Request, Server, read_all};
use super::*;

const ETAG: &str = "\"1\"";
/// Where the second of three parts of [`large`] begins.
const MIDDLE: std::ops::Range<usize> = 4_000_000..8_000_000;

fn files() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/rasters");
    read_all(&folder, &folder)
}

fn good(files: &BTreeMap<String, Vec<u8>>, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    match files.get(path.trim_start_matches('/')) {
        Some(body) => Answer::good(request, body, ETAG),
        None => Answer::status("404 Not Found"),
    }
}

/// Rows without what says where their scene is.
fn placeless(rows: Vec<Value>) -> Vec<Value> {
    let strip = |mut row: Value| {
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        row["id"] = json!(id.rsplit('/').next());
        row.as_object_mut().map(|row| row.remove("source"));
        row
    };
    rows.into_iter().map(strip).collect()
}

#[test]
fn a_scene_of_a_server_gives_the_rows_of_its_copy_here() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("here");
    embed(&cut(&raster("u16"), &here)).unwrap();
    let files = files();
    let server = Server::start(move |request, _| good(&files, request));
    for workers in [1, 4] {
        let there = dir.path().join(format!("there{workers}"));
        let address = format!("{}/u16.tif?signature=secret", server.url);
        let mut config = cut(Path::new(&address), &there);
        config.workers = workers;
        let report = embed(&config).unwrap();
        assert_eq!((report.rows, report.skipped), (6, 0));
        assert_eq!(placeless(rows(&there)), placeless(rows(&here)));
        // Who may read it is written nowhere.
        for (name, text) in contents(&there) {
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("secret"), "{name}: {text}");
        }
        // Nor is it asked for without that.
        assert!(server.log().iter().all(|r| r.path.contains("secret")));
    }
}

#[test]
fn lists_hold_addresses_and_items_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let files = files();
    let server = Server::start(move |request, _| good(&files, request));
    let list = dir.path().join("list.txt");
    let text = format!("{0}/u16.tif\nftp://host/x.tif\n{0}/none.tif\n", server.url);
    std::fs::write(&list, text).unwrap();
    let out = dir.path().join("list");
    let report = embed(&cut(&list, &out)).unwrap();
    assert_eq!((report.rows, report.skipped), (6, 2));
    let kinds: Vec<_> = errors(&out).iter().map(|e| e["kind"].clone()).collect();
    assert_eq!(kinds, ["other", "missing"]);
    let item = json!({"type": "Feature", "stac_version": "1.0.0", "id": "a", "links": [], "geometry": null,
        "properties": {"datetime": "2024-05-01T10:00:00Z"},
        "assets": {"visual": {"href": format!("{}/u16.tif?token=secret", server.url)}}});
    let path = dir.path().join("item.json");
    std::fs::write(&path, item.to_string()).unwrap();
    let out = dir.path().join("item");
    let mut config = cut(&path, &out);
    config.assets = vec!["visual".into()];
    assert_eq!(embed(&config).unwrap().rows, 6);
    assert_eq!(rows(&out)[0]["source"], format!("{}/u16.tif", server.url));
}

/// An interface of three pages, which asks for the last one by what is sent.
#[test]
fn pages_of_an_interface_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let files = files();
    let host = Arc::new(std::sync::OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let server = Server::start(move |request, _| {
        let Some(page) = request.path.strip_prefix("/search?page=") else {
            return good(&files, request);
        };
        let host = own.get().unwrap();
        let item = |id: &str| {
            json!({"type": "Feature", "stac_version": "1.1.0", "id": id, "geometry": null, "links": [],
                "properties": {"datetime": "2024-05-01T10:00:00Z"}, "assets": {"visual": {"href": "./u16.tif"}}})
        };
        let next = match page {
            "1" => json!([{"rel": "next", "href": "?page=2"}]),
            "2" => {
                json!([{"rel": "next", "href": "?page=3", "method": "POST", "body": {"token": "t"}}])
            }
            // It names itself, as faulty interfaces do at their end.
            _ if request.sent == r#"{"token":"t"}"# => {
                json!([{"rel": "next", "href": format!("{host}/search?page=3"), "method": "POST", "body": {"token": "t"}}])
            }
            _ => return Answer::status("400 Bad Request"),
        };
        let page = json!({"type": "FeatureCollection", "features": [item(page)], "links": next});
        Answer::whole(page.to_string().as_bytes())
    });
    host.set(server.url.clone()).unwrap();
    let out = dir.path().join("out");
    let address = format!("{}/search?page=1", server.url);
    let mut config = cut(Path::new(&address), &out);
    config.assets = vec!["visual".into()];
    let report = embed(&config).unwrap();
    assert_eq!((report.rows, report.skipped), (18, 1));
    let error = &errors(&out)[0];
    assert!(
        error["reason"].as_str().unwrap().contains("itself"),
        "{error}"
    );
    let names: Vec<_> = rows(&out)
        .iter()
        .map(|row| row["item_id"].clone())
        .collect();
    assert_eq!((&names[0], &names[17]), (&json!("1"), &json!("3")));
}

/// 2,048 x 2,048 pixels in strips of 16 rows, as they are: 12 MiB, of which 4 MiB are read at a time, and behind them
/// the header.
fn large() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let pixels: Vec<u8> = (0..2048 * 2048 * 3).map(|i: u32| (i % 251) as u8).collect();
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder
        .new_image::<tiff::encoder::colortype::RGB8>(2048, 2048)
        .unwrap();
    image.rows_per_strip(16).unwrap();
    image.write_data(&pixels).unwrap();
    file.into_inner()
}

/// What becomes of a scene on a server that does this with its requests.
fn fate(
    answer: impl Fn(&Request, usize, &[u8]) -> Answer + Send + Sync + 'static,
) -> (u64, String) {
    let dir = tempfile::tempdir().unwrap();
    let body = large();
    let server = Server::start(move |request, before| answer(request, before, &body));
    let out = dir.path().join("out");
    let mut config = cut(Path::new(&format!("{}/large.tif", server.url)), &out);
    config.windows = Some(Tiling::new(256, 256, Edge::Shift).unwrap());
    config.reading = ReadOptions::default();
    let report = embed(&config).unwrap();
    let reasons = errors(&out);
    let reason = reasons
        .first()
        .map_or(String::new(), |e| e["reason"].to_string());
    (report.rows, reason)
}

/// How often a part was asked for before.
fn before(asked: &Mutex<BTreeMap<Option<usize>, u32>>, from: Option<usize>) -> u32 {
    let mut asked = asked.lock().unwrap();
    let times = asked.entry(from).or_default();
    *times += 1;
    *times - 1
}

#[test]
fn servers_that_misbehave_cost_what_they_break() {
    // At first it is busy, then it breaks off, and at last it answers.
    let asked = Mutex::new(BTreeMap::<_, u32>::new());
    let (rows, reason) = fate(move |request, _, body| match before(&asked, request.from) {
        0 => Answer::status("503 Service Unavailable").with("Retry-After", "0"),
        1 => Answer::good(request, body, ETAG).cut(5),
        _ => Answer::good(request, body, ETAG),
    });
    assert_eq!((rows, reason.as_str()), (64, ""));
    // It sends files as a whole.
    let (rows, reason) = fate(|_, _, body| Answer::whole(body));
    assert!(rows == 0 && reason.contains("ranges"), "{reason}");
    // It sends another part.
    let (rows, reason) = fate(|request, _, body| {
        let moved = Request {
            from: Some(request.from.unwrap() + 1),
            ..request.clone()
        };
        Answer::good(&moved, body, ETAG)
    });
    assert!(rows == 0 && reason.contains("another part"), "{reason}");
    // It does not let anybody in, and it leads elsewhere.
    let (_, reason) = fate(|_, _, _| Answer::status("403 Forbidden"));
    assert!(reason.contains("403"), "{reason}");
    let (_, reason) =
        fate(|_, _, _| Answer::status("302 Found").with("Location", "file:///etc/passwd"));
    assert!(!reason.is_empty());
    // A part of it cannot be had: the windows there are lost, and no others.
    let (rows, reason) = fate(|request, _, body| match request.from {
        Some(from) if MIDDLE.contains(&from) => Answer::status("404 Not Found"),
        _ => Answer::good(request, body, ETAG),
    });
    assert!(
        rows > 0 && rows < 64 && reason.contains("404"),
        "{rows} {reason}"
    );
}

#[test]
fn a_scene_that_changes_is_named_and_not_mixed() {
    let (rows, reason) = fate(|request, _, body| {
        let other = request.from.is_some_and(|from| MIDDLE.contains(&from));
        Answer::good(request, body, if other { "\"2\"" } else { ETAG })
    });
    assert!(rows > 0);
    assert!(rows < 64 && reason.contains("changed"), "{rows} {reason}");
}

#[test]
fn a_job_over_changed_scenes_does_not_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let files = files();
    let state = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&state);
    let server = Server::start(move |request, _| {
        let etag = format!("\"{}\"", now.load(Ordering::SeqCst));
        match files.get(request.path.trim_start_matches('/')) {
            Some(body) => Answer::good(request, body, &etag),
            None => Answer::status("404 Not Found"),
        }
    });
    let out = dir.path().join("out");
    let mut config = cut(Path::new(&format!("{}/u16.tif", server.url)), &out);
    config.rows_per_part = 1;
    config.batch_size = 1;
    let (model, facts) = model();
    let stopped = run_with(
        &config,
        &model,
        &facts,
        &mut |progress| match progress.items {
            3.. => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
    );
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    state.store(2, Ordering::SeqCst);
    let error = embed(&config).unwrap_err();
    assert!(error.to_string().contains("other"), "{error}");
    state.store(1, Ordering::SeqCst);
    assert_eq!(embed(&config).unwrap().rows, 6);
}

/// Some servers send what they keep, packed, whatever was asked for.
#[test]
fn what_is_sent_packed_is_unpacked_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = files();
    let packed = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let server = Server::start(move |request, _| {
        let item = |href: &str| {
            json!({"type": "Feature", "stac_version": "1.1.0", "id": "x", "geometry": null, "links": [],
                "properties": {"datetime": "2024-05-01T10:00:00Z"}, "assets": {"visual": {"href": href}}})
        };
        match request.path.as_str() {
            "/good.json" => Answer::whole(&packed(item("u16.tif").to_string().as_bytes()))
                .with("Content-Encoding", "gzip"),
            "/torn.json" => Answer::whole(b"\x1f\x8bno gzip").with("Content-Encoding", "gzip"),
            "/other.json" => Answer::whole(b"?").with("Content-Encoding", "br"),
            "/packed.json" => Answer::whole(item("packed.tif").to_string().as_bytes()),
            "/packed.tif" => {
                Answer::whole(&packed(&files["u16.tif"])).with("Content-Encoding", "gzip")
            }
            _ => good(&files, request),
        }
    });
    let job = |name: &str| {
        let address = format!("{}/{name}.json", server.url);
        let mut config = cut(Path::new(&address), &dir.path().join(name));
        config.assets = vec!["visual".into()];
        embed(&config)
    };
    let report = job("good").unwrap();
    assert_eq!((report.rows, report.skipped), (6, 0));
    for (name, reason) in [
        ("torn", "gzip cannot be unpacked"),
        ("other", "packed as `br`"),
    ] {
        let error = job(name).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(job("packed").unwrap().skipped, 1);
    let reason = errors(&dir.path().join("packed"))[0]["reason"].to_string();
    assert!(reason.contains("packed (gzip)"), "{reason}");
}
