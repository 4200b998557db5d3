//! The towers once more, as plain loops in f64 over weights by name: slow, simple, and written
//! apart from the exporter, which it judges.

use std::f64::consts::PI;

use satmip::arch::{
    Arch, EfficientNetLiteConfig, ImageTower, MetadataTower, Pool, Projector, ResNetBlock,
    ResNetConfig, TabularConfig, TabularTokens, TextConfig, VitConfig,
};
use satmip::export::Weights;

/// Features and embeds of one row.
pub struct Row {
    pub features: Vec<f64>,
    pub embeds: Vec<f64>,
}

/// One row of a tabular batch.
pub struct Record {
    pub numbers: Vec<f32>,
    pub categories: Vec<i64>,
    pub present: Vec<bool>,
}

type Rows = Vec<Vec<f64>>;
/// [channel][y][x].
type Planes = Vec<Rows>;

pub struct Reference<'a> {
    arch: &'a Arch,
    weights: &'a Weights,
    halves: bool,
}

impl<'a> Reference<'a> {
    pub fn new(arch: &'a Arch, weights: &'a Weights) -> Self {
        Reference {
            arch,
            weights,
            halves: false,
        }
    }

    /// With weights of two dimensions and more rounded to f16.
    pub fn of_halves(arch: &'a Arch, weights: &'a Weights) -> Self {
        Reference {
            halves: true,
            ..Reference::new(arch, weights)
        }
    }

    /// `pixels` is [size, size, 3].
    pub fn image(&self, pixels: &[u8]) -> Row {
        let p = &self.arch.preprocessing;
        let n = p.size;
        let value = |c: usize, y: usize, x: usize| {
            (f64::from(pixels[(y * n + x) * 3 + c]) / 255.0 - p.mean[c]) / p.std[c]
        };
        let planes: Planes = (0..3)
            .map(|c| {
                (0..n)
                    .map(|y| (0..n).map(|x| value(c, y, x)).collect())
                    .collect()
            })
            .collect();
        let features = match &self.arch.image {
            ImageTower::Vit(c) => self.vit(c, n, &planes),
            ImageTower::ResNet(c) => self.resnet(c, planes),
            ImageTower::EfficientNetLite(c) => self.efficientnet(c, planes),
        };
        self.project("image_projector", &self.arch.image_projector, features)
    }

    pub fn text(&self, ids: &[i64]) -> Row {
        let side = self.arch.metadata.as_ref().unwrap();
        let MetadataTower::Text(c) = &side.tower else {
            panic!("not a text tower");
        };
        let features = self.text_features(c, ids);
        self.project("metadata_projector", &side.projector, features)
    }

    pub fn tabular(&self, record: &Record) -> Row {
        let side = self.arch.metadata.as_ref().unwrap();
        let MetadataTower::Tabular(c) = &side.tower else {
            panic!("not a tabular tower");
        };
        let features = self.tabular_features(c, record);
        self.project("metadata_projector", &side.projector, features)
    }

    fn vit(&self, c: &VitConfig, size: usize, planes: &Planes) -> Vec<f64> {
        let (d, p) = (c.dim, c.patch);
        let side = size / p;
        let kernel = self.get("image.patch_embed.proj.weight", &[d, 3, p, p]);
        let bias = self.get("image.patch_embed.proj.bias", &[d]);
        let mut x = vec![self.get("image.cls_token", &[1, 1, d])];
        for patch in 0..side * side {
            let (top, left) = (patch / side * p, patch % side * p);
            let token = (0..d).map(|f| {
                let mut sum = bias[f];
                for ch in 0..3 {
                    for dy in 0..p {
                        for dx in 0..p {
                            let w = kernel[((f * 3 + ch) * p + dy) * p + dx];
                            sum += w * planes[ch][top + dy][left + dx];
                        }
                    }
                }
                sum
            });
            x.push(token.collect());
        }
        let positions = self.get("image.pos_embed", &[1, side * side + 1, d]);
        add_rows(&mut x, &positions);
        for i in 0..c.depth {
            let name = format!("image.blocks.{i}");
            x = self.block(&name, x, c.heads, c.norm_eps, c.mlp_ratio * d, false);
        }
        let x = self.layer_norm("image.norm", &x, c.norm_eps);
        match c.pool {
            Pool::Cls => x[0].clone(),
            Pool::Mean => (0..d)
                .map(|k| x[1..].iter().map(|row| row[k]).sum::<f64>() / (x.len() - 1) as f64)
                .collect(),
        }
    }

