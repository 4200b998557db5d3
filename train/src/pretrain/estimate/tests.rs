use super::*;
use satmip::arch::{MetadataSide, TabularColumns, TabularTokens};
use satmip::metadata::FieldSet;

fn arch(image: &str, size: usize) -> Arch {
    let text = format!(
        r#"
        embed_dim = 512
        preprocessing = {{ size = {size}, mean = [0.4, 0.4, 0.4], std = [0.2, 0.2, 0.2] }}
        image = {{ {image} }}
        image_projector = {{ kind = "linear" }}
        "#
    );
    let arch: Arch = toml::from_str(&text).unwrap();
    arch.validate().unwrap();
    arch
}

fn recipe(arch: &Arch, method: &str, more: &str) -> Recipe {
    let text = format!(
        r#"
        id = "x"
        version = "1"
        licence = "MIT"
        method = "{method}"
        seed = 1
        steps = 10
        batch_size = 64
        embed_dim = 512
        fields = ["gsd"]
        {more}
        image = {{ kind = "vit", patch = 1, dim = 1, depth = 1, heads = 1 }}
        preprocessing = {{ size = 1, mean = [0.4, 0.4, 0.4], std = [0.2, 0.2, 0.2] }}
        metadata = {{ kind = "text", vocabulary = 500, dim = 512, depth = 12, heads = 8 }}
        simclr = {{ hidden = [4096, 4096], output = 256, temperature = 0.1 }}
        optimizer = {{ learning_rate = 1e-3, warmup_steps = 1 }}
        data = [{{ archive = "a.tar", index = "a.csv" }}]
        "#
    );
    Recipe {
        image: arch.image.clone(),
        preprocessing: arch.preprocessing.clone(),
        ..toml::from_str(&text).unwrap()
    }
}

const VIT_S: &str = r#"kind = "vit", patch = 16, dim = 384, depth = 12, heads = 6"#;
const RESNET_50: &str = r#"kind = "resnet", block = "bottleneck", widths = [64, 128, 256, 512],
    depths = [3, 4, 6, 3], stem = { kernel = 7, stride = 2, max_pool = true }"#;
const RESNET_18: &str = r#"kind = "resnet", block = "basic", widths = [64, 128, 256, 512],
    depths = [2, 2, 2, 2], stem = { kernel = 7, stride = 2, max_pool = true }"#;

fn with_text(image: &str) -> Arch {
    Arch {
        metadata: Some(MetadataSide {
            fields: FieldSet::GSD,
            tower: MetadataTower::Text(TextConfig {
                vocabulary: 500,
                context: 77,
                end_token: 1,
                dim: 512,
                depth: 12,
                heads: 8,
                norm_eps: 1e-5,
            }),
            projector: Projector::Linear,
        }),
        ..arch(image, 224)
    }
}

