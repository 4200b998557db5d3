//! Foreign image towers load by name, or are refused with what is wrong.
//! `train/tests/reference/make_foreign.py` made the data.

mod efficientnet;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::prelude::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use satmip::Error;
use satmip::arch::{
    Arch, EfficientNetLiteConfig, ImageTower, Pool, Preprocessing, Projector, ResNetBlock,
    ResNetConfig, VitConfig,
};
use satmip::export::Weights;
use satmip_train::model::{LoadReport, SatMip, load_image_tower, save_weights};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn arch(size: usize, image: ImageTower) -> Arch {
    Arch {
        preprocessing: Preprocessing {
            size,
            fit: Default::default(),
            filter: Default::default(),
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        image,
        image_projector: Projector::Linear,
        metadata: None,
        embed_dim: 4,
    }
}

fn resnet(block: ResNetBlock, depths: [usize; 4]) -> Arch {
    let config = ResNetConfig {
        block,
        widths: vec![2, 4, 8, 16],
        depths: depths.to_vec(),
        ..ResNetConfig::resnet18()
    };
    arch(33, ImageTower::ResNet(config))
}

/// The tower of `timm/vit_token.safetensors`, at an input of this size.
fn vit(size: usize, patch: usize) -> Arch {
    let config = VitConfig {
        patch,
        dim: 32,
        depth: 2,
        heads: 4,
        mlp_ratio: 4,
        pool: Pool::Cls,
        norm_eps: 1e-6,
    };
    arch(size, ImageTower::Vit(config))
}

const PREFIX: &str = "visual.trunk.";

fn load(arch: &Arch, path: &Path, prefix: &str) -> satmip::Result<(SatMip, LoadReport)> {
    let mut model = SatMip::new(arch, None, 1, &Device::flex())?;
    let report = load_image_tower(&mut model, path, prefix)?;
    Ok((model, report))
}

/// The reason why a file is refused, as a person reads it.
fn refusal(arch: &Arch, path: &Path, prefix: &str) -> String {
    match load(arch, path, prefix) {
        Err(error @ Error::Weights { .. }) => error.to_string(),
        other => panic!("{}: {:?}", path.display(), other.map(|(_, report)| report)),
    }
}

fn features(model: &SatMip, images: TensorData) -> Tensor<2> {
    model.image_features(Tensor::from_data(images, &Device::flex()))
}

fn difference(a: Tensor<2>, b: Tensor<2>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).abs().max().into_scalar()
}

fn numbers(path: &Path, name: &str) -> TensorData {
    let file = Weights::open(path).unwrap();
    let shape = file.shape(name).unwrap().to_vec();
    TensorData::new(file.numbers(name, &shape).unwrap(), shape)
}

fn check_resnet(name: &str, arch: &Arch, weights: &str, prefix: &str) -> LoadReport {
    let (model, report) = load(arch, &data(weights), prefix).unwrap();
    let reference = data("foreign/resnet_reference.safetensors");
    let expected = Tensor::from_data(numbers(&reference, name), &Device::flex());
    let found = features(&model, numbers(&reference, "images"));
    let worst = difference(found, expected);
    assert!(worst < 1e-4, "{name}: {worst}");
    assert!(report.missing.is_empty() && report.resampled.is_empty());
    report
}

