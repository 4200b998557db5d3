//! Steps and checkpoints of a tiny model.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::average::Average;
use super::checkpoint::{Checkpoints, Trained};
use super::inputs::{MetadataInput, resolve};
use super::step::{StepContext, StepOutcome, step};
use super::workers::Workers;
use super::{Method, Precision, Recipe};
use crate::data::{Batch, Stream, rng_for};
use crate::model::SatMip;
use satmip::arch::Arch;
use satmip::metadata::Metadata;

const CHIPS: usize = 7;
const SIZE: usize = 8;

const VIT: &str = r#"{ kind = "vit", patch = 4, dim = 16, depth = 2, heads = 2 }"#;
const RESNET: &str = r#"{ kind = "resnet", block = "basic", widths = [8], depths = [1], stem = { kernel = 3, stride = 2, max_pool = false } }"#;
const TEXT: &str = r#"{ kind = "text", vocabulary = 450, dim = 16, depth = 1, heads = 2 }"#;
const TABULAR: &str = r#"{ kind = "tabular", dim = 16, depth = 2, heads = 2, hidden = 20, attention_dropout = 0.2, hidden_dropout = 0.1 }"#;

fn recipe(image: &str, metadata: &str) -> Recipe {
    let text = format!(
        r#"
        id = "tiny"
        version = "1"
        licence = "MIT"
        method = "satmips"
        seed = 3
        steps = 4
        batch_size = {CHIPS}
        embed_dim = 8
        fields = ["gsd", "location"]
        preprocessing = {{ size = {SIZE}, mean = [0.4, 0.4, 0.4], std = [0.2, 0.2, 0.2] }}
        image = {image}
        metadata = {metadata}
        simclr = {{ hidden = [8], output = 8, temperature = 0.1 }}
        optimizer = {{ learning_rate = 1e-3, warmup_steps = 1 }}
        data = [{{ archive = "a.tar", index = "a.csv" }}]
        "#
    );
    toml::from_str(&text).unwrap()
}

fn records() -> Vec<Metadata> {
    let record = |i: usize| {
        let i = i as f64;
        let record = Metadata::new().with_gsd(0.5 + i).unwrap();
        record.with_location(7.0 * i, 40.0 - i).unwrap()
    };
    (0..CHIPS).map(record).collect()
}

/// A batch whose pixels follow from their place.
fn batch(views: usize) -> Batch {
    let numbers = CHIPS * 3 * SIZE * SIZE;
    let view = |v: usize| (0..numbers).map(move |i| ((i * (7 + v) % 101) as f32 / 50.0) - 1.0);
    Batch {
        step: 5,
        views: (0..views).map(|v| view(v).collect()).collect(),
        metadata: records(),
        items: (0..CHIPS).map(|i| (0, i)).collect(),
    }
}

struct Tiny {
    recipe: Recipe,
    arch: Arch,
    input: Option<Arc<MetadataInput>>,
    model: SatMip,
    device: Device,
}

impl Tiny {
    fn new(recipe: Recipe) -> Self {
        let device = Device::flex().autodiff();
        let (arch, input) = resolve(&recipe, records().iter()).unwrap();
        let model = SatMip::new(&arch, recipe.simclr.as_ref(), 1, &device).unwrap();
        let model = model.map(&mut Drawn(rng_for(1, Stream::View(0), 0, 0)));
        Self {
            recipe,
            arch,
            input: input.map(Arc::new),
            model,
            device,
        }
    }

    fn step(&self, change: impl Fn(&mut Recipe), batch: &Batch) -> StepOutcome {
        self.step_with(Some(&Workers::new(2)), change, batch)
    }

    fn step_with(
        &self,
        workers: Option<&Workers>,
        change: impl Fn(&mut Recipe),
        batch: &Batch,
    ) -> StepOutcome {
        let mut recipe = self.recipe.clone();
        change(&mut recipe);
        let context = StepContext {
            recipe: &recipe,
            input: self.input.as_ref(),
            device: &self.device,
            workers,
        };
        step(&self.model, None, batch.clone(), &context).unwrap()
    }

    /// Largest difference of two steps' gradients, over the largest gradient; and how many weights have
    /// one.
    fn compare(&self, a: &StepOutcome, b: &StepOutcome) -> (f32, usize) {
        let mut compare = Compare {
            a: &a.gradients,
            b: &b.gradients,
            difference: 0.0,
            largest: 0.0,
            count: 0,
        };
        self.model.visit(&mut compare);
        (compare.difference / compare.largest, compare.count)
    }

