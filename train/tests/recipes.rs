//! Recipes: those of the zoo, and what is said of wrong ones.

use std::fs;
use std::path::{Path, PathBuf};

use satmip_train::{MetadataRecipe, Method, Recipe};

/// A recipe in which every table and array stands on lines of its own.
const GOOD: &str = r#"id = "tiny"
version = "1"
licence = "MIT"
method = "satmips"
seed = 3
steps = 40
batch_size = 8
embed_dim = 8
fields = ["gsd", "timestamp"]
field_dropout = 0.3

[preprocessing]
size = 16
mean = [0.4, 0.4, 0.4]
std = [0.2, 0.2, 0.2]

[image]
kind = "vit"
patch = 8
dim = 12
depth = 2
heads = 3

[metadata]
kind = "text"
vocabulary = 450
dim = 16
depth = 1
heads = 2

[simclr]
hidden = [8]
output = 8
temperature = 0.1

[optimizer]
learning_rate = 1e-3
warmup_steps = 4

[[data]]
archive = "a.tar"
index = "a.csv"

[[data]]
archive = "b.tar"
index = "b.csv"
"#;

/// The line, from 1, on which a text stands alone or begins.
fn line(text: &str, start: &str) -> usize {
    1 + text.lines().position(|l| l.starts_with(start)).unwrap()
}

fn read(text: &str, changes: &[&str]) -> Result<Recipe, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, text).unwrap();
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    Recipe::read_with(&path, &changes).map_err(|e| e.to_string())
}

/// Refuses `text`, with every word in the message.
fn refused(text: &str, words: &[&str]) {
    let error = read(text, &[]).unwrap_err();
    for word in words {
        assert!(error.contains(word), "{error}\nlacks {word}");
    }
}

/// Refuses the good recipe with a line in place of another, by line and key.
fn refused_with(old: &str, new: &str, key: &str, words: &[&str]) {
    assert!(GOOD.contains(old), "{old}");
    let text = GOOD.replacen(old, new, 1);
    let start = new.lines().last().unwrap();
    let at = format!("line {}:", line(&text, start));
    let quoted = format!("`{key}`");
    refused(&text, &[&[at.as_str(), quoted.as_str()], words].concat());
}

/// The zoo's recipes. They name files from the project's root, where people run them; no other test here depends on
/// the folder that it runs in.
fn recipes_folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::set_current_dir(root).unwrap();
    PathBuf::from("zoo/recipes")
}

#[test]
fn the_zoos_recipes_are_sound() {
    let folder = recipes_folder();
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // First weights are fetched (zoo/first_weights.py); any file stands for them here.
        let stand_in = format!("init.weights={path:?}");
        let starts = fs::read_to_string(&path).unwrap().contains("[init]");
        let set: Vec<String> = starts.then_some(stand_in).into_iter().collect();
        let recipe = Recipe::read_with(&path, &set).unwrap_or_else(|e| panic!("{e}"));
        let tabular = matches!(recipe.metadata, Some(MetadataRecipe::Tabular { .. }));
        let method = match recipe.method {
            Method::Simclr => "-simclr",
            Method::Satmip => "-satmip",
            Method::Satmips if tabular => "-satmips-tabular",
            Method::Satmips => "-satmips",
        };
        // The zoo's models have names of their own; a recipe for comparison ends with its method.
        assert!(
            name.starts_with("satmip-") || name.ends_with(method),
            "{name}"
        );
        assert_eq!(name, recipe.id);
        // What a run writes is what it was given.
        let again: Recipe = toml::from_str(&toml::to_string(&recipe).unwrap()).unwrap();
        assert_eq!(again, recipe);
        seen.push(name);
    }
    for series in ["nano", "fmow-vit-s16"] {
        for method in ["simclr", "satmip", "satmips", "satmips-tabular"] {
            assert!(
                seen.contains(&format!("{series}-{method}")),
                "{series}-{method}"
            );
        }
    }
}

