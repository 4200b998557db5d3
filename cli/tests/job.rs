//! The batch job as a program: determinism, kills, bad inputs, joins, outputs.

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fixture::{chip, chips, contents, embed, folder, lines, run, tar};

fn job(input: &Path, out: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(embed().arg(input).arg("-o").arg(out).args(arguments))
}

/// Kinds of the rows of a job's `errors.jsonl`, by id.
fn kinds(errors: &Path) -> BTreeMap<String, String> {
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    lines(errors)
        .iter()
        .map(|row| (text(row, "id"), text(row, "kind")))
        .collect()
}

#[test]
fn one_and_two_workers_write_the_same_bytes() {
    let dir = folder();
    let input = chips(dir.path(), "in", 45, 24);
    fs::write(input.join("c010.png"), b"").unwrap();
    for format in ["parquet", "npy", "jsonl"] {
        let outputs: Vec<_> = ["1", "2"]
            .iter()
            .map(|workers| {
                let out = dir.path().join(format!("{format}{workers}"));
                let arguments = [
                    "--workers",
                    workers,
                    "--batch-size",
                    "4",
                    "--rows-per-part",
                    "20",
                    "--format",
                    format,
                    "--features",
                    "both",
                ];
                let (code, _, stderr) = job(&input, &out, &arguments);
                assert_eq!(code, 3, "{stderr}");
                contents(&out)
            })
            .collect();
        assert!(outputs[0].keys().any(|name| name.starts_with("part-00002")));
        assert_eq!(outputs[0], outputs[1], "{format}");
    }
}

#[test]
fn a_killed_job_goes_on_and_ends_with_the_same_bytes() {
    let dir = folder();
    let input = chips(dir.path(), "in", 240, 256);
    fs::write(input.join("c003.png"), b"no picture").unwrap();
    let arguments = [
        "--workers",
        "1",
        "--batch-size",
        "2",
        "--rows-per-part",
        "8",
    ];
    let whole = dir.path().join("whole");
    assert_eq!(job(&input, &whole, &arguments).0, 3);
    let whole = contents(&whole);

    let out = dir.path().join("killed");
    let mut child = embed()
        .arg(&input)
        .arg("-o")
        .arg(&out)
        .args(arguments)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ledger = out.join("ledger.jsonl");
    let begun = Instant::now();
    while fs::metadata(&ledger).map_or(0, |m| m.len()) == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no part was written"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(
        !status.success() && status.code().is_none(),
        "killed too late: {status}"
    );
    let parts = lines(&ledger).len();
    assert!((1..30).contains(&parts), "{parts} parts");

    let (code, stdout, stderr) = job(&input, &out, &[&arguments[..], &["--json"]].concat());
    assert_eq!(code, 3, "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["resumed"], parts * 8);
    assert_eq!(
        (&report["rows"], &report["skipped"]),
        (&239.into(), &1.into())
    );
    assert_eq!(contents(&out), whole);
}

#[test]
fn another_model_or_list_is_refused_with_the_difference() {
    let dir = folder();
    let input = chips(dir.path(), "in", 6, 16);
    let out = dir.path().join("out");
    assert_eq!(job(&input, &out, &[]).0, 0);
    let other = dir.path().join("other");
    fixture::write_bundle(&other, 2, true);
    let mut command = fixture::satmip();
    command
        .arg("embed")
        .arg(&input)
        .arg("-o")
        .arg(&out)
        .arg("-m")
        .arg(&other);
    let (code, _, stderr) = run(command.args(["--device", "rten"]));
    assert_eq!(code, 1);
    assert!(stderr.contains("`model.bundle_sha256` was"), "{stderr}");
    assert!(stderr.contains("--overwrite"), "{stderr}");
    fs::remove_file(input.join("c003.png")).unwrap();
    let (code, _, stderr) = job(&input, &out, &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("`input.items` was 6, is now 5"), "{stderr}");
    assert_eq!(job(&input, &out, &["--overwrite"]).0, 0);
}

