//! What a recipe may say.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{ImageNorms, MetadataRecipe, Method, Recipe};
use crate::pretrain::OptimizerConfig;
use satmip::Error;
use satmip::arch::{
    Arch, ImageTower, MetadataSide, MetadataTower, NumberColumn, Projector, TabularColumns,
    TabularConfig, TextConfig, weight_shapes,
};
use satmip::metadata::FieldSet;

/// What is wrong with the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Dotted path, as `optimizer.learning_rate`; empty for the recipe as a whole.
    pub(super) key: String,
    /// A sentence without its subject, the key.
    pub(super) reason: String,
}

type Check = Result<(), Problem>;

// Bounds on sizes, all our choice: above them a number is taken to be a slip, before it becomes
// an overflow or a demand for memory that no machine has.
const COUNT: RangeInclusive<usize> = 1..=1_000_000_000;
const BATCH: RangeInclusive<usize> = 2..=1 << 20;
const WIDTH: RangeInclusive<usize> = 1..=1 << 16;
const DEPTH: RangeInclusive<usize> = 1..=1024;
const LAYERS: RangeInclusive<usize> = 0..=16;
/// Weights of a model in all, 64 GiB of f32.
const MOST_WEIGHTS: f64 = (1_u64 << 34) as f64;
/// Numbers in all views of a batch, 128 GiB of f32.
const MOST_PIXELS: f64 = (1_u64 << 35) as f64;

impl Recipe {
    /// Everything but the files that it names.
    pub(super) fn check(&self) -> Check {
        for (key, text) in [
            ("id", &self.id),
            ("version", &self.version),
            ("licence", &self.licence),
        ] {
            ensure(!text.trim().is_empty(), key, || "is empty".into())?;
        }
        // TOML has no larger integers, and the run's folder holds the recipe as TOML.
        ensure(i64::try_from(self.seed).is_ok(), "seed", || {
            format!("is {}, above {}", self.seed, i64::MAX)
        })?;
        number("steps", self.steps, &COUNT)?;
        ensure(self.batch_size != 1, "batch_size", || {
            "is 1: one chip has no negatives, and BatchNorm no variance; at least 2".into()
        })?;
        number("batch_size", self.batch_size, &BATCH)?;
        real("lambda", self.lambda, 0.0..=1e6)?;
        real("temperature", self.temperature, 0.01..=1.0)?;
        number("max_bad_items", self.max_bad_items, &(0..=1_000_000_000))?;
        number("checkpoint.every", self.checkpoint.every, &COUNT)?;
        number("checkpoint.keep", self.checkpoint.keep, &COUNT)?;
        if let Some(ema) = self.ema {
            ensure(ema > 0.0 && ema < 1.0, "ema", || {
                format!("is {ema}; above 0 and below 1, usually 0.99 to 0.9999")
            })?;
        }
        ensure(
            (0.0..1.0).contains(&self.field_dropout),
            "field_dropout",
            || {
                format!(
                    "is {}; 0 or above and below 1, since at 1 no field would ever be read",
                    self.field_dropout
                )
            },
        )?;
        self.check_method()?;
        for (key, views) in [("views", &self.views), ("satmip_views", &self.satmip_views)] {
            let sound = views.check();
            sound.map_err(|(part, reason)| problem(&format!("{key}.{part}"), reason))?;
        }
        check_optimizer(&self.optimizer, self.steps)?;
        self.check_init()?;
        self.check_sources()?;
        self.check_towers()?;
        self.check_chunk()
    }

    /// That the files exist which the recipe names by themselves, relative to the current folder.
    pub(super) fn check_files(&self) -> Check {
        let tokenizer = match &self.metadata {
            Some(MetadataRecipe::Text { tokenizer, .. }) => tokenizer.as_ref(),
            _ => None,
        };
        let weights = self.init.as_ref().map(|init| &init.weights);
        for (key, path) in [("metadata.tokenizer", tokenizer), ("init.weights", weights)] {
            if let Some(path) = path {
                ensure(path.is_file(), key, || {
                    format!("names `{}`, which is no file", path.display())
                })?;
            }
        }
        Ok(())
    }

