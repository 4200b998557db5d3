//! Plans: shards that are killed, array jobs, and what is said of a folder.

mod fixture;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fixture::{contents, embed, folder, root, run, satmip};

const CUT: [&str; 8] = [
    "--tile",
    "8",
    "--stride",
    "5",
    "--scale",
    "0,3000",
    "--workers",
    "1",
];

/// A folder of scenes of 48 windows each.
fn scenes(dir: &Path, count: usize) -> std::path::PathBuf {
    let input = dir.join("in");
    fs::create_dir(&input).unwrap();
    for scene in 0..count {
        let raster = root().join("tests/data/rasters/u16.tif");
        fs::copy(raster, input.join(format!("s{scene:02}.tif"))).unwrap();
    }
    fs::write(input.join("bad.tif"), b"no picture").unwrap();
    input
}

fn make(input: &Path, plan: &Path, block: &str) {
    let mut command = satmip();
    command.arg("plan").arg(input).arg("-o").arg(plan);
    command
        .arg("-m")
        .arg(fixture::model())
        .args(["--device", "rten", "--block-items", block]);
    let (code, _, stderr) = run(command.args(CUT));
    assert_eq!(code, 0, "{stderr}");
}

fn shard(plan: &Path, out: &Path, which: &str) -> Command {
    let mut command = embed();
    command.arg("--plan").arg(plan).arg("-o").arg(out);
    command.args(["--shard", which, "--workers", "1"]);
    command
}

/// Numbers that look random, from a seed (Knuth's generator).
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Eight shards at once, of which each block is two shards' (those of 8 and those of 4), killed over and over. How often
/// is said by SATMIP_TEST_KILLS (12 where it says nothing).
#[test]
fn shards_that_are_killed_lose_and_double_nothing() {
    let kills: u64 = std::env::var("SATMIP_TEST_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(12);
    let dir = folder();
    let input = scenes(dir.path(), 20);
    let whole = dir.path().join("whole");
    let (code, _, stderr) = run(embed()
        .arg(&input)
        .arg("-o")
        .arg(&whole)
        .args(CUT)
        .args(["--rows-per-part", "24"]));
    assert_eq!(code, 3, "{stderr}");
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    make(&input, &plan, "24");
    let shares: Vec<String> = (0..8)
        .map(|k| format!("{k}/8"))
        .chain((0..4).map(|k| format!("{k}/4")))
        .collect();
    let start = |share: &str| -> Child {
        let mut command = shard(&plan, &out, share);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut running: Vec<(String, Child)> = shares
        .iter()
        .map(|share| (share.clone(), start(share)))
        .collect();
    let (mut state, mut killed) = (7, 0);
    while killed < kills {
        std::thread::sleep(Duration::from_millis(5 + next(&mut state) % 60));
        let at = (next(&mut state) % running.len() as u64) as usize;
        let (share, child) = &mut running[at];
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        killed += 1;
        *child = start(share);
    }
    for (share, mut child) in running {
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 3)), "{share}: {code:?}");
    }
    let (code, stdout, _) = run(satmip().arg("plan").arg("status").arg(&out));
    assert_eq!(code, 0, "{stdout}");
    let (code, stdout, stderr) = run(satmip().arg("plan").arg("verify").arg(&out));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (code, _, stderr) = run(satmip().arg("plan").arg("merge").arg(&out));
    assert_eq!(code, 3, "{stderr}");
    let (mut one, mut other) = (contents(&whole), contents(&out));
    for folder in [&mut one, &mut other] {
        folder.remove("job.json").unwrap();
    }
    let names = |folder: &std::collections::BTreeMap<String, Vec<u8>>| {
        folder.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&one), names(&other));
    assert!(one == other, "the bytes differ");
    println!("{killed} kills, {} parts", names(&one).len());
}

