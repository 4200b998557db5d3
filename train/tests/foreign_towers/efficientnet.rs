//! An EfficientNet-Lite of timm, under timm's names and under those of EfficientNet-PyTorch.

use super::*;
use satmip::arch::MbConvStage;

/// The tower of `foreign/lite_timm.safetensors` and `foreign/lite_flat.pth`.
fn lite(size: usize) -> Arch {
    let published = EfficientNetLiteConfig::lite(0).stages;
    let narrow = [4, 8, 4, 8, 4, 8, 12]
        .into_iter()
        .zip([1, 2, 3, 2, 2, 4, 2]);
    let stages = published.iter().zip(narrow).zip([1, 2, 1, 2, 1, 1, 1]);
    let stages = stages.map(|((stage, (width, expansion)), depth)| MbConvStage {
        expansion,
        width,
        depth,
        ..*stage
    });
    let config = EfficientNetLiteConfig {
        stem: 4,
        stages: stages.collect(),
        head: 12,
    };
    arch(size, ImageTower::EfficientNetLite(config))
}

const TIMM: &str = "foreign/lite_timm.safetensors";
const FLAT: &str = "foreign/lite_flat.pth";

#[test]
fn features_are_those_of_timm_at_even_and_odd_sizes_under_both_names() {
    let reference = data("foreign/lite_reference.safetensors");
    for (file, classifier) in [(TIMM, "classifier"), (FLAT, "_fc")] {
        for size in [32, 33] {
            let (model, report) = load(&lite(size), &data(file), "").unwrap();
            let images = Tensor::<4>::from_data(numbers(&reference, "images"), &Device::flex());
            let images = images.slice([0..2, 0..3, 0..size, 0..size]).into_data();
            let expected = numbers(&reference, &size.to_string());
            let expected = Tensor::from_data(expected, &Device::flex());
            let worst = difference(features(&model, images), expected);
            println!("{file} {size}: {worst:.1e}");
            assert!(worst < 1e-4, "{file} {size}: {worst}");
            let unused = ["bias", "weight"].map(|part| format!("{classifier}.{part}"));
            assert_eq!(report.unused, unused);
            assert_eq!(report.applied.len(), 5 * (1 + 2 + 3 * 8 + 1));
            let name = "blocks.3.1.conv_pwl.weight";
            assert!(report.applied.iter().any(|applied| applied == name));
        }
    }
}

#[test]
fn both_names_give_the_same_weights() {
    let [timm, flat] = [TIMM, FLAT].map(|file| load(&lite(32), &data(file), "").unwrap());
    let images = || TensorData::ones::<f32, _>([1, 3, 32, 32]);
    let (a, b) = (features(&timm.0, images()), features(&flat.0, images()));
    assert_eq!(difference(a, b), 0.0);
    assert_eq!(timm.1.applied, flat.1.applied);
}

/// A file with the fixture's tensors under other names, some of them changed.
fn changed(folder: &Path, prefix: &str, change: impl FnOnce(&mut Stored)) -> PathBuf {
    let path = folder.join("changed.safetensors");
    let mut tensors: Stored = stored_in(TIMM)
        .into_iter()
        .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
        .collect();
    change(&mut tensors);
    write(&path, &tensors);
    path
}

#[test]
fn a_prefix_is_taken_and_a_wrong_one_refused_with_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), "backbone.", |_| ());
    load(&lite(32), &path, "backbone.").unwrap();
    let reason = refusal(&lite(32), &path, "");
    assert!(reason.contains("may be `backbone.`"), "{reason}");
    let reason = refusal(&lite(32), &data(FLAT), "encoder.");
    assert!(reason.contains("may be ``"), "{reason}");
}

#[test]
fn weights_of_another_network_are_named_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let with = |change: &dyn Fn(&mut EfficientNetLiteConfig)| {
        let mut arch = lite(32);
        if let ImageTower::EfficientNetLite(config) = &mut arch.image {
            change(config);
        }
        arch
    };
    let deeper = with(&|c| c.stages[1].depth = 3);
    let wider = with(&|c| c.stages[1].width = 12);
    let shallower = with(&|c| c.stages[3].depth = 1);
    // Blocks that have one number are other ones where one is missing.
    for (file, missing, extra) in [
        (
            TIMM,
            "`blocks.1.2.",
            ["`blocks.3.1.", "has no place in the model, as 14 others"],
        ),
        (
            FLAT,
            "`_blocks.9.",
            ["`_blocks.5.", "others differ as well"],
        ),
    ] {
        let refused = |arch| refusal(arch, &data(file), "");
        let reason = refused(&deeper);
        for part in [missing, "is missing, with 14 others", "and 9 more"] {
            assert!(reason.contains(part), "{reason}");
        }
        let reason = refused(&wider);
        for part in ["has shape [", "others differ as well"] {
            assert!(reason.contains(part), "{reason}");
        }
        let reason = refused(&shallower);
        for part in extra {
            assert!(reason.contains(part), "{reason}");
        }
    }
    let name = "blocks.2.0.se.conv_reduce.weight";
    let path = changed(folder.path(), "", |tensors| {
        let tensor = tensors["conv_stem.weight"].clone();
        tensors.insert(name.into(), tensor);
    });
    let reason = refusal(&lite(32), &path, "");
    assert!(
        reason.contains(name) && reason.contains("it is of another network"),
        "{reason}"
    );
    let path = changed(folder.path(), "", |tensors| {
        drop(tensors.remove("bn2.bias"))
    });
    let reason = refusal(&lite(32), &path, "");
    assert!(
        reason.contains("`bn2.bias`") && reason.contains("is missing"),
        "{reason}"
    );
}