    /// As [`Tiny::compare`], where parts of the model take no part.
    fn compare_parts(&self, a: &StepOutcome, b: &StepOutcome) -> f32 {
        let (aa, ab, bb) = (self.dot(a, a), self.dot(a, b), self.dot(b, b));
        ((aa - 2.0 * ab + bb).max(0.0) / aa).sqrt()
    }

    /// Product of two steps' gradients over all weights.
    fn dot(&self, a: &StepOutcome, b: &StepOutcome) -> f32 {
        let mut dot = Dot(&a.gradients, &b.gradients, 0.0);
        self.model.visit(&mut dot);
        dot.2
    }
}

/// Matrices and kernels from a stream of their own: burn's is one for all tests of the process, and some first
/// weights lie where the losses bend.
struct Drawn(ChaCha8Rng);

impl ModuleMapper for Drawn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.dims();
        if D < 2 {
            return param;
        }
        // Linear layers have their inputs first, kernels have their output first.
        let inputs = match D {
            2 => shape[0],
            _ => shape[1..].iter().product(),
        };
        let bound = (3.0 / inputs as f32).sqrt();
        let count = shape.iter().product();
        let numbers = (0..count).map(|_| self.0.random_range(-bound..bound));
        let data = TensorData::new(numbers.collect::<Vec<f32>>(), shape);
        param.map(|old| {
            let device = old.device().without_autodiff();
            let drawn = Tensor::from_inner(Tensor::from_data(data, &device));
            drawn.set_require_grad(old.is_require_grad())
        })
    }
}

struct Compare<'a> {
    a: &'a GradientsParams,
    b: &'a GradientsParams,
    difference: f32,
    largest: f32,
    count: usize,
}

impl ModuleVisitor for Compare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (a, b) = (self.a.get::<D>(param.id), self.b.get::<D>(param.id));
        assert_eq!(a.is_some(), b.is_some());
        assert_eq!(
            a.is_some(),
            param.is_require_grad(),
            "a weight lacks its gradient"
        );
        let (Some(a), Some(b)) = (a, b) else { return };
        self.count += 1;
        let most = |x: Tensor<D>| x.abs().max().into_scalar::<f32>();
        self.largest = self.largest.max(most(a.clone()));
        let difference = most(a - b);
        assert!(difference.is_finite());
        self.difference = self.difference.max(difference);
    }
}

/// Two gradients, and the sum of their products.
struct Dot<'a>(&'a GradientsParams, &'a GradientsParams, f32);

impl ModuleVisitor for Dot<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let (Some(a), Some(b)) = (self.0.get::<D>(param.id), self.1.get::<D>(param.id)) {
            self.2 += (a * b).sum().into_scalar::<f32>();
        }
    }
}

#[test]
fn chunks_give_the_gradient_of_the_whole_batch() {
    for metadata in [TEXT, TABULAR] {
        let mut recipe = recipe(VIT, metadata);
        // Dropout draws by pass, so that chunks drop other weights than the whole batch does.
        no_dropout(&mut recipe);
        let tiny = Tiny::new(recipe);
        let batch = batch(2);
        let expected = tiny.step(|_| (), &batch);
        for chunk in [1, 3, 7] {
            let chunked = tiny.step(|r| r.chunk = Some(chunk), &batch);
            let (difference, count) = tiny.compare(&expected, &chunked);
            assert!(difference < 1e-5, "{chunk} {difference}");
            assert!(count > 20, "{count}");
            assert!((expected.losses.total - chunked.losses.total).abs() < 1e-5);
        }
    }
}

fn no_dropout(recipe: &mut Recipe) {
    if let Some(super::MetadataRecipe::Tabular {
        attention_dropout,
        hidden_dropout,
        ..
    }) = &mut recipe.metadata
    {
        (*attention_dropout, *hidden_dropout) = (0.0, 0.0);
    }
}

/// If the second pass of a chunk dropped other weights than the first, the gradient would not be the
/// slope of the loss.
#[test]
fn chunks_with_dropout_pass_the_same_features_twice() {
    let mut tiny = Tiny::new(recipe(VIT, TABULAR));
    let batch = batch(2);
    let chunked = |r: &mut Recipe| r.chunk = Some(3);
    let at = tiny.step(chunked, &batch);
    let square = tiny.dot(&at, &at);
    let model = tiny.model.clone();
    let mut along = |by: f64| {
        let gradients = &at.gradients;
        tiny.model = model.clone().map(&mut Walk { gradients, by });
        tiny.step(chunked, &batch).losses.total
    };
    let step = 5e-4 / f64::from(square).sqrt();
    let slope = (along(step) - along(-step)) / (2.0 * step);
    let ratio = slope / f64::from(square);
    assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
}

/// Goes along the gradient.
struct Walk<'a> {
    gradients: &'a GradientsParams,
    by: f64,
}

