//! Small architectures of every kind, and weights that are not as they should be.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use satmip::arch::*;
use satmip::export::Weights;
use satmip::{Field, FieldSet};

pub struct Sample {
    pub name: &'static str,
    pub arch: Arch,
}

pub fn samples() -> Vec<Sample> {
    let sample = |name, arch: Arch| {
        arch.validate().unwrap();
        Sample { name, arch }
    };
    let vit = |patch, dim, heads, mlp_ratio, pool| {
        ImageTower::Vit(VitConfig {
            patch,
            dim,
            depth: 2,
            heads,
            mlp_ratio,
            pool,
            norm_eps: 1e-6,
        })
    };
    let resnet = |kernel, stride, max_pool, block, widths: &[usize], depths: &[usize]| {
        ImageTower::ResNet(ResNetConfig {
            stem: Stem {
                kernel,
                stride,
                max_pool,
            },
            block,
            widths: widths.to_vec(),
            depths: depths.to_vec(),
        })
    };
    let mlp = || Projector::Mlp {
        hidden: vec![20, 18],
    };
    let (basic, bottleneck) = (ResNetBlock::Basic, ResNetBlock::Bottleneck);
    vec![
        sample(
            "vit-cls",
            images(16, vit(8, 24, 3, 4, Pool::Cls), Projector::Linear),
        ),
        sample("vit-mean", images(16, vit(4, 32, 4, 2, Pool::Mean), mlp())),
        sample(
            "resnet-basic",
            images(
                16,
                resnet(3, 1, false, basic, &[8, 12], &[1, 2]),
                Projector::Linear,
            ),
        ),
        sample(
            "resnet-bottleneck",
            images(33, resnet(7, 2, true, bottleneck, &[6, 8], &[2, 1]), mlp()),
        ),
        sample("lite", lite(40)),
        // Each stride of 2 meets an odd side: 33, 17, 9, 5.
        sample("lite-odd", lite(33)),
        sample(
            "text",
            with_metadata(MetadataTower::Text(text()), FieldSet::ALL),
        ),
        sample("tabular", with_metadata(tabular(true, true), fields())),
        sample("tabular-fields", with_metadata(by_field(), fields())),
        sample(
            "tabular-numbers",
            with_metadata(tabular(true, false), fields()),
        ),
        sample(
            "tabular-categories",
            with_metadata(tabular(false, true), fields()),
        ),
    ]
}

/// A small EfficientNet-Lite: stages with and without widening and strides, of both kernels; blocks with and
/// without a shortcut.
pub fn lite(size: usize) -> Arch {
    let stage = |[kernel, stride, expansion, width, depth]: [usize; 5]| MbConvStage {
        kernel,
        stride,
        expansion,
        width,
        depth,
    };
    let stages = [
        [3, 1, 1, 4, 2],
        [3, 2, 3, 6, 2],
        [5, 2, 2, 8, 2],
        [5, 1, 2, 10, 1],
    ];
    let config = EfficientNetLiteConfig {
        stem: 6,
        stages: stages.map(stage).to_vec(),
        head: 20,
    };
    let tower = ImageTower::EfficientNetLite(config);
    images(size, tower, Projector::Linear)
}

fn images(size: usize, image: ImageTower, image_projector: Projector) -> Arch {
    Arch {
        preprocessing: Preprocessing {
            size,
            fit: Fit::default(),
            filter: ResizeFilter::default(),
            mean: [0.4182, 0.4215, 0.3991],
            std: [0.2877, 0.2754, 0.2764],
        },
        image,
        image_projector,
        metadata: None,
        embed_dim: 16,
    }
}

fn with_metadata(tower: MetadataTower, fields: FieldSet) -> Arch {
    let projector = match &tower {
        MetadataTower::Text(_) => Projector::Linear,
        MetadataTower::Tabular(_) => Projector::Mlp { hidden: vec![20] },
    };
    Arch {
        metadata: Some(MetadataSide {
            fields,
            tower,
            projector,
        }),
        ..samples_image()
    }
}

