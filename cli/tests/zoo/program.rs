//! The commands, and processes that die or meet.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{self, run, satmip};
use crate::server::{Server, read_all};
use crate::{named_files, packed};

struct Home {
    dir: tempfile::TempDir,
    server: Server,
}

impl Home {
    /// A packed zoo on a server that sends so many bytes every 10 ms.
    fn with_speed(bytes: usize) -> Home {
        let dir = fixture::folder();
        let out = dir.path().join("host");
        packed(&out);
        let server = Server::dripping(&out, bytes, Duration::from_millis(10));
        Home { dir, server }
    }

    fn cache(&self) -> std::path::PathBuf {
        self.dir.path().join("cache")
    }

    fn zoo(&self, arguments: &[&str]) -> Command {
        let mut command = satmip();
        command.arg("zoo").args(arguments);
        command.arg("--cache-dir").arg(self.cache());
        command.args(["--registry", &format!("{}/registry.toml", self.server.url)]);
        command
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_commands_in_the_order_of_a_models_life() {
    let home = Home::with_speed(1 << 20);
    let zoo = |arguments: &[&str]| run(&mut home.zoo(arguments));
    let (code, stdout, _) = zoo(&["list"]);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("tiny@1.0.0") && stdout.contains("to download"),
        "{stdout}"
    );
    let (code, _, stderr) = zoo(&["path", "tiny"]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("hint: fetch it where there is a network: `satmip zoo pull tiny@1.0.0`"),
        "{stderr}"
    );
    let (code, _, stderr) = zoo(&["pull", "tiny", "--offline"]);
    assert_eq!(code, 1, "{stderr}");

    let (code, stdout, stderr) = zoo(&["pull", "tiny"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("downloading tiny@1.0.0: ") && stderr.contains("licence MIT"),
        "{stderr}"
    );
    let folder = stdout.trim().to_owned();
    assert_eq!(
        fixture::contents(Path::new(&folder)),
        fixture::contents(fixture::model())
    );
    let (_, stdout, _) = zoo(&["path", "tiny@1.0.0", "--json"]);
    assert_eq!(json(&stdout)["path"], folder.as_str());
    let (_, stdout, _) = zoo(&["info", "tiny", "--json"]);
    assert_eq!(json(&stdout)["state"], "cached");
    assert_eq!(
        json(&stdout)["files"]["image.onnx"]["sha256"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    let (code, stdout, _) = zoo(&["verify"]);
    assert_eq!(
        (code, stdout.matches("as it should be").count()),
        (0, 4),
        "{stdout}"
    );

    // Any command takes the name.
    let chips = fixture::chips(home.dir.path(), "chips", 2, 16);
    let out = home.dir.path().join("out.npy");
    let mut embed = satmip();
    embed
        .args(["embed", "-m", "tiny", "--offline", "--cache-dir"])
        .arg(home.cache());
    embed.args([
        "--registry",
        &format!("{}/registry.toml", home.server.url),
        "--device",
        "rten",
    ]);
    let (code, _, stderr) = run(embed.arg(&chips).arg("-o").arg(&out));
    assert_eq!(code, 0, "{stderr}");

    let (code, _, stderr) = zoo(&["remove", "tiny"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(named_files(&home.cache()).is_empty());
    let (_, stdout, _) = zoo(&["list", "--json"]);
    let tiny = json(&stdout)
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["id"] == "tiny")
        .unwrap()
        .clone();
    assert_eq!(tiny["state"], "remote");
}

#[test]
fn verify_exits_with_1_and_names_the_file() {
    let home = Home::with_speed(1 << 20);
    let (_, stdout, _) = run(&mut home.zoo(&["pull", "tiny"]));
    let graph = Path::new(stdout.trim()).join("image.onnx");
    let mut bytes = fs::read(&graph).unwrap();
    bytes[100] ^= 4;
    fs::remove_file(&graph).unwrap();
    fs::write(&graph, bytes).unwrap();
    let (code, stdout, stderr) = run(&mut home.zoo(&["verify", "tiny"]));
    assert_eq!(code, 1);
    assert!(
        stdout.contains("image.onnx      its contents changed"),
        "{stdout}"
    );
    assert!(stderr.contains("satmip zoo pull"), "{stderr}");
}

#[test]
fn pack_writes_what_pull_reads() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    let mut command = satmip();
    command
        .args(["zoo", "pack"])
        .arg(fixture::model())
        .arg("-o")
        .arg(&out);
    let (code, stdout, stderr) = run(command.args(["--base", "https://example.org/zoo"]));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(Path::new(stdout.trim()), out.join("registry.toml"));
    let text = fs::read_to_string(stdout.trim()).unwrap();
    assert!(
        text.contains("https://example.org/zoo/tiny/1.0.0/{file}"),
        "{text}"
    );
    let (code, _, stderr) = run(satmip().args(["zoo", "pack", "/nowhere", "-o"]).arg(&out));
    assert_eq!(code, 1);
    assert!(stderr.contains("/nowhere"), "{stderr}");
    let mut unsafe_base = satmip();
    unsafe_base
        .args(["zoo", "pack"])
        .arg(fixture::model())
        .arg("-o")
        .arg(dir.path().join("b"));
    let (code, _, stderr) = run(unsafe_base.args(["--base", "http://example.org"]));
    assert_eq!(code, 1);
    assert!(stderr.contains("not encrypted"), "{stderr}");
    assert!(!dir.path().join("b").exists());
}

/// Files of a host belong to whoever put them there.
#[test]
fn pack_replaces_no_file_of_other_contents() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    let pack = || {
        let mut command = satmip();
        command.args(["zoo", "pack"]).arg(fixture::model());
        run(command.arg("-o").arg(&out))
    };
    let file = out.join("tiny/1.0.0/image.onnx");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, b"mine").unwrap();
    let (code, _, stderr) = pack();
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("image.onnx") && stderr.contains("move it away"),
        "{stderr}"
    );
    assert_eq!(read_all(&out, &out).len(), 1);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    // The same contents are as good as written.
    fs::copy(fixture::model().join("image.onnx"), &file).unwrap();
    let (code, _, stderr) = pack();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(read_all(&out, &out).len(), 5);
}

/// Waits until some of a file arrived.
fn wait_for_part(cache: &Path, child: &mut Child) {
    let began = Instant::now();
    let parts = cache.join("zoo-1/parts");
    let some = || {
        if !parts.is_dir() {
            return false;
        }
        let files = read_all(&parts, &parts);
        files
            .iter()
            .any(|(name, bytes)| !name.ends_with(".json") && bytes.len() > 5_000)
    };
    while !some() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing arrives");
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_process_that_is_killed_leaves_nothing_but_a_part_that_goes_on() {
    let home = Home::with_speed(500);
    let mut command = home.zoo(&["pull", "tiny"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_part(&home.cache(), &mut child);
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
    let before = home.server.log().len();
    let (code, stdout, stderr) = run(&mut home.zoo(&["pull", "tiny"]));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        fixture::contents(Path::new(stdout.trim())),
        fixture::contents(fixture::model())
    );
    let log = &home.server.log()[before..];
    assert!(
        log.iter()
            .any(|request| request.from.is_some_and(|from| from > 5_000)),
        "{log:?}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_says_that_the_same_command_goes_on() {
    let home = Home::with_speed(500);
    let mut command = home.zoo(&["pull", "tiny"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_part(&home.cache(), &mut child);
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("the same command goes on"), "{said}");
    let before = home.server.log().len();
    let (code, _, stderr) = run(&mut home.zoo(&["pull", "tiny"]));
    assert_eq!(code, 0, "{stderr}");
    let log = &home.server.log()[before..];
    let goes_on = |from: Option<usize>| from.is_some_and(|from| from > 5_000);
    assert!(log.iter().any(|request| goes_on(request.from)), "{log:?}");
}

#[test]
fn two_processes_at_once_fetch_each_file_once() {
    let home = Home::with_speed(2_000);
    let spawn = || {
        let mut command = home.zoo(&["pull", "tiny"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (first, second) = (spawn(), spawn());
    let mut waited = 0;
    for child in [first, second] {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        waited += usize::from(stderr.contains("another process has"));
        let folder = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            fixture::contents(Path::new(folder.trim())),
            fixture::contents(fixture::model())
        );
    }
    assert_eq!(home.server.starts("image.onnx"), [None]);
    assert!(waited > 0);
}

/// A limit on the size of files stands in for a full disk wherever nothing can be mounted.
#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_the_download_goes_on_once_there_is_room() {
    let home = Home::with_speed(1_000);
    let whole = home.zoo(&["pull", "tiny"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]);
    limited.arg(whole.get_program()).args(whole.get_args());
    let (code, _, stderr) = run(&mut limited);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("the disk is full"), "{stderr}");
    assert!(
        stderr.contains("free space there, or name another folder"),
        "{stderr}"
    );
    let before = home.server.log().len();
    let (code, _, stderr) = run(&mut home.zoo(&["pull", "tiny"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        home.server.log()[before..]
            .iter()
            .any(|request| request.from.is_some())
    );
}
