//! The image graph.

use satmip_export::layers::prepend_token;
use satmip_export::layers::{Block, Mlp, PatchEmbed, Pooled, global_average, normalise_pixels};
use satmip_export::{DataType, Dim, Graph, Size, SliceEnd, Value, Window};

use super::{Built, Weights, projector};
use crate::arch::names::{BATCH_NORM_EPS, IMAGE, IMAGE_PROJECTOR, LITE_NORM_EPS};
use crate::arch::{
    Arch, EfficientNetLiteConfig, ImageTower, LiteConv, Pool, ResNetConfig, VitConfig, same_padding,
};

pub(super) fn build(graph: &mut Graph, arch: &Arch, weights: &Weights) -> Built<()> {
    let preprocessing = &arch.preprocessing;
    let size = preprocessing.size;
    let shape = vec![Dim::from("batch"), size.into(), size.into(), 3.into()];
    let pixels = graph.input("image", DataType::U8, shape)?;
    let (mean, std) = (preprocessing.mean, preprocessing.std);
    let x = normalise_pixels(graph, "preprocessing", pixels, mean, std)?;
    let features = match &arch.image {
        ImageTower::Vit(config) => vit(graph, config, size, weights, x)?,
        ImageTower::ResNet(config) => resnet(graph, config, weights, x)?,
        ImageTower::EfficientNetLite(config) => efficientnet(graph, config, size, weights, x)?,
    };
    projector::finish(
        graph,
        "image",
        IMAGE_PROJECTOR,
        &arch.image_projector,
        (arch.image.features(), arch.embed_dim),
        features,
        weights,
    )
}

fn vit(graph: &mut Graph, c: &VitConfig, size: usize, weights: &Weights, x: Value) -> Built<Value> {
    let own = |name: &str| format!("{IMAGE}.{name}");
    let patch = PatchEmbed {
        weight: weights.tensor(
            &own("patch_embed.proj.weight"),
            &[c.dim, 3, c.patch, c.patch],
        )?,
        bias: weights.tensor(&own("patch_embed.proj.bias"), &[c.dim])?,
    };
    let x = patch.apply(graph, &own("patch_embed"), x)?;
    let cls = weights.tensor(&own("cls_token"), &[1, 1, c.dim])?;
    let x = prepend_token(graph, &own("cls_token"), cls, x)?;
    let positions = [1, c.patches(size) + 1, c.dim];
    let positions = weights.tensor(&own("pos_embed"), &positions)?;
    let positions = graph.weight(&own("pos_embed"), positions)?;
    let mut x = graph.add(x, positions)?;
    let pooled = (c.pool == Pool::Cls).then_some(Pooled::First);
    for i in 0..c.depth {
        let name = own(&format!("blocks.{i}"));
        let part = |part: &str| format!("{name}.{part}");
        let block = Block {
            norm1: Some(weights.layer_norm(&part("norm1"), c.dim, c.norm_eps)?),
            attn: weights.attention(&part("attn"), c.dim, c.heads)?,
            norm2: weights.layer_norm(&part("norm2"), c.dim, c.norm_eps)?,
            mlp: Mlp::Gelu(weights.gelu_mlp(&part("mlp"), c.dim, c.mlp_ratio * c.dim)?),
        };
        x = block.apply(graph, &name, x, None, pooled.filter(|_| i + 1 == c.depth))?;
    }
    let norm = weights.layer_norm(&own("norm"), c.dim, c.norm_eps)?;
    match c.pool {
        Pool::Cls => {
            let x = graph.reshape(x, &[Size::Keep, Size::Of(c.dim)])?;
            Ok(norm.apply(graph, &own("norm"), x)?)
        }
        Pool::Mean => {
            let end = SliceEnd::At(c.patches(size) + 1);
            let x = graph.slice(x, 1, 1, end)?;
            let x = norm.apply(graph, &own("norm"), x)?;
            Ok(graph.reduce_mean(x, &[1], false)?)
        }
    }
}

fn resnet(graph: &mut Graph, c: &ResNetConfig, weights: &Weights, x: Value) -> Built<Value> {
    let own = |name: &str| format!("{IMAGE}.{name}");
    let mut channels = c.widths.first().copied().unwrap_or(0);
    let kernel = c.stem.kernel;
    let stem = weights.folded_conv(
        &own("conv1"),
        (&own("bn1"), BATCH_NORM_EPS),
        [channels, 3, kernel, kernel],
        centred(kernel, c.stem.stride),
        1,
    )?;
    let x = stem.apply(graph, &own("conv1"), x)?;
    let mut x = graph.relu(x)?;
    if c.stem.max_pool {
        x = graph.max_pool(x, centred(3, 2))?;
    }
    for (stage, (width, depth)) in c.widths.iter().zip(&c.depths).enumerate() {
        for block in 0..*depth {
            let name = own(&format!("layer{}.{block}", stage + 1));
            let (mut main, mut shortcut) = (x, x);
            for (i, spec) in c.block_convs(stage, block, channels).iter().enumerate() {
                let conv_name = format!("{name}.{}", spec.name);
                let conv = weights.folded_conv(
                    &conv_name,
                    (&format!("{name}.{}", spec.norm), BATCH_NORM_EPS),
                    [spec.output, spec.input, spec.kernel, spec.kernel],
                    centred(spec.kernel, spec.stride),
                    1,
                )?;
                if spec.is_shortcut() {
                    shortcut = conv.apply(graph, &conv_name, x)?;
                    continue;
                }
                if i > 0 {
                    main = graph.relu(main)?;
                }
                main = conv.apply(graph, &conv_name, main)?;
            }
            let sum = graph.add(main, shortcut)?;
            x = graph.relu(sum)?;
            channels = width * c.block.expansion();
        }
    }
    Ok(global_average(graph, &own("pool"), x)?)
}

fn efficientnet(
    graph: &mut Graph,
    c: &EfficientNetLiteConfig,
    size: usize,
    weights: &Weights,
    x: Value,
) -> Built<Value> {
    // The side of the map, from which TensorFlow's padding follows.
    let mut side = size;
    let mut apply = |graph: &mut Graph, scope: &str, spec: &LiteConv, x: Value| -> Built<Value> {
        let name = format!("{scope}.{}", spec.name);
        let window = Window {
            kernel: spec.kernel,
            stride: spec.stride,
            padding: same_padding(side, spec.kernel, spec.stride),
        };
        side = side.div_ceil(spec.stride);
        let norm = (&format!("{scope}.{}", spec.norm)[..], LITE_NORM_EPS);
        let conv = weights.folded_conv(&name, norm, spec.shape(), window, spec.groups)?;
        let x = conv.apply(graph, &name, x)?;
        // ReLU6, which ONNX Runtime makes a part of the convolution.
        Ok(if spec.active {
            graph.clip(x, 0.0, 6.0)?
        } else {
            x
        })
    };
    let mut x = apply(graph, IMAGE, &c.stem_conv(), x)?;
    for block in c.blocks() {
        let name = format!("{IMAGE}.{}", block.name);
        let before = x;
        for spec in &block.convs {
            x = apply(graph, &name, spec, x)?;
        }
        if block.skip {
            x = graph.add(x, before)?;
        }
    }
    let x = apply(graph, IMAGE, &c.head_conv(), x)?;
    Ok(global_average(graph, &format!("{IMAGE}.pool"), x)?)
}

/// A window whose padding is half of its kernel.
fn centred(kernel: usize, stride: usize) -> Window {
    Window {
        kernel,
        stride,
        padding: (kernel / 2, kernel / 2),
    }
}
