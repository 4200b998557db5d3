//! Pretraining on chips that the test makes itself.

#[path = "../../tests/fixture/mod.rs"]
mod fixture;

use std::fs;
use std::path::Path;

use burn::prelude::Device;
use satmip::Error;
use satmip_train::{Method, Progress, Recipe, RunOptions, Summary, pretrain};

const LABELS: [&str; 2] = ["field", "water"];

/// An archive of 24 chips of 16 x 16 pixels in two colours, and its index.
fn make_data(folder: &Path) {
    let mut chips: Vec<(String, Vec<u8>)> = Vec::new();
    let mut index = String::from("file,label,split,lon,lat,timestamp,gsd,sensor_platform\n");
    for i in 0..24u8 {
        let label = LABELS[usize::from(i % 2)];
        let split = if i < 16 { "train" } else { "val" };
        let name = format!("{label}/{i}.png");
        let colour = if i % 2 == 0 {
            [40, 120 + i, 30]
        } else {
            [20, 40, 120 + i]
        };
        let pixels: Vec<u8> = (0..256).flat_map(|_| colour).collect();
        let picture = image::RgbImage::from_raw(16, 16, pixels).unwrap();
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        chips.push((name.clone(), bytes.into_inner()));
        // Some rows lack the date, as real indices do.
        let time = if i % 3 == 0 {
            ""
        } else {
            "2020-06-01T10:00:00Z"
        };
        let (lon, lat) = (i32::from(i) - 10, 40 + i32::from(i % 5));
        index += &format!("{name},{label},{split},{lon},{lat},{time},10,SENTINEL-2A\n");
    }
    let chips: Vec<_> = chips
        .iter()
        .map(|(name, png)| (&name[..], png.clone()))
        .collect();
    fs::write(folder.join("chips.tar"), fixture::tar(&chips)).unwrap();
    fs::write(folder.join("chips.csv"), index).unwrap();
}

fn recipe(method: &str, metadata: &str) -> Recipe {
    let text = format!(
        r#"
        id = "tiny"
        version = "1"
        licence = "MIT"
        method = "{method}"
        seed = 3
        steps = 4
        batch_size = 8
        embed_dim = 8
        fields = ["gsd", "timestamp", "location", "country_code", "sensor_platform"]
        field_dropout = 0.3
        preprocessing = {{ size = 16, mean = [0.4, 0.4, 0.4], std = [0.2, 0.2, 0.2] }}
        image = {{ kind = "resnet", block = "basic", widths = [8, 8], depths = [1, 1], stem = {{ kernel = 3, stride = 2, max_pool = false }} }}
        metadata = {metadata}
        simclr = {{ hidden = [8], output = 8, temperature = 0.1 }}
        optimizer = {{ learning_rate = 1e-3, warmup_steps = 1, clip_norm = 1.0 }}
        data = [{{ archive = "chips.tar", index = "chips.csv" }}]
        validation = {{ source = {{ archive = "chips.tar", index = "chips.csv" }}, every = 2, chips = 16, k = 20 }}
        "#
    );
    toml::from_str(&text).unwrap()
}

const TEXT: &str = r#"{ kind = "text", vocabulary = 450, dim = 16, depth = 1, heads = 2 }"#;
const TABULAR: &str = r#"{ kind = "tabular", dim = 16, depth = 2, heads = 2, hidden = 20, attention_dropout = 0.2, hidden_dropout = 0.1 }"#;

fn run(
    recipe: &Recipe,
    options: &RunOptions,
    progress: &mut dyn FnMut(&Progress),
) -> satmip::Result<Summary> {
    pretrain(recipe, options, &Device::flex(), progress)
}

fn train(recipe: &Recipe, data: &Path, out: &Path) -> Vec<u8> {
    let mut lines = 0;
    let summary = run(recipe, &RunOptions::new(data, out), &mut |_| lines += 1).unwrap();
    assert_eq!((summary.steps, lines, summary.chips), (4, 4, 16));
    assert!(!summary.interrupted);
    assert!(summary.loss.is_finite() && summary.knn.is_some());
    fs::read(out.join("weights.safetensors")).unwrap()
}

#[test]
fn every_method_and_tower_trains_and_repeats_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    for (method, metadata) in [
        ("simclr", TEXT),
        ("satmip", TEXT),
        ("satmips", TEXT),
        ("satmips", TABULAR),
    ] {
        let recipe = recipe(method, metadata);
        let kind = metadata.contains("tabular");
        let out = |n: u8| folder.path().join(format!("{method}-{kind}-{n}"));
        let first = train(&recipe, folder.path(), &out(1));
        let second = train(&recipe, folder.path(), &out(2));
        assert!(first == second, "{method} {metadata} does not repeat");
        let text = metadata == TEXT && recipe.method != Method::Simclr;
        assert_eq!(out(1).join("tokenizer.json").exists(), text);
        let metrics = fs::read_to_string(out(1).join("metrics.jsonl")).unwrap();
        let losses: Vec<bool> = ["simclr", "satmip"]
            .iter()
            .map(|name| metrics.contains(&format!("\"{name}\":")))
            .collect();
        let expected = [
            recipe.method != Method::Satmip,
            recipe.method != Method::Simclr,
        ];
        assert_eq!(losses, expected);
        // The resolved recipe can be run again.
        Recipe::read(&out(1).join("recipe.toml")).unwrap();
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    let mut recipe = recipe("satmip", TEXT);
    let first = train(&recipe, folder.path(), &folder.path().join("a"));
    recipe.seed += 1;
    assert!(first != train(&recipe, folder.path(), &folder.path().join("b")));
}

