//! Scenes of object stores: moto, a server that speaks S3 (and what Google's stores have of it), and Azurite, Microsoft's
//! own server for tests.

mod fixture;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use fixture::{contents, embed, folder, run};

/// Serves a bucket until its standard input ends.
const MOTO: &str = r#"
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
upload = lambda path, key: store.upload_file(path, "archive", key, ExtraArgs={"ACL": "public-read"})
read = lambda key: store.get_object(Bucket="archive", Key=key)["Body"].read()
"#;

/// The same by Azurite, whose program is the second argument.
const AZURITE: &str = r#"
import atexit, os, socket, subprocess, sys, tempfile, time
from azure.storage.blob import BlobServiceClient
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen([sys.argv[2], "--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry",
                           "--blobPort", str(port)], stdout=subprocess.DEVNULL, cwd=tempfile.mkdtemp())
atexit.register(server.kill)
for _ in range(300):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.1)
key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
client = BlobServiceClient(f"http://127.0.0.1:{port}/devstoreaccount1", credential=key)
store = client.create_container("archive")
def upload(path, name):
    with open(path, "rb") as file:
        store.upload_blob(name, file)
read = lambda name: store.download_blob(name).readall()
"#;

/// Puts a folder's files there, and answers with objects that a test asks for.
const SERVE: &str = r#"
root = sys.argv[1]
for folder, _, names in os.walk(root):
    for name in names:
        path = os.path.join(folder, name)
        upload(path, os.path.relpath(path, root))
print(port, flush=True)
for key in sys.stdin:
    body = read(key.strip())
    print(len(body), flush=True)
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
"#;

/// How addresses of a store begin.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    S3,
    /// moto answers as Google's stores do where something is read.
    Gs,
    Az,
}

const KINDS: [Kind; 3] = [Kind::S3, Kind::Gs, Kind::Az];