/// MACs after timm's and torchvision's tables (4.61, 17.58, 4.09 and 1.81 GMACs, classifiers of
/// 0.4 to 2 million included; those of the EfficientNet counted at the convolutions of timm's model),
/// parameters after theirs without the classifier.
#[test]
fn known_towers_cost_what_is_known() {
    let vit_b = VIT_S.replace("384", "768").replace("= 6", "= 12");
    for (image, gmacs, parameters) in [
        (VIT_S, 4.61, 21_665_664),
        (vit_b.as_str(), 17.58, 85_798_656),
        (RESNET_50, 4.09, 23_508_032),
        (RESNET_18, 1.814, 11_176_512),
        (r#"kind = "efficientnet-lite0""#, 0.3839, 3_371_008),
    ] {
        let arch = arch(image, 224);
        let counted = estimate(&recipe(&arch, "simclr", ""), &arch);
        let found = counted.forward.image as f64 / 1e9;
        assert!((found / gmacs - 1.0).abs() < 0.005, "{image}: {found}");
        assert_eq!(counted.parameters.image, parameters, "{image}");
    }
}

#[test]
fn the_metadata_towers_are_counted_by_hand() {
    // 12 blocks over 77 tokens: 12 * 77 * 512^2 of matrices, 2 * 77^2 * 512 of attention.
    let arch = with_text(VIT_S);
    let counted = estimate(&recipe(&arch, "satmip", ""), &arch);
    let expected = 12 * (77 * 12 * 512 * 512 + 2 * 77 * 77 * 512);
    assert_eq!(counted.forward.metadata, expected);
    assert_eq!(counted.forward.metadata_projector, 512 * 512);
    assert_eq!(counted.forward.simclr_head, 0, "no SimCLR, no head");
    let sum = &counted.parameters;
    let parts = sum.image + sum.image_projector + sum.metadata + sum.metadata_projector;
    assert_eq!(sum.total, parts + sum.simclr_head + 1);

    let columns = ["a", "b", "c"].map(|name| satmip::arch::NumberColumn {
        name: name.into(),
        field: satmip::metadata::Field::Gsd,
        mean: 0.0,
        std: 1.0,
    });
    let tower = TabularConfig {
        dim: 16,
        depth: 2,
        heads: 2,
        hidden: 20,
        tokens: TabularTokens::Column,
        attention_dropout: 0.0,
        hidden_dropout: 0.0,
        norm_eps: 1e-5,
        columns: TabularColumns {
            numbers: columns.into(),
            categories: Vec::new(),
        },
    };
    let expected = 2 * (4 * (4 * 16 * 16 + 16 * 40 + 20 * 16) + 2 * 4 * 4 * 16);
    assert_eq!(whole(tabular(&tower).macs), expected);
}

#[test]
fn simclrs_head_is_counted_by_hand() {
    let arch = arch(VIT_S, 224);
    let counted = estimate(&recipe(&arch, "simclr", ""), &arch);
    let macs = 384 * 4096 + 4096 * 4096 + 4096 * 256;
    assert_eq!(counted.forward.simclr_head, macs);
    assert_eq!(counted.parameters.simclr_head, macs + 4 * 4096);
    assert_eq!(counted.forward.metadata, 0);
}

/// The order of the paper's table: SatMIP about half of SimCLR, SatMIPS little above it, and the
/// uncoupled SatMIPS about half as much again.
#[test]
fn methods_cost_in_the_papers_order() {
    let arch = with_text(VIT_S);
    let alone = Arch {
        metadata: None,
        ..arch.clone()
    };
    let of = |arch: &Arch, method: &str, more: &str| {
        let counted = estimate(&recipe(arch, method, more), arch);
        (counted.step_macs as f64, counted.memory.activations as f64)
    };
    let simclr = of(&alone, "simclr", "");
    let satmip = of(&arch, "satmip", "");
    let satmips = of(&arch, "satmips", "");
    let uncoupled = of(&arch, "satmips", "view_coupling = false");
    assert!(satmip.0 < simclr.0 && simclr.0 < satmips.0);
    let third = (uncoupled.0 - satmips.0) / (4_599e6 * 3.0 * 64.0);
    assert!((third - 1.0).abs() < 0.01, "one image pass more: {third}");
    assert!(satmip.1 < simclr.1 && satmips.1 < uncoupled.1);
}

#[test]
fn chunks_cost_a_forward_pass_and_spare_memory() {
    let arch = with_text(VIT_S);
    let whole = estimate(&recipe(&arch, "satmips", ""), &arch);
    let parts = estimate(&recipe(&arch, "satmips", "chunk = 8"), &arch);
    let same = estimate(&recipe(&arch, "satmips", "chunk = 64"), &arch);
    assert_eq!(whole, same);
    let towers = 64 * (2 * whole.forward.image + whole.forward.metadata);
    assert!(parts.step_macs.abs_diff(whole.step_macs + towers) < 1000);
    let ratio = whole.memory.activations as f64 / parts.memory.activations as f64;
    assert!((7.0..8.0).contains(&ratio), "{ratio}");
    let half = estimate(
        &recipe(&arch, "satmips", "precision = \"bf16\"\nema = 0.99"),
        &arch,
    );
    assert!(half.memory.activations < whole.memory.activations);
    assert_eq!(half.memory.average, whole.memory.weights);
    assert_eq!(whole.memory.total, {
        let m = &whole.memory;
        m.weights + m.gradients + m.optimizer + m.average + m.activations + m.pixels
    });
}
