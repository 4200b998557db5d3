//! The image tower, from the shapes of its tensors.

use super::infer::{Inference, MOST_BLOCKS};
use super::rules::ImageSettings;
use satmip::Result;
use satmip::arch::names::IMAGE;
use satmip::arch::{
    EfficientNetLiteConfig, ImageTower, MbConvStage, Pool, ResNetBlock, ResNetConfig, Stem,
    VitConfig,
};

impl Inference<'_> {
    /// What the mapping says of the image tower in this file.
    pub(super) fn image_settings(&self) -> ImageSettings {
        let mut all = ImageSettings::default();
        for entry in &self.mapping.image {
            if entry.beside.as_deref().is_none_or(self.has) {
                all = ImageSettings {
                    beside: None,
                    head_width: entry.head_width.or(all.head_width),
                    norm_eps: entry.norm_eps.or(all.norm_eps),
                    pool: entry.pool.or(all.pool),
                    size: entry.size.or(all.size),
                    stem_stride: entry.stem_stride.or(all.stem_stride),
                    max_pool: entry.max_pool.or(all.max_pool),
                    strides: entry.strides.clone().or(all.strides),
                    mean: entry.mean.or(all.mean),
                    std: entry.std.or(all.std),
                };
            }
        }
        all
    }

    /// The image tower and its input size.
    ///
    /// # Errors
    /// [`satmip::Error::Import`] says what cannot be told.
    pub(super) fn image(&mut self, settings: &ImageSettings) -> Result<(ImageTower, usize)> {
        let patch = format!("{IMAGE}.patch_embed.proj.weight");
        let conv = format!("{IMAGE}.conv1.weight");
        let stem = format!("{IMAGE}.conv_stem.weight");
        if let Some([dim, _, patch, _]) = self.shape(&patch) {
            let (dim, patch) = (*dim, *patch);
            return self.vit(settings, dim, patch);
        }
        if let Some([_, _, kernel, _]) = self.shape(&conv) {
            let kernel = *kernel;
            return self.resnet(settings, kernel);
        }
        if let Some([width, ..]) = self.shape(&stem) {
            let width = *width;
            return self.efficientnet(settings, width);
        }
        let reason = format!(
            "no image tower was found under the names of `{}`: no tensor of the file becomes `{patch}`, `{conv}` or `{stem}`",
            self.mapping.name
        );
        let hint = "name another `--convention` or a `--prefix`, or write a mapping (`--mapping`)";
        Err(self.source.refuse(reason, Some(hint)))
    }

    fn vit(
        &mut self,
        settings: &ImageSettings,
        dim: usize,
        patch: usize,
    ) -> Result<(ImageTower, usize)> {
        let positions = format!("{IMAGE}.pos_embed");
        let tokens = self.last_two(&positions).map_or(0, |(tokens, _)| tokens);
        let side = tokens.saturating_sub(1).isqrt();
        if side == 0 || side * side + 1 != tokens {
            let reason = format!(
                "`{positions}` has {tokens} rows, which is no class token before a square grid of patches"
            );
            return Err(self.source.refuse(reason, None));
        }
        let hidden = self.last_two(&format!("{IMAGE}.blocks.0.mlp.fc1.weight"));
        let hidden = hidden.map_or(0, |(hidden, _)| hidden);
        let mlp_ratio = hidden.checked_div(dim).unwrap_or(0);
        if mlp_ratio == 0 || mlp_ratio * dim != hidden {
            let reason =
                format!("the MLPs of the image tower are {hidden} wide, no multiple of {dim}");
            return Err(self.source.refuse(reason, None));
        }
        let heads = self.options.heads;
        let heads = self.heads("image", "--heads", heads, dim, settings.head_width)?;
        let pool = settings.pool.unwrap_or_default();
        let norm_eps = settings.norm_eps.unwrap_or(1e-6);
        self.assumed.push(format!(
            "the image tower is pooled at its {} with norms of epsilon {norm_eps:e}",
            match pool {
                Pool::Cls => "class token",
                Pool::Mean => "patches' mean",
            }
        ));
        let tower = ImageTower::Vit(VitConfig {
            patch,
            dim,
            depth: self.count(&format!("{IMAGE}.blocks.")),
            heads,
            mlp_ratio,
            pool,
            norm_eps,
        });
        Ok((tower, side * patch))
    }

    fn resnet(&mut self, settings: &ImageSettings, kernel: usize) -> Result<(ImageTower, usize)> {
        let stages = self.stages();
        let stage = |s: usize| format!("{IMAGE}.layer{}", s + 1);
        let bottleneck = format!("{}.0.conv3.weight", stage(0));
        let block = match self.shapes.contains_key(&bottleneck) {
            true => ResNetBlock::Bottleneck,
            false => ResNetBlock::Basic,
        };
        let width = |s: usize| {
            let conv = self.shape(&format!("{}.0.conv1.weight", stage(s)));
            conv.and_then(|shape| shape.first()).copied().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..stages).map(width).collect();
        let depths = (0..stages).map(|s| self.count(&format!("{}.", stage(s))));
        let depths = depths.collect();
        let stride = settings.stem_stride.unwrap_or(2);
        let max_pool = settings.max_pool.unwrap_or(true);
        let size = self.size(settings, "a ResNet")?;
        self.assumed.push(format!(
            "the first convolution has a stride of {stride}, {} max pooling, and pictures are {size} pixels wide (`--size`, `--arch`)",
            if max_pool { "with" } else { "without" }
        ));
        let tower = ImageTower::ResNet(ResNetConfig {
            stem: Stem {
                kernel,
                stride,
                max_pool,
            },
            block,
            widths,
            depths,
        });
        Ok((tower, size))
    }

    /// The input size, which a convolutional tower's weights do not tell.
    fn size(&self, settings: &ImageSettings, tower: &str) -> Result<usize> {
        self.options.size.or(settings.size).ok_or_else(|| {
            let reason = format!("the input size of {tower} cannot be told from its weights");
            self.source
                .refuse(reason, Some("give `--size`, or `--arch`"))
        })
    }

    fn efficientnet(
        &mut self,
        settings: &ImageSettings,
        stem: usize,
    ) -> Result<(ImageTower, usize)> {
        let blocks = format!("{IMAGE}.blocks.");
        let count = self.count(&blocks);
        let strides = settings.strides.clone().filter(|s| s.len() == count);
        let Some(strides) = strides else {
            let reason = format!(
                "the strides of the {count} stages of an EfficientNet cannot be told from its weights"
            );
            return Err(self.source.refuse(reason, Some("give `--arch`")));
        };
        let stages = (0..count).map(|s| self.stage(&format!("{blocks}{s}."), strides[s]));
        let stages = stages.collect::<Result<Vec<_>>>()?;
        let head = self.shape(&format!("{IMAGE}.conv_head.weight"));
        let head = head.and_then(|shape| shape.first()).copied().unwrap_or(0);
        let size = self.size(settings, "an EfficientNet")?;
        self.assumed.push(format!(
            "the stages' strides are {strides:?}, and pictures are {size} pixels wide (`--size`, `--arch`)"
        ));
        let config = EfficientNetLiteConfig { stem, stages, head };
        Ok((ImageTower::EfficientNetLite(config), size))
    }

    /// A stage, from the shapes of its first block.
    fn stage(&self, prefix: &str, stride: usize) -> Result<MbConvStage> {
        let weight = |name: &str| self.shape(&format!("{prefix}0.{name}.weight"));
        let narrowing = weight("conv_pwl");
        let (Some([_, _, kernel, _]), Some([wide, narrow, ..])) =
            (weight("conv_dw"), weight("conv_pw"))
        else {
            let reason = format!("the first block under `{prefix}` is no block of an EfficientNet");
            return Err(self.source.refuse(reason, None));
        };
        let (expansion, width) = match narrowing {
            Some([width, ..]) if *narrow > 0 && wide.is_multiple_of(*narrow) => {
                (wide / narrow, *width)
            }
            Some(_) => {
                let reason = format!(
                    "the first block under `{prefix}` widens {narrow} channels to {wide}, no multiple"
                );
                return Err(self.source.refuse(reason, None));
            }
            None => (1, *wide),
        };
        Ok(MbConvStage {
            kernel: *kernel,
            stride,
            expansion,
            width,
            depth: self.count(prefix),
        })
    }

    /// Stages `layer1`, `layer2`, .. without a gap.
    fn stages(&self) -> usize {
        let there = |s: &usize| {
            let first = format!("{IMAGE}.layer{s}.0.conv1.weight");
            self.shapes.contains_key(&first)
        };
        (1..MOST_BLOCKS).take_while(there).count()
    }
}
