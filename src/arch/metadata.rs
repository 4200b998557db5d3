//! Metadata towers.

use serde::{Deserialize, Serialize};

use super::{divisible, positive};
use crate::error::{Error, Result};
use crate::metadata::{Field, FieldSet};

/// Metadata to features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum MetadataTower {
    /// A causal Transformer over the caption's tokens.
    Text(TextConfig),
    /// An FT-Transformer over numbers and categories.
    Tabular(TabularConfig),
}

/// A causal text Transformer as in CLIP and SLIP (Mu et al. 2022): pre-norm, GELU, learned
/// positions, pooled at the end token after the last norm.
///
/// SLIP has width 512, 12 layers, 8 heads; smaller ones for small image towers are our choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Tokens in the vocabulary, special ones included.
    pub vocabulary: usize,
    /// Most tokens of a caption, start and end token included. Follows from the fields.
    pub context: usize,
    /// Id of the end token, at which the sequence is pooled.
    pub end_token: i64,
    /// Width of the tokens and of the features.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; divides `dim`.
    pub heads: usize,
    /// Epsilon of the layer norms; CLIP has 1e-5.
    #[serde(default = "norm_eps")]
    pub norm_eps: f64,
}

/// The FT-Transformer (Gorishniy et al. 2021): one token for each column or field, a class token
/// in front, pre-norm without a norm before the first attention, ReGLU.
///
/// A field that is missing has a learned token of its own in the place of each of its tokens
/// (our choice, not the paper's).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TabularConfig {
    /// Width of the tokens and of the features; 192 by default there.
    pub dim: usize,
    /// Number of blocks; 3 by default there.
    pub depth: usize,
    /// Attention heads; 8 by default there.
    pub heads: usize,
    /// Hidden width of the ReGLU; 4/3 of `dim` by default there.
    pub hidden: usize,
    /// What a token stands for.
    #[serde(default)]
    pub tokens: TabularTokens,
    /// Dropout on the attention weights while training; 0.2 by default there.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Dropout inside the ReGLU while training; 0.1 by default there.
    #[serde(default)]
    pub hidden_dropout: f64,
    /// Epsilon of the layer norms.
    #[serde(default = "norm_eps")]
    pub norm_eps: f64,
    /// The columns, with the statistics that standardise them.
    pub columns: TabularColumns,
}

/// What a token of the tabular tower stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TabularTokens {
    /// A column, as in the FT-Transformer.
    #[default]
    Column,
    /// A field: its columns of numbers enter one token together, `sum x W + b` (our choice). A
    /// location has 27 columns, so this is several times cheaper; and it learns places sooner.
    Field,
}

/// Columns of the tabular view, in the order of the graph's inputs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TabularColumns {
    /// Columns of `numbers`.
    pub numbers: Vec<NumberColumn>,
    /// Columns of `categories`.
    pub categories: Vec<CategoryColumn>,
}

/// A column of numbers: `(raw - mean) / std` enters the tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberColumn {
    /// The column's name, for example `sun_azimuth_angle.sin`.
    pub name: String,
    /// The field that it comes from.
    pub field: Field,
    /// Mean over the training rows that have the field.
    pub mean: f64,
    /// Standard deviation over them, above 0.
    pub std: f64,
}

/// A column of categories. Index 0 is a value that the vocabulary does not have; the
/// vocabulary's entries follow from 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryColumn {
    /// The column's name, for example `country_code`.
    pub name: String,
    /// The field that it comes from.
    pub field: Field,
    /// Values seen in training, sorted.
    pub vocabulary: Vec<String>,
}

impl MetadataTower {
    /// Width of `metadata_features`.
    pub fn features(&self) -> usize {
        match self {
            MetadataTower::Text(c) => c.dim,
            MetadataTower::Tabular(c) => c.dim,
        }
    }

    pub(super) fn validate(&self, fields: FieldSet) -> Result<()> {
        if fields.is_empty() {
            return Err(Error::arch("metadata.fields", "needs at least one field"));
        }
        match self {
            MetadataTower::Text(c) => c.validate(),
            MetadataTower::Tabular(c) => c.validate(fields),
        }
    }
}

impl TextConfig {
    fn validate(&self) -> Result<()> {
        positive("metadata.dim", self.dim)?;
        positive("metadata.depth", self.depth)?;
        positive("metadata.vocabulary", self.vocabulary)?;
        positive("metadata.context", self.context)?;
        divisible("metadata.heads", self.dim, self.heads)?;
        if self.end_token < 0 || self.end_token as usize >= self.vocabulary {
            return Err(Error::arch(
                "metadata.end_token",
                format!("{} is outside the vocabulary", self.end_token),
            ));
        }
        Ok(())
    }
}

impl TabularConfig {
    fn validate(&self, fields: FieldSet) -> Result<()> {
        positive("metadata.dim", self.dim)?;
        positive("metadata.depth", self.depth)?;
        positive("metadata.hidden", self.hidden)?;
        divisible("metadata.heads", self.dim, self.heads)?;
        let columns = &self.columns;
        if columns.numbers.is_empty() && columns.categories.is_empty() {
            return Err(Error::arch("metadata.columns", "needs at least one column"));
        }
        for column in &columns.numbers {
            if !(column.std > 0.0 && column.std.is_finite() && column.mean.is_finite()) {
                return Err(Error::arch(
                    format!("metadata.columns.{}", column.name),
                    "needs a finite mean and a finite std above 0",
                ));
            }
        }
        let used = columns.numbers.iter().map(|c| c.field);
        let used = used.chain(columns.categories.iter().map(|c| c.field));
        match used.into_iter().find(|field| !fields.contains(*field)) {
            Some(field) => Err(Error::arch(
                "metadata.columns",
                format!("a column of `{field}`, which is not among the fields"),
            )),
            None => Ok(()),
        }
    }
}

impl TabularConfig {
    /// The field of each token of numbers, in their order.
    pub fn number_tokens(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = self.columns.numbers.iter().map(|c| c.field).collect();
        if self.tokens == TabularTokens::Field {
            let mut seen = FieldSet::NONE;
            fields.retain(|field| {
                let first = !seen.contains(*field);
                seen.insert(*field);
                first
            });
        }
        fields
    }

    /// The field of each token behind the class token: those of numbers, then those of categories.
    pub fn token_fields(&self) -> Vec<Field> {
        let categories = self.columns.categories.iter().map(|c| c.field);
        self.number_tokens().into_iter().chain(categories).collect()
    }

    /// For each column of numbers the token that it enters.
    pub fn token_of_number(&self) -> Vec<usize> {
        let tokens = self.number_tokens();
        let place = |(i, c): (usize, &NumberColumn)| match self.tokens {
            TabularTokens::Column => i,
            TabularTokens::Field => tokens.iter().position(|f| *f == c.field).unwrap_or(0),
        };
        self.columns.numbers.iter().enumerate().map(place).collect()
    }
}

impl TabularColumns {
    /// Rows of the one table of category embeddings: for each column its vocabulary and the
    /// unknown value.
    pub fn category_rows(&self) -> usize {
        self.categories.iter().map(|c| c.vocabulary.len() + 1).sum()
    }

    /// First row of each category column in that table.
    pub fn category_offsets(&self) -> Vec<usize> {
        let mut next = 0;
        self.categories
            .iter()
            .map(|c| {
                let offset = next;
                next += c.vocabulary.len() + 1;
                offset
            })
            .collect()
    }
}

fn norm_eps() -> f64 {
    1e-5
}
