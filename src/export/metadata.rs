//! The metadata graph.

use satmip_export::layers::{
    Block, Embedding, Mlp, Pooled, causal_mask, causal_mask_at, first_match, prepend_token,
};
use satmip_export::{DataType, Dim, Graph, Size, SliceEnd, Tensor, Value};

use super::{Built, Weights, projector};
use crate::arch::names::{METADATA, METADATA_PROJECTOR};
use crate::arch::{MetadataSide, MetadataTower, TabularConfig, TabularTokens, TextConfig};
use crate::metadata::{Field, FieldSet};

pub(super) fn build(
    graph: &mut Graph,
    side: &MetadataSide,
    embed_dim: usize,
    weights: &Weights,
) -> Built<()> {
    let features = match &side.tower {
        MetadataTower::Text(config) => text(graph, config, weights)?,
        MetadataTower::Tabular(config) => tabular(graph, config, side.fields, weights)?,
    };
    projector::finish(
        graph,
        "metadata",
        METADATA_PROJECTOR,
        &side.projector,
        (side.tower.features(), embed_dim),
        features,
        weights,
    )
}

fn own(name: &str) -> String {
    format!("{METADATA}.{name}")
}

/// Causal, so what follows the end token does not touch it: padding needs no mask.
fn text(graph: &mut Graph, c: &TextConfig, weights: &Weights) -> Built<Value> {
    let shape = vec![Dim::from("batch"), Dim::from("length")];
    let ids = graph.input("input_ids", DataType::I64, shape)?;
    let embedding = Embedding {
        weight: weights.tensor(&own("token_embedding.weight"), &[c.vocabulary, c.dim])?,
    };
    let x = embedding.apply(graph, &own("token_embedding"), ids)?;
    let name = own("positional_embedding");
    let positions = weights.tensor(&name, &[c.context, c.dim])?;
    let positions = graph.weight(&name, positions)?;
    let length = graph.shape_of(ids, 1, 2)?;
    let positions = graph.slice(positions, 0, 0, SliceEnd::Dim(length))?;
    let mut x = graph.add(x, positions)?;
    let end = first_match(graph, &own("end"), ids, c.end_token)?;
    let mask = causal_mask(graph, &own("mask"), ids, 1)?;
    let mask_of_end = causal_mask_at(graph, &own("mask"), (ids, 1), end)?;
    for i in 0..c.depth {
        let name = own(&format!("blocks.{i}"));
        let part = |part: &str| format!("{name}.{part}");
        let block = Block {
            norm1: Some(weights.layer_norm(&part("norm1"), c.dim, c.norm_eps)?),
            attn: weights.attention(&part("attn"), c.dim, c.heads)?,
            norm2: weights.layer_norm(&part("norm2"), c.dim, c.norm_eps)?,
            mlp: Mlp::Gelu(weights.gelu_mlp(&part("mlp"), c.dim, 4 * c.dim)?),
        };
        x = match i + 1 == c.depth {
            false => block.apply(graph, &name, x, Some(mask), None)?,
            true => block.apply(graph, &name, x, Some(mask_of_end), Some(Pooled::At(end)))?,
        };
    }
    let x = graph.reshape(x, &[Size::Keep, Size::Of(c.dim)])?;
    let norm = weights.layer_norm(&own("norm"), c.dim, c.norm_eps)?;
    Ok(norm.apply(graph, &own("norm"), x)?)
}

fn tabular(
    graph: &mut Graph,
    c: &TabularConfig,
    fields: FieldSet,
    weights: &Weights,
) -> Built<Value> {
    let (numbers, categories) = (&c.columns.numbers, &c.columns.categories);
    let batch = || Dim::from("batch");
    // Every input exists whatever the columns are, so that callers need not care.
    let raw = graph.input(
        "numbers",
        DataType::F32,
        vec![batch(), numbers.len().into()],
    )?;
    let indices = graph.input(
        "categories",
        DataType::I64,
        vec![batch(), categories.len().into()],
    )?;
    let present = graph.input(
        "present",
        DataType::Bool,
        vec![batch(), fields.len().into()],
    )?;
    let mut tokens = Vec::new();
    if !numbers.is_empty() {
        tokens.push(match c.tokens {
            TabularTokens::Column => number_tokens(graph, c, weights, raw)?,
            TabularTokens::Field => shared_tokens(graph, c, fields, weights, (raw, present))?,
        });
    }
    if !categories.is_empty() {
        tokens.push(category_tokens(graph, c, weights, indices)?);
    }
    let tokens = graph.concat(&tokens, 1)?;
    let tokens = replace_missing(graph, c, fields, weights, (tokens, present))?;
    let cls = weights.tensor(&own("cls_token"), &[c.dim])?;
    let mut x = prepend_token(graph, &own("cls_token"), cls, tokens)?;
    for i in 0..c.depth {
        let name = own(&format!("blocks.{i}"));
        let part = |part: &str| format!("{name}.{part}");
        let block = Block {
            norm1: match i {
                0 => None,
                _ => Some(weights.layer_norm(&part("norm1"), c.dim, c.norm_eps)?),
            },
            attn: weights.attention(&part("attn"), c.dim, c.heads)?,
            norm2: weights.layer_norm(&part("norm2"), c.dim, c.norm_eps)?,
            mlp: Mlp::ReGlu(weights.reglu(&part("mlp"), c.dim, c.hidden)?),
        };
        let pooled = (i + 1 == c.depth).then_some(Pooled::First);
        x = block.apply(graph, &name, x, None, pooled)?;
    }
    let x = graph.reshape(x, &[Size::Keep, Size::Of(c.dim)])?;
    let norm = weights.layer_norm(&own("norm"), c.dim, c.norm_eps)?;
    Ok(norm.apply(graph, &own("norm"), x)?)
}

