//! `satmip pretrain` and `satmip curves`, as a person runs them.
#![cfg(feature = "train")]

mod fixture;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const RECIPE: &str = r#"id = "tiny"
version = "1"
licence = "MIT"
method = "satmips"
seed = 3
steps = 5
batch_size = 4
embed_dim = 8
fields = ["gsd", "timestamp", "sensor_platform"]
preprocessing = { size = 16, mean = [0.4, 0.4, 0.4], std = [0.2, 0.2, 0.2] }
image = { kind = "vit", patch = 8, dim = 12, depth = 2, heads = 3 }
simclr = { hidden = [8], output = 8, temperature = 0.1 }
optimizer = { learning_rate = 1e-3, warmup_steps = 1 }
data = [{ archive = "chips.tar", index = "chips.csv", chips_per_epoch = 8 }]

[metadata]
kind = "text"
vocabulary = 450
dim = 16
depth = 1
heads = 2
"#;

/// Ten chips of 16 x 16 pixels; four of them have a date.
fn make_data(folder: &Path) {
    let mut chips = Vec::new();
    let mut index = String::from("file,label,split,timestamp,gsd,sensor_platform\n");
    for i in 0..10 {
        let picture = image::RgbImage::from_pixel(16, 16, image::Rgb([20 * i, 40, 90]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        let name = format!("{i}.png");
        chips.push((name.clone(), bytes.into_inner()));
        let time = if i < 4 { "2020-06-01" } else { "" };
        index += &format!("{name},a,train,{time},10,SENTINEL-2A\n");
    }
    let chips: Vec<_> = chips
        .iter()
        .map(|(name, png): &(String, _)| (&name[..], Vec::clone(png)))
        .collect();
    fs::write(folder.join("chips.tar"), fixture::tar(&chips)).unwrap();
    fs::write(folder.join("chips.csv"), index).unwrap();
    fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
}

fn satmip(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_satmip"));
    command.current_dir(folder).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const DRY: [&str; 6] = ["pretrain", "-c", "recipe.toml", "--data", ".", "--dry-run"];

#[test]
fn a_dry_run_says_what_would_be_done() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    let done = satmip(folder.path(), &DRY);
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{err}");
    for part in [
        "view_coupling = true",
        "chips.tar     10          8  100 %  40 %       100 %",
        "2 steps an epoch, 2.5 epochs",
        "tokens of a caption: ",
        "image tower",
        "2 image passes",
        "memory: about ",
        "time: about ",
    ] {
        assert!(out.contains(part), "{out}\nlacks {part}");
    }
    // What stands above the data can be run again.
    let recipe = out.split("\n# Data").next().unwrap();
    assert_eq!(
        recipe.parse::<toml::Table>().unwrap()["steps"].as_integer(),
        Some(5)
    );

    let done = satmip(
        folder.path(),
        &[&DRY[..], &["--json", "--set", "steps=8"]].concat(),
    );
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(found["recipe"]["steps"], 8);
    assert_eq!(found["epochs"], 4.0);
    // 3 channels, 8 x 8 patches and a bias; class token and 5 places; 2 blocks; the last norm.
    let block = 2 * 24 + 12 * 36 + 36 + 12 * 12 + 12 + 12 * 48 + 48 + 48 * 12 + 12;
    let tower = 12 * 192 + 12 + 12 + 5 * 12 + 2 * block + 24;
    assert_eq!(found["estimate"]["parameters"]["image"], tower);
    let metadata = &found["metadata"];
    assert_eq!(metadata["kind"], "text");
    let of = |name: &str| metadata[name].as_u64().unwrap();
    assert!(of("least_tokens") < of("most_tokens") && of("most_tokens") <= of("context"));
    assert!(found["step_seconds"].as_f64().unwrap() > 0.0);

    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 3, "nothing is written");
}

#[test]
fn a_dry_run_refuses_what_a_run_would() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    for (change, words) in [
        (
            "fields=['gsd', 'cloud_cover']",
            ["`cloud_cover`, which no chip", "`timestamp`"],
        ),
        ("batch_size=9", ["epoch of 8 chips", "no batch of 9"]),
        ("image.heads=5", ["`--set image.heads=5`", "not divisible"]),
        ("data.0.index=none.csv", ["none.csv", "cannot access"]),
    ] {
        let done = satmip(folder.path(), &[&DRY[..], &["--set", change]].concat());
        let err = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{err}");
        for word in words {
            assert!(err.contains(word), "{err}\nlacks {word}");
        }
    }
    let done = satmip(folder.path(), &DRY[..5]);
    assert_eq!(done.status.code(), Some(2), "a run needs `--output`");
}

#[test]
fn curves_are_drawn_of_one_run_and_of_several() {
    let folder = tempfile::tempdir().unwrap();
    let line = |step: usize| {
        format!(
            r#"{{"step":{step},"steps":9,"loss":{},"simclr":1.0,"logit_scale":14.0,"gradient_norm":1.0,"learning_rate":1e-3,"seconds":1.0}}"#,
            9 - step
        ) + "\n"
    };
    for run in ["first", "second"] {
        let run = folder.path().join(run);
        fs::create_dir(&run).unwrap();
        fs::write(run.join("metrics.jsonl"), line(1) + &line(2)).unwrap();
    }
    let drawn = |runs: &[&str]| {
        let args = [&["curves", "--overwrite"], runs, &["-o", "c.svg"]].concat();
        let done = satmip(folder.path(), &args);
        assert!(done.status.success(), "{}", text(&done.stderr));
        fs::read_to_string(folder.path().join("c.svg")).unwrap()
    };
    assert!(drawn(&["first"]).contains("2 steps"));
    let both = drawn(&["first", "second/metrics.jsonl"]);
    assert!(both.contains("first") && both.contains("second"));
    // What is there stays unless it may go.
    let done = satmip(folder.path(), &["curves", "second", "-o", "c.svg"]);
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done.stderr);
    assert!(
        said.contains("c.svg") && said.contains("--overwrite"),
        "{said}"
    );
    let still = fs::read_to_string(folder.path().join("c.svg")).unwrap();
    assert!(still == both);
    fs::write(folder.path().join("second/metrics.jsonl"), "").unwrap();
    let done = satmip(folder.path(), &["curves", "second", "-o", "d.svg"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("no step yet"));
}

/// Ctrl-C finishes the step and saves; `--resume` goes on to the weights of an unbroken run.
#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_the_program_resumes() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    let file = folder.path().join("recipe.toml");
    fs::write(&file, RECIPE.replace("steps = 5", "steps = 60")).unwrap();
    let pretrain = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_satmip"));
        command.args(["pretrain", "--resume", "-c"]).arg(&file);
        command.arg("--data").arg(folder.path());
        command.arg("-o").arg(folder.path().join(name));
        command.stderr(Stdio::piped());
        command
    };
    let metrics = folder.path().join("broken/metrics.jsonl");
    let steps = || {
        let text = fs::read_to_string(&metrics).unwrap_or_default();
        text.lines().count()
    };
    for signal in ["-INT", "-TERM"] {
        let before = steps();
        let mut child = pretrain("broken").spawn().unwrap();
        while steps() < before + 3 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("--resume"), "{said}");
        assert!(!folder.path().join("broken/weights.safetensors").exists());
    }
    for name in ["broken", "whole"] {
        let output = pretrain(name).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    let weights = |name: &str| fs::read(folder.path().join(name).join("weights.safetensors"));
    assert!(weights("broken").unwrap() == weights("whole").unwrap());
}
