//! The image tower, from the shapes of its tensors.

use super::infer::{Inference, MOST_BLOCKS};
use super::rules::ImageSettings;
use crate::arch::names::IMAGE;
use crate::arch::{ImageTower, Pool, ResNetBlock, ResNetConfig, Stem, VitConfig};
use crate::error::Result;

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
    /// [`crate::Error::Import`] says what cannot be told.
    pub(super) fn image(&mut self, settings: &ImageSettings) -> Result<(ImageTower, usize)> {
        let patch = format!("{IMAGE}.patch_embed.proj.weight");
        let conv = format!("{IMAGE}.conv1.weight");
        if let Some([dim, _, patch, _]) = self.shape(&patch) {
            let (dim, patch) = (*dim, *patch);
            return self.vit(settings, dim, patch);
        }
        if let Some([_, _, kernel, _]) = self.shape(&conv) {
            let kernel = *kernel;
            return self.resnet(settings, kernel);
        }
        let reason = format!(
            "no image tower was found under the names of `{}`: no tensor of the file becomes `{patch}` or `{conv}`",
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
        let size = self.options.size.or(settings.size);
        let Some(size) = size else {
            let reason = "the input size of a ResNet cannot be told from its weights";
            return Err(self
                .source
                .refuse(reason, Some("give `--size`, or `--arch`")));
        };
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

    /// Stages `layer1`, `layer2`, .. without a gap.
    fn stages(&self) -> usize {
        let there = |s: &usize| {
            let first = format!("{IMAGE}.layer{s}.0.conv1.weight");
            self.shapes.contains_key(&first)
        };
        (1..MOST_BLOCKS).take_while(there).count()
    }
}