/// A PNG whose header alone says 30,000 x 30,000.
fn huge_png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend([30_000_u32.to_be_bytes(), 30_000_u32.to_be_bytes()].concat());
    bytes.extend([8, 2, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn every_kind_of_bad_input_is_one_row() {
    let dir = folder();
    let input = chips(dir.path(), "in", 3, 32);
    let whole = fs::read(input.join("c000.png")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(input.join(name), bytes).unwrap();
    write("empty.jpg", b"");
    write("text.jpg", b"These are words, not pixels.");
    write("cut.png", &whole[..whole.len() / 2]);
    write("huge.png", &huge_png());
    let float = fs::File::create(input.join("float.tif")).unwrap();
    tiff::encoder::TiffEncoder::new(float)
        .and_then(|mut tiff| {
            let pixels = [0.5_f32; 4 * 4 * 3];
            tiff.write_image::<tiff::encoder::colortype::RGB32Float>(4, 4, &pixels)
        })
        .unwrap();
    image::GrayImage::new(1, 1)
        .save(input.join("one.png"))
        .unwrap();
    let mut expected = BTreeMap::from([
        ("empty.jpg", "empty"),
        ("text.jpg", "unknown-format"),
        ("cut.png", "damaged"),
        ("float.tif", "needs-scale"),
    ]);
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        std::os::unix::fs::symlink("nowhere", input.join("gone.jpg")).unwrap();
        expected.insert("gone.jpg", "missing");
        let made = std::process::Command::new("mkfifo")
            .arg(input.join("pipe.jpg"))
            .status();
        if made.is_ok_and(|status| status.success()) {
            expected.insert("pipe.jpg", "unreadable");
        }
        let name = std::ffi::OsStr::from_bytes(b"caf\xE9.png");
        fs::write(input.join(name), &whole).unwrap();
    }
    let out = dir.path().join("out");
    let (code, stdout, stderr) = job(&input, &out, &["--format", "jsonl", "--json"]);
    assert_eq!(code, 3, "{stderr}");
    let mut found = kinds(&out.join("errors.jsonl"));
    let huge = found.remove("huge.png").unwrap();
    assert!(["too-large", "damaged"].contains(&huge.as_str()), "{huge}");
    let found: BTreeMap<_, _> = found
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(found, expected);
    let rows = lines(&out.join("part-00000.jsonl"));
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    if cfg!(unix) {
        assert_eq!(
            ids,
            [
                "c000.png",
                "c001.png",
                "c002.png",
                "caf\\xE9.png",
                "one.png"
            ]
        );
        assert_eq!(report["escaped_names"], 1);
        // The file itself was read by its real name.
        assert_eq!(rows[3]["image_embedding"], rows[0]["image_embedding"]);
    }
}

#[test]
fn a_pixel_limit_holds_before_decoding() {
    let dir = folder();
    let input = chips(dir.path(), "in", 2, 32);
    chip(&input.join("large.png"), 33, 9);
    let out = dir.path().join("out");
    let (code, _, stderr) = job(&input, &out, &["--max-pixels", "1024"]);
    assert_eq!(code, 3, "{stderr}");
    let rows = lines(&out.join("errors.jsonl"));
    assert_eq!(
        (&rows[0]["id"], &rows[0]["kind"]),
        (&"large.png".into(), &"too-large".into())
    );
    assert!(rows[0]["reason"].as_str().unwrap().contains("33 x 33"));
}

#[test]
fn an_archive_a_list_and_a_stream_give_the_folder_s_vectors() {
    let dir = folder();
    let input = chips(dir.path(), "in", 9, 20);
    let members: Vec<_> = (0..9)
        .map(|i| {
            (
                format!("c{i:03}.png"),
                fs::read(input.join(format!("c{i:03}.png"))).unwrap(),
            )
        })
        .collect();
    let members: Vec<_> = members
        .iter()
        .map(|(n, b)| (n.as_str(), b.clone()))
        .collect();
    let archive = tar(&members);
    let path = dir.path().join("a.tar");
    fs::write(&path, &archive).unwrap();
    let part = |out: &Path| fs::read(out.join("part-00000.parquet")).unwrap();
    let (whole, from_tar) = (dir.path().join("1"), dir.path().join("2"));
    assert_eq!(job(&input, &whole, &[]).0, 0);
    assert_eq!(job(&path, &from_tar, &[]).0, 0);
    assert_eq!(part(&whole), part(&from_tar));

    let piped = |stdin: &[u8], out: &Path| {
        let mut child = embed()
            .current_dir(&input)
            .args(["-", "-o"])
            .arg(out)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        assert!(child.wait().unwrap().success());
    };
    let from_pipe = dir.path().join("3");
    piped(&archive, &from_pipe);
    assert_eq!(part(&whole), part(&from_pipe));
    // A stream's job is done as well, and is not done twice.
    let ledger = fs::read(from_pipe.join("ledger.jsonl")).unwrap();
    piped(&archive, &from_pipe);
    assert_eq!(fs::read(from_pipe.join("ledger.jsonl")).unwrap(), ledger);

    let list: String = members
        .iter()
        .map(|(name, _)| format!("{name}\n"))
        .collect();
    let from_list = dir.path().join("4");
    piped(list.as_bytes(), &from_list);
    assert_eq!(part(&whole), part(&from_list));
    let file = dir.path().join("list.txt");
    fs::write(&file, &list).unwrap();
    let from_file = dir.path().join("5");
    let code = run(embed()
        .current_dir(&input)
        .arg(&file)
        .arg("-o")
        .arg(&from_file))
    .0;
    assert_eq!(code, 0);
    assert_eq!(part(&whole), part(&from_file));
}

#[test]
fn a_name_twice_in_an_archive_is_an_error_of_the_second() {
    let dir = folder();
    let input = chips(dir.path(), "in", 2, 16);
    let bytes = |i: u32| fs::read(input.join(format!("c00{i}.png"))).unwrap();
    let path = dir.path().join("a.tar");
    let members = [
        ("x.png", bytes(0)),
        ("y.png", bytes(1)),
        ("x.png", bytes(1)),
    ];
    fs::write(&path, tar(&members)).unwrap();
    let out = dir.path().join("out");
    let (code, _, stderr) = job(&path, &out, &["--format", "jsonl"]);
    assert_eq!(code, 3, "{stderr}");
    assert_eq!(kinds(&out.join("errors.jsonl"))["x.png"], "duplicate");
    assert_eq!(lines(&out.join("part-00000.jsonl")).len(), 2);
}

#[test]
fn metadata_are_joined_and_bad_ones_cost_only_themselves() {
    let dir = folder();
    let input = chips(dir.path(), "in", 3, 16);
    chip(&input.join("deep/d.png"), 16, 7);
    let table = dir.path().join("table.csv");
    let text = "chip,resolution,datetime,lon,lat\n\
                c000.png,0.5,2015-09-21T15:30:08Z,8.5,47.4\n\
                c001.png,NaN,2015-09-21,8.5,47.4\n\
                d.png,1.5,,,\n\
                gone.png,1.0,,,\n";
    fs::write(&table, text).unwrap();
    let out = dir.path().join("out.jsonl");
    let mut command = embed();
    command
        .arg(&input)
        .arg("-o")
        .arg(&out)
        .arg("--metadata")
        .arg(&table);
    command.args(["--map", "chip=key", "--map", "resolution=gsd", "--json"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 3, "{stderr}");
    let rows = lines(&out);
    let vector = |i: usize| rows[i]["metadata_embedding"].as_array().map(Vec::len);
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c000.png", "c001.png", "c002.png", "deep/d.png"]);
    assert_eq!(
        [vector(0), vector(1), vector(2), vector(3)],
        [Some(8), None, None, Some(8)]
    );
    assert_ne!(rows[0]["metadata_embedding"], rows[3]["metadata_embedding"]);
    let errors = dir.path().join("out.errors.jsonl");
    assert_eq!(
        kinds(&errors),
        BTreeMap::from([("c001.png".into(), "metadata".into())])
    );
    assert!(
        lines(&errors)[0]["reason"]
            .as_str()
            .unwrap()
            .contains("NaN")
    );
    let join = &serde_json::from_str::<serde_json::Value>(&stdout).unwrap()["metadata"];
    let count = |name: &str| join[name].as_u64().unwrap();
    assert_eq!([count("rows"), count("joined")], [4, 3]);
    assert_eq!(
        [count("items_without_row"), count("rows_without_item")],
        [1, 1]
    );
    assert!(stderr.contains("1 rows have no item"), "{stderr}");
}

#[test]
fn rows_that_say_nothing_are_null_and_ragged_ones_are_left_out() {
    let dir = folder();
    let input = chips(dir.path(), "in", 4, 16);
    let table = dir.path().join("t.csv");
    let rows =
        "file,gsd,note\nc000.png,10,x\nc001.png,,hello\nc002.png,10,x,surplus\nc003.png,5,\n";
    fs::write(&table, rows).unwrap();
    let out = dir.path().join("out.jsonl");
    let mut command = embed();
    command
        .arg(&input)
        .arg("-o")
        .arg(&out)
        .arg("--metadata")
        .arg(&table)
        .arg("--json");
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let rows = lines(&out);
    let there: Vec<bool> = rows
        .iter()
        .map(|row| !row["metadata_embedding"].is_null())
        .collect();
    assert_eq!(there, [true, false, false, true]);
    let join = &serde_json::from_str::<serde_json::Value>(&stdout).unwrap()["metadata"];
    let count = |name: &str| join[name].as_u64().unwrap();
    assert_eq!(
        [count("rows"), count("joined"), count("without_fields")],
        [3, 3, 1]
    );
    assert_eq!(
        [count("items_without_row"), count("unreadable_rows")],
        [1, 1]
    );
    assert!(
        stderr.contains("line 4") && stderr.contains("without any field"),
        "{stderr}"
    );

    // What has no vector is not ranked either.
    let mut command = fixture::satmip();
    command
        .arg("audit")
        .arg(&input)
        .arg("-m")
        .arg(fixture::model());
    command
        .arg("--metadata")
        .arg(&table)
        .args(["--json", "--device", "rten"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let ranked: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let mut ids: Vec<_> = ranked
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["c000.png", "c003.png"]);
    assert!(stderr.contains("not ranked"), "{stderr}");
}

#[test]
fn a_model_of_images_alone_refuses_a_table() {
    let dir = folder();
    let input = chips(dir.path(), "in", 1, 16);
    let model = dir.path().join("images-only");
    fixture::write_bundle(&model, 1, false);
    let table = dir.path().join("t.csv");
    fs::write(&table, "file,gsd\nc000.png,1\n").unwrap();
    let mut command = fixture::satmip();
    command
        .arg("embed")
        .arg(&input)
        .arg("-o")
        .arg(dir.path().join("out"));
    command
        .arg("-m")
        .arg(&model)
        .arg("--metadata")
        .arg(&table)
        .args(["--device", "rten"]);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 1);
    assert!(stderr.contains("no metadata tower"), "{stderr}");
}

/// Runs the program as a user without rights, where this process is root.
#[cfg(unix)]
fn unprivileged(command: &mut std::process::Command) -> Option<(i32, String, String)> {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let probe = tempfile::NamedTempFile::new().unwrap();
    if probe.as_file().metadata().unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    match command.output() {
        Ok(output) => Some((
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
        Err(error) => {
            println!("skipped: the program cannot be run as another user: {error}");
            None
        }
    }
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_or_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let dir = folder();
    let input = chips(dir.path(), "in", 3, 16);
    chip(&input.join("locked/x.png"), 16, 1);
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    mode(&out, 0o777);
    mode(&input.join("locked"), 0o000);
    mode(&input.join("c001.png"), 0o000);
    let Some((code, _, stderr)) = unprivileged(embed().arg(&input).arg("-o").arg(&out)) else {
        return;
    };
    assert_eq!(code, 3, "{stderr}");
    let expected = [("c001.png", "unreadable"), ("locked/", "unreadable")];
    assert_eq!(
        kinds(&out.join("errors.jsonl")),
        expected.map(|(a, b)| (a.into(), b.into())).into()
    );

    let parent = dir.path().join("sealed");
    fs::create_dir(&parent).unwrap();
    for name in ["new", "new.parquet"] {
        let result = unprivileged(embed().arg(&input).arg("-o").arg(parent.join(name)));
        let (code, _, stderr) = result.unwrap();
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("no permission to write there"), "{stderr}");
        assert!(stderr.contains("Permission denied"), "{stderr}");
    }
    mode(&input, 0o000);
    let (code, _, stderr) = unprivileged(embed().arg(&input).arg("-o").arg(&out)).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("cannot be read"), "{stderr}");
    mode(&input, 0o755);
    mode(&input.join("locked"), 0o755);
}

/// A limit on the size of files stands in for a full disk wherever nothing can be mounted.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_grow_is_an_error_and_leaves_nothing() {
    let dir = folder();
    let input = chips(dir.path(), "in", 120, 16);
    for name in ["out.parquet", "out.npy", "out.jsonl"] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]);
        let wrapped = embed();
        command.arg(wrapped.get_program()).args(wrapped.get_args());
        let out = dir.path().join(name);
        let (code, _, stderr) = run(command.arg(&input).arg("-o").arg(&out));
        assert_eq!(code, 1, "{name}: {stderr}");
        assert!(
            stderr.contains("larger than the system allows"),
            "{name}: {stderr}"
        );
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(left, std::slice::from_ref(&input));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_the_job_goes_on_once_there_is_room() {
    let dir = folder();
    let input = chips(dir.path(), "in", 200, 16);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut to_stdout = embed();
    to_stdout
        .arg(&input)
        .args(["-o", "-"])
        .stdout(full)
        .stderr(Stdio::piped());
    let output = to_stdout.spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the disk is full"), "{stderr}");

    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |arguments: &[&str]| {
        let mut command = std::process::Command::new("mount");
        command.args(arguments).arg(&disk).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=32k", "satmip-test"]) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    struct Unmount<'a>(&'a Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(self.0).status();
        }
    }
    let _unmount = Unmount(&disk);
    let target = disk.join("out");
    let arguments = ["--rows-per-part", "40", "--format", "jsonl"];
    let (code, _, stderr) = job(&input, &target, &arguments);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("the disk is full"), "{stderr}");
    assert!(mount(&["-o", "remount,size=10m"]));
    let (code, stdout, stderr) = job(&input, &target, &[&arguments[..], &["--json"]].concat());
    assert_eq!(code, 0, "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["rows"], 200);
    let whole = dir.path().join("whole");
    assert_eq!(job(&input, &whole, &arguments).0, 0);
    assert_eq!(contents(&target), contents(&whole));
}