/// Recipes that are compared differ in the method and the tower of the metadata, and in nothing else.
#[test]
fn the_methods_of_a_series_compare() {
    let folder = recipes_folder();
    for (first, others) in [
        (
            "nano-satmips",
            ["nano-simclr", "nano-satmip", "nano-satmips-tabular"].as_slice(),
        ),
        (
            "fmow-vit-s16-satmips",
            &[
                "fmow-vit-s16-simclr",
                "fmow-vit-s16-satmip",
                "fmow-vit-s16-satmips-tabular",
            ],
        ),
        (
            "satmip-nano",
            &["satmip-nano-simclr", "satmip-nano-tabular"],
        ),
    ] {
        let read = |id: &str| Recipe::read(&folder.join(format!("{id}.toml"))).unwrap();
        let first = read(first);
        for other in others.iter().map(|id| read(id)) {
            let same = |r: &Recipe| {
                (
                    r.image.clone(),
                    r.data.clone(),
                    r.optimizer.clone(),
                    r.preprocessing.clone(),
                    r.validation.clone(),
                )
            };
            assert_eq!(same(&other), same(&first), "{}", other.id);
            let budget = |r: &Recipe| (r.steps, r.batch_size, r.seed, r.embed_dim);
            assert_eq!(budget(&other), budget(&first), "{}", other.id);
        }
    }
}

#[test]
fn unknown_keys_are_told_with_their_line_and_a_suggestion() {
    read(GOOD, &[]).unwrap();
    let meant = |key: &str| format!("did you mean `{key}`?");
    for (old, new, key, suggestion) in [
        ("steps = 40", "stpes = 40", "stpes", "steps"),
        (
            "learning_rate = ",
            "learning_rat = ",
            "optimizer.learning_rat",
            "learning_rate",
        ),
        (
            "learning_rate = ",
            "learning-rate = ",
            "optimizer.learning-rate",
            "learning_rate",
        ),
        (
            "heads = 3",
            "heads = 3\nmlp_ration = 4",
            "image.mlp_ration",
            "mlp_ratio",
        ),
        (
            "heads = 2",
            "heads = 2\nvocab = 4",
            "metadata.vocab",
            "vocabulary",
        ),
        (
            "index = \"b.csv\"",
            "indx = \"b.csv\"",
            "data.1.indx",
            "index",
        ),
        ("[optimizer]", "[optimiser]", "optimiser", "optimizer"),
    ] {
        refused_with(old, new, key, &["is unknown", &meant(suggestion)]);
    }
    let text = GOOD.replacen("[simclr]", "[zzz]\n[simclr]", 1);
    refused(&text, &["`zzz` is unknown", "possible are", "`validation`"]);
}

#[test]
fn a_split_is_trained_on_or_watched() {
    let both = GOOD.replacen(
        "batch_size = 8",
        "batch_size = 8\nsplits = [\"train\", \"val\"]",
        1,
    );
    read(&both, &[]).unwrap();
    let watched = "\n[validation]\nsource = { archive = \"a.tar\", index = \"a.csv\" }\nevery = 5\nchips = 9\nk = 2\n";
    let message = read(&(both + watched), &[]).unwrap_err();
    assert!(message.contains("leave `validation` out"), "{message}");
    read(&(GOOD.to_owned() + watched), &[]).unwrap();
}

