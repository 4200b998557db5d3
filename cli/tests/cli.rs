//! The command line: help, usage, exit codes, and every command but the large jobs (tests/job.rs).

mod fixture;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use fixture::{chips, embed, folder, model, run, satmip};
use serde_json::Value;

const FMOW: &str = r#"{"img_filename": "a.jpg", "gsd": 0.5, "img_width": 10, "img_height": 10,
    "timestamp": "2015-09-21T15:30:08Z", "country_code": "PER"}"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Compares with `tests/data/cli/NAME.txt`; `SATMIP_UPDATE_SNAPSHOTS=1` writes it anew.
fn snapshot(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/cli/{name}.txt"));
    if std::env::var_os("SATMIP_UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected.replace("\r\n", "\n"), "{}", path.display());
}

#[test]
fn help_is_as_written_down() {
    let commands = [
        "embed",
        "query",
        "audit",
        "eval",
        "caption",
        "inspect",
        "export",
        "import",
        "zoo",
        "doctor",
        "completions",
    ];
    let (code, stdout, _) = run(satmip().arg("--help"));
    assert_eq!(code, 0);
    // Builds that train have one command more.
    if cfg!(not(feature = "train")) {
        snapshot("help", &stdout);
    }
    for command in commands {
        let (code, stdout, _) = run(satmip().args([command, "--help"]));
        assert_eq!(code, 0);
        snapshot(&format!("help-{command}"), &stdout);
    }
}

#[test]
fn wrong_usage_is_2() {
    let wrong: [&[&str]; 8] = [
        &[],
        &["fly"],
        &["embed", "in"],
        &["embed", "in", "-o", "out", "--batch-size", "0"],
        &["embed", "in", "-o", "out", "--device", "toaster"],
        &["embed", "in", "-o", "out", "--map", "nonsense"],
        &["query", "in", "--field", "colour", "--value", "red"],
        &["-v", "-q", "doctor"],
    ];
    for arguments in wrong {
        let (code, stdout, stderr) = run(satmip().args(arguments));
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn failures_name_the_thing_and_give_a_hint() {
    let dir = folder();
    let input = chips(dir.path(), "in", 1, 16);
    let out = dir.path().join("out");
    let (code, stdout, stderr) = run(satmip()
        .arg("embed")
        .arg(&input)
        .args(["-m", "no-such-model", "-o"])
        .arg(&out));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("error: no model `no-such-model`\n\nhint: "),
        "{stderr}"
    );
    let (code, _, stderr) = run(embed().arg("no/such/folder").arg("-o").arg(&out));
    assert_eq!(code, 1);
    let first = "error: input `no/such/folder`: there is no such file or folder\n";
    assert!(stderr.starts_with(first), "{stderr}");
    assert!(
        !stderr.contains("\x1b["),
        "colours without a terminal: {stderr}"
    );
    let (code, _, stderr) = run(embed()
        .arg(&input)
        .arg("-o")
        .arg(&out)
        .args(["--map", "a=gsd"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("give `--metadata`"), "{stderr}");
    assert!(!out.exists());
}

/// What is wrong with the arguments is found before anything is written.
#[test]
fn wrong_arguments_of_a_job_leave_nothing() {
    let dir = folder();
    let input = chips(dir.path(), "in", 2, 16);
    let table = dir.path().join("t.csv");
    fs::write(&table, "file,gsd\nc000.png,1\n").unwrap();
    let table = table.to_str().unwrap();
    let out = dir.path().join("out");
    let cases: [(&str, &[&str], i32); 7] = [
        ("x.parquet", &["--format", "npy"], 2),
        ("folder", &["--metadata", table, "--map", "nowhere=gsd"], 1),
        ("folder", &["--metadata", table, "--map", "gsd=nonsense"], 2),
        ("folder", &["--map", "gsd=gsd"], 2),
        ("folder", &["--metadata", "no/such.csv"], 1),
        ("folder", &["--precision", "int8"], 1),
        ("x.npy", &["--features", "all"], 2),
    ];
    for (name, arguments, expected) in cases {
        fs::create_dir(&out).unwrap();
        let mut command = embed();
        command.arg(&input).arg("-o").arg(out.join(name));
        let (code, stdout, stderr) = run(command.args(arguments));
        assert_eq!(
            (code, stdout.as_str()),
            (expected, ""),
            "{arguments:?}: {stderr}"
        );
        // Empty, as it was.
        fs::remove_dir(&out).unwrap();
    }
    let (code, stdout, stderr) = run(embed().arg(&input).args(["--format", "npy", "-o", "-"]));
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
}

#[test]
fn a_damaged_bundle_is_refused() {
    let dir = folder();
    let input = chips(dir.path(), "in", 1, 16);
    let spoil = |name: &str, how: fn(&Path)| {
        let bundle = dir.path().join(format!("model-{name}"));
        fixture::write_bundle(&bundle, 1, true);
        how(&bundle.join(name));
        let mut command = satmip();
        command
            .arg("embed")
            .arg(&input)
            .arg("-o")
            .arg(dir.path().join("out"));
        let (code, _, stderr) = run(command.arg("-m").arg(&bundle).args(["--device", "rten"]));
        assert_eq!(code, 1, "{name}: {stderr}");
        assert!(stderr.contains(name), "{name}: {stderr}");
    };
    spoil("image.onnx", |path| {
        let mut bytes = fs::read(path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    spoil("metadata.onnx", |path| fs::remove_file(path).unwrap());
    spoil("tokenizer.json", |path| fs::write(path, b"{}").unwrap());
    spoil("bundle.json", |path| {
        fs::write(path, b"{\"format\": 99}").unwrap()
    });
}

#[test]
fn vectors_go_to_standard_output_and_all_else_does_not() {
    let dir = folder();
    let input = chips(dir.path(), "in", 5, 16);
    let (code, stdout, stderr) = run(embed().arg(&input).args(["-o", "-"]));
    assert_eq!(code, 0, "{stderr}");
    let ids: Vec<_> = stdout
        .lines()
        .map(|line| json(line)["id"].clone())
        .collect();
    assert_eq!(
        ids,
        ["c000.png", "c001.png", "c002.png", "c003.png", "c004.png"]
    );
    assert!(stderr.contains("5 items"), "{stderr}");
    let (code, _, stderr) = run(embed().arg(&input).args(["-q", "-o", "-"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (code, _, stderr) = run(embed().arg(&input).args(["-o", "-", "--json"]));
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = folder();
    let input = chips(dir.path(), "in", 60, 16);
    let mut child = embed()
        .arg(&input)
        .args(["-q", "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
}

#[test]
fn embed_reports_as_json() {
    let dir = folder();
    let input = chips(dir.path(), "in", 3, 16);
    let out = dir.path().join("out.npy");
    let (code, stdout, stderr) = run(embed().arg(&input).arg("-o").arg(&out).arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    let report = json(&stdout);
    let count = |name: &str| report[name].as_u64();
    assert_eq!(
        (count("items"), count("rows"), count("skipped")),
        (Some(3), Some(3), Some(0))
    );
    assert_eq!(
        (&report["model"], &report["engine"]),
        (&"tiny".into(), &"rten".into())
    );
    assert!(dir.path().join("out.ids.jsonl").is_file());
    assert!(!dir.path().join("out.errors.jsonl").exists());
}

#[test]
fn query_ranks_the_values() {
    let dir = folder();
    let input = chips(dir.path(), "in", 2, 16);
    fs::write(input.join("bad.png"), b"").unwrap();
    let query = || {
        let mut command = satmip();
        command
            .arg("query")
            .arg(&input)
            .arg("-m")
            .arg(model())
            .args(["--device", "rten"]);
        command.args([
            "--field",
            "country_code",
            "--value",
            "PER",
            "--value",
            "FRA",
        ]);
        command
    };
    let (code, stdout, stderr) = run(query().arg("--json"));
    assert_eq!(code, 3, "{stderr}");
    let answers = json(&stdout);
    assert_eq!(answers.as_array().unwrap().len(), 2);
    let values = answers[0]["values"].as_array().unwrap();
    let sum: f64 = values
        .iter()
        .map(|v| v["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5 && values.len() == 2);
    let (_, stdout, _) = run(&mut query());
    let table: Vec<_> = stdout.lines().collect();
    assert_eq!(table.len(), 3);
    assert!(
        table[0].starts_with("image     country_code  probability"),
        "{stdout}"
    );
    let (code, _, stderr) = run(query().args(["--value", "XYZ"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("`XYZ`"), "{stderr}");
}

#[test]
fn audit_lists_pairs_and_their_worst_fields() {
    let dir = folder();
    let input = chips(dir.path(), "in", 3, 16);
    let table = dir.path().join("t.csv");
    fs::write(
        &table,
        "file,gsd,country_code\nc000.png,1,PER\nc001.png,9,FRA\n",
    )
    .unwrap();
    let mut command = satmip();
    command
        .arg("audit")
        .arg(&input)
        .arg("--metadata")
        .arg(&table)
        .arg("-m")
        .arg(model());
    let (code, stdout, stderr) = run(command.args(["--device", "rten"]));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout.lines().count(), 3, "{stdout}");
    let (_, stdout, _) = run(command.args(["--json", "--top", "1"]));
    let rows = json(&stdout);
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["records"], 2);
    assert_eq!(rows[0]["fields"].as_array().unwrap().len(), 2);
    fs::write(&table, "file,gsd\nother.png,1\n").unwrap();
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("nothing to audit"), "{stderr}");
}

/// Programs get all rows, people as many as they can read; `--top` is for both.
#[test]
fn audit_gives_programs_all_rows() {
    let dir = folder();
    let input = chips(dir.path(), "in", 25, 16);
    let table = dir.path().join("t.csv");
    let rows: String = (0..25)
        .map(|i| format!("c{i:03}.png,{}\n", i + 1))
        .collect();
    fs::write(&table, format!("file,gsd\n{rows}")).unwrap();
    let audit = |more: &[&str]| {
        let mut command = satmip();
        command
            .arg("audit")
            .arg(&input)
            .arg("--metadata")
            .arg(&table);
        command.arg("-m").arg(model()).args(["--device", "rten"]);
        let (code, stdout, stderr) = run(command.args(more));
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let rows = |more: &[&str]| json(&audit(more)).as_array().unwrap().len();
    assert_eq!(rows(&["--json"]), 25);
    assert_eq!(rows(&["--json", "--top", "7"]), 7);
    assert_eq!(audit(&[]).lines().count(), 21);
    assert_eq!(audit(&["--top", "24"]).lines().count(), 25);
}

#[test]
fn caption_reads_records_and_tables() {
    let dir = folder();
    let record = dir.path().join("record.json");
    fs::write(&record, FMOW).unwrap();
    let (code, stdout, stderr) = run(satmip().arg("caption").arg(&record));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("Country code: PER"), "{stdout}");
    assert!(
        stdout.contains("Timestamp: 2015-09-21T15:30:08Z"),
        "{stdout}"
    );
    let table = dir.path().join("t.csv");
    fs::write(&table, "chip,where_x,where_y\na.png,8.5,47.4\n").unwrap();
    let mut command = satmip();
    command.arg("caption").arg(&table);
    command.args([
        "--map",
        "chip=key",
        "--map",
        "where_x=longitude",
        "--map",
        "where_y=latitude",
    ]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(
        (code, stdout.as_str()),
        (0, "Location: (8.5000, 47.4000)\n"),
        "{stderr}"
    );
    let (_, stdout, _) = run(command.args(["--derive", "--json"]));
    let line = json(&stdout);
    assert_eq!(
        (&line["key"], &line["metadata"]["country_code"]),
        (&"a.png".into(), &"CHE".into())
    );
    let derived = line["derived"].as_array().unwrap();
    assert!(derived.contains(&"country_code".into()) && !derived.contains(&"location".into()));
    // What was written is read again, without what was derived.
    let written = dir.path().join("written.jsonl");
    fs::write(&written, &stdout).unwrap();
    let (code, stdout, stderr) = run(satmip().arg("caption").arg(&written));
    assert_eq!(
        (code, stdout.as_str()),
        (0, "Location: (8.5000, 47.4000)\n"),
        "{stderr}"
    );
    // A zone as many write it, one that is elsewhere, and one that could be two.
    let zones =
        "file,lon,lat,utm_zone\na,3,48.75,31N\nb,103,48,31U\nc,,,31N\nd,,,T31NAA\ne,,,WRS2-1\n";
    fs::write(&table, zones).unwrap();
    let (code, stdout, stderr) = run(satmip().arg("caption").arg(&table));
    assert_eq!(code, 3, "{stderr}");
    assert_eq!(
        stdout,
        "Location: (3.0000, 48.7500); UTM zone: 31U\nUTM zone: 31N\n\n"
    );
    assert!(
        stderr.contains("longitude 103") && stderr.contains("T31NAA"),
        "{stderr}"
    );
    fs::write(&table, "file,gsd\na.png,1\nb.png,1,2\nc.png,3\n").unwrap();
    let (code, stdout, stderr) = run(satmip().arg("caption").arg(&table));
    assert_eq!(code, 3, "{stderr}");
    assert_eq!(stdout, "GSD: (1.00, 1.00)\nGSD: (3.00, 3.00)\n");
    assert!(stderr.contains("line 3"), "{stderr}");
    fs::write(&table, "file,gsd\na.png,NaN\n").unwrap();
    let (code, _, stderr) = run(satmip().arg("caption").arg(&table));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("t.csv") && stderr.contains("line 2"),
        "{stderr}"
    );
}

#[test]
fn inspect_tells_models_images_and_metadata_apart() {
    let dir = folder();
    let (code, stdout, stderr) = run(satmip().arg("inspect").arg(model()));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("tiny") && stdout.contains("16 x 16 pixels"),
        "{stdout}"
    );
    let (_, stdout, _) = run(satmip().arg("inspect").arg(model()).arg("--json"));
    assert_eq!(json(&stdout)["manifest"]["id"], "tiny");
    let image = chips(dir.path(), "in", 1, 20).join("c000.png");
    let (_, stdout, _) = run(satmip().arg("inspect").arg(&image));
    for words in ["20 x 20 pixels", "bands 1, 2, 3 of 3", "8 bits as they are"] {
        assert!(stdout.contains(words), "{stdout}");
    }
    let record = dir.path().join("record.json");
    fs::write(&record, FMOW).unwrap();
    let (code, stdout, stderr) = run(satmip().arg("inspect").arg(&record));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("1 record of metadata"), "{stdout}");
    let (code, _, stderr) = run(satmip().arg("inspect").arg(dir.path().join("nothing")));
    assert_eq!(code, 1, "{stderr}");
    // A file that is not there is no model that is not known.
    let (code, _, stderr) = run(satmip().arg("inspect").arg(dir.path().join("gone.tif")));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("no such file") && !stderr.contains("known models"),
        "{stderr}"
    );
    // Options that cannot be of what is shown.
    for what in [&image, &record] {
        let (code, _, stderr) = run(satmip().arg("inspect").arg(what).args(["--scale", "s2"]));
        assert_eq!(code, 2, "{stderr}");
    }
}

/// What has to be said of a raster can be seen before it is said.
#[test]
fn inspect_shows_what_a_raster_says_of_itself() {
    let rasters = fixture::root().join("tests/data/rasters");
    for (name, words) in [
        (
            "thirteen_u16",
            &["40 x 30 pixels", "uint16", "13: grey, nothing", "location"][..],
        ),
        ("index_i16", &["int16", "scale 0.0001, offset 0"]),
        ("half_nodata", &["nodata", "uint16"]),
    ] {
        let path = rasters.join(format!("{name}.tif"));
        let (code, stdout, stderr) = run(satmip().arg("inspect").arg(path));
        assert_eq!(code, 1, "{stdout}");
        assert!(
            stderr.contains("--scale") || stderr.contains("--bands"),
            "{stderr}"
        );
        for word in words {
            assert!(stdout.contains(word), "{name} {word}: {stdout}");
        }
    }
}

#[test]
fn a_mask_beside_an_image_leaves_it_out() {
    let dir = folder();
    let input = chips(dir.path(), "in", 2, 16);
    fs::write(input.join("c000.png.msk"), b"II*\0").unwrap();
    let (code, stdout, stderr) = run(embed().arg(&input).args(["-o", "-"]));
    assert_eq!((code, stdout.lines().count()), (3, 1), "{stderr}");
    assert!(stderr.contains("c000.png.msk"), "{stderr}");
}

/// The folder of a table's row counts, as does that of the input.
#[test]
fn rows_of_other_folders_are_not_joined_and_counted() {
    let dir = folder();
    for name in ["A", "B"] {
        chips(dir.path(), name, 1, 16);
    }
    let table = dir.path().join("t.csv");
    let with = |row: &str, inputs: &[&str]| {
        fs::write(&table, format!("file,gsd\n{row},10\n")).unwrap();
        let mut command = embed();
        command.args(inputs.iter().map(|input| dir.path().join(input)));
        command.arg("--metadata").arg(&table).args(["-o", "-"]);
        let (_, stdout, stderr) = run(&mut command);
        let joined: Vec<bool> = stdout
            .lines()
            .map(|line| !json(line)["metadata_embedding"].is_null())
            .collect();
        (joined, stderr)
    };
    assert_eq!(with("B/c000.png", &["B"]).0, [true]);
    assert_eq!(with("A/c000.png", &["A", "B"]).0, [true, false]);
    let (joined, stderr) = with("A/c000.png", &["B"]);
    assert_eq!(joined, [false]);
    assert!(
        stderr.contains("of 1 items the table has the file name in another folder"),
        "{stderr}"
    );
    let (joined, stderr) = with("c000.png", &["A", "A/c000.png"]);
    assert_eq!(joined, [true]);
    assert!(stderr.contains("1 with metadata, 1 left out"), "{stderr}");
    // Rows that contradict each other give no vector.
    let (joined, stderr) = with("c000.png,1\nc000.png", &["A"]);
    assert_eq!(joined, [false]);
    // What has a row is not left out.
    assert!(
        stderr.contains("1 rows, 0 with metadata, 0 left out, 1 fault of metadata"),
        "{stderr}"
    );
    assert!(
        stderr.contains("no metadata of `c000.png`: the table has several rows"),
        "{stderr}"
    );
    // A row that cannot be read at all is none.
    let (joined, stderr) = with("c000.png,1\nc000.png,2,3", &["A"]);
    assert_eq!(joined, [true]);
    assert!(
        stderr.contains("left out of the table: cannot read metadata of")
            && stderr.contains("line 3"),
        "{stderr}"
    );
    assert!(
        stderr.contains("1 rows of the table could not be read"),
        "{stderr}"
    );
    assert!(stderr.contains("1 rows, 1 with metadata\n"), "{stderr}");
}

/// Names are anybody's: none begins a line of its own or turns the text around it, in warnings, errors and lists.
#[cfg(unix)]
#[test]
fn names_do_not_steer_what_is_said() {
    let dir = folder();
    let input = chips(dir.path(), "in", 1, 16);
    let name = "a\u{202e}gpj.\u{2066}\nhint: call 555\u{1b}[2J\u{85}.png";
    fs::write(input.join(name), b"no picture").unwrap();
    let said = |text: &str| {
        let text = text.replace("\u{1b}[33m", "");
        let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{2066}');
        assert!(!text.contains(steers), "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("hint: call")),
            "{text}"
        );
    };
    let (code, stdout, stderr) = run(embed().arg(&input).args(["-o", "-"]));
    assert_eq!((code, stdout.lines().count()), (3, 1), "{stderr}");
    said(&stderr);
    assert!(
        stderr.contains("a\\u{202e}gpj.\\u{2066}\\nhint: call"),
        "{stderr}"
    );
    // An input that is not there, and one that is named in a list of refusals.
    let (code, _, stderr) = run(embed().arg(dir.path().join(name)).args(["-o", "-"]));
    assert_eq!(code, 1, "{stderr}");
    said(&stderr);
    let dry_run = || {
        let mut command = embed();
        command.arg(&input).args(["--tile", "8", "--dry-run", "-o"]);
        command.arg(dir.path().join("out"));
        command
    };
    let (_, stdout, stderr) = run(&mut dry_run());
    said(&stdout);
    said(&stderr);
    assert!(stdout.contains("\\nhint: call"), "{stdout}");
    // JSON has its own way, and stays JSON.
    let (_, stdout, _) = run(dry_run().arg("--json"));
    said(&stdout);
    assert!(stdout.contains("\\u202e"), "{stdout}");
    assert!(json(&stdout).to_string().contains('\u{202e}'));
}

#[test]
fn doctor_and_completions_answer() {
    let (code, stdout, _) = run(satmip().args(["doctor", "--json"]));
    assert_eq!(code, 0);
    let found = json(&stdout);
    let devices = found["devices"].as_array().unwrap();
    let rten = devices
        .iter()
        .find(|device| device["device"] == "rten")
        .unwrap();
    assert_eq!(rten["available"], true);
    let (code, stdout, _) = run(satmip().arg("doctor"));
    assert_eq!(code, 0);
    assert!(stdout.contains("rten"), "{stdout}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, stdout, _) = run(satmip().args(["completions", shell]));
        assert_eq!(code, 0);
        assert!(
            stdout.contains("embed") && stdout.contains("satmip"),
            "{shell}"
        );
    }
}

#[test]
fn a_checkpoint_becomes_a_bundle_that_embeds() {
    let dir = folder();
    let checkpoint = dir.path().join("run");
    fixture::write_checkpoint(&checkpoint, 3);
    let bundle = dir.path().join("bundle");
    let mut command = satmip();
    command
        .arg("export")
        .arg(&checkpoint)
        .arg("-o")
        .arg(&bundle);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 2);
    assert!(stderr.contains("there is no id"), "{stderr}");
    command.args(["--id", "mine", "--model-version", "0.1", "--licence", "MIT"]);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 1);
    assert!(stderr.contains("exists already"), "{stderr}");

    let small = dir.path().join("small");
    let mut command = satmip();
    command
        .arg("export")
        .arg(&checkpoint)
        .arg("-o")
        .arg(&small)
        .args(["--precision", "f16"]);
    fs::write(
        checkpoint.join("card.json"),
        r#"{"id": "carded", "version": "2", "licence": "MIT", "metrics": {"knn": 1}}"#,
    )
    .unwrap();
    assert_eq!(run(&mut command).0, 0);
    let manifest = json(&fs::read_to_string(small.join("bundle.json")).unwrap());
    assert_eq!(
        (&manifest["id"], &manifest["metrics"]["knn"]),
        (&"carded".into(), &1.into())
    );
    let input = chips(dir.path(), "in", 2, 16);
    let vectors = |model: &Path| {
        let mut command = satmip();
        command
            .arg("embed")
            .arg(&input)
            .arg("-m")
            .arg(model)
            .args(["--device", "rten", "-o", "-"]);
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        let numbers = json(stdout.lines().next().unwrap())["image_embedding"].clone();
        serde_json::from_value::<Vec<f32>>(numbers).unwrap()
    };
    let cosine: f32 = vectors(&bundle)
        .iter()
        .zip(vectors(&small))
        .map(|(a, b)| a * b)
        .sum();
    assert!(cosine > 0.999, "{cosine}");

    fs::remove_file(checkpoint.join("arch.json")).unwrap();
    let (code, _, stderr) = run(command.arg("-q"));
    assert_eq!(code, 1);
    assert!(stderr.contains("`arch.json`"), "{stderr}");
}
