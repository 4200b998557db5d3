//! Ctrl-C and SIGTERM: what the program leaves behind, and what becomes of it.
#![cfg(unix)]

mod fixture;

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use fixture::{chips, contents, embed, folder, lines, run, satmip, tar};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    // It may have ended by itself.
    Command::new("kill").args([name, &pid]).status().unwrap();
}

/// What a child ended with and said; it is killed where it does not end.
fn end(mut child: Child) -> (ExitStatus, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status, said)
}

fn spawn(command: &mut Command) -> Child {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::piped());
    quiet.spawn().unwrap()
}

fn no_temporary(folder: &Path) {
    if folder.is_dir() {
        let names: Vec<_> = contents(folder).into_keys().collect();
        assert!(names.iter().all(|name| !name.contains(".tmp")), "{names:?}");
    }
}

/// Numbers that differ from run to run; a failure says the seed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seed = now.unwrap().as_nanos() as u64 | 1;
        println!("seed {seed}");
        Random(seed)
    }

    /// From 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Interrupts jobs at random moments, as often as they let themselves be, and goes on with each.
#[test]
fn an_interrupted_job_goes_on_and_ends_with_the_same_bytes() {
    let dir = folder();
    let input = chips(dir.path(), "in", 240, 256);
    fs::write(input.join("c003.png"), b"no picture").unwrap();
    fs::write(input.join("c101.png"), b"no picture").unwrap();
    let mut random = Random::new();
    for format in ["parquet", "npy", "jsonl"] {
        let job = |out: &Path| {
            let mut command = embed();
            command.arg(&input).arg("-o").arg(out).args([
                "--workers",
                "2",
                "--batch-size",
                "2",
                "--rows-per-part",
                "50",
                "--format",
                format,
            ]);
            command
        };
        let whole = dir.path().join(format!("whole-{format}"));
        let begun = Instant::now();
        assert_eq!(run(&mut job(&whole)).0, 3);
        let unbroken = begun.elapsed();
        let whole = contents(&whole);
        let out = dir.path().join(format!("broken-{format}"));
        let (mut kept, mut rounds) = (0, 0);
        loop {
            rounds += 1;
            assert!(rounds < 200, "it does not get on");
            let child = spawn(&mut job(&out));
            // Later signals come after the end of what is left: the last round is one of them.
            std::thread::sleep(unbroken.mul_f64(0.5 * random.next()));
            let name = if rounds % 2 == 0 { "-INT" } else { "-TERM" };
            signal(&child, name);
            let (status, said) = end(child);
            match status.code() {
                Some(130) if said.contains("are saved in") => kept += 1,
                Some(130) => assert!(said.contains("interrupted"), "{said}"),
                Some(3) => break,
                // Before it watched.
                None if matches!(status.signal(), Some(2 | 15)) => {}
                _ => panic!("{status}: {said}"),
            }
            no_temporary(&out);
            if out.join("ledger.jsonl").exists() {
                lines(&out.join("ledger.jsonl"));
            }
        }
        println!("{format}: {rounds} rounds, {kept} kept rows");
        assert_eq!(contents(&out), whole, "{format}");
    }
}

/// Waits until a job's folder has a file that something is true of.
fn wait_for(child: &mut Child, what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE, "nothing happens");
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The rows of a part that is far from complete are kept, and said to be.
#[test]
fn the_sentence_says_how_much_is_saved_and_it_is() {
    let dir = folder();
    let input = chips(dir.path(), "in", 240, 256);
    let out = dir.path().join("out");
    let job = || {
        let mut command = embed();
        command.arg(&input).arg("-o").arg(&out);
        command.args(["--workers", "1", "--batch-size", "1", "--json"]);
        command
    };
    let mut child = spawn(&mut job());
    // The unfinished part's rows go through a buffer of 64 KiB: a little later some are done for sure.
    wait_for(&mut child, || out.join("job.json").exists());
    std::thread::sleep(Duration::from_millis(400));
    signal(&child, "-INT");
    let (status, said) = end(child);
    assert_eq!(status.code(), Some(130), "{said}");
    let line = said.lines().last().unwrap();
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words[0], "interrupted:", "{said}");
    let saved: u64 = words[1].parse().unwrap();
    assert_eq!(&words[2..4], ["of", "240"]);
    assert!(line.contains("the same command goes on"), "{said}");
    let names: Vec<_> = contents(&out).into_keys().collect();
    let left = [
        "errors.jsonl",
        "job.json",
        "ledger.jsonl",
        "part-00000.partial",
    ];
    assert_eq!(names, left);
    let (code, stdout, stderr) = run(&mut job());
    assert_eq!(code, 0, "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["resumed"], saved);
    assert!(!out.join("part-00000.partial").exists());
}

