//! Scenes of an object store: moto, a server that speaks S3.

mod fixture;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use fixture::{contents, embed, folder, run};

/// Serves a bucket until its standard input ends.
const SERVER: &str = r#"
import logging, os, sys
logging.disable(logging.CRITICAL)
import boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
store = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                     aws_access_key_id="key", aws_secret_access_key="hidden")
store.create_bucket(Bucket="archive")
root = sys.argv[1]
for folder, _, names in os.walk(root):
    for name in names:
        path = os.path.join(folder, name)
        store.upload_file(path, "archive", os.path.relpath(path, root))
print(port, flush=True)
# Objects that a test asks for.
for key in sys.stdin:
    body = store.get_object(Bucket="archive", Key=key.strip())["Body"].read()
    print(len(body), flush=True)
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
"#;

struct Store {
    server: Child,
    said: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Store {
    /// A bucket `archive` with a folder's files; none where this Python has no moto.
    fn of(files: &Path) -> Option<Store> {
        let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
        let has = Command::new(&python)
            .args(["-c", "import boto3, moto.server"])
            .stderr(Stdio::null())
            .status();
        if !has.is_ok_and(|has| has.success()) {
            eprintln!("skipped: {python:?} lacks moto or boto3 (SATMIP_PYTHON names another)");
            return None;
        }
        let mut server = Command::new(&python)
            .args(["-c", SERVER])
            .arg(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server says its port");
        Some(Store { server, said, port })
    }

    /// The program, with the variables that the store's own tools read.
    fn embed(&self, input: &str, out: &Path) -> Command {
        let mut command = embed();
        command
            .arg(input)
            .arg("-o")
            .arg(out)
            .args(["--scale", "0,3000", "--format", "jsonl"]);
        self.variables(&mut command);
        command
    }

    fn variables(&self, command: &mut Command) {
        let address = format!("http://127.0.0.1:{}", self.port);
        command
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "hidden")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", address)
            // It is on this machine, whatever proxy there is.
            .env("NO_PROXY", "127.0.0.1")
            .env("AWS_ALLOW_HTTP", "true");
    }

    /// An object, as the store's own tools read it.
    fn read(&mut self, key: &str) -> Vec<u8> {
        writeln!(self.server.stdin.as_mut().unwrap(), "{key}").unwrap();
        let mut length = String::new();
        self.said.read_line(&mut length).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        self.said.read_exact(&mut body).unwrap();
        body
    }

    /// Cut into windows, 48 of them of each scene.
    fn cut(&self, input: &str, out: &Path) -> Command {
        let mut command = self.embed(input, out);
        command.args(["--tile", "8", "--stride", "5"]);
        command
    }
}

fn raster() -> PathBuf {
    fixture::root().join("tests/data/rasters/u16.tif")
}

/// Rows of a folder of parts, with the path of the scene taken off their sources.
fn rows(out: &Path) -> Vec<serde_json::Value> {
    let parts = contents(out).into_iter();
    let parts = parts.filter(|(name, _)| name.starts_with("part-") && name.ends_with(".jsonl"));
    let lines: Vec<String> = parts
        .flat_map(|(_, text)| {
            let text = String::from_utf8(text).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines
        .iter()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            row.as_object_mut().unwrap().remove("source");
            row
        })
        .collect()
}

#[test]
fn a_bucket_gives_the_rows_of_its_copy_here() {
    let dir = folder();
    let files = dir.path().join("files");
    fs::create_dir_all(files.join("scenes/b")).unwrap();
    fs::copy(raster(), files.join("scenes/a.tif")).unwrap();
    fs::copy(raster(), files.join("scenes/b/c.tif")).unwrap();
    fs::write(files.join("scenes/notes.md"), "no picture").unwrap();
    let item = serde_json::json!({"type": "Feature", "stac_version": "1.0.0", "id": "one", "links": [], "geometry": null,
        "properties": {"datetime": "2024-05-01T10:00:00Z"}, "assets": {"visual": {"href": "./scenes/a.tif"}}});
    fs::write(files.join("item.json"), item.to_string()).unwrap();
    fs::write(files.join("items.ndjson"), format!("{item}\nnothing\n")).unwrap();
    let Some(store) = Store::of(&files) else {
        return;
    };

    let here = dir.path().join("here");
    let scenes = files.join("scenes");
    let (code, _, stderr) = run(store
        .cut(scenes.to_str().unwrap(), &here)
        .args(["--workers", "1"]));
    assert_eq!(code, 0, "{stderr}");
    let there = dir.path().join("there");
    let (code, _, stderr) = run(store.cut("s3://archive/scenes/", &there).arg("-vv"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(rows(&there).len(), 96);
    assert_eq!(rows(&there), rows(&here));
    // What lets one in is written nowhere.
    assert!(!stderr.contains("hidden"), "{stderr}");
    for (name, text) in contents(&there) {
        assert!(!String::from_utf8_lossy(&text).contains("hidden"), "{name}");
    }

    for (input, rows_expected, code_expected) in [
        ("s3://archive/scenes/a.tif", 48, 0),
        ("s3://archive/item.json", 48, 0),
        // The line that is no item is named.
        ("s3://archive/items.ndjson", 48, 3),
    ] {
        let out = dir.path().join("out");
        let mut command = store.cut(input, &out);
        let (code, _, stderr) = run(command.args(["--assets", "visual", "--overwrite"]));
        assert_eq!(
            (code, rows(&out).len()),
            (code_expected, rows_expected),
            "{input}: {stderr}"
        );
    }

    // Pictures as a whole, too.
    let out = dir.path().join("whole");
    let (code, _, stderr) = run(&mut store.embed("s3://archive/scenes/", &out));
    assert_eq!((code, rows(&out).len()), (0, 2), "{stderr}");
}

/// A folder called `s3:` is nobody's wish.
#[test]
fn an_address_is_no_output_of_one_machine() {
    let dir = folder();
    let mut command = embed();
    command
        .arg(raster())
        .args(["--tile", "8", "--scale", "0,3000", "-o", "s3://archive/out"]);
    let (code, _, stderr) = run(command.current_dir(dir.path()));
    assert!(code != 0 && stderr.contains("an address"), "{stderr}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn stores_that_say_no_are_named() {
    let dir = folder();
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    let Some(store) = Store::of(&files) else {
        return;
    };
    for (input, expected) in [
        ("s3://archive/none.tif", "none.tif"),
        ("s3://archive/", "no image there"),
        ("s3://nowhere/x/", "s3://nowhere/x/"),
    ] {
        let (code, _, stderr) = run(&mut store.cut(input, &dir.path().join("out")));
        assert_ne!(code, 0, "{input}");
        assert!(stderr.contains(expected), "{input}: {stderr}");
    }
}

/// Three machines with nothing between them but a bucket.
#[test]
fn shards_of_a_plan_meet_in_a_bucket() {
    let dir = folder();
    let files = dir.path().join("files");
    fs::create_dir_all(files.join("scenes")).unwrap();
    fs::copy(raster(), files.join("scenes/a.tif")).unwrap();
    fs::write(files.join("scenes/b.tif"), "no picture").unwrap();
    let Some(mut store) = Store::of(&files) else {
        return;
    };
    let whole = dir.path().join("whole");
    let mut command = embed();
    command.arg("s3://archive/scenes/").arg("-o").arg(&whole);
    command.args([
        "--tile",
        "8",
        "--stride",
        "5",
        "--scale",
        "0,3000",
        "--rows-per-part",
        "16",
    ]);
    store.variables(&mut command);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 3, "{stderr}");
    let plan = dir.path().join("plan.parquet");
    let program = |words: &[&str]| {
        let mut command = fixture::satmip();
        command.args(words);
        store.variables(&mut command);
        command
    };
    let mut make = program(&[
        "plan",
        "s3://archive/scenes/",
        "--device",
        "rten",
        "--block-items",
        "16",
        "--scale",
        "0,3000",
    ]);
    make.arg("-m")
        .arg(fixture::model())
        .args(["--tile", "8", "--stride", "5"])
        .arg("-o")
        .arg(&plan);
    let (code, _, stderr) = run(&mut make);
    assert_eq!(code, 0, "{stderr}");
    for share in ["1/2", "0/2", "0/1"] {
        let mut command = embed();
        command
            .arg("--plan")
            .arg(&plan)
            .args(["--shard", share, "-o", "s3://archive/out"]);
        store.variables(&mut command);
        let (code, _, stderr) = run(&mut command);
        assert!(code == 0 || code == 3, "{stderr}");
        assert!(
            share != "0/1" || stderr.contains("of 4 blocks 4 were done before"),
            "{stderr}"
        );
    }
    let (code, stdout, stderr) = run(&mut program(&["plan", "status", "s3://archive/out"]));
    assert_eq!(
        (code, stdout.contains("4 of 4 blocks done")),
        (0, true),
        "{stdout}{stderr}"
    );
    let (code, stdout, stderr) = run(&mut program(&["plan", "verify", "s3://archive/out"]));
    assert_eq!(
        (code, stdout.contains("48 rows of 4 parts")),
        (0, true),
        "{stdout}{stderr}"
    );
    let (code, _, stderr) = run(&mut program(&["plan", "merge", "s3://archive/out"]));
    assert_eq!(code, 3, "{stderr}");
    let (code, stdout, _) = run(&mut program(&[
        "plan",
        "status",
        "s3://archive/out",
        "--json",
    ]));
    assert!(
        code == 0 && stdout.contains("\"merged\":true") || stdout.contains("\"merged\": true"),
        "{stdout}"
    );
    let (code, _, stderr) = run(&mut program(&["plan", "status", "https://127.0.0.1/out"]));
    assert!(code != 0 && stderr.contains("takes no parts"), "{stderr}");
    // The parts are those of one machine's job.
    for (name, bytes) in contents(&whole) {
        if name.ends_with(".parquet") || name == "ledger.jsonl" || name == "errors.jsonl" {
            assert!(store.read(&format!("out/{name}")) == bytes, "{name}");
        }
    }
}