    fn resnet(&self, c: &ResNetConfig, planes: Planes) -> Vec<f64> {
        let stem = (c.stem.kernel, c.stem.stride);
        let mut x = self.conv("image.conv1", c.widths[0], stem, &planes);
        self.batch_norm("image.bn1", &mut x);
        relu(&mut x);
        if c.stem.max_pool {
            x = max_pool(&x);
        }
        for stage in 0..c.widths.len() {
            for block in 0..c.depths[stage] {
                let name = format!("image.layer{}.{block}", stage + 1);
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let width = c.widths[stage];
                // (filters, kernel, stride) of each convolution on the main path.
                let plan = match c.block {
                    ResNetBlock::Basic => vec![(width, 3, stride), (width, 3, 1)],
                    ResNetBlock::Bottleneck => {
                        vec![(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
                    }
                };
                let mut y = x.clone();
                for (i, (filters, kernel, stride)) in plan.iter().enumerate() {
                    let n = i + 1;
                    y = self.conv(&format!("{name}.conv{n}"), *filters, (*kernel, *stride), &y);
                    self.batch_norm(&format!("{name}.bn{n}"), &mut y);
                    if n < plan.len() {
                        relu(&mut y);
                    }
                }
                if self
                    .weights
                    .contains(&format!("{name}.downsample.0.weight"))
                {
                    let down = format!("{name}.downsample.0");
                    x = self.conv(&down, y.len(), (1, stride), &x);
                    self.batch_norm(&format!("{name}.downsample.1"), &mut x);
                }
                for (plane, other) in x.iter_mut().zip(&y) {
                    for (row, other) in plane.iter_mut().zip(other) {
                        row.iter_mut().zip(other).for_each(|(v, o)| *v += o);
                    }
                }
                relu(&mut x);
            }
        }
        means(&x)
    }

    fn efficientnet(&self, c: &EfficientNetLiteConfig, planes: Planes) -> Vec<f64> {
        let layer = |scope: &str, names: [&str; 2], filters, window, x: &Planes, active: bool| {
            let [conv, norm] = names.map(|name| format!("image.{scope}{name}"));
            let groups = if conv.ends_with("conv_dw") {
                filters
            } else {
                1
            };
            let mut x = self.conv_of(&conv, filters, window, groups, tensorflow, x);
            self.batch_norm_of(&norm, 1e-3, &mut x);
            if active {
                let values = x.iter_mut().flatten().flatten();
                values.for_each(|v| *v = v.clamp(0.0, 6.0));
            }
            x
        };
        let mut x = layer("", ["conv_stem", "bn1"], c.stem, (3, 2), &planes, true);
        for (s, stage) in c.stages.iter().enumerate() {
            for b in 0..stage.depth {
                let scope = format!("blocks.{s}.{b}.");
                let window = (stage.kernel, if b == 0 { stage.stride } else { 1 });
                let (inner, width) = (x.len() * stage.expansion, stage.width);
                let y = if stage.expansion == 1 {
                    let y = layer(&scope, ["conv_dw", "bn1"], inner, window, &x, true);
                    layer(&scope, ["conv_pw", "bn2"], width, (1, 1), &y, false)
                } else {
                    let y = layer(&scope, ["conv_pw", "bn1"], inner, (1, 1), &x, true);
                    let y = layer(&scope, ["conv_dw", "bn2"], inner, window, &y, true);
                    layer(&scope, ["conv_pwl", "bn3"], width, (1, 1), &y, false)
                };
                x = match window.1 == 1 && x.len() == width {
                    true => x.iter().zip(&y).map(|(a, b)| sum(a, b)).collect(),
                    false => y,
                };
            }
        }
        means(&layer("", ["conv_head", "bn2"], c.head, (1, 1), &x, true))
    }

    fn text_features(&self, c: &TextConfig, ids: &[i64]) -> Vec<f64> {
        let d = c.dim;
        let table = self.get("metadata.token_embedding.weight", &[c.vocabulary, d]);
        let mut x: Rows = ids
            .iter()
            .map(|id| table[*id as usize * d..][..d].to_vec())
            .collect();
        let positions = self.get("metadata.positional_embedding", &[c.context, d]);
        add_rows(&mut x, &positions[..ids.len() * d]);
        for i in 0..c.depth {
            let name = format!("metadata.blocks.{i}");
            x = self.block(&name, x, c.heads, c.norm_eps, 4 * d, true);
        }
        let x = self.layer_norm("metadata.norm", &x, c.norm_eps);
        let end = ids.iter().position(|id| *id == c.end_token);
        x[end.unwrap_or(ids.len() - 1)].clone()
    }

    fn tabular_features(&self, c: &TabularConfig, record: &Record) -> Vec<f64> {
        let d = c.dim;
        let (n, m) = (c.columns.numbers.len(), c.columns.categories.len());
        let fields = self.arch.metadata.as_ref().unwrap().fields;
        let missing = self.get("metadata.missing", &[fields.len(), d]);
        let mut x = vec![self.get("metadata.cls_token", &[d])];
        let mut push = |field, token: Vec<f64>| {
            let place = fields.iter().position(|f| f == field).unwrap();
            x.push(match record.present[place] {
                true => token,
                false => missing[place * d..][..d].to_vec(),
            });
        };
        if n > 0 {
            let weight = self.get("metadata.numbers.weight", &[n, d]);
            let bias = self.get("metadata.numbers.bias", &[c.number_tokens().len(), d]);
            let columns = c.columns.numbers.iter().enumerate();
            for (token, field) in c.number_tokens().into_iter().enumerate() {
                let of = columns.clone().filter(|(i, column)| match c.tokens {
                    TabularTokens::Column => *i == token,
                    TabularTokens::Field => column.field == field,
                });
                let mut sum = bias[token * d..][..d].to_vec();
                for (i, _) in of {
                    let value = f64::from(record.numbers[i]);
                    sum.iter_mut()
                        .zip(&weight[i * d..])
                        .for_each(|(s, w)| *s += value * w);
                }
                push(field, sum);
            }
        }
        if m > 0 {
            let rows: usize = c
                .columns
                .categories
                .iter()
                .map(|c| c.vocabulary.len() + 1)
                .sum();
            let table = self.get("metadata.categories.weight", &[rows, d]);
            let bias = self.get("metadata.categories.bias", &[m, d]);
            let mut first = 0;
            for (i, column) in c.columns.categories.iter().enumerate() {
                let size = column.vocabulary.len() + 1;
                let index = usize::try_from(record.categories[i]).unwrap_or(0);
                let row = first + if index < size { index } else { 0 };
                let token = (0..d).map(|k| table[row * d + k] + bias[i * d + k]);
                push(column.field, token.collect());
                first += size;
            }
        }
        for i in 0..c.depth {
            let name = format!("metadata.blocks.{i}");
            let y = match i {
                0 => x.clone(),
                _ => self.layer_norm(&format!("{name}.norm1"), &x, c.norm_eps),
            };
            let y = self.attention(&format!("{name}.attn"), &y, c.heads, false);
            x = sum(&x, &y);
            let y = self.layer_norm(&format!("{name}.norm2"), &x, c.norm_eps);
            let y = self.linear(&format!("{name}.mlp.fc1"), &y, 2 * c.hidden, true);
            let gated = |row: &Vec<f64>| {
                let (value, gate) = row.split_at(c.hidden);
                value
                    .iter()
                    .zip(gate)
                    .map(|(v, g)| v * g.max(0.0))
                    .collect()
            };
            let y: Rows = y.iter().map(gated).collect();
            x = sum(&x, &self.linear(&format!("{name}.mlp.fc2"), &y, d, true));
        }
        self.layer_norm("metadata.norm", &x[..1], c.norm_eps)
            .remove(0)
    }

    fn project(&self, name: &str, projector: &Projector, features: Vec<f64>) -> Row {
        let hidden: &[usize] = match projector {
            Projector::Linear => &[],
            Projector::Mlp { hidden } => hidden,
        };
        let mut x = vec![features.clone()];
        for (i, width) in hidden.iter().chain([&self.arch.embed_dim]).enumerate() {
            if i > 0 {
                x[0].iter_mut().for_each(|v| *v = v.max(0.0));
            }
            x = self.linear(
                &format!("{name}.layers.{i}"),
                &x,
                *width,
                !hidden.is_empty(),
            );
        }
        let length = x[0].iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        let embeds = x[0].iter().map(|v| v / length).collect();
        Row { features, embeds }
    }

    fn block(
        &self,
        name: &str,
        x: Rows,
        heads: usize,
        eps: f64,
        hidden: usize,
        causal: bool,
    ) -> Rows {
        let d = x[0].len();
        let y = self.layer_norm(&format!("{name}.norm1"), &x, eps);
        let y = self.attention(&format!("{name}.attn"), &y, heads, causal);
        let x = sum(&x, &y);
        let y = self.layer_norm(&format!("{name}.norm2"), &x, eps);
        let mut y = self.linear(&format!("{name}.mlp.fc1"), &y, hidden, true);
        y.iter_mut().flatten().for_each(|v| *v = gelu(*v));
        sum(&x, &self.linear(&format!("{name}.mlp.fc2"), &y, d, true))
    }

    fn attention(&self, name: &str, x: &[Vec<f64>], heads: usize, causal: bool) -> Rows {
        let d = x[0].len();
        let head = d / heads;
        let qkv = self.linear(&format!("{name}.qkv"), x, 3 * d, true);
        let mut mixed = vec![vec![0.0; d]; x.len()];
        for h in 0..heads {
            let (q, k, v) = (h * head, d + h * head, 2 * d + h * head);
            for i in 0..x.len() {
                let seen = if causal { i + 1 } else { x.len() };
                let scores: Vec<f64> = (0..seen)
                    .map(|j| {
                        let dot: f64 = (0..head).map(|e| qkv[i][q + e] * qkv[j][k + e]).sum();
                        (dot / (head as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                for (j, score) in scores.iter().enumerate() {
                    for e in 0..head {
                        mixed[i][q + e] += score / total * qkv[j][v + e];
                    }
                }
            }
        }
        self.linear(&format!("{name}.proj"), &mixed, d, true)
    }

    fn linear(&self, name: &str, x: &[Vec<f64>], output: usize, has_bias: bool) -> Rows {
        let input = x[0].len();
        let weight = self.get(&format!("{name}.weight"), &[output, input]);
        let bias = match has_bias {
            true => self.get(&format!("{name}.bias"), &[output]),
            false => vec![0.0; output],
        };
        let dot = |row: &[f64], o: usize| -> f64 {
            (0..input).map(|i| weight[o * input + i] * row[i]).sum()
        };
        x.iter()
            .map(|row| (0..output).map(|o| bias[o] + dot(row, o)).collect())
            .collect()
    }

    fn layer_norm(&self, name: &str, x: &[Vec<f64>], eps: f64) -> Rows {
        let d = x[0].len();
        let weight = self.get(&format!("{name}.weight"), &[d]);
        let bias = self.get(&format!("{name}.bias"), &[d]);
        let norm = |row: &Vec<f64>| {
            let mean = row.iter().sum::<f64>() / d as f64;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
            let scale = 1.0 / (variance + eps).sqrt();
            (0..d)
                .map(|i| (row[i] - mean) * scale * weight[i] + bias[i])
                .collect()
        };
        x.iter().map(norm).collect()
    }

    /// Padding is half of the kernel.
    fn conv(&self, name: &str, filters: usize, window: (usize, usize), x: &Planes) -> Planes {
        let half = |_: usize, (kernel, _): (usize, usize)| [kernel / 2; 2];
        self.conv_of(name, filters, window, 1, half, x)
    }

    /// `padding` gives the pixels before and behind a square picture of a side, for a window.
    fn conv_of(
        &self,
        name: &str,
        filters: usize,
        window: (usize, usize),
        groups: usize,
        padding: fn(usize, (usize, usize)) -> [usize; 2],
        x: &Planes,
    ) -> Planes {
        let (kernel, stride) = window;
        let (inputs, outputs) = (x.len() / groups, filters / groups);
        let shape = [filters, inputs, kernel, kernel];
        let weight = self.get(&format!("{name}.weight"), &shape);
        let (height, width) = (x[0].len(), x[0][0].len());
        let [pad, behind] = padding(height, window);
        let at = |c: usize, y: usize, col: usize| -> f64 {
            let inside = (pad..height + pad).contains(&y) && (pad..width + pad).contains(&col);
            if inside {
                x[c][y - pad][col - pad]
            } else {
                0.0
            }
        };
        let sides = |n: usize| (n + pad + behind - kernel) / stride + 1;
        let one = |f: usize, oy: usize, ox: usize| -> f64 {
            let mut sum = 0.0;
            for c in 0..inputs {
                for dy in 0..kernel {
                    for dx in 0..kernel {
                        let w = weight[((f * inputs + c) * kernel + dy) * kernel + dx];
                        let from = f / outputs * inputs + c;
                        sum += w * at(from, oy * stride + dy, ox * stride + dx);
                    }
                }
            }
            sum
        };
        let row = |f: usize, oy: usize| (0..sides(width)).map(|ox| one(f, oy, ox)).collect();
        (0..filters)
            .map(|f| (0..sides(height)).map(|oy| row(f, oy)).collect())
            .collect()
    }

    fn batch_norm(&self, name: &str, x: &mut Planes) {
        self.batch_norm_of(name, 1e-5, x);
    }

    fn batch_norm_of(&self, name: &str, eps: f64, x: &mut Planes) {
        let get = |part: &str| self.get(&format!("{name}.{part}"), &[x.len()]);
        let (weight, bias) = (get("weight"), get("bias"));
        let (mean, variance) = (get("running_mean"), get("running_var"));
        for (c, plane) in x.iter_mut().enumerate() {
            for v in plane.iter_mut().flatten() {
                *v = (*v - mean[c]) / (variance[c] + eps).sqrt() * weight[c] + bias[c];
            }
        }
    }

    fn get(&self, name: &str, shape: &[usize]) -> Vec<f64> {
        let numbers = self.weights.numbers(name, shape).unwrap().into_iter();
        if self.halves && shape.len() > 1 {
            return numbers.map(|v| half::f16::from_f32(v).to_f64()).collect();
        }
        numbers.map(f64::from).collect()
    }
}

/// TensorFlow's `SAME`, by its documentation: as much as the last window needs, the smaller half before.
fn tensorflow(side: usize, (kernel, stride): (usize, usize)) -> [usize; 2] {
    let total = match side % stride {
        0 => kernel.saturating_sub(stride),
        rest => kernel.saturating_sub(rest),
    };
    [total / 2, total - total / 2]
}

fn means(x: &Planes) -> Vec<f64> {
    let mean = |plane: &Rows| {
        let count = plane.len() * plane[0].len();
        plane.iter().flatten().sum::<f64>() / count as f64
    };
    x.iter().map(mean).collect()
}

fn add_rows(x: &mut Rows, flat: &[f64]) {
    x.iter_mut()
        .flatten()
        .zip(flat)
        .for_each(|(v, add)| *v += add);
}

fn sum(a: &Rows, b: &Rows) -> Rows {
    let row = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(x, y)| x + y).collect();
    a.iter().zip(b).map(row).collect()
}

fn relu(x: &mut Planes) {
    for v in x.iter_mut().flatten().flatten() {
        *v = v.max(0.0);
    }
}

/// 3 x 3, stride 2, padding 1.
fn max_pool(x: &Planes) -> Planes {
    let side = |n: usize| (n + 2 - 3) / 2 + 1;
    let greatest = |plane: &Rows, oy: usize, ox: usize| {
        let mut most = f64::NEG_INFINITY;
        let reach = |o: usize, side: usize| (2 * o).max(1) - 1..(2 * o + 2).min(side);
        for row in &plane[reach(oy, plane.len())] {
            for v in &row[reach(ox, row.len())] {
                most = most.max(*v);
            }
        }
        most
    };
    let pool = |plane: &Rows| {
        (0..side(plane.len()))
            .map(|oy| {
                (0..side(plane[0].len()))
                    .map(|ox| greatest(plane, oy, ox))
                    .collect()
            })
            .collect()
    };
    x.iter().map(pool).collect()
}

/// Exact, with erf by its series of positive terms (Abramowitz and Stegun 7.1.6).
pub fn gelu(x: f64) -> f64 {
    let z = x.abs() / 2.0_f64.sqrt();
    let erf = if z > 6.0 {
        1.0
    } else {
        let (mut term, mut total, mut n) = (z, z, 0.0);
        while term > total * 1e-17 {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            total += term;
        }
        2.0 / PI.sqrt() * (-z * z).exp() * total
    };
    0.5 * x * (1.0 + erf.copysign(x))
}
