//! The architecture, from the shapes of the tensors under our names.

use std::collections::BTreeMap;

use super::ImportOptions;
use super::mapping::Mapping;
use super::rules::Content;
use super::source::WeightsFile;
use satmip::arch::names::{IMAGE_PROJECTOR, METADATA, METADATA_PROJECTOR};
use satmip::arch::{Arch, MetadataSide, MetadataTower, Preprocessing, Projector, TextConfig};
use satmip::metadata::CaptionTokenizer;
use satmip::{Error, Result};

/// Most blocks, stages or layers that are counted.
pub(super) const MOST_BLOCKS: usize = 1024;

/// Shapes by our names, and what was assumed on the way.
pub(super) struct Inference<'a> {
    pub(super) source: &'a WeightsFile,
    pub(super) mapping: &'a Mapping,
    pub(super) options: &'a ImportOptions,
    pub(super) shapes: &'a BTreeMap<String, Vec<usize>>,
    /// Whether the file has a tensor of this name, behind the prefix.
    pub(super) has: &'a dyn Fn(&str) -> bool,
    pub(super) assumed: Vec<String>,
}

impl Inference<'_> {
    /// The whole architecture.
    ///
    /// # Errors
    /// [`Error::Import`] says what cannot be told from the shapes, and which option tells it.
    pub(super) fn arch(&mut self, tokenizer: Option<&CaptionTokenizer>) -> Result<Arch> {
        let settings = self.image_settings();
        let (image, size) = self.image(&settings)?;
        let metadata = self.metadata(tokenizer)?;
        let image_projector = self.projector(IMAGE_PROJECTOR)?;
        let (projector, embed_dim) = match image_projector {
            Some(found) => found,
            None if metadata.is_none() && self.makes_identity() => {
                (Projector::Linear, image.features())
            }
            None => {
                let reason =
                    format!("no tensor of the file becomes `{IMAGE_PROJECTOR}.layers.0.weight`");
                let hint = "write a mapping (`--mapping`) that says where the projector is";
                return Err(self.source.refuse(reason, Some(hint)));
            }
        };
        let (mean, std) = match (settings.mean, settings.std) {
            (Some(mean), Some(std)) => (mean, std),
            _ => {
                let reason = "the mapping does not say how pixels are normalised (`mean`, `std`)";
                return Err(self.source.refuse(reason, Some("give `--arch`")));
            }
        };
        self.assumed.push(format!(
            "pixels are normalised with mean {mean:?} and std {std:?}, pictures are cropped to a square and resized bicubically"
        ));
        Ok(Arch {
            preprocessing: Preprocessing {
                size,
                fit: Default::default(),
                filter: Default::default(),
                mean,
                std,
            },
            image,
            image_projector: projector,
            metadata,
            embed_dim,
        })
    }

    fn makes_identity(&self) -> bool {
        let name = format!("{IMAGE_PROJECTOR}.layers.0.weight");
        let mut makes = self.mapping.make.iter();
        makes.any(|make| make.to == name && make.what == Content::Identity)
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shapes.get(name).map(Vec::as_slice)
    }

    /// The dimensions of a tensor that are not 1 in front.
    pub(super) fn last_two(&self, name: &str) -> Option<(usize, usize)> {
        match self.shape(name)? {
            [.., rows, columns] => Some((*rows, *columns)),
            _ => None,
        }
    }

    /// Blocks `PREFIX.0`, `PREFIX.1`, .. without a gap.
    pub(super) fn count(&self, prefix: &str) -> usize {
        let there = |i: &usize| {
            let block = format!("{prefix}{i}.");
            let from = self.shapes.range(block.clone()..).next();
            from.is_some_and(|(name, _)| name.starts_with(&block))
        };
        (0..MOST_BLOCKS).take_while(there).count()
    }

    pub(super) fn heads(
        &mut self,
        tower: &str,
        option: &str,
        given: Option<usize>,
        dim: usize,
        width: Option<usize>,
    ) -> Result<usize> {
        if let Some(heads) = given {
            return Ok(heads);
        }
        match width.filter(|w| *w > 0 && dim.is_multiple_of(*w) && dim >= *w) {
            Some(width) => {
                let heads = dim / width;
                self.assumed.push(format!(
                    "the {tower} tower has {heads} heads: its width of {dim} over {width}; `{option}` says another number"
                ));
                Ok(heads)
            }
            None => {
                let reason = format!(
                    "the number of heads of the {tower} tower, which is {dim} wide, cannot be told from the weights"
                );
                let hint = format!("give `{option}`, or `--arch`");
                Err(self.source.refuse(reason, Some(&hint)))
            }
        }
    }

    /// A projector and its output width; none where it has no tensor.
    fn projector(&self, prefix: &str) -> Result<Option<(Projector, usize)>> {
        let weight = |i: usize| self.last_two(&format!("{prefix}.layers.{i}.weight"));
        let outputs: Vec<usize> = (0..MOST_BLOCKS).map_while(weight).map(|(n, _)| n).collect();
        let Some((last, hidden)) = outputs.split_last() else {
            return Ok(None);
        };
        let biased = self.shapes.contains_key(&format!("{prefix}.layers.0.bias"));
        match (hidden, biased) {
            ([], false) => Ok(Some((Projector::Linear, *last))),
            ([], true) => {
                let reason =
                    format!("`{prefix}` is one layer with a bias, which our projectors lack");
                Err(self.source.refuse(reason, None))
            }
            (hidden, _) => {
                let hidden = hidden.to_vec();
                Ok(Some((Projector::Mlp { hidden }, *last)))
            }
        }
    }

    fn metadata(&mut self, tokenizer: Option<&CaptionTokenizer>) -> Result<Option<MetadataSide>> {
        let prefix = format!("{METADATA}.");
        let first = self.shapes.range(prefix.clone()..).next();
        if !first.is_some_and(|(name, _)| name.starts_with(&prefix)) {
            return Ok(None);
        }
        let table = self.last_two(&format!("{METADATA}.token_embedding.weight"));
        let positions = self.last_two(&format!("{METADATA}.positional_embedding"));
        let (Some((vocabulary, dim)), Some((context, _))) = (table, positions) else {
            let reason = "the metadata tower is no text tower, and the columns of others are not part of their weights";
            return Err(self
                .source
                .refuse(reason, Some("give `--arch` with an arch.json")));
        };
        let tokenizer = tokenizer.ok_or_else(|| no_tokenizer(self.source))?;
        let fields = self.options.fields.ok_or_else(|| {
            let reason = "the fields that the captions have cannot be told from the weights";
            self.source
                .refuse(reason, Some("give `--fields`, or `--arch`"))
        })?;
        let text = &self.mapping.text;
        let (width, norm_eps) = (text.head_width, text.norm_eps.unwrap_or(1e-5));
        let heads = self.options.text_heads;
        let heads = self.heads("text", "--text-heads", heads, dim, width)?;
        let projector = self.projector(METADATA_PROJECTOR)?.ok_or_else(|| {
            let reason =
                format!("no tensor of the file becomes `{METADATA_PROJECTOR}.layers.0.weight`");
            self.source.refuse(reason, None)
        })?;
        Ok(Some(MetadataSide {
            fields,
            tower: MetadataTower::Text(TextConfig {
                vocabulary,
                context,
                end_token: tokenizer.end_token(),
                dim,
                depth: self.count(&format!("{METADATA}.blocks.")),
                heads,
                norm_eps,
            }),
            projector: projector.0,
        }))
    }
}