    fn check_init(&self) -> Check {
        if self.image_norms == ImageNorms::Frozen {
            ensure(self.image.batch_norm_eps().is_some(), "image_norms", || {
                "is `frozen`, and this image tower has no batch norm".into()
            })?;
            ensure(self.init.is_some(), "image_norms", || {
                "is `frozen`, which needs first weights (`init`): statistics that nothing was seen for mean \
                 nothing"
                    .into()
            })?;
        }
        let Some(init) = &self.init else {
            return Ok(());
        };
        real("init.distill", init.distill, 0.0..=1e6)?;
        if let Some(size) = init.distill_size {
            let own = self.preprocessing.size;
            ensure((own..=8 * own).contains(&size), "init.distill_size", || {
                format!("must be from the input size, {own}, to 8 times that, not {size}")
            })?;
            ensure(
                size == own || self.image.batch_norm_eps().is_some(),
                "init.distill_size",
                || "is another than the input size, which a ViT's places do not allow".into(),
            )?;
        }
        let hex = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        ensure(init.sha256.as_ref().is_none_or(hex), "init.sha256", || {
            "is not 64 hexadecimal digits".into()
        })
    }

    fn check_method(&self) -> Check {
        if self.method.uses_metadata() {
            ensure(self.metadata.is_some(), "metadata", || {
                "is missing: this method needs a metadata tower".into()
            })?;
            ensure(!self.fields.is_empty(), "fields", || {
                "is empty: this method needs at least one field".into()
            })?;
        }
        if self.method != Method::Satmip {
            ensure(self.simclr.is_some(), "simclr", || {
                "is missing: this method needs SimCLR's head".into()
            })?;
        }
        let Some(head) = &self.simclr else {
            return Ok(());
        };
        number("simclr.hidden", head.hidden.len(), &LAYERS)?;
        for width in &head.hidden {
            number("simclr.hidden", *width, &WIDTH)?;
        }
        number("simclr.output", head.output, &WIDTH)?;
        real("simclr.temperature", head.temperature, 1e-4..=100.0)
    }

    fn check_sources(&self) -> Check {
        ensure(!self.data.is_empty(), "data", || "names no source".into())?;
        for (i, source) in self.data.iter().enumerate() {
            ensure(
                source.chips_per_epoch != Some(0),
                &format!("data.{i}.chips_per_epoch"),
                || "is 0: leave the source out instead".into(),
            )?;
            let sound = source.check();
            ensure(sound.is_ok(), &format!("data.{i}"), || {
                sound.clone().err().unwrap_or_default()
            })?;
        }
        ensure(!self.splits.is_empty(), "splits", || {
            "names no split".into()
        })?;
        for (i, split) in self.splits.iter().enumerate() {
            ensure(!self.splits[..i].contains(split), "splits", || {
                format!("names `{split}` twice")
            })?;
        }
        ensure(
            !self.splits.iter().any(|split| split == "test"),
            "splits",
            || "names `test`: no figure on it would mean anything".into(),
        )?;
        let watched = self.validation.is_some() && self.splits.iter().any(|split| split == "val");
        ensure(!watched, "splits", || {
            "names `val`, on which `validation` measures: leave `validation` out".into()
        })?;
        if let Some(validation) = &self.validation {
            number("validation.every", validation.every, &COUNT)?;
            number("validation.chips", validation.chips, &COUNT)?;
            number("validation.k", validation.k, &COUNT)?;
        }
        Ok(())
    }