fn samples_image() -> Arch {
    let tower = VitConfig {
        patch: 8,
        dim: 8,
        depth: 1,
        heads: 2,
        mlp_ratio: 1,
        pool: Pool::Cls,
        norm_eps: 1e-6,
    };
    images(8, ImageTower::Vit(tower), Projector::Linear)
}

fn text() -> TextConfig {
    TextConfig {
        vocabulary: 50,
        context: 20,
        end_token: 2,
        dim: 24,
        depth: 2,
        heads: 4,
        norm_eps: 1e-5,
    }
}

/// One more than has columns: a field without a column is allowed.
fn fields() -> FieldSet {
    FieldSet::of(&[
        Field::Gsd,
        Field::Timestamp,
        Field::UtmZone,
        Field::CountryCode,
        Field::CloudCover,
    ])
}

fn tabular(numbers: bool, categories: bool) -> MetadataTower {
    let number = |name: &str, field| NumberColumn {
        name: name.into(),
        field,
        mean: 0.5,
        std: 2.0,
    };
    let category = |name: &str, field, size: usize| CategoryColumn {
        name: name.into(),
        field,
        vocabulary: (0..size).map(|i| format!("{name}-{i}")).collect(),
    };
    MetadataTower::Tabular(TabularConfig {
        dim: 24,
        depth: 3,
        heads: 3,
        hidden: 17,
        tokens: TabularTokens::Column,
        attention_dropout: 0.2,
        hidden_dropout: 0.1,
        norm_eps: 1e-5,
        columns: TabularColumns {
            numbers: match numbers {
                true => vec![
                    // Not in the fields' order, as a column need not be.
                    number("cloud_cover", Field::CloudCover),
                    number("gsd.x", Field::Gsd),
                    number("gsd.y", Field::Gsd),
                ],
                false => vec![],
            },
            categories: match categories {
                true => vec![
                    category("country_code", Field::CountryCode, 4),
                    category("utm_zone", Field::UtmZone, 7),
                ],
                false => vec![],
            },
        },
    })
}

/// One token for each field, of which gsd has two columns.
fn by_field() -> MetadataTower {
    match tabular(true, true) {
        MetadataTower::Tabular(c) => MetadataTower::Tabular(TabularConfig {
            tokens: TabularTokens::Field,
            ..c
        }),
        other => other,
    }
}

/// A caption of `length` tokens, start and end included, padded to `padded`.
pub fn ids_of(arch: &Arch, seed: usize, length: usize, padded: usize) -> Vec<i64> {
    let side = arch.metadata.as_ref().unwrap();
    let MetadataTower::Text(c) = &side.tower else {
        panic!("not a text tower");
    };
    let inner = (0..length - 2).map(|i| 3 + ((i * 17 + seed * 31) % (c.vocabulary - 3)) as i64);
    let mut ids: Vec<i64> = [1].into_iter().chain(inner).chain([c.end_token]).collect();
    ids.resize(padded, 0);
    ids
}

/// The same weights with some numbers changed.
pub fn edited(weights: &Weights, edit: impl Fn(&str, &mut Vec<f32>)) -> Weights {
    let tensors = tensors(weights, edit);
    Weights::from_bytes(file(&tensors, Dtype::F32), "edited").unwrap()
}

pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub fn tensors(weights: &Weights, edit: impl Fn(&str, &mut Vec<f32>)) -> Tensors {
    let shapes = weights.names().into_iter().map(|name| {
        let shape = weights.shape(&name).unwrap().to_vec();
        let mut numbers = weights.numbers(&name, &shape).unwrap();
        edit(&name, &mut numbers);
        (name, (shape, numbers))
    });
    shapes.collect()
}

/// A safetensors file.
pub fn file(tensors: &Tensors, dtype: Dtype) -> Vec<u8> {
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, numbers))| {
            let bytes: Vec<u8> = match dtype {
                Dtype::F16 => numbers
                    .iter()
                    .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
                    .collect(),
                Dtype::BF16 => numbers
                    .iter()
                    .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
                    .collect(),
                Dtype::F64 => numbers
                    .iter()
                    .flat_map(|v| f64::from(*v).to_le_bytes())
                    .collect(),
                _ => numbers.iter().flat_map(|v| v.to_le_bytes()).collect(),
            };
            (name, shape.clone(), bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}
