//! Which weights an architecture has.

use super::names::{IMAGE, IMAGE_PROJECTOR, LOGIT_SCALE, METADATA, METADATA_PROJECTOR};
use super::{
    Arch, EfficientNetLiteConfig, ImageTower, MetadataTower, Projector, ResNetBlock, ResNetConfig,
    TabularConfig, TextConfig, VitConfig,
};

/// Name and shape of every weight of a model, after the table of [`super::names`]. A model
/// without a metadata side has no `logit_scale`.
///
/// The architecture must be valid ([`Arch::validate`]).
pub fn weight_shapes(arch: &Arch) -> Vec<(String, Vec<usize>)> {
    let mut list = List::default();
    match &arch.image {
        ImageTower::Vit(c) => list.vit(c, arch.preprocessing.size),
        ImageTower::ResNet(c) => list.resnet(c),
        ImageTower::EfficientNetLite(c) => list.efficientnet(c),
    }
    let features = arch.image.features();
    list.projector(
        IMAGE_PROJECTOR,
        &arch.image_projector,
        features,
        arch.embed_dim,
    );
    if let Some(side) = &arch.metadata {
        match &side.tower {
            MetadataTower::Text(c) => list.text(c),
            MetadataTower::Tabular(c) => list.tabular(c, side.fields.len()),
        }
        let features = side.tower.features();
        list.projector(
            METADATA_PROJECTOR,
            &side.projector,
            features,
            arch.embed_dim,
        );
        list.add(LOGIT_SCALE, &[1]);
    }
    list.0
}

#[derive(Default)]
struct List(Vec<(String, Vec<usize>)>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, input: usize, output: usize) {
        self.add(format!("{name}.weight"), &[output, input]);
        self.add(format!("{name}.bias"), &[output]);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), &[width]);
        self.add(format!("{name}.bias"), &[width]);
    }

    fn batch_norm(&mut self, name: &str, width: usize) {
        self.norm(name, width);
        self.add(format!("{name}.running_mean"), &[width]);
        self.add(format!("{name}.running_var"), &[width]);
    }

    /// A block whose MLP has `fc1` this wide and takes `fc2` from that.
    fn block(&mut self, name: &str, dim: usize, fc1: usize, fc2: usize, norm1: bool) {
        if norm1 {
            self.norm(&format!("{name}.norm1"), dim);
        }
        self.linear(&format!("{name}.attn.qkv"), dim, 3 * dim);
        self.linear(&format!("{name}.attn.proj"), dim, dim);
        self.norm(&format!("{name}.norm2"), dim);
        self.linear(&format!("{name}.mlp.fc1"), dim, fc1);
        self.linear(&format!("{name}.mlp.fc2"), fc2, dim);
    }

    fn vit(&mut self, c: &VitConfig, size: usize) {
        self.add(format!("{IMAGE}.cls_token"), &[1, 1, c.dim]);
        self.add(
            format!("{IMAGE}.pos_embed"),
            &[1, c.patches(size) + 1, c.dim],
        );
        let patch = format!("{IMAGE}.patch_embed.proj");
        self.add(format!("{patch}.weight"), &[c.dim, 3, c.patch, c.patch]);
        self.add(format!("{patch}.bias"), &[c.dim]);
        let hidden = c.mlp_ratio * c.dim;
        for i in 0..c.depth {
            self.block(&format!("{IMAGE}.blocks.{i}"), c.dim, hidden, hidden, true);
        }
        self.norm(&format!("{IMAGE}.norm"), c.dim);
    }

    fn resnet(&mut self, c: &ResNetConfig) {
        let mut channels = c.widths.first().copied().unwrap_or(0);
        let kernel = c.stem.kernel;
        self.add(
            format!("{IMAGE}.conv1.weight"),
            &[channels, 3, kernel, kernel],
        );
        self.batch_norm(&format!("{IMAGE}.bn1"), channels);
        for (stage, (&width, &depth)) in c.widths.iter().zip(&c.depths).enumerate() {
            for block in 0..depth {
                let name = format!("{IMAGE}.layer{}.{block}", stage + 1);
                for conv in c.block_convs(stage, block, channels) {
                    let (out, k) = (conv.output, conv.kernel);
                    self.add(
                        format!("{name}.{}.weight", conv.name),
                        &[out, conv.input, k, k],
                    );
                    self.batch_norm(&format!("{name}.{}", conv.norm), out);
                }
                channels = width * c.block.expansion();
            }
        }
    }

    fn efficientnet(&mut self, c: &EfficientNetLiteConfig) {
        for (conv, norm, spec) in c.convs() {
            self.add(format!("{IMAGE}.{conv}.weight"), &spec.shape());
            self.batch_norm(&format!("{IMAGE}.{norm}"), spec.output);
        }
    }

    fn text(&mut self, c: &TextConfig) {
        self.add(
            format!("{METADATA}.token_embedding.weight"),
            &[c.vocabulary, c.dim],
        );
        self.add(
            format!("{METADATA}.positional_embedding"),
            &[c.context, c.dim],
        );
        for i in 0..c.depth {
            let hidden = 4 * c.dim;
            self.block(
                &format!("{METADATA}.blocks.{i}"),
                c.dim,
                hidden,
                hidden,
                true,
            );
        }
        self.norm(&format!("{METADATA}.norm"), c.dim);
    }

    fn tabular(&mut self, c: &TabularConfig, fields: usize) {
        let columns = &c.columns;
        if !columns.numbers.is_empty() {
            let shape = [columns.numbers.len(), c.dim];
            self.add(format!("{METADATA}.numbers.weight"), &shape);
            let shape = [c.number_tokens().len(), c.dim];
            self.add(format!("{METADATA}.numbers.bias"), &shape);
        }
        if !columns.categories.is_empty() {
            let rows = columns.category_rows();
            self.add(format!("{METADATA}.categories.weight"), &[rows, c.dim]);
            let shape = [columns.categories.len(), c.dim];
            self.add(format!("{METADATA}.categories.bias"), &shape);
        }
        self.add(format!("{METADATA}.missing"), &[fields, c.dim]);
        self.add(format!("{METADATA}.cls_token"), &[c.dim]);
        for i in 0..c.depth {
            let name = format!("{METADATA}.blocks.{i}");
            self.block(&name, c.dim, 2 * c.hidden, c.hidden, i > 0);
        }
        self.norm(&format!("{METADATA}.norm"), c.dim);
    }

    fn projector(&mut self, name: &str, projector: &Projector, input: usize, output: usize) {
        for (i, (input, output)) in projector.layers(input, output).into_iter().enumerate() {
            let layer = format!("{name}.layers.{i}");
            self.add(format!("{layer}.weight"), &[output, input]);
            if projector.has_bias() {
                self.add(format!("{layer}.bias"), &[output]);
            }
        }
    }
}