struct Store {
    kind: Kind,
    server: Child,
    said: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Store {
    fn drop(&mut self) {
        // The server of a server ends with its input.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

impl Store {
    /// A bucket `archive` with a folder's files; none where this machine has no such server.
    fn of(kind: Kind, files: &Path) -> Option<Store> {
        let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
        let azurite = std::env::var_os("SATMIP_AZURITE").unwrap_or_else(|| "azurite-blob".into());
        let has = |program: &OsStr, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null());
            let has = command.stderr(Stdio::null()).status();
            has.is_ok_and(|has| has.success())
        };
        let (packages, script) = match kind {
            Kind::S3 | Kind::Gs => ("boto3, moto.server", MOTO),
            Kind::Az => ("azure.storage.blob", AZURITE),
        };
        if !has(&python, &["-c", &format!("import {packages}")]) {
            eprintln!(
                "skipped {kind:?}: {python:?} lacks {packages} (SATMIP_PYTHON names another)"
            );
            return None;
        }
        if kind == Kind::Az && !has(&azurite, &["--version"]) {
            eprintln!(
                "skipped {kind:?}: no {azurite:?} (`npm install azurite`; SATMIP_AZURITE names it)"
            );
            return None;
        }
        let mut server = Command::new(&python)
            .args(["-c", &format!("{script}{SERVE}")])
            .arg(files)
            .arg(&azurite)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server says its port");
        Some(Store {
            kind,
            server,
            said,
            port,
        })
    }

    /// Those of all kinds that this machine has, of the same files.
    fn all(files: &Path) -> impl Iterator<Item = Store> {
        KINDS.into_iter().filter_map(|kind| Store::of(kind, files))
    }

    fn address(&self, path: &str) -> String {
        let scheme = match self.kind {
            Kind::S3 => "s3",
            Kind::Gs => "gs",
            Kind::Az => "az",
        };
        format!("{scheme}://archive/{path}")
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
        // It is on this machine, whatever proxy there is.
        command.env("NO_PROXY", "127.0.0.1");
        match self.kind {
            Kind::S3 => command
                .env("AWS_ACCESS_KEY_ID", "key")
                .env("AWS_SECRET_ACCESS_KEY", "hidden")
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ENDPOINT_URL", address)
                .env("AWS_ALLOW_HTTP", "true"),
            Kind::Gs => {
                let account = serde_json::json!({"gcs_base_url": address, "disable_oauth": true, "client_email": "",
                    "private_key": "hidden", "private_key_id": ""});
                command
                    .env("GOOGLE_SERVICE_ACCOUNT_KEY", account.to_string())
                    .env("GOOGLE_ALLOW_HTTP", "true")
            }
            Kind::Az => command
                .env("AZURE_STORAGE_USE_EMULATOR", "true")
                .env("AZURITE_BLOB_STORAGE_URL", address)
                .env("AZURE_ALLOW_HTTP", "true"),
        };
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
    for store in Store::all(&files) {
        let dir = folder();
        let here = dir.path().join("here");
        let scenes = files.join("scenes");
        let (code, _, stderr) = run(store
            .cut(scenes.to_str().unwrap(), &here)
            .args(["--workers", "1"]));
        assert_eq!(code, 0, "{stderr}");
        let there = dir.path().join("there");
        let (code, _, stderr) = run(store.cut(&store.address("scenes/"), &there).arg("-vv"));
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(rows(&there).len(), 96);
        assert_eq!(rows(&there), rows(&here));
        // What lets one in is written nowhere.
        let secret = |text: &str| text.contains("hidden") || text.contains("Eby8vd");
        assert!(!secret(&stderr), "{stderr}");
        for (name, text) in contents(&there) {
            assert!(!secret(&String::from_utf8_lossy(&text)), "{name}");
        }

        for (input, rows_expected, code_expected) in [
            ("scenes/a.tif", 48, 0),
            ("item.json", 48, 0),
            // The line that is no item is named.
            ("items.ndjson", 48, 3),
        ] {
            let out = dir.path().join("out");
            let mut command = store.cut(&store.address(input), &out);
            let (code, _, stderr) = run(command.args(["--assets", "visual", "--overwrite"]));
            assert_eq!(
                (code, rows(&out).len()),
                (code_expected, rows_expected),
                "{input}: {stderr}"
            );
        }

        // Pictures as a whole, too.
        let out = dir.path().join("whole");
        let (code, _, stderr) = run(&mut store.embed(&store.address("scenes/"), &out));
        assert_eq!((code, rows(&out).len()), (0, 2), "{stderr}");
    }
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
    for store in Store::all(&files) {
        let nowhere = store.address("x/").replace("archive", "nowhere");
        for (input, expected) in [
            (store.address("none.tif"), "none.tif"),
            (store.address(""), "no image there"),
            (nowhere.clone(), nowhere.as_str()),
        ] {
            let (code, _, stderr) = run(&mut store.cut(&input, &folder().path().join("out")));
            assert_ne!(code, 0, "{input}");
            assert!(stderr.contains(expected), "{input}: {stderr}");
        }
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
    // moto has no word for what Google's stores are asked: to write only where there is nothing.
    let stores = Store::all(&files).filter(|store| store.kind != Kind::Gs);
    stores.for_each(shards_meet);
}

fn shards_meet(mut store: Store) {
    let dir = folder();
    let (scenes, out) = (store.address("scenes/"), store.address("out"));
    let whole = dir.path().join("whole");
    let mut command = embed();
    command.arg(&scenes).arg("-o").arg(&whole);
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
        &scenes,
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
            .args(["--shard", share, "-o", &out]);
        store.variables(&mut command);
        let (code, _, stderr) = run(&mut command);
        assert!(code == 0 || code == 3, "{stderr}");
        assert!(
            share != "0/1" || stderr.contains("of 4 blocks 4 were done before"),
            "{stderr}"
        );
    }
    let (code, stdout, stderr) = run(&mut program(&["plan", "status", &out]));
    assert_eq!(
        (code, stdout.contains("4 of 4 blocks done")),
        (0, true),
        "{stdout}{stderr}"
    );
    let (code, stdout, stderr) = run(&mut program(&["plan", "verify", &out]));
    assert_eq!(
        (code, stdout.contains("48 rows of 4 parts")),
        (0, true),
        "{stdout}{stderr}"
    );
    let (code, _, stderr) = run(&mut program(&["plan", "merge", &out]));
    assert_eq!(code, 3, "{stderr}");
    let (code, stdout, _) = run(&mut program(&["plan", "status", &out, "--json"]));
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
