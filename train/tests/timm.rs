//! timm's ViT loads by name and gives timm's numbers. `train/tests/reference/make_timm.py` made the data.

use std::path::Path;

use burn::prelude::{Device, Tensor, TensorData};
use satmip::arch::{Arch, ImageTower, Pool, Preprocessing, Projector, VitConfig};
use satmip_train::model::{SatMip, load_image_tower};

fn arch(pool: Pool) -> Arch {
    Arch {
        preprocessing: Preprocessing {
            size: 32,
            fit: Default::default(),
            filter: Default::default(),
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        image: ImageTower::Vit(VitConfig {
            patch: 8,
            dim: 32,
            depth: 2,
            heads: 4,
            mlp_ratio: 4,
            pool,
            norm_eps: 1e-6,
        }),
        image_projector: Projector::Linear,
        metadata: None,
        embed_dim: 16,
    }
}

/// An f32 tensor of a safetensors file.
fn tensor(path: &Path, name: &str) -> TensorData {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values: Vec<f32> = view
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    TensorData::new(values, view.shape().to_vec())
}

fn check(pool: Pool, weights: &str, reference: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/timm");
    let device = Device::flex();
    let mut model = SatMip::new(&arch(pool), None, 1, &device).unwrap();
    let report = load_image_tower(&mut model, &folder.join(weights), "visual.trunk.").unwrap();
    assert!(report.missing.is_empty(), "{report:?}");
    let unused: Vec<_> = report.unused.iter().map(String::as_str).collect();
    assert!(
        unused.iter().all(|n| n.contains("head.")) && unused.len() == 2,
        "{unused:?}"
    );

    let reference = folder.join(reference);
    let images = Tensor::<4>::from_data(tensor(&reference, "images"), &device);
    let expected = Tensor::<2>::from_data(tensor(&reference, "features"), &device);
    let ours = model.image_features(images);
    let difference = (ours - expected).abs().max().into_scalar::<f32>();
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn class_token_from_safetensors() {
    check(
        Pool::Cls,
        "vit_token.safetensors",
        "vit_token_reference.safetensors",
    );
}

#[test]
fn class_token_from_a_pytorch_checkpoint() {
    check(Pool::Cls, "vit_token.pt", "vit_token_reference.safetensors");
}

#[test]
fn mean_of_the_patches() {
    check(
        Pool::Mean,
        "vit_avg.safetensors",
        "vit_avg_reference.safetensors",
    );
}

#[test]
fn a_tower_of_another_width_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/timm");
    let mut arch = arch(Pool::Cls);
    if let ImageTower::Vit(config) = &mut arch.image {
        config.dim = 64;
    }
    let mut model = SatMip::new(&arch, None, 1, &Device::flex()).unwrap();
    let path = folder.join("vit_token.safetensors");
    let error = load_image_tower(&mut model, &path, "visual.trunk.").unwrap_err();
    assert!(matches!(error, satmip::Error::Weights { .. }), "{error}");
}