    fn check_towers(&self) -> Check {
        number("embed_dim", self.embed_dim, &WIDTH)?;
        match &self.image {
            ImageTower::Vit(c) => {
                number("image.patch", c.patch, &WIDTH)?;
                number("image.dim", c.dim, &WIDTH)?;
                number("image.depth", c.depth, &DEPTH)?;
                number("image.mlp_ratio", c.mlp_ratio, &(1..=64))?;
                real("image.norm_eps", c.norm_eps, 1e-12..=1e-2)?;
            }
            ImageTower::ResNet(c) => {
                number("image.widths", c.widths.len(), &(1..=8))?;
                for (width, depth) in c.widths.iter().zip(&c.depths) {
                    number("image.widths", *width, &WIDTH)?;
                    number("image.depths", *depth, &DEPTH)?;
                }
            }
            ImageTower::EfficientNetLite(c) => {
                number("image.stem", c.stem, &WIDTH)?;
                number("image.head", c.head, &WIDTH)?;
                number("image.stages", c.stages.len(), &(1..=64))?;
                for stage in &c.stages {
                    number("image.stages.stride", stage.stride, &(1..=64))?;
                    number("image.stages.expansion", stage.expansion, &(1..=64))?;
                    number("image.stages.width", stage.width, &WIDTH)?;
                    number("image.stages.depth", stage.depth, &DEPTH)?;
                }
            }
        }
        if let Projector::Mlp { hidden } = &self.image_projector {
            number("image_projector.hidden", hidden.len(), &LAYERS)?;
            for width in hidden {
                number("image_projector.hidden", *width, &WIDTH)?;
            }
        }
        let arch = Arch {
            preprocessing: self.preprocessing.clone(),
            image: self.image.clone(),
            image_projector: self.image_projector.clone(),
            metadata: self.metadata_side()?,
            embed_dim: self.embed_dim,
        };
        arch.validate().map_err(|error| match error {
            Error::Arch { part, reason } => Problem { key: part, reason },
            other => problem("image", other.to_string()),
        })?;
        let shapes = weight_shapes(&arch).into_iter();
        let weights: f64 = shapes
            .map(|(_, shape)| shape.iter().map(|n| *n as f64).product::<f64>())
            .sum();
        ensure(weights <= MOST_WEIGHTS, "image", || {
            format!("and `metadata` have {weights:.1e} weights, above {MOST_WEIGHTS:.1e}")
        })?;
        let side = self.preprocessing.size as f64;
        let pixels = (self.batch_size * self.image_passes()) as f64 * 3.0 * side * side;
        ensure(pixels <= MOST_PIXELS, "batch_size", || {
            format!("makes {pixels:.1e} numbers of its pictures, above {MOST_PIXELS:.1e}")
        })
    }

    /// The metadata side with the least that the data will add to it.
    fn metadata_side(&self) -> Result<Option<MetadataSide>, Problem> {
        let Some(metadata) = &self.metadata else {
            return Ok(None);
        };
        let fields = match self.fields.is_empty() {
            true => FieldSet::ALL,
            false => self.fields,
        };
        let (MetadataRecipe::Text { dim, depth, .. } | MetadataRecipe::Tabular { dim, depth, .. }) =
            metadata;
        number("metadata.dim", *dim, &WIDTH)?;
        number("metadata.depth", *depth, &DEPTH)?;
        let tower = match metadata {
            MetadataRecipe::Text {
                vocabulary,
                dim,
                depth,
                heads,
                ..
            } => {
                number("metadata.vocabulary", *vocabulary, &(1..=1 << 20))?;
                MetadataTower::Text(TextConfig {
                    vocabulary: *vocabulary,
                    context: 1,
                    end_token: 0,
                    dim: *dim,
                    depth: *depth,
                    heads: *heads,
                    norm_eps: 1e-5,
                })
            }
            MetadataRecipe::Tabular {
                dim,
                depth,
                heads,
                hidden,
                tokens,
                attention_dropout,
                hidden_dropout,
            } => {
                number("metadata.hidden", *hidden, &WIDTH)?;
                for (key, dropout) in [
                    ("metadata.attention_dropout", attention_dropout),
                    ("metadata.hidden_dropout", hidden_dropout),
                ] {
                    ensure((0.0..1.0).contains(dropout), key, || {
                        format!("is {dropout}; 0 or above and below 1")
                    })?;
                }
                let column = fields.iter().next().map(|field| NumberColumn {
                    name: field.name().into(),
                    field,
                    mean: 0.0,
                    std: 1.0,
                });
                MetadataTower::Tabular(TabularConfig {
                    dim: *dim,
                    depth: *depth,
                    heads: *heads,
                    hidden: *hidden,
                    tokens: *tokens,
                    attention_dropout: *attention_dropout,
                    hidden_dropout: *hidden_dropout,
                    norm_eps: 1e-5,
                    columns: TabularColumns {
                        numbers: column.into_iter().collect(),
                        categories: Vec::new(),
                    },
                })
            }
        };
        Ok(Some(MetadataSide {
            fields,
            tower,
            projector: Projector::Linear,
        }))
    }

