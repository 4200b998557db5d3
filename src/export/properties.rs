//! What a graph says of itself: enough to use it without `bundle.json` and without our code.

#[cfg(feature = "serve")]
use crate::arch::MetadataTower;
use crate::arch::{Preprocessing, ResizeFilter};
#[cfg(feature = "serve")]
use crate::bundle::BundleManifest;
use crate::error::{Error, Result};
#[cfg(feature = "serve")]
use crate::metadata::Field;

pub(super) type Properties = Vec<(String, String)>;

/// What is to be known of an image graph's input.
pub(super) fn of_images(images: &Preprocessing) -> Result<Properties> {
    let filter = match images.filter {
        ResizeFilter::Bilinear => "bilinear",
        ResizeFilter::Bicubic => "bicubic",
        ResizeFilter::Lanczos => "lanczos",
    };
    Ok(named(vec![
        ("satmip.image.size", images.size.to_string()),
        (
            "satmip.image.channels",
            "RGB, 8 bit, [batch, height, width, 3]".into(),
        ),
        (
            "satmip.image.resize",
            format!("{filter}, antialiased, as Pillow's"),
        ),
        (
            "satmip.image.fit",
            json(serde_json::to_string(&images.fit))?,
        ),
        ("satmip.image.normalisation", "inside the graph".into()),
    ]))
}

/// `metadata_props` of every graph of a bundle. The whole manifest, but for its files, is
/// `satmip.bundle`; the rest says the same to those who read no JSON of ours.
#[cfg(feature = "serve")]
pub(super) fn of(manifest: &BundleManifest, tokenizer: Option<&[u8]>) -> Result<Properties> {
    let mut all = vec![
        ("satmip.id", manifest.id.clone()),
        ("satmip.version", manifest.version.clone()),
        ("satmip.licence", manifest.licence.clone()),
        ("satmip.logit_scale", manifest.logit_scale.to_string()),
    ];
    if let Some(side) = &manifest.arch.metadata {
        let names: Vec<&str> = side.fields.iter().map(Field::name).collect();
        all.push(("satmip.metadata.fields", names.join(" ")));
        match &side.tower {
            MetadataTower::Text(text) => {
                all.push(("satmip.metadata.context", text.context.to_string()));
                all.push(("satmip.metadata.end_token", text.end_token.to_string()));
                all.push(("satmip.metadata.tokenizer", crate::bundle::TOKENIZER.into()));
                let hash = tokenizer.map(crate::parts::sha256::of_bytes);
                all.extend(hash.map(|hash| ("satmip.metadata.tokenizer_sha256", hash)));
            }
            MetadataTower::Tabular(table) => {
                let columns = json(serde_json::to_string(&table.columns))?;
                all.push(("satmip.metadata.columns", columns));
            }
        }
    }
    all.push(("satmip.training", manifest.training.to_string()));
    all.push(("satmip.bundle", json(serde_json::to_string(manifest))?));
    let mut properties = of_images(&manifest.arch.preprocessing)?;
    properties.extend(named(all));
    Ok(properties)
}

fn named(all: Vec<(&str, String)>) -> Properties {
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    all.into_iter().map(owned).collect()
}

fn json(value: serde_json::Result<String>) -> Result<String> {
    value.map_err(|e| Error::Export {
        what: "the manifest".into(),
        reason: e.to_string(),
        source: Some(e.into()),
    })
}
