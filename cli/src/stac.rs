//! `satmip stac`.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::terminal::Terminal;
use satmip::Result;
use satmip_archive::{CatalogueConfig, catalogue};

/// Describe the windows that were embedded as a STAC collection
///
/// Writes `collection.json`, `model.json` and an item for each part into the folder of a job of `satmip embed --tile`
/// that is done: where and when its rows are, how the pictures were read, and which model embedded them. The fields are
/// those of STAC 1.0.0 and of the draft extension for embeddings, version 0.0.1.
#[derive(Debug, Args)]
pub(super) struct StacArgs {
    /// Folder of a job
    #[arg(value_name = "OUT")]
    folder: PathBuf,
    /// The collection's id [default: the folder's name]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The licence of the embeddings, as SPDX has it
    #[arg(long, value_name = "SPDX", default_value = "other")]
    license: String,
    /// When the pictures were taken, where the rows do not say: days or moments of RFC 3339
    #[arg(long, value_name = "A/B")]
    datetime: Option<String>,
    /// Replace a description that exists
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: StacArgs, terminal: &Terminal) -> Result<Exit> {
    let name = std::path::absolute(&args.folder).ok();
    let name = name.as_deref().and_then(|path| path.file_name());
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let mut config = CatalogueConfig::new(args.id.unwrap_or(name));
    config.license = args.license;
    config.datetime = args.datetime.as_deref().map(str::parse).transpose()?;
    config.overwrite = args.overwrite;
    let written = catalogue(&args.folder, &config)?;
    terminal.say(&format!(
        "{} items described in `{}`",
        written.len() - 2,
        args.folder.join("collection.json").display()
    ));
    Ok(Exit::Done)
}
