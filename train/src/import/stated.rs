//! An architecture that somebody states: an `arch.json`, or a recipe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use satmip::arch::names::METADATA;
use satmip::arch::{
    Arch, ImageTower, MetadataSide, MetadataTower, Preprocessing, Projector, TextConfig,
};
use satmip::metadata::{CaptionTokenizer, FieldSet};
use satmip::{Error, Result};

/// Longest file that is read.
const LONGEST: u64 = 16 << 20;

/// What a recipe says of the model; all else in it is passed over.
#[derive(Deserialize)]
struct Recipe {
    embed_dim: usize,
    #[serde(default)]
    fields: FieldSet,
    preprocessing: Preprocessing,
    image: ImageTower,
    #[serde(default = "linear")]
    image_projector: Projector,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum Metadata {
    Text {
        dim: usize,
        depth: usize,
        heads: usize,
    },
    Tabular {},
}

fn linear() -> Projector {
    Projector::Linear
}

/// Reads an `arch.json`, or a recipe (`.toml`), whose vocabulary and context are those of the
/// weights and whose end token is the tokenizer's.
///
/// # Errors
/// [`Error::Io`], [`Error::Import`] for a file that is neither, for a recipe with a tabular tower
/// (its columns follow from data) or one with a text tower and no tokenizer; [`Error::Arch`].
pub(super) fn read(
    path: &Path,
    shapes: &BTreeMap<String, Vec<usize>>,
    tokenizer: Option<&CaptionTokenizer>,
) -> Result<Arch> {
    let io = |e| Error::io(path, e);
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    file.take(LONGEST).read_to_string(&mut text).map_err(io)?;
    let refuse = |reason: String| Error::Import {
        path: path.to_owned(),
        reason: format!("as an architecture: {reason}"),
        hint: None,
    };
    let arch = match path.extension().is_some_and(|e| e == "toml") {
        false => serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?,
        true => {
            let recipe = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
            from_recipe(recipe, shapes, tokenizer).map_err(|reason| refuse(reason.to_owned()))?
        }
    };
    arch.validate()?;
    Ok(arch)
}

fn from_recipe(
    recipe: Recipe,
    shapes: &BTreeMap<String, Vec<usize>>,
    tokenizer: Option<&CaptionTokenizer>,
) -> Result<Arch, &'static str> {
    let rows = |name: &str| match shapes.get(&format!("{METADATA}.{name}")).map(Vec::as_slice) {
        Some([.., rows, _]) => Ok(*rows),
        _ => Err("it has a text tower, the weights have none"),
    };
    let metadata = match recipe.metadata {
        None => None,
        Some(Metadata::Tabular {}) => {
            return Err(
                "the columns of a tabular tower follow from data; give the run's arch.json",
            );
        }
        Some(Metadata::Text { dim, depth, heads }) => Some(MetadataSide {
            fields: recipe.fields,
            tower: MetadataTower::Text(TextConfig {
                vocabulary: rows("token_embedding.weight")?,
                context: rows("positional_embedding")?,
                end_token: tokenizer
                    .ok_or("a text tower needs `--tokenizer`")?
                    .end_token(),
                dim,
                depth,
                heads,
                norm_eps: 1e-5,
            }),
            projector: Projector::Linear,
        }),
    };
    Ok(Arch {
        preprocessing: recipe.preprocessing,
        image: recipe.image,
        image_projector: recipe.image_projector,
        metadata,
        embed_dim: recipe.embed_dim,
    })
}