#[test]
fn wrong_types_and_values_are_told_with_their_line() {
    for (old, new, key, word) in [
        ("steps = 40", "steps = -1", "steps", "-1"),
        ("steps = 40", "steps = 1.5", "steps", "1.5"),
        (
            "batch_size = 8",
            "batch_size = \"8\"",
            "batch_size",
            "string",
        ),
        ("depth = 2", "depth = \"two\"", "image.depth", "two"),
        ("heads = 2", "heads = -2", "metadata.heads", "-2"),
        (
            "method = \"satmips\"",
            "method = \"satmip-s\"",
            "method",
            "did you mean `satmips`?",
        ),
        (
            "kind = \"vit\"",
            "kind = \"vitt\"",
            "image.kind",
            "did you mean `vit`?",
        ),
        (
            "field_dropout = 0.3",
            "field_dropout = 1.0",
            "field_dropout",
            "below 1",
        ),
        (
            "field_dropout = 0.3",
            "field_dropout = nan",
            "field_dropout",
            "NaN",
        ),
        ("output = 8", "output = 0", "simclr.output", "outside 1"),
        (
            "temperature = 0.1",
            "temperature = nan",
            "simclr.temperature",
            "NaN",
        ),
        (
            "temperature = 0.1",
            "temperature = 0",
            "simclr.temperature",
            "outside",
        ),
        (
            "warmup_steps = 4",
            "warmup_steps = 41",
            "optimizer.warmup_steps",
            "`steps`",
        ),
        (
            "warmup_steps = 4",
            "warmup_steps = 4\ndecay_steps = 3",
            "optimizer.decay_steps",
            "warm-up",
        ),
        (
            "warmup_steps = 4",
            "warmup_steps = 4\nweight_decay = nan",
            "optimizer.weight_decay",
            "NaN",
        ),
        (
            "warmup_steps = 4",
            "warmup_steps = 4\nclip_norm = -1.0",
            "optimizer.clip_norm",
            "outside",
        ),
        (
            "warmup_steps = 4",
            "warmup_steps = 4\nbetas = [0.9, 1.0]",
            "optimizer.betas",
            "1",
        ),
        (
            "learning_rate = 1e-3",
            "learning_rate = inf",
            "optimizer.learning_rate",
            "inf",
        ),
        ("dim = 12", "dim = 13", "image.heads", "not divisible by 3"),
        ("dim = 12", "dim = 10_000_000", "image.dim", "outside 1 to"),
        (
            "dim = 16",
            "dim = 15",
            "metadata.heads",
            "not divisible by 2",
        ),
        (
            "patch = 8",
            "patch = 7",
            "image.patch",
            "not divisible by 7",
        ),
        ("patch = 8", "patch = 0", "image.patch", "outside 1"),
        ("depth = 2", "depth = 100_000", "image.depth", "outside 1"),
        ("size = 16", "size = 0", "preprocessing.size", "outside 1"),
        (
            "batch_size = 8",
            "batch_size = 1",
            "batch_size",
            "BatchNorm",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nchunk = 1",
            "chunk",
            "BatchNorm",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nema = 1.0",
            "ema",
            "below 1",
        ),
        ("batch_size = 8", "batch_size = 8\nema = nan", "ema", "NaN"),
        (
            "batch_size = 8",
            "batch_size = 8\nsplits = []",
            "splits",
            "no split",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nsplits = [\"train\", \"train\"]",
            "splits",
            "twice",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nsplits = [\"train\", \"test\"]",
            "splits",
            "no figure",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nlambda = -1",
            "lambda",
            "outside 0",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nlambda = nan",
            "lambda",
            "NaN",
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nprecision = \"fp16\"",
            "precision",
            "bf16",
        ),
        (
            "[simclr]",
            "[checkpoint]\nevery = 0\n[simclr]",
            "checkpoint.every",
            "outside 1",
        ),
        (
            "[simclr]",
            "[checkpoint]\nkeep = 0\n[simclr]",
            "checkpoint.keep",
            "outside 1",
        ),
        (
            "[simclr]",
            "[views]\njitter = 1.5\n[simclr]",
            "views.jitter",
            "outside 0 to 1",
        ),
        (
            "[simclr]",
            "[satmip_views]\nblur = 1.5\n[simclr]",
            "satmip_views.blur",
            "outside 0 to 1",
        ),
        (
            "[simclr]",
            "[satmip_views]\ncrop_area = [0.5, nan]\n[simclr]",
            "satmip_views.crop_area",
            "NaN",
        ),
        ("seed = 3", "seed = -3", "seed", "-3"),
        (
            "index = \"b.csv\"",
            "index = \"b.csv\"\nchips_per_epoch = 0",
            "data.1.chips_per_epoch",
            "0",
        ),
    ] {
        let text = GOOD.replacen(old, new, 1);
        let message = read(&text, &[]).unwrap_err();
        // A clash of two keys is told at the one that the message names.
        let own = new.lines().rfind(|l| !l.starts_with('[')).unwrap();
        let name = key.rsplit('.').next().unwrap();
        let expected = match own.starts_with(name) {
            true => line(&text, own),
            false => {
                let table = key.split('.').next().unwrap();
                let from = line(&text, &format!("[{table}]"));
                from + line(
                    &text.lines().skip(from).collect::<Vec<_>>().join("\n"),
                    name,
                )
            }
        };
        let start = format!("line {expected}: `{key}` ");
        assert!(
            message.contains(&start) && message.contains(word),
            "{new}: {message}"
        );
    }
    refused("id = \"x\n", &["line 1"]);
    refused(
        &GOOD.replacen("steps = 40\n", "", 1),
        &["`steps` is missing"],
    );
    refused(
        &GOOD.replacen("patch = 8\n", "", 1),
        &[
            "`image.patch` is missing",
            &format!("line {}:", line(GOOD, "[image]")),
        ],
    );
}

#[test]
fn towers_with_batch_norm_are_never_cut_into_chunks() {
    let vit = "kind = \"vit\"\npatch = 8\ndim = 12\ndepth = 2\nheads = 3\n";
    let resnet = "kind = \"resnet\"\nblock = \"basic\"\nwidths = [8, 8]\ndepths = [1, 1]\nstem = { kernel = 3, stride = 2, max_pool = false }\n";
    assert!(GOOD.contains(vit));
    let text = GOOD.replacen(vit, resnet, 1);
    read(&text, &[]).unwrap();
    read(&text, &["chunk=8"]).unwrap();
    let error = read(&text, &["chunk=4"]).unwrap_err();
    assert!(error.contains("`--set chunk=4`: `chunk` is 4"), "{error}");
    let text = GOOD.replacen(vit, "kind = \"efficientnet-lite0\"\n", 1);
    read(&text, &["chunk=8"]).unwrap();
    let error = read(&text, &["chunk=4"]).unwrap_err();
    assert!(
        error.contains("an EfficientNet-Lite cannot be trained in chunks"),
        "{error}"
    );
    // A ViT may be, into chunks that do not divide the batch too.
    read(GOOD, &["chunk=3"]).unwrap();
    read(GOOD, &["chunk=1", "method=satmip"]).unwrap();
}

#[test]
fn files_that_the_recipe_names_must_exist() {
    let text = GOOD.replacen(
        "[simclr]",
        "[init]\nweights = \"/no/such.pt\"\n\n[simclr]",
        1,
    );
    let at = format!("line {}:", line(&text, "weights"));
    refused(&text, &[&at, "`init.weights`", "/no/such.pt"]);
    let error = read(GOOD, &["metadata.tokenizer=/no/tokenizer.json"]).unwrap_err();
    assert!(error.contains("`--set metadata.tokenizer="), "{error}");
}

#[test]
fn changes_are_applied_or_blamed() {
    let changes = [
        "steps=7",
        "optimizer.learning_rate=2e-4",
        "checkpoint.every=3",
        "data.1.chips_per_epoch=5",
        "fields=[\"gsd\"]",
        "id=other",
    ];
    let recipe = read(GOOD, &changes).unwrap();
    assert_eq!((recipe.steps, recipe.checkpoint.every), (7, 3));
    assert_eq!(recipe.optimizer.learning_rate, 2e-4);
    assert_eq!(recipe.data[1].chips_per_epoch, Some(5));
    assert_eq!((recipe.fields.len(), recipe.id.as_str()), (1, "other"));
    // A change may mend what the file lacks.
    read(&GOOD.replacen("steps = 40\n", "", 1), &["steps=9"]).unwrap();

    for (change, words) in [
        ("stpes=1", ["`stpes` is unknown", "did you mean `steps`?"]),
        (
            "optimzer.learning_rate=1",
            ["`optimzer` is unknown", "did you mean `optimizer`?"],
        ),
        (
            "optimizer.lerning_rate=1",
            ["`optimizer.lerning_rate`", "did you mean `learning_rate`?"],
        ),
        (
            "image.heads=5",
            ["`image.heads` width 12", "not divisible by 5"],
        ),
        ("image.depth=many", ["`image.depth`", "many"]),
        ("batch_size=1", ["`batch_size` is 1", "negatives"]),
        ("steps", ["is no KEY=VALUE", "steps"]),
        ("data.7.index=x", ["`7`", "no element"]),
        ("steps.x=1", ["`x`", "no table"]),
    ] {
        let error = read(GOOD, &["seed=1", change]).unwrap_err();
        let blamed = format!("`--set {change}`");
        for word in [blamed.as_str(), words[0], words[1]] {
            assert!(error.contains(word), "{error}\nlacks {word}");
        }
    }
}