impl ModuleMapper for Walk<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.get::<D>(param.id) else {
            return param;
        };
        let by = self.by;
        param.map(|w| Tensor::from_inner(w.inner() + gradient * by).require_grad())
    }
}

#[test]
fn the_gradient_is_that_of_one_graph() {
    use crate::loss::{info_nce, nt_xent};
    use crate::model::unit_rows;
    use burn::prelude::TensorData;

    for image in [VIT, RESNET] {
        let tiny = Tiny::new(recipe(image, TEXT));
        let batch = batch(2);
        let lanes = tiny.step(|_| (), &batch);
        let model = &tiny.model;
        let shape = [CHIPS, 3, SIZE, SIZE];
        let views: Vec<Tensor<2>> = batch
            .views
            .iter()
            .map(|pixels| TensorData::new(pixels.clone(), shape))
            .map(|data| model.image_features(Tensor::from_data(data, &tiny.device)))
            .collect();
        let head = model.simclr_head.as_ref().unwrap();
        let project = |x: &Tensor<2>| unit_rows(head.forward(x.clone()));
        let input = tiny.input.as_ref().unwrap();
        let ids = input
            .batch(&batch.metadata, tiny.recipe.fields, &tiny.device)
            .unwrap();
        let rows = model.metadata_features(ids).unwrap();
        let satmip = info_nce(
            model.project_image(views[0].clone()),
            model.project_metadata(rows).unwrap(),
            model.logit_scale.val(),
        );
        let loss = nt_xent(project(&views[0]), project(&views[1]), 0.1) + satmip;
        assert!((f64::from(loss.clone().into_scalar::<f32>()) - lanes.losses.total).abs() < 1e-5);
        let gradients = GradientsParams::from_grads(loss.backward(), model);
        let one = StepOutcome {
            gradients,
            losses: lanes.losses,
        };
        let (difference, _) = tiny.compare(&one, &lanes);
        assert!(difference < 1e-5, "{image} {difference}");
    }
}

#[test]
fn halves_of_a_lone_view_give_the_gradient_of_the_whole() {
    for metadata in [TEXT, TABULAR] {
        let mut recipe = recipe(VIT, metadata);
        recipe.method = Method::Satmip;
        no_dropout(&mut recipe);
        let tiny = Tiny::new(recipe);
        let batch = batch(1);
        let whole = tiny.step_with(None, |_| (), &batch);
        for chunk in [None, Some(1), Some(3)] {
            let halves = tiny.step_with(Some(&Workers::new(2)), |r| r.chunk = chunk, &batch);
            let difference = tiny.compare_parts(&whole, &halves);
            // A difference of rounded squares.
            assert!(difference < 2e-3, "{chunk:?} {difference}");
            assert!((whole.losses.total - halves.losses.total).abs() < 1e-5);
        }
    }
}

#[test]
fn the_number_of_cores_changes_nothing() {
    let mut tiny = Tiny::new(recipe(RESNET, TEXT));
    let fresh = tiny.model.valid();
    let uncoupled = |r: &mut Recipe| r.view_coupling = false;
    let batch = batch(3);
    let mut of = |cores: usize| {
        tiny.model = fresh.clone().train();
        let outcome = tiny.step_with(Some(&Workers::new(cores)), uncoupled, &batch);
        let mut all = Numbers(Vec::new());
        tiny.model.valid().visit(&mut all);
        (tiny.dot(&outcome, &outcome), all.0)
    };
    let one = of(1);
    for cores in [2, 4] {
        assert!(one == of(cores), "{cores} cores");
    }
    // Statistics of batch norm went on.
    let mut before = Numbers(Vec::new());
    fresh.visit(&mut before);
    assert!(before.0 != one.1);
}

/// All weights and statistics.
struct Numbers(Vec<f32>);

impl ModuleVisitor for Numbers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0
            .extend(param.val().into_data().try_to_vec::<f32>().unwrap());
    }
}

#[test]
fn bf16_is_near_f32_and_keeps_f32_gradients() {
    let tiny = Tiny::new(recipe(VIT, TEXT));
    let batch = batch(2);
    let full = tiny.step(|_| (), &batch);
    let half = tiny.step(|r| r.precision = Precision::Bf16, &batch);
    // bf16 keeps 8 bits, two to three digits; single weights may differ more.
    assert!(tiny.compare(&full, &half).0 > 0.0);
    let lengths = tiny.dot(&full, &full) * tiny.dot(&half, &half);
    let cosine = tiny.dot(&full, &half) / lengths.sqrt();
    assert!(cosine > 0.95, "{cosine}");
    assert!((full.losses.total - half.losses.total).abs() < 0.05 * full.losses.total);
}