#[test]
fn basic_blocks_of_torchvision_in_half_precision() {
    let arch = resnet(ResNetBlock::Basic, [2, 1, 1, 2]);
    let report = check_resnet("basic", &arch, "foreign/resnet_basic.safetensors", "");
    assert_eq!(report.unused, ["fc.bias", "fc.weight"]);
    for name in [
        "conv1.weight",
        "bn1.running_mean",
        "layer1.1.bn2.running_var",
        "layer4.0.downsample.0.weight",
        "layer4.0.downsample.1.bias",
    ] {
        assert!(report.applied.iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn bottlenecks_of_torchvision_under_a_teacher() {
    let arch = resnet(ResNetBlock::Bottleneck, [1, 2, 1, 1]);
    let weights = "foreign/resnet_bottleneck.pth";
    let report = check_resnet("bottleneck", &arch, weights, "module.backbone.");
    let (teacher, student): (Vec<_>, Vec<_>) =
        (report.unused.iter()).partition(|name| name.starts_with("teacher."));
    assert_eq!(teacher.len(), 2, "{teacher:?}");
    assert_eq!(student.len(), report.applied.len() + 2);
}

#[test]
fn position_embeddings_are_resampled_as_timm_does() {
    let folder = tempfile::tempdir().unwrap();
    for (side, size) in [(2, 16), (3, 24), (7, 56)] {
        let arch = vit(size, 8);
        let path = data("timm/vit_token.safetensors");
        let (model, report) = load(&arch, &path, PREFIX).unwrap();
        assert_eq!(report.resampled, ["pos_embed"]);
        assert!(report.applied.contains(&"pos_embed".to_string()));
        let saved = folder.path().join("weights.safetensors");
        save_weights(&model, &saved).unwrap();
        let found = numbers(&saved, "image.pos_embed");
        let expected = numbers(&data("foreign/positions.safetensors"), &side.to_string());
        found.assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-5));
        // The model works at its own size.
        let images = TensorData::ones::<f32, _>([1, 3, size, size]);
        assert_eq!(features(&model, images).dims(), [1, 32]);
    }
}

#[test]
fn patches_of_another_size_are_refused() {
    let arch = vit(32, 4);
    let reason = refusal(&arch, &data("timm/vit_token.safetensors"), PREFIX);
    assert!(
        reason.contains("8 x 8") && reason.contains("4 x 4"),
        "{reason}"
    );
}

#[test]
fn a_wrong_prefix_is_refused_with_the_right_one() {
    for path in ["timm/vit_token.safetensors", "timm/vit_token.pt"] {
        for prefix in ["", "encoder.", "visual.trunk"] {
            let reason = refusal(&vit(32, 8), &data(path), prefix);
            assert!(reason.contains(&format!("{PREFIX}`")), "{reason}");
        }
    }
    // The file has no such tower at all.
    let arch = resnet(ResNetBlock::Basic, [1, 1, 1, 1]);
    let reason = refusal(&arch, &data("timm/vit_token.safetensors"), "");
    assert!(reason.contains("no weight of the tower"), "{reason}");
}

#[test]
fn missing_tensors_are_named_and_counted() {
    // A third block has 12 tensors.
    let mut deeper = vit(32, 8);
    if let ImageTower::Vit(config) = &mut deeper.image {
        config.depth = 3;
    }
    let reason = refusal(&deeper, &data("timm/vit_token.safetensors"), PREFIX);
    for part in ["visual.trunk.blocks.2.", "11 others", "and 6 more"] {
        assert!(reason.contains(part), "{reason}");
    }
}

/// Type, shape and bytes of a tensor.
type Entry = (Dtype, Vec<usize>, Vec<u8>);
/// The tensors of a file by name.
type Stored = BTreeMap<String, Entry>;

/// Those of the ViT.
fn stored() -> Stored {
    stored_in("timm/vit_token.safetensors")
}

fn stored_in(name: &str) -> Stored {
    let bytes = std::fs::read(data(name)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let entry = |view: TensorView| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.iter()
        .map(|(name, view)| (name.to_owned(), entry(view)))
        .collect()
}

fn write(path: &Path, tensors: &Stored) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

#[test]
fn half_precision_loads_as_single_precision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let (mut halves, mut singles) = (stored(), stored());
    for (name, (dtype, _, bytes)) in &mut halves {
        let values = bytes.as_chunks::<4>().0.iter();
        let rounded: Vec<half::f16> = values
            .map(|b| half::f16::from_f32(f32::from_le_bytes(*b)))
            .collect();
        *bytes = rounded.iter().flat_map(|v| v.to_le_bytes()).collect();
        *dtype = Dtype::F16;
        singles.get_mut(name).unwrap().2 = rounded
            .iter()
            .flat_map(|v| v.to_f32().to_le_bytes())
            .collect();
    }
    write(&path, &halves);
    let (half, _) = load(&vit(32, 8), &path, PREFIX).unwrap();
    write(&path, &singles);
    let (single, _) = load(&vit(32, 8), &path, PREFIX).unwrap();
    let images = numbers(&data("timm/vit_token_reference.safetensors"), "images");
    let found = features(&half, images.clone());
    assert_eq!(difference(found, features(&single, images)), 0.0);
}

#[test]
fn wrong_types_shapes_and_numbers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let name = "visual.trunk.blocks.1.mlp.fc1.bias";
    let refused = |change: &dyn Fn(&mut Entry)| {
        let mut tensors = stored();
        change(tensors.get_mut(name).unwrap());
        write(&path, &tensors);
        let reason = refusal(&vit(32, 8), &path, PREFIX);
        assert!(reason.contains(name), "{reason}");
        reason
    };
    assert!(refused(&|t| t.0 = Dtype::I32).contains("I32"));
    assert!(refused(&|t| t.1 = vec![2, 64]).contains("[2, 64]"));
    let nan = f32::NAN.to_le_bytes();
    assert!(refused(&|t| t.2[8..12].copy_from_slice(&nan)).contains("number 2 of 128"));
}

