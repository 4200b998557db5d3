//! `satmip inspect`.

mod onnx;
mod show;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::caption::RecordJson;
use super::report::Report;
use super::terminal::Terminal;
use super::zoo::ZooArgs;
use crate::arch::{ImageTower, MetadataTower};
use crate::bundle::BundleManifest;
use crate::error::{Error, ImageFault, Result};
use crate::image::{self, DecodeLimits};
use crate::metadata::Metadata;
use crate::metadata::read::{self, Record};

/// Records of a table that are shown to people, where nothing else is said.
const RECORDS: usize = 5;

/// Show what is in a model, an ONNX file, an image or a file of metadata
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Folder of a bundle, name of a model, ONNX file, image, or file of metadata
    #[arg(value_name = "WHAT")]
    what: PathBuf,
    /// Records of a table to show [default: 5, as JSON all]
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zoo: ZooArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
enum Found<'a> {
    Bundle {
        manifest: &'a BundleManifest,
    },
    Image {
        width: u32,
        height: u32,
        records: Vec<RecordJson<'a>>,
    },
    Onnx(Box<onnx::Onnx>),
    Metadata {
        total: usize,
        records: Vec<RecordJson<'a>>,
    },
}

pub(super) fn run(args: InspectArgs, terminal: &Terminal) -> Result<Exit> {
    let mut out = Report::open();
    if args.what.is_file() && onnx::is_onnx(&args.what)? {
        onnx::show(&args.what, args.json, &mut out)?;
    } else if args.what.is_file() {
        file(&args, &mut out)?;
    } else {
        let bundle = args
            .zoo
            .open(terminal)
            .open(&args.what.to_string_lossy(), None)?;
        let manifest = bundle.manifest();
        match args.json {
            true => out.json(&Found::Bundle { manifest })?,
            false => out.table(&["bundle", &manifest.id], &bundle_rows(manifest))?,
        }
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn file(args: &InspectArgs, out: &mut Report) -> Result<()> {
    let path = &args.what;
    let picture = match image::read(path, &DecodeLimits::default()) {
        Ok(picture) => Some(picture),
        Err(Error::Image {
            fault: ImageFault::UnknownFormat,
            ..
        }) => None,
        Err(error) => return Err(error),
    };
    let records = match &picture {
        None => read::from_file(path)?,
        // Of pictures, GeoTIFFs alone have records; others lack nothing without.
        Some(_) => read::from_file(path).unwrap_or_default(),
    };
    let shown: Vec<Record> = records
        .iter()
        .take(args.records.unwrap_or(match args.json {
            true => usize::MAX,
            false => RECORDS,
        }))
        .map(|record| Record {
            key: record.key.clone(),
            metadata: record.metadata.derive_missing(),
        })
        .collect();
    if args.json {
        let jsons = shown
            .iter()
            .map(|r| RecordJson::of(&r.key, &r.metadata))
            .collect();
        return out.json(&match &picture {
            Some(picture) => Found::Image {
                width: picture.width(),
                height: picture.height(),
                records: jsons,
            },
            None => Found::Metadata {
                total: records.len(),
                records: jsons,
            },
        });
    }
    if let Some(picture) = &picture {
        let (width, height) = (picture.width(), picture.height());
        out.line(&format!("image of {width} x {height} pixels"))?;
    } else {
        let name = path.display();
        out.line(&format!(
            "{} of metadata in `{name}`",
            count(records.len(), "record")
        ))?;
    }
    for record in &shown {
        out.line("")?;
        out.table(&["key", &record.key], &record_rows(&record.metadata))?;
    }
    if shown.len() < records.len() {
        let more = count(records.len() - shown.len(), "more record");
        out.line(&format!("\n{more}; `--records` shows them"))?;
    }
    Ok(())
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn record_rows(metadata: &Metadata) -> Vec<Vec<String>> {
    let fields = metadata.fields();
    let row = |field| {
        let mut text: String = metadata.text(field).unwrap_or_default();
        if metadata.derived().contains(field) {
            text.push_str(" (derived)");
        }
        vec![field.to_string(), text]
    };
    fields.iter().map(row).collect()
}

fn bundle_rows(manifest: &BundleManifest) -> Vec<Vec<String>> {
    let arch = &manifest.arch;
    let image = match &arch.image {
        ImageTower::Vit(c) => format!("ViT, width {}, depth {}, patch {}", c.dim, c.depth, c.patch),
        ImageTower::ResNet(c) => format!("ResNet, widths {:?}, depths {:?}", c.widths, c.depths),
    };
    let (metadata, fields) = match &arch.metadata {
        None => ("none".to_owned(), String::new()),
        Some(side) => {
            let tower = match &side.tower {
                MetadataTower::Text(c) => format!(
                    "text, width {}, depth {}, at most {} tokens",
                    c.dim, c.depth, c.context
                ),
                MetadataTower::Tabular(c) => {
                    format!("tabular, width {}, depth {}", c.dim, c.depth)
                }
            };
            (tower, side.fields.to_string())
        }
    };
    let mut rows = vec![
        ("version", manifest.version.clone()),
        ("licence", manifest.licence.clone()),
        ("precision", manifest.precision.clone()),
        (
            "input",
            format!("{0} x {0} pixels", arch.preprocessing.size),
        ),
        ("image tower", image),
        ("metadata tower", metadata),
        ("fields", fields),
        ("common space", format!("{} numbers", arch.embed_dim)),
        ("logit scale", format!("{:.3}", manifest.logit_scale)),
    ];
    for (name, file) in &manifest.files {
        rows.push((name, format!("{} bytes", file.size)));
    }
    rows.into_iter()
        .map(|(name, text)| vec![name.to_owned(), text])
        .collect()
}