#[test]
fn without_coupling_satmip_has_a_view_of_its_own() {
    let tiny = Tiny::new(recipe(RESNET, TEXT));
    let mut three = batch(3);
    let uncoupled = |r: &mut Recipe| r.view_coupling = false;
    let before = tiny.step(uncoupled, &three).losses;
    three.views[2].iter_mut().for_each(|v| *v *= -0.5);
    let after = tiny.step(uncoupled, &three).losses;
    assert_eq!(before.simclr, after.simclr);
    assert_ne!(before.satmip, after.satmip);
}

#[test]
fn an_average_follows_the_weights() {
    let tiny = Tiny::new(recipe(RESNET, TEXT));
    let mut average = Average::new(&tiny.model, 0.75);
    let scale = |model: &SatMip| model.logit_scale.val().into_scalar::<f32>();
    let before = scale(average.model());
    let mut model = tiny.model.clone();
    model.logit_scale = model.logit_scale.map(|s| s + 4.0);
    average.update(&model);
    assert!((scale(average.model()) - before - 1.0).abs() < 1e-6);
    assert!(
        (scale(&tiny.model) - before).abs() < 1e-6,
        "the model itself stays"
    );
}

fn checkpoints(folder: &Path, about: &str) -> Checkpoints {
    let about = vec![("recipe.toml", about.to_owned())];
    Checkpoints::open(folder, about, 2).unwrap()
}

fn save(checkpoints: &Checkpoints, tiny: &Tiny, step: usize) -> satmip::Result<()> {
    let optimizer = tiny.recipe.optimizer.build().unwrap();
    checkpoints.save(&Trained {
        model: &tiny.model,
        average: None,
        optimizer: &optimizer,
        step,
        seconds: 1.0,
        best: None,
    })
}

fn restore(checkpoints: &Checkpoints, tiny: &Tiny) -> Result<Option<usize>, String> {
    let optimizer = tiny.recipe.optimizer.build().unwrap();
    let mut model = SatMip::new(&tiny.arch, tiny.recipe.simclr.as_ref(), 1, &tiny.device).unwrap();
    let restored = checkpoints.restore(&mut model, None, optimizer);
    let (state, _) = restored.map_err(|e| e.to_string())?;
    Ok(state.map(|state| state.step))
}

#[test]
fn the_last_checkpoints_are_kept_and_the_newest_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::new(recipe(RESNET, TEXT));
    let all = checkpoints(folder.path(), "a");
    assert_eq!(restore(&all, &tiny), Ok(None));
    for step in [10, 20, 100] {
        save(&all, &tiny, step).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder.path().join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step-00000020", "step-00000100"]);
    assert_eq!(restore(&all, &tiny), Ok(Some(100)));
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::new(recipe(RESNET, TEXT));
    let good = checkpoints(folder.path(), "a");
    save(&good, &tiny, 10).unwrap();
    // Its last file has no place, as on a full disk.
    let about = vec![("recipe.toml", "a".into()), ("no/such/folder", "b".into())];
    let bad = Checkpoints::open(folder.path(), about, 2).unwrap();
    let error = save(&bad, &tiny, 20).unwrap_err().to_string();
    assert!(error.contains("no/such/folder"), "{error}");
    let left = fs::read_dir(folder.path().join("checkpoints")).unwrap();
    assert_eq!(left.count(), 1, "nothing half-written is left");
    assert_eq!(restore(&good, &tiny), Ok(Some(10)));
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::new(recipe(RESNET, TEXT));
    let all = checkpoints(folder.path(), "a");
    save(&all, &tiny, 10).unwrap();
    let place = folder.path().join("checkpoints/step-00000010");
    let refused = |file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>, word: &str| {
        let path = place.join(file);
        let before = fs::read(&path).unwrap();
        fs::write(&path, change(before.clone())).unwrap();
        let error = restore(&all, &tiny).unwrap_err();
        assert!(
            error.contains("step-00000010") && error.contains(word),
            "{error}"
        );
        fs::write(&path, before).unwrap();
        assert_eq!(restore(&all, &tiny), Ok(Some(10)));
    };
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    refused("weights.safetensors", &half, "`weights.safetensors`");
    refused("optimizer.bpk", &half, "`optimizer.bpk`");
    refused("state.json", &half, "`state.json`");
    let version = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace("\"format\": 1", "\"format\": 9").into_bytes()
    };
    refused("state.json", &version, "format 9");

    let other = checkpoints(folder.path(), "b");
    let error = restore(&other, &tiny).unwrap_err();
    assert!(error.contains("recipe.toml"), "{error}");
    // The same files, another architecture.
    let wider = Tiny::new(recipe(&RESNET.replace("[8]", "[16]"), TEXT));
    assert!(restore(&all, &wider).is_err());
}
