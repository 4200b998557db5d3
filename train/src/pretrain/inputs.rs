//! From a recipe and its data to an architecture, and from records to a metadata tower's input.

use burn::prelude::{Device, Tensor, TensorData};

use super::{MetadataRecipe, Recipe};
use crate::model::MetadataBatch;
use satmip::Result;
use satmip::arch::TabularColumns;
use satmip::arch::{Arch, MetadataSide, MetadataTower, Projector, TabularConfig, TextConfig};
use satmip::metadata::{CaptionTokenizer, FieldSet, Metadata};

/// What turns records into a metadata tower's input.
#[derive(Debug)]
pub(super) enum MetadataInput {
    Caption {
        tokenizer: Box<CaptionTokenizer>,
        context: usize,
    },
    Columns(TabularColumns),
}

/// The architecture of a recipe: vocabulary, context and statistics come from the chips' records.
pub(super) fn resolve<'a>(
    recipe: &Recipe,
    records: impl Iterator<Item = &'a Metadata>,
) -> Result<(Arch, Option<MetadataInput>)> {
    let mut arch = Arch {
        preprocessing: recipe.preprocessing.clone(),
        image: recipe.image.clone(),
        image_projector: recipe.image_projector.clone(),
        metadata: None,
        embed_dim: recipe.embed_dim,
    };
    let Some(metadata) = recipe
        .metadata
        .as_ref()
        .filter(|_| recipe.method.uses_metadata())
    else {
        return Ok((arch, None));
    };
    let fields = recipe.fields;
    let (tower, input) = match metadata {
        MetadataRecipe::Text {
            vocabulary,
            tokenizer,
            dim,
            depth,
            heads,
        } => {
            let captions = records.map(|record| record.caption(fields));
            let tokenizer = match tokenizer {
                Some(path) => CaptionTokenizer::from_file(path)?,
                None => CaptionTokenizer::train(captions, *vocabulary)?,
            };
            let context = tokenizer.context_for(fields);
            let config = TextConfig {
                vocabulary: tokenizer.vocabulary(),
                context,
                end_token: tokenizer.end_token(),
                dim: *dim,
                depth: *depth,
                heads: *heads,
                norm_eps: 1e-5,
            };
            let tokenizer = Box::new(tokenizer);
            (
                MetadataTower::Text(config),
                MetadataInput::Caption { tokenizer, context },
            )
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
            let records: Vec<Metadata> = records.map(|record| record.only(fields)).collect();
            let columns = TabularColumns::fit(&records, fields)?;
            let config = TabularConfig {
                dim: *dim,
                depth: *depth,
                heads: *heads,
                hidden: *hidden,
                tokens: *tokens,
                attention_dropout: *attention_dropout,
                hidden_dropout: *hidden_dropout,
                norm_eps: 1e-5,
                columns: columns.clone(),
            };
            (
                MetadataTower::Tabular(config),
                MetadataInput::Columns(columns),
            )
        }
    };
    arch.metadata = Some(MetadataSide {
        fields,
        tower,
        projector: Projector::Linear,
    });
    arch.validate()?;
    Ok((arch, Some(input)))
}

impl MetadataInput {
    /// A batch of records as tensors on a device.
    pub(super) fn batch(
        &self,
        records: &[Metadata],
        fields: FieldSet,
        device: &Device,
    ) -> Result<MetadataBatch> {
        match self {
            MetadataInput::Caption { tokenizer, context } => {
                let captions: Vec<String> = records.iter().map(|r| r.caption(fields)).collect();
                let ids = tokenizer.encode_batch(&captions, *context)?;
                let shape = [ids.nrows(), ids.ncols()];
                let ids = TensorData::new(ids.into_raw_vec_and_offset().0, shape);
                Ok(MetadataBatch::Text(Tensor::from_data(ids, device)))
            }
            MetadataInput::Columns(columns) => {
                let batch = columns.encode(records, fields)?;
                let shape = |d: (usize, usize)| [d.0, d.1];
                let numbers = shape(batch.numbers.dim());
                let categories = shape(batch.categories.dim());
                let present = shape(batch.present.dim());
                let numbers = TensorData::new(batch.numbers.into_iter().collect(), numbers);
                let categories =
                    TensorData::new(batch.categories.into_iter().collect(), categories);
                let present = TensorData::new(batch.present.into_iter().collect(), present);
                Ok(MetadataBatch::Tabular(
                    Tensor::from_data(numbers, device),
                    Tensor::from_data(categories, device),
                    Tensor::from_data(present, device),
                ))
            }
        }
    }

    /// The tokenizer's file, for a text tower.
    pub(super) fn tokenizer_json(&self) -> Option<String> {
        match self {
            MetadataInput::Caption { tokenizer, .. } => Some(tokenizer.to_json()),
            MetadataInput::Columns(_) => None,
        }
    }
}
