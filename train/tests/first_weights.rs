//! Runs that go on from the weights of another network.

#[path = "../../tests/fixture/mod.rs"]
mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use burn::prelude::Device;
use satmip::export::{Checkpoint, Weights};
use satmip_train::{Progress, Recipe, RunOptions, pretrain, read_metrics};

/// An archive of 12 chips of 16 x 16 pixels, and its index.
fn make_data(folder: &Path) {
    let mut chips = Vec::new();
    let mut index = String::from("file,label,split,lon,lat,gsd\n");
    for i in 0..12u8 {
        let picture = image::RgbImage::from_fn(16, 16, |x, y| {
            let [x, y] = [x, y].map(|v| v as u8);
            image::Rgb([x * 9 + i, y * (i + 3), 20 * i])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        let name = format!("{i}.png");
        chips.push((name.clone(), bytes.into_inner()));
        index += &format!("{name},a,train,{},{},10\n", i32::from(i) - 5, 40 + i);
    }
    let chips: Vec<_> = chips
        .iter()
        .map(|(name, png): &(String, _)| (&name[..], Vec::clone(png)))
        .collect();
    fs::write(folder.join("chips.tar"), fixture::tar(&chips)).unwrap();
    fs::write(folder.join("chips.csv"), index).unwrap();
}

fn recipe(changes: &str) -> Recipe {
    let text = format!(
        r#"
        id = "tiny"
        version = "1"
        licence = "MIT"
        method = "satmips"
        seed = 3
        steps = 3
        batch_size = 6
        embed_dim = 8
        fields = ["gsd", "location"]
        preprocessing = {{ size = 16, mean = [0.4, 0.4, 0.4], std = [0.2, 0.2, 0.2] }}
        image = {{ kind = "resnet", block = "basic", widths = [8, 8], depths = [1, 1], stem = {{ kernel = 3, stride = 2, max_pool = false }} }}
        metadata = {{ kind = "text", vocabulary = 450, dim = 16, depth = 1, heads = 2 }}
        simclr = {{ hidden = [8], output = 8, temperature = 0.1 }}
        data = [{{ archive = "chips.tar", index = "chips.csv" }}]
        {changes}
        "#
    );
    toml::from_str(&text).unwrap()
}

const RATE: &str = "optimizer = { learning_rate = 1e-2, warmup_steps = 0 }";

struct Runs(tempfile::TempDir);

impl Runs {
    /// A folder with data and a first run, `before`.
    fn new() -> Self {
        let runs = Self(tempfile::tempdir().unwrap());
        make_data(runs.0.path());
        runs.train("before", &recipe(RATE)).unwrap();
        runs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn train(&self, name: &str, recipe: &Recipe) -> satmip::Result<Vec<Progress>> {
        let options = RunOptions::new(self.0.path(), self.path(name));
        pretrain(recipe, &options, &Device::flex(), &mut |_| ())?;
        read_metrics(&self.path(name).join("metrics.jsonl"))
    }

    /// A recipe that goes on from the first run's image tower.
    fn after(&self, init: &str, changes: &str) -> Recipe {
        let weights = self.path("before").join("weights.safetensors");
        let init =
            format!("init = {{ weights = {weights:?}, prefix = \"image.\"{init} }}\n{changes}\n");
        recipe(&init)
    }

    fn weights(&self, name: &str, file: &str) -> Weights {
        Weights::open(self.path(name).join(file)).unwrap()
    }
}

fn numbers(weights: &Weights, name: &str) -> Vec<f32> {
    let shape = weights.shape(name).unwrap().to_vec();
    weights.numbers(name, &shape).unwrap()
}

const CONV: &str = "image.layer1.0.conv1.weight";
const FACTOR: &str = "image.layer1.0.bn1.weight";
const MEAN: &str = "image.layer1.0.bn1.running_mean";
const HEAD: &str = "image_projector.layers.0.weight";

#[test]
fn frozen_norms_keep_their_statistics_and_learn_their_factors() {
    let runs = Runs::new();
    let frozen = runs.after("", &format!("image_norms = \"frozen\"\n{RATE}"));
    runs.train("frozen", &frozen).unwrap();
    runs.train("batch", &runs.after("", RATE)).unwrap();
    let of = |run, name| numbers(&runs.weights(run, "weights.safetensors"), name);
    assert_eq!(of("frozen", MEAN), of("before", MEAN));
    assert_ne!(of("batch", MEAN), of("before", MEAN));
    for name in [CONV, FACTOR] {
        assert_ne!(of("frozen", name), of("before", name));
    }
}

#[test]
fn a_tower_learns_at_its_own_rate() {
    let runs = Runs::new();
    let rates = "optimizer = { learning_rate = 1e-2, warmup_steps = 0, weight_decay = 0.0, tower_learning_rate = 1e-3, layer_decay = 0.5 }";
    runs.train("slow", &runs.after("", rates)).unwrap();
    let [first, last] =
        ["first.safetensors", "weights.safetensors"].map(|file| runs.weights("slow", file));
    // AdamW moves a weight by about the rate in its first step.
    let moved = |name: &str| {
        let pairs = numbers(&first, name).into_iter().zip(numbers(&last, name));
        pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs()))
    };
    let (stem, stages) = (
        moved("image.conv1.weight"),
        [moved(CONV), moved("image.layer2.0.conv1.weight")],
    );
    assert!(moved(HEAD) > 5.0 * stages[1], "{stages:?}");
    let decayed = [stages[0] / stages[1], stem / stages[0]];
    assert!(
        decayed.iter().all(|share| (0.35..0.75).contains(share)),
        "{decayed:?}"
    );
}

#[test]
fn distillation_keeps_features_near_the_first_ones() {
    let runs = Runs::new();
    let far = |weight: f64| {
        let frozen = format!("image_norms = \"frozen\"\n{RATE}");
        let mut recipe = runs.after(&format!(", distill = {weight:?}"), &frozen);
        recipe.steps = 16;
        let lines = runs.train(&format!("d{weight}"), &recipe).unwrap();
        // Nothing holds the first step, which begins at a distance of 0.
        assert!(lines[0].distill.unwrap().abs() < 1e-5);
        let last = lines.iter().skip(8);
        last.map(|line| line.distill.unwrap()).sum::<f64>()
    };
    let [free, held] = [far(1e-9), far(100.0)];
    assert!(free > 2.0 * held, "{free} {held}");
    let lines = runs.train("without", &runs.after("", RATE)).unwrap();
    assert!(lines.iter().all(|line| line.distill.is_none()));
}

#[test]
fn a_teacher_may_see_the_view_enlarged() {
    let runs = Runs::new();
    let first = |size: usize| {
        let init = format!(", distill = 1.0, distill_size = {size}");
        let recipe = runs.after(&init, &format!("image_norms = \"frozen\"\n{RATE}"));
        runs.train(&format!("s{size}"), &recipe).unwrap()[0]
            .distill
            .unwrap()
    };
    // The pixels of the input are what the tower itself sees; enlarged, they give other features of the same chips.
    let [same, enlarged] = [first(16), first(32)];
    assert!(same.abs() < 1e-5, "{same}");
    assert!((1e-3..1.0).contains(&enlarged), "{enlarged}");
}

#[test]
fn an_export_goes_back_to_the_first_weights_by_a_share() {
    let runs = Runs::new();
    runs.train("after", &runs.after("", RATE)).unwrap();
    let open = || Checkpoint::open(&runs.path("after")).unwrap();
    let at = |share: f64| {
        let file = open().toward_first(share).unwrap().weights_file().unwrap();
        Weights::from_bytes(file, "mixed").unwrap()
    };
    let (first, half, last) = (at(1.0), at(0.5), at(0.0));
    let before = runs.weights("before", "weights.safetensors");
    let after = runs.weights("after", "weights.safetensors");
    for name in [CONV, FACTOR, MEAN] {
        let [a, b] = [&before, &after].map(|weights| numbers(weights, name));
        assert_eq!(numbers(&first, name), a);
        assert_eq!(numbers(&last, name), b);
        for ((a, b), mixed) in a.iter().zip(&b).zip(numbers(&half, name)) {
            assert!(((a + b) / 2.0 - mixed).abs() < 1e-6);
        }
    }
    // What was not loaded stays as it was trained.
    assert_eq!(numbers(&first, HEAD), numbers(&after, HEAD));

    for share in [-0.1, 1.1, f64::NAN] {
        assert!(open().toward_first(share).is_err(), "{share}");
    }
    let error = Checkpoint::open(&runs.path("before")).unwrap();
    let error = error.toward_first(0.5).unwrap_err().to_string();
    assert!(error.contains("first.safetensors"), "{error}");
}

#[test]
fn wrong_first_weights_are_refused_before_anything_is_learned() {
    let runs = Runs::new();
    let wrong = "0".repeat(64);
    let refused = |name: &str, recipe: &Recipe| {
        let error = runs.train(name, recipe).unwrap_err().to_string();
        let metrics = runs.path(name).join("metrics.jsonl");
        assert!(!metrics.exists(), "{error}");
        error
    };
    let error = refused("sha", &runs.after(&format!(", sha256 = \"{wrong}\""), RATE));
    assert!(
        error.contains(&wrong) && error.contains("sha256"),
        "{error}"
    );
    for (name, init, changes, part) in [
        ("hex", ", sha256 = \"abc\"", "", "64 hexadecimal"),
        ("far", ", distill = -1.0", "", "init.distill"),
        ("less", ", distill_size = 8", "", "init.distill_size"),
        ("more", ", distill_size = 129", "", "init.distill_size"),
        ("decay", "", "layer_decay = 0.0", "layer_decay"),
        (
            "rate",
            "",
            "tower_learning_rate = -1.0",
            "tower_learning_rate",
        ),
    ] {
        let rate = RATE.replace(" }", &format!(", {changes} }}"));
        let rate = if changes.is_empty() { RATE } else { &rate };
        let error = refused(name, &runs.after(init, rate));
        assert!(error.contains(part), "{error}");
    }
    let alone = recipe(&format!("image_norms = \"frozen\"\n{RATE}"));
    let error = refused("alone", &alone);
    assert!(
        error.contains("image_norms") && error.contains("init"),
        "{error}"
    );
}