/// `x W + b` for each column: [batch, n] to [batch, n, d].
fn number_tokens(
    graph: &mut Graph,
    c: &TabularConfig,
    weights: &Weights,
    numbers: Value,
) -> Built<Value> {
    let shape = [c.columns.numbers.len(), c.dim];
    let (weight, bias) = (own("numbers.weight"), own("numbers.bias"));
    let weight = graph.weight(&weight, weights.tensor(&weight, &shape)?)?;
    let bias = graph.weight(&bias, weights.tensor(&bias, &shape)?)?;
    let x = graph.unsqueeze(numbers, &[2])?;
    let x = graph.mul(x, weight)?;
    Ok(graph.add(x, bias)?)
}

/// `sum x W + b` over the columns of each token: [batch, n] to [batch, tokens, d], as one matrix
/// product with a weight that is 0 where a column belongs to another token. What stands in the
/// columns of an absent field is read as 0, so that it does not spoil the sums of others.
fn shared_tokens(
    graph: &mut Graph,
    c: &TabularConfig,
    fields: FieldSet,
    weights: &Weights,
    (numbers, present): (Value, Value),
) -> Built<Value> {
    let (n, d, count) = (c.columns.numbers.len(), c.dim, c.number_tokens().len());
    let (weight, bias) = (own("numbers.weight"), own("numbers.bias"));
    let rows = weights.numbers(&weight, &[n, d])?;
    let mut wide = vec![0.0; n * count * d];
    for (column, token) in c.token_of_number().into_iter().enumerate() {
        let row = &rows[column * d..(column + 1) * d];
        wide[(column * count + token) * d..][..d].copy_from_slice(row);
    }
    let wide = graph.weight(&weight, Tensor::f32(vec![n, count * d], wide)?)?;
    let bias = graph.weight(&bias, weights.tensor(&bias, &[count, d])?)?;
    let places = c
        .columns
        .numbers
        .iter()
        .map(|column| place_of(fields, column.field));
    let known = gather_known(graph, present, places)?;
    let zero = graph.constant(Tensor::scalar(0.0))?;
    let numbers = graph.select(known, numbers, zero)?;
    let x = graph.matmul(numbers, wide)?;
    let x = graph.reshape(x, &[Size::Keep, Size::Of(count), Size::Of(d)])?;
    Ok(graph.add(x, bias)?)
}

/// The row of the one table that column and index name, and a bias for each column: [batch, m]
/// to [batch, m, d]. An index that the column does not have reads as 0, the unknown value, and
/// not as some row of another column.
fn category_tokens(
    graph: &mut Graph,
    c: &TabularConfig,
    weights: &Weights,
    indices: Value,
) -> Built<Value> {
    let columns = &c.columns;
    let last = columns.categories.iter().map(|c| c.vocabulary.len() as i64);
    let last = graph.constant(Tensor::indices(last.collect()))?;
    let unknown = graph.constant(Tensor::scalar_i64(0))?;
    let below = graph.less_or_equal(indices, last)?;
    let above = graph.greater_or_equal(indices, unknown)?;
    let inside = graph.and(above, below)?;
    let indices = graph.select(inside, indices, unknown)?;
    let offsets = columns.category_offsets().into_iter().map(|o| o as i64);
    let offsets = graph.constant(Tensor::indices(offsets.collect()))?;
    let rows = graph.add(indices, offsets)?;
    let table = Embedding {
        weight: weights.tensor(&own("categories.weight"), &[columns.category_rows(), c.dim])?,
    };
    let x = table.apply(graph, &own("categories"), rows)?;
    let bias = own("categories.bias");
    let shape = [columns.categories.len(), c.dim];
    let bias = graph.weight(&bias, weights.tensor(&bias, &shape)?)?;
    Ok(graph.add(x, bias)?)
}

/// Puts the missing token of its field in the place of each token whose field is absent.
fn replace_missing(
    graph: &mut Graph,
    c: &TabularConfig,
    fields: FieldSet,
    weights: &Weights,
    (tokens, present): (Value, Value),
) -> Built<Value> {
    let name = own("missing");
    let missing = weights.tensor(&name, &[fields.len(), c.dim])?;
    let missing = graph.weight(&name, missing)?;
    let places = c
        .token_fields()
        .into_iter()
        .map(|field| place_of(fields, field));
    let places: Vec<usize> = places.collect();
    let rows = graph.constant(Tensor::indices(places.iter().map(|p| *p as i64).collect()))?;
    let missing = graph.gather(missing, rows, 0)?;
    let known = gather_known(graph, present, places)?;
    let known = graph.unsqueeze(known, &[2])?;
    // A choice and not a sum: whatever stands in an absent column, even NaN, is not read.
    Ok(graph.select(known, tokens, missing)?)
}

/// Whether the field at each of these places is present: [batch, places].
fn gather_known(
    graph: &mut Graph,
    present: Value,
    places: impl IntoIterator<Item = usize>,
) -> Built<Value> {
    let places = places.into_iter().map(|place| place as i64).collect();
    let places = graph.constant(Tensor::indices(places))?;
    Ok(graph.gather(present, places, 1)?)
}

fn place_of(fields: FieldSet, field: Field) -> usize {
    fields.iter().take_while(|f| *f != field).count()
}
