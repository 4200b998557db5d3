//! Embeds chips and captions with tract, a runtime of ONNX graphs in Rust: copy this file.

use std::path::Path;

use tokenizers::Tokenizer;
use tract_onnx::prelude::*;

/// A graph whose batch and length are known.
fn plan(graph: &Path, input: InferenceFact, output: &str) -> TractResult<Arc<TypedRunnableModel>> {
    tract_onnx::onnx()
        // The shapes that the graph states have symbols, which would contradict the numbers here.
        .with_ignore_value_info(true)
        .with_ignore_output_shapes(true)
        .model_for_path(graph)?
        .with_input_fact(0, input)?
        .with_outputs_by_name([output])?
        .into_optimized()?
        .into_runnable()
}

fn rows(output: TValue) -> TractResult<Vec<Vec<f32>>> {
    let rows = output.to_plain_array_view::<f32>()?;
    Ok(rows
        .outer_iter()
        .map(|row| row.iter().copied().collect())
        .collect())
}

/// Pictures of RGB bytes, `size x size x 3` each, to unit rows.
pub fn embed_images(
    bundle: &Path,
    pictures: &[Vec<u8>],
    size: usize,
) -> TractResult<Vec<Vec<f32>>> {
    let shape = [pictures.len(), size, size, 3];
    let plan = plan(
        &bundle.join("image.onnx"),
        u8::fact(shape).into(),
        "image_embeds",
    )?;
    let input = Tensor::from_shape(&shape, &pictures.concat())?;
    rows(plan.run(tvec!(input.into()))?.remove(0))
}

/// Captions to token ids, each with its start and end token.
pub fn ids(bundle: &Path, captions: &[&str]) -> tokenizers::Result<Vec<Vec<i64>>> {
    let mut tokenizer = Tokenizer::from_file(bundle.join("tokenizer.json"))?;
    tokenizer.with_padding(None);
    let encodings = tokenizer.encode_batch(captions.to_vec(), true)?;
    let row = |e: &tokenizers::Encoding| e.get_ids().iter().map(|id| i64::from(*id)).collect();
    Ok(encodings.iter().map(row).collect())
}

/// Token ids to unit rows. Shorter captions are filled up with 0, the padding of tokenizer.json.
pub fn embed_ids(bundle: &Path, captions: &[Vec<i64>]) -> TractResult<Vec<Vec<f32>>> {
    let length = captions.iter().map(Vec::len).max().unwrap_or(0);
    let mut padded = Vec::new();
    for ids in captions {
        padded.extend(
            ids.iter()
                .copied()
                .chain(std::iter::repeat_n(0, length - ids.len())),
        );
    }
    let shape = [captions.len(), length];
    let plan = plan(
        &bundle.join("metadata.onnx"),
        i64::fact(shape).into(),
        "metadata_embeds",
    )?;
    let input = Tensor::from_shape(&shape, &padded)?;
    rows(plan.run(tvec!(input.into()))?.remove(0))
}