#[test]
fn one_file_and_standard_output_leave_nothing_half_written() {
    let dir = folder();
    let input = chips(dir.path(), "in", 240, 256);
    for name in ["out.parquet", "out.npy", "out.jsonl", "-"] {
        let here = dir.path().join(format!("at-{name}"));
        fs::create_dir(&here).unwrap();
        let mut command = embed();
        command.arg(&input).arg("-o");
        match name {
            "-" => command.arg("-"),
            name => command.arg(here.join(name)),
        };
        let mut child = spawn(command.args(["--workers", "1", "--batch-size", "1"]));
        match name {
            "-" => std::thread::sleep(Duration::from_millis(500)),
            _ => wait_for(&mut child, || !contents(&here).is_empty()),
        }
        signal(&child, "-TERM");
        let (status, said) = end(child);
        assert_eq!(status.code(), Some(130), "{said}");
        assert!(said.contains("with a folder"), "{said}");
        assert!(contents(&here).is_empty(), "{name}");
    }
}

/// A pipe that falls silent is not waited for, and what came of it is kept.
#[test]
fn a_silent_pipe_does_not_hold_an_interrupted_job() {
    let dir = folder();
    let input = chips(dir.path(), "in", 30, 64);
    let pictures: Vec<_> = contents(&input).into_iter().collect();
    let members: Vec<_> = pictures
        .iter()
        .map(|(n, b)| (n.as_str(), b.clone()))
        .collect();
    let archive = tar(&members);
    let job = |out: &Path| {
        let mut command = embed();
        command.arg("-").arg("-o").arg(out);
        command.args(["--batch-size", "2", "--rows-per-part", "20"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(Stdio::piped());
        command
    };
    let whole = dir.path().join("whole");
    let feed = |out: &Path| {
        let mut child = job(out).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&archive).unwrap();
        let (status, said) = end(child);
        assert_eq!(status.code(), Some(0), "{said}");
    };
    feed(&whole);
    let out = dir.path().join("out");
    let mut child = job(&out).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&archive[..archive.len() * 9 / 10]).unwrap();
    pipe.flush().unwrap();
    let ledger = out.join("ledger.jsonl");
    wait_for(&mut child, || {
        fs::metadata(&ledger).is_ok_and(|m| m.len() > 0)
    });
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    let (status, said) = end(child);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("are saved in"), "{said}");
    assert!(out.join("part-00001.partial").exists());
    drop(pipe);
    feed(&out);
    assert_eq!(contents(&out), contents(&whole));
}

/// Where the first signal finds nobody who looks, the second one ends the program.
#[test]
fn a_second_signal_ends_at_once() {
    let dir = folder();
    let pipe = dir.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut command = embed();
    // Opening the pipe waits for somebody who writes.
    let mut child = spawn(command.arg(&pipe).arg("-o").arg(dir.path().join("out")));
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(
        child.try_wait().unwrap().is_none(),
        "it ended by the first one"
    );
    signal(&child, "-INT");
    let (status, said) = end(child);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("Ctrl-C again ends at once"), "{said}");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn commands_that_keep_nothing_end_at_once_with_130() {
    let dir = folder();
    let input = chips(dir.path(), "in", 240, 256);
    let table = dir.path().join("table.csv");
    let rows: String = (0..240)
        .map(|i| format!("c{i:03}.png,{}\n", i + 1))
        .collect();
    fs::write(&table, format!("key,gsd\n{rows}")).unwrap();
    let slow = ["--workers", "1", "--device", "rten"];
    let mut query = satmip();
    query
        .arg("query")
        .arg(&input)
        .arg("-m")
        .arg(fixture::model());
    query
        .args(["--field", "gsd", "-e", "1", "-e", "10"])
        .args(slow);
    let mut audit = satmip();
    audit
        .arg("audit")
        .arg(&input)
        .arg("-m")
        .arg(fixture::model());
    audit.arg("--metadata").arg(&table).args(slow);
    for (mut command, name) in [(query, "-INT"), (audit, "-TERM")] {
        let child = spawn(&mut command);
        std::thread::sleep(Duration::from_millis(700));
        signal(&child, name);
        let (status, said) = end(child);
        assert_eq!(status.code(), Some(130), "{said}");
        assert_eq!(said.trim(), "interrupted");
    }
}