#[test]
fn array_jobs_find_their_share() {
    let dir = folder();
    let input = scenes(dir.path(), 2);
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    make(&input, &plan, "30");
    let (code, stdout, _) = run(satmip().args(["plan", "status"]).arg(dir.path()));
    assert_eq!((code, stdout.as_str()), (1, ""));
    let mut slurm = shard(&plan, &out, "auto");
    for (name, value) in [("ID", "3"), ("MIN", "1"), ("MAX", "3"), ("STEP", "2")] {
        slurm.env(format!("SLURM_ARRAY_TASK_{name}"), value);
    }
    let (code, _, stderr) = run(&mut slurm);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.starts_with("shard 1/2, by SLURM_ARRAY_TASK_ID 3 of 1-3:2"),
        "{stderr}"
    );
    let (code, stdout, _) = run(satmip().args(["plan", "status"]).arg(&out));
    assert_eq!(code, 3);
    assert!(
        stdout.contains("2 of 4 blocks done") && stdout.contains("not begun: 0-1"),
        "{stdout}"
    );
    let mut batch = shard(&plan, &out, "auto");
    batch
        .env("AWS_BATCH_JOB_ARRAY_INDEX", "0")
        .env("AWS_BATCH_JOB_ARRAY_SIZE", "2");
    assert_eq!(run(&mut batch).0, 3);
    let mut kubernetes = shard(&plan, &out, "auto/2");
    let (code, _, stderr) = run(kubernetes.env("JOB_COMPLETION_INDEX", "0"));
    assert!(
        code == 0 && stderr.contains("of 2 blocks 2 were done before"),
        "{stderr}"
    );
    for (share, reason) in [
        ("auto", "no variable"),
        ("2/2", "counted from 0"),
        ("x", "K/N"),
        ("auto/x", "number"),
    ] {
        let (code, _, stderr) = run(&mut shard(&plan, &out, share));
        assert!(code != 0 && stderr.contains(reason), "{share}: {stderr}");
    }
    let (code, _, stderr) = run(embed()
        .arg(&input)
        .args(["--shard", "0/2", "-o"])
        .arg(dir.path().join("x")));
    assert!(code != 0 && stderr.contains("--plan"), "{stderr}");
    // What a plan says is not said again.
    for said in [
        &["--tile", "9"][..],
        &["--grid", "h3:8"],
        &["--bbox=0,0,1,1"],
        &["--scale", "full"],
        &["--vectors", "f16"],
        &["--batch-size", "3"],
        &["--rows-per-part", "5"],
        &["--map", "a=gsd"],
        &["--max-cloud", "0.5"],
        &["--overwrite"],
    ] {
        let (code, _, stderr) = run(shard(&plan, &out, "0/2").args(said));
        assert!(
            code == 2 && stderr.contains("cannot be used with") && stderr.contains("--plan"),
            "{said:?}: {stderr}"
        );
    }
    let (code, _, stderr) = run(satmip().args(["plan", "merge"]).arg(&out));
    assert_eq!(code, 3, "{stderr}");
    assert!(
        fs::read_to_string(out.join("ledger.jsonl"))
            .unwrap()
            .contains("\"done\":true")
    );
}

/// The scripts of examples/distributed, with the variables that their engines set.
#[test]
#[cfg(unix)]
fn scripts_of_engines_do_their_share() {
    let dir = folder();
    let input = scenes(dir.path(), 2);
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    // The program that the scripts find, with the model of the tests.
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_satmip"));
    let text = format!(
        "#!/bin/sh\nexec '{}' \"$@\" -m '{}' --device rten\n",
        program.display(),
        fixture::model().display()
    );
    fs::write(bin.join("satmip"), text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("satmip"), mode).unwrap();
    make(&input, &plan, "30");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let script = |name: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new("bash");
        command
            .arg(root().join("examples/distributed").join(name))
            .arg(&plan)
            .arg(&out);
        command.env("PATH", &path).envs(variables.iter().copied());
        run(&mut command)
    };
    let slurm = [
        ("SLURM_ARRAY_TASK_ID", "0"),
        ("SLURM_ARRAY_TASK_MIN", "0"),
        ("SLURM_ARRAY_TASK_MAX", "1"),
        ("SLURM_CPUS_PER_TASK", "1"),
    ];
    let (code, _, stderr) = script("slurm.sh", &slurm);
    assert_eq!(code, 0, "{stderr}");
    let batch = [
        ("AWS_BATCH_JOB_ARRAY_INDEX", "1"),
        ("AWS_BATCH_JOB_ARRAY_SIZE", "2"),
    ];
    let (code, _, stderr) = script("aws_batch.sh", &batch);
    assert_eq!(code, 0, "{stderr}");
    let found = run(satmip().args(["plan", "status"]).arg(&out));
    assert_eq!(found.0, 0, "{}", found.1);
    let (code, _, stderr) = script("aws_batch.sh", &[]);
    assert!(
        code == 0 && stderr.contains("4 were done before"),
        "{stderr}"
    );
    // A plan that is not there fails the task.
    fs::remove_file(&plan).unwrap();
    assert_eq!(script("slurm.sh", &slurm).0, 1);
}