#[test]
fn an_interrupted_run_ends_with_the_same_weights() {
    use std::sync::atomic::Ordering;

    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    for (metadata, ema) in [(TEXT, None), (TABULAR, Some(0.9))] {
        let mut recipe = recipe("satmips", metadata);
        // 2 batches an epoch: the first stop is in mid-epoch, the second run stops again.
        recipe.steps = 7;
        recipe.ema = ema;
        recipe.checkpoint.every = 2;
        let name = |n: u8| folder.path().join(format!("{}-{n}", ema.is_some()));
        let unbroken = RunOptions::new(folder.path(), name(0));
        let whole = run(&recipe, &unbroken, &mut |_| ()).unwrap();
        let mut parts = RunOptions::new(folder.path(), name(1));
        parts.resume = true;
        for (stop_at, workers) in [(3, 1), (5, 3), (7, 2)] {
            parts.workers = workers;
            parts.stop = Default::default();
            let stop = parts.stop.clone();
            let summary = run(&recipe, &parts, &mut |line| {
                stop.store(line.step >= stop_at, Ordering::Relaxed);
            });
            let summary = summary.unwrap();
            // The stop is seen after the step that follows it.
            assert_eq!(summary.steps, (stop_at + 1).min(7));
            assert_eq!(summary.interrupted, stop_at + 1 < 7);
        }
        let read = |n: u8, file: &str| fs::read(name(n).join(file)).unwrap();
        for file in ["weights.safetensors", "arch.json"] {
            assert!(
                read(0, file) == read(1, file),
                "{metadata}: `{file}` differs"
            );
        }
        let losses = |n: u8| -> Vec<(usize, f64)> {
            let lines = satmip_train::read_metrics(&name(n).join("metrics.jsonl")).unwrap();
            lines.iter().map(|line| (line.step, line.loss)).collect()
        };
        assert_eq!(losses(0), losses(1));
        assert_eq!(losses(0).len(), 7);
        // A finished run has nothing left to do.
        let again = run(&recipe, &parts, &mut |_| panic!("no step is left")).unwrap();
        assert_eq!((again.steps, again.loss), (7, whole.loss));
    }
}

#[test]
fn a_run_resumes_only_with_its_own_recipe() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    let mut recipe = recipe("satmip", TEXT);
    let mut options = RunOptions::new(folder.path(), folder.path().join("run"));
    run(&recipe, &options, &mut |_| ()).unwrap();
    let error = run(&recipe, &options, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("--resume"), "{error}");
    options.resume = true;
    recipe.optimizer.learning_rate = 0.5;
    let error = run(&recipe, &options, &mut |_| ()).unwrap_err().to_string();
    assert!(
        error.contains("`optimizer.learning_rate` was 0.001 and is 0.5"),
        "{error}"
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_names_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    let mut recipe = recipe("satmips", TEXT);
    // Decay by more than the weight itself makes every weight grow without bound.
    recipe.optimizer.learning_rate = 1e3;
    recipe.optimizer.weight_decay = 1.0;
    recipe.optimizer.warmup_steps = 0;
    recipe.steps = 60;
    let options = RunOptions::new(folder.path(), folder.path().join("run"));
    let error = run(&recipe, &options, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("bad_batch.json"), "{error}");
    let text = fs::read_to_string(options.out.join("bad_batch.json")).unwrap();
    let batch: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(batch["items"].as_array().unwrap().len(), 8);
    assert!(text.contains(".png"), "{text}");
}

#[test]
fn impossible_recipes_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, "id = \"x\"\nmethod = \"satmipz\"\n").unwrap();
    let error = Recipe::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("satmipz"),
        "{error}"
    );
    fs::write(&path, "id = \"x\"\nlambada = 1\n").unwrap();
    let error = Recipe::read(&path).unwrap_err().to_string();
    assert!(error.contains("lambada"), "{error}");

    let refused = |change: &dyn Fn(&mut Recipe), word: &str| {
        let mut recipe = recipe("satmips", TEXT);
        change(&mut recipe);
        let error = recipe.validate().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(&|r| r.batch_size = 1, "batch_size");
    refused(&|r| r.simclr = None, "simclr");
    refused(&|r| r.metadata = None, "metadata");
    refused(&|r| r.data.clear(), "data");
    refused(&|r| r.field_dropout = f64::NAN, "field_dropout");
    refused(&|r| r.lambda = -1.0, "lambda");
    refused(&|r| r.temperature = 0.001, "temperature");
    refused(&|r| r.views.crop_area = [0.0, 1.0], "views");
    refused(&|r| r.optimizer.learning_rate = 0.0, "learning_rate");
}

#[test]
fn bad_data_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    let index = folder.path().join("chips.csv");
    let good = fs::read_to_string(&index).unwrap();
    let out = folder.path().join("run");
    let refused = |text: &str, words: &[&str]| {
        fs::write(&index, text).unwrap();
        let recipe = recipe("satmip", TEXT);
        let error = run(&recipe, &RunOptions::new(folder.path(), &out), &mut |_| ())
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(error.contains(word), "{error}");
        }
        assert!(!out.exists(), "nothing is written before the data is read");
    };
    refused(&good.replace("split", "part"), &["chips.csv", "`split`"]);
    refused(
        &good.replace(",10,", ",-10,"),
        &["chips.csv", "line 2", "gsd"],
    );
    refused(&good.replace("field/0.png", "field/2.png"), &["twice"]);
    refused(
        &good.replace("field/0.png", "field/lost.png"),
        &["lacks", "lost.png"],
    );
    refused(&good.replace("train", "test"), &["split `train`"]);

    fs::write(&index, &good).unwrap();
    let mut recipe = recipe("satmip", TEXT);
    recipe.batch_size = 17;
    let error = run(&recipe, &RunOptions::new(folder.path(), &out), &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::Training { .. }), "{error}");
}