#[test]
fn a_refused_file_leaves_the_model_as_it_was() {
    let device = Device::flex();
    device.seed(1);
    let mut model = SatMip::new(&vit(32, 8), None, 1, &device).unwrap();
    let images = || TensorData::ones::<f32, _>([1, 3, 32, 32]);
    let before = features(&model, images());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let mut tensors = stored();
    tensors.remove("visual.trunk.norm.weight");
    write(&path, &tensors);
    load_image_tower(&mut model, &path, PREFIX).unwrap_err();
    assert_eq!(difference(features(&model, images()), before), 0.0);
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let arch = vit(32, 8);
    for name in ["vit_token.safetensors", "vit_token.pt"] {
        let whole = std::fs::read(data(&format!("timm/{name}"))).unwrap();
        let path = folder.path().join(name);
        let step = whole.len() / 12;
        for length in (0..whole.len()).step_by(step).chain([1, 7, 8, 9, 300]) {
            std::fs::write(&path, &whole[..length]).unwrap();
            refusal(&arch, &path, PREFIX);
        }
        // Bytes of the tensors themselves: a checksum or a number that is not finite, or no fault.
        for place in (0..whole.len()).step_by(step) {
            let mut changed = whole.clone();
            for byte in &mut changed[place..(place + 16).min(whole.len())] {
                *byte = 0xff;
            }
            std::fs::write(&path, &changed).unwrap();
            if let Err(error) = load(&arch, &path, PREFIX) {
                assert!(matches!(error, Error::Weights { .. }), "{error}");
            }
        }
    }
    let absent = load(&arch, &folder.path().join("none.pt"), "").map(|(_, report)| report);
    assert!(matches!(absent, Err(Error::Io { .. })), "{absent:?}");
}

#[test]
fn hostile_pickles_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let call = format!("cos\nsystem\n(S'touch {}'\ntR.", mark.display());
    let nested = [b"\x80\x02".to_vec(), vec![b'('; 100_000], vec![b'.']].concat();
    let lists = [
        b"\x80\x02".to_vec(),
        b"]".repeat(5_000),
        b"a".repeat(4_999),
        vec![b'.'],
    ]
    .concat();
    for (name, bytes) in [
        ("call", call.into_bytes()),
        ("nested", nested),
        ("lists", lists),
        ("long", b"\x80\x02\x8b\xff\xff\xff\x7f".to_vec()),
        ("empty dictionary", b"\x80\x02}.".to_vec()),
        ("number", b"\x80\x02K\x01.".to_vec()),
        ("text", b"no weights at all".to_vec()),
    ] {
        let path = folder.path().join(format!("{name}.pt"));
        std::fs::write(&path, bytes).unwrap();
        refusal(&vit(32, 8), &path, "");
    }
    assert!(!mark.exists());
}

#[test]
fn modules_have_the_parameters_of_timm_and_torchvision() {
    // Batch norms' running statistics are no parameters; burn counts them.
    for (arch, parameters, statistics) in [
        (arch(64, ImageTower::Vit(VitConfig::tiny(8))), 5_388_480, 0),
        (
            arch(64, ImageTower::ResNet(ResNetConfig::resnet18())),
            11_176_512,
            2 * 4_800,
        ),
        (
            arch(
                64,
                ImageTower::EfficientNetLite(EfficientNetLiteConfig::lite(0)),
            ),
            3_371_008,
            // Channels of all norms.
            2 * 21_008,
        ),
    ] {
        let model = SatMip::new(&arch, None, 1, &Device::flex()).unwrap();
        assert_eq!(model.image.num_params(), parameters + statistics);
    }
}