/// One convolution of a residual block, with the batch norm behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockConv {
    /// Name after the block's, for example `conv1` or `downsample.0`.
    pub name: &'static str,
    /// The norm's name after the block's, for example `bn1` or `downsample.1`.
    pub norm: &'static str,
    /// Channels in.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Side of the kernel; padding is half of it.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
}

impl BlockConv {
    /// Whether it is the convolution on the shortcut.
    pub fn is_shortcut(&self) -> bool {
        self.name == "downsample.0"
    }
}

impl ResNetConfig {
    /// The convolutions of block `block` of stage `stage` (both from 0), which gets `channels`:
    /// those of the main path in order, then that of the shortcut where width or stride change.
    pub fn block_convs(&self, stage: usize, block: usize, channels: usize) -> Vec<BlockConv> {
        let width = self.widths.get(stage).copied().unwrap_or(0);
        let out = width * self.block.expansion();
        let stride = if stage > 0 && block == 0 { 2 } else { 1 };
        let conv = |name, norm, input, output, kernel, stride| BlockConv {
            name,
            norm,
            input,
            output,
            kernel,
            stride,
        };
        let mut convs = match self.block {
            ResNetBlock::Basic => vec![
                conv("conv1", "bn1", channels, width, 3, stride),
                conv("conv2", "bn2", width, width, 3, 1),
            ],
            ResNetBlock::Bottleneck => vec![
                conv("conv1", "bn1", channels, width, 1, 1),
                conv("conv2", "bn2", width, width, 3, stride),
                conv("conv3", "bn3", width, out, 1, 1),
            ],
        };
        if stride != 1 || channels != out {
            convs.push(conv(
                "downsample.0",
                "downsample.1",
                channels,
                out,
                1,
                stride,
            ));
        }
        convs
    }
}