/// Sees to it that a text tower has a tokenizer that it can have been made for.
///
/// # Errors
/// [`Error::Import`] where there is none, or its vocabulary or its longest caption is not the tower's.
pub(super) fn check_tokenizer(
    source: &WeightsFile,
    arch: &Arch,
    tokenizer: Option<&CaptionTokenizer>,
) -> Result<()> {
    let Some(side) = &arch.metadata else {
        return Ok(());
    };
    let MetadataTower::Text(text) = &side.tower else {
        return Ok(());
    };
    let tokenizer = tokenizer.ok_or_else(|| no_tokenizer(source))?;
    let refuse = |reason: String| -> Result<(), Error> {
        Err(source.refuse(
            reason,
            Some("give the tokenizer that the model was trained with"),
        ))
    };
    if tokenizer.vocabulary() != text.vocabulary {
        return refuse(format!(
            "the tokenizer has {} tokens, the tower's table {}",
            tokenizer.vocabulary(),
            text.vocabulary
        ));
    }
    if tokenizer.end_token() != text.end_token {
        return refuse(format!(
            "the tokenizer's end token is {}, the tower's {}",
            tokenizer.end_token(),
            text.end_token
        ));
    }
    let longest = tokenizer.context_for(side.fields);
    if longest > text.context {
        return refuse(format!(
            "captions of these fields may have {longest} tokens, the tower reads {}",
            text.context
        ));
    }
    Ok(())
}

fn no_tokenizer(source: &WeightsFile) -> Error {
    let reason = "a text tower reads the tokens of one tokenizer, which is not part of its weights";
    source.refuse(reason, Some("give `--tokenizer` with its tokenizer.json"))
}
