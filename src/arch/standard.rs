//! Image towers of standard sizes, by constructor and by name.

use serde::Deserialize;

use super::image::{four, vit_eps};
use super::{EfficientNetLiteConfig, ImageTower, Pool, ResNetBlock, ResNetConfig, Stem, VitConfig};

impl VitConfig {
    /// ViT-Ti of DeiT (Touvron et al. 2021): width 192, 12 blocks, 3 heads.
    pub fn tiny(patch: usize) -> Self {
        Self::sized(patch, 192, 3)
    }

    /// ViT-S of DeiT: width 384, 12 blocks, 6 heads.
    pub fn small(patch: usize) -> Self {
        Self::sized(patch, 384, 6)
    }

    /// ViT-B (Dosovitskiy et al. 2021): width 768, 12 blocks, 12 heads.
    pub fn base(patch: usize) -> Self {
        Self::sized(patch, 768, 12)
    }

    fn sized(patch: usize, dim: usize, heads: usize) -> Self {
        Self {
            patch,
            dim,
            depth: 12,
            heads,
            mlp_ratio: four(),
            pool: Pool::Cls,
            norm_eps: vit_eps(),
        }
    }
}

impl ResNetConfig {
    /// ResNet-18 (He et al. 2016).
    pub fn resnet18() -> Self {
        Self::published(ResNetBlock::Basic, [2, 2, 2, 2])
    }

    /// ResNet-50 (He et al. 2016), with the stride in the 3 x 3 convolution as torchvision has it.
    pub fn resnet50() -> Self {
        Self::published(ResNetBlock::Bottleneck, [3, 4, 6, 3])
    }

    fn published(block: ResNetBlock, depths: [usize; 4]) -> Self {
        Self {
            stem: Stem {
                kernel: 7,
                stride: 2,
                max_pool: true,
            },
            block,
            widths: vec![64, 128, 256, 512],
            depths: depths.to_vec(),
        }
    }
}

/// An image tower as a recipe states it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum StatedTower {
    Vit(VitConfig),
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    VitTiny(StatedVit),
    VitSmall(StatedVit),
    VitBase(StatedVit),
    #[serde(rename = "resnet18")]
    ResNet18(Nothing),
    #[serde(rename = "resnet50")]
    ResNet50(Nothing),
    #[serde(rename = "efficientnet-lite")]
    Lite(EfficientNetLiteConfig),
    #[serde(rename = "efficientnet-lite0")]
    Lite0(Nothing),
    #[serde(rename = "efficientnet-lite1")]
    Lite1(Nothing),
    #[serde(rename = "efficientnet-lite2")]
    Lite2(Nothing),
    #[serde(rename = "efficientnet-lite3")]
    Lite3(Nothing),
    #[serde(rename = "efficientnet-lite4")]
    Lite4(Nothing),
}

/// What the name of a ViT leaves open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatedVit {
    patch: usize,
    #[serde(default)]
    pool: Pool,
}