    fn check_chunk(&self) -> Check {
        let Some(chunk) = self.chunk else {
            return Ok(());
        };
        number("chunk", chunk, &(1..=1 << 20))?;
        if chunk >= self.batch_size {
            return Ok(());
        }
        let normed = match self.image {
            _ if self.image_norms == ImageNorms::Frozen => None,
            ImageTower::Vit(_) => None,
            ImageTower::ResNet(_) => Some("a ResNet"),
            ImageTower::EfficientNetLite(_) => Some("an EfficientNet-Lite"),
        };
        ensure(normed.is_none(), "chunk", || {
            let tower = normed.unwrap_or_default();
            format!(
                "is {chunk}: {tower} cannot be trained in chunks, because BatchNorm's \
                 statistics would be each chunk's and not the batch's; leave it out, or make it \
                 `batch_size`, or freeze the norms with `image_norms = \"frozen\"`"
            )
        })?;
        ensure(chunk > 1 || self.method == Method::Satmip, "chunk", || {
            "is 1: SimCLR's head has BatchNorm, which one chip gives no variance; at least 2".into()
        })
    }
}

fn check_optimizer(config: &OptimizerConfig, steps: usize) -> Check {
    let OptimizerConfig {
        learning_rate,
        final_learning_rate,
        warmup_steps,
        decay_steps,
        weight_decay,
        betas,
        epsilon,
        clip_norm,
        tower_learning_rate,
        layer_decay,
    } = config;
    let rate = "optimizer.learning_rate";
    ensure(*learning_rate > 0.0, rate, || {
        format!("is {learning_rate}; must be above 0")
    })?;
    real(rate, *learning_rate, 0.0..=1e3)?;
    real(
        "optimizer.final_learning_rate",
        *final_learning_rate,
        0.0..=1e3,
    )?;
    ensure(*warmup_steps <= steps, "optimizer.warmup_steps", || {
        format!("is {warmup_steps}, more than all {steps} of `steps`")
    })?;
    if let Some(decay) = decay_steps {
        number("optimizer.decay_steps", *decay, &COUNT)?;
        ensure(decay >= warmup_steps, "optimizer.decay_steps", || {
            format!("is {decay}, before the warm-up ends at {warmup_steps}")
        })?;
    }
    if let Some(tower) = tower_learning_rate {
        real("optimizer.tower_learning_rate", *tower, 0.0..=1e3)?;
    }
    if let Some(decay) = layer_decay {
        ensure(
            *decay > 0.0 && *decay <= 1.0,
            "optimizer.layer_decay",
            || format!("is {decay}; above 0 and at most 1"),
        )?;
    }
    real("optimizer.weight_decay", *weight_decay, 0.0..=1e3)?;
    for beta in betas {
        ensure((0.0..1.0).contains(beta), "optimizer.betas", || {
            format!("has {beta}; 0 or above and below 1")
        })?;
    }
    ensure(*epsilon > 0.0, "optimizer.epsilon", || {
        format!("is {epsilon}; must be above 0")
    })?;
    real("optimizer.epsilon", *epsilon, 0.0..=1.0)?;
    real("optimizer.clip_norm", *clip_norm, 0.0..=1e6)
}

fn problem(key: &str, reason: String) -> Problem {
    Problem {
        key: key.to_owned(),
        reason,
    }
}

fn ensure(right: bool, key: &str, reason: impl FnOnce() -> String) -> Check {
    match right {
        true => Ok(()),
        false => Err(problem(key, reason())),
    }
}

/// Refuses what is outside a range, and NaN.
fn within<T: PartialOrd + Display>(key: &str, value: T, range: &RangeInclusive<T>) -> Check {
    ensure(range.contains(&value), key, || {
        format!("is {value}, outside {} to {}", range.start(), range.end())
    })
}

fn number(key: &str, value: usize, range: &RangeInclusive<usize>) -> Check {
    within(key, value, range)
}

fn real(key: &str, value: f64, range: RangeInclusive<f64>) -> Check {
    within(key, value, &range)
}