/// No further settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl From<StatedTower> for ImageTower {
    fn from(stated: StatedTower) -> Self {
        let vit = |size: fn(usize) -> VitConfig, StatedVit { patch, pool }| {
            ImageTower::Vit(VitConfig {
                pool,
                ..size(patch)
            })
        };
        let lite = |size| ImageTower::EfficientNetLite(EfficientNetLiteConfig::lite(size));
        match stated {
            StatedTower::Vit(config) => ImageTower::Vit(config),
            StatedTower::ResNet(config) => ImageTower::ResNet(config),
            StatedTower::VitTiny(stated) => vit(VitConfig::tiny, stated),
            StatedTower::VitSmall(stated) => vit(VitConfig::small, stated),
            StatedTower::VitBase(stated) => vit(VitConfig::base, stated),
            StatedTower::ResNet18(Nothing {}) => ImageTower::ResNet(ResNetConfig::resnet18()),
            StatedTower::ResNet50(Nothing {}) => ImageTower::ResNet(ResNetConfig::resnet50()),
            StatedTower::Lite(config) => ImageTower::EfficientNetLite(config),
            StatedTower::Lite0(Nothing {}) => lite(0),
            StatedTower::Lite1(Nothing {}) => lite(1),
            StatedTower::Lite2(Nothing {}) => lite(2),
            StatedTower::Lite3(Nothing {}) => lite(3),
            StatedTower::Lite4(Nothing {}) => lite(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Arch, Preprocessing, Projector, weight_shapes};
    use serde_json::json;

    /// What is trained of the tower, at an input of this size.
    fn parameters(image: ImageTower, size: usize) -> usize {
        let arch = Arch {
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
            embed_dim: 1,
        };
        arch.validate().unwrap();
        let tower = weight_shapes(&arch).into_iter();
        tower
            .filter(|(name, _)| name.starts_with("image.") && !name.contains(".running_"))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    #[test]
    fn parameters_are_those_of_timm_and_torchvision() {
        // `train/tests/reference/make_foreign.py` prints these from timm and torchvision.
        let vit = |size: fn(usize) -> VitConfig, patch| ImageTower::Vit(size(patch));
        let lite = |size| ImageTower::EfficientNetLite(EfficientNetLiteConfig::lite(size));
        for (image, size, expected) in [
            (vit(VitConfig::tiny, 16), 224, 5_524_416),
            (vit(VitConfig::small, 16), 224, 21_665_664),
            (vit(VitConfig::base, 16), 224, 85_798_656),
            (vit(VitConfig::tiny, 4), 64, 5_397_696),
            (vit(VitConfig::tiny, 8), 64, 5_388_480),
            (vit(VitConfig::tiny, 16), 64, 5_489_856),
            (vit(VitConfig::small, 4), 64, 21_412_224),
            (vit(VitConfig::small, 8), 64, 21_393_792),
            (vit(VitConfig::small, 16), 64, 21_596_544),
            (vit(VitConfig::base, 4), 64, 85_291_776),
            (vit(VitConfig::base, 8), 64, 85_254_912),
            (vit(VitConfig::base, 16), 64, 85_660_416),
            (
                ImageTower::ResNet(ResNetConfig::resnet18()),
                224,
                11_176_512,
            ),
            (
                ImageTower::ResNet(ResNetConfig::resnet50()),
                224,
                23_508_032,
            ),
            (lite(0), 224, 3_371_008),
            (lite(1), 240, 4_135_680),
            (lite(2), 260, 4_811_072),
            (lite(3), 280, 6_916_096),
            (lite(4), 300, 11_725_568),
        ] {
            assert_eq!(parameters(image.clone(), size), expected, "{image:?}");
        }
    }

    #[test]
    fn names_are_written_with_all_settings() {
        for (stated, tower) in [
            (
                json!({ "kind": "vit-tiny", "patch": 8 }),
                ImageTower::Vit(VitConfig::tiny(8)),
            ),
            (
                json!({ "kind": "vit-small", "patch": 16, "pool": "mean" }),
                ImageTower::Vit(VitConfig {
                    pool: Pool::Mean,
                    ..VitConfig::small(16)
                }),
            ),
            (
                json!({ "kind": "vit-base", "patch": 16 }),
                ImageTower::Vit(VitConfig::base(16)),
            ),
            (
                json!({ "kind": "resnet18" }),
                ImageTower::ResNet(ResNetConfig::resnet18()),
            ),
            (
                json!({ "kind": "resnet50" }),
                ImageTower::ResNet(ResNetConfig::resnet50()),
            ),
            (
                json!({ "kind": "efficientnet-lite0" }),
                ImageTower::EfficientNetLite(EfficientNetLiteConfig::lite(0)),
            ),
            (
                json!({ "kind": "efficientnet-lite4" }),
                ImageTower::EfficientNetLite(EfficientNetLiteConfig::lite(4)),
            ),
        ] {
            let read: ImageTower = serde_json::from_value(stated).unwrap();
            assert_eq!(read, tower);
            let written = serde_json::to_value(&read).unwrap();
            let kind = written["kind"].as_str().unwrap();
            let settings = match kind {
                "vit" => "dim",
                "resnet" => "widths",
                "efficientnet-lite" => "stages",
                _ => panic!("{written}"),
            };
            assert!(written.get(settings).is_some(), "{written}");
            assert_eq!(
                serde_json::from_value::<ImageTower>(written).unwrap(),
                tower
            );
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_what_is_known() {
        for (stated, parts) in [
            (
                json!({ "kind": "vit-huge", "patch": 16 }),
                &[
                    "vit-huge",
                    "`vit-tiny`",
                    "`resnet50`",
                    "`vit`",
                    "`efficientnet-lite0`",
                ][..],
            ),
            (
                json!({ "kind": "vit-tiny", "patch": 16, "depth": 3 }),
                &["depth", "`patch`", "`pool`"],
            ),
            (json!({ "kind": "vit-tiny" }), &["missing", "`patch`"]),
            (
                json!({ "kind": "vit-tiny", "patch": 16, "pool": "max" }),
                &["max", "`cls`", "`mean`"],
            ),
            (json!({ "kind": "resnet18", "patch": 16 }), &["patch"]),
            (
                json!({ "kind": "efficientnet-lite2", "width": 16 }),
                &["width"],
            ),
            (
                json!({ "kind": "efficientnet-lite", "stem": 8, "head": 8, "stages": [{ "kernel": 3 }] }),
                &["missing", "`stride`"],
            ),
            (
                json!({ "kind": "vit", "patch": 16, "dim": 8, "depth": 1, "heads": 1, "x": 0 }),
                &["`x`", "`mlp_ratio`"],
            ),
            (json!({ "patch": 16 }), &["kind"]),
        ] {
            let error = serde_json::from_value::<ImageTower>(stated.clone()).unwrap_err();
            let text = error.to_string();
            for part in parts {
                assert!(text.contains(part), "{stated}: {text}");
            }
        }
    }
}
